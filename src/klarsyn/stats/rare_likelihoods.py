"""What one study says about its own effect: log-likelihood, slope and curvature.

Each maker returns a function of `theta`, shape (studies, points), to three arrays of that shape:
the log probability of the study's data at theta and its first and second derivative. All are
concave in theta. Probabilities are complete (binomial coefficients included), so that values may
be compared with other programs'.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
LARGEST_BLOCK = 4_000_000  # numbers held at once
StudyLikelihood = Callable[[Array], tuple[Array, Array, Array]]


def binomial(events: Array, total: Array, offset: Array | float = 0.0) -> StudyLikelihood:
    """Events of a total with logit probability theta + offset."""
    constant = (_log_choose(total, events))[:, None]
    x, n = events[:, None], total[:, None]
    shift = np.broadcast_to(np.asarray(offset, dtype=float), events.shape)[:, None]

    def at(theta: Array) -> tuple[Array, Array, Array]:
        eta = theta + shift
        p = special.expit(eta)
        value = constant + x * eta - n * np.logaddexp(0, eta)
        return value, x - n * p, -n * p * (1 - p)

    return at


def poisson(events: Array, time: Array) -> StudyLikelihood:
    """Events in person-time with log rate theta."""
    x, t = events[:, None], time[:, None]
    constant = (events * np.log(time) - special.gammaln(events + 1))[:, None]

    def at(theta: Array) -> tuple[Array, Array, Array]:
        expected = t * np.exp(theta)
        return constant + x * theta - expected, x - expected, -expected

    return at


def noncentral_hypergeometric(a: Array, n1: Array, c: Array, n2: Array) -> StudyLikelihood:
    """Events of the first group given all margins; theta is the log odds ratio.

    The whole support of every study is summed, so the value is exact (Fisher's noncentral
    hypergeometric distribution; van Houwelingen, Zwinderman & Stijnen 1993) and the time grows with
    the number of events.
    """
    m = a + c
    low, high = np.maximum(0, m - n2).astype(int), np.minimum(n1, m).astype(int)
    sizes = high - low + 1
    study = np.repeat(np.arange(len(a)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    events = (np.arange(int(sizes.sum())) - np.repeat(starts, sizes) + low[study]).astype(float)
    base = _log_choose(n1[study], events) + _log_choose(n2[study], m[study] - events)
    base -= (_log_choose(n1, a) + _log_choose(n2, c))[study]
    step = (events - a[study])[:, None]
    base = base[:, None]

    columns = max(1, LARGEST_BLOCK // len(study))

    def at(theta: Array) -> tuple[Array, Array, Array]:
        if theta.shape[1] <= columns:
            return block(theta)
        parts = [block(theta[:, i : i + columns]) for i in range(0, theta.shape[1], columns)]
        value, slope, bend = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        return value, slope, bend

    def block(theta: Array) -> tuple[Array, Array, Array]:
        power = base + step * theta[study]
        top = np.maximum.reduceat(power, starts)
        weight = np.exp(power - top[study])
        whole = np.add.reduceat(weight, starts)
        weight *= step
        mean = np.add.reduceat(weight, starts) / whole
        weight *= step
        square = np.add.reduceat(weight, starts) / whole
        return -(top + np.log(whole)), -mean, -np.maximum(square - mean**2, 0.0)

    return at


def two_binomials(
    a: Array, n1: Array, c: Array, n2: Array
) -> Callable[[Array, Array], tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]]:
    """Both groups' log-likelihoods at their own logits."""
    first, second = binomial(a, n1), binomial(c, n2)
    return lambda eta1, eta2: (first(eta1), second(eta2))


def two_poissons(
    x1: Array, t1: Array, x2: Array, t2: Array
) -> Callable[[Array, Array], tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]]:
    """Both groups' log-likelihoods at their own log rates."""
    first, second = poisson(x1, t1), poisson(x2, t2)
    return lambda eta1, eta2: (first(eta1), second(eta2))


def _log_choose(n: Array, k: Array) -> Array:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
