"""Mantel–Haenszel and Peto: stratified estimates that need no continuity correction.

Arrays are one entry a study: events `a` of `n1` in the first group, `c` of `n2` in the second; for
rates events `x1` in person-time `t1` and `x2` in `t2`. Ratios are natural logarithms; a positive
value means more events in the first group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate

Array = NDArray[np.float64]

COUNT_MEASURES = ("OR", "RR", "RD")
RATE_MEASURES = ("IRR", "IRD")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquare:
    """A test statistic with its degrees of freedom; `p` from the chi-square distribution."""

    name: str
    value: float
    df: int

    @property
    def p(self) -> float:
        """Probability of a value at least as large."""
        from scipy import special

        return float(special.chdtrc(self.df, self.value)) if self.df > 0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratified:
    """A stratified estimate, which studies inform it, and its tests.

    `informative` is False for a study that the estimator gives no weight. `effect_test` asks for no
    effect in any stratum, `heterogeneity` for one common effect.
    """

    estimate: Estimate
    informative: NDArray[np.bool_]
    effect_test: ChiSquare | None
    heterogeneity: tuple[ChiSquare, ...]


def mantel_haenszel(a: Array, n1: Array, c: Array, n2: Array, measure: str) -> Stratified:
    """Mantel–Haenszel OR, RR (logs) or RD (natural scale) without continuity correction.

    Variances: Robins, Breslow & Greenland 1986 (OR), Greenland & Robins 1985 (RR), Sato, Greenland
    & Robins 1989 (RD). The effect test is Cochran–Mantel–Haenszel with Yates' half.

    Raises NumericalError `not_estimable` where one group has no events in all studies together.
    """
    if measure == "OR":
        return _odds_ratio(a, n1, c, n2)
    if measure == "RR":
        return _risk_ratio(a, n1, c, n2)
    if measure == "RD":
        return _risk_difference(a, n1, c, n2)
    raise unknown_name("Mantel–Haenszel measure of counts", measure, COUNT_MEASURES)


def mantel_haenszel_rates(x1: Array, t1: Array, x2: Array, t2: Array, measure: str) -> Stratified:
    """Mantel–Haenszel rate ratio IRR (log) or rate difference IRD; Greenland & Robins 1985."""
    total = t1 + t2
    if measure == "IRR":
        r, s = float((x1 * t2 / total).sum()), float((x2 * t1 / total).sum())
        _need_both(r, s, "rate ratio")
        variance = float((t1 * t2 * (x1 + x2) / total**2).sum()) / (r * s)
        return Stratified(
            estimate=_log_ratio(r, s, variance, "Mantel–Haenszel IRR"),
            informative=x1 + x2 > 0,
            effect_test=_rate_test(x1, t1, x2, t2),
            heterogeneity=(_rate_homogeneity(x1, t1, x2, t2, r / s),),
        )
    if measure == "IRD":
        weight = t1 * t2 / total
        value = float(((x1 * t2 - x2 * t1) / total).sum() / weight.sum())
        variance = float((weight**2 * (x1 / t1**2 + x2 / t2**2)).sum() / weight.sum() ** 2)
        return Stratified(
            estimate=Estimate(value=value, se=math.sqrt(variance), method="Mantel–Haenszel IRD"),
            informative=np.ones(len(x1), dtype=bool),
            effect_test=_rate_test(x1, t1, x2, t2),
            heterogeneity=(),
        )
    raise unknown_name("Mantel–Haenszel measure of rates", measure, RATE_MEASURES)


def peto(a: Array, n1: Array, c: Array, n2: Array) -> Stratified:
    """Peto's one-step log odds ratio (Yusuf et al. 1985): sum of (observed − expected) / variance.

    Biased where the groups are unequal in size or the effect is large.

    Raises NumericalError `not_estimable` where no study has both an event and a non-event.
    """
    observed_less_expected, variance = _hypergeometric(a, n1, c, n2)
    informative = variance > 0
    total = float(variance.sum())
    if total <= 0:
        raise _no_information("Peto odds ratio")
    score = float(observed_less_expected.sum())
    value = score / total
    per_study = observed_less_expected[informative] ** 2 / variance[informative]
    q = float(per_study.sum() - score**2 / total)
    return Stratified(
        estimate=Estimate(value=value, se=total**-0.5, method="Peto OR", scale="log"),
        informative=informative,
        effect_test=ChiSquare(name="Peto", value=score**2 / total, df=1),
        heterogeneity=(ChiSquare(name="Peto Q", value=max(q, 0.0), df=int(informative.sum()) - 1),),
    )


def _odds_ratio(a: Array, n1: Array, c: Array, n2: Array) -> Stratified:
    b, d, n = n1 - a, n2 - c, n1 + n2
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    big_r, big_s = float(r.sum()), float(s.sum())
    _need_both(big_r, big_s, "odds ratio")
    variance = float(
        (p * r).sum() / big_r**2 / 2
        + (p * s + q * r).sum() / (big_r * big_s) / 2
        + (q * s).sum() / big_s**2 / 2
    )
    return Stratified(
        estimate=_log_ratio(big_r, big_s, variance, "Mantel–Haenszel OR"),
        informative=(a + c > 0) & (b + d > 0),
        effect_test=_cochran_mantel_haenszel(a, n1, c, n2),
        heterogeneity=_breslow_day(a, n1, c, n2, big_r / big_s),
    )


def _risk_ratio(a: Array, n1: Array, c: Array, n2: Array) -> Stratified:
    n = n1 + n2
    r, s = float((a * n2 / n).sum()), float((c * n1 / n).sum())
    _need_both(r, s, "risk ratio")
    variance = float(((n1 * n2 * (a + c) / n - a * c) / n).sum()) / (r * s)
    return Stratified(
        estimate=_log_ratio(r, s, variance, "Mantel–Haenszel RR"),
        informative=a + c > 0,
        effect_test=_cochran_mantel_haenszel(a, n1, c, n2),
        heterogeneity=(),
    )


def _risk_difference(a: Array, n1: Array, c: Array, n2: Array) -> Stratified:
    n = n1 + n2
    weight = float((n1 * n2 / n).sum())
    value = float(((a * n2 - c * n1) / n).sum()) / weight
    p = c * (n1 / n) ** 2 - a * (n2 / n) ** 2 + (n1 / n) * (n2 / n) * (n2 - n1) / 2
    q = a * (n2 - c) / n + c * (n1 - a) / n
    variance = float(value * p.sum() + q.sum() / 2) / weight**2
    return Stratified(
        estimate=Estimate(value=value, se=math.sqrt(max(variance, 0)), method="Mantel–Haenszel RD"),
        informative=np.ones(len(a), dtype=bool),
        effect_test=_cochran_mantel_haenszel(a, n1, c, n2),
        heterogeneity=(),
    )


def _log_ratio(r: float, s: float, variance: float, method: str) -> Estimate:
    return Estimate(value=math.log(r / s), se=math.sqrt(variance), method=method, scale="log")


def _need_both(r: float, s: float, measure: str) -> None:
    if r <= 0 or s <= 0:
        raise _no_information(f"Mantel–Haenszel {measure}")


def _no_information(what: str) -> NumericalError:
    return NumericalError(
        "not_estimable",
        f"The {what} has no finite value: all studies together have no event (or only events) in "
        "one of the groups. A risk difference, an exact limit or the beta-binomial model can still "
        "say something.",
    )


def _hypergeometric(a: Array, n1: Array, c: Array, n2: Array) -> tuple[Array, Array]:
    """Observed minus expected events of the first group and their variance, margins fixed."""
    m, n = a + c, n1 + n2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = n1 * n2 * m * (n - m) / (n**2 * (n - 1))
    return a - n1 * m / n, np.where(n > 1, variance, 0.0)


def _yates(score: float, variance: float) -> ChiSquare | None:
    if variance <= 0:
        return None
    value = max(abs(score) - 0.5, 0.0) ** 2 / variance
    return ChiSquare(name="Cochran–Mantel–Haenszel", value=value, df=1)


def _cochran_mantel_haenszel(a: Array, n1: Array, c: Array, n2: Array) -> ChiSquare | None:
    score, variance = _hypergeometric(a, n1, c, n2)
    return _yates(float(score.sum()), float(variance.sum()))


def _rate_test(x1: Array, t1: Array, x2: Array, t2: Array) -> ChiSquare | None:
    total = t1 + t2
    score = x1 - t1 * (x1 + x2) / total
    return _yates(float(score.sum()), float(((x1 + x2) * t1 * t2 / total**2).sum()))


def _rate_homogeneity(x1: Array, t1: Array, x2: Array, t2: Array, ratio: float) -> ChiSquare:
    share = ratio * t1 / (ratio * t1 + t2)
    m = x1 + x2
    variance = m * share * (1 - share)
    used = variance > 0
    difference = (x1 - m * share)[used]
    value = float((difference**2 / variance[used]).sum() - difference.sum() ** 2 / variance.sum())
    return ChiSquare(name="Tarone", value=max(value, 0.0), df=int(used.sum()) - 1)


def _breslow_day(
    a: Array, n1: Array, c: Array, n2: Array, odds_ratio: float
) -> tuple[ChiSquare, ...]:
    """Breslow & Day 1980 and Tarone's 1985 correction of it."""
    m = a + c
    used = (m > 0) & (m < n1 + n2)
    a, n1, n2, m = a[used], n1[used], n2[used], m[used]
    expected = expected_events(odds_ratio, n1, n2, m)
    variance = 1 / (
        1 / expected + 1 / (n1 - expected) + 1 / (m - expected) + 1 / (n2 - m + expected)
    )
    difference = a - expected
    breslow_day = float((difference**2 / variance).sum())
    tarone = breslow_day - float(difference.sum() ** 2 / variance.sum())
    df = len(a) - 1
    return (
        ChiSquare(name="Breslow–Day", value=breslow_day, df=df),
        ChiSquare(name="Tarone", value=max(tarone, 0.0), df=df),
    )


def expected_events(odds_ratio: float, n1: Array, n2: Array, m: Array) -> Array:
    """Events of the first group that give the odds ratio exactly, with margins n1, n2 and m.

    The root of (1−OR)·x² + (n2−m + OR·(n1+m))·x − OR·n1·m = 0 that lies in the table, in the form
    that does not cancel.
    """
    b = n2 - m + odds_ratio * (n1 + m)
    root = np.sqrt(np.maximum(b**2 + 4 * (1 - odds_ratio) * odds_ratio * n1 * m, 0.0))
    return 2 * odds_ratio * n1 * m / (b + root)
