"""Trials of one contrast become one estimate with its heterogeneity and its prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.criteria import Criteria, information_criteria
from klarsyn.stats.heterogeneity import (
    ESTIMATORS,
    Certificate,
    Tau2,
    estimate_tau2,
    inconsistency,
    log_likelihood,
)
from klarsyn.stats.tau2_intervals import INTERVALS, tau2_interval
from klarsyn.stats.weighted import Fit, fit, moments
from klarsyn.synthesis.cautions import cautions
from klarsyn.synthesis.effects import Effects, effects_from_arrays

Array = np.ndarray
TESTS = {
    "z": "normal",
    "t": "t with k−p degrees of freedom",
    "knha": "Knapp & Hartung 2003: variance scaled by Q(τ²)/(k−p), t with k−p",
    "adhoc": "Knapp–Hartung whose scale is never below 1 (Röver et al. 2015)",
}
PREDICTIONS = {
    "test": "normal or t with the test's own degrees of freedom",
    "k-1": "t with k−p degrees of freedom",
    "k-2": "t with k−p−1 degrees of freedom (Higgins, Thompson & Spiegelhalter 2009)",
    "normal": "normal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study's effect with its interval (normal) and its share of the weight in percent."""

    study: str
    y: float
    v: float
    se: float
    ci_lower: float
    ci_upper: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A pooled effect on the measure's own scale (`scale` `log`: take `exp` for the ratio).

    `i2` is in percent. NaN means that the quantity does not exist here; `status` is `ok` or names
    why, `warnings` are (name, sentence). Definitions used stand in `definitions`.
    """

    k: int
    measure: str
    method: str
    test: str
    estimate: float
    se: float
    ci_lower: float
    ci_upper: float
    statistic: float
    df: float
    p_value: float
    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]
    i2: float
    h2: float
    q: float
    q_df: int
    q_p: float
    pi_lower: float
    pi_upper: float
    scale: str
    level: float
    log_likelihood: float
    aic: float
    bic: float
    aicc: float
    status: str
    warnings: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...]
    certificate: Certificate
    definitions: dict[str, str]
    weights: Array = field(repr=False)
    effects: Effects = field(repr=False)

    @property
    def studies(self) -> tuple[StudyRow, ...]:
        """Each study's effect, its interval and its weight."""
        z = quantile(0.5 + self.level / 2, math.inf)
        rows = zip(
            self.effects.study,
            self.effects.y.tolist(),
            self.effects.v.tolist(),
            (100 * self.weights / self.weights.sum()).tolist(),
            strict=True,
        )
        return tuple(
            StudyRow(
                study=name,
                y=y,
                v=v,
                se=math.sqrt(v),
                ci_lower=y - z * math.sqrt(v),
                ci_upper=y + z * math.sqrt(v),
                weight=share,
            )
            for name, y, v, share in rows
        )

    @property
    def digest(self) -> str:
        """Changes when the effects or any choice changes."""
        e = self.effects
        choices = (self.method, self.test, self.level, self.definitions)
        return digest_of(e.y, e.v, e.study, self.weights, *choices)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the effects' own arrays, ready for JSON (NaN and infinities stay)."""
        skipped = {"effects", "weights", "certificate", "warnings", "excluded"}
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        out["studies"] = [_as_dict(s) for s in self.studies]
        out["digest"] = self.digest
        out["certificate"] = _as_dict(self.certificate)
        out["warnings"] = [{"name": n, "sentence": s} for n, s in self.warnings]
        out["excluded"] = [{"study": n, "reason": s} for n, s in self.excluded]
        return out

    def summary(self) -> str:
        """Three lines: the estimate, the heterogeneity, and what to beware of."""
        show = math.exp if self.scale == "log" else float
        percent = f"{100 * self.level:g} %"
        lines = [
            f"{self.measure} {show(self.estimate):.4g} ({percent} interval "
            f"{show(self.ci_lower):.4g} to {show(self.ci_upper):.4g}), p = {self.p_value:.3g}, "
            f"{self.k} studies, {self.method}, {self.test}"
        ]
        if math.isfinite(self.tau2):
            lines.append(
                f"tau2 {self.tau2:.4g} ({self.tau2_ci[0]:.4g} to {self.tau2_ci[1]:.4g}), "
                f"I2 {self.i2:.1f} %, Q {self.q:.4g} on {self.q_df} (p = {self.q_p:.3g}); "
                f"a new study's effect {show(self.pi_lower):.4g} to {show(self.pi_upper):.4g}"
            )
        return "\n".join(lines + [sentence for _, sentence in self.warnings])

    def plot(self) -> Any:
        """A forest plot with the prediction interval, as an Altair chart."""
        from klarsyn.figures.forest import ForestAxis, ForestRow, forest
        from klarsyn.figures.theme import housed

        show = math.exp if self.scale == "log" else float
        rows = [
            ForestRow(
                kind="study",
                label=s.study,
                estimate=show(s.y),
                lower=show(s.ci_lower),
                upper=show(s.ci_upper),
                weight=s.weight / 100,
            )
            for s in self.studies
        ]
        new = None
        if math.isfinite(self.pi_lower):
            new = (show(self.pi_lower), show(self.pi_upper))
        rows.append(
            ForestRow(
                kind="pooled",
                label=f"{self.method}, {self.test}",
                estimate=show(self.estimate),
                lower=show(self.ci_lower),
                upper=show(self.ci_upper),
                prediction=new,
            )
        )
        log = self.scale == "log"
        axis = ForestAxis(title=self.measure, null=1.0 if log else 0.0, log=log)
        return housed(forest(rows, axis))


