"""Do the pairwise defaults hold for odds, risk and rate ratios and risk differences?

    python validation/pairwise/measures.py

Writes measures.csv beside itself and prints a table. The thresholds of run.py, stated before the
first run: an interval holds in a cell where it covers 93 to 97 % of 2,000 simulated meta-analyses
(Monte Carlo error 0.5 points: 92 to 98 % counts as holding), and bias counts above 10 % of the true
effect. Expected to fail: every corrected ratio at a risk of 1 %; the risk difference there, because
its variance depends on the count that it is made of. `warned` is the share of the meta-analyses
with a corrected study, which is where `pool` says that the result is sparse. `MH` is
Mantel–Haenszel's method without corrections on the first 200 data sets (error 1.5 points; its bias
is the median's), a common-effect method that is asked to hold with a spread of 0 only.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from run import HERE, intervals

from klarsyn.errors import NumericalError
from klarsyn.provenance import stream
from klarsyn.stats.batched import fit_rows
from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.rare_stratified import mantel_haenszel, mantel_haenszel_rates
from klarsyn.tables import csv_text, write_text

SEED, ROWS, SINGLE = 2, 2_000, 200  # Mantel–Haenszel is computed for the first SINGLE
HOLDS, BIAS = (0.92, 0.98), 0.10
MEASURES, STUDIES = ("OR", "RR", "IRR", "RD"), (3, 5, 10, 20, 40)
RISKS, RATIOS = (0.01, 0.05, 0.3), (1, 4)  # first group's size over the second's
SPREADS = (0.0, 0.2, 0.5)  # tau of the log ratio; of the difference as a share of the control risk
EFFECT, SHARE = math.log(0.6), -0.4  # a ratio of 0.6; a difference of −0.4 times the control risk
TESTS = ("z", "knha", "adhoc")
Array = np.ndarray


def draw(
    rng: np.random.Generator, measure: str, k: int, risk: float, ratio: int, spread: float
) -> tuple[dict[str, Array], float]:
    """Counts of ROWS meta-analyses (rows × k), second groups of 30 to 300, and the true mean."""
    size = (ROWS, k)
    n2 = np.round(np.exp(rng.uniform(math.log(30), math.log(300), size))).astype(int)
    n1 = ratio * n2
    if measure == "RD":  # uniform, so that no risk falls below 0
        truth = risk * (SHARE + spread * math.sqrt(3) * rng.uniform(-1, 1, size))
        first, mean = np.clip(risk + truth, 0, 1), SHARE * risk
    else:
        theta, mean = EFFECT + spread * rng.standard_normal(size), EFFECT
        odds = risk / (1 - risk) * np.exp(theta)
        first = odds / (1 + odds) if measure == "OR" else risk * np.exp(theta)
    if measure == "IRR":
        first, second = rng.poisson(n1 * first), rng.poisson(n2 * risk)
        return {"x1i": first, "t1i": n1, "x2i": second, "t2i": n2}, mean
    a, c = rng.binomial(n1, np.minimum(first, 1)), rng.binomial(n2, risk)
    return {"ai": a, "bi": n1 - a, "ci": c, "di": n2 - c}, mean


def judge(inside: float) -> str:
    if inside < HOLDS[0]:
        return "liberal"
    return "conservative" if inside > HOLDS[1] else "holds"


def stratified(measure: str, counts: dict[str, Array]) -> Array:
    """Mantel–Haenszel estimates with their limits, of the data sets that have one."""
    out = []
    a, n1, c, n2 = counts.values() if measure == "IRR" else _totals(counts)
    for rows in zip(*(x[:SINGLE].astype(float) for x in (a, n1, c, n2)), strict=True):
        try:
            made = mantel_haenszel_rates if measure == "IRR" else mantel_haenszel
            found = made(*rows, measure).estimate
        except NumericalError:
            continue
        out.append((found.value, *found.interval()))
    return np.array(out)


def _totals(counts: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    a, b, c, d = counts.values()
    return a, a + b, c, c + d


def judged(inside: float, bias: float, mean: float, width: float) -> dict[str, Any]:
    verdict = judge(inside) + (", biased" if abs(bias) > BIAS * abs(mean) else "")
    return {
        "bias": round(bias / abs(mean), 4), "coverage": round(inside, 4),
        "type_1_error": round(1 - inside, 4), "width": round(width, 3), "verdict": verdict,
    }  # fmt: skip


def cells() -> list[dict[str, Any]]:
    out = []
    grid = itertools.product(MEASURES, STUDIES, RISKS, RATIOS, SPREADS)
    for cell, (measure, k, risk, ratio, spread) in enumerate(grid):
        counts, mean = draw(stream(SEED, "measures", cell), measure, k, risk, ratio, spread)
        made = contrasts(measure, {name: c.ravel() for name, c in counts.items()})
        fits = fit_rows(made.y.reshape(ROWS, k), made.v.reshape(ROWS, k), method="REML")
        bias = float(np.mean(fits.estimate) - mean)
        warned = made.corrected.reshape(ROWS, k).any(axis=1)
        base = {"measure": measure, "k": k, "risk": risk, "arms": f"{ratio}:1", "spread": spread}
        for test in TESTS:
            half = intervals(fits, test)
            inside = float(np.mean(np.abs(fits.estimate - mean) <= half))
            width = float(np.median(2 * half))
            out.append(base | {"test": test, "warned": round(float(warned.mean()), 3)}
                       | judged(inside, bias, mean, width))  # fmt: skip
        value, low, high = stratified(measure, counts).T
        inside = float(np.mean((low <= mean) & (mean <= high)))
        out.append(base | {"test": "MH", "warned": ""}
                   | judged(inside, float(np.median(value) - mean), mean,
                            float(np.median(high - low))))  # fmt: skip
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """Coverage and largest relative bias over the spreads, a row a measure, risk, arms and test."""
    head = ["measure", "risk", "arms", "test", "bias", *(f"k = {k}" for k in STUDIES)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for key in itertools.product(MEASURES, RISKS, ("1:1", "4:1"), ("z", "knha", "MH")):
        found = [r for r in rows if (r["measure"], r["risk"], r["arms"], r["test"]) == key]
        shifts = [100 * r["bias"] for r in found]
        text = []
        for k in STUDIES:
            some = [r for r in found if r["k"] == k]
            low, high = (100 * f([r["coverage"] for r in some]) for f in (min, max))
            liberal = any(r["verdict"].startswith("liberal") for r in some)
            text.append(f"**{low:.0f}–{high:.0f}**" if liberal else f"{low:.0f}–{high:.0f}")
        bias = f"{min(shifts):+.0f} to {max(shifts):+.0f}"
        name, risk, arms, test = key
        lines.append(f"| {name} | {risk:g} | {arms} | {test} | {bias} | {' | '.join(text)} |")
    return "\n".join(lines)


def main() -> None:
    rows = cells()
    write_text(HERE / "measures.csv", csv_text(rows[0], (row.values() for row in rows)))
    print(table(rows))


if __name__ == "__main__":
    main()
