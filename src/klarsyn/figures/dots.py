"""Shares of a few groups as dots, one line a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import PALETTE, housed


def dots_chart(
    rows: Sequence[tuple[str, str, float]], *, axis: str, limits: tuple[float, float] | None
) -> Any:
    """An Altair chart of shares; a row is (line, group, share), joined within its line."""
    import altair as alt

    names = ("line", "group", "share")
    lines, groups = list(dict.fromkeys(r[0] for r in rows)), list(dict.fromkeys(r[1] for r in rows))
    scale = alt.Scale(zero=True) if limits is None else alt.Scale(domain=list(limits))
    base = alt.Chart(alt.Data(values=[dict(zip(names, r, strict=True)) for r in rows])).encode(
        x=alt.X("share:Q", title=axis, scale=scale, axis=alt.Axis(format="%")),
        y=alt.Y("line:N", sort=lines, title=None, axis=alt.Axis(labelLimit=260)),
    )
    colour = alt.Color(
        "group:N", title=None, sort=groups, scale=alt.Scale(range=PALETTE[: len(groups)]),
        legend=alt.Legend(orient="top") if len(groups) > 1 else None,
    )  # fmt: skip
    point = base.mark_point(filled=True, size=90).encode(
        color=colour, tooltip=["line:N", "group:N", alt.Tooltip("share:Q", format=".1%")]
    )
    joined = base.mark_line(color="#999").encode(detail="line:N")
    return housed(alt.layer(joined, point).properties(width=420, height=alt.Step(40)))
