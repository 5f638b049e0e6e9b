"""Missing outcomes as pictures: plain values in, an Altair chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REGION_COLOURS = {
    "superior": "#0072B2",
    "non-inferior": "#56B4E9",
    "inconclusive": "#E6C229",
    "inferior": "#D55E00",
}


def refusal_chart(
    cells: Sequence[Mapping[str, Any]],
    scenarios: Sequence[Mapping[str, Any]],
    *,
    new_title: str = "Responders, refused new",
    reference_title: str = "Responders among those who refused the reference",
    region_title: str = "Conclusion",
    difference_title: str = "Difference (percentage points)",
    low_title: str = "Lower",
    high_title: str = "Upper",
    scenario_title: str = "Scenario",
    regions: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Any:
    """A heat map of the conclusion over both numbers of responders, named scenarios as points.

    Cells and scenarios have new_responders, reference_responders, difference, low, high (as
    proportions), region and, scenarios, name. `regions` and `names` translate regions and
    scenario names.
    """
    import altair as alt

    words = {r: r for r in REGION_COLOURS} | dict(regions or {})
    present = [r for r in REGION_COLOURS if any(c["region"] == r for c in cells)]
    shades = [REGION_COLOURS[r] for r in present]
    scale = alt.Scale(domain=[words[r] for r in present], range=shades)
    tooltip = [
        alt.Tooltip("new_responders:Q", format=".3~g", title=new_title),
        alt.Tooltip("reference_responders:Q", format=".3~g", title=reference_title),
        alt.Tooltip("points:Q", format=".1f", title=difference_title),
        alt.Tooltip("low_points:Q", format=".1f", title=low_title),
        alt.Tooltip("high_points:Q", format=".1f", title=high_title),
        alt.Tooltip("shown:N", title=region_title),
    ]
    squares = alt.Chart(alt.Data(values=[_square(c, words) for c in cells])).mark_rect(opacity=0.6)
    grid = squares.encode(
        x=alt.X("left:Q", title=reference_title, scale=alt.Scale(nice=False)),
        x2="right:Q",
        y=alt.Y("bottom:Q", title=new_title, scale=alt.Scale(nice=False)),
        y2="top:Q",
        color=alt.Color("shown:N", title=region_title, scale=scale),
        tooltip=tooltip,
    )
    named = dict(names or {})
    marked = [
        {**_square(s, words), "label": named.get(s["name"], s["name"].replace("_", " "))}
        for s in scenarios
    ]
    points = alt.Chart(alt.Data(values=marked)).encode(
        x="reference_responders:Q", y="new_responders:Q"
    )
    dots = points.mark_point(filled=True, color="black", size=60).encode(
        tooltip=[alt.Tooltip("label:N", title=scenario_title), *tooltip]
    )
    return alt.layer(grid, dots, *_labels(points, cells)).properties(width=560, height=220)


def _labels(points: Any, cells: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Scenario names, turned inwards near the left and right edges."""
    widest = max(c["reference_responders"] for c in cells)
    x = "datum.reference_responders"
    places = (
        ("left", f"{x} < {widest / 6}"),
        ("center", f"{x} >= {widest / 6} && {x} <= {5 * widest / 6}"),
        ("right", f"{x} > {5 * widest / 6}"),
    )
    return [
        points.transform_filter(where)
        .mark_text(dy=-10, fontSize=11, align=align)
        .encode(text="label:N")
        for align, where in places
    ]


def _square(cell: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    x, y = cell["reference_responders"], cell["new_responders"]
    return {
        "new_responders": y,
        "reference_responders": x,
        "left": x - 0.5,
        "right": x + 0.5,
        "bottom": y - 0.5,
        "top": y + 0.5,
        "points": 100 * cell["difference"],
        "low_points": 100 * cell["low"],
        "high_points": 100 * cell["high"],
        "shown": words[cell["region"]],
    }
