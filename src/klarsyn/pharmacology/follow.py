"""A regimen in the typical patient: exposure, occupancy, response, side effects, set by set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.clinical import Response, respond
from klarsyn.pharmacology.effects import AcuteEffects, acute_effects
from klarsyn.pharmacology.ensemble import Ensemble
from klarsyn.pharmacology.receptor import occupancy_bands
from klarsyn.pharmacology.runs import Study, check_days, course_grid

UNBOUND = (0.4, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What one regimen does in the typical patient.

    `plasma` holds ng/mL at `times` (h) by analyte, `occupancy` percentiles of the blocked share,
    `response` and `effects` the courses in every parameter set.
    """

    label: str
    times: np.ndarray
    plasma: Mapping[str, np.ndarray]
    occupancy: Mapping[str, np.ndarray]
    response: Response
    effects: AcuteEffects
    notes: tuple[str, ...]

    def summary(self) -> str:
        """Occupancy at its peak, response after a day, side effects at their peak."""
        top = {k: 100 * float(v.max()) for k, v in self.occupancy.items()}
        first = (
            f"{self.label}: at most {top['p5']:.0f} to {top['p95']:.0f} % of channels occupied "
            f"(extrapolated from the rat)"
        )
        return "\n".join([first, self.response.summary(), self.effects.summary(), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "label": self.label,
            "times": self.times.tolist(),
            "plasma": {k: v.tolist() for k, v in self.plasma.items()},
            "occupancy": {k: v.tolist() for k, v in self.occupancy.items()},
            "response": self.response.to_dict(),
            "effects": self.effects.to_dict(),
            "notes": list(self.notes),
        }


def follow(
    study: Study,
    ensemble: Ensemble,
    *,
    model: str,
    form: str,
    regimen: str,
    days: float,
    effects: str,
    seed: int,
    label: str = "",
) -> Consequences:
    """Give the typical patient of a kinetic model a regimen in words and follow it down.

    `effects` names the file of acute effects. Raises InputError for what the regimen, model or
    files cannot do.
    """
    check_days(days)
    from klarsyn.pharmacology.dosing import parse_regimen
    from klarsyn.pharmacology.exposing import expose
    from klarsyn.pharmacology.model import read_model
    from klarsyn.pharmacology.population import sample_individuals

    kinetic = read_model(model)
    fixed = {n: p.number.value for n, p in kinetic.parameters.items() if p.uncertain is not None}
    typical = sample_individuals(kinetic, 1, seed=seed, variability=False, uncertain=fixed)
    plan = parse_regimen(regimen)
    if plan.rules:
        raise InputError(
            f"the regimen gives doses '{plan.rules[0]}', which one typical course cannot follow. "
            f"Use klarsyn simulate, or say when doses are given."
        )
    starts = np.unique([g.time for g in plan.given(float(typical.weight[0])) if g.portion == 1])
    end = 24.0 * days
    times = course_grid(starts[starts < end], end)
    found = expose(typical, plan, kinetic.substance.form(form), times)
    plasma = {k: found[k][0] for k in kinetic.outputs}
    name = label or f"{form}, {plan}"
    constants = study.receptor.constants
    return Consequences(
        label=name,
        times=times,
        plasma=plasma,
        occupancy=occupancy_bands(
            study.receptor, plasma, unbound=UNBOUND, level=constants["rat_ec50_parent"]
        ),
        response=respond(study, ensemble, times=times, plasma=plasma, label=name),
        effects=acute_effects(
            effects,
            times=times,
            plasma=plasma,
            label=name,
            site="arterial" if kinetic.site == "arterial" else "venous",
            sets=len(ensemble),
            seed=seed,
        ),
        notes=(
            f"Typical patient of {kinetic.id}, {kinetic.site} plasma; unbound share "
            f"{UNBOUND[0]:g} to {UNBOUND[1]:g} is a prior, not data.",
        ),
    )
