"""The area of an exposure says of which doses it is and where it ends."""

from __future__ import annotations

import pytest

from klarsyn.app.cli import main
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.session import Patients, Simulation, simulate_session
from klarsyn.pharmacology.simulate import Exposure
from klarsyn.pharmacology.substance import read_substance
from klarsyn.report.simulation import render_simulation
from klarsyn.report.words import read_words

SIX = "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"
ARITHMETIC = 1e-9


def _simulated(model: str, words: str, variability: bool) -> Simulation:
    return simulate_session(
        read_substance("ketamine"),
        form="S",
        regimen=parse_regimen(words),
        model=read_model(model),
        patients=Patients(n=3, seed=1, variability=variability),
        follow=False,
    )


def _exposure(model: str, words: str, variability: bool) -> Exposure:
    return _simulated(model, words, variability).exposure


def test_the_area_of_six_doses_is_six_times_dose_over_clearance() -> None:
    """35 mg over 95.2 L/h, six times, to infinity."""
    found = _exposure("KSR-1", SIX, variability=False)
    assert found.to_infinity
    assert found.quantiles("S-ketamine", "auc")[1] == pytest.approx(
        6 * 35_000 / 95.2, rel=ARITHMETIC
    )


def test_where_parameters_change_between_occasions_the_area_ends_after_three_days() -> None:
    found = _exposure("KSR-1-arterial", SIX, variability=True)
    assert not found.to_infinity
    assert found.to_dict()["auc_to"] == "three days after the last dose"


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_page_says_where_the_area_ends(lang: str) -> None:
    words = read_words(lang)
    to, last = words.plain("simulation.to_infinity"), words.plain("simulation.to_last")
    for model, said, other in (("KSR-1", to, last), ("KSR-1-arterial", last, to)):
        page = render_simulation(_simulated(model, SIX, variability=True), words)
        caption = page[page.index('id="table-exposure"') :].split('class="caption">')[1]
        caption = caption.split("</p>")[0]
        assert said in caption
        assert other not in caption


def test_the_table_says_that_the_area_is_of_all_doses(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--dose", "0.5 mg/kg base", "--route", "iv", "--infusion", "40 min", "--n", "2"]
    asked += ["--schedule", "2 per week, 3 weeks", "--exposure-only"]
    main(["simulate", "--substance", "ketamine", *asked])
    out = " ".join(capsys.readouterr().out.split())
    assert "AUC to infinity" in out
    assert "AUC that of all doses together" in out
    main(["simulate", "--substance", "ketamine", "--model", "KSR-1-arterial", *asked])
    out = capsys.readouterr().out
    assert "AUC to 3 days after" in out
    assert "AUC to infinity" not in out
