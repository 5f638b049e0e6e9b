"""An effect as a curve over dose with its band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import PALETTE, housed


def dose_curve(
    points: Sequence[tuple[float, float, float, float]], *, measure: str, logarithmic: bool
) -> Any:
    """`points` are (dose, value, low, high) on the analysis scale; ratios get a log axis."""
    import altair as alt

    show = math.exp if logarithmic else float
    data = [
        {"dose": d, "value": show(v), "low": show(low), "high": show(high)}
        for d, v, low, high in points
    ]
    title = measure.removeprefix("log ") if logarithmic else measure
    scale = alt.Scale(type="log" if logarithmic else "linear", zero=False)
    base = alt.Chart(alt.Data(values=data)).encode(x=alt.X("dose:Q", title="dose"))
    band = base.mark_area(opacity=0.18, color=PALETTE[0]).encode(
        y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"
    )
    line = base.mark_line(color=PALETTE[0]).encode(
        y=alt.Y("value:Q", title=title, scale=scale),
        tooltip=["dose:Q", "value:Q", "low:Q", "high:Q"],
    )
    return housed(alt.layer(band, line).properties(width=420, height=260))
