from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.stats.batched import fit_permutations
from klarsyn.stats.heterogeneity import estimate_tau2, log_likelihood
from klarsyn.stats.weighted import fit
from klarsyn.synthesis.design import build_design
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.regression import joint_test, predict, regress, shrink, variance_inflation
from klarsyn.synthesis.resampling import bootstrap, permutation_test

SAME = 1e-9  # relative; two ways to the same optimum
LAST_BITS = 1e-14  # relative; a matrix product of another shape
HEIGHT = 1e-9  # of a log-likelihood; rounding of sums of a dozen terms
ROUNDING = 1e-12  # absolute, of effects near 1
NEAR_ZERO = 1e-15  # absolute, of a tau² or coefficient that is zero
FAR = 1e-8  # relative; 1e6 added to effects near 1 costs six of sixteen digits and their squares
MONTE_CARLO = 0.048  # relative error of an SD from 2,000 draws: three times 1/√4000
RNG = np.random.default_rng(4)
K = 14
V = RNG.uniform(0.02, 0.3, K)
DOSE = RNG.uniform(0, 3, K)
Y = 0.2 + 0.3 * DOSE + RNG.normal(0, np.sqrt(V + 0.05))
KIND = [("a", "b", "c")[i % 3] for i in range(K)]


def effects(**more: object) -> Effects:
    return effects_from_arrays(
        Y, V, covariates={"dose": DOSE.tolist(), "kind": KIND, "level": [i % 3 for i in range(K)],
                          **more},
    )  # type: ignore[arg-type] # fmt: skip


def test_a_regression_without_moderators_is_pooling() -> None:
    r, p = regress(effects(), [], test="knha"), pool(effects(), test="knha")
    assert r.coefficients[0].estimate == pytest.approx(p.estimate, rel=SAME)
    assert r.coefficients[0].se == pytest.approx(p.se, rel=SAME)
    assert r.tau2 == pytest.approx(p.tau2, rel=SAME)
    assert r.log_likelihood == pytest.approx(p.log_likelihood, rel=SAME)
    assert r.i2 == pytest.approx(p.i2, rel=SAME)


def test_common_effect_regression_is_weighted_least_squares() -> None:
    r = regress(effects(), ["dose"], method="EE", test="z")
    slope = np.polyfit(DOSE, Y, 1, w=1 / np.sqrt(V))[0]
    assert r.coefficients[1].estimate == pytest.approx(slope, rel=SAME)


def test_rescaling_a_moderator_rescales_its_coefficient_only() -> None:
    one = regress(effects(), ["dose"])
    other = regress(effects(mg=(1000 * DOSE).tolist()), ["mg"])
    assert other.coefficients[1].estimate == pytest.approx(one.coefficients[1].estimate / 1000)
    assert other.tau2 == pytest.approx(one.tau2, rel=SAME)
    assert other.omnibus.p_value == pytest.approx(one.omnibus.p_value, rel=SAME)


def test_a_factor_without_intercept_gives_the_mean_of_each_level() -> None:
    with_, without = regress(effects(), ["kind"]), regress(effects(), ["kind"], intercept=False)
    means = {c.name: c.estimate for c in without.coefficients}
    shifts = {c.name: c.estimate for c in with_.coefficients}
    assert set(means) == {"kind=a", "kind=b", "kind=c"}
    assert means["kind=a"] == pytest.approx(shifts["intercept"])
    assert means["kind=c"] == pytest.approx(shifts["intercept"] + shifts["kind=c"])
    assert without.tau2 == pytest.approx(with_.tau2, rel=SAME)


def test_numbers_become_levels_only_when_asked() -> None:
    assert build_design(effects(), ["level"]).names == ("intercept", "level")
    assert build_design(effects(), ["factor(level)"]).names == ("intercept", "level=1", "level=2")


def test_products_are_written_with_a_colon() -> None:
    d = build_design(effects(), ["dose", "kind", "dose:kind"])
    assert d.names[-2:] == ("dose:kind=b", "dose:kind=c")
    np.testing.assert_allclose(d.matrix[:, -1], DOSE * (np.array(KIND) == "c"))


def test_columns_that_follow_from_others_are_named() -> None:
    e = effects(twice=(2 * DOSE + 1).tolist())
    with pytest.raises(NumericalError, match="1 of 3 columns follow from the others: twice"):
        regress(e, ["dose", "twice"])


@pytest.mark.parametrize(
    ("moderators", "error", "sentence"),
    [
        (["dosis"], UnknownNameError, "Nearest: dose"),
        (["gap"], InputError, "Study 2: the moderator 'gap' is empty"),
        (["same"], InputError, "is x in every study"),
    ],
)
def test_bad_moderators_get_a_sentence(
    moderators: list[str], error: type[Exception], sentence: str
) -> None:
    e = effects(gap=[1.0, None] + [2.0] * (K - 2), same=["x"] * K)
    with pytest.raises(error, match=sentence):
        regress(e, moderators)


def test_studies_with_an_empty_moderator_are_listed_when_left_out() -> None:
    e = effects(gap=[1.0, None, *DOSE[2:].tolist()])
    r = regress(e, ["gap"], drop_problems=True)
    assert r.k == K - 1
    assert r.excluded == (("Study 2", "the moderator 'gap' is empty"),)


