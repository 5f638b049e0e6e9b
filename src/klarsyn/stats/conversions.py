"""Named formulae between what papers print: SD, SE, confidence limits, t, p, median and quartiles.

Every function gives a `Converted`: the value and the formula that made it, so that a derived
number can say how it was derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from klarsyn.errors import InputError

# A logistic variable has the standard deviation π/√3 (Hasselblad & Hedges 1995; Chinn 2000).
SMD_PER_LOG_ODDS_RATIO = math.sqrt(3) / math.pi
LOG_ODDS_RATIO_PER_SMD = math.pi / math.sqrt(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A derived value and its formula in words and symbols."""

    value: float
    formula: str


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} = {value:g} must be a positive number.")


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(f"{name} = {value:g} must be a finite number.")


def _several(n: float) -> None:
    if not 2 <= n < math.inf:
        raise InputError(f"An SD needs 2 or more; n is {n:g}.")


def _ascending(*values: tuple[str, float]) -> None:
    _finite(**dict(values))
    for (first, a), (second, b) in pairwise(values):
        if b < a:
            raise InputError(f"The {second} {b:g} is below the {first}, {a:g}.")


def _quantile(probability: float, df: float) -> float:
    from scipy.special import ndtri, stdtrit

    if not (0 < probability < 1 and df > 0):
        raise InputError("A level lies between 0 and 1, and degrees of freedom above 0.")
    return float(ndtri(probability) if math.isinf(df) else stdtrit(df, probability))


def _reference(df: float) -> str:
    return "z" if math.isinf(df) else f"t({df:g})"


def sd_from_se(se: float, n: float) -> Converted:
    """Standard deviation of a group from the standard error of its mean."""
    _positive("SE", se)
    _positive("n", n)
    return Converted(value=se * math.sqrt(n), formula=f"SD = SE·√n, n = {n:g}")


def se_from_sd(sd: float, n: float) -> Converted:
    """Standard error of a group's mean from its standard deviation."""
    _positive("SD", sd)
    _positive("n", n)
    return Converted(value=sd / math.sqrt(n), formula=f"SE = SD/√n, n = {n:g}")


def se_from_interval(
    lower: float, upper: float, *, level: float = 0.95, df: float = math.inf
) -> Converted:
    """Standard error from a symmetric interval; for a ratio give the logarithms of its limits."""
    if not -math.inf < lower < upper < math.inf:
        raise InputError(f"The limits {lower:g} and {upper:g} are not in ascending order.")
    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    q = _quantile(0.5 + level / 2, df)
    return Converted(
        value=(upper - lower) / (2 * q),
        formula=f"SE = (upper − lower)/(2·{_reference(df)}), level {level:g}",
    )


def log_se_from_ratio_interval(
    lower: float, upper: float, *, level: float = 0.95, df: float = math.inf
) -> Converted:
    """Standard error of a log ratio from the ratio's limits."""
    _positive("The lower limit", lower)
    _positive("The upper limit", upper)
    inner = se_from_interval(math.log(lower), math.log(upper), level=level, df=df)
    return Converted(
        value=inner.value, formula=inner.formula.replace("upper − lower", "ln U − ln L")
    )


def se_from_statistic(estimate: float, statistic: float) -> Converted:
    """Standard error from an estimate and its t or z."""
    _finite(estimate=estimate, statistic=statistic)
    if statistic == 0 or estimate == 0:
        raise InputError("An estimate or a statistic of exactly 0 says nothing about its SE.")
    return Converted(value=abs(estimate / statistic), formula="SE = |estimate/t|")


def statistic_from_p(p: float, *, df: float = math.inf) -> Converted:
    """Absolute t or z of a two-sided p value."""
    if not 0 < p < 1:
        raise InputError(f"p = {p:g} must lie strictly between 0 and 1 to be turned into a t.")
    return Converted(
        value=-_quantile(p / 2, df), formula=f"|t| = {_reference(df)} quantile at 1 − p/2"
    )


def se_from_p(estimate: float, p: float, *, df: float = math.inf) -> Converted:
    """Standard error from an estimate and its two-sided p value."""
    t = statistic_from_p(p, df=df)
    _finite(estimate=estimate)
    if estimate == 0:
        raise InputError("An estimate of exactly 0 says nothing about its SE.")
    return Converted(value=abs(estimate) / t.value, formula=f"SE = |estimate|/|t|, {t.formula}")


def p_from_statistic(statistic: float, *, df: float = math.inf) -> Converted:
    """Two-sided p value of a t or z."""
    from scipy.special import ndtr, stdtr

    if math.isnan(statistic) or not df > 0:
        raise InputError(f"A p needs a statistic and df above 0; {statistic:g}, {df:g} were given.")
    tail = ndtr(-abs(statistic)) if math.isinf(df) else stdtr(df, -abs(statistic))
    return Converted(value=2 * float(tail), formula=f"p = 2·P({_reference(df)} > |t|)")


