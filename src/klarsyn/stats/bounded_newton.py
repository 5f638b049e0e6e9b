"""Minimum of a smooth function of a few bounded parameters, with a certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

DECREMENT = 1e-20
MOST_STEPS = 200
STUCK = 1e-8  # a decrement above this is not rounding


class Local(NamedTuple):
    """A function's value and derivatives at a point.

    `curvature` is the observed second derivative; `scoring` a positive semi-definite substitute
    for where it is indefinite.
    """

    value: float
    gradient: Vector
    curvature: Matrix
    scoring: Matrix


class Minimum(NamedTuple):
    """Where a descent ended: `free` marks the parameters that do not rest on a bound."""

    at: Vector
    local: Local
    free: NDArray[np.bool_]
    decrement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Why an optimum is believed, or not.

    `gradient` is the Newton decrement (g'H⁻¹g of −2 log-likelihood over the free parameters:
    the squared distance to the optimum in standard errors, invariant under rescaling).
    `curvature` is the smallest eigenvalue of the free parameters' correlation-scaled curvature
    (1 = independent, 0 = flat, negative = not a maximum). `boundary` names the parameters that
    rest on a bound. `maxima` is the number of different ends (local maxima, also on the boundary)
    met from `starts` starting points, and `runner_up` how much lower the next best log-likelihood
    is (infinite if none).
    """

    gradient: float
    curvature: float
    boundary: tuple[str, ...]
    maxima: int
    runner_up: float
    starts: int

    @property
    def converged(self) -> bool:
        """Whether the point is a maximum to the last digits that the likelihood can tell."""
        return self.gradient < 1e-10 and self.curvature > 1e-9

    def to_dict(self) -> dict[str, object]:
        """JSON-ready fields."""
        return {
            "gradient": self.gradient,
            "curvature": self.curvature,
            "boundary": list(self.boundary),
            "maxima": self.maxima,
            "runner_up": self.runner_up,
            "starts": self.starts,
            "converged": self.converged,
        }


def minimise(
    function: Callable[[Vector], Local | None],
    start: Vector,
    lower: Vector,
    upper: Vector,
    known: Minimum | None = None,
) -> Minimum:
    """Descend by Newton steps projected on the box, scoring steps where curvature is indefinite.

    `function` returns None outside its domain. Stops when the Newton decrement is below 1e-20 or
    rounding stops the descent; the caller judges the decrement that is returned. A descent that
    comes within a fifth of a standard error of the `known` minimum, and not below it, ends there.
    """
    at = np.clip(start, lower, upper)
    local = function(at)
    if local is None:
        raise ValueError("The starting point lies outside the domain.")
    free, decrement = np.ones(at.size, dtype=bool), np.inf
    for _ in range(MOST_STEPS):
        if known is not None and _arrived(at, local, known):
            return known
        free = ~(((at <= lower) & (local.gradient > 0)) | ((at >= upper) & (local.gradient < 0)))
        free &= lower < upper
        if not free.any():
            return Minimum(at, local, free, 0.0)
        step, decrement = _newton_step(local, free, (lower - at, upper - at))
        if decrement < DECREMENT:
            break
        ahead, used = _line_search(function, at, local, step, lower, upper, decrement)
        if decrement > STUCK and (used > 4 or ahead is None):
            # A scoring step that had to be cut short points along a ridge: compare another.
            step = _saddle_free(local, free)
            other, _ = _line_search(function, at, local, step, lower, upper, decrement)
            if ahead is None or (other is not None and other[1].value < ahead[1].value):
                ahead = other
        if ahead is None:
            break
        at, local = ahead
    return Minimum(at, local, free, decrement)


def _arrived(at: Vector, local: Local, known: Minimum) -> bool:
    away = at - known.at
    return bool(
        np.array_equal(at[~known.free], known.at[~known.free])
        and away @ known.local.curvature @ away < 0.04
        and 0 <= local.value - known.local.value < 0.04
    )


