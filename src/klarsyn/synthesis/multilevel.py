"""Effects that depend on each other: multilevel, crossed and multivariate random-effects models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats import linear_mixed
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.coefficients import coefficient_plot, coefficient_records
from klarsyn.synthesis.multilevel_model import (
    Model,
    all_elements,
    has_correlations,
    independent_blocks,
    natural_components,
    parameter_bounds,
    starting_points,
    with_singular,
)
from klarsyn.synthesis.random_terms import CodedTerm, RandomTerm, coded

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

METHODS = ("REML", "ML")
TESTS = ("z", "t")
FEW_LEVELS, FEW_CLUSTERS = 5, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wald:
    """A joint test: chi-square with `df` (`df2` infinite) or F with `df` and `df2`."""

    statistic: float
    df: float
    df2: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilevelFit:
    """A linear mixed-effects meta-analysis.

    `components` holds the variances (in the effects' units squared) and correlations by name:
    `sigma2[...]` of random intercepts, `tau2[...]` and `rho` of structured terms; `covariances`
    the whole matrix of each structured term. `I2` is each variance's share (percent) of total
    variance with Higgins and Thompson's typical sampling variance (n − p) / tr(P), as Nakagawa &
    Santos (2012) and Cheung (2014) split it. `QE` tests residual heterogeneity against V alone
    (NaN where V is singular), `QM` all moderators but a constant column.
    """

    method: str
    test: str
    coefficients: Mapping[str, Estimate]
    vcov: Matrix = field(repr=False)
    components: Mapping[str, float]
    covariances: Mapping[str, Matrix] = field(repr=False)
    I2: Mapping[str, float]
    log_likelihood: float
    aic: float
    bic: float
    aicc: float
    QE: Wald
    QM: Wald | None
    observations: int
    levels: Mapping[str, int]
    certificate: Certificate
    digest: str
    model: Model = field(repr=False)

    @property
    def estimate(self) -> Estimate:
        """The first coefficient: the pooled effect when there are no moderators."""
        return next(iter(self.coefficients.values()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on where these data are known to make the method fail."""
        out = [
            f"The variance of {name} rests on {count} levels: it is hardly known."
            for name, count in self.levels.items()
            if count < FEW_LEVELS
        ]
        name, fewest = min(self.levels.items(), key=lambda item: item[1])
        if self.test == "z" and fewest < FEW_CLUSTERS:
            out.append(
                f"{fewest} levels of {name}: normal tests are too liberal. Use test t, or robust "
                f"errors (CR2)."
            )
        if not self.certificate.converged:
            out.append("The likelihood is flat: the components are not identified.")
        return tuple(out)

    def summary(self) -> str:
        """The model in a few lines."""
        lines = [f"{self.observations} effects, {self.method}, {self.test} tests"]
        for name, estimate in self.coefficients.items():
            low, high = estimate.interval()
            lines.append(
                f"{name}: {estimate.value:.4g} (95 % CI {low:.4g} to {high:.4g}, "
                f"p = {estimate.p_value():.3g})"
            )
        lines += [f"{name}: {value:.4g}" for name, value in self.components.items()]
        if self.certificate.boundary:
            lines.append("On their bound: " + ", ".join(self.certificate.boundary))
        return "\n".join([*lines, *(f"Warning: {w}" for w in self.warnings)])

    def plot(self) -> Any:
        """The coefficients with their 95 % intervals, as an Altair chart."""
        return coefficient_plot(self.coefficients, self.method)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result, without the data."""
        return {
            "method": self.method,
            "test": self.test,
            "observations": self.observations,
            "levels": dict(self.levels),
            "coefficients": coefficient_records(self.coefficients),
            "vcov": self.vcov.tolist(),
            "components": dict(self.components),
            "covariances": {n: g.tolist() for n, g in self.covariances.items()},
            "I2": dict(self.I2),
            "definitions": {
                "I2": "each variance over all variances + typical sampling variance (n − p)/tr(P)"
                " (Nakagawa & Santos 2012)",
                "prediction": "mean ± the test's own quantile × √(SE² + all variances)",
            },
            "log_likelihood": self.log_likelihood,
            "aic": self.aic,
            "bic": self.bic,
            "aicc": self.aicc,
            "QE": _wald_dict(self.QE),
            "QM": None if self.QM is None else _wald_dict(self.QM),
            "warnings": list(self.warnings),
            "certificate": self.certificate.to_dict(),
            "digest": self.digest,
        }


def fit_multilevel(
    y: Sequence[float] | Vector,
    variance: Sequence[float] | Matrix,
    *,
    random: Sequence[RandomTerm],
    design: Any = None,
    names: Sequence[str] | None = None,
    method: str = "REML",
    test: str = "z",
    starts: int | None = None,
) -> MultilevelFit:
    """Fit y ~ N(Xb, V + random terms) by REML or ML.

    `variance` is the vector of sampling variances or their whole covariance matrix (see
    `known_covariance`). `random` lists the terms (`nested(study=..., effect=...)`, `Inner`,
    `Slopes`). Rarely needed: `design` (observations × coefficients, default one constant column)
    with its `names`; `test` t takes observations − coefficients degrees of freedom; `starts` is
    how many of the ranked
    starting points are followed to a maximum (2, with correlations to estimate 6).

    Log-likelihoods contain all constants (Harville 1974, with ½ log|X'X|). Raises InputError on
    impossible input, NumericalError `rank_deficient` or `not_converged`.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    data, V, X, labels = _checked(y, variance, design, names)
    terms = tuple(coded(term, data.size) for term in random)
    if not terms:
        raise InputError("A multilevel model needs at least one random term.")
    _refuse_unidentified(terms)
    blocks = independent_blocks(terms, V, data.size)
    problem = linear_mixed.build(
        data,
        X,
        V,
        blocks,
        lambda index, real: np.concatenate([t.patterns(index, real) for t in terms]),
    )
    lower, upper = parameter_bounds(terms)
    fitted, _ = linear_mixed.fit(
        problem,
        lambda phi: all_elements(terms, phi),
        starting_points(terms, problem),
        lower,
        upper,
        [n for t in terms for n in t.parameter_names()],
        restricted=method == "REML",
        first=starts or (6 if has_correlations(terms) else 2),
    )
    model = Model(y=data, V=V, X=X, terms=terms, blocks=blocks, problem=problem, phi=fitted.phi)
    fitted = replace(fitted, certificate=with_singular(fitted.certificate, model))
    arrays = [a.tobytes() for a in (data, V, X, *(t.outer for t in terms))]
    digest = digest_of(*arrays, [(t.name, t.family.name) for t in terms], method, test)
    return _described(model, fitted, labels, test, digest)


def _checked(
    y: Any, variance: Any, design: Any, names: Sequence[str] | None
) -> tuple[Vector, Matrix, Matrix, tuple[str, ...]]:
    data = np.asarray(y, dtype=float)
    V = np.asarray(variance, dtype=float)
    n = data.size
    if data.ndim != 1 or n == 0 or not np.isfinite(data).all():
        raise InputError("The effects must be one row of finite numbers.")
    if V.shape not in ((n,), (n, n)):
        raise InputError(f"{n} effects need {n} variances or an {n} × {n} matrix, not {V.shape}.")
    diagonal = V if V.ndim == 1 else np.diag(V)
    if not np.isfinite(V).all() or (diagonal <= 0).any():
        row = int(np.argmax(~(np.isfinite(diagonal) & (diagonal > 0)))) + 1
        raise InputError(f"Effect {row}: its sampling variance must be a finite number above 0.")
    if V.ndim == 2 and not np.allclose(V, V.T, rtol=1e-10, atol=0):
        raise InputError("The sampling covariance is not symmetric.")
    X = np.ones((n, 1)) if design is None else np.asarray(design, dtype=float)
    if X.ndim != 2 or X.shape[0] != n or not np.isfinite(X).all():
        raise InputError(f"The design needs {n} rows of finite numbers, one per effect.")
    if n <= X.shape[1]:
        raise NumericalError(
            "too_few_studies",
            f"Heterogeneity needs more effects than coefficients: "
            f"{X.shape[1] + 1} or more, not {n}.",
        )
    labels = tuple(names) if names is not None else _default_names(X)
    if len(labels) != X.shape[1] or len(set(labels)) != len(labels):
        raise InputError("Each column of the design needs a name of its own.")
    return data, V, X, labels


def _default_names(X: Matrix) -> tuple[str, ...]:
    return tuple("intercept" if (c == 1).all() else f"b{i}" for i, c in enumerate(X.T))


def _refuse_unidentified(terms: Sequence[CodedTerm]) -> None:
    seen: dict[tuple[int, ...], str] = {}
    for term in terms:
        if len(term.outer_labels) < 2:
            only = next(iter(term.outer_labels))
            raise InputError(
                f"The random term {term.name!r} has one level only ({only}): its variance "
                f"cannot be estimated. Leave it out."
            )
        if term.inner is not None or term.columns is not None:
            continue
        key = tuple(np.unique(term.outer, return_inverse=True)[1].tolist())
        if key in seen:
            raise InputError(
                f"The random terms {seen[key]!r} and {term.name!r} group the effects alike; their "
                f"variances cannot be told apart. Drop one."
            )
        seen[key] = term.name


def _described(
    model: Model,
    fitted: linear_mixed.MixedFit,
    labels: tuple[str, ...],
    test: str,
    digest: str,
) -> MultilevelFit:
    n, p = model.X.shape
    df = math.inf if test == "z" else float(n - p)
    se = np.sqrt(np.diag(fitted.vcov))
    components, covariances = natural_components(model)
    free = fitted.phi.size + p
    size = n if fitted.method == "ML" else n - p
    aic = -2 * fitted.log_likelihood + 2 * free
    spare = size - free - 1
    known = linear_mixed.evaluate(
        model.problem, np.zeros(model.elements(model.phi)[0].size), False, order=0
    )
    Q = math.nan if known is None else known.quadratic
    return MultilevelFit(
        method=fitted.method,
        test=test,
        coefficients={
            name: Estimate(value=float(b), se=float(s), method=fitted.method, df=df)
            for name, b, s in zip(labels, fitted.b, se, strict=True)
        },
        vcov=fitted.vcov,
        components=components,
        covariances=covariances,
        I2={} if known is None else _shares(model, components, known.vcov),
        log_likelihood=fitted.log_likelihood,
        aic=aic,
        bic=-2 * fitted.log_likelihood + free * math.log(size),
        aicc=aic + 2 * free * (free + 1) / spare if spare > 0 else math.nan,
        QE=_chi_square(Q, n - p),
        QM=_moderators(model.X, fitted, df),
        observations=n,
        levels={t.name: len(t.outer_labels) for t in model.terms},
        certificate=fitted.certificate,
        digest=digest,
        model=model,
    )


def _shares(model: Model, components: Mapping[str, float], vcov: Matrix) -> dict[str, float]:
    """Percent of the whole variance; `vcov` is that of the coefficients without heterogeneity."""
    n, p = model.X.shape
    if n <= p:
        return {}
    trace = 0.0
    for bucket in model.problem.buckets:
        W = np.linalg.inv(bucket.V)
        real = bucket.rows >= 0
        trace += float((np.diagonal(W, axis1=1, axis2=2) * real).sum())
        WX = W @ bucket.X
        trace -= float(((WX @ vcov) * WX).sum())
    typical = model.problem.unit * (n - p) / trace
    parts = {k: v for k, v in components.items() if k.startswith("sigma2")}
    if len(parts) != len(model.terms):
        return {}
    total = sum(parts.values()) + typical
    return {k: 100 * v / total for k, v in parts.items()}


def _moderators(X: Matrix, fitted: linear_mixed.MixedFit, df: float) -> Wald | None:
    tested = ~(X == 1).all(axis=0)
    if not tested.any():
        return None
    b = fitted.b[tested]
    statistic = float(b @ np.linalg.solve(fitted.vcov[np.ix_(tested, tested)], b))
    q = int(tested.sum())
    if math.isinf(df):
        return _chi_square(statistic, q)
    from scipy import special

    return Wald(statistic=statistic / q, df=q, df2=df, p=float(special.fdtrc(q, df, statistic / q)))


def _chi_square(statistic: float, df: int) -> Wald:
    from scipy import special

    p = float(special.chdtrc(df, statistic)) if df > 0 else math.nan
    return Wald(statistic=statistic, df=df, df2=math.inf, p=p)


def _wald_dict(test: Wald) -> dict[str, float]:
    return {"statistic": test.statistic, "df": test.df, "df2": test.df2, "p": test.p}
