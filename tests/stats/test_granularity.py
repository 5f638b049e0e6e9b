from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError, NumericalError
from klarsyn.stats.granularity import debit, grim, grimmer, sd_limits
from klarsyn.stats.rounding import printed

ROUNDING = 1e-9  # the root of a rounded sum of squares of scores to 60
SDS = ("0.0", "0.5", "0.52", "1", "1.22", "1.7", "2.04", "2.5")


def enumerated(n: int, low: int, high: int) -> set[tuple[int, int]]:
    samples = itertools.combinations_with_replacement(range(low, high + 1), n)
    return {(sum(x), sum(v * v for v in x)) for x in samples}


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(("low", "high"), [(0, 5), (0, 7), (-2, 3)])
def test_grimmer_agrees_with_every_sample_written_out(n: int, low: int, high: int) -> None:
    seen = enumerated(n, low, high)
    for hundredths in range(low * 100, high * 100 + 1, 13):
        for sd in SDS:
            mean = f"{hundredths / 100:.2f}"
            m, s = printed(mean), printed(sd)
            fits = any(
                m.lower <= Fraction(t, n) <= m.upper
                and max(s.lower, Fraction(0)) ** 2
                <= Fraction(q * n - t * t, n * (n - 1))
                <= s.upper**2
                for t, q in seen
            )
            assert grimmer(mean, sd, n, minimum=low, maximum=high).possible is fits


@given(st.lists(st.integers(0, 60), min_size=2, max_size=80), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_real_sample_is_never_called_impossible(scores: list[int], decimals: int) -> None:
    n = len(scores)
    mean = sum(scores) / n
    sd = math.sqrt(sum((x - mean) ** 2 for x in scores) / (n - 1))
    m, s = f"{mean:.{decimals}f}", f"{sd:.{decimals}f}"
    assert grim(m, n, minimum=0, maximum=60).possible
    assert grimmer(m, s, n, minimum=0, maximum=60).possible is not False
    low, high = sd_limits(m, n, 0, 60)
    assert low - ROUNDING <= sd <= high + ROUNDING


@given(st.lists(st.integers(0, 1), min_size=2, max_size=200))
@settings(max_examples=60, deadline=None)
def test_a_real_share_is_never_called_impossible(values: list[int]) -> None:
    n = len(values)
    mean = sum(values) / n
    sd = math.sqrt(mean * (1 - mean) * n / (n - 1))
    assert debit(f"{mean:.2f}", f"{sd:.2f}", n).possible


def test_limits_can_make_a_possible_sample_impossible() -> None:
    assert grimmer("1.0", "3.0", 20).possible
    assert grimmer("1.0", "3.0", 20, minimum=0, maximum=60).possible
    assert grimmer("1.0", "3.0", 20, minimum=0, maximum=5).possible is False


def test_items_refine_the_grain() -> None:
    assert grim("5.27", 43).possible is False
    assert grim("5.27", 43, items=10).possible


def test_many_participants_make_every_mean_possible() -> None:
    assert grim("5.27", 100).possible
    assert grimmer("5.27", "3.11", 400).possible


def test_the_sd_of_one_participant_is_not_judged() -> None:
    assert grimmer("5", "3", 1).possible


def test_sd_limits_by_hand() -> None:
    # 4, 4, 4, 4, 5 is the flattest; 7, 7, 5, 1, 1 the widest of five scores 1 to 7 with total 21.
    low, high = sd_limits("4.2", 5, 1, 7)
    assert low == pytest.approx(math.sqrt(0.2))
    assert high == pytest.approx(math.sqrt((2 * 2.8**2 + 0.8**2 + 2 * 3.2**2) / 4))
    free_low, free_high = sd_limits("4.2", 5, 1, 7, whole_numbers=False)
    assert free_low == 0
    assert free_high >= high


def test_no_total_has_no_sd_limits() -> None:
    with pytest.raises(NumericalError, match="No total of 43 whole numbers"):
        sd_limits("5.27", 43, 0, 60)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        grim("5", 0)
    with pytest.raises(InputError, match="'five' is not a number"):
        grim("five", 5)
    with pytest.raises(InputError, match="not a finite number"):
        grim(math.inf, 5)
