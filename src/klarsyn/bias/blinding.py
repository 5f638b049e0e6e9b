"""Was the trial blind? Indices per arm and per trial, with don't-knows in every treatment.

No index is reported alone: James's is dominated by don't-knows, and a whole-trial index near
chance can hide that both arms believe they have the drug.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from klarsyn.bias.guesses import DONT_KNOWS, ROLES, ArmGuesses
from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats import blinding_indices as indices
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.proportions import two_sided_z

RANDOM, UNBLINDED, OPPOSITE = "random guess", "unblinded", "opposite guess"

INTERVALS = ("normal", "score")

# (active arm, control arm): the nine scenarios of Bang (table 1 of PMC3603669).
SCENARIOS = {
    (RANDOM, RANDOM): "ideal",
    (RANDOM, UNBLINDED): "control_side_unblinding",
    (RANDOM, OPPOSITE): "control_arm_believes_active",
    (UNBLINDED, RANDOM): "active_side_unblinding",
    (UNBLINDED, UNBLINDED): "full_unblinding",
    (UNBLINDED, OPPOSITE): "wishful_thinking",
    (OPPOSITE, RANDOM): "active_arm_believes_control",
    (OPPOSITE, UNBLINDED): "pessimism",
    (OPPOSITE, OPPOSITE): "reversed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmIndex:
    """Bang's index of one arm under one treatment of don't-knows.

    `interval` is two-sided; `lower` is the one-sided lower limit that Bang 2004 recommends for a
    claim of unblinding, and `shown` whether it allows one (above 0). `status` is `ok`,
    `half_added`, `degenerate` (no interval: its ends are the index) or `undefined` (nobody
    guessed; the index is NaN).
    """

    trial: str
    arm: str
    role: str
    respondent: str
    time: str
    n: float
    dont_know_share: float
    dont_knows: str
    index: Estimate
    interval: tuple[float, float]
    lower: float
    shown: bool
    guess: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBlinding:
    """The blinding of one trial as one kind of respondent saw it.

    `arms` holds every arm under every treatment of don't-knows; `scenario` is read from the arms
    with don't-knows kept. `correct_of_all` and `correct_of_guessers` are the shares of right
    guesses with don't-knows in the denominator and without. James, SBI and kappa pool the arms of
    each role; `None` in their place comes with its reason in `notes`. `james_shown`: the upper
    limit is below ½, James's claim of unblinding. `sbi_p` is dual to the interval of the SBI.
    `kappa_band`: that of Lin et al. 2022.
    """

    trial: str
    respondent: str
    time: str
    arms: tuple[ArmIndex, ...]
    correct_of_all: float
    correct_of_guessers: float | None
    scenario: str
    scenario_classes: tuple[str, str]
    james: Estimate | None
    james_interval: tuple[float, float] | None
    james_shown: bool | None
    sbi: Estimate
    sbi_interval: tuple[float, float]
    sbi_p: float
    kappa: Estimate | None
    kappa_band: str | None
    cut: float
    level: float
    notes: tuple[str, ...]
    method: str
    inputs: str

    def arm(self, name: str, dont_knows: str = "kept") -> ArmIndex:
        """The index of an arm under a treatment of don't-knows."""
        for arm in self.arms:
            if arm.arm == name and arm.dont_knows == dont_knows:
                return arm
        raise unknown_name("arm", name, {a.arm for a in self.arms}, self.trial)

    def summary(self) -> str:
        """One line an arm, then the trial's scenario and indices."""
        lines = [f"{self.trial} ({self.respondent}{', ' + self.time if self.time else ''})"]
        for a in (a for a in self.arms if a.dont_knows == "kept"):
            low, high = a.interval
            lines.append(
                f"  {a.arm}: Bang {a.index.value:.2f} ({low:.2f} to {high:.2f}), n = {a.n:g}, "
                f"don't know {100 * a.dont_know_share:.0f} %: {a.guess}"
                + (", unblinding shown (one-sided)" if a.shown else "")
            )
        right = f"  right: {100 * self.correct_of_all:.1f} % of all"
        if self.correct_of_guessers is not None:
            right += f", {100 * self.correct_of_guessers:.1f} % of those who guessed"
        lines.append(right)
        lines.append(f"  scenario: {self.scenario.replace('_', ' ')}")
        if self.james and self.james_interval:
            low, high = self.james_interval
            says = "unblinding shown" if self.james_shown else "unblinding not shown"
            lines.append(f"  James {self.james.value:.2f} ({low:.2f} to {high:.2f}): {says}")
        low, high = self.sbi_interval
        lines.append(f"  SBI {self.sbi.value:.2f} ({low:.2f} to {high:.2f}), p {self.sbi_p:.2g}")
        if self.kappa:
            lines.append(f"  kappa {self.kappa.value:.2f} (Lin 2022: {self.kappa_band})")
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self, **labels: Any) -> Any:
        """The index of each arm with its interval and scenario."""
        from klarsyn.figures.blinding import blinding_chart

        kept = [a for a in self.arms if a.dont_knows == "kept"]
        return blinding_chart([arm_values(a, self.scenario) for a in kept], cut=self.cut, **labels)


