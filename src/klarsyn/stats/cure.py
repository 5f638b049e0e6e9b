"""Is there a plateau: a mixture-cure model, and the test that it must pass first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.stats.estimate import Z_95
from klarsyn.stats.relapse import curvature, minimise
from klarsyn.stats.survival import kaplan_meier


@dataclass(frozen=True, slots=True, kw_only=True)
class CureFit:
    """A Weibull mixture-cure fit, or the reason why none is given.

    `alpha` tests sufficient follow-up (Maller and Zhou 1996): small values speak for a real
    plateau. `cured` is None unless alpha is below the `required` level.
    """

    alpha: float
    required: float
    sufficient: bool
    reason: str
    cured: float | None = None
    cured_low: float | None = None
    cured_high: float | None = None
    log_likelihood: float | None = None


def sufficient_follow_up(time: ArrayLike, event: ArrayLike) -> float:
    """Maller and Zhou's alpha: (1 − N/n)^n, N the events between 2 t* − t_max and t*.

    t* is the last event and t_max the last observation. Near 0: the level stretch after the last
    event is long against the events before it. 1 when the last observation is an event.
    """
    t, e = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    if not e.any():
        return 1.0
    last_event, last = float(t[e].max()), float(t.max())
    near = int((e & (t > 2 * last_event - last) & (t <= last_event)).sum())
    return 1.0 if last <= last_event else (1 - near / t.size) ** t.size


def fit_cure(time: ArrayLike, event: ArrayLike, *, required: float = 0.05) -> CureFit:
    """S(t) = cured + (1 − cured) Weibull(t), only where follow-up is long enough to tell."""
    from scipy import special

    t, e = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    alpha = sufficient_follow_up(t, e)
    if alpha >= required:
        return CureFit(
            alpha=alpha,
            required=required,
            sufficient=False,
            reason=(
                f"Follow-up is too short to tell a plateau from slow relapse (alpha {alpha:.3g}, "
                f"at most {required:g} needed): no cured share is given."
            ),
        )
    t = np.maximum(t, np.nextafter(0, 1))

    def negative(x: NDArray[np.float64]) -> float:
        cured, shape = special.expit(x[2]), math.exp(min(x[1], 50.0))
        with np.errstate(over="ignore", under="ignore"):
            log_s = -np.exp(np.minimum(x[0] + shape * np.log(t), 700.0))
            density = x[0] + x[1] + (shape - 1) * np.log(t) + log_s + math.log1p(-cured)
            alive = np.log(cured + (1 - cured) * np.exp(log_s))
        return -float(density[e].sum() + alive[~e].sum())

    share = float(kaplan_meier(t, e).survival[-1])
    middle = float(np.median(t[e]))
    start = np.array([-math.log(middle), 0.0, special.logit(min(max(share, 0.02), 0.98))])
    fit = minimise(negative, start)
    covariance, _ = curvature(negative, fit.x)
    half = Z_95 * math.sqrt(covariance[2, 2])
    return CureFit(
        alpha=alpha,
        required=required,
        sufficient=True,
        reason=(
            f"The follow-up test does not object (alpha {alpha:.3g}); it is lenient, so a cured "
            f"share is a side remark, never the headline."
        ),
        cured=float(special.expit(fit.x[2])),
        cured_low=float(special.expit(fit.x[2] - half)),
        cured_high=float(special.expit(fit.x[2] + half)),
        log_likelihood=-float(fit.fun),
    )
