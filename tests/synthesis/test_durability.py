"""Labelled relapse curves, comparisons, pooling and randomised withdrawal."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.reconstruction import digitised, reconstruct
from klarsyn.stats.survival import cox_two_groups, kaplan_meier
from klarsyn.synthesis.durability import (
    compare_durability,
    from_last_dose,
    rebuild,
    relapse_curve,
)
from klarsyn.synthesis.pooled_relapse import RelapseShare, model_relapse, pool_relapse
from klarsyn.synthesis.withdrawal import (
    enriched_withdrawal,
    flagged_share,
    number_needed,
    withdrawal_confound,
)

DATA = Path(__file__).parents[1] / "oracles" / "data"
BONNER_RISE = 0.03  # the published clicks tremble by up to this share
ROUNDING = 1e-12
THREE_DECIMALS = 5e-4
FOUR_DECIMALS = 6e-5
SHAPE = 0.035  # one standard error of 41 % of 213: what a Weibull curve misses of the steps


def rows(name: str) -> np.ndarray:
    with (DATA / name).open() as file:
        return np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])


def bonner(arm: int):
    clicks = rows(f"IPDfromKM_Radiationdata_{('radio', 'radioplus')[arm]}.csv")
    risk = rows("IPDfromKM_Radiationdata_nrisk.csv")
    return clicks[:, 0], clicks[:, 1] / 100, risk[:, 0], risk[:, 1 + arm]


def arm(number: int, **changes):
    return rebuild(
        relapse_curve(
            "Bonner 2006",
            ("radiotherapy", "with cetuximab")[number],
            *bonner(number),
            **({"origin": "last_dose", "largest_rise": BONNER_RISE} | changes),
        ),
        seed=1,
        repeats=60,
    )


def test_reading_and_method_error_widen_the_hazard_ratio():
    compared = compare_durability(arm(1), arm(0))
    assert compared.hazard_ratio.se**2 == pytest.approx(
        compared.sampling_se**2 + compared.reading_se**2 + compared.method_error**2, rel=ROUNDING
    )
    assert compared.reading_se > 0
    low, high = (math.exp(x) for x in compared.hazard_ratio.interval())
    assert low < 0.68 < high  # Bonner 2006 published 0.68
    assert "hazard ratio of relapse 0.72" in compared.summary()


def test_same_seed_same_result():
    assert (
        compare_durability(arm(1), arm(0)).to_dict() == compare_durability(arm(1), arm(0)).to_dict()
    )


def test_time_from_the_last_dose_drops_those_who_relapsed_before():
    time, event = from_last_dose([5, 10, 30], [1, 1, 0], 10)
    assert (time.tolist(), event.tolist()) == ([20], [False])
    later = arm(0, origin="first_dose", last_dose=12.0)
    whole = arm(0)
    assert float(later.curve.at(12)) == pytest.approx(
        float(whole.curve.at(24) / whole.curve.at(12)), abs=ROUNDING
    )


def test_the_day_of_the_last_dose_is_asked_for_where_time_starts_elsewhere():
    with pytest.raises(InputError, match=r"read from randomisation .* Give last_dose"):
        arm(0, origin="randomisation")
    assert arm(0).curve.participants == 213


def test_an_unknown_origin_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="Nearest: last_dose"):
        arm(0, origin="lastdose")


def test_pooling_redosed_with_stopped_arms_is_said():
    pooled = pool_relapse([arm(0), arm(1, redosed=True)], [12, 24])
    assert any("Dosing went on in Bonner 2006" in note for note in pooled.notes)
    assert any("Two arms of one study" in note for note in pooled.notes)
    assert "without relapse 24 days" in pooled.summary()


def test_the_share_remaining_carries_both_errors():
    row = arm(0).remaining([12])[0]
    assert row["se"] > row["reading_se"] > 0
    assert row["low"] < row["remaining"] < row["high"]


def test_sustain1_three_quantities():
    """Daly 2019: 705 enrolled, 297 randomised; stable remitters 24/90 against 39/86."""
    found = enriched_withdrawal(
        started=705, randomised=297, relapsed_drug=24, drug=90, relapsed_control=39, control=86
    )
    assert found.share_of_starters == pytest.approx(0.4213, abs=FOUR_DECIMALS)
    assert found.number_needed == 6
    assert found.sustained_difference == pytest.approx(
        found.share_of_starters * found.difference, rel=ROUNDING
    )
    assert "42 % of the 705" in found.summary()


def test_number_needed_of_stable_responders_and_without_benefit():
    assert number_needed(16 / 62, 34 / 59) == 4
    assert number_needed(0.5, 0.5) is None
    assert number_needed(0.25, 0.5) == 4


def test_more_randomised_than_started_is_refused():
    with pytest.raises(InputError, match="300 randomised of 200"):
        enriched_withdrawal(
            started=200, randomised=300, relapsed_drug=1, drug=9, relapsed_control=2, control=9
        )


def test_a_difference_that_is_there_at_once_is_flagged():
    drug = kaplan_meier([100] * 10, [0] * 10)
    early = kaplan_meier([5] * 4 + [100] * 6, [1] * 4 + [0] * 6)
    late = kaplan_meier([50] * 4 + [100] * 6, [1] * 4 + [0] * 6)
    at_once = withdrawal_confound(drug, early, early_day=14, final_day=90)
    slowly = withdrawal_confound(drug, late, early_day=14, final_day=90)
    assert (at_once.share, at_once.flagged) == (1.0, True)
    assert (slowly.share, slowly.flagged) == (0.0, False)
    backwards = withdrawal_confound(late, drug, early_day=14, final_day=90)
    assert backwards.share is None
    assert not backwards.flagged


def test_flagged_share_counts_interpretable_analyses():
    assert flagged_share([True] * 9 + [False] * 4)[2] == pytest.approx(0.692, abs=THREE_DECIMALS)


def test_figures_show_the_numbers_at_risk_in_the_readers_language():
    chart = arm(0).plot(title="Uten tilbakefall", risk_label="I risiko").to_dict()
    assert chart["vconcat"][0]["title"] == "Uten tilbakefall"
    assert chart["vconcat"][1]["data"]["values"][0]["number"] == 213
    pooled = pool_relapse([arm(0), arm(1)], [12, 24]).plot(title="Samlet").to_dict()
    assert [v["day"] for v in pooled["data"]["values"]] == [0, 12, 24]


def test_curves_and_single_shares_are_modelled_together():
    alone = model_relapse([arm(0)], models=["weibull"])
    share = RelapseShare(study="Other", day=24.0, relapsed=900, counted=1000)
    both = model_relapse([arm(0), arm(1)], [share])
    assert alone.models[0].survival(24.0) == pytest.approx(float(arm(0).curve.at(24)), abs=SHAPE)
    assert both.models[0].aic <= both.models[1].aic
    assert both.models[0].tau > 0
    assert both.studies[-1] == "Other"
    assert "fits 3 studies best" in both.summary()
    assert len(both.to_dict([12, 24])["models"][0]["remaining"]) == 2


HAZARD_RATIO_ERROR = 0.05  # stated in advance: what `method_error` adds to the log hazard ratio


def test_rebuilding_errs_less_than_the_method_error_that_is_added():
    """Forty simulated trials of 2 × 120, read at 60 points with ±0.5 % of the axis."""
    errors = []
    for trial in range(40):
        draw = stream(trial, "simulated trial")
        rebuilt, truth = [], []
        for scale in (60.0, 90.0):
            event, end = draw.exponential(scale, 120), draw.uniform(60, 200, 120)
            time, seen = np.minimum(event, end), event <= end
            curve = kaplan_meier(time, seen)
            days = np.linspace(0, curve.last_time, 60)
            clicks = np.clip(curve.at(days) + draw.uniform(-0.005, 0.005, 60), 0, 1)
            marks = np.arange(0, curve.last_time, 30.0)
            read = digitised(days, clicks, marks, curve.number_at_risk(marks))
            again = reconstruct(read)
            rebuilt.append((again.time, again.event))
            truth.append((time, seen))
        values = [
            cox_two_groups(
                np.concatenate([t for t, _ in pair]),
                np.concatenate([e for _, e in pair]),
                np.repeat([0, 1], 120),
            ).estimate.value
            for pair in (rebuilt, truth)
        ]
        errors.append(values[0] - values[1])
    assert float(np.sqrt(np.mean(np.square(errors)))) < HAZARD_RATIO_ERROR
    assert abs(float(np.mean(errors))) < HAZARD_RATIO_ERROR / 2
