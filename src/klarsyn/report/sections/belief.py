"""Outcome by guess: the readings of one trial, never one of them alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.belief import BeliefEvidence, belief_evidence
from klarsyn.bias.expectancy import Expectancy, GuessStratum, read_guesses
from klarsyn.errors import InputError, NumericalError
from klarsyn.evidence.trial import GuessOutcome
from klarsyn.figures.panels import CurvePoint, Panel, panels
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, TableBlock, anchor_of, paragraphs
from klarsyn.report.records import cited, record_id

GUESSED = {"test": "active", "control": "control", "dont_know": "unknown"}
RHOS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One outcome of one trial by arm and guess, read in every way."""

    rows: tuple[GuessOutcome, ...]
    expectancy: Expectancy
    groups: tuple[GuessStratum, ...]
    result: Result


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


def evidence_result(reading: Reading, evidence: BeliefEvidence | None) -> Result:
    """The association of belief and outcome as a numbered result."""
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


def curve_figure(context: Context, reading: Reading) -> Figure:
    """The difference by rate of right guesses, beside the range from adjusted to raw."""
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


def curve_prose(context: Context, reading: Reading) -> Prose:
    """All three readings in one sentence, and what the timing of the guess means."""
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


def readings_table(context: Context, readings: Sequence[Reading]) -> TableBlock:
    """Every reading of every outcome by guess."""
    w, n = context.words, context.numbers
    rows = []
    for r in readings:
        row, told = r.rows[0], _claimed(context, r)
        day = w.plain("hover.day", scale="", day=n.general(row.days_from_first_dose or 0.0))
        name = f"{context.base.trial(row.trial).label}: {_outcome(context, row)}, {day}"
        rows.append((name, told["raw"], told["half"], told["between"]))
    return TableBlock(
        id="readings",
        folded=True,
        title=w.plain("told.readings_table"),
        header=[w.plain(f"told.head_{h}") for h in ("outcome", "raw", "half", "between")],
        rows=rows,
    )
