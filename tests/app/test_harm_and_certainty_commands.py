"""The commands relapse, harms, riskofbias, grade and grid run, and name the row that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

COARSE = 1  # event, of a curve clicked coarsely
ROUNDING = 1e-12  # relative

POINTS = """study,arm,day,remaining
Alpha 2020,drug,0,1
Alpha 2020,drug,20,0.92
Alpha 2020,drug,40,0.80
Alpha 2020,drug,90,0.71
Alpha 2020,placebo,0,1
Alpha 2020,placebo,15,0.75
Alpha 2020,placebo,40,0.55
Alpha 2020,placebo,90,0.45
"""
AT_RISK = """study,arm,day,at_risk,events
Alpha 2020,drug,0,90,24
Alpha 2020,drug,45,66,
Alpha 2020,placebo,0,86,45
Alpha 2020,placebo,45,42,
"""
HARMS = """study,harm,arm,events,patients,ascertainment,years
Alpha 2020,cystitis,test,0,120,systematic,14
Alpha 2020,cystitis,control,0,118,systematic,14
Clinic 2022,cystitis,single,1,310,spontaneous,
"""
ANSWERS = """trial,domain,question,answer,who,when,why
Alpha 2020,D3,3.1,Y,A. Reader,2024-04-01,98 % followed
Alpha 2020,overall,,Low,A. Reader,2024-04-01,only domain read so far
"""
OUTCOMES = """outcome,measure,estimate,low,high,participants,studies,information_size,\
high_risk_weight,predicted_low,predicted_high,small,moderate,large,unit,baseline
mood,mean_difference,-4,-6,-2,620,6,785,0,-8,0.5,2,5,8,points,
relapse,hazard_ratio,0.49,0.29,0.84,176,1,300,0,,,,,,,0.453
"""
CONFIRMED = """outcome,domain,change,who,when,why
mood,imprecision,0,A. Reader,2024-04-01,thresholds too fine
"""
EFFECTS = """study,estimate,se,risk,belief,time
A,-0.6,0.2,High,-0.3,1 week
A,-0.1,0.2,High,-0.3,4 weeks
B,-0.5,0.2,Low,-0.3,1 week
B,0.1,0.2,Low,-0.3,4 weeks
"""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "points": POINTS,
        "at_risk": AT_RISK,
        "harms": HARMS,
        "answers": ANSWERS,
        "outcomes": OUTCOMES,
        "confirmed": CONFIRMED,
        "effects": EFFECTS,
    }.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def run(capsys, *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def failed(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err


RELAPSE = ("relapse", "points.csv", "at_risk.csv", "--origin", "last_dose", "--repeats", "20")


def test_relapse_compares_arms_and_is_the_same_again(tables, capsys):
    words = (*RELAPSE, "--control", "placebo", "--days", "28,84", "--json")
    first, second = (run(capsys, *words) for _ in range(2))
    assert first == second
    found = json.loads(first)
    events = {a["arm"]: a["events"] for a in found["arms"]}
    assert events == pytest.approx({"drug": 24, "placebo": 45}, abs=COARSE)
    (compared,) = found["comparisons"]
    assert compared["high"] < 1
    assert found["arms"][0]["remaining"][0]["day"] == 28


def test_relapse_pools_and_says_that_few_arms_say_little(tables, capsys):
    text = run(capsys, *RELAPSE, "--days", "28,84", "--pool")
    assert "2 arms say little about how much studies differ" in text
    assert "Two arms of one study" in text


def test_relapse_models_curves_and_single_shares(tables, capsys):
    (tables / "shares.csv").write_text(
        "study,day,relapsed,counted\nBeta 2019,83,12,17\n", encoding="utf-8"
    )
    words = (*RELAPSE, "--control", "placebo", "--model", "--shares", "shares.csv")
    found = json.loads(run(capsys, *words, "--json"))["models"]
    assert found["studies"] == ["Alpha 2020", "Beta 2019"]
    assert {m["model"] for m in found["models"]} == {"weibull", "lognormal"}
    assert "fits 2 studies best" in run(capsys, *words)
    assert "add --model" in failed(capsys, *RELAPSE, "--shares", "shares.csv")
    (tables / "shares.csv").write_text("study,day,relapsed,counted\nB,83,18,17\n", encoding="utf-8")
    assert "row 2 (B): 18 relapsed of 17" in failed(capsys, *words)


def test_relapse_checks_whether_stopping_itself_explains_it(tables, capsys):
    words = (*RELAPSE, "--control", "placebo", "--early", "15", "--json")
    (check,) = json.loads(run(capsys, *words))["withdrawal"]
    assert check["flagged"] == (check["share"] >= 0.5)
    assert "of the relapse difference" in run(capsys, *words[:-1])


def test_relapse_says_where_a_curve_rises_and_where_nobody_is_followed(tables, capsys):
    assert "not followed" in run(capsys, *RELAPSE, "--days", "28,365")
    (tables / "points.csv").write_text(POINTS.replace("40,0.80", "40,0.97"), encoding="utf-8")
    text = failed(capsys, *RELAPSE)
    assert "points.csv: row 4 (Alpha 2020, drug, day 40)" in text
    assert "cannot rise" in text


def test_relapse_wants_shares_or_the_word_percent(tables, capsys):
    (tables / "points.csv").write_text(POINTS.replace(",1\n", ",100\n"), encoding="utf-8")
    assert "For percentages say --percent" in failed(capsys, *RELAPSE)


def test_relapse_names_the_nearest_arm(tables, capsys):
    assert "Nearest: placebo" in failed(capsys, *RELAPSE, "--control", "placbo")


HARM = ("harms", "harms.csv", "--spontaneous", "3", "--unknown", "2")


def test_harms_states_limits_and_needs_the_multipliers(tables, capsys):
    (found,) = json.loads(run(capsys, *HARM, "--json"))
    assert found["exposures"][1]["upper"] == pytest.approx(1 - 0.05 ** (1 / 120), rel=ROUNDING)
    assert found["double_zero_patients"] == 238
    assert "Missing option '--spontaneous'" in failed(capsys, "harms", "harms.csv")


def test_harms_names_the_row_that_counts_episodes(tables, capsys):
    (tables / "harms.csv").write_text(HARMS.replace("1,310", "400,310"), encoding="utf-8")
    assert "row 4 (Clinic 2022): 400 patients" in failed(capsys, *HARM)


def test_riskofbias_reads_answers_and_prints_questions(tables, capsys):
    (trial,) = json.loads(run(capsys, "riskofbias", "answers.csv", "--json"))["trials"]
    assert trial["domains"]["D3"]["judgement"] == "Low"
    assert "Not judged yet: D1, D2a, D4, D5" in trial["note"]
    assert "Low" in run(capsys, "riskofbias", "answers.csv")
    assert len(json.loads(run(capsys, "riskofbias", "--questions", "--json"))) == 31


def test_riskofbias_takes_robins_i_for_studies_without_randomisation(tables, capsys):
    lines = ["trial,domain,question,answer,who,when,why"]
    lines += [f"Clinic 2022,{x},A,2024,x" for x in ("D5,5.1,N", "D5,5.2,N", "D6,6.1,Y")]
    (tables / "cohort.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("riskofbias", "cohort.csv", "--tool", "robins_i")
    assert json.loads(run(capsys, *words, "--json"))["Clinic 2022"]["overall"] == "Low"
    assert "D5 Low; D6 Low" in run(capsys, *words)
    assert "Nearest: robins_i" in failed(capsys, *words[:-1], "robins")


def test_riskofbias_names_the_row_with_an_unknown_answer(tables, capsys):
    (tables / "answers.csv").write_text(ANSWERS.replace("3.1,Y", "3.1,maybe"), encoding="utf-8")
    text = failed(capsys, "riskofbias", "answers.csv")
    assert "answers.csv: row 2: 'maybe' is not a known answer to question 3.1" in text
    assert "Known: N, NA, NI, PN, PY, Y" in text


def test_grade_suggests_and_a_person_confirms(tables, capsys):
    words = ("grade", "outcomes.csv", "--confirmations", "confirmed.csv", "--json")
    mood, relapse = json.loads(run(capsys, *words))
    assert mood["certainty"]["confirmed"] is None
    assert mood["certainty"]["confirmations"][0]["why"] == "thresholds too fine"
    assert relapse["findings"]["relative"] == [0.49, 0.29, 0.84]
    assert "(suggested)" in run(capsys, "grade", "outcomes.csv")


def test_grade_names_what_is_missing(tables, capsys):
    (tables / "outcomes.csv").write_text(OUTCOMES.replace("-8,0.5", ","), encoding="utf-8")
    assert "row 2: with 6 studies predicted_low" in failed(capsys, "grade", "outcomes.csv")
    (tables / "outcomes.csv").write_text(OUTCOMES.replace("0.453", ""), encoding="utf-8")
    assert "row 3: column 'baseline' is needed" in failed(capsys, "grade", "outcomes.csv")


GRID = ("grid", "effects.csv", "--benefit", "lower")


def test_grid_counts_its_cells_and_names_the_choice(tables, capsys):
    found = json.loads(run(capsys, *GRID, "--shares", "0,1", "--json"))
    assert found["cells"] == 2 * 2 * 1 * 3 * 4 * 2
    assert found["influence"][0]["choice"] in found["choices"]
    assert "analyses, estimates" in run(capsys, *GRID)
    assert "would without any effect" in run(capsys, *GRID, "--null", "19")


def test_grid_names_a_repeated_row_and_an_unknown_set_member(tables, capsys):
    (tables / "effects.csv").write_text(EFFECTS.replace("4 weeks", "1 week"), encoding="utf-8")
    assert "row 3 repeats A, 1 week of row 2" in failed(capsys, *GRID)
    (tables / "effects.csv").write_text(EFFECTS, encoding="utf-8")
    (tables / "sets.csv").write_text("set,study\nfirst,A\nfirst,C\n", encoding="utf-8")
    assert "sets.csv: row 3: 'C' is not a known study" in failed(
        capsys, *GRID, "--sets", "sets.csv"
    )


@pytest.mark.parametrize("name", ["relapse", "harms", "riskofbias", "grade", "grid"])
def test_help_shows_the_table_by_example(name, capsys):
    main([name, "--help"])
    text = capsys.readouterr().out
    assert "e.g." in text
    assert "--json" in text