def _newton_step(
    local: Local, free: NDArray[np.bool_], room: tuple[Vector, Vector] | None = None
) -> tuple[Vector, float]:
    """The step to the quadratic model's minimum inside the box, and the model's g'H⁻¹g.

    `room` is how far each parameter may go down and up; parameters that would leave the box stop
    at its wall and the others are solved for again.
    """
    curvature = local.curvature[np.ix_(free, free)]
    if np.linalg.eigvalsh(curvature)[0] <= 1e-12 * max(np.abs(np.diag(curvature)).max(), 1e-300):
        curvature = _lifted(local.scoring[np.ix_(free, free)])
    gradient = local.gradient[free]
    inside = -np.linalg.solve(curvature, gradient)
    decrement = float(-gradient @ inside)
    if room is not None:
        low, high = room[0][free], room[1][free]
        held = np.zeros(len(inside), dtype=bool)
        while (out := ~held & ((inside < low) | (inside > high))).any():
            held |= out
            inside = np.where(held, np.clip(inside, low, high), inside)
            rest = ~held
            if rest.any():
                pull = gradient[rest] + curvature[np.ix_(rest, held)] @ inside[held]
                inside[rest] = -np.linalg.solve(curvature[np.ix_(rest, rest)], pull)
        if held.any() and gradient @ inside > -1e-3 * decrement:
            # Walls one by one need not lead downhill; each parameter on its own always does.
            inside = np.clip(-gradient / np.diag(curvature), low, high)
    step = np.zeros(local.gradient.size)
    step[free] = inside
    return step, decrement


def _saddle_free(local: Local, free: NDArray[np.bool_]) -> Vector:
    """Downhill along every eigenvector of the curvature, by its size whatever its sign."""
    values, vectors = np.linalg.eigh(local.curvature[np.ix_(free, free)])
    size = np.maximum(np.abs(values), 1e-6 * np.abs(values).max())
    step = np.zeros(local.gradient.size)
    step[free] = -vectors @ (vectors.T @ local.gradient[free] / size)
    return step


def _lifted(curvature: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(curvature)
    return (vectors * np.maximum(values, 1e-10 * max(values[-1], 1e-300))) @ vectors.T


def _line_search(
    function: Callable[[Vector], Local | None],
    at: Vector,
    local: Local,
    step: Vector,
    lower: Vector,
    upper: Vector,
    decrement: float,
) -> tuple[tuple[Vector, Local] | None, int]:
    # Close to the optimum rounding of the value hides the descent; the gradient must then fall.
    rounding = 1e-13 * (1 + abs(local.value))
    share, used = 1.0, 0
    while share > 1e-10:
        ahead = np.clip(at + share * step, lower, upper)
        if np.array_equal(ahead, at):
            return None, used
        there = function(ahead)
        used += 1
        if there is not None:
            expected = local.gradient @ (ahead - at)
            if decrement > 1e3 * rounding:
                if there.value <= local.value + min(1e-4 * expected, 0.0):
                    return (ahead, there), used
            elif there.value <= local.value + rounding:
                _, after = _newton_step(there, _inside(ahead, there, lower, upper))
                return ((ahead, there) if after < 0.5 * decrement else None), used
        share *= 0.5 if share > 0.1 else 0.2
    return None, used


def _inside(at: Vector, local: Local, lower: Vector, upper: Vector) -> NDArray[np.bool_]:
    held = ((at <= lower) & (local.gradient > 0)) | ((at >= upper) & (local.gradient < 0))
    free = ~held & (lower < upper)
    return free if free.any() else ~held


def certify(
    best: Minimum, others: Sequence[Minimum], names: Sequence[str], bounds: tuple[Vector, Vector]
) -> Certificate:
    """The certificate of the best of several descents; values are −2 log-likelihood."""
    fixed = bounds[0] >= bounds[1]
    resting = (np.abs(best.at - bounds[0]) < 1e-10) | (np.abs(best.at - bounds[1]) < 1e-10)
    loose = best.free & ~resting
    curvature = best.local.curvature[np.ix_(loose, loose)]
    if resting.any():
        # A correlation is without meaning, and flat, where its variance rests on zero.
        told = np.abs(np.diag(curvature)) > 1e-12 * max(np.abs(curvature).max(initial=0), 1e-300)
        curvature = curvature[np.ix_(told, told)]
    smallest = 1.0
    if curvature.size:
        scale = np.sqrt(np.maximum(np.abs(np.diag(curvature)), 1e-300))
        smallest = float(np.linalg.eigvalsh(curvature / np.outer(scale, scale))[0])
    lower = [o.local.value - best.local.value for o in others if o.decrement < 1e-8]
    different = sorted({round(d, 6) for d in lower if d > 1e-6})
    boundary = tuple(
        name
        for name, held, still in zip(names, resting | ~best.free, fixed, strict=True)
        if held and not still
    )
    return Certificate(
        gradient=best.decrement,
        curvature=smallest,
        boundary=boundary,
        maxima=1 + len(different),
        runner_up=float(different[0] / 2) if different else float("inf"),
        starts=len(others),
    )
