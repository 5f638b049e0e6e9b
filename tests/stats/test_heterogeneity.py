from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.errors import NumericalError, UnknownNameError
from klarsyn.stats.batched import fit_means
from klarsyn.stats.heterogeneity import ESTIMATORS, estimate_tau2, log_likelihood
from klarsyn.stats.tau2_intervals import INTERVALS, tau2_interval

LAST_BITS = 1e-10  # relative; roots are solved to about 1e-15 times their condition
SOLVED = 1e-13  # of the estimating function at its root, relative to the sum of its terms
NOTHING = 1e-15  # τ² of effects that differ by the rounding of 0.4 at the most
HEIGHT = 1e-12  # of a log-likelihood of about 10: its own rounding
PRINTED = 1e-7  # relative; χ² quantiles with ten digits, the small one of them with seven
STEEP = 1e-8  # relative, of Q at a root: sampling variances up to e¹² apart cost six digits
METHODS = tuple(m for m in ESTIMATORS if m not in {"EE", "FE"})
Y = np.array([-0.89, -1.59, -1.35, -1.44, -0.22, -0.79, -1.62, 0.01, -0.47, -1.37])
V = np.array([0.33, 0.19, 0.42, 0.02, 0.05, 0.007, 0.22, 0.004, 0.056, 0.073])


def tau2(y: np.ndarray, v: np.ndarray, method: str) -> float:
    return estimate_tau2(y, v, method=method, weights=1 / v).value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-6, 0.01, 1e4, 1e9])
def test_scaling_the_effects_scales_tau2_by_the_square(method: str, factor: float) -> None:
    scaled = tau2(factor * Y, factor**2 * V, method)
    assert scaled == pytest.approx(factor**2 * tau2(Y, V, method), rel=LAST_BITS)


@pytest.mark.parametrize("method", METHODS)
def test_shifting_the_effects_changes_nothing(method: str) -> None:
    assert tau2(Y + 100, V, method) == pytest.approx(tau2(Y, V, method), rel=LAST_BITS)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_studies_does_not_matter(method: str) -> None:
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    assert tau2(Y[order], V[order], method) == pytest.approx(tau2(Y, V, method), rel=LAST_BITS)


@pytest.mark.parametrize("method", METHODS)
def test_identical_trials_have_no_heterogeneity(method: str) -> None:
    assert tau2(np.full(6, 0.4), V[:6], method) == pytest.approx(0, abs=NOTHING)


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_scale_with_the_effects(interval: str) -> None:
    one = tau2_interval(Y, V, interval=interval, weights=1 / V)
    big = tau2_interval(1e5 * Y, 1e10 * V, interval=interval, weights=1e-10 / V)
    np.testing.assert_allclose(big, 1e10 * np.array(one), rtol=LAST_BITS)


def test_equal_variances_make_the_estimators_the_sample_variance_less_v() -> None:
    """With v common, REML, DL, PM and HE all give max(0, s² − v)."""
    v = np.full(10, 0.1)
    expected = Y.var(ddof=1) - 0.1
    for method in ("REML", "DL", "PM", "EB", "HE"):
        assert tau2(Y, v, method) == pytest.approx(expected, rel=LAST_BITS)
    assert tau2(Y, v, "ML") == pytest.approx(Y.var() - 0.1, rel=LAST_BITS)


def test_the_dersimonian_laird_estimate_by_hand() -> None:
    """y = 0, 2 with v = 1, 1: Q = 2, Σw − Σw²/Σw = 1, so τ² = (2 − 1)/1."""
    assert tau2(np.array([0.0, 2.0]), np.ones(2), "DL") == 1.0


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("design", [False, True], ids=["mean", "moderator"])
def test_no_upper_limit_is_capped(interval: str, design: bool) -> None:
    """Effects a million times their standard errors apart: a limit of any fixed size would show.

    v is 1e-12 of τ² and stays: beside it a factor on the effects is one on the limits.
    """
    y = 1e6 * np.array([-1.0, 0.4, 2.1, -0.3, 1.2, 0.9])
    v = np.array([0.5, 1.0, 2.0, 1.5, 0.7, 1.1])
    x = np.column_stack([np.ones(6), np.arange(6.0)]) if design else None
    low, high = tau2_interval(y, v, x, interval=interval, weights=1 / v)
    found = estimate_tau2(y, v, x, method="REML").value
    assert 1e11 < low < found < high
    assert high > 2 * found
    wider = tau2_interval(1e3 * y, v, x, interval=interval, weights=1 / v)
    assert wider[1] == pytest.approx(1e6 * high, rel=LAST_BITS)


