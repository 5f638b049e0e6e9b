"""Mantel–Haenszel log odds ratios of a design with any number of arms, and their covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]


def design_contrasts(events: Matrix, n: Matrix) -> tuple[Vector, Matrix]:
    """Log odds ratios of the later arms against the first, and their covariance.

    `events` and `n` are studies × arms of one design. Generalised Mantel–Haenszel estimates are
    L̄_xy = mean over z of (L_xz − L_yz), which add up (Greenland 1989, Biometrics 45:183; Efthimiou
    et al. 2019, Stat Med 38:2992). Variances are Robins, Breslow & Greenland's; contrasts that
    share arm x have covariance Σ r_x s_y s_z / N² / (C_xy C_xz) + Σ s_x r_y r_z / N² / (C_yx C_zx),
    right for many small studies and for few large ones. Every pair of arms needs C_xy and C_yx > 0.
    """
    r, s = events, n - events
    N = n.sum(axis=1)
    C = np.einsum("ix,iy,i->xy", r, s, 1 / N)
    size = C.shape[0]
    off = ~np.eye(size, dtype=bool)
    L = np.zeros((size, size))
    L[off] = np.log(C[off]) - np.log(C.T[off])
    pairs = [(x, y) for x in range(size) for y in range(x + 1, size)]
    cov = np.array([[_covariance(p, q, r, s, N, C) for q in pairs] for p in pairs])
    mean = np.zeros((size - 1, len(pairs)))
    for k, (x, y) in enumerate(pairs):
        # L̄_j1 = (1/a) Σ_z (L_jz − L_1z)
        for j in range(1, size):
            mean[j - 1, k] += ((x == j) - (y == j) - (x == 0) + (y == 0)) / size
    values = np.array([L[x, y] for x, y in pairs])
    return mean @ values, mean @ cov @ mean.T


def _covariance(
    p: tuple[int, int], q: tuple[int, int], r: Matrix, s: Matrix, N: Vector, C: Matrix
) -> float:
    if p == q:
        x, y = p
        R, S = r[:, x] * s[:, y] / N, s[:, x] * r[:, y] / N
        P, Q = (r[:, x] + s[:, y]) / N, (s[:, x] + r[:, y]) / N
        one, two = C[x, y], C[y, x]
        return float(
            (P * R).sum() / (2 * one**2)
            + (P * S + Q * R).sum() / (2 * one * two)
            + (Q * S).sum() / (2 * two**2)
        )
    shared = set(p) & set(q)
    if not shared:
        return 0.0
    (x,) = shared
    y, z = (sum(p) - x), (sum(q) - x)
    sign = (1.0 if p[0] == x else -1.0) * (1.0 if q[0] == x else -1.0)
    value = (r[:, x] * s[:, y] * s[:, z] / N**2).sum() / (C[x, y] * C[x, z])
    value += (s[:, x] * r[:, y] * r[:, z] / N**2).sum() / (C[y, x] * C[z, x])
    return float(sign * value)
