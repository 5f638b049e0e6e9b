"""Control arms on the page: the arms that print a spread, the usual ones, and what is missing."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from klarsyn.bias.controls import pool_changes
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Report
from klarsyn.report.sections.controls import against_usual, derive_improved
from klarsyn.report.settings import Elsewhere
from klarsyn.stats.estimate import Estimate

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
    assert ssri["contrast_with_it"][0] == pytest.approx(
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


def usual(trials: int, value: float = 1.0) -> Elsewhere:
    label = {"en": "elsewhere", "nb": "andre"}
    return Elsewhere(label=label, value=value, trials=trials, source="")


def test_a_usual_mean_of_as_many_trials_doubles_the_variance() -> None:
    mean = Estimate(value=0.8, se=0.1, method="", df=5)
    assert against_usual(mean, 6, None, usual(6)).gap.se == pytest.approx(0.1 * math.sqrt(2))


def test_a_usual_mean_of_endless_trials_adds_nothing() -> None:
    mean = Estimate(value=0.8, se=0.1, method="", df=5)
    found = against_usual(mean, 6, None, usual(10**12)).gap
    assert found.se == pytest.approx(0.1)
    assert found.interval()[0] == pytest.approx(-0.2 - 2.5706 * 0.1, abs=FACTOR)  # t, 5 df


def test_the_gap_between_control_means_is_covered_and_a_shortfall_of_half_a_sd_is_found() -> None:
    """Six arms 0.5 below eleven elsewhere, tau² 0.05: 93–98 % hold 0.5, 75 % or more show it.

    Held against the spread of single arms instead, a mean of six showed it in 56 %.
    """
    rng = np.random.default_rng(20)
    held = shown = 0
    repeats, tau2 = 400, 0.05
    for _ in range(repeats):
        here, there = rng.uniform(0.008, 0.03, 6), rng.uniform(0.008, 0.03, 11)
        elsewhere = rng.normal(1.0, np.sqrt(tau2 + there))
        arms = [
            Estimate(value=float(y), se=float(v) ** 0.5, method="")
            for y, v in zip(rng.normal(0.5, np.sqrt(tau2 + here)), here, strict=True)
        ]
        p = pool_changes(arms, method="REML", test="adhoc")
        mean = Estimate(value=p.estimate, se=p.se, method="", df=p.df)
        published = float(np.average(elsewhere, weights=1 / (tau2 + there)))
        low, high = against_usual(mean, 6, None, usual(11, published)).gap.interval()
        held += low <= -0.5 <= high
        shown += high < 0
    assert 0.93 <= held / repeats <= 0.98
    assert shown / repeats >= 0.75


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_what_is_not_shown_is_told_with_what_is_not_excluded(lang: str) -> None:
    low = value("told.controls.later")["usual"]["control arms of SSRI trials"]["difference_ci"][0]
    shortfall = made("ketamine_depression", lang)[1].numbers.fixed(-low)
    assert shortfall in told("ketamine_depression", lang)