def test_q_profile_limits_are_not_capped() -> None:
    """Two trials that differ much: the upper limit lies far beyond any customary bound."""
    y, v = np.array([0.0, 300.0]), np.array([1.0, 1.0])
    low, high = tau2_interval(y, v, interval="QP")
    expected = [45000 / q - 1 for q in (5.023886187, 0.0009820691)]  # χ²₁ at 0.975 and 0.025
    assert low == pytest.approx(expected[0], rel=PRINTED)
    assert high == pytest.approx(expected[1], rel=PRINTED)


def many_samples() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(20)
    out = []
    for _ in range(300):
        k = int(rng.integers(3, 9))
        v = np.exp(rng.normal(0, 2.5, k))
        out.append((rng.normal(0, np.sqrt(v + rng.choice([0, 1, 30]))), v))
    return out


def test_the_estimate_is_the_highest_point_of_a_fine_grid() -> None:
    """300 samples with sampling variances over five orders of magnitude, some with two maxima."""
    several = 0
    for y, v in many_samples():
        for method in ("REML", "ML"):
            got = estimate_tau2(y, v, method=method)
            several += got.certificate.maxima > 1
            grid = np.concatenate([[0], np.geomspace(1e-6 * v.min(), 1e3 * v.max(), 4000)])
            height = log_likelihood(y, v, None, grid, restricted=method == "REML")
            top = log_likelihood(y, v, None, got.value, restricted=method == "REML")[0]
            assert height.max() <= top + HEIGHT
    assert several >= 3


def test_the_batched_fits_are_the_single_ones_also_with_several_maxima() -> None:
    for y, v in many_samples()[:100]:
        for method in ("REML", "ML", "PM", "DL"):
            batch = fit_means(y, v, np.ones((1, len(y))), method=method)
            single = estimate_tau2(y, v, method=method).value
            assert batch.tau2[0] == pytest.approx(single, rel=LAST_BITS, abs=NOTHING * v.min())


def test_the_certificate_says_solved_boundary_or_interior() -> None:
    inside = estimate_tau2(Y, V, method="REML").certificate
    assert abs(inside.gradient) < SOLVED
    assert inside.curvature < 0
    assert not inside.boundary
    edge = estimate_tau2(np.array([0.1, 0.12, 0.11]), np.ones(3), method="REML").certificate
    assert edge.boundary
    assert edge.gradient < 0


def test_rivals_are_listed_with_the_height_they_lack() -> None:
    found = [estimate_tau2(y, v, method="REML") for y, v in many_samples()]
    rivals = [t for t in found if t.certificate.maxima > 1]
    assert rivals
    for t in rivals:
        assert len(t.certificate.others) == t.certificate.maxima - 1
        assert all(gap <= 0 for _, gap in t.certificate.others)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-6, 6)), min_size=2, max_size=12))
def test_q_at_the_profile_limits_meets_its_quantiles(studies: list[tuple[float, float]]) -> None:
    from scipy.stats import chi2

    y = np.array([s[0] for s in studies])
    v = np.exp(np.array([s[1] for s in studies]))
    low, high = tau2_interval(y, v, interval="QP")
    for limit, quantile in ((low, 0.975), (high, 0.025)):
        w = 1 / (v + limit)
        q = float(w @ (y - w @ y / w.sum()) ** 2)
        target = chi2.ppf(quantile, len(y) - 1)
        assert q <= target * (1 + STEEP)
        if limit > 0:
            assert q == pytest.approx(target, rel=STEEP)


def test_one_study_has_no_tau2() -> None:
    with pytest.raises(NumericalError, match="1 studies cannot estimate"):
        estimate_tau2(Y[:1], V[:1], method="REML")


def test_unknown_estimators_get_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: REML"):
        estimate_tau2(Y, V, method="RELM")
