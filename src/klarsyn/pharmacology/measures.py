"""What is read from an exposure without its course: areas to infinity and half-lives."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.exposing import inputs_of, stretches_of, with_totals
from klarsyn.pharmacology.expressions import affine_form
from klarsyn.pharmacology.model import Model
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.substance import Form
from klarsyn.pharmacology.system import System, affine_system


def areas_and_halves(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    curves: Mapping[str, np.ndarray],
    times: np.ndarray,
    taken: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Area to infinity and the slowest half-life, exact for a linear model."""
    stretches = stretches_of(individuals, regimen)
    system = stretches[-1][1]
    found = affine_system(system)
    n = len(individuals)
    nothing = {a: np.full(n, math.nan) for a in individuals.model.analytes}
    if found is None:
        return {a: _trapezoids(times, c) for a, c in curves.items()}, nothing
    matrix = np.broadcast_to(found[0], (n, *found[0].shape[-2:]))
    total = np.zeros((n, matrix.shape[-1]))
    for entry in inputs_of(individuals, regimen, form, taken):
        total[:, system.compartments.index(entry.compartment)] += entry.amount
    if len(stretches) > 1:
        areas = {a: _trapezoids(times, c) for a, c in curves.items()}
    else:
        areas = _exact_areas(individuals.model, system, matrix, total, n)
    return areas, _halves(individuals.model, system, matrix, total > 0, n)


def _trapezoids(times: np.ndarray, curve: np.ndarray) -> np.ndarray:
    return np.trapezoid(curve, times, axis=1)


def _exact_areas(
    model: Model, system: System, matrix: np.ndarray, total: np.ndarray, n: int
) -> dict[str, np.ndarray]:
    """An amount's area is minus the inverse rate matrix times all that is put in."""
    try:
        whole = np.linalg.solve(-matrix, total[..., None])[..., 0]
    except np.linalg.LinAlgError:
        raise NumericalError(
            "degenerate", "A compartment of the model is never emptied, so areas are infinite."
        ) from None
    areas = {}
    for name in model.outputs:
        form = affine_form(system.outputs[name], system.compartments, system.parameters)
        areas[name] = np.full(n, math.nan)
        if form is not None:
            parts = [
                coefficient * whole[:, system.compartments.index(c)]
                for c, coefficient in form.coefficients.items()
            ]
            areas[name] = np.sum(parts, axis=0) if parts else np.zeros(n)
    return with_totals(model, areas)


def _halves(
    model: Model, system: System, matrix: np.ndarray, put: np.ndarray, n: int
) -> dict[str, np.ndarray]:
    """ln 2 over the slowest rate among what feeds each output from a dosed compartment."""
    linked = np.any(matrix != 0, axis=0)
    forward = _closure(linked, np.asarray(put.any(axis=0)))
    slowest = _slowest(matrix, linked)
    found: dict[str, np.ndarray] = {}
    for name in model.outputs:
        form = affine_form(system.outputs[name], system.compartments, system.parameters)
        found[name] = np.full(n, math.nan)
        if form is None:
            continue
        target = np.zeros(len(system.compartments), bool)
        target[[system.compartments.index(c) for c in form.coefficients]] = True
        chosen = np.flatnonzero(_closure(linked.T, target) & forward)
        if len(chosen) and (target & forward).any():
            rate = slowest[:, chosen].min(axis=1)
            with np.errstate(divide="ignore"):
                found[name] = np.where(rate > 0, math.log(2) / rate, math.inf)
    for total, summands in model.totals.items():
        parts = [np.where(np.isnan(found[s]), -math.inf, found[s]) for s in summands]
        best = np.max(parts, axis=0)
        found[total] = np.where(np.isfinite(best), best, math.nan)
    return found


def _slowest(matrix: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """The slowest rate of the circle of exchange that each compartment belongs to, (n, d).

    What flows one way leaves a matrix triangular in blocks, so the rates of a chain are those of
    its circles: compartments that reach each other.
    """
    d = len(linked)
    reach = np.array([_closure(linked, np.arange(d) == k) for k in range(d)]).T
    both = reach & reach.T
    found = np.empty(matrix.shape[:2])
    for k in range(d):
        circle = np.flatnonzero(both[k])
        if circle[0] != k:
            found[:, k] = found[:, circle[0]]
        elif len(circle) == 1:
            found[:, k] = -matrix[:, k, k]
        else:
            values = np.linalg.eigvals(matrix[:, circle][:, :, circle]).real
            found[:, k] = -values.max(axis=1)
    return found


def _closure(linked: np.ndarray, start: np.ndarray) -> np.ndarray:
    reached = start.copy()
    for _ in range(len(start)):
        reached |= linked[:, reached].any(axis=1)
    return reached
