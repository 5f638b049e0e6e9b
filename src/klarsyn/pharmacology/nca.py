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
from klarsyn.pharmacology.terminal import LEAST_TERMINAL, Line, cautions_on, terminal_line
from klarsyn.pharmacology.trapezoids import areas, cut_area, level_at, partial_area
from klarsyn.provenance import digest_of
from klarsyn.tables import Column, Table, read_table
from klarsyn.tables.cells import number
from klarsyn.tables.reading import missing_column

RULES = ("linear-up log-down", "linear")
BEYOND = (
    "half_life",
    "auc_infinite",
    "auc_infinite_predicted",
    "aumc_infinite",
    "extrapolated",
    "mean_residence",
    "clearance",
    "volume_terminal",
    "volume_steady",
)
BELOW = re.compile(
    r"<\s*(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|BLQ|BQL|BLOQ|LLOQ|ND", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One dosing interval at steady state, from 0 to `tau`; None where it cannot be had.

    `average` is the area over tau, `fluctuation` (highest - lowest)/average and `swing`
    (highest - lowest)/lowest, both shares of one; `trough` is the level at tau, `clearance` dose
    over area, `mean_residence` that of a single dose, from areas within and beyond the interval.
    `accumulation` is 1/(1 - exp(-slope tau)), what the terminal slope lets one expect.
    """

    tau: float
    auc_tau: float | None = None
    average: float | None = None
    lowest: float | None = None
    trough: float | None = None
    fluctuation: float | None = None
    swing: float | None = None
    accumulation: float | None = None
    mean_residence: float | None = None
    clearance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The non-compartmental answer for one profile.

    Times in the table's unit, areas in concentration x time. `half_life`, `auc_infinite` and what
    follows are None, and `status` says why, when the terminal slope cannot be fitted.
    `extrapolated` is the share of the infinite area that lies beyond the last sample.
    `auc_infinite` goes on from the last level, `auc_infinite_predicted` from the terminal line's
    value at that time. `partial` holds (from, to, area) of each interval asked for; its area is
    None where it would need a terminal slope that there is not, or a concentration before the
    first sample. `cautions` say why a half-life or infinite area that is given should not be
    trusted. `tmax`, `clast` and `tlast` are None where no level is above the limit.
    """

    group: tuple[str, ...]
    samples: int
    cmax: float
    tmax: float | None
    clast: float | None
    tlast: float | None
    auc_last: float
    aumc_last: float
    slope: float | None
    slope_points: int
    slope_r2_adjusted: float | None
    half_life: float | None
    auc_infinite: float | None
    auc_infinite_predicted: float | None
    aumc_infinite: float | None
    extrapolated: float | None
    mean_residence: float | None
    clearance: float | None
    volume_terminal: float | None
    volume_steady: float | None
    partial: tuple[tuple[float, float, float | None], ...]
    interval: Interval | None
    status: str
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


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
            if p.tmax is None or p.tlast is None:
                lines.append(f"{name}: {p.status}")
                continue
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
            "profiles": [p.to_dict() for p in self.profiles],
        }


