from __future__ import annotations

import dataclasses

import pytest

from klarsyn.errors import InputError
from klarsyn.evidence import Base
from klarsyn.evidence.completeness import Question, completeness


def test_reported_absent_and_not_looked_for_are_three_states(small_base: Base) -> None:
    found = completeness(small_base, [Question(name="score", outcomes=("depression_score",))])
    assert {t: s["score"] for t, s in found.states.items()} == {
        "alpha": "reported",
        "beta": "absent",
        "gamma": "not_looked_for",
        "delta": "not_looked_for",
    }
    assert found.counts("score") == {"reported": 1, "absent": 1, "not_looked_for": 2}


def test_without_questions_each_outcome_is_one(small_base: Base) -> None:
    assert completeness(small_base).questions == ("depression_score", "response")


def test_the_settings_ask_by_field_statistic_time_and_guess(small_base: Base) -> None:
    asked = [
        {"name": "follow-up", "field": "followup_days"},
        {"name": "spread", "outcomes": ["depression_score"], "statistics": ["sd"]},
        {"name": "late", "outcomes": ["depression_score"], "after_last_dose": 28},
        {"name": "blinding", "guesses": True},
    ]
    base = dataclasses.replace(small_base, settings={"questions": asked})
    states = completeness(base).states
    assert states["alpha"] == {
        "follow-up": "reported",
        "spread": "reported",
        "late": "not_looked_for",
        "blinding": "reported",
    }
    assert states["beta"]["follow-up"] == "absent"
    assert completeness(base).to_dict()["counts"]["blinding"]["reported"] == 1


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"outcomes": ["response"]}, "needs a name"),
        ({"name": "a", "outcomes": ["respons"]}, "'respons' is not a known outcome. Nearest"),
        ({"name": "a", "outcome": ["response"]}, "'outcome' is not a known field of a question"),
        ({"name": "a", "field": "followup"}, "'followup' is not a known field of a trial"),
        ({"name": "a", "statistics": ["average"]}, "'average' is not a known statistic"),
    ],
)
def test_a_question_that_cannot_be_asked_says_why(
    small_base: Base, entry: dict[str, object], sentence: str
) -> None:
    base = dataclasses.replace(small_base, settings={"questions": [entry]})
    with pytest.raises(InputError, match=sentence):
        completeness(base)