def arm_values(arm: ArmIndex, scenario: str = "") -> dict[str, Any]:
    """The plain values that the figure of blinding takes for one arm."""
    low, high = arm.interval
    return {
        "trial": arm.trial,
        "arm": arm.arm,
        "role": arm.role,
        "respondent": arm.respondent,
        "index": arm.index.value,
        "low": low,
        "high": high,
        "n": arm.n,
        "dont_know_percent": 100 * arm.dont_know_share,
        "class": arm.guess,
        "scenario": scenario.replace("_", " "),
    }


def classify(index: float, cut: float = 0.2) -> str:
    """`unblinded` above the cut, `opposite guess` below minus the cut, else `random guess`."""
    if not 0 <= cut < 1:
        raise InputError(f"The cut of chance guessing lies in 0 to 1; {cut:g} does not.")
    return UNBLINDED if index > cut else OPPOSITE if index < -cut else RANDOM


def kappa_band(kappa: float) -> str:
    """How far kappa between guess and arm speaks of unblinding (bands of Lin et al. 2022).

    They run from −0.20 to 0.20 (successful blinding), to 0.40 (slight), to 0.60 (moderate) and to 1
    (severe unblinding); below −0.20 most guess the other arm.
    """
    if not -1 <= kappa <= 1:
        raise InputError(f"Kappa lies between -1 and 1; {kappa:g} does not.")
    bands = ((-0.2, OPPOSITE), (0.2, "successful blinding"), (0.4, "slight unblinding"))
    for end, name in (*bands, (0.6, "moderate unblinding")):
        if kappa < end or (kappa == end and end > 0):
            return name
    return "severe unblinding"


def scenario(active: float, control: float, cut: float = 0.2) -> tuple[str, tuple[str, str]]:
    """The name of the scenario and the classes of both arms, from their Bang indices."""
    classes = classify(active, cut), classify(control, cut)
    return SCENARIOS[classes], classes


def arm_index(
    guesses: ArmGuesses,
    *,
    dont_knows: str = "kept",
    somewhat_weight: float | None = None,
    add_half: bool = False,
    interval: str = "normal",
    cut: float = 0.2,
    level: float = 0.95,
) -> ArmIndex:
    """Bang's index of one arm.

    `interval` is `normal` (Bang 2004) or `score` (Tango 1998; strong guesses only), which keeps
    its coverage in small arms and near ±1, where the normal one is too short.

    `somewhat_weight` is the weight of a weak guess (1 for a strong one); a table that has weak
    guesses must be given one. `add_half` adds ½ to each kind of guess where all answers are of one
    kind, which otherwise leaves no interval.
    """
    if guesses.graded and somewhat_weight is None:
        raise InputError(
            f"{guesses.trial}, arm {guesses.arm}: there are weak guesses; say what they weigh "
            f"(somewhat_weight, e.g. 0.5)."
        )
    weak = 0.0 if somewhat_weight is None else somewhat_weight
    if not 0 <= weak <= 1:
        raise InputError(
            f"A weak guess weighs between 0 (nothing) and 1 (as a strong one); {weak:g} does not."
        )
    counts = guesses.counts(dont_knows)
    weights = (1.0, weak, -weak, -1.0, 0.0)
    found = indices.bang(counts, weights)
    status, reason = found.status, found.reason
    if status == "degenerate" and add_half:
        found = indices.bang(_half_added(counts, guesses.graded, dont_knows), weights)
        status, reason = "half_added", "One half added to each kind of guess."
    index = Estimate(value=found.value, se=found.se, method="Bang 2004")
    low, high, lower = _limits(index, counts, interval, guesses, level)
    return ArmIndex(
        trial=guesses.trial,
        arm=guesses.arm,
        role=guesses.role,
        respondent=guesses.respondent,
        time=guesses.time,
        n=guesses.n,
        dont_know_share=guesses.dont_know / guesses.n,
        dont_knows=dont_knows,
        index=index,
        interval=(low, high),
        lower=lower,
        shown=lower > 0 and (status != "degenerate" or interval == "score"),
        guess="undefined" if status == "undefined" else classify(index.value, cut),
        status=status,
        reason=reason,
    )


