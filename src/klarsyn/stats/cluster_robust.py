"""Cluster-robust covariance of weighted least squares with small-sample corrections.

Pustejovsky & Tipton (2018, J Bus Econ Stat 36:672); Tipton (2015, Psychol Methods 20:375) for the
Satterthwaite degrees of freedom; Tipton & Pustejovsky (2015, J Educ Behav Stat 40:604) for HTZ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Robust:
    """Robust covariance `vcov` and, for CR2 and CR3, what its degrees of freedom need.

    `moments` (clusters × clusters × p × p) is the working covariance of the clusters'
    contributions to every pair of coefficients.
    """

    vcov: Matrix
    kind: str
    clusters: int
    moments: NDArray[np.floating] | None

    def df(self, contrast: Vector) -> float:
        """Satterthwaite degrees of freedom of a contrast; clusters − p for CR0 and CR1…"""
        if self.moments is None:
            return float(self.clusters - len(self.vcov))
        P = np.einsum("s,t,ijst->ij", contrast, contrast, self.moments, optimize=True)
        return float(np.trace(P) ** 2 / (P**2).sum())

    def wald(self, b: Vector, contrasts: Matrix) -> tuple[float, int, float]:
        """F, numerator and denominator degrees of freedom of contrasts·b = 0 (CR2, CR3: HTZ)."""
        q = len(contrasts)
        effect = contrasts @ b
        Q = float(effect @ np.linalg.solve(contrasts @ self.vcov @ contrasts.T, effect))
        if self.moments is None:
            return Q / q, q, float(self.clusters - len(b))
        P = np.einsum("us,vt,ijst->uvij", contrasts, contrasts, self.moments, optimize=True)
        omega = np.einsum("uvii->uv", P)
        root = _power((omega + omega.T) / 2, -0.5)
        B = np.einsum("us,vt,stij->uvij", root, root, P, optimize=True)
        total = (B * B.transpose(1, 0, 2, 3)).sum() + (
            np.einsum("ssij->sij", B).sum(axis=0) ** 2
        ).sum()
        eta = q * (q + 1) / total
        return float((eta - q + 1) / (eta * q) * Q), q, float(eta - q + 1)


def cluster_robust(
    X: Matrix,
    residuals: Vector,
    clusters: Sequence[NDArray[np.intp]],
    weights: Sequence[Matrix],
    kind: str,
) -> Robust:
    """Sandwich covariance of (ΣX'WX)⁻¹ΣX'Wy, the weights being inverses of the working covariance.

    `clusters` are index sets and `weights` their weight matrices. With m clusters and n effects CR1
    multiplies CR0 by m / (m − 1), CR1p by m / (m − p), CR1S by m (n − 1) / ((m − 1)(n − p)); CR2
    makes the estimate unbiased under the working model, CR3 approximates the jackknife.
    """
    Xs = [X[c] for c in clusters]
    WXs = [W @ x for W, x in zip(weights, Xs, strict=True)]
    bread = np.linalg.inv(sum(x.T @ wx for x, wx in zip(Xs, WXs, strict=True)))
    count, p = len(clusters), X.shape[1]
    if kind not in ("CR2", "CR3"):
        scores = np.stack([wx.T @ residuals[c] for c, wx in zip(clusters, WXs, strict=True)])
        return Robust(
            vcov=_factor(kind, count, len(X), p) * bread @ scores.T @ scores @ bread,
            kind=kind,
            clusters=count,
            moments=None,
        )
    scores = np.zeros((count, p))
    own = np.zeros((count, p, p))
    shared = np.zeros((count, p, p))
    for j, (c, W, x, wx) in enumerate(zip(clusters, weights, Xs, WXs, strict=True)):
        Phi = np.linalg.inv(W)
        if kind == "CR2":
            adjustment = _adjustment(Phi, x, bread)
        else:
            adjustment = np.linalg.pinv(np.eye(len(x)) - x @ bread @ wx.T, rcond=1e-12)
        g = adjustment.T @ wx @ bread
        scores[j] = g.T @ residuals[c]
        own[j] = g.T @ Phi @ g
        shared[j] = g.T @ x
    moments = -np.einsum("isa,ab,jtb->ijst", shared, bread, shared, optimize=True)
    moments[np.arange(count), np.arange(count)] += own
    return Robust(vcov=scores.T @ scores, kind=kind, clusters=count, moments=moments)


def _factor(kind: str, clusters: int, effects: int, p: int) -> float:
    if kind == "CR1":
        return clusters / (clusters - 1)
    if kind == "CR1p":
        return clusters / (clusters - p)
    if kind == "CR1S":
        return clusters * (effects - 1) / ((clusters - 1) * (effects - p))
    return 1.0


def _adjustment(Phi: Matrix, X: Matrix, bread: Matrix) -> Matrix:
    """A = D'(D(Φ − X bread X')D')^(−1/2) D with Φ = D'D, D upper triangular."""
    D = np.linalg.cholesky(Phi).T
    inside = D @ (Phi - X @ bread @ X.T) @ D.T
    return D.T @ _power((inside + inside.T) / 2, -0.5, (D @ Phi @ D.T).trace()) @ D


def _power(matrix: Matrix, exponent: float, size: float | None = None) -> Matrix:
    """A symmetric matrix's power on its range; eigenvalues of rounding size count as zero."""
    values, vectors = np.linalg.eigh(matrix)
    floor = 1e-12 * (values[-1] if size is None else size)
    powered = np.where(values > floor, np.maximum(values, 1e-300) ** exponent, 0.0)
    return (vectors * powered) @ vectors.T
