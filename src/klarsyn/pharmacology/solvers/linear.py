"""The exact solution of a linear system, event by event, by matrix exponentials."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.pharmacology.solvers.exponential import exponential
from klarsyn.pharmacology.solvers.marching import march
from klarsyn.pharmacology.solvers.timeline import Steady, cut, phase_after_dose
from klarsyn.pharmacology.system import Change, Dose, Reset, System, affine_system

SINGULAR = 1e-13


class NotLinearError(Exception):
    """The system has a term that is not linear in its compartments."""


def solve_exactly(
    system: System,
    doses: Sequence[Dose],
    times: np.ndarray,
    changes: Sequence[Change] = (),
    resets: Sequence[Reset] = (),
) -> np.ndarray:
    """Amounts at `times` (T, d); at the instant of an event, those after it.

    Between events the state is multiplied by the exponential of the rate matrix, augmented by the
    inputs; repeated rate constants (defective matrices) and inputs of any length are exact.

    Raises NotLinearError when the equations are not linear, NumericalError when a steady state
    does not exist.
    """
    return march(system, doses, times, changes, LinearFlow, resets)


class LinearFlow:
    """How amounts move between events: the rate matrix and what a baseline adds."""

    def __init__(self, system: System) -> None:
        found = affine_system(system)
        if found is None:
            raise NotLinearError
        self.matrix, self.constant = found
        self.size = len(system.compartments)

    def step(self, rates: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """exp of the augmented matrix for each length, (n, d+1, d+1)."""
        whole = np.zeros((self.size + 1, self.size + 1))
        whole[: self.size, : self.size] = self.matrix
        whole[: self.size, self.size] = self.constant + rates
        unique, inverse = np.unique(lengths, return_inverse=True)
        found = np.empty((len(unique), *whole.shape))
        for i, length in enumerate(unique):
            with np.errstate(invalid="ignore"):  # an infinite rate is refused by name below
                scaled = whole * length
            found[i] = exponential(scaled)
        return found[inverse]

    def many(
        self, state: np.ndarray, rates: np.ndarray, begin: float, times: np.ndarray
    ) -> np.ndarray:
        """The states at `times`, from `state` at `begin` under constant inputs, (n, d)."""
        if not len(times):
            return np.empty((0, self.size))
        steps = self.step(rates, times - begin)
        return steps[:, : self.size, : self.size] @ state + steps[:, : self.size, self.size]

    def one(self, state: np.ndarray, rates: np.ndarray, length: float) -> np.ndarray:
        """The state after one length."""
        if length <= 0:
            return state.copy()
        return self.many(state, rates, 0.0, np.array([length]))[0]

    def steady(self, steady: Steady, now: float) -> np.ndarray:
        """The state of a dose repeated for ever (without the baseline where it is added)."""
        if math.isinf(steady.interval):
            return _constant_state(self, steady)
        return _periodic_state(self, steady)

    def linked(self, start: int) -> np.ndarray:
        """Which compartments an amount in `start` can reach, itself included."""
        reached = np.zeros(self.size, bool)
        reached[start] = True
        for _ in range(self.size):
            reached |= (self.matrix[:, reached] != 0).any(axis=1)
        return reached


def _constant_state(flow: LinearFlow, steady: Steady) -> np.ndarray:
    inflow = np.zeros(flow.size) if steady.adds else flow.constant.copy()
    inflow[steady.index] += steady.rate
    active = _active(flow, steady)
    return _solved(flow, -flow.matrix, inflow, active)


def _active(flow: LinearFlow, steady: Steady) -> np.ndarray:
    active = flow.linked(steady.index)
    if not steady.adds:
        for i in np.flatnonzero(flow.constant):
            active |= flow.linked(int(i))
    return active


def _periodic_state(flow: LinearFlow, steady: Steady) -> np.ndarray:
    """The state when the record comes, were the dose given every interval since ever."""
    base = np.zeros(flow.size) if steady.adds else flow.constant
    shifted = _Based(flow, base)
    before = np.zeros(flow.size)
    if steady.rate == 0:
        before[steady.index] = steady.amount
    gained = shifted.run(before, steady.pattern(), steady.index)
    still = _Based(flow, np.zeros(flow.size))
    map_ = np.array(
        [still.run(column, [(steady.interval, 0.0)], steady.index) for column in np.eye(flow.size)]
    ).T
    trough = _solved(flow, np.eye(flow.size) - map_, gained, _active(flow, steady))
    phase = phase_after_dose(steady)
    if phase >= steady.interval:
        return trough
    start = trough.copy()
    if steady.rate == 0:
        start[steady.index] += steady.amount
    return shifted.run(start, cut(steady.pattern(), phase), steady.index)


class _Based:
    """The flow with a chosen baseline input."""

    def __init__(self, flow: LinearFlow, base: np.ndarray) -> None:
        self.flow, self.offset = flow, base - flow.constant

    def run(self, state: np.ndarray, pieces: list[tuple[float, float]], index: int) -> np.ndarray:
        for length, rate in pieces:
            rates = self.offset.copy()
            rates[index] += rate
            state = self.flow.one(state, rates, length)
        return state


def _solved(
    flow: LinearFlow, matrix: np.ndarray, right: np.ndarray, active: np.ndarray
) -> np.ndarray:
    found = np.zeros(flow.size)
    part = matrix[np.ix_(active, active)]
    if np.linalg.cond(part) > 1 / SINGULAR:
        raise NumericalError(
            "degenerate",
            "No steady state exists: a compartment that the dose reaches is never emptied.",
        )
    found[active] = np.linalg.solve(part, right[active])
    return found
