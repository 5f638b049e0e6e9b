"""The way back from the Freeman–Tukey double arcsine of a proportion.

Inverting a pooled value needs one sample size for all studies; the answer depends on that choice
and can lie outside what any study saw (Schwarzer, Chemaitelly, Abu-Raddad & Rücker 2019). Prefer
the logit random-effects model; this is here to reproduce published analyses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError

Array = NDArray[np.float64]

CAVEAT = (
    "Back-transformed double arcsines depend on the sample size put into the inversion and can "
    "mislead; the logit random-effects model does not need one."
)


def invert_double_arcsine(value: float, total: float) -> float:
    """The proportion whose double arcsine is `value` in a sample of `total` (Miller 1978).

    Values outside what such a sample can give return 0 or 1. For a pooled value Miller proposes
    the harmonic mean of the studies' totals.
    """
    if total <= 0:
        raise InputError(f"A sample size is positive; {total:g} is not.")
    t = 2 * value
    low = 0.5 * float(np.arcsin(np.sqrt(1 / (total + 1))))
    high = 0.5 * (float(np.arcsin(np.sqrt(total / (total + 1)))) + np.pi / 2)
    if value <= low:
        return 0.0
    if value >= high:
        return 1.0
    inner = np.sin(t) + (np.sin(t) - 1 / np.sin(t)) / total
    root = np.sqrt(max(1 - inner**2, 0.0))
    return float((1 - np.sign(np.cos(t)) * root) / 2)


def harmonic_mean(total: Array) -> float:
    """The harmonic mean of sample sizes."""
    return float(len(total) / (1 / total).sum())
