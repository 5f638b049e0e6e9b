"""`pool --information-size` and `hazards` run, answer in JSON, and name what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

TRIALS = """study,yi,vi,year,n
A,-0.9,0.08,2001,60
B,-0.3,0.05,2004,90
C,-0.5,0.03,1999,150
"""
PRINTED = """study,ratio,lower,upper,p,favours,events,patients1,patients2
Alpha,0.49,0.29,0.84,,,,,
Beta,,,,0.003,first,63,90,86
"""
ENOUGH = ("pool", "trials.csv", "--measure", "GEN", "--information-size", "785")


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trials.csv").write_text(TRIALS, encoding="utf-8")
    (tmp_path / "printed.csv").write_text(PRINTED, encoding="utf-8")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def failed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    return capsys.readouterr().err


def test_looks_come_in_the_order_of_the_years(tables: Path, capsys) -> None:
    words = (*ENOUGH, "--participants", "n", "--cumulative", "year")
    found = json.loads(run(capsys, *words, "--json"))["sequential"]
    assert [k["study"] for k in found["looks"]] == ["C", "A", "B"]
    assert [k["participants"] for k in found["looks"]] == [150, 210, 300]
    assert "the boundary is crossed at B" in found["summary"]
    assert "enough yet?" in run(capsys, *words)


def test_participants_are_a_column_of_numbers(tables: Path, capsys) -> None:
    assert "needs --participants" in failed(capsys, *ENOUGH)
    assert "Nearest: n" in failed(capsys, *ENOUGH, "--participants", "nn")
    assert "numbers only" in failed(capsys, *ENOUGH, "--participants", "study")
    assert "belong to --information-size" in failed(capsys, *ENOUGH[:4], "--participants", "n")
    text = failed(capsys, *ENOUGH, "--participants", "n", "--diversity", "1")
    assert "from 0 to below 1" in text


def test_hazards_say_which_way_they_went(tables: Path, capsys) -> None:
    text = run(capsys, "hazards", "printed.csv")
    assert "Alpha: HR 0.49" in text
    assert "p, events and sizes" in text
    found = json.loads(run(capsys, "hazards", "printed.csv", "--json"))
    assert found["pooled"]["k"] == 2


def test_hazards_name_the_row(tables: Path, capsys) -> None:
    (tables / "printed.csv").write_text(PRINTED.replace("0.84", "0.44"), encoding="utf-8")
    assert "printed.csv: row 2 (Alpha)" in failed(capsys, "hazards", "printed.csv")
