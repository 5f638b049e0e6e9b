"""Compiled loops over many small fits. Imported only by the functions that call them.

Arrays are float64; data are centred by the caller, so that sums of squares do not cancel. Codes:
method 0 EE, 1 DL, 2 PM, 3 ML, 4 REML.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GRID = 24  # points of the search for local maxima, in log(τ² + min v)
REGRESSION_GRID = 16
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
        new = t - out[0] / out[1] if out[1] < 0 else high + 1.0
        newton = low < new < high
        if not newton:
            new = 0.5 * (low + high)
        moved = abs(new - t)
        size = abs(new) + floor
        t = new
        if moved <= EPS * size or (newton and moved <= QUADRATIC * size):
            return t
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


@compiled
def _invert(a, p, inverse):
    """Inverse of a symmetric positive definite matrix by Gauss–Jordan; False if it has none."""
    if p == 2:
        det = a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]
        if not det > 0:
            return False
        inverse[0, 0] = a[1, 1] / det
        inverse[1, 1] = a[0, 0] / det
        inverse[0, 1] = -a[0, 1] / det
        inverse[1, 0] = inverse[0, 1]
        return True
    work = a.copy()
    for i in range(p):
        for j in range(p):
            inverse[i, j] = 1.0 if i == j else 0.0
    for i in range(p):
        pivot = work[i, i]
        if not pivot > 0:
            return False
        for j in range(p):
            work[i, j] /= pivot
            inverse[i, j] /= pivot
        for r in range(p):
            if r != i:
                factor = work[r, i]
                for j in range(p):
                    work[r, j] -= factor * work[i, j]
                    inverse[r, j] -= factor * inverse[i, j]
    return True


@compiled
def _crossproduct(left, right, into):
    n, p = left.shape
    for a in range(p):
        for b in range(a, p):
            total = 0.0
            for j in range(n):
                total += left[j, a] * right[j, b]
            into[a, b] = total
            into[b, a] = total


@compiled
def _trace_product(a, b, p):
    total = 0.0
    for i in range(p):
        for j in range(p):
            total += a[i, j] * b[j, i]
    return total


@compiled
def _regression_function(y, v, x, t, method, curvature, a, inverse, b, wx, beta, out):
    """As `_mean_function` for a design of p columns; without `curvature` out[1] is left alone."""
    n, p = x.shape
    s1 = 0.0
    for j in range(n):
        w = 1.0 / (v[j] + t)
        s1 += w
        for i in range(p):
            wx[j, i] = w * x[j, i]
    _crossproduct(wx, x, a)
    if not _invert(a, p, inverse):
        return False
    for i in range(p):
        b[0, i] = 0.0
    for j in range(n):
        for i in range(p):
            b[0, i] += wx[j, i] * y[j]
    for i in range(p):
        beta[i] = 0.0
        for m in range(p):
            beta[i] += inverse[i, m] * b[0, m]
    _crossproduct(wx, wx, b)
    q = 0.0
    ppy = 0.0
    pppy = 0.0
    s2 = 0.0
    for i in range(p):
        out[6 + i] = 0.0
    for j in range(n):
        w = 1.0 / (v[j] + t)
        r = y[j]
        for i in range(p):
            r -= x[j, i] * beta[i]
        wr = w * r
        s2 += w * w
        q += wr * r
        ppy += wr * wr
        pppy += w * wr * wr
        for i in range(p):
            out[6 + i] += wx[j, i] * wr
    trace = s1 - _trace_product(inverse, b, p)
    out[3] = q
    out[4] = trace
    if method == PM:
        out[0] = 1.0 / (n - p) - 1.0 / q
    else:
        out[0] = 0.5 * (ppy - (trace if method == REML else s1))
    if not curvature:
        return True
    for i in range(p):
        for m in range(p):
            pppy -= out[6 + i] * inverse[i, m] * out[6 + m]
    if method == REML:
        out[1] = 0.5 * _trace_pp(v, t, s2, wx, inverse, a, b, p) - pppy
    elif method == ML:
        out[1] = 0.5 * s2 - pppy
    else:
        out[1] = -ppy / (q * q)
    return True


@compiled
def _trace_pp(v, t, s2, wx, inverse, a, b, p):
    """tr PP = Σw² − 2 tr(A⁻¹XᵀW³X) + tr(A⁻¹XᵀW²X)²; overwrites a, keeps b = XᵀW²X."""
    total = s2
    for m in range(p):
        for i in range(m, p):
            third = 0.0
            for j in range(len(v)):
                third += wx[j, m] * wx[j, i] / (v[j] + t)
            total -= (2.0 if i == m else 4.0) * inverse[m, i] * third
    for i in range(p):
        for m in range(p):
            a[i, m] = 0.0
            for r in range(p):
                a[i, m] += inverse[i, r] * b[r, m]
    return total + _trace_product(a, a, p)


@compiled
def _regression_height(v, t, q, a, p, method):
    height = -0.5 * q
    for j in range(len(v)):
        height -= 0.5 * math.log(v[j] + t)
    if method == REML:
        height -= 0.5 * math.log(np.linalg.det(a[:p, :p]))
    return height


@compiled
def _regression_tau2(y, v, x, method, a, inverse, b, wx, beta, out, grid, slope, lanes):
    n, p = x.shape
    if method == EE:
        return 0.0
    low = v.min()
    high = v.max()
    if method in (DL, PM):
        _regression_function(y, v, x, 0.0, method, False, a, inverse, b, wx, beta, out)
        if method == DL:
            return max(0.0, (out[3] - (n - p)) / out[4])
        if out[3] <= n - p:
            return 0.0
    s = 0.0  # of y itself, at least the residual sum of squares on x
    for j in range(n):
        s += y[j] * y[j]
    room = n if method == ML else n - p
    if method == PM:
        top = (s / room - low) * (1 + 1e-9) + 1e-9 * low
        return _regression_newton(
            y, v, x, 0.0, top, 0.25 * top, low, method, a, inverse, b, wx, beta, out
        )
    u = (s + math.sqrt(s * s + 4 * room * s * (high - low))) / (2 * room)
    top = (u - low) * (1 + 1e-9)
    if top <= 0:
        return 0.0
    ratio = math.exp(math.log((top + low) / low) / (REGRESSION_GRID - 1))
    point = low
    for g in range(REGRESSION_GRID):
        grid[g] = point - low
        point *= ratio
    grid[0] = 0.0
    grid[REGRESSION_GRID - 1] = top
    _regression_slopes(y, v, x, method, grid, slope, lanes, a, inverse, b, beta)
    peaks = 1 if slope[0] <= 0 else 0
    for g in range(REGRESSION_GRID - 1):
        if slope[g] > 0 and slope[g + 1] <= 0:
            peaks += 1
    best = 0.0
    height = -math.inf
    if slope[0] <= 0 and peaks > 1:
        _regression_function(y, v, x, 0.0, method, False, a, inverse, b, wx, beta, out)
        height = _regression_height(v, 0.0, out[3], a, p, method)
    for g in range(REGRESSION_GRID - 1):
        if slope[g] > 0 and slope[g + 1] <= 0:
            share = slope[g] / (slope[g] - slope[g + 1])
            start = grid[g] + share * (grid[g + 1] - grid[g])
            t = _regression_newton(
                y, v, x, grid[g], grid[g + 1], start, low, method, a, inverse, b, wx, beta, out
            )
            if peaks == 1:
                return t
            _regression_function(y, v, x, t, method, False, a, inverse, b, wx, beta, out)
            value = _regression_height(v, t, out[3], a, p, method)
            if value > height:
                height = value
                best = t
    return best


@compiled
def _regression_slopes(y, v, x, method, grid, slope, lanes, a, inverse, b, beta):
    """The gradient at every grid point; `lanes` (2 (p+1)(p+2)/2 + 2, REGRESSION_GRID).

    With z = (x, y) the lanes hold Σ w zᵢzⱼ, then Σ w² zᵢzⱼ, then w itself, then Σ w.
    """
    n, p = x.shape
    pairs = (p + 1) * (p + 2) // 2
    lanes[:, :] = 0.0
    w = lanes[2 * pairs]
    for j in range(n):
        for g in range(REGRESSION_GRID):
            w[g] = 1.0 / (v[j] + grid[g])
            lanes[2 * pairs + 1, g] += w[g]
        at = 0
        for i in range(p + 1):
            zi = x[j, i] if i < p else y[j]
            for m in range(i, p + 1):
                c = zi * (x[j, m] if m < p else y[j])
                first = lanes[at]
                second = lanes[pairs + at]
                for g in range(REGRESSION_GRID):
                    first[g] += w[g] * c
                    second[g] += w[g] * w[g] * c
                at += 1
    for g in range(REGRESSION_GRID):
        at = 0
        ppy = 0.0
        for i in range(p):
            for m in range(i, p):
                a[i, m] = lanes[at, g]
                a[m, i] = lanes[at, g]
                b[i, m] = lanes[pairs + at, g]
                b[m, i] = lanes[pairs + at, g]
                at += 1
            at += 1
        ppy = lanes[2 * pairs - 1, g]
        _invert(a, p, inverse)
        for i in range(p):
            beta[i] = 0.0
            for m in range(p):
                beta[i] += inverse[i, m] * lanes[_pair(m, p, p), g]
        for i in range(p):
            ppy -= 2 * beta[i] * lanes[pairs + _pair(i, p, p), g]
            for m in range(p):
                ppy += beta[i] * b[i, m] * beta[m]
        trace = lanes[2 * pairs + 1, g]
        if method == REML:
            trace -= _trace_product(inverse, b, p)
        slope[g] = 0.5 * (ppy - trace)


@compiled
def _pair(i, m, p):
    """Place of (i, m), i ≤ m, among the pairs of p + 1 columns."""
    return i * (p + 1) - i * (i - 1) // 2 + m - i


@compiled
def _regression_newton(y, v, x, low, high, start, floor, method, a, inverse, b, wx, beta, out):
    t = start
    if not low < t < high:
        t = 0.5 * (low + high)
    for _ in range(80):
        _regression_function(y, v, x, t, method, True, a, inverse, b, wx, beta, out)
        if out[0] > 0:
            low = t
        elif out[0] < 0:
            high = t
        else:
            return t
        new = t - out[0] / out[1] if out[1] < 0 else high + 1.0
        newton = low < new < high
        if not newton:
            new = 0.5 * (low + high)
        moved = abs(new - t)
        size = abs(new) + floor
        t = new
        if moved <= EPS * size or (newton and moved <= QUADRATIC * size):
            return t
    return t


@compiled
def permuted_fits(y, v, x, orders, method, betas, covariances, tau2, q):
    """Regress y on the rows of x in each of `orders` (rows, k); unscaled covariances.

    A permutation whose design is singular gets NaN.
    """
    n, p = x.shape
    a = np.empty((p, p))
    inverse = np.empty((p, p))
    b = np.empty((p, p))
    wx = np.empty((n, p))
    beta = np.empty(p)
    out = np.empty(6 + p)
    grid = np.empty(REGRESSION_GRID)
    slope = np.empty(REGRESSION_GRID)
    lanes = np.empty(((p + 1) * (p + 2) + 2, REGRESSION_GRID))
    moved = np.empty((n, p))
    for i in range(len(orders)):
        for j in range(n):
            for m in range(p):
                moved[j, m] = x[orders[i, j], m]
        t = _regression_tau2(y, v, moved, method, a, inverse, b, wx, beta, out, grid, slope, lanes)
        tau2[i] = t
        if not _regression_function(y, v, moved, t, method, False, a, inverse, b, wx, beta, out):
            betas[i, :] = math.nan
            covariances[i, :, :] = math.nan
            q[i] = math.nan
            continue
        q[i] = out[3]
        betas[i, :] = beta
        covariances[i, :, :] = inverse
