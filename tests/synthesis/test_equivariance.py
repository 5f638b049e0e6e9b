"""Another unit or another origin of the effects changes the numbers as it must, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.multilevel import MultilevelFit, fit_multilevel
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_data import network_from_contrasts
from klarsyn.synthesis.random_terms import Inner
from klarsyn.synthesis.regression import regress
from klarsyn.synthesis.resampling import permutation_test
from klarsyn.synthesis.robust import fit_robust
from klarsyn.synthesis.subsets import subsets

SAME = 1e-8  # rounding of an iterative fit whose root is solved to the last bits
COMPONENT = 1e-6  # variances at a maximum: the square root of the likelihood's rounding
FACTORS = [1e-7, 1 / 3, 1e6]
SHIFT = 5.0
K = 16


def effects(factor: float, shift: float) -> Effects:
    rng = np.random.default_rng(20260302)
    x = np.arange(K) / K
    v = rng.uniform(0.05, 0.3, K)
    y = 0.3 + 0.5 * x + rng.normal(0, np.sqrt(v + 0.1 + 0.4 * x))
    return effects_from_arrays(
        factor * (y + shift), factor**2 * v, covariates={"x": x.tolist(), "z": (x > 0.5).tolist()}
    )


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("method", ["REML", "ML", "PM", "DL", "EB"])
def test_a_regression_follows_unit_and_origin(method: str, factor: float) -> None:
    one = regress(effects(1, 0), ["x"], method=method)
    other = regress(effects(factor, SHIFT), ["x"], method=method)
    first, slope = other.coefficients
    assert first.estimate == pytest.approx(
        factor * (one.coefficients[0].estimate + SHIFT), rel=SAME
    )
    assert slope.estimate == pytest.approx(factor * one.coefficients[1].estimate, rel=COMPONENT)
    assert slope.p_value == pytest.approx(one.coefficients[1].p_value, rel=COMPONENT)
    assert other.tau2 == pytest.approx(factor**2 * one.tau2, rel=COMPONENT)
    assert other.i2 == pytest.approx(one.i2, rel=COMPONENT)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_scale_part_moves_by_the_logarithm_of_the_unit(factor: float) -> None:
    one = regress_location_scale(effects(1, 0), [], ["x"])
    other = regress_location_scale(effects(factor, SHIFT), [], ["x"])
    assert other.scale[0].estimate == pytest.approx(
        one.scale[0].estimate + 2 * np.log(factor), rel=COMPONENT, abs=COMPONENT
    )
    assert other.scale[1].estimate == pytest.approx(one.scale[1].estimate, rel=COMPONENT)


@pytest.mark.parametrize("factor", FACTORS)
def test_subsets_and_permutations_follow_unit_and_origin(factor: float) -> None:
    first = list(range(10))
    one, other = (subsets(effects(*c).take(first)) for c in ((1, 0), (factor, SHIFT)))
    np.testing.assert_allclose(other.estimate, factor * (one.estimate + SHIFT), rtol=SAME)
    np.testing.assert_allclose(
        other.tau2, factor**2 * one.tau2, rtol=COMPONENT, atol=1e-12 * factor**2
    )
    seeds = {"count": 300, "seed": 4}
    p = [permutation_test(effects(*c), ["x"], **seeds).p_value for c in ((1, 0), (factor, SHIFT))]
    assert p[0][1] == p[1][1]  # the slope's; the intercept's null value is what moved


def multivariate(factor: float, shift: float) -> MultilevelFit:
    rng = np.random.default_rng(20260303)
    trial, outcome = np.repeat(np.arange(14), 2), np.tile(["early", "late"], 14)
    G = np.linalg.cholesky([[0.2, 0.12], [0.12, 0.3]])
    y = (rng.normal(size=(14, 2)) @ G.T).ravel()
    V = np.kron(np.diag(rng.uniform(0.05, 0.15, 14)), [[1, 0.5], [0.5, 1]])
    y = y + np.linalg.cholesky(V) @ rng.normal(size=28)
    term = Inner(name="o", inner=outcome, outer=trial, structure="UN")
    X = np.column_stack([outcome == "early", outcome == "late"]).astype(float)
    return fit_multilevel(
        factor * (y + shift), factor**2 * V, random=[term], design=X, names=["early", "late"]
    )


@pytest.mark.parametrize("factor", FACTORS)
def test_a_multivariate_model_follows_unit_and_origin(factor: float) -> None:
    one, other = multivariate(1, 0), multivariate(factor, SHIFT)
    for name, e in one.coefficients.items():
        assert other.coefficients[name].value == pytest.approx(factor * (e.value + SHIFT), rel=SAME)
        assert other.coefficients[name].se == pytest.approx(factor * e.se, rel=COMPONENT)
    np.testing.assert_allclose(
        other.covariances["o"], factor**2 * one.covariances["o"], rtol=COMPONENT
    )


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("weights", ["HIER", "CORR"])
def test_robust_errors_follow_unit_and_origin(weights: str, factor: float) -> None:
    study = [i // 2 for i in range(K)]
    extra = {"rho": 0.8} if weights == "CORR" else {}
    one, other = (
        fit_robust(effects(*c).y, effects(*c).v, study, weights=weights, **extra)
        for c in ((1, 0), (factor, SHIFT))
    )
    assert other.estimate.value == pytest.approx(factor * (one.estimate.value + SHIFT), rel=SAME)
    assert other.estimate.se == pytest.approx(factor * one.estimate.se, rel=SAME)
    assert other.estimate.df == pytest.approx(one.estimate.df, rel=SAME)


def test_moving_one_treatment_of_a_network_moves_its_contrasts_only() -> None:
    pairs = [("A", "B"), ("A", "C"), ("B", "C"), ("C", "D")] * 3
    rng = np.random.default_rng(8)
    y, se = rng.normal(0.3, 0.5, 12), rng.uniform(0.1, 0.3, 12)
    moved = y + SHIFT * np.array([(a == "C") - (b == "C") for a, b in pairs])
    fits = [
        fit_network(
            network_from_contrasts(
                range(12), [a for a, _ in pairs], [b for _, b in pairs], x, se, measure="MD"
            )
        )
        for x in (y, moved)
    ]
    assert fits[1].tau2 == pytest.approx(fits[0].tau2, rel=COMPONENT)
    assert fits[1].estimate("A", "B").value == pytest.approx(
        fits[0].estimate("A", "B").value, rel=SAME
    )
    assert fits[1].estimate("C", "D").value == pytest.approx(
        fits[0].estimate("C", "D").value + SHIFT, rel=SAME
    )


@pytest.mark.parametrize(
    "result",
    [
        lambda: regress(effects(1, 0), ["x"]),
        lambda: multivariate(1, 0),
    ],
    ids=["regression", "multilevel"],
)
def test_results_name_their_definitions(result) -> None:
    record = result().to_dict()
    assert "i2" in {n.lower() for n in record["definitions"]}
