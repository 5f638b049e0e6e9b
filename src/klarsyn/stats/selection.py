"""Selection models: pooling where a result's p-value decides whether it was published.

A study's density is w(p)·N(y; mu, v + tau²)/A, A its integral (Hedges 1992; Vevea & Hedges 1995;
Citkowicz & Vevea 2017). Step functions are integrated in closed form, smooth ones by
Gauss–Legendre panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.heterogeneity import estimate_tau2
from klarsyn.stats.rare_stratified import ChiSquare
from klarsyn.stats.selection_weights import SMOOTH, Smooth
from klarsyn.stats.weighted import fit

Array = np.ndarray
Evaluate = Callable[[Array], tuple[float, Array]]

ALTERNATIVES = ("greater", "less", "two.sided")
KINDS = ("stepfun", *SMOOTH)
SMALLEST_STEP, LARGEST = 1e-5, 1e4
SAME_HEIGHT = 1e-4  # of the log-likelihood: the searches before Newton's steps end within this
LARGEST_SLOPE = 1e-3  # left at a maximum, for effects in units of their typical error


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionFit:
    """Maximum-likelihood fit of a selection model.

    `delta` are the weight's parameters; of a step function the relative chances of each interval
    of p, the first being 1. Standard errors of parameters that are fixed or lie on their boundary
    are NaN. `test` compares with the model without selection. `gradient` is the largest slope
    left and `curvature` the least of the negative likelihood (both in units of the typical standard
    error), `maxima` how many maxima were found from all starts.
    """

    kind: str
    alternative: str
    steps: tuple[float, ...]
    counts: tuple[int, ...]
    mu: float
    se: float
    tau2: float
    se_tau2: float
    delta: tuple[float, ...]
    se_delta: tuple[float, ...]
    log_likelihood: float
    mu_unselected: float
    tau2_unselected: float
    test: ChiSquare
    boundary: bool
    gradient: float
    curvature: float
    maxima: int
    method: str


def fit_selection(
    y: Array,
    v: Array,
    *,
    kind: str = "stepfun",
    steps: Sequence[float] = (0.025,),
    alternative: str = "greater",
    precision: Array | None = None,
    fixed: Sequence[float | None] | None = None,
    tau2: float | None = None,
    smallest_p: float | None = None,
) -> SelectionFit:
    """Fit mu, tau² and the weight's parameters to effects y with sampling variances v.

    `alternative` says which p-value decides: of a positive effect (`greater`), a negative one
    (`less`) or either. `steps` are one-sided cut points for p of `stepfun`. `precision` (for
    instance standard errors; divided by its largest value) makes selection depend on size.
    `fixed` holds parameters at given values where not None (Vevea & Woods 2005), `tau2` holds tau².
    Smooth weights take p between `smallest_p` and 1 − `smallest_p`; left out it is 1e-5 for `beta`
    and `power`, whose weight has no limit at the ends, and 1e-16 for the others.

    Raises NumericalError `not_estimable` where an interval of p holds no study.
    """
    floor = smallest_p if smallest_p is not None else _smallest_p(kind)
    _check_choices(len(y), kind, alternative, precision, floor)
    sign = -1.0 if alternative == "less" else 1.0
    unit = math.sqrt(float(np.median(v)))
    x, scaled = sign * y / unit, v / unit**2
    cuts = _check_steps(steps) if kind == "stepfun" else ()
    counts = _occupied(x / np.sqrt(scaled), cuts, alternative, fixed) if cuts else ()
    none, starts, smallest = _parameters(kind, len(cuts))
    held = _held(fixed, len(none), kind)
    held_tau2 = None if tau2 is None else tau2 / unit**2
    tau2_0 = estimate_tau2(x, scaled, method="ML").value if held_tau2 is None else held_tau2
    mu_0 = float(fit(x, scaled, None, tau2_0).beta[0])
    integral = _integral(kind, np.sqrt(scaled), cuts, alternative, _weights(precision), floor)
    evaluate = _likelihood(x, scaled, kind, cuts, alternative, integral)
    best = _climb(evaluate, _Start(mu_0, tau2_0, starts, none), held, held_tau2, smallest)
    at, value, gradient, covariance, free, maxima = best
    se = np.full(len(at), math.nan)
    se[free] = np.sqrt(np.diag(covariance))
    estimated = np.array([h is None for h in held])
    ratio = max(2 * (value - _normal(x, scaled, mu_0, tau2_0)), 0.0)
    df = int(estimated[1:].sum() if kind == "stepfun" else estimated.sum())
    return SelectionFit(
        kind=kind, alternative=alternative, steps=tuple(cuts), counts=counts,
        mu=sign * float(at[0]) * unit, se=float(se[0]) * unit, tau2=float(at[1]) * unit**2,
        se_tau2=float(se[1]) * unit**2, delta=tuple(map(float, at[2:])),
        se_delta=tuple(map(float, se[2:])), log_likelihood=value - len(y) * math.log(unit),
        mu_unselected=sign * mu_0 * unit, tau2_unselected=tau2_0 * unit**2,
        test=ChiSquare(name="likelihood ratio", value=ratio, df=df),
        boundary=bool(at[1] <= 0 or (~free[2:] & estimated).any()),
        gradient=gradient, curvature=float(1 / np.linalg.eigvalsh(covariance)[-1]), maxima=maxima,
        method=f"selection model {kind}, p {alternative}",
    )  # fmt: skip


def _check_choices(
    k: int, kind: str, alternative: str, precision: Array | None, floor: float
) -> None:
    if alternative not in ALTERNATIVES:
        raise unknown_name("alternative", alternative, ALTERNATIVES)
    if kind not in KINDS:
        raise unknown_name("selection model", kind, KINDS)
    if precision is not None and (kind == "stepfun" or not SMOOTH[kind].takes_precision):
        raise InputError(f"The weight function {kind!r} does not take a precision; leave it out.")
    if not 0 < floor < 0.5:
        raise InputError(f"`smallest_p` lies between 0 and 0.5; {floor:g} does not.")
    if k < 3:
        raise NumericalError("too_few_studies", f"A selection model needs 3 studies, not {k}.")


@dataclass(frozen=True, slots=True)
class _Start:
    mu: float
    tau2: float
    deltas: tuple[tuple[float, ...], ...]
    none: tuple[float, ...]


def _check_steps(steps: Sequence[float]) -> tuple[float, ...]:
    cuts = tuple(sorted({float(s) for s in steps} - {1.0}))
    if not cuts or cuts[0] <= 0 or cuts[-1] >= 1:
        raise InputError(
            f"Steps are p-values between 0 and 1, at least one of them; {list(steps)} is not that."
        )
    return cuts


def _occupied(
    z: Array, cuts: tuple[float, ...], alternative: str, fixed: Sequence[float | None] | None
) -> tuple[int, ...]:
    p = 2 * special.ndtr(-np.abs(z)) if alternative == "two.sided" else special.ndtr(-z)
    where = np.searchsorted(cuts, p, side="left")
    counts = tuple(int((where == i).sum()) for i in range(len(cuts) + 1))
    edges = (0.0, *cuts, 1.0)
    for i, count in enumerate(counts):
        if count == 0 and (fixed is None or fixed[i] is None):
            raise NumericalError(
                "not_estimable",
                f"No study has a p-value between {edges[i]:g} and {edges[i + 1]:g}, so its chance "
                "of publication cannot be estimated. Use fewer steps or hold it with `fixed`.",
            )
    return counts


def _parameters(
    kind: str, cuts: int
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...], float]:
    """Parameters that mean no selection, starting values, and the smallest value allowed."""
    if kind == "stepfun":
        none = (1.0,) * (cuts + 1)
        return none, (none, (1.0, *((0.3,) * cuts))), SMALLEST_STEP
    return SMOOTH[kind].none, SMOOTH[kind].starts, SMOOTH[kind].smallest


def _held(fixed: Sequence[float | None] | None, size: int, kind: str) -> tuple[float | None, ...]:
    held = (None,) * size if fixed is None else tuple(fixed)
    if len(held) != size:
        raise InputError(f"`fixed` needs {size} entries for this model, not {len(held)}.")
    return (1.0 if held[0] is None else held[0], *held[1:]) if kind == "stepfun" else held


def _smallest_p(kind: str) -> float:
    return SMOOTH[kind].smallest_p if kind in SMOOTH else 1e-16


def _integral(
    kind: str, s: Array, cuts: tuple[float, ...], alternative: str, precision: Array, floor: float
) -> _Integral:
    if kind == "stepfun":
        return _step_integral(s, cuts, alternative)
    return _smooth_integral(s, SMOOTH[kind], alternative, precision, floor)


def _weights(precision: Array | None) -> Array:
    if precision is None:
        return np.ones((1, 1))
    return (np.asarray(precision, dtype=float) / np.max(precision))[:, None]


def _normal(x: Array, v: Array, mu: float, tau2: float) -> float:
    total = v + tau2
    return float(-0.5 * (np.log(2 * math.pi * total) + (x - mu) ** 2 / total).sum())


def _likelihood(
    x: Array, v: Array, kind: str, cuts: tuple[float, ...], alternative: str, integral: _Integral
) -> Evaluate:
    """The log-likelihood and its slopes in (mu, tau², delta…)."""
    own = x / np.sqrt(v)
    if kind == "stepfun":
        own = _step_index(own, cuts, alternative)

    def evaluate(at: Array) -> tuple[float, Array]:
        mu, tau2, delta = at[0], at[1], at[2:]
        total = v + tau2
        r = x - mu
        value = -0.5 * (np.log(2 * math.pi * total) + r**2 / total)
        slopes = np.stack([r / total, 0.5 * (r**2 / total - 1) / total])
        log_w, by_delta = integral.weight(own, delta)
        log_a, a_slopes = integral.log_area(mu, tau2, delta)
        if not np.all(np.isfinite(log_a)):
            return -math.inf, np.zeros_like(at)
        gradient = np.concatenate([slopes, by_delta]) - a_slopes
        return float((value + log_w - log_a).sum()), gradient.sum(axis=1)

    return evaluate


@dataclass(frozen=True, slots=True)
class _Integral:
    weight: Callable[[Array, Array], tuple[Array, Array]]
    log_area: Callable[[float, float, Array], tuple[Array, Array]]


def _step_index(z: Array, cuts: tuple[float, ...], alternative: str) -> Array:
    p = 2 * special.ndtr(-np.abs(z)) if alternative == "two.sided" else special.ndtr(-z)
    return np.searchsorted(cuts, p, side="left").astype(float)


def _step_integral(s: Array, cuts: tuple[float, ...], alternative: str) -> _Integral:
    two = alternative == "two.sided"
    share = np.array(cuts) / (2 if two else 1)
    upper = np.concatenate([[np.inf], -special.ndtri(share), [0.0 if two else -np.inf]])

    def weight(index: Array, delta: Array) -> tuple[Array, Array]:
        chosen = index.astype(int)
        slopes = np.zeros((len(delta), len(s)))
        slopes[chosen, np.arange(len(s))] = 1 / delta[chosen]
        return np.log(delta[chosen]), slopes

    def log_area(mu: float, tau2: float, delta: Array) -> tuple[Array, Array]:
        total = s**2 + tau2
        root = np.sqrt(total)
        area, by_mu, by_tau2 = _bands(upper[:, None] * s, mu, root)
        if two:
            other = _bands(-upper[:, None] * s, mu, root)
            area, by_mu, by_tau2 = area - other[0], by_mu - other[1], by_tau2 - other[2]
        scaled = delta[:, None]
        whole = (scaled * area).sum(axis=0)
        by_delta = area / whole
        slopes = np.stack([(scaled * by_mu).sum(axis=0), (scaled * by_tau2).sum(axis=0)]) / whole
        return np.log(whole), np.concatenate([slopes, by_delta])

    return _Integral(weight, log_area)


def _bands(edges: Array, mu: float, root: Array) -> tuple[Array, Array, Array]:
    """Probabilities between neighbouring edges (falling), and their slopes in mu and tau²."""
    b = (edges - mu) / root
    tail = special.ndtr(-b)
    height = np.exp(-0.5 * b**2) / math.sqrt(2 * math.pi)
    bent = np.where(np.isfinite(b), np.nan_to_num(b) * height, 0.0)
    return (
        np.diff(tail, axis=0),
        np.diff(height, axis=0) / root,
        np.diff(bent, axis=0) / (2 * root**2),
    )


def _smooth_integral(
    s: Array, smooth: Smooth, alternative: str, precision: Array, smallest_p: float
) -> _Integral:
    """Gauss–Legendre panels where the weight varies, normal tail areas where it does not."""
    two = alternative == "two.sided"
    z, quadrature, tails = _panels(smallest_p, two)
    log_p = _log_p(np.concatenate([z, tails]), two, smallest_p)
    edges = tails[:, None] * s

    def weight(own: Array, delta: Array) -> tuple[Array, Array]:
        at = _log_p(own[:, None], two, smallest_p)
        log_w, slopes = smooth.log_weight(*at, precision, delta)
        return log_w[:, 0], slopes[..., 0]

    def log_area(mu: float, tau2: float, delta: Array) -> tuple[Array, Array]:
        root = np.sqrt(s**2 + tau2)
        t = (z * s[:, None] - mu) / root[:, None]
        density = np.exp(-0.5 * t**2) * quadrature * (s / (root * math.sqrt(2 * math.pi)))[:, None]
        mass, by_mu, by_tau2 = _tails(edges, mu, root)
        log_w, slopes = smooth.log_weight(*log_p, precision, delta)
        top = log_w.max()
        w = np.broadcast_to(np.exp(log_w - top), (len(s), log_p[0].shape[1]))
        inner, outer = w[:, : len(z)], w[:, len(z) :]
        area = np.concatenate([inner * density, outer * mass], axis=1)
        whole = area.sum(axis=1)
        scale = root[:, None]
        slope_mu = (area[:, : len(z)] * t / scale).sum(axis=1) + (outer * by_mu).sum(axis=1)
        slope_tau2 = (area[:, : len(z)] * (t**2 - 1) / (2 * scale**2)).sum(axis=1)
        slope_tau2 += (outer * by_tau2).sum(axis=1)
        by_delta = (area * slopes).sum(axis=2)
        if not (whole > 0).all():
            return np.full(len(s), np.nan), np.zeros((2 + len(delta), len(s)))
        return top + np.log(whole), np.stack([slope_mu, slope_tau2, *by_delta]) / whole

    return _Integral(weight, log_area)


def _panels(smallest_p: float, two: bool) -> tuple[Array, Array, Array]:
    """Nodes z and weights where p varies, and the edges (upper, lower) of the constant tails."""
    outer = -float(special.ndtri(smallest_p / (2 if two else 1)))
    if two:
        start = -float(special.ndtri((1 - smallest_p) / 2))
        near = np.geomspace(max(start, 1e-12), 1.0, 13)
        half = np.unique([*near, *np.linspace(1, outer, max(2, math.ceil(outer)))])
        edges = np.concatenate([-half[::-1], half])
    else:
        edges = np.linspace(-outer, outer, 2 * math.ceil(outer) + 1)
    node, weight = np.polynomial.legendre.leggauss(12)
    width = 0.5 * np.diff(edges)[:, None]
    z = (edges[:-1, None] + width * (1 + node)).ravel()
    return z, (width * weight).ravel(), np.array([outer, -outer])


def _tails(edges: Array, mu: float, root: Array) -> tuple[Array, Array, Array]:
    """Normal mass above the first and below the second edge, and its slopes in mu and tau²."""
    b = (edges - mu) / root
    height = np.exp(-0.5 * b**2) / math.sqrt(2 * math.pi)
    side = np.array([[1.0], [-1.0]])
    return (
        special.ndtr(-side * b).T,
        (side * height / root).T,
        (side * b * height / (2 * root**2)).T,
    )


def _log_p(z: Array, two: bool, smallest_p: float) -> tuple[Array, Array]:
    """log p and log(1 − p), p kept between `smallest_p` and 1 − `smallest_p`; shape (1 or k, n)."""
    low, high = math.log(smallest_p), math.log1p(-smallest_p)
    if two:
        log_p = np.clip(math.log(2) + special.log_ndtr(-np.abs(z)), low, min(high, -1e-17))
        log_q = np.log(-np.expm1(log_p))
    else:
        log_p, log_q = special.log_ndtr(-z), special.log_ndtr(z)
    return np.atleast_2d(np.clip(log_p, low, high)), np.atleast_2d(np.clip(log_q, low, high))


def _climb(
    evaluate: Evaluate,
    start: _Start,
    held: tuple[float | None, ...],
    tau2: float | None,
    smallest: float,
) -> tuple[Array, float, float, Array, NDArray[np.bool_], int]:
    """The highest maximum from all starts: parameters, value, slope left, covariance, free ones.

    Last, how many maxima of different height were found.
    """
    best: tuple[Array, float] | None = None
    heights: list[float] = []
    for delta in (*start.deltas, start.none):
        first = np.array([start.mu, start.tau2, *delta])
        bounds = [(-LARGEST, LARGEST), (0.0, LARGEST)] + [(smallest, LARGEST)] * len(delta)
        for i, value in enumerate((None, tau2, *held)):
            if value is not None:
                first[i], bounds[i] = value, (value, value)
        found = _minimise(evaluate, first, bounds)
        heights.append(found[1])
        if best is None or found[1] > best[1] + 1e-9:
            best = found
    assert best is not None
    at, value = best
    free = np.array(
        [tau2 is None if i == 1 else i == 0 or held[i - 2] is None for i in range(len(at))]
    )
    lower = np.array([-np.inf, 0.0, *[smallest] * len(held)])
    slope = evaluate(at)[1]
    free &= ~((at <= lower + 1e-7) & (slope <= 1e-6))
    at, value, gradient, hessian = _polish(evaluate, at, free, lower)
    if gradient > LARGEST_SLOPE:
        raise NumericalError(
            "not_converged",
            f"The selection model found no maximum (largest slope {gradient:.2g} in standard "
            "units). Fewer steps, another weight function or held parameters may fit.",
        )
    if not np.all(np.linalg.eigvalsh(-hessian) > 0):
        raise NumericalError(
            "not_converged",
            "The selection model's likelihood has no curvature at its best point: the data cannot "
            "tell its parameters apart. Hold some of them with `fixed`.",
        )
    maxima = int(1 + (np.diff(sorted(heights)) > SAME_HEIGHT).sum())
    return at, value, gradient, np.linalg.inv(-hessian), free, maxima


def _minimise(evaluate: Evaluate, first: Array, bounds: list) -> tuple[Array, float]:
    def downhill(p: Array) -> tuple[float, Array]:
        value, slope = evaluate(p)
        return (-value, -slope) if math.isfinite(value) else (1e10, np.zeros_like(p))

    found = optimize.minimize(
        downhill, first, jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 300, "ftol": 1e-13, "gtol": 1e-8},
    )  # fmt: skip
    return found.x, -float(found.fun)


def _polish(
    evaluate: Evaluate, at: Array, free: NDArray[np.bool_], lower: Array
) -> tuple[Array, float, float, Array]:
    """Newton steps on the free parameters; the curvature from differences of exact slopes."""
    value, slope = evaluate(at)
    hessian = _curvature(evaluate, at, free, lower)
    for _ in range(8):
        if np.linalg.eigvalsh(hessian)[-1] >= 0:
            break
        step = np.zeros_like(at)
        step[free] = -np.linalg.solve(hessian, slope[free])
        trial = at + step
        if (trial[free] < lower[free]).any():
            break
        new = evaluate(trial)
        if new[0] < value - 1e-10:
            break
        at, (value, slope) = trial, new
        if np.abs(step).max() < 1e-9:
            break
        hessian = _curvature(evaluate, at, free, lower)
    return at, value, float(np.abs(slope[free]).max()), hessian


def _curvature(evaluate: Evaluate, at: Array, free: NDArray[np.bool_], lower: Array) -> Array:
    places = np.flatnonzero(free)
    rows = []
    for i in places:
        step = min(1e-4 * max(1.0, abs(at[i])), 0.4 * max(at[i] - lower[i], 1e-7))
        move = np.zeros_like(at)
        move[i] = step
        rows.append((evaluate(at + move)[1] - evaluate(at - move)[1])[free] / (2 * step))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2
