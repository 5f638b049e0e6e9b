"""Thousands of random-effects fits at once: every row of effects under every inclusion mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import stream

ESTIMATORS = ("common", "DL", "PM", "REML", "ML", "HE")
INTERVALS = ("wald", "knapp_hartung", "knapp_hartung_truncated")
_STEPS = 400
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyFits:
    """Arrays of shape (rows, masks): pooled mean, Wald standard error, tau², Q and study count.

    `kh` is the Knapp–Hartung factor (NaN with one study); a cell without a study is NaN.
    `converged` is false where the iteration for tau² ran out of steps.
    """

    mean: NDArray[np.float64]
    se: NDArray[np.float64]
    tau2: NDArray[np.float64]
    q: NDArray[np.float64]
    kh: NDArray[np.float64]
    studies: NDArray[np.int64]
    converged: NDArray[np.bool_]


def fit_many(
    effects: NDArray[np.float64],
    variances: NDArray[np.float64],
    masks: NDArray[np.bool_],
    estimator: str,
) -> ManyFits:
    """Pool each row (rows × studies, NaN where absent) under each mask (masks × studies).

    `common`, `DL` and `HE` are closed forms by matrix products; `PM`, `REML` and `ML` iterate on
    all cells together, and the few on which scoring stalls are searched one by one. One study pools
    to itself with tau² = 0.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator of tau²", estimator, ESTIMATORS)
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    present = np.isfinite(y) & np.isfinite(v)
    if np.any(v[present] <= 0):
        raise InputError("A sampling variance must be above 0.")
    chosen = masks.astype(float)
    centre = _centre(y, v, present)
    y0 = np.where(present, y - centre[:, None], 0.0)
    w = np.where(present, 1 / np.where(present, v, 1.0), 0.0)
    sums = [a @ chosen.T for a in (w, w**2, w * y0, w * y0**2)]
    count = np.rint(present.astype(float) @ chosen.T).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.maximum(sums[3] - sums[2] ** 2 / sums[0], 0.0)
        start = np.maximum((q - (count - 1)) / (sums[0] - sums[1] / sums[0]), 0.0)
    start = np.where(count > 1, start, 0.0)
    if estimator == "common":
        tau2, converged = np.zeros_like(start), np.ones(start.shape, bool)
    elif estimator == "DL":
        tau2, converged = start, np.ones(start.shape, bool)
    elif estimator == "HE":
        tau2 = _hedges(y0, np.where(present, v, 0.0), present, chosen, count)
        converged = np.ones(start.shape, bool)
    else:
        tau2, converged = _iterate(y0, v, present, masks, start, count, estimator)
    mean, se, kh = _weighted(y0, v, present, masks, tau2, count)
    return ManyFits(
        mean=mean + centre[:, None],
        se=se,
        tau2=np.where(count > 0, tau2, np.nan),
        q=np.where(count > 0, q, np.nan),
        kh=kh,
        studies=count,
        converged=converged,
    )


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


def _centre(y: Any, v: Any, present: Any) -> NDArray[np.float64]:
    """Each row's own mean, so that sums of squares do not cancel."""
    w = np.where(present, 1 / np.where(present, v, 1.0), 0.0)
    total = w.sum(axis=1)
    return np.where(
        total > 0, (w * np.where(present, y, 0.0)).sum(axis=1) / np.where(total > 0, total, 1), 0.0
    )


def _hedges(y0: Any, v0: Any, present: Any, chosen: Any, count: Any) -> NDArray[np.float64]:
    total, squares = y0 @ chosen.T, (y0**2) @ chosen.T
    n = np.maximum(count, 2)
    sample = (squares - total**2 / n) / (n - 1)
    return np.where(count > 1, np.maximum(sample - (v0 @ chosen.T) / n, 0.0), 0.0)


def _expanded(y0: Any, v: Any, present: Any, masks: Any, cells: Any) -> tuple[Any, Any, Any]:
    row, mask = cells
    use = present[row] & masks[mask]
    return y0[row], np.where(use, v[row], 1.0), use


