"""Experiments as records: what was done, what was seen, and the check that a model must pass.

A check is a line such as `blocked.effect@24 < 0.75 * control.effect@24`: products of numbers,
parameters and quantities `run.measure@when`. When is in hours, or `peak`, `peak_time`, or
`mean:from:to`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.runs import Course, Study, hazard_course, simulate_run

ROLES = ("accept", "report")
MEASURES = (
    "effect",
    "functional",
    "spines",
    "commitment",
    "surge",
    "inhibition",
    "eef2_fall",
    "hazard",
)
_QUANTITY = re.compile(r"([a-z_0-9]+)\.([a-z_0-9]+)@([a-z_0-9.:]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One record. `role` is `accept` (a set must pass) or `report` (only counted)."""

    id: str
    title: str
    observation: str
    source: str
    role: str
    why_reported: str
    checks: tuple[str, ...]

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that its checks read."""
        found = [m[1] for check in self.checks for m in _QUANTITY.finditer(check)]
        return tuple(dict.fromkeys(found))


def read_experiments(study: Study) -> tuple[Experiment, ...]:
    """The experiments of a response model, each check understood.

    Raises InputError or UnknownNameError naming the experiment and the word that is wrong.
    """
    found = []
    for data in study.data.get("experiments", ()):
        where = f"{study.id}, experiment {data['id']}"
        if data["role"] not in ROLES:
            raise unknown_name("role", data["role"], ROLES, where)
        if data["source"] not in study.constants.sources:
            raise unknown_name("source", data["source"], study.constants.sources, where)
        experiment = Experiment(
            id=data["id"],
            title=data["title"],
            observation=data["observation"],
            source=data["source"],
            role=data["role"],
            why_reported=data.get("why_reported", ""),
            checks=tuple(data["checks"]),
        )
        for check in experiment.checks:
            _check_words(study, check, where)
        found.append(experiment)
    return tuple(found)


def _check_words(study: Study, check: str, where: str) -> None:
    for factor in (f for side in _sides(check, where) for f in side):
        if match := _QUANTITY.fullmatch(factor):
            study.run(match[1])
            if match[2] not in MEASURES:
                raise unknown_name("measure", match[2], MEASURES, where)
        elif factor not in study.data["priors"] and not _is_number(factor):
            raise unknown_name("parameter", factor, study.data["priors"], where)


def _sides(check: str, where: str) -> tuple[list[str], list[str]]:
    parts = re.split(r"\s[<>]\s", check)
    if len(parts) != 2:
        raise InputError(f"{where}: {check!r} must be two sides with one ' < ' or ' > '.")
    left, right = ([f.strip() for f in part.split("*")] for part in parts)
    return left, right


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class Runner:
    """Runs of one batch of parameter sets, each computed when first asked for."""

    def __init__(self, study: Study, values: Mapping[str, np.ndarray]) -> None:
        self.study = study
        self.values = values
        self.courses: dict[str, Course] = {}
        self.hazards: dict[str, np.ndarray] = {}

    def course(self, name: str) -> Course:
        """One run in every set of the batch."""
        if name not in self.courses:
            self.courses[name] = simulate_run(self.study, name, self.values)
        return self.courses[name]

    def passes(self, experiment: Experiment) -> np.ndarray:
        """Whether each set (n,) passes all checks; a value that cannot be computed fails."""
        found = np.ones(len(self.values["selectivity"]), bool)
        for check in experiment.checks:
            found &= self.holds(check)
        return found

    def holds(self, check: str) -> np.ndarray:
        """Whether each set (n,) passes one check."""
        left, right = _sides(check, "check")
        low, high = self.product(left), self.product(right)
        with np.errstate(invalid="ignore"):
            return low < high if " < " in check else low > high

    def product(self, factors: list[str]) -> np.ndarray:
        """A product of numbers, parameters and quantities, (n,)."""
        found = np.ones(len(self.values["selectivity"]))
        for factor in factors:
            if match := _QUANTITY.fullmatch(factor):
                found = found * self.quantity(match[1], match[2], match[3])
            else:
                found = found * (self.values[factor] if factor in self.values else float(factor))
        return found

    def quantity(self, run: str, measure: str, when: str) -> np.ndarray:
        """One measure of one run at a time, (n,)."""
        course = self.course(run)
        path = self._hazard(run) if measure == "hazard" else getattr(course, measure)
        if when == "peak":
            return path.max(axis=1)
        if when == "peak_time":
            return course.times[path.argmax(axis=1)]
        if when.startswith("mean:"):
            low, high = (float(x) for x in when.split(":")[1:])
            inside = (course.times >= low) & (course.times <= high)
            t = course.times[inside]
            return np.trapezoid(path[:, inside], t, axis=1) / (t[-1] - t[0])
        return at_time(course.times, path, float(when))

    def _hazard(self, run: str) -> np.ndarray:
        if run not in self.hazards:
            self.hazards[run] = hazard_course(self.study, self.course(run), self.values)
        return self.hazards[run]


def at_time(times: np.ndarray, path: np.ndarray, when: float) -> np.ndarray:
    """The path (n, T) at one time, linear between times, (n,)."""
    if not times[0] <= when <= times[-1]:
        raise InputError(f"the run has no value at {when:g} h; it ends at {times[-1]:g} h.")
    j = int(np.clip(np.searchsorted(times, when), 1, len(times) - 1))
    share = (when - times[j - 1]) / (times[j] - times[j - 1])
    return path[:, j - 1] * (1 - share) + path[:, j] * share


def described(experiment: Experiment, study: Study) -> dict[str, Any]:
    """A plain row for a table."""
    return {
        "id": experiment.id,
        "experiment": experiment.title,
        "observed": experiment.observation,
        "source": study.constants.sources[experiment.source].citation,
        "role": experiment.role,
    }
