"""Times to an event: Kaplan–Meier, restricted mean, log-rank and the two-group Cox model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate

TIES = ("efron", "breslow")
_SAME = 1e-9  # survival equal to one half up to accumulated rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalCurve:
    """The product-limit estimate at each distinct observed time.

    `survival` is the value just after `time`; `at_risk` counts those under observation just before
    it; `variance` is Greenwood's sum, so that the standard error is survival * sqrt(variance).
    """

    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    at_risk: NDArray[np.int64]
    events: NDArray[np.int64]
    censored: NDArray[np.int64]
    variance: NDArray[np.float64]

    @property
    def participants(self) -> int:
        """How many entered."""
        return int(self.at_risk[0])

    @property
    def last_time(self) -> float:
        """The largest observed time, event or not."""
        return float(self.time[-1])

    def at(self, times: ArrayLike) -> NDArray[np.float64]:
        """Survival at `times`; 1 before the first, and the last value after the last."""
        return np.r_[1.0, self.survival][np.searchsorted(self.time, times, side="right")]

    def standard_error(self, times: ArrayLike) -> NDArray[np.float64]:
        """Greenwood's standard error of the survival at `times`."""
        index = np.searchsorted(self.time, times, side="right")
        return self.at(times) * np.sqrt(np.r_[0.0, self.variance][index])

    def interval(self, times: ArrayLike, level: float = 0.95) -> tuple[Any, Any]:
        """Pointwise limits on the log(−log) scale; the estimate itself where it is 0 or 1."""
        from scipy import special

        if not 0 < level < 1:
            raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
        s, se = self.at(times), self.standard_error(times)
        inside = (s > 0) & (s < 1)
        safe = np.where(inside, s, 0.5)
        half = special.ndtri(0.5 + level / 2) * se / np.abs(safe * np.log(safe))
        low = np.where(inside, safe ** np.exp(half), s)
        return low, np.where(inside, safe ** np.exp(-half), s)

    def number_at_risk(self, times: ArrayLike) -> NDArray[np.int64]:
        """How many are still under observation just before each of `times`."""
        left = np.r_[self.at_risk, 0]
        return left[np.searchsorted(self.time, times, side="left")]

    def quantile(self, share: float = 0.5) -> float:
        """The time by which `share` have had the event; infinite where the curve stays above.

        Where the curve runs level exactly at 1 − share, the middle of that stretch, as R's
        survfit gives.
        """
        if not 0 < share <= 1:
            raise InputError(f"A share of participants lies between 0 and 1; {share:g} does not.")
        target = 1 - share
        reached = np.flatnonzero(self.survival <= target + _SAME)
        if not reached.size:
            return math.inf
        first = int(reached[0])
        if abs(self.survival[first] - target) > _SAME:
            return float(self.time[first])
        lower = np.flatnonzero(self.survival < target - _SAME)
        end = self.time[lower[0]] if lower.size else self.time[-1]
        return float((self.time[first] + end) / 2)

    def median_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Limits of the median: the times where the log(−log) limits cross one half."""
        low, high = self.interval(self.time, level)
        return self._first_below(low), self._first_below(high)

    def _first_below(self, limit: NDArray[np.float64]) -> float:
        below = np.flatnonzero(limit <= 0.5 + _SAME)
        return float(self.time[below[0]]) if below.size else math.inf


def kaplan_meier(time: ArrayLike, event: ArrayLike) -> SurvivalCurve:
    """The product-limit curve of times ≥ 0 with `event` true where it was observed.

    Censorings at the time of an event count as at risk for it. Raises InputError.
    """
    t, e = _checked(time, event)
    times, where = np.unique(t, return_inverse=True)
    events = np.bincount(where, weights=e, minlength=len(times)).astype(np.int64)
    leaving = np.bincount(where, minlength=len(times))
    at_risk = leaving[::-1].cumsum()[::-1]
    alive = at_risk - events
    shares: NDArray[np.float64] = np.asarray(alive / at_risk, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(events > 0, events / (at_risk * np.maximum(alive, 0)), 0.0)
    return SurvivalCurve(
        time=times,
        survival=np.cumprod(shares, dtype=np.float64),
        at_risk=at_risk.astype(np.int64),
        events=events,
        censored=(leaving - events).astype(np.int64),
        variance=np.cumsum(np.where(np.isfinite(step), step, 0.0)),
    )


def restricted_mean(curve: SurvivalCurve, tau: float) -> Estimate:
    """The mean time free of the event up to `tau`, in the curve's time unit.

    Area under the curve, variance by Greenwood's formula (Zhao et al. 2016; R survRM2). Raises
    InputError when `tau` lies beyond the observed times, where the curve says nothing.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise InputError(f"The horizon tau must be a number above 0; it is {tau:g}.")
    if tau > curve.last_time and curve.survival[-1] > 0:
        raise InputError(
            f"The horizon tau = {tau:g} lies beyond the last observed time {curve.last_time:g}; "
            f"the curve says nothing there. Use tau ≤ {curve.last_time:g}."
        )
    inside = curve.time < tau
    knots = np.r_[0.0, curve.time[inside], tau]
    pieces = np.r_[1.0, curve.survival[inside]] * np.diff(knots)
    after = pieces[::-1].cumsum()[::-1][1:]
    d, n = curve.events[inside], curve.at_risk[inside]
    steps = np.where((d > 0) & (n > d), after**2 * d / (n * np.maximum(n - d, 1)), 0.0)
    return Estimate(
        value=float(pieces.sum()), se=math.sqrt(steps.sum()), method="restricted mean time"
    )


