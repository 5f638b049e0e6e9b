"""Blinding, and outcome by guess and arm."""

from __future__ import annotations

from fractions import Fraction

import reference as ref
from mpmath import mpf, sqrt
from table import SOLVED, add, limits

TABLES = {
    "plain": [[30, 12], [9, 25], [11, 14]],
    "no_dont_know": [[20, 3], [2, 18], [0, 0]],
    "all_guess_active": [[20, 21], [0, 0], [3, 4]],
    "opposite": [[4, 19], [17, 5], [6, 2]],
    "mostly_dont_know": [[1, 0], [0, 2], [97, 88]],
    "everybody_right": [[14, 0], [0, 9], [0, 0]],
    "everybody_wrong": [[0, 9], [14, 0], [0, 0]],
    "one_each": [[1, 0], [0, 1], [1, 1]],
    "unequal_arms": [[180, 6], [40, 9], [33, 3]],
    "halves": [[9.5, 8], [5.5, 5], [4, 6]],
    "dont_know_in_one_arm": [[12, 7], [5, 9], [0, 15]],
}
BLIND = "1_blinding_indices"


def blinding() -> None:
    for name, table in TABLES.items():
        inputs = {"table": table}
        value, variance = ref.james(table)
        add(BLIND, name, inputs, "James BI", value)
        add(BLIND, name, inputs, "James SE", sqrt(abs(variance)), 1e-9)
        z = ref.two_sided()
        add(BLIND, name, inputs, "James LCL", value - z * sqrt(abs(variance)), 1e-9)
        columns = [[r[k] for r in table] for k in (0, 1)]
        right = (columns[0], [columns[1][1], columns[1][0], columns[1][2]])
        for arm, counts in zip(("active", "control"), right, strict=True):
            value, variance = ref.bang(counts, (1, -1, 0))
            add(BLIND, name, inputs, f"Bang BI {arm}", value)
            add(BLIND, name, inputs, f"Bang SE {arm}", sqrt(variance), 1e-9)
            if variance > 0:
                one_sided = value - ref.quantile("0.95") * sqrt(variance)
                add(BLIND, name, inputs, f"Bang one-sided lower {arm}", one_sided)
                add(BLIND, name, inputs, f"Bang UCL {arm}", value + z * sqrt(variance))
        n = [sum(c) for c in columns]
        cells = (columns[0][0], n[0], columns[1][0], n[1])
        add(BLIND, name, inputs, "SBI", mpf(cells[0]) / n[0] - mpf(cells[2]) / n[1])
        for quantity, limit in zip(("SBI lower", "SBI upper"), ref.newcombe(cells), strict=True):
            add(BLIND, name, inputs, quantity, limit, SOLVED)
        add(BLIND, name, inputs, "SBI p", ref.dual_p(cells), 1e-12)
    for m in (
        2,
        10,
        100,
    ):  # R's SBI, test-sbi.R: z² = m (1 + √17)/8 when half of m against none
        table = [[m // 2, 0], [m - m // 2, m], [0, 0]]
        p = 2 * ref.phi(-sqrt(m * (1 + sqrt(mpf(17))) / 8))
        add(BLIND, f"half_against_none_{m}", {"table": table}, "SBI p", p, 1e-12,
            "R package SBI, closed form of its tests")  # fmt: skip
    for name in ("plain", "opposite", "no_dont_know"):
        square = TABLES[name][:2]
        value, variance = ref.kappa(square)
        add(BLIND, name, {"table": TABLES[name]}, "kappa", value)
        add(BLIND, name, {"table": TABLES[name]}, "kappa SE", sqrt(variance), 1e-10)
    weights = [[0, 0.7], [0.3, 0], [1, 1]]
    value, variance = ref.james(TABLES["plain"], weights[:2])
    inputs = {"table": TABLES["plain"], "weights": weights[:2]}
    add(BLIND, "weighted", inputs, "James BI", value)
    add(BLIND, "weighted", inputs, "James SE", sqrt(variance), 1e-9)
    three = [[20, 8, 5], [6, 17, 7], [4, 6, 19], [10, 9, 11]]
    value, variance = ref.james(three)
    add(BLIND, "three_arms", {"table": three}, "James BI", value)
    add(BLIND, "three_arms", {"table": three}, "James SE", sqrt(variance), 1e-9)
    add(BLIND, "all_dont_know", {"table": [[0, 0], [0, 0], [31, 29]]}, "James BI", 1,
        source="James et al. 1996: 1 when all say don't know")  # fmt: skip
    add(BLIND, "all_dont_know", {"table": [[0, 0], [0, 0], [31, 29]]}, "James SE", 0)


def one_arm() -> None:
    for name, (c, w, d) in {
        "19_active": (9, 5, 5), "small": (2, 1, 0), "large": (310, 122, 268), "wrong": (3, 17, 4),
    }.items():  # fmt: skip
        inputs = {"correct": c, "wrong": w, "dont_know": d}
        for treatment, counts in {
            "kept": (c, w, d), "dropped": (c, w, 0), "split": (c + d / 2, w + d / 2, 0),
            "all_correct": (c + d, w, 0), "all_wrong": (c, w + d, 0),
        }.items():  # fmt: skip
            value, variance = ref.bang(counts, (1, -1, 0))
            told = {**inputs, "dont_knows": treatment}
            add("1_bang_arm", name, told, "index", value)
            add("1_bang_arm", name, told, "se", sqrt(variance))
    five = (("five", (14, 9, 6, 5, 3), "0.5"), ("five_quarter", (14, 9, 6, 5, 3), "0.25"),
            ("five_weak_only", (0, 12, 8, 7, 0), "0.5"))  # fmt: skip
    for name, counts, weight in five:
        w = mpf(weight)
        value, variance = ref.bang(counts, (1, w, 0, -w, -1))
        keys = ("correct", "somewhat_correct", "dont_know", "somewhat_wrong", "wrong")
        inputs = dict(zip(keys, counts, strict=True)) | {"somewhat_weight": float(w)}
        add("1_bang_arm", name, inputs, "index", value)
        add("1_bang_arm", name, inputs, "se", sqrt(variance))
        add("1_bang_arm", name, inputs, "lower", value - ref.two_sided() * sqrt(variance))
    for c, w, n in ((9, 5, 19), (16, 8, 86), (10, 0, 10), (0, 7, 7), (0, 0, 12), (1, 1, 2)):
        found = ref.tango(c, w, n)
        printed = (
            "; Agresti & Min 2005, quoted in ratesci's tests: −0.020 to 0.207" if n == 86 else ""
        )
        limits("1_bang_score", f"{c}_{w}_{n}", {"correct": c, "wrong": w, "total": n}, found,
               tolerance=SOLVED, source="Tango 1998, own, 60 digits" + printed)  # fmt: skip
    value, variance = ref.bang((12 + mpf("0.5"), mpf("0.5"), mpf("0.5")), (1, -1, 0))
    inputs = {"correct": 12, "wrong": 0, "dont_know": 0, "add_half": True}
    add("1_bang_arm", "all_right_half_added", inputs, "index", value)
    add("1_bang_arm", "all_right_half_added", inputs, "se", sqrt(variance))
    for index, said in (
        ((11, 7, 2), "random guess"), ((7, 11, 2), "random guess"), ((12, 7, 1), "unblinded"),
        ((6, 12, 2), "opposite guess"), ((60, 40, 0), "random guess"), ((3, 2, 0), "random guess"),
        ((11, 8, 4), "random guess"),
    ):  # fmt: skip
        keys = dict(zip(("correct", "wrong", "dont_know"), index, strict=True))
        add("1_bang_class", "_".join(map(str, index)), keys, "class (cut 0.2)", said, "exact",
            "R BI 1.2.0: |BI| ≤ 0.2 acceptable; own fractions", "0.2 itself is chance")  # fmt: skip
    for percent, n, of, unknown in (
        ("36.8", 38, "all", None), ("51.9", 27, "guessed", 0), ("89.3", 28, "unknown", None),
        ("70", 13, "guessed", 3), ("62", 13, "all", None), ("100", 9, "all", None),
        ("0", 6, "all", 1),
        ("75", 20, "guessed", 4),
    ):  # fmt: skip
        inputs = {"percent": percent, "n": n, "denominator": of, "dont_know": unknown}
        every = list(ref.percent_tables(percent, n, of, unknown))
        found = [ref.bang(t, (1, -1, 0))[0] for t in every]
        add("1_percent_correct", f"{percent}_of_{n}", inputs, "lowest index", min(found))
        add("1_percent_correct", f"{percent}_of_{n}", inputs, "highest index", max(found))
        add("1_percent_correct", f"{percent}_of_{n}", inputs, "tables", len(every), 0)


STRATA = ("ACAC", "ACPL", "PLAC", "PLPL", "ACU", "PLU")
GUESSES = {
    "four": ((48, 43, 39, 102, 0, 0), (19.5, 12.25, 18.5, 11.0, 0, 0), (9.5, 10, 9, 11, 0, 0)),
    "six": ((9, 5, 8, 5, 5, 6), (12.5, 21, 14.25, 23, 17, 19.5), (8, 9, 7, 10, 6, 11)),
    "rare_wrong": ((60, 2, 3, 55, 4, 0), (8, 14, 11, 17.5, 12, 0), (6, 4, 5, 7, 3, 0)),
    "single": ((1, 1, 1, 1, 1, 1), (1, 2, 4, 8, 16, 32), (1, 1, 1, 1, 1, 1)),
    "santana": ((26, 1, 21, 3, 12, 14), (3, 4.5, 2, 1.5, 2.5, 2.25), (1, 1, 2, 1, 1.5, 1)),
}


def unblinding() -> None:
    for name, (n, mean, sd) in GUESSES.items():
        inputs = {"n": n, "mean": mean, "sd": sd}
        right, guessed = n[0] + n[3], sum(n[:4])
        observed = Fraction(right, guessed)
        add("2_CGRC", name, inputs, "correct-guess rate", right / mpf(guessed))
        add("2_CGRC", name, inputs, "share of all", right / mpf(sum(n)))
        at_raw = ref.raw(n, mean)
        add("2_CGRC", name, inputs, "raw difference", at_raw)
        for c in ("0", "0.25", "0.5", "0.9", "1", observed):
            rate = mpf(c.numerator) / c.denominator if isinstance(c, Fraction) else mpf(c)
            value = ref.delta_at(n, mean, rate)
            add("2_CGRC", name, inputs | {"c": float(rate)}, "Delta(c)", value)
            add("2_CGRC", name, inputs | {"c": float(rate)}, "SE, weights fixed",
                ref.fixed_se(n, sd, rate))  # fmt: skip
        half = ref.delta_at(n, mean, mpf(1) / 2)
        if name in ("four", "six"):
            add("2_CGRC", name, inputs, "raw SE", ref.raw_se(n, mean, sd))
            for rho in ("0", "0.5", "1"):
                told = inputs | {"rho": float(rho)}
                value = ref.sampled_se(n, mean, sd, mpf(rho))
                add("2_CGRC", name, told, "SE, weights sampled", value, 1e-10)
        for rho in ("0.25", "0.5", "0.75"):
            value = at_raw - (1 - mpf(rho)) * (at_raw - half)
            add("2_CGRC", name, inputs | {"rho": float(rho)}, "Delta at benign share", value)
        if min(n[:4]) > 0:
            within = (mean[0] - mean[2], mean[1] - mean[3])
            add("2_CGRC", name, inputs, "within guessed active", within[0])
            add("2_CGRC", name, inputs, "within guessed control", within[1])
            add("2_CGRC", name, inputs, "interaction", within[0] - within[1])
            add("2_CGRC", name, inputs, "guess effect, active arm", mean[0] - mean[1])
            add("2_CGRC", name, inputs, "guess effect, control arm", mean[2] - mean[3])
            se = [
                sqrt(mpf(sd[i]) ** 2 / n[i] + mpf(sd[j]) ** 2 / n[j]) for i, j in ((0, 2), (1, 3))
            ]
            add("2_CGRC", name, inputs, "within guessed active SE", se[0])
            add("2_CGRC", name, inputs, "interaction SE", sqrt(se[0] ** 2 + se[1] ** 2))
        u = mpf(n[4] + n[5]) / sum(n)
        for c, share in ((0.5, 0.0), (0.6, 0.3)):
            if share and u == 0:
                continue
            told = inputs | {"c": c, "u": share}
            value = ref.delta_at(n, mean, mpf(str(c)), mpf(str(share)))
            add("2_CGRC", name, told, "Delta(c, u)", value)
    sizes = (((75, 35, 25, 65), 0.5, "54/58/42/46"), ((40, 20, 10, 30), 0.5, "29/33/17/21"))
    for n, c, value in sizes:
        add("2_CGRC", "strata_size_exact", {"n": n, "c": c}, "stratum sizes", value, "exact",
            "rounded shares of 200: cgrc.bayes test-estimand.R; own hand count")  # fmt: skip


def belief() -> None:
    for name, (ba, bc, ua, uc) in {
        "recognised": (0.7, 0.3, 0.1, 0.2), "balanced": (0.4, -0.4, 0, 0), "pessimists":
        (-0.3, 0.5, 0.05, 0.15), "lii": (4 / 19, -3 / 19, 5 / 19, 6 / 19),
        "blind": (0, 0, 0.5, 0.3),
    }.items():  # fmt: skip
        inputs = {
            "bang_active": ba,
            "bang_control": bc,
            "unknown_active": ua,
            "unknown_control": uc,
        }
        # those who believe active: right in the active arm, wrong in the control arm
        active = (1 - mpf(ua) + mpf(ba)) / 2
        control = (1 - mpf(uc) - mpf(bc)) / 2
        add("2_belief", name, inputs, "difference in belief", active - control)
    for name, effect, se, d, threshold in (
        ("plain", -6, 1.5, 0.5, 0), ("relevance", -6, 1.5, 0.5, -2), ("upward", 4, 1, 0.8, 0),
        ("weak", -2, 1.5, 0.4, 0), ("reversed_belief", -6, 1.5, -0.25, 0),
        ("certain", 3, 0.5, 1, 1),
    ):  # fmt: skip
        inputs = {"effect": effect, "se": se, "belief": d, "threshold": threshold}
        add("2_tipping", name, inputs, "estimate falls at", (effect - mpf(threshold)) / mpf(d))
        nearer = effect + (-1 if effect > threshold else 1) * ref.two_sided() * mpf(se)
        add("2_tipping", name, inputs, "limit falls at", (nearer - mpf(threshold)) / mpf(d))
    for c, a in ((-1.85, -2.57), (0.5, 1.21), (1.12, 1.43), (8.1, 14.9)):
        add("2_expectancy_context", f"share_{c}", {"control": c, "active": a}, "control share",
            mpf(str(c)) / mpf(str(a)))  # fmt: skip
    for name, y, se, mean, mean_se, tau2, active in (
        ("psilocybin_against_ssri", 0.5, 0.12, 1.0, 0.03, 0.0225, 1.21),
        ("ordinary", 1.05, 0.2, 1.0, 0.1, 0.04, 1.4), ("no_spread", 0.2, 0.1, 0.9, 0.05, 0, 1.0),
    ):  # fmt: skip
        inputs = {"control": y, "se": se, "mean": mean, "mean_se": mean_se, "tau2": tau2,
                  "active": active}  # fmt: skip
        spread = sqrt(mpf(str(se)) ** 2 + mpf(str(mean_se)) ** 2 + mpf(str(tau2)))
        z = (mpf(str(y)) - mpf(str(mean))) / spread
        add("2_control_benchmark", name, inputs, "z", z)
        add("2_control_benchmark", name, inputs, "p", 2 * ref.phi(-abs(z)))
        add(
            "2_control_benchmark",
            name,
            inputs,
            "contrast if usual",
            mpf(str(active)) - mpf(str(mean)),
        )
    for change, sd, n in ((2.0, 6.7, 26), (15.3, 11.7, 72), (-3, 4, 5), (8, 10, 2000)):
        inputs = {"change": change, "sd": sd, "n": n}
        g = ref.small_sample(n - 1) * mpf(str(change)) / mpf(str(sd))
        add("2_standardised_change", f"n{n}", inputs, "SMCC", g, 1e-10)
        add("2_standardised_change", f"n{n}", inputs,
        "variance", 1 / mpf(n) + g**2 / (2 * n), 1e-10,
            "metafor's SMCC: 1/n + d²/(2n)")  # fmt: skip