def test_too_many_moderators_for_the_studies_is_said() -> None:
    with pytest.raises(NumericalError, match="3 studies cannot carry 3 coefficients"):
        regress(effects().take([0, 1, 2]), ["kind"])


def test_the_joint_test_of_one_coefficient_is_its_own() -> None:
    r = regress(effects(), ["dose", "kind"], test="knha")
    one = joint_test(r, ["dose"])
    assert one.statistic == pytest.approx(r.coefficients[1].statistic ** 2)
    assert one.p_value == pytest.approx(r.coefficients[1].p_value)
    assert joint_test(r, ["kind"]).df == 2


def test_prediction_at_zero_is_the_intercept() -> None:
    r = regress(effects(), ["dose"])
    p = predict(r, {})
    assert p.estimate == r.coefficients[0].estimate
    assert predict(r, {"dose": 2}).estimate == pytest.approx(
        p.estimate + 2 * r.coefficients[1].estimate
    )
    with pytest.raises(UnknownNameError, match="not a known coefficient"):
        predict(r, {"kind": 1})


def test_shrunken_effects_lie_between_the_study_and_the_line() -> None:
    r = regress(effects(), ["dose"])
    fitted = [predict(r, {"dose": d}).estimate for d in DOSE]
    for s, y, f in zip(shrink(r), Y, fitted, strict=True):
        assert min(y, f) - ROUNDING <= s.estimate <= max(y, f) + ROUNDING


def test_uncorrelated_moderators_do_not_inflate() -> None:
    grid = list(itertools.product((-1.0, 1.0), repeat=3))
    e = effects_from_arrays(
        RNG.normal(0, 1, 8), np.ones(8), covariates={"a": [g[0] for g in grid],
                                                     "b": [g[1] for g in grid]}
    )  # fmt: skip
    assert variance_inflation(regress(e, ["a", "b"], method="EE")) == pytest.approx(
        {"a": 1, "b": 1}
    )


@pytest.mark.parametrize("method", ["EE", "DL", "PM", "ML", "REML"])
@pytest.mark.parametrize("moderators", [["dose"], ["dose", "kind"]])
def test_batched_regressions_are_the_single_ones(method: str, moderators: list[str]) -> None:
    x = build_design(effects(), moderators).matrix
    orders = np.array([np.random.default_rng(i).permutation(K) for i in range(60)])
    batch = fit_permutations(Y, V, x, orders, method=method)
    for i, order in enumerate(orders):
        t = estimate_tau2(Y, V, x[order], method=method).value
        single = fit(Y, V, x[order], t)
        assert batch.tau2[i] == pytest.approx(t, rel=SAME, abs=NEAR_ZERO)
        np.testing.assert_allclose(batch.beta[i], single.beta, rtol=SAME, atol=NEAR_ZERO)
        np.testing.assert_allclose(
            batch.covariance[i], single.covariance, rtol=SAME, atol=NEAR_ZERO
        )


def test_batched_regressions_keep_their_digits_far_from_zero() -> None:
    x = build_design(effects(), ["dose"]).matrix
    orders = np.array([np.random.default_rng(i).permutation(K) for i in range(20)])
    near, far = (fit_permutations(Y + s, V, x, orders, method="REML") for s in (0.0, 1e6))
    np.testing.assert_allclose(far.tau2, near.tau2, rtol=FAR, atol=NEAR_ZERO)
    np.testing.assert_allclose(far.beta[:, 1], near.beta[:, 1], rtol=FAR)
    np.testing.assert_allclose(far.beta[:, 0] - 1e6, near.beta[:, 0], rtol=FAR)


def uneven_samples() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """200 regressions with sampling variances over five orders of magnitude, one to three columns.

    The last column lies far from 0, as a year does.
    """
    rng = np.random.default_rng(21)
    out = []
    for i in range(200):
        k = int(rng.integers(5, 12))
        x = np.column_stack([np.ones(k), rng.integers(0, 2, k), rng.normal(2000, 5, k)])
        v = np.exp(rng.normal(0, 2.5, k))
        columns = [[0], [0, 2], [0, 1, 2]][i % 3]
        if np.linalg.matrix_rank(x[:, columns]) == len(columns):
            out.append((rng.normal(0, np.sqrt(v + rng.choice([0, 1, 30]))), v, x[:, columns]))
    return out


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_every_permutation_gets_the_highest_maximum_of_its_own_likelihood(method: str) -> None:
    several = 0
    for y, v, x in uneven_samples():
        orders = np.array([np.random.default_rng(i).permutation(len(y)) for i in range(3)])
        batch = fit_permutations(y, v, x, orders, method=method)
        grid = np.concatenate([[0], np.geomspace(1e-6 * v.min(), 1e3 * v.max(), 1000)])
        for order, t in zip(orders, batch.tau2, strict=True):
            single = estimate_tau2(y, v, x[order], method=method)
            assert t == pytest.approx(single.value, rel=SAME, abs=SAME * v.min())
            several += single.certificate.maxima > 1
            restricted = method == "REML"
            height = log_likelihood(y, v, x[order], grid, restricted=restricted)
            top = log_likelihood(y, v, x[order], t, restricted=restricted)[0]
            assert height.max() <= top + HEIGHT
    assert several >= 3


