"""Effects with their labels: what pooling, regression and subsets start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, nearest
from klarsyn.stats.contrasts import DROPPED, contrasts, way_out
from klarsyn.stats.measures import MEASURES
from klarsyn.tables import Table, in_file

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """One effect a study, in the order given.

    `y` and `v` are effects and sampling variances on `scale` (`log`: natural logarithms of a
    ratio); both are NaN where `problem` says why a study has none. `origin` is `published` or
    `simulated` for each study, `sources` an id of where it was read; `covariates` are columns of
    the same length. `method` says how the effects were made, `corrected` which studies got a
    continuity correction, `fewest` the smaller number of events of a study's two groups (NaN:
    not made of counts), `rows` where each study stands in the file that it was read from.
    """

    y: Array
    v: Array
    study: tuple[str, ...]
    measure: str
    scale: str
    method: str = "as given"
    covariates: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    origin: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    problem: tuple[str, ...] = ()
    corrected: tuple[bool, ...] = ()
    fewest: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("y", "v"):
            values = np.array(getattr(self, name), dtype=float)
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @property
    def k(self) -> int:
        """Number of studies, those without an effect included."""
        return len(self.study)

    def take(self, index: Sequence[int] | Array) -> Effects:
        """The studies at these positions, in this order."""
        at = [int(i) for i in index]

        def pick(column: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(column[i] for i in at) if column else ()

        return Effects(
            y=self.y[at],
            v=self.v[at],
            study=pick(self.study),
            measure=self.measure,
            scale=self.scale,
            method=self.method,
            covariates={name: pick(column) for name, column in self.covariates.items()},
            origin=pick(self.origin),
            sources=pick(self.sources),
            problem=pick(self.problem),
            corrected=pick(self.corrected),
            fewest=pick(self.fewest),
            rows=pick(self.rows),
        )

    def place(self, index: int) -> str:
        """The study's name, and its row where it was read from a file."""
        name = self.study[index]
        if not self.rows or name.endswith(f"(row {self.rows[index]})"):
            return name
        return f"{name} (row {self.rows[index]})"

    def usable(self, *, drop_problems: bool = False) -> tuple[Effects, tuple[tuple[str, str], ...]]:
        """The studies that have an effect, and (study, reason) of those left out.

        Studies dropped as asked are left out; any other without an effect raises NumericalError
        `not_estimable` unless `drop_problems`.
        """
        if not any(self.problem):
            return self, ()
        left = tuple((s, p) for s, p in zip(self.study, self.problem, strict=True) if p)
        refused = [
            f"{self.place(i)}: {p}" for i, p in enumerate(self.problem) if p and p != DROPPED
        ]
        way = way_out(self.measure)
        if refused and not drop_problems:
            raise NumericalError(
                "not_estimable",
                f"{len(refused)} of {self.k} studies have no usable effect: {'; '.join(refused)}. "
                f"Correct the data, {way and f'{way}, '}or leave these studies out by name.",
            )
        return self.take([i for i, p in enumerate(self.problem) if not p]), left


def effects_from_arrays(
    y: Any,
    v: Any,
    *,
    study: Sequence[str] | None = None,
    measure: str = "GEN",
    covariates: Mapping[str, Sequence[Any]] | None = None,
    origin: str | Sequence[str] = "published",
) -> Effects:
    """Effects from numbers already on the measure's scale; raises InputError naming a bad study."""
    y, v = np.atleast_1d(np.asarray(y, dtype=float)), np.atleast_1d(np.asarray(v, dtype=float))
    if y.ndim != 1 or y.shape != v.shape:
        raise InputError(f"Effects and variances differ in shape: {y.shape} and {v.shape}.")
    labels = tuple(str(s) for s in study) if study is not None else _numbered(len(y))
    if len(labels) != len(y):
        raise InputError(f"{len(labels)} study names for {len(y)} effects.")
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        for name, value, variance in zip(labels, y, v, strict=True):
            _check_effect(name, float(value), float(variance))
    origins = (origin,) * len(y) if isinstance(origin, str) else tuple(origin)
    return Effects(
        y=y,
        v=v,
        study=labels,
        measure=measure,
        scale=MEASURES[measure].scale if measure in MEASURES else "natural",
        covariates={n: tuple(c) for n, c in (covariates or {}).items()},
        origin=origins,
    )


@cache
def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"Study {i + 1}" for i in range(count))


def _check_effect(name: str, y: float, v: float) -> None:
    if not (np.isfinite(y) and np.isfinite(v)):
        raise InputError(f"{name}: effect {y:g}, variance {v:g}: both must be finite numbers.")
    if v < 0:
        raise InputError(f"{name}: the sampling variance {v:g} is negative.")
    if v == 0:
        raise NumericalError(
            "degenerate",
            f"{name}: the sampling variance is 0, so that its weight would be infinite. "
            f"Give the variance, or leave the study out.",
        )


