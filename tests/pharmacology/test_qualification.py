"""The default against what was observed: the numbers that the design prints, and the limit."""

from __future__ import annotations

import csv
import importlib.util
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.nca import analyse_profile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "validation" / "qualification"
SAMPLES = np.array([0.5, 1, 2, 4, 6, 8, 12, 16, 24])  # h, the readings of Hasan 2021
PRINTED = 0.006  # the design prints two decimals
THIRD = 0.0006  # the page prints three
PIXEL = 0.002  # the table writes a pixel with three digits
LATE = ("Hasan2021_curve", "S")
BY_THRESHOLD = [  # steps above the axis, rows, error; every row first
    (0, 50, 1.194),
    (2, 50, 1.194),
    (2.5, 48, 1.148),
    (3, 46, 1.127),
    (4, 44, 1.117),
    (5, 42, 1.119),
    (8, 40, 1.122),
]


def _runner():
    spec = importlib.util.spec_from_file_location("qualification_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()
# design, part A: predicted over observed
DESIGN = {
    ("Zarate2006", "total ketamine", "Cmax"): 0.91,
    ("Hasan2021", "S-ketamine", "Cmax"): 0.80,
    ("Hasan2021", "R-ketamine", "Cmax"): 0.86,
    ("Hasan_congress", "total ketamine", "Cmax"): 0.89,
    ("Hasan_congress", "total ketamine", "AUC"): 1.07,
    ("Hasan_congress", "norketamine/ketamine", "AUC ratio"): 0.94,
    ("Hasan_congress", "HNK/ketamine", "AUC ratio"): 4.13,
    ("Hasan2021", "S-HNK/S-K", "AUC ratio"): 0.56,
    ("Hasan2021", "R-HNK/R-K", "AUC ratio"): 0.56,
    ("Otto2021_CHDR1311", "S-ketamine", "median conc at 0.5 h"): 0.91,
    ("Otto2021_CHDR1311", "S-ketamine", "median conc at 1 h"): 1.02,
    ("Otto2021_CHDR1311", "S-ketamine", "median conc at 3 h"): 0.90,
    ("Otto2021_CHDR1311", "S-ketamine", "median conc at 8 h"): 0.88,
    ("Otto2021_CHDR1311", "S-norketamine", "median conc at 0.5 h"): 1.19,
    ("Otto2021_CHDR1311", "S-norketamine", "median conc at 1 h"): 0.92,
    ("Otto2021_CHDR1311", "S-norketamine", "median conc at 3 h"): 1.09,
    ("Otto2021_CHDR1311", "S-norketamine", "median conc at 8 h"): 0.93,
    ("Kamp2020_BJA_rac", "R-ketamine", "mean conc at 1 h"): 0.73,
    ("Kamp2020_BJA_rac", "R-ketamine", "mean conc at 3 h"): 1.16,
    ("Kamp2020_BJA_rac", "R-ketamine", "mean conc at 5 h"): 0.84,
    ("Chong2006", "ketamine", "Cmax"): 0.65,
    ("Chong2006", "norketamine", "Cmax"): 1.26,
    ("Yanagihara2003", "S-norketamine", "AUC0-8"): 0.65,
    ("Yanagihara2003", "R-norketamine", "AUC0-8"): 0.75,
}


@pytest.fixture(scope="module")
def answer():
    return RUNNER.qualify(FOLDER / "observed.csv")


@pytest.mark.parametrize("key", DESIGN, ids=lambda k: " ".join(k))
def test_predicted_over_observed_is_the_designs(answer, key) -> None:
    rows = [r for r in answer[0] if (r.study, r.analyte, r.metric) == key and r.route != "iv"] or [
        r for r in answer[0] if (r.study, r.analyte, r.metric) == key
    ]
    assert rows[0].ratio == pytest.approx(DESIGN[key], abs=PRINTED)


def test_every_row_is_predicted_or_has_a_reason(answer) -> None:
    rows, left = answer
    assert len(rows) + len(left) == len(RUNNER.read_rows(FOLDER / "observed.csv"))
    assert all(reason for _, reason in left)


@pytest.mark.parametrize(("least", "n", "error"), BY_THRESHOLD)
def test_the_error_of_the_intravenous_default_at_each_threshold(answer, least, n, error) -> None:
    chosen = RUNNER.default_rows(answer[0], least)
    assert len(chosen) == n
    assert RUNNER.gmfe(chosen) == pytest.approx(error, abs=THIRD)
    assert (RUNNER.gmfe(chosen) <= RUNNER.LIMIT) == (least > 2)


def test_the_rule_is_that_one_step_is_at_most_a_fifth(answer) -> None:
    assert RUNNER.LEAST == 1 / 0.20  # ICH M10: 20 % at the lower limit of quantification
    gone = {r for r in answer[0] if r.counts and r.steps < RUNNER.LEAST}
    assert {(r.study, r.metric) for r in gone} == {
        ("Hasan2021_curve", f"mean conc at {h} h") for h in (8, 12, 16, 24)
    }


def test_one_step_of_a_reading_comes_from_its_digitiser(answer) -> None:
    pixel = {"Hasan2021_curve": 20 / (341 - 183)}  # ng/mL, manifest.json of the digitiser
    top = {"ketamine": 1.6, "norketamine": 1.4, "dehydronorketamine": 0.2}  # nmol/mL over 394 px
    for row in answer[0]:
        if row.study in pixel:
            assert row.resolution == pytest.approx(pixel[row.study], rel=PIXEL)
        elif row.study == "Kamp2020_BJA_rac":
            assert row.resolution == pytest.approx(top.get(row.family, 0.5) / 394, rel=PIXEL)
        elif row.study == "Otto2021_CHDR1311":
            assert row.resolution == pytest.approx(0.10 * row.observed)
        else:
            assert row.resolution is None
    late = {r.metric: r.steps for r in answer[0] if (r.study, r.analyte[0]) == LATE}
    assert [late[f"mean conc at {h} h"] for h in (8, 12, 16, 24)] == [4.0, 3.0, 2.5, 2.0]


def test_which_rows_count_does_not_depend_on_what_is_predicted(answer) -> None:
    wrong = [replace(r, predicted=1000 * r.predicted) for r in answer[0]]
    for least in (0, 3, RUNNER.LEAST, 8):
        of = [(r.study, r.analyte, r.metric) for r in RUNNER.default_rows(answer[0], least)]
        assert of == [(r.study, r.analyte, r.metric) for r in RUNNER.default_rows(wrong, least)]


def test_the_error_beyond_one_step_keeps_every_row(answer) -> None:
    every = RUNNER.default_rows(answer[0], 0)
    assert RUNNER.beyond(every) == pytest.approx(1.085, abs=THIRD)
    row = replace(every[0], observed=10.0, resolution=2.0)
    assert [replace(row, predicted=p).beyond for p in (4.0, 9.0, 24.0)] == [0.5, 1.0, 2.0]
    assert replace(row, predicted=4.0, resolution=None).beyond == 0.4
    assert replace(row, predicted=0.1, resolution=11.0).beyond == 1.0


def test_arterial_rows_never_meet_the_venous_default_for_the_parent(answer) -> None:
    for row in answer[0]:
        if row.site == "arterial" and row.family in ("ketamine", "norketamine"):
            assert row.model == "KSR-1-arterial"


def test_with_every_row_the_limit_is_missed_and_the_page_says_so_first(answer) -> None:
    every = RUNNER.gmfe(RUNNER.default_rows(answer[0], 0))
    text = (ROOT / "docs" / "qualification.md").read_text()
    assert every > RUNNER.LIMIT
    first, second = (
        f"**{every:.2f}** with",
        f"**{RUNNER.gmfe(RUNNER.default_rows(answer[0])):.2f}**",
    )
    assert text.index(first) < text.index(second)
    assert "with every row it is missed" in text


def test_the_rows_behind_the_limit_give_the_error_that_the_design_note_printed(answer) -> None:
    """Its summary: n = 15, GMFE 1.12, median 0.91, 87 % within 1.25-fold."""
    ratios = np.array([r.ratio for r in RUNNER.independent_in_note(answer[0])])
    assert len(ratios) == 15
    assert np.exp(np.abs(np.log(ratios)).mean()) == pytest.approx(1.12, abs=PRINTED)
    assert np.median(ratios) == pytest.approx(0.91, abs=PRINTED)
    assert np.mean(np.maximum(ratios, 1 / ratios) <= 1.25) == pytest.approx(13 / 15)


def test_the_default_holds_the_limit_on_the_venous_rows_tabulated_with_it(answer) -> None:
    rows = RUNNER.tabulated(answer[0])
    assert len(rows) == 16
    assert not any(r.study == "Hasan2021_curve" for r in rows)
    assert RUNNER.gmfe(rows) <= RUNNER.LIMIT


def test_the_tail_that_was_read_contradicts_the_half_life_that_was_printed(answer) -> None:
    printed = {"S-ketamine": 5.2, "R-ketamine": 6.1}  # h, Hasan 2021, abstract
    records = RUNNER.read_rows(FOLDER / "observed.csv")
    for analyte, half_life in printed.items():
        curve = [
            float(r["value"])
            for r in records
            if (r["study_id"], r["analyte"]) == ("Hasan2021_curve", analyte)
        ]
        assert analyse_profile(SAMPLES, curve).half_life > 2 * half_life
    ours = [r.ratio for r in answer[0] if r.metric == "t1/2"]
    assert len(ours) == 3
    assert all(1 / 1.3 < ratio < 1.3 for ratio in ours)


def test_the_digitised_figure_was_read_in_quarters_of_a_pixel() -> None:
    step, twice_rounded = 20 / 158 / 4, 1.1  # ng/mL; to four decimals there, to three digits here
    for row in RUNNER.read_rows(FOLDER / "observed.csv"):
        if row["study_id"] == "Hasan2021_curve":
            value, digits = float(row["value"]), len(row["value"].split(".")[1])
            steps = round(value / step)
            assert abs(value - steps * step) <= twice_rounded * 0.5 * 10**-digits


ROW = {
    "study_id": "New2030",
    "citation": "New N et al. 2030",
    "drug": "ketamine",
    "form": "racemate",
    "route": "IV",
    "dose": "0.5",
    "dose_unit": "mg/kg",
    "infusion_min": "40",
    "analyte": "total ketamine",
    "metric": "Cmax",
    "value": "100",
    "unit": "ng/mL",
    "locator": "Table 2",
}
SAME = 1e-3  # predictions on a grid of 1/120 h
PAIRS = [  # the same observation in two spellings, and what the second is of the first
    ({"unit": "umol/L"}, 1 / 237.73),
    ({"unit": "nmol/L"}, 1000 / 237.73),
    ({"unit": "ug/mL"}, 1e-3),
    ({"dose": "35", "dose_unit": "mg"}, 1),
    ({"dose": "35000", "dose_unit": "ug"}, 1),
    ({"dose": "0.75", "dose_unit": "mg/kg/h"}, 1),
    ({"dose": "12.5", "dose_unit": "ug/kg/min"}, 1),
    ({"dose": "52.5", "dose_unit": "mg/h"}, 1),
    ({"dose": "35", "dose_unit": "mg HCl salt"}, 237.73 / 274.19),
    ({"dose": "35", "dose_unit": "mg (base)"}, 1),
    ({"route": "IV infusion"}, 1),
    ({"route": "intravenous", "form": "racemic"}, 1),
    ({"analyte": "ketamine"}, 1),
    ({"metric": "max conc"}, 1),
    ({"locator": "Table 2; mean weight 140 kg", "dose": "17.5", "dose_unit": "mg"}, None),
    ({"metric": "concentration at 40 min"}, 1),
    ({"metric": "median conc at 0.666666666666 h"}, 1),
    ({"route": "IV", "drug": "esketamine", "form": "", "analyte": "esketamine"}, None),
]


@pytest.mark.parametrize(("changed", "factor"), PAIRS, ids=lambda x: str(x)[:60])
def test_an_unseen_row_is_predicted_in_its_own_units(changed, factor) -> None:
    base = RUNNER.predict(ROW).predicted
    found = RUNNER.predict({**ROW, **changed})
    assert found.relation == "independent"
    assert found.predicted > 0
    if factor is not None:
        assert found.predicted == pytest.approx(base * factor, rel=SAME)


def property_row(metric: str, unit: str, **changed: str) -> float:
    return RUNNER.predict({**ROW, "metric": metric, "unit": unit, **changed}).predicted


def test_properties_are_those_of_the_model() -> None:
    # 95.2 L/h of S and 0.8826 of it of R; V1 + V2 + V3 = 418.8 L at 70 kg (design, part A)
    s, oral = {"analyte": "S-ketamine"}, {"route": "oral", "infusion_min": ""}
    assert property_row("CL", "L/h", **s) == pytest.approx(95.2, rel=SAME)
    assert property_row("CL", "mL/min/kg", **s) == pytest.approx(95.2 / 4.2, rel=SAME)
    harmonic = 2 / (1 / 95.2 + 1 / (0.8826 * 95.2))
    assert property_row("CL", "L/h") == pytest.approx(harmonic, rel=SAME)
    assert property_row("Vss", "L", **s) == pytest.approx(418.8, rel=5 * SAME)
    assert property_row("MRT", "h", **s) == pytest.approx(418.8 / 95.2, rel=5 * SAME)
    assert property_row("F", "%", **s, **oral) == pytest.approx(18.6, rel=5 * SAME)
    assert property_row("CL/F", "L/h", **s, **oral) == pytest.approx(95.2 / 0.186, rel=5 * SAME)
    area = property_row("AUC0-inf", "ng*h/mL")
    assert property_row("AUC", "ng.min/mL") == pytest.approx(60 * area)
    assert property_row("AUC", "umol.h/L") == pytest.approx(area / 237.73, rel=SAME)
    assert property_row("AUC0-480 min", "h·ng/mL") == pytest.approx(
        property_row("AUC0-8h", "ng.h/mL")
    )
    pair = {"analyte": "S-norketamine/S-ketamine"}
    assert property_row("Cmax ratio", "ratio", **pair) == pytest.approx(37.4 / 79.0, rel=0.01)


def written(folder: Path, *rows: dict[str, str]) -> Path:
    file = folder / "rows.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"route": "rectal"}, "no parameters for 'rectal'"),
        ({"dose_unit": "drops"}, "dose in 'drops', which is not read"),
        ({"dose": ""}, "dose not recorded"),
        ({"dose_unit": "mg/kg/h", "infusion_min": ""}, "how long it was given is not recorded"),
        ({"infusion_min": ""}, "depends on when the first sample is"),
        ({"value": "65-80"}, "'65-80' is not one number"),
        ({"value": "0"}, "not above 0"),
        ({"unit": "bottles"}, "a unit or number was not understood .'bottles'."),
        ({"analyte": "midazolam"}, "'midazolam' is not in the model"),
        ({"analyte": "(2R,6R)-HNK"}, "one isomer"),
        ({"form": "T"}, "form 'T' is not racemate, S or R"),
        ({"locator": "12 children"}, "children: the default describes adults"),
        ({"locator": "whole blood"}, "ratio of blood to plasma"),
        ({"metric": "fe urine"}, "'fe urine' is not read"),
        ({"metric": "CL", "unit": "L/h", "route": "oral", "infusion_min": ""}, "needs an intraven"),
        ({"dose": "10/20"}, "several doses"),
        ({"form": "R", "locator": "arterial", "route": "film", "infusion_min": ""}, "film"),
    ],
)
def test_a_row_that_cannot_be_predicted_says_why(tmp_path, changed, says) -> None:
    rows, left = RUNNER.qualify(written(tmp_path, {**ROW, **changed}))
    assert not rows
    assert re.search(says, left[0][1])


