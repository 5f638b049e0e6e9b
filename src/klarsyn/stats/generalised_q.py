"""The generalised Q statistic: yᵀPy with fixed weights, its traces and its distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from klarsyn.stats.quadratic_form import upper_tail
from klarsyn.stats.roots import bracketed_root
from klarsyn.stats.weighted import residual_sum_of_squares

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedForm:
    """yᵀPy with fixed weights w, and the traces tr P, tr PV, tr PVPV, tr PVP, tr PP."""

    q: float
    p: float
    pv: float
    pvpv: float
    pvp: float
    pp: float


def derive_fixed_form(y: Array, v: Array, x: Array | None, w: Array) -> FixedForm:
    """yᵀPy and the traces of P with weights `w` that do not depend on τ²; V = diag(v)."""
    if x is None:
        x = np.ones((len(y), 1))
    inverse = np.linalg.inv((x.T * w) @ x)

    def small(d: Array) -> Array:
        return inverse @ ((x.T * d) @ x)

    def pair(d1: Array, d2: Array) -> float:
        cross = small(w * w * d1) @ small(w * w * d2)
        return float((w * w) @ (d1 * d2) - 2 * np.trace(small(w**3 * d1 * d2)) + np.trace(cross))

    one = np.ones_like(v)
    r = y - x @ (inverse @ ((x.T * w) @ y))
    return FixedForm(
        q=float((w * r) @ r),
        p=float(w.sum() - np.trace(small(w * w))),
        pv=float(w @ v - np.trace(small(w * w * v))),
        pvpv=pair(v, v),
        pvp=pair(v, one),
        pp=pair(one, one),
    )


def generalised_q_root(
    y: Array, v: Array, x: Array | None, weights: Array, probability: float
) -> float:
    """The τ² at which P(yᵀAy as large as observed) is `probability`; 0 if already larger at 0.

    A = P with fixed weights a; yᵀAy is a sum of χ²₁ weighted by the eigenvalues of
    (V + τ²)^½ A (V + τ²)^½.
    """
    design = np.ones((len(y), 1)) if x is None else x
    root = np.sqrt(weights)[:, None]
    basis = np.linalg.qr(root * design)[0]
    projection = np.eye(len(y)) - basis @ basis.T
    a = root * projection * root.T
    observed = float(y @ a @ y)
    df = len(y) - design.shape[1]

    def excess(tau2: float) -> float:
        s = np.sqrt(v + tau2)[:, None]
        eigenvalues = np.linalg.eigvalsh(s * a * s.T)[-df:]
        return upper_tail(observed, eigenvalues) - probability

    if observed <= 0 or excess(0.0) >= 0:
        return 0.0
    high = residual_sum_of_squares(y, x) + float(v.max())
    while excess(high) < 0:
        high *= 4
    return bracketed_root(excess, 0.0, high)
