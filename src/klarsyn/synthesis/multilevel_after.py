"""After a multilevel fit: profile-likelihood intervals, predictions and predicted deviations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats import linear_mixed
from klarsyn.stats.bounded_newton import minimise
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.multilevel import MultilevelFit, Wald
from klarsyn.synthesis.multilevel_model import Model

Vector = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileInterval:
    """Limits where twice the profile log-likelihood falls by the chi-square quantile.

    `open_low` and `open_high` say that the likelihood never falls so far on that side: the limit
    is then the parameter's bound.
    """

    component: str
    estimate: float
    low: float
    high: float
    level: float
    open_low: bool
    open_high: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """The predicted random deviation of one level: best linear unbiased prediction and its SE."""

    term: str
    level: Any
    value: float
    se: float


def profile_interval(fit: MultilevelFit, component: str, level: float = 0.95) -> ProfileInterval:
    """Profile-likelihood interval of a variance or correlation, all else re-estimated.

    Raises UnknownNameError for a name that is not in `fit.components`, InputError for a component
    of an unstructured matrix with more than two levels, whose parameters are not components.
    """
    from scipy.special import chdtri

    at, power, unit = _place(fit, component)
    model = fit.model
    restricted = fit.method == "REML"
    local = linear_mixed.objective(model.problem, model.elements, restricted)
    lower = np.concatenate([t.family.lower for t in model.terms])
    upper = np.concatenate([t.family.upper for t in model.terms])
    best = local(model.phi)
    assert best is not None
    drop = float(chdtri(1, 1 - level))
    memory = {float(model.phi[at]): model.phi}

    def excess(value: float) -> float:
        nearest = memory[min(memory, key=lambda known: abs(known - value))].copy()
        nearest[at] = value
        low, high = lower.copy(), upper.copy()
        low[at] = high[at] = value
        end = minimise(local, nearest, low, high)
        memory[value] = end.at
        return end.local.value - best.value - drop

    here = float(model.phi[at])
    low, open_low = _edge(excess, here, float(lower[at]), best.scoring[at, at])
    high, open_high = _edge(excess, here, float(upper[at]), best.scoring[at, at])
    return ProfileInterval(
        component=component,
        estimate=fit.components[component],
        low=low**power * unit,
        high=high**power * unit,
        level=level,
        open_low=open_low,
        open_high=open_high,
    )


def likelihood_ratio(full: MultilevelFit, reduced: MultilevelFit) -> Wald:
    """Twice the difference in log-likelihood with the difference in parameters as df.

    Both models must be fitted by the same method to the same effects; with REML they must have the
    same design. On the boundary (a variance of zero) the p value is conservative.
    """
    from scipy.special import chdtrc

    one, two = full.model, reduced.model
    if full.method != reduced.method or not np.array_equal(one.y, two.y):
        raise InputError("Compare models of the same effects fitted by the same method.")
    if full.method == "REML" and not np.array_equal(one.X, two.X):
        raise InputError("REML likelihoods of different designs do not compare; fit both by ML.")
    df = (one.X.shape[1] + one.phi.size) - (two.X.shape[1] + two.phi.size)
    statistic = 2 * (full.log_likelihood - reduced.log_likelihood)
    if df <= 0:
        raise InputError("The first model must have more parameters than the second.")
    return Wald(statistic=statistic, df=df, df2=math.inf, p=float(chdtrc(df, max(statistic, 0.0))))


def _place(fit: MultilevelFit, component: str) -> tuple[int, int, float]:
    """Index of the parameter, the power that makes it the component, and the unit."""
    if component not in fit.components:
        raise unknown_name("variance component", component, fit.components)
    at, unit = 0, fit.model.problem.unit
    for term in fit.model.terms:
        parameters = term.family.parameters
        if f"[{term.name}" in component and component in _of_term(term, fit):
            if term.columns is not None or parameters[0].startswith("factor"):
                break
            if component.startswith("rho"):
                return at + len(parameters) - 1, 1, 1.0
            squared = parameters[0].startswith("tau[")
            which = _of_term(term, fit).index(component)
            return at + which, 2 if squared else 1, unit
        at += len(parameters)
    raise InputError(
        f"{component}: no profile interval for slopes or an unstructured matrix of more than two "
        f"levels. Use structure HCS or DIAG, or bootstrap."
    )


def _of_term(term: Any, fit: MultilevelFit) -> list[str]:
    return [
        c
        for c in fit.components
        if c.partition("[")[2] == f"{term.name}]" or c.partition("[")[2].startswith(f"{term.name}:")
    ]


def _edge(excess: Any, here: float, bound: float, information: float) -> tuple[float, bool]:
    """Where the profile has fallen enough, going from the estimate towards a bound."""
    from scipy.optimize import brentq

    if here == bound:
        return bound, True
    sign = math.copysign(1.0, bound - here)
    step = max(1 / math.sqrt(max(information, 1e-12)), 1e-6)
    inner = here
    for _ in range(80):
        outer = here + sign * step
        reached = sign * (bound - outer) <= 0
        if reached:
            outer = bound
        if excess(outer) > 0:
            root: Any = brentq(excess, inner, outer, xtol=1e-14)
            return float(root), False
        if reached:
            return bound, True
        inner, step = outer, step * 2
    raise NumericalError("not_converged", "The profile likelihood does not fall; no limit exists.")


def predict(
    fit: MultilevelFit, row: Sequence[float] | None = None, level: float = 0.95
) -> tuple[Estimate, tuple[float, float]]:
    """The mean at a design row and the interval for the true effect of a new study.

    The interval adds all components that a new level of every term brings (for structured terms
    the variance must be one, as in ID, CS and AR) to the mean's squared SE, with the fit's own
    reference distribution. Raises InputError where the variance depends on the inner level.
    """
    p = len(fit.coefficients)
    x = np.ones(1) if row is None and p == 1 else np.asarray(row, dtype=float)
    if x.shape != (p,):
        raise InputError(f"A prediction needs a row of {p} design values.")
    variances = [v for n, v in fit.components.items() if n.startswith(("sigma2", "tau2"))]
    if len(variances) != len(fit.model.terms):
        raise InputError(
            "The variance of a new effect depends on its inner level; predict from `covariances`."
        )
    b = np.array([e.value for e in fit.coefficients.values()])
    se = math.sqrt(x @ fit.vcov @ x)
    df = fit.estimate.df
    mean = Estimate(value=float(x @ b), se=se, method=fit.method, df=df)
    spread = Estimate(
        value=mean.value, se=math.sqrt(se**2 + sum(variances)), method=fit.method, df=df
    )
    return mean, spread.interval(level)


def deviations(fit: MultilevelFit, term: str) -> tuple[Deviation, ...]:
    """Best linear unbiased predictions of a random-intercept or structured term, level by level.

    SE is the root of the prediction error variance G − GZ'PZG, P with the coefficients estimated.
    """
    model = fit.model
    names = [t.name for t in model.terms]
    if term not in names:
        raise unknown_name("random term", term, names)
    chosen = model.terms[names.index(term)]
    if chosen.columns is not None:
        raise InputError("Deviations of random slopes are not given; use random intercepts.")
    G = _term_covariance(model, names.index(term))
    b = np.array([e.value for e in fit.coefficients.values()])
    out: list[Deviation] = []
    for block in model.blocks:
        W = np.linalg.inv(model.covariance(block))
        Z, keys = _incidence(chosen, block)
        D = np.array([[G[i, k] * (o == u) for (o, i) in keys] for (u, k) in keys])
        X = model.X[block]
        gain = D @ Z.T @ W
        value = gain @ (model.y[block] - X @ b)
        slope = gain @ X
        error = D - gain @ Z @ D + slope @ fit.vcov @ slope.T
        for (o, i), v, e in zip(keys, value, np.diag(error), strict=True):
            label = chosen.outer_labels[o]
            level = (label, chosen.inner_labels[i]) if chosen.inner is not None else label
            out.append(Deviation(term=term, level=level, value=float(v), se=math.sqrt(max(e, 0))))
    return tuple(out)


def _term_covariance(model: Model, which: int) -> NDArray[np.floating]:
    at = sum(len(t.family.parameters) for t in model.terms[:which])
    term = model.terms[which]
    phi = model.phi[at : at + len(term.family.parameters)]
    return term.family.matrix(phi) * model.problem.unit


def _incidence(
    term: Any, block: NDArray[np.intp]
) -> tuple[NDArray[np.floating], list[tuple[int, int]]]:
    inner = np.zeros(len(block), dtype=int) if term.inner is None else term.inner[block]
    pairs = list(zip(term.outer[block].tolist(), inner.tolist(), strict=True))
    keys = list(dict.fromkeys(pairs))
    Z = np.array([[float(pair == key) for key in keys] for pair in pairs])
    return Z, keys
