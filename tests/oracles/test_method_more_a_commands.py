"""The same numbers through the commands: a small table in, JSON out, the row of the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_method_more_a import rows

from klarsyn.app.cli import main

ARITHMETIC = 1e-9  # JSON carries every digit; the oracle's own tolerance is added

PLAIN = """trial,arm,role,correct,wrong,dont_know
T,drug,active,30,9,11
T,placebo,control,25,12,14
"""
FIVE = """trial,arm,role,correct,wrong,dont_know,somewhat_correct,somewhat_wrong
T,drug,active,14,3,6,9,5
T,placebo,control,4,4,4,4,4
"""
PERCENT = """trial,arm,role,percent_correct,total,denominator
T,drug,active,36.8,38,all
"""
SIX = """received,guessed,n,mean,sd
active,active,9,12.5,8
active,control,5,21,9
control,active,8,14.25,7
control,control,5,23,10
active,unknown,5,17,6
control,unknown,6,19.5,11
"""
EFFECT = """trial,effect,lower,upper,bang_active,bang_control,unknown_active,unknown_control
T,-6,-8.93994597681008,-3.06005402318992,0.5,0.5,0.1,0.1
"""
CONTROLS = """trial,group,control_change,control_sd,control_n
T,asked,2.0,6.7,26
"""
EVENTS = """study,treated_events,treated_observed,treated_missing,control_events,control_observed,\
control_missing
0,29,47,22,20,34,34
"""
MEANS = """study,treated_mean,treated_sd,treated_observed,treated_missing,control_mean,control_sd,\
control_observed,control_missing
0,-14.2,8.1,44,9,-9.7,7.5,41,15
"""
REFUSALS = """name,new_events,new_total,reference_events,reference_total,new_refused,\
reference_refused
T,108,195,70,170,5,33
"""
AGGREGATES = """study,difference,lower,upper,treated_began,treated_seen,control_began,control_seen
T,-6.0,-8.9,-3.1,121,89,250,185
"""
SETS = """name,new_events,new_total,reference_events,reference_total
T,7,25,2,25
"""

# command with its file, the table, the way to the number, the oracle's row
CASES: list[tuple[str, str, tuple[Any, ...], tuple[str, str, str, dict[str, Any]]]] = [
    ("blinding", PLAIN, ("trials", 0, "arms", 0, "index", "value"),
     ("1_blinding_indices", "plain", "Bang BI active", {})),
    ("blinding", PLAIN, ("trials", 0, "james", "se"),
     ("1_blinding_indices", "plain", "James SE", {})),
    ("blinding", PLAIN, ("trials", 0, "sbi_interval", 1),
     ("1_blinding_indices", "plain", "SBI upper", {})),
    ("blinding", PLAIN, ("trials", 0, "sbi_p"), ("1_blinding_indices", "plain", "SBI p", {})),
    ("blinding", PLAIN, ("trials", 0, "kappa", "value"),
     ("1_blinding_indices", "plain", "kappa", {})),
    ("blinding --somewhat-weight 0.25", FIVE, ("trials", 0, "arms", 0, "index", "se"),
     ("1_bang_arm", "five_quarter", "se", {})),
    ("blinding", PERCENT, ("bounds", 0, "index", 0),
     ("1_percent_correct", "36.8_of_38", "lowest index", {})),
    ("unblinding --timing unknown", SIX, (0, "readings", "at_half_right_guesses", "value"),
     ("2_CGRC", "six", "Delta(c)", {"c": 0.5})),
    ("unblinding --timing unknown", SIX, (0, "readings", "at_half_right_guesses", "se"),
     ("2_CGRC", "six", "SE, weights sampled", {"rho": 0.0})),
    ("unblinding --timing unknown", SIX, (0, "readings", "by_benign_share", 1, "value"),
     ("2_CGRC", "six", "Delta at benign share", {"rho": 0.25})),
    ("unblinding --threshold 0", EFFECT, (0, "at_limit"),
     ("2_tipping", "plain", "limit falls at", {})),
    ("unblinding --threshold -2", EFFECT, (0, "at_estimate"),
     ("2_tipping", "relevance", "estimate falls at", {})),
    ("unblinding --usual-mean 1,0.05,0.02", CONTROLS, (0, "control"),
     ("2_standardised_change", "n26", "SMCC", {})),
    ("missing --event good --measure OR --imor 3,0.25", EVENTS, (0, "y", 0),
     ("4_IMOR", "beasley", "effect", {"imor": [3, 0.25], "measure": "OR"})),
    ("missing --event good --imor 2,1 --sd 0.5,1.5 --correlation 0.6", EVENTS, (0, "v", 0),
     ("4_IMOR_uncertain", "beasley", "variance", {"sd": [0.5, 1.5], "measure": "RR"})),
    ("missing --difference -2,3 --sd 1,2 --correlation 0.7", MEANS, (0, "v", 0),
     ("4_IMDoM", "plain", "variance", {"parameter": [-2, 3], "correlation": 0.7})),
    ("missing --ratio 0.8,1.2", MEANS, (0, "y", 0),
     ("4_IMDoM", "plain", "effect", {"parameter": [0.8, 1.2]})),
    ("missing --threshold 0", MEANS, (0, "delta"),
     ("4_tipping_delta", "treated_0", "delta", {})),
    ("missing", AGGREGATES, (0, "jump", "value"), ("4_aggregate_J2R", "-6", "difference", {})),
    ("missing --margin 0.1", REFUSALS, (0, "superiority_lost_from"),
     ("5_refusals", "elektd", "superiority lost from", {})),
    ("noninferiority --margin 0.1 --basis given", SETS, ("sets", 0, "z"),
     ("5_noninferiority", "gart_nam", "FM z", {"null_difference": -0.1})),
    ("noninferiority --margin 0.1 --basis given --interval mee", SETS, ("sets", 0, "interval", 0),
     ("5_noninferiority", "printed_gart_nam", "lower", {})),
]  # fmt: skip


def expected(
    method: str, example: str, quantity: str, given: dict[str, Any]
) -> tuple[float, float]:
    (row,) = [
        r
        for r in rows()
        if (r["method"], r["example_id"], r["quantity"]) == (method, example, quantity)
        and json.loads(r["inputs_json"]).items() >= given.items()
    ]
    tolerance = 0.0 if row["tolerance"] == "exact" else float(row["tolerance"])
    return float(row["value"]), tolerance + ARITHMETIC


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[3][2]}")
def test_the_command_prints_the_number(
    case: tuple[str, str, tuple[Any, ...], tuple[str, str, str, dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line, table, way, row = case
    name, *options = line.split()
    file = tmp_path / "table.csv"
    file.write_text(table, encoding="utf-8")
    main([name, str(file), *options, "--json"])
    found = json.loads(capsys.readouterr().out)
    for step in way:
        found = found[step]
    value, tolerance = expected(*row)
    assert found == pytest.approx(value, abs=tolerance)
