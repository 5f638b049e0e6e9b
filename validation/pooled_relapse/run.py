"""Do the limits of a pooled relapse curve hold what they promise?

    python validation/pooled_relapse/run.py [--weibull]

Studies of 60 participants with exponential relapse whose log hazard differs between studies with
standard deviation tau; censored between day 60 and 300. At day 84: how often the 95 % limits hold
the typical study's survival, and how often the prediction limits hold a new study's. The interval
method pools survival, whose mean over studies is not the typical study's: its target is taken as
the mean over studies on its own scale. Thresholds stated beforehand: limits 0.90 to 0.98 with five
studies or more; prediction limits at least 0.88 with ten.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.provenance import stream
from klarsyn.stats.relapse import Followed, fit_relapse, pool_curves
from klarsyn.stats.survival import kaplan_meier

DAYS = (28.0, 56.0, 84.0)
RATE = -4.4  # log hazard a day: 36 % without relapse at day 84
PEOPLE = 60
REPEATS = 100 if "--weibull" in sys.argv else 1000


def study(draw: np.random.Generator, effect: float) -> tuple[np.ndarray, np.ndarray]:
    relapse = draw.exponential(math.exp(-RATE - effect), PEOPLE)
    end = draw.uniform(60, 300, PEOPLE)
    return np.minimum(relapse, end), relapse <= end


def survival(effect: np.ndarray) -> np.ndarray:
    return np.exp(-DAYS[-1] * np.exp(RATE + effect))


def targets(tau: float) -> tuple[float, float]:
    """Mean on the arcsine scale of each interval, multiplied; and the typical study's survival."""
    nodes = np.linspace(-6, 6, 601)
    weight = np.exp(-0.5 * nodes**2)
    weight /= weight.sum()
    step = np.exp(-28.0 * np.exp(RATE + tau * nodes))
    mean = float(weight @ np.arcsin(np.sqrt(step)))
    return math.sin(mean) ** 6, float(survival(np.array(0.0)))


def one(studies: int, tau: float, repeat: int) -> dict[str, bool]:
    draw = stream(1, "pooled relapse validation", studies, int(100 * tau), repeat)
    effects = tau * draw.standard_normal(studies)
    data = [study(draw, u) for u in effects]
    new = float(survival(np.array(tau * draw.standard_normal())))
    interval_target, typical = targets(tau)
    pooled = pool_curves([kaplan_meier(t, e) for t, e in data], DAYS)
    found = {
        "interval limits": bool(pooled.low[-1] <= interval_target <= pooled.high[-1]),
        "interval prediction": bool(pooled.predicted_low[-1] <= new <= pooled.predicted_high[-1]),
    }
    if "--weibull" not in sys.argv:
        return found
    try:
        fit = fit_relapse([Followed(time=t, event=e) for t, e in data], model="weibull")
    except NumericalError:
        return found | {"weibull limits": False}
    low, high = fit.interval(np.array(DAYS))
    return found | {"weibull limits": bool(low[-1] <= typical <= high[-1])}


def main() -> None:
    for studies in (3, 5, 10, 20):
        for tau in (0.0, 0.3, 0.6):
            rows = [one(studies, tau, i) for i in range(REPEATS)]
            share = {k: np.mean([r[k] for r in rows]) for k in rows[0]}
            shown = ", ".join(f"{name} {value:.3f}" for name, value in share.items())
            print(f"{studies} studies, tau {tau:.1f}: {shown}", flush=True)


if __name__ == "__main__":
    main()
