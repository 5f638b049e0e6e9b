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
