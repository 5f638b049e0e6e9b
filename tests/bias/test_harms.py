"""Rare harms: what is excluded, what is not, and how ascertainment changes it."""

from __future__ import annotations

import pytest

from klarsyn.bias.harms import HarmRecord, appraise_harm, read_harms
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.rates import upper_limit

ROUNDING = 1e-12  # relative
WHOLE = 0.5  # patients are printed as a whole number

EVERYBODY_ASKED = {"systematic": 1.0, "spontaneous": 1.0, "unknown": 1.0}


def record(study: str, arm: str, events: int, patients: int, asked: str = "systematic", **more):
    return HarmRecord(
        study=study,
        harm="cystitis",
        arm=arm,
        events=events,
        patients=patients,
        ascertainment=asked,
        **more,
    )


def appraised(records, **changes):
    arguments = {"rates": [0.01, 0.001], "multipliers": EVERYBODY_ASKED} | changes
    return appraise_harm(records, "cystitis", **arguments)


def test_without_events_299_patients_exclude_one_percent():
    enough = appraised([record("A", "test", 0, 200), record("B", "single", 0, 99)])
    one_less = appraised([record("A", "test", 0, 298)])
    assert [e.excluded for e in enough.exposures[0].exclusions] == [True, False]
    first = one_less.exposures[0].exclusions[0]
    assert (first.excluded, first.needed, first.missing) == (False, 299, 1)


def test_one_patient_more_may_decide_and_the_sentence_says_how_many_are_missing():
    text = appraised([record("A", "test", 0, 298)], rates=[0.01]).summary()
    assert "not excluded: that needs about 299 such patients, 1 more" in text


def test_spontaneous_reports_count_less():
    asked = appraised([record("A", "test", 1, 300)])
    told = appraised(
        [record("A", "test", 1, 300, "spontaneous")],
        multipliers=EVERYBODY_ASKED | {"spontaneous": 4.0},
    )
    assert told.exposures[0].effective == 75
    assert told.exposures[0].upper == pytest.approx(upper_limit(1, 75), rel=ROUNDING)
    assert told.exposures[0].upper > asked.exposures[0].upper


def test_a_rate_that_was_seen_can_never_be_excluded():
    found = appraised([record("A", "test", 3, 300)]).exposures[0].exclusions
    assert (found[0].needed, found[0].missing) == (None, None)


def test_double_zero_trials_and_their_patients_are_counted():
    found = appraised(
        [
            record("A", "test", 0, 50),
            record("A", "control", 0, 48),
            record("B", "test", 1, 60),
            record("B", "control", 0, 61),
            record("C", "single", 0, 10),
        ],
        background=0.005,
    )
    assert (found.controlled_studies, found.double_zero_studies) == (2, 1)
    assert found.double_zero_patients == 98
    assert found.comparative_have == 219
    assert found.comparative_needed == pytest.approx(9348, abs=WHOLE)


def test_pooling_keeps_double_zero_trials_in_at_least_one_method():
    counts = [
        record("A", "test", 0, 50),
        record("A", "control", 0, 48),
        record("B", "test", 4, 60),
        record("B", "control", 1, 61),
        record("C", "test", 2, 40),
        record("C", "control", 1, 41),
    ]
    found = appraised(counts)
    assert found.pooled is not None
    ignored = {f.method: f.ignored for f in found.pooled.fits}
    assert (ignored["MH OR"], ignored["beta-binomial"]) == (98, 0)
    assert appraised(counts[:2]).pooled is None


def pairs(*trials: tuple[int, int, int, int]) -> list[HarmRecord]:
    """Records of trials given as events and patients with the drug, then with control."""
    out = []
    for i, (x1, n1, x2, n2) in enumerate(trials):
        out += [record(f"T{i}", "test", x1, n1), record(f"T{i}", "control", x2, n2)]
    return out


def test_one_trials_difference_has_newcombes_limits():
    # Newcombe 1998, Stat Med 17:873, table II, example (a), method 10: 56/70 against 48/80
    found = appraised(pairs((56, 70, 48, 80))).difference
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_harm_seen_in_control_only_is_as_uncertain_as_one_seen_with_the_drug():
    less = appraised(pairs((0, 91, 1, 91))).difference
    more = appraised(pairs((1, 91, 0, 91))).difference
    assert less is not None
    assert more is not None
    assert (less.low, less.high) == pytest.approx((-more.high, -more.low), rel=ROUNDING)
    assert less.high > 0.02


