"""What the map asks of each trial follows the page's own times; what an interval leaves open."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.document import Report, TableBlock
from klarsyn.report.sections.certainty import known_cells
from klarsyn.report.settings import read_settings

NO_BREAK = "\N{NO-BREAK SPACE}"


@cache
def built(base: str) -> tuple[Report, Context]:
    return build_report(open_base(base))


def rows(base: str, section: str, table: str) -> dict[str, list[str]]:
    found = next(s for s in built(base)[0].sections if s.id == section)
    block = next(b for b in found.blocks if isinstance(b, TableBlock) and b.id == table)
    return {str(r[0]): [str(cell) for cell in r[1:]] for r in block.rows}


def test_a_trial_that_the_forest_plot_shows_is_not_said_to_be_unsought() -> None:
    _, context = built("mdma_ptsd")
    states = {(t.id, item): state for t, item, state in known_cells(context)}
    assert all(states[t.id, "score at 8 weeks"] == "reported" for t in context.base.trials)


def test_a_base_with_times_of_its_own_is_asked_for_scores_at_these() -> None:
    base = open_base("mdma_ptsd")
    windows: Any = base.settings["windows"]
    own = {k: v for k, v in base.settings.items() if k != "items"}
    items = read_settings(replace(base, settings=own)).items
    timed = [i for i in items if "clock" in i]
    assert [i["label"]["en"] for i in timed] == [f"score {w['label']['en']}" for w in windows]
    assert [(i["earliest"], i["latest"]) for i in timed] == [
        (w["earliest"], w["latest"]) for w in windows
    ]


def test_the_usual_times_keep_their_short_names() -> None:
    items = read_settings(open_base("ketamine_depression")).items
    assert [i["label"]["en"] for i in items if "clock" in i] == [
        "score at 24 hours",
        "score at 7 days",
        "score after ≥ 4 weeks",
    ]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        # Points without declared thresholds: nobody has said what large is.
        ("Symptoms about eight weeks after the first session, against an inert control", "told."),
        # Risk ratio 0.42 to 4.13: beyond one half and beyond two.
        (
            "Response three to six months after the first session, against an inert control",
            "told; a large one either way is possible.",
        ),
        # Risk ratio 0.88 to 2.51: beyond two only.
        (
            "Response about eight weeks after the first session, against an inert control",
            "told; far more patients reaching it with the drug is possible.",
        ),
    ],
)
def test_plain_words_name_only_the_large_differences_inside_the_interval(
    outcome: str, words: str
) -> None:
    assert rows("mdma_ptsd", "findings", "findings")[outcome][-1].endswith(words)


def test_masking_of_an_event_is_said_to_be_weighed_by_the_scores() -> None:
    told = rows("ketamine_depression", "findings", "reasons")
    for outcome, (bias, *_) in told.items():
        by_scores = "weighed by the symptom scores" in bias
        assert by_scores == (outcome.startswith("Response") and "belief effect of" in bias)


def test_a_card_keeps_the_spaces_that_must_not_break() -> None:
    report, _ = built("ketamine_depression")
    answers = " ".join(str(card["answer"]) for card in report.summary)
    assert f"95{NO_BREAK}%" in answers
    assert "<" not in answers
    assert "&" not in answers


def test_options_with_commas_are_set_apart_by_semicolons() -> None:
    told = rows("mdma_ptsd", "change", "influence")
    interval = next(cells[0] for name, cells in told.items() if "Interval" in name)
    assert interval == "normal; Knapp–Hartung; Knapp–Hartung, never narrower"
