"""Information sizes (trap T6) and the value of information: published and closed-form numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError
from klarsyn.provenance import stream
from klarsyn.stats.information import (
    diversity,
    fewest_trials,
    information_size_means,
    information_size_risk_difference,
    information_size_shares,
    net_clinical_benefit,
    patients_per_trial,
    preposterior_sd,
    value_of_perfect_information,
    value_of_perfect_information_from_draws,
    with_heterogeneity,
)

MONTE_CARLO = 0.01  # 4 standard errors of 200,000 draws
THIRD_DECIMAL = 6e-4  # 774.677
TWO_FORMULAS = 5e-3  # relative; 2·p̄(1 − p̄) = 0.495 where R takes 0.49 for the power
ROUNDING = 1e-12
ENDLESS = 1e-10  # relative; 1e12 patients are not without end


def test_t6_a_risk_difference_is_not_doubled_again():
    """R's power.prop.test needs 774.7 in all; RTSA 0.2.2 says 1539."""
    assert information_size_risk_difference(0.5, 0.4) == pytest.approx(774.677, abs=THIRD_DECIMAL)
    assert information_size_shares(0.5, 0.4) == pytest.approx(774.677, rel=TWO_FORMULAS)


def test_t6_shares_and_means_count_the_same_patients():
    """With a common variance p(1 − p) the two formulas are one."""
    mean = 0.45
    sd = math.sqrt(mean * (1 - mean))
    assert information_size_shares(0.5, 0.4) == pytest.approx(
        information_size_means(0.1, sd), rel=ROUNDING
    )


def test_heterogeneity_inflates_by_diversity():
    assert diversity(0.04, 0.01) == pytest.approx(0.75)
    assert with_heterogeneity(100, 0.75) == pytest.approx(400)
    assert diversity(0.02, 0.02) == 0


def test_few_trials_never_suffice_under_heterogeneity():
    assert fewest_trials(math.log(0.7), 0.05, power=0.9) == 5
    assert math.ceil(patients_per_trial(0.5, 0.7, 0.05, 5, power=0.9)) == 543  # RTSA minTrial
    with pytest.raises(NumericalError, match="no size of 4 trials is enough; at least 5") as bad:
        patients_per_trial(0.5, 0.7, 0.05, 4, power=0.9)
    assert bad.value.status == "too_few_studies"


def test_perfect_information_closed_form_is_the_mean_over_draws():
    draws = stream(3, "net benefit").normal(0.4, 1.3, 200_000)
    simulated = value_of_perfect_information_from_draws(np.column_stack([np.zeros(200_000), draws]))
    assert value_of_perfect_information(0.4, 1.3) == pytest.approx(simulated, abs=MONTE_CARLO)


def test_what_is_certain_has_no_value_to_learn():
    assert value_of_perfect_information(2.0, 0.0) == 0
    assert value_of_perfect_information(1.0, 0.5) < value_of_perfect_information(1.0, 1.0)


def test_an_endless_study_is_worth_perfect_information():
    assert preposterior_sd(2.0, 9.0, 1e12) == pytest.approx(2.0, rel=ENDLESS)
    assert preposterior_sd(2.0, 9.0, 10) < 2.0


def test_net_clinical_benefit_subtracts_weighted_harms():
    assert net_clinical_benefit(100, [20, 5], [1, 4]) == 60
    with pytest.raises(InputError, match="2 harms but 1 weights"):
        net_clinical_benefit(1, [1, 2], [1])


def test_equal_shares_need_no_finite_size():
    with pytest.raises(InputError, match="Two different shares"):
        information_size_shares(0.2, 0.2)
