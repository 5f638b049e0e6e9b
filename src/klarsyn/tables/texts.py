"""The rows of a CSV file as texts, each with its number in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from klarsyn.errors import InputError

CHUNK = 50_000
Chunk = tuple[list[int], list[list[str]]]
Remark = Callable[[Sequence[str]], bool]


def csv_rows(file: Path, remark: Remark | None = None) -> tuple[bool, Iterator[Chunk]]:
    """Whether a comma inside a cell can be decimal only, and the rows.

    Row numbers and rows of texts come some thousands at a time; the header comes first, alone. A
    quoted line break stays inside its row, and an empty line counts as a row though it is not given
    out, nor is one that `remark` says is a comment: the numbers are those that a spreadsheet shows.
    """
    text = _decoded(file)
    delimiter = _delimiter(text, remark)
    return delimiter != ",", _rows(file, text, delimiter, remark)


def _rows(file: Path, text: str, delimiter: str, remark: Remark | None) -> Iterator[Chunk]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    numbers, rows, width, number = [], [], 0, 0
    try:
        for number, row in enumerate(reader, start=1):
            if not any(row) or not any(map(str.strip, row)):
                continue
            if remark is not None and remark(row):
                continue
            if not width:
                width = len(row)
                yield [number], [[c.strip() for c in row]]
                continue
            if len(row) != width:
                raise _ragged(file, number, len(row), width)
            numbers.append(number)
            rows.append(row)
            if len(rows) == CHUNK:
                yield numbers, rows
                numbers, rows = [], []
    except csv.Error as bad:
        raise InputError(
            f"{file}: row {number + 1} is broken ({bad}); the file looks truncated or has an "
            f"unclosed quotation mark."
        ) from None
    if not width:
        raise _empty(file)
    if rows:
        yield numbers, rows


def _decoded(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as bad:
        raise InputError(f"{file}: cannot be read ({bad.strerror}).") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = raw[: bad.start].count(b"\n") + 1
        wide = raw[:2] in {b"\xff\xfe", b"\xfe\xff"}
        guess = " It looks like UTF-16." if wide else ""
        raise InputError(
            f"{file}: line {line} is not UTF-8 text (byte {bad.start}).{guess} "
            f"Save the file as CSV UTF-8 and try again."
        ) from None
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise InputError(f"{file}: line {line} holds a NUL byte; this is not a text table.")
    if not text.strip():
        raise _empty(file)
    return text


def _empty(file: Path) -> InputError:
    return InputError(f"{file}: the file is empty. It needs a header row and at least one row.")


def _delimiter(text: str, remark: Remark | None = None) -> str:
    """The one of comma, semicolon and tab that gives the header the most cells."""
    start = text.lstrip("\r\n")[: 1 << 20]
    while remark is not None and remark(re.split("[,;\t]", start.partition("\n")[0])):
        start = start.partition("\n")[2].lstrip("\r\n")

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)))
        except csv.Error:
            return 0

    return max(",;\t", key=cells)


def _ragged(file: Path, number: int, cells: int, width: int) -> InputError:
    hint = (
        " Decimal commas look like delimiters: use decimal points, or separate by semicolons."
        if cells > width
        else ""
    )
    return InputError(
        f"{file}: row {number} has {cells} cells where the header has {width}. "
        f"Look for a missing or surplus delimiter, or a truncated last row.{hint}"
    )
