"""Two regimens on the same patients: paired differences, patient by patient and set by set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.crossed import Crossed
from klarsyn.pharmacology.ensemble import Band, band
from klarsyn.pharmacology.session import Simulation
from klarsyn.pharmacology.simulate import Exposure

DAYS = (1.0, 7.0, 14.0, 28.0)
PERCENTILES = (5.0, 50.0, 95.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRatio:
    """A quantity under the first regimen over the same patient's under the second.

    `percentiles` (5, 50, 95) are over patients; `share_higher` is the share in whom the first gives
    more.
    """

    name: str
    percentiles: tuple[float, float, float]
    share_higher: float

    def summary(self) -> str:
        """One line."""
        low, middle, high = self.percentiles
        return (
            f"{self.name}: {middle:.3g} ({low:.3g} to {high:.3g}), higher in "
            f"{self.share_higher:.0%} of patients"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedPoints:
    """Points by which the first regimen leaves the score lower (positive: better) at one time.

    `sets` has the verdict over parameter sets, of the patients' mean; `patients` are the 5th, 50th
    and 95th percentile over patients in the middle set.
    """

    day: float
    sets: Band
    patients: tuple[float, float, float]

    def summary(self) -> str:
        """One line."""
        low, _, high = self.patients
        return f"{self.sets.summary()}; patients {low:.3g} to {high:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two simulations of the same patients; ratios and points are first against second."""

    first: str
    second: str
    n: int
    ratios: tuple[PairedRatio, ...]
    points: tuple[PairedPoints, ...]
    seed: int

    def summary(self) -> str:
        """What is compared, then one line a quantity."""
        head = (
            f"{self.first}\nagainst {self.second}\nin the same {self.n} patients; AUC is of all "
            f"doses, days count from the first dose of each"
        )
        lines = [r.summary() for r in self.ratios] + [p.summary() for p in self.points]
        return "\n".join([head, *lines])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "first": self.first,
            "second": self.second,
            "n": self.n,
            "seed": self.seed,
            "ratios": [
                {
                    "name": r.name,
                    **dict(zip(("p5", "p50", "p95"), r.percentiles, strict=True)),
                    "share_higher": r.share_higher,
                }
                for r in self.ratios
            ],
            "points": [
                {
                    "day": p.day,
                    "between_sets": p.sets.to_dict(),
                    "between_patients": dict(zip(("p5", "p50", "p95"), p.patients, strict=True)),
                }
                for p in self.points
            ],
        }


def compare(first: Simulation, second: Simulation, *, agreement: float = 0.95) -> Comparison:
    """Paired differences of two simulations with the same seed, model and patients.

    Where less than `agreement` of the parameter sets share a sign, the verdict on the score is
    that it cannot be told from these data. Raises InputError for different patients.
    """
    a, b = first.exposure, second.exposure
    common = min(len(a.subjects), len(b.subjects))
    same = a.seed == b.seed and a.model == b.model
    if not (same and np.array_equal(a.subjects[:common], b.subjects[:common])):
        raise InputError(
            "the two simulations do not hold the same patients. Use one seed and one model."
        )
    ratios = _exposures(a, b, common)
    points: tuple[PairedPoints, ...] = ()
    if first.crossed is not None and second.crossed is not None:
        ratios += _acute(first.crossed, second.crossed)
        points = _points(first.crossed, second.crossed, agreement)
    return Comparison(
        first=f"{a.form}, {a.regimen}",
        second=f"{b.form}, {b.regimen}",
        n=common,
        ratios=tuple(ratios),
        points=points,
        seed=a.seed,
    )


def _exposures(a: Exposure, b: Exposure, common: int) -> list[PairedRatio]:
    found = []
    for analyte in a.analytes:
        if analyte not in b.metrics:
            continue
        for metric, words in (("cmax", "Cmax"), ("auc", "AUC")):
            one, two = a.metrics[analyte][metric][:common], b.metrics[analyte][metric][:common]
            found.append(_ratio(f"{words} of {analyte}, ratio", one, two))
    return [f for f in found if f is not None]


def _ratio(name: str, one: np.ndarray, two: np.ndarray) -> PairedRatio | None:
    good = np.isfinite(one) & np.isfinite(two) & (two > 0)
    if not good.any():
        return None
    ratio = one[good] / two[good]
    low, middle, high = (float(v) for v in np.percentile(ratio, PERCENTILES))
    return PairedRatio(
        name=name, percentiles=(low, middle, high), share_higher=float((ratio > 1).mean())
    )


def _acute(a: Crossed, b: Crossed) -> list[PairedRatio]:
    """Peaks in the middle of the sets, patient by patient."""
    common = min(len(a.subjects), len(b.subjects))
    named: Sequence[tuple[str, np.ndarray, np.ndarray]] = (
        ("Occupancy at its peak, ratio", a.occupied, b.occupied),
        ("Dissociation at its peak, ratio", a.felt, b.felt),
    )
    found = [
        _ratio(name, np.median(x[:common], axis=1), np.median(y[:common], axis=1))
        for name, x, y in named
    ]
    return [f for f in found if f is not None]


def _points(a: Crossed, b: Crossed, agreement: float) -> tuple[PairedPoints, ...]:
    common = min(len(a.subjects), len(b.subjects))
    both = np.intersect1d(a.sets, b.sets)
    if not len(both):
        return ()
    in_a, in_b = np.searchsorted(a.sets, both), np.searchsorted(b.sets, both)
    last = min(a.times[-1], b.times[-1]) / 24.0
    found = []
    for day in [d for d in DAYS if d <= last + 1e-9]:
        one = _at(a.times, a.scores[:common, in_a], 24.0 * day)
        two = _at(b.times, b.scores[:common, in_b], 24.0 * day)
        gap = two - one
        within = np.median(np.percentile(gap, PERCENTILES, axis=0), axis=1)
        name = f"{a.measure} points better on day {day:g}"
        found.append(
            PairedPoints(
                day=day,
                sets=band(name, gap.mean(axis=0), agreement=agreement),
                patients=(float(within[0]), float(within[1]), float(within[2])),
            )
        )
    return tuple(found)


def _at(times: np.ndarray, values: np.ndarray, hour: float) -> np.ndarray:
    """Values (n, m, T) at one hour, on the line between the two times around it."""
    k = int(np.clip(np.searchsorted(times, hour), 1, len(times) - 1))
    share = (hour - times[k - 1]) / (times[k] - times[k - 1])
    return (1 - share) * values[:, :, k - 1] + share * values[:, :, k]
