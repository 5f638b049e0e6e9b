"""Tests that stay right when the working model of dependence is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.cluster_robust import KINDS, Robust, cluster_robust
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.coefficients import coefficient_plot, coefficient_records
from klarsyn.synthesis.multilevel import MultilevelFit, Wald

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

WEIGHTS = ("HIER", "CORR")
FEW_DF = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustFit:
    """Coefficients with cluster-robust standard errors and t references.

    `kind` is CR0, CR1, CR1p, CR1S, CR2 or CR3 as clubSandwich names them (metafor's own `robust()`
    is CR1p). With CR2 and CR3 each coefficient has its own Satterthwaite df, and below 4 the t
    reference itself is not to be trusted (Tipton 2015): `unreliable` names those.
    `heterogeneity` holds tau2, omega2, I2 (percent) and rho of the working model, where it has
    them.
    """

    method: str
    kind: str
    coefficients: Mapping[str, Estimate]
    vcov: Matrix = field(repr=False)
    heterogeneity: Mapping[str, float]
    clusters: int
    observations: int
    digest: str
    robust: Robust = field(repr=False)

    @property
    def estimate(self) -> Estimate:
        """The first coefficient: the pooled effect when there are no moderators."""
        return next(iter(self.coefficients.values()))

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Coefficients with fewer than 4 degrees of freedom."""
        return tuple(n for n, e in self.coefficients.items() if e.df < FEW_DF)

    def test(self, names: Sequence[str]) -> Wald:
        """Joint test that the named coefficients are zero: HTZ for CR2, F otherwise.

        Raises UnknownNameError; NumericalError `degenerate` where HTZ has no positive df.
        """
        order = list(self.coefficients)
        for name in names:
            if name not in order:
                raise unknown_name("coefficient", name, order)
        contrasts = np.eye(len(order))[[order.index(n) for n in names]]
        b = np.array([e.value for e in self.coefficients.values()])
        F, q, df2 = self.robust.wald(b, contrasts)
        if df2 <= 0:
            raise NumericalError(
                "degenerate",
                f"The joint test of {', '.join(names)} has no positive degrees of freedom: too few "
                f"clusters carry these coefficients.",
            )
        from scipy import special

        return Wald(statistic=F, df=q, df2=df2, p=float(special.fdtrc(q, df2, F)))

    def summary(self) -> str:
        """The coefficients in a few lines."""
        lines = [f"{self.observations} effects in {self.clusters} clusters, {self.method}"]
        for name, e in self.coefficients.items():
            low, high = e.interval()
            lines.append(
                f"{name}: {e.value:.4g} (95 % CI {low:.4g} to {high:.4g}, df {e.df:.1f}, "
                f"p = {e.p_value():.3g})"
            )
        lines += [f"{n}: {v:.4g}" for n, v in self.heterogeneity.items()]
        if self.unreliable:
            lines.append("Fewer than 4 df, do not trust: " + ", ".join(self.unreliable))
        return "\n".join(lines)

    def plot(self) -> Any:
        """The coefficients with their 95 % intervals, as an Altair chart."""
        return coefficient_plot(self.coefficients, self.method)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result."""
        return {
            "method": self.method,
            "kind": self.kind,
            "clusters": self.clusters,
            "observations": self.observations,
            "coefficients": coefficient_records(self.coefficients),
            "vcov": self.vcov.tolist(),
            "heterogeneity": dict(self.heterogeneity),
            "definitions": {"I2": "(QE − its expectation at τ² = 0)/QE, never below 0"}
            if "I2" in self.heterogeneity
            else {},
            "unreliable": list(self.unreliable),
            "digest": self.digest,
        }


def robust(fit: MultilevelFit, cluster: Sequence[Any], kind: str = "CR2") -> RobustFit:
    """A multilevel fit with cluster-robust errors, its own covariance as the working model.

    Raises InputError where effects of different clusters are correlated in the fit.
    """
    if kind not in KINDS:
        raise unknown_name("robust covariance", kind, KINDS)
    model = fit.model
    codes = _codes(cluster, fit.observations)
    home = np.full(fit.observations, -1)
    for number, block in enumerate(model.blocks):
        if len(set(codes[block].tolist())) > 1:
            raise InputError(
                "Effects of different clusters are correlated in the fit. Cluster by the widest "
                "grouping of its random terms and sampling covariance."
            )
        home[block] = number
    members = _members(codes, model.X.shape[1])
    weights = [np.linalg.inv(model.covariance(m)) for m in members]
    b = np.array([e.value for e in fit.coefficients.values()])
    result = cluster_robust(model.X, model.y - model.X @ b, members, weights, kind)
    return _described(
        f"{fit.method} with {kind}",
        result,
        b,
        tuple(fit.coefficients),
        fit.observations,
        {},
        digest_of(fit.digest, codes.tobytes(), kind),
    )


def fit_robust(
    y: Sequence[float] | Vector,
    variance: Sequence[float] | Vector,
    study: Sequence[Any],
    *,
    weights: str,
    rho: float | None = None,
    design: Any = None,
    names: Sequence[str] | None = None,
    kind: str = "CR2",
) -> RobustFit:
    """Robust variance estimation of Hedges, Tipton & Johnson (2010, Res Synth Methods 1:39).

    `weights` HIER: effects nested in studies, moment estimates of tau² (between studies) and
    omega² (within). CORR: effects of a study correlated by `rho` (asked for, no default), one
    tau², weights 1 / (k (mean v + tau²)). CR2 is the small-sample correction of Tipton (2015).
    """
    if weights not in WEIGHTS:
        raise unknown_name("working model", weights, WEIGHTS)
    if kind not in KINDS:
        raise unknown_name("robust covariance", kind, KINDS)
    if weights == "CORR" and (rho is None or not 0 <= rho <= 1):
        raise InputError("CORR needs rho, the assumed correlation of a study's effects, 0 to 1.")
    data, v = np.asarray(y, dtype=float), np.asarray(variance, dtype=float)
    n = data.size
    if v.shape != (n,) or not np.isfinite(data).all() or not (v > 0).all():
        raise InputError("Give one finite effect and one variance above 0 for each.")
    X = np.ones((n, 1)) if design is None else np.asarray(design, dtype=float).reshape(n, -1)
    labels = tuple(names) if names is not None else tuple(f"b{i}" for i in range(X.shape[1]))
    codes = _codes(study, n)
    members = _members(codes, X.shape[1])
    if weights == "HIER":
        heterogeneity = _hierarchical(data, v, X, members)
        w = 1 / (v + heterogeneity["tau2"] + heterogeneity["omega2"])
    else:
        assert rho is not None
        sizes, means = _per_study(v, members)
        heterogeneity = _correlated(data, sizes, means, X, members, rho)
        w = 1 / (sizes * (means + heterogeneity["tau2"]))
    b = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * data))
    result = cluster_robust(X, data - X @ b, members, [np.diag(w[m]) for m in members], kind)
    digest = digest_of(
        data.tobytes(), v.tobytes(), X.tobytes(), codes.tobytes(), weights, rho, kind
    )
    return _described(f"{weights} with {kind}", result, b, labels, n, heterogeneity, digest)


def _codes(cluster: Sequence[Any], observations: int) -> NDArray[np.intp]:
    values = cluster.tolist() if isinstance(cluster, np.ndarray) else list(cluster)
    if len(values) != observations:
        raise InputError(f"{len(values)} cluster labels for {observations} effects.")
    place = {label: i for i, label in enumerate(dict.fromkeys(values))}
    return np.array([place[x] for x in values], dtype=np.intp)


def _members(codes: NDArray[np.intp], p: int) -> list[NDArray[np.intp]]:
    count = int(codes.max()) + 1
    if count <= p:
        raise NumericalError(
            "too_few_studies",
            f"{count} clusters cannot give robust errors of {p} coefficients; more clusters than "
            f"coefficients are needed.",
        )
    return [np.flatnonzero(codes == j) for j in range(count)]


def _per_study(v: Vector, members: Sequence[NDArray[np.intp]]) -> tuple[Vector, Vector]:
    sizes, means = np.empty_like(v), np.empty_like(v)
    for m in members:
        sizes[m], means[m] = len(m), v[m].mean()
    return sizes, means


def _hierarchical(
    y: Vector, v: Vector, X: Matrix, members: Sequence[NDArray[np.intp]]
) -> dict[str, float]:
    """Moments of Q with weights 1/v and of Σ(study sum of residuals)², both truncated at 0."""
    w = 1 / v
    bread = np.linalg.inv(X.T @ (w[:, None] * X))
    e = y - X @ bread @ (X.T @ (w * y))
    sums = np.stack([X[m].sum(axis=0) for m in members])
    weighted = np.stack([(w[m, None] * X[m]).sum(axis=0) for m in members])
    k = np.array([len(m) for m in members], dtype=float)
    XJX, XWJWX = sums.T @ sums, weighted.T @ weighted
    cross = weighted.T @ sums
    XJJWX = (k[:, None] * sums).T @ weighted
    XWWX = X.T @ (w[:, None] ** 2 * X)
    Qe = float((w * e**2).sum())
    Qa = float(sum(e[m].sum() ** 2 for m in members))
    A1 = (k**2).sum() - 2 * np.trace(bread @ XJJWX) + np.trace(bread @ XJX @ bread @ XWJWX)
    B1 = len(y) - 2 * np.trace(bread @ cross) + np.trace(bread @ XJX @ bread @ XWWX)
    C1 = v.sum() - np.trace(bread @ XJX)
    A2 = w.sum() - np.trace(bread @ XWJWX)
    B2 = w.sum() - np.trace(bread @ XWWX)
    C2 = len(y) - X.shape[1]
    determinant = B1 * A2 - B2 * A1
    if abs(determinant) <= 1e-9 * (abs(B1 * A2) + abs(B2 * A1)):
        raise NumericalError(
            "not_estimable",
            "HIER cannot tell heterogeneity within studies from that between them: no study has "
            "several effects. Use CORR.",
        )
    omega2 = max(0.0, ((Qa - C1) * A2 - (Qe - C2) * A1) / determinant)
    tau2 = max(0.0, (Qe - C2 - omega2 * B2) / A2)
    return {"tau2": float(tau2), "omega2": float(omega2), "QE": Qe}


def _correlated(
    y: Vector,
    sizes: Vector,
    means: Vector,
    X: Matrix,
    members: Sequence[NDArray[np.intp]],
    rho: float,
) -> dict[str, float]:
    """Moment estimate from Q with weights 1 / (k mean v), effects of a study correlated by rho."""
    w = 1 / (sizes * means)
    bread = np.linalg.inv(X.T @ (w[:, None] * X))
    e = y - X @ bread @ (X.T @ (w * y))
    Q = float((w * e**2).sum())
    sums = np.stack([X[m].sum(axis=0) for m in members])
    share = np.array([w[m[0]] / len(m) for m in members])
    weighted = np.stack([w[m[0]] * X[m].sum(axis=0) for m in members])
    inner = X.T @ ((w / sizes)[:, None] * X)
    alone = np.trace(bread @ inner)
    together = np.trace(bread @ ((share[:, None] * sums).T @ sums - inner))
    expected = len(members) - alone - rho * together
    tau2 = max(0.0, (Q - expected) / (w.sum() - np.trace(bread @ weighted.T @ weighted)))
    I2 = max(0.0, 100 * (Q - expected) / Q) if Q > 0 else 0.0
    return {"tau2": float(tau2), "I2": float(I2), "rho": rho, "QE": Q}


def _described(
    method: str,
    result: Robust,
    b: Vector,
    labels: tuple[str, ...],
    observations: int,
    heterogeneity: Mapping[str, float],
    digest: str,
) -> RobustFit:
    p = len(b)
    se = np.sqrt(np.diag(result.vcov))
    return RobustFit(
        method=method,
        kind=result.kind,
        coefficients={
            name: Estimate(
                value=float(b[i]),
                se=float(se[i]),
                method=method,
                df=max(result.df(np.eye(p)[i]), math.ulp(1.0)),
            )
            for i, name in enumerate(labels)
        },
        vcov=result.vcov,
        heterogeneity=dict(heterogeneity),
        clusters=result.clusters,
        observations=observations,
        digest=digest,
        robust=result,
    )
