"""Against the reference: margins from history and the reference's own rate, on the page."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from klarsyn.evidence import open_base
from klarsyn.evidence.trial import Base, Finding
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Prose, Report, TableBlock

PROVEN = 0.2037  # test_history computes it by hand
ROUNDED = 5e-4


@cache
def page(lang: str = "en") -> Report:
    return build_report(open_base("ketamine_depression"), lang)[0]


def value(report: Report, name: str) -> dict:
    return dict(next(r for r in report.results() if r.id == name).value)


def text(report: Report) -> str:
    section = next(s for s in report.sections if s.id == "against")
    return " ".join(str(p) for b in section.blocks if isinstance(b, Prose) for p in b.paragraphs)


def test_the_declared_margin_stands_beside_those_from_history() -> None:
    declared = value(page(), "against.margin.anand_2023.declared")
    half = value(page(), "against.margin.anand_2023.preserved_50")
    most = value(page(), "against.margin.anand_2023.preserved_75")
    assert declared["proven"] == pytest.approx(PROVEN, abs=ROUNDED)
    assert (declared["margin"], half["margin"]) == (0.1, pytest.approx(PROVEN / 2, abs=ROUNDED))
    assert declared["verdicts"] == half["verdicts"] == ["superior", "non-inferior"]
    assert most["verdicts"] == ["superior", "inconclusive"]


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_table_has_a_row_for_each_margin(lang: str) -> None:
    section = next(s for s in page(lang).sections if s.id == "against")
    table = next(b for b in section.blocks if isinstance(b, TableBlock) and b.id == "margins")
    assert len(table.rows) == 3
    assert all(len(r) == len(table.header) for r in table.rows)


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_trials_whose_counts_are_missing_are_named(lang: str) -> None:
    for label in ("Ghasemi 2014", "Sharma 2020"):
        assert label in text(page(lang))


def counted(base: Base, trial_id: str, events: float, total: float) -> Base:
    """The base with remission counts invented for one trial, both arms alike."""
    trial = base.trial(trial_id)
    rows = [f for f in trial.findings if f.outcome != "remission"]
    for arm in ("ketamine", "ect"):
        for statistic, number in (("events", events), ("n", total)):
            rows.append(
                Finding(
                    id=f"{trial_id}:{arm}:{statistic}",
                    trial=trial_id,
                    arm=arm,
                    outcome="remission",
                    statistic=statistic,
                    value=number,
                    unit="participants",
                    source=trial.source,
                    locator="invented for this test",
                    kind="assumed",
                    confidence="secondary",
                )
            )
    trials = tuple(replace(t, findings=tuple(rows)) if t.id == trial_id else t for t in base.trials)
    return replace(base, trials=trials)


def test_with_three_other_trials_the_reference_is_held_against_their_spread() -> None:
    base = counted(open_base("ketamine_depression"), "ghasemi_2014", 6, 9)
    base = counted(base, "sharma_2020", 8, 13)
    report = build_report(base)[0]
    found = value(report, "against.reference_rate.anand_2023")
    assert found["trials"] == 3
    assert found["z"] < -1.96
    assert found["verdict"] in {"inconclusive", "inferior"}
    assert "predictive standard deviations" in text(report)
