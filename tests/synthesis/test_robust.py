"""Cluster-robust errors: closed forms of simple cases and invariances."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError
from klarsyn.synthesis.multilevel import fit_multilevel
from klarsyn.synthesis.random_terms import Intercepts, nested
from klarsyn.synthesis.robust import fit_robust, robust

SAME = 1e-9


def independent(k: int = 9):
    rng = np.random.default_rng(2)
    v = rng.gamma(3, 0.05, k)
    y = 0.3 + rng.normal(0, np.sqrt(v + 0.04))
    return y, v, fit_multilevel(y, v, random=[Intercepts(name="s", levels=range(k))])


def test_cr2_of_independent_effects_is_hc2() -> None:
    # One effect a cluster: each squared residual is divided by 1 − leverage.
    y, v, fit = independent()
    w = 1 / (v + fit.components["sigma2[s]"])
    e, h = y - fit.estimate.value, w / w.sum()
    expected = np.sqrt((w**2 * e**2 / (1 - h)).sum()) / w.sum()
    assert robust(fit, range(len(y))).estimate.se == pytest.approx(expected, rel=SAME)


def test_equal_weights_and_equal_clusters_give_the_t_test_of_cluster_means() -> None:
    y = np.array([0.1, 0.3, 0.6, 0.2, 0.9, 0.5, 0.4, 0.8])
    study = np.repeat(np.arange(4), 2)
    fit = fit_robust(y, np.full(8, 0.1), study, weights="CORR", rho=0.8)
    means = y.reshape(4, 2).mean(axis=1)
    assert fit.estimate.value == pytest.approx(means.mean(), rel=SAME)
    assert fit.estimate.se == pytest.approx(means.std(ddof=1) / 2, rel=SAME)
    assert fit.estimate.df == pytest.approx(3, rel=SAME)


@pytest.mark.parametrize(("kind", "factor"), [("CR1", 9 / 8), ("CR1p", 9 / 8), ("CR1S", 9 / 8)])
def test_the_cr1_family_is_cr0_times_a_factor(kind: str, factor: float) -> None:
    y, _, fit = independent()
    plain = robust(fit, range(len(y)), "CR0").vcov
    assert robust(fit, range(len(y)), kind).vcov == pytest.approx(plain * factor, rel=SAME)


def test_cr3_of_independent_effects_divides_residuals_by_one_minus_leverage() -> None:
    y, v, fit = independent()
    w = 1 / (v + fit.components["sigma2[s]"])
    e, h = y - fit.estimate.value, w / w.sum()
    expected = np.sqrt((w**2 * e**2 / (1 - h) ** 2).sum()) / w.sum()
    assert robust(fit, range(len(y)), "CR3").estimate.se == pytest.approx(expected, rel=SAME)


def test_a_joint_test_of_one_coefficient_is_its_t_squared() -> None:
    y, v, _ = independent()
    X = np.stack([np.ones(9), np.arange(9)], axis=1)
    fit = fit_robust(y, v, [0, 0, 1, 1, 1, 2, 3, 4, 5], weights="HIER", design=X)
    b1 = fit.coefficients["b1"]
    test = fit.test(["b1"])
    assert test.statistic == pytest.approx((b1.value / b1.se) ** 2, rel=SAME)
    assert test.df2 == pytest.approx(b1.df, rel=SAME)
    assert test.p == pytest.approx(b1.p_value(), rel=SAME)


def test_rescaling_and_reordering_do_not_move_the_degrees_of_freedom() -> None:
    rng = np.random.default_rng(4)
    study = np.repeat(np.arange(8), [1, 2, 3, 4, 1, 2, 3, 2])
    v = rng.gamma(3, 0.05, 18)
    y = rng.normal(0.2, np.sqrt(v + 0.1))
    X = np.stack([np.ones(18), rng.normal(size=18)], axis=1)
    base = fit_robust(y, v, study, weights="HIER", design=X)
    turn = rng.permutation(18)
    other = fit_robust(1e5 * y[turn], 1e10 * v[turn], study[turn], weights="HIER", design=X[turn])
    for name, e in base.coefficients.items():
        assert other.coefficients[name].df == pytest.approx(e.df, rel=SAME)
        assert other.coefficients[name].se == pytest.approx(1e5 * e.se, rel=SAME)
    assert other.heterogeneity["tau2"] == pytest.approx(1e10 * base.heterogeneity["tau2"], rel=SAME)


def test_few_degrees_of_freedom_are_named() -> None:
    y, v, _ = independent()
    X = np.stack([np.ones(9), [1, 0, 0, 0, 0, 0, 0, 0, 0]], axis=1)
    study = [0, 1, 1, 2, 2, 2, 3, 4, 5]
    fit = fit_robust(y, v, study, weights="HIER", design=X, names=["mean", "first"])
    assert "first" in fit.unreliable
    assert "do not trust" in fit.summary()


def test_errors_say_what_to_do() -> None:
    y, v, fit = independent()
    with pytest.raises(InputError, match="CORR needs rho"):
        fit_robust(y, v, range(9), weights="CORR")
    with pytest.raises(NumericalError, match="no study has several effects"):
        fit_robust(y, v, range(9), weights="HIER")
    with pytest.raises(NumericalError, match="more clusters than coefficients"):
        fit_robust(y, v, [1] * 9, weights="HIER")
    study = np.repeat(range(3), 3)
    two = fit_multilevel(y, v, random=nested(study=study, effect=range(9)))
    with pytest.raises(InputError, match="Cluster by the widest grouping"):
        robust(two, range(9))
    assert robust(fit, range(9)).to_dict()["clusters"] == 9
