"""GRIM and its kin, recomputed tests, similarity."""

from __future__ import annotations

from fractions import Fraction

import reference_printed as ref
from mpmath import log, mpf, sqrt
from table import add


def printed_numbers() -> None:
    for mean, n, items in (
        ("5.27", 43, 1), ("3.45", 20, 1), ("3.46", 20, 1), ("0.5", 3, 1), ("12.3", 9, 1),
        ("21.05", 19, 1),
        ("2.33", 7, 3), ("2.335", 20, 10), ("0.00", 12, 1), ("-1.67", 6, 1), ("-1.68", 6, 1),
        ("7", 4, 1),
        ("18.445", 200, 1), ("4.125", 16, 1), ("4.12", 16, 1), ("4.13", 16, 1), ("3.333", 30, 2),
    ):  # fmt: skip
        add("10_GRIM", f"{mean}_{n}_{items}", {"mean": mean, "n": n, "items": items}, "consistent",
            ref.mean_exists(mean, n, items), "exact", "all totals tried")  # fmt: skip
    for mean, sd, n, low, high in (
        ("2.50", "1.29", 4, 0, 6), ("2.50", "1.30", 4, 0, 6), ("3.40", "1.14", 5, 0, 7),
        ("3.40", "1.15", 5, 0, 7), ("3.20", "1.64", 5, 1, 5), ("3.20", "2.05", 5, 1, 5),
        ("4.00", "0.00", 5, 0, 10), ("4.20", "0.00", 5, 0, 10), ("1.17", "0.98", 6, 0, 6),
        ("1.17", "0.75", 6, 0, 6), ("3.00", "3.29", 6, 0, 6), ("3.00", "3.30", 6, 0, 6),
        ("2.0", "1.0", 3, 0, 9), ("2.0", "1.5", 3, 0, 4), ("2.14", "1.07", 7, 0, 5),
        ("2.14", "1.10", 7, 0, 5), ("5.63", "2.7", 8, 0, 10), ("5.63", "0.52", 8, 0, 10),
        ("5.63", "0.50", 8, 0, 10), ("0.38", "1.06", 8, 0, 3), ("1.50", "2.12", 2, 0, 3),
        ("1.50", "0.71", 2, 0, 3), ("1.50", "1.41", 2, 0, 3),
    ):  # fmt: skip
        inputs = {"mean": mean, "sd": sd, "n": n, "minimum": low, "maximum": high}
        add("10_GRIMMER", f"{mean}_{sd}_{n}", inputs, "consistent",
            ref.sample_exists(mean, sd, n, low, high), "exact", "all samples tried")  # fmt: skip
    for mean, sd, n in (
        ("0.35", "0.48", 20), ("0.35", "0.18", 20), ("0.5", "0.5", 100), ("0.50", "0.51", 50),
        ("0.50", "0.50", 50), ("0.00", "0.00", 30), ("1.00", "0.00", 30), ("0.02", "0.14", 50),
        ("0.98", "0.2", 40), ("0.25", "0.44", 24), ("0.25", "0.45", 24),
    ):  # fmt: skip
        add("10_DEBIT", f"{mean}_{sd}_{n}", {"mean": mean, "sd": sd, "n": n}, "consistent",
            ref.share_sd_fits(mean, sd, n), "exact")  # fmt: skip
    for mean, n, low, high in (
        ("4.2", 5, 1, 7),
        ("2.50", 4, 0, 6),
        ("3.00", 7, 0, 6),
        ("0.14", 7, 0, 4),
    ):
        inputs = {"mean": mean, "n": n, "min": low, "max": high}
        ends = ref.sd_range(mean, n, low, high)
        add("10_SPRITE", f"{mean}_{n}", inputs, "minimum possible SD", ends[0], 1e-10)
        add("10_SPRITE", f"{mean}_{n}", inputs, "maximum possible SD", ends[1], 1e-10)
    for text, test, value, df1, df2 in (
        ("t(10) = 3, p = .009", "t", "3", 10, 0), ("t(38) = -2.02, p = .05", "t", "-2.02", 38, 0),
        ("F(2, 57) = 4.31, p = .018", "F", "4.31", 2, 57),
        ("r(97) = .17, p = .084", "r", "0.17", 97, 0),
        ("χ2(3) = 7.81, p = .05", "chi2", "7.81", 3, 0), ("z = 1.96, p = .05", "z", "1.96", 0, 0),
        ("F(1, 12.5) = 0.02, p = .89", "F", "0.02", 1, 12.5),
        ("t(3.7) = 12.1, p < .001", "t", "12.1", 3.7, 0),
        ("r(8) = -.95, p < .001", "r", "-0.95", 8, 0),
    ):  # fmt: skip
        add(
            "10_statcheck",
            text,
            {"text": text},
            "computed p",
            ref.p_of(test, value, df1, df2),
            1e-10,
        )
    for x, n, text, decimals in ((14, 38, "36.8", 1), (7, 12, "58", 0), (1, 3, "33.33", 2)):
        assert ref.rounds_to(Fraction(100 * x, n), text), decimals
    for percent, n in (
        ("36.8", 38), ("37", 38), ("50", 7), ("33.3", 300), ("33.3", 3000), ("0", 15), ("100", 15),
        ("55.4", 195), ("41.2", 170), ("12.5", 8), ("12", 8), ("13", 8), ("99.9", 700),
    ):  # fmt: skip
        fits = [x for x in range(n + 1) if ref.rounds_to(Fraction(100 * x, n), percent)]
        value = "none" if not fits else f"{fits[0]} to {fits[-1]}"
        add("10_percent", f"{percent}_{n}", {"percent": percent, "n": n}, "counts", value, "exact",
            "all counts tried")  # fmt: skip
    conversions()
    for name, n, mean, sd in (
        ("two_groups", (30, 28), (25.1, 25.6), (4.2, 4.8)), ("identical", (20, 20), (50, 50),
        (9, 9)),
        ("four", (15, 15, 15, 15), (167.1, 166.9, 165.5, 165.9), (10.0, 10.2, 10.9, 11.4)),
        ("far_apart", (12, 12, 12), (10, 20, 30), (3, 3, 3)), ("unequal", (5, 80, 13),
        (1, 1.3, 0.9), (2, 1, 3)),
    ):  # fmt: skip
        inputs = {"n": n, "mean": mean, "sd": sd}
        add("10_Carlisle", name, inputs, "P(at least this similar)", ref.alike(n, mean, sd), 1e-10)
    for p in ((0.0884, 0.1622, 0.0133), (0.5, 0.5), (0.999, 0.2), (0.01,)):
        z = sum(ref.quantile(mpf(str(v))) for v in p) / sqrt(mpf(len(p)))
        add(
            "10_Carlisle",
            f"stouffer_{len(p)}_{p[0]}",
            {"p": p},
            "Stouffer combined",
            ref.phi(z),
            1e-10,
        )


