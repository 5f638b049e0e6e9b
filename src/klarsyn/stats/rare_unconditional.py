"""Unconditional models of two groups: study effects fixed (UM.FS) or random (UM.RS).

A study's groups have linear predictors `alpha + x1·theta` and `alpha + x2·theta`, theta ~ N(mu,
tau²), and (x1, x2) = (½, −½), (1, 0) or (0, −1): with random effects the coding is part of the
model (Jackson et al. 2018). Integrals are adaptive Gauss–Hermite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.rare_random import (
    ENOUGH,
    FINE_POINTS,
    LARGEST_TAU,
    SMALLEST_TAU,
    TAU_NEAR_ZERO,
    TAU_STARTS,
    RandomEffectFit,
    count_apart,
    quadrature_rule,
    unbounded_tau,
)
from klarsyn.stats.rare_stratified import ChiSquare

Array = NDArray[np.float64]
Three = tuple[Array, Array, Array]
TwoGroups = Callable[[Array, Array], tuple[Three, Three]]

CODINGS = {"half": (0.5, -0.5), "first": (1.0, 0.0), "second": (0.0, -1.0)}
POINTS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Per study: log marginal likelihood, mean score and curvature in (alpha, mu, tau)."""

    value: Array
    gradient: Array
    hessian: Array


def fit_fixed_study_effects(
    groups: TwoGroups, alpha: Array, *, coding: str = "half", points: int | None = None
) -> RandomEffectFit:
    """UM.FS: one free intercept a study, theta random; maximum likelihood.

    `alpha` holds starting intercepts. Newton's method on the whole likelihood; the intercepts are
    eliminated by Schur complements, so the cost grows linearly with the studies. Without `points`
    the quadrature takes as many as it needs.

    Raises NumericalError `not_converged` where no maximum is found.
    """
    x = _coding(coding)
    if points is not None:
        return _fit(groups, x, alpha, points)
    found = _fit(groups, x, alpha, POINTS)
    return found if found.integration_error <= ENOUGH else _fit(groups, x, alpha, FINE_POINTS)


def _fit(groups: TwoGroups, x: tuple[float, float], alpha: Array, points: int) -> RandomEffectFit:
    common = _newton(groups, x, alpha, 0.0, None, 1)
    if common is None:
        raise _no_maximum()
    mu0, alpha0, value0, gradient0, information0 = common
    score = _slope_at_zero(groups, x, alpha0, mu0)
    se0 = float(information0[0, 0]) ** -0.5
    best, found = value0, None
    peaks: list[float] = []
    floor = SMALLEST_TAU if score > 0 else TAU_NEAR_ZERO
    for tau in TAU_STARTS:
        fit = _newton(groups, x, alpha0, mu0, tau, points, floor)
        if fit is not None:
            peaks.append(float(fit[0][1]))
        if fit is not None and fit[2] > best + 1e-10:
            best, found = fit[2], fit
            if score > 0:
                break
    maxima = count_apart(peaks) + (score <= 0)
    shared = {
        "log_likelihood_common": value0, "mu_common": mu0, "se_common": se0,
        "slope_at_zero": score, "iterations": 0, "points": points,
    }  # fmt: skip
    if found is None:
        return RandomEffectFit(
            mu=mu0, se=se0, tau2=0.0, se_tau2=math.nan, log_likelihood=value0, boundary=True,
            gradient=gradient0, integration_error=0.0,
            curvature=float(information0[0, 0]), maxima=max(maxima, 1), **shared,
        )  # fmt: skip
    at, alphas, value, gradient, information = found
    mu, log_tau = at
    tau2 = math.exp(2 * log_tau)
    covariance = np.linalg.inv(information)
    finer = _moments(groups, x, alphas, mu, math.sqrt(tau2), 2 * points).value.sum()
    return RandomEffectFit(
        mu=mu, se=math.sqrt(covariance[0, 0]), tau2=tau2,
        se_tau2=2 * tau2 * math.sqrt(covariance[1, 1]), log_likelihood=value, boundary=False,
        gradient=gradient, integration_error=abs(float(finer) - value),
        curvature=float(np.linalg.eigvalsh(information)[0]), maxima=maxima, **shared,
    )  # fmt: skip


