from __future__ import annotations

import math

import pytest

from klarsyn.errors import InputError
from klarsyn.stats import conversions as c

EXACT = 1e-12
TABLE = 1e-3  # four digits of a normal table
QUANTILE = 1e-7  # 1.959964 and 0.6744898 are the normal quantiles to seven digits
T_TABLE = 1e-10  # 2.2281388520: t with 10 df, two-sided 5 %, to eleven digits


def test_there_and_back() -> None:
    assert c.sd_from_se(c.se_from_sd(8.0, 25).value, 25).value == pytest.approx(8.0, rel=EXACT)
    t = c.statistic_from_p(c.p_from_statistic(2.1, df=38).value, df=38)
    assert t.value == pytest.approx(2.1, rel=EXACT)
    sd = c.change_sd(10, 12, c.correlation_from_change(10, 12, 9).value)
    assert sd.value == pytest.approx(9, rel=EXACT)


def test_elekt_d_interval_gives_its_standard_error() -> None:
    """ELEKT-D (Anand 2023): difference 14.2, 95 % interval 3.9 to 24.2 percentage points."""
    assert c.se_from_interval(3.9, 24.2).value == pytest.approx(20.3 / (2 * 1.959964), rel=QUANTILE)


def test_ratio_limits_enter_as_logarithms() -> None:
    """A hazard ratio of 0.49 (0.29 to 0.84), SUSTAIN-1 (Daly 2019)."""
    made = c.log_se_from_ratio_interval(0.29, 0.84)
    assert made.value == pytest.approx(math.log(0.84 / 0.29) / (2 * 1.959964), rel=QUANTILE)
    assert "ln U − ln L" in made.formula


def test_p_and_estimate_give_the_standard_error_of_t() -> None:
    se = c.se_from_p(3.0, 0.05, df=10)
    assert se.value == pytest.approx(3.0 / 2.2281388520, rel=T_TABLE)
    assert c.se_from_statistic(-3.0, 2.0).value == 1.5


def test_wan_s_formulae_by_a_normal_table() -> None:
    """n = 25: Φ⁻¹(18.625/25.25) = 0.6361, Φ⁻¹(24.625/25.25) = 1.9660."""
    assert c.sd_from_quartiles(0, 1, 25).value == pytest.approx(1 / (2 * 0.6361), rel=TABLE)
    assert c.sd_from_range(0, 1, 25).value == pytest.approx(1 / (2 * 1.9660), rel=TABLE)


def test_quartiles_of_a_large_normal_sample_are_1_35_sd_apart() -> None:
    assert c.sd_from_quartiles(-0.6744898, 0.6744898, 1e9).value == pytest.approx(1, rel=QUANTILE)
    assert c.mean_from_quartiles(1, 2, 6).value == 3
    assert c.mean_from_range(0, 2, 6).value == 2.5


def test_two_groups_together_are_the_whole_sample() -> None:
    import numpy as np

    a, b = np.array([1.0, 4.0, 7.0]), np.array([2.0, 9.0])
    args = (3, a.mean(), a.std(ddof=1), 2, b.mean(), b.std(ddof=1))
    whole = np.concatenate([a, b])
    assert c.combined_sd(*args).value == pytest.approx(whole.std(ddof=1), rel=EXACT)
    assert c.combined_mean(3, a.mean(), 2, b.mean()).value == pytest.approx(whole.mean())


def test_every_value_names_its_formula() -> None:
    assert c.se_from_sd(8, 16).formula == "SE = SD/√n, n = 16"
    assert c.common_sd_from_se(1, 8, 8) == c.Converted(value=2.0, formula="SD = SE/√(1/n₁ + 1/n₂)")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: c.sd_from_se(-1, 4), "SE = -1 must be a positive number"),
        (lambda: c.se_from_interval(3, 1), "not in ascending order"),
        (lambda: c.statistic_from_p(0), "strictly between 0 and 1"),
        (lambda: c.se_from_statistic(0, 1), "says nothing about its SE"),
        (lambda: c.change_sd(1, 1, 1.2), "no correlation"),
    ],
)
def test_impossible_input_is_refused(call: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()  # type: ignore[operator]