def analyse_profile(
    times: Sequence[float] | np.ndarray,
    concentrations: Sequence[float] | np.ndarray,
    *,
    rule: str = "linear-up log-down",
    dose: float | None = None,
    infusion: float = 0.0,
    partial: Sequence[tuple[float, float]] = (),
    tau: float | None = None,
    group: tuple[str, ...] = (),
) -> Profile:
    """Analyse one profile.

    Areas by trapezoids, logarithmic on the way down under the default rule. The terminal slope is
    the log-linear fit over the last points, from three up to all after the peak, that has the
    highest adjusted R² (the longer one within 1e-4), as Phoenix and PKNCA do. `dose` gives
    clearance and volume; `infusion` (its length) corrects the mean residence time. `partial` are
    intervals of time; their ends are interpolated by the rule and extrapolated by the slope. `tau`
    is the dosing interval of a profile at steady state that begins with a dose at 0.

    A zero means below the limit of quantification: before the first level above it, it is a zero;
    between two such levels it is left out; after the last it ends the profile (as PKNCA does).

    Areas begin with the first sample: nothing is added before it, and `status` says so.

    Raises InputError for unordered times, negative or fewer than two concentrations, and for a
    dose, tau, infusion or partial interval that cannot be.
    """
    if rule not in RULES:
        raise unknown_name("rule of integration", rule, RULES)
    _check_numbers(dose, infusion, partial, tau)
    t, c = _checked(times, concentrations, group)
    found = bool(np.any(c > 0))
    last = int(np.flatnonzero(c > 0)[-1]) if found else len(c) - 1
    peak = int(np.argmax(c))
    t, c, samples = t[: last + 1], c[: last + 1], len(t)
    with np.errstate(over="ignore"):
        auc, aumc = areas(t, c, rule)
    if not math.isfinite(aumc):
        raise InputError(f"{_named(group)}the area is too large a number. Use larger units.")
    line = terminal_line(t, c, peak)
    beyond = _beyond(auc, aumc, float(t[-1]), float(c[-1]), line, dose, infusion)
    return Profile(
        group=group,
        samples=samples,
        cmax=float(c[peak]),
        tmax=float(t[peak]) if found else None,
        clast=float(c[-1]) if found else None,
        tlast=float(t[-1]) if found else None,
        auc_last=auc,
        aumc_last=aumc,
        slope=line.slope if line else None,
        slope_points=line.points if line else 0,
        slope_r2_adjusted=line.fit if line else None,
        partial=tuple(
            (start, end, partial_area(t, c, rule, line.slope if line else None, start, end))
            for start, end in partial
        ),
        interval=None if tau is None else _interval(t, c, rule, line, tau, dose, infusion),
        status=_status(
            t, c, line, found, infusion, [*partial, *([] if tau is None else [(0.0, tau)])]
        ),
        cautions=cautions_on(line, beyond["extrapolated"], steady=tau is not None),
        **beyond,
    )


def _status(
    t: np.ndarray,
    c: np.ndarray,
    line: Line | None,
    found: bool,
    infusion: float,
    wanted: Sequence[tuple[float, float]],
) -> str:
    if not found:
        return "no level above the limit of quantification"
    said = []
    if t[0] > 0:
        said.append(f"areas begin with the first sample, at {t[0]:g}")
    after = len(t) - 1 - int(np.argmax(c))
    if line is None and after < LEAST_TERMINAL:
        said.append(f"fewer than {LEAST_TERMINAL} falling points after the peak: no terminal slope")
    elif line is None:
        said.append("no line through the last points falls: no terminal slope")
    if line is not None and infusion > t[-1]:
        said.append(
            f"the infusion of {infusion:g} goes on after the last level, at {t[-1]:g}: no mean "
            f"residence"
        )
    for start, end in wanted:
        if start < t[0]:
            said.append(f"no area from {start:g} to {end:g}: it begins before the first sample")
        elif line is None and end > t[-1]:
            said.append(f"no area from {start:g} to {end:g}: it ends after the last level")
    return "; ".join(said) or "ok"


def _check_numbers(
    dose: float | None,
    infusion: float,
    partial: Sequence[tuple[float, float]],
    tau: float | None,
) -> None:
    for name, value in (("dose", dose), ("tau", tau)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"the {name} is {value:g}; it must be a finite number above 0.")
    if not (math.isfinite(infusion) and infusion >= 0):
        raise InputError(
            f"an infusion of length {infusion:g}: use 0 for none, or a length above 0."
        )
    for start, end in partial:
        if not (math.isfinite(start) and math.isfinite(end)):
            raise InputError(f"a partial area from {start:g} to {end:g}: both must be finite.")
        if not start < end:
            raise InputError(f"a partial area from {start:g} to {end:g}: the end must lie later.")


def _beyond(
    auc: float,
    aumc: float,
    tlast: float,
    clast: float,
    line: Line | None,
    dose: float | None,
    infusion: float,
) -> dict[str, float | None]:
    if line is None:
        return dict.fromkeys(BEYOND)
    slope = line.slope
    tail = clast / slope
    total = auc + tail
    moment = aumc + tail * tlast + tail / slope
    residence = moment / total - infusion / 2 if infusion <= tlast else None
    clearance = None if dose is None else dose / total
    predicted = auc + clast * math.exp(line.level - slope * (tlast - line.centre)) / slope
    return dict(
        zip(
            BEYOND,
            (
                math.log(2) / slope,
                total,
                predicted,
                moment,
                tail / total,
                residence,
                clearance,
                None if clearance is None else clearance / slope,
                None if clearance is None or residence is None else clearance * residence,
            ),
            strict=True,
        )
    )


