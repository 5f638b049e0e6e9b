"""What the evidence on a rare harm can and cannot exclude."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.information import information_size_shares
from klarsyn.stats.proportions import difference_interval, two_sided_z
from klarsyn.stats.rates import (
    clopper_pearson,
    overdispersion,
    patients_to_exclude,
    poisson_limits,
    upper_limit,
)
from klarsyn.synthesis.rare import RareEvents, pool_rare
from klarsyn.synthesis.rare_counts import Counts, count_table
from klarsyn.tables import Column, read_table

ROLES = ("test", "control", "single")
ASCERTAINMENT = ("systematic", "spontaneous", "unknown")
# Two that ignore trials without events, and two that keep them.
POOLING = ("MH OR", "Peto", "beta-binomial", "MH RD")
COLUMNS = (
    Column(name="study"),
    Column(name="harm"),
    Column(name="arm", allowed=ROLES),
    Column(name="events", kind="count"),
    Column(name="patients", kind="count", minimum=1),
    Column(name="ascertainment", allowed=ASCERTAINMENT),
    Column(name="years", kind="number", required=False, may_be_empty=True, above=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmRecord:
    """Patients with one harm in one arm; `years` is their exposure in person-years, or None.

    `arm` is `test`, `control`, or `single` for exposure without a control group.
    """

    study: str
    harm: str
    arm: str
    events: int
    patients: int
    ascertainment: str
    years: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Whether one rate is excluded: the exact upper limit lies below it.

    `needed` patients in all if events keep coming as often as so far, `missing` of them still; both
    are None where the share seen is not below `rate`, so that no number will exclude it.
    """

    rate: float
    excluded: bool
    needed: int | None
    missing: int | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """All exposed patients of one kind of ascertainment, added up.

    `effective` counts patients divided by the multiplier of their ascertainment; limits are for the
    true share under it. `apart` says how many times as far apart the studies lie as chance would
    have them (`overdispersion`): events and patients count that many times less for the limits, so
    that studies that disagree exclude less. `shares` are the lowest and highest seen in a study.
    `per_year` holds the rate with limits where person-years are known.
    """

    name: str
    studies: int
    studies_without_event: int
    events: int
    patients: int
    effective: float
    apart: float
    shares: tuple[float, float]
    upper: float
    interval: tuple[float, float]
    exclusions: tuple[Exclusion, ...]
    per_year: tuple[float, float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {name: getattr(self, name) for name in type(self).__slots__}
        return plain | {"exclusions": [e.to_dict() for e in self.exclusions]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskDifference:
    """Test minus control, as shares, with limits; `trials` holds each trial's own, the same way.

    One trial: Newcombe 1998, method 10. Several: Mantel–Haenszel, which keeps trials without
    events, its standard error times √(Q/(k − 1)) where that is above 1, so that trials that
    disagree widen it (Stanley & Doucouliagos 2015, Stat Med 34:2116).
    """

    value: float
    low: float
    high: float
    apart: float
    trials: tuple[tuple[float, float, float], ...]

    @property
    def adds(self) -> bool:
        """Whether the harm is commoner with the test, taken together or in every trial alone."""
        return self.low > 0 or all(low > 0 for _, low, _ in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmAppraisal:
    """One harm: exposure by ascertainment, and what the controlled trials can compare.

    `pooled` holds several methods side by side, among them one that keeps trials without events;
    None where no controlled trial saw the harm.
    """

    harm: str
    exposures: tuple[Exposure, ...]
    controlled_studies: int
    double_zero_studies: int
    double_zero_patients: int
    comparative_needed: float | None
    comparative_have: int
    comparative_ratio: float
    comparative_background: float | None
    pooled: RareEvents | None
    difference: RiskDifference | None
    multipliers: Mapping[str, float]
    confidence: float
    method: str
    digest: str

    def summary(self) -> str:
        """Sentences: seen, excluded, not excluded, and what the ascertainment does to it."""
        whole = self.exposures[0]
        counted = ""
        if whole.effective < whole.patients:
            counted = f" (counted as {whole.effective:.0f}, for how they were asked)"
        excluded = [e.rate for e in whole.exclusions if e.excluded]
        open_ones = [e for e in whole.exclusions if not e.excluded]
        text = [
            f"{self.harm}: {whole.events} events among {whole.patients} exposed patients"
            f"{counted} in {whole.studies} studies; the true share is below "
            f"{_percent(whole.upper)} with {_percent(self.confidence)} confidence."
        ]
        if excluded:
            text.append(f"A share of {_percent(min(excluded))} or more is excluded.")
        if open_ones:
            worst = max(open_ones, key=lambda e: e.rate)
            text.append(
                f"A share of {_percent(worst.rate)} is not excluded: that needs about "
                f"{worst.needed} such patients, {worst.missing} more."
                if worst.needed
                else f"A share of {_percent(worst.rate)} is what was seen, or less than that."
            )
        if whole.studies > 1:
            text.append(_spread(whole))
        return " ".join(text)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {name: getattr(self, name) for name in type(self).__slots__}
        return plain | {
            "pooled": self.pooled.to_dict() if self.pooled else None,
            "difference": self.difference.to_dict() if self.difference else None,
            "exposures": [e.to_dict() for e in self.exposures],
            "multipliers": dict(self.multipliers),
            "summary": self.summary(),
        }

    def plot(self, **labels: Any) -> Any:
        """Upper limits by ascertainment against the rates in question (Altair)."""
        from klarsyn.figures.harms import upper_limits

        rows = [
            {
                "name": e.name,
                "events": e.events,
                "patients": e.patients,
                "share": e.events / e.patients,
                "upper": e.upper,
            }
            for e in self.exposures
        ]
        rates = [e.rate for e in self.exposures[0].exclusions]
        return upper_limits(rows, rates, **labels)


def read_harms(path: str | Path) -> tuple[HarmRecord, ...]:
    """Read study, harm, arm, events, patients, ascertainment and, where known, years."""
    records = []
    for row, r in read_table(path, COLUMNS).numbered():
        if r["events"] > r["patients"]:
            raise InputError(
                f"{path}: row {row} ({r['study']}): {r['events']} patients with the harm among "
                f"{r['patients']}. Count patients, not episodes."
            )
        fields: dict[str, Any] = {c.name: r.get(c.name) for c in COLUMNS}
        records.append(HarmRecord(**fields))
    return tuple(records)


def appraise_harm(
    records: Sequence[HarmRecord],
    harm: str,
    *,
    rates: Sequence[float],
    multipliers: Mapping[str, float],
    confidence: float = 0.95,
    background: float | None = None,
    ratio: float = 2.0,
) -> HarmAppraisal:
    """State what the exposed patients and the controlled trials say about one harm.

    `rates` are shares that one would like to exclude. `multipliers` say, for each ascertainment,
    how many true cases stand behind one that was reported (1 where everybody was asked); they are
    assumptions and are printed. With a `background` share the controlled trials are held against
    the information size that could tell `ratio` times as many, at 80 % power.
    """
    names = {r.harm for r in records}
    if harm not in names:
        raise unknown_name("harm", harm, names)
    _check_multipliers(multipliers)
    for rate in rates:
        if not 0 < rate < 1:
            raise InputError(f"A rate to exclude is a share between 0 and 1; {rate:g} is not.")
    mine = [r for r in records if r.harm == harm]
    exposed = [r for r in mine if r.arm != "control"]
    if not exposed:
        raise InputError(f"{harm}: no exposed patients, only control arms.")
    kinds = [k for k in ASCERTAINMENT if any(r.ascertainment == k for r in exposed)]
    groups = {"all": exposed} | {k: [r for r in exposed if r.ascertainment == k] for k in kinds}
    arms = _controlled(mine)
    zero = [pair for pair in arms.values() if not any(r.events for r in pair)]
    counts = _counts(arms)
    pooled = pool_rare(counts, POOLING, level=confidence) if counts else None
    return HarmAppraisal(
        harm=harm,
        exposures=tuple(
            _exposure(name, group, rates, multipliers, confidence) for name, group in groups.items()
        ),
        controlled_studies=len(arms),
        double_zero_studies=len(zero),
        double_zero_patients=sum(r.patients for pair in zero for r in pair),
        comparative_needed=_comparative(background, ratio),
        comparative_have=sum(r.patients for pair in arms.values() for r in pair),
        comparative_ratio=ratio,
        comparative_background=background,
        pooled=pooled,
        difference=_difference(counts, pooled, confidence) if counts and pooled else None,
        multipliers=dict(multipliers),
        confidence=confidence,
        method="exact limits of added-up patients (Clopper–Pearson, Garwood), wider where studies "
        "lie further apart than by chance (Pearson's statistic over its degrees of freedom)",
        digest=digest_of(mine, list(rates), dict(multipliers), confidence, background, ratio),
    )


def _check_multipliers(multipliers: Mapping[str, float]) -> None:
    for kind in ASCERTAINMENT:
        value = multipliers.get(kind)
        if value is None or not 1 <= value < math.inf:
            raise InputError(
                f"The multiplier of {kind} ascertainment must be stated and at least 1 (true cases "
                f"behind one reported); it is {value}."
            )


def _controlled(records: Sequence[HarmRecord]) -> dict[str, list[HarmRecord]]:
    studies: dict[str, list[HarmRecord]] = {}
    for r in records:
        if r.arm != "single":
            studies.setdefault(r.study, []).append(r)
    return {s: rs for s, rs in studies.items() if {r.arm for r in rs} == {"test", "control"}}


def _counts(arms: Mapping[str, Sequence[HarmRecord]]) -> Counts | None:
    """Test against control, the arms of a study added up; None where nobody had the harm."""

    def total(study: str, arm: str, what: str) -> float:
        return float(sum(getattr(r, what) for r in arms[study] if r.arm == arm))

    if not any(r.events for pair in arms.values() for r in pair):
        return None
    columns = [
        [total(s, arm, what) for s in arms]
        for arm in ("test", "control")
        for what in ("events", "patients")
    ]
    return count_table(list(arms), *columns)


def _difference(counts: Counts, pooled: RareEvents, confidence: float) -> RiskDifference | None:
    x1, n1, x2, n2 = counts.arrays
    limits = difference_interval(x1, n1, x2, n2, method="newcombe", level=confidence)
    each = np.stack([x1 / n1 - x2 / n2, limits.low, limits.high], axis=1)
    own = tuple((float(d), float(low), float(high)) for d, low, high in each)
    if len(own) == 1:
        value, low, high = own[0]
        return RiskDifference(value=value, low=low, high=high, apart=1.0, trials=own)
    fit = pooled.fit("MH RD")
    if fit.estimate is None:
        return None
    value = fit.estimate.value
    apart = max([1.0, *(t.value / t.df for t in fit.tests if t.name == "Cochran Q" and t.df)])
    half = two_sided_z(confidence) * fit.estimate.se * math.sqrt(apart)
    return RiskDifference(
        value=value,
        low=max(-1.0, value - half),
        high=min(1.0, value + half),
        apart=apart,
        trials=own,
    )


def _exposure(
    name: str,
    group: Sequence[HarmRecord],
    rates: Sequence[float],
    multipliers: Mapping[str, float],
    confidence: float,
) -> Exposure:
    events, patients = sum(r.events for r in group), sum(r.patients for r in group)
    effective = sum(r.patients / multipliers[r.ascertainment] for r in group)
    studies = dict.fromkeys(r.study for r in group)
    of = [[r for r in group if r.study == s] for s in studies]
    seen = [sum(r.events for r in some) for some in of]
    counting = [sum(r.patients / multipliers[r.ascertainment] for r in some) for some in of]
    shares = [x / sum(r.patients for r in some) for x, some in zip(seen, of, strict=True)]
    apart = overdispersion(seen, counting)
    told, counted = events / apart, max(effective, float(events)) / apart
    limit = upper_limit(told, counted, confidence)
    return Exposure(
        name=name,
        studies=len(of),
        studies_without_event=len({r.study for r in group if r.events == 0}),
        events=events,
        patients=patients,
        effective=effective,
        apart=apart,
        shares=(min(shares), max(shares)),
        upper=limit,
        interval=clopper_pearson(told, counted, confidence),
        exclusions=tuple(
            _exclusion(rate, limit, events, patients, patients / effective, apart, confidence)
            for rate in rates
        ),
        per_year=_per_year(group, confidence),
    )


def _exclusion(
    rate: float,
    limit: float,
    events: int,
    patients: int,
    multiplier: float,
    apart: float,
    confidence: float,
) -> Exclusion:
    if limit < rate:
        return Exclusion(rate=rate, excluded=True, needed=patients, missing=0)
    seen = multiplier * events / patients
    if seen >= rate:
        return Exclusion(rate=rate, excluded=False, needed=None, missing=None)
    alone = patients_to_exclude(rate, background=seen, confidence=confidence)
    needed = max(patients, round(alone * multiplier * apart))
    return Exclusion(rate=rate, excluded=False, needed=needed, missing=needed - patients)


def _per_year(group: Sequence[HarmRecord], confidence: float) -> tuple[float, float, float] | None:
    timed = [r for r in group if r.years]
    if not timed:
        return None
    events, years = sum(r.events for r in timed), sum(r.years or 0.0 for r in timed)
    return (events / years, *poisson_limits(events, years, confidence))


def _comparative(background: float | None, ratio: float) -> float | None:
    if background is None:
        return None
    return information_size_shares(background, background * ratio)


def _spread(whole: Exposure) -> str:
    """What several studies do to the limit: `validation/rare` says how far to trust it."""
    if whole.apart == 1:
        return "The studies seem to differ only by chance; if they do not, the limit is too low."
    lowest, highest = (_percent(x) for x in whole.shares)
    return (
        f"The studies lie {whole.apart:.2g} times as far apart as by chance ({lowest} to {highest} "
        "seen): the limit is wider for it and speaks of the average study."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
