"""What each trial does to the pooled estimate: leave-one-out, cumulative, case diagnostics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.batched import BATCHED, Means, fit_means
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import pool, quantile, scale_of_test

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pooled estimate of a series; `study` is the trial left out or the last one added."""

    study: str
    k: int
    estimate: float
    se: float
    ci_lower: float
    ci_upper: float
    tau2: float
    i2: float
    q: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """Case diagnostics of one study (Viechtbauer & Cheung 2010).

    `rstudent` is the deleted residual over its standard error, `dffits` the change of the fitted
    value in standard errors, `cook` Cook's distance, `cov_ratio` the ratio of the estimate's
    variances without and with the study, `hat` its leverage, `weight` its share in percent.
    """

    study: str
    rstudent: float
    dffits: float
    cook: float
    cov_ratio: float
    tau2_without: float
    q_without: float
    hat: float
    weight: float


def _fits(effects: Effects, include: Array, method: str) -> Means:
    if method in BATCHED:
        return fit_means(effects.y, effects.v, include, method=method)
    rows = [pool(effects.take(np.flatnonzero(r)), method=method, test="z") for r in include]
    columns = [[getattr(p, name) for p in rows] for name in ("k", "estimate", "se", "tau2", "i2")]
    q = [p.q for p in rows]
    q_tau = [float(np.sum((p.effects.y - p.estimate) ** 2 / (p.effects.v + p.tau2))) for p in rows]
    return Means(*(np.array(c) for c in (*columns, q, q_tau)))


def _steps(
    effects: Effects, names: Sequence[str], include: Array, method: str, test: str, level: float
) -> tuple[Step, ...]:
    fits = _fits(effects, include, method)
    out = []
    columns = (fits.k, fits.estimate, fits.se, fits.tau2, fits.i2, fits.q, fits.q_tau)
    for name, *row in zip(names, *(c.tolist() for c in columns), strict=True):
        k, estimate, se, tau2, i2, q, q_tau = row
        df = int(k) - 1
        alone = df == 0
        factor = 1.0 if alone else math.sqrt(scale_of_test(test, q_tau, df))
        crit = quantile(0.5 + level / 2, math.inf if alone or test == "z" else float(df))
        reach = crit * se * factor
        out.append(
            Step(study=name, k=int(k), estimate=estimate, se=se * factor,
                 ci_lower=estimate - reach, ci_upper=estimate + reach, tau2=tau2, i2=i2, q=q)
        )  # fmt: skip
    return tuple(out)


def leave_one_out(
    effects: Effects, *, method: str = "REML", test: str = "knha", level: float = 0.95
) -> tuple[Step, ...]:
    """The pooled estimate without each study in turn, in the order of the studies."""
    used, _ = effects.usable()
    if used.k < 2:
        raise NumericalError("too_few_studies", "Leaving one out needs at least two studies.")
    return _steps(used, used.study, 1 - np.eye(used.k), method, test, level)


def cumulative(
    effects: Effects,
    order: Sequence[Any] | None = None,
    *,
    method: str = "REML",
    test: str = "knha",
    level: float = 0.95,
) -> tuple[Step, ...]:
    """The pooled estimate as studies are added one by one, by `order` (smallest first)."""
    used, _ = effects.usable()
    if order is not None and len(order) != used.k:
        raise InputError(f"`order` has {len(order)} values for {used.k} studies.")
    keys = list(range(used.k)) if order is None else list(order)
    at = sorted(range(used.k), key=lambda i: keys[i])
    include = np.zeros((used.k, used.k))
    for step, i in enumerate(at):
        include[step:, i] = 1
    return _steps(used, [used.study[i] for i in at], include, method, test, level)


def order_of(effects: Effects, covariate: str) -> list[Any]:
    """A covariate's values as an order: numbers where all are numbers, else words."""
    if covariate not in effects.covariates:
        raise unknown_name("covariate", covariate, effects.covariates)
    cells = effects.covariates[covariate]
    for study, cell in zip(effects.study, cells, strict=True):
        if cell is None:
            raise InputError(f"{study}: {covariate!r} is empty, so that it has no place in order.")
    try:
        return [float(c) for c in cells]
    except ValueError:
        return [str(c) for c in cells]


def influence(effects: Effects, *, method: str = "REML", test: str = "z") -> tuple[Influence, ...]:
    """Diagnostics of each study under the model that `pool` fits with these choices."""
    used, _ = effects.usable()
    if used.k < 3:
        raise NumericalError("too_few_studies", "Influence diagnostics need at least 3 studies.")
    full = pool(used, method=method, test=test)
    fits = _fits(used, 1 - np.eye(used.k), method)
    w = 1 / (used.v + full.tau2)
    hat = w / w.sum()
    scale = np.array([scale_of_test(test, q, used.k - 2) for q in fits.q_tau])
    shift = full.estimate - fits.estimate
    residual = (used.y - fits.estimate) / np.sqrt(scale * (used.v + fits.tau2) + scale * fits.se**2)
    dffits = shift / np.sqrt(scale * hat * (fits.tau2 + used.v))
    cook = shift**2 / full.se**2
    ratio = scale * fits.se**2 / full.se**2
    columns = (residual, dffits, cook, ratio, fits.tau2, fits.q, hat, 100 * hat)
    return tuple(
        Influence(study=name, **dict(zip(_DIAGNOSTICS, row, strict=True)))
        for name, *row in zip(used.study, *(c.tolist() for c in columns), strict=True)
    )


_DIAGNOSTICS = tuple(f.name for f in fields(Influence))[1:]
