"""Indices of blinding from counts of guesses: Bang, James, SBI and kappa.

A table has a row for each kind of guess and a column for each arm. Its last row is "don't know"
where there is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError
from klarsyn.stats.proportions import (
    check_counts,
    difference_interval,
    newcombe_limits,
    two_sided_z,
)

Array = NDArray[np.float64]
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index with its variance; `status` is `ok`, `degenerate` or `undefined`, with a reason.

    `degenerate`: the variance formula gives 0 although the counts are finite. `undefined`: the
    index itself has no value, which is then NaN.
    """

    value: float
    variance: float
    status: str = "ok"
    reason: str = ""

    @property
    def se(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)


def bang(counts: ArrayLike, weights: ArrayLike) -> Index:
    """Bang's index of one arm: Σ w p, from −1 (all guess the other arm) to 1 (all guess right).

    Bang, Ni & Davis 2004. `counts` and `weights` run over the same kinds of guess, for example
    correct, wrong, don't know with weights 1, −1, 0. Var = (Σ w² p − (Σ w p)²) / n.
    """
    n, w = _counts(counts), np.asarray(weights, float)
    if n.shape != w.shape or n.ndim != 1:
        raise InputError(f"{n.size} counts need as many weights; there are {w.size}.")
    if not (np.abs(w) <= 1).all():
        raise InputError(f"A weight lies between -1 and 1; {w[~(np.abs(w) <= 1)][0]:g} does not.")
    total = float(n.sum())
    if total == 0:
        return Index(value=math.nan, variance=math.nan, status="undefined", reason="No guesses.")
    # The sum before the division: (11 − 7)/20 is 0.2, 0.55 − 0.35 is a little more.
    value = float(w @ n) / total
    variance = max(float(w**2 @ n) / total - value**2, 0.0) / total
    if variance > 0:
        return Index(value=value, variance=variance)
    return Index(
        value=value,
        variance=0.0,
        status="degenerate",
        reason="All guesses are of one kind, so the variance formula gives 0; "
        "add one half to each count for an interval.",
    )


def bang_score_interval(
    correct: float, wrong: float, total: float, level: float
) -> tuple[float, float]:
    """Score limits of Bang's index with weights 1, −1, 0.

    Right less wrong of one multinomial sample is the difference of paired proportions, so Tango's
    interval (1998) applies; unlike the normal one it does not collapse when all answers agree.
    """
    if not (correct >= 0 and wrong >= 0 and correct + wrong <= total and 0 < total < math.inf):
        raise InputError(f"{correct:g} right and {wrong:g} wrong of {total:g} cannot be.")
    z, estimate = two_sided_z(level), (correct - wrong) / total

    def inside(delta: float) -> bool:
        a, c = 2 * total, -wrong * delta * (1 - delta)
        b = -correct - wrong + (2 * total - correct + wrong) * delta
        q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        spread = total * (2 * q + delta * (1 - delta))
        gap = correct - wrong - total * delta
        return gap * gap <= z * z * spread + 1e-12

    ends = []
    for edge in (-1.0, 1.0):
        near, far = estimate, edge
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            near, far = (middle, far) if inside(middle) else (near, middle)
        ends.append(edge if inside(edge) else near)
    return ends[0], ends[1]


def james(table: ArrayLike, weights: ArrayLike | None = None) -> Index:
    """James's index of a trial: 0 all guess right, ½ guesses at random, 1 all don't know.

    James et al. 1996. The last row is "don't know". `weights` has the shape of the table without
    that row; without it a right guess (row i, column i) weighs 0 and a wrong one ½, which needs as
    many kinds of guess as arms. Variance by the delta method.
    """
    n = _counts(table)
    if n.ndim != 2 or n.shape[0] < 2 or n.shape[1] < 2:
        raise InputError("James's index needs a table of guesses by at least two arms.")
    w = _james_weights(n, weights)
    total = float(n.sum())
    if total == 0:
        return Index(value=math.nan, variance=math.nan, status="undefined", reason="No guesses.")
    p, unknown = n[:-1] / total, n[-1] / total
    share = float(unknown.sum())
    if share == 1:
        return Index(
            value=1.0, variance=0.0, status="degenerate", reason="Everybody answered don't know."
        )
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed = float((w * p).sum()) / (1 - share)
    chance = float(rows @ w @ columns)
    if chance == 0:
        return Index(
            value=math.nan,
            variance=math.nan,
            status="undefined",
            reason="All who guessed are in one arm and guessed it: chance agreement has no value.",
        )
    expected = chance / (1 - share) ** 2
    kappa = (observed - expected) / expected
    variance = _james_variance(p, w, rows, columns, share, chance, kappa) / total
    value = (1 + share + (1 - share) * kappa) / 2
    if variance <= 1e-15:
        return Index(
            value=value,
            variance=0.0,
            status="degenerate",
            reason="All guesses are right, or all wrong, so the variance formula gives 0.",
        )
    return Index(value=value, variance=variance)


