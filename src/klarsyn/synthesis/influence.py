"""What each trial does to the pooled estimate: leave-one-out, cumulative, case diagnostics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.batched import BATCHED, Means, fit_means
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import i2_definition, pool, quantile, scale_of_test
from klarsyn.synthesis.rows import Rows

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
class Steps(Rows[Step]):
    """A series of pooled estimates in order, on the effects' scale; `kind` says which series."""

    kind: str
    measure: str
    scale: str
    method: str
    test: str
    level: float
    digest: str
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def rows(self) -> tuple[Step, ...]:
        """The steps."""
        return self.steps

    def summary(self) -> str:
        """One line a step."""
        show = math.exp if self.scale == "log" else float
        lines = [f"{self.measure}, {self.kind}, {self.method}, {self.test}"]
        return "\n".join(
            lines
            + [
                f"{s.study}: {show(s.estimate):.4g} ({show(s.ci_lower):.4g} to "
                f"{show(s.ci_upper):.4g}), {s.k} studies, tau2 {s.tau2:.4g}"
                for s in self.steps
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "steps"}
        out["definitions"] = {"i2": i2_definition(random=self.method not in {"EE", "FE"})}
        return out | {"steps": [s.to_dict() for s in self.steps]}

    def plot(self) -> Any:
        """One line a step, as an Altair chart."""
        from klarsyn.figures.estimates import estimate_lines

        lines = [(s.study, s.estimate, s.ci_lower, s.ci_upper) for s in self.steps]
        title = f"{self.measure}, {self.kind}"
        return estimate_lines(lines, title=title, log=self.scale == "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """Case diagnostics of one study (Viechtbauer & Cheung 2010).

    `rstudent` is the deleted residual over its standard error, `dffits` the change of the fitted
    value in standard errors, `cook` Cook's distance, `cov_ratio` the ratio of the estimate's
    variances without and with the study, `hat` its leverage, `weight` its share in percent,
    `dfbetas` the change of the estimate in standard errors at the heterogeneity without the study,
    `rstandard` the residual from the estimate with all studies over its standard error.
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
    dfbetas: float
    rstandard: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics(Rows[Influence]):
    """The case diagnostics of every study, in their order."""

    measure: str
    method: str
    test: str
    digest: str
    studies: tuple[Influence, ...] = field(repr=False)

    @property
    def rows(self) -> tuple[Influence, ...]:
        """The studies."""
        return self.studies

    def summary(self) -> str:
        """One line a study."""
        return "\n".join(
            f"{s.study}: deleted residual {s.rstudent:.2f}, Cook's distance {s.cook:.3g}, "
            f"weight {s.weight:.1f} %, tau2 without it {s.tau2_without:.4g}"
            for s in self.studies
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "studies"}
        return out | {"studies": [s.to_dict() for s in self.studies]}

    def plot(self) -> Any:
        """Deleted residuals, Cook's distances and weights side by side, as an Altair chart."""
        from klarsyn.figures.estimates import panels_of_values

        panels = [
            ("deleted residual", [s.rstudent for s in self.studies], [-1.96, 1.96]),
            ("Cook's distance", [s.cook for s in self.studies], []),
            ("tau² without", [s.tau2_without for s in self.studies], []),
            ("weight (%)", [s.weight for s in self.studies], []),
        ]
        return panels_of_values([s.study for s in self.studies], panels)


def _fits(effects: Effects, include: Array, method: str) -> Means:
    if method in BATCHED:
        return fit_means(effects.y, effects.v, include, method=method)
    rows = [pool(effects.take(np.flatnonzero(r)), method=method, test="z") for r in include]
    columns = [[getattr(p, name) for p in rows] for name in ("k", "estimate", "se", "tau2", "i2")]
    q = [p.q for p in rows]
    q_tau = [float(np.sum((p.effects.y - p.estimate) ** 2 / (p.effects.v + p.tau2))) for p in rows]
    return Means(*(np.array(c) for c in (*columns, q, q_tau)))


def _steps(
    kind: str,
    effects: Effects,
    names: Sequence[str],
    include: Array,
    method: str,
    test: str,
    level: float,
) -> Steps:
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
    return Steps(
        kind=kind,
        measure=effects.measure,
        scale=effects.scale,
        method=method,
        test=test,
        level=level,
        digest=digest_of(effects.y, effects.v, list(names), kind, method, test, level),
        steps=tuple(out),
    )


def leave_one_out(
    effects: Effects, *, method: str = "REML", test: str = "knha", level: float = 0.95
) -> Steps:
    """The pooled estimate without each study in turn, in the order of the studies."""
    used, _ = effects.usable()
    if used.k < 2:
        raise NumericalError("too_few_studies", "Leaving one out needs at least two studies.")
    include = 1 - np.eye(used.k)
    return _steps("one left out", used, used.study, include, method, test, level)


def cumulative(
    effects: Effects,
    order: Sequence[Any] | None = None,
    *,
    method: str = "REML",
    test: str = "knha",
    level: float = 0.95,
) -> Steps:
    """The pooled estimate as studies are added one by one, by `order` (smallest first)."""
    used, _ = effects.usable()
    if order is not None and len(order) != used.k:
        raise InputError(f"`order` has {len(order)} values for {used.k} studies.")
    keys = list(range(used.k)) if order is None else list(order)
    at = sorted(range(used.k), key=lambda i: keys[i])
    include = np.zeros((used.k, used.k))
    for step, i in enumerate(at):
        include[step:, i] = 1
    names = [used.study[i] for i in at]
    return _steps("cumulative", used, names, include, method, test, level)


def order_of(effects: Effects, covariate: str) -> list[Any]:
    """A covariate's values as an order: numbers where all are numbers, else words."""
    if covariate not in effects.covariates:
        raise unknown_name("covariate", covariate, effects.covariates)
    cells = effects.covariates[covariate]
    for i, cell in enumerate(cells):
        if cell is None:
            place = effects.place(i)
            raise InputError(f"{place}: {covariate!r} is empty, so that it has no place in order.")
    try:
        return [float(c) for c in cells]
    except ValueError:
        return [str(c) for c in cells]


def influence(effects: Effects, *, method: str = "REML", test: str = "z") -> Diagnostics:
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
    information = (1 / (used.v + fits.tau2[:, None])).sum(axis=1)
    dfbetas = shift * np.sqrt(information / scale)
    standard = (used.y - full.estimate) / np.sqrt((used.v + full.tau2) * (1 - hat))
    columns = (residual, dffits, cook, ratio, fits.tau2, fits.q, hat, 100 * hat, dfbetas, standard)
    rows = tuple(
        Influence(study=name, **dict(zip(_DIAGNOSTICS, row, strict=True)))
        for name, *row in zip(used.study, *(c.tolist() for c in columns), strict=True)
    )
    return Diagnostics(
        measure=used.measure,
        method=method,
        test=test,
        digest=digest_of(used.y, used.v, used.study, method, test),
        studies=rows,
    )


_DIAGNOSTICS = tuple(f.name for f in fields(Influence))[1:]
