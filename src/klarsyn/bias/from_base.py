"""What an evidence base holds for the bias room: guesses, guess strata, refusals, assessments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from klarsyn.bias.expectancy import GuessStratum
from klarsyn.bias.guesses import ArmGuesses, GuessBounds, guesses_from_percent
from klarsyn.bias.inclusion import Assessment, IncludableTrial
from klarsyn.bias.noninferiority import Counts
from klarsyn.bias.refusals import Refusals
from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.trial import Arm, Base, Finding, Guess, Trial
from klarsyn.synthesis.effects import Effects

_ROLES = {"test": "active", "control": "control", "reference": "control"}
_RESPONDENTS = {"patient": "participants", "rater": "raters", "clinician": "raters"}
_GUESSES = {"test": "active", "control": "control", "dont_know": "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessesRead:
    """The guesses of a base: counted arms, arms known by bounds only, and what was left out.

    `left_out` holds (trial, reason).
    """

    counted: tuple[ArmGuesses, ...]
    bounds: tuple[GuessBounds, ...]
    left_out: tuple[tuple[str, str], ...]


def guesses_of(base: Base, *, level: float = 0.95) -> GuessesRead:
    """The guesses by arm: counts where all are reported, else the bounds of a percentage.

    A percentage without its number of answers is taken of those randomised, and when neither says
    what it is a share of, of all or of those who guessed.
    """
    counted, bounds, left = [], [], []
    trials = {t.id: t for t in base.trials}
    for g in base.guesses:
        arm = _arm(trials[g.trial], g.arm)
        if arm is None:
            left.append((g.trial, "the arms are not told apart"))
        elif g.correct is not None and g.wrong is not None:
            counted.append(_counted(g, arm))
        elif (n := g.total or arm.randomised or arm.started) is None or g.percent_correct is None:
            left.append((g.trial, f"{g.arm}: neither counts nor a percentage with a number"))
        else:
            bounds.append(_bounded(g, arm, n, level))
    return GuessesRead(counted=tuple(counted), bounds=tuple(bounds), left_out=tuple(left))


def guess_strata_of(
    base: Base, trial: str, *, outcome: str, scale: str, days_from_first_dose: float
) -> tuple[list[GuessStratum], str]:
    """The outcome by arm and guess of one trial, and when the guess was asked.

    The second is a word of `GUESS_TIMES`, ready for `read_guesses`.
    """
    record = next((t for t in base.trials if t.id == trial), None)
    if record is None:
        raise unknown_name("trial", trial, [t.id for t in base.trials])
    strata = []
    for g in base.guess_outcomes:
        if (g.trial, g.outcome, g.scale) != (trial, outcome, scale):
            continue
        if g.days_from_first_dose != days_from_first_dose or g.n is None or g.mean is None:
            continue
        role = _ROLES[record.arm(g.arm).role]
        sd = float("nan") if g.sd is None else g.sd
        strata.append(
            GuessStratum(received=role, guessed=_GUESSES[g.guess], n=g.n, mean=g.mean, sd=sd)
        )
    if not strata:
        raise InputError(
            f"{trial}: no {outcome} on {scale} by guess on day {days_from_first_dose:g}. See "
            f"guess_outcomes of the base."
        )
    before = {g.before_outcome for g in base.guesses if g.trial == trial}
    if before == {True}:
        return strata, "before_outcome"
    return strata, "after_outcome" if before == {False} else "unknown"


def refusals_of(
    base: Base, trial: str, *, outcome: str, scale: str = ""
) -> tuple[Refusals, tuple[str, ...]]:
    """Who refused before treatment in a two-arm trial, and the findings the counts stand on.

    Refusals are randomised less started; events and patients are those of the chosen findings on
    the outcome (and the scale, if given). Events must be good.
    """
    record = next((t for t in base.trials if t.id == trial), None)
    if record is None:
        raise unknown_name("trial", trial, [t.id for t in base.trials])
    new = [a for a in record.arms if a.role == "test"]
    reference = [a for a in record.arms if a.role != "test"]
    if len(new) != 1 or len(reference) != 1:
        raise InputError(f"{trial}: the grid of refusals is for two arms, one of them new.")
    cells, used = [], []
    for arm in (new[0], reference[0]):
        for statistic in ("events", "n"):
            finding = _one(record.findings, arm.id, outcome, scale, statistic)
            cells.append(finding.value or 0.0)
            used.append(finding.id)
    refused = [_refused(a) for a in (new[0], reference[0])]
    counts = Counts(
        name=record.label,
        new_events=cells[0],
        new_total=cells[1],
        reference_events=cells[2],
        reference_total=cells[3],
    )
    refusals = Refusals(analysed=counts, new_refused=refused[0], reference_refused=refused[1])
    return refusals, tuple(used)


def assessments_of(base: Base, trials: Iterable[str]) -> list[Assessment]:
    """Each published assessment as the set of these trials that it included."""
    wanted = set(trials)
    names = dict.fromkeys(i.assessment for i in base.inclusion)
    out = []
    for name in names:
        rows = [i for i in base.inclusion if i.assessment == name]
        included = tuple(i.trial for i in rows if i.included and i.trial in wanted)
        if included:
            dates = {i.search_date for i in rows if i.search_date}
            out.append(
                Assessment(
                    id=name,
                    included=included,
                    criteria="; ".join(dict.fromkeys(i.reason for i in rows if i.reason)),
                    search_date=max(dates, default=""),
                )
            )
    return out


def includable_of(base: Base, effects: Effects, trials: Sequence[str]) -> list[IncludableTrial]:
    """Trials with an effect as candidates; `trials` are their ids, in the order of the effects."""
    years = {t.id: t.year for t in base.trials}
    return [
        IncludableTrial(id=i, y=float(y), v=float(v), published=str(years[i] or 9999))
        for i, y, v in zip(trials, effects.y, effects.v, strict=True)
    ]


def _arm(trial: Trial, name: str) -> Arm | None:
    return next((a for a in trial.arms if a.id == name), None)


def _counted(g: Guess, arm: Arm) -> ArmGuesses:
    correct, wrong = g.correct or 0, g.wrong or 0
    rest = 0 if g.total is None else g.total - correct - wrong
    return ArmGuesses(
        trial=g.trial,
        arm=g.arm,
        role=_ROLES[arm.role],
        correct=correct,
        wrong=wrong,
        dont_know=rest if g.dont_know is None else g.dont_know,
        respondent=_RESPONDENTS[g.respondent],
        time="" if g.days_from_first_dose is None else f"day {g.days_from_first_dose:g}",
    )


def _bounded(g: Guess, arm: Arm, n: int, level: float) -> GuessBounds:
    return guesses_from_percent(
        trial=g.trial,
        arm=g.arm,
        role=_ROLES[arm.role],
        percent=f"{g.percent_correct:g}",
        n=n,
        denominator="all" if g.total else "unknown",
        dont_know=g.dont_know,
        level=level,
    )


def _one(
    findings: Iterable[Finding], arm: str, outcome: str, scale: str, statistic: str
) -> Finding:
    found = [
        f
        for f in findings
        if (f.arm, f.outcome, f.statistic) == (arm, outcome, statistic)
        and f.chosen
        and f.value is not None
        and scale in ("", f.scale)
    ]
    if len(found) != 1:
        raise InputError(
            f"{arm}: {len(found)} findings give {statistic} of {outcome}"
            f"{' on ' + scale if scale else ''}; one is needed. Name the scale."
        )
    return found[0]


def _refused(arm: Arm) -> int:
    if arm.randomised is None or arm.started is None:
        raise InputError(f"{arm.trial}, {arm.id}: randomised and started must both be known.")
    return arm.randomised - arm.started