def effects_from_table(
    table: Any,
    measure: str,
    columns: Mapping[str, str],
    *,
    study: str | None = None,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    variance: str = "LS",
    origin: str = "published",
) -> Effects:
    """Effects from a table whose `columns` say which of its columns holds what.

    `table` is a `klarsyn.tables.Table`, a polars or pandas frame, or a mapping of columns;
    `columns` maps `ai`, `n1i`, `m1i`, `yi` … to the table's own names. All other columns become
    covariates. `study` names the column of labels. Continuity correction as in
    `klarsyn.stats.contrasts.contrasts`.
    """
    if isinstance(table, Table):
        with in_file(table.path):
            return _from_columns(table, measure, columns, study, add, to, drop00, variance, origin)
    return _from_columns(table, measure, columns, study, add, to, drop00, variance, origin)


def _from_columns(
    table: Any,
    measure: str,
    columns: Mapping[str, str],
    study: str | None,
    add: float | None,
    to: str,
    drop00: bool,
    variance: str,
    origin: str,
) -> Effects:
    named = columns_of(table)
    cells = {
        role: table.numbers(column) if isinstance(table, Table) else _numbers(named, column)
        for role, column in columns.items()
    }
    size = len(next(iter(named.values()), []))
    rows = table.row_numbers if isinstance(table, Table) else range(2, size + 2)
    names = _labels(named, study, size)
    empty = _empty_cells(columns, cells, rows)
    whole = [i for i, reason in enumerate(empty) if not reason]
    made = contrasts(
        measure,
        {role: column[whole] for role, column in cells.items()},
        add=add,
        to=to,
        drop00=drop00,
        variance=variance,
        labels=[f"{names[i].removesuffix(f' (row {rows[i]})')} (row {rows[i]})" for i in whole],
    )
    used = set(columns.values())
    problem = np.array(empty, dtype=object)
    problem[whole] = made.problem
    return Effects(
        y=_spread(made.y, whole, size),
        v=_spread(made.v, whole, size),
        study=names,
        measure=measure,
        scale=made.scale,
        method=made.method,
        covariates={n: tuple(c) for n, c in named.items() if n not in used},
        origin=(origin,) * size,
        problem=tuple(problem) if any(problem) else (),
        corrected=tuple(bool(c == 1) for c in _spread(made.corrected, whole, size)),
        fewest=tuple(_spread(made.fewest, whole, size).tolist()),
        rows=tuple(rows) if isinstance(table, Table) else (),
    )


def _spread(values: Array, at: list[int], size: int) -> Array:
    out = np.full(size, np.nan)
    out[at] = values
    return out


def _empty_cells(
    columns: Mapping[str, str], cells: Mapping[str, Array], rows: Sequence[int]
) -> list[str]:
    return [
        next((f"its cell in column {columns[r]!r} (row {row}) is empty" for r, c in cells.items()
              if not np.isfinite(c[i])), "")
        for i, row in enumerate(rows)
    ]  # fmt: skip


def columns_of(table: Any) -> dict[str, list[Any]]:
    """The columns of a Table, of a polars or pandas frame, or of a mapping, as lists by name."""
    if isinstance(table, Mapping):
        return {str(n): list(c) for n, c in table.items()}
    if isinstance(getattr(table, "columns", None), Mapping):
        return {str(n): list(c) for n, c in table.columns.items()}
    import narwhals as nw

    frame = nw.from_native(table, eager_only=True)
    return {name: frame[name].to_list() for name in frame.columns}


def _column(named: Mapping[str, list[Any]], name: str) -> list[Any]:
    if name not in named:
        close = nearest(name, named)
        hint = f" Nearest: {', '.join(close)}." if close else ""
        raise InputError(f"The table has no column {name!r}.{hint} It has: {', '.join(named)}.")
    return named[name]


def _numbers(named: Mapping[str, list[Any]], name: str) -> Array:
    values = []
    for row, cell in enumerate(_column(named, name), start=2):
        try:
            values.append(np.nan if cell is None else float(str(cell).replace("\u2212", "-")))
        except ValueError:
            raise InputError(f"Row {row}, column {name!r}: {cell!r} is not a number.") from None
        if np.isinf(values[-1]):
            raise InputError(f"Row {row}, column {name!r}: {cell!r} is not a finite number.")
    return np.array(values, dtype=float)


def _labels(named: Mapping[str, list[Any]], study: str | None, count: int) -> tuple[str, ...]:
    if study is None:
        study = next((n for n in ("study", "trial", "author", "slab") if n in named), None)
    if study is None:
        return _numbered(count)
    labels = [str(s) for s in _column(named, study)]
    twice = {s for s, count in Counter(labels).items() if count > 1}
    return tuple(f"{s} (row {i})" if s in twice else s for i, s in enumerate(labels, start=2))
