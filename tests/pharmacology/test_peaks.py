"""Peaks by the compiled kernel against whole courses by matrix exponentials."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.pharmacology import peaks, simulate
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.peaks import find_peaks
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.pharmacology.simulate import METRICS

DOSES = 1e-9  # areas as dose over clearance
STEP = 1e-6  # the peak lies at the end of the infusion, found on refined steps

KSR = read_model("KSR-1")
CLOSE = 1e-10  # relative to the peak: eigenvectors below a condition of 1e6 against the series
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
def test_the_kernel_reads_the_peaks_that_courses_have(words, form, monkeypatch) -> None:
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


def test_what_the_kernel_cannot_do_it_leaves() -> None:
    arterial = read_model("KSR-1-arterial")
    people = sample_individuals(arterial, 4, seed=1, occasions=2)
    regimen = parse_regimen("50 mg base film, on days 0, 1")
    form = arterial.substance.form("S")
    assert find_peaks(people, regimen, form, np.array([0.0, 1.0]), 4) is None
