"""Roots of one-dimensional functions to the last bits, inside a bracket."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

ROUNDING = 8 * float(np.finfo(float).eps)
# A Newton step this small, relative, leaves an error of about its square: the last bits.
QUADRATIC = 1e-8


def safe_newton(
    both: Callable[[float], tuple[float, float]], low: float, high: float, floor: float
) -> float:
    """The root of a function that is positive at `low` and not at `high`, to the last bits.

    `both` gives value and derivative; Newton steps that leave the bracket are halved intervals.
    `floor` sets what is negligible beside the root: rounding of (root + floor).
    """
    t = 0.5 * (low + high)
    for _ in range(200):
        value, slope = both(t)
        if value > 0:
            low = t
        elif value < 0:
            high = t
        else:
            return float(t)
        step = -value / slope if slope < 0 else math.inf
        if abs(step) <= QUADRATIC * (abs(t) + floor):
            return float(min(max(t + step, low), high))
        new = t + step
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - t) <= ROUNDING * (abs(new) + floor):
            return float(new)
        t = new
    return float(t)


def bracketed_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Brent's root of a function of opposite signs at `low` and `high`, relative 1e-14."""
    from scipy import optimize

    brentq: Any = optimize.brentq
    size = max(abs(low), abs(high))
    return float(brentq(function, low, high, xtol=1e-15 * size, rtol=1e-14, maxiter=500))
