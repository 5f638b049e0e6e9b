"""Compiled regressions on permuted designs; see `klarsyn.stats.kernels` for codes and rules."""

from __future__ import annotations

import math

import numpy as np

from klarsyn.stats.kernels import DL, EE, EPS, ML, PM, QUADRATIC, REML, compiled

REGRESSION_GRID = 16  # points of the search for local maxima


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
def _log_determinant(a, p):
    """Of a symmetric positive definite matrix, which is overwritten by its elimination."""
    total = 0.0
    for i in range(p):
        total += math.log(a[i, i])
        for r in range(i + 1, p):
            factor = a[r, i] / a[i, i]
            for j in range(i, p):
                a[r, j] -= factor * a[i, j]
    return total


@compiled
def _regression_height(v, t, q, a, p, method):
    height = -0.5 * q
    for j in range(len(v)):
        height -= 0.5 * math.log(v[j] + t)
    if method == REML:
        height -= 0.5 * _log_determinant(a, p)
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
