"""Multilevel and multivariate models: limits, symmetries and a dense calculation by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.synthesis.known_covariance import assumed_covariance
from klarsyn.synthesis.multilevel import fit_multilevel
from klarsyn.synthesis.multilevel_after import (
    deviations,
    likelihood_ratio,
    predict,
    profile_interval,
)
from klarsyn.synthesis.random_terms import Inner, Intercepts, Slopes, nested

SAME = 1e-9  # two routes to one number: rounding of a well-conditioned fit
OPTIMISER = 1e-5  # against a general optimiser's stopping rule
ONE_PAIR = 0.1  # relative; two effects of one study, the others each of their own
NEAREST = 1e-5  # of twice a log-likelihood: a grid point within 2.5e-5 of the best w


def example(seed: int = 3, studies: int = 12):
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, 6, studies))
    n = len(study)
    v = rng.gamma(3, 0.03, n)
    y = 0.4 + rng.normal(0, 0.35, studies)[study] + rng.normal(0, 0.2, n)
    return y + rng.normal(0, np.sqrt(v)), v, study, np.arange(n)


def dense_log_likelihood(y, M, X, restricted):
    W = np.linalg.inv(M)
    A = X.T @ W @ X
    b = np.linalg.solve(A, X.T @ W @ y)
    e = y - X @ b
    n, p = X.shape
    value = np.linalg.slogdet(M)[1] + e @ W @ e
    if restricted:
        value += np.linalg.slogdet(A)[1] - np.linalg.slogdet(X.T @ X)[1]
    return -0.5 * (value + (n - p if restricted else n) * np.log(2 * np.pi))


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_three_levels_maximise_the_dense_likelihood(method: str) -> None:
    y, v, study, effect = example()
    fit = fit_multilevel(y, v, random=nested(study=study, effect=effect), method=method)
    X, J = np.ones((len(y), 1)), (study[:, None] == study).astype(float)

    def loss(log_s2):
        a, b = np.exp(log_s2)
        M = np.diag(v + b) + a * J
        return -dense_log_likelihood(y, M, X, method == "REML")

    best = minimize(loss, [-2, -3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    assert fit.log_likelihood == pytest.approx(-best.fun, rel=SAME)
    assert list(fit.components.values()) == pytest.approx(np.exp(best.x), rel=OPTIMISER)
    assert fit.certificate.converged


def test_crossed_terms_maximise_the_dense_likelihood() -> None:
    rng = np.random.default_rng(8)
    site, scale = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8)
    v = rng.gamma(3, 0.02, 40)
    y = rng.normal(0, 0.4, 8)[site] + rng.normal(0, 0.3, 5)[scale] + rng.normal(0, np.sqrt(v))
    fit = fit_multilevel(
        y, v, random=[Intercepts(name="site", levels=site), Intercepts(name="scale", levels=scale)]
    )
    A, B = (site[:, None] == site), (scale[:, None] == scale)

    def loss(log_s2):
        a, b = np.exp(log_s2)
        return -dense_log_likelihood(y, np.diag(v) + a * A + b * B, np.ones((40, 1)), True)

    best = minimize(loss, [-2, -2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    assert fit.log_likelihood == pytest.approx(-best.fun, rel=SAME)
    assert list(fit.components.values()) == pytest.approx(np.exp(best.x), rel=OPTIMISER)


def test_singleton_clusters_reduce_to_two_levels() -> None:
    y, v, _, effect = example()
    alone = fit_multilevel(y, v, random=[Intercepts(name="effect", levels=effect)])
    with pytest.raises(InputError, match="group the effects alike"):
        fit_multilevel(y, v, random=nested(study=effect, effect=effect))
    split = fit_multilevel(y, v, random=[Intercepts(name="study", levels=effect)])
    assert split.estimate.value == pytest.approx(alone.estimate.value, rel=SAME)
    # One study has two effects, all others one: nearly unidentified, the sum is what counts.
    nearly = np.where(effect == 1, 0, effect)
    both = fit_multilevel(y, v, random=nested(study=nearly, effect=effect))
    assert sum(both.components.values()) == pytest.approx(
        alone.components["sigma2[effect]"], rel=ONE_PAIR
    )


def test_one_effect_per_study_gives_the_reml_of_the_textbook() -> None:
    # Raudenbush 2009, table 16.1 (dat.raudenbush1985, 19 experiments): tau² 0.019, mean 0.083.
    from pathlib import Path

    file = Path(__file__).parents[1] / "oracles" / "data" / "dat.raudenbush1985.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    head = [h.strip('"') for h in rows[0]]
    y, v = (
        np.array([float(r[-(len(head) - head.index(c))]) for r in rows[1:]]) for c in ("yi", "vi")
    )
    fit = fit_multilevel(y, v, random=[Intercepts(name="study", levels=np.arange(len(y)))])
    assert round(fit.estimate.value, 3) == 0.084
    assert round(fit.components["sigma2[study]"], 3) == 0.019


def test_compound_symmetry_is_the_nested_model_in_other_words() -> None:
    y, v, study, effect = example()
    levels = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    cs = fit_multilevel(y, v, random=[Inner(name="e", inner=effect, outer=study, structure="CS")])
    between, within = levels.components.values()
    assert cs.log_likelihood == pytest.approx(levels.log_likelihood, rel=SAME)
    assert cs.components["tau2[e]"] == pytest.approx(between + within, rel=SAME)
    assert cs.components["rho[e]"] == pytest.approx(between / (between + within), rel=SAME)


def test_random_slopes_of_one_column_of_ones_are_random_intercepts() -> None:
    y, v, study, _ = example()
    plain = fit_multilevel(y, v, random=[Intercepts(name="study", levels=study)])
    slopes = fit_multilevel(
        y,
        v,
        random=[Slopes(name="s", columns=np.ones(len(y)), outer=study, structure="UN")],
    )
    assert slopes.log_likelihood == pytest.approx(plain.log_likelihood, rel=SAME)
    assert slopes.covariances["s"][0, 0] == pytest.approx(
        plain.components["sigma2[study]"], rel=SAME
    )


@pytest.mark.parametrize("factor", [1e-6, 1 / 3, 7.0, 1e8])
def test_rescaling_the_effects_rescales_the_fit(factor: float) -> None:
    y, v, study, effect = example()
    base = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    other = fit_multilevel(
        factor * y + 5 * factor, factor**2 * v, random=nested(study=study, effect=effect)
    )
    assert other.estimate.value == pytest.approx(factor * (base.estimate.value + 5), rel=SAME)
    assert other.estimate.se == pytest.approx(factor * base.estimate.se, rel=SAME)
    for name, value in base.components.items():
        assert other.components[name] == pytest.approx(factor**2 * value, rel=SAME)


def test_the_order_of_effects_does_not_matter() -> None:
    y, v, study, effect = example()
    turn = np.random.default_rng(0).permutation(len(y))
    base = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    other = fit_multilevel(y[turn], v[turn], random=nested(study=study[turn], effect=effect[turn]))
    assert other.log_likelihood == pytest.approx(base.log_likelihood, rel=SAME)
    assert other.estimate.se == pytest.approx(base.estimate.se, rel=SAME)


def test_no_heterogeneity_rests_on_the_boundary_and_says_so() -> None:
    study = np.repeat(np.arange(6), 2)
    fit = fit_multilevel(
        np.full(12, 0.3) + np.tile([0.001, -0.001], 6),
        np.full(12, 0.1),
        random=nested(study=study, effect=np.arange(12)),
    )
    assert set(fit.certificate.boundary) == set(fit.components)
    assert list(fit.components.values()) == [0, 0]
    assert fit.estimate.se == pytest.approx(np.sqrt(0.1 / 12), rel=SAME)


def test_two_maxima_are_found_and_the_higher_one_kept() -> None:
    # Found on dat alcohol_cvd (dosresmeta): random quadratic slopes have two REML maxima.
    rng = np.random.default_rng(5)
    y, v, study, _ = example(seed=5, studies=6)
    columns = np.stack([np.ones(len(y)), rng.uniform(0, 2, len(y))], axis=1)
    fit = fit_multilevel(
        y, v, random=[Slopes(name="s", columns=columns, outer=study, structure="UN")],
        design=columns, names=["a", "b"],
    )  # fmt: skip
    assert fit.certificate.starts >= 6
    assert fit.certificate.runner_up > 0


def test_profile_limits_lie_where_the_likelihood_has_fallen_by_the_quantile() -> None:
    y, v, study, effect = example()
    fit = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    interval = profile_interval(fit, "sigma2[study]")
    J = (study[:, None] == study).astype(float)
    for limit, is_open in ((interval.low, interval.open_low), (interval.high, interval.open_high)):
        if is_open:
            continue
        best = max(
            dense_log_likelihood(y, np.diag(v + w) + limit * J, np.ones((len(y), 1)), True)
            for w in np.linspace(0, 0.4, 8001)
        )
        assert 2 * (fit.log_likelihood - best) == pytest.approx(chi2.ppf(0.95, 1), abs=NEAREST)


def test_deviations_of_an_unstructured_term_sum_the_shrunken_residuals() -> None:
    # With equal variances and one level the prediction is B (y − mean), B = tau² / (tau² + v).
    y = np.array([0.1, 0.5, 0.9, 0.2, 0.8])
    fit = fit_multilevel(y, np.full(5, 0.02), random=[Intercepts(name="s", levels=range(5))])
    tau2 = fit.components["sigma2[s]"]
    expected = tau2 / (tau2 + 0.02) * (y - y.mean())
    assert [d.value for d in deviations(fit, "s")] == pytest.approx(expected, rel=SAME)


def test_a_likelihood_ratio_compares_nested_models_only() -> None:
    y, v, study, effect = example()
    two = fit_multilevel(y, v, random=[Intercepts(name="effect", levels=effect)])
    three = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    test = likelihood_ratio(three, two)
    assert test.df == 1
    assert test.statistic == pytest.approx(2 * (three.log_likelihood - two.log_likelihood))
    assert test.p == pytest.approx(chi2.sf(test.statistic, 1), rel=SAME)
    with pytest.raises(InputError, match="more parameters"):
        likelihood_ratio(two, three)


def test_prediction_adds_all_variances_to_the_mean_s() -> None:
    y, v, study, effect = example()
    fit = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    mean, (low, high) = predict(fit)
    total = mean.se**2 + sum(fit.components.values())
    assert high - low == pytest.approx(2 * 1.959963984540054 * np.sqrt(total), rel=SAME)


def test_an_assumed_correlation_is_the_product_of_its_parts() -> None:
    V = assumed_covariance(
        [1.0, 4.0, 9.0],
        ["a", "a", "b"],
        kind=["x", "y", "x"],
        kind_rho={("x", "y"): 0.5},
        time=[0, 2, 0],
        phi=0.9,
    )
    assert V[0, 1] == pytest.approx(0.5 * 0.81 * 2)
    assert V[0, 2] == 0
    assert np.diag(V).tolist() == [1, 4, 9]


def test_different_kinds_take_their_own_correlation_in_place_of_rho() -> None:
    V = assumed_covariance([1.0] * 3, ["a"] * 3, rho=0.6, kind=["x", "x", "y"], kind_rho=0.3)
    assert V.tolist() == [[1, 0.6, 0.3], [0.6, 1, 0.3], [0.3, 0.3, 1]]


def test_a_shared_control_group_of_equal_size_correlates_by_one_half() -> None:
    V = assumed_covariance(
        [1.0, 1.0], ["a", "a"], groups=(["t1", "t2"], ["c", "c"]), sizes=([20, 20], [20, 20])
    )
    assert V[0, 1] == pytest.approx(0.5)


def test_effects_that_share_all_sampling_error_can_still_be_pooled() -> None:
    # Two effects a study with correlation 1: V is singular, the random effects make up for it.
    y, study = np.array([0.1, 0.3, 0.6, 0.9, 0.2, 0.1]), np.repeat(range(3), 2)
    V = assumed_covariance(np.full(6, 0.05), study, rho=1.0)
    fit = fit_multilevel(y, V, random=nested(study=study, effect=range(6)))
    assert fit.certificate.converged
    assert np.isnan(fit.QE.statistic)
    assert fit.estimate.value == pytest.approx(y.mean(), rel=SAME)  # balanced: equal weights


def test_few_clusters_are_said_in_the_result() -> None:
    y, v, study, effect = example(studies=4)
    fit = fit_multilevel(y, v, random=nested(study=study, effect=effect))
    assert fit.warnings[0] == "The variance of study rests on 4 levels: it is hardly known."
    assert "4 levels of study: normal tests" in fit.warnings[1]
    assert fit.warnings[1] in fit.summary()


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(InputError, match="Effect 2: its sampling variance"):
        fit_multilevel([1, 2], [1, -1], random=[Intercepts(name="a", levels=[1, 2])])
    with pytest.raises(InputError, match=r"'a' has one level only \(x\)"):
        fit_multilevel([1, 2], [1, 1], random=[Intercepts(name="a", levels=["x", "x"])])
    with pytest.raises(NumericalError, match="more effects than coefficients: 2 or more, not 1"):
        fit_multilevel([1.0], [1.0], random=[Intercepts(name="a", levels=["x"])])
    with pytest.raises(UnknownNameError, match="Nearest: REML"):
        fit_multilevel([1, 2], [1, 1], random=[Intercepts(name="a", levels=[1, 2])], method="reml")
    with pytest.raises(NumericalError, match="linearly dependent"):
        fit_multilevel(
            [1, 2, 3],
            [1, 1, 1],
            random=[Intercepts(name="a", levels=[1, 2, 3])],
            design=np.ones((3, 2)),
            names=["a", "b"],
        )
    with pytest.raises(InputError, match="Cluster s: these correlations are impossible"):
        assumed_covariance([1.0, 1.0, 1.0], ["s"] * 3, rho=-0.9)
    with pytest.raises(InputError, match="needs times as numbers"):
        fit_multilevel(
            [1, 2, 3, 4],
            [1, 1, 1, 1],
            random=[Inner(name="t", inner=list("abab"), outer=[1, 1, 2, 2], structure="AR")],
        )
