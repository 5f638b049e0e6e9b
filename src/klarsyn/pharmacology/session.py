"""A regimen in many patients, from words to what follows: exposure, occupancy, score, effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.between import read_between
from klarsyn.pharmacology.crossed import Crossed, cross
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.ensemble import shipped_ensemble
from klarsyn.pharmacology.model import Model
from klarsyn.pharmacology.modelfile import read_model
from klarsyn.pharmacology.population import Demographics, sample_individuals
from klarsyn.pharmacology.runs import read_study
from klarsyn.pharmacology.simulate import Exposure, simulate
from klarsyn.pharmacology.substance import Substance


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """Who is treated: `n` patients drawn from `demographics` or a `table`, by `seed`.

    `followed` is how many of them, the first, are taken through every parameter set. `alike` lets
    them differ in kinetics only, not in how they respond; without `variability` nothing differs.
    """

    n: int
    seed: int
    followed: int = 200
    demographics: Demographics | None = None
    table: Mapping[str, np.ndarray] | None = None
    variability: bool = True
    alike: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a regimen does: exposure of all patients, and of the followed ones all that follows.

    `crossed` is None where the substance names no response model or none was asked for. `bases`
    are what the doses are amounts of: base or a salt; `read_as` is what was assumed where a dose
    does not say it, else empty.
    """

    exposure: Exposure
    crossed: Crossed | None
    bases: tuple[str, ...]
    read_as: str

    def doses_are(self) -> str:
        """One sentence on what the doses are amounts of, and whether that is an assumption."""
        if self.read_as:
            return f"The dose does not say salt or base: it is read as {self.read_as}."
        return f"Doses are amounts of {' and '.join(self.bases)}, as given."

    def summary(self) -> str:
        """What the doses are amounts of, exposure, then what follows from it."""
        parts = [self.doses_are(), self.exposure.summary()]
        if self.crossed is not None:
            parts.append(self.crossed.summary())
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what the doses are amounts of, the exposure's entries, and `follows`."""
        follows = None if self.crossed is None else self.crossed.to_dict()
        said = {"of": list(self.bases), "assumed": bool(self.read_as), "sentence": self.doses_are()}
        return {"doses": said, **self.exposure.to_dict(), "follows": follows}


def simulate_session(
    substance: Substance,
    *,
    form: str,
    regimen: Regimen,
    model: Model,
    patients: Patients,
    effect_model: Model | None = None,
    days: float = 28.0,
    follow: bool = True,
    read_as: str = "",
    notes: Sequence[str] = (),
) -> Simulation:
    """Exposure by `model`, and what follows by `effect_model`, until `days` after the last dose.

    `effect_model` defaults to the one that the response model was calibrated with, or to `model`
    where that has no such route. A regimen with rules gives each patient the doses that its score
    asks for; then only the followed patients are simulated. `read_as` ('base' or a salt) says that
    the doses did not say what they are amounts of and were read so.

    Raises InputError for rules where no score is simulated.
    """
    wanted = follow and bool(substance.response and substance.effects)
    if regimen.rules and not wanted:
        raise InputError(
            f"the regimen gives doses '{regimen.rules[0]}', so the score must be simulated. "
            f"Follow the effects of a substance that has a response model."
        )
    crossed = None
    if wanted:
        crossed = _crossed(substance, form, regimen, model, patients, effect_model, days)
    taken = None
    n = patients.n
    plan = regimen
    if crossed is not None and crossed.driven:
        n, plan = len(crossed.subjects), regimen.unconditional()
        taken = crossed.given[np.arange(n), crossed.own()].astype(float)
    people = sample_individuals(
        model,
        n,
        seed=patients.seed,
        demographics=patients.demographics,
        table=patients.table,
        occasions=max(1, plan.administrations),
        variability=patients.variability,
    )
    said = list(notes)
    if follow and not wanted:
        said.append(
            f"{substance.name} names no response model, so nothing beyond exposure follows."
        )
    exposure = simulate(people, plan, form, notes=said, taken=taken, words=str(regimen))
    bases = tuple(dict.fromkeys(s.amount.basis for s in regimen.steps))
    return Simulation(exposure=exposure, crossed=crossed, bases=bases, read_as=read_as)


def _crossed(
    substance: Substance,
    form: str,
    regimen: Regimen,
    model: Model,
    patients: Patients,
    effect_model: Model | None,
    days: float,
) -> Crossed:
    study = read_study(substance.response)
    kinetic = effect_model or _calibrated(study.data, regimen, model)
    fixed = {k: p.number.value for k, p in kinetic.parameters.items() if p.uncertain is not None}
    people = sample_individuals(
        kinetic,
        min(patients.n, patients.followed),
        seed=patients.seed,
        demographics=patients.demographics,
        table=patients.table,
        occasions=max(1, regimen.unconditional().administrations),
        variability=patients.variability,
        uncertain=fixed,
    )
    ensemble = shipped_ensemble(study)
    drawn = patients.variability and not patients.alike
    return cross(
        people,
        study,
        ensemble,
        regimen=regimen,
        form=form,
        effects=substance.effects,
        days=days,
        between=read_between(study, ensemble) if drawn else None,
    )


def _calibrated(data: Mapping[str, Any], regimen: Regimen, model: Model) -> Model:
    """The model of the reference course, where it knows every route of the regimen."""
    name = data["runs"][data["reference"]["run"]]["model"]
    found = read_model(name)
    routes = {s.route for s in regimen.steps}
    return found if routes <= set(found.routes) else model
