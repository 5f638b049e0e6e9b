"""From a regimen to the exposure of many patients: peaks, areas, half-lives, bands over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.pharmacology.dosing import Given, Regimen
from klarsyn.pharmacology.expressions import affine_form
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.model import Input, Model
from klarsyn.pharmacology.population import Individuals, residual_draws
from klarsyn.pharmacology.solvers.linear import NotLinearError
from klarsyn.pharmacology.solvers.many import Entry, solve_many
from klarsyn.pharmacology.substance import Form
from klarsyn.pharmacology.system import Change, System, affine_system, read_outputs
from klarsyn.provenance import digest_of

CHUNK = 250
MOST_CURVES = 1_000
MOST_SHOWN = 300
PERCENTILES = (2.5, 5.0, 25.0, 50.0, 75.0, 95.0, 97.5)
METRICS = ("cmax", "tmax", "auc", "half_life")
FINE, MIDDLE, COARSE, SPARSE = 2.5 / 60, 0.25, 1.0, 4.0
LEAST_TAIL = 72.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the patients were exposed to.

    `metrics[analyte][name]` are arrays (n,): cmax in the analyte's unit, tmax in h since the dose
    before it, auc (all doses, to infinity) in unit x h, half_life (slowest exponential) in h.
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
        if low == high:
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
    units = _units(model)
    kept = min(len(individuals), MOST_CURVES)
    curves = {a: np.zeros((kept, len(grid))) for a in model.analytes}
    metrics = {a: {m: np.full(len(individuals), math.nan) for m in METRICS} for a in model.analytes}
    for begin in range(0, len(individuals), CHUNK):
        chunk = slice(begin, min(begin + CHUNK, len(individuals)))
        part = subset(individuals, chunk)
        mine = None if taken is None else taken[chunk]
        found = expose(part, regimen, given_as, grid, taken=mine)
        if residual:
            _add_residual(part, found)
        areas, halves = _areas_and_halves(part, regimen, given_as, found, grid, mine)
        for analyte in model.analytes:
            values = found[analyte]
            curves[analyte][begin : min(chunk.stop, kept)] = values[: max(0, kept - begin)]
            metrics[analyte]["cmax"][chunk] = values.max(axis=1)
            ago = since if since.ndim == 1 else since[chunk]
            metrics[analyte]["tmax"][chunk] = _picked(ago, values.argmax(axis=1))
            metrics[analyte]["auc"][chunk] = areas[analyte]
            metrics[analyte]["half_life"][chunk] = halves[analyte]
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
        notes=(*notes, *_notes(individuals, kept)),
        method=_method(individuals, residual),
        seed=individuals.seed,
        inputs=digest_of(individuals.inputs, words or str(regimen), form, grid),
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
        how = "integrated, areas by trapezoids to the last time, no half-life"
    elif individuals.occasions:
        how = "exact exponentials, areas by trapezoids to the last time"
    error = "with residual error" if residual else "true concentrations"
    return f"{how}; {error}; {individuals.method}"


def _notes(individuals: Individuals, kept: int) -> list[str]:
    model = individuals.model
    notes = [f"Site: {model.site}. {individuals.method}."]
    if kept < len(individuals):
        notes.append(f"Bands are those of the first {kept} patients; the metrics are of all.")
    return [*notes, *model.notes]


def subset(individuals: Individuals, chosen: slice | np.ndarray) -> Individuals:
    """Some of the individuals, with the values that they have among all."""

    def cut(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v[chosen] if np.ndim(v) else v for k, v in values.items()}

    return Individuals(
        model=individuals.model,
        subjects=individuals.subjects[chosen],
        weight=individuals.weight[chosen],
        covariates=cut(individuals.covariates),
        values=cut(individuals.values),
        occasions=tuple(cut(o) for o in individuals.occasions),
        seed=individuals.seed,
        method=individuals.method,
    )


def expose(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    times: np.ndarray,
    *,
    taken: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Concentrations (n, T) by analyte, totals included, at ascending `times` (h).

    `taken` (n, administrations) is the share of each dose that an individual is given, 1 without.
    Raises InputError for `taken` with a nonlinear model.
    """
    try:
        states, stretches = _states(individuals, regimen, form, times, taken)
    except NotLinearError:
        if taken is not None:
            raise InputError(
                f"{individuals.model.id} is not linear, so doses cannot be chosen one by one. "
                f"Take a linear model, or a regimen without a rule."
            ) from None
        return _one_by_one(individuals, regimen, form, times)
    outputs = read_outputs(stretches[0][1], times, states)
    for start, system in stretches[1:]:
        after = times >= start
        for name, values in read_outputs(system, times[after], states[:, after]).items():
            outputs[name][:, after] = values
    return _with_totals(individuals.model, outputs)


