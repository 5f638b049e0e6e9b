"""Pooled and parametric relapse curves: limits, hand results, recovery of a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.cure import fit_cure, sufficient_follow_up
from klarsyn.stats.relapse import Followed, fit_relapse, pool_curves
from klarsyn.stats.survival import kaplan_meier

GRID = [14.0, 28.0, 56.0]
NUMERIC = 1e-6  # optimiser's stopping rule
ARITHMETIC = 1e-12
SAMPLING = 0.25  # five standard errors, 1/√400 each, of a log rate
SLOPE = 1e-4  # of a log-likelihood; its difference quotients leave a few 1e-5
SHARE = 0.05  # one standard error of 57 % of 100
LATE = 1e-5  # exp(−200/20) of those who relapse stay unseen to the shortest follow-up


def study(seed: int, shift: float = 0.0, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    draw = stream(seed, "relapse study")
    t, c = draw.exponential(50 * math.exp(shift), n), draw.uniform(60, 200, n)
    return np.minimum(t, c), t <= c


def test_one_study_pools_to_itself():
    curve = kaplan_meier(*study(1))
    pooled = pool_curves([curve], GRID)
    assert pooled.survival == pytest.approx(curve.at(GRID), rel=ARITHMETIC)
    assert np.all(pooled.between == 0)
    assert np.isnan(pooled.predicted_low).all()


def test_the_standard_error_of_one_study_is_greenwoods():
    curve = kaplan_meier(*study(2))
    pooled = pool_curves([curve], GRID)
    relative = curve.standard_error(GRID) / curve.at(GRID)
    assert np.sqrt(pooled.variance) == pytest.approx(relative, rel=ARITHMETIC)


def test_equal_studies_have_no_heterogeneity():
    pooled = pool_curves([kaplan_meier(*study(3))] * 5, GRID)
    assert pooled.i2 == 0
    assert pooled.between == pytest.approx(np.zeros((3, 3)), abs=ARITHMETIC)
    assert pooled.predicted_low == pytest.approx(pooled.low, abs=ARITHMETIC)


def test_different_studies_widen_the_limits_and_most_of_all_the_prediction():
    curves = [kaplan_meier(*study(i, shift)) for i, shift in enumerate([-1, -0.5, 0, 0.5, 1])]
    random, common = pool_curves(curves, GRID), pool_curves(curves, GRID, heterogeneity="common")
    assert random.i2 > 0.5
    assert np.all(random.low < common.low)
    assert np.all(random.predicted_low < random.low)


def test_a_study_counts_only_as_far_as_it_is_followed():
    short = kaplan_meier([5, 20, 20], [1, 0, 0])
    pooled = pool_curves([kaplan_meier(*study(4)), short], GRID)
    assert pooled.studies.tolist() == [2, 1, 1]
    with pytest.raises(InputError, match="No study is followed to time 28"):
        pool_curves([short], GRID)


def test_weibull_with_shape_near_one_finds_the_exponential_rate():
    time, event = study(5, n=400)
    fit = fit_relapse([Followed(time=time, event=event)], model="weibull")
    assert fit.location.value == pytest.approx(
        math.log(1 / 50) * math.exp(fit.log_shape.value), abs=SAMPLING
    )
    assert abs(fit.log_shape.value) < 3 * fit.log_shape.se
    assert fit.tau == 0


def test_a_share_at_one_time_counts_as_the_same_participants_would():
    """With the shape known only through others, events by 28 days are binomial."""
    many = [Followed(time=t, event=e) for t, e in (study(i) for i in range(3))]
    aggregate = Followed(
        time=np.array([]), event=np.array([], bool), fixed_time=28.0, relapsed=43, counted=100
    )
    fit = fit_relapse([*many, aggregate], model="weibull")
    assert fit.survival(28.0) == pytest.approx(0.57, abs=SHARE)
    assert fit.gradient < SLOPE


@pytest.mark.parametrize("model", ["weibull", "lognormal"])
def test_heterogeneity_between_studies_is_found(model):
    draws = stream(11, "study effects").normal(0, 0.6, 16)
    fit = fit_relapse(
        [Followed(time=t, event=e) for t, e in (study(100 + i, u) for i, u in enumerate(draws))],
        model=model,
    )
    assert 0.3 < fit.tau < 1.0  # true 0.6; sampling range of a standard deviation of 16
    low, high = fit.interval(GRID)
    assert np.all((low < fit.survival(GRID)) & (fit.survival(GRID) < high))


def test_the_right_family_has_the_better_aic():
    data = [Followed(time=t, event=e) for t, e in (study(i, n=200) for i in range(4))]
    assert fit_relapse(data, model="weibull").aic < fit_relapse(data, model="lognormal").aic


def test_no_relapse_at_all_has_no_curve():
    with pytest.raises(NumericalError, match="No study has a relapse"):
        fit_relapse([Followed(time=np.ones(5), event=np.zeros(5, bool))], model="weibull")
    with pytest.raises(UnknownNameError, match="Nearest: weibull"):
        fit_relapse([Followed(time=np.ones(5), event=np.ones(5, bool))], model="weibul")


def test_no_plateau_no_cured_share():
    assert sufficient_follow_up([1, 2, 3], [1, 1, 1]) == 1
    fit = fit_cure([1, 2, 3, 4], [1, 1, 0, 1])
    assert not fit.sufficient
    assert fit.cured is None
    assert "too short" in fit.reason


def test_a_long_plateau_gives_the_cured_share_with_limits():
    draw = stream(2, "cured")
    never = draw.uniform(size=300) < 0.4
    relapse = np.where(never, 1e9, draw.exponential(20, 300))
    end = draw.uniform(200, 400, 300)
    fit = fit_cure(np.minimum(relapse, end), relapse <= end)
    assert fit.sufficient
    assert fit.cured_low < 0.4 < fit.cured_high
    assert fit.cured == pytest.approx(never.mean(), abs=LATE)


def test_maller_and_zhou_by_hand():
    """Events 1, 2, 9 of ten; last event 9, last observation 12: one event in (6, 9]."""
    time, event = [1, 2, 9, 12, 12, 12, 12, 12, 12, 12], [1, 1, 1] + [0] * 7
    assert sufficient_follow_up(time, event) == pytest.approx(0.9**10, rel=NUMERIC)
