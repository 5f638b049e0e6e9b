"""Every row of the table of oracles is reproduced by one module or listed as not yet covered."""

from __future__ import annotations

from meta_rows import all_rows, covered_by_modules, is_under, listed


def owners() -> dict[str, tuple[str, ...]]:
    return {**covered_by_modules(), "not_yet_covered.txt": tuple(listed())}


def test_every_row_is_covered_once_or_listed_once() -> None:
    count = {
        r.id: sum(any(is_under(r.id, p) for p in prefixes) for prefixes in owners().values())
        for r in all_rows()
    }
    assert {i: n for i, n in count.items() if n != 1} == {}


def test_every_claim_names_a_row() -> None:
    claims = [p for prefixes in owners().values() for p in prefixes]
    assert [p for p in claims if not any(is_under(r.id, p) for r in all_rows())] == []


def test_the_table_has_its_730_rows() -> None:
    assert len(all_rows()) == 730
