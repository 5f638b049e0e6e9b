"""Arms of one study against its first arm, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.stats.network_arms import arm_contrasts

EXACT = 1e-13  # relative; a handful of roundings
ADD = 0.5


def contrasts(measure: str, **values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return arm_contrasts(measure, {k: np.array(v, float) for k, v in values.items()}, ADD)


@pytest.mark.parametrize(
    ("measure", "effect", "variance"),
    [
        ("OR", math.log(4), 1 / 2 + 1 / 8 + 1 / 5 + 1 / 5),
        ("RR", math.log(2.5), 1 / 2 - 1 / 10 + 1 / 5 - 1 / 10),
        ("RD", 0.3, 0.2 * 0.8 / 10 + 0.5 * 0.5 / 10),
    ],
)
def test_counts_of_two_arms(measure: str, effect: float, variance: float) -> None:
    found, covariance = contrasts(measure, events=[2, 5], n=[10, 10])
    assert found == pytest.approx([effect], rel=EXACT)
    assert covariance == pytest.approx(np.array([[variance]]), rel=EXACT)


def test_three_arms_share_the_variance_of_the_first() -> None:
    found, covariance = contrasts("MD", mean=[1, 3, 6], sd=[2, 4, 2], n=[4, 16, 2])
    assert found == pytest.approx([2, 5], rel=EXACT)
    assert covariance == pytest.approx(np.array([[1 + 1, 1], [1, 1 + 2]]), rel=EXACT)


def test_an_arm_without_events_gives_half_an_event_to_all() -> None:
    found, covariance = contrasts("IRR", events=[0, 4, 2], time=[10, 10, 20])
    assert found == pytest.approx([math.log(0.45 / 0.05), math.log(0.125 / 0.05)], rel=EXACT)
    assert np.diag(covariance) == pytest.approx([2 + 1 / 4.5, 2 + 1 / 2.5], rel=EXACT)


def test_one_arm_of_nothing_but_events_needs_no_correction_of_a_risk_ratio_two_do() -> None:
    one = contrasts("RR", events=[10, 5], n=[10, 10])[0]
    assert one == pytest.approx([math.log(0.5)], rel=EXACT)
    both = contrasts("RR", events=[10, 10, 5], n=[10, 10, 10])[0]
    assert both == pytest.approx([0, math.log(5.5 / 10.5)], rel=EXACT)


def test_a_risk_difference_with_an_empty_arm_keeps_its_value_and_has_a_variance() -> None:
    found, covariance = contrasts("RD", events=[0, 5], n=[10, 10])
    assert found == pytest.approx([0.5], rel=EXACT)
    assert covariance[0, 0] > 0.5 * 0.5 / 10


def test_own_estimates_are_taken_as_they_are() -> None:
    found, covariance = contrasts("GEN", estimate=[1, 0.5], se=[0.3, 0.4])
    assert found == pytest.approx([-0.5], rel=EXACT)
    assert covariance == pytest.approx(np.array([[0.25]]), rel=EXACT)


def test_standardised_differences_share_their_arm_and_their_standard_deviation() -> None:
    """Gleser & Olkin 2009, eq. 19.19, with Γ(27/2)/(Γ(13)√(27/2)) for 27 degrees of freedom."""
    g, covariance = contrasts("SMD", mean=[0, 2, 4], sd=[2, 2, 2], n=[10, 10, 10])
    j = math.gamma(13.5) / (math.gamma(13) * math.sqrt(13.5))
    assert g == pytest.approx([j, 2 * j], rel=EXACT)
    expected = [[0.2 + j * j / 60, 0.1 + j * j / 30], [0.1 + j * j / 30, 0.2 + 4 * j * j / 60]]
    assert covariance == pytest.approx(np.array(expected), rel=EXACT)
