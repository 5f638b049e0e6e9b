"""Results that are not seen: the matrix of a base and the null trials that would flip a pool."""

from __future__ import annotations

import json
from functools import cache

import pytest

from klarsyn.app.cli import main
from klarsyn.bias.missingresults import studies_to_flip
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.settings import read_questions, read_settings
from klarsyn.report.unseen import UnseenResults, derive_unseen
from klarsyn.synthesis.extraction import as_effects, derive_effects
from klarsyn.synthesis.pairwise import pool

BASES = ("ketamine_depression", "mdma_ptsd")


@cache
def unseen(base: str) -> UnseenResults:
    opened = open_base(base)
    found = derive_unseen(opened, read_settings(opened))
    assert found is not None
    return found


@pytest.mark.parametrize("base", BASES)
def test_seen_are_the_trials_of_the_forest_plot(base: str) -> None:
    opened = open_base(base)
    for row in unseen(base).rows:
        effects = derive_effects(opened, read_questions(opened)[row.window]).effects
        mine = [e for e in effects if e.comparator == row.comparator]
        assert row.counts["available"] == len(mine)
        y, v = [e.y for e in mine], [e.v for e in mine]
        settings = read_settings(opened)
        assert row.to_flip == studies_to_flip(y, v, method=settings.method, test=settings.test)


@pytest.mark.parametrize("base", BASES)
def test_nothing_flips_what_the_page_leaves_undecided(base: str) -> None:
    opened = open_base(base)
    settings = read_settings(opened)
    for row in unseen(base).rows:
        effects = derive_effects(opened, read_questions(opened)[row.window]).effects
        mine = [e for e in effects if e.comparator == row.comparator]
        made = pool(as_effects(mine), method=settings.method, test=settings.test)
        undecided = made.ci_lower <= 0 <= made.ci_upper
        assert undecided == (row.to_flip == 0), (row.window, row.comparator)


@pytest.mark.parametrize("base", BASES)
def test_every_trial_of_a_class_stands_in_one_kind_at_each_time(base: str) -> None:
    trials = [t for t in open_base(base).trials if t.comparator not in ("", "none")]
    for row in unseen(base).rows:
        of_class = [t for t in trials if t.comparator == row.comparator]
        assert sum(row.counts.values()) == len(of_class)


def test_a_single_dose_has_no_end_of_treatment_and_a_silent_trial_is_unclear() -> None:
    cells = unseen("ketamine_depression").matrix.cells
    assert cells["murrough_2013", "day1"] == "available"
    assert cells["murrough_2013", "end"] == "missing_otherwise"
    assert cells["diazgranados_2010", "day1"] == "partial"
    assert cells["singh_2016_ketamine", "end"] == "unclear"


def test_a_program_never_says_that_a_result_was_held_back() -> None:
    assert all(r.counts["missing_because_of_result"] == 0 for r in unseen(BASES[0]).rows)


@pytest.mark.parametrize("base", BASES)
def test_the_page_shows_them_under_what_would_change_the_answer(base: str) -> None:
    report, _ = build_report(open_base(base))
    section = next(s for s in report.sections if s.id == "change")
    table = next(b for b in section.blocks if getattr(b, "id", "") == "unseen")
    assert len(table.rows) == len(unseen(base).rows)
    assert any(r.id == "change.unseen" for r in section.results)


def test_the_command_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["riskofbias", "--base", "mdma_ptsd", "--synthesis", "--json"]
    main(asked)
    told = json.loads(capsys.readouterr().out)
    assert told["syntheses"] == unseen("mdma_ptsd").to_dict()["syntheses"]
    with pytest.raises(SystemExit, match="2"):
        main(["riskofbias", "--synthesis"])
    assert "--base" in capsys.readouterr().err
