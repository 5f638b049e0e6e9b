"""`klarsyn riskofbias`: a base's answers, an empty form, and two assessors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

HEADER = "trial,domain,question,answer,who,when,why\n"
FIRST = HEADER + "".join(
    f"{t},D1,{q},{a},A. Reader,2026-12-01,as read\n"
    for t, answers in {"alpha": "Y Y N", "beta": "Y NI N"}.items()
    for q, a in zip(("1.1", "1.2", "1.3"), answers.split(), strict=True)
)
SECOND = FIRST.replace("NI", "PY").replace("A. Reader", "B. Reader")


def run(capsys, *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def failed(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture
def files(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(FIRST, encoding="utf-8")
    (tmp_path / "b.csv").write_text(SECOND, encoding="utf-8")
    return tmp_path


def test_a_base_is_judged_from_its_own_answers(capsys) -> None:
    text = run(capsys, "riskofbias", "--base", "ketamine_depression")
    assert "20 of them are drafts that no person has reviewed." in text
    found = json.loads(run(capsys, "riskofbias", "--base", "ketamine_depression", "--json"))
    elekt = next(t for t in found["trials"] if t["trial"] == "anand_2023")
    assert elekt["draft"] is True
    assert elekt["overall"] is None
    assert elekt["domains"]["D3"]["attainable"] == ["High", "High"]
    assert {p["tool"] for p in found["published"]} == {"Cochrane tool of 2011"}


def test_a_base_without_answers_names_the_form(capsys) -> None:
    text = " ".join(run(capsys, "riskofbias", "--base", "mdma_ptsd").split())
    assert "nobody has answered the questions yet" in text
    assert "klarsyn riskofbias --new form.csv --base mdma_ptsd" in text


def test_the_form_is_written_once_and_read_back(files, capsys) -> None:
    words = ("riskofbias", "--new", "form.csv", "--base", "mdma_ptsd", "--trial", "mitchell_2021")
    assert "23 questions" in run(capsys, *words)
    rows = list(csv.DictReader((files / "form.csv").read_text(encoding="utf-8").splitlines()))
    assert [r["domain"] for r in rows][-1] == "overall"
    assert "already there" in failed(capsys, *words)
    assert "there is no answer for the effect of assignment" in failed(
        capsys, "riskofbias", "form.csv"
    )


def test_two_assessors_are_compared(files, capsys) -> None:
    text = run(capsys, "riskofbias", "a.csv", "--compare", "b.csv")
    assert "To be settled" in text
    found = json.loads(run(capsys, "riskofbias", "a.csv", "--compare", "b.csv", "--json"))
    assert found["judgements"]["D1"]["identical"] == 0.5
    assert [d["question"] for d in found["disagreements"]] == ["1.2", "judgement"]


def test_bad_input_is_named(files, capsys) -> None:
    assert "'alpha' is not a known trial" in failed(
        capsys, "riskofbias", "a.csv", "--base", "mdma_ptsd"
    )
    assert "'cubic' is not a known weighting" in failed(
        capsys, "riskofbias", "a.csv", "--compare", "b.csv", "--weights", "cubic"
    )
    assert "Name the file of answers or a --base" in failed(capsys, "riskofbias")
    assert "'mithoefer' is not a known trial. Nearest: mithoefer_2018" in failed(
        capsys, "riskofbias", "--new", "x.csv", "--base", "mdma_ptsd", "--trial", "mithoefer"
    )
    assert "Name at least one trial" in failed(capsys, "riskofbias", "--new", "x.csv")
