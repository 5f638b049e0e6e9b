"""One estimate a method, with intervals, on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import PALETTE, SOFT, housed


def methods_chart(rows: Sequence[tuple[str, float, float, float, float]], *, axis: str) -> Any:
    """Points with intervals; a row is (method, ratio, low, high, patients ignored). Log axis.

    Colour is the number of patients that the method ignores. Returns an Altair chart.
    """
    import altair as alt

    names = ("method", "ratio", "low", "high", "ignored")
    data = alt.Data(values=[dict(zip(names, row, strict=True)) for row in rows])
    order = [row[0] for row in rows]
    y = alt.Y("method:N", sort=order, title=None)
    scale = alt.Scale(type="log")
    base = alt.Chart(data)
    rule = base.mark_rule(color=SOFT).encode(
        x=alt.X("low:Q", scale=scale, title=axis), x2="high:Q", y=y
    )
    point = base.mark_point(filled=True, size=70).encode(
        x=alt.X("ratio:Q", scale=scale), y=y,
        color=alt.Color(
            "ignored:Q", title="Ignored", scale=alt.Scale(
                range=[PALETTE[0], PALETTE[1]], interpolate="rgb"
            )
        ),
        tooltip=[f"{name}:{'N' if name == 'method' else 'Q'}" for name in names],
    )  # fmt: skip
    null = alt.Chart(alt.Data(values=[{"null": 1}])).mark_rule(strokeDash=[4, 4]).encode(x="null:Q")
    return housed(alt.layer(null, rule, point).properties(width=420))
