"""Non-compartmental analysis: peak, area and half-life from concentrations alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.tables import Column, Table, read_table
from klarsyn.tables.cells import number
from klarsyn.tables.reading import missing_column

RULES = ("linear-up log-down", "linear")
LEAST_TERMINAL = 3
BELOW = re.compile(r"<\s*[\d.,]*|BLQ|BQL|BLOQ|LLOQ|ND", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The non-compartmental answer for one profile.

    Times in the table's unit, areas in concentration x time. `half_life`, `auc_infinite` and what
    follows are None, and `status` says why, when the terminal slope cannot be fitted.
    `extrapolated` is the share of the infinite area that lies beyond the last sample.
    `partial` holds (from, to, area) of each interval asked for; its area is None where it would
    need a terminal slope that there is not, or a concentration before the first sample.
    """

    group: tuple[str, ...]
    samples: int
    cmax: float
    tmax: float
    clast: float
    tlast: float
    auc_last: float
    aumc_last: float
    slope: float | None
    slope_points: int
    slope_r2_adjusted: float | None
    half_life: float | None
    auc_infinite: float | None
    extrapolated: float | None
    mean_residence: float | None
    clearance: float | None
    volume_terminal: float | None
    partial: tuple[tuple[float, float, float | None], ...]
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Profiles of one table, with the rule of integration and the digest of the data."""

    profiles: tuple[Profile, ...]
    groups: tuple[str, ...]
    method: str
    inputs: str

    def summary(self) -> str:
        """One line a profile."""
        lines = []
        for p in self.profiles:
            name = "/".join(p.group) or "all"
            half = "not estimable" if p.half_life is None else f"{p.half_life:.4g}"
            lines.append(
                f"{name}: Cmax {p.cmax:.4g} at {p.tmax:.4g}, AUC {p.auc_last:.4g} to "
                f"{p.tlast:.4g}, half-life {half}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "method": self.method,
            "inputs": self.inputs,
            "groups": list(self.groups),
            "profiles": [asdict(p) for p in self.profiles],
        }


def analyse_profile(
    times: Sequence[float] | np.ndarray,
    concentrations: Sequence[float] | np.ndarray,
    *,
    rule: str = "linear-up log-down",
    dose: float | None = None,
    infusion: float = 0.0,
    partial: Sequence[tuple[float, float]] = (),
    group: tuple[str, ...] = (),
) -> Profile:
    """Analyse one profile.

    Areas by trapezoids, logarithmic on the way down under the default rule. The terminal slope is
    the log-linear fit over the last points, from three up to all after the peak, that has the
    highest adjusted R² (the longer one within 1e-4), as Phoenix and PKNCA do. `dose` gives
    clearance and volume; `infusion` (its length) corrects the mean residence time. `partial` are
    intervals of time; their ends are interpolated by the rule and extrapolated by the slope.

    A zero means below the limit of quantification: before the first level above it, it is a zero;
    between two such levels it is left out; after the last it ends the profile (as PKNCA does).

    Raises InputError for unordered times, negative or fewer than two concentrations.
    """
    if rule not in RULES:
        raise unknown_name("rule of integration", rule, RULES)
    t, c = _checked(times, concentrations, group)
    last = int(np.flatnonzero(c > 0)[-1]) if np.any(c > 0) else 0
    peak = int(np.argmax(c))
    auc, aumc = areas(t[: last + 1], c[: last + 1], rule)
    slope, points, fit = _terminal(t[: last + 1], c[: last + 1], peak)
    answer: dict[str, Any] = {
        "half_life": None,
        "auc_infinite": None,
        "extrapolated": None,
        "mean_residence": None,
        "clearance": None,
        "volume_terminal": None,
    }
    status = "ok"
    if slope is None:
        status = f"fewer than {LEAST_TERMINAL} falling points after the peak: no terminal slope"
    else:
        answer |= _beyond(auc, aumc, float(t[last]), float(c[last]), slope, dose, infusion)
    return Profile(
        group=group,
        samples=len(t),
        cmax=float(c[peak]),
        tmax=float(t[peak]),
        clast=float(c[last]),
        tlast=float(t[last]),
        auc_last=auc,
        aumc_last=aumc,
        slope=slope,
        slope_points=points,
        slope_r2_adjusted=fit,
        partial=tuple(
            (start, end, _partial(t[: last + 1], c[: last + 1], rule, slope, start, end))
            for start, end in partial
        ),
        status=status,
        **answer,
    )


def _beyond(
    auc: float,
    aumc: float,
    tlast: float,
    clast: float,
    slope: float,
    dose: float | None,
    infusion: float,
) -> dict[str, float | None]:
    total = auc + clast / slope
    moment = aumc + clast * tlast / slope + clast / slope**2
    return {
        "half_life": math.log(2) / slope,
        "auc_infinite": total,
        "extrapolated": 1 - auc / total,
        "mean_residence": moment / total - infusion / 2,
        "clearance": None if dose is None else dose / total,
        "volume_terminal": None if dose is None else dose / total / slope,
    }


def _checked(
    times: Any, concentrations: Any, group: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    name = f"{'/'.join(group)}: " if group else ""
    t, c = np.asarray(times, float), np.asarray(concentrations, float)
    kept = np.isfinite(c)
    t, c = t[kept], c[kept]
    quantified = np.flatnonzero(c != 0)
    if len(quantified):
        inside = np.arange(quantified[0], quantified[-1] + 1)
        dropped = np.setdiff1d(inside, quantified)
        t, c = np.delete(t, dropped), np.delete(c, dropped)
    if len(t) < 2:
        raise InputError(f"{name}a profile needs two or more concentrations; it has {len(t)}.")
    if np.any(np.diff(t) <= 0):
        raise InputError(f"{name}times must rise, none given twice within a profile.")
    if np.any(c < 0):
        at = t[np.argmax(c < 0)]
        raise InputError(f"{name}the concentration at {at:g} is negative. Leave it empty or use 0.")
    return t, c


def areas(t: np.ndarray, c: np.ndarray, rule: str = "linear-up log-down") -> tuple[float, float]:
    """Area under the curve and under its first moment, by trapezoids."""
    if len(t) < 2:
        return 0.0, 0.0
    h, a, b = np.diff(t), c[:-1], c[1:]
    flat = h * (a + b) / 2
    flat_moment = h * (t[:-1] * a + t[1:] * b) / 2
    falling = (rule != "linear") & (b < a) & (b > 0)
    with np.errstate(all="ignore"):
        k = np.log(np.where(falling, a / np.where(b > 0, b, 1), np.e)) / h
        log_area = (a - b) / k
        log_moment = (t[:-1] * a - t[1:] * b) / k + (a - b) / k**2
    return (
        float(np.sum(np.where(falling, log_area, flat))),
        float(np.sum(np.where(falling, log_moment, flat_moment))),
    )


def _partial(
    t: np.ndarray, c: np.ndarray, rule: str, slope: float | None, start: float, end: float
) -> float | None:
    if not start < end:
        raise InputError(f"a partial area from {start:g} to {end:g}: the end must lie later.")
    edges = [_level(t, c, rule, slope, at) for at in (start, end)]
    if edges[0] is None or edges[1] is None:
        return None
    beyond = 0.0
    if end > t[-1]:
        first = max(start, float(t[-1]))
        level = edges[0] if start > t[-1] else float(c[-1])
        beyond = 0.0 if slope is None else level * -math.expm1(-slope * (end - first)) / slope
    inside = (t > start) & (t < end)
    times, levels = list(t[inside]), list(c[inside])
    if start <= t[-1]:
        times, levels = [start, *times], [edges[0], *levels]
    if end <= t[-1]:
        times, levels = [*times, end], [*levels, edges[1]]
    return areas(np.array(times), np.array(levels), rule)[0] + beyond


def _level(t: np.ndarray, c: np.ndarray, rule: str, slope: float | None, at: float) -> float | None:
    """The concentration at a time between or after the samples."""
    if at < t[0] or (at > t[-1] and slope is None):
        return None
    if at > t[-1]:
        assert slope is not None
        return float(c[-1]) * math.exp(-slope * (at - float(t[-1])))
    after = min(int(np.searchsorted(t, at, side="right")), len(t) - 1)
    a, b = float(c[after - 1]), float(c[after])
    share = (at - float(t[after - 1])) / float(t[after] - t[after - 1])
    if rule != "linear" and 0 < b < a:
        return a * (b / a) ** share
    return a + (b - a) * share


def _terminal(t: np.ndarray, c: np.ndarray, peak: int) -> tuple[float | None, int, float | None]:
    usable = np.flatnonzero((np.arange(len(t)) > peak) & (c > 0))
    best: tuple[float, int, float] | None = None
    for count in range(LEAST_TERMINAL, len(usable) + 1):
        chosen = usable[-count:]
        slope, fit = _line(t[chosen], np.log(c[chosen]))
        if slope <= 0:
            continue
        if best is None or fit > best[2] - 1e-4:
            best = (slope, count, max(fit, best[2]) if best else fit)
    return (None, 0, None) if best is None else best


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    total = float(dy @ dy)
    r2 = float((dx @ dy) ** 2 / ((dx @ dx) * total)) if total > 0 else 0.0
    return -slope, 1 - (1 - r2) * (len(x) - 1) / (len(x) - 2)


def analyse_table(
    path: str | Path,
    *,
    time: str = "time",
    concentration: str = "concentration",
    by: Sequence[str] = (),
    dose: float | None = None,
    infusion: float = 0.0,
    rule: str = "linear-up log-down",
    partial: Sequence[tuple[float, float]] = (),
) -> Analysis:
    """Analyse every profile of a concentration table.

    A concentration written `<0.5`, `BLQ`, `BQL`, `BLOQ`, `LLOQ` or `ND` is below the limit, read as
    0 (see `analyse_profile`); an empty one is missing. `by` names the columns that separate
    profiles (subject, analyte, ...); without it, those of `subject`, `analyte` and `occasion` that
    the table has.
    """
    columns = [
        Column(name=time, kind="number"),
        Column(name=concentration, kind="either", may_be_empty=True),
    ]
    table = read_table(path, columns)
    levels = _levels(table, concentration)
    names = tuple(by) or tuple(n for n in ("subject", "analyte", "occasion") if n in table)
    for name in names:
        if name not in table:
            raise missing_column(str(path), name, list(table.columns))
    profiles = [
        analyse_profile(t, c, rule=rule, dose=dose, infusion=infusion, partial=partial, group=key)
        for key, (t, c) in _split(table, names, time, levels).items()
    ]
    return Analysis(
        profiles=tuple(profiles),
        groups=names,
        method=rule,
        inputs=digest_of(table.numbers(time), levels),
    )


def _levels(table: Table, concentration: str) -> np.ndarray:
    """The concentrations, 0 below the limit and NaN where nothing is written."""
    found = np.full(table.rows, math.nan)
    for i, (row, cell) in enumerate(zip(table.row_numbers, table[concentration], strict=True)):
        if cell is None:
            continue
        below = BELOW.fullmatch(cell)
        found[i] = 0.0 if below else number(cell, table.path, row, concentration)
    return found


def _split(
    table: Table, names: Sequence[str], time: str, levels: np.ndarray
) -> Mapping[tuple[str, ...], tuple[list[float], list[float]]]:
    found: dict[tuple[str, ...], tuple[list[float], list[float]]] = {}
    keys = zip(*[table[n] for n in names], strict=True) if names else [()] * table.rows
    values = zip(keys, table.numbers(time), levels, strict=True)
    for key, t, c in values:
        times, seen = found.setdefault(tuple(str(k) for k in key), ([], []))
        times.append(float(t))
        seen.append(float(c))
    return found
