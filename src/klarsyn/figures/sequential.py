"""A cumulative z against the boundaries that repeated looks must reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TOP = 8.0  # boundaries of very early looks lie beyond any result; they are cut there


def sequential_chart(
    looks: Sequence[tuple[float, float, float | None, str]],
    required: float,
    *,
    axis: str = "Participants so far",
    height: str = "z of the pooled effect",
) -> Any:
    """z of each look, both boundaries and the required size.

    `looks` as (participants so far, z, boundary of |z| or None, study).
    """
    import altair as alt

    from klarsyn.figures.theme import PALETTE, SOFT

    points = [{"n": n, "z": z, "study": name} for n, z, _, name in looks]
    edges = [
        {"n": n, "z": sign * min(b, TOP), "side": sign}
        for n, _, b, _ in looks
        for sign in (-1, 1)
        if b is not None
    ]
    x = alt.X("n:Q", title=axis, scale=alt.Scale(zero=True))
    y = alt.Y("z:Q", title=height)
    path = (
        alt.Chart(alt.Data(values=points))
        .mark_line(point=True, color=PALETTE[0])
        .encode(x=x, y=y, tooltip=["study:N", alt.Tooltip("z:Q", format=".2f"), "n:Q"])
    )
    limit = (
        alt.Chart(alt.Data(values=edges))
        .mark_line(strokeDash=[5, 3], point=True, color=PALETTE[1])
        .encode(x=x, y=y, detail="side:N")
    )
    size = (
        alt.Chart(alt.Data(values=[{"n": required}]))
        .mark_rule(strokeDash=[2, 2], color=SOFT)
        .encode(x="n:Q")
    )
    return (limit + path + size).properties(width=520, height=300)
