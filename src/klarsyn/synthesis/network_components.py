"""Additive components: a combination's effect is the sum of its parts' effects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.network import decouple, solve
from klarsyn.stats.network_arms import LOG_MEASURES
from klarsyn.stats.scalar_heterogeneity import ESTIMATORS, estimate_tau2
from klarsyn.synthesis.network_data import NetworkData

Matrix = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFit:
    """Effects of components against the inactive treatment, on the measure's scale.

    `Q` tests the additive model's fit; `Q_difference` with `df_difference` tests additivity
    against the ordinary network (None where the network is disconnected), both without tau²
    (Rücker, Petropoulou & Schwarzer 2020).
    """

    measure: str
    components: Mapping[str, Estimate]
    covariance: Matrix = field(repr=False)
    inactive: str | None
    heterogeneity: str
    tau2: float
    Q: float
    df: int
    Q_difference: float | None
    df_difference: int | None
    certificate: Certificate
    digest: str

    @property
    def method(self) -> str:
        """How the effects were estimated."""
        return next(iter(self.components.values())).method

    def combination(self, *parts: str) -> Estimate:
        """The effect of a combination of components against the inactive treatment."""
        names = list(self.components)
        for part in parts:
            if part not in names:
                raise unknown_name("component", part, names)
        row = np.array([float(parts.count(n)) for n in names])
        first = next(iter(self.components.values()))
        return Estimate(
            value=float(row @ [e.value for e in self.components.values()]),
            se=math.sqrt(row @ self.covariance @ row),
            method=first.method,
            scale=first.scale,
        )

    def summary(self) -> str:
        """The components in a few lines."""
        lines = [f"Additive components, {self.measure}, tau = {math.sqrt(self.tau2):.4g}"]
        for name, e in self.components.items():
            low, high = e.interval()
            lines.append(f"{name}: {e.value:.3g} ({low:.3g} to {high:.3g})")
        if self.Q_difference is not None and self.df_difference:
            from scipy.special import chdtrc

            p = float(chdtrc(self.df_difference, self.Q_difference))
            lines.append(
                f"Additivity: Q = {self.Q_difference:.3g} on {self.df_difference} df (p = {p:.3g})"
            )
        return "\n".join(lines)

    def plot(self) -> Any:
        """Each component's effect, as an Altair chart."""
        from klarsyn.figures.estimates import estimate_lines

        first = next(iter(self.components.values()))
        lines = [(n, e.value, *e.interval()) for n, e in self.components.items()]
        against = f" against {self.inactive}" if self.inactive else ""
        title = f"{self.measure}{against}"
        return estimate_lines([], pooled=lines, title=title, log=first.scale == "log")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result."""
        return {
            "measure": self.measure,
            "method": self.method,
            "components": {
                n: {"value": e.value, "se": e.se, "interval": list(e.interval()), "p": e.p_value()}
                for n, e in self.components.items()
            },
            "inactive": self.inactive,
            "heterogeneity": self.heterogeneity,
            "tau2": self.tau2,
            "Q": self.Q,
            "df": self.df,
            "Q_difference": self.Q_difference,
            "df_difference": self.df_difference,
            "certificate": self.certificate.to_dict(),
            "digest": self.digest,
        }


def fit_components(
    data: NetworkData,
    *,
    inactive: str | None,
    separator: str = "+",
    heterogeneity: str = "REML",
) -> ComponentFit:
    """Fit the additive model: each treatment name is its components joined by `separator`.

    `inactive` is the treatment without any component (None: every treatment has some). The network
    may be disconnected where shared components link its pieces.

    Raises NumericalError `rank_deficient` naming components that the comparisons do not separate.
    """
    if heterogeneity not in ("common", *ESTIMATORS):
        raise unknown_name("heterogeneity", heterogeneity, ("common", *ESTIMATORS))
    if inactive is not None and inactive not in data.treatments:
        raise unknown_name("treatment", inactive, data.treatments)
    if not data.contrasts:
        raise NumericalError("too_few_studies", "No study of the network carries information.")
    names, C = _component_matrix(data.treatments, inactive, separator)
    network = decouple(data.contrasts, len(data.treatments))
    X = network.X @ C
    _require_separable(X, names)
    tau2, certificate = (
        (0.0, _stated())
        if heterogeneity == "common"
        else estimate_tau2(network.y, X, network.spread, heterogeneity)
    )
    Q, _, _ = _least_squares(network.y, X, network.spread)
    _, b, vcov = _least_squares(network.y, X, network.spread + tau2)
    df = len(network.y) - X.shape[1]
    connected = len(data.pieces()) == 1
    ordinary = solve(network, 0.0) if connected else None
    scale = "log" if data.measure in LOG_MEASURES else "natural"
    return ComponentFit(
        measure=data.measure,
        components={
            n: Estimate(
                value=float(v), se=math.sqrt(s), method=f"additive, {heterogeneity}", scale=scale
            )
            for n, v, s in zip(names, b, np.diag(vcov), strict=True)
        },
        covariance=vcov,
        inactive=inactive,
        heterogeneity=heterogeneity,
        tau2=tau2,
        Q=Q,
        df=df,
        Q_difference=None if ordinary is None else Q - ordinary.Q,
        df_difference=None if ordinary is None else df - ordinary.df,
        certificate=certificate,
        digest=digest_of(data.digest, inactive, separator, heterogeneity),
    )


def _component_matrix(
    treatments: Sequence[str], inactive: str | None, separator: str
) -> tuple[tuple[str, ...], Matrix]:
    if not separator:
        raise InputError("The separator of components must not be empty.")
    parts = [
        [] if t == inactive else [p.strip() for p in t.split(separator) if p.strip()]
        for t in treatments
    ]
    names = tuple(sorted({p for ps in parts for p in ps}, key=lambda n: (n.casefold(), n)))
    C = np.array([[float(n in ps) for n in names] for ps in parts])
    return names, C


def _require_separable(X: Matrix, names: Sequence[str]) -> None:
    _, size, basis = np.linalg.svd(X)
    rank = int((size > 1e-10 * size[0]).sum())
    if rank == X.shape[1]:
        return
    loose = np.abs(basis[rank:]).max(axis=0) > 1e-8
    named = ", ".join(n for n, out in zip(names, loose, strict=True) if out)
    raise NumericalError(
        "rank_deficient",
        f"The comparisons do not separate these components: {named}. Merge them, or name the "
        f"inactive treatment.",
    )


def _least_squares(y: Any, X: Matrix, variance: Any) -> tuple[float, Any, Matrix]:
    w = 1 / variance
    vcov = np.linalg.inv(X.T @ (w[:, None] * X))
    b = vcov @ (X.T @ (w * y))
    return float((w * (y - X @ b) ** 2).sum()), b, vcov


def _stated() -> Certificate:
    return Certificate(
        gradient=0.0, curvature=1.0, boundary=(), maxima=1, runner_up=math.inf, starts=1
    )
