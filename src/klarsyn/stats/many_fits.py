"""Thousands of random-effects fits at once: every row of effects under every inclusion mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import stream
from klarsyn.stats.batched import fit_means

TAU2_ESTIMATORS = ("common", "DL", "PM", "REML", "ML")
ESTIMATORS = (*TAU2_ESTIMATORS, "unweighted")
INTERVALS = ("wald", "knapp_hartung", "knapp_hartung_truncated")
_BLOCK = 4000  # fits at a time: their likelihood grids stay in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyFits:
    """Arrays of shape (rows, masks): pooled mean, Wald standard error, tau², Q and study count.

    `kh` is the Knapp–Hartung factor (NaN with one study); a cell without a study is NaN.
    """

    mean: NDArray[np.float64]
    se: NDArray[np.float64]
    tau2: NDArray[np.float64]
    q: NDArray[np.float64]
    kh: NDArray[np.float64]
    studies: NDArray[np.int64]


def fit_many(
    effects: NDArray[np.float64],
    variances: NDArray[np.float64],
    masks: NDArray[np.bool_],
    estimator: str,
) -> ManyFits:
    """Pool each row (rows × studies, NaN where absent) under each mask (masks × studies).

    Likelihoods with several maxima are compared at each of them and at tau² = 0. One study pools to
    itself with tau² = 0. `unweighted` is the plain mean with the standard error that sampling gives
    it; it has no tau², Q or Knapp–Hartung factor (NaN).
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator of tau²", estimator, ESTIMATORS)
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    present = np.isfinite(y) & np.isfinite(v)
    if np.any(v[present] <= 0):
        raise InputError("A sampling variance must be above 0.")
    filled = np.where(present, v, 1.0)
    centre = np.average(np.where(present, y, 0.0), axis=1, weights=present / filled + 1e-300)
    y0 = np.where(present, y - centre[:, None], 0.0)  # so that sums of squares do not cancel
    count = np.rint(present.astype(float) @ masks.T.astype(float)).astype(np.int64)
    out = np.full((5, count.size), np.nan)
    cells = np.flatnonzero(count.ravel() > 0)
    for block in np.split(cells, range(_BLOCK, cells.size, _BLOCK)):
        row, mask = np.unravel_index(block, count.shape)
        include = present[row] & masks[mask]
        if estimator == "unweighted":
            out[:2, block] = _plain_means(y0[row], filled[row], include)
            continue
        method = "EE" if estimator == "common" else estimator
        fits = fit_means(y0[row], filled[row], include, method=method)
        kh = np.where(fits.k > 1, fits.q_tau / np.maximum(fits.k - 1, 1), np.nan)
        out[:, block] = fits.estimate, fits.se, fits.tau2, fits.q, kh
    mean, se, tau2, q, kh = out.reshape(5, *count.shape)
    return ManyFits(mean=mean + centre[:, None], se=se, tau2=tau2, q=q, kh=kh, studies=count)


def _plain_means(
    y: NDArray[np.float64], v: NDArray[np.float64], include: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k = include.sum(axis=1)
    return (y * include).sum(axis=1) / k, np.sqrt((v * include).sum(axis=1)) / k


def limits(fits: ManyFits, interval: str, level: float) -> tuple[Any, Any]:
    """Lower and upper limits of the mean; NaN where the interval is not defined (one study)."""
    from scipy import special

    if interval not in INTERVALS:
        raise unknown_name("interval", interval, INTERVALS)
    if interval == "wald":
        half = special.ndtri(0.5 + level / 2) * fits.se
        return fits.mean - half, fits.mean + half
    factor = fits.kh if interval == "knapp_hartung" else np.maximum(fits.kh, 1.0)
    df = np.maximum(fits.studies - 1, 1)
    half = special.stdtrit(df, 0.5 + level / 2) * np.sqrt(factor) * fits.se
    return fits.mean - half, fits.mean + half


def every_subset(studies: int, *, most: int = 20, sample: int = 1_000_000, seed: int = 1) -> Any:
    """All 2^k − 1 inclusion masks up to `most` studies, beyond it `sample` seeded random ones."""
    if studies < 1:
        raise InputError("At least one study is needed.")
    bits = np.arange(studies)
    if studies <= most:
        return ((np.arange(1, 2**studies)[:, None] >> bits) & 1).astype(bool)
    drawn = stream(seed, "subsets", studies).random((sample, studies)) < 0.5
    drawn[~drawn.any(axis=1), 0] = True
    return drawn