def test_trials_that_disagree_widen_the_difference_and_trials_that_agree_do_not():
    # By hand: two trials of 100 and 100 a group, differences 0.5 and 0.1 about their mean of 0.3;
    # variances .6·.4/100 + .1·.9/100 and .2·.8/100 + .1·.9/100, so Q = 0.04/.0033 + 0.04/.0025.
    made = appraised(pairs((60, 100, 10, 100), (20, 100, 10, 100)))
    found = made.difference
    assert found is not None
    assert found.value == pytest.approx(0.3, rel=ROUNDING)
    assert found.apart == pytest.approx(0.04 / 0.0033 + 0.04 / 0.0025, rel=ROUNDING)
    assert made.pooled is not None
    common = made.pooled.fit("MH RD").estimate
    assert common is not None
    half = 1.959963984540054 * common.se * found.apart**0.5
    assert found.high - found.value == pytest.approx(half, rel=ROUNDING)
    same = appraised(pairs((20, 100, 10, 100), (20, 100, 10, 100))).difference
    assert same is not None
    assert same.apart == 1


def test_a_harm_added_in_every_trial_is_added_even_where_they_disagree():
    found = appraised(pairs((90, 100, 10, 100), (30, 100, 10, 100))).difference
    assert found is not None
    assert found.low < 0
    assert found.adds


def test_patients_of_trials_that_disagree_count_less():
    # By hand: shares 0.6 and 0.2 of 100 each about 0.4: X² = 2 · 20² / (100 · 0.4 · 0.6) = 33.3.
    apart = 2 * 20**2 / (100 * 0.4 * 0.6)
    found = appraised([record("A", "test", 60, 100), record("B", "test", 20, 100)]).exposures[0]
    assert found.apart == pytest.approx(apart, rel=ROUNDING)
    assert found.upper == pytest.approx(upper_limit(80 / apart, 200 / apart), rel=ROUNDING)
    assert found.shares == (0.2, 0.6)
    assert found.upper > found.shares[1]


def test_trials_that_agree_exclude_as_much_as_one_trial_of_all_their_patients():
    apart = appraised([record("A", "test", 2, 100), record("B", "test", 4, 200)]).exposures[0]
    together = appraised([record("A", "test", 6, 300)]).exposures[0]
    assert (apart.apart, apart.upper) == (1, together.upper)


def test_rates_per_person_year_only_where_the_years_are_known():
    found = appraised([record("A", "test", 2, 100, years=40.0), record("B", "test", 0, 100)])
    rate, low, high = found.exposures[0].per_year or (0, 0, 0)
    assert rate == pytest.approx(0.05)
    assert low < rate < high
    assert appraised([record("A", "test", 0, 5)]).exposures[0].per_year is None


def test_a_rate_is_a_share():
    with pytest.raises(InputError, match="A rate to exclude is a share between 0 and 1; 5"):
        appraised([record("A", "test", 0, 5)], rates=[5])


def test_multipliers_are_stated_never_assumed():
    with pytest.raises(InputError, match="multiplier of spontaneous ascertainment must be stated"):
        appraised([record("A", "test", 0, 5)], multipliers={"systematic": 1.0})


def test_an_unknown_harm_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="Nearest: cystitis"):
        appraise_harm(
            [record("A", "test", 0, 5)], "cystitits", rates=[0.01], multipliers=EVERYBODY_ASKED
        )


def test_episodes_are_not_patients(tmp_path):
    path = tmp_path / "harms.csv"
    path.write_text(
        "study,harm,arm,events,patients,ascertainment\nA,cystitis,test,12,10,systematic\n"
    )
    with pytest.raises(InputError, match=r"row 2 \(A\): 12 patients with the harm among 10"):
        read_harms(path)


def test_the_figure_shows_each_group_with_its_limit():
    chart = appraised([record("A", "test", 0, 298)]).plot(title="Skader").to_dict()
    assert chart["title"] == "Skader"
    assert "< 1 %" in str(chart)
