"""Peaks of many patients without their courses: modes of a linear model, stepped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.exposing import expose, inputs_of, stretches_of, subset
from klarsyn.pharmacology.expressions import affine_form
from klarsyn.pharmacology.model import Input, Model
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.solvers.many import Entry, Epoch, connected
from klarsyn.pharmacology.solvers.modal import peaks
from klarsyn.pharmacology.substance import Form
from klarsyn.pharmacology.system import System, affine_system

WELL_CONDITIONED = 1e6  # eigenvectors beyond this cost more than six of sixteen digits
NEGLIGIBLE = 1e-16  # of an output's weights: what is left of zeros after an eigendecomposition
STEP_DIGITS = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The largest concentration and the grid index where it stands, (n,) by analyte.

    `curves` (kept, T) are the courses of the first individuals.
    """

    top: dict[str, np.ndarray]
    at: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modes:
    rates: np.ndarray  # (M, n)
    vectors: np.ndarray  # (d, M, n)
    inverse: np.ndarray  # (M, d, n)
    good: np.ndarray  # (n,)


def find_peaks(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    times: np.ndarray,
    kept: int,
    *,
    taken: np.ndarray | None = None,
) -> Peaks | None:
    """The peaks of a linear model whose doses come to everybody at the same times, else None.

    Individuals whose eigenvectors are ill-conditioned are solved by matrix exponentials.
    """
    stretches = stretches_of(individuals, regimen)
    system, n = stretches[0][1], len(individuals)
    found = affine_system(system)
    if len(stretches) > 1 or found is None or np.any(found[1] != 0):
        return None
    inputs = inputs_of(individuals, regimen, form, taken)
    weights = _weights(individuals.model, system, n)
    if weights is None or not all(_shared(i.time) and _shared(i.duration) for i in inputs):
        return None
    d = len(system.compartments)
    matrix = np.broadcast_to(found[0], (n, d, d))
    modes = _modes(matrix, system, inputs)
    peaks = _run(individuals.model, system, inputs, modes, weights, times, min(kept, n))
    bad = np.flatnonzero(~modes.good)
    if len(bad):
        mine = None if taken is None else taken[bad]
        exact = expose(subset(individuals, bad), regimen, form, times, taken=mine)
        for name, curves in exact.items():
            peaks.top[name][bad], peaks.at[name][bad] = curves.max(axis=1), curves.argmax(axis=1)
            seen = bad < kept
            peaks.curves[name][bad[seen]] = curves[seen]
    return peaks


def _shared(value: object) -> bool:
    array = np.asarray(value, float)
    return bool(np.all(array == array.flat[0]))


def _weights(model: Model, system: System, n: int) -> np.ndarray | None:
    """What each compartment counts in each output, (C, d, n)."""
    found = np.zeros((len(model.outputs), len(system.compartments), n))
    for c, name in enumerate(model.outputs):
        form = affine_form(system.outputs[name], system.compartments, system.parameters)
        if form is None or np.any(np.asarray(form.constant) != 0):
            return None
        for compartment, value in form.coefficients.items():
            found[c, system.compartments.index(compartment)] += value
    return found


def _modes(matrix: np.ndarray, system: System, inputs: Sequence[Input]) -> _Modes:
    n, d = matrix.shape[:2]
    nothing = np.zeros(n)
    entries = [
        Entry(
            compartment=system.compartments.index(i.compartment),
            time=nothing,
            amount=nothing,
            duration=nothing,
        )
        for i in inputs
    ]
    parts = connected([Epoch(start=0.0, matrix=matrix)], entries, d)
    count = sum(len(p) for p in parts)
    rates, good = np.ones((count, n)), np.ones(n, bool)
    vectors, inverse = np.zeros((d, count, n)), np.zeros((count, d, n))
    begin = 0
    for part in parts:
        values, columns = np.linalg.eig(matrix[:, part][:, :, part])
        whole = np.abs(np.imag(values)).max(axis=1) == 0
        values, columns = np.real(values), np.ascontiguousarray(np.real(columns))
        with np.errstate(all="ignore"):
            solvable = whole & (np.abs(np.linalg.det(columns)) > 0) & (values.max(axis=1) < 0)
            columns[~solvable] = np.eye(len(part))
            rows = np.linalg.inv(columns)
            size = np.linalg.norm(columns, axis=(1, 2)) * np.linalg.norm(rows, axis=(1, 2))
        good &= solvable & (size < WELL_CONDITIONED)
        place = slice(begin, begin + len(part))
        rates[place] = np.where(good, -values.T, 1.0)
        vectors[part, place] = np.moveaxis(columns, 0, 2)
        inverse[place, part] = np.moveaxis(rows, 0, 2)
        begin += len(part)
    return _Modes(rates=rates, vectors=vectors, inverse=inverse, good=good)


def _run(
    model: Model,
    system: System,
    inputs: Sequence[Input],
    modes: _Modes,
    compartments: np.ndarray,
    times: np.ndarray,
    kept: int,
) -> Peaks:
    count, n = modes.rates.shape
    weights = np.zeros((len(compartments), count, n))
    for c, coefficients in enumerate(compartments):
        for k in np.flatnonzero(np.any(coefficients != 0, axis=1)):
            weights[c] += coefficients[k] * modes.vectors[k]
    size = np.abs(weights).max(axis=1, keepdims=True)
    weights[np.abs(weights) <= NEGLIGIBLE * size] = 0.0
    names = list(model.outputs)
    summed = np.array(
        [[name in parts for name in names] for parts in model.totals.values()], bool
    ).reshape(len(model.totals), len(names))
    grid = np.unique(np.concatenate([[min(0.0, times[0])], times]))
    steps, which = np.unique(np.round(np.diff(grid), STEP_DIGITS), return_inverse=True)
    when, lasts, jump, flow = _events(system, inputs, modes, grid)
    every = [*names, *model.totals]
    top, at, curves = peaks(
        modes.rates, weights, summed, steps, which, when, lasts, jump, flow, kept
    )
    extra = len(grid) - len(times)
    return Peaks(
        top=dict(zip(every, top, strict=True)),
        at={name: np.maximum(row - extra, 0) for name, row in zip(every, at, strict=True)},
        curves={name: c[extra:].T for name, c in zip(every, curves, strict=True)},
    )


def _events(
    system: System, inputs: Sequence[Input], modes: _Modes, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What enters at which grid index; between two grid times it counts exactly at the later."""
    found: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    n = modes.rates.shape[1]
    for entry in inputs:
        into = modes.inverse[:, system.compartments.index(entry.compartment)]
        amount = np.broadcast_to(np.asarray(entry.amount, float), (n,))
        start = float(np.asarray(entry.time).flat[0])
        length = float(np.asarray(entry.duration).flat[0])
        pieces = [(start, 0, amount, 0.0 * amount)]
        if length > 0:
            rate = amount / length
            pieces = [(start, 1, 0.0 * amount, rate), (start + length, -1, 0.0 * amount, -rate)]
        for time, lasts, bolus, change in pieces:
            k = int(np.searchsorted(grid, time, side="left"))
            if k == len(grid):
                continue
            left = np.exp(-modes.rates * (grid[k] - time))
            jump = into * (bolus * left + change * (1.0 - left) / modes.rates)
            found.append((k, lasts, jump, into * change))
    found.sort(key=lambda e: e[0])
    shape = (0, *modes.rates.shape)
    return (
        np.array([e[0] for e in found], np.int64),
        np.array([e[1] for e in found], np.int64),
        np.array([e[2] for e in found]) if found else np.zeros(shape),
        np.array([e[3] for e in found]) if found else np.zeros(shape),
    )
