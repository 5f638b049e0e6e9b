"""GRADE as suggestions with a written reason each; a named person confirms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.information import with_heterogeneity

LEVELS = ("Very low", "Low", "Moderate", "High")
GUIDES = (0.75, 1.25)  # ratios that GRADE takes as appreciable where no thresholds are declared
OPPOSED = "One trial finds clearly more and another clearly less."
DOMAINS = (
    "risk of bias",
    "inconsistency",
    "indirectness",
    "imprecision",
    "publication bias",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Sizes of an absolute effect that would be called small, moderate and large, all above 0.

    `unit` is e.g. "scale points" or "per 1000"; `origin` says who declared them and on what ground.
    A change within a person is no such threshold: it must not be used between groups.
    """

    small: float
    moderate: float
    large: float
    unit: str
    origin: str

    def __post_init__(self) -> None:
        if not 0 < self.small < self.moderate < self.large:
            raise InputError(
                f"Thresholds must rise from above 0: {self.small:g}, {self.moderate:g}, "
                f"{self.large:g}."
            )

    def borders(self) -> tuple[float, ...]:
        """All borders from large harm to large benefit.

        The null is none of them: it lies inside the trivial effects (GRADE guidance 34 and 35).
        """
        up = (self.small, self.moderate, self.large)
        return (*(-t for t in reversed(up)), *up)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A domain's suggested change of certainty (0, −1, −2 or −3) and why."""

    domain: str
    change: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"domain": self.domain, "change": self.change, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a person decided for a domain: the change, by whom, when and why."""

    domain: str
    change: int
    who: str
    when: str
    why: str


def imprecision(
    estimate: Estimate,
    thresholds: Thresholds | None,
    *,
    participants: int,
    information_size: float,
    diversity_share: float = 0.0,
    level: float = 0.95,
) -> Suggestion:
    """Imprecision of an absolute effect from thresholds and information size (GRADE 34, 2022).

    The interval crosses no threshold: no change, unless the effect is large and the information
    size is not met. One: −1. Two or more, or less than half of the information size: −2; both: −3.
    Without thresholds the null alone is held against the interval.
    `information_size` is that of one trial; D² (`diversity_share`) inflates it.
    """
    _check_participants(participants)
    information_size = with_heterogeneity(information_size, diversity_share)
    low, high = estimate.interval(level)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"The effect's interval must be two numbers: {low:g}, {high:g}.")
    borders = thresholds.borders() if thresholds else (0.0,)
    unit = thresholds.unit if thresholds else ""
    crossed = [b for b in borders if low < b < high]
    share = participants / information_size
    short = share < 1
    grossly = share < 0.5
    large = thresholds is not None and abs(estimate.value) >= thresholds.large
    change = -min(len(crossed), 2)
    if len(crossed) >= 2 and grossly:
        change = -3
    elif grossly:
        change = min(change, -2)
    elif not crossed and short and large:
        change = -1
    listed = ", ".join(f"{b:g}" for b in crossed)
    where = f"crosses {listed} {unit}".rstrip() if crossed else "crosses no threshold"
    return Suggestion(
        domain="imprecision",
        change=change,
        reason=(
            f"The {level:.0%} interval, {low:.3g} to {high:.3g} {unit}".rstrip()
            + f", {where}; {participants} participants are {share:.0%} of the "
            f"{information_size:.0f} that are needed"
            + (f" at a diversity of {diversity_share:.0%}." if diversity_share else ".")
        ),
    )


def _check_participants(participants: int) -> None:
    if not participants > 0:
        raise InputError(f"Participants must be above 0; there are {participants:g}.")


def imprecision_of_ratio(
    low: float,
    high: float,
    *,
    participants: int,
    information_size: float,
    diversity_share: float = 0.0,
) -> Suggestion:
    """Imprecision where no absolute thresholds exist: a ratio's limits against 0.75 and 1.25.

    An interval that holds 1 and one of them: −1; both: −2. Less than half of the information size:
    −2, and −3 where it holds both; less than all of it: −1.
    """
    if not 0 < low <= high:
        raise InputError(f"The limits of a ratio must rise from above 0: {low:g}, {high:g}.")
    _check_participants(participants)
    information_size = with_heterogeneity(information_size, diversity_share)
    crossed = [b for b in (GUIDES[0], 1.0, GUIDES[1]) if low < b < high]
    share = participants / information_size
    change = -min(2, len([b for b in crossed if b != 1.0])) if 1.0 in crossed else 0
    if share < 0.5:
        change = -3 if change == -2 else -2
    elif share < 1 and change == 0:
        change = -1
    return Suggestion(
        domain="imprecision",
        change=change,
        reason=(
            f"The ratio's interval, {low:.2f} to {high:.2f}, holds "
            f"{', '.join(f'{b:g}' for b in crossed) or 'none of 0.75, 1 and 1.25'}; "
            f"{participants} participants are {share:.0%} of the {information_size:.0f} needed."
        ),
    )


def risk_of_bias(
    weight_in_high: float,
    conclusion_survives: bool | None,
    *,
    unblinding: UnblindingTip | None = None,
) -> Suggestion:
    """Risk of bias from the weight in high-risk trials, and functional unblinding, once.

    `conclusion_survives` says whether it stands without those trials, None where too few would be
    left to tell. Unblinding adds at most one level, here and in no other domain.
    """
    if not 0 <= weight_in_high <= 1 + 1e-12:
        raise InputError(f"The weight in high-risk trials is a share; {weight_in_high:g} is not.")
    change, reasons = 0, [f"{weight_in_high:.0%} of the weight lies in trials at high risk"]
    if weight_in_high > 0:
        if conclusion_survives is None:
            change, extra = -1, "without them too few trials are left to tell"
        elif not conclusion_survives:
            change, extra = (
                (-2 if weight_in_high > 0.5 else -1),
                "the conclusion falls without them",
            )
        else:
            change, extra = (
                (-1 if weight_in_high > 0.5 else 0),
                "the conclusion stands without them",
            )
        reasons.append(extra)
    if unblinding:
        change += -1 if unblinding.falls else 0
        reasons.append(unblinding.sentence())
    text = "; ".join(reasons)
    return Suggestion(domain="risk of bias", change=max(change, -2), reason=f"{text}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblindingTip:
    """The belief effect at which the conclusion falls, and the range that others found plausible.

    All in the effect's unit, as sizes above 0. `tip` is infinite where no belief effect suffices.
    """

    tip: float
    plausible: float
    unit: str
    source: str

    @property
    def falls(self) -> bool:
        """Whether a plausible belief effect alone could explain the result."""
        return self.tip <= self.plausible

    def sentence(self) -> str:
        """The comparison in words."""
        size = "no belief effect" if math.isinf(self.tip) else f"a belief effect of {self.tip:.3g}"
        verdict = (
            "so broken masking lowers certainty" if self.falls else "so masking is not counted"
        )
        return (
            f"{size} {self.unit} would overturn it and up to {self.plausible:.3g} is plausible "
            f"({self.source}), {verdict}"
        )


def inconsistency(
    estimate: Estimate,
    prediction: tuple[float, float],
    thresholds: Thresholds | None,
    *,
    i2: float,
    studies: int,
    opposed: bool = False,
    level: float = 0.95,
) -> Suggestion:
    """Inconsistency: what new settings could see (prediction interval) beyond the mean's interval.

    Extra borders that only the prediction interval crosses: one −1, two or more −2. `opposed`
    trials, the interval of one wholly below no effect and that of another wholly above, are −1 at
    least: a mean whose interval holds both does not make them agree (GRADE guidelines 7, Guyatt
    2011). I² is told, but decides nothing: it grows with the size of the trials.
    """
    if studies < 2:
        return Suggestion(
            domain="inconsistency", change=0, reason="One study cannot contradict itself."
        )
    low, high = estimate.interval(level)
    borders = thresholds.borders() if thresholds else (0.0,)
    extra = [b for b in borders if prediction[0] < b < prediction[1] and not low < b < high]
    shown = math.exp if estimate.scale == "log" else float
    return Suggestion(
        domain="inconsistency",
        change=-max(int(opposed), min(len(extra), 2)),
        reason=(
            (f"{OPPOSED} " if opposed else "")
            + f"A new setting may see {shown(prediction[0]):.3g} to {shown(prediction[1]):.3g} "
            f"(I² {i2:.0%}, {studies} studies), which crosses "
            f"{', '.join(f'{shown(b):g}' for b in extra) or 'nothing'} beyond the mean's own "
            f"interval."
        ),
    )


def indirectness(differences: Mapping[str, str], serious: Sequence[str] = ()) -> Suggestion:
    """Indirectness from listed differences (patients, drug form, dose, comparator, outcome).

    `differences` maps an aspect to a sentence; each aspect in `serious` lowers by one, at most two.
    """
    for name in serious:
        if name not in differences:
            raise unknown_name("difference", name, differences)
    if not differences:
        return Suggestion(domain="indirectness", change=0, reason="No difference was recorded.")
    text = "; ".join(f"{aspect}: {words}" for aspect, words in differences.items())
    return Suggestion(domain="indirectness", change=-min(2, len(serious)), reason=f"{text}.")


def publication_bias(
    missing_results: int | None,
    unclear_results: int | None,
    studies: int,
    *,
    nulls_to_flip: float | None,
) -> Suggestion:
    """Publication bias from the ROB-ME matrix and from how many null studies would overturn it.

    `missing_results` are known to be withheld because of what they show. None means that nobody
    looked, or computed; `nulls_to_flip` is infinite where no number tried overturns the result.
    That few would overturn it speaks of imprecision: only results that the matrix misses count.
    """
    lost = (missing_results or 0) + (unclear_results or 0)
    fragile = nulls_to_flip is not None and nulls_to_flip <= lost
    change = -1 if missing_results or fragile else 0
    if missing_results is None:
        matrix = f"Nobody recorded whether results are missing beside {studies} with results"
    else:
        matrix = (
            f"{missing_results} results are missing because of what they show and "
            f"{unclear_results or 0} for unclear reasons, beside {studies} with results"
        )
    if nulls_to_flip is None:
        flip = "how many unseen null studies would overturn it was not computed"
    elif math.isinf(nulls_to_flip):
        flip = "no number tried of unseen null studies overturns it"
    else:
        flip = f"{nulls_to_flip:g} unseen null studies of usual size would overturn it"
    return Suggestion(domain="publication bias", change=change, reason=f"{matrix}; {flip}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """Suggested certainty of one outcome and, where a person has confirmed, the certainty."""

    outcome: str
    start: str
    suggestions: tuple[Suggestion, ...]
    confirmations: tuple[Confirmation, ...]
    suggested: str
    confirmed: str | None
    open_domains: tuple[str, ...]
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence; a suggestion is never called a judgement."""
        if self.confirmed:
            return f"{self.outcome}: {self.confirmed} certainty, confirmed."
        return (
            f"{self.outcome}: {self.suggested} certainty suggested; to be confirmed: "
            f"{', '.join(self.open_domains)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "outcome": self.outcome,
            "start": self.start,
            "suggested": self.suggested,
            "confirmed": self.confirmed,
            "open_domains": list(self.open_domains),
            "domains": [s.to_dict() for s in self.suggestions],
            "confirmations": [
                {k: getattr(c, k) for k in ("domain", "change", "who", "when", "why")}
                for c in self.confirmations
            ],
            "method": self.method,
            "digest": self.digest,
        }


