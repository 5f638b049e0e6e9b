"""The rows of more_rows.csv (made by more_rows.R) for the test modules that reproduce them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Values = dict[str, float]
Compute = Callable[[], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value of an analysis: `A01.RR.est` has the analysis A01 and the name RR.est."""

    id: str
    analysis: str
    name: str
    value: float


@cache
def all_rows() -> tuple[Row, ...]:
    """Every row of the table, in its order."""
    with (Path(__file__).parent / "more_rows.csv").open(encoding="utf-8") as file:
        return tuple(
            Row(
                id=r["id"],
                analysis=r["id"].split(".", 1)[0],
                name=r["quantity"],
                value=float(r["value"]),
            )
            for r in csv.DictReader(file)
        )


def analyses() -> tuple[str, ...]:
    """The analyses' names, in their order."""
    return tuple(dict.fromkeys(r.analysis for r in all_rows()))


def prefixed(prefix: str, values: Mapping[str, float]) -> Values:
    """`prefix.name` for each name."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def numbered(name: str, values: Sequence[float], start: int = 0) -> Values:
    """`name` with a running number for each value."""
    return {f"{name}{i}": float(v) for i, v in enumerate(values, start)}


def longest(row: str, tolerances: Mapping[str, float], otherwise: float) -> float:
    """The tolerance of the longest listed id that the row is or stands below."""
    parts = row.split(".")
    for end in range(len(parts), 0, -1):
        if (name := ".".join(parts[:end])) in tolerances:
            return tolerances[name]
    return otherwise


def misses(
    analysis: str,
    found: Mapping[str, float],
    tolerances: Mapping[str, float],
    otherwise: float,
    absolute: Mapping[str, float],
) -> list[str]:
    """A line for each row that `found` does not reproduce; all rows of an analysis are asked for.

    Distances are relative, and absolute where `absolute` names the row.
    """
    out = []
    for row in (r for r in all_rows() if r.analysis == analysis):
        if row.name not in found:
            out.append(f"{row.id}: not computed")
            continue
        ours = found[row.name]
        allowed = longest(row.id, tolerances, otherwise) * abs(row.value)
        allowed += longest(row.id, absolute, 0.0)
        if not math.isfinite(ours) or abs(ours - row.value) > allowed:
            off = abs(ours - row.value) / max(abs(row.value), 1e-300)
            out.append(f"{row.id}: {ours!r} is not {row.value!r} (relative {off:.2g})")
    return out
