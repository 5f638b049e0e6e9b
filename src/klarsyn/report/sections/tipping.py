"""How strong must belief be? Pooled effects as the belief effect grows, and where they fall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from klarsyn.bias.belief import BeliefEvidence, Tipping, tipping
from klarsyn.figures.panels import CurvePoint, Panel, Span, panels
from klarsyn.figures.theme import finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, anchor_of
from klarsyn.report.guessing import ArmGuess, believed_oftener
from klarsyn.report.pooling import Group, derive_groups
from klarsyn.report.sections.belief import Reading, belief_of, evidence_result
from klarsyn.report.sections.works import typical_sd
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.extraction import derive_effects

STEPS = 25
SMALLEST = 0.05  # a difference in belief below which no tipping point is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Tipped:
    """One comparator class: its pooled effect in points and the belief effect that undoes it."""

    group: Group
    trials: tuple[str, ...]
    seen: tuple[float, float] | None
    tipping: Tipping
    result: Result


def derive_tipped(
    context: Context, guesses: Sequence[ArmGuess], evidence: BeliefEvidence | None
) -> tuple[Tipped, ...]:
    """Each pooled class of the first window, in points of the page's scale."""
    window = context.settings.windows[0]
    extraction = derive_effects(context.base, window.question)
    sd = typical_sd(context, extraction)
    if sd is None or context.settings.measure != "SMD":
        return ()
    aside = {context.settings.reference.get("comparator", ""), "same_drug"}
    out = []
    for group in derive_groups(context, extraction):
        if group.pooled is None or group.result is None or group.comparator in aside:
            continue
        p = group.pooled
        trials, seen = class_belief(context, guesses, group.comparator)
        low, high = seen or (1.0, 1.0)
        effect = Estimate(value=p.estimate * sd, se=p.se * sd, method=p.method, df=p.df)
        found = tipping(
            effect,
            belief_difference=(low + high) / 2,
            belief_interval=(low, high),
            threshold=0.0,
            deltas=_deltas(effect, (low + high) / 2, evidence),
            evidence=[evidence] if evidence else [],
        )
        used = [g for g in guesses if g.trial.id in trials and g.guess.respondent == "patient"]
        out.append(_tipped(group, trials, seen, found, sd, used))
    return tuple(out)


def _deltas(effect: Estimate, difference: float, evidence: BeliefEvidence | None) -> list[float]:
    """Belief effects from none to beyond the tipping point and what was seen."""
    far = abs(effect.value / difference) if abs(difference) > SMALLEST else abs(effect.value)
    seen = max(abs(evidence.low), abs(evidence.high)) if evidence else 0.0
    widest = 1.25 * max(seen, min(far, 6 * abs(effect.value)))
    sign = math.copysign(1.0, effect.value * difference or effect.value)
    return [sign * widest * i / (STEPS - 1) for i in range(STEPS)]


def class_belief(
    context: Context, guesses: Sequence[ArmGuess], comparator: str
) -> tuple[tuple[str, ...], tuple[float, float] | None]:
    """How much oftener the drug arm believes, over all trials of a class that asked both arms."""
    found = {
        t.id: ends
        for t in context.base.trials
        if t.comparator == comparator and (ends := believed_oftener(guesses, t.id)) is not None
    }
    if not found:
        return (), None
    return tuple(found), (min(e[0] for e in found.values()), max(e[1] for e in found.values()))


def _tipped(
    group: Group,
    trials: tuple[str, ...],
    seen: tuple[float, float] | None,
    found: Tipping,
    sd: float,
    used: Sequence[ArmGuess],
) -> Tipped:
    assert group.result is not None
    value = {
        "effect": found.effect.value,
        "ci": list(found.interval),
        "belief_difference": found.belief_difference,
        "belief_range": list(found.belief_interval),
        "at_limit": None if found.fallen else found.at_limit,
        "at_estimate": found.at_estimate,
        "at_limit_range": None if found.fallen else found.at_limit_range,
        "sd": sd,
    }
    result = Result(
        id=f"told.tipping.{group.comparator}",
        value=value,
        method=f"{found.method}; standardised difference times the median SD of its rows",
        inputs=(group.result.id, *(g.result.id for g in used)),
        digest=digest_of(found.inputs, sd),
    )
    return Tipped(group=group, trials=trials, seen=seen, tipping=found, result=result)


def tip_figure(context: Context, tipped: Sequence[Tipped], main: Reading | None) -> Figure:
    """One panel a class; at the foot what the base's own trial saw of belief."""
    w, n, s = context.words, context.numbers, context.settings
    when = s.windows[0].label[context.lang]
    drawn = [_tip_panel(context, t) for t in tipped]
    y_title = w.plain("told.tip_y", scale=s.points_scale)
    reach = max(abs(t.tipping.effect.value) for t in tipped)
    limits = (-2.2 * reach, 1.3 * reach)
    if all(t.tipping.effect.value > 0 for t in tipped):
        limits = (-1.3 * reach, 2.2 * reach)
    key = "tip_caption" if main is not None else "tip_caption_bare"
    alts = [
        w.plain(
            "told.tip_alt",
            comparator=w.plain(f"against.{t.group.comparator}"),
            effect=n.with_interval(t.tipping.effect.value, *t.tipping.interval, digits=1),
            estimate=n.fixed(abs(t.tipping.at_estimate or 0.0), 1),
        )
        for t in tipped
    ]
    return Figure(
        id="told-tipping",
        title=w.plain("told.tip", when=when),
        alt=" ".join(alts),
        wide=finish(panels(drawn, y_title=y_title, limits=limits)),
        narrow=finish(panels(drawn, y_title=y_title, limits=limits, narrow=True)),
        caption=w(
            f"told.{key}",
            differences="; ".join(_difference(context, t) for t in tipped),
        ),
    )


