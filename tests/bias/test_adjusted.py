"""Bias-adjusted pooling: identities, published numbers, three priors always."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.bias.adjusted import (
    Bias,
    BiasPrior,
    adjust_by_priors,
    adjust_estimate,
    pool_elicited,
    prior_from_ratio,
    three_priors,
    total_bias,
    variance_ratio,
)
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.many_fits import fit_many
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import pool

SPREAD = 1e-6  # a doubt of 1e4 stands for a boundless one: (0.2/1e4)² and less
ALMOST = 0.05  # "almost tripled": 2.96
SIX_DECIMALS = 6e-7
SAMPLED = 1e-7  # relative; fifty variances of 1e-8 beside 0.0384²: 2e-10 / (2 · 0.0015)

EXACT = 1e-12
# Two programs for one REML fit: the batched one and the single one stop at different points.
SAME_FIT = 1e-6
Y, V = np.array([-0.5, -0.3, -0.8, -0.1]), np.array([0.04, 0.05, 0.06, 0.03])
RISKY = [True, False, True, False]


def estimate(value: float = -0.693147, se: float = 0.2) -> Estimate:
    return Estimate(value=value, se=se, method="trial", scale="log")


def test_no_bias_changes_nothing():
    found = adjust_estimate(estimate(), Bias())
    assert (found.value, found.se) == (estimate().value, pytest.approx(0.2, rel=EXACT))


def test_an_additive_bias_divides_the_odds_ratio_by_the_ratio_of_odds_ratios():
    found = adjust_estimate(estimate(), Bias(additive=-0.139262, additive_sd=0.038412))
    assert math.exp(found.value) == pytest.approx(0.5 / 0.87, rel=SIX_DECIMALS)
    assert found.se == pytest.approx(math.hypot(0.2, 0.038412), rel=EXACT)


def test_a_proportional_bias_shrinks_the_effect_and_its_error_alike():
    found = adjust_estimate(estimate(), Bias(proportional=0.25))
    assert found.value / found.se == pytest.approx(estimate().value / estimate().se, rel=EXACT)


def test_independent_biases_add_in_means_and_variances():
    both = total_bias([Bias(additive=0.1, additive_sd=0.3), Bias(additive=-0.3, additive_sd=0.4)])
    assert (both.additive, both.additive_sd) == (pytest.approx(-0.2), pytest.approx(0.5))


def test_elicited_biases_that_are_nothing_leave_the_pooled_effect_alone():
    studies = [estimate(-0.5, 0.2), estimate(-0.9, 0.3), estimate(-0.2, 0.25)]
    same = pool_elicited(studies, [[], [Bias()], []])
    assert same.pooled.value == pytest.approx(same.pooled_raw.value, rel=EXACT)
    doubt = pool_elicited(studies, [[Bias(additive_sd=0.3)]] * 3)
    assert doubt.pooled.se > same.pooled.se
    shifted = pool_elicited(studies, [[Bias(additive=-0.1)]] * 3)
    assert shifted.pooled.value == pytest.approx(same.pooled.value + 0.1, rel=EXACT)
    assert "adjusted for elicited biases" in shifted.summary()
    with pytest.raises(InputError, match="3 studies but biases for 1"):
        pool_elicited(studies, [[]])


def test_turner_2009_variance_almost_tripled():
    assert variance_ratio((0.18, 0.36), (0.17, 0.56)) == pytest.approx(3.0, abs=ALMOST)


def test_published_blinding_prior():
    """ROBES: 0.87 (0.80 to 0.93): log mean −0.1393, sd 0.0384."""
    prior = prior_from_ratio("blinding", 0.87, 0.80, 0.93, between_sd=0.1, source="ROBES")
    assert (prior.mean, prior.mean_sd) == (
        pytest.approx(-0.139262, abs=SIX_DECIMALS),
        pytest.approx(0.038412, abs=SIX_DECIMALS),
    )


def none(name: str = "none") -> BiasPrior:
    return BiasPrior(name=name, mean=0.0, mean_sd=0.0, between_sd=0.0, source="x")


@pytest.mark.parametrize("estimator", ["DL", "REML", "PM"])
def test_without_bias_welton_is_ordinary_pooling(estimator: str):
    priors = three_priors("blinding", benefit="lower", measure="log_odds_ratio")
    found = adjust_by_priors(Y, V, RISKY, priors, estimator=estimator)
    plain = fit_many(Y[None], V[None], np.ones((1, 4), bool), estimator)
    assert found.unadjusted.value == pytest.approx(plain.mean[0, 0], rel=EXACT)
    assert found.unadjusted.se == pytest.approx(plain.se[0, 0], rel=EXACT)
    same = adjust_by_priors(Y, V, RISKY, [none()] * 3, estimator=estimator)
    assert {e.value for e in same.pooled} == {same.unadjusted.value}


@pytest.mark.parametrize("test", ["z", "knha", "adhoc"])
def test_as_reported_is_what_the_pairwise_room_pools(test: str):
    effects = effects_from_arrays(Y, V, measure="GEN")
    plain = pool(effects, method="REML", test=test)
    found = adjust_by_priors(Y, V, RISKY, [none()] * 3, estimator="REML", test=test).unadjusted
    assert found.value == pytest.approx(plain.estimate, rel=SAME_FIT)
    assert found.interval() == pytest.approx((plain.ci_lower, plain.ci_upper), rel=SAME_FIT)


def test_one_biased_study_by_hand():
    """A study of −0.5 (variance 0.04) alone: less the mean bias, variances added."""
    prior = BiasPrior(name="b", mean=-0.2, mean_sd=0.1, between_sd=0.3, source="x")
    found = adjust_by_priors([-0.5], [0.04], [True], [prior] * 3).pooled[0]
    assert found.value == pytest.approx(-0.3, rel=EXACT)
    assert found.se == pytest.approx(math.sqrt(0.04 + 0.01 + 0.09), rel=EXACT)


def test_low_risk_studies_keep_their_word_when_doubt_about_bias_grows():
    """With a boundless doubt the answer is that of the low-risk studies alone."""
    prior = BiasPrior(name="b", mean=-0.1, mean_sd=1e4, between_sd=0.0, source="x")
    found = adjust_by_priors(Y, V, RISKY, [prior] * 3, estimator="common").pooled[0]
    low = np.array([not r for r in RISKY])
    weights = low / V
    assert found.value == pytest.approx(float(weights @ Y / weights.sum()), rel=SPREAD)


def test_the_third_prior_is_metablind_with_its_own_spread():
    """Moustgaard 2020, table 2, row Ia: 0.91 (0.61 to 1.35), SDs 0.20 and 0.21."""
    third = three_priors("blinding", benefit="lower", measure="log_odds_ratio")[2]
    assert third.mean == pytest.approx(math.log(0.91), rel=EXACT)
    own = (math.log(1.35) - math.log(0.61)) / (2 * 1.959963984540054)
    assert third.mean_sd == pytest.approx(math.hypot(own, 0.20), rel=EXACT)
    assert third.between_sd == 0.21


def test_concealment_has_three_priors_too():
    names = [p.name for p in three_priors("concealment", benefit="lower", measure="smd")]
    assert names == ["published", "wide", "doubled"]


def test_bias_on_the_beneficial_side_is_taken_away_whatever_the_coding():
    """Lower is better: the effect moves up. The same data with the sign turned: it moves down."""
    low = adjust_by_priors(
        Y, V, RISKY, three_priors("blinding", benefit="lower", measure="log_odds_ratio")
    )
    high = adjust_by_priors(
        -Y, V, RISKY, three_priors("blinding", benefit="higher", measure="log_odds_ratio")
    )
    assert all(e.value > low.unadjusted.value for e in low.pooled)
    assert [e.value for e in high.pooled] == pytest.approx(
        [-e.value for e in low.pooled], rel=EXACT
    )


def test_what_high_risk_studies_add_is_bounded_by_the_doubt_about_their_bias():
    prior = prior_from_ratio("b", 0.87, 0.80, 0.93, between_sd=0.0, source="x")
    floor = prior.mean_sd
    huge = adjust_by_priors(np.full(50, -0.5), np.full(50, 1e-8), [True] * 50, [prior] * 3)
    assert huge.unadjusted.se < floor / 100
    assert huge.pooled[0].se == pytest.approx(floor, rel=SAMPLED)


def test_smd_priors_are_log_odds_ratio_priors_times_root_three_over_pi():
    log_odds = three_priors("blinding", benefit="lower", measure="log_odds_ratio")
    smd = three_priors("blinding", benefit="lower", measure="smd")
    for a, b in zip(smd, log_odds, strict=True):
        assert a.mean == pytest.approx(b.mean * math.sqrt(3) / math.pi, rel=EXACT)
        assert a.mean_sd == pytest.approx(b.mean_sd * math.sqrt(3) / math.pi, rel=EXACT)


def test_fewer_than_three_priors_are_refused():
    priors = three_priors("blinding", benefit="lower", measure="smd")
    with pytest.raises(InputError, match="At least three priors"):
        adjust_by_priors(Y, V, RISKY, priors[:2])
    with pytest.raises(UnknownNameError, match="Nearest: blinding"):
        three_priors("blindning", benefit="lower", measure="smd")
    with pytest.raises(InputError, match="turns the effect around"):
        adjust_estimate(estimate(), Bias(proportional=-1.2))


def test_all_three_are_in_the_sentence():
    text = adjust_by_priors(
        Y, V, RISKY, three_priors("blinding", benefit="lower", measure="smd")
    ).summary()
    assert all(name in text for name in ("as reported", "published", "wide", "patients"))


# Stated before running: with 400 repeats the standard error of a coverage of 0.95 is 0.011.
REPEATS, COVERED, MISSED = 400, (0.92, 0.985), 0.60


def test_where_bias_is_as_believed_the_adjusted_interval_covers_and_the_reported_does_not():
    """Thirty trials, twenty at risk, bias drawn from the prior: mean −0.3 (0.1), between 0.15."""
    prior = BiasPrior(name="true", mean=-0.3, mean_sd=0.1, between_sd=0.15, source="simulated")
    rng = stream(20260522, "bias-adjusted coverage")
    risky = np.arange(30) < 20
    truth, tau = -0.4, 0.15
    hits = np.zeros(2)
    for _ in range(REPEATS):
        v = rng.uniform(0.01, 0.06, 30)
        bias = prior.mean + prior.mean_sd * rng.standard_normal()
        bias = bias + prior.between_sd * rng.standard_normal(30)
        y = truth + tau * rng.standard_normal(30) + risky * bias
        y = y + np.sqrt(v) * rng.standard_normal(30)
        found = adjust_by_priors(y, v, risky.tolist(), [prior] * 3, estimator="DL")
        for i, e in enumerate((found.unadjusted, found.pooled[0])):
            low, high = e.interval()
            hits[i] += low <= truth <= high
    reported, adjusted = hits / REPEATS
    assert COVERED[0] <= adjusted <= COVERED[1]
    assert reported < MISSED
