"""Coverage of the upper limit of a harm's share when trials do not share one rate.

    python validation/rare/limits.py

Writes limits.csv beside itself and prints a table. Trials of 25 to 130 patients; their true shares
follow a beta distribution of correlation rho about the mean share, which the one-sided 95 % limit
should lie above in 95 of 100 data sets. Stated before the run: with rho 0 a cell passes at 0.94 or
more (Monte Carlo error 0.3 points); with rho above 0 the limit that widens must lie above the mean
oftener than the limit of the patients simply added up in every cell with a mean share of 10 % or
more, and is expected to miss 95 % wherever few trials show how far apart they lie, most of all for
shares of 2 % and less, where too few events are seen to tell.
"""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np

from klarsyn.stats.rates import overdispersion, upper_limit

HERE = Path(__file__).parent
SETS, SEED = 4_000, 20261122
TRIALS, MEANS, RHOS = (2, 4, 10), (0.005, 0.02, 0.1, 0.4), (0.0, 0.03, 0.1, 0.25)


def cell(k: int, mean: float, rho: float, rng: np.random.Generator) -> dict[str, float]:
    """How often each limit lies above the mean share."""
    added = widened = 0
    for _ in range(SETS):
        n = rng.integers(25, 130, k)
        spread = (1 - rho) / rho if rho else 0.0
        share = rng.beta(mean * spread, (1 - mean) * spread, k) if rho else np.full(k, mean)
        x = rng.binomial(n, share)
        apart = overdispersion(x.tolist(), n.tolist())
        added += upper_limit(float(x.sum()), float(n.sum())) >= mean
        widened += upper_limit(x.sum() / apart, n.sum() / apart) >= mean
    return {"trials": k, "mean": mean, "rho": rho, "added": added / SETS, "widened": widened / SETS}


def main() -> None:
    rng = np.random.default_rng(SEED)
    rows = [cell(k, m, r, rng) for k, m, r in itertools.product(TRIALS, MEANS, RHOS)]
    with (HERE / "limits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for r in rows:
        print(f"{r['trials']:2.0f} trials, {r['mean']:5.1%}, rho {r['rho']:4.2f}: "
              f"added up {r['added']:.3f}, widened {r['widened']:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
