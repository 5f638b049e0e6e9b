"""Labelled relapse curves, comparisons, pooling and randomised withdrawal."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.reconstruction import digitised, reconstruct
from klarsyn.stats.survival import cox_two_groups, kaplan_meier
from klarsyn.synthesis.durability import (
    compare_durability,
    from_last_dose,
    pool_relapse,
    rebuild,
    relapse_curve,
)
from klarsyn.synthesis.withdrawal import (
    enriched_withdrawal,
    flagged_share,
    number_needed,
    withdrawal_confound,
)

DATA = Path(__file__).parents[1] / "oracles" / "data"
ORACLE = DATA.parent / "meta_analysis.csv"
CLOSED_FORM = 1e-8  # relative; the oracle prints ten digits
BONNER_RISE = 0.03  # the published clicks tremble by up to this share


def rows(name: str) -> np.ndarray:
    with (DATA / name).open() as file:
        return np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])


def bonner(arm: int):
    clicks = rows(f"IPDfromKM_Radiationdata_{('radio', 'radioplus')[arm]}.csv")
    risk = rows("IPDfromKM_Radiationdata_nrisk.csv")
    return clicks[:, 0], clicks[:, 1] / 100, risk[:, 0], risk[:, 1 + arm]


def ipd_from_km() -> dict[str, float]:
    """The quantities of P39 by our reconstruction with IPDfromKM's filter (Liu 2021)."""
    names, found, people = ("radio", "radioplus"), {}, []
    for arm, name in enumerate(names):
        rebuilt = reconstruct(digitised(*bonner(arm), largest_rise=BONNER_RISE), outliers="tukey")
        curve = kaplan_meier(rebuilt.time, rebuilt.event)
        found[f"events.{name}"] = rebuilt.events
        found[f"median.{name}"] = curve.quantile()
        found |= {f"S.{name}.{t}": float(curve.at(t)) for t in (12, 24, 36)}
        people.append(rebuilt)
    time = np.concatenate([p.time for p in people])
    event = np.concatenate([p.event for p in people])
    group = np.repeat([0, 1], [p.time.size for p in people])
    fit = cox_two_groups(time, event, group).estimate
    return found | {"logHR": fit.value, "seLogHR": fit.se}


def p39() -> list[tuple[str, float]]:
    with ORACLE.open(newline="") as file:
        return [
            (r["quantity"], float(r["value"]))
            for r in csv.DictReader(file)
            if r["id"].startswith("P39.")
        ]


@pytest.mark.parametrize(("quantity", "value"), p39())
def test_p39_of_the_oracle(quantity, value):
    assert ipd_from_km()[quantity] == pytest.approx(value, rel=CLOSED_FORM)


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
        compared.sampling_se**2 + compared.reading_se**2 + compared.method_error**2, rel=1e-12
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
        float(whole.curve.at(24) / whole.curve.at(12)), abs=1e-12
    )


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
    assert found.share_of_starters == pytest.approx(0.4213, abs=6e-5)
    assert found.number_needed == 6
    assert found.sustained_difference == pytest.approx(
        found.share_of_starters * found.difference, rel=1e-12
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
    assert flagged_share([True] * 9 + [False] * 4)[2] == pytest.approx(0.692, abs=5e-4)


def test_figures_show_the_numbers_at_risk_in_the_readers_language():
    chart = arm(0).plot(title="Uten tilbakefall", risk_label="I risiko").to_dict()
    assert chart["vconcat"][0]["title"] == "Uten tilbakefall"
    assert chart["vconcat"][1]["data"]["values"][0]["number"] == 213
    pooled = pool_relapse([arm(0), arm(1)], [12, 24]).plot(title="Samlet").to_dict()
    assert [v["day"] for v in pooled["data"]["values"]] == [12, 24]
