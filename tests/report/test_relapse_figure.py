"""Relapse as reported: what each number is of, and the interval that it carries."""

from __future__ import annotations

import json
import re

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Figure


def _figure(lang: str) -> Figure:
    report = build_report(open_base("ketamine_depression"), lang)[0]
    return next(f for f in report.figures() if f.id == "relapse")


@pytest.fixture(scope="module", params=["en", "nb"])
def said(request: pytest.FixtureRequest) -> tuple[str, str]:
    figure = _figure(request.param)
    text = json.dumps(figure.wide, ensure_ascii=False) + str(figure.caption)
    # A long label is a list of its lines, and numbers hold no-break spaces.
    return request.param, text.replace('", "', " ").replace("\xa0", " ")


def test_lasting_remission_of_all_randomised_is_not_called_without_relapse(
    said: tuple[str, str],
) -> None:
    """Reif 2023: 73 of 336 and 48 of 340 randomised had remitted and not relapsed.

    Among those who remitted far more stayed well; "22 % without relapse" would say that 78 % had
    relapsed.
    """
    lang, text = said
    wanted = {
        "en": ("22 % in lasting remission", "of all 336 randomised", "14 % in lasting remission"),
        "nb": ("22 % i varig remisjon", "av alle 336 randomiserte", "14 % i varig remisjon"),
    }[lang]
    assert all(w in text for w in wanted)
    assert {"en": "22 % without relapse", "nb": "22 % uten tilbakefall"}[lang] not in text


def test_a_share_of_those_who_had_responded_is_still_without_relapse(
    said: tuple[str, str],
) -> None:
    """Murrough 2013: 4 of the 17 who had responded."""
    lang, text = said
    wanted = {"en": "24 % without relapse", "nb": "24 % uten tilbakefall"}[lang]
    assert wanted in text


def test_a_median_prints_its_interval_and_level(said: tuple[str, str]) -> None:
    """Takahashi 2021 prints 34 days with a 90 % interval of 26 to 71, of all given esketamine."""
    lang, text = said
    wanted = {
        "en": ("median 34 days (90 %: 26 to 71)", "all arms given the drug"),
        "nb": ("median 34 dager (90 %: 26 til 71)", "alle armer som fikk legemidlet"),
    }[lang]
    assert all(w in text for w in wanted)


def test_three_times_in_one_patient_is_said(said: tuple[str, str]) -> None:
    lang, text = said
    wanted = {"en": "3 times in one patient", "nb": "3 ganger hos én pasient"}[lang]
    assert wanted in text


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_one_late_trial_says_what_it_found_and_not_that_there_is_nothing(lang: str) -> None:
    """Hu 2016, 28 days: 12 of 13 against 8 of 14 responded. By hand, on the log odds:

    ln OR = ln(12 * 6 / (1 * 8)) = 2.197 with SE sqrt(1/12 + 1 + 1/8 + 1/6) = 1.173; times
    sqrt(3)/pi these are 1.211 and 0.646, so the interval runs from -2.48 to 0.06. It is wide, and
    the trial itself reports p = 0.04: "none could tell" would hide that.
    """
    report = build_report(open_base("ketamine_depression"), lang)[0]
    section = next(s for s in report.sections if s.id == "duration")
    said = re.sub("<[^>]+>", "", str(section.blocks[0].paragraphs[0])).replace("\xa0", " ")
    wanted = {
        "en": "of 27 patients, leaves it open: −1.21 (−2.48 to 0.06) SD",
        "nb": "med 27 pasienter, lar det stå åpent: −1,21 (−2,48 til 0,06) SD",
    }[lang]
    assert wanted in said
