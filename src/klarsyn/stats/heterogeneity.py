"""Estimators of the between-study variance τ², each solved to machine precision.

Nothing here depends on the unit of y: brackets and stopping rules are relative to the sampling
variances, so that multiplying y by c and v by c² multiplies τ² by c².
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.generalised_q import derive_fixed_form, generalised_q_root
from klarsyn.stats.roots import ROUNDING, safe_newton
from klarsyn.stats.weighted import (
    Moments,
    coefficients,
    moments,
    orthonormal,
    q_of_mean,
    residual_sum_of_squares,
    slope_of_mean,
    slopes_of_mean,
)

Array = np.ndarray
SMALLEST_V = 1e-75  # fourth powers of a variance still fit into a double
ROUNDED = 1e-12  # of the sum of squared weights: below it the information is rounding
ESTIMATORS = {
    "REML": "restricted maximum likelihood (global maximum)",
    "ML": "maximum likelihood (global maximum)",
    "DL": "DerSimonian & Laird 1986",
    "PM": "Paule & Mandel 1982",
    "PMM": "median-unbiased Paule–Mandel (Viechtbauer 2021)",
    "EB": "empirical Bayes (Morris 1983); the same root as PM",
    "SJ": "Sidik & Jonkman 2005",
    "HS": "Hunter & Schmidt 1990",
    "HSk": "Hunter–Schmidt with small-sample factor k/(k−p)",
    "HE": "Hedges 1983",
    "GENQ": "generalised Q with given weights (DerSimonian & Kacker 2007)",
    "GENQM": "median-unbiased generalised Q",
    "EE": "none: equal (common) effect",
    "FE": "none: fixed effects",
}
# Grid points per factor e of v + τ² in the search for local maxima, and the limits of their number.
DENSITY, FEWEST, MOST = 6.0, 24, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How sure the estimate of τ² is the one its definition names.

    `gradient` is the estimating function at the estimate relative to the sum of its absolute terms
    (0 means solved to the last bit), `curvature` its derivative by τ²; `boundary` says that the
    estimate is 0 because the function is negative there. `maxima` counts the local maxima of the
    likelihood, `others` lists those not chosen as (τ², log-likelihood minus the best).
    """

    gradient: float
    curvature: float
    boundary: bool
    maxima: int
    others: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tau2:
    """An estimate of τ² with its asymptotic standard error."""

    value: float
    se: float
    method: str
    certificate: Certificate


def check_range(v: Array) -> None:
    """Raise NumericalError `degenerate` where powers of a variance leave the range of numbers."""
    if v.min() > SMALLEST_V and v.max() < 1 / SMALLEST_V:
        return
    raise NumericalError(
        "degenerate",
        f"The sampling variances ({v.min():g} to {v.max():g}) leave the range that can be computed "
        f"with, {SMALLEST_V:g} to {1 / SMALLEST_V:g}. Express the effects in another unit.",
    )


def estimate_tau2(
    y: Array, v: Array, x: Array | None = None, *, method: str, weights: Array | None = None
) -> Tau2:
    """τ² of y ~ x with sampling variances v; `x` (k, p) is None for an intercept alone.

    `weights` are those of GENQ and GENQM. Raises UnknownNameError for an unlisted method,
    NumericalError `too_few_studies` when k ≤ p, where no τ² can be estimated, and `degenerate`
    where a variance is so large or small that its powers leave the range of numbers.
    """
    if method not in ESTIMATORS:
        raise unknown_name("estimator of tau2", method, ESTIMATORS)
    check_range(v)
    k, p = len(y), coefficients(x)
    if method in {"EE", "FE"}:
        exact = Certificate(gradient=0.0, curvature=math.nan, boundary=False, maxima=1)
        return Tau2(value=0.0, se=math.nan, method=method, certificate=exact)
    if k <= p:
        raise NumericalError(
            "too_few_studies",
            f"{k} studies cannot estimate τ² beside {p} coefficient(s). "
            f"Use the common-effect model (EE).",
        )
    x = orthonormal(x)
    if method in {"REML", "ML"}:
        return _likelihood(y, v, x, method)
    if method in {"PM", "EB", "PMM"}:
        return _paule_mandel(y, v, x, method)
    return _MOMENT[method](y, v, x, weights, method)


def log_likelihood(
    y: Array, v: Array, x: Array | None, tau2: Array | float, *, restricted: bool
) -> Array:
    """The (restricted) log-likelihood at each τ², β profiled out; REML includes ½ log |XᵀX|."""
    at = np.atleast_1d(np.asarray(tau2, dtype=float))
    x = orthonormal(x)
    return _log_likelihood(moments(y, v, x, at), len(y), x, restricted)


