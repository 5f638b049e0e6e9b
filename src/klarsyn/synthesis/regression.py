"""Which features of the trials go with the size of their effects: mixed-effects meta-regression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.criteria import information_criteria
from klarsyn.stats.heterogeneity import (
    ESTIMATORS,
    Certificate,
    estimate_tau2,
    inconsistency,
    log_likelihood,
)
from klarsyn.stats.weighted import fit, moments
from klarsyn.synthesis.design import INTERCEPT, Design, build_design, with_moderators
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import TESTS, quantile, scale_of_test, two_sided_p

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One coefficient on the effects' scale, with its interval at the regression's level."""

    name: str
    estimate: float
    se: float
    statistic: float
    p_value: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnibus:
    """A test that several coefficients are 0: F where the test uses t (df2 finite), else χ²."""

    names: tuple[str, ...]
    statistic: float
    df: int
    df2: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The mean effect at given moderators and the interval of a new study's true effect."""

    estimate: float
    se: float
    ci_lower: float
    ci_upper: float
    pi_lower: float
    pi_upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A fitted meta-regression. `r2` and `i2` are in percent; `qe` is the residual Q."""

    k: int
    measure: str
    method: str
    test: str
    level: float
    df: float
    coefficients: tuple[Coefficient, ...]
    omnibus: Omnibus
    tau2: float
    tau2_se: float
    tau2_without: float
    r2: float
    i2: float
    h2: float
    qe: float
    qe_df: int
    qe_p: float
    log_likelihood: float
    aic: float
    bic: float
    aicc: float
    certificate: Certificate
    warnings: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...]
    digest: str
    covariance: Array = field(repr=False)
    design: Design = field(repr=False)
    effects: Effects = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the arrays of design and effects are left out."""
        skipped = {"effects", "design", "coefficients", "omnibus", "certificate", "covariance"}
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        for name in ("omnibus", "certificate"):
            value = getattr(self, name)
            out[name] = {f.name: getattr(value, f.name) for f in fields(value)}
        out["coefficients"] = [
            {f.name: getattr(c, f.name) for f in fields(c)} for c in self.coefficients
        ]
        out["covariance"] = self.covariance.tolist()
        out["vif"] = variance_inflation(self)
        random = self.method not in {"EE", "FE"}
        out["definitions"] = {
            "i2": "τ²/(τ² + typical variance given the moderators), Higgins & Thompson 2002"
            if random
            else "(QE − df)/QE, never below 0",
            "r2": "share of τ² without moderators that they explain, same estimator, never below 0 "
            "(Raudenbush 2009)",
            "test": TESTS[self.test],
            "pi": "mean ± the test's own quantile × √(SE² + τ²)",
        }
        out["warnings"] = [{"name": n, "sentence": s} for n, s in self.warnings]
        out["excluded"] = [{"study": n, "reason": s} for n, s in self.excluded]
        return out

    def summary(self) -> str:
        """One line a coefficient, then the omnibus test and the residual heterogeneity."""
        lines = [
            f"{c.name}: {c.estimate:.4g} ({c.ci_lower:.4g} to {c.ci_upper:.4g}), "
            f"p = {c.p_value:.3g}"
            for c in self.coefficients
        ]
        # Without heterogeneity to explain there is no share of it.
        explained = f"R2 {self.r2:.1f} %, " if math.isfinite(self.r2) else ""
        kind = "QM" if math.isinf(self.omnibus.df2) else "F"
        lines.append(
            f"{kind} {self.omnibus.statistic:.4g} on {self.omnibus.df} (p = "
            f"{self.omnibus.p_value:.3g}); tau2 {self.tau2:.4g}, {explained}residual I2 "
            f"{self.i2:.1f} %, {self.k} studies, {self.method}, {self.test}"
        )
        return "\n".join(lines + [sentence for _, sentence in self.warnings])

    def plot(self) -> Any:
        """Effects over the moderator where there is one number, else the coefficients.

        An Altair chart on the effects' scale (logarithms for ratios).
        """
        from klarsyn.figures.estimates import estimate_lines

        over = self._only_number()
        if over is not None:
            return self._bubbles(over)
        lines = [(c.name, c.estimate, c.ci_lower, c.ci_upper) for c in self.coefficients]
        return estimate_lines(lines, title=self._axis())

    def _axis(self) -> str:
        return f"{self.measure} (log)" if self.effects.scale == "log" else self.measure

    def _only_number(self) -> int | None:
        names = self.design.names
        if len(names) == 2 and names[0] == INTERCEPT and names[1] in self.effects.covariates:
            return 1
        return None

    def _bubbles(self, column: int) -> Any:
        from klarsyn.figures.bubble import bubble_chart

        name, x = self.design.names[column], self.design.matrix[:, column]
        weights = 1 / (self.effects.v + self.tau2)
        points = zip(
            self.effects.study, x.tolist(), self.effects.y.tolist(), weights.tolist(), strict=True
        )
        line = []
        for at in np.linspace(x.min(), x.max(), 41).tolist():
            p = predict(self, {name: at})
            line.append((at, p.estimate, p.ci_lower, p.ci_upper))
        return bubble_chart(list(points), line, moderator=name, axis=self._axis())


