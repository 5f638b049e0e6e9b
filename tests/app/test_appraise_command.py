from __future__ import annotations

import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

from ..evidence.small import small, write_base


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["appraise", *argv])
    err = capsys.readouterr().err
    assert left.value.code == 2
    assert "Traceback" not in err
    return err


def test_a_user_s_own_folder_becomes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_base(tmp_path / "mine", small())
    main(["appraise", str(folder), "--out", str(tmp_path / "out")])
    assert "not medical advice" in capsys.readouterr().out
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8").startswith("<!DOCTYPE")
    assert "results" in json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))


def test_json_prints_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_base(tmp_path / "mine", small())
    main(["appraise", str(folder), "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(capsys.readouterr().out)["notice"].startswith("Research synthesis")


def test_an_unknown_base_gets_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    err = fails(capsys, "ketamin_depression", "--out", str(tmp_path / "out"))
    assert "ketamine_depression" in err
    assert not (tmp_path / "out").exists()


def test_a_broken_base_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = small()
    tables["findings"][0]["value"] = "many"
    folder = write_base(tmp_path / "broken", tables)
    err = fails(capsys, str(folder), "--out", str(tmp_path / "out"))
    assert "findings.csv" in err
    assert "'many'" in err
    assert not (tmp_path / "out").exists()


def test_an_output_place_that_is_a_file_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_base(tmp_path / "mine", small())
    (tmp_path / "taken").write_text("x")
    assert "cannot write there" in fails(capsys, str(folder), "--out", str(tmp_path / "taken"))


def test_an_unknown_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["apraise"])
    assert left.value.code == 2
    assert "appraise" in capsys.readouterr().err
