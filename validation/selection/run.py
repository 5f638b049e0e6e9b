"""Do tests of small-study effects hold their level, and does the step model undo selection?

    python validation/selection/run.py

Writes tests.csv and models.csv beside itself and prints both.

Stated before the first run:

- Tests under no selection, nominal level 5 %, 4,000 meta-analyses a cell (Monte Carlo error 0.34
  points): a type-I error of 3.5 to 6.5 % holds, above is liberal, below conservative. The slope
  (Kendall's tau for the rank test) is unbiased where its mean is within 4 Monte Carlo errors of 0.
  The standardised mean difference of 0.8, whose variance contains the effect, is expected to fail.
- Estimates under a known selection process, 400 meta-analyses a cell: a bias of the mean effect of
  more than 0.05 counts, a 95 % interval holds where it covers 93 to 97 % (Monte Carlo error 1.1
  points: 92 to 98 % counts as holding). The step model is asked for this wherever selection is
  what it assumes; the unadjusted mean is expected to fail wherever there is selection.
"""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)
from scipy import special  # noqa: E402

from klarsyn.errors import NumericalError  # noqa: E402
from klarsyn.provenance import stream  # noqa: E402
from klarsyn.stats.asymmetry import (  # noqa: E402
    pustejovsky_rodgers,
    rank_test,
    regression_test,
    thompson_sharp,
)
from klarsyn.stats.selection import fit_selection  # noqa: E402
from klarsyn.synthesis.effects import effects_from_arrays  # noqa: E402
from klarsyn.synthesis.pairwise import pool  # noqa: E402
from klarsyn.tables import csv_text, write_text  # noqa: E402

HERE = Path(__file__).parent
SEED = 20261123
STUDIES, TAU2 = (10, 20, 40), (0.0, 0.1)
TEST_SETS, MODEL_SETS = 4_000, 400
LEVEL_LOW, LEVEL_HIGH, UNBIASED = 0.035, 0.065, 4
LIBERAL, CONSERVATIVE, BIAS = 0.92, 0.98, 0.05
EFFECTS = (0.0, 0.3)
SELECTION = {
    "none": "every study is published",
    "step": "p above 0.025 (one-sided) is published with chance 0.2",
    "smooth": "chance of publication exp(-3 p)",
}
Array = np.ndarray


def sizes(rng: np.random.Generator, k: int) -> Array:
    """Patients in each of the two groups of a study: 10 to 200, most studies small."""
    return np.round(np.exp(rng.uniform(math.log(10), math.log(200), k)))


def normal(rng: np.random.Generator, k: int, tau2: float) -> tuple[Array, Array, Array]:
    n = sizes(rng, k)
    v = 2 / n
    return rng.normal(0.3, math.sqrt(tau2), k) + rng.normal(0, np.sqrt(v)), v, n


def standardised(rng: np.random.Generator, k: int, tau2: float) -> tuple[Array, Array, Array]:
    """Hedges' g of true standardised differences around 0.8, with its usual variance."""
    n = sizes(rng, k)
    difference = rng.normal(rng.normal(0.8, math.sqrt(tau2), k), np.sqrt(2 / n))
    df = 2 * n - 2
    g = (1 - 3 / (4 * df - 1)) * difference / np.sqrt(rng.chisquare(df) / df)
    return g, 2 / n + g**2 / (4 * n), n


def asymmetry(y: Array, v: Array, n: Array) -> dict[str, tuple[float, float]]:
    """Of every test: p and the value that should be 0 on average."""
    rank = rank_test(y, v)
    found = {
        "Egger": regression_test(y, v),
        "Egger, mixed": regression_test(y, v, model="rma"),
        "Thompson–Sharp": thompson_sharp(y, v),
        "Pustejovsky–Rodgers": pustejovsky_rodgers(y, n, n),
    }
    out = {name: (t.p, t.slope.value) for name, t in found.items()}
    return out | {"Begg–Mazumdar": (rank.p, rank.tau)}