def test_a_permutation_is_fitted_the_same_alone_and_among_others() -> None:
    x = build_design(effects(), ["dose", "kind"]).matrix
    orders = np.array([np.random.default_rng(i).permutation(K) for i in range(150)])
    together = fit_permutations(Y, V, x, orders, method="REML")
    for i in (0, 63, 64, 149):
        alone = fit_permutations(Y, V, x, orders[i : i + 1], method="REML")
        assert alone.tau2[0] == together.tau2[i]
        np.testing.assert_allclose(alone.beta[0], together.beta[i], rtol=LAST_BITS)


def test_a_regression_on_years_is_that_on_years_since_2000() -> None:
    """Slope, its error and τ² do not change when a moderator is counted from elsewhere."""
    years = (2000 + 5 * DOSE).tolist()
    since = (5 * DOSE).tolist()
    e = effects(year=years, since=since)
    far, near = regress(e, ["year"]), regress(e, ["since"])
    assert far.tau2 == pytest.approx(near.tau2, rel=SAME)
    assert far.coefficients[1].estimate == pytest.approx(near.coefficients[1].estimate, rel=SAME)
    assert far.coefficients[1].se == pytest.approx(near.coefficients[1].se, rel=SAME)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=SAME)


def test_an_exact_permutation_test_counts_every_distinct_order() -> None:
    e = effects().take(range(6))
    t = permutation_test(e, ["kind"], exact=True)
    assert t.count == math.factorial(6) // 2**3
    assert all(p >= 1 / t.count for p in t.p_value)


def test_an_exact_permutation_test_by_hand() -> None:
    """One of three studies is treated and lies highest; |t| is reached by it alone: p = 1/3."""
    e = effects_from_arrays([0.0, 0.1, 5.0], [1, 1, 1], covariates={"x": [0.0, 0.0, 1.0]})
    t = permutation_test(e, ["x"], method="EE", exact=True)
    assert (t.count, t.p_value[1]) == (3, pytest.approx(1 / 3))


def test_random_permutations_come_from_their_seed() -> None:
    a, b, c = (permutation_test(effects(), ["dose"], seed=s) for s in (1, 1, 2))
    assert a == b
    assert a.p_value != c.p_value or a.digest != c.digest
    with pytest.raises(InputError, match="need a `seed`"):
        permutation_test(effects(), ["dose"])


def test_the_bootstrap_agrees_with_theory_under_the_common_effect() -> None:
    """Redrawing from the model, the estimate's spread is its standard error (2000 draws: 5 %)."""
    b = bootstrap(effects(), method="EE", kind="model", count=2000, seed=3)
    assert b.se == pytest.approx(pool(effects(), method="EE", test="z").se, rel=MONTE_CARLO)
    assert b == bootstrap(effects(), method="EE", kind="model", count=2000, seed=3)
    assert bootstrap(effects(), seed=3).kind == "studies"


def test_a_scale_part_without_moderators_is_the_ordinary_model() -> None:
    e = effects_from_arrays(3 * Y, V, covariates={"dose": DOSE.tolist()})
    ls, r = regress_location_scale(e, ["dose"], []), regress(e, ["dose"], test="z")
    assert r.tau2 > 0
    assert ls.tau2[0] == pytest.approx(r.tau2, rel=SAME)
    assert ls.log_likelihood == pytest.approx(r.log_likelihood, rel=SAME)
    assert ls.location[1].estimate == pytest.approx(r.coefficients[1].estimate, rel=SAME)


def test_the_scale_part_finds_the_levels_that_differ() -> None:
    """With a factor in both parts each level is a meta-analysis of its own."""
    k = 12
    kind = ["a"] * k + ["b"] * k
    rng = np.random.default_rng(1)
    v = np.full(2 * k, 0.05)
    y = np.concatenate([rng.normal(0, 0.4, k), rng.normal(1, 2.0, k)])
    e = effects_from_arrays(y, v, covariates={"kind": kind})
    ls = regress_location_scale(e, ["kind"], ["kind"])
    apart = [pool(y[s], v[s], test="z").tau2 for s in (slice(0, k), slice(k, None))]
    assert ls.tau2[0] == pytest.approx(apart[0], rel=SAME)
    assert ls.tau2[-1] == pytest.approx(apart[1], rel=SAME)


def test_the_scale_part_carries_its_certificate() -> None:
    found = regress_location_scale(effects(), ["dose"], ["dose"]).certificate
    assert found.converged
    assert found.maxima == 1
    assert 0 < found.curvature <= 1


def test_a_scale_part_without_a_finite_solution_is_a_named_failure() -> None:
    e = effects_from_arrays([0.1] * 8, [1.0] * 8, covariates={"x": list(range(8))})
    with pytest.raises(NumericalError, match="no finite solution") as caught:
        regress_location_scale(e, [], ["x"])
    assert caught.value.status == "not_converged"
