from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.contrasts import DROPPED, contrasts
from klarsyn.stats.effect_formulas import hedges_correction
from klarsyn.stats.measures import MEASURES

# escalc() of metafor 3.8-1 (R 4.2.2) on the made-up studies below, printed to 15 digits. ROMU is
# its ROM (metafor 5 corrects ROM for bias; the oracle P22 covers that, and SMDH).
PRINTED = 1e-12
GAMMA = 1e-14  # relative; the last digits of a gamma function
NEAR_ZERO = 1e-14  # absolute: the studies whose effect is zero
ROUNDING = 1e-12  # relative; the same formula in another order or unit, a difference of logarithms
CELLS: dict[str, dict[str, list[float]]] = {
    "table": {"ai": [4, 6, 0, 62, 5], "bi": [119, 300, 11, 13536, 0],
              "ci": [11, 29, 3, 248, 12], "di": [128, 274, 11, 12619, 30]},
    "matched": {"ai": [4, 6, 0, 62, 5], "bi": [119, 300, 11, 13536, 0],
                "ci": [11, 29, 3, 248, 12], "di": [128, 274, 11, 12619, 30]},
    "rates": {"x1i": [7, 8, 0, 3], "t1i": [1344, 1600, 100, 33],
              "x2i": [11, 8, 4, 10], "t2i": [1988, 1461, 120, 40]},
    "means": {"m1i": [55, 27, 64, 66, 14], "sd1i": [47, 7, 17, 20, 8], "n1i": [155, 31, 75, 18, 8],
              "m2i": [75, 29, 119, 137, 18], "sd2i": [64, 4, 29, 48, 11],
              "n2i": [156, 32, 71, 18, 13]},
    "pairs": {"m1i": [55, 27, 64, 66, 14], "sd1i": [47, 7, 17, 20, 8], "ni": [155, 31, 75, 18, 8],
              "m2i": [75, 29, 119, 137, 18], "sd2i": [64, 4, 29, 48, 11],
              "ri": [0.5, 0.2, 0.8, -0.3, 0.05]},
    "proportion": {"xi": [16, 10, 0, 21, 3], "ni": [17, 12, 7, 21, 30]},
    "rate": {"xi": [16, 10, 0, 21, 3], "ti": [130, 50, 77, 20, 300]},
    "mean": {"mi": [55, 27, 64, 66, 14], "sdi": [47, 7, 17, 20, 8], "ni": [155, 31, 75, 18, 8]},
    "correlation": {"ri": [0.5, 0.2, 0.8, -0.3, 0.05], "ni": [155, 31, 75, 18, 9]},
    "partial": {"ti": [2.5, -0.4, 0, 7.1, 1.3], "ni": [155, 31, 75, 18, 9], "mi": [4, 2, 11, 1, 3],
                "r2i": [0.3, 0.05, 0.5, 0.9, 0.2]},
    "alpha": {"ai": [0.93, 0.7, 0.5, -0.1, 0.88], "mi": [20, 12, 2, 5, 7],
              "ni": [155, 31, 75, 18, 9]},
}  # fmt: skip


def escalc() -> dict[tuple[str, str, float, str], list[tuple[float, float]]]:
    out: dict[tuple[str, str, float, str], list[tuple[float, float]]] = {}
    path = Path(__file__).parent / "escalc_metafor_3.8-1.csv"
    for r in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        y, v = (math.nan if r[c] in {"NA", "Inf", "-Inf"} else float(r[c]) for c in ("y", "v"))
        out.setdefault((r["measure"], r["variance"], float(r["add"]), r["to"]), []).append((y, v))
    return out


@pytest.mark.parametrize(("key", "rows"), escalc().items(), ids=lambda k: str(k)[:40])
def test_effects_are_those_of_metafor(
    key: tuple[str, str, float, str], rows: list[tuple[float, float]]
) -> None:
    measure, variance, add, to = key
    cells = CELLS[MEASURES[measure].kind]
    made = contrasts(measure, cells, add=add, to=to, variance=variance)
    for i, (y, v) in enumerate(rows):
        if not (math.isfinite(y) and math.isfinite(v) and v > 0):
            assert made.problem[i]
            continue
        assert made.y[i] == pytest.approx(y, rel=PRINTED, abs=NEAR_ZERO)
        assert made.v[i] == pytest.approx(v, rel=PRINTED)


def test_every_measure_made_from_data_is_compared_or_covered_by_an_oracle() -> None:
    compared = {key[0] for key in escalc()}
    elsewhere = {"ROM", "SMDH", "ROMC", "HR", "GEN"}  # P22, P22, by hand, as given
    assert compared | elsewhere == set(MEASURES)


def test_hedges_correction_at_two_degrees_is_one_over_root_pi() -> None:
    assert float(hedges_correction(2)) == pytest.approx(1 / math.sqrt(math.pi), rel=GAMMA)


def test_the_default_correction_is_for_measures_that_a_zero_makes_infinite() -> None:
    cells = {"ai": [0], "bi": [10], "ci": [3], "di": [7]}
    assert contrasts("OR", cells).corrected.tolist() == [True]
    assert contrasts("AS", cells).corrected.tolist() == [False]
    assert contrasts("AS", cells).y[0] == pytest.approx(-math.asin(math.sqrt(0.3)))


