"""What a column of a table must hold."""

from __future__ import annotations

from dataclasses import dataclass

EMPTY = frozenset({"", "NA", "na", "N/A", "nan", "NaN", "null", "."})
NUMBERS = frozenset({"number", "count", "whole"})  # the kinds of columns that hold numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column must hold.

    `kind` is `text`, `number`, `count` (a whole number ≥ 0), `whole` (any whole number), `either`
    (a number or a word, as text) or `truth` (true/false). `minimum` and `maximum` are inclusive;
    `above` is exclusive. `allowed` closes the list of texts.
    """

    name: str
    kind: str = "text"
    required: bool = True
    may_be_empty: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    allowed: tuple[str, ...] | None = None
