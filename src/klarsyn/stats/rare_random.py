"""One random effect per study, integrated out exactly: theta_i ~ N(mu, tau²).

The marginal likelihood of every study is an integral over its standardised effect z by adaptive
Gauss–Hermite quadrature around its own mode; slopes and curvatures are posterior moments (Louis
1982), so the fit is Newton's method on exact derivatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError
from klarsyn.stats.rare_likelihoods import StudyLikelihood
from klarsyn.stats.rare_stratified import ChiSquare

Array = NDArray[np.float64]

POINTS = 31
FINE_POINTS = 161  # where 31 do not suffice
MOST_HERMITE = 61
ENOUGH = 1e-8  # of the log-likelihood, between a rule and one with twice the points
COARSE_POINTS = 9  # enough to find where to start
TAU_STARTS = (0.15, 0.4, 0.8, 1.6, 3.2)
SMALLEST_TAU = 1e-5
TAU_NEAR_ZERO = 0.02  # below it the likelihood is its tangent at tau² = 0
APART = 1e-4  # of log tau; the same maximum reached from two starts is closer
LARGEST_EFFECT = 30.0
LARGEST_TAU = 30.0  # on the log scale; beyond it only the sign of an effect is left


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomEffectFit:
    """The maximum of the marginal likelihood with its certificate.

    `boundary` says that tau² = 0 is the maximum; `se` is then the profile standard error, from
    the curvature in mu alone. `slope_at_zero` is the derivative of the profile log-likelihood by
    tau² at 0 (negative or zero: tau² = 0 is a local maximum). `gradient` is the largest absolute
    slope left at the maximum, `curvature` the least of the negative likelihood there (above 0: a
    maximum in every direction), `maxima` how many were found from all starts, tau² = 0 among them;
    `integration_error` is the change of the log-likelihood when the quadrature points are doubled.
    """

    mu: float
    se: float
    tau2: float
    se_tau2: float
    log_likelihood: float
    log_likelihood_common: float
    mu_common: float
    se_common: float
    boundary: bool
    slope_at_zero: float
    gradient: float
    iterations: int
    points: int
    integration_error: float
    curvature: float
    maxima: int


def fit_random_effect(
    study: StudyLikelihood, k: int, *, points: int | None = None
) -> RandomEffectFit:
    """Fit mu and tau² by maximum likelihood to k studies.

    Without `points` the quadrature takes as many as it needs. Raises NumericalError
    `not_estimable` where the likelihood rises without end in mu or tau.
    """
    if points is not None:
        return _fit(study, k, points)
    found = _fit(study, k, POINTS)
    return found if found.integration_error <= ENOUGH else _fit(study, k, FINE_POINTS)


def _fit(study: StudyLikelihood, k: int, points: int) -> RandomEffectFit:
    mu0, common, slope, curvature = _common_effect(study, k)
    score = 0.5 * float((curvature + slope**2).sum())
    se0 = float(-curvature.sum()) ** -0.5
    best, interior = common, None
    peaks: list[float] = []
    floor = SMALLEST_TAU if score > 0 else TAU_NEAR_ZERO
    for start in _starts(study, k, mu0):
        found = _climb(study, k, start, points, floor)
        if found is not None:
            peaks.append(found[0][1])
        if found is not None and found[1] > best + 1e-10:
            best, interior = found[1], found
    maxima = count_apart(peaks) + (score <= 0)
    if interior is None:
        return RandomEffectFit(
            mu=mu0, se=se0, tau2=0.0, se_tau2=math.nan, log_likelihood=common,
            log_likelihood_common=common, mu_common=mu0, se_common=se0, boundary=True,
            slope_at_zero=score, gradient=abs(float(slope.sum())), iterations=0, points=points,
            integration_error=0.0, curvature=se0**-2, maxima=max(maxima, 1),
        )  # fmt: skip
    (mu, log_tau), value, gradient, hessian, iterations = interior
    tau = math.exp(log_tau)
    covariance = np.linalg.inv(-hessian)
    finer, _, _ = marginal(study, k, mu, tau, 2 * points)
    return RandomEffectFit(
        mu=mu, se=math.sqrt(covariance[0, 0]), tau2=tau**2,
        se_tau2=2 * tau**2 * math.sqrt(covariance[1, 1]), log_likelihood=value,
        log_likelihood_common=common, mu_common=mu0, se_common=se0, boundary=False,
        slope_at_zero=score, gradient=float(np.abs(gradient).max()), iterations=iterations,
        points=points, integration_error=abs(float(finer.sum()) - value),
        curvature=float(np.linalg.eigvalsh(-hessian)[0]), maxima=maxima,
    )  # fmt: skip


def count_apart(places: list[float]) -> int:
    """How many of these places (log tau) are more than rounding apart."""
    return int(1 + (np.diff(sorted(places)) > APART).sum()) if places else 0


def marginal(
    study: StudyLikelihood, k: int, mu: float, tau: float, points: int = POINTS
) -> tuple[Array, Array, Array]:
    """Each study's log marginal likelihood, and slope and curvature of their sum in (mu, tau)."""
    z, log_weight = adaptive_nodes(study, k, mu, tau, points)
    value, slope, curvature = study(mu + tau * z)
    log_terms = value - 0.5 * z**2 - 0.5 * math.log(2 * math.pi) + log_weight
    top = log_terms.max(axis=1, keepdims=True)
    weight = np.exp(log_terms - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    score = np.stack([slope, slope * z])
    mean = (weight * score).sum(axis=2)
    gradient = mean.sum(axis=1)
    second = np.einsum("kq,akq,bkq->ab", weight, score, score, optimize=True) - mean @ mean.T
    powers = np.stack([np.ones_like(z), z])
    second += np.einsum("kq,akq,bkq->ab", weight * curvature, powers, powers, optimize=True)
    return top[:, 0] + np.log(total[:, 0]), gradient, second


def adaptive_nodes(
    study: StudyLikelihood, k: int, mu: float, tau: float, points: int
) -> tuple[Array, Array]:
    """Gauss–Hermite nodes for z moved to each study's mode and width, and their log weights."""
    mode = np.zeros((k, 1))
    for _ in range(100):
        _, slope, curvature = study(mu + tau * mode)
        bend = tau**2 * curvature - 1
        step = np.clip((tau * slope - mode) / -bend, -2, 2)
        mode = mode + step
        if np.abs(step).max() < 1e-4:  # any centre near the mode will do
            break
    _, _, curvature = study(mu + tau * mode)
    width = math.sqrt(2) / np.sqrt(1 - tau**2 * curvature)
    node, log_weight = quadrature_rule(points)
    return mode + width * node, log_weight + np.log(width)


@cache
def quadrature_rule(points: int) -> tuple[Array, Array]:
    """Nodes x around 0 and log weights for the integral of a function with a peak like exp(−x²).

    Gauss–Hermite up to 61 points; beyond, the trapezoid in u with x = sinh(u), which also follows
    the long one-sided tails of studies with an empty cell.
    """
    if points <= MOST_HERMITE:
        node, weight = np.polynomial.hermite.hermgauss(points)
        return node, np.log(weight) + node**2
    u = np.linspace(-3.4, 3.4, points)
    return np.sinh(u), np.log(np.cosh(u) * (u[1] - u[0]))


def _common_effect(study: StudyLikelihood, k: int) -> tuple[float, float, Array, Array]:
    """The maximum at tau = 0, its log-likelihood, and each study's slope and curvature there."""
    ones = np.ones((k, 1))
    _check_bounded(study, ones)
    mu = 0.0
    for _ in range(200):
        _, slope, curvature = study(mu * ones)
        step = float(np.clip(slope.sum() / -min(curvature.sum(), -1e-12), -1.5, 1.5))
        mu += step
        if abs(step) < 1e-12:
            break
    value, slope, curvature = study(mu * ones)
    return mu, float(value.sum()), slope[:, 0], curvature[:, 0]


def _check_bounded(study: StudyLikelihood, ones: Array) -> None:
    for side in (-1, 1):
        if side * study(side * LARGEST_EFFECT * ones)[1].sum() >= -1e-9:
            raise NumericalError(
                "not_estimable",
                "The likelihood rises without end: all studies together have no event (or only "
                "events) in one of the groups, so no finite effect fits best. A risk difference, "
                "an exact limit or a prior can still say something.",
            )


def _starts(study: StudyLikelihood, k: int, mu0: float) -> list[Array]:
    """Local maxima of the likelihood on a coarse grid of tau, mu brought near its best."""
    places, values, mu = [], [], mu0
    for tau in TAU_STARTS:
        value, gradient, hessian = marginal(study, k, mu, tau, COARSE_POINTS)
        step = float(np.clip(-gradient[0] / min(hessian[0, 0], -1e-9), -1, 1))
        values.append(float(value.sum()) + 0.5 * step * float(gradient[0]))
        mu += step
        places.append(np.array([mu, math.log(tau)]))
    padded = [-math.inf, *values, -math.inf]
    return [
        place
        for i, place in enumerate(places)
        if padded[i + 1] >= padded[i] and padded[i + 1] >= padded[i + 2]
    ]


def _climb(
    study: StudyLikelihood, k: int, start: Array, points: int, floor: float
) -> tuple[tuple[float, float], float, Array, Array, int] | None:
    """Newton's method in (mu, log tau); None where tau runs to 0."""
    at = start
    value, gradient, hessian = _in_log_tau(study, k, at, points)
    iterations = 0
    for _ in range(100):
        iterations += 1
        step = _newton_step(gradient, hessian)
        for _ in range(40):
            trial = at + step
            if trial[1] < math.log(floor):
                return None
            if trial[1] > math.log(LARGEST_TAU):
                if at[1] > math.log(LARGEST_TAU) - 1e-6:
                    raise unbounded_tau()
                step = step * ((math.log(LARGEST_TAU) - at[1]) / step[1])
                trial = at + step
            new = _in_log_tau(study, k, trial, points)
            if new[0] >= value - 1e-12 * (1 + abs(value)):
                break
            step = step / 2
        else:
            break
        at, (value, gradient, hessian) = trial, new
        if np.abs(step).max() < 1e-9:
            break
    if np.linalg.eigvalsh(hessian)[-1] >= 0:
        return None
    return (float(at[0]), float(at[1])), value, gradient, hessian, iterations


def unbounded_tau() -> NumericalError:
    """The error of data that only ever larger tau² fit better."""
    return NumericalError(
        "not_estimable",
        "The likelihood rises as tau² grows without end: the few informative studies have all "
        "their events in one group, and not all in the same. A common-effect (Mantel–Haenszel) "
        "or beta-binomial estimate, or a prior for tau, can still say something.",
    )


def _in_log_tau(
    study: StudyLikelihood, k: int, at: Array, points: int
) -> tuple[float, Array, Array]:
    tau = math.exp(at[1])
    values, gradient, hessian = marginal(study, k, float(at[0]), tau, points)
    scale = np.array([1.0, tau])
    bent = hessian * np.outer(scale, scale)
    bent[1, 1] += tau * gradient[1]
    return float(values.sum()), gradient * scale, bent


def _newton_step(gradient: Array, hessian: Array) -> Array:
    """Uphill by Newton with the curvature made negative, no component longer than 1.5."""
    bend, axes = np.linalg.eigh(hessian)
    step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(bend), 1e-6))
    longest = np.abs(step).max()
    return step if longest <= 1.5 else step * (1.5 / longest)


