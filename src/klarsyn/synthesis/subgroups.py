"""The same pooling in parts of the trials, and whether the parts differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import Pooled, pool
from klarsyn.synthesis.regression import Omnibus, regress


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """A pooled effect for each level of a covariate, and the test between them."""

    by: str
    groups: dict[str, Pooled]
    between: Omnibus
    common_tau2: bool

    @property
    def method(self) -> str:
        """The estimator of τ² in every group."""
        return next(iter(self.groups.values())).method

    @property
    def digest(self) -> str:
        """Changes with any group's effects or choices."""
        return digest_of(self.by, self.common_tau2, *(g.digest for g in self.groups.values()))

    def summary(self) -> str:
        """One line a group, then the test between them."""
        lines = [f"{name}: {g.summary().splitlines()[0]}" for name, g in self.groups.items()]
        b = self.between
        test = f"F on {b.df} and {b.df2:g}" if math.isfinite(b.df2) else f"Q on {b.df}"
        tail = f"Between levels of {self.by}: {test} df = {b.statistic:.4g}, p = {b.p_value:.3g}"
        return "\n".join([*lines, tail])

    def plot(self) -> Any:
        """Each group's studies and its pooled effect, as an Altair chart."""
        from klarsyn.figures.forest import ForestAxis, ForestRow, forest
        from klarsyn.figures.theme import housed

        first = next(iter(self.groups.values()))
        log = first.scale == "log"
        show = math.exp if log else float
        rows: list[ForestRow] = []
        for name, g in self.groups.items():
            rows.append(ForestRow(kind="heading", label=f"{self.by}: {name}"))
            rows += [
                ForestRow(
                    kind="study", label=s.study, estimate=show(s.y), lower=show(s.ci_lower),
                    upper=show(s.ci_upper), weight=s.weight / 100,
                )
                for s in g.studies
            ]  # fmt: skip
            rows.append(
                ForestRow(
                    kind="pooled", label=f"{g.method}, {g.test}", estimate=show(g.estimate),
                    lower=show(g.ci_lower), upper=show(g.ci_upper),
                )
            )  # fmt: skip
        axis = ForestAxis(title=first.measure, null=1.0 if log else 0.0, log=log)
        return housed(forest(rows, axis))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "by": self.by,
            "method": self.method,
            "digest": self.digest,
            "common_tau2": self.common_tau2,
            "groups": {name: g.to_dict() for name, g in self.groups.items()},
            "between": {f.name: getattr(self.between, f.name) for f in fields(self.between)},
        }


def subgroups(
    effects: Effects,
    by: str,
    *,
    method: str = "REML",
    test: str = "knha",
    level: float = 0.95,
    common_tau2: bool = True,
) -> Subgroups:
    """Pool each level of a covariate and test whether the levels differ.

    With `common_tau2` the test is the omnibus test of the regression on the factor, one τ² for
    all; without, each level keeps its own τ² and the levels' estimates are compared by Cochran's Q.
    """
    from scipy.special import chdtrc

    if by not in effects.covariates:
        raise unknown_name("covariate", by, effects.covariates)
    levels = sorted({str(c) for c in effects.covariates[by]})
    if len(levels) < 2:
        raise InputError(f"{by!r} is {levels[0]} in every study; a subgroup analysis needs two.")
    cells = [str(c) for c in effects.covariates[by]]
    groups = {
        level_: pool(
            effects.take([i for i, c in enumerate(cells) if c == level_]),
            method=method, test=test, level=level,
        )
        for level_ in levels
    }  # fmt: skip
    if common_tau2:
        between = regress(effects, [f"factor({by})"], method=method, test=test).omnibus
    else:
        e = np.array([g.estimate for g in groups.values()])
        w = np.array([1 / g.se**2 for g in groups.values()])
        q = float(w @ (e - w @ e / w.sum()) ** 2)
        m = len(levels) - 1
        between = Omnibus(
            names=tuple(levels), statistic=q, df=m, df2=math.inf, p_value=float(chdtrc(m, q))
        )
    return Subgroups(by=by, groups=groups, between=between, common_tau2=common_tau2)
