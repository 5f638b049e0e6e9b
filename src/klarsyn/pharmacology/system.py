"""A compartment system: what flows where, what is given, what is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.expressions import (
    TIME_NAMES,
    Affine,
    Expression,
    affine_form,
    check_names,
    evaluate,
    read_expression,
)

EMPTY: Mapping[str, Expression] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Equations d(amount)/dt by compartment with parameter values, and what is read off.

    `parameters` are numbers or arrays over individuals. `bioavailability`, `lag`, `duration` and
    `rate` belong to a compartment's doses; `initial` is its amount before the first event.
    """

    compartments: tuple[str, ...]
    equations: Mapping[str, Expression]
    parameters: Mapping[str, Any]
    outputs: Mapping[str, Expression]
    bioavailability: Mapping[str, Expression] = field(default_factory=lambda: EMPTY)
    lag: Mapping[str, Expression] = field(default_factory=lambda: EMPTY)
    duration: Mapping[str, Expression] = field(default_factory=lambda: EMPTY)
    rate: Mapping[str, Expression] = field(default_factory=lambda: EMPTY)
    initial: Mapping[str, Expression] = field(default_factory=lambda: EMPTY)

    def with_parameters(self, parameters: Mapping[str, Any]) -> System:
        """The same system with these values in place of its own."""
        for name in parameters:
            if name not in self.parameters:
                raise unknown_name("parameter", name, self.parameters)
        return replace(self, parameters={**self.parameters, **parameters})