def _with_totals(model: Model, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for total, summands in model.totals.items():
        outputs[total] = np.sum([outputs[n] for n in summands], axis=0)
    return outputs


def _plan(regimen: Regimen, weight: np.ndarray) -> list[tuple[Given, np.ndarray]]:
    """Each portion for one kilogram, and by what each individual's differs: mg are a + b kg."""
    for_one, for_two = regimen.given(1.0), regimen.given(2.0)
    return [
        (one, 1 + (weight - 1) * (two.milligrams - one.milligrams) / one.milligrams)
        for one, two in zip(for_one, for_two, strict=True)
    ]


def _inputs(
    individuals: Individuals, regimen: Regimen, form: Form, taken: np.ndarray | None = None
) -> list[Input]:
    found: list[Input] = []
    for dose, whole in _plan(regimen, individuals.weight):
        factor = whole if taken is None else whole * taken[:, dose.occasion - 1]
        values = individuals.at(dose.occasion)
        for entry in individuals.model.inputs([dose], form, values):
            found.append(
                Input(
                    compartment=entry.compartment,
                    time=entry.time,
                    amount=entry.amount * factor,
                    duration=entry.duration,
                    occasion=entry.occasion,
                )
            )
    return found


def _stretches(individuals: Individuals, regimen: Regimen) -> list[tuple[float, System]]:
    model = individuals.model
    if not individuals.occasions:
        return [(0.0, model.with_values(individuals.values))]
    starts: dict[int, float] = {}
    for dose in regimen.given(1.0):
        starts.setdefault(dose.occasion, dose.time)
    return [(at, model.with_values(individuals.at(k))) for k, at in sorted(starts.items())]


def _states(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    times: np.ndarray,
    taken: np.ndarray | None = None,
) -> tuple[np.ndarray, list[tuple[float, System]]]:
    stretches = _stretches(individuals, regimen)
    n, system = len(individuals), stretches[0][1]

    def whole(value: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), (n,)).copy()

    entries = [
        Entry(
            compartment=system.compartments.index(i.compartment),
            time=whole(i.time),
            amount=whole(i.amount),
            duration=whole(i.duration),
        )
        for i in _inputs(individuals, regimen, form, taken)
    ]
    return solve_many(stretches, entries, times, n), stretches


def _one_by_one(
    individuals: Individuals, regimen: Regimen, form: Form, times: np.ndarray
) -> dict[str, np.ndarray]:
    """A nonlinear model: each individual is integrated by itself."""
    model = individuals.model
    found = {a: np.zeros((len(individuals), len(times))) for a in model.outputs}
    for i in range(len(individuals)):
        one = subset(individuals, np.array([i]))
        plan = regimen.given(float(one.weight[0]))
        stretches = [
            (at, {k: float(np.ravel(v)[0]) for k, v in system.parameters.items()})
            for at, system in _stretches(one, regimen)
        ]
        doses = [
            d
            for g in plan
            for d in model.doses(
                [g], form, {k: float(np.ravel(v)[0]) for k, v in one.at(g.occasion).items()}
            )
        ]
        changes = [Change(time=at, parameters=values) for at, values in stretches[1:]]
        course = solve(model.with_values(stretches[0][1]), doses, times, changes=changes)
        for name, values in course.outputs.items():
            found[name][i] = values
    return _with_totals(model, found)


