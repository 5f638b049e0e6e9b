"""Missing outcomes."""

from __future__ import annotations

from typing import Any

import reference as ref
from mpmath import exp, mpf, sqrt
from table import SOLVED, add

BINARY = {
    "beasley": (29, 47, 22, 20, 34, 34), "nothing_missing": (12, 40, 0, 9, 38, 0),
    "half_missing": (10, 20, 20, 5, 22, 22), "rare": (1, 60, 3, 2, 55, 9),
    "common": (57, 60, 5, 50, 55, 12), "stata_1": (10, 90, 10, 10, 90, 0),
    "stata_2": (20, 90, 10, 10, 60, 40),
}  # fmt: skip
IMORS = ((1, 1), (2, 2), (0.5, 0.5), (0, 0), (3, 0.25), (0, 5))


def events() -> None:
    for name, study in BINARY.items():
        for measure in ("RR", "OR", "RD"):
            for imor in IMORS:
                if name in ("rare", "common", "nothing_missing") and imor not in IMORS[1:5:3]:
                    continue
                y, v = ref.binary_effect(study, imor, (0, 0), 0, measure)
                inputs = {"study": study, "imor": imor, "measure": measure}
                add("4_IMOR", name, inputs, "effect", y)
                add("4_IMOR", name, inputs, "variance", v)
            if name in ("beasley", "stata_2"):
                for sd, rho in (((1, 1), 0), ((0.5, 1.5), 0.6), ((1, 1), 1), ((0.2, 0.4), -1)):
                    y, v = ref.binary_effect(study, (2, 1), sd, rho, measure)
                    inputs = {"study": study, "imor": (2, 1), "sd": sd, "correlation": rho,
                              "measure": measure}  # fmt: skip
                    add("4_IMOR_uncertain", name, inputs, "variance", v)
            if name in ("beasley", "half_missing", "rare", "common"):
                y, v = ref.gamble_hollis(study, measure)
                inputs = {"study": study, "measure": measure}
                add("4_GambleHollis", name, inputs, "effect", y)
                add("4_GambleHollis", name, inputs, "se", sqrt(v))
        r1, n1, m1, r2, n2, m2 = study
        inputs = {"study": study, "measure": "RD"}
        for label, x1, x2 in (
            ("best", r1 + m1, r2), ("worst", r1, r2 + m2), ("none", r1, r2),
            ("all", r1 + m1, r2 + m2),
        ):  # fmt: skip
            value = mpf(x1) / (n1 + m1) - mpf(x2) / (n2 + m2)
            add("4_extremes", name, inputs | {"assumption": label}, "effect", value)
        odds = mpf(r2) * (n1 - r1) / ((n2 - r2) * mpf(r1))
        for label, imor in (("as_control", (odds, 1)), ("as_treated", (1, 1 / odds))):
            y, v = ref.binary_effect(study, imor, (0, 0), 0, "RR")
            told = {"study": study, "measure": "RR", "assumption": label}
            add("4_ICA", name, told, "effect", y)
            add("4_ICA", name, told, "variance", v)
    for name, study in {"no_control_events": (4, 134, 16, 0, 47, 3),
                        "no_treated_events": (0, 30, 6, 5, 31, 2)}.items():  # fmt: skip
        for imor in ((1, 1), (2, 0.5)):
            y, v = ref.empty_cell(study, imor)
            inputs = {"study": study, "imor": imor, "measure": "RR"}
            note = "rule of metasens' metamiss for RR: half an event, half a patient"
            add("4_IMOR", name, inputs, "effect", y, note=note)
            add("4_IMOR", name, inputs, "variance", v, note=note)
    few = [BINARY[k] for k in ("beasley", "half_missing", "common", "stata_2")]
    for imor, sd, rho in (((1, 1), (0, 0), 0), ((0.5, 2), (0, 0), 0), ((1, 1), (1, 1), 0.5)):
        for measure in ("RR", "OR", "RD"):
            found = ref.pooled([ref.binary_effect(s, imor, sd, rho, measure) for s in few])
            inputs = {
                "studies": few,
                "imor": imor,
                "sd": sd,
                "correlation": rho,
                "measure": measure,
            }
            for quantity, value in found.items():
                add("4_IMOR_pooled", "four_studies", inputs, quantity, value, SOLVED)
    # Stata's metamiss 3.17, test log of its authors: limits as printed, three decimals
    for row, (low, mid, high) in {"stata_1": (-0.096, -0.007, 0.083),
                                  "stata_2": (-0.041, 0.082, 0.205)}.items():  # fmt: skip
        told = {"study": BINARY[row], "imor": (float(exp(-1)),) * 2, "sd": (1, 1), "correlation": 0,
                "measure": "RD"}  # fmt: skip
        for quantity, value in (("lower", low), ("effect", mid), ("upper", high)):
            add("4_IMOR_uncertain", row, told, quantity, value, 5.1e-4,
                "metamiss 3.17 (Stata): logimor(-1) sdlogimor(1) method(Taylor) rd")  # fmt: skip
    for row, (low, mid, high) in {"stata_1": (-0.082, 0.014, 0.111),
                                  "stata_2": (-0.147, 0.003, 0.153)}.items():  # fmt: skip
        told = {"study": BINARY[row], "imor": (float(exp(1)),) * 2, "measure": "RD"}
        for quantity, value in (("lower", low), ("effect", mid), ("upper", high)):
            add("4_IMOR", row, told, quantity, value, 5.1e-4,
                "metamiss 3.17 (Stata): logimor(1) rd")  # fmt: skip