def heterogeneity_tests(study: StudyLikelihood, k: int, mu_common: float) -> tuple[ChiSquare, ...]:
    """Likelihood-ratio and Wald test of one effect against an effect of its own in every study.

    A study whose own effect is infinite (a zero cell) enters the likelihood ratio with its limit
    and is left out of the Wald test, which has then fewer degrees of freedom.
    """
    ones = np.ones((k, 1))
    own = np.full((k, 1), mu_common)
    for _ in range(200):
        _, slope, curvature = study(own)
        step = np.clip(slope / np.maximum(-curvature, 1e-12), -1, 1)
        own = np.clip(own + step, -LARGEST_EFFECT, LARGEST_EFFECT)
        if np.abs(step[np.abs(own) < LARGEST_EFFECT]).max(initial=0.0) < 1e-10:
            break
    value, _, curvature = study(own)
    ratio = 2 * float(value.sum() - study(mu_common * ones)[0].sum())
    finite = np.abs(own) < LARGEST_EFFECT / 2
    theta, information = own[finite], -curvature[finite]
    centre = (information * theta).sum() / information.sum() if finite.any() else 0.0
    wald = float((information * (theta - centre) ** 2).sum())
    return (
        ChiSquare(name="likelihood ratio", value=max(ratio, 0.0), df=k - 1),
        ChiSquare(name="Wald", value=wald, df=max(int(finite.sum()) - 1, 0)),
    )
