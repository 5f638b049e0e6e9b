"""The typed table, and the errors that name its file and columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError, nearest
from klarsyn.tables.cells import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Typed columns of equal length; an empty cell is None. `path` is what the user called it.

    `row_numbers` say where each row stands in the file as a spreadsheet shows it.
    """

    path: str
    columns: Mapping[str, tuple[Any, ...]]
    rows: int
    row_numbers: Sequence[int]

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
                v
                if type(v) is float
                else math.nan
                if v is None
                else number(v, self.path, row, name)
                for row, v in zip(self.row_numbers, values, strict=True)
            ],
            dtype=float,
        )

    def records(self) -> list[dict[str, Any]]:
        """One dictionary a row, in order."""
        names = list(self.columns)
        return [
            dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)
        ]

    def numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each row's number, as a spreadsheet shows it, with its dictionary."""
        return zip(self.row_numbers, self.records(), strict=True)


@contextmanager
def in_file(path: str) -> Iterator[None]:
    """Begin every InputError raised inside with the file it is about, once."""
    try:
        yield
    except InputError as bad:
        if str(bad).startswith(path):
            raise
        raise type(bad)(f"{path}: {bad}") from None


def missing_column(path: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> InputError:
    """The error for a column that the table does not have, with the nearest names."""
    close = nearest(name, known)
    hint = f" Nearest: {', '.join(close)}." if close else ""
    return InputError(
        f"{path}: there is no column {name!r}.{hint} The file has: {', '.join(known)}. "
        f"Rename the column or say which one it is."
    )
