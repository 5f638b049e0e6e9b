"""One linear system for many individuals at once, each with parameters and doses of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.solvers.exponential import exponential
from klarsyn.pharmacology.solvers.linear import NotLinearError
from klarsyn.pharmacology.system import System, affine_system

WELL_CONDITIONED = 1e6  # eigenvectors beyond this cost more than six of sixteen digits
STEP_DIGITS = 11  # steps of the grid that agree to 1e-11 h share their exponential


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An amount entering a compartment; time, amount and duration (0: at once) by individual."""

    compartment: int
    time: np.ndarray
    amount: np.ndarray
    duration: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """From `start` on, these rate matrices (n, d, d) hold."""

    start: float
    matrix: np.ndarray


def solve_many(
    systems: Sequence[tuple[float, System]],
    entries: Sequence[Entry],
    times: np.ndarray,
    individuals: int,
) -> np.ndarray:
    """Amounts (n, T, d) at ascending `times` on a grid that all individuals share.

    `systems` gives (start, system) for each stretch with its own parameters, the first starting
    at or before everything; starts after the first must be grid times. Between grid times the
    state moves by exponentials of each individual's matrix; an entry between two grid times adds
    its exact effect at the later one. Compartments that no dose reaches stay empty.

    Raises NotLinearError for equations that are not linear or have a baseline.
    """
    return Many(systems, entries, times, individuals).amounts()


class Many:
    """What `solve_many` works with, kept so that other shares of the entries cost little."""

    def __init__(
        self,
        systems: Sequence[tuple[float, System]],
        entries: Sequence[Entry],
        times: np.ndarray,
        individuals: int,
    ) -> None:
        epochs = [_epoch(start, system, individuals) for start, system in systems]
        size = epochs[0].matrix.shape[-1]
        grid, self._shown = _grid(times, epochs, entries)
        self._shape = individuals, len(times), size
        self._parts = []
        for part in connected(epochs, entries, size):
            place = {int(c): i for i, c in enumerate(part)}
            local = [
                Epoch(start=e.start, matrix=np.ascontiguousarray(e.matrix[:, part][:, :, part]))
                for e in epochs
            ]
            moved = [
                (number, place[e.compartment], e)
                for number, e in enumerate(entries)
                if e.compartment in place
            ]
            self._parts.append((part, _Part(local, moved, grid)))

    def amounts(self, shares: np.ndarray | None = None) -> np.ndarray:
        """Amounts (n, T, d) where of each entry only a share (n, E) is given, all without."""
        answer = np.zeros(self._shape)
        for part, inside in self._parts:
            answer[:, :, part] = inside.march(shares)[:, self._shown]
        return answer


def _epoch(start: float, system: System, individuals: int) -> Epoch:
    found = affine_system(system)
    if found is None or np.any(found[1] != 0):
        raise NotLinearError
    d = len(system.compartments)
    return Epoch(start=start, matrix=np.broadcast_to(found[0], (individuals, d, d)))


def _grid(
    times: np.ndarray, epochs: Sequence[Epoch], entries: Sequence[Entry]
) -> tuple[np.ndarray, np.ndarray]:
    if np.any(np.diff(times) <= 0):
        raise InputError("the times of a population must rise, none given twice.")
    first = min([times[0], 0.0, *(float(np.min(e.time)) for e in entries)])
    starts = [e.start for e in epochs[1:]]
    grid = np.unique(np.concatenate([[first], starts, times]))
    return grid, np.searchsorted(grid, times)


