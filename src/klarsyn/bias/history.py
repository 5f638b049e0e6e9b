"""What is known of the reference from elsewhere: its effect over placebo, and its own rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from klarsyn.bias.noninferiority import Counts, Margin, preserved_fraction_margin
from klarsyn.errors import InputError
from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.conversions import LOG_ODDS_RATIO_PER_SMD
from klarsyn.stats.estimate import Z_95, Estimate
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import pool


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Reference − placebo as a risk difference at one reference rate.

    `lower` is the limit that a margin follows from: the odds ratio's own limit carried over to
    risks, not the symmetric limit of `difference`.
    """

    difference: Estimate
    lower: float
    reference_rate: float
    placebo_rate: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceArm:
    """Good events and patients of a reference arm in another trial."""

    trial: str
    events: float
    total: float


def history_from_difference(value: float, low: float, high: float) -> History:
    """A risk difference reference − placebo with its 95 % limits, as published."""
    _check(value, low, high)
    if low < -1 or high > 1:
        raise InputError(f"A risk difference lies between -1 and 1; {low:g} to {high:g} does not.")
    estimate = Estimate(value=value, se=(high - low) / (2 * Z_95), method="as published")
    return History(
        difference=estimate,
        lower=low,
        reference_rate=math.nan,
        placebo_rate=math.nan,
        method="risk difference as published",
    )


def history_from_odds_ratio(value: float, low: float, high: float, *, rate: float) -> History:
    """An odds ratio reference / placebo (above 1: reference better) at a reference rate.

    The placebo rate has odds rate/(1 − rate) divided by the ratio; the standard error is by the
    delta method, q (1 − q) that of the log odds ratio.
    """
    _check(value, low, high)
    if not (0 < low < high < math.inf and 0 < rate < 1):
        raise InputError(
            f"An odds ratio's limits are above 0 and a rate within 0 to 1; {low:g} and {rate:g} "
            f"were given."
        )
    odds = rate / (1 - rate)

    def placebo(ratio: float) -> float:
        return (odds / ratio) / (1 + odds / ratio)

    at = placebo(value)
    se = at * (1 - at) * (math.log(high) - math.log(low)) / (2 * Z_95)
    return History(
        difference=Estimate(value=rate - at, se=se, method="odds ratio at the reference's rate"),
        lower=rate - placebo(low),
        reference_rate=rate,
        placebo_rate=at,
        method="odds ratio carried over to the reference's rate",
    )


def history_from_smd(value: float, low: float, high: float, *, rate: float) -> History:
    """A standardised difference reference − placebo (positive: better), as log odds by π/√3."""
    _check(value, low, high)
    ratios = [math.exp(LOG_ODDS_RATIO_PER_SMD * x) for x in (value, low, high)]
    made = history_from_odds_ratio(ratios[0], ratios[1], ratios[2], rate=rate)
    return History(
        difference=made.difference,
        lower=made.lower,
        reference_rate=made.reference_rate,
        placebo_rate=made.placebo_rate,
        method=f"standardised difference times π/√3 as log odds ratio; {made.method}",
    )


def margin_from_history(history: History, fraction: float, *, basis: str) -> Margin:
    """The margin that keeps `fraction` of the reference's proven effect.

    Raises NumericalError when the lower limit does not show that the reference works.
    """
    return preserved_fraction_margin(history.difference, fraction, basis=basis, lower=history.lower)


def share_given_up(margin: Margin, history: History) -> float:
    """The margin as a share of the reference's proven effect (above 1: more than all of it)."""
    return margin.value / history.lower if history.lower > 0 else math.inf


def wald_difference(counts: Counts) -> Estimate:
    """new − reference with its unpooled standard error."""
    p, q = counts.new_events / counts.new_total, counts.reference_events / counts.reference_total
    variance = p * (1 - p) / counts.new_total + q * (1 - q) / counts.reference_total
    if variance == 0:
        raise InputError(f"{counts.name}: both rates are 0 or 1; their difference has no error.")
    return Estimate(value=p - q, se=math.sqrt(variance), method="difference of proportions, Wald")


def reference_rates(
    arms: Sequence[ReferenceArm], *, method: str = "REML"
) -> tuple[Estimate, float] | None:
    """Random-effects mean log odds of the reference elsewhere and τ²; None below two trials.

    Half a patient is added to both cells of an arm without events or without failures.
    """
    for a in arms:
        if not 0 <= a.events <= a.total or a.total <= 0:
            raise InputError(f"{a.trial}: {a.events:g} of {a.total:g} patients cannot be.")
    if len(arms) < 2:
        return None
    cells = {"xi": [a.events for a in arms], "ni": [a.total for a in arms]}
    made = contrasts("PLO", cells, add=0.5, to="only0")
    pooled = pool(effects_from_arrays(made.y, made.v, measure="PLO"), method=method, test="z")
    mean = Estimate(value=pooled.estimate, se=pooled.se, method=pooled.method, scale="log")
    return mean, pooled.tau2


def _check(value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise InputError(f"{value:g} does not lie between its limits {low:g} and {high:g}.")
