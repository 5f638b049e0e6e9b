from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from klarsyn.app.cli import main

QUANTILE = 1e-7  # relative; 1.959964 is the normal quantile to seven digits

TABLE = """study,e1,m1,e2,m2,year,arm
Aronson,4,119,11,128,1948,random
Ferguson,6,300,29,274,1949,random
Rosenthal,3,228,11,209,1960,random
Hart,62,13536,248,12619,1977,open
Frimodt,33,5036,47,5761,1973,open
Stein,180,1361,372,1079,1953,open
"""
COLUMNS = ["--measure", "RR", "--columns", "ai=e1,bi=m1,ci=e2,di=m2"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "trials.csv"
    path.write_text(TABLE, encoding="utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(args))
    except SystemExit as leave:
        code = int(leave.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_pool_prints_the_interface_as_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "pool", file, *COLUMNS, "--method", "DL", "--test", "z", "--json")
    made = json.loads(out)
    assert code == 0
    assert (made["k"], made["method"], made["df"]) == (6, "DL", None)
    assert [s["study"] for s in made["studies"]][:2] == ["Aronson", "Ferguson"]


def test_pool_prints_a_table_and_a_sentence(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "pool", file, *COLUMNS)
    assert code == 0
    assert "Aronson" in out
    assert "6 studies, REML, knha" in out


def test_pool_adds_what_is_asked_for(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--by", "arm", "--leave-one-out", "--cumulative", "year", "--influence"]
    code, out, _ = run(capsys, "pool", file, *COLUMNS, *more, "--json")
    made = json.loads(out)
    assert code == 0
    assert set(made["subgroups"]["groups"]) == {"open", "random"}
    assert len(made["leave_one_out"]) == len(made["influence"]) == 6
    assert made["cumulative"][0]["study"] == "Aronson"
    assert made["cumulative"][-1]["estimate"] == pytest.approx(made["estimate"])
    code, out, _ = run(capsys, "pool", file, *COLUMNS, *more)
    assert "by arm: difference p = " in out


def test_a_hazard_ratio_with_its_limits_enters_as_logarithms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hr.csv"
    path.write_text("study,hr,lower,upper\nDaly,0.49,0.29,0.84\n", encoding="utf-8")
    args = ("pool", str(path), "--measure", "HR", "--columns", "est=hr", "--json")
    code, out, _ = run(capsys, *args)
    made = json.loads(out)
    assert code == 0
    assert made["estimate"] == pytest.approx(math.log(0.49))
    assert made["se"] == pytest.approx(math.log(0.84 / 0.29) / (2 * 1.959964), rel=QUANTILE)


def test_excel_is_read_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import polars as pl

    path = tmp_path / "trials.xlsx"
    pl.DataFrame({"study": ["a", "b"], "yi": [0.1, 0.3], "vi": [0.2, 0.1]}).write_excel(path)
    code, out, _ = run(capsys, "pool", str(path), "--measure", "GEN", "--json")
    assert (code, json.loads(out)["k"]) == (0, 2)


def test_regress_names_its_coefficients(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "regress", file, *COLUMNS, "--moderators", "year,arm", "--json")
    made = json.loads(out)
    assert code == 0
    assert [c["name"] for c in made["coefficients"]] == ["intercept", "year", "arm=random"]
    code, out, _ = run(capsys, "regress", file, *COLUMNS, "--moderators", "arm")
    assert "tau2" in out


def test_regress_adds_what_is_asked_for(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("regress", file, *COLUMNS, "--moderators", "year", "--influence", "--leave-one-out")
    code, out, _ = run(capsys, *args, "--json")
    made = json.loads(out)
    assert code == 0
    assert [c["study"] for c in made["influence"]] == [c["study"] for c in made["leave_one_out"]]
    assert set(made["influence"][0]["dfbetas"]) == {"intercept", "year"}
    assert len(made["leave_one_out"][0]["coefficients"]) == 2
    code, out, _ = run(capsys, *args)
    assert "rstudent" in out
    assert "leave one out" in out
    code, _, err = run(capsys, *args, "--scale", "year")
    assert code == 2
    assert "without --scale" in err


def test_subsets_counts_them(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "subsets", file, *COLUMNS, "--json")
    assert (code, json.loads(out)["subsets"]) == (0, 63)
    code, out, _ = run(capsys, "subsets", file, *COLUMNS)
    assert "all 63 subsets" in out


@pytest.mark.parametrize(
    ("rows", "args", "sentence"),
    [
        ("a,0.1,0.2\nb,0.3,0\n", (), "b (row 3): the sampling variance is zero"),
        ("a,0.1,0.2\nb,,1\n", (), "b (row 3): its cell in column 'yi' (row 3) is empty"),
        ("a,0.1,0.2\nb,nan,1\n", (), "b (row 3): its cell in column 'yi' (row 3) is empty"),
        ("a,0.1,0.2\n", ("--add", "-1"), "`add` is 0 or more; -1 is not"),
        ("a,0.1,1e300\nb,0.2,2e300\n", (), "Express the effects in another unit"),
        ("a,0.1,0.2\nb,x,1\n", (), "row 3, column 'yi': 'x' is not a number"),
        ("", (), "0 rows below its header"),
        ("a,0.1,0.2\n", ("--method", "REM"), "Nearest: REML"),
        ("a,0.1,0.2\n", ("--columns", "yi"), "is not role=column"),
        ("a,0.1,0.2\n", ("--columns", "y1=yi"), "is not a known role"),
        ("a,0.1,0.2\n", ("--columns", "yi=effect"), "no column 'effect'"),
    ],
)
def test_bad_tables_are_one_sentence_and_exit_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: str,
    args: tuple[str, ...],
    sentence: str,
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("study,yi,vi\n" + rows, encoding="utf-8")
    code, out, err = run(capsys, "pool", str(path), "--measure", "GEN", *args)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_zero_cells_without_a_correction_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("study,ai,n1i,ci,n2i\nX,0,20,1,20\nY,1,10,3,10\n", encoding="utf-8")
    code, _, err = run(capsys, "pool", str(path), "--measure", "OR", "--to", "none")
    assert code == 2
    assert "X (row 2): the effect is not estimable" in err
    code, out, _ = run(capsys, "pool", str(path), "--measure", "OR", "--json")
    names = [w["name"] for w in json.loads(out)["warnings"]]
    assert code == 0
    assert {"few_studies", "sparse"} <= set(names)


def test_one_study_has_a_named_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yi,vi\n0.3,0.04\n", encoding="utf-8")
    code, out, _ = run(capsys, "pool", str(path), "--measure", "GEN", "--json")
    made = json.loads(out)
    assert (code, made["status"], made["tau2"]) == (0, "too_few_studies", None)
