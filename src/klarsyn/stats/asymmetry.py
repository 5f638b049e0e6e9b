"""Do small studies show other effects: regression and rank tests, PET-PEESE, the limit estimate.

Effects y with sampling variances v; a positive slope on the standard error means larger effects in
smaller studies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.heterogeneity import estimate_tau2
from klarsyn.stats.rare_stratified import ChiSquare
from klarsyn.stats.weighted import fit

Array = np.ndarray

PREDICTORS = ("sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv")
MODELS = ("lm", "rma")
LIMITS = ("beta0", "betalim", "mulim")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsymmetryTest:
    """A regression of effects on size: `slope` is tested, `limit` is the effect at predictor 0.

    `limit` is None where the predictor grows with size. With `lm` the residual variance is a free
    multiplier of the weights (Egger et al. 1997) and the reference is t; with `rma` it is additive
    (tau²) and the reference normal.
    """

    name: str
    slope: Estimate
    limit: Estimate | None
    statistic: float
    df: float
    p: float
    tau2: float | None
    dispersion: float | None
    k: int


def regression_test(
    y: Array,
    v: Array,
    *,
    model: str = "lm",
    predictor: str = "sei",
    n: Array | None = None,
    tau2_method: str = "REML",
) -> AsymmetryTest:
    """Egger's test and its kin: y on a measure of size, weights from v (metafor's regtest).

    Raises InputError where the predictor needs sample sizes `n` that are not given.
    """
    if model not in MODELS:
        raise unknown_name("regression model", model, MODELS)
    x = _predictor(predictor, v, n)
    name = f"Egger {model} on {predictor}" + (f", tau² by {tau2_method}" if model == "rma" else "")
    limit = predictor not in {"ni", "sqrtni"}
    if model == "lm":
        return weighted_test(name, y, x, 1 / v, limit=limit)
    _need(len(y), x)
    design = np.column_stack([np.ones_like(x), x])
    tau2 = estimate_tau2(y, v, design, method=tau2_method).value
    found = fit(y, v, design, tau2)
    return _result(name, found.beta, found.covariance, math.inf, limit, len(y), tau2=tau2)


def weighted_test(
    name: str, y: Array, x: Array, weight: Array, *, limit: bool = True
) -> AsymmetryTest:
    """Weighted least squares of y on x with a free residual variance; t with k − 2 df."""
    _need(len(y), x)
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv((design.T * weight) @ design)
    beta = inverse @ ((design.T * weight) @ y)
    residual = y - design @ beta
    dispersion = float((weight * residual**2).sum() / (len(y) - 2))
    return _result(
        name, beta, inverse * dispersion, len(y) - 2, limit, len(y), dispersion=dispersion
    )


def unweighted_test(y: Array, v: Array) -> AsymmetryTest:
    """Egger et al. 1997 without weights: y on its standard error by ordinary least squares."""
    return weighted_test("Egger, unweighted", y, np.sqrt(v), np.ones_like(v))


def thompson_sharp(y: Array, v: Array, *, tau2_method: str = "DL") -> AsymmetryTest:
    """Thompson & Sharp 1999: y on its standard error with additive tau², by moments (DL) there."""
    found = regression_test(y, v, model="rma", tau2_method=tau2_method)
    return _renamed(found, "Thompson–Sharp")


def harbord(a: Array, n1: Array, c: Array, n2: Array, *, measure: str = "OR") -> AsymmetryTest:
    """Harbord, Egger & Sterne 2006: score over information on its standard error.

    Keeps its size for odds ratios, where the effect and its variance are correlated. `measure` RR
    takes the score of the log risk ratio (Harbord, Harris & Sterne 2009).
    """
    if measure not in {"OR", "RR"}:
        raise unknown_name("measure of Harbord's test", measure, ("OR", "RR"))
    m, n = a + c, n1 + n2
    score = a - m * n1 / n
    information = n1 * n2 * m * (n - m) / (n**2 * (n - 1))
    if measure == "RR":
        rest = np.where(n > m, n - m, np.inf)
        score, information = score * n / rest, n1 * n2 * m / (n * rest)
    used = information > 0
    v = 1 / information[used]
    name = "Harbord" if measure == "OR" else "Harbord, risk ratio"
    return weighted_test(name, score[used] * v, np.sqrt(v), 1 / v)


def peters(y: Array, a: Array, n1: Array, c: Array, n2: Array) -> AsymmetryTest:
    """Peters et al. 2006: log odds ratio on 1/N, weights from the marginal totals."""
    m, n = a + c, n1 + n2
    return weighted_test("Peters", y, 1 / n, _marginal_weight(m, n))


def macaskill(
    y: Array, a: Array, n1: Array, c: Array, n2: Array, *, v: Array | None = None
) -> AsymmetryTest:
    """Macaskill, Walter & Irwig 2001: y on N, weights from the margins, or 1/v where v is given."""
    m, n = a + c, n1 + n2
    weight = _marginal_weight(m, n) if v is None else 1 / v
    return weighted_test("Macaskill", y, n, weight, limit=False)


def schwarzer_arcsine(a: Array, n1: Array, c: Array, n2: Array) -> AsymmetryTest:
    """Rücker, Schwarzer & Carpenter 2008: arcsine differences, whose variance is fixed by size."""
    y = np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2))
    v = 1 / (4 * n1) + 1 / (4 * n2)
    return _renamed(regression_test(y, v, model="lm"), "Rücker–Schwarzer arcsine")


def pustejovsky_rodgers(y: Array, n1: Array, n2: Array, *, v: Array | None = None) -> AsymmetryTest:
    """Pustejovsky & Rodgers 2019: SMD on sqrt(1/n1 + 1/n2), which does not contain the effect.

    Weights are one over the square of that, or 1/v where v is given (as R's meta has it).
    """
    size = 1 / n1 + 1 / n2
    weight = 1 / size if v is None else 1 / v
    return weighted_test("Pustejovsky–Rodgers", y, np.sqrt(size), weight)


def debray(y: Array, events: Array, weight: Array) -> AsymmetryTest:
    """Debray, Moons & Riley 2018, for survival: log hazard ratio on one over the total of events.

    `weight` is 1/v (D-FIV), or 1/(1/d1 + 1/d2) of both groups' events where v is doubtful (D-FAV).
    A study without events counts with one.
    """
    return weighted_test("Debray", y, 1 / np.maximum(events, 1), weight)


def deeks(y: Array, a: Array, n1: Array, c: Array, n2: Array) -> AsymmetryTest:
    """Deeks, Macaskill & Irwig 2005: log (diagnostic) odds ratio on 1/sqrt(effective size)."""
    size = 4 * n1 * n2 / (n1 + n2)
    return weighted_test("Deeks", y, 1 / np.sqrt(size), size)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest:
    """Kendall's tau between standardised effects and variances (Begg & Mazumdar 1994)."""

    name: str
    tau: float
    p: float
    exact: bool
    k: int


def rank_test(y: Array, v: Array) -> RankTest:
    """Begg & Mazumdar's test, exact unless values are tied."""
    w = 1 / v
    mean = float((w * y).sum() / w.sum())
    standard = (y - mean) / np.sqrt(v - 1 / w.sum())
    return kendall("Begg–Mazumdar", standard, v)


def schwarzer_rank(a: Array, n1: Array, c: Array, n2: Array) -> RankTest:
    """Schwarzer, Antes & Schumacher 2007: rank test on counts, for sparse binary data.

    Events of the first group less their expectation, given the margins and the Mantel–Haenszel odds
    ratio (noncentral hypergeometric), over their standard deviation, against one over the variance.

    Raises NumericalError where that odds ratio does not exist.
    """
    from klarsyn.stats.rare_likelihoods import noncentral_hypergeometric
    from klarsyn.stats.rare_stratified import mantel_haenszel

    pooled = mantel_haenszel(a, n1, c, n2, "OR").estimate.value
    at = np.full((len(a), 1), pooled)
    _, difference, curvature = noncentral_hypergeometric(a, n1, c, n2)(at)
    variance = -curvature[:, 0]
    used = variance > 0
    standard = difference[used, 0] / np.sqrt(variance[used])
    return kendall("Schwarzer rank", standard, 1 / variance[used])


def kendall(name: str, first: Array, second: Array) -> RankTest:
    """Kendall's tau-b with the exact null distribution where nothing is tied."""
    from scipy import stats

    _need(len(first), first)
    _need(len(second), second)
    tied = len(np.unique(first)) < len(first) or len(np.unique(second)) < len(second)
    found: Any = stats.kendalltau(first, second, method="asymptotic" if tied else "exact")
    return RankTest(
        name=name, tau=float(found.statistic), p=float(found.pvalue), exact=not tied, k=len(first)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PetPeese:
    """The effect of an ideally precise study; `chosen` names which of the two it is.

    PEESE where PET's one-sided p is below `threshold` (Stanley & Doucouliagos 2014), else PET.
    """

    pet: AsymmetryTest
    peese: AsymmetryTest
    chosen: str
    threshold: float
    direction: str

    @property
    def estimate(self) -> Estimate:
        """The chosen intercept."""
        found = (self.pet if self.chosen == "PET" else self.peese).limit
        assert found is not None
        return found


def pet_peese(
    y: Array, v: Array, *, model: str = "lm", threshold: float = 0.05, direction: str = "positive",
    tau2_method: str = "REML",
) -> PetPeese:  # fmt: skip
    """PET (y on its standard error) and PEESE (y on its variance), and the conditional choice.

    `direction` is the sign of a beneficial effect; PET asks whether the effect goes that way.
    """
    if direction not in {"positive", "negative"}:
        raise unknown_name("direction", direction, ("positive", "negative"))
    pet = _renamed(regression_test(y, v, model=model, tau2_method=tau2_method), "PET")
    peese = _renamed(
        regression_test(y, v, model=model, predictor="vi", tau2_method=tau2_method), "PEESE"
    )
    assert pet.limit is not None
    two_sided = pet.limit.p_value()
    agrees = (pet.limit.value > 0) == (direction == "positive")
    one_sided = two_sided / 2 if agrees else 1 - two_sided / 2
    return PetPeese(
        pet=pet, peese=peese, chosen="PEESE" if one_sided < threshold else "PET",
        threshold=threshold, direction=direction,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitMetaAnalysis:
    """Rücker et al. 2011: the effect of studies of infinite precision.

    `estimate` is the adjusted effect; `intercept` (bias) and `slope` belong to the generalised
    radial plot, `limits` are the studies' own limit effects, `adjustment` is one of LIMITS.
    `small_study` and `residual` split Q; `g2` is the heterogeneity that small-study effects do not
    explain.
    """

    estimate: Estimate
    adjustment: str
    intercept: float
    slope: float
    tau2: float
    limits: tuple[float, ...]
    small_study: ChiSquare
    residual: ChiSquare
    g2: float


def limit_meta_analysis(
    y: Array, v: Array, *, adjustment: str = "beta0", tau2_method: str = "DL"
) -> LimitMetaAnalysis:
    """Limit meta-analysis with tau² by `tau2_method`.

    `adjustment`: `beta0` is the expected effect at infinite precision (slope + tau·intercept of
    the generalised radial plot, with both coefficients' sampling error), `betalim` the slope and
    `mulim` the common effect of the limit effects.
    """
    _need(len(y), v)
    if adjustment not in LIMITS:
        raise unknown_name("limit adjustment", adjustment, LIMITS)
    k = len(y)
    tau2 = estimate_tau2(y, v, method=tau2_method).value
    tau, s = math.sqrt(tau2), np.sqrt(v + tau2)
    plain = _radial(y, np.sqrt(v))
    wide = _radial(y, s)
    limits = wide.slope + (tau / s) * (y - wide.slope)
    narrow = _radial(limits, np.sqrt(v))
    if adjustment == "beta0":
        value, se = wide.slope + tau * wide.intercept, _se_beta0(1 / s, tau)
    elif adjustment == "betalim":
        value, se = narrow.slope, 1 / float(np.std(1 / np.sqrt(v), ddof=1)) / math.sqrt(k - 1)
    else:
        common = fit(limits, v, None, 0.0)
        value, se = float(common.beta[0]), math.sqrt(common.covariance[0, 0])
    q = fit(y, v, None, 0.0).q
    return LimitMetaAnalysis(
        estimate=Estimate(
            value=value, se=se, method=f"limit meta-analysis {adjustment}, tau² by {tau2_method}"
        ),
        adjustment=adjustment,
        intercept=wide.intercept, slope=wide.slope, tau2=tau2, limits=tuple(map(float, limits)),
        small_study=ChiSquare(name="Q small-study effects", value=q - plain.rss, df=1),
        residual=ChiSquare(name="Q residual", value=plain.rss, df=k - 2), g2=1 - narrow.r2,
    )  # fmt: skip


def _se_beta0(x: Array, tau: float) -> float:
    """Of slope + tau·intercept of an unweighted line through k points with unit variance."""
    spread = float(((x - x.mean()) ** 2).sum())
    variance = 1 + tau**2 * float((x**2).mean()) - 2 * tau * float(x.mean())
    return math.sqrt(variance / spread)


@dataclass(frozen=True, slots=True)
class _Radial:
    intercept: float
    slope: float
    rss: float
    r2: float


def _radial(y: Array, s: Array) -> _Radial:
    """Least squares of y/s on 1/s."""
    x, z = 1 / s, y / s
    slope, intercept = np.polyfit(x, z, 1)
    rss = float(((z - intercept - slope * x) ** 2).sum())
    return _Radial(
        float(intercept), float(slope), rss, 1 - rss / float(((z - z.mean()) ** 2).sum())
    )


def _marginal_weight(events: Array, total: Array) -> Array:
    weight = events * (total - events) / total
    if not (weight > 0).all():
        raise InputError(
            "A study without any event (or without any non-event) has no weight in this test; "
            "leave it out."
        )
    return weight


def _predictor(name: str, v: Array, n: Array | None) -> Array:
    if name not in PREDICTORS:
        raise unknown_name("measure of size", name, PREDICTORS)
    if name == "sei":
        return np.sqrt(v)
    if name == "vi":
        return v
    if n is None:
        raise InputError(f"The predictor {name!r} needs the studies' sample sizes.")
    return {"ni": n, "ninv": 1 / n, "sqrtni": np.sqrt(n), "sqrtninv": 1 / np.sqrt(n)}[name]


def _need(k: int, size: Array) -> None:
    if k < 3:
        raise NumericalError(
            "too_few_studies", f"A test of small-study effects needs 3 studies, not {k}."
        )
    if np.ptp(size) <= 1e-12 * np.abs(size).max():
        raise NumericalError(
            "degenerate", "All studies are equally large (or alike): small ones cannot differ."
        )


def _result(
    name: str, beta: Array, covariance: Array, df: float, limit: bool, k: int, *,
    tau2: float | None = None, dispersion: float | None = None,
) -> AsymmetryTest:  # fmt: skip
    se = np.sqrt(np.diag(covariance))
    slope = Estimate(value=float(beta[1]), se=float(se[1]), method=name, df=df)
    at_zero = Estimate(value=float(beta[0]), se=float(se[0]), method=name, df=df)
    return AsymmetryTest(
        name=name, slope=slope, limit=at_zero if limit else None,
        statistic=slope.value / slope.se, df=df, p=slope.p_value(), tau2=tau2,
        dispersion=dispersion, k=k,
    )  # fmt: skip


def _renamed(found: AsymmetryTest, name: str) -> AsymmetryTest:
    limit = None if found.limit is None else replace(found.limit, method=name)
    return replace(found, name=name, slope=replace(found.slope, method=name), limit=limit)
