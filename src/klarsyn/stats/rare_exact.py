"""The common odds ratio with exact limits: all tables with the margins that were seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.roots import bracketed_root

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalEvents:
    """The first group's events over all studies, given every study's margins.

    `log_weights` belong to sums from `lowest` upwards at an odds ratio of 1.
    """

    events: int
    lowest: int
    log_weights: Array

    @property
    def highest(self) -> int:
        """The largest sum that the margins allow."""
        return self.lowest + self.log_weights.size - 1

    def shares(self, log_ratio: float) -> Array:
        """Probability of each possible sum at a log odds ratio."""
        height = self.log_weights + log_ratio * np.arange(self.log_weights.size)
        weights = np.exp(height - height.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def limits(self, level: float = 0.95) -> tuple[float, float]:
        """Exact limits of the log odds ratio, (1 − level)/2 in each tail; infinite at an edge."""
        tail, seen = (1 - level) / 2, self.events - self.lowest
        low, high = -math.inf, math.inf
        if self.events > self.lowest:
            low = _root(lambda b: float(self.shares(b)[seen:].sum()) - tail)
        if self.events < self.highest:
            high = _root(lambda b: tail - float(self.shares(b)[: seen + 1].sum()))
        return low, high

    def p_value(self, log_ratio: float = 0.0) -> float:
        """Twice the smaller tail, so that it agrees with the limits."""
        shares, seen = self.shares(log_ratio), self.events - self.lowest
        return min(1.0, 2 * min(float(shares[: seen + 1].sum()), float(shares[seen:].sum())))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactOddsRatio(Estimate):
    """A log odds ratio whose limits and p come from the conditional distribution itself."""

    conditional: ConditionalEvents

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Exact two-sided limits."""
        return self.conditional.limits(level)

    def p_value(self, null: float = 0.0) -> float:
        """Exact two-sided p."""
        return self.conditional.p_value(null)


def conditional_events(a: Array, n1: Array, c: Array, n2: Array) -> ConditionalEvents:
    """Convolve the studies' hypergeometric distributions (Gart 1970, Biometrika 57:471).

    Raises NumericalError `not_estimable` where the margins leave one table only.
    """
    from scipy.special import gammaln

    a, n1, c, n2 = (np.asarray(x, dtype=float) for x in (a, n1, c, n2))
    tilt = math.log(
        (a.sum() + 0.5) * ((n2 - c).sum() + 0.5) / ((n1 - a).sum() + 0.5) / (c.sum() + 0.5)
    )

    def choose(n: float, k: Array) -> Array:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)

    lowest, product, scale = 0, np.ones(1), 0.0
    for first, second, m in zip(n1, n2, a + c, strict=True):
        x = np.arange(max(0.0, m - second), min(m, first) + 1)
        height = choose(first, x) + choose(second, m - x) + tilt * x
        scale += float(height.max())
        product = np.convolve(product, np.exp(height - height.max()))
        scale += math.log(product.max())
        product /= product.max()
        lowest += int(x[0])
    if product.size == 1:
        raise NumericalError(
            "not_estimable", "No study has both an event and a non-event: no odds ratio is said."
        )
    with np.errstate(divide="ignore"):
        log_weights = np.log(product) + scale - tilt * (lowest + np.arange(product.size))
    return ConditionalEvents(events=int(a.sum()), lowest=lowest, log_weights=log_weights)


def exact_odds_ratio(a: Array, n1: Array, c: Array, n2: Array) -> ExactOddsRatio:
    """The conditional maximum likelihood estimate of one log odds ratio, with exact limits.

    As R's mantelhaen.test(exact = TRUE). Raises NumericalError `not_estimable` with the limit that
    remains where the events are as few or as many in the first group as they can be.
    """
    found = conditional_events(a, n1, c, n2)
    low, high = found.limits()
    if found.events in (found.lowest, found.highest):
        few = found.events == found.lowest
        limit = math.exp(high if few else low)
        raise NumericalError(
            "not_estimable",
            f"The first group has as {'few' if few else 'many'} events as it can: the exact odds "
            f"ratio is {'0' if few else 'infinite'}. Its 97.5 % {'upper' if few else 'lower'} "
            f"limit is {limit:.4g}.",
        )
    sums = found.lowest + np.arange(found.log_weights.size)

    def score(b: float) -> float:
        return float(found.shares(b) @ sums) - found.events

    value = _root(score)
    shares = found.shares(value)
    variance = float(shares @ (sums - shares @ sums) ** 2)
    return ExactOddsRatio(
        value=value,
        se=variance**-0.5,
        method="exact conditional OR",
        scale="log",
        conditional=found,
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above 0 crosses it."""
    low, high = -1.0, 1.0
    while rising(low) > 0:
        low *= 2
    while rising(high) < 0:
        high *= 2
    return bracketed_root(rising, low, high)
