"""Coverage, bias and failures of the rare-event methods; see question.md."""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)

from klarsyn.provenance import stream  # noqa: E402
from klarsyn.synthesis.rare import count_table, pool_rare  # noqa: E402

HERE = Path(__file__).parent
METHODS = ("MH OR", "Peto", "CM.EL", "beta-binomial")
SETS, SEED, LEVEL, PASS = 100, 20261121, 0.95, 0.90
GRID = list(itertools.product((6, 20), (0.005, 0.02), (-0.7,), (0.0, 0.6)))


def draw(rng: np.random.Generator, k: int, risk: float, effect: float, tau: float):
    n2 = rng.integers(50, 251, k)
    n1 = np.where(np.arange(k) % 4 == 3, 2 * n2, n2)
    base = np.log(risk / (1 - risk)) + rng.normal(0, 0.5, k)
    theta = effect + tau * rng.normal(0, 1, k)
    a = rng.binomial(n1, 1 / (1 + np.exp(-base - theta)))
    c = rng.binomial(n2, 1 / (1 + np.exp(-base)))
    return count_table([str(i) for i in range(k)], list(a), list(n1), list(c), list(n2))


def cell(index: int, k: int, risk: float, effect: float, tau: float) -> list[dict[str, object]]:
    hits = {m: [] for m in METHODS}
    values = {m: [] for m in METHODS}
    for i in range(SETS):
        result = pool_rare(
            draw(stream(SEED, "rare validation", index, i), k, risk, effect, tau), METHODS
        )
        for fit in result.fits:
            if fit.estimate is not None:
                low, high = fit.estimate.interval(LEVEL)
                hits[fit.method].append(low <= effect <= high)
                values[fit.method].append(fit.estimate.value)
    return [
        {
            "trials": k, "control_risk": risk, "log_or": effect, "tau": tau, "method": m,
            "coverage": round(float(np.mean(hits[m])), 3) if hits[m] else None,
            "median_bias": round(float(np.median(values[m]) - effect), 3) if hits[m] else None,
            "without_estimate": SETS - len(hits[m]),
            "passes": bool(np.mean(hits[m]) >= PASS) if hits[m] else False,
        }
        for m in METHODS
    ]  # fmt: skip


def main() -> None:
    rows = [row for index, setting in enumerate(GRID) for row in cell(index, *setting)]
    with (HERE / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for m in METHODS:
        mine = [r for r in rows if r["method"] == m]
        for tau in (0.0, 0.6):
            some = [r for r in mine if r["tau"] == tau]
            low = min(r["coverage"] for r in some)
            none = sum(r["without_estimate"] for r in some)
            passed = f"passes {sum(r['passes'] for r in some)} of {len(some)}"
            print(f"{m:14s} tau {tau}: {passed}, lowest coverage {low}, without estimate {none}")


if __name__ == "__main__":
    main()
