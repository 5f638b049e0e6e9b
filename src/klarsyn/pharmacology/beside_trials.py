"""What trials of like regimens found, beside the simulated difference from placebo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.pharmacology.between import Between
from klarsyn.pharmacology.crossing import Plan

PERCENTILES = (5.0, 50.0, 95.0)
DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideTrial:
    """Points below control that one trial found, and points below placebo simulated at that time.

    Positive: better than control. `day` counts from the first dose, or from the last one where the
    trial rated `after_last`. `label` and `control` are in the page's languages; `limits` are the
    trial's own 95 % limits, None where it prints none; `here` the 5th, 50th and 95th percentile
    over the parameter sets of the patients' mean. The sets were not fitted to the trial.
    """

    label: Mapping[str, str]
    control: Mapping[str, str]
    day: float
    after_last: bool
    found: float
    limits: tuple[float, float] | None
    here: tuple[float, float, float]
    source: str

    @property
    def when(self) -> str:
        """The time of the rating in words."""
        return f"{_days(self.day)} after the {'last' if self.after_last else 'first'} dose"

    def summary(self, measure: str) -> str:
        """One line."""
        low, middle, high = self.here
        limits = "" if self.limits is None else f" ({self.limits[0]:.1f} to {self.limits[1]:.1f})"
        return (
            f"{measure} points below control {self.when}: {self.label['en']}, against "
            f"{self.control['en']}, found {self.found:.1f}{limits}; here {middle:.1f} "
            f"({low:.1f} to {high:.1f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "trial": self.label["en"],
            "control": self.control["en"],
            "when": self.when,
            "found": self.found,
            "limits": None if self.limits is None else list(self.limits),
            "here": dict(zip(("p5", "p50", "p95"), self.here, strict=True)),
            "source": self.source,
        }


def _days(day: float) -> str:
    return f"{day:g} day" if day == 1 else f"{day:g} days"


def beside_trials(
    between: Between | None, plan: Plan, form: str, gap: np.ndarray
) -> tuple[BesideTrial, ...]:
    """The trials of the file of patients that gave this form this way and as often.

    `gap` (n, m, T) are points below placebo at the plan's hours. A trial with a `day` was rated in
    the middle of its course, one with `after_last` so many days after its last dose.
    """
    if between is None or plan.driven:
        return ()
    hours = np.array([h for h, _ in plan.checks])
    routes = {step.route for step in plan.regimen.steps}
    found = []
    for row in between.constants.rest.get("trials", ()):
        middle = "day" in row
        hour = DAY * row["day"] if middle else plan.last + DAY * row["after_last"]
        given = int((hours < hour - 1e-6).sum())
        fewest, most = row["doses"]
        alike = row["form"] == form and routes == {row["route"]} and fewest <= given <= most
        if alike and hour <= plan.shown[-1] + 1e-9:
            found.append(_beside(between, row, hour, plan.shown, gap))
    return tuple(found)


def _beside(
    between: Between, row: Mapping[str, Any], hour: float, hours: np.ndarray, gap: np.ndarray
) -> BesideTrial:
    name = row["number"]
    at = int(np.argmin(np.abs(hours - hour)))
    low, middle, high = np.percentile(gap[:, :, at].mean(axis=0), PERCENTILES)
    numbers = between.constants.numbers
    limits = f"{name}_low", f"{name}_high"
    known = all(x in numbers for x in limits)
    return BesideTrial(
        label=row["label"],
        control=row["control"],
        day=float(row["day"] if "day" in row else row["after_last"]),
        after_last="after_last" in row,
        found=numbers[name].value,
        limits=(numbers[limits[0]].value, numbers[limits[1]].value) if known else None,
        here=(float(low), float(middle), float(high)),
        source=between.constants.sources[numbers[name].source].citation,
    )
