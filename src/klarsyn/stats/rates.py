"""How rare can a harm be said to be: exact limits, and the patients needed to exclude a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from klarsyn.errors import InputError

_MOST = 10**10


def upper_limit(events: float, patients: float, confidence: float = 0.95) -> float:
    """Exact one-sided upper limit of a share (Clopper–Pearson); 1 − alpha^(1/n) without events.

    `patients` may be a fraction, for effective numbers.
    """
    from scipy import special

    _check(events, patients, confidence)
    if events >= patients:
        return 1.0
    return float(special.betaincinv(events + 1, patients - events, confidence))


def overdispersion(events: Sequence[float], patients: Sequence[float]) -> float:
    """How many times as far apart the groups' shares lie as chance would have them, at least 1.

    Pearson's statistic over its degrees of freedom (McCullagh & Nelder 1989, §4.5). 1 for a single
    group and where nobody or everybody has the event.
    """
    x, n = np.asarray(events, dtype=float), np.asarray(patients, dtype=float)
    share = x.sum() / n.sum()
    if x.size < 2 or not 0 < share < 1:
        return 1.0
    pearson = ((x - share * n) ** 2 / (n * share * (1 - share))).sum()
    return max(1.0, float(pearson) / (x.size - 1))


def lower_limit(events: float, patients: float, confidence: float = 0.95) -> float:
    """Exact one-sided lower limit of a share; 0 without events."""
    from scipy import special

    _check(events, patients, confidence)
    if events == 0:
        return 0.0
    return float(special.betaincinv(events, patients - events + 1, 1 - confidence))


def clopper_pearson(events: float, patients: float, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided limits of a share."""
    side = (1 + level) / 2
    return lower_limit(events, patients, side), upper_limit(events, patients, side)


def poisson_limits(events: int, exposure: float, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided limits of a rate per unit of exposure (Garwood 1936)."""
    from scipy import special

    _check_level(level)
    if not (math.isfinite(events) and events >= 0):
        raise InputError(f"There cannot be {events:g} events.")
    if not (math.isfinite(exposure) and exposure > 0):
        raise InputError(f"The exposure must be a number above 0; it is {exposure:g}.")
    tail = (1 - level) / 2
    low = float(special.gammaincinv(events, tail)) if events else 0.0
    return low / exposure, float(special.gammaincinv(events + 1, 1 - tail)) / exposure


def patients_without_event(rate: float, confidence: float = 0.95) -> int:
    """Patients who must all stay free of the event: ⌈ln(1 − confidence) / ln(1 − rate)⌉."""
    _check_rate(rate)
    _check_level(confidence)
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def patients_to_exclude(
    rate: float, *, background: float = 0.0, confidence: float = 0.95, assurance: float = 0.5
) -> int:
    """The smallest number of patients whose exact upper limit will lie below `rate`.

    `background` is the true share, below `rate`; 0 is the case without any event. `assurance` is
    the probability with which it shall succeed; one half is the middle of what will be seen.
    Binomial inversion. The limit jumps as whole events come in; the number returned is the first
    after which no number nearby fails again.
    """
    from scipy import stats

    _check_rate(rate)
    if not 0 <= background < rate:
        raise InputError(
            f"The background share {background:g} must lie from 0 to below {rate:g}: a rate that "
            f"is really there cannot be excluded."
        )
    _check_level(assurance)
    if background == 0:
        return patients_without_event(rate, confidence)

    def enough(n: int) -> bool:
        seen = int(stats.binom.ppf(assurance, n, background))
        return bool(stats.binom.cdf(seen, n, rate) <= 1 - confidence)

    high = patients_without_event(rate, confidence)
    while not enough(high):
        high *= 2
        if high > _MOST:
            raise InputError(f"More than {_MOST:g} patients would be needed to exclude {rate:g}.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return _last_failure(enough, high, rate)


def _last_failure(enough, high: int, rate: float) -> int:
    """Step over the saw-teeth of the binomial: the first number after which none fails nearby."""
    reach = math.ceil(4 / rate)
    failed = [n for n in range(max(1, high - reach), high + reach) if not enough(n)]
    return failed[-1] + 1 if failed else high


def expected_events_to_exclude(events: int, rate: float, confidence: float = 0.95) -> float:
    """Exposure needed for the Poisson upper limit of `events` to reach down to `rate`."""
    from scipy import special

    _check_level(confidence)
    if not (math.isfinite(rate) and rate > 0 and math.isfinite(events) and events >= 0):
        raise InputError(
            f"A rate above 0 and events of at least 0 are needed; got {rate:g} and {events:g}."
        )
    return float(special.gammaincinv(events + 1, confidence)) / rate


def _check(events: float, patients: float, confidence: float) -> None:
    if not (math.isfinite(patients) and patients > 0 and 0 <= events <= patients):
        raise InputError(f"{events:g} events among {patients:g} patients is not possible.")
    _check_level(confidence)


def _check_level(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"A confidence lies between 0 and 1; {confidence:g} does not.")


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise InputError(f"A rate to exclude lies between 0 and 1; {rate:g} does not.")
