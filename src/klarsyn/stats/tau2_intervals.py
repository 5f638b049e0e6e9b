"""Intervals for τ²: Q-profile, generalised Q, profile likelihood. None is capped from above."""

from __future__ import annotations

import math

import numpy as np

from klarsyn.errors import unknown_name
from klarsyn.stats.generalised_q import generalised_q_root
from klarsyn.stats.heterogeneity import (
    estimate_tau2,
    largest_root,
    log_likelihood,
    q_at,
    search_grid,
)
from klarsyn.stats.roots import bracketed_root
from klarsyn.stats.weighted import coefficients

Array = np.ndarray
INTERVALS = {
    "QP": "Q-profile (Viechtbauer 2007)",
    "J": "generalised Q with weights 1/√v (Jackson 2013)",
    "BJ": "exact Biggerstaff–Tweedie: generalised Q with weights 1/v (Biggerstaff & Jackson 2008)",
    "GENQ": "generalised Q with the given weights (Jackson 2013)",
    "PL": "profile (restricted) likelihood (Hardy & Thompson 1996)",
}


def tau2_interval(
    y: Array,
    v: Array,
    x: Array | None = None,
    *,
    interval: str = "QP",
    level: float = 0.95,
    weights: Array | None = None,
    restricted: bool = True,
) -> tuple[float, float]:
    """Two-sided limits for τ²; both are 0 when even τ² = 0 is too large for the data.

    `weights` are those of GENQ; `restricted` chooses REML or ML for PL.
    """
    if interval not in INTERVALS:
        raise unknown_name("interval for tau2", interval, INTERVALS)
    tail = (1 - level) / 2
    if interval == "QP":
        return q_profile(y, v, x, tail)
    if interval == "PL":
        return profile_likelihood(y, v, x, level, restricted=restricted)
    if interval != "GENQ" or weights is None:
        weights = 1 / np.sqrt(v) if interval == "J" else 1 / v
    return (
        generalised_q_root(y, v, x, weights, tail),
        generalised_q_root(y, v, x, weights, 1 - tail),
    )


def q_profile(y: Array, v: Array, x: Array | None, tail: float) -> tuple[float, float]:
    """The τ² at which Q(τ²) meets the upper and the lower χ² quantile."""
    from scipy.special import chdtri

    df = len(y) - coefficients(x)
    return (
        q_at(y, v, x, float(chdtri(df, tail))),
        q_at(y, v, x, float(chdtri(df, 1 - tail))),
    )


def profile_likelihood(
    y: Array, v: Array, x: Array | None, level: float, *, restricted: bool
) -> tuple[float, float]:
    """The smallest and the largest τ² whose log-likelihood is within χ²₁/2 of the maximum.

    With several local maxima the set can have gaps; the limits enclose all of it.
    """
    from scipy.special import chdtri

    best = estimate_tau2(y, v, x, method="REML" if restricted else "ML").value
    drop = 0.5 * float(chdtri(1, 1 - level))
    top = float(log_likelihood(y, v, x, best, restricted=restricted)[0])

    def above(tau2: float) -> float:
        return float(log_likelihood(y, v, x, tau2, restricted=restricted)[0]) - top + drop

    df = len(y) - coefficients(x)
    high = max(largest_root(y, v, x, df), best, float(v.max()))
    while above(high) > 0:
        high *= 4
    grid = np.unique(np.append(search_grid(v, high), best))
    inside = log_likelihood(y, v, x, grid, restricted=restricted) - top + drop >= 0
    first, last = np.flatnonzero(inside)[[0, -1]]

    nodes = grid.tolist()
    lower = 0.0 if first == 0 else bracketed_root(above, nodes[first - 1], nodes[first])
    return lower, bracketed_root(above, nodes[last], nodes[last + 1])


def relative_intervals(
    limits: tuple[float, float], typical: float
) -> dict[str, tuple[float, float]]:
    """Limits for τ, I² (percent) and H² that follow from those of τ² and the typical variance."""
    low, high = limits
    return {
        "tau": (math.sqrt(low), math.sqrt(high)),
        "i2": (100 * low / (typical + low), 100 * high / (typical + high)),
        "h2": (low / typical + 1, high / typical + 1),
    }
