"""Survival curves of several studies become one: by intervals, or by a parametric model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.survival import SurvivalCurve

MODELS = ("weibull", "lognormal")
_STEEPEST = math.log(200.0)  # shape: all relapses within a hundredth of their time
_NODES = np.linspace(-7.0, 7.0, 141)  # standard normal deviates; spacing 0.1
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.sqrt(2 * np.pi) * (_NODES[1] - _NODES[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledCurve:
    """Pooled survival at each time, with limits for the mean curve and for a new study's curve.

    `variance` is that of log survival; `between` is the covariance between studies of the
    transformed interval survival; `studies` counts those still followed in each interval. With one
    study the prediction limits are NaN.
    """

    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    predicted_low: NDArray[np.float64]
    predicted_high: NDArray[np.float64]
    variance: NDArray[np.float64]
    between: NDArray[np.float64]
    studies: NDArray[np.int64]
    q: float
    df: int
    i2: float
    level: float
    method: str


def pool_curves(
    curves: Sequence[SurvivalCurve],
    times: ArrayLike,
    *,
    heterogeneity: str = "random",
    reference: str = "t",
    level: float = 0.95,
) -> PooledCurve:
    """Pool the survival from each time to the next over studies, then multiply.

    Combescure, Foucher and Jackson 2014 (Stat Med 33:2521): arcsine square root of the conditional
    survival, variance 1 / (4 n) with the effective number at risk n, independent within a study;
    `random` adds a between-study covariance by the multivariate method of moments (Jackson, White,
    Thompson 2010), `common` none. A study counts in the intervals that it follows to their end.
    Limits by the delta method on log(−log), with normal quantiles or those of t with one degree of
    freedom less than studies (`reference`; several studies and random effects only).
    Needs no distribution, only times that studies share.
    An interval in which a study loses nobody, or all, counts with a quarter participant added to
    each side.
    """
    if heterogeneity not in ("random", "common"):
        raise unknown_name("heterogeneity", heterogeneity, ("random", "common"))
    grid, y, v = _intervals(curves, times)
    between = _moment_covariance(y, v) if heterogeneity == "random" else np.zeros((grid.size,) * 2)
    mean, covariance = _weighted_mean(y, v, between)
    q, df = _cochran(y, v)
    if reference not in ("t", "normal"):
        raise unknown_name("reference distribution", reference, ("t", "normal"))
    several = len(curves) > 1 and heterogeneity == "random" and reference == "t"
    quantile = _quantile(level, len(curves) - 1 if several else math.inf)
    low, high, p_low, p_high, survival, variance = _product(mean, covariance, between, quantile)
    if len(curves) < 2:  # one study says nothing about the next
        p_low, p_high = np.full_like(low, np.nan), np.full_like(high, np.nan)
    return PooledCurve(
        time=grid,
        survival=survival,
        low=low,
        high=high,
        predicted_low=p_low,
        predicted_high=p_high,
        variance=variance,
        between=between,
        studies=np.isfinite(y).sum(axis=0),
        q=q,
        df=df,
        i2=max(0.0, 1 - df / q) if q > 0 else 0.0,
        level=level,
        method=(
            f"interval-conditional survival, arcsine, {heterogeneity} effects, "
            f"{'t' if several else 'normal'} limits"
        ),
    )


def _intervals(
    curves: Sequence[SurvivalCurve], times: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The times, and each study's conditional survival and variance up to each from the last."""
    grid = np.asarray(times, dtype=float)
    if grid.size < 1 or np.any(np.diff(grid) <= 0) or grid[0] <= 0:
        raise InputError("The times to pool at must increase from above 0.")
    y, v = _conditional(curves, np.r_[0.0, grid])
    followed = np.isfinite(y).any(axis=0)
    if not followed.all():
        raise InputError(
            f"No study is followed to time {grid[int(np.argmin(followed))]:g}. Use earlier times."
        )
    return grid, y, v


