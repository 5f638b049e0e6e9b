"""Counts of the same patients twice: against a full table of pairs, and its bounds."""

from __future__ import annotations

import math

import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.paired_counts import pairing

EXACT = 1e-12


def correlation(both: int, first: int, second: int, neither: int) -> float:
    """Phi of a table of pairs."""
    rows = (both + first) * (second + neither) * (both + second) * (first + neither)
    return (both * neither - first * second) / math.sqrt(rows)


@pytest.mark.parametrize("cells", [(4, 6, 2, 8), (1, 7, 1, 9), (9, 2, 2, 5)])
def test_the_variance_is_that_of_the_table_of_pairs(cells: tuple[int, int, int, int]) -> None:
    """By hand for a risk difference: (b + c − (b − c)²/n) / n² (McNemar's unconditional form)."""
    both, first, second, _ = cells
    n = sum(cells)
    made = pairing("RD", both + first, n, both + second, n)
    by_pairs = (first + second - (first - second) ** 2 / n) / n**2
    assert made.variance(correlation(*cells)) == pytest.approx(by_pairs, rel=EXACT)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_without_correlation_the_periods_are_independent_groups(measure: str) -> None:
    made = pairing(measure, 8, 18, 3, 18)
    by_hand = {
        "OR": 1 / 8 + 1 / 10 + 1 / 3 + 1 / 15,
        "RR": 1 / 8 - 1 / 18 + 1 / 3 - 1 / 18,
        "RD": 80 / 18**3 + 45 / 18**3,
    }
    assert made.variance(0.0) == pytest.approx(by_hand[measure], rel=EXACT)


def test_the_bounds_hold_every_table_with_these_margins() -> None:
    n, x1, x2 = 18, 8, 3
    made = pairing("OR", x1, n, x2, n)
    seen = [
        correlation(both, x1 - both, x2 - both, n - x1 - x2 + both)
        for both in range(max(0, x1 + x2 - n), min(x1, x2) + 1)
    ]
    assert made.lowest <= min(seen) + EXACT
    assert max(seen) == pytest.approx(made.highest, rel=EXACT)


def test_alike_periods_may_be_perfectly_correlated() -> None:
    made = pairing("RD", 9, 18, 9, 18)
    assert (made.lowest, made.highest) == (pytest.approx(-1.0), pytest.approx(1.0))
    assert made.variance(1.0) == pytest.approx(0.0, abs=EXACT)


def test_an_empty_cell_gets_the_half_that_pooling_gives_it() -> None:
    made = pairing("OR", 5, 17, 0, 18)
    cells = (5.5, 12.5, 0.5, 18.5)
    assert made.variance(0.0) == pytest.approx(sum(1 / c for c in cells), rel=EXACT)


def test_impossible_correlations_counts_and_measures_are_named() -> None:
    made = pairing("OR", 8, 18, 1, 18)
    with pytest.raises(InputError, match=r"0\.9 cannot be with these counts"):
        made.variance(0.9)
    with pytest.raises(InputError, match="19 of 18 and 1 of 18"):
        pairing("OR", 19, 18, 1, 18)
    with pytest.raises(UnknownNameError, match="Known: OR, RD, RR"):
        pairing("SMD", 8, 18, 1, 18)
