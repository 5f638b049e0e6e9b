"""Compiled regressions on permuted designs; see `klarsyn.stats.kernels` for codes and rules.

Permutations lie side by side: the last axis of an array is LANES permutations that go through the
same steps in vector instructions. Effects and variances stay where they are, so the bound of τ²,
the search grid and its weights are the same for every permutation.

With z = (x, e), e the residuals of least squares without weights, a fit needs the sums
Mᵣ = Σ wʳ zᵢzₘ, r = 1, 2, 3, alone. Sums of e instead of y do not cancel where x explains y.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from klarsyn.stats.kernels import DL, EE, EPS, GRID, ML, PM, QUADRATIC, REML, compiled

LANES = 64  # permutations side by side
STRIDE = 4  # studies added at once; the last are padded with studies of no weight
STEPS = 80  # safeguarded Newton converges in under ten; bisection alone in 60
SUM_W, SUM_WW, Q, PPY, TRACE, PPPY, TRACE_PP = range(7)


class Lanes(NamedTuple):
    """What LANES fits of p columns share: products, moments and what follows from them."""

    x: np.ndarray  # (p + 1, n, LANES), e behind the columns
    z: np.ndarray  # zᵢzₘ (pairs, n, LANES)
    m1: np.ndarray  # Mᵣ (pairs, LANES)
    m2: np.ndarray
    m3: np.ndarray
    inverse: np.ndarray  # of A = XᵀWX (p, p, LANES)
    work: np.ndarray  # (p, p, LANES)
    plain: np.ndarray  # β without weights, then what weights add to it (p, LANES)
    beta: np.ndarray
    cross: np.ndarray  # XᵀW²r (p, LANES)
    line: np.ndarray  # (LANES)
    sums: np.ndarray  # (7, LANES), rows SUM_W … TRACE_PP


class Problem(NamedTuple):
    """What all permutations share; studies without weight (v infinite) fill up the last stride."""

    v: np.ndarray  # (n)
    df: int
    method: int
    floor: float  # min v: what is negligible beside τ² is so beside it
    top: float  # no estimate lies above
    grid: np.ndarray  # τ² at which the gradient's sign is looked up (GRID)
    weights: np.ndarray  # there, (GRID, n)


@compiled
def _pair(i, m, p):
    """Place of (i, m) among the pairs (0,0), (0,1), … (p,p) of p + 1 columns."""
    first, second = min(i, m), max(i, m)
    return first * (p + 1) - first * (first - 1) // 2 + second - first


@compiled
def _products(y, x, orders, at):
    """Fill `x`, `plain` and `z` for orders (LANES, n) of the orthonormal columns x (n, p)."""
    n, p = x.shape
    for i in range(p):
        for c in range(LANES):
            at.plain[i, c] = 0.0
        for j in range(n):
            for c in range(LANES):
                at.x[i, j, c] = x[orders[c, j], i]
            for c in range(LANES):
                at.plain[i, c] += at.x[i, j, c] * y[j]
    for j in range(n):
        for c in range(LANES):
            at.x[p, j, c] = y[j]
        for i in range(p):
            for c in range(LANES):
                at.x[p, j, c] -= at.plain[i, c] * at.x[i, j, c]
    for i in range(p + 1):
        for m in range(i, p + 1):
            pair = _pair(i, m, p)
            for j in range(n):
                for c in range(LANES):
                    at.z[pair, j, c] = at.x[i, j, c] * at.x[m, j, c]


@compiled
def _moments(v, t, at):
    """M₁, M₂, M₃, Σw and Σw² at each lane's t (LANES)."""
    w = at.line
    at.m1[:, :] = 0.0
    at.m2[:, :] = 0.0
    at.m3[:, :] = 0.0
    at.sums[:, :] = 0.0
    for j in range(len(v)):
        for c in range(LANES):
            w[c] = 1.0 / (v[j] + t[c])
        for c in range(LANES):
            at.sums[SUM_W, c] += w[c]
        for c in range(LANES):
            at.sums[SUM_WW, c] += w[c] * w[c]
        for pair in range(len(at.z)):
            for c in range(LANES):
                first = w[c] * at.z[pair, j, c]
                second = w[c] * first
                at.m1[pair, c] += first
                at.m2[pair, c] += second
                at.m3[pair, c] += w[c] * second