MOST_ADDITIONAL = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """One dose record: an amount into a compartment at a time (h).

    `rate` > 0 is an infusion of amount/rate hours, 0 a bolus; `duration` > 0 an infusion of that
    length. `interval` and `additional` repeat it (II, ADDL). `steady` 1 puts the whole system at
    the steady state of this dose every `interval`, 2 adds that steady state to what is there.
    """

    time: float
    amount: float
    compartment: str
    rate: float = 0.0
    duration: float = 0.0
    interval: float = 0.0
    additional: int = 0
    steady: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Parameters take new values from a time on (a covariate that varies with time)."""

    time: float
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """All amounts return to their initial values and nothing given earlier acts any more.

    Running infusions end; doses still to come of earlier records (ADDL, lag, steady state) are
    cancelled. Doses of the same instant come after it (EVID 3, with a dose EVID 4).
    """

    time: float


def build_system(
    *,
    compartments: Sequence[str],
    equations: Mapping[str, str],
    parameters: Mapping[str, Any],
    outputs: Mapping[str, str],
    bioavailability: Mapping[str, Any] | None = None,
    lag: Mapping[str, Any] | None = None,
    duration: Mapping[str, Any] | None = None,
    rate: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    where: str = "model",
) -> System:
    """Parse and check a system given as text; every wrong name is an error that names it."""
    _check_lists(compartments, equations, parameters, where)
    names = {*compartments, *parameters}
    known = names | set(TIME_NAMES)

    def read(
        part: str, texts: Mapping[str, Any] | None, allowed: set[str]
    ) -> dict[str, Expression]:
        found: dict[str, Expression] = {}
        for name, text in (texts or {}).items():
            place = f"{where}, {part} of {name}"
            found[name] = read_expression(text, place)
            check_names(found[name], allowed, place)
            if part != "output" and name not in compartments:
                raise unknown_name("compartment", name, compartments, place)
        return found

    return System(
        compartments=tuple(compartments),
        equations=read("equation", equations, known),
        parameters=dict(parameters),
        outputs=read("output", outputs, known),
        bioavailability=read("bioavailability", bioavailability, set(parameters)),
        lag=read("lag", lag, set(parameters)),
        duration=read("duration", duration, set(parameters)),
        rate=read("rate", rate, set(parameters)),
        initial=read("initial value", initial, set(parameters)),
    )


def _check_lists(
    compartments: Sequence[str],
    equations: Mapping[str, str],
    parameters: Mapping[str, Any],
    where: str,
) -> None:
    if not compartments:
        raise InputError(f"{where}: no compartment. A model needs at least one.")
    if len(set(compartments)) != len(compartments):
        twice = next(c for c in compartments if list(compartments).count(c) > 1)
        raise InputError(f"{where}: compartment {twice!r} is named twice.")
    for name in compartments:
        if name not in equations:
            raise InputError(
                f"{where}: compartment {name!r} has no equation. Give d({name})/dt, 0 if nothing "
                f"flows."
            )
        if name in parameters:
            raise InputError(f"{where}: {name!r} is both a compartment and a parameter.")
    for name, value in parameters.items():
        if not np.all(np.isfinite(np.asarray(value, float))):
            raise InputError(f"{where}: parameter {name} is {value}, not a finite number.")


def check_doses(system: System, doses: Sequence[Dose]) -> None:
    """Raise InputError for the first dose that cannot be given."""
    for number, dose in enumerate(doses, start=1):
        where = f"dose {number}"
        if dose.compartment not in system.compartments:
            raise unknown_name("compartment", dose.compartment, system.compartments, where)
        check_dose(dose, where)


def check_dose(dose: Dose, where: str) -> None:
    """Raise InputError, after `where`, for numbers that no dose has."""
    numbers = (dose.time, dose.amount, dose.rate, dose.duration, dose.interval)
    if not all(math.isfinite(float(v)) for v in numbers):
        raise InputError(f"{where}: time, amount, rate or interval is not a finite number.")
    if dose.amount < 0:
        raise InputError(f"{where}: amount {dose.amount:g} is negative. Give what is given.")
    if dose.rate < 0 and dose.rate not in (-1, -2):
        raise InputError(
            f"{where}: rate {dose.rate:g}. Use 0 (bolus), a rate, -1 (rate of the model) or "
            f"-2 (duration of the model)."
        )
    if dose.steady not in (0, 1, 2):
        raise InputError(f"{where}: SS {dose.steady} is not 0, 1 or 2.")
    for name, value in (
        ("ADDL", dose.additional),
        ("II", dose.interval),
        ("duration", dose.duration),
    ):
        if value < 0:
            raise InputError(f"{where}: {name} {value:g} is negative. Use 0 or more.")
    if dose.additional > MOST_ADDITIONAL:
        raise InputError(
            f"{where}: ADDL {dose.additional} is more than {MOST_ADDITIONAL}. Give fewer doses, or "
            f"a steady state (SS 1)."
        )
    if dose.additional and not dose.interval:
        raise InputError(f"{where}: ADDL {dose.additional} needs an interval II above 0.")
    constant = dose.rate > 0 and dose.amount == 0
    if constant and not dose.steady:
        raise InputError(
            f"{where}: rate {dose.rate:g} without an amount never ends. Give AMT, or SS 1 for the "
            f"steady state of a constant infusion."
        )
    if constant and (dose.interval or dose.additional):
        raise InputError(
            f"{where}: the steady state of a constant infusion (AMT 0) has no II and no ADDL."
        )
    if dose.steady and not dose.amount and not constant:
        raise InputError(f"{where}: SS {dose.steady} needs AMT above 0, or AMT 0 with a rate.")
    if dose.steady and not dose.interval and not constant:
        raise InputError(f"{where}: SS {dose.steady} needs an interval II above 0.")


def affine_system(system: System) -> tuple[np.ndarray, np.ndarray] | None:
    """The rate matrix (…, d, d) and constant input (…, d) of a linear system, else None.

    Row i is d(compartment i)/dt; leading axes are the individuals, if parameters are arrays.
    """
    forms: list[Affine] = []
    for name in system.compartments:
        form = affine_form(system.equations[name], system.compartments, system.parameters)
        if form is None:
            return None
        forms.append(form)
    pieces = [v for f in forms for v in (f.constant, *f.coefficients.values())]
    shape = np.broadcast_shapes(*[np.shape(v) for v in pieces]) if pieces else ()
    d = len(system.compartments)
    matrix, constant = np.zeros((*shape, d, d)), np.zeros((*shape, d))
    for i, form in enumerate(forms):
        constant[..., i] = form.constant
        for name, value in form.coefficients.items():
            matrix[..., i, system.compartments.index(name)] = value
    return matrix, constant


def value_of(
    expressions: Mapping[str, Expression], compartment: str, system: System, default: float
) -> Any:
    """A compartment's bioavailability, lag, duration or rate at the system's parameters."""
    if compartment not in expressions:
        return default
    return evaluate(expressions[compartment], system.parameters)


def initial_state(system: System, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Amounts before the first event, (…, d)."""
    state = np.zeros((*shape, len(system.compartments)))
    for name, expression in system.initial.items():
        state[..., system.compartments.index(name)] = evaluate(expression, system.parameters)
    return state


def read_outputs(
    system: System, times: np.ndarray, states: np.ndarray, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Outputs at the states (…, d); time is the last axis before the compartments."""
    values: dict[str, Any] = dict.fromkeys(TIME_NAMES, times)
    for name, value in system.parameters.items():
        array = np.asarray(value)
        values[name] = array[..., None] if array.ndim else value
    for i, name in enumerate(system.compartments):
        values[name] = states[..., i]
    wanted = list(system.outputs) if names is None else names
    found = {}
    for name in wanted:
        if name not in system.outputs:
            raise unknown_name("output", name, system.outputs)
        answer = evaluate(system.outputs[name], values)
        found[name] = np.broadcast_to(answer, states.shape[:-1]).copy()
    return found
