"""Survival curves with the numbers at risk below them, and pooled curves with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def survival_curves(
    steps: Sequence[Mapping[str, Any]],
    at_risk: Sequence[Mapping[str, Any]],
    *,
    title: str = "Share without relapse",
    time_label: str = "Days since the last dose",
    share_label: str = "Without relapse",
    group_label: str = "Arm",
    risk_label: str = "At risk",
    names: Mapping[str, str] | None = None,
) -> Any:
    """Step curves; `steps` hold group, time, share, low and high from time 0 on.

    `at_risk` holds group, time and number; drawn as a row a group below the curves.
    """
    import altair as alt

    words = dict(names or {})
    rows = [{**s, "group": words.get(s["group"], s["group"])} for s in steps]
    counts = [{**r, "group": words.get(r["group"], r["group"])} for r in at_risk]
    groups: list[str] = list(dict.fromkeys(str(r["group"]) for r in rows))
    scale = alt.Scale(domain=[0, max(s["time"] for s in steps)], nice=False)
    colour = alt.Color("group:N", title=group_label, sort=groups)
    base = alt.Chart(alt.Data(values=rows)).encode(color=colour)
    band = base.mark_area(opacity=0.15, interpolate="step-after").encode(
        x=alt.X("time:Q", title=time_label, scale=scale), y="low:Q", y2="high:Q"
    )
    line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=alt.X("time:Q", title=time_label, scale=scale),
        y=alt.Y(
            "share:Q",
            title=share_label,
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%"),
        ),
        tooltip=[
            alt.Tooltip("group:N", title=group_label),
            alt.Tooltip("time:Q", title=time_label, format=".0f"),
            alt.Tooltip("share:Q", title=share_label, format=".1%"),
        ],
    )
    upper = (band + line).properties(title=title, width=520, height=260)
    axis = alt.Axis(offset=18, domain=False, ticks=False)
    lower = (
        alt.Chart(alt.Data(values=counts))
        .mark_text(fontSize=11)
        .encode(
            x=alt.X("time:Q", scale=scale, axis=None),
            y=alt.Y("group:N", sort=groups, title=risk_label, axis=axis),
            text="number:Q",
            color=colour,
        )
        .properties(width=520, height=alt.Step(18))
    )
    return alt.vconcat(upper, lower, spacing=4)


def pooled_curve(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str = "Pooled share without relapse",
    time_label: str = "Days since the last dose",
    share_label: str = "Without relapse",
    mean_label: str = "mean of the studies",
    new_label: str = "where a new study may lie",
) -> Any:
    """Pooled points with limits (`low`, `high`) and prediction limits at each `day`.

    Rows hold day, share, low, high, predicted_low, predicted_high and studies.
    """
    import altair as alt

    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("day:Q", title=time_label, scale=alt.Scale(domainMin=0))
    )
    wide = base.mark_area(opacity=0.15, color="#888").encode(
        y=alt.Y(
            "predicted_low:Q",
            title=share_label,
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%"),
        ),
        y2="predicted_high:Q",
    )
    band = base.mark_area(opacity=0.35, color="#3b7ea1").encode(y="low:Q", y2="high:Q")
    line = base.mark_line(point=True, color="#274b66").encode(
        y="share:Q",
        tooltip=[
            alt.Tooltip("day:Q", title=time_label),
            alt.Tooltip("share:Q", format=".1%", title=mean_label),
            alt.Tooltip("predicted_low:Q", format=".1%", title=f"{new_label} ↓"),
            alt.Tooltip("predicted_high:Q", format=".1%", title=f"{new_label} ↑"),
        ],
    )
    return (wide + band + line).properties(title=title, width=520, height=260)


def modelled_curves(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str = "Share without relapse, by model",
    time_label: str = "Days since the last dose",
    share_label: str = "Without relapse",
    model_label: str = "Model",
) -> Any:
    """Smooth curves with their limits, one a model; rows hold model, day, share, low and high."""
    import altair as alt

    models = list(dict.fromkeys(r["model"] for r in rows))
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("day:Q", title=time_label),
        color=alt.Color("model:N", title=model_label, sort=models),
    )
    share = alt.Y(
        "share:Q", title=share_label, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
    )
    band = base.mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(
        y=share,
        tooltip=[
            alt.Tooltip("model:N", title=model_label),
            alt.Tooltip("day:Q", title=time_label, format=".0f"),
            alt.Tooltip("share:Q", title=share_label, format=".1%"),
        ],
    )
    return (band + line).properties(title=title, width=520, height=260)
