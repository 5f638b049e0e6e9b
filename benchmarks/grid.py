"""Cells per second of the sensitivity grid against a loop of single fits, on the same cells.

    python benchmarks/grid.py

Both sides fit common, DL, PM and REML with Wald and Knapp–Hartung intervals over 9 variants, 926
inclusion sets and 3 exclusions of 15 studies (200,016 cells); the loop does a seeded sample of them
and is extrapolated. Agreement is checked on that sample.
"""

from __future__ import annotations

import time

import numpy as np

from klarsyn.bias.grid import Grid, Variants, sensitivity_grid, variants
from klarsyn.provenance import stream
from klarsyn.stats.many_fits import every_subset, fit_many, limits

STUDIES = [f"study {i}" for i in range(15)]
ESTIMATORS = ("common", "DL", "PM", "REML")
INTERVALS = ("wald", "knapp_hartung")
EXCLUSIONS = {"none": (), "high": tuple(STUDIES[:3]), "raised": tuple(STUDIES[:7])}
SAMPLE = 1000


def data() -> tuple[Variants, np.ndarray]:
    draw = stream(1, "grid benchmark")
    keys = [(m, t) for m in ("SMD", "MD", "OR") for t in ("1 week", "4 weeks", "8 weeks")]
    y = {k: draw.normal(-0.3, 0.4, 15) for k in keys}
    v = {k: draw.uniform(0.02, 0.2, 15) for k in keys}
    masks = every_subset(15)[draw.choice(2**15 - 1, 926, replace=False)]
    return variants(STUDIES, y, v, ("measure", "time")), masks


def loop(given: Variants, masks: np.ndarray, grid: Grid) -> tuple[float, float]:
    """Seconds for SAMPLE single fits, and their largest distance to the grid's estimates."""
    draw = stream(2, "cells")
    keep = {n: np.array([s not in out for s in STUDIES]) for n, out in EXCLUSIONS.items()}
    chosen = list(zip(*(draw.integers(0, n, SAMPLE) for n in grid.estimate.shape), strict=True))
    times = list(dict.fromkeys(t for _, t in given.options))
    start, worst = time.perf_counter(), 0.0
    for at in chosen:
        m, t, _, s, out, e, i = (int(x) for x in at)
        use = masks[s] & keep[list(EXCLUSIONS)[out]]
        if not use.any():
            continue
        row = m * len(times) + t
        y, v = given.effects[row][use], given.variances[row][use]
        fit = fit_many(y[None], v[None], np.ones((1, y.size), bool), ESTIMATORS[e])
        limits(fit, INTERVALS[i], 0.95)
        worst = max(worst, abs(float(fit.mean[0, 0]) - float(grid.estimate[at])))
    return time.perf_counter() - start, worst


def main() -> None:
    given, masks = data()
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1

    start = time.perf_counter()
    grid = sensitivity_grid(
        given,
        estimators=ESTIMATORS,
        intervals=INTERVALS,
        benefit="lower",
        inclusion_sets=masks,
        exclusions=EXCLUSIONS,
        progress=progress,
    )
    fitted = time.perf_counter() - start
    grid.influence()
    whole = time.perf_counter() - start
    seconds, worst = loop(given, masks, grid)
    print(f"grid: {grid.cells} cells in {fitted:.2f} s ({grid.cells / fitted:,.0f} cells/s),")
    print(f"      with influence {whole:.2f} s, {calls} progress calls")
    print(f"loop: {SAMPLE} cells in {seconds:.2f} s ({SAMPLE / seconds:,.0f} cells/s)")
    print(f"ratio {grid.cells / fitted / (SAMPLE / seconds):.0f}; largest distance {worst:.1e}")


if __name__ == "__main__":
    main()
