"""The rows of an Excel sheet as texts, each with its number in the spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from klarsyn.errors import InputError, unknown_name
from klarsyn.tables.files import check_readable

if TYPE_CHECKING:
    import fastexcel

Chunk = tuple[list[int], list[list[str]]]


def sheet_names(path: str | Path) -> list[str]:
    """The sheets of an Excel workbook, in its order."""
    check_readable(Path(path))
    return list(_opened(Path(path)).sheet_names)


def excel_rows(file: Path, sheet: str | None) -> Iterator[Chunk]:
    """Row numbers and rows of texts of one sheet (default: the first); the header comes first."""
    book = _opened(file)
    name = sheet if sheet is not None else book.sheet_names[0]
    if name not in book.sheet_names:
        raise unknown_name("sheet", name, book.sheet_names, str(file))
    frame = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string").to_polars()
    cells = [["" if c is None else str(c).strip() for c in row] for row in frame.iter_rows()]
    kept = [(number, row) for number, row in enumerate(cells, start=1) if any(row)]
    if not kept:
        raise InputError(f"{file}: sheet {name!r} is empty. It needs a header row and rows.")
    yield [kept[0][0]], [kept[0][1]]
    if kept[1:]:
        yield [n for n, _ in kept[1:]], [row for _, row in kept[1:]]


def _opened(file: Path) -> fastexcel.ExcelReader:
    import fastexcel

    try:
        return fastexcel.read_excel(file)
    except (fastexcel.FastExcelError, OSError, ValueError):
        raise InputError(
            f"{file}: not a readable Excel workbook. Open it in a spreadsheet and save it again."
        ) from None
