"""Dose groups of several studies, each study's groups against its own reference dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.dose_covariance import DESIGNS, greenland_longnecker

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseData:
    """Effects of dose groups against their study's reference group, with their covariance.

    `measure` names the effect (log scale for relative risks); `covariance` is block-diagonal by
    study.
    """

    measure: str
    scale: str
    study: tuple[str, ...]
    dose: Vector = field(repr=False)
    reference: Vector = field(repr=False)
    effect: Vector = field(repr=False)
    covariance: Matrix = field(repr=False)
    digest: str


def doses_from_risks(
    study: Sequence[Any],
    dose: Sequence[float] | Vector,
    effect: Sequence[float] | Vector,
    se: Sequence[float] | Vector,
    cases: Sequence[float] | Vector,
    n: Sequence[float] | Vector,
    design: Sequence[str],
) -> DoseData:
    """One row per dose group with its adjusted log relative risk and SE (reference: effect 0).

    `n` are persons, or person-time for incidence rates; `design` is case-control, incidence-rate
    or cumulative-incidence. The reference row of a study is the one whose `se` is 0 or NaN.
    Covariances are Greenland and Longnecker's. Raises InputError naming the study.
    """
    table = {
        "dose": np.asarray(dose, dtype=float),
        "effect": np.asarray(effect, dtype=float),
        "se": np.nan_to_num(np.asarray(se, dtype=float)),
        "cases": np.asarray(cases, dtype=float),
        "n": np.asarray(n, dtype=float),
    }
    names = _names(study, table)
    designs = list(design)

    def one(name: str, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], int, Vector, Matrix]:
        first, others = _reference(name, rows, table["se"] == 0)
        order = np.append(first, others)
        kinds = {designs[i] for i in rows}
        if len(kinds) != 1 or (kind := kinds.pop()) not in DESIGNS:
            raise InputError(f"Study {name}: design must be one of {', '.join(DESIGNS)}.")
        for column in ("cases", "n"):
            if not (table[column][order] > 0).all():
                raise InputError(f"Study {name}: every dose group needs {column} above 0.")
        y = table["effect"][others] - table["effect"][first]
        S = greenland_longnecker(
            y, table["se"][others] ** 2, table["cases"][order], table["n"][order], kind
        )
        return others, first, y, S

    return _assembled("log relative risk", "log", names, table["dose"], one, table, designs)


def doses_from_means(
    study: Sequence[Any],
    dose: Sequence[float] | Vector,
    mean: Sequence[float] | Vector,
    sd: Sequence[float] | Vector,
    n: Sequence[float] | Vector,
) -> DoseData:
    """One row per dose group with mean, SD and n; the lowest dose of a study is its reference.

    Mean differences share the reference's variance sd₀²/n₀ (Crippa & Orsini 2016).
    """
    table = {
        "dose": np.asarray(dose, dtype=float),
        "mean": np.asarray(mean, dtype=float),
        "sd": np.asarray(sd, dtype=float),
        "n": np.asarray(n, dtype=float),
    }
    names = _names(study, table)
    if not (table["sd"] > 0).all() or not (table["n"] > 0).all():
        raise InputError("Every dose group needs sd and n above 0.")

    def one(name: str, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], int, Vector, Matrix]:
        lowest = table["dose"] == table["dose"][rows].min()
        first, others = _reference(name, rows, lowest)
        v = table["sd"] ** 2 / table["n"]
        return (
            others,
            first,
            table["mean"][others] - table["mean"][first],
            (np.diag(v[others]) + v[first]),
        )

    return _assembled("mean difference", "natural", names, table["dose"], one, table, [])


def _names(study: Sequence[Any], table: dict[str, Vector]) -> tuple[str, ...]:
    names = tuple(str(s) for s in study)
    for column, values in table.items():
        if len(values) != len(names):
            raise InputError(f"The column {column} has {len(values)} rows; study has {len(names)}.")
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise InputError(f"Dose group {row + 1} (study {names[row]}): {column} is missing.")
    return names


def _reference(
    name: str, rows: NDArray[np.intp], marked: NDArray[np.bool_]
) -> tuple[int, NDArray[np.intp]]:
    found = rows[marked[rows]]
    if len(found) != 1:
        raise InputError(
            f"Study {name} has {len(found)} reference groups; it needs exactly one (relative risks:"
            f" the row with se 0 or empty; means: the lowest dose)."
        )
    others = rows[~marked[rows]]
    if len(others) == 0:
        raise InputError(f"Study {name} has only its reference group; leave it out.")
    return int(found[0]), others


def _assembled(
    measure: str,
    scale: str,
    names: tuple[str, ...],
    dose: Vector,
    one: Any,
    table: dict[str, Vector],
    designs: list[str],
) -> DoseData:
    study: list[str] = []
    at, reference, effects, blocks = [], [], [], []
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(np.array(names) == name)
        others, first, y, S = one(name, rows)
        study += [name] * len(others)
        at.append(dose[others])
        reference.append(np.full(len(others), dose[first]))
        effects.append(y)
        blocks.append(S)
    from scipy.linalg import block_diag

    return DoseData(
        measure=measure,
        scale=scale,
        study=tuple(study),
        dose=np.concatenate(at),
        reference=np.concatenate(reference),
        effect=np.concatenate(effects),
        covariance=np.asarray(block_diag(*blocks)),
        digest=digest_of(measure, names, table, designs),
    )
