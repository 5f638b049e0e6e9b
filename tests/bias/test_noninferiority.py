"""Non-inferiority, margins and assay sensitivity."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.bias.noninferiority import (
    Counts,
    assay_sensitivity,
    fixed_margin,
    noninferiority,
    preserved_fraction_margin,
    synthesis_test,
    verdict,
)
from klarsyn.errors import InputError, NumericalError
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.proportions import difference_interval

ARITHMETIC = 1e-12
FOUR_DECIMALS = 5e-5  # methods §5.4
BY_HAND = 1e-6  # two numbers of seven digits

AS_TREATED = Counts(
    name="as treated", new_events=108, new_total=195, reference_events=70, reference_total=170
)
WORST = Counts(
    name="all refusals against",
    new_events=108,
    new_total=200,
    reference_events=103,
    reference_total=203,
)
TEN = fixed_margin(0.1, "declared by the trial")
HISTORY = Estimate(value=0.30, se=0.05, method="")


def test_elekt_d_as_published() -> None:
    found = noninferiority([AS_TREATED], TEN).sets[0]
    shown = [round(100 * v, 1) for v in (found.difference, *found.interval)]
    assert shown == [14.2, 3.9, 24.2]
    assert found.verdict == "superior"


def test_the_verdict_over_all_sets_is_the_least_favourable() -> None:
    found = noninferiority([AS_TREATED, WORST], TEN)
    assert [s.verdict for s in found.sets] == ["superior", "non-inferior"]
    assert found.verdict == "non-inferior"
    assert found.sets[1].p_value == pytest.approx(0.0037, abs=FOUR_DECIMALS)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.2, "superior"),
        (-0.09, 0.1, "non-inferior"),
        (-0.09, -0.01, "non-inferior"),
        (-0.11, 0.1, "inconclusive"),
        (-0.3, -0.11, "inferior"),
    ],
)
def test_verdicts(low: float, high: float, expected: str) -> None:
    assert verdict(low, high, 0.1) == expected


def test_half_preserved_is_half_the_lower_limit_of_history() -> None:
    margin = preserved_fraction_margin(HISTORY, 0.5, basis="meta-analysis of ECT trials")
    assert margin.m1 == pytest.approx(0.30 - 1.959963984540054 * 0.05)
    assert margin.m1 is not None
    assert margin.value == pytest.approx(margin.m1 / 2)


def test_no_margin_follows_from_a_reference_that_history_does_not_support() -> None:
    with pytest.raises(NumericalError, match="no margin follows"):
        preserved_fraction_margin(Estimate(value=0.05, se=0.05, method=""), 0.5, basis="")


def test_the_synthesis_test_by_hand() -> None:
    z, p = synthesis_test(Estimate(value=-0.02, se=0.04, method=""), HISTORY, 0.5)
    assert z == pytest.approx((-0.02 + 0.15) / (0.04**2 + 0.025**2) ** 0.5)
    assert 0 < p < 0.01


def test_a_reference_that_did_as_elsewhere_reverses_the_remission_result() -> None:
    remission = Counts(
        name="remission", new_events=74, new_total=195, reference_events=37, reference_total=170
    )
    found = assay_sensitivity(remission, TEN, history_rate=57 / 91)
    assert found.reanchored.verdict == "inferior"
    assert found.lost_at is not None
    assert found.observed_rate < found.lost_at < found.history_rate


def test_the_observed_rate_as_history_changes_nothing() -> None:
    found = assay_sensitivity(AS_TREATED, TEN, history_rate=70 / 170)
    base = noninferiority([AS_TREATED], TEN).sets[0]
    assert found.reanchored.interval == pytest.approx(base.interval, abs=ARITHMETIC)


def test_a_rate_from_another_trial_is_no_surer_than_its_patients() -> None:
    """57 of 91 in place of 37 of 170: the interval of 74/195 against 57/91 itself."""
    remission = Counts(
        name="remission", new_events=74, new_total=195, reference_events=37, reference_total=170
    )
    found = assay_sensitivity(remission, TEN, history_rate=57 / 91, history_total=91)
    limits = difference_interval(74, 195, 57, 91, method="miettinen_nurminen")
    assert found.reanchored.interval == pytest.approx((limits.low, limits.high), abs=ARITHMETIC)
    kept = assay_sensitivity(remission, TEN, history_rate=57 / 91)
    assert kept.reanchored.interval[0] > found.reanchored.interval[0]


def test_the_interval_at_a_rate_from_elsewhere_holds_the_truth() -> None:
    """True rates 38 and 63 %: 94–96 % of 20 000; with the own arm's size it was under 91 %."""
    rng = np.random.default_rng(3)
    new, seen = rng.binomial(195, 0.38, 20_000), rng.binomial(91, 0.63, 20_000)
    found = difference_interval(new, 195, seen, 91, method="miettinen_nurminen")
    own = difference_interval(new, 195, seen / 91 * 170, 170, method="miettinen_nurminen")
    held, kept = (float(np.mean((x.low <= -0.25) & (x.high >= -0.25))) for x in (found, own))
    assert 0.94 <= held <= 0.96
    assert kept < 0.91


def test_a_rate_pooled_elsewhere_is_as_sure_as_one_more_trial() -> None:
    """Variance of log odds 0.04 + 0.05 at a rate of a half is that of 1/(0.09·0.25) patients."""
    history = (Estimate(value=0.0, se=0.2, method=""), 0.05)
    found = assay_sensitivity(AS_TREATED, TEN, history_rate=0.5, history=history)
    assert found.reanchored.counts.reference_total == pytest.approx(1 / (0.09 * 0.25))


def test_z_of_the_reference_arm_is_zero_at_the_mean_of_history() -> None:
    import math

    log_odds = math.log(70 / 100)
    found = assay_sensitivity(
        AS_TREATED,
        TEN,
        history_rate=0.41,
        history=(Estimate(value=log_odds, se=0.1, method=""), 0.05),
    )
    assert found.z == pytest.approx(0.0, abs=ARITHMETIC)


def test_a_margin_of_ten_is_not_ten_points() -> None:
    with pytest.raises(InputError, match=r"0\.1 for 10 points"):
        fixed_margin(10, "")


def test_impossible_counts_name_the_set() -> None:
    with pytest.raises(InputError, match="typo: 196 of 195"):
        Counts(name="typo", new_events=196, new_total=195, reference_events=1, reference_total=9)


def test_one_analysis_set_alone_is_said() -> None:
    assert "One analysis set only" in noninferiority([AS_TREATED], TEN).summary()
    assert noninferiority([AS_TREATED, AS_TREATED], TEN).notes == ()


def test_a_reference_arm_without_events_still_has_a_z() -> None:
    empty = Counts(name="", new_events=5, new_total=10, reference_events=0, reference_total=10)
    history = (Estimate(value=0.0, se=0.1, method=""), 0.05)
    found = assay_sensitivity(empty, TEN, history_rate=0.5, history=history)
    # by hand: log(0.5/10.5) = −3.0445, 1/0.5 + 1/10.5 + 0.05 + 0.01 = 2.1552
    assert found.z == pytest.approx(-3.044522 / 2.155238**0.5, abs=BY_HAND)
