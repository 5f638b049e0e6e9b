"""Texts of cells become typed values, or one sentence names the row that does not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.tables.column import EMPTY, NUMBERS, Column

TRUE = frozenset({"true", "yes", "1"})
TEXTS = frozenset({"text", "either"})
FALSE = frozenset({"false", "no", "0"})
LARGEST_WHOLE = 2**53


def typed(path: str, column: Column, rows: Sequence[int], cells: Sequence[str]) -> list[Any]:
    """The cells as the column's type; an empty cell is None where the column may be empty."""
    quick = _quick(column, cells)
    if quick is not None:
        return quick
    return [_cell(path, column, row, cell) for row, cell in zip(rows, cells, strict=True)]


def number(cell: Any, path: str, row: int, name: str) -> float:
    """A cell's finite number."""
    at = f"{path}: row {row}, column {name!r}: {cell!r}"
    text = str(cell).replace("\u2212", "-")
    try:
        if "_" in text:
            raise ValueError
        value = float(text)
    except ValueError:
        hint = " Use a decimal point." if text.count(",") == 1 else ""
        raise InputError(f"{at} is not a number.{hint}") from None
    if not math.isfinite(value):
        raise InputError(f"{at} is not a finite number.")
    return value


def _quick(column: Column, cells: Sequence[str]) -> list[Any] | None:
    """The whole column when nothing in it is wrong, else None."""
    missing = not EMPTY.isdisjoint(cells)
    if missing and not (column.may_be_empty or not column.required):
        return None
    if column.kind in TEXTS:
        if column.allowed is not None and not set(cells) <= {*column.allowed, *EMPTY}:
            return None
        return [None if c in EMPTY else c for c in cells] if missing else list(cells)
    if column.kind in NUMBERS:
        return _quick_numbers(column, cells, missing)
    return None


def _quick_numbers(column: Column, cells: Sequence[str], missing: bool) -> list[Any] | None:
    present = [c for c in cells if c not in EMPTY] if missing else cells
    try:
        values = [float(c) for c in present]
    except ValueError:
        return None
    if not values:
        return [None] * len(cells)
    low, high = min(values), max(values)
    plain = "_" not in "".join(cells) and all(map(math.isfinite, values))
    if not plain or _out_of_range(column, low) or _out_of_range(column, high):
        return None
    typed_values: list[Any] = values
    if column.kind != "number":
        if max(high, -low) > LARGEST_WHOLE or not all(map(float.is_integer, values)):
            return None
        typed_values = [int(v) for v in values]
    if not missing:
        return typed_values
    rest = iter(typed_values)
    return [None if c in EMPTY else next(rest) for c in cells]


def _cell(path: str, column: Column, row: int, cell: str) -> Any:
    if cell in EMPTY:
        if column.may_be_empty or not column.required:
            return None
        raise InputError(f"{path}: row {row}, column {column.name!r} is empty. Give a value.")
    if column.kind in TEXTS:
        if column.allowed is not None and cell not in column.allowed:
            raise unknown_name(column.name, cell, column.allowed, f"{path}: row {row}")
        return cell
    if column.kind == "truth":
        if cell.casefold() in TRUE | FALSE:
            return cell.casefold() in TRUE
        raise InputError(
            f"{path}: row {row}, column {column.name!r}: {cell!r} is not true or false."
        )
    value = number(cell, path, row, column.name)
    _check_range(path, column, row, value)
    return int(value) if column.kind in {"count", "whole"} else value


def _smallest(column: Column) -> float | None:
    return 0.0 if column.kind == "count" and column.minimum is None else column.minimum


def _out_of_range(column: Column, value: float) -> bool:
    smallest = _smallest(column)
    return (
        (smallest is not None and value < smallest)
        or (column.maximum is not None and value > column.maximum)
        or (column.above is not None and value <= column.above)
    )


def _check_range(path: str, column: Column, row: int, value: float) -> None:
    at = f"{path}: row {row}, column {column.name!r}: {value:g}"
    smallest = _smallest(column)
    if column.kind in {"count", "whole"} and not value.is_integer():
        raise InputError(f"{at} is not a whole number.")
    if column.kind in {"count", "whole"} and abs(value) > LARGEST_WHOLE:
        raise InputError(f"{at} is too large to be counted exactly.")
    if smallest is not None and value < smallest:
        raise InputError(f"{at} is below {smallest:g}, the smallest value allowed.")
    if column.maximum is not None and value > column.maximum:
        raise InputError(f"{at} is above {column.maximum:g}, the largest value allowed.")
    if column.above is not None and value <= column.above:
        raise InputError(f"{at} must be above {column.above:g}.")
