"""The rows of meta_analysis.csv and their data sets, for every test module that reproduces some.

A test module `test_meta_analysis*.py` names what it reproduces in a module-level tuple `COVERED`
of id prefixes: an analysis (`"P01"`) or a part of one (`"P20.DL"`). What no module covers stands
in `not_yet_covered.txt`, one prefix a line.
"""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LISTED = HERE / "not_yet_covered.txt"
PRINTED_DIGITS = 1e-9  # the table has ten significant digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value; `name` is the id without the analysis, e.g. `DL.tau2` of `P02.DL.tau2`."""

    id: str
    analysis: str
    name: str
    dataset: str
    measure: str
    method: str
    call: str
    value: float


@cache
def all_rows() -> tuple[Row, ...]:
    """Every row of the table, in its order."""
    with (HERE / "meta_analysis.csv").open(encoding="utf-8") as file:
        return tuple(
            Row(
                id=r["id"],
                analysis=r["id"].split(".", 1)[0],
                name=r["id"].split(".", 1)[1],
                dataset=r["dataset"],
                measure=r["measure"],
                method=r["method"],
                call=r["call"],
                value=float(r["value"]),
            )
            for r in csv.DictReader(file)
        )


def is_under(row_id: str, prefix: str) -> bool:
    """Whether the row is the prefix or stands below it."""
    return row_id == prefix or row_id.startswith(prefix + ".")


def rows_of(prefixes: Iterable[str]) -> list[Row]:
    """The rows below any of the prefixes; a prefix that names no row is an error."""
    wanted = list(prefixes)
    for prefix in wanted:
        assert any(is_under(r.id, prefix) for r in all_rows()), f"{prefix} names no row"
    return [r for r in all_rows() if any(is_under(r.id, p) for p in wanted)]


def listed() -> list[str]:
    """The prefixes of the rows that no module covers yet."""
    lines = LISTED.read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def covered_by_modules() -> dict[str, tuple[str, ...]]:
    """Each test module's COVERED, by the module's name."""
    names = sorted(f.stem for f in HERE.glob("test_meta_analysis*.py"))
    return {n: tuple(importlib.import_module(n).COVERED) for n in names}


@cache
def data(name: str) -> Mapping[str, np.ndarray]:
    """A data set's columns by name: floats with NaN for NA, or text where a cell is no number."""
    with (HERE / "data" / f"{name}.csv").open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    return {column: _column([r[column] for r in records]) for column in records[0]}


def _column(cells: list[str]) -> np.ndarray:
    try:
        return np.array([math.nan if c in {"NA", ""} else float(c) for c in cells])
    except ValueError:
        return np.array(cells)
