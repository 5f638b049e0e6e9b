"""Exact limits and patients needed: closed forms, textbook numbers, the inversion itself."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from klarsyn.errors import InputError
from klarsyn.stats.rates import (
    clopper_pearson,
    expected_events_to_exclude,
    lower_limit,
    patients_to_exclude,
    patients_without_event,
    poisson_limits,
    upper_limit,
)

EXACT = 1e-10  # relative; special functions
THIRD_DECIMAL = 5e-4


@pytest.mark.parametrize("n", [1, 30, 10_000])
def test_without_events_the_limit_has_a_closed_form(n):
    assert upper_limit(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=EXACT)
    assert lower_limit(0, n) == 0


def test_all_events_mirror_no_events():
    assert lower_limit(12, 12) == pytest.approx(1 - upper_limit(0, 12), rel=EXACT)
    assert upper_limit(12, 12) == 1


def test_the_limit_is_the_share_at_which_so_few_events_become_unlikely():
    limit = upper_limit(3, 200)
    assert stats.binom.cdf(3, 200, limit) == pytest.approx(0.05, rel=EXACT)


def test_clopper_and_pearson_printed_example():
    """10 of 20: 0.272 to 0.728 (Clopper and Pearson 1934)."""
    assert clopper_pearson(10, 20) == pytest.approx((0.272, 0.728), abs=THIRD_DECIMAL)


def test_garwood_limits_of_ten_events():
    assert poisson_limits(10, 1.0) == pytest.approx(
        (4.795, 18.390), abs=THIRD_DECIMAL
    )  # Garwood 1936
    assert poisson_limits(0, 2.0)[1] == pytest.approx(-math.log(0.025) / 2, rel=EXACT)


@pytest.mark.parametrize(("rate", "needed"), [(0.02, 149), (0.01, 299), (0.001, 2995)])
def test_patients_who_must_stay_free_of_it(rate, needed):
    assert patients_without_event(rate) == patients_to_exclude(rate) == needed
    assert upper_limit(0, needed) <= rate < upper_limit(0, needed - 1)


@pytest.mark.parametrize("background", [0.001, 0.005])
def test_with_a_background_the_expected_events_are_still_below_the_limit(background):
    needed = patients_to_exclude(0.01, background=background)
    for n in (needed, needed + 7, needed + 150):
        seen = int(stats.binom.ppf(0.5, n, background))
        assert upper_limit(seen, n) <= 0.01
    assert needed >= patients_without_event(0.01)


def test_more_assurance_and_a_closer_background_cost_patients():
    middle = patients_to_exclude(0.01, background=0.005)
    assert patients_to_exclude(0.01, background=0.005, assurance=0.8) > middle
    assert patients_to_exclude(0.01, background=0.007) > middle


def test_poisson_and_binomial_agree_for_rare_events():
    assert expected_events_to_exclude(2, 1e-4) == pytest.approx(
        stats.chi2.ppf(0.95, 6) / 2 / 1e-4, rel=EXACT
    )


def test_what_is_there_cannot_be_excluded():
    with pytest.raises(InputError, match="a rate that is really there cannot be excluded"):
        patients_to_exclude(0.01, background=0.01)
    with pytest.raises(InputError, match="5 events among 4 patients"):
        upper_limit(5, 4)
    with pytest.raises(InputError, match="A rate to exclude lies between 0 and 1"):
        patients_to_exclude(1.5)
