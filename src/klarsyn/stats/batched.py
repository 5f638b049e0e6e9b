"""Many fits of the same model as one computation over arrays.

`fit_means` works on blocks of rows with numpy, so that a dozen fits need no compiler; subsets and
regressions by the thousand go to the compiled kernels of `klarsyn.stats.kernels`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from klarsyn.errors import InputError
from klarsyn.stats.roots import QUADRATIC, ROUNDING

Array = np.ndarray
BATCHED = ("EE", "FE", "DL", "PM", "EB", "ML", "REML")
GRID = 24  # points of the search for local maxima, spaced evenly in log(τ² + min v)
STEPS = 80  # safeguarded Newton converges in under ten; bisection alone in 60


class Means(NamedTuple):
    """Fits of an intercept-only model, one a row; i2 in percent, q at τ² = 0, `q_tau` at τ²."""

    k: Array
    estimate: Array
    se: Array
    tau2: Array
    i2: Array
    q: Array
    q_tau: Array


class Regressions(NamedTuple):
    """Fits of one regression to permuted designs: β (rows, p), covariances (rows, p, p), τ², Q."""

    beta: Array
    covariance: Array
    tau2: Array
    q_tau: Array


CODES = {"EE": 0, "FE": 0, "DL": 1, "PM": 2, "EB": 2, "ML": 3, "REML": 4}


def _code(method: str) -> int:
    if method not in CODES:
        raise InputError(f"{method} has no batched form; use one of {', '.join(BATCHED)}.")
    return CODES[method]


def _block(values: Array) -> Array:
    """A writable copy in C order: the one kind of array the kernels are compiled for."""
    return np.array(values, dtype=float, order="C")


def _centred(y: Array, v: Array) -> tuple[Array, float]:
    centre = float(np.sum(y / v) / np.sum(1 / v))
    return y - centre, centre


def _means(result: Array, centre: float) -> Means:
    k, estimate, *rest = result.T
    return Means(k, estimate + centre, *rest)


def fit_subsets(y: Array, v: Array, masks: Array, *, method: str) -> Means:
    """Pool the studies of each row of bits; `masks` (rows, words) of uint64, 64 studies a word."""
    from klarsyn.stats import kernels

    middle, centre = _centred(y, v)
    result = np.empty((len(masks), 7))
    kernels.subset_fits(middle, _block(v), masks, _code(method), result)
    return _means(result, centre)


def fit_rows(y: Array, v: Array, *, method: str) -> Means:
    """Pool every row of y (rows, k) with the sampling variances of the same row of v."""
    from klarsyn.stats import kernels

    y, v = np.broadcast_arrays(y, v)
    result = np.empty((len(y), 7))
    kernels.row_fits(_block(y), _block(v), _code(method), result)
    return _means(result, 0.0)


def fit_permutations(y: Array, v: Array, x: Array, orders: Array, *, method: str) -> Regressions:
    """Regress y on the rows of x (k, p) in each order of `orders` (rows, k).

    The columns are made orthonormal first: a year or a dose far from 0 costs no digits.
    """
    from klarsyn.stats.kernels_regression import permuted_fits

    rows, p = len(orders), x.shape[1]
    basis, triangle = np.linalg.qr(x)
    back = np.linalg.inv(triangle)  # from coefficients of the basis to those of x
    shift = basis.T @ np.ones(len(y))  # β of a shift of y, if it has one
    middle, centre = y, 0.0
    if np.abs(basis @ shift - 1.0).max() <= 1e-9:
        middle, centre = _centred(y, v)
    out = (np.empty((rows, p)), np.empty((rows, p, p)), np.empty(rows), np.empty(rows))
    rows_of_x = np.array(orders, dtype=np.int64, order="C")
    permuted_fits(_block(middle), _block(v), _block(basis), rows_of_x, _code(method), *out)
    beta = (out[0] + centre * shift) @ back.T
    covariance = out[1].reshape(rows, p * p) @ np.kron(back, back).T
    return Regressions(beta, covariance.reshape(rows, p, p), *out[2:])


class _Sums(NamedTuple):
    mean: Array
    q: Array
    ppy: Array
    pppy: Array
    trace_p: Array
    trace_pp: Array
    sum_w: Array
    sum_ww: Array


def fit_means(y: Array, v: Array, include: Array, *, method: str) -> Means:
    """Pool every row: `y`, `v` and the 0/1 or count weights `include` broadcast to (rows, k).

    A count of 2 enters a study twice (bootstrap). Rows with fewer than two studies have τ² = 0.
    """
    _code(method)
    y, v, n = np.broadcast_arrays(*(np.atleast_2d(a) for a in (y, v, include)))
    n = np.asarray(n, dtype=float)
    fixed = _sums(y, v, n, np.zeros(len(y)))
    count = n.sum(1)
    df = count - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = df / fixed.trace_p
        if method in {"EE", "FE"}:
            tau2 = np.zeros(len(y))
            i2 = np.where(fixed.q > df, 100 * (fixed.q - df) / fixed.q, 0.0)
            i2[df <= 0] = np.nan  # what is left of one study's q is rounding
        else:
            tau2 = _tau2(y, v, n, df, fixed, method)
            i2 = np.where(df > 0, 100 * tau2 / (typical + tau2), np.nan)
    at = _sums(y, v, n, tau2)
    return Means(count, at.mean, 1 / np.sqrt(at.sum_w), tau2, i2, fixed.q, at.q)


def _sums(y: Array, v: Array, n: Array, tau2: Array) -> _Sums:
    w = 1 / (v + tau2[:, None])
    nw = n * w
    nww = nw * w
    s1, s2 = nw.sum(1), nww.sum(1)
    s3 = np.einsum("ij,ij->i", nww, w)
    mean = np.einsum("ij,ij->i", nw, y) / s1
    r = y - mean[:, None]
    wr = w * r
    nwr = n * wr
    q = np.einsum("ij,ij->i", nwr, r)
    ppy = np.einsum("ij,ij->i", nwr, wr)
    pppy = np.einsum("ij,ij->i", nwr * w, wr) - np.einsum("ij,ij->i", nwr, w) ** 2 / s1
    ratio = s2 / s1
    return _Sums(mean, q, ppy, pppy, s1 - ratio, s2 - 2 * s3 / s1 + ratio**2, s1, s2)


def _tau2(y: Array, v: Array, n: Array, df: Array, fixed: _Sums, method: str) -> Array:
    some = df >= 1
    if method == "DL":
        return np.where(some, np.maximum(0, (fixed.q - df) / fixed.trace_p), 0.0)
    low, top = _limits(y, v, n, df, method)
    if method in {"PM", "EB"}:
        need = some & (fixed.q > df)
        return _newton(y, v, n, np.zeros(len(y)), top, need, low, df, method, 0.5 * top)
    return _best_maximum(y, v, n, low, top, df, some, method)


def _limits(y: Array, v: Array, n: Array, df: Array, method: str) -> tuple[Array, Array]:
    inside = n > 0
    low = np.where(inside, v, np.inf).min(1)
    high = np.where(inside, v, -np.inf).max(1)
    mean = (n * y).sum(1) / n.sum(1)
    s = (n * (y - mean[:, None]) ** 2).sum(1)
    if method in {"PM", "EB"}:
        return low, np.maximum(s / np.maximum(df, 1) - low, 0) * (1 + 1e-9) + 1e-9 * low
    room = np.maximum(df if method == "REML" else df + 1, 1)
    u = (s + np.sqrt(s * s + 4 * room * s * (high - low))) / (2 * room)
    return low, np.maximum(u - low, 0) * (1 + 1e-9)


def _function(sums: _Sums, df: Array, method: str) -> tuple[Array, Array]:
    """Value and derivative of the function whose root is the estimate."""
    if method == "REML":
        return 0.5 * (sums.ppy - sums.trace_p), 0.5 * sums.trace_pp - sums.pppy
    if method == "ML":
        return 0.5 * (sums.ppy - sums.sum_w), 0.5 * sums.sum_ww - sums.pppy
    return 1 / df - 1 / sums.q, -sums.ppy / sums.q**2


def _best_maximum(
    y: Array, v: Array, n: Array, low: Array, top: Array, df: Array, some: Array, method: str
) -> Array:
    span = np.log((top + low) / low)
    grid = low[:, None] * np.expm1(span[:, None] * np.linspace(0, 1, GRID))
    slope = _slopes(y, v, n, grid, method)
    rows, cells = np.nonzero((slope[:, :-1] > 0) & (slope[:, 1:] <= 0) & some[:, None])
    best = np.zeros(len(y))
    if not len(rows):
        return best
    part = (y[rows], v[rows], n[rows])
    left, right = grid[rows, cells], grid[rows, cells + 1]
    up, down = slope[rows, cells], slope[rows, cells + 1]
    start = left + up / (up - down) * (right - left)
    need = np.ones(len(rows), dtype=bool)
    found = _newton(*part, left, right, need, low[rows], df[rows], method, start)
    rivals = np.bincount(rows, minlength=len(y)) + (slope[:, 0] <= 0)
    if rivals.max() <= 1:
        best[rows] = found
        return best
    height = np.where(slope[:, 0] <= 0, _height(y, v, n, best, method), -np.inf)
    for row, t, value in zip(rows, found, _height(*part, found, method), strict=True):
        if value > height[row]:
            best[row], height[row] = t, value
    return best


def _slopes(y: Array, v: Array, n: Array, grid: Array, method: str) -> Array:
    """Twice the gradient at each row's grid points; good for its sign."""
    z = y - ((n * y / v).sum(1) / (n / v).sum(1))[:, None]
    w = 1 / (v[:, None, :] + grid[:, :, None])
    columns = np.stack((n, n * z, n * z * z), axis=2)
    s1, a1, _ = np.moveaxis(w @ columns, 2, 0)
    s2, a2, b2 = np.moveaxis((w * w) @ columns, 2, 0)
    mean = a1 / s1
    return b2 - 2 * mean * a2 + mean * mean * s2 - (s1 - s2 / s1 if method == "REML" else s1)


