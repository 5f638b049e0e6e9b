"""Printed numbers once more: existence by trying every sample, tests by incomplete integrals.

As `reference.py`, and for the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations_with_replacement

from mpmath import betainc, gammainc, mpf, sqrt
from reference import HALF, Number, phi, quantile, root, two_sided

__all__ = ["quantile", "two_sided"]


def rounds_to(value: Fraction, text: str) -> bool:
    """Whether a value rounds to the printed text, halves either way."""
    half = Fraction(1, 2 * 10 ** len(text.partition(".")[2]))
    return abs(value - Fraction(text)) <= half


def mean_exists(mean: str, n: int, items: int = 1) -> bool:
    centre = int(Fraction(mean) * n * items)
    return any(rounds_to(Fraction(s, n * items), mean) for s in range(centre - 2, centre + 3))


def sample_exists(mean: str, sd: str, n: int, low: int, high: int) -> bool:
    """Every multiset of n whole numbers within the limits is tried."""
    half = Fraction(1, 2 * 10 ** len(sd.partition(".")[2]))
    least, most = max(Fraction(0), Fraction(sd) - half) ** 2, (Fraction(sd) + half) ** 2
    for sample in combinations_with_replacement(range(low, high + 1), n):
        total = sum(sample)
        if not rounds_to(Fraction(total, n), mean):
            continue
        variance = (sum(x * x for x in sample) - Fraction(total * total, n)) / (n - 1)
        if least <= variance <= most:
            return True
    return False


def sd_range(mean: str, n: int, low: int, high: int) -> tuple[Number, Number]:
    """Smallest and largest SD of whole numbers within the limits that give the mean."""
    found = []
    for sample in combinations_with_replacement(range(low, high + 1), n):
        total = sum(sample)
        if rounds_to(Fraction(total, n), mean):
            found.append((sum(x * x for x in sample) - Fraction(total * total, n)) / (n - 1))
    ends = min(found), max(found)
    return tuple(sqrt(mpf(v.numerator) / v.denominator) for v in ends)


def share_sd_fits(mean: str, sd: str, n: int) -> bool:
    """DEBIT: some share that rounds to the mean has √(p(1 − p)n/(n − 1)) that rounds to the SD."""
    m, s = mpf(mean), mpf(sd)
    hm, hs = (HALF / mpf(10) ** len(t.partition(".")[2]) for t in (mean, sd))

    def of(p: Number) -> Number:
        p = min(max(p, mpf(0)), mpf(1))
        return sqrt(p * (1 - p) * n / (n - 1))

    grid = [of(m - hm + 2 * hm * k / 400) for k in range(401)]
    return min(grid) <= s + hs and max(grid) >= s - hs


def p_of(test: str, value: Number, df1: Number = 0, df2: Number = 0) -> Number:
    """Two-sided p of t, r, z; upper tail of F and χ², by incomplete beta and gamma functions."""
    v = mpf(value)
    if test == "z":
        return 2 * phi(-abs(v))
    if test == "r":
        return p_of("t", v * sqrt(mpf(df1) / (1 - v * v)), df1)
    if test == "t":
        d = mpf(df1)
        return betainc(d / 2, HALF, 0, d / (d + v * v), regularized=True)
    if test == "F":
        a, b = mpf(df1), mpf(df2)
        return betainc(b / 2, a / 2, 0, b / (b + a * v), regularized=True)
    return gammainc(mpf(df1) / 2, v / 2, regularized=True)


def t_quantile(p: Number, df: Number) -> Number:
    """Quantile of Student's t, its distribution function inverted by bisection."""
    tail = 2 * min(mpf(p), 1 - mpf(p))
    at = root(lambda v: p_of("t", v, df) - tail, 0, 10**6)
    return at if mpf(p) > HALF else -at


def alike(n: Sequence[int], mean: Sequence[Number], sd: Sequence[Number]) -> Number:
    """P of groups at least this similar: the lower tail of the F of a one-way ANOVA."""
    n_, m, s = ([mpf(str(v)) for v in values] for values in (n, mean, sd))
    total, k = sum(n_), len(n_)
    grand = sum(a * b for a, b in zip(n_, m, strict=True)) / total
    between = sum(a * (b - grand) ** 2 for a, b in zip(n_, m, strict=True)) / (k - 1)
    within = sum((a - 1) * b**2 for a, b in zip(n_, s, strict=True)) / (total - k)
    return 1 - p_of("F", between / within, k - 1, total - k)
