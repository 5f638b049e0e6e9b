"""One heterogeneity variance of independent observations with moderators: y ~ N(Xb, v + tau²)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import unknown_name
from klarsyn.stats.bounded_newton import Certificate

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

ESTIMATORS = ("DL", "PM", "ML", "REML")
PER_DECADE = 4  # points where the slope of the likelihood is looked at for sign changes


class Slope(NamedTuple):
    """−2 log-likelihood (no constants), its first and second derivative by tau², Q and its slope.

    `trace` is tr(P), so DL's tau² is (Q − df) / trace at tau² = 0.
    """

    value: float
    first: float
    second: float
    Q: float
    Q_slope: float
    trace: float


def estimate_tau2(y: Vector, X: Matrix, v: Vector, estimator: str) -> tuple[float, Certificate]:
    """tau² ≥ 0. Without degrees of freedom it is 0, on its bound.

    DL is the moment estimator of DerSimonian and Laird generalised to moderators, PM solves
    Q(tau²) = df, ML and REML compare every local maximum that a grid of the slope shows with
    tau² = 0. All work in units of the typical v, so that rescaling the data rescales tau².
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("heterogeneity estimator", estimator, ESTIMATORS)
    df = len(y) - X.shape[1]
    if df <= 0:
        return 0.0, _certificate(0.0, 1.0, True, 1, math.inf, 1)
    unit = 4.0 ** round(math.log2(float(np.median(v))) / 2)
    ys, vs = y / math.sqrt(unit), v / unit
    if estimator == "DL":
        at = slope(ys, X, vs, 0.0, True)
        tau2 = max(0.0, (at.Q - df) / at.trace)
        return tau2 * unit, _certificate(0.0, 1.0, tau2 == 0, 1, math.inf, 1)
    if estimator == "PM":
        tau2 = _solve_q(ys, X, vs, float(df))
        return tau2 * unit, _certificate(0.0, 1.0, tau2 == 0, 1, math.inf, 1)
    tau2, certificate = _likeliest(ys, X, vs, restricted=estimator == "REML")
    return tau2 * unit, certificate


def slope(y: Vector, X: Matrix, v: Vector, tau2: float, restricted: bool) -> Slope:
    """The likelihood and its derivatives at one tau²."""
    w = 1 / (v + tau2)
    root = np.sqrt(w)
    half = root[:, None] * X
    factor = np.linalg.cholesky(half.T @ half)
    U = half @ np.linalg.inv(factor).T
    z = root * y
    e = z - U @ (U.T @ z)
    h = np.einsum("ij,ij->i", U, U)
    K = U.T @ (w[:, None] * U)
    Q = float(e @ e)
    wee = float((w * e) @ e)
    we = w * e
    wee2 = float(we @ we - np.square(U.T @ we).sum())
    trace = float((w * (1 - h)).sum())
    value = -float(np.log(w).sum()) + Q
    if not restricted:
        return Slope(value, float(w.sum()) - wee, -float((w**2).sum()) + 2 * wee2, Q, -wee, trace)
    value += 2 * float(np.log(np.diag(factor)).sum())
    trace2 = float((w**2 * (1 - 2 * h)).sum() + np.square(K).sum())
    return Slope(value, trace - wee, -trace2 + 2 * wee2, Q, -wee, trace)


def _solve_q(y: Vector, X: Matrix, v: Vector, target: float) -> float:
    # Q is convex and decreasing in tau²: Newton from the left never overshoots.
    tau2 = 0.0
    for _ in range(200):
        at = slope(y, X, v, tau2, True)
        excess = at.Q - target
        if excess <= 0:
            return tau2
        step = -excess / at.Q_slope
        if step <= 4e-16 * tau2:
            return tau2
        tau2 += step
    return tau2


def _likeliest(y: Vector, X: Matrix, v: Vector, *, restricted: bool) -> tuple[float, Certificate]:
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    wide = float(np.square(y - X @ b).sum()) / (len(y) - X.shape[1])
    top = 4 * wide + 1.0
    while slope(y, X, v, top, restricted).first < 0:
        top *= 8
    bottom = max(float(v.min()) / 10, 1e-12 * top)
    count = int(PER_DECADE * math.log10(top / bottom)) + 2
    grid = np.concatenate([[0.0], np.geomspace(bottom, top, count)])
    at = [slope(y, X, v, t, restricted) for t in grid]
    found = []
    if at[0].first >= 0:
        found.append((0.0, at[0]))
    for low, high, a, b_ in zip(grid[:-1], grid[1:], at[:-1], at[1:], strict=True):
        if a.first < 0 <= b_.first:
            found.append(_descend(y, X, v, restricted, float(low), float(high), a, b_))
    found.sort(key=lambda f: f[1].value)
    tau2, best = found[0]
    runner_up = (found[1][1].value - best.value) / 2 if len(found) > 1 else math.inf
    decrement = 0.0 if tau2 == 0 else best.first**2 / max(best.second, 1e-300)
    curvature = 1.0 if tau2 == 0 else math.copysign(1.0, best.second)
    return tau2, _certificate(decrement, curvature, tau2 == 0, len(found), runner_up, len(grid))


def _descend(
    y: Vector, X: Matrix, v: Vector, restricted: bool, low: float, high: float, a: Slope, b: Slope
) -> tuple[float, Slope]:
    """Safeguarded Newton on the slope inside a bracket."""
    x = low - a.first * (high - low) / (b.first - a.first)
    last = slope(y, X, v, x, restricted)
    for _ in range(100):
        low, high = (x, high) if last.first < 0 else (low, x)
        ahead = x - last.first / last.second if last.second > 0 else math.nan
        if not low <= ahead <= high:
            ahead = (low + high) / 2
        if abs(ahead - x) <= 4e-16 * x or last.first == 0:
            break
        close = abs(ahead - x) < 1e-9 * x
        x = ahead
        last = slope(y, X, v, x, restricted)
        if close:
            break
    return x, last


def _certificate(
    gradient: float, curvature: float, boundary: bool, maxima: int, runner_up: float, starts: int
) -> Certificate:
    return Certificate(
        gradient=gradient,
        curvature=curvature,
        boundary=("tau2",) if boundary else (),
        maxima=maxima,
        runner_up=runner_up,
        starts=starts,
    )
