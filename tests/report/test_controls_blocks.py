"""Control arms on the page: the arms that print a spread, the usual ones, and what is missing."""

from __future__ import annotations

from functools import cache

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Report
from klarsyn.report.sections.controls import derive_improved

FACTOR = 1e-4  # 1 − 3/(4 df − 1) approximates the exact small-sample factor

ROUNDED = 0.005
EXACT = 1e-12


@cache
def made(base: str, lang: str = "en") -> tuple[Report, Context]:
    return build_report(open_base(base), lang)


def value(name: str) -> dict:
    report, _ = made("ketamine_depression")
    return dict(next(r for r in report.results() if r.id == name).value)


def told(base: str, lang: str) -> str:
    section = next(s for s in made(base, lang)[0].sections if s.id == "told")
    return " ".join(str(p) for b in section.blocks if isinstance(b, Prose) for p in b.paragraphs)


def test_an_arm_of_the_base_is_its_printed_change_over_its_printed_spread() -> None:
    """Chen 2023, day 27: change −8.1 (SD 10.26), 106 patients; factor 1 − 3/(4·105 − 1)."""
    _, context = made("ketamine_depression")
    later = next(m for m in derive_improved(context) if m.name == "later")
    chen = next(c for c in later.controls if c.trial.id == "chen_2023")
    assert (chen.days, chen.n) == (27, 106)
    assert chen.improvement.value == pytest.approx(8.1 / 10.26 * (1 - 3 / 419), abs=FACTOR)


def test_a_standard_error_becomes_a_standard_deviation() -> None:
    """Daly 2018, day 1: change −5.7 (SE 1.79), 33 patients."""
    _, context = made("ketamine_depression")
    early = derive_improved(context)[0]
    daly = next(c for c in early.controls if c.trial.id == "daly_2018")
    plain = 5.7 / (1.79 * 33**0.5)
    assert daly.improvement.value == pytest.approx(plain * (1 - 3 / 127), abs=FACTOR)


def test_the_usual_control_is_the_published_one() -> None:
    """Hieronymus 2025, abstract: 1.00 in SSRI trials, 0.50 in psilocybin trials."""
    usual = value("told.controls.later")["usual"]
    assert {u["mean"] for u in usual.values()} == {1.00, 0.50}
    ssri = next(u for u in usual.values() if u["mean"] == 1.00)
    assert ssri["contrast_with_it"] == pytest.approx(
        value("told.controls.later")["active"] - 1.00, rel=EXACT
    )


def test_the_share_is_control_over_drug() -> None:
    found = value("told.controls.later")
    assert found["control_share"] == pytest.approx(found["control"] / found["active"], rel=EXACT)


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_both_bases_say_what_would_have_had_to_be_reported(lang: str) -> None:
    wanted = {"en": "for every control arm the mean change", "nb": "for hver kontrollarm"}[lang]
    assert wanted in told("ketamine_depression", lang)
    assert wanted in told("mdma_ptsd", lang)


def test_too_few_arms_give_no_figure_but_a_sentence() -> None:
    section = next(s for s in made("mdma_ptsd")[0].sections if s.id == "told")
    assert not any(isinstance(b, Figure) and b.id == "told-controls" for b in section.blocks)
    assert "Fewer than three trials" in told("mdma_ptsd", "en")
