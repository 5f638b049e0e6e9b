"""Meta-regression in which moderators also say how much the studies differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.location_scale import fit_location_scale
from klarsyn.synthesis.design import Design, build_design, with_moderators
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import TESTS, scale_of_test
from klarsyn.synthesis.regression import Coefficient, Omnibus, coefficient_table, omnibus_test


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationScale:
    """`location` on the effects' scale, `scale` coefficients of log τ²; `tau2` of each study."""

    k: int
    measure: str
    method: str
    test: str
    level: float
    location: tuple[Coefficient, ...]
    scale: tuple[Coefficient, ...]
    location_test: Omnibus
    scale_test: Omnibus
    tau2: tuple[float, ...]
    log_likelihood: float
    certificate: Certificate
    excluded: tuple[tuple[str, str], ...]
    digest: str
    effects: Effects = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        out = {
            name: getattr(self, name)
            for name in ("k", "measure", "method", "test", "level", "log_likelihood",
                         "digest")
        }  # fmt: skip
        for name in ("location", "scale"):
            out[name] = [_plain(c) for c in getattr(self, name)]
        for name in ("location_test", "scale_test"):
            out[name] = _plain(getattr(self, name))
        out["certificate"] = self.certificate.to_dict()
        out["excluded"] = [{"study": n, "reason": s} for n, s in self.excluded]
        out["tau2"] = dict(zip(self.effects.study, self.tau2, strict=True))
        return out

    def summary(self) -> str:
        """One line a coefficient, location first."""
        return "\n".join(
            f"{part} {c.name}: {c.estimate:.4g} ({c.ci_lower:.4g} to {c.ci_upper:.4g})"
            for part, table in (("mean", self.location), ("log tau2", self.scale))
            for c in table
        )

    def plot(self) -> Any:
        """The coefficients of the mean above those of log τ², as an Altair chart."""
        from klarsyn.figures.estimates import estimate_spec
        from klarsyn.figures.theme import housed

        log = " (log)" if self.effects.scale == "log" else ""
        parts = [
            estimate_spec(
                [(c.name, c.estimate, c.ci_lower, c.ci_upper) for c in table], title=title
            )
            for title, table in (
                (f"Mean {self.measure}{log}", self.location),
                ("log τ²", self.scale),
            )
        ]
        return housed({"vconcat": parts, "spacing": 18})


def _plain(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def regress_location_scale(
    effects: Effects,
    moderators: Sequence[str],
    scale: Sequence[str],
    *,
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
    drop_problems: bool = False,
) -> LocationScale:
    """Regress the effects on `moderators` and log τ² on `scale` (both as in `build_design`).

    `method` is REML or ML. `drop_problems` as in `regress`. Scale coefficients are
    tested with the observed information.
    """
    if method not in {"REML", "ML"}:
        raise unknown_name("likelihood", method, ("REML", "ML"))
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    used, excluded = effects.usable(drop_problems=drop_problems)
    if drop_problems:
        used, without = with_moderators(used, [*moderators, *scale])
        excluded += without
    design, spread = build_design(used, moderators), build_design(used, scale)
    x, z = design.matrix, spread.matrix
    if used.k <= x.shape[1] + z.shape[1]:
        raise NumericalError(
            "too_few_studies",
            f"{used.k} studies cannot carry {x.shape[1]} location and {z.shape[1]} scale "
            f"coefficients. Use fewer moderators.",
        )
    fitted = fit_location_scale(used.y, used.v, x, z, restricted=method == "REML")
    df_x, df_z = _degrees(test, used.k, design, spread)
    covariance = fitted.beta_covariance * scale_of_test(test, fitted.q, used.k - x.shape[1])
    return LocationScale(
        k=used.k,
        measure=used.measure,
        method=method,
        test=test,
        level=level,
        location=coefficient_table(design.names, fitted.beta, covariance, df_x, level),
        scale=coefficient_table(spread.names, fitted.alpha, fitted.alpha_covariance, df_z, level),
        location_test=omnibus_test(design, fitted.beta, covariance, design.slopes, df_x),
        scale_test=omnibus_test(spread, fitted.alpha, fitted.alpha_covariance, spread.slopes, df_z),
        tau2=tuple(np.asarray(fitted.tau2).tolist()),
        log_likelihood=fitted.log_likelihood,
        certificate=fitted.certificate,
        excluded=excluded,
        digest=digest_of(used.y, used.v, x, z, method, test, level),
        effects=used,
    )


def _degrees(test: str, k: int, design: Design, spread: Design) -> tuple[float, float]:
    if test == "z":
        return math.inf, math.inf
    return float(k - design.matrix.shape[1]), float(k - spread.matrix.shape[1])
