from __future__ import annotations

import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

from ..evidence.small import small, write_base


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(write_base(tmp_path / "small", small()))


@pytest.fixture
def broken(tmp_path: Path) -> str:
    tables = small()
    tables["findings"][9]["value"] = 26
    return str(write_base(tmp_path / "broken", tables))


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    main(["evidence", *argv])
    return capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["evidence", *argv])
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return int(str(left.value.code)), out.err


def test_list_names_every_trial(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "list", folder)
    assert all(t in text for t in ("alpha", "beta", "gamma", "delta"))
    assert len(json.loads(run(capsys, "list", folder, "--json"))["trials"]) == 4


def test_show_gives_each_number_with_its_source(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "show", "alpha", "--base", folder)
    assert "20.4 points" in text
    assert "Author A. Journal 2020." in text
    assert "not reported" in run(capsys, "show", "beta", "--base", folder)
    shown = json.loads(run(capsys, "show", "alpha", "--base", folder, "--json"))
    assert len(shown["findings"]) == 12


def test_check_ends_well_unless_strict(
    broken: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "check", broken)
    assert "impossible: findings row 11 (alpha)" in text
    assert json.loads(run(capsys, "check", broken, "--json"))["counts"]["impossible"] == 1
    code, _ = fails(capsys, "check", broken, "--strict")
    assert code == 1
    assert "0 impossible" in run(capsys, "check", folder, "--strict")
    assert "0 impossible" in run(capsys, "check", broken, "--trial", "beta", "--strict")


def test_select_shows_who_is_in_and_why_others_are_out(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "select", folder, "controlled", "followup_days>=28")
    assert "1 of 4 trials meet all 2 criteria; 1 fail one, 2 cannot be judged" in text
    found = json.loads(run(capsys, "select", folder, "review", "--json"))
    assert [t["trial"] for t in found["selected"]] == ["alpha"]


def test_known_counts_the_states(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "depression_score" in run(capsys, "known", folder)
    counts = json.loads(run(capsys, "known", folder, "--json"))["counts"]
    assert counts["depression_score"] == {"reported": 1, "absent": 1, "not_looked_for": 2}


def test_export_and_new_write_what_opens_again(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = str(tmp_path / "out.xlsx")
    run(capsys, "export", folder, book)
    assert "alpha" in run(capsys, "list", book)
    mine = str(tmp_path / "mine")
    assert "README" in run(capsys, "new", mine)
    code, err = fails(capsys, "list", mine)
    assert (code, "no trials yet" in err) == (2, True)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("list", "nowhere/at/all"), "there is no such base"),
        (("show", "alfa", "--base", "FOLDER"), "Nearest: alpha"),
        (("select", "FOLDER", "rout=iv"), "Nearest: route"),
        (("select", "FOLDER"), "Selections named by small: review"),
        (("export", "FOLDER", "a.docx"), "ends in .xlsx or .json"),
        (("new", "FOLDER"), "already has trials.csv"),
        (("check", "FOLDER", "--trial", "nobody"), "not a known trial"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_2(
    folder: str, argv: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = fails(capsys, *[folder if a == "FOLDER" else a for a in argv])
    assert code == 2
    assert sentence in " ".join(err.split())
