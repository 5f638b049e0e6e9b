"""Non-compartmental analysis from the definitions, in 50 digits.

Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis (5th ed.), chapter 2.8;
defaults of PKNCA 0.10: zeros before the first level kept, between levels dropped, terminal window
after the first peak, adjusted R2 within 1e-4 of the best gives way to the longer window.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mpmath as mp
from table import SOLVED, add, number

UP_DOWN, LINEAR = "linear-up log-down", "linear"
FACTOR = mp.mpf("0.0001")
Points = list[tuple[mp.mpf, mp.mpf]]


def usable(times: list[float], levels: list[Any]) -> Points:
    both = [(number(t), number(c)) for t, c in zip(times, levels, strict=True) if c is not None]
    known = [i for i, (_, c) in enumerate(both) if c > 0]
    if not known:
        return both
    first, last = known[0], known[-1]
    return [p for i, p in enumerate(both) if i <= last and (i < first or p[1] > 0)]


def log_piece(t1: mp.mpf, c1: mp.mpf, t2: mp.mpf, c2: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    k = mp.log(c1 / c2) / (t2 - t1)
    return (c1 - c2) / k, (t1 * c1 - t2 * c2) / k + (c1 - c2) / k**2


def piece(a: tuple[mp.mpf, mp.mpf], b: tuple[mp.mpf, mp.mpf], rule: str) -> tuple[mp.mpf, mp.mpf]:
    (t1, c1), (t2, c2) = a, b
    if rule == UP_DOWN and c1 > c2 > 0:
        return log_piece(t1, c1, t2, c2)
    return (t2 - t1) * (c1 + c2) / 2, (t2 - t1) * (t1 * c1 + t2 * c2) / 2


def total(points: Points, rule: str) -> tuple[mp.mpf, mp.mpf]:
    pieces = [piece(a, b, rule) for a, b in pairwise(points)]
    return sum((p[0] for p in pieces), mp.mpf(0)), sum((p[1] for p in pieces), mp.mpf(0))


def fit(points: Points) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Slope, intercept and adjusted R2 of ln c on t."""
    n = len(points)
    t, y = [p[0] for p in points], [mp.log(p[1]) for p in points]
    tm, ym = mp.fsum(t) / n, mp.fsum(y) / n
    stt = mp.fsum((a - tm) ** 2 for a in t)
    sty = mp.fsum((a - tm) * (b - ym) for a, b in zip(t, y, strict=True))
    syy = mp.fsum((b - ym) ** 2 for b in y)
    r2 = sty**2 / (stt * syy) if syy > 0 else mp.mpf(0)
    return sty / stt, ym - sty / stt * tm, 1 - (1 - r2) * (n - 1) / (n - 2)


def terminal(points: Points) -> tuple[mp.mpf, mp.mpf, mp.mpf, int] | None:
    """lambda_z, intercept, adjusted R2 and points of the best falling window."""
    peak = max(c for _, c in points)
    at = next(i for i, (_, c) in enumerate(points) if c == peak)
    after = points[at + 1 :]
    windows = [(fit(after[-n:]), n) for n in range(3, len(after) + 1)]
    falling = [(f, n) for f, n in windows if f[0] < 0]
    if not falling:
        return None
    best = max(f[2] for f, _ in falling)
    (slope, intercept, r2), n = max(
        ((f, n) for f, n in falling if f[2] >= best - FACTOR), key=lambda w: w[1]
    )
    return -slope, intercept, r2, n


def level_at(points: Points, t: mp.mpf, rule: str, slope: mp.mpf | None) -> mp.mpf | None:
    if t < points[0][0]:
        return None
    for (t1, c1), (t2, c2) in pairwise(points):
        if t1 <= t <= t2:
            share = (t - t1) / (t2 - t1)
            if rule == UP_DOWN and c1 > c2 > 0:
                return c1 * (c2 / c1) ** share
            return c1 + (c2 - c1) * share
    if t == points[-1][0]:
        return points[-1][1]
    return None if slope is None else points[-1][1] * mp.exp(-slope * (t - points[-1][0]))