def _as_dict(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def pool(
    y: Effects | Sequence[float] | Array,
    v: Sequence[float] | Array | None = None,
    *,
    method: str = "REML",
    test: str = "knha",
    level: float = 0.95,
    study: Sequence[str] | None = None,
    measure: str = "GEN",
    interval: str = "QP",
    prediction: str = "test",
    weights: Sequence[float] | Array | None = None,
    mixed_origins: bool = False,
    drop_problems: bool = False,
) -> Pooled:
    """Pool effects: `pool(effects)`, or `pool(y, v)` with arrays on the measure's scale.

    Everybody sets `method` (a name of ESTIMATORS; EE is the common effect) and `test` (z, t, knha,
    adhoc). Rarely needed: `interval` for τ² (INTERVALS), `prediction` (PREDICTIONS), `weights` of
    GENQ or of a user's own scheme (z and t only), `mixed_origins` to pool published with simulated
    trials, `drop_problems` to leave out studies that have no effect.

    Raises InputError for unknown names or bad input, NumericalError when nothing can be pooled.
    """
    _check_choices(method, test, interval, prediction, level, weights)
    given = y if isinstance(y, Effects) else _from_arrays(y, v, study, measure)
    effects, excluded = given.usable(drop_problems=drop_problems)
    _check_origins(effects, mixed_origins)
    if effects.k == 0:
        raise NumericalError("too_few_studies", "There is no study with an effect to pool.")
    own = None if weights is None else np.asarray(weights, dtype=float)
    if own is not None and (own.shape != effects.y.shape or not (own > 0).all()):
        raise InputError("Weights must be positive, one for each pooled study.")
    alone = effects.k == 1
    choices = _Choices(
        method=method,
        test="z" if alone else test,
        level=level,
        interval=interval,
        prediction=prediction,
        weights=own,
        random=not alone and method not in {"EE", "FE"},
    )
    return _pool(effects, excluded, choices)


def _from_arrays(y: Any, v: Any, study: Sequence[str] | None, measure: str) -> Effects:
    if v is None:
        raise InputError("pool(y, v) needs the sampling variances v beside the effects y.")
    return effects_from_arrays(y, v, study=study, measure=measure)


def _check_choices(
    method: str, test: str, interval: str, prediction: str, level: float, weights: Any
) -> None:
    for kind, name, known in (
        ("estimator of tau2", method, ESTIMATORS),
        ("test", test, TESTS),
        ("interval for tau2", interval, INTERVALS),
        ("prediction interval", prediction, PREDICTIONS),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    if weights is not None and test in {"knha", "adhoc"}:
        raise InputError(
            "Knapp–Hartung is defined for inverse-variance weights only. "
            "With weights of your own choose test z or t."
        )


def _check_origins(effects: Effects, mixed: bool) -> None:
    origins = sorted(set(effects.origin))
    if len(origins) > 1 and not mixed:
        raise InputError(
            f"These effects mix origins ({', '.join(origins)}). Simulated trials are not evidence: "
            f"pool them apart, or ask for mixed_origins by name."
        )


def quantile(probability: float, df: float) -> float:
    """Quantile of t with `df` degrees of freedom, normal for infinite df."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(df) else stdtrit(df, probability))


def two_sided_p(statistic: float, df: float) -> float:
    """P(|T| ≥ |statistic|)."""
    from scipy.special import ndtr, stdtr

    return 2 * float(ndtr(-abs(statistic)) if math.isinf(df) else stdtr(df, -abs(statistic)))


def scale_of_test(test: str, q: float, df: int) -> float:
    """The factor on the covariance: 1, or Q(τ²)/(k−p), or that but never below 1."""
    if test not in {"knha", "adhoc"}:
        return 1.0
    return max(q / df, 1.0) if test == "adhoc" else q / df


class _Choices(NamedTuple):
    """How to pool; one study alone is tested by z and its effect is not random."""

    method: str
    test: str
    level: float
    interval: str
    prediction: str
    weights: Array | None
    random: bool


def _pool(effects: Effects, excluded: tuple[tuple[str, str], ...], chosen: _Choices) -> Pooled:
    y, v, k = effects.y, effects.v, effects.k
    tau = _tau2(y, v, "EE" if k == 1 else chosen.method, chosen.weights)
    fitted = fit(y, v, None, tau.value, chosen.weights)
    q_tau = fitted.q if chosen.weights is None else fit(y, v, None, tau.value).q
    mean = _mean(fitted, q_tau, k - 1, chosen)
    spread = _spread(y, v, tau, chosen)
    margin = _prediction_margin(mean, tau.value, k - 1, chosen)
    status, warnings = cautions(
        effects,
        excluded,
        tau.certificate,
        random=chosen.random,
        test=chosen.test,
        se=mean.se,
        tau2_lower=spread.tau2_ci[0],
    )
    return Pooled(
        k=k,
        measure=effects.measure,
        scale=effects.scale,
        method=chosen.method,
        test=chosen.test,
        level=chosen.level,
        **mean._asdict(),
        **spread._asdict(),
        pi_lower=mean.estimate - margin,
        pi_upper=mean.estimate + margin,
        **_criteria(y, v, tau.value, fitted, chosen)._asdict(),
        status=status,
        warnings=warnings,
        excluded=excluded,
        certificate=tau.certificate,
        definitions=_definitions(effects, chosen),
        weights=fitted.weights,
        effects=effects,
    )


class _Mean(NamedTuple):
    """The pooled effect with its interval and test; `se` is that of the test."""

    estimate: float
    se: float
    ci_lower: float
    ci_upper: float
    statistic: float
    df: float
    p_value: float


def _mean(fitted: Fit, q_tau: float, df: int, chosen: _Choices) -> _Mean:
    """`q_tau` is Q at τ² with inverse-variance weights, whatever weights the fit has."""
    estimate = float(fitted.beta[0])
    se = math.sqrt(float(fitted.covariance[0, 0]) * scale_of_test(chosen.test, q_tau, df))
    free = math.inf if chosen.test == "z" else float(df)
    half = quantile(0.5 + chosen.level / 2, free) * se
    statistic = estimate / se if se > 0 else math.nan
    return _Mean(
        estimate=estimate,
        se=se,
        ci_lower=estimate - half,
        ci_upper=estimate + half,
        statistic=statistic,
        df=free,
        p_value=two_sided_p(statistic, free),
    )


class _Spread(NamedTuple):
    """How far the studies' effects differ: τ² with its interval, I² (percent), H², and Q's test."""

    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]
    i2: float
    h2: float
    q: float
    q_df: int
    q_p: float


def _spread(y: Array, v: Array, tau: Tau2, chosen: _Choices) -> _Spread:
    from scipy.special import chdtrc

    df = len(y) - 1
    q = float(moments(y, v, None, np.zeros(1)).q[0])
    limits = (math.nan, math.nan)
    if chosen.random:
        limits = tau2_interval(
            y,
            v,
            interval=chosen.interval,
            level=chosen.level,
            weights=chosen.weights,
            restricted=chosen.method != "ML",
        )
    i2, h2 = inconsistency(v, None, tau.value, q, random=chosen.random)
    unknown = df == 0 and chosen.method not in {"EE", "FE"}
    return _Spread(
        tau2=math.nan if unknown else tau.value,
        tau2_se=tau.se,
        tau2_ci=limits,
        i2=i2,
        h2=h2,
        q=q,
        q_df=df,
        q_p=float(chdtrc(df, q)) if df else math.nan,
    )


def _definitions(effects: Effects, chosen: _Choices) -> dict[str, str]:
    return {
        "method": ESTIMATORS[chosen.method],
        "test": TESTS[chosen.test],
        "tau2_ci": INTERVALS[chosen.interval] if chosen.random else "none",
        "i2": i2_definition(random=chosen.random),
        "pi": PREDICTIONS[chosen.prediction] if chosen.random else "none",
        "effects": effects.method,
    }


def _tau2(y: Array, v: Array, method: str, weights: Array | None) -> Tau2:
    if method in {"GENQ", "GENQM"} and weights is None:
        raise InputError(f"{method} needs `weights`, e.g. 1/v.")
    return estimate_tau2(y, v, None, method=method, weights=weights)


def i2_definition(*, random: bool) -> str:
    """What I² means under a random-effects estimator, and under a common effect."""
    if random:
        return "τ²/(τ² + typical variance), Higgins & Thompson 2002"
    return "(Q − df)/Q, never below 0"


def _prediction_margin(mean: _Mean, tau2: float, df: int, chosen: _Choices) -> float:
    if not chosen.random:
        return math.nan
    known = {"test": mean.df, "k-1": float(df), "k-2": float(df - 1), "normal": math.inf}
    free = known[chosen.prediction]
    if free < 1:
        return math.nan
    return quantile(0.5 + chosen.level / 2, free) * math.sqrt(mean.se**2 + tau2)


def _criteria(y: Array, v: Array, tau2: float, fitted: Fit, chosen: _Choices) -> Criteria:
    """Of REML's likelihood for REML, otherwise of ML's.

    With weights of the user's own the likelihood is that of their estimate, not the maximum.
    """
    restricted = chosen.method == "REML" and len(y) > 1
    ll = float(log_likelihood(y, v, None, tau2, restricted=restricted)[0])
    if chosen.weights is not None:
        best = fit(y, v, None, tau2)
        away = float(fitted.beta[0]) - float(best.beta[0])
        ll -= 0.5 * away**2 / float(best.covariance[0, 0])
    return information_criteria(ll, len(y) - restricted, 1 + chosen.random)
