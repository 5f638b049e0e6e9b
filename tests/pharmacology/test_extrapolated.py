"""Relapse after other numbers of doses than it was calibrated with says so where it is shown."""

from __future__ import annotations

import re

import numpy as np
import pytest

from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.session import Patients, Simulation, simulate_session
from klarsyn.pharmacology.substance import read_substance
from klarsyn.report.simulation import render_simulation
from klarsyn.report.words import read_words

ONE = "0.5 mg/kg base iv over 40 min"


def _simulated(words: str, days: float = 28.0) -> Simulation:
    return simulate_session(
        read_substance("ketamine"),
        form="racemate",
        regimen=parse_regimen(words),
        model=read_model("KSR-1"),
        patients=Patients(n=30, seed=1, followed=30),
        days=days,
    )


@pytest.fixture(scope="module")
def single() -> Simulation:
    return _simulated(ONE)


def test_after_one_dose_what_was_seen_stands_beside_what_is_simulated(single: Simulation) -> None:
    """Salloum 2020: half of the responders had relapsed by day 14."""
    assert single.crossed is not None
    found, course = single.crossed.extrapolated, single.crossed.courses["surviving"]
    assert found is not None
    assert found.modelled is not None
    assert (found.doses, found.calibrated, found.day, found.seen) == (1, (6, 16), 14.0, 0.5)
    after = int(np.searchsorted(course.times, 14 * 24.0))
    before = course.sets["p50"][after - 1]
    assert course.sets["p50"][after] <= found.modelled[1] <= before
    assert found.modelled[1] < found.seen


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_curve_itself_says_that_it_falls_too_fast(single: Simulation, lang: str) -> None:
    page = render_simulation(single, read_words(lang)).replace("\xa0", " ")
    figure = page[page.index('id="fig-relapse"') :].split("</figcaption>")[0]
    said = re.sub("<[^>]+>", "", figure)
    wanted = {
        "en": ("This curve falls too fast", "On day 14 after one dose 50 % of responders"),
        "nb": ("Denne kurven faller for raskt", "På dag 14 etter én dose var 50 % av responderne"),
    }[lang]
    assert all(w in said for w in wanted)


def test_within_the_calibrated_doses_nothing_is_extrapolated() -> None:
    found = _simulated(f"{ONE}, twice a week for 3 weeks").crossed
    assert found is not None
    assert found.extrapolated is None


def test_a_course_that_ends_before_the_day_is_not_held_against_it() -> None:
    found = _simulated(ONE, days=7).crossed
    assert found is not None
    assert found.extrapolated is not None
    assert found.extrapolated.fewer
    assert found.extrapolated.seen is None


def test_more_doses_than_calibrated_are_not_said_to_fall_too_fast() -> None:
    found = _simulated(f"{ONE}, twice a week for 9 weeks").crossed
    assert found is not None
    assert found.extrapolated is not None
    assert not found.extrapolated.fewer
