"""The specification curve of one grid: its analyses in order, ticks below for what made each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLOURS = {
    "benefit": "#2f6f9f",
    "harm": "#b5472e",
    "inconclusive": "#9a9a9a",
    "not_estimable": "#dddddd",
}


def specification_curve(
    cells: Sequence[Mapping[str, Any]],
    choices: Sequence[str],
    *,
    threshold: float,
    total: int,
    title: str = "Every analysis, in order of its estimate",
    effect_label: str = "Effect",
    rank_label: str = "Rank among {total} analyses",
    conclusion_label: str = "Conclusion",
    most_options: int = 12,
    names: Mapping[str, str] | None = None,
) -> Any:
    """`cells` hold rank, estimate, low, high, conclusion and the option of each of `choices`.

    A choice with more than `most_options` options is left out of the lower panel: it would be a
    wall of dots. `names` translates choices, options and conclusions; `{total}` in `rank_label` is
    filled in.
    """
    import altair as alt

    words = dict(names or {})
    limits = ("low", "high")
    rows = [
        {k: v for k, v in cell.items() if k not in limits or v == v}
        | {"conclusion": words.get(cell["conclusion"], cell["conclusion"])}
        for cell in cells
    ]
    x = alt.X("rank:Q", title=None, scale=alt.Scale(nice=False, zero=False))
    seen = [c for c in COLOURS if any(cell["conclusion"] == c for cell in cells)]
    colour = alt.Color(
        "conclusion:N",
        title=conclusion_label,
        scale=alt.Scale(domain=[words.get(c, c) for c in seen], range=[COLOURS[c] for c in seen]),
    )
    tooltip = [alt.Tooltip(f"{c}:N", title=words.get(c, c)) for c in choices]
    tooltip.append(alt.Tooltip("estimate:Q", format=".3f", title=effect_label))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=colour, tooltip=tooltip)
    band = base.mark_rule(opacity=0.35).encode(
        y=alt.Y("low:Q", title=effect_label, scale=alt.Scale(zero=False)), y2="high:Q"
    )
    points = base.mark_circle(size=14, opacity=1).encode(y="estimate:Q")
    line = (
        alt.Chart(alt.Data(values=[{"at": threshold}]))
        .mark_rule(strokeDash=[4, 3], color="#333")
        .encode(y="at:Q")
    )
    upper = (band + points + line).properties(width=640, height=220, title=title)
    marks = _marks(cells, choices, most_options, words)
    if not marks:
        return upper
    order = list(dict.fromkeys(m["line"] for m in marks))
    lower = (
        alt.Chart(alt.Data(values=marks))
        .mark_tick(thickness=1.2, height=9)
        .encode(
            x=alt.X(
                "rank:Q",
                title=rank_label.format(total=total),
                scale=alt.Scale(nice=False, zero=False),
            ),
            y=alt.Y("line:N", sort=order, title=None),
            color=colour,
        )
        .properties(width=640, height=alt.Step(13))
    )
    return alt.vconcat(upper, lower).resolve_scale(x="shared", color="shared")


def _marks(
    cells: Sequence[Mapping[str, Any]],
    choices: Sequence[str],
    most_options: int,
    words: Mapping[str, str],
) -> list[dict[str, Any]]:
    marks = []
    for choice in choices:
        options = sorted({str(cell[choice]) for cell in cells})
        if not 1 < len(options) <= most_options:
            continue
        for option in options:
            line = f"{words.get(choice, choice)}: {words.get(option, option)}"
            marks += [
                {
                    "line": line,
                    "rank": cell["rank"],
                    "conclusion": words.get(cell["conclusion"], cell["conclusion"]),
                }
                for cell in cells
                if str(cell[choice]) == option
            ]
    return marks
