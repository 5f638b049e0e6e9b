"""Hazard ratios from printed results: the ways agree where they must, and refuse what cannot be.

Values of each way stand in oracles/method_more_b.csv.
"""

from __future__ import annotations

import math

import pytest

from klarsyn.errors import InputError
from klarsyn.stats import hazard_ratios as ways
from klarsyn.stats.survival import cox_two_groups, log_rank

EXACT = 1e-12
# Gehan's leukaemia trial (Freireich 1963): 6-mercaptopurine (group 1) against placebo.
TIME = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
TIME += [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
EVENT = [1] * 9 + [0] * 12 + [1] * 21
GROUP = [1] * 21 + [0] * 21
ONE_STEP = 0.2  # Peto's step is only first order; the log ratio here is -1.6


def test_swapping_the_groups_turns_the_sign() -> None:
    a = ways.from_expected_events(24, 33.1, 39, 29.9)
    b = ways.from_expected_events(39, 29.9, 24, 33.1)
    assert a.value == pytest.approx(-b.value, abs=EXACT)
    assert a.se == pytest.approx(b.se, abs=EXACT)
    down, up = (
        ways.from_p_value(0.01, favours_first=f, events=60, patients1=50, patients2=70)
        for f in (True, False)
    )
    assert down.value == pytest.approx(-up.value, abs=EXACT)
    assert down.value < 0


def test_the_p_that_went_in_comes_out() -> None:
    e = ways.from_p_value(0.03, favours_first=True, events=60, patients1=50, patients2=70)
    assert e.p_value() == pytest.approx(0.03, abs=EXACT)


def test_a_p_of_one_says_no_difference() -> None:
    e = ways.from_p_value_and_arms(1.0, favours_first=True, events1=10, events2=20)
    assert e.value == pytest.approx(0, abs=EXACT)


def test_the_log_rank_step_lies_near_cox() -> None:
    step = ways.from_log_rank(log_rank(TIME, EVENT, GROUP))
    cox = cox_two_groups(TIME, EVENT, GROUP).estimate
    assert step.value == pytest.approx(cox.value, abs=ONE_STEP)


def test_equal_curves_have_a_ratio_of_one() -> None:
    e = ways.from_survival(0.6, 0.05, 0.6, 0.05)
    assert e.value == 0
    assert e.se == pytest.approx(math.sqrt(2) * 0.05 / (0.6 * abs(math.log(0.6))), abs=EXACT)


def test_rounding_to_two_decimals_is_forgiven() -> None:
    assert ways.from_interval(0.98, 0.95, 1.01).value == pytest.approx(math.log(0.98), abs=EXACT)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ways.from_interval(0.9, 0.29, 0.84), "between its limits"),
        (lambda: ways.from_interval(0.80, 0.29, 0.84), "off the middle"),
        (lambda: ways.from_interval(0.5, 0, 0.84), "above 0"),
        (lambda: ways.from_interval(0.49, 0.29, 0.84, 95), "between 0 and 1"),
        (lambda: ways.from_expected_events(24, 33, 39, 10), "both sums are the same"),
        (lambda: ways.from_expected_events(24, 0, 39, 63), "expected ones above 0"),
        (
            lambda: ways.from_p_value(0, favours_first=True, events=9, patients1=20, patients2=20),
            "only the bound is known",
        ),
        (
            lambda: ways.from_p_value(
                0.1, favours_first=True, events=99, patients1=20, patients2=20
            ),
            "99 events among 20 and 20",
        ),
        (
            lambda: ways.from_p_value_and_arms(0.1, favours_first=True, events1=0, events2=4),
            "Both groups need events",
        ),
        (lambda: ways.from_survival(1.0, 0.1, 0.5, 0.1), "got 1 with 0.1"),
        (lambda: ways.from_survival(0.5, 0.0, 0.5, 0.1), "got 0.5 with 0"),
        (lambda: ways.from_medians(10, 0, 5, 5), "above 0"),
    ],
)
def test_what_cannot_be_is_refused(call, match: str) -> None:
    with pytest.raises(InputError, match=match):
        call()