@compiled
def _shared_moments(w, at):
    """M₁, M₂, Σw and Σw² under weights w (n, a multiple of STRIDE) that all lanes share."""
    at.m1[:, :] = 0.0
    at.m2[:, :] = 0.0
    s1 = 0.0
    s2 = 0.0
    for j in range(len(w)):
        s1 += w[j]
        s2 += w[j] * w[j]
    at.sums[SUM_W, :] = s1
    at.sums[SUM_WW, :] = s2
    for j in range(0, len(w), STRIDE):
        a, b, d, e = w[j], w[j + 1], w[j + 2], w[j + 3]
        for pair in range(len(at.z)):
            z = at.z[pair, j : j + STRIDE]
            for c in range(LANES):
                za, zb, zd, ze = a * z[0, c], b * z[1, c], d * z[2, c], e * z[3, c]
                at.m1[pair, c] += (za + zb) + (zd + ze)
                at.m2[pair, c] += (a * za + b * zb) + (d * zd + e * ze)


@compiled
def _invert(p, at):
    """A⁻¹ from M₁ by Gauss–Jordan: A is positive definite."""
    a, inverse, pivot = at.work, at.inverse, at.line
    for i in range(p):
        for j in range(p):
            pair = _pair(i, j, p)
            for c in range(LANES):
                a[i, j, c] = at.m1[pair, c]
            for c in range(LANES):
                inverse[i, j, c] = 1.0 if i == j else 0.0
    for i in range(p):
        for c in range(LANES):
            pivot[c] = 1.0 / a[i, i, c]
        for j in range(p):
            for c in range(LANES):
                a[i, j, c] *= pivot[c]
            for c in range(LANES):
                inverse[i, j, c] *= pivot[c]
        for r in range(p):
            if r != i:
                for c in range(LANES):
                    pivot[c] = a[r, i, c]
                for j in range(p):
                    for c in range(LANES):
                        a[r, j, c] -= pivot[c] * a[i, j, c]
                    for c in range(LANES):
                        inverse[r, j, c] -= pivot[c] * inverse[i, j, c]


@compiled
def _solve(p, at):
    """A⁻¹, what weights add to β, and Q, from M₁."""
    _invert(p, at)
    beta = at.beta
    last = _pair(p, p, p)
    for c in range(LANES):
        at.sums[Q, c] = at.m1[last, c]
    for i in range(p):
        for c in range(LANES):
            beta[i, c] = 0.0
        for m in range(p):
            pair = _pair(m, p, p)
            for c in range(LANES):
                beta[i, c] += at.inverse[i, m, c] * at.m1[pair, c]
        pair = _pair(i, p, p)
        for c in range(LANES):
            at.sums[Q, c] -= beta[i, c] * at.m1[pair, c]
    for c in range(LANES):
        at.sums[Q, c] = max(at.sums[Q, c], 0.0)


@compiled
def _quadratic(m, beta, p, out):
    """(e − Xβ)ᵀWʳ(e − Xβ) from Mᵣ, into out (LANES)."""
    pair = _pair(p, p, p)
    for c in range(LANES):
        out[c] = m[pair, c]
    for i in range(p):
        pair = _pair(i, p, p)
        for c in range(LANES):
            out[c] -= 2 * beta[i, c] * m[pair, c]
        for j in range(p):
            pair = _pair(i, j, p)
            for c in range(LANES):
                out[c] += beta[i, c] * beta[j, c] * m[pair, c]


@compiled
def _gradient(p, at):
    """PPY = yᵀPPy and TRACE = tr P, P = W − WX(XᵀWX)⁻¹XᵀW, after `_solve`."""
    _quadratic(at.m2, at.beta, p, at.sums[PPY])
    for c in range(LANES):
        at.sums[TRACE, c] = at.sums[SUM_W, c]
    for i in range(p):
        for m in range(p):
            pair = _pair(i, m, p)
            for c in range(LANES):
                at.sums[TRACE, c] -= at.inverse[i, m, c] * at.m2[pair, c]


@compiled
def _curvature(p, at):
    """PPPY = yᵀPPPy and TRACE_PP = tr PP, after `_solve`."""
    half, cross, inverse = at.work, at.cross, at.inverse
    _quadratic(at.m3, at.beta, p, at.sums[PPPY])
    for c in range(LANES):
        at.sums[TRACE_PP, c] = at.sums[SUM_WW, c]
    for i in range(p):
        pair = _pair(i, p, p)
        for c in range(LANES):
            cross[i, c] = at.m2[pair, c]
        for m in range(p):
            pair = _pair(i, m, p)
            for c in range(LANES):
                cross[i, c] -= at.m2[pair, c] * at.beta[m, c]
            for c in range(LANES):
                at.sums[TRACE_PP, c] -= 2 * inverse[i, m, c] * at.m3[pair, c]
            for c in range(LANES):
                half[i, m, c] = 0.0
            for s in range(p):
                pair = _pair(s, m, p)
                for c in range(LANES):
                    half[i, m, c] += inverse[i, s, c] * at.m2[pair, c]
    for i in range(p):
        for m in range(p):
            for c in range(LANES):
                at.sums[TRACE_PP, c] += half[i, m, c] * half[m, i, c]
            for c in range(LANES):
                at.sums[PPPY, c] -= cross[i, c] * inverse[i, m, c] * cross[m, c]


