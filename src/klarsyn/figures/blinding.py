"""Indices of blinding as pictures: plain values in, an Altair chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ROLE_COLOURS = {"active": "#0072B2", "control": "#D55E00"}


def blinding_chart(
    arms: Sequence[Mapping[str, Any]],
    *,
    cut: float,
    index_title: str = "Bang index (−1 all guess the other arm, 0 chance, 1 all guess right)",
    role_title: str = "Arm",
    n_title: str = "Guesses",
    unknown_title: str = "Don't know (%)",
    class_title: str = "Reads as",
    scenario_title: str = "Scenario",
    low_title: str = "Lower",
    high_title: str = "Upper",
    roles: Mapping[str, str] | None = None,
) -> Any:
    """The index of each arm with its interval; a band from −`cut` to `cut` marks chance.

    Each value has trial, arm, role (`active` or `control`), respondent, index, low, high, n,
    dont_know_percent, class and scenario. `roles` gives the roles' words in the reader's language.
    """
    import altair as alt

    words = dict(roles or {"active": "active", "control": "control"})
    rows = [{**arm, "row": _told(arm), "role": words[arm["role"]]} for arm in arms]

    def across(field: str) -> Any:
        return alt.X(field, scale=alt.Scale(domain=[-1, 1]), title=index_title)

    colour = alt.Color(
        "role:N",
        title=role_title,
        scale=alt.Scale(domain=[words[r] for r in ROLE_COLOURS], range=list(ROLE_COLOURS.values())),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("row:N", title=None, sort=None, axis=alt.Axis(labelLimit=360))
    )
    chance = (
        alt.Chart(alt.Data(values=[{"from": -cut, "to": cut}]))
        .mark_rect(color="#999999", opacity=0.18)
        .encode(x=across("from:Q"), x2="to:Q")
    )
    lines = base.mark_rule(strokeWidth=2, clip=True).encode(
        x=across("low:Q"), x2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, size=70).encode(
        x=across("index:Q"),
        color=colour,
        tooltip=[
            alt.Tooltip("row:N", title=role_title),
            alt.Tooltip("index:Q", format=".2f", title=index_title),
            alt.Tooltip("low:Q", format=".2f", title=low_title),
            alt.Tooltip("high:Q", format=".2f", title=high_title),
            alt.Tooltip("n:Q", title=n_title),
            alt.Tooltip("dont_know_percent:Q", format=".0f", title=unknown_title),
            alt.Tooltip("class:N", title=class_title),
            alt.Tooltip("scenario:N", title=scenario_title),
        ],
    )
    return (chance + lines + points).properties(width=420, height=alt.Step(22))


def _told(arm: Mapping[str, Any]) -> str:
    return f"{arm['trial']} · {arm['arm']} · {arm['respondent']}"
