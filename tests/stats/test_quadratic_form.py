from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from klarsyn.stats.quadratic_form import upper_tail

CONTOUR = 1e-11  # the contour rule aims at 1e-13; scipy's own chi-squared tails are worse far out


@pytest.mark.parametrize("df", [1, 2, 3, 12, 50, 200])
@pytest.mark.parametrize("tail", [1e-10, 1e-4, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999])
def test_equal_weights_give_a_scaled_chi_squared(df: int, tail: float) -> None:
    x = 3 * stats.chi2.isf(tail, df)
    assert upper_tail(x, np.full(df, 3.0)) == pytest.approx(tail, rel=CONTOUR)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.3), (5.0, 0.001), (1.0, 0.9)])
@pytest.mark.parametrize("x", [0.1, 1.0, 5.0, 20.0])
def test_two_pairs_of_weights_have_a_closed_form(a: float, b: float, x: float) -> None:
    """Each pair is an exponential variable, so the sum is hypoexponential."""
    exact = (a * np.exp(-x / (2 * a)) - b * np.exp(-x / (2 * b))) / (a - b)
    assert upper_tail(x, np.array([a, a, b, b])) == pytest.approx(exact, rel=CONTOUR)


def test_the_unit_of_the_weights_does_not_matter() -> None:
    w = np.array([0.2, 1.0, 3.0])
    assert upper_tail(4.0, w) == pytest.approx(upper_tail(4e6, 1e6 * w), rel=CONTOUR)


def test_nothing_is_below_zero() -> None:
    assert upper_tail(0.0, np.array([1.0, 2.0])) == 1.0