def _interval(
    t: np.ndarray,
    c: np.ndarray,
    rule: str,
    line: Line | None,
    tau: float,
    dose: float | None,
    infusion: float,
) -> Interval:
    slope = line.slope if line else None
    accumulation = None if slope is None else -1 / math.expm1(-slope * tau)
    area = partial_area(t, c, rule, slope, 0.0, tau)
    trough = level_at(t, c, rule, slope, tau)
    if not area or trough is None:
        return Interval(tau=tau, accumulation=accumulation)
    within = c[(t >= 0) & (t <= tau)]
    highest, lowest = max(float(within.max()), trough), min(float(within.min()), trough)
    average = area / tau
    residence = None
    if slope is not None and t[-1] <= tau:
        moment = cut_area(t, c, rule, slope, 0.0, tau)[1]
        residence = (moment + tau * trough / slope) / area - infusion / 2
    return Interval(
        tau=tau,
        auc_tau=area,
        average=average,
        lowest=lowest,
        trough=trough,
        fluctuation=(highest - lowest) / average,
        swing=(highest - lowest) / lowest if lowest > 0 else None,
        accumulation=accumulation,
        mean_residence=residence,
        clearance=None if dose is None else dose / area,
    )


def _named(group: tuple[str, ...]) -> str:
    return f"profile {'/'.join(group)}: " if group else ""


def _checked(
    times: Any, concentrations: Any, group: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    name = _named(group)
    t, c = np.asarray(times, float), np.asarray(concentrations, float)
    if t.shape != c.shape or t.ndim != 1:
        raise InputError(
            f"{name}{t.size} times and {c.size} concentrations; each concentration needs its time."
        )
    if not np.all(np.isfinite(t)) or np.any(np.isinf(c)):
        raise InputError(f"{name}a time or concentration is not finite. Leave such a row out.")
    kept = ~np.isnan(c)
    t, c = t[kept], c[kept]
    quantified = np.flatnonzero(c != 0)
    if len(quantified):
        inside = np.arange(quantified[0], quantified[-1] + 1)
        dropped = np.setdiff1d(inside, quantified)
        t, c = np.delete(t, dropped), np.delete(c, dropped)
    if len(t) < 2:
        raise InputError(f"{name}a profile needs two or more concentrations; it has {len(t)}.")
    if np.any(np.diff(t) <= 0):
        at = int(np.argmax(np.diff(t) <= 0))
        raise InputError(
            f"{name}time {t[at + 1]:g} comes after {t[at]:g}; times must rise, none given twice."
        )
    if np.any(c < 0):
        at = t[np.argmax(c < 0)]
        raise InputError(f"{name}the concentration at {at:g} is negative. Leave it empty or use 0.")
    return t, c


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
    tau: float | None = None,
) -> Analysis:
    """Analyse every profile of a concentration table.

    A concentration written `<0.5`, `BLQ`, `BQL`, `BLOQ`, `LLOQ` or `ND` is below the limit, read as
    0 (see `analyse_profile`); an empty one is missing. `by` names the columns that separate
    profiles (subject, analyte, ...); without it, those of `subject`, `analyte` and `occasion` that
    the table has.
    """
    _check_numbers(dose, infusion, partial, tau)
    if time == concentration:
        raise InputError(f"{path}: the column {time!r} cannot hold both time and concentration.")
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
    profiles = []
    for key, (t, c) in _split(table, names, time, levels).items():
        try:
            profiles.append(
                analyse_profile(
                    t,
                    c,
                    rule=rule,
                    dose=dose,
                    infusion=infusion,
                    partial=partial,
                    tau=tau,
                    group=key,
                )
            )
        except InputError as bad:
            raise InputError(f"{path}: {bad}") from None
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
    for name in names:
        for row, cell in zip(table.row_numbers, table[name], strict=True):
            if cell is None:
                raise InputError(
                    f"{table.path}: row {row}, column {name!r} is empty. It says whose profile the "
                    f"row belongs to."
                )
    keys = zip(*[table[n] for n in names], strict=True) if names else [()] * table.rows
    values = zip(keys, table.numbers(time), levels, strict=True)
    for key, t, c in values:
        times, seen = found.setdefault(tuple(str(k) for k in key), ([], []))
        times.append(float(t))
        seen.append(float(c))
    return found
