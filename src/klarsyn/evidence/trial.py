"""The record of a trial: its design, its arms and every number reported about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from klarsyn.errors import unknown_name
from klarsyn.provenance import Source

CLOCKS = ("first_dose", "last_dose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one group of a trial received. Numbers are None where nobody reported them.

    `treatment` is the node in a network (a name of the base's vocabulary), `role` is `test`,
    `control` or `reference`; `infusion_minutes` in minutes, `dose` in `dose_unit`.
    """

    trial: str
    id: str
    label: str
    treatment: str
    role: str
    drug: str
    form: str = ""
    dose: float | None = None
    dose_unit: str = ""
    route: str = ""
    infusion_minutes: float | None = None
    doses: float | None = None
    doses_per_week: float | None = None
    randomised: int | None = None
    started: int | None = None
    completed: int | None = None
    source: str = ""
    locator: str = ""
    note: str = ""
    row: int = 0

    @property
    def size(self) -> float | None:
        """How many there are to have an outcome: started, else randomised, else completed."""
        known = (n for n in (self.started, self.randomised, self.completed) if n is not None)
        return next(map(float, known), None)


TOGETHER = ("all", "all_test")  # in place of one arm: everyone, or all who were given the drug


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One number of one arm (or of a contrast `a|b`, first minus second), or a recorded absence.

    `value` is None exactly where `status` is `not_reported`. Times are in days, counted from the
    first and from the last dose of the randomised treatment. `estimator` says whether a mean is
    raw, or comes from a model (`model`), or unknown. Of findings that contradict each other one is
    `chosen`; `reason` says why.
    """

    id: str
    trial: str
    arm: str
    outcome: str
    statistic: str
    value: float | None
    unit: str
    source: str
    locator: str
    kind: str
    confidence: str
    scale: str = ""
    days_from_first_dose: float | None = None
    days_from_last_dose: float | None = None
    analysis_set: str = ""
    estimator: str = "unknown"
    period: str = ""
    status: str = "reported"
    chosen: bool = True
    reason: str = ""
    note: str = ""
    row: int = 0

    def days(self, clock: str) -> float | None:
        """Days on a clock of CLOCKS: since the first or since the last dose."""
        return self.days_from_first_dose if clock == "first_dose" else self.days_from_last_dose


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial that was really run, or simulated (`origin`)."""

    id: str
    label: str
    origin: str = "published"
    year: int | None = None
    journal: str = ""
    doi: str = ""
    pmid: str = ""
    registry: str = ""
    country: str = ""
    design: str = ""
    randomised: bool | None = None
    blinding: str = ""
    comparator: str = ""
    population: str = ""
    participants: int | None = None
    sites: int | None = None
    doses: float | None = None
    doses_per_week: float | None = None
    treatment_days: float | None = None
    followup_days: float | None = None
    primary_outcome: str = ""
    cited_by: tuple[str, ...] = ()
    source: str = ""
    locator: str = ""
    note: str = ""
    row: int = 0
    arms: tuple[Arm, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def repeated(self) -> bool | None:
        """Whether more than one dose was given, None where nothing says so.

        Treatment that lasted longer than a week was repeated, even where the number of doses is
        not known.
        """
        if self.doses is not None:
            return self.doses > 1
        return True if (self.treatment_days or 0) > 7 else None

    def arm(self, arm_id: str) -> Arm:
        """The arm of that id; raises KeyError when the trial has none."""
        return next(a for a in self.arms if a.id == arm_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A rating scale: its range, whether higher is worse, and the usual cut-offs."""

    name: str
    label: str
    minimum: float
    maximum: float
    higher_is: str
    integer: bool
    items: int | None = None
    response: str = ""
    remission: str = ""
    definition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A name of a closed list with what it means."""

    list: str
    name: str
    definition: str
    label_en: str = ""
    label_nb: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """How many in an arm guessed their treatment right, wrong, or did not know.

    `arm` is an arm or `all`; `respondent` is `patient`, `rater` or `clinician`. Counts are None
    where nobody reported them; `before_outcome` says whether the guess was asked before the
    outcome could have told the answer.
    """

    trial: str
    arm: str
    respondent: str
    days_from_first_dose: float | None = None
    before_outcome: bool | None = None
    correct: int | None = None
    wrong: int | None = None
    dont_know: int | None = None
    total: int | None = None
    percent_correct: float | None = None
    source: str = ""
    locator: str = ""
    kind: str = "reported"
    note: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessOutcome:
    """The outcome of those in an arm who made the same guess: one stratum of arm by guess.

    `guess` is `test`, `control` or `dont_know`.
    """

    trial: str
    arm: str
    guess: str
    outcome: str
    scale: str = ""
    days_from_first_dose: float | None = None
    n: int | None = None
    mean: float | None = None
    sd: float | None = None
    source: str = ""
    locator: str = ""
    kind: str = "reported"
    note: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Whether a published assessment included a trial, and why; dates are as printed."""

    assessment: str
    trial: str
    included: bool
    reason: str = ""
    search_date: str = ""
    source: str = ""
    note: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A reported association between two quantities measured in a trial's participants."""

    trial: str
    arm: str
    x: str
    y: str
    statistic: str
    value: float
    scale: str = ""
    days: float | None = None
    p: float | None = None
    n: int | None = None
    source: str = ""
    locator: str = ""
    note: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAnswer:
    """One answer to a question of a risk-of-bias tool, or a recorded judgement (no question).

    `findings` names the findings it rests on, separated by semicolons; `draft` is true until a
    person has read the answer and agreed.
    """

    trial: str
    outcome: str
    effect: str
    domain: str
    scale: str = ""
    question: str = ""
    answer: str = ""
    why: str = ""
    findings: str = ""
    source: str = ""
    locator: str = ""
    who: str = ""
    when: str = ""
    draft: bool | None = None
    row: int = 0

    def finding_ids(self) -> tuple[str, ...]:
        """The ids of the findings that the answer rests on."""
        return tuple(i.strip() for i in self.findings.split(";") if i.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRisk:
    """A judgement of bias that others have published, in their words and with their tool."""

    trial: str
    tool: str
    domain: str
    judgement: str
    why: str = ""
    source: str = ""
    locator: str = ""
    note: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """All trials of one body of evidence with the vocabulary they are written in.

    `location` is the path or name by which it was opened.

    `published` are results of other people's meta-analyses: targets to compare with, never inputs.
    """

    name: str
    title: str
    trials: tuple[Trial, ...]
    sources: Mapping[str, Source]
    scales: Mapping[str, Scale]
    terms: Mapping[str, tuple[Term, ...]]
    published: tuple[Mapping[str, object], ...] = ()
    guesses: tuple[Guess, ...] = ()
    guess_outcomes: tuple[GuessOutcome, ...] = ()
    inclusion: tuple[Inclusion, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    risk_answers: tuple[RiskAnswer, ...] = ()
    published_risks: tuple[PublishedRisk, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    digest: str = ""
    location: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding of every trial, in the order of the base."""
        return tuple(f for t in self.trials for f in t.findings)

    def trial(self, trial_id: str) -> Trial:
        """The trial of that id; raises UnknownNameError with the nearest ids."""
        for t in self.trials:
            if t.id == trial_id:
                return t
        raise unknown_name("trial", trial_id, [t.id for t in self.trials], self.name)
