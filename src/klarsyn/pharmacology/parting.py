"""How far the changes of patients lie apart, beside what trials report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.pharmacology.between import Between

PERCENTILES = (5.0, 50.0, 95.0)
DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """SD of the change of a score over patients, `day` days from the first dose.

    `arm` is drug or placebo. `own` is the SD of the patients' own scores, `rated` that of single
    ratings before and after, as a trial reports it: sqrt(own^2 + 2 noise^2); 5th, 50th and 95th
    percentile over parameter sets. `seen` are the least and largest SD that the file's trials
    report, of `arms` arms.
    """

    day: float
    arm: str
    own: tuple[float, float, float]
    rated: tuple[float, float, float]
    seen: tuple[float, float]
    arms: int

    def summary(self, measure: str) -> str:
        """One line."""
        return (
            f"SD of change on day {self.day:g}, {self.arm}, {measure} points: patients "
            f"{_three(self.own)}; as rated {_three(self.rated)}; trials report "
            f"{self.seen[0]:.1f} to {self.seen[1]:.1f} ({self.arms} arms)"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        names = ("p5", "p50", "p95")
        return {
            "day": self.day,
            "arm": self.arm,
            "between_patients": dict(zip(names, self.own, strict=True)),
            "as_rated": dict(zip(names, self.rated, strict=True)),
            "trials_report": list(self.seen),
            "arms": self.arms,
        }


def _three(values: tuple[float, float, float]) -> str:
    return f"{values[1]:.1f} ({values[0]:.1f} to {values[2]:.1f})"


def partings(
    between: Between, whole: Mapping[str, np.ndarray], times: np.ndarray, stable: np.ndarray
) -> tuple[Parting, ...]:
    """The SD of change at every day that the file's trials report and the courses reach.

    `whole` holds `scores` and `placebo` (n, m, T) of the sets that are `stable`. Nothing for one
    patient, which has no SD.
    """
    if len(whole["scores"]) < 2:
        return ()
    found = []
    noise = between.noise[stable]
    for row in between.constants.rest.get("seen", ()):
        hour = DAY * float(row["day"])
        at = int(np.argmin(np.abs(times - hour)))
        if times[-1] < hour - 1e-9:
            continue
        for arm, name in (("drug", "scores"), ("placebo", "placebo")):
            own = whole[name][:, :, at].std(axis=0, ddof=1)
            seen = [between.constants[k] for k in row[arm]]
            found.append(
                Parting(
                    day=float(row["day"]),
                    arm=arm,
                    own=_percentiles(own),
                    rated=_percentiles(np.sqrt(own**2 + 2.0 * noise**2)),
                    seen=(min(seen), max(seen)),
                    arms=len(seen),
                )
            )
    return tuple(found)


def _percentiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, PERCENTILES)
    return float(low), float(middle), float(high)
