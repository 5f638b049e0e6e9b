"""Bang's indices of many trials become one, and what moves them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special

from klarsyn.bias.blinding import ArmIndex
from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.heterogeneity import estimate_tau2
from klarsyn.stats.weighted import check_rank, fit
from klarsyn.synthesis.pairwise import Pooled, pool, quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderator:
    """How an index differs along a trait of the trials (mixed-effects meta-regression).

    `coefficients`: name → (estimate, se, low, high, p); the first level of a grouping is the
    intercept. `omnibus` is (statistic, df, residual df or infinity, p) of all but the intercept.
    """

    name: str
    levels: tuple[str, ...]
    coefficients: dict[str, tuple[float, float, float, float, float]]
    omnibus: tuple[float, int, float, float]
    tau2: float
    k: int
    test: str
    method: str
    inputs: str

    def summary(self) -> str:
        """One line a coefficient."""
        lines = [f"moderator {self.name}: k = {self.k}, tau2 {self.tau2:.3g}"]
        for name, (value, _, low, high, p) in self.coefficients.items():
            lines.append(f"  {name}: {value:.3f} ({low:.3f} to {high:.3f}), p = {p:.3g}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)


def pool_indices(
    arms: Sequence[ArmIndex], *, tau2_method: str, test: str, level: float = 0.95
) -> Pooled:
    """Pool Bang's index over arms of one role, one respondent, one treatment of don't-knows.

    Raises InputError for arms without a standard error (make them with `add_half`).
    """
    names, y, v = _columns(arms)
    return pool(y, v, study=names, measure="GEN", method=tau2_method, test=test, level=level)


def moderate_indices(
    arms: Sequence[ArmIndex],
    name: str,
    values: Sequence[Any],
    *,
    tau2_method: str,
    test: str,
    level: float = 0.95,
) -> Moderator:
    """How the index depends on one trait per arm: numbers give a slope, texts give groups.

    `test` is `z` or `knha`.
    """
    if test not in ("z", "knha"):
        raise unknown_name("test", test, ("z", "knha"))
    if len(values) != len(arms):
        raise InputError(f"{len(values)} values of {name} for {len(arms)} arms. Give one each.")
    _, y, v = _columns(arms)
    x, labels, levels = _design(name, values)
    check_rank(x, labels)
    tau2 = estimate_tau2(y, v, x, method=tau2_method).value
    fitted = fit(y, v, x, tau2)
    df = len(y) - x.shape[1]
    scale = fitted.q / df if test == "knha" else 1.0
    spread = df if test == "knha" else math.inf
    covariance = fitted.covariance * scale
    coefficients = {}
    for k, label in enumerate(labels):
        value, se = float(fitted.beta[k]), math.sqrt(float(covariance[k, k]))
        half = quantile(0.5 + level / 2, spread) * se
        coefficients[label] = (value, se, value - half, value + half, _p(value / se, spread))
    b, c = fitted.beta[1:], covariance[1:, 1:]
    statistic = float(b @ np.linalg.solve(c, b))
    m = len(b)
    p = (
        float(special.fdtrc(m, spread, statistic / m))
        if math.isfinite(spread)
        else float(special.chdtrc(m, statistic))
    )
    return Moderator(
        name=name,
        levels=levels,
        coefficients=coefficients,
        omnibus=(statistic, m, spread, p),
        tau2=tau2,
        k=len(y),
        test=test,
        method=f"mixed-effects meta-regression, {tau2_method}, {test}",
        inputs=digest_of([asdict(a) for a in arms], list(values)),
    )


def _columns(arms: Sequence[ArmIndex]) -> tuple[list[str], np.ndarray, np.ndarray]:
    if not arms:
        raise InputError("There are no indices to pool.")
    kinds = {(a.role, a.respondent, a.dont_knows) for a in arms}
    if len(kinds) > 1:
        shown = "; ".join(", ".join(k) for k in sorted(kinds))
        raise InputError(
            f"Indices of different kinds do not pool ({shown}). Give one role, one respondent and "
            f"one treatment of don't-knows."
        )
    for a in arms:
        if not a.index.se > 0:
            raise InputError(
                f"{a.trial}, arm {a.arm}: the index has no standard error ({a.status}). "
                f"Add one half to its counts, or leave it out."
            )
    names = [f"{a.trial} {a.arm}" for a in arms]
    y = np.array([a.index.value for a in arms])
    return names, y, np.array([a.index.se**2 for a in arms])


def _design(name: str, values: Sequence[Any]) -> tuple[np.ndarray, list[str], tuple[str, ...]]:
    ones = np.ones(len(values))
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return np.column_stack([ones, np.asarray(values, float)]), ["intercept", name], ()
    levels = tuple(dict.fromkeys(str(v) for v in values))
    if len(levels) < 2:
        raise InputError(f"{name} has one value only ({levels[0]}): it cannot moderate anything.")
    columns = [[1.0 if str(v) == level else 0.0 for v in values] for level in levels[1:]]
    labels = [f"{name} = {levels[0]}", *(f"{name}: {level} − {levels[0]}" for level in levels[1:])]
    return np.column_stack([ones, *columns]), labels, levels


def _p(statistic: float, df: float) -> float:
    if math.isinf(df):
        return float(2 * special.ndtr(-abs(statistic)))
    return float(2 * special.stdtr(df, -abs(statistic)))
