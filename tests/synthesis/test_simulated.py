"""The numbers that cautions quote are those of the tables in validation/."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from klarsyn.synthesis import simulated as seen

QUOTED = 0.06  # half the last digit quoted, and errors printed with three decimals

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


def normal(keep: Callable[[Row], bool]) -> list[Row]:
    return rows("pairwise/results.csv", lambda r: r["data"] == "normal" and keep(r))


def test_intervals_of_normal_effects() -> None:
    for k, lowest in seen.NORMAL_INTERVAL.items():
        z = normal(lambda r, k=k: (r["k"], r["target"], r["test"]) == (str(k), "mean", "z"))
        assert percent(z)[0] == lowest
    beside = normal(
        lambda r: (
            (r["target"], r["test"], r["shape"]) == ("mean", "knha", "unequal")
            and int(r["k"]) <= 10
            and r["verdict"] == "liberal"
        )
    )
    assert percent(beside) == seen.BESIDE_DOMINANT
    small = normal(lambda r: r["target"] == "prediction" and r["ratio"] in ("0.25", "1.0"))
    assert percent(small) == seen.NEXT_STUDY


def test_a_network_of_twelve_trials() -> None:
    page = (TABLES / "dependent" / "README.md").read_text(encoding="utf-8")
    (line,) = [x for x in page.splitlines() if x.startswith("| 12 trials")]
    coverages = [float(cell) for cell in line.split("|")[2:5]]
    assert round(min(coverages)) == seen.NETWORK_OF_12


def test_tests_of_asymmetry_where_studies_differ() -> None:
    def alarms(names: tuple[str, ...], keep: Callable[[Row], bool]) -> tuple[int, int]:
        return percent(
            rows(
                "selection/tests.csv",
                lambda r: r["tau2"] == "0.1" and r["test"] in names and keep(r),
            ),
            "type_1_error",
        )

    assert alarms(("Begg–Mazumdar",), lambda r: True) == seen.RANK
    mixed = ("Egger, mixed", "Thompson–Sharp")
    assert alarms(mixed, lambda r: r["k"] == "10" or r["world"] != "normal") == seen.MIXED


def test_the_step_model_under_its_own_selection() -> None:
    found = rows(
        "selection/models.csv",
        lambda r: r["method"] == "step model" and r["tau2"] == "0.1" and r["selection"] != "smooth",
    )
    assert percent(found) == seen.STEP_OWN


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


def test_peto_where_effects_differ() -> None:
    found = rows("rare/results.csv", lambda r: r["method"] == "Peto" and r["tau"] == "0.4")
    assert percent(found) == seen.PETO_DIFFERING


@pytest.mark.parametrize("name", list(seen.GLMM_DIFFERING))
def test_mixed_models_of_counts(name: str) -> None:
    own = rows("rare/models.csv", lambda r: r["method"] == name)
    alike = [r for r in own if r["tau"] == "0.0"]
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
    assert ratios == pytest.approx(seen.PET_ERROR, abs=QUOTED)


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


def test_priors_below_the_truth() -> None:
    def covered(part: str, most: int) -> tuple[int, int]:
        found = rows(
            "bayes/coverage.csv",
            lambda r: r["prior"] == "half-normal 0.5" and r["tau2"] == "0.5" and r["part"] == part
            and int(r["k"]) <= most,
        )  # fmt: skip
        return percent(found, "coverage_95")

    assert covered("mu", 10) == seen.PRIOR_TOO_NARROW_MEAN
    assert covered("new_study", 20) == seen.PRIOR_TOO_NARROW_NEW