def conversions() -> None:
    z = ref.two_sided()
    lower, upper, p = mpf("-8.9"), mpf("-3.1"), mpf("0.013")
    sd1, sd2, r = mpf("7.2"), mpf("9.4"), mpf("0.55")
    change = sqrt(sd1**2 + sd2**2 - 2 * r * sd1 * sd2)
    n1, m1, n2, m2 = 12, mpf("20.5"), 31, mpf("24.25")
    both = (n1 * m1 + n2 * m2) / (n1 + n2)
    squares = (n1 - 1) * sd1**2 + n1 * (m1 - both) ** 2 + (n2 - 1) * sd2**2 + n2 * (m2 - both) ** 2
    cases = (
        ("sd_from_se", (1.3, 26), {}, mpf("1.3") * sqrt(mpf(26))),
        ("se_from_interval", (-8.9, -3.1), {}, (upper - lower) / (2 * z)),
        ("se_from_interval", (-8.9, -3.1), {"df": 9},
         (upper - lower) / (2 * ref.t_quantile(mpf("0.975"), 9))),
        ("se_from_interval", (-8.9, -3.1), {"level": 0.9, "df": 2.5},
         (upper - lower) / (2 * ref.t_quantile(mpf("0.95"), mpf("2.5")))),
        ("log_se_from_ratio_interval", (0.4, 3.1), {}, log(mpf("3.1") / mpf("0.4")) / (2 * z)),
        ("statistic_from_p", (0.013,), {}, ref.quantile(1 - p / 2)),
        ("statistic_from_p", (0.013,), {"df": 4}, ref.t_quantile(1 - p / 2, 4)),
        ("se_from_p", (-2.4, 0.013), {"df": 57}, mpf("2.4") / ref.t_quantile(1 - p / 2, 57)),
        ("p_from_statistic", (-2.02,), {"df": 38}, ref.p_of("t", "2.02", 38)),
        ("common_sd_from_se", (1.9, 26, 31), {}, mpf("1.9") / sqrt(1 / mpf(26) + 1 / mpf(31))),
        ("change_sd", (7.2, 9.4, 0.55), {}, change),
        ("correlation_from_change", (7.2, 9.4, float(change)), {}, r),
        ("change_sd", (4, 4, 1), {}, mpf(0)),
        ("combined_mean", (12, 20.5, 31, 24.25), {}, both),
        ("combined_sd", (12, 20.5, 7.2, 31, 24.25, 9.4), {}, sqrt(squares / (n1 + n2 - 1))),
        ("mean_from_quartiles", (3, 8, 10.5), {}, mpf("21.5") / 3),
        ("sd_from_quartiles", (3, 10.5, 44), {},
         mpf("7.5") / (2 * ref.quantile((mpf("0.75") * 44 - mpf("0.125")) / mpf("44.25")))),
        ("mean_from_range", (0, 8, 31), {}, mpf(47) / 4),
        ("sd_from_range", (0, 31, 44), {},
         mpf(31) / (2 * ref.quantile((44 - mpf("0.375")) / mpf("44.25")))),
    )  # fmt: skip
    for name, values, more, value in cases:
        told = {"values": values, **more}
        add("10_conversion", f"{name}_{more}", told, name, value, 1e-10)
