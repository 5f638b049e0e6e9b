"""The tables that curators fill and the records that the engine reads are one description."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from klarsyn.evidence.schema import TABLES
from klarsyn.evidence.trial import (
    Arm,
    Correlation,
    Finding,
    Guess,
    GuessOutcome,
    Inclusion,
    PublishedRisk,
    RiskAnswer,
    Scale,
    Term,
    Trial,
)
from klarsyn.provenance import Source

RECORDS: dict[str, type] = {
    "trials": Trial,
    "arms": Arm,
    "findings": Finding,
    "sources": Source,
    "scales": Scale,
    "vocabulary": Term,
    "guesses": Guess,
    "guess_outcomes": GuessOutcome,
    "inclusion": Inclusion,
    "correlations": Correlation,
    "riskofbias": RiskAnswer,
    "riskofbias_published": PublishedRisk,
}
TYPES = {"text": str, "number": float, "count": int, "whole": int, "truth": bool}
# Of no column: where the row stands, what was joined to it, and the optional column `origin`.
JOINED = {"row", "arms", "findings", "origin"}
LISTED = {"cited_by"}  # one cell with semicolons, a tuple in the record


def test_every_table_but_the_published_results_has_a_record() -> None:
    assert {*RECORDS, "published"} == set(TABLES)


@pytest.mark.parametrize("table", RECORDS)
def test_every_column_has_a_field_and_every_field_a_column(table: str) -> None:
    columns = {f.attribute or f.name for f in TABLES[table].fields}
    assert len(columns) == len(TABLES[table].fields)
    assert columns == {f.name for f in dataclasses.fields(RECORDS[table])} - (JOINED - columns)


@pytest.mark.parametrize("table", RECORDS)
def test_a_field_has_its_columns_type_and_is_none_only_where_a_cell_may_be_empty(
    table: str,
) -> None:
    hints = typing.get_type_hints(RECORDS[table])
    for field in TABLES[table].fields:
        name = field.attribute or field.name
        if name in LISTED:
            continue
        wanted = TYPES[field.kind]
        empty = field.empty and field.kind != "text"  # an empty text is ""
        assert hints[name] == (wanted | None if empty else wanted), name