@compiled
def _heights(problem, t, at, height):
    """Log-likelihood of every lane at its t, up to a constant."""
    p = len(at.beta)
    _moments(problem.v, t, at)
    _solve(p, at)
    for c in range(LANES):
        height[c] = -0.5 * at.sums[Q, c]
        for v in problem.v:
            if v < math.inf:
                height[c] -= 0.5 * math.log(v + t[c])
    if problem.method == ML:
        return
    for i in range(p):  # log |A⁻¹| from the pivots of its elimination
        for c in range(LANES):
            height[c] += 0.5 * math.log(at.inverse[i, i, c])
        for r in range(i + 1, p):
            for c in range(LANES):
                at.line[c] = at.inverse[r, i, c] / at.inverse[i, i, c]
            for j in range(i + 1, p):
                for c in range(LANES):
                    at.inverse[r, j, c] -= at.line[c] * at.inverse[i, j, c]


@compiled
def _estimating_function(method, df, sums, c):
    """Value and derivative by τ² of the function whose root lane c looks for."""
    q, ppy, pppy = sums[Q, c], sums[PPY, c], sums[PPPY, c]
    if method == REML:
        return 0.5 * (ppy - sums[TRACE, c]), 0.5 * sums[TRACE_PP, c] - pppy
    if method == ML:
        return 0.5 * (ppy - sums[SUM_W, c]), 0.5 * sums[SUM_WW, c] - pppy
    return 1.0 / df - 1.0 / q, -ppy / (q * q)


@compiled
def _newton(problem, low, high, t, need, at):
    """Roots in the lanes that `need` one, from t inside (low, high), to the last bits."""
    p = len(at.beta)
    for c in range(LANES):
        if need[c] and not low[c] < t[c] < high[c]:
            t[c] = 0.5 * (low[c] + high[c])
    for _ in range(STEPS):
        if not need.any():
            return
        _moments(problem.v, t, at)
        _solve(p, at)
        _gradient(p, at)
        _curvature(p, at)
        for c in range(LANES):
            if not need[c]:
                continue
            value, slope = _estimating_function(problem.method, problem.df, at.sums, c)
            if value > 0:
                low[c] = t[c]
            elif value < 0:
                high[c] = t[c]
            else:
                need[c] = False
                continue
            size = abs(t[c]) + problem.floor
            step = -value / slope if slope < 0 else math.inf
            new = t[c] + step
            if abs(step) <= QUADRATIC * size:
                new = min(max(new, low[c]), high[c])
                need[c] = False
            elif not low[c] < new < high[c]:
                new = 0.5 * (low[c] + high[c])
            if abs(new - t[c]) <= EPS * size:
                need[c] = False
            t[c] = new


@compiled
def _slopes(problem, slope, at):
    """Twice the gradient (GRID, LANES) and the most local maxima that a lane shows, 0 included."""
    p = len(at.beta)
    against = TRACE if problem.method == REML else SUM_W
    for g in range(GRID):
        _shared_moments(problem.weights[g], at)
        _solve(p, at)
        _gradient(p, at)
        for c in range(LANES):
            slope[g, c] = at.sums[PPY, c] - at.sums[against, c]
    most = 0
    for c in range(LANES):
        peaks = 1 if slope[0, c] <= 0 else 0
        for g in range(GRID - 1):
            if slope[g, c] > 0 and slope[g + 1, c] <= 0:
                peaks += 1
        most = max(most, peaks)
    return most


@compiled
def _next_bracket(grid, slope, start, low, high, t, need):
    """Each lane's first change of sign from + to − at grid point start[c] or later, if any."""
    for c in range(LANES):
        need[c] = False
        for g in range(start[c], GRID - 1):
            up, down = slope[g, c], slope[g + 1, c]
            if up > 0 and down <= 0:
                low[c], high[c] = grid[g], grid[g + 1]
                t[c] = low[c] + up / (up - down) * (high[c] - low[c])
                start[c] = g + 1
                need[c] = True
                break


