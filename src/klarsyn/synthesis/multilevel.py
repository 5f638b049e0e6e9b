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
from klarsyn.synthesis.random_terms import CodedTerm, RandomTerm, coded

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

METHODS = ("REML", "ML")
TESTS = ("z", "t")
FEW_LEVELS, FEW_CLUSTERS = 5, 20
SINGULAR = 1e-10
ROUNDING = 1e-18  # a variance of this share of the typical sampling variance is zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Wald:
    """A joint test: chi-square with `df` (`df2` infinite) or F with `df` and `df2`."""

    statistic: float
    df: float
    df2: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What was fitted: kept whole so that intervals, predictions and robust errors can follow."""

    y: Vector
    V: Matrix
    X: Matrix
    terms: tuple[CodedTerm, ...]
    blocks: tuple[NDArray[np.intp], ...]
    problem: linear_mixed.Problem
    phi: Vector

    def elements(self, phi: Vector) -> tuple[Vector, Matrix]:
        """All covariance elements at φ and their Jacobian, term by term."""
        return _elements(self.terms, phi)

    def covariance(self, block: NDArray[np.intp]) -> Matrix:
        """The marginal covariance of the observations of a block, in the data's units."""
        index = block[None, :]
        real = np.ones(index.shape, dtype=bool)
        gamma = self.elements(self.phi)[0]
        known = np.diag(self.V[block]) if self.V.ndim == 1 else self.V[np.ix_(block, block)]
        patterns = np.concatenate([t.patterns(index, real) for t in self.terms])[:, 0]
        return known + self.problem.unit * np.tensordot(gamma, patterns, 1)


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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result, without the data."""
        return {
            "method": self.method,
            "test": self.test,
            "observations": self.observations,
            "levels": dict(self.levels),
            "coefficients": {
                name: {
                    "value": e.value,
                    "se": e.se,
                    "df": e.df,
                    "interval": list(e.interval()),
                    "p": e.p_value(),
                }
                for name, e in self.coefficients.items()
            },
            "vcov": self.vcov.tolist(),
            "components": dict(self.components),
            "covariances": {n: g.tolist() for n, g in self.covariances.items()},
            "I2": dict(self.I2),
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
    blocks = _blocks(terms, V, data.size)
    problem = linear_mixed.build(
        data,
        X,
        V,
        blocks,
        lambda index, real: np.concatenate([t.patterns(index, real) for t in terms]),
    )
    lower, upper = _bounds(terms)
    fitted, _ = linear_mixed.fit(
        problem,
        lambda phi: _elements(terms, phi),
        _starts(terms, problem),
        lower,
        upper,
        [n for t in terms for n in t.parameter_names()],
        restricted=method == "REML",
        first=starts or (6 if _correlated(terms) else 2),
    )
    model = Model(y=data, V=V, X=X, terms=terms, blocks=blocks, problem=problem, phi=fitted.phi)
    fitted = replace(fitted, certificate=_with_singular(fitted.certificate, model))
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
            f"{n} effects cannot estimate {X.shape[1]} coefficients and heterogeneity besides; "
            f"more effects than coefficients are needed.",
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


def _blocks(terms: Sequence[CodedTerm], V: Matrix, n: int) -> tuple[NDArray[np.intp], ...]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, cols, offset = [], [], n
    for term in terms:
        rows.append(np.arange(n))
        cols.append(term.outer + offset)
        offset += len(term.outer_labels)
    if V.ndim == 2:
        i, j = np.nonzero(np.triu(V, 1))
        rows.append(i)
        cols.append(j)
    at, to = np.concatenate(rows), np.concatenate(cols)
    graph = coo_array((np.ones(at.size, dtype=np.int8), (at, to)), shape=(offset, offset))
    _, part = connected_components(graph, directed=False)
    part = part[:n]
    order = np.argsort(part, kind="stable")
    cuts = np.flatnonzero(np.diff(part[order])) + 1
    return tuple(np.split(order, cuts))


def _elements(terms: Sequence[CodedTerm], phi: Vector) -> tuple[Vector, Matrix]:
    if len(terms) == 1:
        return terms[0].family.elements(phi)
    values, jacobians, at = [], [], 0
    for term in terms:
        count = len(term.family.parameters)
        value, jacobian = term.family.elements(phi[at : at + count])
        values.append(value)
        jacobians.append(jacobian)
        at += count
    gamma = np.concatenate(values)
    out = np.zeros((gamma.size, phi.size))
    row = col = 0
    for jacobian in jacobians:
        r, c = jacobian.shape
        out[row : row + r, col : col + c] = jacobian
        row, col = row + r, col + c
    return gamma, out


def _bounds(terms: Sequence[CodedTerm]) -> tuple[Vector, Vector]:
    return (
        np.concatenate([t.family.lower for t in terms]),
        np.concatenate([t.family.upper for t in terms]),
    )


def _starts(terms: Sequence[CodedTerm], problem: linear_mixed.Problem) -> list[Vector]:
    """Equal shares of a small, the plausible and a large heterogeneity, and each term alone."""
    p = problem.columns
    squares = sum(float((b.y**2).sum()) for b in problem.buckets)
    fitted = sum((np.einsum("bip,bi->p", b.X, b.y) for b in problem.buckets), np.zeros(p))
    spread = (squares - float((fitted**2).sum())) / max(problem.observations - p, 1)
    sampling = float(
        np.median(
            np.concatenate([np.diagonal(b.V, axis1=1, axis2=2).ravel() for b in problem.buckets])
        )
    )
    total = max(spread - sampling, 0.1 * sampling)
    shares = [np.full(len(terms), f / len(terms)) for f in (1.0, 0.1, 4.0)]
    if len(terms) > 1:
        each = np.arange(len(terms))
        shares += [np.where(each == alone, 1.0, 0.02) for alone in each]
    correlations = (0.5, -0.9, 0.9) if _correlated(terms) else (0.5,)
    return [
        np.concatenate([t.family.start(total * s, r) for t, s in zip(terms, share, strict=True)])
        for r in correlations
        for share in shares
    ]


def _correlated(terms: Sequence[CodedTerm]) -> bool:
    return any(len(t.family.parameters) > 1 and t.family.name != "DIAG" for t in terms)


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
    components, covariances = _natural(model)
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
        I2=_shares(model, components),
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


def _with_singular(certificate: Certificate, model: Model) -> Certificate:
    """The certificate with unstructured matrices that are singular among its boundaries."""
    singular, at = [], 0
    for term in model.terms:
        count = len(term.family.parameters)
        G = term.family.matrix(model.phi[at : at + count])
        at += count
        if term.family.parameters[0].startswith("factor"):
            values = np.linalg.eigvalsh(G)
            if values[0] <= SINGULAR * values[-1]:
                singular.append(f"{term.name}: singular")
    if not singular:
        return certificate
    return replace(certificate, boundary=(*certificate.boundary, *singular))


def _natural(model: Model) -> tuple[dict[str, float], dict[str, Matrix]]:
    """Variances and correlations by name, and the whole matrix of each structured term."""
    components: dict[str, float] = {}
    covariances: dict[str, Matrix] = {}
    at = 0
    for term in model.terms:
        count = len(term.family.parameters)
        matrix = term.family.matrix(model.phi[at : at + count])
        matrix = np.where(np.abs(matrix) < ROUNDING, 0.0, matrix) * model.problem.unit
        at += count
        if term.inner is None and term.columns is None:
            components[f"sigma2[{term.name}]"] = float(matrix[0, 0])
            continue
        G = matrix / np.outer(term.scale, term.scale)
        covariances[term.name] = G
        components |= _named(term, G)
    return components, covariances


def _named(term: CodedTerm, G: Matrix) -> dict[str, float]:
    sd = np.sqrt(np.diag(G))
    correlation = np.divide(
        G, np.outer(sd, sd), out=np.full_like(G, math.nan), where=np.outer(sd, sd) > 0
    )
    labels = term.inner_labels or tuple(range(1, len(G) + 1))
    single = len(G) == 1 or term.family.name in ("ID", "CS", "AR", "CAR")
    out = (
        {f"tau2[{term.name}]": float(G[0, 0])}
        if single
        else {f"tau2[{term.name}: {k}]": float(v) for k, v in zip(labels, np.diag(G), strict=True)}
    )
    if len(G) == 1 or term.family.name in ("ID", "DIAG"):
        return out
    if term.family.name != "UN":
        return out | {f"rho[{term.name}]": _lag_one(term, correlation)}
    for i in range(len(G)):
        for j in range(i + 1, len(G)):
            out[f"rho[{term.name}: {labels[i]}, {labels[j]}]"] = float(correlation[i, j])
    return out


def _lag_one(term: CodedTerm, correlation: Matrix) -> float:
    if term.family.name in ("CS", "HCS"):
        return float(correlation[0, 1])
    times = np.asarray(term.inner_labels, dtype=float)
    lag = float(abs(times[1] - times[0]))
    value = float(correlation[0, 1])
    return math.copysign(abs(value) ** (1 / lag), value)


def _shares(model: Model, components: Mapping[str, float]) -> dict[str, float]:
    n, p = model.X.shape
    if n <= p:
        return {}
    state = linear_mixed.evaluate(
        model.problem, np.zeros(model.elements(model.phi)[0].size), True, order=0
    )
    if state is None:
        return {}
    trace = 0.0
    for bucket in model.problem.buckets:
        W = np.linalg.inv(bucket.V)
        real = bucket.rows >= 0
        trace += float((np.diagonal(W, axis1=1, axis2=2) * real).sum())
        WX = W @ bucket.X
        trace -= float(np.einsum("bip,pq,biq->", WX, state.vcov, WX))
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
