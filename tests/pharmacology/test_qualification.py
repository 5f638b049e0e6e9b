"""The default against what was observed: the numbers that the design prints, and the limit."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "validation" / "qualification"
PRINTED = 0.006  # the design prints two decimals


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


def test_the_intravenous_default_is_within_the_limit(answer) -> None:
    chosen = RUNNER.default_rows(answer[0])
    assert len(chosen) >= 30
    assert RUNNER.gmfe(chosen) <= RUNNER.LIMIT


def test_arterial_rows_never_meet_the_venous_default_for_the_parent(answer) -> None:
    for row in answer[0]:
        if row.site == "arterial" and row.family in ("ketamine", "norketamine"):
            assert row.model == "KSR-1-arterial"


def test_readings_that_two_curves_share_are_found_without_a_prediction(answer) -> None:
    records = RUNNER.read_rows(FOLDER / "observed.csv")
    alike = sorted(
        {(records[i]["metric"], records[i]["value"]) for i in RUNNER.read_alike(records)}
    )
    assert alike == [
        ("mean conc at 1 h", "6.52"),
        ("mean conc at 16 h", "0.317"),
        ("mean conc at 24 h", "0.253"),
    ]
    assert {r.study for r in answer[0] if r.alike} == {"Hasan2021_curve"}
    assert all(r.digitised and not r.counts for r in answer[0] if r.alike)


def test_with_every_row_the_limit_is_missed_and_the_page_says_so(answer) -> None:
    every = RUNNER.gmfe(RUNNER.default_rows(RUNNER.with_alike(answer[0])))
    text = (ROOT / "docs" / "qualification.md").read_text()
    assert every > RUNNER.LIMIT
    assert f"**{every:.2f}** with every row" in text
    assert "with every row it is\nmissed" in text


def test_the_digitised_figure_was_read_in_steps() -> None:
    step, half_unit = 0.00633 * 5, 1.02  # ng/mL; of the last printed digit, halved
    for row in RUNNER.read_rows(FOLDER / "observed.csv"):
        if row["study_id"] == "Hasan2021_curve":
            value, digits = float(row["value"]), len(row["value"].split(".")[1])
            steps = round(value / step)
            assert abs(value - steps * step) <= half_unit * 0.5 * 10**-digits


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
    import csv

    file = tmp_path / "rows.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ROW)
        writer.writeheader()
        writer.writerow({**ROW, **changed})
    rows, left = RUNNER.qualify(file)
    assert not rows
    assert re.search(says, left[0][1])


def test_the_page_states_both_numbers_and_what_is_bad(answer) -> None:
    text = (ROOT / "docs" / "qualification.md").read_text()
    assert f"**{RUNNER.gmfe(RUNNER.default_rows(answer[0])):.2f}**" in text
    for words in ("seven-fold", "underpredicted", "too short", "assumption"):
        assert words in text
