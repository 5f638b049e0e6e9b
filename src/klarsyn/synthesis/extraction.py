"""The contrast of each trial that answers one question, from whatever the trial reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from klarsyn.errors import unknown_name
from klarsyn.evidence.trial import CLOCKS, Arm, Base, Finding, Trial
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.routes import (
    ODDS,
    Cell,
    Derived,
    derive_binary,
    derive_continuous,
    smd_from_odds,
)

ANALYSIS_SETS = (
    "full_analysis",
    "modified_itt",
    "itt",
    "randomised",
    "enriched",
    "observed",
    "unknown",
    "completers",
    "per_protocol",
    "safety",
    "",
)
BINARY = ("RR", "OR", "RD", "HR")
CONTINUOUS = ("SMD", "MD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of every trial: an outcome, a measure and a time.

    `outcomes` and `scales` are in order of preference; `clock` says from which dose the days
    `target`, `earliest` and `latest` are counted; the time nearest to `target` is taken.
    `treatments` are the test treatments in order of preference: a trial with several gives the
    first, its arms combined. `correlation` joins the periods of a crossover trial.
    `binary_outcomes` may stand in for a continuous one: their odds ratio becomes an SMD.
    """

    id: str
    measure: str
    outcomes: tuple[str, ...]
    clock: str
    target: float
    earliest: float
    latest: float
    correlation: float
    scales: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    only_repeated: bool = False
    binary_outcomes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.measure not in BINARY + CONTINUOUS:
            raise unknown_name("measure", self.measure, BINARY + CONTINUOUS)
        if self.clock not in CLOCKS:
            raise unknown_name("clock", self.clock, CLOCKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEffect:
    """One trial's answer: `y` with variance `v` (log scale for RR, OR and HR), test minus control.

    Below zero (or a ratio below one) the test arm had the lower value. `findings` are the rows of
    the base it stands on, `formula` how it was derived from them; `days` on the question's clock.
    """

    trial: str
    label: str
    comparator: str
    treatment: str
    control: str
    measure: str
    y: float
    v: float
    outcome: str
    scale: str
    days: float
    n_test: float
    n_control: float
    formula: str
    findings: tuple[str, ...]
    origin: str = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A trial that was asked and could not answer, with the reason as one sentence key."""

    trial: str
    label: str
    comparator: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """The effects of all trials that answer a question, and the trials that do not."""

    question: Question
    effects: tuple[TrialEffect, ...]
    unanswered: tuple[Unanswered, ...]

    def against(self, *comparators: str) -> Extraction:
        """The effects against these comparator classes only."""
        kept = tuple(e for e in self.effects if e.comparator in comparators)
        return replace(self, effects=kept)


def as_effects(effects: Sequence[TrialEffect]) -> Effects:
    """Trials' effects as the labelled arrays that pooling, regression and networks take."""
    covariates = {
        "comparator": [e.comparator for e in effects],
        "treatment": [e.treatment for e in effects],
        "control": [e.control for e in effects],
        "days": [e.days for e in effects],
        "formula": [e.formula for e in effects],
    }
    return effects_from_arrays(
        [e.y for e in effects],
        [e.v for e in effects],
        study=[e.label for e in effects],
        measure=effects[0].measure if effects else "GEN",
        covariates=covariates,
        origin=[e.origin for e in effects],
    )


def derive_effects(base: Base, question: Question) -> Extraction:
    """Ask every controlled trial of the base; trials stay in the order of the base."""
    answers = [_ask(t, question) for t in base.trials if t.comparator not in {"none", ""}]
    return Extraction(
        question=question,
        effects=tuple(a for a in answers if isinstance(a, TrialEffect)),
        unanswered=tuple(a for a in answers if isinstance(a, Unanswered)),
    )


def _ask(trial: Trial, question: Question) -> TrialEffect | Unanswered:
    tests, controls = _pair(trial, question)
    if not tests or not controls:
        return _no(trial, "no_such_arms")
    if question.only_repeated and not trial.repeated:
        return _no(trial, "single_dose" if trial.repeated is False else "doses_unknown")
    usable = [f for f in trial.findings if _fits(f, question)]
    if not usable:
        return _no(trial, "not_at_this_time")
    options = []
    for place, candidate in enumerate(_candidates(usable, question)):
        derived = _derive(trial, tests, controls, candidate, question)
        if derived is not None:
            options.append((derived.rank >= ODDS, place, derived.rank, candidate[0], derived))
    if options:
        best = min(options, key=lambda o: (o[0], _when(o[3], question), o[2], o[1]))
        return _effect(trial, tests, controls, question, best[3], best[4])
    return _no(trial, "no_spread" if question.measure in CONTINUOUS else "no_counts")


def _when(finding: Finding, question: Question) -> tuple[int, float]:
    days = finding.days(question.clock)
    assert days is not None
    return _place(finding.scale, question.scales), abs(days - question.target)


def _no(trial: Trial, reason: str) -> Unanswered:
    return Unanswered(trial=trial.id, label=trial.label, comparator=trial.comparator, reason=reason)


def _pair(trial: Trial, question: Question) -> tuple[tuple[Arm, ...], tuple[Arm, ...]]:
    tests = [a for a in trial.arms if a.role == "test"]
    controls = tuple(a for a in trial.arms if a.role in {"control", "reference"})
    names = question.treatments or tuple(dict.fromkeys(a.treatment for a in tests))
    for name in names:
        chosen = tuple(a for a in tests if a.treatment == name)
        if chosen:
            return chosen, controls[:1]
    return (), controls


def _fits(finding: Finding, question: Question) -> bool:
    days = finding.days(question.clock)
    return (
        finding.chosen
        and finding.value is not None
        and finding.outcome in question.outcomes + question.binary_outcomes
        and finding.days_from_first_dose != 0
        and finding.period != "second"
        and (not question.scales or finding.scale in question.scales or not finding.scale)
        and days is not None
        and question.earliest <= days <= question.latest
    )


def _candidates(
    findings: Sequence[Finding], question: Question
) -> list[tuple[Finding, tuple[Finding, ...]]]:
    """Groups of findings of one outcome, scale, time, set, period and estimator; the best first.

    The number of patients belongs to every estimator of its cell.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    sizes: dict[tuple[object, ...], list[Finding]] = {}
    for f in findings:
        key = (f.outcome, f.scale, f.days(question.clock), f.analysis_set, f.period)
        if f.statistic == "n":
            sizes.setdefault(key, []).append(f)
        else:
            groups.setdefault((*key, f.estimator), []).append(f)
    ordered = sorted(groups.items(), key=lambda item: _preference(item[1][0], question))
    return [(g[0], (*sizes.get(key[:-1], ()), *g)) for key, g in ordered]


def _preference(finding: Finding, question: Question) -> tuple[object, ...]:
    return (
        *_when(finding, question),
        finding.outcome in question.binary_outcomes,
        _place(finding.outcome, question.outcomes),
        _place(finding.analysis_set, ANALYSIS_SETS),
        _place(finding.period, ("first", "both", "")),
        _place(finding.estimator, ("model", "raw", "unknown", "locf")),
        finding.id,
    )


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _derive(
    trial: Trial,
    tests: tuple[Arm, ...],
    controls: tuple[Arm, ...],
    candidate: tuple[Finding, tuple[Finding, ...]],
    question: Question,
) -> Derived | None:
    first, group = candidate
    test = [_cell(a, group, trial) for a in tests]
    control = _cell(controls[0], group, trial)
    contrasts = [_contrast(a, controls[0], group) for a in tests]
    paired = trial.design == "crossover" and first.period != "first"
    if question.measure in BINARY:
        return _said(derive_binary(question.measure, test, control, contrasts), paired)
    if first.outcome in question.binary_outcomes:
        ratio = _said(derive_binary("OR", test, control, contrasts), paired)
        return None if ratio is None or question.measure != "SMD" else smd_from_odds(ratio)
    spread = tuple(f for f in trial.findings if f.chosen and f.scale == first.scale)
    before = [f for f in spread if f.days_from_first_dose == 0]
    baseline = [_cell(a, before, trial) for a in (*tests, controls[0])]
    return derive_continuous(
        question.measure,
        test,
        control,
        contrasts,
        baseline,
        question.correlation if paired else None,
    )


def _said(derived: Derived | None, paired: bool) -> Derived | None:
    """Counts of crossover periods say that their pairing is not known and was left out."""
    if derived is None or not paired:
        return derived
    return replace(derived, formula=f"{derived.formula}; crossover periods as if independent")


def _cell(arm: Arm, findings: Iterable[Finding], trial: Trial) -> Cell:
    stats = {f.statistic: f for f in findings if f.arm == arm.id and f.value is not None}
    return Cell(statistics=stats, size=_planned(arm, trial))


def _planned(arm: Arm, trial: Trial) -> float | None:
    """The arm's own size, else the trial's shared out equally."""
    if arm.size is not None or trial.participants is None:
        return arm.size
    return trial.participants / (1 if trial.design == "crossover" else len(trial.arms))


def _contrast(test: Arm, control: Arm, findings: Iterable[Finding]) -> Cell:
    forward = f"{test.id}|{control.id}"
    stats = {f.statistic: f for f in findings if f.arm == forward and f.value is not None}
    if not stats:
        stats = _reversed(f"{control.id}|{test.id}", findings)
    return Cell(statistics=stats, size=None)


def _reversed(name: str, findings: Iterable[Finding]) -> dict[str, Finding]:
    """A difference reported control minus test, turned round; ratios are left alone."""
    found = {f.statistic: f for f in findings if f.arm == name and f.value is not None}
    if "mean_difference" not in found:
        return {}
    turned = {}
    for statistic, finding in found.items():
        assert finding.value is not None
        if statistic in {"se", "p_value", "p_below"}:
            turned[statistic] = finding
        elif statistic == "mean_difference":
            turned[statistic] = replace(finding, value=-finding.value)
        elif statistic.endswith(("_lower", "_upper")):
            ends = {"lower": "upper", "upper": "lower"}
            stem, end = statistic.rsplit("_", 1)
            turned[f"{stem}_{ends[end]}"] = replace(finding, value=-finding.value)
    return turned


def _effect(
    trial: Trial,
    tests: tuple[Arm, ...],
    controls: tuple[Arm, ...],
    question: Question,
    first: Finding,
    derived: Derived,
) -> TrialEffect:
    days = first.days(question.clock)
    assert days is not None
    return TrialEffect(
        trial=trial.id,
        label=trial.label,
        comparator=trial.comparator,
        treatment=tests[0].treatment,
        control=controls[0].treatment,
        measure=question.measure,
        y=derived.y,
        v=derived.v,
        outcome=first.outcome,
        scale=first.scale,
        days=days,
        n_test=derived.n_test,
        n_control=derived.n_control,
        formula=derived.formula,
        findings=derived.findings,
        origin=trial.origin,
    )
