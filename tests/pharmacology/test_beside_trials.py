"""Trials of like regimens stand beside what is simulated, as they printed it."""

from __future__ import annotations

from functools import cache

import pytest

from klarsyn.evidence import open_base
from klarsyn.pharmacology.constants import read_constants
from klarsyn.pharmacology.crossed import Crossed
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.session import Patients, Simulation, simulate_session
from klarsyn.pharmacology.substance import read_substance
from klarsyn.report.simulation import render_simulation
from klarsyn.report.words import read_words

ONE = "0.5 mg/kg base iv over 40 min"
ROUNDING = 1e-12  # relative; the same mean taken twice
PRINTED = 1e-9  # points; differences of numbers with one or two decimals


@cache
def simulated(words: str, form: str = "racemate") -> Simulation:
    return simulate_session(
        read_substance("ketamine"),
        form=form,
        regimen=parse_regimen(words),
        model=read_model("KSR-1"),
        patients=Patients(n=30, seed=1, followed=30),
        days=28.0,
    )


def crossed(words: str, form: str = "racemate") -> Crossed:
    found = simulated(words, form).crossed
    assert found is not None
    return found


def labels(words: str, form: str = "racemate") -> list[str]:
    return [t.label["en"] for t in crossed(words, form).beside]


def change(arm: str) -> float:
    rows = open_base("ketamine_depression").findings
    return next(
        r.value
        for r in rows
        if (r.trial, r.arm, r.statistic) == ("singh_2016_ketamine", arm, "mean") and r.chosen
    )


@pytest.mark.parametrize("often", ["twice", "thrice"])
def test_the_difference_is_that_of_the_changes_in_the_evidence_base(often: str) -> None:
    number = read_constants("ketamine_patients").numbers[f"difference_singh_{often}"].value
    assert number == pytest.approx(
        change(f"saline_{often}") - change(f"ketamine_{often}"), abs=PRINTED
    )


def test_six_infusions_stand_beside_the_trials_that_gave_as_many_by_then() -> None:
    assert labels(f"{ONE}, twice a week for 3 weeks") == [
        "Singh 2016, twice a week",
        "Jelovac 2025 (KARMA-Dep 2), up to eight, twice a week",
    ]
    assert "Singh 2016, three times a week" in labels(f"{ONE}, 3 times a week for 3 weeks")


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (ONE, "racemate"),
        (f"{ONE}, twice a week for 3 weeks", "S"),
        ("0.5 mg/kg base im, twice a week for 3 weeks", "racemate"),
    ],
)
def test_one_dose_another_form_or_another_route_stands_beside_none(words: str, form: str) -> None:
    assert labels(words, form) == []


def test_what_is_simulated_is_what_is_told_of_that_time() -> None:
    found = crossed(f"{ONE}, twice a week for 3 weeks")
    told = next(b for b in found.told if b.name.endswith("1 day after the last dose"))
    last = next(t for t in found.beside if "KARMA" in t.label["en"])
    assert last.here[1] == pytest.approx(told.percentiles["p50"], rel=ROUNDING)


def test_the_sets_promise_more_than_the_trial_against_midazolam_allows() -> None:
    found = crossed(f"{ONE}, twice a week for 3 weeks")
    last = next(t for t in found.beside if t.control["en"] == "midazolam")
    assert last.limits == (-2.22, 8.54)
    assert last.here[1] > last.limits[1]
    assert "found 3.2 (-2.2 to 8.5)" in found.summary()


@pytest.mark.parametrize(("lang", "words"), [("en", "up to eight"), ("nb", "inntil åtte")])
def test_the_page_shows_them_in_both_languages(lang: str, words: str) -> None:
    page = render_simulation(simulated(f"{ONE}, twice a week for 3 weeks"), read_words(lang))
    assert words in page
    assert "KARMA-Dep 2" in page
