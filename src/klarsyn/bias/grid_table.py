"""A long table of effects, one row a study and variant, becomes the input of the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from klarsyn.bias.grid import Variants, variants
from klarsyn.errors import InputError, unknown_name
from klarsyn.tables import Column, read_table

COLUMNS = (
    Column(name="study"),
    Column(name="estimate", kind="number"),
    Column(name="se", kind="number", above=0),
    Column(name="risk", required=False, may_be_empty=True),
    Column(name="belief", kind="number", required=False, may_be_empty=True),
)
RISKS = ("Low", "Some concerns", "High")
MOST_SETS = 200_000
SETS = (Column(name="set"), Column(name="study"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GridTable:
    """Variants with what the table says about each study.

    `risk` holds overall judgements (empty where none), `belief` how far belief alone would move the
    effect, on its scale (0 where the table has none).
    """

    data: Variants
    risk: dict[str, str]
    belief: np.ndarray | None

    def exclusions(self) -> dict[str, tuple[str, ...]]:
        """None, high risk, and everything but low risk, as far as judgements are there."""
        if not any(self.risk.values()):
            return {"none": ()}
        high = tuple(s for s, r in self.risk.items() if r == "High")
        raised = tuple(s for s, r in self.risk.items() if r in RISKS[1:])
        return {"none": (), "high risk": high, "high risk or some concerns": raised}


def read_grid_table(path: str | Path) -> GridTable:
    """Read study, estimate, se, optional risk and belief; every further column is a choice.

    A study appears at most once for each combination of choices. Raises InputError with the row.
    """
    table = read_table(path, COLUMNS)
    known = {c.name for c in COLUMNS}
    choices = [name for name in table.columns if name not in known]
    studies = list(dict.fromkeys(table["study"]))
    effects: dict[tuple[str, ...], list[float]] = {}
    errors: dict[tuple[str, ...], list[float]] = {}
    seen: dict[tuple[str, ...], int] = {}
    risk: dict[str, str] = dict.fromkeys(studies, "")
    belief: dict[str, float] = {}
    for row, r in table.numbered():
        option = tuple(_option(r[c], c, str(path), row) for c in choices) or ("as given",)
        _once(seen, (r["study"], *option), str(path), row)
        place = studies.index(r["study"])
        for target, value in ((effects, r["estimate"]), (errors, r["se"] ** 2)):
            target.setdefault(option, [math.nan] * len(studies))[place] = value
        _same(risk, r["study"], r.get("risk"), str(path), row)
        if r.get("belief") is not None:
            belief[r["study"]] = r["belief"]
    return GridTable(
        data=variants(studies, effects, errors, choices or ["data"]),
        risk=risk,
        belief=np.array([belief.get(s, 0.0) for s in studies]) if belief else None,
    )


def read_inclusion_sets(path: str | Path, studies: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Read set, study: one row for each member of each inclusion set."""
    sets: dict[str, list[str]] = {}
    for row, r in read_table(path, SETS).numbered():
        if r["study"] not in studies:
            raise unknown_name("study", r["study"], studies, f"{path}: row {row}")
        sets.setdefault(r["set"], []).append(r["study"])
    return {name: tuple(members) for name, members in sets.items()}


def read_feature_sets(
    path: str | Path, studies: tuple[str, ...], *, fewest: int = 2
) -> dict[str, tuple[str, ...]]:
    """Read study and features, one row a study: every set that the features define.

    Each feature takes part with one of its values or with either; an empty cell has no value. Sets
    with fewer studies than `fewest` are left out, sets with the same members stand once, under the
    name that says least (Voracek 2019, doi 10.1027/2151-2604/a000357, the "which" of their method).
    """
    table = read_table(path, (Column(name="study"),))
    features = [name for name in table.columns if name != "study"]
    if not features:
        raise InputError(f"{path}: no feature. Add a column for each, such as sex or setting.")
    rows: dict[str, dict[str, str | None]] = {}
    for row, r in table.numbered():
        if r["study"] not in studies:
            raise unknown_name("study", r["study"], studies, f"{path}: row {row}")
        if r["study"] in rows:
            raise InputError(f"{path}: row {row} repeats {r['study']}. Give one row a study.")
        rows[r["study"]] = r
    missing = [s for s in studies if s not in rows]
    if missing:
        raise InputError(f"{path}: no row for {missing[0]}. Give one row a study.")
    return _sets_of([rows[s] for s in studies], studies, features, fewest, str(path))


def _sets_of(
    rows: list[dict[str, str | None]],
    studies: tuple[str, ...],
    features: list[str],
    fewest: int,
    path: str,
) -> dict[str, tuple[str, ...]]:
    values = [sorted({v for r in rows if (v := r[f]) is not None}) for f in features]
    crossed = math.prod(len(v) + 1 for v in values)
    if crossed > MOST_SETS:
        raise InputError(
            f"{path}: {len(features)} features cross into {crossed:,} sets; at most "
            f"{MOST_SETS:,} are tried. Leave features out or merge their values."
        )
    choices = sorted(product(*([None, *v] for v in values)), key=lambda c: len(c) - c.count(None))
    found: dict[tuple[str, ...], str] = {}
    for choice in choices:
        said = {f: value for f, value in zip(features, choice, strict=True) if value is not None}
        members = tuple(
            s
            for s, r in zip(studies, rows, strict=True)
            if all(r[f] == value for f, value in said.items())
        )
        if len(members) >= fewest:
            found.setdefault(members, ", ".join(f"{f} {v}" for f, v in said.items()) or "all")
    if not found:
        raise InputError(f"{path}: no set has {fewest} studies or more.")
    return {name: members for members, name in found.items()}


def _option(value: str | None, choice: str, path: str, row: int) -> str:
    if value is None:
        raise InputError(f"{path}: row {row}, column {choice!r} is empty. Name the option.")
    return value


def _once(seen: dict[tuple[str, ...], int], key: tuple[str, ...], path: str, row: int) -> None:
    if key in seen:
        raise InputError(
            f"{path}: row {row} repeats {', '.join(key)} of row {seen[key]}. "
            f"Add a column that says how the two differ, or remove one."
        )
    seen[key] = row


def _same(risk: dict[str, str], study: str, value: str | None, path: str, row: int) -> None:
    if value is None:
        return
    if value not in RISKS:
        raise unknown_name("overall judgement", value, RISKS, f"{path}: row {row}")
    if risk[study] not in ("", value):
        raise InputError(
            f"{path}: row {row} judges {study} {value}, an earlier row {risk[study]}. "
            f"A study has one overall judgement here."
        )
    risk[study] = value