def regress(
    effects: Effects,
    moderators: Sequence[str],
    *,
    method: str = "REML",
    test: str = "knha",
    level: float = 0.95,
    intercept: bool = True,
    drop_problems: bool = False,
) -> Regression:
    """Regress effects on covariates: `regress(effects, ["ablat", "factor(alloc)"])`.

    How moderators are written stands at `build_design`; methods and tests are those of `pool`.
    `drop_problems` leaves out, and lists, studies without an effect or with an empty moderator.
    R² compares τ² with that of the same estimator without moderators (Raudenbush 2009).
    """
    for kind, name, known in (("estimator of tau2", method, ESTIMATORS), ("test", test, TESTS)):
        if name not in known:
            raise unknown_name(kind, name, known)
    used, excluded = effects.usable(drop_problems=drop_problems)
    if drop_problems:
        used, without = with_moderators(used, moderators)
        excluded += without
    design = build_design(used, moderators, intercept=intercept)
    return _regress(used, design, method, test, level, excluded)


def _regress(
    effects: Effects,
    design: Design,
    method: str,
    test: str,
    level: float,
    excluded: tuple[tuple[str, str], ...],
) -> Regression:
    from scipy.special import chdtrc

    y, v, x = effects.y, effects.v, design.matrix
    k, p = x.shape
    if k <= p:
        raise NumericalError(
            "too_few_studies",
            f"{k} studies cannot carry {p} coefficients and the heterogeneity. "
            f"Use fewer moderators.",
        )
    tau = estimate_tau2(y, v, x, method=method)
    without = estimate_tau2(y, v, None, method=method).value
    fitted = fit(y, v, x, tau.value)
    df = math.inf if test == "z" else float(k - p)
    covariance = fitted.covariance * scale_of_test(test, fitted.q, k - p)
    qe = float(moments(y, v, x, np.zeros(1)).q[0])
    random = method not in {"EE", "FE"}
    i2, h2 = inconsistency(v, x, tau.value, qe, random=random)
    restricted = method == "REML"
    height = float(log_likelihood(y, v, x, tau.value, restricted=restricted)[0])
    return Regression(
        k=k,
        measure=effects.measure,
        method=method,
        test=test,
        level=level,
        df=df,
        coefficients=coefficient_table(design.names, fitted.beta, covariance, df, level),
        omnibus=omnibus_test(design, fitted.beta, covariance, design.slopes, df),
        tau2=tau.value,
        tau2_se=tau.se,
        tau2_without=without,
        r2=100 * max(0.0, (without - tau.value) / without) if without > 0 else math.nan,
        i2=i2,
        h2=h2,
        qe=qe,
        qe_df=k - p,
        qe_p=float(chdtrc(k - p, qe)),
        **information_criteria(height, k - p * restricted, p + random)._asdict(),
        certificate=tau.certificate,
        warnings=_warnings(k, p, tau.certificate),
        excluded=excluded,
        digest=digest_of(y, v, x, effects.study, method, test, level),
        covariance=covariance,
        design=design,
        effects=effects,
    )


def coefficient_table(
    names: Sequence[str], beta: Array, covariance: Array, df: float, level: float
) -> tuple[Coefficient, ...]:
    """Each coefficient with its test and interval; `df` infinite for z."""
    crit = quantile(0.5 + level / 2, df)
    out = []
    for name, b, variance in zip(names, beta.tolist(), np.diag(covariance).tolist(), strict=True):
        se = math.sqrt(variance)
        statistic = b / se if se > 0 else math.nan
        out.append(
            Coefficient(
                name=name,
                estimate=b,
                se=se,
                statistic=statistic,
                p_value=two_sided_p(statistic, df),
                ci_lower=b - crit * se,
                ci_upper=b + crit * se,
            )
        )
    return tuple(out)


