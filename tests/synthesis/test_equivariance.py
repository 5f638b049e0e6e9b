"""Another unit or another origin of the effects changes the numbers as it must, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.stats.asymmetry import limit_meta_analysis, pet_peese
from klarsyn.stats.tau_priors import half_normal
from klarsyn.stats.trim_and_fill import trim_and_fill
from klarsyn.synthesis.bayes import pool_bayes
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.multilevel import MultilevelFit, fit_multilevel
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_data import network_from_contrasts
from klarsyn.synthesis.random_terms import Inner, nested
from klarsyn.synthesis.rare import count_table, fit_glmm, rate_table
from klarsyn.synthesis.regression import regress
from klarsyn.synthesis.resampling import permutation_test
from klarsyn.synthesis.robust import fit_robust
from klarsyn.synthesis.subsets import subsets

SAME = 1e-8  # rounding of an iterative fit whose root is solved to the last bits
COMPONENT = 1e-6  # variances at a maximum: the square root of the likelihood's rounding
EDGE = 1e-12  # a variance that is 0 in one unit, in the squared unit of the other
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
        other.tau2, factor**2 * one.tau2, rtol=COMPONENT, atol=EDGE * factor**2
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


def nested_fit(factor: float, shift: float) -> MultilevelFit:
    e = effects(factor, shift)
    study = [i // 2 for i in range(K)]
    return fit_multilevel(e.y, e.v, random=nested(study=study, effect=list(range(K))))


@pytest.mark.parametrize("factor", FACTORS)
def test_three_levels_follow_unit_and_origin(factor: float) -> None:
    one, other = nested_fit(1, 0), nested_fit(factor, SHIFT)
    (first,), (second,) = one.coefficients.values(), other.coefficients.values()
    assert second.value == pytest.approx(factor * (first.value + SHIFT), rel=SAME)
    assert second.se == pytest.approx(factor * first.se, rel=COMPONENT)
    for name, variance in one.components.items():
        assert other.components[name] == pytest.approx(factor**2 * variance, rel=COMPONENT)


@pytest.mark.parametrize("factor", FACTORS)
def test_adjusted_means_follow_unit_and_origin(factor: float) -> None:
    """Trim and fill and PET-PEESE follow both; the limit estimate the unit, being made of y/s."""
    one, other = effects(1, 0), effects(factor, SHIFT)
    for make in (
        lambda e: trim_and_fill(e.y, e.v, estimator="L0").estimate,
        lambda e: trim_and_fill(e.y, e.v, estimator="R0").estimate,
        lambda e: pet_peese(e.y, e.v, threshold=0.0).estimate,
        lambda e: pet_peese(e.y, e.v, threshold=1.0).estimate,
        lambda e: limit_meta_analysis(e.y, e.v, tau2_method="REML").estimate,
    ):
        first, second = make(one), make(other)
        assert second.value == pytest.approx(factor * (first.value + SHIFT), rel=COMPONENT)
        assert second.se == pytest.approx(factor * first.se, rel=COMPONENT)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_posterior_follows_unit_and_origin_with_its_prior(factor: float) -> None:
    one = pool_bayes(effects(1, 0), tau_prior=half_normal(0.5))
    other = pool_bayes(effects(factor, SHIFT), tau_prior=half_normal(0.5 * factor))
    for name in ("median", "low", "high"):
        assert getattr(other.mu, name) == pytest.approx(
            factor * (getattr(one.mu, name) + SHIFT), rel=COMPONENT
        )
        assert getattr(other.tau, name) == pytest.approx(
            factor * getattr(one.tau, name), rel=COMPONENT
        )


# Odds ratios on both sides of 1, so that the models find a τ² above 0.
COUNTS = ([9, 1, 20, 0, 15, 6], [60, 45, 120, 30, 88, 51], [4, 6, 9, 4, 5, 8],
          [58, 47, 118, 33, 90, 49])  # fmt: skip


@pytest.mark.parametrize("model", ["CM.EL", "CM.AL", "UM.FS", "UM.RS"])
def test_a_count_model_changes_sign_when_the_groups_change_places(model: str) -> None:
    """Counts have no unit; the log odds ratio has a direction."""
    a, n1, c, n2 = COUNTS
    names = [str(i) for i in range(len(a))]
    one = fit_glmm(count_table(names, a, n1, c, n2), model)
    other = fit_glmm(count_table(names, c, n2, a, n1), model)
    assert one.tau2 > 0
    assert other.estimate.value == pytest.approx(-one.estimate.value, rel=COMPONENT)
    assert other.estimate.se == pytest.approx(one.estimate.se, rel=COMPONENT)
    assert other.tau2 == pytest.approx(one.tau2, rel=COMPONENT)


@pytest.mark.parametrize("model", ["CM.EL", "UM.FS", "UM.RS"])
def test_a_rate_model_does_not_know_the_unit_of_time(model: str) -> None:
    a, t1, c, t2 = COUNTS
    names = [str(i) for i in range(len(a))]
    days = [365.25 * t for t in t1], [365.25 * t for t in t2]
    one = fit_glmm(rate_table(names, a, t1, c, t2), model)
    other = fit_glmm(rate_table(names, a, days[0], c, days[1]), model)
    assert one.tau2 > 0
    assert other.estimate.value == pytest.approx(one.estimate.value, rel=COMPONENT)
    assert other.estimate.se == pytest.approx(one.estimate.se, rel=COMPONENT)
    assert other.tau2 == pytest.approx(one.tau2, rel=COMPONENT)


@pytest.mark.parametrize("estimator", ["DL", "PM", "ML", "REML"])
def test_a_network_of_contrasts_does_not_depend_on_reference_or_direction(estimator: str) -> None:
    """Two three-arm studies, each of whose three contrasts is given the other way round too."""
    rows = [
        ("s1", "A", "B", 0.30, 0.21), ("s1", "A", "C", 0.55, 0.24), ("s1", "B", "C", 0.25, 0.20),
        ("s2", "B", "C", 0.40, 0.18), ("s2", "B", "D", -0.20, 0.22), ("s2", "C", "D", -0.60, 0.23),
        ("s3", "A", "D", 0.10, 0.25), ("s4", "C", "D", -0.30, 0.21), ("s5", "A", "B", 0.70, 0.19),
        ("s6", "A", "C", 0.05, 0.26), ("s7", "B", "D", 0.30, 0.24),
    ]  # fmt: skip
    turned = [(s, b, a, -y, se) for s, a, b, y, se in reversed(rows)]
    first, second = (
        network_from_contrasts(*zip(*r, strict=True), measure="MD") for r in (rows, turned)
    )
    base = fit_network(first, heterogeneity=estimator, reference="A")
    assert base.tau2 > 0
    for data in (first, second):
        for reference in "ABCD":
            other = fit_network(data, heterogeneity=estimator, reference=reference)
            assert other.tau2 == pytest.approx(base.tau2, rel=COMPONENT)
            for a, b in (("A", "B"), ("C", "D"), ("B", "D")):
                mine, theirs = base.estimate(a, b), other.estimate(a, b)
                assert theirs.value == pytest.approx(mine.value, rel=COMPONENT)
                assert theirs.se == pytest.approx(mine.se, rel=COMPONENT)


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