def _tip_range(context: Context, t: Tipped) -> str:
    """The tipping point at either end of how much oftener the drug arm may believe."""
    if t.seen is None or t.seen[0] >= t.seen[1] or t.seen[0] <= SMALLEST:
        return ""
    effect, ends = t.tipping.effect.value, t.tipping.interval
    gap = abs(effect) if t.tipping.fallen else min(map(abs, ends))
    high, low = (gap / x for x in t.seen)
    return context.words.plain(
        "told.tip_range",
        low=context.numbers.fixed(low, 1),
        high=context.numbers.fixed(high, 1),
        few=context.numbers.percent(t.seen[0]),
        many=context.numbers.percent(t.seen[1]),
    )


def _difference(context: Context, t: Tipped) -> str:
    w, n = context.words, context.numbers
    name = context.comparator(t.group.comparator)
    if t.seen is None:
        return w.plain("told.difference_none", comparator=name)
    return w.plain(
        "told.difference_seen",
        comparator=name,
        low=n.percent(t.seen[0]),
        high=n.percent(t.seen[1]),
        used=n.percent(t.tipping.belief_difference),
        trials=", ".join(context.base.trial(i).label for i in t.trials),
    )


def _tip_panel(context: Context, t: Tipped) -> Panel:
    """Belief effects are drawn as points of improvement, whatever the scale's direction."""
    w = context.words
    x_title = w.plain("told.tip_x", scale=context.settings.points_scale)
    points = _tip_points(context, t, x_title)
    marks = []
    if not t.tipping.fallen and t.tipping.at_limit is not None:
        marks.append((abs(t.tipping.at_limit), w.plain("told.tip_at_limit")))
    if t.tipping.at_estimate is not None:
        marks.append((abs(t.tipping.at_estimate), w.plain("told.tip_at_estimate")))
    end = max(p.x for p in points)
    return Panel(
        title=w.plain(
            "told.tip_panel",
            comparator=context.comparator(t.group.comparator),
            trials=w.count("page.trials_count", len(t.group.effects)),
        ),
        x_title=x_title,
        points=points,
        colour=context.colour(t.group.comparator),
        marks=tuple(m for m in marks if m[0] <= end),
        spans=[_tip_span(context, e, end) for e in t.tipping.evidence],
    )


def _tip_points(context: Context, t: Tipped, x_title: str) -> list[CurvePoint]:
    w, n = context.words, context.numbers
    y_title = w.plain("told.tip_y", scale=context.settings.points_scale)
    source = context.source_of(t.group.result.inputs if t.group.result else ())
    return [
        CurvePoint(
            x=abs(delta),
            value=value,
            low=low,
            high=high,
            link="#" + anchor_of("result", t.result.id),
            details={
                x_title: n.fixed(abs(delta), 1),
                y_title: n.with_interval(value, low, high, digits=1),
                w.plain("hover.source"): source,
            },
        )
        for delta, value, low, high in t.tipping.curve
    ]


def _tip_span(context: Context, e: BeliefEvidence, end: float) -> Span:
    """What a trial measured of the belief effect, cut at the curve's `end`."""
    w = context.words
    low, high = min(-e.low, -e.high), max(-e.low, -e.high)
    return Span(
        label=w.plain("told.tip_seen", trial=e.label),
        low=max(0.0, low),
        value=-e.value,
        high=min(end, high),
        link="#" + anchor_of("result", f"told.belief.{_trial_id(context, e.label)}"),
        details={
            w.plain("hover.trial"): e.label,
            w.plain("hover.effect"): context.numbers.with_interval(-e.value, low, high, digits=1),
            w.plain("hover.source"): e.source,
        },
    )


def _trial_id(context: Context, label: str) -> str:
    return next((t.id for t in context.base.trials if t.label == label), label)


def tip_prose(context: Context, tipped: Sequence[Tipped], main: Reading | None) -> Prose:
    """Where each class falls, and that what was seen of belief is confounded."""
    w, n = context.words, context.numbers
    texts = []
    for t in tipped:
        key = "tip_fallen" if t.tipping.fallen else "tip_sentence"
        parts = {
            "comparator": w.plain(f"against.{t.group.comparator}"),
            "estimate": context.result_claim(
                t.result, n.fixed(abs(t.tipping.at_estimate or 0.0), 1)
            ),
        }
        if not t.tipping.fallen:
            parts["limit"] = context.result_claim(
                t.result, n.fixed(abs(t.tipping.at_limit or 0.0), 1)
            )
        parts["range"] = _tip_range(context, t)
        texts.append(w(f"told.{key}", **parts))
    if main is not None and (evidence := belief_of(context, main)) is not None:
        result = evidence_result(main, evidence)
        shown = n.with_interval(-evidence.value, -evidence.high, -evidence.low, digits=1)
        texts.append(
            w(
                "told.tip_evidence",
                trial=evidence.label,
                value=context.result_claim(result, shown),
            )
        )
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + " " + text
    return Prose(paragraphs=(joined,))
