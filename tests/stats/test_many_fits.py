"""Batched fits: equal to single fits, equivariant, exact in the limits."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.many_fits import ESTIMATORS, every_subset, fit_many, limits

DATA = Path(__file__).parents[1] / "oracles" / "data"
FOUR = 6e-5  # four printed decimals
SAME = 1e-9  # relative; the iteration's stopping rule is 1e-12
NEAR_ZERO = 1e-12  # absolute, of a tau² or mean that is zero
HEIGHT = 1e-12  # of a log-likelihood near 10; only rounding may put it below a bounded search
SHIFTED = 1e-10  # relative; adding 1000 to effects near 1 costs three digits


def bcg() -> tuple[np.ndarray, np.ndarray]:
    with (DATA / "dat.bcg.csv").open() as file:
        rows = np.array(
            [[float(r[c]) for c in ("tpos", "tneg", "cpos", "cneg")] for r in csv.DictReader(file)]
        )
    a, b, c, d = rows.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def one(y: np.ndarray, v: np.ndarray, estimator: str):
    return fit_many(y[None], v[None], np.ones((1, y.size), bool), estimator)


@pytest.mark.parametrize(
    ("estimator", "tau2"),
    [("DL", 0.3088), ("PM", 0.3181), ("REML", 0.3132), ("ML", 0.2800)],
)
def test_bcg_tau2_as_metafor_prints(estimator, tau2):
    """Viechtbauer 2010 (J Stat Softw 36:3), and metafor 5.1 with tight stopping rules."""
    assert one(*bcg(), estimator).tau2[0, 0] == pytest.approx(tau2, abs=FOUR)


def test_gosh_of_bcg():
    y, v = bcg()
    fits = fit_many(y[None], v[None], every_subset(13), "common")
    found = np.quantile(fits.mean, [0, 0.25, 0.5, 0.75, 1])
    assert fits.mean.size == 8191
    assert found == pytest.approx([-1.6209, -0.7427, -0.4303, -0.2994, 0.4459], abs=FOUR)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_mask_is_the_fit_of_those_studies_alone(estimator):
    y, v = bcg()
    masks = every_subset(13)[::97]
    many = fit_many(y[None], v[None], masks, estimator)
    for i in range(0, len(masks), 11):
        alone = one(y[masks[i]], v[masks[i]], estimator)
        assert many.mean[0, i] == pytest.approx(alone.mean[0, 0], rel=SAME, abs=NEAR_ZERO)
        assert many.tau2[0, i] == pytest.approx(
            alone.tau2[0, 0], rel=SAME, abs=NEAR_ZERO, nan_ok=True
        )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scaling_and_shifting_carry_over(estimator):
    y, v = bcg()
    base, moved = one(y, v, estimator), one(7 * y + 1000, 49 * v, estimator)
    assert moved.mean[0, 0] == pytest.approx(7 * base.mean[0, 0] + 1000, rel=SHIFTED)
    assert moved.tau2[0, 0] == pytest.approx(49 * base.tau2[0, 0], rel=SHIFTED, nan_ok=True)


def test_reml_is_the_maximum_of_its_likelihood():
    draw = stream(5, "reml")
    y, v = draw.normal(0, 0.6, (40, 8)), draw.uniform(0.05, 0.6, (40, 8))
    fits = fit_many(y, v, np.ones((1, 8), bool), "REML")
    for i in range(40):

        def negative(t: float, i: int = i) -> float:
            w = 1 / (v[i] + t)
            r = y[i] - w @ y[i] / w.sum()
            return 0.5 * float(w @ r**2 - np.log(w).sum() + math.log(w.sum()))

        best = optimize.minimize_scalar(negative, bounds=(0, 5), method="bounded")
        assert negative(fits.tau2[i, 0]) <= min(best.fun, negative(0.0)) + HEIGHT


def test_paule_mandel_meets_its_equation():
    fits = one(*bcg(), "PM")
    assert fits.kh[0, 0] == pytest.approx(1.0, rel=SAME)


def test_one_study_pools_to_itself_without_a_knapp_hartung_interval():
    y, v = bcg()
    mask = np.zeros((1, 13), bool)
    mask[0, 4] = True
    fits = fit_many(y[None], v[None], mask, "REML")
    assert (fits.mean[0, 0], fits.se[0, 0]) == pytest.approx((y[4], math.sqrt(v[4])), rel=SAME)
    assert np.isnan(limits(fits, "knapp_hartung", 0.95)[0]).all()


def test_an_empty_selection_is_nan_not_zero():
    fits = fit_many(np.array([[np.nan, 1.0]]), np.ones((1, 2)), np.array([[True, False]]), "DL")
    assert np.isnan(fits.mean).all()
    assert fits.studies[0, 0] == 0


def test_the_truncated_interval_never_is_the_narrower():
    y, v = stream(2, "narrow").normal(0, 0.1, (30, 5)), np.full((30, 5), 0.5)
    fits = fit_many(y, v, np.ones((1, 5), bool), "DL")
    plain, cut = (limits(fits, i, 0.95) for i in ("knapp_hartung", "knapp_hartung_truncated"))
    assert np.all(cut[1] - cut[0] >= plain[1] - plain[0])


def test_beyond_twenty_studies_subsets_are_a_seeded_sample():
    drawn = every_subset(30, sample=1000, seed=4)
    assert np.array_equal(drawn, every_subset(30, sample=1000, seed=4))
    assert drawn.shape == (1000, 30)
    assert drawn.any(axis=1).all()


def test_wrong_input_is_named():
    with pytest.raises(UnknownNameError, match="Nearest: REML"):
        one(*bcg(), "RELM")
    with pytest.raises(InputError, match="variance must be above 0"):
        one(np.ones(2), np.array([1.0, 0.0]), "DL")


def test_the_plain_mean_weighs_all_studies_alike_and_says_nothing_of_tau2():
    fits = one(np.array([1.0, 2.0, 6.0]), np.array([0.04, 0.09, 0.36]), "unweighted")
    assert fits.mean[0, 0] == pytest.approx(3.0, rel=SAME)
    assert fits.se[0, 0] == pytest.approx(math.sqrt(0.49) / 3, rel=SAME)
    assert np.isnan(fits.tau2[0, 0])
    assert np.isnan(limits(fits, "knapp_hartung", 0.95)[0]).all()
