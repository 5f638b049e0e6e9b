"""A network of comparisons as a graph, and all its contrasts as a coloured table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from klarsyn.figures.theme import INK, PALETTE, SOFT, Spec, housed


def network_graph(
    treatments: Sequence[str],
    comparisons: Sequence[tuple[str, str, int]],
    size: int = 380,
    words: tuple[str, str, str, str] = ("treatment", "comparison", "studies", "against"),
) -> Any:
    """Treatments on a circle; a line's width is the number of studies that compare its ends.

    `comparisons` are (treatment, treatment, studies); `words` are what hovering calls a treatment,
    a comparison and its studies, and what stands between two treatments.
    """
    import altair as alt

    at = _circle(treatments)
    lines = [
        {
            "x": at[a][0], "y": -at[a][1], "x2": at[b][0], "y2": -at[b][1],
            "studies": k, "comparison": f"{a} {words[3]} {b}",
        }
        for a, b, k in comparisons
    ]  # fmt: skip
    apart = 1.14 if size >= 300 else 1.22  # a small circle's labels would touch its points
    weight = {t: sum(k for a, b, k in comparisons if t in (a, b)) for t in treatments}
    points = [
        {"treatment": t, "x": at[t][0], "y": -at[t][1], "lx": apart * at[t][0],
         "ly": -apart * at[t][1], "studies": weight[t], "side": _side(at[t][0])}
        for t in treatments
    ]  # fmt: skip
    layers = [_edges(alt, lines, words), _nodes(alt, points, words), *_names(alt, points)]
    return housed(alt.layer(*layers).properties(width=1.7 * size, height=size))


def _circle(treatments: Sequence[str]) -> dict[str, tuple[float, float]]:
    turns = [2 * math.pi * i / len(treatments) - math.pi / 2 for i in range(len(treatments))]
    return {t: (math.cos(a), math.sin(a)) for t, a in zip(treatments, turns, strict=True)}


def _across(alt: Any, field: str) -> Any:
    return alt.X(field, axis=None, scale=alt.Scale(domain=[-2.3, 2.3]))


def _up(alt: Any, field: str) -> Any:
    return alt.Y(field, axis=None, scale=alt.Scale(domain=[-1.3, 1.3]))


def _edges(alt: Any, lines: Sequence[Spec], words: Sequence[str]) -> Any:
    return (
        alt.Chart(alt.Data(values=lines))
        .mark_rule(color=SOFT, opacity=0.6)
        .encode(
            x=_across(alt, "x:Q"),
            y=_up(alt, "y:Q"),
            x2="x2:Q",
            y2="y2:Q",
            strokeWidth=alt.StrokeWidth("studies:Q", scale=alt.Scale(range=[1, 9]), legend=None),
            tooltip=_told(alt, ("comparison:N", words[1]), ("studies:Q", words[2])),
        )
    )


def _nodes(alt: Any, points: Sequence[Spec], words: Sequence[str]) -> Any:
    return (
        alt.Chart(alt.Data(values=points))
        .mark_circle(color=PALETTE[0], opacity=1)
        .encode(
            x=_across(alt, "x:Q"),
            y=_up(alt, "y:Q"),
            size=alt.Size("studies:Q", scale=alt.Scale(range=[80, 500]), legend=None),
            tooltip=_told(alt, ("treatment:N", words[0]), ("studies:Q", words[2])),
        )
    )


def _names(alt: Any, points: Sequence[Spec]) -> list[Any]:
    return [
        alt.Chart(alt.Data(values=[p for p in points if p["side"] == side]))
        .mark_text(fontSize=12, align=side, fill=INK)
        .encode(x=_across(alt, "lx:Q"), y=_up(alt, "ly:Q"), text="treatment:N")
        for side in ("left", "center", "right")
    ]


def _told(alt: Any, *fields: tuple[str, str]) -> list[Any]:
    return [alt.Tooltip(field, title=title) for field, title in fields]


def _side(x: float) -> Literal["left", "center", "right"]:
    return "left" if x > 0.2 else "right" if x < -0.2 else "center"


def league_table(
    order: Sequence[str],
    cells: Sequence[tuple[str, str, float, float, float]],
    *,
    measure: str,
    logarithmic: bool,
) -> Any:
    """Row treatment against column treatment, coloured by the effect's size.

    `cells` are (row, column, value, low, high) on the analysis scale; with `logarithmic` the text
    shows their exponentials.
    """
    import altair as alt

    show = math.exp if logarithmic else float
    data = [
        {
            "row": a,
            "column": b,
            "value": value,
            "text": f"{show(value):.2f}",
            "limits": f"{show(low):.2f} to {show(high):.2f}",
            "clear": not low <= 0 <= high,
        }
        for a, b, value, low, high in cells
    ]
    far = max((abs(d["value"]) for d in data), default=1.0) or 1.0
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("column:N", sort=list(order), title="against", axis=alt.Axis(orient="top")),
        y=alt.Y("row:N", sort=list(order), title=None),
        tooltip=["row:N", "column:N", alt.Tooltip("text:N", title=measure), "limits:N"],
    )
    heat = base.mark_rect().encode(
        color=alt.Color(
            "value:Q",
            title=f"log {measure}" if logarithmic else measure,
            scale=alt.Scale(scheme="blueorange", domain=[-far, far], domainMid=0),
        )
    )
    text = base.mark_text(fontSize=11, fill=INK).encode(
        text="text:N",
        opacity=alt.condition("datum.clear", alt.value(1.0), alt.value(0.55)),
    )
    side = max(46 * len(order), 120)
    return housed(alt.layer(heat, text).properties(width=side, height=side * 0.7))
