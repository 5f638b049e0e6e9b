"""Sequential boundaries: published values, the error that is spent, and what is refused.

Values at further looks stand in oracles/method_more_b.csv.
"""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.provenance import stream
from klarsyn.stats.estimate import Z_95
from klarsyn.stats.sequential import boundaries, spent

# Five equal looks, two-sided 0.05, as the programs of Reboussin et al. (ldbounds) print them;
# their grid is coarser than ours.
FIVE = (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)
PRINTED = 2e-4
PATHS = 400_000
MONTE_CARLO = 4 * (0.05 * 0.95 / PATHS) ** 0.5
QUANTILE = 1e-12  # one normal quantile, to the rounding of scipy


def test_five_looks_are_the_published_ones() -> None:
    assert boundaries([0.2, 0.4, 0.6, 0.8, 1.0]) == pytest.approx(FIVE, abs=PRINTED)


def test_one_look_at_the_end_is_an_ordinary_test() -> None:
    assert boundaries([1.0])[0] == pytest.approx(Z_95, abs=QUANTILE)


def test_all_error_is_spent_at_the_end_and_none_at_the_start() -> None:
    assert spent([0.0, 1.0, 1.7]) == pytest.approx([0, 0.05, 0.05], abs=QUANTILE)
    assert spent(1.0, 0.025, sides=1) == pytest.approx(0.025, abs=QUANTILE)


@pytest.mark.parametrize("sides", [1, 2])
def test_random_walks_cross_as_often_as_was_to_be_spent(sides: int) -> None:
    t = np.array([0.15, 0.4, 0.55, 1.0])
    steps = stream(1, "walks").normal(size=(PATHS, t.size)) * np.sqrt(np.diff(t, prepend=0))
    z = np.cumsum(steps, axis=1) / np.sqrt(t)
    crossed = (np.abs(z) if sides == 2 else z) >= boundaries(t.tolist(), sides=sides)
    seen = np.logical_or.accumulate(crossed, axis=1).mean(axis=0)
    assert seen == pytest.approx(spent(t, sides=sides), abs=MONTE_CARLO)


def test_a_look_too_early_or_after_the_end_has_nothing_to_spend() -> None:
    assert np.isinf(boundaries([0.001, 0.5, 1.0, 1.4])).tolist() == [True, False, False, True]


@pytest.mark.parametrize("looks", [[], [0.0, 1.0], [0.5, 0.5], [0.5, 0.4], [0.5, float("nan")]])
def test_looks_must_rise(looks: list[float]) -> None:
    with pytest.raises(InputError, match="must rise from above 0"):
        boundaries(looks)


def test_levels_and_sides_are_checked() -> None:
    with pytest.raises(InputError, match="Alpha lies between 0 and 1"):
        boundaries([1.0], 5)
    with pytest.raises(InputError, match="1 or 2 sides"):
        spent(0.5, sides=3)