def _log_likelihood(m: Moments, k: int, x: Array | None, restricted: bool) -> Array:
    half = 0.5 * (m.log_weights - m.q)
    if not restricted:
        return half - 0.5 * k * math.log(2 * math.pi)
    p = coefficients(x)
    design = math.log(k) if x is None else float(np.linalg.slogdet(x.T @ x)[1])
    return half - 0.5 * m.log_information + 0.5 * design - 0.5 * (k - p) * math.log(2 * math.pi)


def largest_root(y: Array, v: Array, x: Array | None, df: int) -> float:
    """A τ² beyond which the likelihood's gradient is negative.

    With u = τ² + min v and S the unweighted residual sum of squares, tr P ≥ (k − p)/(τ² + max v)
    and yᵀP²y ≤ S/u², so the gradient is negative once (k − p) u² > S (u + max v − min v).
    """
    s = residual_sum_of_squares(y, x)
    spread = float(v.max() - v.min())
    u = (s + math.sqrt(s * s + 4 * df * s * spread)) / (2 * df)
    return max(u - float(v.min()), 0.0)


def _likelihood(y: Array, v: Array, x: Array | None, method: str) -> Tau2:
    restricted = method == "REML"
    k, p = len(y), coefficients(x)
    top = largest_root(y, v, x, (k - p) if restricted else k) * (1 + 1e-9)
    grid = search_grid(v, top)
    if x is None:
        slope = slopes_of_mean(y, v, grid, restricted)
    else:
        slope = _slope(moments(y, v, x, grid), restricted)
    peaks = [
        _peak(y, v, x, grid[i], grid[i + 1], restricted)
        for i in np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0))
    ]
    if slope[0] <= 0:
        peaks.insert(0, 0.0)
    heights = np.zeros(1)
    if len(peaks) > 1:
        heights = log_likelihood(y, v, x, np.array(peaks), restricted=restricted)
    best = int(np.argmax(heights))
    value = peaks[best]
    m = moments(y, v, x, np.array([value]))
    others = tuple(
        (t, float(h - heights[best]))
        for i, (t, h) in enumerate(zip(peaks, heights, strict=True))
        if i != best
    )
    trace = float(m.trace_p[0] if restricted else m.sum_w[0])
    information = float(m.trace_pp[0] if restricted else m.sum_ww[0])
    certificate = Certificate(
        gradient=float(_slope(m, restricted)[0]) / (0.5 * (trace + float(m.ppy[0]))),
        curvature=0.5 * information - float(m.pppy[0]),
        boundary=value == 0.0,
        maxima=len(peaks),
        others=others,
    )
    # Beside one study of nearly all weight the information is a difference of equal numbers.
    known = information > ROUNDED * float(m.sum_ww[0])
    se = math.sqrt(2 / information) if known else math.nan
    return Tau2(value=value, se=se, method=method, certificate=certificate)


def search_grid(v: Array, top: float) -> Array:
    """Zero and points up to `top`, evenly spaced in log(τ² + min v)."""
    low = float(v.min())
    if top <= 0:
        return np.zeros(1)
    span = math.log((top + low) / low)
    count = int(min(max(FEWEST, DENSITY * span), MOST))
    grid = low * np.expm1(np.linspace(0.0, span, count))
    grid[-1] = top
    return grid


def _slope(m: Moments, restricted: bool) -> Array:
    return 0.5 * (m.ppy - (m.trace_p if restricted else m.sum_w))


def _peak(y: Array, v: Array, x: Array | None, low: float, high: float, restricted: bool) -> float:
    def both(t: float) -> tuple[float, float]:
        if x is None:
            return slope_of_mean(y, v, t, restricted)
        m = moments(y, v, x, np.array([t]))
        information = m.trace_pp if restricted else m.sum_ww
        return float(_slope(m, restricted)[0]), float(0.5 * information[0] - m.pppy[0])

    return safe_newton(both, low, high, floor=float(v.min()))


def q_at(y: Array, v: Array, x: Array | None, target: float) -> float:
    """The τ² at which the weighted residual sum of squares Q(τ²) falls to `target`; 0 if below.

    Q is strictly decreasing and S/(τ² + max v) ≤ Q ≤ S/(τ² + min v), which brackets the root; the
    steps are Newton's on 1/Q, which is nearly linear in τ². No upper cap.
    """
    if _q(y, v, x, 0.0)[0] <= target:
        return 0.0
    s = residual_sum_of_squares(y, x)
    low = max(s / target - float(v.max()), 0.0) * (1 - 1e-9)
    high = max(s / target - float(v.min()), 0.0) * (1 + 1e-9) + ROUNDING * float(v.min())

    def both(t: float) -> tuple[float, float]:
        q, ppy = _q(y, v, x, t)
        return 1 / target - 1 / q, -ppy / q**2

    return safe_newton(both, low, high, floor=float(v.min()))


def _q(y: Array, v: Array, x: Array | None, tau2: float) -> tuple[float, float]:
    if x is None:
        return q_of_mean(y, v, tau2)
    m = moments(y, v, x, np.array([tau2]))
    return float(m.q[0]), float(m.ppy[0])


