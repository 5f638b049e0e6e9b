"""From a regimen to the exposure of many patients: peaks, areas, half-lives, bands over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import unknown_name
from klarsyn.pharmacology.dosing import Given, Regimen
from klarsyn.pharmacology.exposing import expose, subset, with_totals
from klarsyn.pharmacology.kinetics import is_linear
from klarsyn.pharmacology.measures import areas_and_halves
from klarsyn.pharmacology.model import Model
from klarsyn.pharmacology.peaks import Peaks, find_peaks
from klarsyn.pharmacology.population import Individuals, residual_draws
from klarsyn.pharmacology.substance import Form
from klarsyn.provenance import digest_of

CHUNK = 1_000
MOST_CURVES = 1_000
MOST_SHOWN = 300
PERCENTILES = (2.5, 5.0, 25.0, 50.0, 75.0, 95.0, 97.5)
METRICS = ("cmax", "tmax", "auc", "half_life")
FINE, MIDDLE, COARSE, SPARSE = 2.5 / 60, 0.25, 1.0, 4.0
LEAST_TAIL = 72.0
TO_LAST = "areas by trapezoids to the last time"
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the patients were exposed to.

    `metrics[analyte][name]` are arrays (n,): cmax in the analyte's unit, tmax in h since the dose
    before it, auc (all doses; `to_infinity`, else to three days after the last dose) in unit x h,
    half_life (slowest exponential) in h.
    `curves[analyte]` are concentrations (m, T) of the first m patients at `times` (h), from which
    bands are taken.
    """

    model: str
    regimen: str
    form: str
    times: np.ndarray
    units: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, np.ndarray]]
    curves: Mapping[str, np.ndarray]
    subjects: np.ndarray
    weight: np.ndarray
    to_infinity: bool
    notes: tuple[str, ...]
    method: str
    seed: int
    inputs: str

    @property
    def analytes(self) -> tuple[str, ...]:
        """The names of what was measured, those that stayed at zero left out."""
        return tuple(self.metrics)

    def quantiles(
        self, analyte: str, metric: str, percents: Sequence[float] = (5, 50, 95)
    ) -> tuple[float, ...]:
        """Percentiles over the patients; NaN where no patient has a value."""
        values = self._metric(analyte, metric)
        known = values[np.isfinite(values)]
        if not len(known):
            return tuple(math.nan for _ in percents)
        return tuple(float(v) for v in np.percentile(known, percents))

    def cell(self, analyte: str, metric: str) -> str:
        """Median and 5th to 95th percentile as text, or that it is not estimable."""
        low, middle, high = self.quantiles(analyte, metric)
        if not math.isfinite(middle):
            return "not estimable"
        if f"{low:.4g}" == f"{high:.4g}":
            return f"{middle:.4g}"
        return f"{middle:.4g} ({low:.4g} to {high:.4g})"

    def bands(self, analyte: str) -> dict[str, np.ndarray]:
        """Percentile curves over time, by name such as 'p50'."""
        if analyte not in self.curves:
            raise unknown_name("analyte", analyte, self.curves)
        found = np.percentile(self.curves[analyte], PERCENTILES, axis=0)
        return {f"p{p:g}": row for p, row in zip(PERCENTILES, found, strict=True)}

    def _metric(self, analyte: str, metric: str) -> np.ndarray:
        if analyte not in self.metrics:
            raise unknown_name("analyte", analyte, self.metrics)
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
        return self.metrics[analyte][metric]

    def summary(self) -> str:
        """What was given, then one line an analyte: median and 5 to 95 percentiles."""
        lines = [f"{self.form}, {self.regimen} ({self.model}, n {len(self.subjects)})"]
        for analyte in self.analytes:
            words = [f"{metric} {self.cell(analyte, metric)}" for metric in METRICS]
            lines.append(f"{analyte} [{self.units[analyte]}]: {', '.join(words)}")
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: percentiles of every metric and the bands' course."""
        return {
            "model": self.model,
            "form": self.form,
            "regimen": self.regimen,
            "n": len(self.subjects),
            "seed": self.seed,
            "method": self.method,
            "auc_to": "infinity" if self.to_infinity else "three days after the last dose",
            "inputs": self.inputs,
            "notes": list(self.notes),
            "analytes": {a: self._described(a) for a in self.analytes},
        }

    def _described(self, analyte: str) -> dict[str, Any]:
        keys = [f"p{p:g}" for p in PERCENTILES]
        unit = self.units[analyte]
        units = {"cmax": unit, "tmax": "h", "auc": f"{unit} x h", "half_life": "h"}
        found: dict[str, Any] = {"unit": unit}
        for metric in METRICS:
            values = self.quantiles(analyte, metric, PERCENTILES)
            found[metric] = {"unit": units[metric], **dict(zip(keys, values, strict=True))}
        kept = np.unique(np.linspace(0, len(self.times) - 1, MOST_SHOWN).astype(int))
        bands = self.bands(analyte)
        found["course"] = {
            "times_h": self.times[kept].tolist(),
            **{k: bands[k][kept].tolist() for k in ("p5", "p50", "p95")},
        }
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One plain row for each patient and analyte, for a table."""
        return [
            {
                "subject": int(subject),
                "weight_kg": float(self.weight[i]),
                "analyte": analyte,
                "unit": self.units[analyte],
                **{m: float(self.metrics[analyte][m][i]) for m in METRICS},
            }
            for analyte in self.analytes
            for i, subject in enumerate(self.subjects)
        ]

    def plot(self, hours: float = math.inf, analytes: Sequence[str] | None = None) -> Any:
        """Median and bands over the first `hours` of some or all analytes, an Altair chart."""
        from klarsyn.figures.kinetics import concentration_bands

        shown = self.times <= hours
        return concentration_bands(
            times=self.times[shown].tolist(),
            bands={
                a: {k: v[shown].tolist() for k, v in self.bands(a).items()}
                for a in (analytes or self.analytes)
            },
            units=dict(self.units),
            title=f"{self.form}, {self.regimen}",
        )


def simulate(
    individuals: Individuals,
    regimen: Regimen,
    form: str,
    *,
    times: np.ndarray | None = None,
    residual: bool = False,
    notes: Sequence[str] = (),
    taken: np.ndarray | None = None,
    words: str = "",
) -> Exposure:
    """Give every individual the regimen and record the exposure.

    `times` defaults to a grid that follows the doses (2.5 min for the first three hours after
    each, and every end of an input). `residual` adds each analyte's proportional residual error to
    the curves and what is read from them (not to areas and half-lives). `taken`
    (n, administrations) leaves out doses, individual by individual; `words` then say the regimen.

    Raises InputError for a regimen that the model cannot follow.
    """
    model = individuals.model
    given_as = model.substance.form(form)
    plan = regimen.given(float(individuals.weight[0]))
    grid = dose_grid(plan) if times is None else np.asarray(times, float)
    since = _hours_since_dose(plan, grid, taken)
    curves, metrics = _recorded(individuals, regimen, given_as, grid, since, taken, residual)
    units = _units(model)
    present = _present(model, metrics)
    return Exposure(
        model=model.id,
        regimen=words or str(regimen),
        form=given_as.name,
        times=grid,
        units={a: units[a] for a in present},
        metrics={a: metrics[a] for a in present},
        curves={a: curves[a] for a in present},
        subjects=individuals.subjects,
        weight=individuals.weight,
        to_infinity=is_linear(model.system) and len(individuals.occasions) <= 1,
        notes=(*notes, *_notes(individuals, min(len(individuals), MOST_CURVES))),
        method=_method(individuals, residual),
        seed=individuals.seed,
        inputs=digest_of(individuals.inputs, words or str(regimen), form, grid),
    )


def _recorded(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    grid: np.ndarray,
    since: np.ndarray,
    taken: np.ndarray | None,
    residual: bool,
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Curves of the first MOST_CURVES individuals and metrics of all, a chunk at a time."""
    analytes = individuals.model.analytes
    kept = min(len(individuals), MOST_CURVES)
    curves = {a: np.zeros((kept, len(grid))) for a in analytes}
    metrics = {a: {m: np.full(len(individuals), math.nan) for m in METRICS} for a in analytes}
    for begin in range(0, len(individuals), CHUNK):
        chunk = slice(begin, min(begin + CHUNK, len(individuals)))
        part = subset(individuals, chunk)
        mine = None if taken is None else taken[chunk]
        seen = max(0, min(kept - begin, len(part)))
        read = None if residual else find_peaks(part, regimen, form, grid, seen, taken=mine)
        if read is None:
            read = _peaks_of_courses(part, regimen, form, grid, mine, residual)
        areas, halves = areas_and_halves(part, regimen, form, read.curves, grid, mine)
        ago = since if since.ndim == 1 else since[chunk]
        for analyte in analytes:
            curves[analyte][begin : begin + seen] = _not_below(read.curves[analyte][:seen])
            metrics[analyte]["cmax"][chunk] = read.top[analyte]
            metrics[analyte]["tmax"][chunk] = _picked(ago, read.at[analyte])
            metrics[analyte]["auc"][chunk] = areas[analyte]
            metrics[analyte]["half_life"][chunk] = halves[analyte]
    return curves, metrics


