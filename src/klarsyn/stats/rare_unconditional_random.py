"""Unconditional model with random study effects (UM.RS): a bivariate integral a study."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError
from klarsyn.stats.rare_random import LARGEST_TAU, quadrature_rule, unbounded_tau
from klarsyn.stats.rare_unconditional import TwoGroups, _coding, _predictor

Array = NDArray[np.float64]

POINTS = 11
MORE_POINTS = 29
ENOUGH = 1e-4  # of the log-likelihood, between a rule and one with twice the points
SMALLEST = 1e-4
SAME_HEIGHT = 1e-6  # of the log-likelihood, two ways to one maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoRandomEffectsFit:
    """mu and tau² of the effect, `alpha` and `sigma2` of the study level, independent of it.

    `points` is 1 for Laplace's approximation. `se` has tau and sigma estimated (a variance at its
    boundary 0 is held there). `gradient` is the largest slope left, `curvature` the least of the
    negative likelihood, `maxima` how many were found from all starts.
    """

    mu: float
    se: float
    tau2: float
    alpha: float
    sigma2: float
    log_likelihood: float
    boundary: bool
    gradient: float
    points: int
    integration_error: float
    curvature: float
    maxima: int


def fit_random_study_effects(
    groups: TwoGroups,
    start: tuple[float, float, float],
    *,
    k: int,
    coding: str = "half",
    points: int | None = None,
) -> TwoRandomEffectsFit:
    """UM.RS by maximum likelihood; `start` is (alpha, mu, sigma).

    `points` = 1 is Laplace's approximation, which is what lme4 and metafor use for this model;
    without it the quadrature takes more points an axis where it needs them.

    Raises NumericalError `not_converged` where no maximum is found.
    """
    x = _coding(coding)
    if points is not None:
        return _fit(groups, x, start, k, points)
    found = _fit(groups, x, start, k, POINTS)
    return found if found.integration_error <= ENOUGH else _fit(groups, x, start, k, MORE_POINTS)


def _fit(
    groups: TwoGroups, x: tuple[float, float], start: tuple[float, float, float], k: int,
    points: int,
) -> TwoRandomEffectsFit:  # fmt: skip
    def deviance(p: Array) -> float:
        return -_log_likelihood(groups, x, k, p, points)[0]

    def slope(p: Array) -> Array:
        if points == 1:  # Laplace's value is no integral, so its slope is no average
            return _slope(deviance, p)
        return -_log_likelihood(groups, x, k, p, points)[1]

    lowest, ends = _descend(deviance, slope, start)
    at = np.abs(lowest) * [0, 0, 1, 1] + lowest * [1, 1, 0, 0]
    if at[3] > LARGEST_TAU:
        raise unbounded_tau()
    free = np.array([True, True, at[2] > SMALLEST, at[3] > SMALLEST])
    at = np.where(free, at, 0.0)
    hessian = _curvature(deviance, slope, at, points)[np.ix_(free, free)]
    gradient = float(np.abs(slope(at)[free]).max())
    if gradient > 1e-2 or np.linalg.eigvalsh(hessian)[0] <= 0:
        raise NumericalError(
            "not_converged",
            f"The model with random study effects found no maximum (largest slope {gradient:.2g}). "
            "A conditional or beta-binomial model may still fit.",
        )
    value = -deviance(at)
    finer = _log_likelihood(groups, x, k, at, 2 * points)[0]
    error = abs(finer - value) if points > 1 else math.nan
    return TwoRandomEffectsFit(
        mu=float(at[1]),
        se=float(np.sqrt(np.linalg.inv(hessian)[1, 1])),
        tau2=float(at[3] ** 2),
        alpha=float(at[0]),
        sigma2=float(at[2] ** 2),
        log_likelihood=value,
        boundary=not bool(free[3]),
        gradient=gradient,
        points=points,
        integration_error=error,
        curvature=float(np.linalg.eigvalsh(hessian)[0]),
        maxima=int(1 + (np.diff(sorted(ends)) > SAME_HEIGHT).sum()),
    )


def _descend(
    deviance: Callable[[Array], float],
    slope: Callable[[Array], Array],
    start: tuple[float, float, float],
) -> tuple[Array, list[float]]:
    """The lowest point met from a large and from a small tau, and how low each descent came."""
    from scipy import optimize

    best = None
    ends: list[float] = []
    for tau in (0.5, 0.1):
        first = np.array([start[0], start[1], max(start[2], 0.1), tau])
        found = optimize.minimize(
            deviance, first, jac=slope, method="BFGS",
            options={"gtol": 1e-6, "maxiter": 200},
        )  # fmt: skip
        ends.append(float(found.fun))
        if best is None or found.fun < best.fun - 1e-9:
            best = found
    assert best is not None
    return best.x, ends


def _log_likelihood(
    groups: TwoGroups, x: tuple[float, float], k: int, p: Array, points: int
) -> tuple[float, Array]:
    """Sum over studies of the log of a two-dimensional adaptive Gauss–Hermite integral.

    With its slope, the posterior mean of the complete data's slope.
    """
    scale = np.asarray(p[2:])
    mode = np.zeros((2, k))
    bend = np.zeros((2, 2, k))
    for _ in range(60):
        value, slope, curvature = _predictor(groups, x, *_levels(p, mode[:, :, None]))
        bend = (
            np.eye(2)[:, :, None] - curvature[..., 0] * np.multiply.outer(scale, scale)[..., None]
        )
        uphill = slope[..., 0] * scale[:, None] - mode
        step = np.linalg.solve(bend.transpose(2, 0, 1), uphill.T[..., None])[..., 0].T
        step *= np.minimum(1, 2 / np.maximum(np.abs(step).max(axis=0), 1e-300))
        mode = mode + step
        if np.abs(step).max() < (1e-10 if points == 1 else 1e-4):
            break
    covariance = np.linalg.inv(bend.transpose(2, 0, 1))
    root = np.linalg.cholesky(covariance)
    node, log_weight = quadrature_rule(points)
    u = np.stack(np.meshgrid(node, node, indexing="ij")).reshape(2, -1)
    log_w = np.add.outer(log_weight, log_weight).ravel()
    z = mode[:, :, None] + math.sqrt(2) * np.einsum("kij,jq->ikq", root, u)
    value, slope, _ = _predictor(groups, x, *_levels(p, z))
    terms = value - 0.5 * (z**2).sum(axis=0) + log_w
    top = terms.max(axis=1)
    weight = np.exp(terms - top[:, None])
    whole = weight.sum(axis=1)
    weight /= whole[:, None]
    score = np.stack([slope[0], slope[1], slope[0] * z[0], slope[1] * z[1]])
    volume = math.log(2) - math.log(2 * math.pi) + np.log(root[:, 0, 0] * root[:, 1, 1])
    return float((top + np.log(whole) + volume).sum()), (weight * score).sum(axis=(1, 2))


def _levels(p: Array, z: Array) -> tuple[Array, Array]:
    return p[0] + p[2] * z[0], p[1] + p[3] * z[1]


def _slope(f, p: Array, step: float = 1e-5) -> Array:
    moves = np.eye(len(p)) * step
    return np.array([(f(p + m) - f(p - m)) / (2 * step) for m in moves])


def _curvature(f, slope, p: Array, points: int, step: float = 1e-3) -> Array:
    if points > 1:
        moves = np.eye(len(p)) * 1e-4
        rows = np.array([(slope(p + m) - slope(p - m)) / 2e-4 for m in moves])
        return (rows + rows.T) / 2
    size = len(p)
    moves = np.eye(size) * step
    out = np.empty((size, size))
    middle = f(p)
    for i in range(size):
        out[i, i] = (f(p + moves[i]) - 2 * middle + f(p - moves[i])) / step**2
        for j in range(i):
            out[i, j] = out[j, i] = (
                f(p + moves[i] + moves[j]) - f(p + moves[i] - moves[j])
                - f(p - moves[i] + moves[j]) + f(p - moves[i] - moves[j])
            ) / (4 * step**2)  # fmt: skip
    return out
