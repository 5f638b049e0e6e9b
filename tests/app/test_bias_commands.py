"""The commands of the bias room, each run on the table that its help shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from klarsyn.app.cli import main

FILES = {
    "guesses.csv": "trial,arm,role,respondent,correct,wrong,dont_know,total\n"
    "Lii 2023,ketamine,active,participants,9,5,5,19\n"
    "Lii 2023,placebo,control,participants,5,8,6,19\n",
    "many.csv": "trial,arm,role,correct,wrong,dont_know,control_kind\n"
    + "".join(
        f"T{k},x,active,{12 + k},{6 - k % 3},3,{kind}\nT{k},y,control,{8 + k},7,4,{kind}\n"
        for k, kind in enumerate(["saline", "midazolam"] * 3)
    ),
    "twice.csv": "trial,arm,role,time,correct,wrong,dont_know,minutes\n"
    + "".join(
        f"{t},drug,active,dose 1,{20 + k},9,5,{10 + k}\n{t},drug,active,end,{25 + k},5,4,{90 + k}\n"
        f"{t},saline,control,dose 1,15,{8 + k},6,{10 + k}\n{t},saline,control,end,9,8,4,{90 + k}\n"
        for k, t in enumerate("ABC")
    ),
    "percents.csv": "trial,arm,role,percent_correct,total,denominator,dont_know\n"
    "Shiroma,midazolam,control,89.3,28,unknown,\n",
    "strata.csv": "received,guessed,n,mean,sd\nactive,active,48,19.6,9.6\n"
    "active,control,43,12.3,10.5\ncontrol,active,39,18.4,9.9\ncontrol,control,102,10.9,10.9\n",
    "effects.csv": "trial,effect,lower,upper,bang_active,bang_control,unknown_active,"
    "unknown_control\nTrial A,-6.0,-8.9,-3.1,0.7,0.3,0.1,0.2\n",
    "controls.csv": "trial,group,control_change,control_sd,control_n,active_change,active_sd,"
    "active_n\nTrial A,recognised,2.0,6.7,26,9.2,10.4,27\nTrial B,usual,8.1,10.3,106,,,\n"
    "Trial C,usual,15.3,11.7,72,,,\nTrial D,usual,14.8,15.1,108,,,\n",
    "risk.csv": "study,effect,lower,upper,risk,additive,additive_sd,proportional,"
    "proportional_sd\nAlpha,-0.62,-1.02,-0.22,high,-0.10,0.08,0.05,0.05\n"
    "Beta,-0.35,-0.71,0.01,low,,,,\nGamma,-0.80,-1.30,-0.30,unclear,,,,\n",
    "events.csv": "study,treated_events,treated_observed,treated_missing,control_events,"
    "control_observed,control_missing\nBeasley,29,47,22,20,34,34\nSelman,17,18,11,7,11,18\n",
    "means.csv": "study,treated_mean,treated_sd,treated_observed,treated_missing,control_mean,"
    "control_sd,control_observed,control_missing\nA,10,8,40,5,14,8,41,9\nB,11,8,30,5,13,8,31,9\n",
    "refusals.csv": "name,new_events,new_total,reference_events,reference_total,new_refused,"
    "reference_refused\nELEKT-D,108,195,70,170,5,33\n",
    "visits.csv": "visit,treated_mean,control_mean,sd,treated_last_seen,control_last_seen\n"
    "0,0,0,0,2,3\n1,-4.0,-3.0,5.0,5,4\n2,-9.0,-5.5,7.0,53,53\n",
    "aggregates.csv": "study,difference,lower,upper,treated_began,treated_seen,control_began,"
    "control_seen\nTrial A,-6.0,-8.9,-3.1,121,89,250,185\n",
    "sets.csv": "name,new_events,new_total,reference_events,reference_total\n"
    "as treated,108,195,70,170\nall randomised,108,200,70,203\n",
    "arms.csv": "trial,events,total\nKetECT,57,91\nOther,20,40\nThird,30,50\n",
    "trials.csv": "id,treated_events,treated_total,control_events,control_total,published,"
    "eligible,reason\nELEKT-D,74,195,37,170,2023-05-24,yes,\nKetECT,44,95,57,91,2022-05,yes,\n",
    "assessments.csv": "assessment,trial,criteria,search_date\n"
    "Agency A,ELEKT-D,randomised against ECT,2024-01\n",
}
RUNS = {
    "blinding guesses.csv": "Bang 0.21",
    "blinding percents.csv": "Shiroma",
    "blinding many.csv --pool --interval score": "pooled, participants, active arms",
    "blinding many.csv --moderator control_kind": "control arms by control_kind",
    "blinding many.csv --pool --dont-knows split": "pooled, participants, control arms",
    "blinding twice.csv --pool": "pooled, participants, active arms, dose 1:",
    "blinding twice.csv --moderator minutes": "control arms, end by minutes",
    "missing means.csv --ratio 0.8,1.2": "ratio: MD",
    "missing means.csv --threshold 0": "of the control arm ended",
    "unblinding strata.csv --timing after_outcome": "at half right guesses 1.08",
    "unblinding effects.csv --threshold 0": "a belief effect of -5.64",
    "unblinding controls.csv --usual usual": "Trial A: control improved 0.29 SD against 1.00",
    "unblinding controls.csv --usual-mean 1.0,0.05,0.02": "contrast 0.57 as observed, -0.14",
    "adjusted risk.csv --measure SMD --benefit lower": "patients (Moustgaard",
    "adjusted risk.csv --measure MD --sd 10 --benefit lower": "adjusted for elicited biases",
    "missing events.csv --event good": "gamble hollis",
    "missing events.csv --event good --imor 0.5,2 --sd 1,1": "odds ratio: RR",
    "missing means.csv --difference 2,-2": "MD",
    "missing refusals.csv --margin 0.1": "lost once 20 of the reference's 33 refusals respond",
    "missing visits.csv --correlation 0.5": "jump to reference: -3.09",
    "missing visits.csv --correlation 0.5 --deltas 0,2": "delta treated +2, control +0: -3.2",
    "missing aggregates.csv": "26 % left the drug, 26 % control; seen -6.00",
    "noninferiority sets.csv --margin 0.1 --basis declared": "14.2 (3.9 to 24.2)",
    "noninferiority sets.csv --preserve 0.5 --history smd=0.91,0.54,1.27 --basis x": "margin 10.2",
    "noninferiority sets.csv --preserve 0.5 --history odds_ratio=3,1.5,6 --basis x": "synthesis",
    "noninferiority sets.csv --preserve 0.5 --history difference=.3,.2,.4 --basis x": "20.0 points",
    "noninferiority sets.csv --margin 0.1 --basis x --elsewhere arms.csv": "-3.3 predictive",
    "noninferiority sets.csv --margin 0.1 --basis x --history-rate 0.63": "against 63 % elsewhere",
    "inclusion trials.csv assessments.csv --positive-favours treated": "1.13 (0.49 to 2.62)",
}
FAULTS = {
    ("blinding guesses.csv", "9,5,5,19", "9,5,5,20"): r"row 2: the guesses add up to 19, the total",
    ("blinding guesses.csv", "ketamine,active", "ketamine,drug"): r"row 2: 'drug' is not a known",
    ("blinding guesses.csv", "9,5,5,19", "0,0,0,0"): r"row 2: Lii 2023, arm ketamine: nobody",
    ("blinding percents.csv", "89.3", "89.4"): r"row 2: .*no whole number out of 28",
    ("blinding twice.csv", "A,drug,active,end", "A,drug,active,dose 1"): r"row 3: A, arm drug \(",
    ("blinding twice.csv --moderator minutes", "5,10", "5,"): r"row 2: minutes is empty",
    ("blinding many.csv --pool --dont-knows halved", "A", "A"): "Known: all_correct, all_wrong",
    ("blinding twice.csv --somewhat-weight nan", "A", "A"): "weak guess weighs",
    ("unblinding effects.csv --threshold nan", "A", "A"): "threshold is a number",
    ("unblinding controls.csv --usual-mean nan,0.1,0.1", "D", "D"): "need a mean",
    ("missing means.csv --threshold nan", "A", "A"): "threshold is a number",
    ("missing means.csv --difference inf,1", "A", "A"): "must be finite",
    ("missing visits.csv --correlation 0.5 --deltas nan,1", "v", "v"): "delta is a number",
    ("missing refusals.csv --margin nan", "v", "v"): "positive risk difference below 1",
    ("missing refusals.csv --margin 0.1", ",5,33", ",5000,3300"): r"16,508,301 cells",
    ("unblinding strata.csv --timing unknown", ",9.6", ",-1"): r"row 2, column 'sd': -1 is below 0",
    ("unblinding effects.csv --threshold 0", "0.1,0.2", "1.1,0.2"): r"1\.1 is above 1",
    ("unblinding effects.csv --threshold 0", "-8.9,-3.1", "-3.1,-8.9"): r"row 2: the effect -6",
    ("unblinding controls.csv --usual usual", ",27", ","): r"row 2: Trial A: give the active arm's",
    ("unblinding controls.csv --usual usual", "6.7,26", "6.7,2"): r"row 2: Trial A: a standardised",
    ("unblinding controls.csv --usual usual", "6.7", "-6.7"): r"row 2, column 'control_sd'",
    ("unblinding controls.csv --usual usul", "D", "D"): r"0 control arms are of the group 'usul'",
    ("unblinding controls.csv --usual-mean 1,0.1", "D", "D"): r"'1,0.1' is not three numbers",
    (
        "adjusted risk.csv --measure SMD --benefit lower",
        "high",
        "higher",
    ): r"row 2: 'higher' is not",
    ("adjusted risk.csv --measure OR --benefit lower", "x", "x"): r"row 2: an odds ratio's limit",
    ("adjusted risk.csv --measure RR --benefit lower", "x", "x"): r"'RR' is not a known measure",
    ("adjusted risk.csv --measure MD --benefit lower", "x", "x"): r"needs the points of one",
    ("adjusted risk.csv --measure SMD --benefit down", "x", "x"): r"Known: higher, lower",
    ("adjusted risk.csv --measure SMD --benefit lower", "-0.71,0.01", "0.71,0.01"): r"row 3: the",
    ("adjusted risk.csv --measure SMD --benefit lower", "0.05,0.05", "-1.5,0"): r"row 2, column",
    ("missing events.csv --event good", "29,47", "48,47"): r"row 2: Beasley, treated arm: 48",
    ("missing visits.csv --correlation 0.5 --deltas 0;2", "v", "v"): r"'0;2' is not numbers",
    ("missing aggregates.csv", "121,89", "89,121"): r"row 2: Trial A: 121 of the 89 treated",
    ("missing aggregates.csv", "-8.9,-3.1", "-3.1,-8.9"): r"row 2: the difference -6 does not",
    ("missing aggregates.csv", "250,185", "250,0"): r"row 2: Trial A: 0 of the 250 control",
    ("missing refusals.csv --margin 0.1", "108,195", "196,195"): r"row 2: ELEKT-D: 196 of 195",
    (
        "noninferiority sets.csv --margin 10 --basis x",
        "as",
        "as",
    ): r"0\.1 for 10 points\); 10 is not",
    ("noninferiority sets.csv --preserve 0.5 --history smd=0.1,-0.1,0.3 --basis x", "a", "a"): (
        "history does not show that the reference works"
    ),
    ("noninferiority sets.csv --preserve 0.5 --history sdm=1,0,2 --basis x", "a", "a"): (
        "'sdm' is not a known kind of history. Nearest: smd"
    ),
    (
        "noninferiority sets.csv --preserve 1 --history smd=1,0.5,2 --basis x",
        "a",
        "a",
    ): "1 does not",
    (
        "noninferiority sets.csv --margin 0.1 --history smd=1 --basis x",
        "a",
        "a",
    ): "not a value with",
    ("noninferiority sets.csv --margin 0.1 --history-rate 1.2 --basis x", "a", "a"): "1.2 does not",
    ("noninferiority sets.csv --margin 0.1 --basis x --elsewhere arms.csv", "57,", "157,"): (
        r"arms.csv: row 2: KetECT: 157 events in 91 patients"
    ),
    (
        "inclusion trials.csv assessments.csv --positive-favours treated",
        "Agency A,ELEKT-D",
        "Agency A,ELEKTD",
    ): r"row 2: 'ELEKTD' is not a known trial\. Nearest: ELEKT-D",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", list(RUNS))
def test_a_table_as_the_help_shows_it_gives_the_result(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(line.split())
    assert RUNS[line] in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", list(RUNS))
def test_json_is_json(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*line.split(), "--json"])
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "fault", list(FAULTS), ids=lambda f: f"{f[0].split()[1]} {f[2]} {f[0][-8:]}"
)
def test_a_fault_is_one_sentence_with_its_row_and_code_two(
    fault: tuple[str, str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, before, after = fault
    for name in re.findall(r"\S+\.csv", line):
        file = folder / name
        file.write_text(
            file.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8"
        )
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    said = capsys.readouterr().err
    assert re.search(FAULTS[fault], said)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "name", ["adjusted", "blinding", "unblinding", "missing", "noninferiority", "inclusion"]
)
def test_the_help_shows_the_table_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    assert re.search(r"^\s+\w+(,\w+){2,}", capsys.readouterr().out, re.MULTILINE)


BLANK = {
    "blinding guesses.csv": ("9,5,5,19", "9,5,5,20"),
    "blinding percents.csv": ("89.3", "89.4"),
    "unblinding effects.csv --threshold 0": ("-8.9,-3.1", "-3.1,-8.9"),
    "missing events.csv --event good": ("29,47", "48,47"),
    "missing means.csv --difference 1,1": ("8,40,5", "8,1,5"),
    "missing aggregates.csv": ("121,89", "89,121"),
    "missing refusals.csv --margin 0.1": ("108,195", "196,195"),
    "missing visits.csv --correlation 0.5": ("0,0,0,0,2,3", "7,0,0,0,2,3"),
    "noninferiority sets.csv --margin 0.1 --basis x": ("108,195", "196,195"),
}


@pytest.mark.parametrize("line", list(BLANK))
def test_blank_lines_do_not_move_the_row_that_is_named(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / line.split()[1]
    head, body = file.read_text(encoding="utf-8").replace(*BLANK[line], 1).split("\n", 1)
    file.write_text(f"{head}\n\n\n{body}", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    assert "row 4: " in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_choice_that_belongs_to_the_scientist_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for line in (
        "unblinding strata.csv",
        "unblinding controls.csv",
        "missing events.csv",
        "missing refusals.csv",
        "noninferiority sets.csv --basis x",
    ):
        with pytest.raises(SystemExit, match="2"):
            main(line.split())
        assert "Say " in capsys.readouterr().err
