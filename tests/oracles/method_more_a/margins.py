"""Differences of proportions, margins, refusals."""

from __future__ import annotations

from typing import Any

import reference as ref
from mpmath import log, mpf, sqrt
from table import SOLVED, add, limits

CELLS = {
    "elektd": (108, 195, 70, 170), "elektd_worst": (108, 200, 103, 203),
    "perondi": (7, 34, 1, 34),
    "gart_nam": (7, 25, 2, 25), "both_none": (0, 20, 0, 20), "both_all": (15, 15, 12, 12),
    "all_none": (10, 10, 0, 20), "none_all": (0, 8, 9, 9), "one_each": (1, 1, 0, 1),
    "one_each_same": (1, 1, 1, 1), "equal": (30, 60, 25, 50), "huge": (45000, 90000, 44000, 90000),
    "lopsided": (3, 4, 150, 900), "rare": (1, 4000, 0, 3900),
    "expected_halves": (10.5, 31, 7.25, 29),
}  # fmt: skip
PRINTED = {
    ("gart_nam", "mee"): (
        -0.014,
        0.412,
        5.1e-4,
        "Gart & Nam 1990, example 1, without skewness, as quoted in the tests of R's ratesci",
    ),
}
MARGINS = ("-0.1", "0", "0.5", "-0.999")
NI = "5_noninferiority"


def proportions() -> None:
    for name, cells in CELLS.items():
        inputs = dict(zip(("x1", "n1", "x2", "n2"), cells, strict=True))
        for method, found in (
            ("newcombe", ref.newcombe(cells)),
            ("miettinen_nurminen", ref.score_interval(cells, corrected=True)),
            ("mee", ref.score_interval(cells, corrected=False)),
        ):
            limits(NI, name, inputs | {"method": method}, found, tolerance=2e-9)
        limits(NI, name, inputs | {"method": "wilson"}, ref.wilson(*cells[:2]), tolerance=SOLVED)
        for d in MARGINS:
            told = inputs | {"null_difference": float(d)}
            p, q = ref.constrained(cells, mpf(d))
            add(NI, name, told, "restricted p1", p, 1e-10)
            add(NI, name, told, "restricted p2", q, 1e-10)
            z = ref.score(cells, mpf(d), corrected=False)
            if abs(z) < 1000:
                add(NI, name, told, "FM z", z, 1e-7 if abs(z) > 30 else SOLVED)
                add(NI, name, told, "FM p, one-sided", ref.phi(-z), 1e-10)
                z = ref.score(cells, mpf(d), corrected=True)
                add(NI, name, told, "MN z", z, 1e-7 if abs(z) > 30 else SOLVED)
    for level in ("0.90", "0.99"):
        cells = CELLS["elektd"]
        inputs = dict(zip(("x1", "n1", "x2", "n2"), cells, strict=True)) | {"level": float(level)}
        limits(NI, f"level_{level}", inputs | {"method": "newcombe"}, ref.newcombe(cells, level),
               tolerance=SOLVED)  # fmt: skip
        limits(NI, f"level_{level}", inputs | {"method": "miettinen_nurminen"},
               ref.score_interval(cells, corrected=True, level=level), tolerance=2e-9)  # fmt: skip
    for (name, method), (low, high, tolerance, source) in PRINTED.items():
        inputs = dict(zip(("x1", "n1", "x2", "n2"), CELLS[name], strict=True)) | {"method": method}
        limits(NI, f"printed_{name}", inputs, (low, high), tolerance=tolerance, source=source)