def test_the_page_says_what_is_bad() -> None:
    text = (ROOT / "docs" / "qualification.md").read_text()
    for words in ("seven-fold", "underpredicted", "Late levels", "assumption", "Against it"):
        assert words in text


@pytest.mark.parametrize(
    ("changed", "steps", "says"),
    [
        ({}, math.inf, ""),
        ({"resolution": "", "sd_or_cv": "12"}, math.inf, ""),
        ({"resolution": "40"}, 2.5, ""),
        ({"sd_or_cv": "digitized ±5 %"}, math.inf, ""),
        ({"sd_or_cv": "digitised, ±5 %"}, 20.0, ""),
        ({"resolution": "fine"}, None, "resolution 'fine' is not one number"),
        ({"resolution": "0"}, None, "resolution '0' is not above 0"),
    ],
)
def test_a_table_may_or_may_not_say_how_finely_it_was_read(tmp_path, changed, steps, says) -> None:
    rows, left = RUNNER.qualify(written(tmp_path, {**ROW, **changed}))
    if steps is None:
        assert re.search(says, left[0][1])
    else:
        assert rows[0].steps == steps
        assert len(RUNNER.default_rows(rows)) == (steps >= RUNNER.LEAST)


def test_a_table_without_the_columns_knows_the_figures_that_are_known(answer, tmp_path) -> None:
    bare = [
        {k: v for k, v in row.items() if not k.startswith(("resolution", "sd_or_cv"))}
        for row in RUNNER.read_rows(FOLDER / "observed.csv")
        if row["study_id"] == "Hasan2021_curve"
    ]
    file = written(tmp_path, *bare)
    assert [r.steps for r in RUNNER.qualify(file)[0]] == [
        r.steps for r in answer[0] if r.study == "Hasan2021_curve"
    ]


