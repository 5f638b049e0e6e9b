from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from klarsyn.errors import InputError
from klarsyn.stats.reported_tests import p_of, read_test_results, recompute
from klarsyn.stats.rounding import printed
from klarsyn.stats.sanity import (
    ci_fits_se,
    ci_is_symmetric,
    ci_p_values,
    counts_of_percent,
    difference_fits,
    sd_fits_se,
    se_of_ci,
    similarity,
    stouffer,
    welch_se,
)

ARITHMETIC = 1e-12


@given(st.integers(1, 400), st.data(), st.integers(0, 2))
def test_a_real_percentage_has_its_count(n: int, data: st.DataObject, decimals: int) -> None:
    x = data.draw(st.integers(0, n))
    found = counts_of_percent(f"{100 * x / n:.{decimals}f}", n)
    assert found.first is not None
    assert found.last is not None
    assert found.first <= x <= found.last


def test_a_percentage_is_unique_ambiguous_or_inconsistent() -> None:
    assert counts_of_percent("48.0", 25).status == "unique"
    assert counts_of_percent("41.1", 170).status == "inconsistent"  # 70 is 41.18, 69 is 40.59
    many = counts_of_percent("41", 500)
    assert (many.status, many.first, many.last) == ("ambiguous", 203, 207)
    with pytest.raises(InputError, match="0 participants"):
        counts_of_percent("50", 0)


def test_sd_and_se_fit_by_the_root_of_n() -> None:
    assert sd_fits_se("8.1", "1.62", 25)
    assert sd_fits_se("8.1", "1.6", 25)
    assert not sd_fits_se("8.1", "8.1", 25)


def test_an_interval_is_its_standard_error_times_a_quantile() -> None:
    assert ci_fits_se("-8.5", "0.3", "2.2")
    assert not ci_fits_se("-8.5", "0.3", "4.4")
    # 2.2 with t on 10 degrees of freedom: half-width 4.90.
    assert ci_fits_se("-4.9", "4.9", "2.2", df=10)
    low, high = se_of_ci("-1.96", "1.96")
    assert low < 1 < high


def test_a_ratio_is_the_middle_on_the_log_scale() -> None:
    assert ci_is_symmetric("2.00", "1.00", "4.00", log=True)
    assert not ci_is_symmetric("2.00", "1.00", "4.00")
    assert ci_is_symmetric("2.5", "1", "4")
    assert ci_is_symmetric("0.1", "0.0", "5.0", log=True)  # a limit printed 0.0 may be tiny
    with pytest.raises(InputError, match="above 0"):
        ci_is_symmetric("-1", "-2", "-0.6", log=True)


def test_p_of_an_interval_brackets_the_p_of_its_unrounded_numbers() -> None:
    estimate, se = -4.123, 2.04
    limits = [f"{estimate + k * 1.959964 * se:.1f}" for k in (-1, 1)]
    low, high = ci_p_values(f"{estimate:.1f}", *limits)
    assert low <= 2 * stats.norm.sf(abs(estimate / se)) <= high
    assert high - low < 0.05


def test_a_difference_fits_the_means_it_was_made_from() -> None:
    assert difference_fits("20.4", "24.5", "-4.1")
    assert difference_fits("20.4", "24.5", "-4.2")  # rounding of all three
    assert not difference_fits("20.4", "24.5", "-4.3")
    assert not difference_fits("20.4", "24.5", "4.1")


def test_welch_by_hand() -> None:
    low, high = welch_se("3", 9, "4", 16)
    assert low < math.sqrt(2) < high


@pytest.mark.parametrize("sd", ["3.0", "3.1"])
def test_similarity_is_one_minus_the_p_of_anova(sd: str) -> None:
    """Three groups of two at a - d, a + d: scipy's f_oneway on the participants."""
    d = float(sd) / math.sqrt(2)
    means = (10.0, 11.0, 14.5)
    p = stats.f_oneway(*[[m - d, m + d] for m in means]).pvalue
    assert similarity([2, 2, 2], means, [float(sd)] * 3) == pytest.approx(1 - p, rel=ARITHMETIC)


def test_equal_groups_are_perfectly_similar() -> None:
    assert similarity([20, 20], [5.0, 5.0], [1.0, 1.0]) == 0
    with pytest.raises(InputError, match="two or more groups"):
        similarity([20], [5.0], [1.0])


def test_stouffer_of_one_p_is_that_p() -> None:
    assert stouffer([0.03]) == pytest.approx(0.03, rel=ARITHMETIC)
    assert stouffer([0.5, 0.5, 0.5]) == pytest.approx(0.5, rel=ARITHMETIC)
    with pytest.raises(InputError, match="strictly between"):
        stouffer([0.0])


REFERENCE = [
    ("t", 2.1, 28, None, 2 * stats.t.sf(2.1, 28)),
    ("f", 4.2, 1, 60, stats.f.sf(4.2, 1, 60)),
    ("chi2", 3.9, 1, None, stats.chi2.sf(3.9, 1)),
    ("r", -0.35, 106, None, stats.t.sf(0.35 * math.sqrt(106 / (1 - 0.35**2)), 106) * 2),
    ("z", -1.7, None, None, 2 * stats.norm.sf(1.7)),
]


@pytest.mark.parametrize(("test", "value", "df1", "df2", "p"), REFERENCE)
def test_p_of_each_test(
    test: str, value: float, df1: float | None, df2: float | None, p: float
) -> None:
    assert p_of(test, value, df1, df2) == pytest.approx(p, rel=ARITHMETIC)


def test_results_are_read_from_running_text() -> None:
    text = (
        "as expected, t(28) = 2.10, p = .045; F(1, 60) = 4.20, p < .05 and "
        "χ2(1, N = 100) = 3.9, p = .048, r(97) = −.17, p = .09, z = 1.7, p > .05."
    )
    found = read_test_results(text)
    assert [r.test for r in found] == ["t", "f", "chi2", "r", "z"]
    assert float(found[3].value) == -0.17
    assert (found[1].df1, found[1].df2) == (1, 60)
    assert all(recompute(r).consistent for r in found)


def test_one_sided_and_decision_errors_are_told_apart() -> None:
    def of(text: str):
        return recompute(read_test_results(text)[0])

    halved = of("t(28) = 2.10, p = .022")
    assert (halved.consistent, halved.one_sided, halved.decision_error) == (False, True, False)
    wrong = of("t(28) = 1.20, p = .03")
    assert (wrong.consistent, wrong.decision_error) == (False, True)
    assert not of("t(28) = 2.10, p > .05").consistent
    assert of("t(28) = 2.10, p > .05").decision_error


def test_a_printed_number_keeps_its_trailing_zeros_only_as_text() -> None:
    assert printed("5.20").decimals == 2
    assert printed(5.20).decimals == 1
    assert printed(20.0).decimals == 0
    assert printed("1e-3").decimals == 3
    assert printed(5.2, decimals=2).half == printed("5.20").half
