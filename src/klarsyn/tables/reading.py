"""A CSV file or an Excel sheet becomes typed columns, or one sentence says why not."""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError, nearest, unknown_name

MOST_ROWS = 2_000_000
MOST_BYTES = 1 << 30
EMPTY = frozenset({"", "NA", "na", "N/A", "nan", "NaN", "null", "."})
TRUE = frozenset({"true", "yes", "1"})
FALSE = frozenset({"false", "no", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column must hold.

    `kind` is `text`, `number`, `count` (a whole number ≥ 0), `whole` (any whole number) or `truth`
    (true/false). `minimum` and `maximum` are inclusive; `above` is exclusive. `allowed` closes the
    list of texts.
    """

    name: str
    kind: str = "text"
    required: bool = True
    may_be_empty: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Typed columns of equal length; an empty cell is None. `path` is what the user called it."""

    path: str
    columns: Mapping[str, tuple[Any, ...]]
    rows: int

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        if name not in self.columns:
            raise missing_column(self.path, name, self.columns)
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def numbers(self, name: str) -> Any:
        """The column as floats, an empty cell as NaN; text raises InputError with its row."""
        import numpy as np

        values = self[name]
        return np.array(
            [
                math.nan if v is None else _number(v, self.path, row, name)
                for row, v in enumerate(values, start=2)
            ],
            dtype=float,
        )

    def records(self) -> list[dict[str, Any]]:
        """One dictionary a row, in order."""
        names = list(self.columns)
        return [
            dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)
        ]


def read_table(
    path: str | Path,
    columns: Sequence[Column] = (),
    *,
    others: bool = True,
    sheet: str | None = None,
) -> Table:
    """Read a CSV (comma, semicolon or tab; UTF-8) or an Excel workbook's sheet.

    `columns` are checked and converted; with `others` the remaining columns come along as text.
    Rows are counted as a spreadsheet shows them: the header is row 1.

    Raises InputError with file, row, column, what was found and what is allowed.
    """
    file = Path(path)
    header, rows = _read_excel(file, sheet) if _is_excel(file) else _read_csv(file)
    _check_header(str(path), header, columns)
    wanted = {c.name: c for c in columns}
    taken: dict[str, tuple[Any, ...]] = {}
    for index, name in enumerate(header):
        cells = [row[index] for row in rows]
        if name in wanted:
            taken[name] = _typed(str(path), wanted[name], cells)
        elif others:
            taken[name] = tuple(None if c in EMPTY else c for c in cells)
    return Table(path=str(path), columns=taken, rows=len(rows))


def missing_column(path: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> InputError:
    """The error for a column that the table does not have, with the nearest names."""
    close = nearest(name, known)
    hint = f" Nearest: {', '.join(close)}." if close else ""
    return InputError(
        f"{path}: there is no column {name!r}.{hint} The file has: {', '.join(known)}. "
        f"Rename the column or say which one it is."
    )


def _is_excel(file: Path) -> bool:
    return file.suffix.lower() in {".xlsx", ".xlsm", ".xls"}


def _readable(file: Path) -> None:
    if not file.exists():
        raise InputError(f"{file}: there is no such file. Check the path and its spelling.")
    if file.is_dir():
        raise InputError(f"{file} is a folder, not a table. Name a CSV or Excel file in it.")
    if file.stat().st_size > MOST_BYTES:
        raise InputError(f"{file}: larger than {MOST_BYTES >> 20} MiB. Split the table.")


def _read_csv(file: Path) -> tuple[list[str], list[list[str]]]:
    _readable(file)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = file.read_bytes()[: bad.start].count(b"\n") + 1
        raise InputError(
            f"{file}: row {line} is not UTF-8 text (byte {bad.start}). "
            f"Save the file as CSV UTF-8 and try again."
        ) from None
    except OSError as bad:
        raise InputError(f"{file}: cannot be read ({bad.strerror}).") from None
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise InputError(f"{file}: row {line} holds a NUL byte; this is not a text table.")
    return _split(file, text)


def _split(file: Path, text: str) -> tuple[list[str], list[list[str]]]:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    if not first.strip():
        raise InputError(f"{file}: the file is empty. It needs a header row and at least one row.")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if any(c.strip() for c in row)]
    except csv.Error as bad:
        raise InputError(
            f"{file}: row {reader.line_num} is broken ({bad}); the file looks truncated or has an "
            f"unclosed quotation mark."
        ) from None
    header = [name.strip() for name in lines[0][1]]
    body = lines[1:]
    if len(body) > MOST_ROWS:
        raise InputError(
            f"{file}: {len(body)} rows; at most {MOST_ROWS} are read. Split the table."
        )
    for number, row in body:
        if len(row) != len(header):
            raise InputError(
                f"{file}: row {number} has {len(row)} cells where the header has {len(header)}. "
                f"Look for a missing or surplus delimiter, or a truncated last row."
            )
    return header, [[c.strip() for c in row] for _, row in body]


def _read_excel(file: Path, sheet: str | None) -> tuple[list[str], list[list[str]]]:
    _readable(file)
    import fastexcel

    try:
        book = fastexcel.read_excel(file)
    except (fastexcel.FastExcelError, zipfile.BadZipFile, OSError):
        raise InputError(
            f"{file}: not a readable Excel workbook. Open it in a spreadsheet and save it again."
        ) from None
    name = sheet if sheet is not None else book.sheet_names[0]
    if name not in book.sheet_names:
        raise unknown_name("sheet", name, book.sheet_names, str(file))
    frame = book.load_sheet(name, header_row=None, dtypes="string").to_polars()
    cells = [["" if c is None else str(c).strip() for c in row] for row in frame.iter_rows()]
    cells = [row for row in cells if any(row)]
    if not cells:
        raise InputError(f"{file}: sheet {name!r} is empty. It needs a header row and rows.")
    return cells[0], cells[1:]


def _check_header(path: str, header: Sequence[str], columns: Sequence[Column]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(header, start=1):
        if not name:
            raise InputError(f"{path}: row 1, column {position} has no name. Name every column.")
        if name in seen:
            raise InputError(f"{path}: row 1 names the column {name!r} twice. Rename one.")
        seen.add(name)
    for column in columns:
        if column.required and column.name not in seen:
            raise missing_column(path, column.name, header)


def _typed(path: str, column: Column, cells: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_cell(path, column, row, cell) for row, cell in enumerate(cells, start=2))


def _cell(path: str, column: Column, row: int, cell: str) -> Any:
    if cell in EMPTY:
        if column.may_be_empty or not column.required:
            return None
        raise InputError(f"{path}: row {row}, column {column.name!r} is empty. Give a value.")
    if column.kind == "text":
        if column.allowed is not None and cell not in column.allowed:
            raise unknown_name(column.name, cell, column.allowed, f"{path}: row {row}")
        return cell
    if column.kind == "truth":
        if cell.casefold() in TRUE | FALSE:
            return cell.casefold() in TRUE
        raise InputError(
            f"{path}: row {row}, column {column.name!r}: {cell!r} is not true or false."
        )
    value = _number(cell, path, row, column.name)
    _check_range(path, column, row, value)
    return int(value) if column.kind in {"count", "whole"} else value


def _number(cell: Any, path: str, row: int, name: str) -> float:
    try:
        value = float(str(cell).replace("\u2212", "-"))
    except ValueError:
        hint = " Use a decimal point." if str(cell).count(",") == 1 else ""
        raise InputError(
            f"{path}: row {row}, column {name!r}: {cell!r} is not a number.{hint}"
        ) from None
    if not math.isfinite(value):
        raise InputError(f"{path}: row {row}, column {name!r}: {cell!r} is not a finite number.")
    return value


def _check_range(path: str, column: Column, row: int, value: float) -> None:
    at = f"{path}: row {row}, column {column.name!r}: {value:g}"
    if column.kind in {"count", "whole"} and value != int(value):
        raise InputError(f"{at} is not a whole number.")
    minimum = 0.0 if column.kind == "count" and column.minimum is None else column.minimum
    if minimum is not None and value < minimum:
        raise InputError(f"{at} is below {minimum:g}, the smallest value allowed.")
    if column.maximum is not None and value > column.maximum:
        raise InputError(f"{at} is above {column.maximum:g}, the largest value allowed.")
    if column.above is not None and value <= column.above:
        raise InputError(f"{at} must be above {column.above:g}.")
