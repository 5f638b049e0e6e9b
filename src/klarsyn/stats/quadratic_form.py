"""The distribution of a positive weighted sum of chi-squared variables, to machine precision."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray
# Nodes on one half of the contour. The trapezoidal rule errs by exp(−2π · distance / step), the
# distance being that of the pole at 0 or the branch point: six steps give 4e-17.
NODES, MOST_NODES = 80, 20_000
REACH = 38.0  # exp(−38) is below double precision relative to the saddle point


def upper_tail(x: float, weights: Array) -> float:
    """P(Σ wᵢ χ²₁ > x) for positive weights, with relative accuracy about 1e-13.

    Integrates exp(K(s) − s x)/s, K(s) = −½ Σ log(1 − 2 wᵢ s), along a parabola that passes through
    the saddle point and opens round the branch points; left of the origin the integral is minus
    the lower tail, so the smaller tail is always the one computed.
    """
    w = np.asarray(weights, dtype=float)
    w = w / w.max()
    point = x / float(np.max(weights))
    if point <= 0:
        return 1.0
    mean = float(w.sum())
    saddle = _saddle(point, w, mean)
    value = _contour(point, w, saddle)
    return value if saddle > 0 else 1.0 + value


def _saddle(x: float, w: Array, mean: float) -> float:
    """The solution of K'(s) − 1/s = x on the side of the origin where the tail is small."""

    def slope(s: float) -> float:
        return float(np.sum(w / (1 - 2 * w * s))) - 1 / s - x

    if x > mean:
        low, high = 1e-12, 0.5 * (1 - 1e-12)
    else:
        high = -1e-12 / max(mean, 1.0)
        low = -(len(w) / (2 * x) + 2 / x + 1.0)
        while slope(low) > 0:
            low *= 2
    for _ in range(200):
        middle = 0.5 * (low + high)
        if slope(middle) > 0:
            high = middle
        else:
            low = middle
        if high - low <= 1e-6 * abs(middle):
            break
    return 0.5 * (low + high)


def _contour(x: float, w: Array, saddle: float) -> float:
    curvature = float(np.sum(2 * w**2 / (1 - 2 * w * saddle) ** 2)) + 1 / saddle**2
    # s(u) = saddle + bend u² + i u: bend keeps the path clear of the first branch point ½.
    gap = 0.5 - saddle
    bend = 0.5 / gap
    # Near the saddle the integrand falls as exp(−curvature u²/2), far away as exp(−x bend u²).
    reach = min(math.sqrt(2 * REACH / curvature) * 4, math.sqrt(REACH / (x * bend)) + 6 * gap)
    reach = _far_enough(x, w, saddle, bend, max(reach, math.sqrt(2 * REACH / curvature)))
    nodes = min(max(NODES, math.ceil(6 * reach / min(abs(saddle), gap))), MOST_NODES)
    step = reach / nodes
    u = (np.arange(nodes) + 0.5) * step
    s = saddle + bend * u**2 + 1j * u
    values = np.exp(_log_integrand(x, w, s)) * (2 * bend * u + 1j)
    return float(np.sum(values.imag)) * step / math.pi


def _far_enough(x: float, w: Array, saddle: float, bend: float, start: float) -> float:
    top = np.real(_log_integrand(x, w, np.array([complex(saddle)])))[0]
    reach = start
    for _ in range(60):
        s = complex(saddle + bend * reach**2, reach)
        if np.real(_log_integrand(x, w, np.array([s])))[0] < top - REACH:
            return reach
        reach *= 1.25
    return reach


def _log_integrand(x: float, w: Array, s: Array) -> Array:
    k = -0.5 * np.log(1 - 2 * w[:, None] * s[None, :]).sum(0)
    return k - s * x - np.log(s)
