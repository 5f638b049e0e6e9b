"""Broken masking is counted once, or the page says that it could not be weighed."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.evidence import Base, open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Section
from klarsyn.report.gradings import (
    Graded,
    derive_ground,
    event_bodies,
    grade_body,
    symptom_bodies,
)
from klarsyn.report.sections.findings_summary import build_findings_summary, unweighed

# No trial in the base gives the outcome by guess; the size is made up for the test.
ELSEWHERE = {
    "smd": [0.5, 0.1, 0.9],
    "source": "fda_news_2024",
    "label": {"en": "another trial", "nb": "en annen studie"},
}


@cache
def shipped() -> Base:
    return open_base("mdma_ptsd")


def declaring(entry: dict[str, Any]) -> Base:
    unblinding = {**shipped().settings.get("unblinding", {}), "elsewhere": entry}
    return replace(shipped(), settings={**shipped().settings, "unblinding": unblinding})


def graded(base: Base) -> dict[str, Graded]:
    _, context = build_report(base)
    ground = derive_ground(context)
    return {b.id: grade_body(context, b, ground) for b in symptom_bodies(context, ground)}


def told(base: Base) -> tuple[Section, str]:
    _, context = build_report(base)
    built = build_findings_summary(context)
    assert built is not None
    return built[0], " ".join(str(p) for p in built[0].blocks[-1].paragraphs) + str(built[1])


def test_a_result_that_belief_could_overturn_says_that_masking_was_not_weighed() -> None:
    found = graded(shipped())
    left = {name for name, g in found.items() if unweighed(g)}
    assert left == {"primary.inert.symptoms"}
    facts = found["primary.inert.symptoms"].facts["risk of bias"]
    assert math.isfinite(facts["tip"])
    reason = found["primary.inert.symptoms"].certainty.suggestions[0].reason
    assert "masking could not be weighed" in reason


def test_the_certainty_beside_it_is_told_with_the_one_that_would_hold() -> None:
    section, text = told(shipped())
    table = next(b for b in section.blocks if getattr(b, "id", "") == "findings")
    cells = [str(row[4]) for row in table.rows]
    assert cells.count("Low (suggested; very low if broken masking counts)") == 1
    results = {r.id: r.value for r in section.results}
    assert results["findings.primary.inert.symptoms"]["if_masking_counts"] == "Very low"
    assert "if_masking_counts" not in results["findings.session1.inert.symptoms"]
    assert "placebo with therapy: 75" in text
    assert "how each patient guessed" in text
    assert "a level lower if broken masking counts" in text


def test_masking_is_not_counted_where_the_interval_holds_no_effect_already() -> None:
    opened = shipped()
    _, context = build_report(opened)
    ground = derive_ground(context)
    bodies = [*symptom_bodies(context, ground), *event_bodies(context, ground)]
    held = [b for b in bodies if b.null_inside and b.tip is not None]
    assert any(b.unit == "per 1000" for b in held)
    assert all(math.isinf(b.tip or 0.0) for b in held)


def test_a_belief_effect_declared_from_elsewhere_is_counted_once() -> None:
    before = graded(shipped())["primary.inert.symptoms"]
    after = graded(declaring(ELSEWHERE))["primary.inert.symptoms"]
    changes = [[s.change for s in g.certainty.suggestions] for g in (before, after)]
    assert [b - a for b, a in zip(*changes, strict=True)] == [1, 0, 0, 0, 0]
    assert after.facts["risk of bias"]["falls"]
    assert not unweighed(after)
    _, text = told(declaring(ELSEWHERE))
    assert "could not be weighed" not in text


def test_a_small_belief_effect_from_elsewhere_does_not_lower_certainty() -> None:
    after = graded(declaring({**ELSEWHERE, "smd": [0.001, 0.0, 0.002]}))["primary.inert.symptoms"]
    assert after.facts["risk of bias"]["falls"] is False
    assert after.certainty.suggestions[0].change == 0


def test_its_source_must_be_one_of_the_base() -> None:
    with pytest.raises(UnknownNameError, match=r"unblinding\.elsewhere"):
        build_report(declaring({**ELSEWHERE, "source": "nobody"}))


def test_where_the_base_saw_belief_nothing_is_left_unweighed() -> None:
    _, context = build_report(open_base("ketamine_depression"))
    ground = derive_ground(context)
    assert ground.plausible == ground.evidence
    bodies = symptom_bodies(context, ground)
    assert not any(unweighed(grade_body(context, b, ground)) for b in bodies)
