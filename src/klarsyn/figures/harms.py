"""Exact upper limits of a rare harm against the rates that one would like to exclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def upper_limits(
    rows: Sequence[Mapping[str, Any]],
    rates: Sequence[float],
    *,
    title: str = "What can be excluded",
    share_label: str = "Share of patients (log scale)",
    group_label: str = "Asked for",
    limit_label: str = "upper limit",
    patients_label: str = "Patients",
    events_label: str = "Events",
    names: Mapping[str, str] | None = None,
) -> Any:
    """A bar from the share seen to the upper limit for each group; a rule at each rate.

    `rows` hold name, events, patients, share and upper, as shares from 0 to 1. A share of 0 is
    drawn from the left edge.
    """
    import altair as alt

    words = dict(names or {})
    edge = min([*rates, *(r["upper"] for r in rows)]) / 10
    values = [
        {
            **row,
            "name": words.get(row["name"], row["name"]),
            "start": max(row["share"], edge),
            "text": f"< {100 * row['upper']:.2g} %",
        }
        for row in rows
    ]
    order = [row["name"] for row in values]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("name:N", sort=order, title=group_label),
        tooltip=[
            alt.Tooltip("events:Q", title=events_label),
            alt.Tooltip("patients:Q", title=patients_label),
            alt.Tooltip("upper:Q", title=limit_label, format=".2%"),
        ],
    )
    scale = alt.Scale(type="log", domainMin=edge)
    x = alt.X("start:Q", scale=scale, title=share_label, axis=alt.Axis(format="~%"))
    bars = base.mark_bar(height=10, color="#8fb3cf").encode(x=x, x2="upper:Q")
    ends = base.mark_tick(thickness=3, size=22, color="#274b66").encode(
        x=alt.X("upper:Q", scale=scale)
    )
    texts = base.mark_text(align="left", dx=6).encode(
        x=alt.X("upper:Q", scale=scale), text="text:N"
    )
    rules = (
        alt.Chart(alt.Data(values=[{"rate": r} for r in rates]))
        .mark_rule(strokeDash=[4, 3], color="#a33")
        .encode(x=alt.X("rate:Q", scale=scale))
    )
    return (rules + bars + ends + texts).properties(title=title, width=420, height=alt.Step(34))
