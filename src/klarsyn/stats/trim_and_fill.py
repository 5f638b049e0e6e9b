"""Trim and fill (Duval & Tweedie 2000): the studies that would make a funnel symmetric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.heterogeneity import estimate_tau2
from klarsyn.stats.weighted import fit

Array = np.ndarray

ESTIMATORS = ("L0", "R0", "Q0")
SIDES = ("left", "right")
DECIMALS = 12  # of the effects' range
MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimAndFill:
    """How many studies are missing on which side, and the pooled effect with them filled in.

    `se_missing` is the standard error of the number; `filled_y` and `filled_v` are the studies put
    in. `p_none` (R0 only) is the probability of so many under no asymmetry.
    """

    missing: int
    se_missing: float
    side: str
    estimator: str
    estimate: Estimate
    tau2: float
    filled_y: tuple[float, ...]
    filled_v: tuple[float, ...]
    p_none: float | None


def trim_and_fill(
    y: Array, v: Array, *, estimator: str = "L0", side: str | None = None,
    tau2_method: str = "REML",
) -> TrimAndFill:  # fmt: skip
    """Trim and fill with tau² by `tau2_method`; without `side` the sign of Egger's slope decides.

    Raises NumericalError `not_converged` where the number of missing studies does not settle.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("trim-and-fill estimator", estimator, ESTIMATORS)
    if side is None:
        side = _side(y, v, tau2_method)
    if side not in SIDES:
        raise unknown_name("side", side, SIDES)
    if len(y) < 3:
        raise NumericalError("too_few_studies", f"Trim and fill needs 3 studies, not {len(y)}.")
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * y, kind="stable")
    sorted_y, sorted_v = sign * y[order], v[order]
    missing, raw, centre = _missing(sorted_y, sorted_v, estimator, tau2_method)
    k = len(y)
    mirrored = sign * (2 * centre - sorted_y[k - missing :])
    all_y = np.concatenate([y, mirrored])
    all_v = np.concatenate([v, sorted_v[k - missing :]])
    tau2 = estimate_tau2(all_y, all_v, method=tau2_method).value
    pooled = fit(all_y, all_v, None, tau2)
    return TrimAndFill(
        missing=missing, se_missing=_se_missing(k, raw, estimator), side=side, estimator=estimator,
        estimate=Estimate(
            value=float(pooled.beta[0]), se=math.sqrt(pooled.covariance[0, 0]),
            method=f"trim and fill {estimator}, tau² by {tau2_method}",
        ),
        tau2=tau2, filled_y=tuple(map(float, mirrored)),
        filled_v=tuple(map(float, sorted_v[k - missing :])),
        p_none=0.5 ** (missing + 1) if estimator == "R0" and missing else None,
    )  # fmt: skip


def _side(y: Array, v: Array, tau2_method: str) -> str:
    if np.ptp(v) <= 1e-12 * v.max():
        raise NumericalError(
            "degenerate", "All studies are equally large, so the missing side must be given."
        )
    design = np.column_stack([np.ones_like(v), np.sqrt(v)])
    tau2 = estimate_tau2(y, v, design, method=tau2_method).value
    return "right" if fit(y, v, design, tau2).beta[1] < 0 else "left"


def _missing(y: Array, v: Array, estimator: str, tau2_method: str) -> tuple[int, float, float]:
    """The settled number of missing studies, the rank sum behind it, and the centre."""
    k, missing, previous, raw, centre = len(y), 0, -1, 0.0, 0.0
    for _ in range(MOST_ROUNDS):
        if missing == previous:
            return missing, raw, centre
        previous = missing
        kept_y, kept_v = y[: k - missing], v[: k - missing]
        tau2 = estimate_tau2(kept_y, kept_v, method=tau2_method).value
        centre = float(fit(kept_y, kept_v, None, tau2).beta[0])
        # Studies that lie equally far off, or on the centre, must not be told apart by rounding.
        away = np.round((y - centre) / (np.ptp(y) or 1.0), DECIMALS)
        ranks = np.empty(k)
        ranks[np.argsort(np.abs(away), kind="stable")] = np.arange(1, k + 1)
        number, raw = _number(np.sign(away) * ranks, estimator)
        missing = min(max(0, round(number)), k - 3)
    raise NumericalError(
        "not_converged",
        f"Trim and fill went back and forth between {previous} and {missing} missing studies. "
        "Try another estimator.",
    )


def _number(ranks: Array, estimator: str) -> tuple[float, float]:
    k = len(ranks)
    positive = float(ranks[ranks > 0].sum())
    if estimator == "R0":
        lowest = float(-ranks[ranks < 0].min()) if (ranks < 0).any() else 0.0
        return k - lowest - 1, k - lowest - 1
    if estimator == "L0":
        number = (4 * positive - k * (k + 1)) / (2 * k - 1)
        return number, number
    number = k - 0.5 - math.sqrt(max(2 * k**2 - 4 * positive + 0.25, 0.0))
    return number, number


def _se_missing(k: int, number: float, estimator: str) -> float:
    """Duval & Tweedie 2000, equations for the variances of R0, L0 and Q0, at the unrounded number.

    Below 0 the number itself becomes 0; the variance of L0 and Q0 is still that at the number.
    """
    m = number
    if estimator == "R0":
        return math.sqrt(2 * max(0.0, m) + 2)
    variance = (
        k * (k + 1) * (2 * k + 1) + 10 * m**3 + 27 * m**2 + 17 * m - 18 * k * m**2 - 18 * k * m
        + 6 * k**2 * m
    ) / 24  # fmt: skip
    if estimator == "L0":
        return 4 * math.sqrt(max(variance, 0.0)) / (2 * k - 1)
    return (
        2
        * math.sqrt(max(variance, 0.0))
        / math.sqrt(max((k - 0.5) ** 2 - m * (2 * k - m - 1), 1e-12))
    )
