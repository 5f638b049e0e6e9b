"""Derivatives against differences, and descents that must find known minima."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.stats import linear_mixed
from klarsyn.stats.bounded_newton import Local, minimise
from klarsyn.stats.covariance_structures import STRUCTURES, structure
from klarsyn.stats.scalar_heterogeneity import estimate_tau2, slope

CLOSED = 1e-11  # a closed form against LAPACK, sums of a few dozen terms
DIFFERENCE = 1e-6  # central differences of a smooth function, relative
STEP = 1e-9  # absolute; differences over 2e-6 of values near 1, each rounded at 1e-16
NEWTON = 1e-12  # a quadratic bowl is solved in one step
HEIGHT = 1e-12  # of a log-likelihood near 10, against the lowest of 4,001 points
STATIONARY = 1e-10  # the slope at an optimum


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_structure_s_jacobian_is_its_difference_quotient(name: str, size: int) -> None:
    family = structure(name, size, np.array([0.0, 1.0, 3.0, 4.0])[:size])
    rng = np.random.default_rng(size)
    inside = family.start(0.7, 0.4) * rng.uniform(0.8, 1.2, len(family.parameters))
    _, jacobian = family.elements(inside)
    for i in range(inside.size):
        step = np.zeros(inside.size)
        step[i] = 1e-6
        slope_ = (family.elements(inside + step)[0] - family.elements(inside - step)[0]) / 2e-6
        assert jacobian[:, i] == pytest.approx(slope_, abs=STEP)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.95])
def test_every_start_is_a_covariance_matrix(name: str, rho: float) -> None:
    family = structure(name, 4, np.arange(4.0))
    at = np.clip(family.start(0.3, rho), family.lower, family.upper)
    assert np.linalg.eigvalsh(family.matrix(at))[0] > -1e-12


def test_autoregression_decays_with_the_lag_in_time() -> None:
    family = structure("HAR", 3, np.array([1.0, 2.0, 5.0]))
    G = family.matrix(np.array([1.0, 2.0, 3.0, -0.5]))
    assert G[0, 1] == pytest.approx(1 * 2 * -0.5)
    assert G[1, 2] == pytest.approx(2 * 3 * (-0.5) ** 3)
    assert G[0, 2] == pytest.approx(1 * 3 * 0.5**4)


def test_an_unknown_structure_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: CS"):
        structure("CSS", 3)


def example():
    rng = np.random.default_rng(9)
    sizes = [1, 2, 4, 5, 3, 7]
    blocks = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    n = sum(sizes)
    study = np.repeat(range(6), sizes)
    V = np.diag(rng.uniform(0.1, 0.4, n))
    V += 0.05 * (study[:, None] == study)
    X = np.stack([np.ones(n), rng.normal(size=n)], axis=1)
    y = X @ [0.2, 0.5] + rng.normal(0, 0.6, n)

    def maker(index, real):
        both = real[:, :, None] & real[:, None, :]
        eye = np.eye(index.shape[1], dtype=bool) & both
        return np.stack([both, eye]).astype(float)

    return linear_mixed.build(y, X, V, blocks, maker)


@pytest.mark.parametrize("restricted", [True, False])
def test_likelihood_derivatives_are_difference_quotients(restricted: bool) -> None:
    problem, at, h = example(), np.array([0.3, 0.2]), 1e-5
    here = linear_mixed.evaluate(problem, at, restricted)
    assert here is not None
    for i in range(2):
        step = np.zeros(2)
        step[i] = h
        up = linear_mixed.evaluate(problem, at + step, restricted)
        down = linear_mixed.evaluate(problem, at - step, restricted)
        assert up is not None
        assert down is not None
        assert here.gradient[i] == pytest.approx((up.value - down.value) / (2 * h), rel=DIFFERENCE)
        assert here.curvature[i] == pytest.approx(
            (up.gradient - down.gradient) / (2 * h), rel=DIFFERENCE
        )


def test_outside_its_domain_the_likelihood_is_none() -> None:
    assert linear_mixed.evaluate(example(), np.array([-5.0, 0.0]), True) is None


def test_a_descent_finds_the_corner_of_a_slanted_plane() -> None:
    def plane(x):
        return Local(float(x.sum()), np.ones(2), np.zeros((2, 2)), np.eye(2))

    end = minimise(plane, np.array([2.0, 3.0]), np.zeros(2), np.full(2, 9.0))
    assert end.at.tolist() == [0, 0]
    assert not end.free.any()


def test_a_descent_slides_along_a_wall_to_the_constrained_minimum() -> None:
    H = np.array([[2.0, 1.9], [1.9, 2.0]])
    target = np.array([-1.0, 2.0])

    def bowl(x):
        d = x - target
        return Local(float(d @ H @ d / 2), H @ d, H, H)

    end = minimise(bowl, np.array([3.0, 3.0]), np.zeros(2), np.full(2, 9.0))
    # On the wall x = 0 the best y solves 1.9·(0 + 1) + 2·(y − 2) = 0.
    assert end.at == pytest.approx([0, 2 - 0.95], abs=NEWTON)


def test_slopes_of_one_variance_are_difference_quotients() -> None:
    rng = np.random.default_rng(1)
    X, v = np.stack([np.ones(9), rng.normal(size=9)], axis=1), rng.uniform(0.1, 1, 9)
    y = rng.normal(size=9)
    for restricted in (True, False):
        at, h = 0.3, 1e-5
        here, up, down = (slope(y, X, v, at + s, restricted) for s in (0, h, -h))
        assert here.first == pytest.approx((up.value - down.value) / (2 * h), rel=DIFFERENCE)
        assert here.second == pytest.approx((up.first - down.first) / (2 * h), rel=DIFFERENCE)
        assert here.Q_slope == pytest.approx((up.Q - down.Q) / (2 * h), rel=DIFFERENCE)


def test_of_two_maxima_the_higher_one_wins_and_both_are_counted() -> None:
    # Three precise effects and five vague ones, found by search: REML has one maximum near 0.0005
    # and a higher one near 10.8.
    y = np.array(
        [-0.041167, -0.002465, 0.00013, -11.289602, -2.655963, -0.901985, -1.643709, -0.22053]
    )
    v = np.array([1.44e-4, 2.13e-6, 1.36e-6, 3.21, 20.0, 0.0713, 0.685, 0.0223])
    X = np.ones((8, 1))
    tau2, certificate = estimate_tau2(y, X, v, "REML")
    grid = np.concatenate([[0.0], np.geomspace(1e-9, 1e3, 4000)])
    values = np.array([slope(y, X, v, t, True).value for t in grid])
    valleys = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
    assert certificate.maxima == valleys.sum() + (values[0] < values[1]) == 2
    assert slope(y, X, v, tau2, True).value <= values.min() + HEIGHT
    assert certificate.runner_up > 0
    assert certificate.gradient < STATIONARY


@pytest.mark.parametrize("columns", [0, 1, 2])
@pytest.mark.parametrize("restricted", [True, False])
def test_nested_effects_have_the_derivatives_of_the_general_form(
    restricted: bool, columns: int
) -> None:
    """Effects in studies of unequal size: diag(u) − c uuᵀ against inverted blocks."""
    rng = np.random.default_rng(10)
    sizes = rng.integers(1, 8, 15)
    n = int(sizes.sum())
    blocks = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    X = np.stack([np.ones(n), rng.normal(size=n)], axis=1)[:, :columns]

    def patterns(index: np.ndarray, real: np.ndarray) -> np.ndarray:
        both = real[:, :, None] & real[:, None, :]
        return np.stack([both, both & np.eye(index.shape[1], dtype=bool)]).astype(float)

    problem = linear_mixed.build(rng.normal(size=n), X, rng.uniform(0.1, 0.4, n), blocks, patterns)
    assert any(b.nested for b in problem.buckets)
    general = replace(problem, buckets=tuple(b._replace(nested=None) for b in problem.buckets))
    for gamma in ([0.0, 0.0], [0.3, 0.0], [0.0, 2.0], [1.5, 0.7]):
        quick, slow = (
            linear_mixed.evaluate(p, np.array(gamma), restricted) for p in (problem, general)
        )
        assert quick is not None
        assert slow is not None
        for one, other in zip(quick, slow, strict=True):
            np.testing.assert_allclose(one, other, rtol=CLOSED, atol=CLOSED)
