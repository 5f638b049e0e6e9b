"""Log hazard ratios from what a paper prints, each way named (Parmar 1998; Tierney 2007).

Below 0 means fewer events in the first group. An `Estimate` carries the log hazard ratio and its
standard error; 1/SE² is the variance V of observed minus expected events, and value × V is O − E.
"""

from __future__ import annotations

import math

from klarsyn.errors import InputError
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.survival import LogRank

_ASYMMETRY = 0.15  # how far beyond rounding a ratio may lie off the middle, in half-widths


def from_interval(ratio: float, low: float, high: float, level: float = 0.95) -> Estimate:
    """From a printed hazard ratio with its limits (Tierney 2007, method 3).

    Raises InputError where the ratio is not near the middle of its limits on the log scale: a
    misprint, another level, or limits that are no Wald limits.
    """
    if not 0 < low < ratio < high or not math.isfinite(high):
        raise InputError(
            f"The hazard ratio {ratio:g} must lie between its limits {low:g} and {high:g}, all "
            f"above 0."
        )
    half = (math.log(high) - math.log(low)) / 2
    off = abs(math.log(ratio) - math.log(low) - half)
    unit = 10.0 ** -max(_decimals(x) for x in (ratio, low, high))
    rounding = unit / 2 * (1 / ratio + 0.5 / low + 0.5 / high)
    if off > _ASYMMETRY * half + rounding:
        raise InputError(
            f"The hazard ratio {ratio:g} lies {off / half:.0%} of the half-width off the middle of "
            f"{low:g} to {high:g} on the log scale. Check the digits and the limits."
        )
    return _named(math.log(ratio), half / _quantile(level), "ratio and its limits")


def from_log_rank(test: LogRank) -> Estimate:
    """Peto's one-step estimate of the second group's hazard: (O − E) / V (Tierney 2007, eq. 3)."""
    return _named((test.observed - test.expected) / test.variance, test.variance**-0.5, "O − E, V")


def from_expected_events(
    observed1: float, expected1: float, observed2: float, expected2: float
) -> Estimate:
    """From log-rank observed and expected events: V = 1/(1/E₁ + 1/E₂) (Tierney 2007, method 1)."""
    if min(observed1, observed2) < 0 or min(expected1, expected2) <= 0:
        raise InputError("Observed events must be at least 0 and expected ones above 0.")
    total, expected = observed1 + observed2, expected1 + expected2
    if abs(total - expected) > 0.02 * max(total, 1):
        raise InputError(
            f"{total:g} events were observed but {expected:g} expected; in a log-rank test both "
            f"sums are the same."
        )
    variance = 1 / (1 / expected1 + 1 / expected2)
    return _named((observed1 - expected1) / variance, variance**-0.5, "observed and expected")


def from_p_value(
    p: float, *, favours_first: bool, events: float, patients1: float, patients2: float
) -> Estimate:
    """From a two-sided log-rank p, all events and the groups' sizes (Tierney 2007, method 7).

    V = events × n₁ n₂ / (n₁ + n₂)²: close where the hazards do not differ much.
    """
    if min(patients1, patients2) <= 0 or not 0 < events <= patients1 + patients2:
        raise InputError(
            f"{events:g} events among {patients1:g} and {patients2:g} patients is not possible."
        )
    variance = events * patients1 * patients2 / (patients1 + patients2) ** 2
    return _from_p(p, variance, favours_first, "p, events and sizes")


def from_p_value_and_arms(
    p: float, *, favours_first: bool, events1: float, events2: float
) -> Estimate:
    """From a two-sided log-rank p and each group's events: V = e₁ e₂ / (e₁ + e₂) (method 10)."""
    if min(events1, events2) <= 0:
        raise InputError(
            f"Both groups need events for this way; there are {events1:g} and {events2:g}."
        )
    return _from_p(
        p, events1 * events2 / (events1 + events2), favours_first, "p and events of each group"
    )


def from_survival(survival1: float, se1: float, survival2: float, se2: float) -> Estimate:
    """From both curves at one time: log(log S₁ / log S₂), proportional hazards taken for granted.

    Standard errors of the shares, as Greenwood's; delta method.
    """
    for share, se in ((survival1, se1), (survival2, se2)):
        if not 0 < share < 1 or not se > 0:
            raise InputError(
                f"A survival between 0 and 1 with a standard error above 0 is needed; got "
                f"{share:g} with {se:g}."
            )
    value = math.log(-math.log(survival1)) - math.log(-math.log(survival2))
    terms = [se / (s * math.log(s)) for s, se in ((survival1, se1), (survival2, se2))]
    return _named(value, math.hypot(*terms), "survival at one time")


def from_medians(median1: float, median2: float, events1: float, events2: float) -> Estimate:
    """From both medians, hazards taken as constant: log(m₂ / m₁), variance 1/e₁ + 1/e₂."""
    if min(median1, median2, events1, events2) <= 0:
        raise InputError("Medians and events must all be above 0.")
    return _named(
        math.log(median2 / median1), math.sqrt(1 / events1 + 1 / events2), "medians and events"
    )


def _from_p(p: float, variance: float, favours_first: bool, way: str) -> Estimate:
    from scipy import special

    if not 0 < p <= 1:
        raise InputError(
            f"A two-sided p lies above 0 and at most at 1; {p:g} does not. Of “p < 0.001” only the "
            f"bound is known: give 0.001 and say so."
        )
    z = float(-special.ndtri(p / 2)) * (-1 if favours_first else 1)
    return _named(z / math.sqrt(variance), variance**-0.5, way)


def _quantile(level: float) -> float:
    from scipy import special

    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    return float(special.ndtri(0.5 + level / 2))


def _decimals(x: float) -> int:
    return len(f"{x:.10f}".rstrip("0").partition(".")[2])


def _named(value: float, se: float, way: str) -> Estimate:
    return Estimate(value=value, se=se, method=f"hazard ratio from {way}", scale="log")
