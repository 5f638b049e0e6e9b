"""A CSV file or an Excel sheet becomes typed columns, or one sentence says why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError
from klarsyn.tables.cells import typed
from klarsyn.tables.column import EMPTY, NUMBERS, Column
from klarsyn.tables.decimals import Seen, numbers_with_points, texts_with_points
from klarsyn.tables.files import check_readable
from klarsyn.tables.table import Table, missing_column
from klarsyn.tables.texts import Remark, csv_rows
from klarsyn.tables.workbook import excel_rows

MOST_ROWS = 2_000_000
EXCEL = frozenset({".xlsx", ".xlsm", ".xls"})


def read_table(
    path: str | Path,
    columns: Sequence[Column] = (),
    *,
    others: bool = True,
    sheet: str | None = None,
    least_rows: int = 1,
    rename: Callable[[str], str] = str,
    remark: Remark | None = None,
) -> Table:
    """Read a CSV (comma, semicolon or tab; UTF-8) or an Excel workbook's sheet.

    Numbers have decimal points; where semicolons or tabs separate the cells, decimal commas are
    read as well (a column has one or the other).

    `columns` are checked and converted; with `others` the remaining columns come along as text.
    Rows are counted as a spreadsheet shows them: the first line is row 1. A table with fewer than
    `least_rows` rows below its header is an error. `rename` turns the header's names into those of
    `columns`; `remark` says of a row of a CSV whether it is a comment.

    Raises InputError with file, row, column, what was found and what is allowed.
    """
    file = Path(path)
    check_readable(file)
    commas = False  # a text cell of a workbook does not say whose comma it holds
    if file.suffix.lower() in EXCEL:
        chunks = excel_rows(file, sheet)
    else:
        commas, chunks = csv_rows(file, remark)
    _, (found,) = next(chunks)
    header = [rename(name) for name in found]
    _check_header(str(path), header, columns)
    wanted = {c.name: c for c in columns}
    if not others:
        header = [name if name in wanted else "" for name in header]
    numbers, taken = _gather(str(path), header, wanted, chunks, commas)
    if len(numbers) < least_rows:
        raise InputError(
            f"{path}: the table has {len(numbers)} rows below its header; it needs at least "
            f"{least_rows}. Add the rows or name another file."
        )
    return Table(path=str(path), columns=taken, rows=len(numbers), row_numbers=numbers)


def _gather(
    path: str,
    header: Sequence[str],
    wanted: Mapping[str, Column],
    chunks: Iterable[tuple[list[int], list[list[str]]]],
    commas: bool,
) -> tuple[Sequence[int], dict[str, tuple[Any, ...]]]:
    numbers: list[int] = []
    taken: dict[str, list[Any]] = {name: [] for name in header if name}
    seen: dict[str, Seen] = {
        name: {} for name, c in wanted.items() if c.kind in NUMBERS | {"either"}
    }
    for rows, texts in chunks:
        numbers += rows
        if len(numbers) > MOST_ROWS:
            raise InputError(f"{path}: more than {MOST_ROWS} rows. Split the table.")
        for name, cells in zip(header, zip(*texts, strict=True), strict=True):
            if name in wanted:
                found: Sequence[str] = [c.strip() for c in cells]
                if commas and name in seen:
                    found = numbers_with_points(path, name, rows, found, seen[name])
                taken[name] += typed(path, wanted[name], rows, found)
            elif name:
                taken[name] += _shared(cells)
    if commas:
        for name in set(taken) - set(wanted):
            taken[name] = list(texts_with_points(taken[name]))
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        numbers_seen: Sequence[int] = range(numbers[0], numbers[-1] + 1)
    else:
        numbers_seen = tuple(numbers)
    return numbers_seen, {name: tuple(values) for name, values in taken.items()}


def _shared(cells: Sequence[str]) -> list[str | None]:
    """The texts of a column, equal ones as one object."""
    seen: dict[str, str | None] = {}
    for c in set(cells):
        text = c.strip()
        seen[c] = None if text in EMPTY else text
    return [seen[c] for c in cells]


def _check_header(path: str, header: Sequence[str], columns: Sequence[Column]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(header, start=1):
        if not name:
            raise InputError(
                f"{path}: the header's column {position} has no name. Name every column."
            )
        if name in seen:
            raise InputError(f"{path}: the header names the column {name!r} twice. Rename one.")
        seen.add(name)
    for column in columns:
        if column.required and column.name not in seen:
            raise missing_column(path, column.name, header)
