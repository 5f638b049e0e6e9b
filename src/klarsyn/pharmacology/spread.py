"""Two kinds of not knowing, kept apart: how patients differ, and how parameter sets differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
NAMES = tuple(f"p{p:g}" for p in PERCENTILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One quantity over `times` (h, or dose numbers): percentile curves (T,) by name such as 'p5'.

    `sets` is what the data leave open: the median patient in every parameter set. `patients` is
    how patients differ: their percentiles within a set, taken in the middle of all sets. The two
    are never added.
    """

    unit: str
    times: np.ndarray
    sets: Mapping[str, np.ndarray]
    patients: Mapping[str, np.ndarray]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "unit": self.unit,
            "times": self.times.tolist(),
            "between_sets": {k: v.tolist() for k, v in self.sets.items()},
            "between_patients": {k: v.tolist() for k, v in self.patients.items()},
        }

    def rows(self, name: str) -> list[dict[str, Any]]:
        """One plain row for each time and kind of spread."""
        return [
            {
                "quantity": name,
                "unit": self.unit,
                "time": float(t),
                "over": over,
                **{k: float(v[i]) for k, v in curves.items()},
            }
            for over, curves in (("sets", self.sets), ("patients", self.patients))
            for i, t in enumerate(self.times)
        ]


def spread(values: np.ndarray, times: Any, unit: str) -> Spread:
    """From values (patients, sets, T) to both spreads."""
    # Sorted by registers, then partitioned: a quarter of what partitioning alone takes.
    ordered = np.sort(values, axis=0)
    within = np.percentile(ordered, PERCENTILES, axis=0, overwrite_input=True)
    middle = within[PERCENTILES.index(50.0)]
    return Spread(
        unit=unit,
        times=np.asarray(times, float),
        sets=dict(zip(NAMES, np.percentile(middle, PERCENTILES, axis=0), strict=True)),
        patients=dict(zip(NAMES, np.median(within, axis=1), strict=True)),
    )
