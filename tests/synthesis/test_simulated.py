"""The numbers that cautions quote are those of the tables in validation/."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from klarsyn.synthesis import simulated as seen

TABLES = Path(__file__).parents[2] / "validation"
Row = dict[str, str]


def rows(name: str, keep: Callable[[Row], bool]) -> list[Row]:
    with (TABLES / name).open(encoding="utf-8") as file:
        found = [r for r in csv.DictReader(file) if keep(r)]
    assert found
    return found


def percent(found: list[Row], column: str = "coverage") -> tuple[int, int]:
    """Lowest and highest, rounded half up as a reader would."""
    values = [int(100 * abs(float(r[column])) + 0.5) for r in found]
    return min(values), max(values)


def measure(name: str, keep: Callable[[Row], bool]) -> list[Row]:
    return rows("pairwise/measures.csv", lambda r: r["measure"] in name.split() and keep(r))


def test_corrected_ratios() -> None:
    at = {
        risk: measure("OR RR IRR", lambda r, x=risk: r["risk"] == x and r["test"] == "knha")
        for risk in ("0.01", "0.05")
    }
    assert percent(at["0.01"], "bias") == seen.SPARSE_BIAS
    assert percent(at["0.01"]) == seen.SPARSE_COVERAGE
    assert percent(at["0.05"]) == seen.SPARSE_COVERAGE_5
    toward = {(r["arms"], float(r["bias"]) > 0) for r in at["0.01"]}
    assert toward == {("1:1", True), ("4:1", False)}


def test_risk_differences() -> None:
    found = measure(
        "RD", lambda r: r["risk"] != "0.3" and r["arms"] == "4:1" and r["test"] == "knha"
    )
    assert percent(found) == seen.DIFFERENCE_COVERAGE
    assert percent(found, "bias")[1] == seen.DIFFERENCE_BIAS


@pytest.mark.parametrize("name", ["OR", "RR", "IRR", "RD"])
def test_mantel_haenszel_where_effects_differ(name: str) -> None:
    found = measure(name, lambda r: r["test"] == "MH" and r["spread"] != "0.0")
    assert percent(found) == seen.MANTEL_HAENSZEL[name]


@pytest.mark.parametrize("name", list(seen.GLMM_ALIKE))
def test_mixed_models_of_counts(name: str) -> None:
    own = rows("rare/models.csv", lambda r: r["method"] == name)
    alike = [r for r in own if r["tau"] == "0.0"]
    assert percent(alike) == seen.GLMM_ALIKE[name]
    assert percent([r for r in own if r["tau"] != "0.0"]) == seen.GLMM_DIFFERING[name]
    if name == "CM.AL":
        frequent = [r for r in alike if r["control_risk"] == "0.1"]
        assert percent(frequent) == seen.APPROXIMATE_AT_10


def test_the_bias_of_few_events() -> None:
    found = rows("rare/models.csv", lambda r: True)
    worst = max(found, key=lambda r: float(r["median_bias"]))
    assert (worst["trials"], worst["arms"], worst["control_risk"]) == ("3", "1:4", "0.01")
    assert round(float(worst["median_bias"]), 2) == seen.FEW_EVENTS_BIAS


@pytest.mark.parametrize("name", list(seen.HALVED))
def test_adjusted_means(name: str) -> None:
    own = rows("selection/adjusted.csv", lambda r: r["method"].startswith(name))
    if name == "PET-PEESE":
        own = [r for r in own if r["method"] == name]
    differing = [r for r in own if r["tau2"] != "0.0"]
    quiet = [r for r in differing if r["selection"] == "none"]
    assert percent(quiet) == seen.UNSELECTED_HETEROGENEOUS[name]
    chosen = [r for r in differing if r["selection"] != "none"]
    assert percent(chosen) == seen.SELECTED_HETEROGENEOUS[name]
    counted = []
    for same in (True, False):
        asked = [r["helps"] for r in own if r["helps"] and (r["tau2"] == "0.0") == same]
        counted.append((asked.count("True"), len(asked)))
    assert tuple(counted) == seen.HALVED[name]


def test_the_error_of_pet_peese_with_few_studies() -> None:
    def error(k: str, method: str) -> float:
        found = rows(
            "selection/adjusted.csv",
            lambda r: (
                (r["selection"], r["tau2"], r["mu"], r["k"], r["method"])
                == ("none", "0.0", "0.0", k, method)
            ),
        )
        return float(found[0]["error"])

    ratios = [error(k, "PET-PEESE") / error(k, "REML, unadjusted") for k in ("3", "5")]
    assert [round(r, 1) for r in ratios] == pytest.approx(seen.PET_ERROR, abs=0.11)


def test_smooth_selection_models() -> None:
    for world, quoted in (
        ("none", seen.SMOOTH_UNSELECTED),
        ("own", seen.SMOOTH_OWN),
        ("step", seen.SMOOTH_STEP),
    ):
        found = rows(
            "selection/smooth.csv", lambda r, w=world: r["selection"] == w and r["tau2"] == "0.1"
        )
        assert percent(found) == quoted


def test_tests_of_asymmetry_on_counts() -> None:
    def alarms(names: tuple[str, ...], ratios: tuple[str, ...]) -> tuple[int, int]:
        found = rows(
            "selection/counts.csv",
            lambda r: r["test"] in names and r["odds_ratio"] in ratios,
        )
        return percent(found, "type_1_error")

    assert alarms(("Egger lm on sei",), ("0.4",)) == seen.EGGER_ON_ODDS
    assert alarms(("Harbord", "Peters", "Deeks"), ("0.4", "1.0")) == seen.MADE_FOR_COUNTS
    assert alarms(("Macaskill",), ("0.4",)) == seen.MACASKILL
