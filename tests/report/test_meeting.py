"""The model's difference from placebo stands beside what the page's own trials found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.evidence import Base, open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Result

ROUNDING = 1e-12  # relative; one multiplication


@cache
def results() -> dict[str, Result]:
    report, _ = build_report(open_base("ketamine_depression"))
    return {r.id: r for s in report.sections for r in s.results}


def test_the_trials_are_those_of_the_summary_of_findings() -> None:
    met = results()["response.meet.racemate.day1.inert"].value
    told = results()["findings.day1.inert.symptoms"].value
    assert met["trials"] == pytest.approx(-told["absolute"], rel=ROUNDING)
    assert met["trials_ci"] == pytest.approx([-told["ci"][1], -told["ci"][0]], rel=ROUNDING)


def test_the_model_says_more_than_the_trials_found_and_the_page_says_so() -> None:
    """Kishimoto 2016 (1.00 SD) fixed its size; the trials of this base pool to 0.68 SD."""
    met = results()["response.meet.racemate.day1.inert"].value
    assert met["model"]["p50"] > met["trials"]
    assert met["trials_ci"][0] < met["model"]["p50"] < met["trials_ci"][1]


def test_an_unknown_window_is_named() -> None:
    base: Base = open_base("ketamine_depression")
    action = {**base.settings["action"]}
    action["follow"] = {
        **action["follow"],
        "meet": [{"given": "racemate", "day": 1, "window": "day2", "comparator": "inert"}],
    }
    with pytest.raises(UnknownNameError, match="'day2' is not a known window"):
        build_report(replace(base, settings={**base.settings, "action": action}))
