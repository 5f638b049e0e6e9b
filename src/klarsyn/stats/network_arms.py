"""Contrasts of one study's arms against its first, with their full covariance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

MEASURES: dict[str, tuple[str, ...]] = {
    "OR": ("events", "n"),
    "RR": ("events", "n"),
    "RD": ("events", "n"),
    "IRR": ("events", "time"),
    "MD": ("mean", "sd", "n"),
    "SMD": ("mean", "sd", "n"),
    "GEN": ("estimate", "se"),
}
COUNTS = ("OR", "RR", "RD", "IRR")
MEANS = ("MD", "SMD")
LOG_MEASURES = ("OR", "RR", "IRR", "HR", "ROM")
CONTRAST_MEASURES = (*MEASURES, "HR", "ROM")


def arm_contrasts(measure: str, values: Mapping[str, Vector], add: float) -> tuple[Vector, Matrix]:
    """Effects of arms 2… against arm 1 and their covariance; OR, RR, IRR as logarithms."""
    if measure == "SMD":
        return _standardised(values)
    level, variance = _arm_levels(measure, values, add)
    return level[1:] - level[0], np.diag(variance[1:]) + variance[0]


def _arm_levels(measure: str, values: Mapping[str, Vector], add: float) -> tuple[Vector, Vector]:
    """Each arm's own level on the additive scale, and its sampling variance."""
    if measure == "GEN":
        return values["estimate"], values["se"] ** 2
    if measure == "MD":
        return values["mean"], values["sd"] ** 2 / values["n"]
    events = values["events"]
    if measure == "IRR":
        e = events + (add if (events == 0).any() else 0.0)
        return np.log(e / values["time"]), 1 / e
    n = values["n"]
    full = events == n
    # Arms with nothing but events have no variance on the log risk: two of them would coincide.
    empty = (events == 0).any() or full.sum() > (1 if measure == "RR" else 0)
    e, rest = (events + add, n - events + add) if empty else (events, n - events)
    if measure == "OR":
        return np.log(e / rest), 1 / e + 1 / rest
    total = e + rest
    if measure == "RR":
        return np.log(e / total), 1 / e - 1 / total
    # RD: the difference itself is not shifted, only its variance must not be zero.
    return events / n, e * rest / total**3


def _standardised(values: Mapping[str, Vector]) -> tuple[Vector, Matrix]:
    """Hedges' g with the standard deviation pooled over all arms.

    Gleser & Olkin (2009, ch. 19, eq. 19.19): cov = 1/n₁ + g_j g_l / (2N).
    """
    from scipy.special import gammaln

    n = values["n"]
    df = float((n - 1).sum())
    pooled = np.sqrt((((n - 1) * values["sd"] ** 2).sum()) / df)
    exact = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    g = exact * (values["mean"][1:] - values["mean"][0]) / pooled
    covariance = np.diag(1 / n[1:]) + 1 / n[0] + np.outer(g, g) / (2 * n.sum())
    return g, covariance
