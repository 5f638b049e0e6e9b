"""Concentrations of many individuals after a regimen: exact where linear, integrated where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.dosing import Given, Regimen
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.model import Input, Model
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.solvers.linear import NotLinearError
from klarsyn.pharmacology.solvers.many import Entry, Many
from klarsyn.pharmacology.substance import Form
from klarsyn.pharmacology.system import Change, System, read_outputs


def subset(individuals: Individuals, chosen: slice | np.ndarray) -> Individuals:
    """Some of the individuals, with the values that they have among all."""

    def cut(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v[chosen] if np.ndim(v) else v for k, v in values.items()}

    return Individuals(
        model=individuals.model,
        subjects=individuals.subjects[chosen],
        weight=individuals.weight[chosen],
        covariates=cut(individuals.covariates),
        values=cut(individuals.values),
        occasions=tuple(cut(o) for o in individuals.occasions),
        seed=individuals.seed,
        method=individuals.method,
    )


def expose(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    times: np.ndarray,
    *,
    taken: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Concentrations (n, T) by analyte, totals included, at ascending `times` (h).

    `taken` (n, administrations) is the share of each dose that an individual is given, 1 without.
    Raises InputError for `taken` with a nonlinear model.
    """
    return SolvedRegimen(individuals, regimen, form, times).of(taken)


class SolvedRegimen:
    """A regimen in some individuals, solved once for any choice of its doses."""

    def __init__(
        self, individuals: Individuals, regimen: Regimen, form: Form, times: np.ndarray
    ) -> None:
        self.individuals, self.regimen, self.form, self.times = individuals, regimen, form, times
        self.stretches = stretches_of(individuals, regimen)
        inputs = inputs_of(individuals, regimen, form)
        self.occasions = np.array([i.occasion for i in inputs], int)
        n, first = len(individuals), self.stretches[0][1]

        def whole(value: Any) -> np.ndarray:
            return np.broadcast_to(np.asarray(value, float), (n,)).copy()

        entries = [
            Entry(
                compartment=first.compartments.index(i.compartment),
                time=whole(i.time),
                amount=whole(i.amount),
                duration=whole(i.duration),
            )
            for i in inputs
        ]
        try:
            self.linear = Many(self.stretches, entries, times, n)
        except NotLinearError:
            self.linear = None

    def of(
        self, taken: np.ndarray | None = None, names: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """What `expose` gives, for these doses; of some outputs, if `names` says which."""
        people = self.individuals
        if self.linear is None:
            if taken is not None:
                raise InputError(
                    f"{people.model.id} is not linear, so doses cannot be chosen one by one. "
                    f"Take a linear model, or a regimen without a rule."
                )
            return _one_by_one(people, self.regimen, self.form, self.times)
        states = self.linear.amounts(None if taken is None else taken[:, self.occasions - 1])
        wanted = people.model.outputs if names is None else names
        outputs = {name: np.empty(states.shape[:2]) for name in wanted}
        edges = np.searchsorted(self.times, [start for start, _ in self.stretches[1:]])
        for (_, system), a, b in zip(
            self.stretches, [0, *edges], [*edges, len(self.times)], strict=True
        ):
            found = read_outputs(system, self.times[a:b], states[:, a:b], list(wanted))
            for name, values in found.items():
                outputs[name][:, a:b] = values
        return outputs if names is not None else with_totals(people.model, outputs)


def with_totals(model: Model, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds each total of the model as the sum of its parts."""
    for total, summands in model.totals.items():
        outputs[total] = np.sum([outputs[n] for n in summands], axis=0)
    return outputs


def _plan(regimen: Regimen, weight: np.ndarray) -> list[tuple[Given, np.ndarray]]:
    """Each portion for one kilogram, and by what each individual's differs: mg are a + b kg."""
    for_one, for_two = regimen.given(1.0), regimen.given(2.0)
    return [
        (one, 1 + (weight - 1) * (two.milligrams - one.milligrams) / one.milligrams)
        for one, two in zip(for_one, for_two, strict=True)
    ]


def inputs_of(
    individuals: Individuals, regimen: Regimen, form: Form, taken: np.ndarray | None = None
) -> list[Input]:
    """Every input of a regimen with each individual's own amounts (n,)."""
    found: list[Input] = []
    for dose, whole in _plan(regimen, individuals.weight):
        factor = whole if taken is None else whole * taken[:, dose.occasion - 1]
        values = individuals.at(dose.occasion)
        for entry in individuals.model.inputs([dose], form, values):
            found.append(
                Input(
                    compartment=entry.compartment,
                    time=entry.time,
                    amount=entry.amount * factor,
                    duration=entry.duration,
                    occasion=entry.occasion,
                )
            )
    return found


def stretches_of(individuals: Individuals, regimen: Regimen) -> list[tuple[float, System]]:
    """(start, system) of each stretch between occasions with parameters of their own."""
    model = individuals.model
    if not individuals.occasions:
        return [(0.0, model.with_values(individuals.values))]
    starts: dict[int, float] = {}
    for dose in regimen.given(1.0):
        starts.setdefault(dose.occasion, dose.time)
    return [(at, model.with_values(individuals.at(k))) for k, at in sorted(starts.items())]


def _one_by_one(
    individuals: Individuals, regimen: Regimen, form: Form, times: np.ndarray
) -> dict[str, np.ndarray]:
    """A nonlinear model: each individual is integrated by itself."""
    model = individuals.model
    found = {a: np.zeros((len(individuals), len(times))) for a in model.outputs}
    for i in range(len(individuals)):
        one = subset(individuals, np.array([i]))
        plan = regimen.given(float(one.weight[0]))
        stretches = [
            (at, {k: float(np.ravel(v)[0]) for k, v in system.parameters.items()})
            for at, system in stretches_of(one, regimen)
        ]
        doses = [
            d
            for g in plan
            for d in model.doses(
                [g], form, {k: float(np.ravel(v)[0]) for k, v in one.at(g.occasion).items()}
            )
        ]
        changes = [Change(time=at, parameters=values) for at, values in stretches[1:]]
        course = solve(model.with_values(stretches[0][1]), doses, times, changes=changes)
        for name, values in course.outputs.items():
            found[name][i] = values
    return with_totals(model, found)
