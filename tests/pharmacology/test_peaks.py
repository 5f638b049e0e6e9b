"""Peaks by stepped modes against whole courses by matrix exponentials."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.pharmacology import peaks, simulate
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.exposing import SolvedRegimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.peaks import find_peaks
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.pharmacology.simulate import METRICS
from klarsyn.pharmacology.solvers import modal

DOSES = 1e-9  # areas as dose over clearance
STEP = 1e-6  # the peak lies at the end of the infusion, found on refined steps

SUMS = 1e-12  # relative to the peak: the same doses added in another order

KSR = read_model("KSR-1")
CLOSE = 1e-10  # relative to the peak: eigenvectors below a condition of 1e6 against the series
TWO = "0.5 mg/kg base iv over 40 min; 1 mg/kg base iv over 40 min at 30 h"
SIX = "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"


def _both(people, words: str, form: str, monkeypatch, **more):
    regimen = parse_regimen(words)
    fast = simulate.simulate(people, regimen, form, **more)
    with monkeypatch.context() as patch:
        patch.setattr(simulate, "find_peaks", lambda *_, **__: None)
        slow = simulate.simulate(people, regimen, form, **more)
    return fast, slow


def _agree(fast, slow) -> None:
    assert fast.analytes == slow.analytes
    for analyte in slow.analytes:
        top = slow.curves[analyte].max(axis=1, keepdims=True)
        assert (np.abs(fast.curves[analyte] - slow.curves[analyte]) / top).max() < CLOSE
        for metric in METRICS:
            one, two = fast.metrics[analyte][metric], slow.metrics[analyte][metric]
            assert one == pytest.approx(two, rel=CLOSE, nan_ok=True)


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (SIX, "racemate"),
        ("84 mg base nasal in 3 portions 5 min apart", "S"),
        ("25 mg hydrochloride oral, every 8 h for 3 doses", "R"),
        ("0.5 mg/kg base iv", "racemate"),
        ("0.5 mg/kg base iv over 2 h; 0.2 mg/kg base iv over 30 min at 1 h", "S"),
    ],
)
def test_stepped_modes_read_the_peaks_that_courses_have(words, form, monkeypatch) -> None:
    _agree(*_both(sample_individuals(KSR, 40, seed=3), words, form, monkeypatch))


def test_ill_conditioned_patients_are_solved_exactly(monkeypatch) -> None:
    people = sample_individuals(KSR, 12, seed=3)
    fast, slow = _both(people, SIX, "S", monkeypatch)
    monkeypatch.setattr(peaks, "WELL_CONDITIONED", 0.0)
    exact = simulate.simulate(people, parse_regimen(SIX), "S")
    _agree(fast, slow)
    for metric in METRICS:
        assert np.array_equal(
            exact.metrics["S-ketamine"][metric], slow.metrics["S-ketamine"][metric]
        )


def test_doses_left_out_add_nothing(monkeypatch) -> None:
    people = sample_individuals(KSR, 3, seed=3)
    taken = np.array([[1.0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]])
    fast, slow = _both(people, SIX, "S", monkeypatch, taken=taken)
    _agree(fast, slow)
    area = fast.metrics["S-ketamine"]["auc"] * people.values["CL_S"] / (35 * 1000)
    assert area == pytest.approx([6.0, 1.0, 1.0], rel=DOSES)
    assert fast.metrics["S-ketamine"]["tmax"] == pytest.approx([2 / 3] * 3, rel=STEP)


def test_what_stepped_modes_cannot_do_is_left() -> None:
    arterial = read_model("KSR-1-arterial")
    people = sample_individuals(arterial, 4, seed=1, occasions=2)
    regimen = parse_regimen("50 mg base film, on days 0, 1")
    form = arterial.substance.form("S")
    assert find_peaks(people, regimen, form, np.array([0.0, 1.0]), 4) is None


def test_peaks_are_the_largest_of_the_courses_wherever_they_stand() -> None:
    """More patients and times than are worked on at once; exact, because nothing is computed."""
    people = sample_individuals(KSR, modal.INDIVIDUALS + 3, seed=3)
    times = np.linspace(0.0, 60.0, 5 * modal.TIMES + 7)
    form = KSR.substance.form("racemate")
    found = find_peaks(people, parse_regimen(TWO), form, times, len(people))
    assert found is not None
    for analyte, courses in found.curves.items():
        assert np.array_equal(found.top[analyte], courses.max(axis=1))
        assert np.array_equal(found.at[analyte], courses.argmax(axis=1))


def test_who_has_no_number_keeps_none_and_touches_nobody_else() -> None:
    nothing = np.zeros((0, 1, 3))
    arguments = {
        "weights": np.ones((1, 1, 3)),
        "summed": np.ones((1, 1), bool),
        "steps": np.array([1.0]),
        "which": np.zeros(2 * modal.TIMES, np.int64),
        "when": np.array([0]),
        "lasts": np.array([0]),
        "jump": np.array([[[1.0, 2.0, 3.0]]]),
        "flow": np.zeros((1, 1, 3)),
        "kept": 3,
    }
    top, at, curves = modal.peaks(rates=np.array([[1.0, np.nan, 2.0]]), **arguments)
    assert np.array_equal(top, [[1.0, np.nan, 3.0]] * 2, equal_nan=True)
    assert at.tolist() == [[0, 1, 0]] * 2
    assert np.isnan(curves[:, 1:, 1]).all()
    empty = arguments | {"when": np.zeros(0, int), "lasts": np.zeros(0, int)}
    empty |= {"jump": nothing, "flow": nothing}
    assert not modal.peaks(rates=np.ones((1, 3)), **empty)[0].any()


def test_doses_chosen_one_by_one_add_up_to_the_schedule() -> None:
    """With parameters that change at every dose, from exponentials that all choices share."""
    arterial = read_model("KSR-1-arterial")
    people = sample_individuals(arterial, 3, seed=1, occasions=3)
    regimen = parse_regimen("0.5 mg/kg base iv over 40 min, every 3 d for 3 doses")
    times = np.linspace(0.0, 200.0, 90)
    times = np.unique(np.concatenate([times, [72.0, 144.0]]))
    solved = SolvedRegimen(people, regimen, arterial.substance.form("racemate"), times)
    whole, parts = solved.of(), [solved.of(np.tile(np.eye(3)[d], (3, 1))) for d in range(3)]
    for analyte, course in whole.items():
        added = sum(p[analyte] for p in parts)
        assert np.abs(added - course).max() <= SUMS * course.max()
    half = solved.of(np.full((3, 3), 0.5), ["S-ketamine"])
    assert list(half) == ["S-ketamine"]
    assert (
        np.abs(2 * half["S-ketamine"] - whole["S-ketamine"]).max()
        <= SUMS * whole["S-ketamine"].max()
    )
