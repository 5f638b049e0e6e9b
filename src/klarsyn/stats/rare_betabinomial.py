"""Beta-binomial regression with one intra-study correlation: keeps studies without any event.

A group's risk varies between studies by a beta distribution with mean mu = expit(alpha + beta·x)
and correlation rho (Kuss 2015); x is 1 in the first group. rho = 0 is the binomial model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from klarsyn.errors import NumericalError
from klarsyn.stats.estimate import Estimate

Array = NDArray[np.float64]

SMALLEST = 1e-6  # of phi = rho/(1 − rho); below it the binomial limit is used
LARGEST_EFFECT = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaBinomialFit:
    """The log odds ratio with rho and the groups' mean risks; `boundary`: rho = 0 fits best.

    `risk1` and `risk2` are averages over the studies used. `gradient` is the largest slope left.
    """

    estimate: Estimate
    rho: float
    risk1: float
    risk2: float
    risk_difference: Estimate
    log_likelihood: float
    boundary: bool
    gradient: float


def fit_beta_binomial(
    a: Array, n1: Array, c: Array, n2: Array, *, study_effects: bool = False
) -> BetaBinomialFit:
    """Maximum likelihood for counts of two groups; `study_effects` gives each study an intercept.

    Raises NumericalError `not_estimable` where a group has no event (or only events) in all
    studies together.
    """
    k = len(a)
    for x, n in ((a.sum(), n1.sum()), (c.sum(), n2.sum())):
        if x <= 0 or x >= n:
            raise NumericalError(
                "not_estimable",
                "The beta-binomial odds ratio has no finite value: one group has no event (or only "
                "events) in all studies together. A risk difference or an exact limit can still "
                "say something.",
            )
    events, total = np.concatenate([a, c]), np.concatenate([n1, n2])
    arm = np.repeat([1.0, 0.0], k)
    base = np.tile(np.eye(k), (2, 1)) if study_effects else np.ones((2 * k, 1))
    design = np.column_stack([arm, base])
    constant = float(_log_choose(total, events).sum())
    beta, phi, value, gradient = _maximise(design, events, total)
    hessian = _curvature(design, events, total, beta, phi)
    covariance = np.linalg.inv(-hessian)[: design.shape[1], : design.shape[1]]
    method = "beta-binomial" + (" with study effects" if study_effects else "")
    risks = special.expit(design @ beta)
    bend = (risks * (1 - risks))[:, None] * design
    contrast = bend[:k].mean(axis=0) - bend[k:].mean(axis=0)
    risk1, risk2 = float(risks[:k].mean()), float(risks[k:].mean())
    return BetaBinomialFit(
        estimate=Estimate(
            value=float(beta[0]), se=math.sqrt(covariance[0, 0]), method=method, scale="log"
        ),
        rho=phi / (1 + phi), risk1=risk1, risk2=risk2,
        risk_difference=Estimate(
            value=risk1 - risk2, se=math.sqrt(contrast @ covariance @ contrast), method=method
        ),
        log_likelihood=value + constant, boundary=phi == 0, gradient=gradient,
    )  # fmt: skip


def log_likelihood(events: Array, total: Array, mu: Array, phi: float) -> Array:
    """Log probability of each count, up to its binomial coefficient; phi = rho/(1 − rho)."""
    return _terms(events, total, mu, phi)[0]


def _terms(events: Array, total: Array, mu: Array, phi: float) -> tuple[Array, Array, Array]:
    """Value, slope in mu and slope in phi."""
    other = total - events
    if phi < SMALLEST:
        value = special.xlogy(events, mu) + special.xlog1py(other, -mu)
        by_phi = (
            events * (events - 1) / mu + other * (other - 1) / (1 - mu) - total * (total - 1)
        ) / 2
        return value, events / mu - other / (1 - mu), by_phi
    p, q, one = mu / phi, (1 - mu) / phi, 1 / phi
    value = (
        special.gammaln(p + events) - special.gammaln(p)
        + special.gammaln(q + other) - special.gammaln(q)
        - special.gammaln(one + total) + special.gammaln(one)
    )  # fmt: skip
    by_p = special.digamma(p + events) - special.digamma(p)
    by_q = special.digamma(q + other) - special.digamma(q)
    by_one = special.digamma(one) - special.digamma(one + total)
    return value, (by_p - by_q) / phi, -(mu * by_p + (1 - mu) * by_q + by_one) / phi**2


def _slopes(
    design: Array, events: Array, total: Array, beta: Array, phi: float
) -> tuple[float, Array, float]:
    mu = np.clip(special.expit(design @ beta), 1e-300, 1 - 1e-16)
    value, by_mu, by_phi = _terms(events, total, mu, phi)
    return float(value.sum()), design.T @ (by_mu * mu * (1 - mu)), float(by_phi.sum())


def _maximise(design: Array, events: Array, total: Array) -> tuple[Array, float, float, float]:
    """Coefficients, phi (0 at the boundary), the log-likelihood and the largest slope left."""
    beta = _logistic(design, events, total)
    value, slope, by_phi = _slopes(design, events, total, beta, 0.0)
    best = (beta, 0.0, value, float(np.abs(slope).max()))
    if by_phi <= 0:
        return best

    def objective(p: Array) -> tuple[float, Array]:
        phi = math.exp(p[-1])
        v, s, d = _slopes(design, events, total, p[:-1], phi)
        return -v, -np.append(s, d * phi)

    for start in (1e-3, 5e-2):
        bounds = [(-LARGEST_EFFECT, LARGEST_EFFECT)] * len(beta) + [(math.log(SMALLEST), 7.0)]
        found = optimize.minimize(
            objective, np.append(beta, math.log(start)), jac=True, method="L-BFGS-B",
            bounds=bounds, options={"maxiter": 500, "ftol": 1e-15, "gtol": 1e-9},
        )  # fmt: skip
        p = _polish(objective, found.x)
        v, s = objective(p)
        if -v > best[2] + 1e-9 and p[-1] > math.log(SMALLEST) + 1e-6:
            best = (p[:-1], math.exp(p[-1]), -v, float(np.abs(s).max()))
    return best


def _polish(objective, p: Array) -> Array:
    """A few Newton steps with the slope's finite differences."""
    for _ in range(3):
        value, slope = objective(p)
        hessian = _difference(lambda q: objective(q)[1], p)
        if np.linalg.eigvalsh(hessian)[0] <= 0:
            return p
        step = np.linalg.solve(hessian, slope)
        if np.abs(step).max() > 0.5 or objective(p - step)[0] > value + 1e-12:
            return p
        p = p - step
    return p


