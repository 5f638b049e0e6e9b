"""Effect against guessing and belief as pictures: plain values in, an Altair chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LINE, MARK, OTHER = "#0072B2", "#D55E00", "#666666"


def expectancy_chart(
    by_correct_rate: Sequence[Mapping[str, float]],
    by_benign_share: Sequence[Mapping[str, float]],
    *,
    correct_rate: float,
    raw: float,
    correct_title: str = "Rate of right guesses",
    benign_title: str = "Share of the guess–outcome link that is benign",
    effect_title: str = "Difference, active − control",
    low_title: str = "Lower",
    high_title: str = "Upper",
    observed_text: str = "observed",
    half_text: str = "half right",
    caveat: str = "",
) -> Any:
    """The effect over the rate of right guesses beside the effect over the benign share.

    The left values have correct, value, low, high; the right rho, value, low, high. Both panels
    share the scale, so that the adjusted value is never seen without the raw one.
    """
    import altair as alt

    every = [v[k] for v in [*by_correct_rate, *by_benign_share] for k in ("low", "high")]
    scale = alt.Scale(domain=[min(*every, 0.0), max(*every, 0.0)], nice=True)
    titles = {"effect": effect_title, "low": low_title, "high": high_title}
    marks = sorted([(correct_rate, observed_text), (0.5, half_text)])
    rules = alt.Chart(alt.Data(values=[{"at": a, "text": t} for a, t in marks])).encode(x="at:Q")
    left = (
        _band(by_correct_rate, "correct", correct_title, titles, scale)
        + rules.mark_rule(strokeDash=[4, 3], color=MARK)
        + _side(marks[0], "right")
        + _side(marks[1], "left")
    )
    right = _band(by_benign_share, "rho", benign_title, titles, scale) + alt.Chart(
        alt.Data(values=[{"raw": raw}])
    ).mark_rule(strokeDash=[4, 3], color=MARK).encode(y="raw:Q")
    size = {"width": 260, "height": 220}
    both = alt.hconcat(left.properties(**size), right.properties(**size))
    return both.properties(title=alt.Title("", subtitle=[caveat])) if caveat else both


def tipping_chart(
    curve: Sequence[Mapping[str, float]],
    evidence: Sequence[Mapping[str, Any]],
    *,
    threshold: float,
    at_limit: float | None,
    delta_title: str = "Effect of believing one has the drug",
    effect_title: str = "Effect left, active − control",
    low_title: str = "Lower",
    high_title: str = "Upper",
    evidence_title: str = "Seen elsewhere",
    source_title: str = "Source",
) -> Any:
    """The effect left over the belief effect; beneath it, what other trials say about belief.

    The curve has delta, value, low, high; the evidence label, value, low, high, source.
    """
    import altair as alt

    ends = [v["delta"] for v in curve] + [e[k] for e in evidence for k in ("low", "high")]
    across = alt.Scale(domain=[min(ends), max(ends)])
    titles = {"effect": effect_title, "low": low_title, "high": high_title}
    top = _band(curve, "delta", delta_title, titles, alt.Scale(zero=False), across)
    top += (
        alt.Chart(alt.Data(values=[{"threshold": threshold}]))
        .mark_rule(color=OTHER)
        .encode(y="threshold:Q")
    )
    if at_limit is not None:
        top += (
            alt.Chart(alt.Data(values=[{"delta": at_limit}]))
            .mark_rule(strokeDash=[4, 3], color=MARK)
            .encode(x=alt.X("delta:Q", scale=across))
        )
    top = top.properties(width=420, height=220)
    if not evidence:
        return top
    beside = alt.Chart(alt.Data(values=list(evidence))).encode(
        y=alt.Y("label:N", title=evidence_title, axis=alt.Axis(labelLimit=300)),
        tooltip=[
            alt.Tooltip("label:N", title=evidence_title),
            alt.Tooltip("value:Q", format=".2f", title=delta_title),
            alt.Tooltip("low:Q", format=".2f", title=low_title),
            alt.Tooltip("high:Q", format=".2f", title=high_title),
            alt.Tooltip("source:N", title=source_title),
        ],
    )
    bottom = beside.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=across, title=delta_title), x2="high:Q"
    ) + beside.mark_point(filled=True, size=60).encode(x=alt.X("value:Q", scale=across))
    return alt.vconcat(top, bottom.properties(width=420, height=alt.Step(24)))


def _side(mark: tuple[float, str], align: str) -> Any:
    """A word beside a vertical line, above the panel."""
    import altair as alt

    return (
        alt.Chart(alt.Data(values=[{"at": mark[0], "text": mark[1]}]))
        .mark_text(dy=-7, dx=2 if align == "left" else -2, y=0, align=align, fontSize=10)  # pyright: ignore[reportArgumentType]
        .encode(x="at:Q", text="text:N")
    )


def _band(
    values: Sequence[Mapping[str, float]],
    x: str,
    x_title: str,
    titles: Mapping[str, str],
    scale: Any,
    across: Any = None,
) -> Any:
    """A line with its interval as a band."""
    import altair as alt

    axis = (
        alt.X(f"{x}:Q", title=x_title)
        if across is None
        else alt.X(f"{x}:Q", title=x_title, scale=across)
    )
    base = alt.Chart(alt.Data(values=[dict(v) for v in values])).encode(x=axis)
    band = base.mark_area(opacity=0.2, color=LINE).encode(
        y=alt.Y("low:Q", title=titles["effect"], scale=scale), y2="high:Q"
    )
    line = base.mark_line(color=LINE, point=len(values) < 12).encode(
        y=alt.Y("value:Q", title=titles["effect"], scale=scale),
        tooltip=[
            alt.Tooltip(f"{x}:Q", format=".2f", title=x_title),
            alt.Tooltip("value:Q", format=".2f", title=titles["effect"]),
            alt.Tooltip("low:Q", format=".2f", title=titles["low"]),
            alt.Tooltip("high:Q", format=".2f", title=titles["high"]),
        ],
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=OTHER).encode(y="zero:Q")
    return zero + band + line