def _not_below(curve: np.ndarray) -> np.ndarray:
    """The same courses, zero where a sum of exponentials that is zero came out just below it."""
    nothing = (curve < 0) & (curve > -ROUNDING * np.max(curve, initial=0.0))
    return np.where(nothing, 0.0, curve)


def _peaks_of_courses(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    grid: np.ndarray,
    taken: np.ndarray | None,
    residual: bool,
) -> Peaks:
    """Whole courses of everybody, and their peaks, where the kernel cannot go."""
    found = expose(individuals, regimen, form, grid, taken=taken)
    if residual:
        _add_residual(individuals, found)
    return Peaks(
        top={a: c.max(axis=1) for a, c in found.items()},
        at={a: c.argmax(axis=1) for a, c in found.items()},
        curves=found,
    )


def _present(model: Model, metrics: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """Analytes that are there at all; a total only where it adds two or more of them."""
    there = {a for a in model.analytes if np.any(metrics[a]["cmax"] > 0)}
    single = {t for t, parts in model.totals.items() if len(there.intersection(parts)) < 2}
    return [a for a in model.analytes if a in there - single]


def _hours_since_dose(
    given: Sequence[Given], grid: np.ndarray, taken: np.ndarray | None = None
) -> np.ndarray:
    """Hours since the dose before each time, (T,), or (n, T) where doses are left out."""
    first = [g for g in given if g.portion == 1]
    if taken is None:
        starts = np.unique([g.time for g in first])
        last = np.searchsorted(starts, grid, side="right") - 1
        return grid - starts[np.clip(last, 0, None)]
    since = np.full((len(taken), len(grid)), math.inf)
    for g in first:
        ago = np.where(grid >= g.time, grid - g.time, math.inf)
        had = taken[:, g.occasion - 1] > 0
        since[had] = np.minimum(since[had], ago)
    return np.where(np.isfinite(since), since, math.nan)


def _picked(since: np.ndarray, at: np.ndarray) -> np.ndarray:
    return since[at] if since.ndim == 1 else since[np.arange(len(at)), at]


def _method(individuals: Individuals, residual: bool) -> str:
    how = "exact exponentials"
    if not is_linear(individuals.model.system):
        how = f"integrated, {TO_LAST}, no half-life"
    elif len(individuals.occasions) > 1:
        how = f"exact exponentials, {TO_LAST}"
    error = "with residual error" if residual else "true concentrations"
    return f"{how}; {error}; {individuals.method}"


def _notes(individuals: Individuals, kept: int) -> list[str]:
    model = individuals.model
    notes = [f"Site: {model.site}; {individuals.method}."]
    if kept < len(individuals):
        notes.append(f"Bands are those of the first {kept} patients; the metrics are of all.")
    if len(individuals.occasions) > 1:
        notes.append(
            "Parameters change with each occasion, so areas are trapezoids to the last time, three "
            "days after the last dose."
        )
    return [*notes, *model.notes]


def _add_residual(individuals: Individuals, curves: dict[str, np.ndarray]) -> None:
    for name, output in individuals.model.outputs.items():
        if output.residual:
            z = residual_draws(individuals, name, curves[name].shape[1])
            curves[name] = np.maximum(curves[name] * (1 + output.residual * z), 0.0)
    with_totals(individuals.model, curves)


def _units(model: Model) -> dict[str, str]:
    units = {n: o.unit for n, o in model.outputs.items()}
    return units | {t: units[parts[0]] for t, parts in model.totals.items()}


def dose_grid(given: Sequence[Given], tail: float = LEAST_TAIL) -> np.ndarray:
    """Times (h) that follow the doses: dense after each, then sparse until the next or `tail`."""
    starts = sorted({g.time for g in given})
    ends = [g.time + g.duration for g in given if g.duration]
    offsets = np.concatenate(
        [
            np.arange(0, 3, FINE),
            np.arange(3, 12, MIDDLE),
            np.arange(12, 36, COARSE),
            np.arange(36, max(tail, 36 + SPARSE), SPARSE),
        ]
    )
    begins = [s for i, s in enumerate(starts) if i == 0 or s - starts[i - 1] > 1.0]
    pieces = []
    for i, begin in enumerate(begins):
        until = begins[i + 1] if i + 1 < len(begins) else math.inf
        points = begin + offsets
        pieces.append(points[points < until])
        if math.isfinite(until):
            pieces.append(np.arange(begin + offsets[-1], until, SPARSE))
    pieces.append(np.array([*starts, *ends, begins[-1] + tail]))
    return np.unique(np.round(np.concatenate(pieces), 9))
