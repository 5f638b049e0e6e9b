"""Density curves on one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from klarsyn.figures.theme import PALETTE, housed


def density_chart(curves: Mapping[str, Sequence[tuple[float, float]]], *, axis: str) -> Any:
    """An Altair chart of named curves of (value, density), with a line at 0."""
    import altair as alt

    rows = [
        {"curve": name, "value": x, "density": d}
        for name, curve in curves.items()
        for x, d in curve
    ]
    area = (
        alt.Chart(alt.Data(values=rows))
        .mark_area(opacity=0.35, line=True)
        .encode(
            x=alt.X("value:Q", title=axis),
            y=alt.Y("density:Q", stack=None, title="Density"),
            color=alt.Color("curve:N", title=None, sort=None, scale=alt.Scale(range=list(PALETTE))),
        )
    )
    null = (
        alt.Chart(alt.Data(values=[{"value": 0}])).mark_rule(strokeDash=[4, 4]).encode(x="value:Q")
    )
    return housed(alt.layer(area, null).properties(width=420, height=240))