def trial_blinding(
    arms: Sequence[ArmGuesses],
    *,
    somewhat_weight: float | None = None,
    add_half: bool = False,
    interval: str = "normal",
    cut: float = 0.2,
    level: float = 0.95,
) -> TrialBlinding:
    """All indices of one trial, one kind of respondent, one time.

    Raises InputError when the arms belong to different trials or a role is absent.
    """
    first = _one_trial(arms)
    table = {role: _merged([a for a in arms if a.role == role]) for role in ROLES}
    each = [
        arm_index(
            a,
            dont_knows=treatment,
            somewhat_weight=somewhat_weight,
            add_half=add_half,
            interval=interval,
            cut=cut,
            level=level,
        )
        for a in arms
        for treatment in DONT_KNOWS
    ]
    merged = [arm_index(table[r], somewhat_weight=somewhat_weight, cut=cut) for r in ROLES]
    name, classes = scenario(merged[0].index.value, merged[1].index.value, cut)
    james, james_interval, kappa, notes = _whole_trial(table, level)
    active, control = table["active"], table["control"]
    believed = active.all_correct, active.n, control.all_wrong, control.n
    sbi, low, high = indices.sbi(*believed, level)
    right = active.all_correct + control.all_correct
    guessed = right + active.all_wrong + control.all_wrong
    return TrialBlinding(
        trial=first.trial,
        respondent=first.respondent,
        time=first.time,
        arms=tuple(each),
        correct_of_all=right / (active.n + control.n),
        correct_of_guessers=right / guessed if guessed else None,
        scenario=name,
        scenario_classes=classes,
        james=james,
        james_interval=james_interval,
        james_shown=None if james_interval is None else james_interval[1] < 0.5,
        sbi=Estimate(value=sbi.value, se=sbi.se, method="SBI, Petroff 2024 (Newcombe limits)"),
        sbi_interval=(low, high),
        sbi_p=indices.sbi_p_value(*believed),
        kappa=kappa,
        kappa_band=None if kappa is None else kappa_band(kappa.value),
        cut=cut,
        level=level,
        notes=tuple(notes),
        method=f"Bang 2004, James 1996, SBI 2024; weak guesses weigh {somewhat_weight}; "
        f"one half {'added' if add_half else 'not added'} to one-sided arms; {interval} limits",
        inputs=digest_of(list(arms)),
    )


def _limits(
    index: Estimate, counts: Sequence[float], interval: str, guesses: ArmGuesses, level: float
) -> tuple[float, float, float]:
    """Two-sided limits and the one-sided lower limit."""
    if interval not in INTERVALS:
        raise unknown_name("interval for Bang's index", interval, INTERVALS)
    if interval == "normal" or index.se != index.se:
        low, high = index.interval(level)
        return low, high, index.interval(2 * level - 1)[0]
    if guesses.graded:
        raise InputError(
            f"{guesses.trial}, arm {guesses.arm}: the score interval is for strong guesses only; "
            f"use the normal one with weak guesses."
        )
    right, _, _, wrong, unknown = counts
    total = right + wrong + unknown
    low, high = indices.bang_score_interval(right, wrong, total, level)
    return low, high, indices.bang_score_interval(right, wrong, total, 2 * level - 1)[0]


def _whole_trial(
    table: dict[str, ArmGuesses], level: float
) -> tuple[Estimate | None, tuple[float, float] | None, Estimate | None, list[str]]:
    active, control = table["active"], table["control"]
    guessed = [
        [active.all_correct, control.all_wrong],
        [active.all_wrong, control.all_correct],
    ]
    notes = []
    james = indices.james([*guessed, [active.dont_know, control.dont_know]])
    if james.status != "ok":
        notes.append(f"James: {james.reason}")
    kappa = indices.kappa(guessed)
    if kappa.status != "ok":
        notes.append(f"Kappa: {kappa.reason}")
    james_value = james_interval = kappa_value = None
    if james.status != "undefined":
        half = two_sided_z(level) * james.se
        james_value = Estimate(value=james.value, se=james.se, method="James 1996")
        james_interval = (max(0.0, james.value - half), min(1.0, james.value + half))
    if kappa.status != "undefined":
        kappa_value = Estimate(value=kappa.value, se=kappa.se, method="Cohen's kappa")
    return james_value, james_interval, kappa_value, notes


def _half_added(counts: Sequence[float], graded: bool, dont_knows: str) -> list[float]:
    used = (True, graded, graded, True, dont_knows == "kept")
    return [c + 0.5 if here else c for c, here in zip(counts, used, strict=True)]


def _one_trial(arms: Sequence[ArmGuesses]) -> ArmGuesses:
    if not arms:
        raise InputError("There are no arms. Give at least one active and one control arm.")
    first = arms[0]
    for arm in arms:
        if (arm.trial, arm.respondent, arm.time) != (first.trial, first.respondent, first.time):
            raise InputError(
                f"Arms of {first.trial} ({first.respondent}) and {arm.trial} ({arm.respondent}) "
                f"do not belong together. Give one trial, respondent and time at a time."
            )
    for role in ROLES:
        if not any(a.role == role for a in arms):
            raise InputError(f"{first.trial} ({first.respondent}): no arm has the role {role!r}.")
    return first


def _merged(arms: Sequence[ArmGuesses]) -> ArmGuesses:
    sums = {
        name: sum(getattr(a, name) for a in arms)
        for name in ("correct", "wrong", "dont_know", "somewhat_correct", "somewhat_wrong")
    }
    return replace(arms[0], arm="+".join(a.arm for a in arms), **sums)
