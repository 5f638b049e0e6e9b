"""The sanity-check rows of the method examples (scrutiny 0.6, rsprite2, statcheck, simdistr)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klarsyn.stats.granularity import debit, grim, grimmer, sd_limits
from klarsyn.stats.reported_tests import ReportedTest, p_interval, read_test_results, recompute
from klarsyn.stats.rounding import overlap, printed
from klarsyn.stats.sanity import similarity, simulated_similarity, stouffer

FOURTH_DECIMAL = 6e-5

ORACLE = Path(__file__).parents[1] / "oracles" / "method_examples.csv"
LINES = ORACLE.read_text(encoding="utf-8").splitlines()
ROWS = [r for r in csv.DictReader(LINES) if r["method"].startswith("10_")]


def _letters(values: list[bool | None]) -> str:
    return "".join("T" if v else "F" for v in values)


def _grim(i: dict[str, Any], quantity: str) -> object:
    items = i.get("items", 1)
    if "means" in i:
        return _letters([grim(m, i["n"], items=items).possible for m in i["means"]])
    return grim(i["mean"], i["n"], items=items).possible


def _grimmer(i: dict[str, Any], quantity: str) -> object:
    bounds = {k: i[k] for k in ("minimum", "maximum", "items") if k in i}
    if "pairs" in i:
        return _letters([grimmer(m, s, i["n"], **bounds).possible for m, s in i["pairs"]])
    return grimmer(i["mean"], i["sd"], i["n"], **bounds).possible


def _sprite(i: dict[str, Any], quantity: str) -> object:
    return sd_limits(str(i["mean"]), i["n"], i["min"], i["max"])[1 if "max" in quantity else 0]


def _debit(i: dict[str, Any], quantity: str) -> object:
    if "pairs" in i:
        return _letters([debit(m, s, i["n"]).possible for m, s in i["pairs"]])
    return debit(i["mean"], i["sd"], i["n"]).possible


def _statcheck(i: dict[str, Any], quantity: str) -> object:
    if "t_rounding_interval" in i:
        (result,) = read_test_results("t(10) = 3, p = .009")
        low, high = i["t_rounding_interval"]
        assert (float(result.value.lower), float(result.value.upper)) == (low, high)
        return not recompute(result).consistent
    (result,) = read_test_results(i["text"])
    found = recompute(result)
    if "decision" in quantity:
        return found.decision_error
    if "one" in quantity and "tail" in quantity:
        return found.one_sided
    return not found.consistent if "error" in quantity else found.p


def _carlisle(i: dict[str, Any], quantity: str) -> object:
    return stouffer(i["p"]) if "p" in i else similarity(i["n"], i["mean"], i["sd"])


METHODS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "10_GRIM": _grim,
    "10_GRIMMER": _grimmer,
    "10_DEBIT": _debit,
    "10_SPRITE": _sprite,
    "10_statcheck": _statcheck,
    "10_Carlisle": _carlisle,
}


@pytest.mark.parametrize("row", ROWS, ids=[f"{r['example_id']}-{r['quantity']}" for r in ROWS])
def test_the_printed_example_is_reproduced(row: dict[str, str]) -> None:
    found = METHODS[row["method"]](json.loads(row["inputs_json"]), row["quantity"])
    if row["tolerance"] == "exact":
        assert str(found) == row["value"]
    else:
        assert found == pytest.approx(float(row["value"]), abs=float(row["tolerance"]), rel=0)


def test_every_sanity_row_is_covered() -> None:
    assert len(ROWS) >= 27
    assert {r["method"] for r in ROWS} == set(METHODS)


def test_the_witness_of_the_false_alarm_has_the_printed_mean_and_sd() -> None:
    """Trap T5: scrutiny 0.6 calls 8.9 (2.81), n = 25 impossible."""
    (row,) = [r for r in ROWS if "false_positive" in r["example_id"]]
    given = json.loads(row["inputs_json"])
    sample = given["witness_sample"]
    total, squares = sum(sample), sum(x * x for x in sample)
    sd = ((squares - total**2 / 25) / 24) ** 0.5
    assert len(sample) == 25
    assert overlap((total / 25,) * 2, (8.85, 8.95))
    assert overlap((sd, sd), (2.805, 2.815))
    found = grimmer("8.9", "2.81", 25, minimum=0, maximum=60)
    assert found.possible
    assert found.total is not None
    assert found.squares is not None
    assert 8.85 <= found.total / 25 <= 8.95


def test_monte_carlo_with_rounding_agrees_with_simdistr() -> None:
    """simdistr's own Monte Carlo error at 5,000 draws is about 0.007 (two standard errors)."""
    for row in ROWS:
        given = json.loads(row["inputs_json"])
        if row["method"] == "10_Carlisle" and "mean" in given:
            p = simulated_similarity(**given, decimals=1, draws=20_000, seed=1)
            assert p == pytest.approx(float(row["value"]), abs=float(row["tolerance"]))


def test_a_statistic_beyond_a_bound_gives_every_p_beyond_it() -> None:
    result = ReportedTest(test="chi2", value=printed("4"), df1=1, relation=">", p=printed("0.05"))
    low, high = p_interval(result)
    assert low == 0
    assert high == pytest.approx(0.0614, abs=FOURTH_DECIMAL)  # from 3.5 upwards
