"""Intervals and tests for one proportion and for a difference of two.

Differences are p1 − p2. Everything broadcasts over arrays of counts; none has a side that means
"better".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from klarsyn.errors import InputError, unknown_name

Array = NDArray[np.float64]

VARIANCES = ("miettinen_nurminen", "farrington_manning")
DIFFERENCE_METHODS = ("newcombe", "miettinen_nurminen", "mee", "agresti_caffo", "wald")
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two-sided limits by a named method; scalars or arrays of one shape."""

    low: float | Array
    high: float | Array
    method: str
    level: float


def check_counts(events: ArrayLike, totals: ArrayLike) -> None:
    """Raise InputError unless 0 ≤ events ≤ totals and totals > 0 everywhere."""
    x, n = np.broadcast_arrays(np.asarray(events, float), np.asarray(totals, float))
    if not (np.isfinite(x).all() and np.isfinite(n).all()):
        raise InputError("Events and totals must be finite numbers.")
    for bad, sentence in (
        (n <= 0, "a total must be above 0"),
        (x < 0, "events cannot be negative"),
        (x > n, "events cannot exceed the total"),
    ):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise InputError(f"{x.flat[first]:g} of {n.flat[first]:g}: {sentence}.")


def two_sided_z(level: float) -> float:
    """The normal quantile of a two-sided interval, e.g. 1.96 for 0.95."""
    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    return float(special.ndtri(0.5 + level / 2))


def wilson(events: ArrayLike, totals: ArrayLike, level: float = 0.95) -> Interval:
    """Wilson's score interval of one proportion (Wilson 1927)."""
    check_counts(events, totals)
    low, high = _wilson(np.asarray(events, float), np.asarray(totals, float), two_sided_z(level))
    return Interval(low=_plain(low), high=_plain(high), method="wilson", level=level)


def difference_interval(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, method: str, level: float = 0.95
) -> Interval:
    """The interval of p1 − p2.

    `method` is `newcombe` (Newcombe 1998, method 10), `miettinen_nurminen` (1985; the score
    interval with N/(N − 1)), `mee` (1984; the same without the correction, the interval that
    belongs to the Farrington–Manning test), `agresti_caffo` (2000) or `wald`. The last is for
    comparison only: it has width 0 when both arms are all or none.
    """
    if method not in DIFFERENCE_METHODS:
        raise unknown_name("interval for a difference", method, DIFFERENCE_METHODS)
    check_counts(x1, n1)
    check_counts(x2, n2)
    a, b, c, d = np.broadcast_arrays(*(np.asarray(v, float) for v in (x1, n1, x2, n2)))
    low, high = _DIFFERENCES[method](a, b, c, d, two_sided_z(level))
    return Interval(low=_plain(low), high=_plain(high), method=method, level=level)


def newcombe_limits(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, z: float
) -> tuple[Array, Array]:
    """Newcombe's limits of p1 − p2 at z standard errors (Newcombe 1998, method 10)."""
    check_counts(x1, n1)
    check_counts(x2, n2)
    a, b, c, d = (np.asarray(v, float) for v in (x1, n1, x2, n2))
    return _newcombe(a, b, c, d, z)


def restricted_mle(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, difference: ArrayLike
) -> tuple[Array, Array]:
    """The maximum-likelihood p1 and p2 subject to p1 − p2 = `difference`.

    Closed form of the cubic (Farrington & Manning 1990, appendix), then polished by Newton steps
    on the cubic, since the arc cosine loses half its digits where roots meet.
    """
    check_counts(x1, n1)
    check_counts(x2, n2)
    _check_difference(difference)
    return _restricted(
        *np.broadcast_arrays(*(np.asarray(v, float) for v in (x1, n1, x2, n2, difference)))
    )


def _check_difference(difference: ArrayLike) -> None:
    d = np.asarray(difference, float)
    if not (np.abs(d) <= 1).all():
        raise InputError(
            f"A difference of proportions lies between -1 and 1; {d[~(np.abs(d) <= 1)].flat[0]:g} "
            f"does not."
        )