def connected(epochs: Sequence[Epoch], entries: Sequence[Entry], size: int) -> list[np.ndarray]:
    """The compartments that doses reach, in groups between which nothing flows."""
    linked = np.zeros((size, size), bool)
    for epoch in epochs:
        linked |= np.any(epoch.matrix != 0, axis=0)
    reached = np.zeros(size, bool)
    reached[[e.compartment for e in entries]] = True
    for _ in range(size):
        reached |= linked[:, reached].any(axis=1)
    both = (linked | linked.T) & reached[:, None] & reached[None, :]
    groups, seen = [], ~reached
    for start in range(size):
        if seen[start]:
            continue
        member = np.zeros(size, bool)
        member[start] = True
        for _ in range(size):
            member |= both[:, member].any(axis=1)
        seen |= member
        groups.append(np.flatnonzero(member))
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What an entry adds at one grid index, in some individuals, to amounts and to its input."""

    entry: int
    at: int
    compartment: int
    who: np.ndarray
    amounts: np.ndarray
    rate: np.ndarray


class _Part:
    """Compartments between which something flows, with their exponentials by stretch and step."""

    def __init__(
        self,
        epochs: Sequence[Epoch],
        entries: Sequence[tuple[int, int, Entry]],
        grid: np.ndarray,
    ) -> None:
        self.size, self.grid = epochs[0].matrix.shape[:2], grid
        self.movers = [_Mover(e.matrix) for e in epochs]
        starts = np.array([e.start for e in epochs[1:]])
        self.effects = [
            effect
            for number, index, entry in entries
            for effect in _effects(self.movers, starts, number, index, entry, grid)
        ]
        self.stretch = np.searchsorted(starts, grid[:-1], side="right")
        self.steps = np.round(np.diff(grid), STEP_DIGITS)
        self.into = sorted({index for _, index, e in entries if np.any(e.duration > 0)})
        self.kept: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}

    def march(self, shares: np.ndarray | None) -> np.ndarray:
        """Amounts (n, T, d) at every grid time."""
        n, d = self.size
        jumps, inflows = self._entered(shares)
        answer = np.zeros((n, len(self.grid), d))
        state, rates = np.zeros((n, d)), np.zeros((n, d))
        for k in range(min(jumps, default=len(self.grid)), len(self.grid)):
            if k > 0:
                move, gain = self._moved(k - 1)
                state = _times(move, state)
                if self.into and rates.any():
                    state += _times(gain, rates[:, self.into])
            if k in jumps:
                state += jumps[k]
                rates += inflows[k]
            answer[:, k] = state
        return answer

    def _moved(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        key = (int(self.stretch[k]), float(self.steps[k]))
        if key not in self.kept:
            lengths = np.full(self.size[0], key[1])
            self.kept[key] = self.movers[key[0]].step(lengths, self.into)
        return self.kept[key]

    def _entered(
        self, shares: np.ndarray | None
    ) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """What is added to amounts and to input rates, (n, d), by grid index."""
        jumps: dict[int, np.ndarray] = {}
        inflows: dict[int, np.ndarray] = {}
        for e in self.effects:
            share = np.ones(len(e.who)) if shares is None else shares[e.who, e.entry]
            if np.any(share):
                jump = jumps.setdefault(e.at, np.zeros(self.size))
                inflow = inflows.setdefault(e.at, np.zeros(self.size))
                jump[e.who] += share[:, None] * e.amounts
                inflow[e.who, e.compartment] += share * e.rate
        return jumps, inflows


def _times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return (matrix @ vector[..., None])[..., 0]


def _effects(
    movers: Sequence[_Mover],
    starts: np.ndarray,
    number: int,
    index: int,
    entry: Entry,
    grid: np.ndarray,
) -> Iterator[_Effect]:
    """What one entry adds where it begins and ends."""
    nothing = np.zeros(len(entry.amount))
    lasting = entry.duration > 0
    rate = np.divide(entry.amount, entry.duration, where=lasting, out=nothing.copy())
    pieces = [(entry.time, np.where(lasting, 0.0, entry.amount), rate)]
    if lasting.any():
        pieces.append((entry.time + entry.duration, nothing, -rate))
    for when, bolus, change in pieces:
        place = np.searchsorted(grid, when, side="left")
        for k in np.unique(place[place < len(grid)]):
            who = np.flatnonzero(place == k)
            stretch = int(np.searchsorted(starts, grid[max(k - 1, 0)], side="right"))
            move, gain = movers[stretch].columns(who, grid[k] - when[who], index)
            yield _Effect(
                entry=number,
                at=int(k),
                compartment=index,
                who=who,
                amounts=move * bolus[who, None] + gain * change[who, None],
                rate=change[who],
            )


class _Mover:
    """Exponentials of a stack of matrices: by eigenvectors where they are good, else by series."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        self.ready = False

    def _prepare(self) -> None:
        if self.ready:
            return
        values, vectors = np.linalg.eig(self.matrix)
        oscillates = np.any(np.imag(values) != 0, axis=1)
        values = np.ascontiguousarray(np.real(values))
        vectors = np.ascontiguousarray(np.real(vectors))
        with np.errstate(all="ignore"):
            good = ~oscillates & (np.linalg.cond(vectors) < WELL_CONDITIONED)
        safe = np.where(good[:, None, None], vectors, np.eye(vectors.shape[-1]))
        self.values, self.vectors, self.inverse = values, safe, np.linalg.inv(safe)
        self.bad = np.flatnonzero(~good)
        self.ready = True

    def step(self, lengths: np.ndarray, into: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """exp(A h), (n, d, d), and the columns `into` of its integral from 0 to h, (n, d, k)."""
        return self._both(np.arange(len(self.matrix)), lengths, slice(None), list(into))

    def columns(
        self, who: np.ndarray, lengths: np.ndarray, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """One column of both, for some individuals, (who, d) each."""
        if not np.any(lengths):
            column = np.zeros((len(who), self.matrix.shape[-1]))
            move = column.copy()
            move[:, index] = 1.0
            return move, column
        move, gain = self._both(who, lengths, [index], [index])
        return move[..., 0], gain[..., 0]

    def _both(
        self, who: np.ndarray, lengths: np.ndarray, of: slice | list[int], into: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns `of` the exponential and columns `into` of its integral."""
        self._prepare()
        exponent = self.values[who] * lengths[:, None]
        grown = np.exp(exponent)
        still = np.abs(exponent) < 1e-300
        mean = np.where(still, 1.0, np.expm1(exponent) / np.where(still, 1.0, exponent))
        left, right = self.vectors[who], self.inverse[who]
        move = (left * grown[:, None, :]) @ right[:, :, of]
        gain = (left * (mean * lengths[:, None])[:, None, :]) @ right[:, :, into]
        bad = np.flatnonzero(np.isin(who, self.bad))
        if len(bad):
            exact_move, gain[bad] = _series(self.matrix[who[bad]], lengths[bad], into)
            move[bad] = exact_move[:, :, of]
        return move, gain


def _series(
    matrix: np.ndarray, lengths: np.ndarray, into: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    d, k = matrix.shape[-1], len(into)
    whole = np.zeros((len(matrix), d + k, d + k))
    whole[:, :d, :d] = matrix
    whole[:, into, range(d, d + k)] = 1.0
    found = exponential(whole * lengths[:, None, None])
    return found[:, :d, :d], found[:, :d, d:]
