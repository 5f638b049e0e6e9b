"""The variance between effects whose errors depend on each other in a known way."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import unknown_name
from klarsyn.stats.many_fits import TAU2_ESTIMATORS
from klarsyn.stats.roots import bracketed_root

Array = NDArray[np.float64]
_SPAN = np.geomspace(1e-6, 1e4, 81)  # tau² beside the mean error variance, where roots are sought


def variance_beside(y: Array, covariance: Array, estimator: str) -> float:
    """tau² of effects with one mean, errors of `covariance`, by one of the batched estimators.

    REML and ML by the highest root of the score or 0; PM where Cochran's generalised Q is k − 1; DL
    by its expectation at tau² = 0. With a diagonal covariance they are the usual ones.
    """
    if estimator not in TAU2_ESTIMATORS:
        raise unknown_name("estimator of tau²", estimator, TAU2_ESTIMATORS)
    k = y.size
    if estimator == "common" or k < 2:
        return 0.0

    def parts(t: float) -> tuple[Array, Array, float]:
        """Inverse covariance, projection and the log determinants of the restricted likelihood."""
        whole = covariance + t * np.eye(k)
        weight: Array = np.asarray(np.linalg.inv(whole), dtype=np.float64)
        ones = weight.sum(axis=0)
        project: Array = np.asarray(weight - np.outer(ones, ones) / ones.sum(), dtype=np.float64)
        return weight, project, float(np.linalg.slogdet(whole)[1])

    if estimator in ("DL", "PM"):
        _, project, _ = parts(0.0)
        excess = float(y @ project @ y) - (k - 1)
        if excess <= 0:
            return 0.0
        if estimator == "DL":
            return excess / float(np.trace(project))

        def surplus(t: float) -> float:
            return float(y @ parts(t)[1] @ y) - (k - 1)

        high = float(np.trace(covariance)) / k
        while surplus(high) > 0:
            high *= 2
        return bracketed_root(surplus, 0.0, high)

    def score(t: float) -> float:
        weight, project, _ = parts(t)
        away = project @ y
        return float(away @ away) - float(np.trace(project if estimator == "REML" else weight))

    def height(t: float) -> float:
        weight, project, log_det = parts(t)
        sure = math.log(float(weight.sum())) if estimator == "REML" else 0.0
        return -0.5 * (log_det + sure + float(y @ project @ y))

    return max([0.0, *_roots(score, float(np.trace(covariance)) / k)], key=height)


def _roots(score: Callable[[float], float], scale: float) -> list[float]:
    grid = np.r_[0.0, _SPAN * scale]
    signs = np.array([score(float(t)) for t in grid])
    down = np.flatnonzero((signs[:-1] > 0) & (signs[1:] <= 0))
    return [bracketed_root(score, float(grid[i]), float(grid[i + 1])) for i in down]
