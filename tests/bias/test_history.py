"""Margins from history: identities, hand calculations, and the reference's rate elsewhere."""

from __future__ import annotations

import math

import pytest

from klarsyn.bias.history import (
    ReferenceArm,
    history_from_difference,
    history_from_odds_ratio,
    history_from_smd,
    margin_from_history,
    reference_rates,
    share_given_up,
    wald_difference,
)
from klarsyn.bias.noninferiority import Counts, fixed_margin, synthesis_test
from klarsyn.errors import InputError, NumericalError

PERCENT = 0.005  # the share is printed in whole percent
STOP = 1e-9  # REML stops there

EXACT = 1e-12
# UK ECT Review Group 2003, abstract: 0.91 (0.54 to 1.27); ELEKT-D: 70 of 170 responded to ECT.
ECT = (0.91, 0.54, 1.27)
RATE = 70 / 170
ROUNDED = 5e-4


def test_an_odds_ratio_of_one_gives_up_nothing_and_proves_nothing() -> None:
    history = history_from_odds_ratio(1.0, 0.5, 2.0, rate=0.4)
    assert history.difference.value == pytest.approx(0.0, abs=EXACT)
    with pytest.raises(NumericalError, match="does not show that the reference works"):
        margin_from_history(history, 0.5, basis="x")


def test_an_odds_ratio_by_hand() -> None:
    """Reference 0.5 has odds 1; ratio 3 gives placebo odds 1/3, 0.25; its limit 2 gives 1/3."""
    history = history_from_odds_ratio(3.0, 2.0, 4.5, rate=0.5)
    assert history.placebo_rate == pytest.approx(0.25, rel=EXACT)
    assert history.difference.value == pytest.approx(0.25, rel=EXACT)
    assert history.lower == pytest.approx(0.5 - 1 / 3, rel=EXACT)
    se_log = math.log(4.5 / 2) / (2 * 1.959963984540054)
    assert history.difference.se == pytest.approx(0.25 * 0.75 * se_log, rel=EXACT)


def test_a_standardised_difference_is_the_odds_ratio_it_stands_for() -> None:
    ratios = [math.exp(math.pi / math.sqrt(3) * x) for x in ECT]
    a = history_from_smd(*ECT, rate=RATE)
    b = history_from_odds_ratio(ratios[0], ratios[1], ratios[2], rate=RATE)
    assert (a.difference, a.lower) == (b.difference, b.lower)


def test_the_ten_points_of_elekt_d_give_up_half_of_what_ect_is_proven_to_add() -> None:
    """By hand: odds 0.7 over exp(0.54 π/√3) = 2.663 is 0.263, a share of 0.208; 0.412 − 0.208."""
    history = history_from_smd(*ECT, rate=RATE)
    assert history.lower == pytest.approx(0.2037, abs=ROUNDED)
    assert share_given_up(fixed_margin(0.1, "declared"), history) == pytest.approx(
        0.49, abs=PERCENT
    )
    half = margin_from_history(history, 0.5, basis="history")
    assert half.value == pytest.approx(history.lower / 2, rel=EXACT)
    assert half.m1 == history.lower


def test_keeping_nothing_leaves_all_of_the_effect_as_margin() -> None:
    history = history_from_difference(0.3, 0.2, 0.4)
    assert margin_from_history(history, 0.0, basis="x").value == pytest.approx(0.2, rel=EXACT)
    assert share_given_up(margin_from_history(history, 0.0, basis="x"), history) == 1.0


def test_keeping_all_makes_the_synthesis_test_one_of_superiority() -> None:
    counts = Counts(
        name="s", new_events=108, new_total=195, reference_events=70, reference_total=170
    )
    wald = wald_difference(counts)
    z, _ = synthesis_test(wald, history_from_difference(0.3, 0.2, 0.4).difference, 1.0)
    assert z == pytest.approx(wald.value / wald.se, rel=EXACT)


def test_alike_arms_elsewhere_have_no_variance_between_them() -> None:
    arms = [ReferenceArm(trial=t, events=30, total=50) for t in "abc"]
    found = reference_rates(arms)
    assert found is not None
    mean, tau2 = found
    assert mean.value == pytest.approx(math.log(30 / 20), rel=STOP)
    assert tau2 == pytest.approx(0.0, abs=STOP)
    assert reference_rates(arms[:1]) is None


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [((0.3, 0.4, 0.5), "does not lie between"), ((0.3, -1.2, 1.4), "between -1 and 1")],
)
def test_impossible_differences_are_named(limits: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        history_from_difference(*limits)


def test_impossible_ratios_rates_and_arms_are_named() -> None:
    with pytest.raises(InputError, match="limits are above 0"):
        history_from_odds_ratio(0.5, -0.1, 2.0, rate=0.4)
    with pytest.raises(InputError, match="a rate within 0 to 1"):
        history_from_odds_ratio(2.0, 1.1, 3.0, rate=1.0)
    with pytest.raises(InputError, match="b: 5 of 4 patients cannot be"):
        reference_rates([ReferenceArm(trial="b", events=5, total=4)])
