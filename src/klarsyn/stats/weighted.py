"""Weighted least squares with known variances plus a common between-study variance.

The model is y = Xβ + u + e with Var(u) = τ² and Var(e) = v known. W = diag(1/(v + τ²)) and
P = W − WX(XᵀWX)⁻¹XᵀW; what is needed of P are traces and quadratic forms, never P itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from klarsyn.errors import NumericalError

Array = np.ndarray
# A column that is this small a part of itself after the others are projected out counts as
# dependent: the square root of double precision leaves eight digits for its coefficient.
DEPENDENT = 1e-8


class Moments(NamedTuple):
    """Traces and quadratic forms of P at each of several τ²; every field has shape (len(τ²),).

    `q` is yᵀPy, `ppy` yᵀP²y, `pppy` yᵀP³y; `log_weights` is Σ log w, `log_information` log |XᵀWX|.
    """

    q: Array
    ppy: Array
    pppy: Array
    trace_p: Array
    trace_pp: Array
    sum_w: Array
    sum_ww: Array
    log_weights: Array
    log_information: Array


class Fit(NamedTuple):
    """Coefficients and what belongs to them at one τ²."""

    beta: Array
    covariance: Array
    weights: Array
    q: float


def moments(y: Array, v: Array, x: Array | None, tau2: Array) -> Moments:
    """The moments of P at each value of `tau2`; `x` is (k, p), or None for an intercept alone."""
    w = 1.0 / (v + tau2[:, None])
    return _moments_of_mean(y, w) if x is None else _moments_of_regression(y, w, x)


def orthonormal(x: Array | None) -> Array | None:
    """A basis of the columns: P is the same, and columns far from 0 (years) cost no digits."""
    return None if x is None else np.linalg.qr(x)[0]


def _moments_of_mean(y: Array, w: Array) -> Moments:
    ww = w * w
    s1, s2, s3 = w.sum(1), ww.sum(1), np.einsum("ij,ij->i", ww, w)
    r = y - (w @ y / s1)[:, None]
    wr = w * r
    wwr = w * wr
    q, ppy = np.einsum("ij,ij->i", wr, r), np.einsum("ij,ij->i", wr, wr)
    pppy = np.einsum("ij,ij->i", wwr, wr) - wwr.sum(1) ** 2 / s1
    ratio = s2 / s1
    return Moments(
        q, ppy, pppy, s1 - ratio, s2 - 2 * s3 / s1 + ratio**2, s1, s2, np.log(w).sum(1), np.log(s1)
    )


def slopes_of_mean(y: Array, v: Array, tau2: Array, restricted: bool) -> Array:
    """Twice the (restricted) likelihood's gradient at each τ², intercept alone, by matrix products.

    Good for its sign: the quadratic form is expanded around the weighted mean.
    """
    z = y - (y / v).sum() / (1 / v).sum()
    w = 1.0 / (v + tau2[:, None])
    s1, a1 = w.sum(1), w @ z
    s2, a2, b2 = (w * w @ np.stack((np.ones_like(z), z, z * z), axis=1)).T
    mean = a1 / s1
    return b2 - 2 * mean * a2 + mean * mean * s2 - (s1 - s2 / s1 if restricted else s1)


def slope_of_mean(y: Array, v: Array, tau2: float, restricted: bool) -> tuple[float, float]:
    """The gradient at one τ² and its derivative, from residuals, intercept alone."""
    w = 1.0 / (v + tau2)
    s1 = float(w.sum())
    r = y - float(w @ y) / s1
    wr = w * r
    wwr = w * wr
    ppy = float(wr @ wr)
    pppy = float(wwr @ wr) - float(wwr.sum()) ** 2 / s1
    s2 = float(w @ w)
    if not restricted:
        return 0.5 * (ppy - s1), 0.5 * s2 - pppy
    ratio = s2 / s1
    pp = s2 - 2 * float((w * w) @ w) / s1 + ratio * ratio
    return 0.5 * (ppy - s1 + ratio), 0.5 * pp - pppy


def q_of_mean(y: Array, v: Array, tau2: float) -> tuple[float, float]:
    """Q(τ²) and minus its derivative, intercept alone."""
    w = 1.0 / (v + tau2)
    r = y - float(w @ y) / float(w.sum())
    wr = w * r
    return float(wr @ r), float(wr @ wr)


def _moments_of_regression(y: Array, w: Array, x: Array) -> Moments:
    ww = w * w
    k, p = x.shape
    outer = (x[:, :, None] * x[:, None, :]).reshape(k, p * p)
    a1, a2, a3 = ((power @ outer).reshape(-1, p, p) for power in (w, ww, ww * w))
    inverse = np.linalg.inv(a1)
    b2, b3 = inverse @ a2, inverse @ a3
    beta = np.einsum("tij,tj->ti", inverse, (w * y) @ x)
    r = y - beta @ x.T
    wr = w * r
    c = (w * wr) @ x
    pppy = (w * wr * wr).sum(1) - np.einsum("ti,tij,tj->t", c, inverse, c)
    trace_b2 = np.trace(b2, axis1=1, axis2=2)
    return Moments(
        (wr * r).sum(1),
        (wr * wr).sum(1),
        pppy,
        w.sum(1) - trace_b2,
        ww.sum(1) - 2 * np.trace(b3, axis1=1, axis2=2) + np.einsum("tij,tji->t", b2, b2),
        w.sum(1),
        ww.sum(1),
        np.log(w).sum(1),
        np.linalg.slogdet(a1)[1],
    )


def fit(y: Array, v: Array, x: Array | None, tau2: float, weights: Array | None = None) -> Fit:
    """Coefficients at one τ²; with `weights` in place of 1/(v + τ²) the covariance is sandwiched.

    `q` is the weighted residual sum of squares with 1/(v + τ²), or with the given weights.
    """
    total = v + tau2
    w = 1.0 / total if weights is None else weights
    if x is None:
        s = w.sum()
        beta = np.array([w @ y / s])
        r = y - beta[0]
        variance = 1 / s if weights is None else (w * w) @ total / s**2
        return Fit(beta, np.array([[variance]]), w, float((w * r) @ r))
    root = np.sqrt(w)
    basis, triangle = np.linalg.qr(x * root[:, None])
    back = np.linalg.inv(triangle)
    beta = back @ (basis.T @ (root * y))
    r = y - x @ beta
    covariance = inverse = back @ back.T
    if weights is not None:
        covariance = inverse @ ((x.T * (w * w * total)) @ x) @ inverse
    return Fit(beta, covariance, w, float((w * r) @ r))


def coefficients(x: Array | None) -> int:
    """How many the mean has: columns of `x`, or one where `x` is None."""
    return 1 if x is None else x.shape[1]


def residual_sum_of_squares(y: Array, x: Array | None) -> float:
    """Of the unweighted fit."""
    r = y - y.mean() if x is None else y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(r @ r)


def check_rank(x: Array, names: list[str]) -> None:
    """Raise NumericalError `rank_deficient` that names the columns which depend on the others."""
    norms = np.linalg.norm(x, axis=0)
    kept: list[int] = []
    dependent: list[str] = []
    basis = np.zeros((x.shape[0], 0))
    for j in range(x.shape[1]):
        column = x[:, j] / norms[j] if norms[j] > 0 else x[:, j]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size <= DEPENDENT:
            dependent.append(names[j])
        else:
            kept.append(j)
            basis = np.column_stack([basis, rest / size])
    if dependent:
        raise NumericalError(
            "rank_deficient",
            f"{len(dependent)} of {x.shape[1]} columns follow from the others: "
            f"{', '.join(dependent)}. Leave them out, or merge levels.",
        )
