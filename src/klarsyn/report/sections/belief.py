"""Outcome by guess, and the belief effect at which a pooled effect falls: parts of one section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.belief import BeliefEvidence, Tipping, belief_evidence, tipping
from klarsyn.bias.expectancy import Expectancy, GuessStratum, read_guesses
from klarsyn.errors import InputError, NumericalError
from klarsyn.evidence.trial import GuessOutcome
from klarsyn.figures.panels import CurvePoint, Panel, Span, panels
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, TableBlock, anchor_of, paragraphs
from klarsyn.report.guessing import ArmGuess, believed_oftener
from klarsyn.report.pooling import Group, derive_groups
from klarsyn.report.records import cited, record_id
from klarsyn.report.sections.works import typical_sd
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.extraction import derive_effects

GUESSED = {"test": "active", "control": "control", "dont_know": "unknown"}
RHOS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = 25
SMALLEST = 0.05  # a difference in belief below which no tipping point is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One outcome of one trial by arm and guess, read in every way."""

    rows: tuple[GuessOutcome, ...]
    expectancy: Expectancy
    groups: tuple[GuessStratum, ...]
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Tipped:
    """One comparator class: its pooled effect in points and the belief effect that undoes it."""

    group: Group
    trials: tuple[str, ...]
    seen: tuple[float, float] | None
    tipping: Tipping
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class BeliefBlocks:
    """What the section shows about belief, with its results and the rows they stand on."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def belief_blocks(context: Context, guesses: Sequence[ArmGuess]) -> BeliefBlocks:
    """The curves of outcome by guess, then the tipping curves of the first time window."""
    readings = derive_readings(context)
    main = main_reading(context, readings)
    blocks: list[Any] = []
    if main is not None:
        blocks += [_curve_figure(context, main), _curve_prose(context, main)]
        blocks.append(_readings_table(context, readings))
    evidence = belief_of(context, main) if main is not None else None
    tipped = derive_tipped(context, guesses, evidence)
    if tipped:
        blocks += [_tip_figure(context, tipped, main), _tip_prose(context, tipped, main)]
    results = [r.result for r in readings] + [t.result for t in tipped]
    if main is not None:
        results.append(_evidence_result(main, evidence))
    findings = [record_id(row) for r in readings for row in r.rows]
    return BeliefBlocks(blocks=blocks, results=results, findings=findings)


def derive_readings(context: Context) -> tuple[Reading, ...]:
    """Every outcome by arm and guess of the base that has all four strata."""
    cells: dict[tuple[str, str, str, float], list[GuessOutcome]] = {}
    for row in context.base.guess_outcomes:
        if row.n and row.mean is not None and row.guess in GUESSED:
            key = (row.trial, row.outcome, row.scale, row.days_from_first_dose or 0.0)
            cells.setdefault(key, []).append(row)
    out = []
    for (trial, outcome, scale, day), rows in cells.items():
        try:
            out.append(_reading(context, trial, f"{outcome}.{scale}.{day:g}", rows))
        except (InputError, NumericalError):
            continue
    return tuple(out)


def _reading(context: Context, trial: str, name: str, rows: Sequence[GuessOutcome]) -> Reading:
    roles = {a.id: "active" if a.role == "test" else "control" for a in _arms(context, trial)}
    groups = tuple(
        GuessStratum(
            received=roles[r.arm],
            guessed=GUESSED[r.guess],
            n=int(r.n or 0),
            mean=float(r.mean or 0.0),
            sd=float(r.sd) if r.sd is not None else math.nan,
        )
        for r in rows
    )
    read = read_guesses(
        groups,
        trial=trial,
        outcome=name,
        timing=_timing(context, trial),
        se_method="sampled",
        rhos=RHOS,
        grid=STEPS,
    )
    raw, half, benign = read.readings
    value = {
        "raw": raw.value,
        "raw_ci": list(raw.interval()),
        "at_half_right_guesses": half.value,
        "at_half_ci": list(half.interval()),
        "by_benign_share": [[b.rho, b.value, b.low, b.high] for b in benign],
        "right_guesses": read.correct_rate,
    }
    result = Result(
        id=f"told.by_guess.{trial}.{name}",
        value=value,
        method=f"{read.method}; standard error with sampled weights",
        inputs=tuple(record_id(r) for r in rows),
        digest=read.inputs,
    )
    return Reading(rows=tuple(rows), expectancy=read, groups=groups, result=result)


def _arms(context: Context, trial: str) -> Any:
    return context.base.trial(trial).arms


def _timing(context: Context, trial: str) -> str:
    asked = {g.before_outcome for g in context.base.guesses if g.trial == trial}
    if asked == {True}:
        return "before_outcome"
    return "after_outcome" if False in asked else "unknown"


def main_reading(context: Context, readings: Sequence[Reading]) -> Reading | None:
    """The one that is drawn: as the settings say, else the page's outcome nearest its first time.

    Changes from baseline come after scores, as in the page's own order of outcomes.
    """
    if not readings:
        return None
    wanted = context.settings.unblinding
    question = context.settings.windows[0].question
    outcomes = [wanted["outcome"]] if "outcome" in wanted else list(question.outcomes)
    target = float(wanted.get("days_from_first_dose", question.target))

    def place(r: Reading) -> tuple[int, float]:
        row = r.rows[0]
        at = outcomes.index(row.outcome) if row.outcome in outcomes else len(outcomes)
        return at, abs((row.days_from_first_dose or 0.0) - target)

    return min(readings, key=place)


def belief_of(context: Context, reading: Reading) -> BeliefEvidence | None:
    """Guessed the drug against guessed control within each arm; None where too few did."""
    try:
        return belief_evidence(
            reading.groups,
            label=context.base.trial(reading.rows[0].trial).label,
            source=cited(context, reading.rows[0]),
            caution="observed, not caused",
        )
    except InputError:
        return None


def _evidence_result(reading: Reading, evidence: BeliefEvidence | None) -> Result:
    value = {"value": None, "ci": []}
    if evidence is not None:
        value = {"value": evidence.value, "ci": [evidence.low, evidence.high]}
    return Result(
        id=f"told.belief.{reading.rows[0].trial}",
        value=value,
        method="guessed the drug minus guessed control within each arm, arms weighted by "
        "n1 n2 / (n1 + n2); observed, not caused",
        inputs=tuple(record_id(r) for r in reading.rows),
        digest=digest_of(list(reading.groups)),
    )


def _texts(context: Context, reading: Reading) -> dict[str, str]:
    n = context.numbers
    raw, half, benign = reading.expectancy.readings
    between = min(benign, key=lambda b: abs(b.rho - 0.5))
    return {
        "raw": n.with_interval(raw.value, *raw.interval(), digits=1),
        "half": n.with_interval(half.value, *half.interval(), digits=1),
        "between": n.with_interval(between.value, between.low, between.high, digits=1),
    }


def _claimed(context: Context, reading: Reading) -> dict[str, Any]:
    return {k: context.result_claim(reading.result, v) for k, v in _texts(context, reading).items()}


def _outcome(context: Context, row: GuessOutcome) -> str:
    name = context.term("outcome", row.outcome)
    return f"{name} ({row.scale})" if row.scale else name


def _curve_figure(context: Context, reading: Reading) -> Figure:
    w, n = context.words, context.numbers
    row, read = reading.rows[0], reading.expectancy
    link = "#" + anchor_of("result", reading.result.id)
    _, _, benign = read.readings

    def point(x: float, value: float, low: float, high: float, name: str) -> CurvePoint:
        details = {
            name: n.percent(x),
            w.plain("hover.effect"): n.with_interval(value, low, high, digits=1),
            w.plain("hover.source"): cited(context, row),
        }
        return CurvePoint(x=x, value=value, low=low, high=high, details=details, link=link)

    rate, rho = w.plain("told.curve_rate"), w.plain("told.curve_rho")
    drawn = [
        Panel(
            title=w.plain("told.curve_left"),
            x_title=rate,
            points=[point(*p, rate) for p in read.curve],
            colour=PALETTE[0],
            marks=((0.5, w.plain("told.mark_half")), (read.correct_rate, w.plain("told.mark_seen")))
            if abs(read.correct_rate - 0.5) > 0.01
            else ((0.5, w.plain("told.mark_half")),),
            x_format="%",
        ),
        Panel(
            title=w.plain("told.curve_right"),
            x_title=rho,
            points=[point(b.rho, b.value, b.low, b.high, rho) for b in benign],
            colour=PALETTE[2],
            x_format="%",
        ),
    ]
    y_title = w.plain("told.curve_y")
    label = context.base.trial(row.trial).label
    texts = w.plain("told.readings", **_texts(context, reading))
    return Figure(
        id="told-curve",
        title=w.plain("told.curve", trial=label, outcome=_outcome(context, row)),
        alt=w.plain("told.curve_alt", trial=label, readings=texts),
        wide=finish(panels(drawn, y_title=y_title)),
        narrow=finish(panels(drawn, y_title=y_title, narrow=True)),
        caption=w("told.curve_caption"),
    )


def _curve_prose(context: Context, reading: Reading) -> Prose:
    w, row = context.words, reading.rows[0]
    sentence = w(
        "told.readings_lead",
        trial=context.base.trial(row.trial).label,
        outcome=_outcome(context, row),
        day=context.numbers.general(row.days_from_first_dose or 0.0),
        readings=w("told.readings", **_claimed(context, reading)),
    )
    timing = w(f"told.timing_{reading.expectancy.timing}")
    return Prose(paragraphs=paragraphs(sentence, timing + " " + w("told.trait")))


def _readings_table(context: Context, readings: Sequence[Reading]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for r in readings:
        row, told = r.rows[0], _claimed(context, r)
        day = w.plain("hover.day", scale="", day=n.general(row.days_from_first_dose or 0.0))
        name = f"{context.base.trial(row.trial).label}: {_outcome(context, row)}, {day}"
        rows.append((name, told["raw"], told["half"], told["between"]))
    return TableBlock(
        id="readings",
        title=w.plain("told.readings_table"),
        header=[w.plain(f"told.head_{h}") for h in ("outcome", "raw", "half", "between")],
        rows=rows,
    )


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


def _tip_figure(context: Context, tipped: Sequence[Tipped], main: Reading | None) -> Figure:
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
    w, n, s = context.words, context.numbers, context.settings
    x_title = w.plain("told.tip_x", scale=s.points_scale)
    link = "#" + anchor_of("result", t.result.id)
    source = context.source_of(t.group.result.inputs if t.group.result else ())
    points = [
        CurvePoint(
            x=abs(delta),
            value=value,
            low=low,
            high=high,
            link=link,
            details={
                x_title: n.fixed(abs(delta), 1),
                w.plain("told.tip_y", scale=s.points_scale): n.with_interval(
                    value, low, high, digits=1
                ),
                w.plain("hover.source"): source,
            },
        )
        for delta, value, low, high in t.tipping.curve
    ]
    marks = []
    if not t.tipping.fallen and t.tipping.at_limit is not None:
        marks.append((abs(t.tipping.at_limit), w.plain("told.tip_at_limit")))
    if t.tipping.at_estimate is not None:
        marks.append((abs(t.tipping.at_estimate), w.plain("told.tip_at_estimate")))
    end = max(p.x for p in points)
    spans = [
        Span(
            label=w.plain("told.tip_seen", trial=e.label),
            low=max(0.0, min(-e.low, -e.high)),
            value=-e.value,
            high=min(end, max(-e.low, -e.high)),
            link="#" + anchor_of("result", f"told.belief.{_trial_id(context, e.label)}"),
            details={
                w.plain("hover.trial"): e.label,
                w.plain("hover.effect"): n.with_interval(
                    -e.value, min(-e.low, -e.high), max(-e.low, -e.high), digits=1
                ),
                w.plain("hover.source"): e.source,
            },
        )
        for e in t.tipping.evidence
    ]
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
        spans=spans,
    )


def _trial_id(context: Context, label: str) -> str:
    return next((t.id for t in context.base.trials if t.label == label), label)


def _tip_prose(context: Context, tipped: Sequence[Tipped], main: Reading | None) -> Prose:
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
        texts.append(w(f"told.{key}", **parts))
    if main is not None and (evidence := belief_of(context, main)) is not None:
        result = _evidence_result(main, evidence)
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
