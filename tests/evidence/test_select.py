from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence import Base, open_base, select_trials
from klarsyn.evidence.select import SUBJECTS, read_criterion

from .small import small, write_base


def reasons(base: Base, *criteria: str) -> dict[str, tuple[str, str]]:
    chosen = select_trials(base, criteria)
    return {e.trial.id: (e.verdict, e.criterion.text) for e in chosen.excluded}


def test_each_excluded_trial_has_the_first_criterion_it_fails(small_base: Base) -> None:
    criteria = ("route=iv", "controlled", "doses_per_week=2..3", "participants>=50")
    assert select_trials(small_base, criteria).ids() == ("alpha",)
    assert reasons(small_base, *criteria) == {
        "beta": ("fails", "participants>=50"),
        "gamma": ("fails", "doses_per_week=2..3"),
        "delta": ("fails", "controlled"),
    }


def test_a_single_dose_is_known_to_have_no_schedule(small_base: Base) -> None:
    assert reasons(small_base, "treatment_days>0")["gamma"] == ("fails", "treatment_days>0")
    assert reasons(small_base, "treatment_days>0")["delta"] == ("unknown", "treatment_days>0")


def test_what_nobody_reported_is_unknown_and_not_a_failure(small_base: Base) -> None:
    found = reasons(small_base, "followup_days>=28")
    assert found == dict.fromkeys(("beta", "gamma", "delta"), ("unknown", "followup_days>=28"))
    assert reasons(small_base, "route=iv") == {"gamma": ("unknown", "route=iv")}


def test_a_known_failure_outweighs_an_earlier_unknown(small_base: Base) -> None:
    assert reasons(small_base, "route=iv", "participants<50")["gamma"] == (
        "fails",
        "participants<50",
    )


def test_an_added_criterion_never_adds_a_trial(small_base: Base) -> None:
    pool = ["controlled", "route=iv", "participants>=50", "doses>1", "outcome=response"]
    for k in range(1, len(pool)):
        fewer = set(select_trials(small_base, pool[:k]).ids())
        assert set(select_trials(small_base, pool[: k + 1]).ids()) <= fewer


def test_the_order_of_criteria_changes_the_reason_but_not_the_selection(small_base: Base) -> None:
    one = select_trials(small_base, ["controlled", "participants>=50"])
    two = select_trials(small_base, ["participants>=50", "controlled"])
    assert one.ids() == two.ids()


def test_selected_and_excluded_are_all_trials(small_base: Base) -> None:
    chosen = select_trials(small_base, "comparator=inert|ect")
    assert len(chosen.selected) + len(chosen.excluded) == len(small_base.trials)
    assert chosen.ids() == ("alpha", "beta", "gamma")


def test_the_base_names_a_selection(small_base: Base) -> None:
    assert select_trials(small_base, "review").ids() == ("alpha",)
    assert "1 of 4 trials" in select_trials(small_base, "review").summary()


def test_one_test_arm_that_meets_an_arm_criterion_is_enough(tmp_path: Path) -> None:
    tables = small()
    tables["arms"].append({**tables["arms"][0], "arm_id": "n", "route": "nasal"})
    base = open_base(write_base(tmp_path / "b", tables))
    assert "alpha" in select_trials(base, "route=nasal").ids()
    assert "alpha" not in select_trials(base, "route!=nasal").ids()


def test_words_and_comparisons(small_base: Base) -> None:
    def ids(text: str) -> tuple[str, ...]:
        return select_trials(small_base, text).ids()

    assert ids("single_dose") == ("gamma",)
    assert ids("repeated") == ("alpha", "beta")
    assert ids("uncontrolled") == ("delta",)
    assert ids("design!=single_arm") == ("alpha", "beta", "gamma")
    assert ids("participants>60") == ("gamma", "delta")
    assert ids("participants<=60") == ("alpha", "beta")
    assert ids("participants = 60") == ("alpha",)
    assert ids("participants!=60") == ("beta", "gamma", "delta")
    assert ids("randomised=true") == ids("randomised") == ("alpha", "beta", "gamma")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rout=iv", "'rout' is not a known criterion. Nearest: route"),
        ("route>iv", "route is a name, not a number"),
        ("participants>=many", "'many' is not a number"),
        ("participants>=nan", "'nan' is not a number"),
        ("doses_per_week=3..2", "ends below its beginning"),
        ("doses_per_week>2..3", "a range takes `=`"),
        ("participants >=", "cannot be read"),
        ("", "cannot be read"),
        ("route=ivv", "'ivv' is not a known route. Nearest: iv"),
        ("comparator=inertt", "'inertt' is not a known comparator. Nearest: inert"),
        ("scale=MADR", "'MADR' is not a known scale"),
        ("reveiw", "'reveiw' is not a known criterion or selection. Nearest: review"),
    ],
)
def test_a_criterion_that_cannot_be_used_says_why(
    small_base: Base, text: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        select_trials(small_base, [text])


def test_no_criteria_is_an_error(small_base: Base) -> None:
    with pytest.raises(InputError, match="at least one criterion"):
        select_trials(small_base, [])


def test_a_selection_in_the_settings_must_be_a_list_of_texts(small_base: Base) -> None:
    bad = dataclasses.replace(small_base, settings={"selections": {"mine": {"criteria": "iv"}}})
    with pytest.raises(InputError, match=r"\[selections.mine\] in its settings needs `criteria`"):
        select_trials(bad, "mine")


def test_every_subject_can_be_asked(small_base: Base) -> None:
    for subject in SUBJECTS:
        try:
            chosen = select_trials(small_base, [f"{subject}=1"])
        except UnknownNameError:
            continue  # a closed list without the name 1
        assert len(chosen.selected) + len(chosen.excluded) == 4


def test_a_criterion_keeps_its_text() -> None:
    assert read_criterion(" doses_per_week=2..3 ").text == "doses_per_week=2..3"
