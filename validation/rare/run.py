"""Coverage, bias and failures of the rare-event methods.

    python validation/rare/run.py

Writes results.csv beside itself and prints a line a method. Stated before the run:

- A 95 % interval passes a cell with coverage of at least 0.90. A data set for which a method has no
  estimate (one group without events) is counted apart, not as a miss.
- Bias counts where the median estimate is off by more than 10 % of the true log odds ratio.
- Peto is expected to fail where the groups are unequal, every common-effect method where tau > 0;
  a result must then carry its warning (`warned`, the share of results with any note).
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)

from klarsyn.provenance import stream  # noqa: E402
from klarsyn.synthesis.rare import Counts, count_table, pool_rare  # noqa: E402
from klarsyn.tables import csv_text, write_text  # noqa: E402

HERE = Path(__file__).parent
FAST, SLOW = ("MH OR", "Peto"), ("CM.EL", "beta-binomial")
FAST_SETS, SLOW_SETS = 2_000, 200
SEED, LEVEL, PASS, BIAS = 20261121, 0.95, 0.90, 0.10
RISKS, STUDIES, RATIOS, TAUS = (0.005, 0.02, 0.1), (5, 20), (1, 4), (0.0, 0.4)
EFFECTS = (-0.7, -1.5)  # the slow methods see the first only


def draw(
    rng: np.random.Generator, k: int, risk: float, ratio: float, effect: float, tau: float
) -> Counts:
    """Groups of 50 to 250, the first `ratio` times the second; baselines differ (sd 0.5)."""
    n2 = rng.integers(50, 251, k)
    n1 = np.round(ratio * n2).astype(int)
    base = np.log(risk / (1 - risk)) + rng.normal(0, 0.5, k)
    theta = effect + tau * rng.normal(0, 1, k)
    a = rng.binomial(n1, 1 / (1 + np.exp(-base - theta)))
    c = rng.binomial(n2, 1 / (1 + np.exp(-base)))
    return count_table([str(i) for i in range(k)], list(a), list(n1), list(c), list(n2))


Setting = tuple[float, int, float, float, float]


def cell(index: int, setting: Setting, methods: tuple[str, ...], sets: int) -> list[dict[str, Any]]:
    risk, k, ratio, tau, effect = setting
    arms = f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"
    found: dict[str, list[tuple[float, bool, bool]]] = {m: [] for m in methods}
    for i in range(sets):
        rng = stream(SEED, "rare validation", index, i)
        for fit in pool_rare(draw(rng, k, risk, ratio, effect, tau), methods).fits:
            if fit.estimate is not None:
                low, high = fit.estimate.interval(LEVEL)
                found[fit.method].append(
                    (fit.estimate.value, bool(low <= effect <= high), bool(fit.notes))
                )
    return [
        {
            "control_risk": risk, "trials": k, "arms": arms, "tau": tau, "log_or": effect,
            "method": m, "sets": sets, **judge(found[m], effect, sets),
        }
        for m in methods
    ]  # fmt: skip


def judge(found: list[tuple[float, bool, bool]], effect: float, sets: int) -> dict[str, Any]:
    value, inside, warned = (np.array(column) for column in zip(*found, strict=True))
    bias = float(np.median(value) - effect)
    return {
        "coverage": round(float(inside.mean()), 3), "median_bias": round(bias, 3),
        "without_estimate": sets - len(value), "warned": round(float(warned.mean()), 3),
        "passes": bool(inside.mean() >= PASS), "unbiased": bool(abs(bias) <= BIAS * abs(effect)),
    }  # fmt: skip


def keep(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, csv_text(rows[0], (row.values() for row in rows)))


def main() -> None:
    rows = []
    grid = itertools.product(RISKS, STUDIES, RATIOS, TAUS, EFFECTS)
    for index, setting in enumerate(grid):
        rows += cell(index, setting, FAST, FAST_SETS)
        if setting[-1] == EFFECTS[0]:
            rows += cell(index, setting, SLOW, SLOW_SETS)
    keep(HERE / "results.csv", rows)
    for m, tau, arms in itertools.product((*FAST, *SLOW), TAUS, ("1:1", "4:1")):
        some = [r for r in rows if (r["method"], r["tau"], r["arms"]) == (m, tau, arms)]
        print(
            f"{m:14s} tau {tau} arms {arms}: covers in {sum(r['passes'] for r in some)} of "
            f"{len(some)} cells (lowest {min(r['coverage'] for r in some)}), unbiased in "
            f"{sum(r['unbiased'] for r in some)}, warned {min(r['warned'] for r in some)} to "
            f"{max(r['warned'] for r in some)}, without estimate "
            f"{sum(r['without_estimate'] for r in some)}"
        )


if __name__ == "__main__":
    main()
