"""One-stage dose–response meta-analysis of summarised data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.dose_curves import CURVES, curve_columns, emax, emax_slope
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.dose_data import DoseData
from klarsyn.synthesis.multilevel import MultilevelFit, Wald, fit_multilevel
from klarsyn.synthesis.random_terms import Slopes

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

METHODS = ("REML", "ML", "common")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseResponseFit:
    """A curve over dose, on the effect's scale (log relative risk, mean difference).

    `psi` is the covariance of the coefficients between studies. `nonlinearity` tests all terms
    beyond the first (None for a straight line). Emax: coefficients `emax` and `log_ed50`, and
    `ed50_interval` by profile likelihood, an end of 0 or infinity meaning that the data do not
    bound it.
    """

    curve: str
    knots: tuple[float, ...]
    measure: str
    scale: str
    method: str
    coefficients: Mapping[str, Estimate]
    vcov: Matrix = field(repr=False)
    psi: Matrix = field(repr=False)
    log_likelihood: float
    nonlinearity: Wald | None
    Q: float
    df: int
    studies: int
    groups: int
    ed50_interval: tuple[float, float] | None
    certificate: Certificate
    digest: str
    doses: tuple[float, float]

    def effect(self, dose: float, against: float = 0.0) -> Estimate:
        """The effect of a dose against another."""
        b = np.array([e.value for e in self.coefficients.values()])
        if self.curve == "emax":
            ed50 = math.exp(b[1])
            pair = np.array([dose, against])
            share, slope = emax(pair, ed50), emax_slope(pair, ed50)
            row = np.array([share[0] - share[1], b[0] * (slope[0] - slope[1])])
            value = b[0] * (share[0] - share[1])
        else:
            columns = curve_columns(self.curve, np.array([dose, against]), np.array(self.knots))
            row = columns[0] - columns[1]
            value = row @ b
        return Estimate(
            value=float(value),
            se=math.sqrt(max(row @ self.vcov @ row, 0.0)),
            method=f"{self.curve}, {self.method}",
            scale=self.scale,
        )

    def summary(self) -> str:
        """The curve in a few lines."""
        lines = [
            f"{self.curve} dose-response, {self.measure}, {self.groups} dose groups of "
            f"{self.studies} studies, {self.method}"
        ]
        for name, e in self.coefficients.items():
            low, high = e.interval()
            lines.append(f"{name}: {e.value:.4g} ({low:.4g} to {high:.4g})")
        if self.nonlinearity is not None:
            lines.append(f"Nonlinearity: p = {self.nonlinearity.p:.3g}")
        if self.ed50_interval is not None:
            low, high = self.ed50_interval
            lines.append(
                f"ED50: {math.exp(self.coefficients['log_ed50'].value):.4g} "
                f"(profile {low:.4g} to {high:.4g})"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result, with the curve at 25 doses against 0."""
        grid = np.linspace(0, self.doses[1], 25)
        points = [(float(d), self.effect(float(d))) for d in grid]
        return {
            "curve": self.curve,
            "knots": list(self.knots),
            "measure": self.measure,
            "scale": self.scale,
            "method": self.method,
            "coefficients": {
                n: {"value": e.value, "se": e.se, "interval": list(e.interval()), "p": e.p_value()}
                for n, e in self.coefficients.items()
            },
            "vcov": self.vcov.tolist(),
            "psi": self.psi.tolist(),
            "log_likelihood": self.log_likelihood,
            "nonlinearity_p": None if self.nonlinearity is None else self.nonlinearity.p,
            "Q": self.Q,
            "df": self.df,
            "studies": self.studies,
            "groups": self.groups,
            "ed50_interval": None if self.ed50_interval is None else list(self.ed50_interval),
            "points": [
                {"dose": d, "value": e.value, "se": e.se, "interval": list(_limits(e))}
                for d, e in points
            ],
            "certificate": self.certificate.to_dict(),
            "digest": self.digest,
        }

    def plot(self, against: float = 0.0) -> Any:
        """The curve with its pointwise 95 % band, as an Altair chart."""
        from klarsyn.figures.doseresponse import dose_curve

        grid = np.linspace(0, self.doses[1], 81)
        estimates = [self.effect(float(d), against) for d in grid]
        return dose_curve(
            [(float(d), e.value, *_limits(e)) for d, e in zip(grid, estimates, strict=True)],
            measure=self.measure,
            logarithmic=self.scale == "log",
        )


