"""Compiled loops over many small fits. Imported only by the functions that call them.

Arrays are float64; data are centred by the caller, so that sums of squares do not cancel. Codes:
method 0 EE, 1 DL, 2 PM, 3 ML, 4 REML.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GRID = 24  # points of the search for local maxima, in log(τ² + min v)
EPS = 8 * 2.220446049250313e-16
# A Newton step this small, relative, leaves an error of about its square: the last bits.
QUADRATIC = 1e-8
EE, DL, PM, ML, REML = range(5)
# Division by zero gives infinity, as in numpy: trials that agree exactly have Q = 0.
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def _mean_function(y, v, n, t, method, out):
    """Value and derivative of the estimating function at t, then mean, Q and Σw, into `out`."""
    s1 = 0.0
    a1 = 0.0
    for j in range(n):
        w = 1.0 / (v[j] + t)
        s1 += w
        a1 += w * y[j]
    mean = a1 / s1
    s2 = 0.0
    s3 = 0.0
    q = 0.0
    ppy = 0.0
    pppy = 0.0
    c = 0.0
    for j in range(n):
        w = 1.0 / (v[j] + t)
        r = y[j] - mean
        wr = w * r
        ww = w * w
        s2 += ww
        s3 += ww * w
        q += wr * r
        ppy += wr * wr
        c += w * wr
        pppy += w * wr * wr
    pppy -= c * c / s1
    ratio = s2 / s1
    if method == REML:
        out[0] = 0.5 * (ppy - (s1 - ratio))
        out[1] = 0.5 * (s2 - 2 * s3 / s1 + ratio * ratio) - pppy
    elif method == ML:
        out[0] = 0.5 * (ppy - s1)
        out[1] = 0.5 * s2 - pppy
    else:
        out[0] = 1.0 / (n - 1) - 1.0 / q
        out[1] = -ppy / (q * q)
    out[2] = mean
    out[3] = q
    out[4] = s1
    out[5] = s1 - ratio


@compiled
def _mean_height(y, v, n, t, method):
    s1 = 0.0
    a1 = 0.0
    logs = 0.0
    for j in range(n):
        w = 1.0 / (v[j] + t)
        s1 += w
        a1 += w * y[j]
        logs += math.log(w)
    mean = a1 / s1
    q = 0.0
    for j in range(n):
        q += (y[j] - mean) ** 2 / (v[j] + t)
    height = 0.5 * (logs - q)
    if method == REML:
        height -= 0.5 * math.log(s1)
    return height


@compiled
def _mean_newton(y, v, n, low, high, start, floor, method, out):
    t = start
    if not low < t < high:
        t = 0.5 * (low + high)
    for _ in range(80):
        _mean_function(y, v, n, t, method, out)
        if out[0] > 0:
            low = t
        elif out[0] < 0:
            high = t
        else:
            return t
        size = abs(t) + floor
        step = -out[0] / out[1] if out[1] < 0 else math.inf
        if abs(step) <= QUADRATIC * size:
            return min(max(t + step, low), high)
        new = t + step
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - t) <= EPS * size:
            return new
        t = new
    return t


@compiled
def _grid_slopes(y, v, n, grid, slope, work, method):
    """The gradient at every grid point, studies outside and points inside: vector instructions."""
    s1, s2, a1, a2, b2 = work[0], work[1], work[2], work[3], work[4]
    work[:5, :] = 0.0
    for j in range(n):
        vj = v[j]
        yj = y[j]
        for g in range(GRID):
            w = 1.0 / (vj + grid[g])
            wy = w * yj
            s1[g] += w
            s2[g] += w * w
            a1[g] += wy
            a2[g] += w * wy
            b2[g] += wy * wy
    for g in range(GRID):
        m = a1[g] / s1[g]
        ppy = b2[g] - 2 * m * a2[g] + m * m * s2[g]
        trace = s1[g] - s2[g] / s1[g] if method == REML else s1[g]
        slope[g] = ppy - trace


@compiled
def mean_tau2(y, v, n, method, grid, slope, work, out):
    """τ² of the first n entries; n ≥ 2. `grid`, `slope` (GRID), `work` (5, GRID), `out` (6)."""
    if method == EE:
        return 0.0
    _mean_function(y, v, n, 0.0, PM, out)
    if method == DL:
        return max(0.0, (out[3] - (n - 1)) / out[5])
    low = v[0]
    high = v[0]
    total = 0.0
    for j in range(n):
        low = min(low, v[j])
        high = max(high, v[j])
        total += y[j]
    s = 0.0
    for j in range(n):
        s += (y[j] - total / n) ** 2
    if method == PM:
        if out[3] <= n - 1:
            return 0.0
        top = max(s / (n - 1) - low, 0.0) * (1 + 1e-9) + 1e-9 * low
        bottom = max(s / (n - 1) - high, 0.0) * (1 - 1e-9)
        return _mean_newton(y, v, n, bottom, top, 0.5 * (bottom + top), low, method, out)
    room = n - 1 if method == REML else n
    u = (s + math.sqrt(s * s + 4 * room * s * (high - low))) / (2 * room)
    top = (u - low) * (1 + 1e-9)
    if top <= 0:
        return 0.0
    ratio = math.exp(math.log((top + low) / low) / (GRID - 1))
    point = low
    for g in range(GRID):
        grid[g] = point - low
        point *= ratio
    grid[0] = 0.0
    grid[GRID - 1] = top
    _grid_slopes(y, v, n, grid, slope, work, method)
    peaks = 1 if slope[0] <= 0 else 0
    for g in range(GRID - 1):
        if slope[g] > 0 and slope[g + 1] <= 0:
            peaks += 1
    best = 0.0
    height = -math.inf
    if slope[0] <= 0 and peaks > 1:
        height = _mean_height(y, v, n, 0.0, method)
    for g in range(GRID - 1):
        if slope[g] > 0 and slope[g + 1] <= 0:
            share = slope[g] / (slope[g] - slope[g + 1])
            start = grid[g] + share * (grid[g + 1] - grid[g])
            t = _mean_newton(y, v, n, grid[g], grid[g + 1], start, low, method, out)
            if peaks == 1:
                return t
            value = _mean_height(y, v, n, t, method)
            if value > height:
                height = value
                best = t
    return best


@compiled
def subset_fits(y, v, masks, method, result):
    """Fit the studies of each row of bits, `masks` (rows, words) of 64 studies a word.

    `result` (rows, 7) gets k, estimate, se, τ², I² (percent), Q at 0 and Q at τ².
    """
    k = len(y)
    ys = np.empty(k)
    vs = np.empty(k)
    grid = np.empty(GRID)
    slope = np.empty(GRID)
    work = np.empty((5, GRID))
    out = np.empty(6)
    for i in range(len(masks)):
        n = 0
        for j in range(k):
            if (masks[i, j >> 6] >> np.uint64(j & 63)) & np.uint64(1):
                ys[n] = y[j]
                vs[n] = v[j]
                n += 1
        _fit_one(ys, vs, n, method, grid, slope, work, out, result[i])


@compiled
def _fit_one(ys, vs, n, method, grid, slope, work, out, row):
    row[0] = n
    if n == 1:
        row[1] = ys[0]
        row[2] = math.sqrt(vs[0])
        row[3] = 0.0
        row[4] = math.nan
        row[5] = 0.0
        row[6] = 0.0
        return
    t = mean_tau2(ys, vs, n, method, grid, slope, work, out)
    _mean_function(ys, vs, n, 0.0, PM, out)
    q = out[3]
    trace = out[5]
    row[1] = out[2]
    row[2] = 1.0 / math.sqrt(out[4])
    row[6] = q
    if t > 0:
        _mean_function(ys, vs, n, t, PM, out)
        row[1] = out[2]
        row[2] = 1.0 / math.sqrt(out[4])
        row[6] = out[3]
    row[3] = t
    df = n - 1
    if method == EE:
        row[4] = 100 * max(0.0, (q - df) / q) if q > 0 else 0.0
    else:
        row[4] = 100 * t / (df / trace + t)
    row[5] = q


@compiled
def row_fits(y, v, method, result):
    """Fit each row of y (rows, k) with the same row of v (rows, k); `result` as above."""
    n = y.shape[1]
    grid = np.empty(GRID)
    slope = np.empty(GRID)
    work = np.empty((5, GRID))
    out = np.empty(6)
    for i in range(len(y)):
        _fit_one(y[i], v[i], n, method, grid, slope, work, out, result[i])
