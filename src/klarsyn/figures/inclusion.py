"""Inclusion sets as pictures: plain values in, an Altair chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONCLUSION_COLOURS = {
    "favours treated": "#0072B2",
    "favours control": "#D55E00",
    "undecided": "#666666",
}


def inclusion_chart(
    sets: Sequence[Mapping[str, Any]],
    *,
    log: bool,
    effect_title: str = "Pooled effect, treated against control",
    set_title: str = "Set of trials",
    trials_title: str = "Trials",
    conclusion_title: str = "Conclusion",
    low_title: str = "Lower",
    high_title: str = "Upper",
    conclusions: Mapping[str, str] | None = None,
) -> Any:
    """The pooled effect of each set with its interval; no effect is 1 on a log scale, else 0.

    Each value has set, trials (a text), estimate, low, high on the natural scale, and conclusion.
    `conclusions` translates the conclusions.
    """
    import altair as alt

    words = {c: c for c in CONCLUSION_COLOURS} | dict(conclusions or {})
    rows = [
        {**s, "shown": words[s["conclusion"]], "row": f"{s['set']} ({s['trials']})"} for s in sets
    ]
    scale = alt.Scale(type="log" if log else "linear", nice=True)
    colour = alt.Color(
        "shown:N",
        title=conclusion_title,
        scale=alt.Scale(
            domain=[words[c] for c in CONCLUSION_COLOURS],
            range=list(CONCLUSION_COLOURS.values()),
        ),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("row:N", title=set_title, sort=None, axis=alt.Axis(labelLimit=360)), color=colour
    )
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, title=effect_title), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=80, shape="diamond").encode(
        x=alt.X("estimate:Q", scale=scale, title=effect_title),
        tooltip=[
            alt.Tooltip("set:N", title=set_title),
            alt.Tooltip("trials:N", title=trials_title),
            alt.Tooltip("estimate:Q", format=".2f", title=effect_title),
            alt.Tooltip("low:Q", format=".2f", title=low_title),
            alt.Tooltip("high:Q", format=".2f", title=high_title),
            alt.Tooltip("shown:N", title=conclusion_title),
        ],
    )
    none = (
        alt.Chart(alt.Data(values=[{"none": 1 if log else 0}]))
        .mark_rule(color="#666666")
        .encode(x=alt.X("none:Q", scale=scale))
    )
    return (none + lines + points).properties(width=420, height=alt.Step(30))
