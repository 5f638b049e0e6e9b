"""Decimal commas, where a file's delimiter leaves no doubt that they are decimal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from klarsyn.errors import InputError

WITH_COMMA = re.compile(r"[+\-\u2212]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
WITH_POINT = re.compile(r"[+\-\u2212]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+\-\u2212]?[0-9]+(?:[eE][+-]?[0-9]+)?")

Seen = dict[str, tuple[int, str]]


def has_decimal_comma(text: object) -> bool:
    """Whether the text is a number written with a decimal comma."""
    return isinstance(text, str) and WITH_COMMA.fullmatch(text.strip()) is not None


def numbers_with_points(
    path: str, name: str, rows: Sequence[int], cells: Sequence[str], seen: Seen
) -> Sequence[str]:
    """Cells of a column of numbers, their decimal commas as points.

    `seen` keeps, from one part of the column to the next, where its first comma and its first point
    stand: both in one column are an InputError, because one of them could separate thousands.
    """
    if "comma" not in seen and not any("," in c for c in cells):
        _note(seen, "point", rows, cells, WITH_POINT)
        return cells
    _note(seen, "comma", rows, cells, WITH_COMMA)
    _note(seen, "point", rows, cells, WITH_POINT)
    if {"comma", "point"} <= set(seen):
        (row, cell), (other, pointed) = seen["comma"], seen["point"]
        raise InputError(
            f"{path}: row {row}, column {name!r}: {cell!r} has a decimal comma, but {pointed!r} in "
            f"row {other} has a decimal point. Write all numbers of a column in one way."
        )
    return [c.replace(",", ".") if has_decimal_comma(c) else c for c in cells]


def texts_with_points(cells: Sequence[str | None]) -> Sequence[str | None]:
    """A column whose kind nobody named: its decimal commas as points if it holds nothing else.

    A column with words, or with decimal points beside the commas, stays as it is.
    """
    distinct = {c for c in cells if c is not None}
    commas = {c: c.replace(",", ".") for c in distinct if WITH_COMMA.fullmatch(c)}
    if not commas or not all(WHOLE.fullmatch(c) for c in distinct - set(commas)):
        return cells
    return [None if c is None else commas.get(c, c) for c in cells]


def _note(
    seen: Seen, key: str, rows: Sequence[int], cells: Sequence[str], form: re.Pattern[str]
) -> None:
    if key not in seen:
        found = next(((r, c) for r, c in zip(rows, cells, strict=True) if form.fullmatch(c)), None)
        if found is not None:
            seen[key] = found