def _iterate(
    y0: Any, v: Any, present: Any, masks: Any, start: Any, count: Any, estimator: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Newton (PM, monotone from zero) or Fisher scoring on the cells that still move."""
    tau2 = np.zeros_like(start) if estimator == "PM" else start.copy()
    converged = np.ones(start.shape, bool)
    active = np.flatnonzero(count.ravel() > 1)
    flat, done = tau2.ravel(), converged.ravel()
    y, var, use = _expanded(y0, v, present, masks, np.unravel_index(active, start.shape))
    scale = np.where(use, var, 0.0).sum(axis=1) / use.sum(axis=1)
    k = use.sum(axis=1)
    step_of = {"PM": _step_pm, "REML": _step_reml, "ML": _step_ml}[estimator]
    for _ in range(_STEPS):
        t = flat[active]
        new = np.maximum(t + step_of(y, var, use, k, t), 0.0)
        flat[active] = new
        moving = np.abs(new - t) > _TOLERANCE * (scale + new)
        active, y, var, use = active[moving], y[moving], var[moving], use[moving]
        k, scale = k[moving], scale[moving]
        if not active.size:
            break
    if estimator == "PM":
        done[active] = False
    else:
        for place, cell in enumerate(active):
            flat[cell], done[cell] = _searched(
                y[place][use[place]], var[place][use[place]], estimator == "REML"
            )
    return flat.reshape(start.shape), done.reshape(start.shape)


def _searched(y: Any, v: Any, restricted: bool) -> tuple[float, bool]:
    """The highest likelihood on a wide scale of tau², for the few cells where scoring stalls."""
    from scipy import optimize

    def negative(t: float) -> float:
        w = 1 / (v + t)
        r = y - w @ y / w.sum()
        extra = math.log(w.sum()) if restricted else 0.0
        return 0.5 * float(w @ r**2 - np.log(w).sum() + extra)

    top = float(np.ptp(y) ** 2 + v.max())
    ladder = np.r_[0.0, np.geomspace(1e-8 * float(v.min()), 10 * top, 120)]
    best = int(np.argmin([negative(t) for t in ladder]))
    bounds = (ladder[max(best - 1, 0)], ladder[min(best + 1, ladder.size - 1)])
    found = optimize.minimize_scalar(
        negative, bounds=bounds, method="bounded", options={"xatol": 1e-12 * top}
    )
    tau2 = float(found.x) if found.fun < negative(0.0) else 0.0
    return tau2, bool(found.success)


def _residuals(y: Any, var: Any, use: Any, t: Any) -> tuple[Any, Any, Any]:
    w = use / (var + t[:, None])
    total = w.sum(axis=1)
    return w, total, y - ((w * y).sum(axis=1) / total)[:, None]


def _step_pm(y: Any, var: Any, use: Any, k: Any, t: Any) -> Any:
    w, _, r = _residuals(y, var, use, t)
    q = (w * r**2).sum(axis=1)
    return (q - (k - 1)) / np.maximum((w**2 * r**2).sum(axis=1), 1e-300)


def _step_reml(y: Any, var: Any, use: Any, k: Any, t: Any) -> Any:
    del k
    w, total, r = _residuals(y, var, use, t)
    w2 = w**2
    two, three = w2.sum(axis=1), (w2 * w).sum(axis=1)
    score = (w2 * r**2).sum(axis=1) - (total - two / total)
    return score / (two - 2 * three / total + (two / total) ** 2)


def _step_ml(y: Any, var: Any, use: Any, k: Any, t: Any) -> Any:
    del k
    w, total, r = _residuals(y, var, use, t)
    w2 = w**2
    return ((w2 * r**2).sum(axis=1) - total) / w2.sum(axis=1)


def _weighted(
    y0: Any, v: Any, present: Any, masks: Any, tau2: Any, count: Any
) -> tuple[Any, Any, Any]:
    cells = np.flatnonzero(count.ravel() > 0)
    y, var, use = _expanded(y0, v, present, masks, np.unravel_index(cells, count.shape))
    w, total, r = _residuals(y, var, use, tau2.ravel()[cells])
    k = use.sum(axis=1)
    out = [np.full(count.size, math.nan) for _ in range(3)]
    out[0][cells] = (w * y).sum(axis=1) / total
    out[1][cells] = total**-0.5
    factor = (w * r**2).sum(axis=1) / np.maximum(k - 1, 1)
    out[2][cells] = np.where(k > 1, factor, math.nan)
    mean, se, kh = (a.reshape(count.shape) for a in out)
    return mean, se, kh