def _areas_and_halves(
    individuals: Individuals,
    regimen: Regimen,
    form: Form,
    curves: Mapping[str, np.ndarray],
    times: np.ndarray,
    taken: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Area to infinity and the slowest half-life, exact for a linear model."""
    stretches = _stretches(individuals, regimen)
    system = stretches[-1][1]
    found = affine_system(system)
    n = len(individuals)
    nothing = {a: np.full(n, math.nan) for a in individuals.model.analytes}
    if found is None:
        return {a: _trapezoids(times, c) for a, c in curves.items()}, nothing
    matrix = np.broadcast_to(found[0], (n, *found[0].shape[-2:]))
    total = np.zeros((n, matrix.shape[-1]))
    for entry in _inputs(individuals, regimen, form, taken):
        total[:, system.compartments.index(entry.compartment)] += entry.amount
    if len(stretches) > 1:
        areas = {a: _trapezoids(times, c) for a, c in curves.items()}
    else:
        areas = _exact_areas(individuals.model, system, matrix, total, n)
    return areas, _halves(individuals.model, system, matrix, total > 0, n)


def _trapezoids(times: np.ndarray, curve: np.ndarray) -> np.ndarray:
    return np.trapezoid(curve, times, axis=1)


def _exact_areas(
    model: Model, system: System, matrix: np.ndarray, total: np.ndarray, n: int
) -> dict[str, np.ndarray]:
    """An amount's area is minus the inverse rate matrix times all that is put in."""
    try:
        whole = np.linalg.solve(-matrix, total[..., None])[..., 0]
    except np.linalg.LinAlgError:
        raise NumericalError(
            "degenerate", "A compartment of the model is never emptied, so areas are infinite."
        ) from None
    areas = {}
    for name in model.outputs:
        form = affine_form(system.outputs[name], system.compartments, system.parameters)
        areas[name] = np.full(n, math.nan)
        if form is not None:
            parts = [
                coefficient * whole[:, system.compartments.index(c)]
                for c, coefficient in form.coefficients.items()
            ]
            areas[name] = np.sum(parts, axis=0) if parts else np.zeros(n)
    return _with_totals(model, areas)


def _halves(
    model: Model, system: System, matrix: np.ndarray, put: np.ndarray, n: int
) -> dict[str, np.ndarray]:
    """ln 2 over the slowest rate among what feeds each output from a dosed compartment."""
    linked = np.any(matrix != 0, axis=0)
    forward = _closure(linked, np.asarray(put.any(axis=0)))
    found: dict[str, np.ndarray] = {}
    for name in model.outputs:
        form = affine_form(system.outputs[name], system.compartments, system.parameters)
        found[name] = np.full(n, math.nan)
        if form is None:
            continue
        target = np.zeros(len(system.compartments), bool)
        target[[system.compartments.index(c) for c in form.coefficients]] = True
        chosen = np.flatnonzero(_closure(linked.T, target) & forward)
        if len(chosen) and (target & forward).any():
            values = np.linalg.eigvals(matrix[:, chosen][:, :, chosen]).real
            slowest = np.max(values, axis=1)
            with np.errstate(divide="ignore"):
                found[name] = np.where(slowest < 0, math.log(2) / -slowest, math.inf)
    for total, summands in model.totals.items():
        parts = [np.where(np.isnan(found[s]), -math.inf, found[s]) for s in summands]
        best = np.max(parts, axis=0)
        found[total] = np.where(np.isfinite(best), best, math.nan)
    return found


def _closure(linked: np.ndarray, start: np.ndarray) -> np.ndarray:
    reached = start.copy()
    for _ in range(len(start)):
        reached |= linked[:, reached].any(axis=1)
    return reached


def _add_residual(individuals: Individuals, curves: dict[str, np.ndarray]) -> None:
    for name, output in individuals.model.outputs.items():
        if output.residual:
            z = residual_draws(individuals, name, curves[name].shape[1])
            curves[name] = np.maximum(curves[name] * (1 + output.residual * z), 0.0)
    _with_totals(individuals.model, curves)


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