def fit_dose_response(
    data: DoseData,
    *,
    curve: str,
    method: str = "REML",
    knots: Sequence[float] | None = None,
) -> DoseResponseFit:
    """Fit a linear, quadratic or spline curve with coefficients that vary between studies.

    One stage (Crippa, Discacciati, Bottai, Spiegelman & Orsini 2019): all studies enter, also those
    with fewer dose groups than the curve has terms. `method` REML or ML estimate the unstructured
    covariance of the coefficients, common sets it to zero. `knots` of the spline are asked for.
    """
    if curve not in CURVES:
        raise unknown_name("curve", curve, (*CURVES, "emax (fit_emax)"))
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    fixed = np.asarray([] if knots is None else knots, dtype=float)
    X = curve_columns(curve, data.dose, fixed) - curve_columns(curve, data.reference, fixed)
    if len(data.effect) < X.shape[1]:
        raise NumericalError(
            "too_few_studies",
            f"A {curve} curve needs at least {X.shape[1]} dose groups beside the reference, not "
            f"{len(data.effect)}.",
        )
    names = (
        ("dose", "dose^2")
        if curve == "quadratic"
        else tuple("dose" if i == 0 else f"spline{i}" for i in range(X.shape[1]))
    )
    if method == "common":
        return _common(data, curve, fixed, X, names)
    fit = fit_multilevel(
        data.effect,
        data.covariance,
        random=[Slopes(name="curve", columns=X, outer=data.study, structure="UN")],
        design=X,
        names=names,
        method=method,
    )
    return _described(data, curve, fixed, fit.coefficients, fit.vcov, fit)


def fit_emax(data: DoseData, *, method: str = "ML", level: float = 0.95) -> DoseResponseFit:
    """Fit effect = Emax · dose / (ED50 + dose), Emax varying between studies (ML), ED50 common.

    The likelihood is profiled over log ED50 from a thirtieth of the lowest dose to thirty times
    the highest; standard errors are from the linearised mean. `method` is ML or common. Raises
    NumericalError `not_estimable` where ED50 runs to an end of that range: the doses then show
    only a straight line or only the plateau.
    """
    if method not in ("ML", "common"):
        raise unknown_name("method", method, ("ML", "common"))
    positive = data.dose[data.dose > 0]
    if len(np.unique(np.append(data.dose, data.reference))) < 3:
        raise NumericalError("not_estimable", "An Emax curve needs at least three different doses.")
    low, high = math.log(positive.min() / 30), math.log(positive.max() * 30)
    profile = _EmaxProfile(data, method)
    at, value = profile.minimum(low, high)
    if min(at - low, high - at) < 1e-3:
        raise NumericalError(
            "not_estimable",
            "ED50 is not identified: these doses show only a straight line or only the plateau. "
            "Use curve='linear', or add studies of other doses.",
        )
    return profile.described(at, value, profile.interval(at, value, low, high, level))


class _EmaxProfile:
    """−2 log-likelihood of the Emax curve as a function of log ED50."""

    def __init__(self, data: DoseData, method: str) -> None:
        self.data, self.method = data, method
        self.weights = np.linalg.inv(data.covariance)

    def column(self, log_ed50: float) -> Vector:
        ed50 = math.exp(log_ed50)
        return emax(self.data.dose, ed50) - emax(self.data.reference, ed50)

    def fit(self, log_ed50: float) -> MultilevelFit:
        x = self.column(log_ed50)[:, None]
        return fit_multilevel(
            self.data.effect,
            self.data.covariance,
            random=[Slopes(name="emax", columns=x, outer=self.data.study, structure="ID")],
            design=x,
            names=("emax",),
            method="ML",
            starts=1,
        )

    def value(self, log_ed50: float) -> float:
        if self.method == "ML":
            return -2 * self.fit(log_ed50).log_likelihood
        x = self.column(log_ed50)
        b = (x @ self.weights @ self.data.effect) / (x @ self.weights @ x)
        e = self.data.effect - b * x
        return float(e @ self.weights @ e)

    def minimum(self, low: float, high: float) -> tuple[float, float]:
        from scipy.optimize import minimize_scalar

        grid = np.linspace(low, high, 31)
        values = [self.value(float(g)) for g in grid]
        best = int(np.argmin(values))
        bracket = (grid[max(best - 1, 0)], grid[min(best + 1, 30)])
        found = minimize_scalar(
            self.value, bounds=bracket, method="bounded", options={"xatol": 1e-9}
        )
        return float(found.x), float(found.fun)

    def interval(
        self, at: float, value: float, low: float, high: float, level: float
    ) -> tuple[float, float]:
        """Limits of ED50 by its profile; 0 or infinity where the profile stays flat."""
        from scipy.optimize import brentq
        from scipy.special import chdtri

        drop = float(chdtri(1, 1 - level))
        ends = []
        for end, unbounded in ((low, 0.0), (high, math.inf)):
            if self.value(end) - value < drop:
                ends.append(unbounded)
            else:
                root: Any = brentq(lambda u: self.value(u) - value - drop, end, at, xtol=1e-8)
                ends.append(math.exp(float(root)))
        return ends[0], ends[1]

    def described(self, at: float, value: float, limits: tuple[float, float]) -> DoseResponseFit:
        """The fit at log ED50 `at`, whose −2 log-likelihood is `value`."""
        data, ed50 = self.data, math.exp(at)
        x = self.column(at)
        slope = emax_slope(data.dose, ed50) - emax_slope(data.reference, ed50)
        tau2, certificate, log_likelihood = 0.0, None, -value / 2
        weights = self.weights
        if self.method == "ML":
            fit = self.fit(at)
            tau2, certificate = float(fit.covariances["emax"][0, 0]), fit.certificate
            same = np.array(data.study)[:, None] == np.array(data.study)[None, :]
            weights = np.linalg.inv(data.covariance + tau2 * np.outer(x, x) * same)
        b = float((x @ weights @ data.effect) / (x @ weights @ x))
        J = np.stack([x, b * slope], axis=1)
        vcov = np.linalg.inv(J.T @ weights @ J)
        residual = data.effect - b * x
        n = len(data.effect)
        if self.method == "common":
            log_likelihood -= 0.5 * (
                n * math.log(2 * math.pi) + np.linalg.slogdet(data.covariance)[1]
            )
        return DoseResponseFit(
            curve="emax",
            knots=(),
            measure=data.measure,
            scale=data.scale,
            method=self.method,
            coefficients={
                "emax": Estimate(
                    value=b, se=math.sqrt(vcov[0, 0]), method=self.method, scale=data.scale
                ),
                "log_ed50": Estimate(
                    value=at, se=math.sqrt(vcov[1, 1]), method=self.method, scale="log"
                ),
            },
            vcov=vcov,
            psi=np.array([[tau2]]),
            log_likelihood=float(log_likelihood),
            nonlinearity=None,
            Q=float(residual @ self.weights @ residual),
            df=n - 2,
            studies=len(set(data.study)),
            groups=n,
            ed50_interval=limits,
            certificate=certificate or _closed_form(),
            digest=digest_of(data.digest, "emax", self.method),
            doses=_range(data),
        )