def _coding(coding: str) -> tuple[float, float]:
    if coding not in CODINGS:
        raise unknown_name("coding of the two groups", coding, CODINGS)
    return CODINGS[coding]


def _no_maximum() -> NumericalError:
    return NumericalError(
        "not_converged",
        "The unconditional model has no maximum for these counts: one group has no event (or only "
        "events) in all studies together.",
    )


def _predictor(
    groups: TwoGroups, x: tuple[float, float], alpha: Array, theta: Array
) -> tuple[Array, Array, Array]:
    """Log-likelihood; slopes and curvatures in (alpha, theta) as arrays (2, …) and (2, 2, …)."""
    (v1, s1, c1), (v2, s2, c2) = groups(alpha + x[0] * theta, alpha + x[1] * theta)
    slope = np.stack([s1 + s2, x[0] * s1 + x[1] * s2])
    cross = x[0] * c1 + x[1] * c2
    curvature = np.stack([[c1 + c2, cross], [cross, x[0] ** 2 * c1 + x[1] ** 2 * c2]])
    return v1 + v2, slope, curvature


def _moments(
    groups: TwoGroups, x: tuple[float, float], alpha: Array, mu: float, tau: float, points: int
) -> _Moments:
    column = alpha[:, None]
    z, log_weight = _nodes(groups, x, column, mu, tau, points)
    value, slope, curvature = _predictor(groups, x, column, mu + tau * z)
    log_terms = value - 0.5 * z**2 - 0.5 * math.log(2 * math.pi) + log_weight
    top = log_terms.max(axis=1, keepdims=True)
    weight = np.exp(log_terms - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    score = np.stack([slope[0], slope[1], slope[1] * z])
    mean = (weight * score).sum(axis=2)
    bend = np.stack(
        [
            [curvature[0, 0], curvature[0, 1], curvature[0, 1] * z],
            [curvature[0, 1], curvature[1, 1], curvature[1, 1] * z],
            [curvature[0, 1] * z, curvature[1, 1] * z, curvature[1, 1] * z**2],
        ]
    )
    second = (weight * (bend + score[:, None] * score[None, :])).sum(axis=3)
    second -= mean[:, None] * mean[None, :]
    return _Moments(value=top[:, 0] + np.log(total[:, 0]), gradient=mean, hessian=second)


def _nodes(
    groups: TwoGroups, x: tuple[float, float], alpha: Array, mu: float, tau: float, points: int
) -> tuple[Array, Array]:
    mode = np.zeros_like(alpha)
    bend = np.ones_like(alpha)
    for _ in range(60):
        _, slope, curvature = _predictor(groups, x, alpha, mu + tau * mode)
        bend = 1 - tau**2 * curvature[1, 1]
        step = np.clip((tau * slope[1] - mode) / bend, -2, 2)
        mode = mode + step
        if np.abs(step).max() < 1e-4:
            break
    width = np.sqrt(2 / bend)
    node, log_weight = quadrature_rule(points)
    return mode + width * node, log_weight + np.log(width)


def _at_zero(groups: TwoGroups, x: tuple[float, float], alpha: Array, mu: float) -> _Moments:
    """As `_moments` with tau = 0, in (alpha, mu) only."""
    column = alpha[:, None]
    value, slope, curvature = _predictor(groups, x, column, np.full_like(column, mu))
    return _Moments(value=value[:, 0], gradient=slope[..., 0], hessian=curvature[..., 0])


def _slope_at_zero(groups: TwoGroups, x: tuple[float, float], alpha: Array, mu: float) -> float:
    there = _at_zero(groups, x, alpha, mu)
    return 0.5 * float((there.hessian[1, 1] + there.gradient[1] ** 2).sum())


def _newton(
    groups: TwoGroups, x: tuple[float, float], alpha: Array, mu: float, tau: float | None,
    points: int, floor: float = SMALLEST_TAU,
) -> tuple | None:  # fmt: skip
    """Climb in (alpha, mu[, log tau]); None where tau runs to 0 or nothing is found.

    Gives the shared parameters, the intercepts, the log-likelihood, the largest slope left, and
    the information about the shared parameters with the intercepts profiled out.
    """
    shared = np.array([mu] if tau is None else [mu, math.log(tau)])

    def evaluate(alphas: Array, at: Array) -> tuple[float, Array, Array]:
        if tau is None:
            m = _at_zero(groups, x, alphas, at[0])
            return float(m.value.sum()), m.gradient, m.hessian
        t = math.exp(at[1])
        m = _moments(groups, x, alphas, at[0], t, points)
        scale = np.array([1.0, 1.0, t])
        gradient = m.gradient * scale[:, None]
        hessian = m.hessian * np.multiply.outer(scale, scale)[:, :, None]
        hessian[2, 2] += gradient[2]
        return float(m.value.sum()), gradient, hessian

    value, gradient, hessian = evaluate(alpha, shared)
    for _ in range(200):
        step_alpha, step_shared, information = _schur_step(gradient, hessian)
        size = max(float(np.abs(step_alpha).max()), float(np.abs(step_shared).max()))
        scale = min(1.0, 2.0 / size) if size > 0 else 1.0
        for _ in range(40):
            trial = shared + scale * step_shared
            if tau is not None and trial[1] < math.log(floor):
                return None
            if tau is not None and trial[1] > math.log(LARGEST_TAU):
                if shared[1] > math.log(LARGEST_TAU) - 1e-6:
                    raise unbounded_tau()
                scale = (math.log(LARGEST_TAU) - float(shared[1])) / float(step_shared[1])
                trial = shared + scale * step_shared
            alphas = alpha + scale * step_alpha
            new = evaluate(alphas, trial)
            if new[0] >= value - 1e-11 * (1 + abs(value)):
                break
            scale /= 2
        else:
            break
        alpha, shared, (value, gradient, hessian) = alphas, trial, new
        if scale * size < 1e-9:
            break
    *_, information = _schur_step(gradient, hessian)
    left = max(float(np.abs(gradient[0]).max()), float(np.abs(gradient[1:].sum(axis=1)).max()))
    if np.linalg.eigvalsh(information)[0] <= 0 or left > 1e-4:
        return None
    at = float(shared[0]) if tau is None else (float(shared[0]), float(shared[1]))
    return at, alpha, value, left, information


def _schur_step(gradient: Array, hessian: Array) -> tuple[Array, Array, Array]:
    """Newton's step of an arrow-shaped system, and the information left for the shared part."""
    down = np.minimum(hessian[0, 0], -1e-10)
    coupling = hessian[0, 1:]
    reduced = hessian[1:, 1:].sum(axis=2) - (coupling / down) @ coupling.T
    slope = gradient[1:].sum(axis=1) - (coupling / down) @ gradient[0]
    bend, axes = np.linalg.eigh(reduced)
    shared = axes @ ((axes.T @ slope) / np.maximum(np.abs(bend), 1e-8))
    return -(gradient[0] + coupling.T @ shared) / down, shared, -reduced


def saturated_tests(
    x1: Array, n1: Array, x2: Array, n2: Array, rates: bool, groups: TwoGroups, common: float
) -> tuple[ChiSquare, ...]:
    """Likelihood-ratio and Wald test of one effect against one in every study.

    `common` is the log-likelihood of the common effect. Studies with an empty cell enter the
    likelihood ratio with their limit and are left out of the Wald test.
    """
    top1, top2 = (np.log(x + (x == 0) * 1e-300) - np.log(n) for x, n in ((x1, n1), (x2, n2)))
    if not rates:
        top1, top2 = (
            np.clip(special.logit(np.clip(x / n, 1e-300, 1 - 1e-16)), -700, 40)
            for x, n in ((x1, n1), (x2, n2))
        )
    (value1, *_), (value2, *_) = groups(top1[:, None], top2[:, None])
    ratio = 2 * (float(value1.sum() + value2.sum()) - common)
    cells = [x1, x2] if rates else [x1, n1 - x1, x2, n2 - x2]
    full = np.all(np.stack(cells) > 0, axis=0)
    weight = 1 / np.sum([1 / cell[full] for cell in cells], axis=0)
    theta = (top1 - top2)[full]
    centre = float((weight * theta).sum() / weight.sum()) if full.any() else 0.0
    wald = float((weight * (theta - centre) ** 2).sum())
    return (
        ChiSquare(name="likelihood ratio", value=max(ratio, 0.0), df=len(x1) - 1),
        ChiSquare(name="Wald", value=wald, df=max(int(full.sum()) - 1, 0)),
    )
