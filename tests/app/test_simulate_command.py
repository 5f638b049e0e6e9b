"""`klarsyn simulate` end to end: units, files, rules, comparison, the page in two languages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from klarsyn.app.cli import main

ROUNDED = 1e-9  # a dose twice as large through a linear model: rounding

RUN = ["simulate", "--substance", "ketamine", "--form", "racemate", "--dose", "0.5 mg/kg base"]
RUN += ["--route", "iv", "--infusion", "40 min", "--n", "12", "--seed", "4", "--followed", "6"]
COURSES = {"occupancy", "score", "placebo", "below_placebo", "surviving", "dissociation"}
COURSES |= {"pressure", "heart_rate", "eeg", "pain", "cardiac_output"}


def _json(capsys, *more: str):
    main([*RUN, *more, "--json"])
    return json.loads(capsys.readouterr().out)


def test_every_number_has_a_unit_and_percentiles(capsys) -> None:
    found = _json(capsys)
    analyte = found["analytes"]["S-ketamine"]
    assert {m: analyte[m]["unit"] for m in ("cmax", "tmax", "auc", "half_life")} == {
        "cmax": "ng/mL",
        "tmax": "h",
        "auc": "ng/mL x h",
        "half_life": "h",
    }
    assert analyte["cmax"]["p5"] < analyte["cmax"]["p50"] < analyte["cmax"]["p95"]
    assert set(found["follows"]["courses"]) == COURSES
    for course in found["follows"]["courses"].values():
        assert course["unit"]
        for kind in ("between_sets", "between_patients"):
            assert len(course[kind]["p50"]) == len(course["times"])
    assert "the sign is not a finding" in found["follows"]["told"][0]["verdict"]


def test_the_same_seed_gives_the_same_bytes(capsys, tmp_path) -> None:
    pages = []
    for name in ("a", "b"):
        page = tmp_path / f"{name}.html"
        main([*RUN, "--report", str(page), "--json"])
        pages.append((page.read_bytes(), capsys.readouterr().out))
    assert pages[0] == pages[1]


def test_the_number_of_threads_changes_no_byte() -> None:
    found = []
    for threads in ("1", "3"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        done = subprocess.run(
            [sys.executable, "-m", "klarsyn", *RUN, "--json"],
            capture_output=True,
            check=True,
            env=os.environ | limits,
        )
        found.append(done.stdout)
    assert found[0] == found[1]


def test_files_read_back(capsys, tmp_path) -> None:
    import polars as pl

    run, courses = tmp_path / "run.parquet", tmp_path / "courses.parquet"
    found = _json(capsys, "--out", str(run), "--courses", str(courses))
    frame = pl.read_parquet(run)
    peaks = frame.filter(pl.col("analyte") == "S-ketamine")["cmax"]
    assert frame.height == 12 * len(found["analytes"])
    assert peaks.median() == pytest.approx(found["analytes"]["S-ketamine"]["cmax"]["p50"])
    again = tmp_path / "again.parquet"
    frame.write_parquet(again)
    assert pl.read_parquet(again).equals(frame)
    bands = pl.read_parquet(courses)
    assert set(bands["over"].unique()) == {"sets", "patients"}
    assert set(bands["quantity"].unique()) == COURSES


def test_the_page_shows_every_course_and_says_what_is_not_known(capsys, tmp_path) -> None:
    texts = {}
    for lang in ("en", "nb"):
        page = tmp_path / f"{lang}.html"
        main([*RUN, "--schedule", "2 per week, 1 week", "--report", str(page), "--lang", lang])
        texts[lang] = page.read_text(encoding="utf-8")
    capsys.readouterr()
    for text in texts.values():
        figures = re.findall(r'<figure id="fig-([a-z-]+)"', text)
        assert figures == ["first", "whole", "score", "relapse", "acute", "dissociation-doses"]
        assert re.findall(r'(?:src|srcset|href)="(?!data:|#)', text) == []
        assert text.index('id="table-told"') < text.index('id="table-partings"')
    assert "has been measured in nobody" in texts["en"]
    assert "er ikke målt hos noen" in texts["nb"]
    assert "One curve cannot tell this from a hazard that falls" in texts["en"]
    assert "Én kurve kan ikke skille dette fra en hasard som faller" in texts["nb"]
    assert 'lang="nb"' in texts["nb"]
    assert '<span lang="en">' not in texts["nb"]  # every note has its translation


def test_patients_alike_say_that_real_ones_differ_more(capsys, tmp_path) -> None:
    for lang, says in (
        ("en", "real patients differ more"),
        ("nb", "virkelige pasienter varierer mer"),
    ):
        page = tmp_path / f"{lang}.html"
        main([*RUN, "--alike", "--report", str(page), "--lang", lang])
        text = page.read_text(encoding="utf-8")
        assert says in text
        assert 'id="table-partings"' not in text
    assert "so the model leaves fewer without relapse late on" in capsys.readouterr().out


def test_three_kinds_of_spread_are_kept_apart(capsys) -> None:
    found = _json(capsys)["follows"]
    score = found["courses"]["score"]
    day = min(range(len(score["times"])), key=lambda i: abs(score["times"][i] - 24.0))
    sets, patients = score["between_sets"], score["between_patients"]
    assert patients["p95"][day] - patients["p5"][day] > 8.0
    assert sets["p95"][day] > sets["p5"][day]
    for row in found["sd_of_change"]:
        assert row["as_rated"]["p50"] > row["between_patients"]["p50"]
    noise = found["own_of_patients"]["noise"]
    assert noise["p5"] < noise["p50"] < noise["p95"]
    alike = _json(capsys, "--alike")["follows"]
    assert alike["own_of_patients"] == {}
    assert alike["sd_of_change"] == []


def test_doses_follow_the_score(capsys) -> None:
    rule = "until MADRS below 12, checked every 3 days, at most 5 doses"
    found = _json(capsys, "--schedule", rule)
    assert found["regimen"].endswith("until MADRS below 12, checked every 72 h, at most 5 doses")
    given = found["follows"]["doses_given"]["between_sets"]
    assert given["p50"][0] == 1.0
    assert given["p95"][-1] <= 5.0
    assert given["p5"][-1] < given["p95"][-1]
    assert found["n"] == 6


def test_a_rule_without_a_simulated_score_is_refused(capsys) -> None:
    rule = "when MADRS at or above 20, checked every 7 days, at most 4 doses"
    with pytest.raises(SystemExit):
        main([*RUN, "--schedule", rule, "--exposure-only"])
    assert "so the score must be simulated" in " ".join(capsys.readouterr().err.split())


def test_two_regimens_meet_the_same_patients(capsys) -> None:
    half = _json(capsys, "--compare", "0.25 mg/kg base iv over 40 min")["comparison"]
    ratio = next(r for r in half["ratios"] if r["name"] == "AUC of S-ketamine, ratio")
    assert [ratio[p] for p in ("p5", "p50", "p95")] == pytest.approx([2.0] * 3, rel=ROUNDED)
    assert half["points"][0]["between_sets"]["share_positive"] > 0.95
    same = _json(capsys, "--compare", "0.5 mg/kg base iv over 40 min")["comparison"]
    for point in same["points"]:
        assert point["between_sets"]["percentiles"]["p95"] == 0.0
        assert "cannot be told" in point["between_sets"]["verdict"]


def test_forms_that_the_sets_disagree_about_cannot_be_told(capsys) -> None:
    found = _json(capsys, "--form", "S", "--compare", "0.5 mg/kg base iv over 40 min",
                  "--compare-form", "R")["comparison"]  # fmt: skip
    assert "cannot be told" in found["points"][0]["between_sets"]["verdict"]


def test_no_verdict_is_given_on_a_sign_that_is_built_in(capsys, tmp_path) -> None:
    page = tmp_path / "page.html"
    main([*RUN, "--report", str(page)])
    assert "the model cannot raise the score" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "the sign is built in, not a finding" in text
    assert "lower than placebo in" not in text


UNSAID = "The dose does not say salt or base: it is read as base."


def test_a_dose_without_salt_or_base_says_at_the_head_how_it_is_read(capsys, tmp_path) -> None:
    page = tmp_path / "page.html"
    unsaid = [a.removesuffix(" base") for a in RUN]
    main([*unsaid, "--exposure-only", "--report", str(page)])
    assert capsys.readouterr().out.splitlines()[1].strip() == UNSAID
    assert page.read_text(encoding="utf-8").index(UNSAID) < page.read_text().index("<main")
    main([*unsaid, "--exposure-only", "--json"])
    found = json.loads(capsys.readouterr().out)["doses"]
    assert found == {"of": ["base"], "assumed": True, "sentence": UNSAID}


def test_a_dose_that_says_what_it_is_is_not_called_assumed(capsys, tmp_path) -> None:
    page = tmp_path / "page.html"
    salt = [a.replace("mg/kg base", "mg/kg hydrochloride") for a in RUN]
    main([*salt, "--exposure-only", "--report", str(page)])
    said = "Doses are amounts of hydrochloride, as given."
    assert capsys.readouterr().out.splitlines()[1].strip() == said
    assert said in page.read_text(encoding="utf-8")


def test_a_compared_regimen_says_for_itself_how_it_is_read(capsys) -> None:
    main([*RUN, "--exposure-only", "--compare", "0.25 mg/kg iv over 40 min"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].strip() == "Doses are amounts of base, as given."
    assert lines[-1].strip() == f"Second regimen: {UNSAID}"


def test_a_spread_of_weights_and_a_range_of_ages_are_asked_for_by_name(capsys) -> None:
    main([*RUN, "--exposure-only", "--weight", "70.5", "--weight-sd", "9", "--age", "18-65"])
    said = " ".join(capsys.readouterr().out.split())
    assert "70.5 (SD 9) kg" in said
    assert "age 18-65 years" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            ["--weight", "70,5"],
            "'70,5' can be read two ways: 70.5 with a decimal comma, or mean 70 kg with SD 5. "
            "Write --weight 70.5 or --weight 70 --weight-sd 5.",
        ),
        (
            ["--age", "18,65"],
            "'18,65' can be read two ways: 18.65 with a decimal comma, or from 18 to 65 years. "
            "Write --age 18.65 or --age 18-65.",
        ),
        (["--weight-sd", "5,5"], "--weight-sd '5,5': use a decimal point, --weight-sd 5.5."),
        (["--weight-sd", "-1"], "the weight's SD of -1 kg is outside 0 to its mean, 70 kg"),
        (["--compare-form", "S"], "--compare-form needs --compare"),
        (["--days", "-1"], "-1 days cannot be followed"),
        (["--followed", "0"], "at least one patient is followed"),
        (["--courses", "x.txt"], "ends in .parquet or .csv"),
        (["--exposure-only", "--courses", "x.csv"], "--courses has nothing to write"),
    ],
)
def test_what_cannot_be_asked_is_said(more, says, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*RUN, *more])
    assert stop.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
