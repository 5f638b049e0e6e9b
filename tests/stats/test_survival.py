"""Kaplan–Meier, restricted means, log-rank and Cox: hand calculations, identities, published data.

The `pbc_rmst.csv` data are the 312 randomised participants of the Mayo primary biliary cholangitis
trial (Fleming and Harrington 1991, app. D): years, death, D-penicillamine; public facts.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.survival import (
    cox_two_groups,
    kaplan_meier,
    largest_common_time,
    log_rank,
    restricted_mean,
)

EXACT = 1e-12  # arithmetic order only
PRINTED = 6e-4  # three printed decimals
FOUR_DECIMALS = 6e-5
TWO_DECIMALS = 6e-3
LIKELIHOOD_RATIO = 1e-3  # against a score test of 0.6 from 40 events; they part at second order
LIFELINES_STOPS = 1e-8  # relative; it stops its Cox fit at about 1e-9
LIFELINES_SUMS = 1e-13  # relative; the same sums
SIX_DECIMALS = 6e-7
NEWTON = 1e-10  # the slope left when a further step would only round
DATA = Path(__file__).parents[1] / "oracles" / "data"

# Freireich et al. 1963, weeks in remission: 6-mercaptopurine (with censorings) and placebo.
MERCAPTOPURINE = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TIME = MERCAPTOPURINE + PLACEBO
EVENT = RELAPSED + [1] * 21
CONTROL = [0] * 21 + [1] * 21


def pbc() -> list[np.ndarray]:
    with (DATA / "pbc_rmst.csv").open() as file:
        rows = [[float(x) for x in row] for row in list(csv.reader(file))[1:]]
    return [np.array([r[:2] for r in rows if r[2] == arm]) for arm in (0, 1)]


def test_freireich_curve_as_printed_in_kalbfleisch_and_prentice():
    curve = kaplan_meier(MERCAPTOPURINE, RELAPSED)
    assert curve.at([6, 7, 10, 13, 16, 22, 23]) == pytest.approx(
        [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=PRINTED
    )
    assert curve.quantile() == 23


def test_without_censoring_the_curve_is_the_empirical_share():
    curve = kaplan_meier([3, 1, 2, 2], [1, 1, 1, 1])
    assert curve.at([0.5, 1, 2, 3]) == pytest.approx([1, 0.75, 0.25, 0], abs=EXACT)
    assert curve.standard_error(2) == pytest.approx(math.sqrt(0.25 * 0.75 / 4), abs=EXACT)


def test_a_level_stretch_at_one_half_gives_its_middle_as_median():
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1]).quantile() == 2.5
    assert math.isinf(kaplan_meier([1, 2, 3], [1, 0, 0]).quantile())


def test_numbers_at_risk_count_those_just_before():
    assert kaplan_meier([1, 2, 2, 5], [1, 0, 1, 1]).number_at_risk([0, 2, 3, 6]).tolist() == [
        4,
        3,
        1,
        0,
    ]


def test_freireich_hazard_ratios_by_both_ways_with_ties():
    efron = cox_two_groups(TIME, EVENT, CONTROL, ties="efron").estimate
    breslow = cox_two_groups(TIME, EVENT, CONTROL, ties="breslow").estimate
    assert efron.value == pytest.approx(
        1.5721, abs=FOUR_DECIMALS
    )  # R survival, coxph(ties = "efron")
    assert efron.se == pytest.approx(0.4124, abs=FOUR_DECIMALS)
    assert breslow.value == pytest.approx(1.5092, abs=FOUR_DECIMALS)  # SAS PHREG, default ties
    assert breslow.se == pytest.approx(0.4096, abs=FOUR_DECIMALS)


def test_freireich_log_rank():
    test = log_rank(TIME, EVENT, CONTROL)
    assert test.statistic == pytest.approx(
        16.79, abs=TWO_DECIMALS
    )  # Collett 2015, ex. 2.12 gives 16.79
    assert test.expected == pytest.approx(10.75, abs=TWO_DECIMALS)


def test_the_score_test_of_breslow_without_ties_is_the_log_rank_test():
    draw = stream(7, "no ties")
    time, group = draw.exponential(size=40), np.arange(40) % 2
    test = log_rank(time, np.ones(40), group)
    fit = cox_two_groups(time, np.ones(40), group)
    assert (test.observed - test.expected) ** 2 / test.variance == pytest.approx(
        test.statistic, rel=EXACT
    )
    assert 2 * (fit.log_likelihood - fit.log_likelihood_null) == pytest.approx(
        test.statistic, abs=LIKELIHOOD_RATIO
    )


def test_swapping_the_groups_turns_the_hazard_ratio_around():
    there = cox_two_groups(TIME, EVENT, CONTROL)
    back = cox_two_groups(TIME, EVENT, 1 - np.array(CONTROL))
    assert there.estimate.value == pytest.approx(-back.estimate.value, rel=EXACT)
    assert abs(there.gradient) < NEWTON


def test_the_time_unit_does_not_change_the_hazard_ratio_and_scales_the_restricted_mean():
    days = np.array(TIME) * 7.0
    assert cox_two_groups(days, EVENT, CONTROL).estimate.value == pytest.approx(
        cox_two_groups(TIME, EVENT, CONTROL).estimate.value, rel=EXACT
    )
    weekly = restricted_mean(kaplan_meier(MERCAPTOPURINE, RELAPSED), 20)
    daily = restricted_mean(kaplan_meier(np.array(MERCAPTOPURINE) * 7.0, RELAPSED), 140)
    assert (daily.value, daily.se) == pytest.approx((7 * weekly.value, 7 * weekly.se), rel=EXACT)


def test_restricted_mean_without_censoring_is_the_mean_of_the_capped_times():
    time = [1, 3, 7, 9]
    result = restricted_mean(kaplan_meier(time, [1] * 4), 8)
    capped = np.minimum(time, 8)
    assert result.value == pytest.approx(capped.mean(), rel=EXACT)
    assert result.se == pytest.approx(capped.std() / 2, rel=EXACT)


def test_pbc_at_ten_years_and_at_the_largest_common_time():
    curves = [kaplan_meier(a[:, 0], a[:, 1]) for a in pbc()]
    means = [restricted_mean(c, 10) for c in curves]
    assert [m.value for m in means] == pytest.approx([7.283, 7.146], abs=PRINTED)
    tau = largest_common_time(*curves)
    late = [restricted_mean(c, tau) for c in curves]
    assert tau == min(a[:, 0].max() for a in pbc())
    assert all(b.value > a.value for a, b in zip(means, late, strict=True))


# lifelines 0.30.3 on pbc_rmst.csv.
LIFELINES_COX = (0.05722377028161511, 0.17916478757926166, -639.9154511424224)
LIFELINES_LOG_RANK = 0.10170547400489711
LIFELINES_SURVIVAL = [0.9113051069402005, 0.707692578475417, 0.5417099896295096]
LIFELINES_AT_FIVE = (0.6259152255848653, 0.7748137022490031)
LIFELINES_MEDIAN = (6.954141, 11.474333)


def test_pbc_agrees_with_lifelines():
    control, test = pbc()
    time, event = (np.r_[control[:, i], test[:, i]] for i in (0, 1))
    group = np.repeat([0, 1], [len(control), len(test)])
    fit = cox_two_groups(time, event, group, ties="efron")
    found = (fit.estimate.value, fit.estimate.se, fit.log_likelihood)
    assert found == pytest.approx(LIFELINES_COX, rel=LIFELINES_STOPS)
    assert log_rank(time, event, group).statistic == pytest.approx(
        LIFELINES_LOG_RANK, rel=LIFELINES_SUMS
    )
    curve = kaplan_meier(test[:, 0], test[:, 1])
    assert curve.at([2, 5, 8]) == pytest.approx(LIFELINES_SURVIVAL, rel=LIFELINES_SUMS)
    assert curve.interval(5.0) == pytest.approx(LIFELINES_AT_FIVE, rel=LIFELINES_SUMS)
    assert curve.median_interval() == pytest.approx(LIFELINES_MEDIAN, abs=SIX_DECIMALS)


def test_a_horizon_beyond_the_data_is_refused():
    with pytest.raises(InputError, match=r"beyond the last observed time 3; .* Use tau ≤ 3"):
        restricted_mean(kaplan_meier([1, 2, 3], [1, 0, 0]), 4)


def test_no_event_in_one_group_has_no_hazard_ratio():
    with pytest.raises(NumericalError, match="No event in the second group") as caught:
        cox_two_groups([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    assert caught.value.status == "not_estimable"


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="Participant 2 has the time -1"):
        kaplan_meier([1, -1], [1, 1])
    with pytest.raises(UnknownNameError, match="Nearest: efron"):
        cox_two_groups([1, 2], [1, 1], [0, 1], ties="effron")
    with pytest.raises(InputError, match="Two groups are needed"):
        log_rank([1, 2], [1, 1], [1, 1])
