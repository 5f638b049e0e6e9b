"""The rare-harm examples of method_examples.csv that pool trials."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from meta_rows import data

from klarsyn.synthesis import rare

HERE = Path(__file__).parent
# These ask how many patients exclude a rate, which pools nothing.
ELSEWHERE = {"zero_events_two_sided", "rule_of_three", "patients_to_exclude_rate"}
STRESS = "metafor_issue45_stress"


def examples() -> list[dict[str, str]]:
    with (HERE / "method_examples.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["method"] == "7_rare_harms"]
    return [r for r in rows if r["example_id"] not in ELSEWHERE]


def fixture(name: str) -> rare.Counts:
    d = data(name.removesuffix(".csv"))
    names = [str(i) for i in range(len(d["ai"]))]
    return rare.count_table(names, d["ai"], d["n1i"], d["ci"], d["n2i"])


def stress() -> rare.Counts:
    row = next(r for r in examples() if r["example_id"] == STRESS and "ai" in r["inputs_json"])
    d = json.loads(row["inputs_json"])
    return rare.count_table([str(i) for i in range(10)], d["ai"], d["n1"], d["ci"], d["n2"])


def computed(example: str, quantity: str, inputs: dict) -> float:
    if example == STRESS:
        if inputs.get("model", "").startswith("CM.EL"):
            fit = rare.fit_glmm(stress(), "CM.EL")
        else:
            fit = rare.pool_rare(stress(), ["MH OR"]).fits[0]
    elif example.startswith("stijnen2010"):
        fit = rare.fit_glmm(fixture(inputs["fixture"]), example.split("_")[1])
    else:
        method = "MH OR" if example.endswith("MH") else "Peto"
        fit = rare.pool_rare(fixture(inputs["fixture"]), [method]).fits[0]
    assert fit.estimate is not None
    low, high = fit.estimate.interval()
    if quantity == "tau":
        assert fit.tau2 is not None
        return math.sqrt(fit.tau2)
    if "SE" in quantity:
        return fit.estimate.se
    if "log OR" in quantity:
        return fit.estimate.value
    word = quantity.split()[-1]
    return math.exp({"lower": low, "upper": high, "OR": fit.estimate.value}[word])


@pytest.mark.parametrize("row", examples(), ids=lambda r: f"{r['example_id']}-{r['quantity']}")
def test_the_example_is_reproduced(row: dict[str, str]) -> None:
    got = computed(row["example_id"], row["quantity"], json.loads(row["inputs_json"]))
    assert got == pytest.approx(float(row["value"]), abs=float(row["tolerance"]))


def test_the_stress_data_of_metafor_issue_45_have_a_sane_answer() -> None:
    """Trap T7: log OR −0.162 with SE 0.196, where CM.EL of metafor gives SE 0.0001 or fails."""
    fit = rare.fit_glmm(stress(), "CM.EL")
    assert fit.estimate is not None
    assert round(fit.estimate.value, 3) == -0.162
    assert round(fit.estimate.se, 3) == 0.196
    assert fit.boundary
    assert rare.BOUNDARY in fit.notes
