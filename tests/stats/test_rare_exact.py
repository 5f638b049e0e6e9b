"""The exact common odds ratio: one table is Fisher's, the groups can change places.

Values of several tables stand in oracles/method_more_b.csv.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.errors import NumericalError
from klarsyn.stats.rare_exact import conditional_events, exact_odds_ratio

TEA = [np.array([float(x)]) for x in (3, 4, 1, 4)]  # Fisher's tea taster: R fisher.test
TEA_RATIO, TEA_LIMITS = 6.408309, (0.2117329, 621.9337505)
PRINTED = 1e-2  # R searches 1/OR to an absolute 1e-4, which is coarse beside 1/622
SAME = 1e-10
CONDITIONAL = 2e-4  # relative; given the totals of 2,000 the log odds ratio of 0.25 is 1/2,000 less
NORMAL = 5e-3  # relative; exact limits reach half an event further, of 1.96 · 64
SPARSE = [
    np.array(x, float) for x in ([0, 2, 0, 1], [30, 45, 60, 100], [3, 0, 1, 4], [28, 50, 58, 98])
]


def test_the_tea_taster() -> None:
    found = exact_odds_ratio(*TEA)
    assert math.exp(found.value) == pytest.approx(TEA_RATIO, rel=PRINTED)
    low, high = (math.exp(x) for x in found.interval())
    assert (low, high) == pytest.approx(TEA_LIMITS, rel=PRINTED)
    ways = np.array([1, 16, 36, 16, 1])  # tables with 0 to 4 right first cups

    def share(ratio: float) -> np.ndarray:
        return ways * ratio ** np.arange(5) / (ways * ratio ** np.arange(5)).sum()

    assert share(low)[3:].sum() == pytest.approx(0.025, abs=SAME)
    assert share(high)[:4].sum() == pytest.approx(0.025, abs=SAME)


def test_the_groups_can_change_places() -> None:
    a, n1, c, n2 = SPARSE
    one, other = exact_odds_ratio(a, n1, c, n2), exact_odds_ratio(c, n2, a, n1)
    assert one.value == pytest.approx(-other.value, abs=SAME)
    assert one.interval() == pytest.approx([-x for x in other.interval()[::-1]], abs=SAME)
    assert one.p_value() == pytest.approx(other.p_value(), abs=SAME)


def test_the_limits_are_where_the_p_is_five_per_cent() -> None:
    found = exact_odds_ratio(*SPARSE)
    assert [found.p_value(x) for x in found.interval()] == pytest.approx([0.05, 0.05], abs=SAME)


def test_a_study_without_events_changes_nothing() -> None:
    more = [np.r_[x, y] for x, y in zip(SPARSE, (0, 500, 0, 400), strict=True)]
    assert exact_odds_ratio(*more).value == pytest.approx(exact_odds_ratio(*SPARSE).value, abs=SAME)


def test_large_tables_do_not_overflow() -> None:
    big = [np.full(40, x, float) for x in (300, 1000, 250, 1000)]
    found = exact_odds_ratio(*big)
    assert math.exp(found.value) == pytest.approx(300 / 700 / (250 / 750), rel=CONDITIONAL)
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(1.96 * found.se, rel=NORMAL)


def test_no_event_in_a_group_leaves_a_limit() -> None:
    with pytest.raises(
        NumericalError, match=r"the exact odds ratio is 0\. Its 97\.5 % upper limit"
    ):
        exact_odds_ratio(*[np.array([float(x)]) for x in (0, 60, 4, 55)])
    with pytest.raises(NumericalError, match=r"infinite\. Its 97\.5 % lower limit"):
        exact_odds_ratio(*[np.array([float(x)]) for x in (4, 55, 0, 60)])


def test_no_events_at_all_say_nothing() -> None:
    with pytest.raises(NumericalError, match="No study has both"):
        conditional_events(*[np.array([float(x)]) for x in (0, 60, 0, 55)])
