"""A published kinetic model as a record: compartments, flows, routes, outputs, numbers, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.dosing import Given
from klarsyn.pharmacology.expressions import Expression, evaluate
from klarsyn.pharmacology.substance import Form, Substance
from klarsyn.pharmacology.system import Dose, System
from klarsyn.provenance import Source, Sourced

SITES = ("venous", "arterial", "mixed", "not recorded")
SPREADS = ("log-uniform", "uniform")
TRANSFORMS = ("log", "logit", "none")
DEFAULT_WEIGHT = 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """A number that nobody knows better than a range; sampled, never a point."""

    low: float
    high: float
    spread: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A model's number for the reference weight; scales with (weight / reference)^power."""

    name: str
    number: Sourced[float]
    weight_power: float
    uncertain: Uncertain | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where one share of a dose by a route enters, after what lag and over how long (h)."""

    into: str
    fraction: Expression
    lag: Expression
    duration: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is measured: expression, unit, proportional residual SD (None where not reported)."""

    name: str
    text: str
    unit: str
    residual: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variability:
    """Random effects on parameters: covariance on the log or logit scale."""

    on: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    transform: str
    source: str
    locator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateEffect:
    """Parameters times a factor of a covariate; `applied` unless switched off."""

    covariate: str
    on: tuple[str, ...]
    factor: Expression
    applied: bool
    source: str
    locator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A kinetic model of a substance; amounts in µmol, time in h, outputs in their own units."""

    id: str
    label: str
    substance: Substance
    site: str
    population: str
    enantiomers: tuple[str, ...]
    holds: str
    weight_reference: float
    notes: tuple[str, ...]
    system: System
    holdings: Mapping[str, str]
    routes: Mapping[str, tuple[Part, ...]]
    outputs: Mapping[str, Output]
    totals: Mapping[str, tuple[str, ...]]
    parameters: Mapping[str, Parameter]
    derived: Mapping[str, Expression]
    between_subject: tuple[Variability, ...]
    between_occasion: tuple[Variability, ...]
    covariates: tuple[CovariateEffect, ...]
    sources: Mapping[str, Source]
    analytes: tuple[str, ...] = field(default=())

    def values(
        self, weight: Any = DEFAULT_WEIGHT, changed: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Every parameter's value at a weight (kg; number or array), derived ones included.

        `changed` replaces values after the scaling and before what is derived from them.
        """
        found: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value: Any = parameter.number.value
            if parameter.weight_power:
                value = value * (weight / self.weight_reference) ** parameter.weight_power
            found[name] = value
        for name, value in (changed or {}).items():
            if name not in found:
                raise unknown_name("parameter", name, found, self.id)
            found[name] = value
        for name, mass in self.substance.molar_masses().items():
            found[f"M_{name}"] = mass
        for name, expression in self.derived.items():
            found[name] = evaluate(expression, found)
        return found

    def with_values(self, values: Mapping[str, Any]) -> System:
        """The system at these values."""
        return self.system.with_parameters(
            {k: v for k, v in values.items() if k in self.system.parameters}
        )

    def inputs(self, given: Sequence[Given], form: Form, values: Mapping[str, Any]) -> list[Input]:
        """What enters which compartment: each portion split by enantiomer and part.

        Raises UnknownNameError for a route without parameters in this model, InputError for a
        form that it cannot follow.
        """
        found: list[Input] = []
        for dose in given:
            parts = self._parts(dose.route)
            micromoles = self.substance.micromoles(dose.milligrams, dose.basis)
            for label, share in self._shares(form).items():
                if share == 0:
                    continue
                found += [
                    self._input(part, label, dose, micromoles * share, values) for part in parts
                ]
        return found

    def doses(
        self, given: Sequence[Given], form: Form, values: Mapping[str, Any]
    ) -> tuple[Dose, ...]:
        """The inputs of one individual as dose records."""
        return tuple(
            Dose(
                time=float(i.time),
                amount=float(i.amount),
                compartment=i.compartment,
                duration=float(i.duration),
            )
            for i in self.inputs(given, form, values)
        )

    def _parts(self, route: str) -> tuple[Part, ...]:
        if route not in self.routes:
            raise InputError(
                f"{unknown_name('route', route, self.routes, self.id)} The model has no "
                f"absorption parameters for {route!r}; choose a route or a model that has."
            )
        return self.routes[route]

    def _shares(self, form: Form) -> dict[str, float]:
        if not self.enantiomers:
            if self.holds and form.name != self.holds:
                raise InputError(
                    f"{self.id} describes the {self.holds} only; {form.name!r} needs a model of "
                    f"the enantiomers."
                )
            return {"": 1.0}
        for label, share in form.shares.items():
            if share and label not in self.enantiomers:
                raise InputError(
                    f"{self.id} has no parameters for the {label} enantiomer, of which the form "
                    f"{form.name!r} holds {share:.1%}. It describes {', '.join(self.enantiomers)}."
                )
        return {e: form.shares.get(e, 0.0) for e in self.enantiomers}

    def _input(
        self, part: Part, label: str, dose: Given, micromoles: Any, values: Mapping[str, Any]
    ) -> Input:
        names = {**values, "portion": dose.portion}
        duration: Any = dose.duration
        if part.duration is not None:
            if dose.duration:
                raise InputError(
                    f"{self.id}: the {dose.route} dose takes its time from the model; leave out "
                    f"'over {dose.duration:g} h'."
                )
            duration = evaluate(part.duration, names)
        return Input(
            compartment=part.into.replace("{e}", label),
            time=dose.time + evaluate(part.lag, names),
            amount=micromoles * evaluate(part.fraction, names),
            duration=duration,
            occasion=dose.occasion,
        )

    def summary(self) -> str:
        """Three lines: what it is, what it takes and gives, where it is from."""
        return (
            f"{self.id}: {self.label} ({self.site}; {self.population})\n"
            f"routes {', '.join(self.routes)}; gives {', '.join(self.outputs)}\n"
            f"sources: {'; '.join(s.citation for s in self.sources.values())}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An amount (µmol) into a compartment; each field a number or an array over individuals."""

    compartment: str
    time: Any
    amount: Any
    duration: Any
    occasion: int
