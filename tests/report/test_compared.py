"""--compare stands on the page: paired ratios and points, in both languages."""

from __future__ import annotations

import pytest

from klarsyn.pharmacology.compare import Comparison, compare
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.session import Patients, Simulation, simulate_session
from klarsyn.pharmacology.substance import read_substance
from klarsyn.report.compared import comparison_section
from klarsyn.report.document import TableBlock
from klarsyn.report.numbers import Numbers
from klarsyn.report.simulation import render_simulation
from klarsyn.report.words import read_words

ONE = "0.5 mg/kg base iv over 40 min"


def _simulated(words: str, form: str = "racemate") -> Simulation:
    return simulate_session(
        read_substance("ketamine"),
        form=form,
        regimen=parse_regimen(words),
        model=read_model("KSR-1"),
        patients=Patients(n=12, seed=1, followed=12),
        days=14.0,
    )


@pytest.fixture(scope="module")
def first() -> Simulation:
    return _simulated(ONE)


def _tables(found: Comparison, second: Simulation, lang: str = "en") -> dict[str, TableBlock]:
    section = comparison_section(found, second, "", "MADRS", read_words(lang), Numbers(lang))
    return {b.id: b for b in section.blocks if isinstance(b, TableBlock)}


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_twice_the_dose_has_half_the_exposure_in_everybody(first: Simulation, lang: str) -> None:
    """The kinetics are linear: every ratio of Cmax and AUC is 0.50 without spread."""
    second = _simulated("1 mg/kg base iv over 40 min")
    rows = _tables(compare(first, second), second, lang)["compared-ratios"].rows
    point = {"en": "0.50", "nb": "0,50"}[lang]
    exposure = [r for r in rows if r[0].startswith(("Cmax", "AUC"))]
    assert len(exposure) == 2 * len(first.exposure.analytes)
    assert {r[1] for r in exposure} == {point}


def test_a_second_form_leaves_out_what_it_does_not_hold(first: Simulation) -> None:
    second = _simulated(ONE, form="S")
    rows = _tables(compare(first, second), second)["compared-ratios"].rows
    assert not any("R-ketamine" in r[0] for r in rows)
    assert ["Cmax, S-ketamine", "0.50", "0 %"] in [
        [c.replace("\xa0", " ") for c in r] for r in rows
    ]


def test_what_is_equal_so_far_is_called_the_same(first: Simulation) -> None:
    """A second dose on day 3 changes nothing on day 1."""
    second = _simulated(f"{ONE}, on days 0, 3")
    rows = _tables(compare(first, second), second)["compared-points"].rows
    assert (rows[0][0], rows[0][3]) == ("1", "the same so far in every set")
    assert "higher in" in rows[1][3]


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_page_has_the_comparison_only_where_there_is_one(first: Simulation, lang: str) -> None:
    words = read_words(lang)
    second = _simulated("0.25 mg/kg base iv over 40 min", form="S")
    page = render_simulation(first, words, (compare(first, second), second))
    assert page.count('id="table-compared-') == 2
    assert {"en": "S, 0.25 mg/kg base iv", "nb": "S, 0,25 mg/kg base i.v."}[lang] in page
    assert 'id="compared"' not in render_simulation(first, words)
