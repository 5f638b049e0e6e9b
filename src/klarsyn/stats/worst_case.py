"""How strongly would publication have to favour affirmative results to explain a finding.

A result is affirmative when it is significant in the favoured direction. Each is assumed `ratio`
times as likely to be published as a non-affirmative one (Mathur & VanderWeele 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.heterogeneity import estimate_tau2

Array = np.ndarray

MODELS = ("common", "robust")
LARGEST_RATIO = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The non-affirmative studies alone, and the selection ratios that move the finding to `q`.

    `s_value` brings the estimate to q, `s_value_limit` the confidence limit nearer to q; None means
    that no selection of this kind can, 1 that it lies there without any.
    """

    affirmative: int
    non_affirmative: int
    uncorrected: Estimate
    worst: Estimate | None
    s_value: float | None
    s_value_limit: float | None
    q: float
    level: float
    model: str
    favoured: str


def affirmative(y: Array, v: Array, *, favoured: str, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Two-sided p below alpha and the effect in the favoured direction."""
    if favoured not in {"positive", "negative"}:
        raise unknown_name("favoured direction", favoured, ("positive", "negative"))
    sign = 1.0 if favoured == "positive" else -1.0
    return sign * y / np.sqrt(v) > special.ndtri(1 - alpha / 2)


def corrected_effect(
    y: Array, v: Array, ratio: float, *, favoured: str, model: str = "robust",
    clusters: Sequence[object] | None = None, alpha: float = 0.05,
) -> Estimate:  # fmt: skip
    """The pooled effect when affirmative results were `ratio` times as likely to be published.

    `common` weights by 1/v. `robust` weights by 1/(v + tau²) with REML's tau² of the uncorrected
    analysis and has a cluster-robust (CR2) standard error with Satterthwaite degrees of freedom.
    """
    if model not in MODELS:
        raise unknown_name("model", model, MODELS)
    chosen = affirmative(y, v, favoured=favoured, alpha=alpha)
    return _pool(y, v, np.where(chosen, 1.0, ratio), model, clusters)


def worst_case(
    y: Array, v: Array, *, favoured: str, q: float = 0.0, model: str = "robust",
    clusters: Sequence[object] | None = None, alpha: float = 0.05, level: float = 0.95,
) -> WorstCase:  # fmt: skip
    """The worst-case effect and the S-values against `q`; `q` is on the scale of y."""
    if model not in MODELS:
        raise unknown_name("model", model, MODELS)
    chosen = affirmative(y, v, favoured=favoured, alpha=alpha)
    groups = list(range(len(y))) if clusters is None else list(clusters)
    sign = 1.0 if favoured == "positive" else -1.0

    def at(ratio: float) -> Estimate:
        return _pool(y, v, np.where(chosen, 1.0, ratio), model, groups)

    def limit(ratio: float) -> float:
        low, high = at(ratio).interval(level)
        return low if sign > 0 else high

    rest = ~chosen
    worst = None
    if rest.sum() >= (2 if model == "robust" else 1):
        kept = [g for g, keep in zip(groups, rest, strict=True) if keep]
        tau2 = _tau2(y, v, model)
        worst = _pool(y[rest], v[rest], np.ones(int(rest.sum())), model, kept, tau2)
    return WorstCase(
        affirmative=int(chosen.sum()), non_affirmative=int(rest.sum()), uncorrected=at(1.0),
        worst=worst, q=q, level=level, model=model, favoured=favoured,
        s_value=_ratio(lambda r: sign * (at(r).value - q), rest),
        s_value_limit=_ratio(lambda r: sign * (limit(r) - q), rest),
    )  # fmt: skip


def _ratio(excess: Callable[[float], float], rest: NDArray[np.bool_]) -> float | None:
    """Where the excess over q falls to 0 as the ratio grows."""
    from scipy import optimize

    if excess(1.0) <= 0:
        return 1.0
    if not rest.any() or excess(LARGEST_RATIO) > 0:
        return None
    root = optimize.brentq(lambda x: excess(math.exp(x)), 0.0, math.log(LARGEST_RATIO), xtol=1e-12)
    return math.exp(root)  # pyright: ignore[reportArgumentType]


def _tau2(y: Array, v: Array, model: str) -> float:
    if model == "common":
        return 0.0
    return estimate_tau2(y, v, method="REML").value if len(y) > 1 else 0.0


def _pool(
    y: Array, v: Array, odds: Array, model: str, clusters: Sequence[object] | None,
    tau2: float | None = None,
) -> Estimate:  # fmt: skip
    tau2 = _tau2(y, v, model) if tau2 is None else tau2
    weight = odds / (v + tau2)
    total = float(weight.sum())
    value = float((weight * y).sum() / total)
    if model == "common":
        se = math.sqrt(float((weight**2 * v).sum())) / total
        return Estimate(value=value, se=se, method="common effect, weighted for selection")
    names = list(range(len(y))) if clusters is None else list(clusters)
    se, df = cluster_robust_mean(y - value, weight, v + tau2, names)
    return Estimate(value=value, se=se, method="robust (CR2), weighted for selection", df=df)


def cluster_robust_mean(
    residual: Array, weight: Array, working: Array, clusters: Sequence[object]
) -> tuple[float, float]:
    """CR2 standard error of a weighted mean and its Satterthwaite degrees of freedom.

    `working` are the variances of the working model; Pustejovsky & Tipton 2018, for an intercept.
    Raises NumericalError `too_few_studies` with fewer than two clusters.
    """
    labels = list(dict.fromkeys(clusters))
    if len(labels) < 2:
        raise NumericalError(
            "too_few_studies", "A cluster-robust standard error needs at least two clusters."
        )
    share = weight / weight.sum()
    maker = np.eye(len(weight)) - share[None, :]
    spread = (maker * working) @ maker.T
    rows = []
    for label in labels:
        inside = np.array([c == label for c in clusters])
        root = np.sqrt(working[inside])
        middle = root[:, None] * spread[np.ix_(inside, inside)] * root
        bend, axes = np.linalg.eigh((middle + middle.T) / 2)
        power = np.where(bend > 1e-12 * bend.max(), bend, np.inf) ** -0.5
        adjust = root[:, None] * ((axes * power) @ axes.T) * root
        rows.append(maker[inside].T @ (adjust @ share[inside]))
    g = np.array(rows)
    # maker already centres, so residuals enter as they are
    variance = float(((g @ residual) ** 2).sum())
    product = (g * working) @ g.T
    return math.sqrt(variance), float(np.trace(product) ** 2 / (product**2).sum())