MEANS = {
    "plain": (-14.2, 8.1, 44, 9, -9.7, 7.5, 41, 15), "none_missing": (12, 4, 20, 0, 9, 5, 22, 0),
    "most_missing": (5.5, 2, 6, 30, 4, 2.5, 8, 29), "large": (21.3, 11, 400, 35, 19, 12, 390, 60),
}  # fmt: skip


def means() -> None:
    for name, study in MEANS.items():
        for kind, pairs in (
            ("difference", ((0, 0), (-2, 3), (4, 4))),
            ("ratio", ((1, 1), (0.8, 1.2))),
        ):
            for lam in pairs:
                for sd, rho in (((0, 0), 0), ((1, 2), 0), ((1, 2), 0.7), ((1.5, 1.5), 1)):
                    y, v = ref.mean_effect(study, lam, sd, rho, kind)
                    inputs = {"study": study, "parameter": lam, "sd": sd, "correlation": rho,
                              "kind": kind}  # fmt: skip
                    if not any(sd):
                        add("4_IMDoM", name, inputs, "effect", y)
                    add("4_IMDoM", name, inputs, "variance", v)
    studies = [MEANS[k] for k in ("plain", "none_missing", "large")]
    found = ref.pooled([ref.mean_effect(s, (-1, 2), (1, 1), 0.3, "difference") for s in studies])
    inputs = {"studies": studies, "parameter": (-1, 2), "sd": (1, 1), "correlation": 0.3,
              "kind": "difference"}  # fmt: skip
    for quantity, value in found.items():
        add("4_IMDoM_pooled", "three_trials", inputs, quantity, value, SOLVED)
    one = [MEANS["plain"]]
    for arm, threshold in (("treated", 0.0), ("control", 0.0), ("treated", -2.0)):

        def limit(delta: Any, arm: str = arm) -> Any:
            lam = (delta, 0) if arm == "treated" else (0, delta)
            y, v = ref.mean_effect(one[0], lam, (0, 0), 0, "difference")
            return y + ref.two_sided() * sqrt(v)

        nearest = -1 if limit(mpf(0)) > threshold else 1
        end = 40 * nearest * (1 if arm == "treated" else -1)
        value = ref.root(lambda d, t=threshold, f=limit: f(d) - mpf(t), 0, end)
        add("4_tipping_delta", f"{arm}_{threshold:g}",
            {"studies": one, "arm": arm, "threshold": threshold}, "delta", value, 1e-7)  # fmt: skip


VISITS = {
    "three": ((-4, -7, -9), (-3, -5, -5.5), ((25, 14, 10), (14, 36, 22), (10, 22, 49)),
    (2, 5, 3, 50)),
    "crossing": ((-9, -6, -4), (-1, -3, -5), ((20, 8, 4), (8, 24, 12), (4, 12, 30)),
    (10, 10, 10, 10)),
    "all_left_at_once": ((-2, -3), (-1, -2), ((9, 3), (3, 9)), (30, 0, 0)),
    "nobody_left": ((-2, -3), (-1, -2), ((9, 3), (3, 9)), (0, 0, 30)),
    "one_visit": ((-6,), (-2,), ((36,),), (7, 33)),
}  # fmt: skip


def reference_based() -> None:
    for name, (treated, control, cov, seen) in VISITS.items():
        inputs = {"treated": treated, "control": control, "covariance": cov, "last_seen": seen}
        for strategy in ("missing_at_random", "jump_to_reference", "copy_reference",
                         "copy_increments", "last_mean_carried_forward"):  # fmt: skip
            value = ref.reference_difference(treated, control, cov, seen, strategy)
            add("4_reference_based", name, inputs | {"strategy": strategy}, "difference", value,
                source="Carpenter et al. 2013, own, 60 digits")  # fmt: skip
    # printed by reference_based.R
    for strategy, value in (("MAR", -2.801834), ("JR", -2.125580), ("CR", -2.370747),
                            ("CIR", -2.449178), ("LMCF", -2.023212)):  # fmt: skip
        add("4_reference_based_patients", "antidepressant",
            {"fixture": "rbmi_antidepressant.csv", "strategy": strategy}, "difference", value, 2e-6,
            "R 4.2.2, nlme 3.1-162 (reference_based.R)")  # fmt: skip
    for d, low, high, began, saw in (
        (-6.0, -8.9, -3.1, 121, 89),
        (4, 1, 7, 50, 50),
        (-2, -5, 1, 60, 40),
    ):
        inputs = {"difference": d, "lower": low, "upper": high, "began": began, "seen": saw}
        share = 1 - mpf(saw) / began
        add("4_aggregate_J2R", f"{d:g}", inputs, "difference", d * (1 - share), 1e-10)
