"""Intervals and tests for proportions and their difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.proportions import (
    difference_interval,
    pooled_chi_square,
    restricted_mle,
    score_z,
    wilson,
)

PRINTED = 6e-5  # Newcombe 1998 prints four decimals
BISECTION = 1e-12
FLAT_TOP = 1e-8  # a maximum is flat: the root of machine precision
HEIGHT = 1e-12  # relative, of a log-likelihood; only rounding may put a grid point above
ROOT = 1e-12  # the score at a limit found to 1e-14
ARITHMETIC = 1e-12  # relative
# What statsmodels 0.14.6 and 0.15.0 return for 108/200 against 103/203 at a difference of -0.1
# (issue 10269): a count stands where a total belongs.
STATSMODELS_WRONG = 0.46705


def likelihood(p: float, x1: float, n1: float, x2: float, n2: float, d: float) -> float:
    q = min(max(p - d, 0.0), 1.0)
    return float(
        special.xlogy(x1, p)
        + special.xlog1py(n1 - x1, -p)
        + special.xlogy(x2, q)
        + special.xlog1py(n2 - x2, -q)
    )


def test_t1_the_restricted_estimate_is_the_maximum_and_not_what_statsmodels_returns() -> None:
    p1, p2 = (float(p) for p in restricted_mle(108, 200, 103, 203, -0.1))
    best = optimize.minimize_scalar(
        lambda p: -likelihood(p, 108, 200, 103, 203, -0.1),
        bounds=(0, 0.9),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert p1 == pytest.approx(best.x, abs=FLAT_TOP)
    assert p1 - p2 == pytest.approx(-0.1, abs=BISECTION)
    assert abs(p1 - STATSMODELS_WRONG) > 0.005
    args = (108, 200, 103, 203, -0.1)
    assert likelihood(p1, *args) > likelihood(STATSMODELS_WRONG, *args) + 0.01


def test_t1_the_upper_limit_of_elekt_d_is_24_18_and_not_24_15() -> None:
    limits = difference_interval(108, 195, 70, 170, method="miettinen_nurminen")
    assert round(100 * float(limits.high), 2) == 24.18
    assert round(100 * float(limits.low), 2) == 3.92


def test_the_restricted_estimate_is_never_beaten_on_a_thousand_tables() -> None:
    rng = np.random.default_rng(11)
    for _ in range(1000):
        n1, n2 = (int(n) for n in rng.integers(1, 300, 2))
        x1, x2 = int(rng.integers(0, n1 + 1)), int(rng.integers(0, n2 + 1))
        d = float(rng.uniform(-0.98, 0.98))
        ours = likelihood(float(restricted_mle(x1, n1, x2, n2, d)[0]), x1, n1, x2, n2, d)
        grid = np.linspace(max(0, d), min(1, 1 + d), 200)
        best = max(likelihood(float(p), x1, n1, x2, n2, d) for p in grid)
        assert ours >= best - HEIGHT * (1 + abs(best))


@pytest.mark.parametrize("method", ["newcombe", "miettinen_nurminen", "mee", "agresti_caffo"])
def test_swapping_the_arms_mirrors_the_interval(method: str) -> None:
    there = difference_interval(7, 34, 1, 34, method=method)
    back = difference_interval(1, 34, 7, 34, method=method)
    assert there.low == pytest.approx(-np.asarray(back.high), abs=BISECTION)
    assert there.high == pytest.approx(-np.asarray(back.low), abs=BISECTION)


@pytest.mark.parametrize("method", ["miettinen_nurminen", "mee"])
def test_score_limits_are_where_the_score_is_the_quantile(method: str) -> None:
    variance = {"mee": "farrington_manning"}.get(method, method)
    limits = difference_interval(56, 70, 48, 80, method=method)
    ends = score_z(56, 70, 48, 80, [limits.low, limits.high], variance=variance)
    assert ends.tolist() == pytest.approx([1.959963984540054, -1.959963984540054], abs=ROOT)


def test_the_score_at_no_difference_is_the_pooled_z() -> None:
    z = float(score_z(108, 195, 70, 170, 0, variance="farrington_manning"))
    assert z**2 == pytest.approx(pooled_chi_square(108, 195, 70, 170)[0], rel=ARITHMETIC)


def test_arrays_give_what_single_tables_give() -> None:
    x2 = np.arange(70, 104)
    many = difference_interval(108, 200, x2, 203, method="miettinen_nurminen")
    one = difference_interval(108, 200, 90, 203, method="miettinen_nurminen")
    assert np.asarray(many.low)[20] == one.low
    assert np.asarray(many.high)[20] == one.high


def test_all_or_none_keeps_limits_within_the_range() -> None:
    for method in ("newcombe", "miettinen_nurminen", "mee", "agresti_caffo"):
        limits = difference_interval(10, 10, 0, 20, method=method)
        assert -1 <= limits.low < limits.high <= 1


def test_wilson_by_hand() -> None:
    # Newcombe 1998, Stat Med 17:857, table I, method 3: 81/263 -> 0.2553 to 0.3662.
    interval = wilson(81, 263)
    assert interval.low == pytest.approx(0.2553, abs=PRINTED)
    assert interval.high == pytest.approx(0.3662, abs=PRINTED)


def test_agresti_caffo_adds_one_success_and_one_failure_to_each_arm() -> None:
    p1, p2 = 8 / 12, 3 / 12
    half = 1.959963984540054 * math.sqrt(p1 * (1 - p1) / 12 + p2 * (1 - p2) / 12)
    limits = difference_interval(7, 10, 2, 10, method="agresti_caffo")
    assert limits.low == pytest.approx(p1 - p2 - half, abs=BISECTION)


def test_more_events_than_patients_are_refused() -> None:
    with pytest.raises(InputError, match="11 of 10: events cannot exceed"):
        difference_interval(11, 10, 1, 10, method="newcombe")


def test_an_unknown_method_names_the_known() -> None:
    with pytest.raises(UnknownNameError, match="miettinen_nurminen"):
        difference_interval(1, 10, 1, 10, method="mn")