def _difference(slope, p: Array, step: float = 1e-5) -> Array:
    moves = np.eye(len(p)) * step
    rows = np.array([(slope(p + m) - slope(p - m)) / (2 * step) for m in moves])
    return (rows + rows.T) / 2


def _curvature(design: Array, events: Array, total: Array, beta: Array, phi: float) -> Array:
    if phi == 0:
        return _difference(lambda b: _slopes(design, events, total, b, 0.0)[1], beta)

    def slope(p: Array) -> Array:
        phi = math.exp(p[-1])
        _, s, d = _slopes(design, events, total, p[:-1], phi)
        return np.append(s, d * phi)

    return _difference(slope, np.append(beta, math.log(phi)))


def _logistic(design: Array, events: Array, total: Array) -> Array:
    beta = np.zeros(design.shape[1])
    for _ in range(100):
        mu = special.expit(design @ beta)
        weight = np.maximum(total * mu * (1 - mu), 1e-12)
        step = np.linalg.lstsq(
            design.T @ (design * weight[:, None]), design.T @ (events - total * mu), rcond=None
        )[0]
        step = np.clip(step, -2, 2)
        beta = beta + step
        if np.abs(step).max() < 1e-12:
            break
    return beta


def _log_choose(n: Array, k: Array) -> Array:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