def sbi(x1: float, n1: float, x2: float, n2: float, level: float) -> tuple[Index, float, float]:
    """The share of arm 1 that guesses arm 1 less the share of arm 2 that does, with limits.

    Petroff et al. 2024; Newcombe's interval. A don't-know counts as not guessing arm 1.
    """
    limits = difference_interval(x1, n1, x2, n2, method="newcombe", level=level)
    p1, p2 = x1 / n1, x2 / n2
    variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    return Index(value=p1 - p2, variance=variance), float(limits.low), float(limits.high)


def sbi_p_value(x1: float, n1: float, x2: float, n2: float) -> float:
    """Two-sided p of an SBI of 0, dual to Newcombe's interval: 1 less the level that just holds 0.

    Petroff et al. 2024. Their package sets p to 1 where the index is 1 or −1; here the interval
    decides there as well.
    """
    from scipy import optimize, special

    check_counts([x1, x2], [n1, n2])
    estimate = x1 / n1 - x2 / n2
    if estimate == 0:
        return 1.0

    def near(z: float) -> float:
        limits = newcombe_limits(x1, n1, x2, n2, z)
        return float(limits[0] if estimate > 0 else -limits[1])

    widest = 1.0
    while near(widest) > 0:
        widest *= 2
    z = optimize.brentq(near, 0.0, widest, xtol=1e-13)
    return float(2 * special.ndtr(-float(z)))  # pyright: ignore[reportArgumentType]


def kappa(table: ArrayLike) -> Index:
    """Cohen's kappa between guess and arm, of those who guessed (no don't-know row).

    The standard error is the asymptotic one of Fleiss, Cohen & Everitt 1969.
    """
    n = _counts(table)
    if n.ndim != 2 or n.shape[0] != n.shape[1]:
        raise InputError("Kappa needs as many kinds of guess as arms, without a don't-know row.")
    total = float(n.sum())
    if total == 0:
        return Index(value=math.nan, variance=math.nan, status="undefined", reason="No guesses.")
    p = n / total
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    if expected == 1:
        return Index(
            value=math.nan,
            variance=math.nan,
            status="undefined",
            reason="One arm and one guess only: agreement by chance is complete.",
        )
    value = (observed - expected) / (1 - expected)
    spread = rows[None, :] + columns[:, None]
    on = (np.diag(p) * (1 - np.diag(spread) * (1 - value)) ** 2).sum()
    off = ((p * spread**2).sum() - (np.diag(p) * np.diag(spread) ** 2).sum()) * (1 - value) ** 2
    variance = (on + off - (value - expected * (1 - value)) ** 2) / (total * (1 - expected) ** 2)
    return Index(value=value, variance=max(float(variance), 0.0))


def _counts(values: ArrayLike) -> Array:
    n = np.asarray(values, float)
    if not np.isfinite(n).all() or np.any(n < 0):
        raise InputError("Counts of guesses are finite and not negative.")
    return n


def _james_weights(n: Array, weights: ArrayLike | None) -> Array:
    shape = (n.shape[0] - 1, n.shape[1])
    if weights is None:
        if shape[0] != shape[1]:
            raise InputError(
                f"{shape[0]} kinds of guess for {shape[1]} arms: give the weights of James's index."
            )
        return 0.5 * (1 - np.eye(shape[0]))
    w = np.asarray(weights, float)
    if w.shape != shape:
        raise InputError(f"The weights have shape {w.shape}; the guesses have {shape}.")
    if not ((w >= 0) & (w <= 1)).all():
        raise InputError("James's weights lie between 0 (right) and 1 (don't know).")
    return w


def _james_variance(
    p: Array, w: Array, rows: Array, columns: Array, share: float, chance: float, k: float
) -> float:
    x = (rows @ w)[None, :] + (w @ columns)[:, None]
    known = 1 - share
    first = (p * known**2 * (known * w - (1 + k) * x) ** 2).sum() / (4 * chance**2)
    last = known * (1 + k) * (share + known * (1 + k) / 4)
    return float(first + share * known - last)