def _height(y: Array, v: Array, n: Array, tau2: Array, method: str) -> Array:
    sums = _sums(y, v, n, tau2)
    out = -0.5 * ((n * np.log(v + tau2[:, None])).sum(1) + sums.q)
    return out - 0.5 * np.log(sums.sum_w) if method == "REML" else out


def _newton(
    y: Array, v: Array, n: Array, low: Array, high: Array, need: Array, floor: Array,
    df: Array, method: str, start: Array,
) -> Array:  # fmt: skip
    low, high, t = low.copy(), high.copy(), np.where(need, start, 0.0)
    open_rows = np.flatnonzero(need)
    for _ in range(STEPS):
        if not len(open_rows):
            break
        at = open_rows
        value, slope = _function(_sums(y[at], v[at], n[at], t[at]), df[at], method)
        low[at] = np.where(value > 0, t[at], low[at])
        high[at] = np.where(value < 0, t[at], high[at])
        size = np.abs(t[at]) + floor[at]
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(slope < 0, -value / slope, math.inf)
        newton = t[at] + step
        inside = (newton > low[at]) & (newton < high[at])
        last = np.abs(step) <= QUADRATIC * size
        new = np.where(inside, newton, 0.5 * (low[at] + high[at]))
        new = np.where(last, np.clip(newton, low[at], high[at]), new)
        done = last | (np.abs(new - t[at]) <= ROUNDING * size)
        t[at] = new
        open_rows = at[~done]
    return t
