"""How large the spread between a network's trials could be, and the fit if it were."""

from __future__ import annotations

import math
from typing import Any

from klarsyn.stats.network import solve
from klarsyn.synthesis.network import NetworkFit, fitted_network


def spread_interval(fit: NetworkFit, level: float = 0.95) -> tuple[float, float]:
    """The interval of τ² by Q-profile (Viechtbauer 2007, Stat Med 26:37; networks: Jackson 2014).

    Where the generalised Q at τ² has the upper and the lower χ² quantile of its degrees of freedom;
    NaN where there are none.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    if fit.df <= 0:
        return math.nan, math.nan
    tail = (1 - level) / 2

    def root(quantile: float) -> float:
        def over(tau2: float) -> float:
            return solve(fit.network, tau2).Q - quantile

        if over(0.0) <= 0:
            return 0.0
        high = 1.0
        while over(high) > 0:
            high *= 4
        found: Any = brentq(over, 0.0, high, xtol=1e-12)
        return float(found)

    return root(float(chdtri(fit.df, tail))), root(float(chdtri(fit.df, 1 - tail)))


def at_spread(fit: NetworkFit, tau2: float) -> NetworkFit:
    """The same network with τ² preset."""
    return fitted_network(
        fit.data,
        fit.network,
        reference=fit.reference,
        model=fit.heterogeneity,
        better=fit.better,
        tau2=tau2,
    )


def told_apart(fit: NetworkFit, level: float = 0.95) -> set[tuple[str, str]]:
    """The pairs of treatments whose interval does not hold zero."""
    out = set()
    for i, a in enumerate(fit.treatments):
        for b in fit.treatments[i + 1 :]:
            low, high = fit.estimate(a, b).interval(level)
            if low > 0 or high < 0:
                out.add((a, b))
    return out


def hung_by_one_trial(fit: NetworkFit) -> list[str]:
    """Treatments that one trial alone joins to the others, in the fit's order."""
    joined = dict.fromkeys(fit.treatments, 0)
    for pair, trials in fit.comparisons.items():
        for name in pair:
            joined[name] += trials
    return [name for name, trials in joined.items() if trials == 1]