def _conditional(
    curves: Sequence[SurvivalCurve], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Transformed conditional survival and its variance, studies × intervals, NaN when absent."""
    y = np.full((len(curves), grid.size - 1), np.nan)
    v = np.full_like(y, np.nan)
    for i, curve in enumerate(curves):
        s = curve.at(grid)
        n = _effective_at_risk(curve, grid)
        for j in range(grid.size - 1):
            if curve.last_time >= grid[j + 1] and s[j] > 0 and n[j] > 0:
                p = s[j + 1] / s[j]
                p = (p * n[j] + 0.25) / (n[j] + 0.5) if p in (0.0, 1.0) else p
                y[i, j] = math.asin(math.sqrt(p))
                v[i, j] = 1 / (4 * n[j])
    return y, v


def _effective_at_risk(curve: SurvivalCurve, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers at risk that give Greenwood's variance of each interval's survival."""
    start = curve.number_at_risk(np.nextafter(grid[:-1], np.inf)).astype(float)
    s = curve.at(grid)
    greenwood = np.r_[0.0, curve.variance][np.searchsorted(curve.time, grid, side="right")]
    gain = np.diff(greenwood)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = s[1:] / s[:-1]
        effective = (1 - p) / (p * gain)
    return np.where(np.isfinite(effective) & (gain > 0), effective, start)


def _moment_covariance(y: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    size = y.shape[1]
    tau = np.zeros((size, size))
    for r in range(size):
        for s in range(r, size):
            both = np.isfinite(y[:, r]) & np.isfinite(y[:, s])
            if both.sum() < 2:
                continue
            w = 1 / np.sqrt(v[both, r] * v[both, s])
            a, b = y[both, r], y[both, s]
            q = float(w @ ((a - w @ a / w.sum()) * (b - w @ b / w.sum())))
            excess = q - (both.sum() - 1 if r == s else 0)
            tau[r, s] = tau[s, r] = excess / (w.sum() - (w**2).sum() / w.sum())
    values, vectors = np.linalg.eigh(tau)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _weighted_mean(
    y: NDArray[np.float64], v: NDArray[np.float64], between: NDArray[np.float64]
) -> tuple[Any, Any]:
    size = y.shape[1]
    information, total = np.zeros((size, size)), np.zeros(size)
    for row, variance in zip(y, v, strict=True):
        seen = np.flatnonzero(np.isfinite(row))
        if not seen.size:
            continue
        weight = np.linalg.inv(between[np.ix_(seen, seen)] + np.diag(variance[seen]))
        information[np.ix_(seen, seen)] += weight
        total[seen] += weight @ row[seen]
    covariance = np.linalg.inv(information)
    return covariance @ total, covariance


def _cochran(y: NDArray[np.float64], v: NDArray[np.float64]) -> tuple[float, int]:
    w = np.where(np.isfinite(y), 1 / v, 0.0)
    mean = np.nansum(w * np.nan_to_num(y), axis=0) / w.sum(axis=0)
    q = float(np.nansum(w * np.nan_to_num(y - mean) ** 2))
    return q, int(np.isfinite(y).sum() - y.shape[1])


def _quantile(level: float, df: float) -> float:
    from scipy import special

    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    share = 0.5 + level / 2
    return float(special.ndtri(share) if math.isinf(df) else special.stdtrit(df, share))


def _product(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    between: NDArray[np.float64],
    quantile: float,
) -> tuple[Any, ...]:
    inside = np.clip(mean, 1e-9, np.pi / 2 - 1e-9)
    log_survival = np.cumsum(2 * np.log(np.sin(inside)))
    slope = np.tril(np.tile(2 / np.tan(inside), (mean.size, 1)))
    variance = np.einsum("ij,jk,ik->i", slope, covariance, slope)
    spread = variance + np.einsum("ij,jk,ik->i", slope, between, slope)
    survival = np.exp(log_survival)

    def limits(var: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        factor = np.exp(quantile * np.sqrt(var) / np.abs(log_survival))
        return np.exp(log_survival * factor), np.exp(log_survival / factor)

    return *limits(variance), *limits(spread), survival, variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What one study contributes to a parametric relapse model.

    Participants' times and events; or `relapsed` of `counted` at `fixed_time` where only that was
    published; or both for different participants.
    """

    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    fixed_time: float = math.nan
    relapsed: int = 0
    counted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelapseModel:
    """A parametric survival model whose scale differs between studies.

    Weibull: S(t) = exp(−exp(location + u) t^shape). Log-normal: log t is normal with mean
    location + u and standard deviation 1 / shape. u is normal between studies with standard
    deviation `tau`. `location`, `log_shape` carry standard errors; `covariance` is that of
    (location, log shape, log tau), tau's row zero when it lies on its boundary.
    """

    model: str
    location: Estimate
    log_shape: Estimate
    tau: float
    log_likelihood: float
    aic: float
    covariance: NDArray[np.float64]
    gradient: float
    studies: int

    def survival(self, times: ArrayLike, deviation: float = 0.0) -> NDArray[np.float64]:
        """Survival of a study that lies `deviation` between-study standard deviations off."""
        t = np.asarray(times, dtype=float)
        return _model_survival(
            self.model,
            t,
            self.location.value + deviation * self.tau,
            math.exp(self.log_shape.value),
        )

    def interval(self, times: ArrayLike, level: float = 0.95) -> tuple[Any, Any]:
        """Limits of the typical study's survival, by the delta method on the linear scale.

        Where studies differ, from t with one degree of freedom less than studies.
        """
        t = np.asarray(times, dtype=float)
        shape = math.exp(self.log_shape.value)
        eta, slopes = _linear(self.model, t, self.location.value, shape)
        se = np.sqrt(np.einsum("ij,jk,ik->i", slopes, self.covariance[:2, :2], slopes))
        half = _quantile(level, self.studies - 1 if self.tau > 0 else math.inf) * se
        a, b = _from_linear(self.model, eta - half), _from_linear(self.model, eta + half)
        return np.minimum(a, b), np.maximum(a, b)


def fit_relapse(studies: Sequence[Followed], *, model: str) -> RelapseModel:
    """Maximum likelihood over all studies at once, the study effect integrated numerically.

    `model` is `weibull` or `lognormal`. Event times must be above 0. Raises NumericalError when no
    study has an event, or the search fails; with one study tau is 0.
    """
    if model not in MODELS:
        raise unknown_name("relapse model", model, MODELS)
    data = [_prepared(s) for s in studies]
    _check_relapses(data)
    start = _starting_values(data, model)
    several = len(data) > 1

    def negative(x: NDArray[np.float64], tau: float | None = None) -> float:
        spread = math.exp(x[2]) if tau is None else tau
        return -_likelihood(data, model, x[0], math.exp(x[1]), spread)

    flat = minimise(lambda x: negative(x, 0.0), start[:2])
    best, tau = flat, 0.0
    if several:
        free = minimise(negative, np.r_[flat.x, math.log(0.3)])
        if free.fun < flat.fun - 1e-8 and math.exp(free.x[2]) > 1e-4:
            best, tau = free, math.exp(free.x[2])
    if best.x[1] > _STEEPEST:
        raise NumericalError(
            "not_estimable",
            "The relapses stand so close in time that the shape of the curve has no finite "
            "estimate. Give the days apart, or use the Kaplan–Meier curve.",
        )
    covariance, gradient = curvature(negative if tau else lambda x: negative(x, 0.0), best.x)
    full = np.zeros((3, 3))
    full[: best.x.size, : best.x.size] = covariance
    return RelapseModel(
        model=model,
        location=Estimate(value=float(best.x[0]), se=math.sqrt(full[0, 0]), method=model),
        log_shape=Estimate(
            value=float(best.x[1]), se=math.sqrt(full[1, 1]), method=model, scale="log"
        ),
        tau=tau,
        log_likelihood=-float(best.fun),
        aic=2 * float(best.fun) + 2 * (2 + several),
        covariance=full,
        gradient=gradient,
        studies=len(data),
    )


def _prepared(study: Followed) -> Followed:
    time = np.asarray(study.time, dtype=float)
    event = np.asarray(study.event, dtype=bool)
    wrong = np.flatnonzero(~np.isfinite(time) | (time < 0))
    if wrong.size:
        raise InputError(
            f"Participant {wrong[0] + 1} has the time {time[wrong[0]]:g}; times are numbers ≥ 0."
        )
    if np.any(time[event] <= 0):
        raise InputError("An event at time 0 has no likelihood; count it as never in remission.")
    if study.counted and not (study.fixed_time > 0 and 0 <= study.relapsed <= study.counted):
        raise InputError(
            f"{study.relapsed} of {study.counted} relapsed by time {study.fixed_time:g}: the time "
            f"must be above 0 and the relapses at most the number counted."
        )
    keep = time > 0
    return Followed(
        time=time[keep],
        event=event[keep],
        fixed_time=study.fixed_time,
        relapsed=study.relapsed,
        counted=study.counted,
    )


def _check_relapses(data: Sequence[Followed]) -> None:
    if not any(s.event.any() or 0 < s.relapsed < s.counted for s in data):
        raise NumericalError(
            "not_estimable", "No study has a relapse, so no relapse curve can be estimated."
        )


def _starting_values(data: Sequence[Followed], model: str) -> NDArray[np.float64]:
    events = sum(int(s.event.sum()) + s.relapsed for s in data)
    exposure = sum(
        float(s.time.sum()) + (s.counted * s.fixed_time if s.counted else 0.0) for s in data
    )
    rate = math.log(max(events, 1) / exposure)
    return np.array([rate if model == "weibull" else -rate, 0.0, math.log(0.3)])


def _likelihood(
    data: Sequence[Followed], model: str, location: float, shape: float, tau: float
) -> float:
    total = 0.0
    shifts = location + tau * _NODES if tau > 0 else np.array([location])
    for study in data:
        ll = _study_likelihood(study, model, shifts, shape)
        top = float(ll.max())
        if not math.isfinite(top):
            return -1e12
        total += top + (math.log(float(_WEIGHTS @ np.exp(ll - top))) if tau > 0 else 0.0)
    return total


def _study_likelihood(
    study: Followed, model: str, shifts: NDArray[np.float64], shape: float
) -> NDArray[np.float64]:
    from scipy import special

    t, e = study.time, study.event
    with np.errstate(over="ignore"):
        if model == "weibull":
            log_events = float(((shape - 1) * np.log(t[e]) + math.log(shape)).sum())
            total = e.sum() * shifts + log_events - np.exp(shifts) * float((t**shape).sum())
        else:
            z = (np.log(t)[:, None] - shifts) * shape
            density = -0.5 * z[e] ** 2 - 0.5 * math.log(2 * math.pi) + math.log(shape)
            total = (density - np.log(t[e])[:, None]).sum(axis=0)
            total = total + special.log_ndtr(-z[~e]).sum(axis=0)
    if study.counted:
        s = _model_survival(model, np.array(study.fixed_time), shifts, shape)
        total = total + special.xlogy(study.relapsed, 1 - s)
        total = total + special.xlogy(study.counted - study.relapsed, s)
    return np.where(np.isfinite(total), total, -1e12)


def _model_survival(model: str, t: Any, location: Any, shape: float) -> Any:
    from scipy import special

    with np.errstate(divide="ignore"):
        log_t = np.log(t)
    if model == "weibull":
        return np.exp(-np.exp(location + shape * log_t))
    return special.ndtr(-(log_t - location) * shape)


def _linear(model: str, t: NDArray[np.float64], location: float, shape: float) -> tuple[Any, Any]:
    log_t = np.log(t)
    if model == "weibull":
        return location + shape * log_t, np.column_stack([np.ones_like(t), shape * log_t])
    eta = -(log_t - location) * shape
    return eta, np.column_stack([np.full_like(t, shape), eta])


def _from_linear(model: str, eta: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import special

    return np.exp(-np.exp(eta)) if model == "weibull" else special.ndtr(eta)


def minimise(function: Any, start: NDArray[np.float64]) -> Any:
    """The better of a simplex and a quasi-Newton search; NumericalError without a finite value."""
    from scipy import optimize

    rough = optimize.minimize(
        function, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
    )
    fine = optimize.minimize(function, rough.x, method="BFGS", options={"gtol": 1e-7})
    best = fine if fine.fun <= rough.fun else rough
    if not math.isfinite(best.fun) or best.fun >= 1e11:
        raise NumericalError("not_converged", "The relapse model found no finite likelihood.")
    return best


def curvature(function: Any, x: NDArray[np.float64]) -> tuple[Any, float]:
    """Inverse Hessian and largest gradient by central differences."""
    size, step = x.size, 1e-4
    unit = np.eye(size) * step
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            hessian[i, j] = hessian[j, i] = (
                function(x + unit[i] + unit[j])
                - function(x + unit[i] - unit[j])
                - function(x - unit[i] + unit[j])
                + function(x - unit[i] - unit[j])
            ) / (4 * step**2)
    gradient = max(abs(function(x + u) - function(x - u)) / (2 * step) for u in unit)
    if np.any(np.linalg.eigvalsh(hessian) <= 0):
        raise NumericalError(
            "degenerate", "The likelihood of the relapse model has no curvature at its maximum."
        )
    return np.linalg.inv(hessian), gradient
