"""tau² beside a known covariance: diagonal, it is the ordinary one; what is shared is no tau².

Values under shared biases stand in oracles/method_more_b.csv.
"""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.stats.known_covariance import variance_beside
from klarsyn.stats.many_fits import TAU2_ESTIMATORS, fit_many

Y = np.array([-1.4, -0.1, -0.9, 0.2, -1.1, -0.3])
V = np.array([0.06, 0.04, 0.09, 0.02, 0.09, 0.04])
RISKY = np.array([1, 0, 1, 0, 1, 0])
SAME = 1e-9


@pytest.mark.parametrize("estimator", TAU2_ESTIMATORS)
def test_a_diagonal_covariance_is_the_ordinary_model(estimator: str) -> None:
    every = np.ones((1, Y.size), bool)
    ordinary = float(fit_many(Y[None], V[None], every, estimator).tau2[0, 0])
    assert variance_beside(Y, np.diag(V), estimator) == pytest.approx(ordinary, abs=SAME)


@pytest.mark.parametrize("estimator", ["DL", "PM", "REML"])
def test_a_difference_that_the_shared_bias_explains_is_not_heterogeneity(estimator: str) -> None:
    shared = np.outer(RISKY, RISKY) * 100.0  # as good as a bias left free
    beside = variance_beside(Y, np.diag(V) + shared, estimator)
    assert beside < 0.2 * variance_beside(Y, np.diag(V), estimator)


@pytest.mark.parametrize("estimator", TAU2_ESTIMATORS)
def test_effects_that_agree_have_none(estimator: str) -> None:
    same = np.full(6, 0.3)
    assert variance_beside(same, np.diag(V) + 0.1 * np.outer(RISKY, RISKY), estimator) == 0


def test_a_name_is_one_of_the_known() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: DL"):
        variance_beside(Y, np.diag(V), "D L")