def _restricted(x1: Array, n1: Array, x2: Array, n2: Array, d: Array) -> tuple[Array, Array]:
    p1, p2, theta = x1 / n1, x2 / n2, n2 / n1
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p2 + d * (theta + 2))
    c = d**2 + d * (2 * p1 + theta + 1) + p1 + theta * p2
    e = -p1 * d * (1 + d)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + e / (2 * a)
    u = np.where(v < 0, -1.0, 1.0) * np.sqrt(np.maximum(b**2 / (9 * a**2) - c / (3 * a), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(u == 0, 0.0, v / u**3)
    w = (np.pi + np.arccos(np.clip(ratio, -1, 1))) / 3
    low, high = np.maximum(0.0, d), np.minimum(1.0, 1 + d)
    root = np.clip(2 * u * np.cos(w) - b / (3 * a), low, high)
    for _ in range(2):
        root = _newton_step(root, (a, b, c, e), low, high)
    root = _on_the_edge(root, (a, b, c, e), low, high)
    return root, np.clip(root - d, 0.0, 1.0)


def score_z(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    difference: ArrayLike,
    *,
    variance: str,
) -> Array:
    """The score statistic of the hypothesis p1 − p2 = `difference`.

    `variance` is `farrington_manning`, or `miettinen_nurminen` for the same times N/(N − 1).
    Where the restricted variance is 0 the statistic is 0 if the estimate equals the hypothesis
    and infinite otherwise.
    """
    if variance not in VARIANCES:
        raise unknown_name("variance", variance, VARIANCES)
    check_counts(x1, n1)
    check_counts(x2, n2)
    _check_difference(difference)
    a, b, c, d, e = np.broadcast_arrays(
        *(np.asarray(v, float) for v in (x1, n1, x2, n2, difference))
    )
    return _score(a, b, c, d, e, variance == "miettinen_nurminen")


def pooled_chi_square(x1: float, n1: float, x2: float, n2: float) -> tuple[float, float]:
    """Pearson's χ² without continuity correction, and its p."""
    check_counts([x1, x2], [n1, n2])
    pooled = (x1 + x2) / (n1 + n2)
    variance = pooled * (1 - pooled) * (1 / n1 + 1 / n2)
    if variance == 0:
        return 0.0, 1.0
    z2 = (x1 / n1 - x2 / n2) ** 2 / variance
    return float(z2), float(2 * special.ndtr(-np.sqrt(z2)))


def _newton_step(
    root: Array, cubic: tuple[Array, Array, Array, Array], low: Array, high: Array
) -> Array:
    a, b, c, e = cubic
    value = ((a * root + b) * root + c) * root + e
    slope = (3 * a * root + 2 * b) * root + c
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(slope == 0, 0.0, value / slope)
    moved = np.clip(root - np.where(np.abs(step) < 1e-4, step, 0.0), low, high)
    better = np.abs(((a * moved + b) * moved + c) * moved + e) < np.abs(value)
    return np.where(better, moved, root)


def _on_the_edge(
    root: Array, cubic: tuple[Array, Array, Array, Array], low: Array, high: Array
) -> Array:
    """A limit of the range that is a root itself, where two roots meet there."""
    a, b, c, e = cubic
    for end in (low, high):
        solves = np.abs(((a * end + b) * end + c) * end + e) <= 1e-15
        root = np.where(solves & (np.abs(root - end) < 1e-6), end, root)
    return root


def _score(x1: Array, n1: Array, x2: Array, n2: Array, d: Array, corrected: bool) -> Array:
    p1, p2 = _restricted(x1, n1, x2, n2, d)
    variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    if corrected:
        variance = variance * (n1 + n2) / (n1 + n2 - 1)
    gap = x1 / n1 - x2 / n2 - d
    gap = np.where(np.abs(gap) < 1e-14, 0.0, gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gap == 0, 0.0, gap / np.sqrt(variance))


def _score_interval(
    x1: Array, n1: Array, x2: Array, n2: Array, z: float, corrected: bool
) -> tuple[Array, Array]:
    estimate = x1 / n1 - x2 / n2

    def end(sign: float) -> Array:
        inside, outside = estimate.copy(), np.full_like(estimate, sign)
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            within = np.abs(_score(x1, n1, x2, n2, middle, corrected)) <= z
            inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
        at_edge = np.abs(_score(x1, n1, x2, n2, np.full_like(estimate, sign), corrected)) <= z
        return np.where(at_edge, sign, inside)

    return end(-1.0), end(1.0)


def _wilson(x: Array, n: Array, z: float) -> tuple[Array, Array]:
    p = x / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.where(x == 0, 0.0, centre - half), np.where(x == n, 1.0, centre + half)


def _newcombe(x1: Array, n1: Array, x2: Array, n2: Array, z: float) -> tuple[Array, Array]:
    (l1, u1), (l2, u2) = _wilson(x1, n1, z), _wilson(x2, n2, z)
    p1, p2 = x1 / n1, x2 / n2
    return p1 - p2 - np.hypot(p1 - l1, u2 - p2), p1 - p2 + np.hypot(u1 - p1, p2 - l2)


def _wald(x1: Array, n1: Array, x2: Array, n2: Array, z: float) -> tuple[Array, Array]:
    p1, p2 = x1 / n1, x2 / n2
    half = z * np.sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    return p1 - p2 - half, p1 - p2 + half


def _agresti_caffo(x1: Array, n1: Array, x2: Array, n2: Array, z: float) -> tuple[Array, Array]:
    low, high = _wald(x1 + 1, n1 + 2, x2 + 1, n2 + 2, z)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def _miettinen_nurminen(
    x1: Array, n1: Array, x2: Array, n2: Array, z: float
) -> tuple[Array, Array]:
    return _score_interval(x1, n1, x2, n2, z, corrected=True)


def _mee(x1: Array, n1: Array, x2: Array, n2: Array, z: float) -> tuple[Array, Array]:
    return _score_interval(x1, n1, x2, n2, z, corrected=False)


_DIFFERENCES = {
    "newcombe": _newcombe,
    "miettinen_nurminen": _miettinen_nurminen,
    "mee": _mee,
    "agresti_caffo": _agresti_caffo,
    "wald": _wald,
}


def _plain(value: Array) -> float | Array:
    return float(value) if np.ndim(value) == 0 else value
