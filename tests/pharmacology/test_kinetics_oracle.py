"""Every row of two kinetics oracles: the given one and one of odd cases (docs/oracles.md).

The first is 40-digit exponentials and DOP853 at 3e-14, confirmed by mrgsolve and rxode2. The second
is 40-digit exponentials with every past dose given one by one, closed forms (Lambert W, tanh) and
28-digit extrapolation.
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORACLE = ROOT / "tests" / "oracles" / "kinetics.csv"
MORE = ROOT / "tests" / "oracles" / "kinetics_more.csv"
CASES, MORE_CASES = 10, 34
ROWS, MORE_ROWS = 275, 610


def _runner():
    spec = importlib.util.spec_from_file_location(
        "kinetics_run", ROOT / "validation" / "kinetics" / "run.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()
CASE_LIST = RUNNER.read_cases(ORACLE)


MORE_LIST = RUNNER.read_cases(MORE)


@pytest.mark.parametrize("case", [*CASE_LIST, *MORE_LIST], ids=lambda c: c.case_id)
def test_a_case_agrees_with_the_oracle(case) -> None:
    outcome = RUNNER.judge(case)
    assert outcome.passes, f"{outcome.worst:.2e} at {outcome.at}"


@pytest.mark.parametrize(
    ("path", "cases", "count", "rows"),
    [(ORACLE, CASE_LIST, CASES, ROWS), (MORE, MORE_LIST, MORE_CASES, MORE_ROWS)],
    ids=["given", "more"],
)
def test_no_case_and_no_row_of_an_oracle_is_left_out(path, cases, count, rows) -> None:
    with path.open(newline="") as file:
        written = [row["case_id"] for row in csv.DictReader(file)]
    assert {c.case_id for c in cases} == set(written)
    assert len(cases) == count
    assert sum(len(c.rows) for c in cases) == len(written) == rows


def test_the_runner_says_so_when_a_value_is_wrong(tmp_path, capsys) -> None:
    lines = ORACLE.read_text().splitlines(keepends=True)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(lines[0] + lines[1].replace("1.95061982405667", "1.95061982"))
    assert RUNNER.main([str(wrong)]) == 1
    assert "FAILS" in capsys.readouterr().out


def test_the_runner_refuses_a_key_it_does_not_read(tmp_path, capsys) -> None:
    text = ORACLE.read_text().splitlines(keepends=True)
    odd = tmp_path / "odd.csv"
    odd.write_text(text[0] + text[1].replace('""desc""', '""weather""'))
    assert RUNNER.main([str(odd)]) == 2
    assert "'weather', which is not read" in capsys.readouterr().err
