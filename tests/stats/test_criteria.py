"""I², H² and information criteria by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.stats.criteria import information_criteria
from klarsyn.stats.heterogeneity import inconsistency

EXACT = 1e-13  # relative; a handful of roundings
EQUAL = np.full(4, 0.5)  # tr P = (k − 1)/v, so the typical variance of equal ones is their own


def test_i2_is_the_share_of_tau2_beside_the_common_variance() -> None:
    i2, h2 = inconsistency(EQUAL, None, 0.5, 99.0, random=True)
    assert (i2, h2) == pytest.approx((50.0, 2.0), rel=EXACT)


def test_i2_of_a_common_effect_is_the_excess_of_q_and_never_below_zero() -> None:
    assert inconsistency(EQUAL, None, 0.0, 6.0, random=False) == (50.0, 2.0)
    assert inconsistency(EQUAL, None, 0.0, 2.0, random=False) == (0.0, 2 / 3)
    assert inconsistency(EQUAL, None, 0.0, 0.0, random=False) == (0.0, 0.0)


def test_a_moderator_takes_a_degree_of_freedom() -> None:
    x = np.column_stack([np.ones(4), [-1.0, -1.0, 1.0, 1.0]])
    assert inconsistency(EQUAL, x, 0.0, 6.0, random=False) == pytest.approx((200 / 3, 3.0))


@pytest.mark.parametrize("random", [True, False])
def test_one_study_has_no_inconsistency(random: bool) -> None:
    assert np.isnan(inconsistency(EQUAL[:1], None, 0.0, 0.0, random=random)).all()


def test_the_criteria_by_hand() -> None:
    """−2 ll = 20, two parameters, eight observations: 20 + 4, 20 + 2 ln 8, 20 + 4·8/5."""
    found = information_criteria(-10.0, 8, 2)
    assert found == pytest.approx((-10.0, 24.0, 20 + 2 * math.log(8), 26.4), rel=EXACT)


def test_the_corrected_criterion_exists_for_few_observations() -> None:
    """With three observations of two parameters metafor corrects as if there were four."""
    assert information_criteria(-10.0, 3, 2).aicc == pytest.approx(20 + 4 * 4 / 1, rel=EXACT)