def common_sd_from_se(se: float, n1: float, n2: float) -> Converted:
    """The SD that both groups share, from the standard error of their mean difference."""
    _positive("SE", se)
    _positive("n₁", n1)
    _positive("n₂", n2)
    return Converted(value=se / math.sqrt(1 / n1 + 1 / n2), formula="SD = SE/√(1/n₁ + 1/n₂)")


def change_sd(sd1: float, sd2: float, correlation: float) -> Converted:
    """SD of a change from the SDs at both times and their correlation."""
    if not -1 <= correlation <= 1:
        raise InputError(f"r = {correlation:g} is no correlation (−1 to 1).")
    _positive("SD₁", sd1)
    _positive("SD₂", sd2)
    return Converted(
        value=math.sqrt(max(sd1**2 + sd2**2 - 2 * correlation * sd1 * sd2, 0.0)),
        formula=f"SD = √(SD₁² + SD₂² − 2 r SD₁ SD₂), r = {correlation:g}",
    )


def correlation_from_change(sd1: float, sd2: float, sd_change: float) -> Converted:
    """Correlation of two times from their SDs and the SD of the change.

    Raises InputError when the three cannot belong together (no correlation gives that change).
    """
    _positive("SD₁", sd1)
    _positive("SD₂", sd2)
    _positive("SD_change", sd_change)
    value = (sd1**2 + sd2**2 - sd_change**2) / (2 * sd1 * sd2)
    if not -1 - 1e-9 <= value <= 1 + 1e-9:
        raise InputError(
            f"SDs of {sd1:g} and {sd2:g} cannot give a change with an SD of {sd_change:g}: its SD "
            f"lies between {abs(sd1 - sd2):g} and {sd1 + sd2:g}."
        )
    return Converted(
        value=min(1.0, max(-1.0, value)),
        formula="r = (SD₁² + SD₂² − SD_change²)/(2 SD₁ SD₂)",
    )


def combined_mean(n1: float, m1: float, n2: float, m2: float) -> Converted:
    """Mean of two groups taken together."""
    _positive("n₁", n1)
    _positive("n₂", n2)
    _finite(m1=m1, m2=m2)
    return Converted(value=(n1 * m1 + n2 * m2) / (n1 + n2), formula="m = (n₁m₁ + n₂m₂)/(n₁ + n₂)")


def combined_sd(n1: float, m1: float, sd1: float, n2: float, m2: float, sd2: float) -> Converted:
    """SD of two groups taken together (Cochrane Handbook 6.5.2.10)."""
    _finite(m1=m1, m2=m2, sd1=sd1, sd2=sd2)
    if min(n1, n2) < 1 or min(sd1, sd2) < 0 or not math.isfinite(n1 + n2):
        raise InputError(f"Each group needs n of 1 or more and an SD; n = {n1:g} and {n2:g}.")
    n = n1 + n2
    between = n1 * n2 / n * (m1 - m2) ** 2
    return Converted(
        value=math.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2 + between) / (n - 1)),
        formula="SD² = ((n₁−1)SD₁² + (n₂−1)SD₂² + n₁n₂(m₁−m₂)²/n)/(n−1)",
    )


def mean_from_quartiles(q1: float, median: float, q3: float) -> Converted:
    """Mean from median and quartiles (Wan et al. 2014, eq. 14)."""
    _ascending(("first quartile", q1), ("median", median), ("third quartile", q3))
    return Converted(value=(q1 + median + q3) / 3, formula="m = (q₁ + median + q₃)/3, Wan 2014")


def sd_from_quartiles(q1: float, q3: float, n: float) -> Converted:
    """SD from the quartiles of a normal sample (Wan et al. 2014, eq. 16)."""
    _ascending(("first quartile", q1), ("third quartile", q3))
    _several(n)
    q = _quantile((0.75 * n - 0.125) / (n + 0.25), math.inf)
    return Converted(
        value=(q3 - q1) / (2 * q),
        formula=f"SD = (q₃ − q₁)/(2 Φ⁻¹((0.75n − 0.125)/(n + 0.25))), n = {n:g}, Wan 2014",
    )


def mean_from_range(low: float, median: float, high: float) -> Converted:
    """Mean from median, minimum and maximum (Hozo et al. 2005; Wan et al. 2014, eq. 2)."""
    _ascending(("minimum", low), ("median", median), ("maximum", high))
    return Converted(value=(low + 2 * median + high) / 4, formula="m = (min + 2 median + max)/4")


def sd_from_range(low: float, high: float, n: float) -> Converted:
    """SD from the extremes of a normal sample (Wan et al. 2014, eq. 9)."""
    _ascending(("minimum", low), ("maximum", high))
    _several(n)
    q = _quantile((n - 0.375) / (n + 0.25), math.inf)
    return Converted(
        value=(high - low) / (2 * q),
        formula=f"SD = (max − min)/(2 Φ⁻¹((n − 0.375)/(n + 0.25))), n = {n:g}, Wan 2014",
    )
