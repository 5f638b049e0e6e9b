"""What unseen outcomes do to an arm, when they differ from the seen ones by a stated amount.

Arrays over arms or studies. "Informative missingness" is the odds ratio (IMOR), the difference
(IMDoM) or the ratio (IMRoM) between the missing and the observed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, unknown_name

Array = NDArray[np.float64]

BINARY_MEASURES = ("risk_ratio", "odds_ratio", "risk_difference")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmGuess:
    """An arm's risk or mean once the missing are counted.

    `slope` is its derivative by the missingness parameter (log IMOR, IMDoM or IMRoM).
    """

    value: Array
    variance: Array
    slope: Array


def risk_with_missing(
    events: ArrayLike, observed: ArrayLike, missing: ArrayLike, imor: ArrayLike
) -> ArmGuess:
    """The risk among all randomised, given odds(event | missing) / odds(event | observed).

    White, Higgins & Wood 2008. `imor` 0: no missing patient had the event; infinity: all had.
    """
    x, n, m, i = _arrays(events, observed, missing, imor)
    if np.any(i < 0):
        raise InputError("An odds ratio of missingness is 0 or more.")
    if np.any(x < 0) or np.any(x > n) or np.any(n <= 0) or np.any(m < 0):
        raise InputError("Give 0 ≤ events ≤ observed, observed > 0 and missing ≥ 0 in each arm.")
    p, a = x / n, m / (n + m)
    everybody = np.isinf(i)
    finite = np.where(everybody, 1.0, i)
    scale = p * finite + 1 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        unseen = np.where(scale > 0, p * finite / scale, 0.0)
        gain = np.where(scale > 0, finite / scale**2, 0.0)
        gap = np.where(scale > 0, p * (1 - p) * (finite - 1) / scale, -p)
    unseen = np.where(everybody, 1.0, unseen)
    gain, gap = np.where(everybody, 0.0, gain), np.where(everybody, 1 - p, gap)
    variance = p * (1 - p) / n * (1 - a + a * gain) ** 2 + a * (1 - a) / (n + m) * gap**2
    slope = a * p * (1 - p) * gain
    return ArmGuess(value=p * (1 - a) + a * unseen, variance=variance, slope=slope)


def mean_with_missing(
    mean: ArrayLike,
    sd: ArrayLike,
    observed: ArrayLike,
    missing: ArrayLike,
    parameter: ArrayLike,
    *,
    kind: str,
) -> ArmGuess:
    """The mean among all randomised, given mean(missing) − mean(observed), or their ratio.

    Mavridis et al. 2015. `kind` is `difference` (IMDoM, outcome units) or `ratio` (IMRoM). Not for
    model-based means (they already assume missingness at random).
    """
    y, s, n, m, lam = _arrays(mean, sd, observed, missing, parameter)
    if np.any(s < 0) or np.any(n <= 0) or np.any(m < 0):
        raise InputError("Give an SD ≥ 0, observed > 0 and missing ≥ 0 in each arm.")
    if not all(np.isfinite(v).all() for v in (y, s, n, m, lam)):
        raise InputError("Means, SDs, counts and the missingness parameter must be finite.")
    a, total = m / (n + m), n + m
    if kind == "difference":
        variance = s**2 / n + lam**2 * a * (1 - a) / total
        return ArmGuess(value=y + a * lam, variance=variance, slope=a)
    if kind == "ratio":
        factor = 1 - a + a * lam
        variance = factor**2 * s**2 / n + (y * (lam - 1)) ** 2 * a * (1 - a) / total
        return ArmGuess(value=y * factor, variance=variance, slope=a * y)
    raise unknown_name("kind of missingness", kind, ("difference", "ratio"))


def contrast_of_arms(
    treated: ArmGuess,
    control: ArmGuess,
    *,
    measure: str,
    sd: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
    correlation: ArrayLike = 0.0,
) -> tuple[Array, Array]:
    """Effect and variance of treated against control; ratios as natural logarithms.

    `sd` are the standard deviations of the missingness parameter in both arms, `correlation` that
    between arms. `measure` is `risk_ratio`, `odds_ratio`, `risk_difference` or `mean_difference`.
    """
    s1, s2, rho = (np.asarray(v, float) for v in (*sd, correlation))
    if np.any(s1 < 0) or np.any(s2 < 0) or np.any(np.abs(rho) > 1):
        raise InputError("Standard deviations are 0 or more, a correlation between -1 and 1.")
    value1, d1 = _transformed(treated.value, measure)
    value2, d2 = _transformed(control.value, measure)
    u1, u2 = d1 * treated.slope * s1, d2 * control.slope * s2
    doubt = u1**2 + u2**2 - 2 * rho * u1 * u2
    return value1 - value2, d1**2 * treated.variance + d2**2 * control.variance + doubt


def _transformed(value: Array, measure: str) -> tuple[Array, Array]:
    """The value on the measure's scale and the derivative of that scale."""
    if measure in ("risk_difference", "mean_difference"):
        return value, np.ones_like(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "risk_ratio":
            return np.log(value), 1 / value
        if measure == "odds_ratio":
            return np.log(value / (1 - value)), 1 / (value * (1 - value))
    raise unknown_name("measure", measure, (*BINARY_MEASURES, "mean_difference"))


def _arrays(*values: ArrayLike) -> list[Array]:
    arrays = list(np.broadcast_arrays(*(np.asarray(v, float) for v in values)))
    if any(np.isnan(a).any() for a in arrays):
        raise InputError("A count, mean or missingness parameter is not a number.")
    return arrays
