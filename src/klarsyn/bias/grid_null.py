"""What the same grid would show if there were no effect at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from klarsyn.bias.grid import Grid, Variants
from klarsyn.errors import InputError
from klarsyn.provenance import digest_of, stream
from klarsyn.stats.many_fits import fit_many


@dataclass(frozen=True, slots=True, kw_only=True)
class NullComparison:
    """The grid against grids of simulated studies without effect.

    `p_median`: share of those (with the observed one) whose middle estimate is at least as far from
    the threshold; `p_benefit`: whose share of cells concluding benefit is at least as high.
    `expected_benefit`: the mean of that share without any effect.
    """

    median: float
    p_median: float
    benefit: float
    p_benefit: float
    expected_benefit: float
    draws: int
    method: str
    digest: str
    seed: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.benefit:.0%} of the analyses conclude benefit where "
            f"{self.expected_benefit:.0%} would without any effect (p {self.p_benefit:.3g}); "
            f"middle estimate {self.median:.3g} (p {self.p_median:.3g}), "
            f"{self.draws} simulated grids."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__} | {
            "summary": self.summary()
        }

    def plot(self) -> Any:
        """The share of analyses that conclude benefit, observed and without any effect (Altair)."""
        from klarsyn.figures.dots import dots_chart

        rows = [
            ("analyses that conclude benefit", "without any effect", self.expected_benefit),
            ("analyses that conclude benefit", "observed", self.benefit),
        ]
        return dots_chart(rows, axis="Share of analyses", limits=(0.0, 1.0))


def compare_with_null(
    data: Variants, analyse: Callable[[Variants], Grid], *, draws: int, seed: int
) -> NullComparison:
    """Refit the whole grid `draws` times on studies without effect (Voracek et al. 2019).

    `analyse` is the grid with all its choices, e.g. `partial(sensitivity_grid, estimators=…)`. Each
    study draws one deviate that it keeps in all variants, scaled by its own error and the variant's
    tau² (REML): variants of one study are as dependent as they can be.
    """
    if draws < 19:
        raise InputError(f"At least 19 simulated grids are needed for a p of 0.05, not {draws}.")
    observed = analyse(data)
    one = np.ones((1, len(data.studies)), bool)
    tau2 = fit_many(data.effects, data.variances, one, "REML").tau2
    spread = np.sqrt(data.variances + np.nan_to_num(tau2))
    medians, shares = np.empty(draws), np.empty(draws)
    for i in range(draws):
        deviates = stream(seed, "null grid", i).standard_normal(len(data.studies))
        empty = np.where(np.isfinite(data.effects), observed.threshold + deviates * spread, np.nan)
        grid = analyse(replace(data, effects=empty))
        medians[i] = abs(float(np.nanmedian(grid.estimate)) - observed.threshold)
        shares[i] = grid.shares()["benefit"]
    median, benefit = float(np.nanmedian(observed.estimate)), observed.shares()["benefit"]
    distance = abs(median - observed.threshold)
    return NullComparison(
        median=median,
        p_median=float((1 + (medians >= distance).sum()) / (draws + 1)),
        benefit=benefit,
        p_benefit=float((1 + (shares >= benefit).sum()) / (draws + 1)),
        expected_benefit=float(shares.mean()),
        draws=draws,
        method="simulated studies without effect, every choice refitted",
        digest=digest_of(observed.digest, draws, seed),
        seed=seed,
    )
