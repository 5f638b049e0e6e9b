"""Moderators become a design matrix: numbers as they are, words as factors, products by colon."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.weighted import check_rank
from klarsyn.synthesis.effects import Effects
from klarsyn.tables import has_decimal_comma

Array = np.ndarray
INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The matrix (k, p), a name for each column, and which columns each term fills."""

    matrix: Array
    names: tuple[str, ...]
    terms: dict[str, tuple[int, ...]]

    @property
    def slopes(self) -> tuple[int, ...]:
        """The columns other than the intercept; all of them where there is none."""
        every = tuple(i for i, name in enumerate(self.names) if name != INTERCEPT)
        return every or (0,)


def build_design(effects: Effects, moderators: Sequence[str], *, intercept: bool = True) -> Design:
    """The design of these moderators.

    `moderators` are names of covariates; `factor(x)` treats numbers as levels, `a:b` is the
    product of two. A factor's first level (numbers in order, then words) is the reference; without
    intercept the first factor keeps all its levels. In a product a factor has a reference only
    where the rest of the product is a term too, as in R: `x:g` alone is a slope for each level of
    g, beside `x` the differences between these slopes.

    Raises UnknownNameError for a covariate that is not there, InputError for an empty cell,
    NumericalError `rank_deficient` naming columns that follow from others.
    """
    blocks: list[tuple[str, list[str], Array]] = []
    if intercept:
        blocks.append((INTERCEPT, [INTERCEPT], np.ones((effects.k, 1))))
    whole = not intercept
    present = {frozenset(_parts(term)) for term in moderators}
    for term in moderators:
        names, columns, was_factor = _term(effects, term, whole, present)
        whole = whole and not was_factor
        blocks.append((term, names, columns))
    if not blocks:
        raise InputError("A regression needs an intercept or at least one moderator.")
    names = [name for _, block, _ in blocks for name in block]
    matrix = np.column_stack([columns for _, _, columns in blocks])
    check_rank(matrix, names)
    ends = list(itertools.accumulate((len(block) for _, block, _ in blocks), initial=0))
    terms = {term: tuple(range(ends[i], ends[i + 1])) for i, (term, _, _) in enumerate(blocks)}
    return Design(matrix=matrix, names=tuple(names), terms=terms)


def with_moderators(
    effects: Effects, moderators: Sequence[str]
) -> tuple[Effects, tuple[tuple[str, str], ...]]:
    """The studies in which no moderator is empty, and (study, reason) of the others."""
    names = {_covariate(part) for term in moderators for part in term.split(":")}
    left = {
        i: f"the moderator {name!r} is empty"
        for name in sorted(names & set(effects.covariates))
        for i, cell in enumerate(effects.covariates[name])
        if _is_empty(cell)
    }
    kept = effects.take([i for i in range(effects.k) if i not in left])
    return kept, tuple((effects.study[i], left[i]) for i in sorted(left))


def _covariate(part: str) -> str:
    part = part.strip()
    return part[7:-1].strip() if part.startswith("factor(") and part.endswith(")") else part


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _parts(term: str) -> list[str]:
    return [part.strip() for part in term.split(":")]


def _term(
    effects: Effects, term: str, whole: bool, present: set[frozenset[str]]
) -> tuple[list[str], Array, bool]:
    """Names, columns and whether they add up to a constant when all levels are kept."""
    parts = _parts(term)
    if len(parts) == 1:
        return _single(effects, parts[0], whole)
    alone = [frozenset(parts) - {part} not in present for part in parts]
    blocks = [_single(effects, part, keep) for part, keep in zip(parts, alone, strict=True)]
    names, columns, _ = blocks[0]
    for more, others, _ in blocks[1:]:
        names = [f"{a}:{b}" for a in names for b in more]
        columns = np.column_stack(
            [columns[:, i] * others[:, j]
             for i in range(columns.shape[1]) for j in range(others.shape[1])]
        )  # fmt: skip
    factors = all(was_factor for *_, was_factor in blocks)
    if factors and all(alone) and not whole:  # all combinations beside a constant
        names, columns = names[1:], columns[:, 1:]
    return names, columns, factors


def _single(effects: Effects, name: str, whole: bool) -> tuple[list[str], Array, bool]:
    covariate = _covariate(name)
    forced = covariate != name
    if covariate not in effects.covariates:
        raise unknown_name("moderator", covariate, effects.covariates)
    cells = effects.covariates[covariate]
    numbers = _as_numbers(cells)
    for study, cell in zip(effects.study, cells, strict=True):
        if _is_empty(cell):
            raise InputError(
                f"{study}: the moderator {covariate!r} is empty. Fill it in, or leave the study "
                f"out of the regression by name."
            )
        if has_decimal_comma(cell) and not forced:
            raise InputError(
                f"{study}: the moderator {covariate!r} is {cell!r}, which is not a number. Use a "
                f"decimal point, or factor({covariate}) if it is a name."
            )
    if numbers is not None and not forced:
        return [name], np.array(numbers)[:, None], False
    keys: Sequence[Any] = numbers if numbers is not None else [str(c) for c in cells]
    levels = sorted(set(keys))
    shown = levels if whole else levels[1:]
    if not shown:
        raise InputError(
            f"The moderator {covariate!r} is {_label(levels[0])} in every study; "
            f"a factor needs two levels."
        )
    columns = np.array([[float(key == level) for level in shown] for key in keys])
    return [f"{covariate}={_label(level)}" for level in shown], columns, True


def _as_numbers(cells: Sequence[Any]) -> list[float] | None:
    out = []
    for cell in cells:
        try:
            out.append(math.nan if cell is None else float(cell))
        except (TypeError, ValueError):
            return None
    return out


def _label(level: Any) -> str:
    return f"{level:g}" if isinstance(level, float) else str(level)