def _common(
    data: DoseData, curve: str, knots: Vector, X: Matrix, names: tuple[str, ...]
) -> DoseResponseFit:
    W = np.linalg.inv(data.covariance)
    vcov = np.linalg.inv(X.T @ W @ X)
    b = vcov @ X.T @ W @ data.effect
    coefficients = {
        n: Estimate(value=float(v), se=math.sqrt(s), method="common", scale=data.scale)
        for n, v, s in zip(names, b, np.diag(vcov), strict=True)
    }
    return _described(data, curve, knots, coefficients, vcov, None)


def _described(
    data: DoseData,
    curve: str,
    knots: Vector,
    coefficients: Mapping[str, Estimate],
    vcov: Matrix,
    fit: MultilevelFit | None,
) -> DoseResponseFit:
    X = curve_columns(curve, data.dose, knots) - curve_columns(curve, data.reference, knots)
    W = np.linalg.inv(data.covariance)
    n, p = X.shape
    b = np.linalg.solve(X.T @ W @ X, X.T @ W @ data.effect)
    Q = float((data.effect - X @ b) @ W @ (data.effect - X @ b))
    constant = n * math.log(2 * math.pi) + float(np.linalg.slogdet(data.covariance)[1])
    return DoseResponseFit(
        curve=curve,
        knots=tuple(float(k) for k in np.unique(knots)),
        measure=data.measure,
        scale=data.scale,
        method="common" if fit is None else fit.method,
        coefficients={
            name: Estimate(
                value=e.value, se=e.se, method=f"{curve}, {e.method}", scale=data.scale, df=e.df
            )
            for name, e in coefficients.items()
        },
        vcov=vcov,
        psi=np.zeros((p, p)) if fit is None else fit.covariances["curve"],
        log_likelihood=float(-(constant + Q) / 2) if fit is None else fit.log_likelihood,
        nonlinearity=_nonlinearity(coefficients, vcov),
        Q=Q,
        df=n - p,
        studies=len(set(data.study)),
        groups=n,
        ed50_interval=None,
        certificate=_closed_form() if fit is None else fit.certificate,
        digest=digest_of(data.digest, curve, knots, "common" if fit is None else fit.method),
        doses=_range(data),
    )


def _nonlinearity(coefficients: Mapping[str, Estimate], vcov: Matrix) -> Wald | None:
    b = np.array([e.value for e in coefficients.values()])[1:]
    if b.size == 0:
        return None
    from scipy.special import chdtrc

    statistic = float(b @ np.linalg.solve(vcov[1:, 1:], b))
    return Wald(statistic=statistic, df=b.size, df2=math.inf, p=float(chdtrc(b.size, statistic)))


def _limits(estimate: Estimate) -> tuple[float, float]:
    return estimate.interval() if estimate.se > 0 else (estimate.value, estimate.value)


def _range(data: DoseData) -> tuple[float, float]:
    every = np.append(data.dose, data.reference)
    return float(every.min()), float(every.max())


def _closed_form() -> Certificate:
    return Certificate(
        gradient=0.0, curvature=1.0, boundary=(), maxima=1, runner_up=math.inf, starts=1
    )