def test_group_sizes_stand_in_for_non_events() -> None:
    full = contrasts("OR", {"ai": [4], "bi": [16], "ci": [9], "di": [11]})
    short = contrasts("OR", {"ai": [4], "n1i": [20], "ci": [9], "n2i": [20]})
    assert full.y[0] == short.y[0] == pytest.approx(math.log(4 * 11 / (16 * 9)))


def test_paired_ratio_of_means_by_hand() -> None:
    made = contrasts("ROMC", {"m1i": [10], "m2i": [8], "sd1i": [2], "sd2i": [1], "ni": [25],
                              "ri": [0.5]})  # fmt: skip
    assert made.y[0] == pytest.approx(math.log(1.25))
    assert made.v[0] == pytest.approx(4 / 2500 + 1 / 1600 - 2 * 0.5 * 2 / (80 * 25))


def test_a_study_without_events_is_dropped_only_when_asked() -> None:
    cells = {"ai": [0, 2], "n1i": [20, 20], "ci": [0, 3], "n2i": [20, 20]}
    assert contrasts("OR", cells).problem == ("", "")
    assert contrasts("OR", cells, drop00=True).problem == (DROPPED, "")


def test_bias_corrected_correlation_stays_below_gauss_s_limit() -> None:
    """2F1(½, ½; 3; x) ≤ Γ(3)Γ(2)/Γ(5/2)² = 1.1318; GSL, which metafor calls, gives 1.1325 here."""
    limit = math.gamma(3) * math.gamma(2) / math.gamma(2.5) ** 2
    assert 0.05 < contrasts("UCOR", {"ri": [0.05], "ni": [8]}).y[0] < 0.05 * limit


def test_swapping_groups_changes_the_sign_only() -> None:
    cells = CELLS["means"]
    swapped = {("m", "sd", "n")[i % 3] + f"{2 - i // 3}i": list(cells.values())[i]
               for i in range(6)}  # fmt: skip
    for measure in ("MD", "SMD", "SMDH", "ROM", "VR", "CVR"):
        one, other = contrasts(measure, cells), contrasts(measure, swapped)
        np.testing.assert_allclose(one.y, -other.y, rtol=ROUNDING)
        np.testing.assert_allclose(one.v, other.v, rtol=ROUNDING)


def test_a_standardised_difference_does_not_know_its_unit() -> None:
    cells = CELLS["means"]
    inches = {n: [x / 2.54 for x in c] if n[0] in "ms" else c for n, c in cells.items()}
    for measure in ("SMD", "SMDH", "ROM", "CVR", "VR"):
        np.testing.assert_allclose(
            contrasts(measure, cells).y, contrasts(measure, inches).y, rtol=ROUNDING
        )


def test_zero_spread_is_a_named_problem() -> None:
    cells = {"m1i": [1], "sd1i": [0], "n1i": [9], "m2i": [2], "sd2i": [0], "n2i": [9]}
    assert contrasts("MD", cells).problem == ("the sampling variance is zero",)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"ai": [5], "n1i": [4], "ci": [1], "n2i": [9]}, "bi = -1 is negative; do the events"),
        ({"ai": [-1], "n1i": [4], "ci": [1], "n2i": [9]}, "ai = -1 is negative"),
        ({"ai": [math.nan], "n1i": [4], "ci": [1], "n2i": [9]}, "ai = nan is missing"),
        ({"ai": [1, 2], "n1i": [4], "ci": [1], "n2i": [9]}, "different lengths|broadcast"),
        ({"ai": [1]}, "missing: bi, ci, di"),
    ],
)
def test_impossible_cells_are_refused(cells: dict[str, list[float]], sentence: str) -> None:
    with pytest.raises((InputError, ValueError), match=sentence):
        contrasts("OR", cells)


ODD = [
    ("PCOR", {"ti": [2.0], "ni": [5], "mi": [4]}, "mi = 4 leaves no degrees of freedom"),
    ("SPCOR", {"ti": [2.0], "ni": [50], "mi": [4], "r2i": [1.2]}, "r2i = 1.2 is no share"),
    ("ABT", {"ai": [1.1], "ni": [50], "mi": [4]}, "ai = 1.1 is no alpha"),
    ("ARAW", {"ai": [0.9], "ni": [50], "mi": [1]}, "mi = 1 is not two items"),
]


@pytest.mark.parametrize(("measure", "cells", "sentence"), ODD, ids=lambda x: str(x)[:5])
def test_impossible_slopes_and_scales_are_refused(
    measure: str, cells: dict[str, list[float]], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        contrasts(measure, cells)


def test_a_negative_alpha_and_a_negative_t_are_possible() -> None:
    assert contrasts("ARAW", {"ai": [-0.1], "ni": [50], "mi": [4]}).y[0] == -0.1
    assert contrasts("PCOR", {"ti": [-2.0], "ni": [50], "mi": [4]}).y[0] < 0


def test_an_unknown_measure_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: SMN, SMD"):
        contrasts("SDM", {})