@compiled
def _highest_maximum(problem, slope, best, at):
    """Each lane's highest maximum of the likelihood over τ² ≥ 0, into `best` (zeros)."""
    compared = _slopes(problem, slope, at) > 1
    low, high, t = np.empty(LANES), np.empty(LANES), np.zeros(LANES)
    need, start = np.zeros(LANES, np.bool_), np.zeros(LANES, np.int64)
    height, value = np.full(LANES, -math.inf), np.zeros(LANES)
    if compared:
        _heights(problem, best, at, height)
        for c in range(LANES):
            if slope[0, c] > 0:
                height[c] = -math.inf
    while True:
        _next_bracket(problem.grid, slope, start, low, high, t, need)
        if not need.any():
            return
        found = need.copy()
        _newton(problem, low, high, t, need, at)
        if compared:
            _heights(problem, t, at, value)
        for c in range(LANES):
            if found[c] and (not compared or value[c] > height[c]):
                best[c] = t[c]
                height[c] = value[c]


@compiled
def _tau2(problem, slope, best, at):
    """Each lane's τ², into `best`."""
    best[:] = 0.0
    if problem.method in (ML, REML):
        if problem.top > 0:
            _highest_maximum(problem, slope, best, at)
    elif problem.method != EE:
        p = len(at.beta)
        _moments(problem.v, best, at)
        _solve(p, at)
        if problem.method == DL:
            _gradient(p, at)
            for c in range(LANES):
                best[c] = max(0.0, (at.sums[Q, c] - problem.df) / at.sums[TRACE, c])
            return
        need = at.sums[Q] > problem.df
        for c in range(LANES):
            best[c] = 0.25 * problem.top if need[c] else 0.0
        _newton(problem, np.zeros(LANES), np.full(LANES, problem.top), best, need, at)


@compiled
def _upper_bound(y, low, high, df, method):
    """From the sum of squares of y itself, at least the residual one of any design."""
    s = np.sum(y * y)
    if method == PM:
        return (s / df - low) * (1 + 1e-9) + 1e-9 * low
    room = len(y) if method == ML else df
    u = (s + math.sqrt(s * s + 4 * room * s * (high - low))) / (2 * room)
    return (u - low) * (1 + 1e-9)


@compiled
def _problem(y, v, df, method):
    n = STRIDE * ((len(v) + STRIDE - 1) // STRIDE)
    padded = np.full(n, math.inf)
    padded[: len(v)] = v
    low = v.min()
    top = _upper_bound(y, low, v.max(), df, method)
    grid = np.zeros(GRID)
    if top > 0:
        grid[:] = low * np.expm1(np.linspace(0.0, math.log((top + low) / low), GRID))
        grid[GRID - 1] = top
    weights = np.empty((GRID, n))
    for g in range(GRID):
        for j in range(n):
            weights[g, j] = 1.0 / (padded[j] + grid[g])
    return Problem(padded, df, method, low, top, grid, weights)


@compiled
def _lanes(n, p):
    pairs = (p + 1) * (p + 2) // 2
    x, z = np.zeros((p + 1, n, LANES)), np.zeros((pairs, n, LANES))
    m1, m2, m3 = np.empty((pairs, LANES)), np.empty((pairs, LANES)), np.empty((pairs, LANES))
    inverse, work = np.empty((p, p, LANES)), np.empty((p, p, LANES))
    plain, beta, cross = np.empty((p, LANES)), np.empty((p, LANES)), np.empty((p, LANES))
    line, sums = np.empty(LANES), np.zeros((7, LANES))
    return Lanes(x, z, m1, m2, m3, inverse, work, plain, beta, cross, line, sums)


@compiled
def permuted_fits(y, v, x, orders, method, betas, covariances, tau2, q):
    """Regress y on the rows of x (n, p; columns orthonormal) in each of `orders` (rows, n).

    The covariances are unscaled, Q is that at τ².
    """
    studies, p = x.shape
    problem = _problem(y, v, studies - p, method)
    at = _lanes(len(problem.v), p)
    slope, best = np.empty((GRID, LANES)), np.empty(LANES)
    block = np.empty((LANES, studies), np.int64)
    for first in range(0, len(orders), LANES):
        here = min(LANES, len(orders) - first)
        for c in range(LANES):  # the last block repeats its last order
            block[c] = orders[first + min(c, here - 1)]
        _products(y, x, block, at)
        _tau2(problem, slope, best, at)
        _moments(problem.v, best, at)
        _solve(p, at)
        for c in range(here):
            tau2[first + c] = best[c]
            q[first + c] = at.sums[Q, c]
            for i in range(p):
                betas[first + c, i] = at.plain[i, c] + at.beta[i, c]
                for m in range(p):
                    covariances[first + c, i, m] = at.inverse[i, m, c]
