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
    count, p = len(clusters), X.shape[1]
    groups = _like_sized(clusters, weights)
    information, scores = np.zeros((p, p)), np.zeros((count, p))
    for members, index, W in groups:
        Wx = W @ X[index]
        information += Wx.reshape(-1, p).T @ X[index].reshape(-1, p)
        scores[members] = np.einsum("jis,ji->js", Wx, residuals[index])
    bread = np.linalg.inv(information)
    if kind not in ("CR2", "CR3"):
        return Robust(
            vcov=_factor(kind, count, len(X), p) * bread @ scores.T @ scores @ bread,
            kind=kind,
            clusters=count,
            moments=None,
        )
    own, shared = np.zeros((count, p, p)), np.zeros((count, p, p))
    for members, index, W in groups:
        x = X[index]
        Wx = W @ x
        Phi = np.linalg.inv(W)
        if kind == "CR2":
            adjustment = _adjustment(Phi, x, bread)
        else:
            hat = x @ bread @ Wx.transpose(0, 2, 1)
            adjustment = np.linalg.pinv(np.eye(x.shape[1]) - hat, rcond=1e-12)
        g = adjustment.transpose(0, 2, 1) @ Wx @ bread
        gT = g.transpose(0, 2, 1)
        scores[members] = np.einsum("jis,ji->js", g, residuals[index])
        own[members] = gT @ Phi @ g
        shared[members] = gT @ x
    moments = -np.einsum("isa,ab,jtb->ijst", shared, bread, shared, optimize=True)
    moments[np.arange(count), np.arange(count)] += own
    return Robust(vcov=scores.T @ scores, kind=kind, clusters=count, moments=moments)


def _like_sized(
    clusters: Sequence[NDArray[np.intp]], weights: Sequence[Matrix]
) -> list[tuple[list[int], NDArray[np.intp], Matrix]]:
    """Clusters of one size together: their numbers, their rows and their weight matrices."""
    sizes: dict[int, list[int]] = {}
    for j, c in enumerate(clusters):
        sizes.setdefault(len(c), []).append(j)
    return [
        (members, np.stack([clusters[j] for j in members]), np.stack([weights[j] for j in members]))
        for members in sizes.values()
    ]


def _factor(kind: str, clusters: int, effects: int, p: int) -> float:
    if kind == "CR1":
        return clusters / (clusters - 1)
    if kind == "CR1p":
        return clusters / (clusters - p)
    if kind == "CR1S":
        return clusters * (effects - 1) / ((clusters - 1) * (effects - p))
    return 1.0


def _adjustment(Phi: Matrix, X: Matrix, bread: Matrix) -> Matrix:
    """A = D'(D(Φ − X bread X')D')^(−1/2) D with Φ = D'D, D upper triangular, of every cluster."""
    lower = np.linalg.cholesky(Phi)
    D = lower.transpose(0, 2, 1)
    inside = D @ (Phi - X @ bread @ X.transpose(0, 2, 1)) @ lower
    size = np.trace(D @ Phi @ lower, axis1=1, axis2=2)[:, None]
    return lower @ _power((inside + inside.transpose(0, 2, 1)) / 2, -0.5, size) @ D


def _power(matrix: Matrix, exponent: float, size: Matrix | None = None) -> Matrix:
    """Powers of symmetric matrices on their range; eigenvalues of rounding size count as zero."""
    values, vectors = np.linalg.eigh(matrix)
    floor = 1e-12 * (values[..., -1:] if size is None else size)
    powered = np.where(values > floor, np.maximum(values, 1e-300) ** exponent, 0.0)
    return (vectors * powered[..., None, :]) @ np.swapaxes(vectors, -1, -2)