def part(
    points: Points, start: mp.mpf, end: mp.mpf, rule: str, slope: mp.mpf | None
) -> tuple[mp.mpf, mp.mpf] | None:
    first, last = level_at(points, start, rule, slope), level_at(points, end, rule, slope)
    if first is None or last is None:
        return None
    inside = [(start, first), *[p for p in points if start < p[0] < end], (end, last)]
    area, moment = mp.mpf(0), mp.mpf(0)
    for a, b in pairwise(inside):
        beyond = a[0] >= points[-1][0] and a[1] > 0  # there the curve is the fit's
        found = log_piece(*a, *b) if beyond else piece(a, b, rule)
        area, moment = area + found[0], moment + found[1]
    return area, moment


def profile(i: dict[str, Any]) -> dict[str, Any]:
    rule = i.get("rule", UP_DOWN)
    points = usable(i["times"], i["levels"])
    area, moment = total(points, rule)
    cmax = max(c for _, c in points)
    tlast, clast = points[-1]
    found: dict[str, Any] = {
        "cmax": cmax,
        "tmax": next(t for t, c in points if c == cmax),
        "clast": clast, "tlast": tlast, "auc_last": area, "aumc_last": moment,
    }  # fmt: skip
    if cmax == 0:  # PKNCA: pk.calc.tmax, .tlast and .clast.obs are missing where all is zero
        found |= dict.fromkeys(("tmax", "clast", "tlast"))
    end = terminal(points) if cmax > 0 else None
    slope = end[0] if end else None
    names = ("slope", "slope_r2_adjusted", "slope_points", "half_life", "auc_infinite",
             "auc_infinite_predicted", "aumc_infinite", "extrapolated",
             "mean_residence")  # fmt: skip
    found |= dict.fromkeys(names)
    if end:
        slope, intercept, r2, n = end
        predicted = mp.exp(intercept - slope * tlast)
        infinite = area + clast / slope
        first_moment = moment + clast * tlast / slope + clast / slope**2
        found |= {
            "slope": slope, "slope_r2_adjusted": r2, "slope_points": n,
            "half_life": mp.log(2) / slope, "auc_infinite": infinite,
            "auc_infinite_predicted": area + predicted / slope,
            "aumc_infinite": first_moment,
            "extrapolated": clast / slope / infinite,
            "mean_residence": first_moment / infinite - number(i.get("infusion", 0)) / 2,
        }  # fmt: skip
    if "dose" in i:
        dose = number(i["dose"])
        clearance = dose / found["auc_infinite"] if end else None
        found["clearance"] = clearance
        found["volume_terminal"] = clearance / slope if end else None
        found["volume_steady"] = clearance * found["mean_residence"] if end else None
    for start, stop in i.get("partial", ()):
        p = part(points, number(start), number(stop), rule, slope)
        found[f"partial {start} {stop}"] = p and p[0]
    if "tau" in i:
        found |= interval(points, i, rule, slope)
    return found


def interval(points: Points, i: dict[str, Any], rule: str, slope: mp.mpf | None) -> dict[str, Any]:
    """One dosing interval at steady state, from 0 to tau."""
    tau = number(i["tau"])
    p = part(points, mp.mpf(0), tau, rule, slope)
    within = [c for t, c in points if 0 <= t <= tau]
    high, low = max(within), min(within)
    trough = level_at(points, tau, rule, slope)
    names = ("auc_tau", "average", "lowest", "trough", "fluctuation", "swing", "accumulation")
    found: dict[str, Any] = dict.fromkeys(f"interval {n}" for n in names)
    if p is None:
        return found
    low = min(low, trough)
    average = p[0] / tau
    found |= {
        "interval auc_tau": p[0], "interval average": average,
        "interval lowest": low, "interval trough": trough,
        "interval fluctuation": (high - low) / average,
        "interval swing": (high - low) / low if low > 0 else None,
    }  # fmt: skip
    if slope is not None:
        found["interval accumulation"] = 1 / (1 - mp.exp(-slope * tau))
        found["interval mean_residence"] = (
            (p[1] + tau * (points[-1][1] / slope * mp.exp(-slope * (tau - points[-1][0])))) / p[0]
            - number(i.get("infusion", 0)) / 2
            if points[-1][0] <= tau
            else None
        )
    if "dose" in i:
        found["interval clearance"] = number(i["dose"]) / p[0]
    return found