@pytest.fixture(scope="module")
def found():
    return RUNNER.qualify(FOLDER / "found.csv")


def test_rows_found_later_were_not_there_before() -> None:
    names = ("study_id", "route", "analyte", "metric", "dose")
    known = {tuple(r[n] for n in names) for r in RUNNER.read_rows(FOLDER / "observed.csv")}
    for row in RUNNER.read_rows(FOLDER / "found.csv"):
        assert tuple(row[n] for n in names) not in known
        assert row["source_url"].startswith("https://")
        assert row["locator"]
        assert (row["counts"] == "yes") == (row["population"] == "healthy")


def test_two_rows_found_later_count_and_no_other_patients_do(found) -> None:
    rows, left = found
    assert (len(rows), len(left)) == (35, 3)
    counted = RUNNER.counted(rows)
    assert [(r.study, r.analyte, r.population) for r in counted] == [
        ("Yanagihara2003", "S-norketamine", "healthy"),
        ("Yanagihara2003", "R-norketamine", "healthy"),
    ]
    assert RUNNER.gmfe(counted) == pytest.approx(1.07, abs=PRINTED)


def test_no_absorption_rate_reaches_the_second_intramuscular_level(found) -> None:
    seen = {r.metric: r for r in found[0] if r.route == "im"}
    first, second = seen["median conc at 30 min"], seen["median conc at 15 min"]
    assert (first.ratio, second.ratio) == pytest.approx((0.93, 0.70), abs=PRINTED)
    told = {2: (102, 160), 8: (136, 334), 16: (128, 359), 100: (119, 336)}  # the page, ng/mL
    rates = sorted({1.0, 4.0, 32.0, *told})
    levels = {rate: intramuscular(rate) for rate in rates}
    for rate, (half, quarter) in told.items():
        assert levels[rate] == pytest.approx((half, quarter), abs=0.5)
    assert max(v[1] for v in levels.values()) < 0.8 * second.observed


def intramuscular(rate: float) -> tuple[float, float]:
    """Ketamine at 30 min after 0.5 mg/kg and at 15 min after 1 mg/kg, ng/mL, 70 kg."""
    predict = sys.modules["predict"]  # beside run.py
    model = predict.cached_model(predict.VENOUS)
    values = predict.values_of(ROW, model, 70.0) | {"ka_muscle": rate}
    given = parse_regimen("1 mg/kg im base").given(70.0)
    doses = model.doses(given, model.substance.form("racemate"), values)
    outputs = solve(model.with_values(values), doses, np.array([0.25, 0.5])).outputs
    level = sum(outputs[p] for p in model.totals["ketamine"])
    return float(level[1]) / 2, float(level[0])