def _paule_mandel(y: Array, v: Array, x: Array | None, method: str) -> Tau2:
    from scipy.special import chdtri

    k, p = len(y), coefficients(x)
    target = float(chdtri(k - p, 0.5)) if method == "PMM" else float(k - p)
    value = q_at(y, v, x, target)
    m = moments(y, v, x, np.array([value]))
    certificate = Certificate(
        gradient=float(m.q[0] - target) / (float(m.q[0]) + target),
        curvature=-float(m.ppy[0]),
        boundary=value == 0.0,
        maxima=1,
    )
    se = math.sqrt(2 * k**2 / (k - p)) / float(m.sum_w[0])
    return Tau2(value=value, se=se, method=method, certificate=certificate)


def _closed(value: float, variance: Callable[[float], float], method: str) -> Tau2:
    tau2 = max(value, 0.0)
    certificate = Certificate(gradient=0.0, curvature=math.nan, boundary=value <= 0.0, maxima=1)
    return Tau2(value=tau2, se=math.sqrt(variance(tau2)), method=method, certificate=certificate)


def _dersimonian_laird(y: Array, v: Array, x: Array | None, _: Array | None, method: str) -> Tau2:
    f, df = derive_fixed_form(y, v, x, 1 / v), len(y) - coefficients(x)
    return _closed(
        (f.q - df) / f.p, lambda t: (2 * df + 4 * t * f.p + 2 * t * t * f.pp) / f.p**2, method
    )


def _hunter_schmidt(y: Array, v: Array, x: Array | None, _: Array | None, method: str) -> Tau2:
    k, df = len(y), len(y) - coefficients(x)
    f, s = derive_fixed_form(y, v, x, 1 / v), float((1 / v).sum())
    factor = k / df if method == "HSk" else 1.0
    return _closed(
        (factor * f.q - k) / s,
        lambda t: (factor / s) ** 2 * (2 * df + 4 * t * f.p + 2 * t * t * f.pp),
        method,
    )


def _hedges(y: Array, v: Array, x: Array | None, _: Array | None, method: str) -> Tau2:
    f, df = derive_fixed_form(y, v, x, np.ones_like(v)), len(y) - coefficients(x)
    return _closed(
        (f.q - f.pv) / df, lambda t: (2 * f.pvpv + 4 * t * f.pv + 2 * t * t * df) / df**2, method
    )


def _sidik_jonkman(y: Array, v: Array, x: Array | None, _: Array | None, method: str) -> Tau2:
    df = len(y) - coefficients(x)
    crude = float(np.mean((y - y.mean()) ** 2))
    f = derive_fixed_form(y, v, x, 1 / (v + crude))
    return _closed(
        crude * f.q / df,
        lambda t: (crude / df) ** 2 * (2 * f.pvpv + 4 * t * f.pvp + 2 * t * t * f.pp),
        method,
    )


def _generalised_q(y: Array, v: Array, x: Array | None, weights: Array | None, method: str) -> Tau2:
    if weights is None:
        raise NumericalError(
            "not_estimable", f"{method} needs weights of its own, e.g. 1/v or 1/√v. Give them."
        )
    f = derive_fixed_form(y, v, x, weights)
    median = method == "GENQM"
    value = generalised_q_root(y, v, x, weights, 0.5) if median else (f.q - f.pv) / f.p
    return _closed(
        value, lambda t: (2 * f.pvpv + 4 * t * f.pvp + 2 * t * t * f.pp) / f.p**2, method
    )


_MOMENT = {
    "DL": _dersimonian_laird,
    "HS": _hunter_schmidt,
    "HSk": _hunter_schmidt,
    "HE": _hedges,
    "SJ": _sidik_jonkman,
    "GENQ": _generalised_q,
    "GENQM": _generalised_q,
}


def typical_variance(v: Array, x: Array | None) -> float:
    """(k − p)/tr P with weights 1/v: the "typical" sampling variance of Higgins & Thompson 2002."""
    df = len(v) - coefficients(x)
    m = moments(np.zeros_like(v), v, x, np.zeros(1))
    return df / float(m.trace_p[0])


def inconsistency(
    v: Array, x: Array | None, tau2: float, q: float, *, random: bool
) -> tuple[float, float]:
    """I² in percent and H² (Higgins & Thompson 2002); NaN where no degree of freedom is left.

    From τ² beside the typical variance where effects are `random`, else from `q`, Cochran's Q.
    """
    df = len(v) - coefficients(x)
    if df == 0:
        return math.nan, math.nan
    if not random:
        return (100 * max(0.0, (q - df) / q) if q > 0 else 0.0), q / df
    typical = typical_variance(v, x)
    return 100 * tau2 / (typical + tau2), tau2 / typical + 1