def margins() -> None:
    z = ref.two_sided()
    for name, d, se, c, cse, f in (
        ("plain", -0.03, 0.05, 0.30, 0.06, 0.5), ("keep_all", 0.01, 0.04, 0.25, 0.05, 1),
        ("keep_none", -0.2, 0.05, 0.25, 0.05, 0), ("strong", 0.1, 0.03, 0.4, 0.02, 0.67),
    ):  # fmt: skip
        inputs = {"difference": d, "se": se, "history": c, "history_se": cse, "fraction": f}
        d, se, c, cse, f = (mpf(str(v)) for v in (d, se, c, cse, f))
        stat = (d + (1 - f) * c) / sqrt(se**2 + (1 - f) ** 2 * cse**2)
        add("5_synthesis", name, inputs, "z", stat, note="new − reference + (1 − f) history")
        add("5_synthesis", name, inputs, "p", ref.phi(-stat))
        if f < 1:
            add("5_margin", name, inputs, "M1", c - z * cse)
            add("5_margin", name, inputs, "M2", (1 - f) * (c - z * cse))
    for ratio, low, high, rate in ((3.2, 1.9, 5.4, 0.6), (1.5, 1.1, 2.1, 0.25)):
        inputs = {"odds_ratio": ratio, "lower": low, "upper": high, "rate": rate}
        r, lo, hi, q = (mpf(str(v)) for v in (ratio, low, high, rate))
        odds = q / (1 - q)

        def placebo(by: Any, odds: Any = odds) -> Any:
            return odds / by / (1 + odds / by)

        add("5_history", f"or_{ratio}", inputs, "placebo rate", placebo(r))
        add("5_history", f"or_{ratio}", inputs, "difference", q - placebo(r))
        add("5_history", f"or_{ratio}", inputs, "lower", q - placebo(lo))
        se = (log(hi) - log(lo)) / (2 * z)
        p = placebo(r)
        add("5_history", f"or_{ratio}", inputs, "se", p * (1 - p) * se)
    for name, x, n, mean, mean_se, tau2 in (
        ("elektd_arm", 70, 170, 0.45, 0.2, 0.3), ("no_spread", 20, 40, 0, 0.1, 0),
        ("above", 39, 45, 0.2, 0.15, 0.1),
    ):  # fmt: skip
        inputs = {"events": x, "total": n, "mean": mean, "mean_se": mean_se, "tau2": tau2}
        own = log(mpf(x) / (n - x))
        spread = 1 / mpf(x) + 1 / mpf(n - x) + mpf(str(mean_se)) ** 2 + mpf(str(tau2))
        add("5_assay", name, inputs, "z", (own - mpf(str(mean))) / sqrt(spread))
    for name, cells, margin in (
        ("elektd", CELLS["elektd"], "0.1"),
        ("tight", (60, 100, 55, 100), "0.05"),
    ):
        inputs = {"cells": cells, "margin": float(margin)}
        x1, n1, _, n2 = cells
        lost = [x for x in range(n2 + 1) if ref.newcombe((x1, n1, x, n2))[0] <= -mpf(margin)]
        add("5_assay_lost_at", name, inputs, "rate", mpf(lost[0]) / n2, note="Newcombe")
    for cells, margin in (
        (CELLS["elektd"], "0.1"), ((50, 100, 50, 100), "0.15"), ((50, 100, 50, 100), "0.1"),
        ((20, 100, 60, 100), "0.1"), ((45, 50, 44, 50), "0.2"), ((0, 60, 0, 60), "0.07"),
    ):  # fmt: skip
        low, high = ref.score_interval(cells, corrected=True)
        said = (
            "superior" if low > 0 else "non-inferior" if low > -mpf(margin)
            else "inferior" if high < -mpf(margin) else "inconclusive"
        )  # fmt: skip
        inputs = {"cells": cells, "margin": float(margin)}
        add("5_verdict", f"{cells}_{margin}", inputs, "verdict", said, "exact")
    refusing = (("elektd", (108, 195, 70, 170), 5, 33, "0.1"), ("few",
    (30, 60, 20, 58), 2, 4, "0.1"),
                ("not_there", (20, 60, 22, 58), 3, 12, "0.1"))  # fmt: skip
    for name, (x1, n1, x2, n2), gone1, gone2, margin in refusing:
        inputs = {"cells": (x1, n1, x2, n2), "refused": (gone1, gone2), "margin": float(margin)}
        lows = [ref.newcombe((x1, n1 + gone1, x2 + k, n2 + gone2))[0] for k in range(gone2 + 1)]
        for quantity, floor in (
            ("superiority lost from", mpf(0)),
            ("non-inferiority lost from", -mpf(margin)),
        ):
            lost = [k for k, low in enumerate(lows) if low <= floor]
            add("5_refusals", name, inputs, quantity, str(lost[0]) if lost else "never", "exact")
        regions = {"superior": 0, "non-inferior": 0, "inconclusive": 0, "inferior": 0}
        for a in range(gone1 + 1):
            for b in range(gone2 + 1):
                low, high = ref.newcombe((x1 + a, n1 + gone1, x2 + b, n2 + gone2))
                region = ("superior" if low > 0 else "non-inferior" if low > -mpf(margin)
                          else "inferior" if high < -mpf(margin) else "inconclusive")  # fmt: skip
                regions[region] += 1
        for region, count in regions.items():
            add("5_refusals", name, inputs, f"cells {region}", count, 0)