# Theophylline, subject 1 (Boeckmann, Sheiner & Beal 1994), and indometacin, subject 1 (Kwan 1976)
THEOPHYLLINE = (
    [0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37],
    [0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28],
)
INDOMETACIN = (
    [0.25, 0.5, 0.75, 1, 1.25, 2, 3, 4, 5, 6, 8],
    [1.5, 0.94, 0.78, 0.48, 0.37, 0.19, 0.12, 0.11, 0.08, 0.07, 0.05],
)
PLAIN = ([0, 0.5, 1, 2, 4, 8, 12], [0, 12.1, 18.4, 9.7, 3.1, 0.4, 0.1])

PROFILES: dict[str, dict[str, Any]] = {
    "plain": {"dose": 50, "partial": [[0, 4], [0, 12], [1, 3], [0, 24], [2.5, 2.75]]},
    "theophylline": {"dose": 320, "partial": [[0, 24], [0, 24.37], [0.1, 0.2], [12, 36]]},
    "indometacin": {"dose": 25, "partial": [[0, 8], [0.25, 6], [5.5, 20], [9, 10]]},
    "infusion": {"times": [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8],
                 "levels": [0, 51, 98, 88, 71, 50, 34, 19, 8.5, 3.25],
                 "dose": 35, "infusion": 0.6666666666666666},
    "tie_of_peaks": {"times": [0, 1, 2, 3, 4, 6, 8], "levels": [0, 5, 3, 5, 2, 1, 0.4]},
    "plateau": {"times": [0, 1, 2, 3, 4, 6, 8, 10], "levels": [0, 7, 7, 7, 4, 4, 2, 1]},
    "equal_to_the_end": {"times": [0, 1, 2, 3, 4], "levels": [1, 3, 2, 2, 2]},
    "zero_between": {"times": [0, 1, 2, 3, 4, 6, 8], "levels": [0, 8, 4, 0, 2, 1, 0.5],
                     "partial": [[2, 4], [2.5, 3.5], [0, 3]]},
    "zeros_first_and_last": {"times": [0, 1, 2, 3, 4, 5, 6, 8, 10, 12],
                             "levels": [0, 0, 0, 6, 5, 3.1, 2, 0.9, 0, 0], "dose": 10,
                             "partial": [[0, 2], [1, 4], [0, 10], [0, 12], [8, 12], [0, 1]]},
    "zeros_everywhere": {"times": [0, 1, 2, 3, 4, 5, 6, 8, 10, 12],
                         "levels": [0, 0, 4, 0, 3, 2, 0, 1, 0.5, 0]},
    "zero_after_the_peak": {"times": [0, 1, 2, 4, 6, 8], "levels": [9, 0, 5, 3, 2, 1.1]},
    "two_points_falling": {"times": [0, 2], "levels": [10, 5], "partial": [[0, 1], [0, 3]]},
    "two_points_rising": {"times": [0, 2], "levels": [5, 10], "dose": 1},
    "two_points_equal": {"times": [1, 2], "levels": [5, 5]},
    "two_after_the_peak": {"times": [0, 1, 2, 3], "levels": [0, 9, 4, 2], "dose": 7},
    "three_after_the_peak": {"times": [0, 1, 2, 3, 4], "levels": [0, 9, 4, 2, 0.9], "dose": 7},
    "rises_to_the_end": {"times": [0, 1, 2, 4, 8], "levels": [0, 1, 2, 5, 6], "dose": 4},
    "rises_at_the_end": {"times": [0, 1, 2, 4, 6, 8, 10, 12],
                         "levels": [0, 10, 7, 3, 1.4, 1.5, 1.6, 1.8], "dose": 12},
    "rises_in_the_last": {"times": [0, 1, 2, 4, 6, 8, 10, 12],
                          "levels": [0, 10, 7, 3, 1.4, 0.7, 0.31, 0.33]},
    "rises_after_a_trough": {"times": [0, 1, 2, 3, 4, 5], "levels": [0, 10, 1, 2, 3, 4]},
    "second_peak": {"times": [0, 1, 2, 3, 4, 6, 8, 12, 16],
                    "levels": [0, 6, 2, 5.5, 7, 3, 1.8, 0.5, 0.15], "dose": 3},
    "starts_late": {"times": [3, 4, 6, 8, 12], "levels": [9, 6.5, 3.2, 1.7, 0.4],
                    "dose": 20, "partial": [[3, 12], [0, 12], [4, 24]]},
    "before_the_dose": {"times": [-1, -0.5, 0, 1, 2, 4, 6], "levels": [0, 0, 0, 8, 5, 2, 0.9],
                        "partial": [[-1, 0], [0, 6]]},
    "nearly_equal": {"times": [0, 1, 2, 3, 4, 5],
                     "levels": [10, 9.9999999999, 9.999999999, 9.99999999, 9.9999999, 9.999999]},
    "one_line": {"times": [0, 1, 2, 3, 4, 5], "levels": [64, 32, 16, 8, 4, 2], "dose": 64,
                 "partial": [[0, 1], [0.5, 1.5], [0, 100], [6, 7]]},
    "one_line_uneven": {"times": [0, 1, 3, 4, 9], "levels": [512, 256, 64, 32, 1], "dose": 1},
    "tiny": {"times": [0, 1, 2, 4, 8], "levels": [0, 4e-13, 2e-13, 6e-14, 3e-15], "dose": 1e-9},
    "huge": {"times": [0, 1e3, 2e3, 4e3, 8e3], "levels": [0, 4e13, 2e13, 6e12, 3e11],
             "dose": 1e16},
    "steep": {"times": [0, 1, 2, 3, 4], "levels": [1e12, 1e6, 1, 1e-6, 1e-12]},
    "seconds": {"times": [0, 0.001, 0.002, 0.004, 0.008], "levels": [1, 9, 5, 2, 0.3]},
    "longer_within_1e-4": {"times": [0, 1, 2, 3, 4, 5],
                           "levels": [20, 10.05, 5.0, 2.5, 1.25, 0.625], "dose": 5},
    "longer_is_worse": {"times": [0, 1, 2, 3, 4, 5, 6], "levels": [20, 18, 9, 6, 3, 1.5, 0.75]},
    "noise": {"times": [0, 0.5, 1, 2, 3, 4, 6, 8, 10, 14],
              "levels": [0, 3.3, 8.1, 7.2, 7.9, 5.5, 4.1, 2.2, 2.4, 0.6], "dose": 100},
    "missing": {"times": [0, 1, 2, 3, 4, 6, 8], "levels": [0, 9, None, 5, 3.1, None, 0.9],
                "dose": 10, "partial": [[1, 3], [0, 8]]},
    "nothing_found": {"times": [0, 1, 2], "levels": [0, 0, 0]},
    "one_level": {"times": [0, 1, 2, 3], "levels": [0, 5, 0, 0], "dose": 3,
                  "partial": [[0, 1], [0, 2]]},
    "steady_state": {"times": [0, 0.5, 1, 2, 4, 8, 12], "levels": [2, 6, 9, 7.5, 5, 3, 2],
                     "tau": 12, "dose": 100},
    "steady_beyond": {"times": [0, 1, 2, 4, 8, 10], "levels": [1.2, 9, 7.5, 5, 2.2, 1.5],
                      "tau": 12, "dose": 100, "infusion": 0.5},
    "steady_within": {"times": [0, 1, 2, 4, 8, 12, 24], "levels": [1.9, 9, 7.5, 5, 3, 2, 0.5],
                      "tau": 10, "dose": 80},
    "steady_zero": {"times": [0, 1, 2, 4, 6, 8], "levels": [0, 9, 6, 3, 1.6, 0.8], "tau": 8},
    "steady_no_slope": {"times": [0, 1, 2, 6], "levels": [2, 9, 6, 3], "tau": 8, "dose": 1},
    "steady_no_slope_reached": {"times": [0, 1, 2, 8], "levels": [2, 9, 6, 3], "tau": 8,
                                "dose": 1},
}  # fmt: skip
SAMPLED = {"plain": PLAIN, "theophylline": THEOPHYLLINE, "indometacin": INDOMETACIN}


def noncompartmental() -> None:
    for name, inputs in PROFILES.items():
        times, levels = SAMPLED.get(name, (None, None))
        given = inputs if times is None else {"times": times, "levels": levels} | inputs
        for rule in (UP_DOWN, LINEAR):
            short = {UP_DOWN: name, LINEAR: f"{name}, linear"}[rule]
            whole = given if rule == UP_DOWN else given | {"rule": rule}
            for quantity, value in profile(whole).items():
                if value is None and quantity == "interval mean_residence":
                    continue
                add("nca", short, whole, quantity, value, SOLVED)
