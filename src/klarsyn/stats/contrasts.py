"""What trials report becomes an effect and its sampling variance, measure by measure.

Argument names are those of the meta-analysis literature's common tables: `ai bi ci di` are the
cells of a 2×2 table (events and non-events, first group then second; or `n1i`, `n2i` instead of
`bi`, `di`), in matched pairs (MPRD …) the pairs with both events, the first's, the second's, none;
`x1i t1i x2i t2i` events and person-time, `m1i sd1i n1i …` means, `xi ni` events of one group, `ri`
a correlation, `ti ni mi r2i` a slope's t statistic, the patients, the predictors and R² of its
regression, `ai mi ni` Cronbach's alpha, its items and the patients. Effects as published are `yi`
with `vi` or `sei`, or `est` with its 95 % limits `lower` and `upper` (for HR on the ratio scale).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.effect_formulas import FORMULAS
from klarsyn.stats.estimate import Z_95
from klarsyn.stats.measures import MEASURES, Measure

Array = np.ndarray
Cells = Mapping[str, Array]
DROPPED = "dropped as asked: no event, or nothing but events, in either group"
CORRECTIONS = ("only0", "all", "if0all", "none")
VARIANCES = ("LS", "LS2", "UB", "AV", "HO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """Effects `y` and sampling variances `v`, one a study, in the order of the input.

    `corrected` marks studies whose cells got the continuity correction; `problem` is empty or says
    why a study has no usable effect (its y and v are then NaN). `fewest` is the smaller number of
    events of the two groups, before any correction; NaN where the measure has no two counts.
    """

    measure: str
    scale: str
    y: Array
    v: Array
    corrected: Array
    problem: tuple[str, ...]
    method: str
    fewest: Array


_ALIASES = ("n1i", "n2i", "mi", "sei", "est", "lower", "upper")
ROLES = tuple(dict.fromkeys([*(r for m in MEASURES.values() for r in m.needs), *_ALIASES]))
# Measures whose variance is defined for a zero cell, so that none is corrected unless asked.
_NO_CORRECTION = frozenset({"AS", "PHI", "IRSD", "PAS", "PFT", "IRS", "IRFT"})


def contrasts(
    measure: str,
    cells: Mapping[str, Any],
    *,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    variance: str = "LS",
    labels: Sequence[str] = (),
) -> Contrasts:
    """Effects and sampling variances of one measure.

    `add` is put on every cell of a study with a zero cell (`to="only0"`), of all studies
    (`"all"`), of all as soon as one has a zero (`"if0all"`), or of none; left out, it is 1/2 for
    measures that a zero makes infinite and 0 for the others. `drop00` gives studies without any
    event, or with nothing but events, no effect. `variance` is `LS` (large sample), `LS2`, `UB`
    (unbiased), `AV` (average effect in place of each study's own) or `HO` (equal variances), as
    far as the measure has it. `labels` name the studies in errors (else 1, 2, …).

    Raises UnknownNameError for names outside the lists, InputError for impossible cells.
    """
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    if to not in CORRECTIONS:
        raise unknown_name("correction rule", to, CORRECTIONS)
    kind = MEASURES[measure]
    if variance not in kind.variances:
        raise unknown_name(f"variance of {measure}", variance, kind.variances)
    amount = (0.0 if measure in _NO_CORRECTION else 0.5) if add is None else float(add)
    if not 0 <= amount < np.inf:
        raise InputError(f"The continuity correction `add` is 0 or more; {amount:g} is not.")
    columns = complete(measure, cells, labels)
    check_cells(kind, columns, labels)
    size = len(next(iter(columns.values())))
    corrected = np.zeros(size, dtype=bool)
    dropped = empty_studies(kind, columns) if drop00 else np.zeros(size, dtype=bool)
    fewest = np.full(size, np.nan) if kind.kind == "matched" else _fewest(columns, size)
    if kind.kind in _COUNTS:
        columns, corrected = _corrected(kind, columns, amount, to)
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = FORMULAS[kind.kind](measure, columns, variance)
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    problem = tuple(
        DROPPED if gone else _problem(kind, *pair)
        for gone, *pair in zip(dropped, y, v, strict=True)
    )
    bad = np.array([bool(p) for p in problem])
    return Contrasts(
        measure=measure,
        scale=kind.scale,
        y=np.where(bad, np.nan, y),
        v=np.where(bad, np.nan, v),
        corrected=corrected,
        problem=problem,
        method=f"{measure}, variance {variance}, add {amount:g} to {to}"
        + (", trials without any event dropped" if drop00 else ""),
        fewest=fewest,
    )


def _fewest(columns: Cells, size: int) -> Array:
    for first, second in (("ai", "ci"), ("x1i", "x2i")):
        if first in columns and second in columns:
            return np.minimum(columns[first], columns[second])
    return np.full(size, np.nan)


def complete(
    measure: str, cells: Mapping[str, Any], labels: Sequence[str] = ()
) -> dict[str, Array]:
    """The columns that the measure needs, with group sizes turned into non-events."""
    kind = MEASURES[measure]
    given = {name: np.asarray(column, dtype=float) for name, column in cells.items()}
    if kind.kind == "table":
        for events, others, size in (("ai", "bi", "n1i"), ("ci", "di", "n2i")):
            if others not in given and {events, size} <= set(given):
                given[others] = given[size] - given[events]
    if kind.kind == "proportion" and "ni" not in given and {"xi", "mi"} <= set(given):
        given["ni"] = given["xi"] + given["mi"]
    if kind.kind == "generic":
        _check_limits(given, labels, log=kind.scale == "log")
        given = _from_limits(given, log=kind.scale == "log")
    missing = [name for name in kind.needs if name not in given]
    if missing:
        raise InputError(
            f"{measure} needs {', '.join(kind.needs)}; missing: {', '.join(missing)}. "
            f"Say which column holds each."
        )
    columns = {name: given[name] for name in kind.needs}
    sizes = {len(c) for c in columns.values()}
    if len(sizes) != 1:
        raise InputError(f"The columns of {measure} have different lengths: {sorted(sizes)}.")
    return columns


def _check_limits(given: Cells, labels: Sequence[str], *, log: bool) -> None:
    """Raise InputError for limits in the wrong order or ratios that are not above 0."""
    checks = [(n, given[n] <= 0, "is not above 0, as a ratio must be")
              for n in ("est", "lower", "upper") if log and n in given]  # fmt: skip
    if {"lower", "upper"} <= set(given):
        checks.append(("lower", given["lower"] >= given["upper"], "is not below the upper limit"))
        if "est" in given:
            outside = (given["est"] < given["lower"]) | (given["est"] > given["upper"])
            checks.append(("est", outside, "does not lie between its limits"))
    _refuse(checks, given, labels)


def _from_limits(given: dict[str, Array], *, log: bool) -> dict[str, Array]:
    """Effect and variance from `sei`, or from an estimate with its 95 % limits (ratios: logs)."""
    out = dict(given)
    shown = np.log if log else np.asarray
    with np.errstate(divide="ignore", invalid="ignore"):
        if "yi" not in out and "est" in out:
            out["yi"] = shown(out["est"])
        if "vi" not in out and "sei" in out:
            out["vi"] = out["sei"] ** 2
        if "vi" not in out and {"lower", "upper"} <= set(out):
            width = shown(out["upper"]) - shown(out["lower"])
            out["vi"] = (width / (2 * Z_95)) ** 2
    return out


def check_cells(kind: Measure, columns: Cells, labels: Sequence[str] = ()) -> None:
    """Raise InputError for a missing, negative or otherwise impossible cell, with its study."""
    checks = []
    for name, column in columns.items():
        checks.append((name, ~np.isfinite(column), "is missing or not finite"))
        signed = (kind.kind, name) in {("alpha", "ai"), ("partial", "ti")}
        if not signed and (name[0] in "abcdnxt" or name.startswith("sd")):
            checks.append((name, column < 0, "is negative"))
        if not signed and name.startswith(("n", "t")):
            checks.append((name, column == 0, "is zero; a group needs a size"))
        if name == "ri":
            checks.append((name, np.abs(column) > 1, "is no correlation (−1 to 1)"))
        if name == "vi":
            checks.append((name, column < 0, "is a negative variance"))
    if kind.kind == "proportion":
        checks.append(("xi", columns["xi"] > columns["ni"], "exceeds the group's size"))
    checks += _checks_of_slopes_and_scales(kind, columns)
    if kind.kind == "table":
        for one, two in (("ai", "bi"), ("ci", "di")):
            empty = (columns[one] == 0) & (columns[two] == 0)
            checks.append((two, empty, f"and {one} is 0 too; a group needs a size"))
    _refuse(checks, columns, labels)


def _checks_of_slopes_and_scales(kind: Measure, columns: Cells) -> list[tuple[str, Array, str]]:
    checks = []
    if kind.kind == "alpha":
        checks.append(("ai", columns["ai"] > 1, "is no alpha (at most 1)"))
        checks.append(("mi", columns["mi"] < 2, "is not two items or more"))
    if kind.kind == "partial":
        room = columns["ni"] - columns["mi"] - 1
        checks.append(("mi", columns["mi"] < 0, "is a negative number of predictors"))
        checks.append(("mi", room <= 0, "leaves no degrees of freedom (ni − mi − 1)"))
    if "r2i" in columns:
        outside = (columns["r2i"] < 0) | (columns["r2i"] > 1)
        checks.append(("r2i", outside, "is no share of variance (0 to 1)"))
    return checks


def _refuse(
    checks: Sequence[tuple[str, Array, str]], columns: Cells, labels: Sequence[str]
) -> None:
    for name, bad, why in checks:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            below = name in {"bi", "di"} and columns[name][row] < 0
            end = "; do the events exceed the group's size?" if below else "."
            raise InputError(
                f"{labels[row] if labels else f'Study {row + 1}'}: {name} = "
                f"{columns[name][row]:g} {why}{end} Correct it or leave the study out."
            )


def _problem(kind: Measure, y: float, v: float) -> str:
    if not np.isfinite(y):
        return f"the effect is not estimable ({_WAYS[kind.kind][0]})"
    if not np.isfinite(v):
        return "the sampling variance is not estimable"
    if v <= 0:
        return "the sampling variance is zero"
    return ""


# What makes an effect of this kind not estimable, and what can be estimated instead.
_WAYS = {
    "table": ("a zero cell", "use the arcsine difference (AS), a Mantel–Haenszel or an exact "
              "method (`klarsyn rare`)"),
    "matched": ("a zero cell", "use the risk difference (MPRD) or a continuity correction"),
    "rates": ("a group without events", "use the difference of root rates (IRSD), a "
              "Mantel–Haenszel or a Poisson model (`klarsyn rare --rates`)"),
    "means": ("a mean at or below 0 has no logarithm, a standard deviation of 0 no ratio, two "
              "patients no standardised difference", "use the mean difference (MD)"),
    "pairs": ("a mean at or below 0 has no logarithm, a standard deviation of 0 no ratio, two "
              "patients no standardised change", "use the mean change (MC)"),
    "proportion": ("no events, or nothing but events", "use an arcsine (PAS, PFT) or the binomial "
                   "model (`pool_proportions`)"),
    "rate": ("no events", "use the root rate (IRS, IRFT) or the Poisson model "
             "(`pool_single_rates`)"),
    "mean": ("a mean at or below 0 or a standard deviation of 0 has no logarithm",
             "use the mean (MN)"),
    "correlation": ("a correlation of −1 or 1, or too few patients", "use COR"),
    "partial": ("a correlation of −1 or 1", "use PCOR"),
    "alpha": ("an alpha of 1", "use ARAW"),
    "generic": ("no effect or no variance is given", ""),
}  # fmt: skip


def way_out(measure: str) -> str:
    """What to do where this measure has no effect: a method that its data allow, or nothing."""
    advice = _WAYS[MEASURES[measure].kind if measure in MEASURES else "generic"][1]
    return "" if measure in re.findall(r"[A-Z]+", advice) else advice


_COUNTS = {
    "table": ("ai", "bi", "ci", "di"),
    "matched": ("ai", "bi", "ci", "di"),
    "rates": ("x1i", "x2i"),
    "proportion": ("xi", "mi"),
    "rate": ("xi",),
}


def _corrected(
    kind: Measure, columns: Cells, add: float, to: str
) -> tuple[dict[str, Array], Array]:
    out = dict(columns)
    if kind.kind == "proportion":
        out["mi"] = out["ni"] - out["xi"]
    names = _COUNTS[kind.kind]
    counts = np.array([out[n] for n in names])
    zero = (counts == 0).any(axis=0)
    where = {
        "only0": zero,
        "all": np.ones_like(zero),
        "if0all": np.full_like(zero, zero.any()),
        "none": np.zeros_like(zero),
    }[to]
    counts = counts + add * where
    out.update(zip(names, counts, strict=True))
    if kind.kind == "proportion":
        out["ni"] = out["xi"] + out["mi"]
    return out, where & (add != 0)


def empty_studies(kind: Measure, columns: Cells) -> Array:
    """Which studies have no event in either group, or nothing but events (2×2 tables only)."""
    if kind.kind == "rates":
        return (columns["x1i"] == 0) & (columns["x2i"] == 0)
    if kind.kind not in {"table", "matched"}:
        return np.zeros(len(next(iter(columns.values()))), dtype=bool)
    a, b, c, d = (columns[n] for n in ("ai", "bi", "ci", "di"))
    return ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))