def grade(
    outcome: str,
    suggestions: Sequence[Suggestion],
    *,
    confirmations: Sequence[Confirmation] = (),
    start: str = "High",
) -> Certainty:
    """Add up the suggestions from `start` (High for randomised trials, Low otherwise).

    The certainty is confirmed only when a person has confirmed every domain.
    """
    if start not in LEVELS:
        raise unknown_name("certainty", start, LEVELS)
    _check_domains(suggestions, confirmations)
    decided = {c.domain: c.change for c in confirmations}
    missing = tuple(s.domain for s in suggestions if s.domain not in decided)
    confirmed = None
    if not missing and len(suggestions) == len(DOMAINS):
        confirmed = _level(start, sum(decided.values()))
    return Certainty(
        outcome=outcome,
        start=start,
        suggestions=tuple(suggestions),
        confirmations=tuple(confirmations),
        suggested=_level(start, sum(s.change for s in suggestions)),
        confirmed=confirmed,
        open_domains=missing
        + tuple(d for d in DOMAINS if d not in {s.domain for s in suggestions}),
        method="GRADE, suggestions by rule, confirmation by a person",
        digest=digest_of(outcome, start, list(suggestions), list(confirmations)),
    )


def _level(start: str, change: int) -> str:
    return LEVELS[max(0, min(len(LEVELS) - 1, LEVELS.index(start) + change))]


def _check_domains(
    suggestions: Sequence[Suggestion], confirmations: Sequence[Confirmation]
) -> None:
    for kind, items in (("suggestion", suggestions), ("confirmation", confirmations)):
        names = [item.domain for item in items]
        for name in names:
            if name not in DOMAINS:
                raise unknown_name("GRADE domain", name, DOMAINS)
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise InputError(f"{twice} has more than one {kind}; each domain counts once.")
    for c in confirmations:
        if not (c.who.strip() and c.when.strip() and c.why.strip()):
            raise InputError(f"The confirmation of {c.domain} needs who, when and why.")
        if c.change not in (0, -1, -2, -3):
            raise InputError(f"{c.domain}: the change is 0, -1, -2 or -3, not {c.change}.")
