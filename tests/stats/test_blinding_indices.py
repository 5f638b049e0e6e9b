"""Bang, James, SBI and kappa."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.stats.blinding_indices import bang, bang_score_interval, james, kappa, sbi
from klarsyn.stats.proportions import wilson

ARITHMETIC = 1e-12
MONTE_CARLO = 0.05  # relative error of a variance from 4000 draws: √(2/4000) = 0.022
CRISP = np.array([[82, 27], [25, 29], [170, 83]], float)


def test_bang_by_hand() -> None:
    # 9 right, 5 wrong, 5 unknown of 19: 4/19; variance (14/19 − (4/19)²)/19.
    index = bang([9, 5, 5], [1, -1, 0])
    assert index.value == pytest.approx(4 / 19, abs=ARITHMETIC)
    assert index.variance == pytest.approx((14 / 19 - (4 / 19) ** 2) / 19, abs=ARITHMETIC)


def test_bang_does_not_see_how_dont_knows_are_split_but_its_variance_does() -> None:
    kept, split = bang([9, 5, 6], [1, -1, 0]), bang([12, 8], [1, -1])
    assert kept.value == pytest.approx(split.value, abs=ARITHMETIC)
    assert split.variance > kept.variance


def test_five_categories_with_equal_weights_are_three() -> None:
    five = bang([20, 10, 5, 8, 7], [1, 1, -1, -1, 0])
    three = bang([30, 13, 7], [1, -1, 0])
    assert (five.value, five.variance) == pytest.approx((three.value, three.variance))


def test_all_right_is_degenerate_and_says_so() -> None:
    index = bang([12, 0, 0], [1, -1, 0])
    assert (index.value, index.variance, index.status) == (1.0, 0.0, "degenerate")
    assert "one half" in index.reason


def test_all_dont_know_is_james_one() -> None:
    index = james([[0, 0], [0, 0], [12, 9]])
    assert (index.value, index.se, index.status) == (1.0, 0.0, "degenerate")


def test_all_right_is_james_zero_and_coin_tossing_a_half() -> None:
    assert james([[10, 0], [0, 10], [0, 0]]).value == 0.0
    assert james([[10, 10], [10, 10], [0, 0]]).value == pytest.approx(0.5, abs=ARITHMETIC)


def test_james_without_chance_agreement_is_undefined_with_a_reason() -> None:
    index = james([[5, 0], [0, 0], [5, 5]])
    assert index.status == "undefined"
    assert math.isnan(index.value)
    assert "no value" in index.reason


def test_variances_are_those_of_resampled_tables() -> None:
    rng = np.random.default_rng(3)
    n = int(CRISP.sum())
    draws = rng.multinomial(n, CRISP.ravel() / n, size=4000).reshape(-1, 3, 2)
    of_james = np.var([james(t).value for t in draws])
    assert of_james == pytest.approx(james(CRISP).variance, rel=2 * MONTE_CARLO)
    of_kappa = np.var([kappa(t[:2]).value for t in draws])
    # Given how many guessed; resampling also varies that number, which adds little.
    assert of_kappa == pytest.approx(kappa(CRISP[:2]).variance, rel=2 * MONTE_CARLO)


def test_sbi_is_the_difference_in_believing_and_counts_dont_knows() -> None:
    index, low, high = sbi(9, 19, 8, 19, 0.95)
    assert index.value == pytest.approx(1 / 19, abs=ARITHMETIC)
    assert -1 < low < index.value < high < 1


def test_kappa_by_hand() -> None:
    # Fleiss 1981: po = 0.60, pe = 0.54 of the table 45 15 / 25 15.
    assert kappa([[45, 15], [25, 15]]).value == pytest.approx((0.60 - 0.54) / 0.46, abs=ARITHMETIC)


def test_weights_beyond_one_are_refused() -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        bang([1, 2], [2, -1])


def test_the_score_interval_without_dont_knows_is_wilsons() -> None:
    low, high = bang_score_interval(14, 5, 19, 0.95)
    one = wilson(14, 19)
    assert (low, high) == pytest.approx((2 * one.low - 1, 2 * one.high - 1), abs=ARITHMETIC)


@pytest.mark.parametrize(
    ("right", "wrong", "total", "level", "low", "high", "digits"),
    [
        # R PropCIs scoreci.mp(25, 28, 618) at 90 %, as public test suites pin it.
        (28, 25, 618, 0.90, -0.0148, 0.0247, 4),
        # R ratesci, paired counts 1, 1, 7, 12 (Bentur 2009): limits in its own examples.
        (1, 7, 21, 0.95, -0.517, -0.026, 3),
    ],
)
def test_the_score_interval_is_tangos(
    right: int, wrong: int, total: int, level: float, low: float, high: float, digits: int
) -> None:
    limits = bang_score_interval(right, wrong, total, level)
    assert [round(v, digits) for v in limits] == [low, high]


def test_the_score_interval_does_not_collapse_when_all_are_right() -> None:
    low, high = bang_score_interval(12, 0, 12, 0.95)
    assert 0.4 < low < 0.6
    assert high == 1.0