def tests() -> list[dict[str, Any]]:
    out = []
    worlds = {"normal": normal, "SMD 0.8": standardised}
    grid = itertools.product(worlds, STUDIES, TAU2)
    for cell, (world, k, tau2) in enumerate(grid):
        found = [
            asymmetry(*worlds[world](stream(SEED, "small-study tests", cell, i), k, tau2))
            for i in range(TEST_SETS)
        ]
        for name in found[0]:
            p, slope = np.array([f[name] for f in found]).T
            rate = float(np.mean(p < 0.05))
            errors = float(slope.mean() / (slope.std(ddof=1) / math.sqrt(TEST_SETS)))
            verdict = "liberal" if rate > LEVEL_HIGH else "holds"
            verdict = "conservative" if rate < LEVEL_LOW else verdict
            out.append({
                "world": world, "k": k, "tau2": tau2, "test": name,
                "type_1_error": round(rate, 4), "bias": round(float(slope.mean()), 4),
                "bias_errors": round(errors, 2), "unbiased": abs(errors) <= UNBIASED,
                "verdict": verdict,
            })  # fmt: skip
    return out


def published(
    rng: np.random.Generator, k: int, mu: float, tau2: float, kind: str
) -> tuple[Array, Array]:
    """The first k studies that pass the selection, and their variances."""
    ys, vs = np.empty(0), np.empty(0)
    while len(ys) < k:
        v = 2 / sizes(rng, 4 * k)
        y = rng.normal(mu, math.sqrt(tau2), 4 * k) + rng.normal(0, np.sqrt(v))
        p = special.ndtr(-y / np.sqrt(v))
        chance = {"none": np.ones(4 * k), "step": np.where(p <= 0.025, 1, 0.2),
                  "smooth": np.exp(-3 * p)}[kind]  # fmt: skip
        kept = rng.uniform(size=4 * k) < chance
        ys, vs = np.append(ys, y[kept]), np.append(vs, v[kept])
    return ys[:k], vs[:k]


def estimates(y: Array, v: Array) -> dict[str, tuple[float, float, float, bool]]:
    """Of every method: estimate, limits and (step model) whether a parameter is on its edge."""
    mean = pool(effects_from_arrays(y, v))
    out = {"REML, unadjusted": (mean.estimate, mean.ci_lower, mean.ci_upper, False)}
    try:
        fit = fit_selection(y, v)
    except NumericalError:
        return out
    half = 1.959964 * fit.se
    return out | {"step model": (fit.mu, fit.mu - half, fit.mu + half, fit.boundary)}


def models() -> list[dict[str, Any]]:
    out = []
    grid = itertools.product(SELECTION, STUDIES, TAU2, EFFECTS)
    for cell, (kind, k, tau2, mu) in enumerate(grid):
        found = [
            estimates(*published(stream(SEED, "selection", cell, i), k, mu, tau2, kind))
            for i in range(MODEL_SETS)
        ]
        for name in ("REML, unadjusted", "step model"):
            had = np.array([f[name] for f in found if name in f])
            inside = float(np.mean((had[:, 1] <= mu) & (mu <= had[:, 2])))
            bias = float(had[:, 0].mean() - mu)
            median = float(np.median(had[:, 0]) - mu)
            verdict = "liberal" if inside < LIBERAL else "holds"
            verdict = "conservative" if inside > CONSERVATIVE else verdict
            out.append({
                "selection": kind, "k": k, "tau2": tau2, "mu": mu, "method": name,
                "bias": round(bias, 3), "median_bias": round(median, 3),
                "coverage": round(inside, 4),
                "without_estimate": MODEL_SETS - len(had),
                "on_edge": round(float(had[:, 3].mean()), 3),
                "verdict": verdict + (", biased" if abs(bias) > BIAS else ""),
            })  # fmt: skip
    return out


def keep(name: str, rows: list[dict[str, Any]]) -> None:
    text = csv_text(rows[0], (row.values() for row in rows))
    write_text(HERE / name, text)
    print(text)


def main() -> None:
    keep("tests.csv", tests())
    keep("models.csv", models())


if __name__ == "__main__":
    main()
