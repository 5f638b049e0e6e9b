from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klarsyn.errors import (
    STATUSES,
    InputError,
    KlarsynError,
    NumericalError,
    UnknownNameError,
    nearest,
    unknown_name,
)


def test_the_nearest_name_comes_first_and_case_is_ignored() -> None:
    assert nearest("RESPONS", ["remission", "response", "relapse"])[0] == "response"
    assert nearest("qqqq", ["remission", "response"]) == []
    assert nearest("response", ["Response"]) == ["Response"]


@given(st.text(max_size=20), st.lists(st.text(max_size=10), max_size=10))
def test_the_nearest_names_are_known_names(name: str, known: list[str]) -> None:
    found = nearest(name, known)
    assert len(found) <= 3
    assert set(found) <= set(known)


def test_an_unknown_name_says_where_what_and_which_are_known() -> None:
    error = unknown_name("scale", "MADR", ["QIDS", "MADRS"], "t.csv: row 3")
    assert isinstance(error, UnknownNameError)
    assert isinstance(error, InputError)
    assert str(error) == (
        "t.csv: row 3: 'MADR' is not a known scale. Nearest: MADRS. Known: MADRS, QIDS."
    )


def test_an_empty_list_knows_no_name() -> None:
    assert "'a' is not a known route" in str(unknown_name("route", "a", []))


def test_a_numerical_error_has_one_of_the_statuses() -> None:
    assert NumericalError(STATUSES[0], "No answer.").status == STATUSES[0]
    assert isinstance(NumericalError("degenerate", "No answer."), KlarsynError)
    with pytest.raises(ValueError, match="'broken' is not a status"):
        NumericalError("broken", "No answer.")
