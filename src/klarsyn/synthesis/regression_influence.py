"""What each study does to a meta-regression: case diagnostics, and the fit without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.provenance import digest_of
from klarsyn.stats.heterogeneity import estimate_tau2
from klarsyn.stats.weighted import fit
from klarsyn.synthesis.pairwise import scale_of_test
from klarsyn.synthesis.regression import Coefficient, Regression, coefficient_table
from klarsyn.synthesis.rows import Rows

Array = np.ndarray
WHOLE = 1e-8  # leverage this close to 1: no other study informs one of the coefficients


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionCase:
    """One study's diagnostics in a meta-regression (Viechtbauer & Cheung 2010).

    As `klarsyn.synthesis.influence.Influence`; `rstandard` is the residual over its standard error,
    `cook` and `cov_ratio` are taken over all coefficients, `dfbetas` is by coefficient.
    `coefficients` are those of the regression without the study. Where the regression has no
    estimate without the study, `problem` says why and all that needs one is NaN or empty.
    """

    study: str
    rstandard: float
    rstudent: float
    dffits: float
    cook: float
    cov_ratio: float
    tau2_without: float
    q_without: float
    hat: float
    weight: float
    dfbetas: Mapping[str, float]
    coefficients: tuple[Coefficient, ...]
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        return out | {
            "dfbetas": dict(self.dfbetas),
            "coefficients": [
                {f.name: getattr(c, f.name) for f in fields(c)} for c in self.coefficients
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionDiagnostics(Rows[RegressionCase]):
    """The case diagnostics of every study of a regression, in their order."""

    measure: str
    method: str
    test: str
    level: float
    digest: str
    studies: tuple[RegressionCase, ...] = field(repr=False)

    @property
    def rows(self) -> tuple[RegressionCase, ...]:
        """The studies."""
        return self.studies

    def summary(self) -> str:
        """One line a study."""
        return "\n".join(
            f"{s.study}: {s.problem}"
            if s.problem
            else f"{s.study}: deleted residual {s.rstudent:.2f}, Cook's distance {s.cook:.3g}, "
            f"leverage {s.hat:.2f}, tau2 without it {s.tau2_without:.4g}"
            for s in self.studies
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "studies"}
        return out | {"studies": [s.to_dict() for s in self.studies]}

    def plot(self) -> Any:
        """Deleted residuals, Cook's distances, τ² without and leverages, as an Altair chart.

        Studies that the regression cannot do without are left out.
        """
        from klarsyn.figures.estimates import panels_of_values

        shown = [s for s in self.studies if not s.problem]
        panels = [
            ("deleted residual", [s.rstudent for s in shown], [-1.96, 1.96]),
            ("Cook's distance", [s.cook for s in shown], []),
            ("tau² without", [s.tau2_without for s in shown], []),
            ("leverage", [s.hat for s in shown], []),
        ]
        return panels_of_values([s.study for s in shown], panels)


def regression_influence(regression: Regression) -> RegressionDiagnostics:
    """Diagnostics of each study, and the coefficients without it, by the regression's choices.

    The columns of the design stay the same, so that a factor keeps its reference level.
    """
    y, v, x = regression.effects.y, regression.effects.v, regression.design.matrix
    k, p = x.shape
    if k - 1 <= p:
        raise NumericalError(
            "too_few_studies",
            f"{k} studies and {p} coefficients: without one study the regression has no degrees "
            f"of freedom left. Use fewer moderators.",
        )
    whole = fit(y, v, x, regression.tau2)
    weights = 1 / (v + regression.tau2)
    hat = weights * np.einsum("ij,jk,ik->i", x, whole.covariance, x)
    alone = hat > 1 - WHOLE
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = (y - x @ whole.beta) / np.sqrt((v + regression.tau2) * (1 - hat))
    cases = []
    for i, study in enumerate(regression.effects.study):
        own = {
            "study": study,
            "hat": float(hat[i]),
            "weight": float(100 * weights[i] / sum(weights)),
        }
        if alone[i]:
            cases.append(_indispensable(own, regression.design.names))
        else:
            deleted = _without(i, regression, whole.beta, float(hat[i]))
            cases.append(RegressionCase(rstandard=float(standard[i]), **own, **deleted))
    return RegressionDiagnostics(
        measure=regression.measure,
        method=regression.method,
        test=regression.test,
        level=regression.level,
        digest=digest_of(regression.digest, "influence"),
        studies=tuple(cases),
    )


def _indispensable(own: dict[str, Any], names: Sequence[str]) -> RegressionCase:
    missing = ("rstandard", "rstudent", "dffits", "cook", "cov_ratio", "tau2_without", "q_without")
    return RegressionCase(
        **own,
        **dict.fromkeys(missing, math.nan),
        dfbetas=dict.fromkeys(names, math.nan),
        coefficients=(),
        problem="no other study informs one of the coefficients, so that there is no regression "
        "without it",
    )


def _without(i: int, regression: Regression, beta: Array, hat: float) -> dict[str, Any]:
    y, v, x = regression.effects.y, regression.effects.v, regression.design.matrix
    rest = np.arange(len(y)) != i
    tau2 = estimate_tau2(y[rest], v[rest], x[rest], method=regression.method).value
    fitted = fit(y[rest], v[rest], x[rest], tau2)
    room = int(rest.sum()) - x.shape[1]
    scale = scale_of_test(regression.test, fitted.q, room)
    covariance = scale * fitted.covariance
    shift, total = beta - fitted.beta, v[i] + tau2
    moved = float(x[i] @ shift)
    error = math.sqrt(scale * total + float(x[i] @ covariance @ x[i]))
    same = np.sqrt(scale * np.diag(fit(y, v, x, tau2).covariance))
    names = regression.design.names
    return {
        "rstudent": float(y[i] - x[i] @ fitted.beta) / error,
        "dffits": moved / math.sqrt(scale * hat * total),
        "cook": float(shift @ np.linalg.solve(regression.covariance, shift)),
        "cov_ratio": float(np.linalg.det(covariance) / np.linalg.det(regression.covariance)),
        "tau2_without": tau2,
        "q_without": fit(y[rest], v[rest], x[rest], 0.0).q,
        "dfbetas": dict(zip(names, (shift / same).tolist(), strict=True)),
        "coefficients": coefficient_table(
            names,
            fitted.beta,
            covariance,
            regression.df if math.isinf(regression.df) else float(room),
            regression.level,
        ),
    }
