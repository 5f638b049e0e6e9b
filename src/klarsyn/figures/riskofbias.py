"""Risk of bias as a traffic light of trials by domains, and as bars of their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ORDER = ("Low", "Some concerns", "High", "none")
COLOURS = ("#4c9f70", "#e6b94d", "#c8553d", "#d9d9d9")
SIGNS = ("+", "–", "×", "?")


def traffic_light(
    marks: Sequence[Mapping[str, str]],
    *,
    title: str = "Risk of bias",
    trial_label: str = "Trial",
    domain_label: str = "Domain",
    judgement_label: str = "Judgement",
    names: Mapping[str, str] | None = None,
) -> Any:
    """A dot for each trial and domain; `marks` hold trial, domain, judgement and note.

    Judgements also differ by sign, not by colour alone. `names` translates judgements and domains.
    """
    import altair as alt

    words = dict(names or {})
    rows = [
        {
            **mark,
            "domain": words.get(mark["domain"], mark["domain"]),
            "shown": words.get(mark["judgement"], mark["judgement"]),
            "sign": SIGNS[ORDER.index(mark["judgement"])],
        }
        for mark in marks
    ]
    domains = list(dict.fromkeys(row["domain"] for row in rows))
    trials = list(dict.fromkeys(row["trial"] for row in rows))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("domain:N", sort=domains, title=domain_label, axis=alt.Axis(orient="top")),
        y=alt.Y("trial:N", sort=trials, title=trial_label),
        tooltip=[
            alt.Tooltip("trial:N", title=trial_label),
            alt.Tooltip("domain:N", title=domain_label),
            alt.Tooltip("shown:N", title=judgement_label),
            alt.Tooltip("note:N", title=" "),
        ],
    )
    dots = base.mark_circle(size=420, opacity=1).encode(
        color=alt.Color(
            "shown:N",
            title=judgement_label,
            scale=alt.Scale(domain=[words.get(o, o) for o in ORDER], range=list(COLOURS)),
        )
    )
    signs = base.mark_text(fontWeight="bold", fontSize=13, color="white").encode(text="sign:N")
    return (dots + signs).properties(title=title, width=alt.Step(46), height=alt.Step(30))


def weighted_bars(
    marks: Sequence[Mapping[str, str]],
    weights: Mapping[str, float],
    *,
    title: str = "Risk of bias, weighted by what each trial contributes",
    domain_label: str = "Domain",
    share_label: str = "Share of weight",
    judgement_label: str = "Judgement",
    names: Mapping[str, str] | None = None,
) -> Any:
    """One stacked bar for each domain; `weights` in any unit, a missing trial weighs 0."""
    import altair as alt

    words = dict(names or {})
    total = sum(weights.values())
    domains = list(dict.fromkeys(mark["domain"] for mark in marks))
    rows = []
    for domain in domains:
        here = [m for m in marks if m["domain"] == domain]
        for place, judgement in enumerate(ORDER):
            share = sum(weights.get(m["trial"], 0) for m in here if m["judgement"] == judgement)
            if share:
                rows.append(
                    {
                        "domain": words.get(domain, domain),
                        "judgement": words.get(judgement, judgement),
                        "share": share / total,
                        "place": place,
                    }
                )
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            y=alt.Y("domain:N", sort=[words.get(d, d) for d in domains], title=domain_label),
            x=alt.X("share:Q", title=share_label, axis=alt.Axis(format="%"), stack="zero"),
            color=alt.Color(
                "judgement:N",
                title=judgement_label,
                scale=alt.Scale(domain=[words.get(o, o) for o in ORDER], range=list(COLOURS)),
            ),
            order=alt.Order("place:Q"),
            tooltip=["domain:N", "judgement:N", alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(title=title, width=420, height=alt.Step(26))
    )
