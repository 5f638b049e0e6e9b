from __future__ import annotations

import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.evidence.schema import TABLES
from klarsyn.evidence.vocabulary import BASE_LISTS, LISTS, check_name
from klarsyn.provenance import KINDS


def test_every_name_has_a_definition() -> None:
    for terms in LISTS.values():
        assert all(len(definition) >= 10 for definition in terms.values())


def test_the_kinds_are_those_of_provenance() -> None:
    assert tuple(LISTS["kind"]) == KINDS


def test_every_list_that_a_column_names_exists() -> None:
    used = {f.list for t in TABLES.values() for f in t.fields if f.list}
    assert used <= {*LISTS, *BASE_LISTS}
    assert {f.table for t in TABLES.values() for f in t.fields if f.table} <= set(TABLES)


def test_a_name_is_given_back_or_refused_with_the_nearest() -> None:
    assert check_name("statistic", "ci95_lower") == "ci95_lower"
    with pytest.raises(UnknownNameError, match=r"here: 'ci95_low' .*Nearest: .*ci95_lower"):
        check_name("statistic", "ci95_low", "here")
    with pytest.raises(UnknownNameError, match="analysis set"):
        check_name("analysis_set", "ITT")
    with pytest.raises(UnknownNameError, match="'a' is not a known arm"):
        check_name("arm", "a", known=[])
