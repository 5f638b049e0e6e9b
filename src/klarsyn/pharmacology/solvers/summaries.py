"""Peak, its time and area of many patients without their courses: exact, and no grid of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.solvers.closed import Modes, parent_and_metabolite
from klarsyn.pharmacology.solvers.kernel import (
    checked,
    infusions,
    one_patient,
    switches,
    without_close,
)
from klarsyn.pharmacology.solvers.linear import solve_exactly
from klarsyn.pharmacology.solvers.turning import highest
from klarsyn.pharmacology.system import read_outputs

STEP_DIGITS = 12
LOOK, CLOSER = 65, 4  # times a stretch, and how often again around the highest


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """What is asked of a course, parent then metabolite, (2, n), up to the hour `until`.

    `cmax` is the peak in the concentration's unit, `tmax` its hour on the clock of the doses,
    `auc` the area from the first start, `last` the concentration at `until`.
    """

    cmax: np.ndarray
    tmax: np.ndarray
    auc: np.ndarray
    last: np.ndarray
    until: float


def summaries(
    parameters: Mapping[str, Any],
    *,
    starts: np.ndarray,
    durations: np.ndarray,
    amounts: np.ndarray,
    until: float,
) -> Summaries:
    """Exposure of any patients to parent and metabolite after repeated infusions.

    Arguments are those of `kernel.courses`; `until` is in h, after the first start. Peaks are those
    of the curve, not of a grid; areas are closed forms. Patients whose rates nearly coincide are
    solved by matrix exponentials, their peaks by looking closer four times.
    """
    modes = parent_and_metabolite(**parameters)
    apart = without_close(modes)
    starts, durations, amounts = checked(apart, starts, durations, amounts)
    if not until > starts[0]:
        raise InputError(f"until must lie after the first start, {starts[0]:g} h; it is {until:g}.")
    found = _summed(apart, starts, durations, amounts, float(until))
    for i in np.flatnonzero(~modes.separate):
        one = _exactly(parameters, int(i), starts, durations, amounts[i], float(until))
        for rows, value in zip(found, one, strict=True):
            rows[:, i] = value
    return Summaries(**dict(zip(("cmax", "tmax", "auc", "last"), found, strict=True)), until=until)


def _summed(
    modes: Modes, starts: np.ndarray, durations: np.ndarray, amounts: np.ndarray, until: float
) -> np.ndarray:
    """Peaks, hours, areas and last values, (4, k, n)."""
    when, running = switches(starts, durations, amounts)
    when = when[when < until]
    lengths = np.round(np.diff(np.append(when, until)), STEP_DIGITS)
    running = running[: len(when)]
    order = np.argsort(modes.rates, axis=1)
    rates = np.take_along_axis(modes.rates, order, axis=1)
    weights = np.take_along_axis(modes.weights, order[None], axis=2)
    peaks, levels, other = _climbed(rates, weights, when, lengths, running)
    rest = np.flatnonzero(other)
    if len(rest):
        own = rates[rest], weights[:, rest]
        peaks[:2][:, :, rest] = highest(*own, when, lengths, running[:, rest])
    given = np.add.reduce(lengths[:, None] * running, axis=0)
    areas = np.add.reduce(weights * ((given[:, None] - levels) / rates), axis=2)
    return np.stack([peaks[0], peaks[1], areas, peaks[2]])


def _climbed(
    rates: np.ndarray,
    weights: np.ndarray,
    when: np.ndarray,
    lengths: np.ndarray,
    running: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Peaks, hours and last values (3, k, n), last levels (n, M) of modes, and who is left out."""
    from klarsyn.pharmacology.solvers.summing import BLOCK, summarised

    spans, which = np.unique(lengths, return_inverse=True)
    (kinds, n, count), blocks = weights.shape, -(-len(rates) // BLOCK)

    def blocked(values: np.ndarray) -> np.ndarray:
        """(n, …) as (blocks, …, BLOCK), the last one filled up with its first patient."""
        filled = np.concatenate([values, np.repeat(values[:1], blocks * BLOCK - n, axis=0)])
        apart = filled.reshape(blocks, BLOCK, *values.shape[1:])
        return np.ascontiguousarray(np.moveaxis(apart, 1, -1))

    out, levels = np.zeros((blocks, 3, kinds, BLOCK)), np.zeros((blocks, count, BLOCK))
    other = np.zeros((blocks, BLOCK))
    summarised(
        blocked(rates),
        blocked(np.moveaxis(weights, 0, 1)),
        spans,
        which,
        when,
        blocked(running.T),
        np.empty((len(spans), count, BLOCK)),
        np.ones((3, count, BLOCK)),
        np.ones((8 + kinds, BLOCK)),
        levels,
        out,
        other,
    )
    peaks = np.ascontiguousarray(np.moveaxis(out, 0, 2).reshape(3, kinds, -1)[..., :n])
    return peaks, np.moveaxis(levels, 1, 2).reshape(-1, count)[:n], other.ravel()[:n]


def _exactly(
    parameters: Mapping[str, Any],
    patient: int,
    starts: np.ndarray,
    durations: np.ndarray,
    amounts: np.ndarray,
    until: float,
) -> tuple[np.ndarray, ...]:
    system = one_patient(parameters, patient)
    doses = infusions(starts, durations, amounts)

    def at(times: np.ndarray) -> np.ndarray:
        return np.stack(
            list(read_outputs(system, times, solve_exactly(system, doses, times)).values())
        )

    edges = np.unique(np.concatenate([starts, starts + durations, [until]]))
    edges = edges[edges <= until]
    times = np.unique(np.concatenate([np.linspace(a, b, LOOK) for a, b in pairwise(edges)]))
    first = at(times)
    peaks = [_highest(times, first[c], lambda t, c=c: at(t)[c]) for c in range(2)]
    cmax, tmax = np.transpose(peaks)
    return cmax, tmax, first[2:, -1], first[:2, -1]


def _highest(
    times: np.ndarray, curve: np.ndarray, at: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """The highest point of a curve and its hour, by looking closer at every local one."""
    around = np.concatenate([[-np.inf], curve, [-np.inf]])
    tops = np.flatnonzero((curve >= around[:-2]) & (curve >= around[2:]))
    found = []
    for top in tops:
        near, seen, best = times, curve, int(top)
        for _ in range(CLOSER):
            low, high = near[max(best - 1, 0)], near[min(best + 1, len(near) - 1)]
            near = np.unique(np.append(np.linspace(low, high, LOOK), near[best]))
            seen = at(near)
            best = int(np.argmax(seen))
        found.append((float(seen[best]), float(near[best])))
    return max(found)
