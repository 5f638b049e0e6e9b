"""What a count of events among a number of patients can and cannot exclude."""

from __future__ import annotations

import math

from scipy import special

from klarsyn.errors import InputError


def exact_interval(events: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Two-sided exact limits of a share (Clopper & Pearson 1934), by beta quantiles."""
    check_counts(events, n)
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else float(special.betaincinv(events, n - events + 1, tail))
    high = 1.0 if events == n else float(special.betaincinv(events + 1, n - events, 1 - tail))
    return low, high


def upper_limit(events: float, n: float, level: float = 0.95) -> float:
    """The one-sided exact upper limit: the highest share that the count does not exclude."""
    check_counts(events, n)
    return 1.0 if events == n else float(special.betaincinv(events + 1, n - events, level))


def patients_to_exclude(rate: float, level: float = 0.95) -> int:
    """How many patients without one event exclude a rate: ⌈ln(1−level)/ln(1−rate)⌉."""
    if not 0 < rate < 1:
        raise InputError(f"A rate to exclude lies between 0 and 1; {rate:g} does not.")
    return math.ceil(math.log(1 - level) / math.log1p(-rate))


def check_counts(events: float, n: float) -> None:
    """Raise InputError unless 0 ≤ events ≤ n and n > 0."""
    if not (n > 0 and 0 <= events <= n):
        raise InputError(f"{events:g} events among {n:g} patients: events lie between 0 and n.")
