"""What the accepted sets predict for any exposure: score, relapse, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.ensemble import Band, Ensemble, band, bands_over_time
from klarsyn.pharmacology.experiments import at_time
from klarsyn.pharmacology.runs import Course, Study, course_of, drives_from, score_course
from klarsyn.provenance import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The course of one exposure in every accepted set, arrays (n, T) at `times` (h).

    `score` is with drug and placebo course, `placebo` without drug; lower is better. `effect` is
    the drug's part in logits. A set whose circuit would run away at this exposure is NaN
    throughout and counted in `unstable`.
    """

    label: str
    times: np.ndarray
    score: np.ndarray
    placebo: np.ndarray
    effect: np.ndarray
    course: Course
    unstable: int
    notes: tuple[str, ...]
    method: str
    seed: int
    inputs: str

    def bands(self, what: str = "score") -> dict[str, np.ndarray]:
        """Percentile curves over the stable sets of `score`, `placebo` or `effect`."""
        return bands_over_time(self._stable(what))

    def _stable(self, what: str) -> np.ndarray:
        path = {"score": self.score, "placebo": self.placebo, "effect": self.effect}[what]
        return path[np.isfinite(self.effect).all(axis=1)]

    def difference(self, hours: float, *, agreement: float) -> Band:
        """Points below placebo at one time (positive: better), as a band with its verdict."""
        gap = at_time(self.times, self.placebo - self.score, hours)
        return band(f"{self.label}, points below placebo at {hours:g} h", gap, agreement=agreement)

    def summary(self) -> str:
        """The difference from placebo after a day, and what to keep in mind."""
        day = self.difference(min(24.0, float(self.times[-1])), agreement=0.95)
        return "\n".join([day.summary(), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: percentile courses."""
        return {
            "label": self.label,
            "times": self.times.tolist(),
            "score": {k: v.tolist() for k, v in self.bands("score").items()},
            "placebo": {k: v.tolist() for k, v in self.bands("placebo").items()},
            "effect": {k: v.tolist() for k, v in self.bands("effect").items()},
            "unstable": self.unstable,
            "notes": list(self.notes),
            "method": self.method,
            "seed": self.seed,
            "inputs": self.inputs,
        }

    def plot(self) -> Any:
        """Score with and without drug over days, an Altair chart."""
        from klarsyn.figures.pharmacodynamics import response_bands

        return response_bands(
            days=(self.times / 24).tolist(),
            bands={
                self.label: {k: v.tolist() for k, v in self.bands("score").items()},
                "placebo": {k: v.tolist() for k, v in self.bands("placebo").items()},
            },
        )


def respond(
    study: Study,
    ensemble: Ensemble,
    *,
    times: Any,
    plasma: Mapping[str, Any],
    label: str,
    changes: Mapping[str, float] | None = None,
) -> Response:
    """The response of every accepted set to plasma concentrations in ng/mL at `times` (h).

    `plasma` holds (T,) arrays by analyte; an analyte without a role is left out. `changes` are
    interventions by the names of `plasticity.CHANGES`. The band is one of parameter sets for one
    typical exposure: it is not the spread between patients.

    Raises InputError when the times do not rise or no analyte has a role.
    """
    t = np.asarray(times, float)
    if not set(plasma) & set(study.data["roles"]):
        raise InputError(
            f"none of the analytes {', '.join(plasma)} acts in {study.id}. It knows: "
            f"{', '.join(study.data['roles'])}."
        )
    drives = drives_from(study, t, plasma, ensemble.values)
    course = course_of(ensemble.values, drives, changes=changes)
    unstable = int((~np.isfinite(course.effect).all(axis=1)).sum())
    notes = [
        "Each line of the band is a parameter set that satisfies the listed experiments; the "
        "numbers in it are calibrated, not measured.",
        "The size of the effect is fixed by one published difference after a day; only its course "
        "and the order of regimens are predicted.",
    ]
    if unstable:
        notes.append(f"{unstable} sets have no equilibrium at this exposure and are left out.")
    return Response(
        label=label,
        times=t,
        score=score_course(study, course, ensemble.values),
        placebo=score_course(study, course, ensemble.values, drug=False),
        effect=course.effect,
        course=course,
        unstable=unstable,
        notes=tuple(notes),
        method=ensemble.method,
        seed=ensemble.seed,
        inputs=digest_of(ensemble.digest, label, t, dict(changes or {})),
    )


def contrast(first: Response, second: Response, hours: float, *, agreement: float = 0.95) -> Band:
    """Points by which `first` lies below `second` at one time, set by set.

    Where fewer than `agreement` of the sets agree on the sign, the verdict is that it cannot be
    told from these data.
    """
    gap = at_time(second.times, second.score, hours) - at_time(first.times, first.score, hours)
    return band(f"{first.label} against {second.label} at {hours:g} h", gap, agreement=agreement)


def contrasts(
    responses: Sequence[Response], hours: Sequence[float], *, agreement: float = 0.95
) -> list[Band]:
    """Every pair of responses at every time."""
    return [
        contrast(a, b, h, agreement=agreement)
        for i, a in enumerate(responses)
        for b in responses[i + 1 :]
        for h in hours
    ]
