"""How likely a result is to be seen, given its p-value: the weight functions of selection models.

A smooth weight takes log p and log(1 − p) of shape (k, points), a precision of shape (k, 1) and the
parameters, and gives its logarithm with the slopes by each parameter, shape (parameters, k,
points).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
LEAST_EXPONENT = 1e-4  # of p^(1/δ): below it the weight is 1 for every p but 1 itself
LogWeight = Callable[[Array, Array, Array, Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smooth:
    """A smooth weight function: parameters that mean no selection, and starting values."""

    name: str
    label: str
    none: tuple[float, ...]
    starts: tuple[tuple[float, ...], ...]
    log_weight: LogWeight
    takes_precision: bool = True
    smallest: float = 0.0
    smallest_p: float = 1e-16


def _beta(log_p: Array, log_q: Array, _: Array, delta: Array) -> tuple[Array, Array]:
    return (delta[0] - 1) * log_p + (delta[1] - 1) * log_q, np.stack([log_p, log_q])


def _half_normal(log_p: Array, _: Array, precision: Array, delta: Array) -> tuple[Array, Array]:
    slope = -precision * np.exp(2 * log_p)
    return delta[0] * slope, slope[None]


def _negative_exponential(
    log_p: Array, _: Array, precision: Array, delta: Array
) -> tuple[Array, Array]:
    slope = -precision * np.exp(log_p)
    return delta[0] * slope, slope[None]


def _powered_exponential(
    log_p: Array, _: Array, precision: Array, delta: Array
) -> tuple[Array, Array]:
    exponent = 1 / max(delta[1], LEAST_EXPONENT)
    slope = -precision * np.exp(exponent * log_p)
    bend = -delta[0] * slope * exponent**2 * log_p
    return delta[0] * slope, np.stack([slope, bend])


def _logistic(log_p: Array, _: Array, precision: Array, delta: Array) -> tuple[Array, Array]:
    x = precision * np.exp(log_p)
    e = delta[0] * x
    return np.log(2) - np.logaddexp(0, e), (-x / (1 + np.exp(-e)))[None]


def _power(_: Array, log_q: Array, precision: Array, delta: Array) -> tuple[Array, Array]:
    slope = precision * log_q
    return delta[0] * slope, slope[None]


SMOOTH = {
    s.name: s
    for s in (
        Smooth(
            name="beta", label="p^(δ1−1)·(1−p)^(δ2−1) (Citkowicz & Vevea 2017)", none=(1.0, 1.0),
            starts=((1.0, 1.0), (0.6, 1.0), (1.5, 1.2)), log_weight=_beta,
            takes_precision=False, smallest=1e-5, smallest_p=1e-5,
        ),
        Smooth(
            name="halfnorm", label="exp(−δ·p²) (Preston, Ashby & Smyth 2004)", none=(0.0,),
            starts=((0.5,), (3.0,)), log_weight=_half_normal,
        ),
        Smooth(
            name="negexp", label="exp(−δ·p) (Preston, Ashby & Smyth 2004)", none=(0.0,),
            starts=((0.5,), (3.0,)), log_weight=_negative_exponential,
        ),
        Smooth(
            name="negexppow", label="exp(−δ1·p^(1/δ2)) (Begg & Mazumdar 1994)", none=(0.0, 1.0),
            starts=((0.5, 1.0), (3.0, 1.0), (2.0, 3.0)), log_weight=_powered_exponential,
        ),
        Smooth(
            name="logistic", label="2·exp(−δ·p)/(1 + exp(−δ·p)) (Preston, Ashby & Smyth 2004)",
            none=(0.0,), starts=((0.5,), (3.0,)), log_weight=_logistic,
        ),
        Smooth(
            name="power", label="(1−p)^δ", none=(0.0,), starts=((0.3,), (1.0,)), log_weight=_power,
            smallest_p=1e-5,
        ),
    )
}  # fmt: skip