def omnibus_test(
    design: Design, beta: Array, covariance: Array, columns: Sequence[int], df: float
) -> Omnibus:
    """The joint test that these columns' coefficients are 0."""
    from scipy.special import chdtrc, fdtrc

    at = list(columns)
    quadratic = float(beta[at] @ np.linalg.solve(covariance[np.ix_(at, at)], beta[at]))
    m = len(at)
    statistic = quadratic if math.isinf(df) else quadratic / m
    p = chdtrc(m, statistic) if math.isinf(df) else fdtrc(m, df, statistic)
    return Omnibus(
        names=tuple(design.names[i] for i in at),
        statistic=statistic,
        df=m,
        df2=df,
        p_value=float(p),
    )


def _warnings(k: int, p: int, certificate: Certificate) -> tuple[tuple[str, str], ...]:
    said = []
    if k < 10 * (p - 1):
        said.append(
            (
                "few_studies",
                f"{k} studies for {p - 1} moderator column(s): fewer than ten a column is "
                f"commonly held too few (Cochrane Handbook 10.11.5.1).",
            )
        )
    if certificate.maxima > 1:
        said.append(
            (
                "several_maxima",
                f"The likelihood of τ² has {certificate.maxima} local maxima; the highest was "
                f"taken.",
            )
        )
    return tuple(said)


def joint_test(regression: Regression, terms: Sequence[str]) -> Omnibus:
    """The joint test of these terms (as given to `regress`) or of single coefficients."""
    columns: list[int] = []
    for term in terms:
        if term in regression.design.terms:
            columns += regression.design.terms[term]
        elif term in regression.design.names:
            columns.append(regression.design.names.index(term))
        else:
            known = [*regression.design.terms, *regression.design.names]
            raise unknown_name("term", term, known)
    beta = np.array([c.estimate for c in regression.coefficients])
    return omnibus_test(regression.design, beta, regression.covariance, columns, regression.df)


def predict(regression: Regression, row: Mapping[str, float]) -> Prediction:
    """The effect at one row of the design; columns not named are 0, the intercept is 1."""
    names = regression.design.names
    for name in row:
        if name not in names:
            raise unknown_name("coefficient", name, names)
    x = np.array([1.0 if n == INTERCEPT and n not in row else float(row.get(n, 0)) for n in names])
    beta = np.array([c.estimate for c in regression.coefficients])
    estimate, variance = float(x @ beta), float(x @ regression.covariance @ x)
    crit = quantile(0.5 + regression.level / 2, regression.df)
    reach = crit * math.sqrt(variance + regression.tau2)
    return Prediction(
        estimate=estimate,
        se=math.sqrt(variance),
        ci_lower=estimate - crit * math.sqrt(variance),
        ci_upper=estimate + crit * math.sqrt(variance),
        pi_lower=estimate - reach,
        pi_upper=estimate + reach,
    )


def variance_inflation(regression: Regression) -> dict[str, float]:
    """How much each coefficient's variance is inflated by the other moderators (1: not at all)."""
    at = [i for i, n in enumerate(regression.design.names) if n != INTERCEPT]
    if len(at) < 2:
        return {regression.design.names[i]: 1.0 for i in at}
    c = regression.covariance[np.ix_(at, at)]
    scale = np.sqrt(np.diag(c))
    inflation = np.diag(np.linalg.inv(c / np.outer(scale, scale)))
    return {regression.design.names[i]: float(f) for i, f in zip(at, inflation, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunken:
    """A study's true effect as estimated from all studies (best linear unbiased prediction)."""

    study: str
    estimate: float
    se: float
    deviation: float


def shrink(regression: Regression) -> tuple[Shrunken, ...]:
    """Each study's effect shrunken towards its fitted value (Raudenbush & Bryk 1985)."""
    y, v, x = regression.effects.y, regression.effects.v, regression.design.matrix
    tau2 = regression.tau2
    share = tau2 / (tau2 + v)
    fitted = x @ np.array([c.estimate for c in regression.coefficients])
    leverage = np.einsum("ij,jk,ik->i", x, regression.covariance, x)
    estimate = share * y + (1 - share) * fitted
    variance = share * v + (1 - share) ** 2 * leverage
    return tuple(
        Shrunken(study=s, estimate=float(e), se=math.sqrt(u), deviation=float(e - f))
        for s, e, u, f in zip(regression.effects.study, estimate, variance, fitted, strict=True)
    )