def largest_common_time(*curves: SurvivalCurve) -> float:
    """The largest horizon at which every curve is still observed."""
    return min(c.last_time for c in curves)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """The log-rank test of two groups: observed and expected events of the second group."""

    statistic: float
    p: float
    observed: float
    expected: float
    variance: float


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> LogRank:
    """Two-sided log-rank test; `group` is true for the second group."""
    from scipy import special

    risk = _risk_sets(time, event, group)
    n, d = risk.n0 + risk.n1, risk.d0 + risk.d1
    expected = d * risk.n1 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        v = np.where(n > 1, d * risk.n0 * risk.n1 * (n - d) / (n**2 * (n - 1)), 0.0)
    variance = float(v.sum())
    if variance == 0:
        raise NumericalError(
            "not_estimable", "The groups are never at risk together, so nothing can be compared."
        )
    observed = float(risk.d1.sum())
    statistic = (observed - float(expected.sum())) ** 2 / variance
    return LogRank(
        statistic=statistic,
        p=float(special.chdtrc(1, statistic)),
        observed=observed,
        expected=float(expected.sum()),
        variance=variance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxFit:
    """Log hazard ratio of the second group against the first, with its certificate.

    `gradient` is the score at the solution in events; `iterations` counts Newton steps.
    """

    estimate: Estimate
    log_likelihood: float
    log_likelihood_null: float
    gradient: float
    iterations: int
    events: int
    participants: int


def cox_two_groups(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, *, ties: str = "efron"
) -> CoxFit:
    """Maximise the partial likelihood of one binary covariate.

    `group` is true for the second group; a value below 0 means fewer events there. `ties` is
    `efron` or `breslow`. Raises NumericalError `not_estimable` where the likelihood has no maximum
    (all events of one group while the other is at risk).
    """
    if ties not in TIES:
        raise unknown_name("way to treat ties", ties, TIES)
    risk = _risk_sets(time, event, group)
    _check_maximum(risk)
    n0, n1, weight = _at_risk_terms(risk, ties)
    total1 = float(risk.d1.sum())

    def score(beta: float) -> tuple[float, float]:
        p = n1 / (n1 + n0 * math.exp(-beta))
        return total1 - float((weight * p).sum()), float((weight * p * (1 - p)).sum())

    beta, iterations = _newton(score, weight.sum())
    gradient, information = score(beta)

    def likelihood(b: float) -> float:
        return total1 * b - float((weight * np.log(n0 + n1 * math.exp(b))).sum())

    return CoxFit(
        estimate=Estimate(
            value=beta, se=information**-0.5, method=f"Cox, ties {ties.capitalize()}", scale="log"
        ),
        log_likelihood=likelihood(beta),
        log_likelihood_null=likelihood(0.0),
        gradient=gradient,
        iterations=iterations,
        events=int(weight.sum()),
        participants=risk.participants,
    )


@dataclass(frozen=True, slots=True)
class _RiskSets:
    n0: NDArray[np.float64]
    n1: NDArray[np.float64]
    d0: NDArray[np.float64]
    d1: NDArray[np.float64]
    participants: int


def _risk_sets(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> _RiskSets:
    t, e = _checked(time, event)
    g = _flags(group, "group", "1 (second group) or 0 (first)")
    if g.shape != t.shape:
        raise InputError(f"There are {t.size} times but {g.size} group labels.")
    if g.all() or not g.any():
        raise InputError("Two groups are needed; all participants belong to the same one.")
    moments = np.unique(t[e])
    order0, order1 = np.sort(t[~g]), np.sort(t[g])
    return _RiskSets(
        n0=(order0.size - np.searchsorted(order0, moments)).astype(float),
        n1=(order1.size - np.searchsorted(order1, moments)).astype(float),
        d0=_counts(t[e & ~g], moments),
        d1=_counts(t[e & g], moments),
        participants=t.size,
    )


def _counts(times: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(np.searchsorted(moments, times), minlength=moments.size).astype(float)


def _check_maximum(risk: _RiskSets) -> None:
    first = risk.d0[risk.n1 > 0].sum()
    second = risk.d1[risk.n0 > 0].sum()
    if first and second:
        return
    side = "first" if second else "second"
    raise NumericalError(
        "not_estimable",
        f"No event in the {side} group while both are at risk: the hazard ratio has no finite "
        f"estimate. Report the numbers of events and an exact comparison instead.",
    )


def _at_risk_terms(risk: _RiskSets, ties: str) -> tuple[Any, Any, Any]:
    """At-risk counts and weights of the terms of the log likelihood, one per event (Efron)."""
    d = (risk.d0 + risk.d1).astype(int)
    if ties == "breslow":
        return risk.n0, risk.n1, d.astype(float)
    index = np.repeat(np.arange(d.size), d)
    rank = np.arange(d.sum()) - np.repeat(np.cumsum(d) - d, d)
    share = rank / d[index]
    n0 = risk.n0[index] - share * risk.d0[index]
    return n0, risk.n1[index] - share * risk.d1[index], np.ones(index.size)


def _newton(score: Any, scale: float) -> tuple[float, int]:
    """Newton steps, at most one unit each, until the score is zero to rounding."""
    beta = 0.0
    for iteration in range(1, 101):
        gradient, information = score(beta)
        step = gradient / information
        beta += max(-1.0, min(1.0, step))
        if abs(step) < 1e-13 * max(1.0, abs(beta)) or abs(gradient) < 1e-14 * scale:
            return beta, iteration
    raise NumericalError("not_converged", "The Cox model did not converge in 100 steps.")


def _flags(values: ArrayLike, what: str, allowed: str) -> NDArray[np.bool_]:
    """Truth values; anything but 0 and 1 is named with its place."""
    given = np.asarray(values)
    if given.dtype == bool:
        return given
    try:
        numbers = given.astype(float)
    except (TypeError, ValueError):
        raise InputError(f"The {what} of a participant is {allowed}, not a word.") from None
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
    if wrong.size:
        raise InputError(
            f"Participant {wrong[0] + 1} has the {what} {numbers.ravel()[wrong[0]]:g}; it is "
            f"{allowed}."
        )
    return numbers == 1


def _checked(time: ArrayLike, event: ArrayLike) -> tuple[Any, Any]:
    try:
        t = np.asarray(time, dtype=float)
    except (TypeError, ValueError):
        raise InputError("Times must be numbers.") from None
    e = _flags(event, "event", "1 (seen) or 0 (not)")
    if t.ndim != 1 or t.size == 0 or t.shape != e.shape:
        raise InputError(f"Times and events must be two equal lists; got {t.shape} and {e.shape}.")
    bad = np.flatnonzero(~np.isfinite(t) | (t < 0))
    if bad.size:
        raise InputError(
            f"Participant {bad[0] + 1} has the time {t[bad[0]]:g}; times are numbers ≥ 0."
        )
    return t, e
