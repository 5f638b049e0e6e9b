"""Heterogeneity that differs between studies: log τ² is linear in scale moderators.

Viechtbauer & López-López 2022. y ~ N(Xβ, v + exp(Zα)); β is profiled out, α maximises the
(restricted) likelihood by Newton's method with exact gradient and Hessian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.heterogeneity import estimate_tau2

Array = np.ndarray
STARTS = (0.0, -2.0, 2.0, -5.0)  # shifts of log τ² from which the search begins
STEPS = 200
FLAT = 1e-10  # Newton decrement at which the search ends; the last steps are quadratic


class LocationScaleFit(NamedTuple):
    """α, β, their covariances, τ² of each study, the log-likelihood and its certificate."""

    alpha: Array
    alpha_covariance: Array
    beta: Array
    beta_covariance: Array
    tau2: Array
    log_likelihood: float
    q: float
    certificate: Certificate


def fit_location_scale(
    y: Array, v: Array, x: Array, z: Array, *, restricted: bool
) -> LocationScaleFit:
    """The highest maximum found from several starts.

    Raises NumericalError `not_converged` when the likelihood has no interior maximum (some τ²
    running to 0), which is common with few studies.
    """
    basis, triangle = np.linalg.qr(z)
    constant = np.linalg.lstsq(basis, np.ones(len(y)), rcond=None)[0]
    tau2 = estimate_tau2(y, v, x, method="REML" if restricted else "ML").value
    centre = math.log(tau2 if tau2 > 0 else float(v.min()) / 10)
    found = [_climb(y, v, x, basis, constant * (centre + shift), restricted) for shift in STARTS]
    good = [f for f in found if f is not None]
    if not good:
        raise NumericalError(
            "not_converged",
            "The scale part has no finite solution: the likelihood keeps rising as some τ² goes "
            "to 0. Use fewer scale moderators, or a single τ².",
        )
    best = max(good, key=lambda f: f[1])
    gamma, height = best
    _, gradient, hessian = _derivatives(y, v, x, basis, gamma, restricted)
    back = np.linalg.inv(triangle)
    t = np.exp(basis @ gamma)
    w = 1 / (v + t)
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ ((x.T * w) @ y)
    r = y - x @ beta
    return LocationScaleFit(
        alpha=back @ gamma,
        alpha_covariance=back @ np.linalg.inv(-hessian) @ back.T,
        beta=beta,
        beta_covariance=inverse,
        tau2=t,
        log_likelihood=height,
        q=float((w * r) @ r),
        certificate=_certificate(gradient, hessian, [f[1] for f in good]),
    )


def _certificate(gradient: Array, hessian: Array, heights: Sequence[float]) -> Certificate:
    scale = np.sqrt(np.diag(-hessian))
    kinds = sorted({round(h, 6) for h in heights}, reverse=True)
    return Certificate(
        gradient=2 * float(gradient @ np.linalg.solve(-hessian, gradient)),
        curvature=float(np.linalg.eigvalsh(-hessian / np.outer(scale, scale))[0]),
        boundary=(),
        maxima=len(kinds),
        runner_up=kinds[0] - kinds[1] if len(kinds) > 1 else math.inf,
        starts=len(STARTS),
    )


def _derivatives(
    y: Array, v: Array, x: Array, z: Array, alpha: Array, restricted: bool
) -> tuple[float, Array, Array]:
    """Log-likelihood, gradient and Hessian by α, exactly."""
    t = np.exp(z @ alpha)
    w = 1 / (v + t)
    information = (x.T * w) @ x
    inverse = np.linalg.inv(information)
    wx = w[:, None] * x
    p = np.diag(w) - wx @ inverse @ wx.T
    py = p @ y
    k, columns = x.shape
    height = 0.5 * (float(np.log(w).sum()) - float(y @ py))
    trace = w
    square = np.diag(w**2)
    if restricted:
        height += 0.5 * float(np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(information)[1])
        trace, square, k = np.diag(p), p**2, k - columns
    height -= 0.5 * k * math.log(2 * math.pi)
    slope = 0.5 * (py**2 - trace)
    curve = 0.5 * square - py[:, None] * p * py[None, :]
    zt = z * t[:, None]
    return height, zt.T @ slope, zt.T @ curve @ zt + (z.T * (slope * t)) @ z


def _climb(
    y: Array, v: Array, x: Array, z: Array, start: Array, restricted: bool
) -> tuple[Array, float] | None:
    alpha = start
    height, gradient, hessian = _derivatives(y, v, x, z, alpha, restricted)
    for _ in range(STEPS):
        values, vectors = np.linalg.eigh(-hessian)
        size = np.maximum(np.abs(values), 1e-8 * max(np.abs(values).max(), 1e-300))
        step = vectors @ ((vectors.T @ gradient) / size)
        decrement = float(gradient @ step)
        if decrement < FLAT and values.min() > 0:
            final = alpha + step
            last = _derivatives(y, v, x, z, final, restricted)[0]
            return (final, last) if last >= height else (alpha, height)
        step *= min(1.0, 3.0 / max(float(np.abs(z @ step).max()), 1e-300))
        for _ in range(40):
            new = alpha + step
            if np.abs(z @ new).max() < 300:
                trial = _derivatives(y, v, x, z, new, restricted)
                if trial[0] > height or decrement < FLAT:
                    break
            step = step / 2
        else:
            return None
        alpha, (height, gradient, hessian) = new, trial
        if np.max(np.exp(z @ alpha) / v) < 1e-8:
            return None
    return None
