"""The mixed model for repeated measures and imputation from a reference arm."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from klarsyn.bias.reference_based import (
    VisitMeans,
    dropout_on_aggregates,
    jump_to_reference_approximation,
    reference_based,
    tipping_grid,
)
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.longitudinal import (
    STRATEGIES,
    fill,
    imputed_difference,
    mean_after_dropout,
    strategy_losses,
)

# R 4.2.2, nlme 3.1.162, from repeated_measures.R beside this file.
R_NLME = {
    "missing_at_random": -4.006384552,
    "jump_to_reference": -2.725962345,
    "copy_reference": -2.929374437,
    "copy_increments": -3.123759026,
    "last_mean_carried_forward": -2.150145593,
}
OPTIMISER = 2e-6  # two optimisers of one flat likelihood; β moves by its square root
ARITHMETIC = 1e-12
SHARE = 0.02  # the dropout is printed to a percent: 2.8 × 0.005, and the baseline's adjustment
OWN, REFERENCE = np.array([-3.0, -6.0, -8.0]), np.array([-2.0, -3.0, -4.0])
COVARIANCE = np.array([[16.0, 10, 8], [10, 25, 15], [8, 15, 36]])


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with (Path(__file__).parent / "repeated_measures.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    y = np.array([[float(r[f"visit{t}"] or "nan") for t in range(1, 5)] for r in table])
    return (
        y,
        np.array([r["treated"] == "1" for r in table]),
        np.array([float(r["baseline"]) for r in table]),
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_imputed_differences_are_those_of_r(strategy: str) -> None:
    assert imputed_difference(*data(), strategy) == pytest.approx(R_NLME[strategy], abs=OPTIMISER)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("missing_at_random", [-3, -6, -8]),
        ("jump_to_reference", [-3, -3, -4]),
        ("copy_reference", [-2, -3, -4]),
        ("copy_increments", [-3, -4, -5]),
        ("last_mean_carried_forward", [-3, -3, -3]),
    ],
)
def test_the_mean_after_dropout_by_hand(strategy: str, expected: list[float]) -> None:
    assert mean_after_dropout(OWN, REFERENCE, 1, strategy).tolist() == expected


def test_a_conditional_mean_by_hand() -> None:
    row = fill(np.array([-1.0, np.nan]), np.array([-3.0, -6.0]), np.array([[4.0, 2], [2, 9]]))
    assert row.tolist() == [-1.0, -5.0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_aggregate_losses_are_those_of_individual_imputation(strategy: str) -> None:
    losses, _, _ = strategy_losses(OWN, REFERENCE, COVARIANCE, strategy)
    for k in range(3):
        row = np.full(3, np.nan)
        row[:k] = [-1.7, -9.2][:k]
        at_random = fill(row, OWN, COVARIANCE)[-1]
        imputed = fill(row, mean_after_dropout(OWN, REFERENCE, k, strategy), COVARIANCE)[-1]
        assert losses[k] == pytest.approx(at_random - imputed, abs=ARITHMETIC)


def trial(treated: tuple[int, ...] = (2, 5, 8, 45), **more: float) -> VisitMeans:
    return VisitMeans(
        treated=tuple(OWN),
        control=tuple(REFERENCE),
        covariance=tuple(map(tuple, COVARIANCE)),
        treated_last_seen=treated,
        control_last_seen=(3, 4, 6, 47),
        **more,  # pyright: ignore[reportArgumentType]
    )


def test_without_dropouts_every_strategy_is_the_observed_difference() -> None:
    for strategy in STRATEGIES:
        found = reference_based(
            trial((0, 0, 0, 60)), strategy, control_dropouts="missing_at_random"
        )
        assert found.difference.value == pytest.approx(-4.0, abs=ARITHMETIC)
        assert found.tipping_delta is None


def test_jump_to_reference_keeps_the_share_that_stayed() -> None:
    found = reference_based(trial(), "jump_to_reference", control_dropouts="missing_at_random")
    assert found.difference.value == pytest.approx(-4.0 * 45 / 60, abs=ARITHMETIC)


def test_disappointed_controls_without_change_widen_the_difference() -> None:
    at_random, no_change = (
        reference_based(trial(), "jump_to_reference", control_dropouts=c).difference.value
        for c in ("missing_at_random", "no_change")
    )
    assert no_change - at_random == pytest.approx(-4.0 * 13 / 60, abs=ARITHMETIC)


def test_the_tipping_delta_brings_the_limit_to_zero() -> None:
    found = reference_based(trial(), "missing_at_random", control_dropouts="missing_at_random")
    assert found.tipping_delta is not None
    moved = found.interval[1] + found.tipping_delta * found.treated_dropout
    assert moved == pytest.approx(0.0, abs=ARITHMETIC)
    grid = tipping_grid(trial(), "missing_at_random", [0.0, found.tipping_delta], [0.0])
    assert grid[0].high < 0 < grid[1].high  # the grid adds who leaves as a chance event


def test_a_reported_standard_error_is_kept_under_missing_at_random() -> None:
    found = reference_based(
        trial(se=1.3), "missing_at_random", control_dropouts="missing_at_random"
    )
    assert found.difference.se == pytest.approx(1.3, abs=ARITHMETIC)


def test_the_published_antidepressant_example_follows_from_its_dropout() -> None:
    # method_examples.csv: at random -2.801834, jump to reference -2.12558; 24 % left the drug arm.
    # The 24 % is of the drug arm, and the example adjusted for baseline.
    got = jump_to_reference_approximation(Estimate(value=-2.801834, se=1.1, method=""), 0.24)
    assert got.value == pytest.approx(-2.12558, abs=SHARE)


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="jump_to_reference"):
        reference_based(trial(), "jump_to_referense", control_dropouts="missing_at_random")


def test_a_covariance_that_no_patient_could_have_is_refused() -> None:
    with pytest.raises(InputError, match="not positive definite"):
        VisitMeans(
            treated=(1.0, 2.0),
            control=(0.0, 0.0),
            covariance=((1.0, 2.0), (2.0, 1.0)),
            treated_last_seen=(0, 0, 9),
            control_last_seen=(0, 0, 9),
        )


def seen(value: float = -6.0, se: float = 1.5) -> Estimate:
    return Estimate(value=value, se=se, method="seen")


def test_where_nobody_left_the_jump_changes_nothing():
    found = dropout_on_aggregates("A", seen(), treated=(90, 90), control=(90, 80))
    assert (found.jump.value, found.jump.se, found.tipping_delta) == (-6.0, 1.5, None)


def test_on_aggregates_the_tipping_delta_brings_the_limit_to_zero():
    """Shifting a fifth of the treated by δ moves the difference by δ/5: the limit then is 0."""
    found = dropout_on_aggregates("A", seen(), treated=(100, 80), control=(100, 90))
    assert found.tipping_delta is not None
    high = seen().interval()[1]
    assert high + 0.2 * found.tipping_delta == pytest.approx(0.0, abs=ARITHMETIC)
    assert found.jump.value == pytest.approx(0.8 * -6.0)


def test_an_interval_that_holds_zero_has_nothing_to_tip():
    found = dropout_on_aggregates("A", seen(-1.0), treated=(100, 80), control=(100, 90))
    assert found.tipping_delta is None
    assert "holds 0 already" in found.summary()


def test_more_seen_than_began_is_named():
    with pytest.raises(InputError, match="A: 101 of the 100 treated patients seen"):
        dropout_on_aggregates("A", seen(), treated=(100, 101), control=(100, 90))
