"""Every patient in every parameter set: occupancy, score, relapse and side effects of a regimen.

Patients differ in their kinetics; parameter sets differ in everything that the listed experiments
leave open. Both are simulated in full and shown apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.effects import UNITS, direct_courses, dissociation, notes_on
from klarsyn.pharmacology.ensemble import Band, Ensemble, band, draw_sets
from klarsyn.pharmacology.exposing import expose, subset
from klarsyn.pharmacology.follow import UNBOUND
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.receptor import effect_site, occupancy
from klarsyn.pharmacology.response import (
    logit,
    placebo_course,
    relapse_hazard,
    score,
    survival,
)
from klarsyn.pharmacology.runs import Study, course_grid, drive_weights
from klarsyn.pharmacology.spread import PERCENTILES, Spread, spread
from klarsyn.provenance import digest_of, uniforms

BLOCK = 40
ACUTE_HOURS = 8.0
OCCUPIED_HOURS = 24.0
SETTLED = 24.0  # h after the last dose from which relapse counts, as in the file's own runs
AFTER = (2 / 3, 2.0, 4.0, 8.0, 24.0)
DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """What a regimen does in patients x parameter sets.

    `courses` by name are spreads over hours from the first dose: occupancy, score, placebo,
    below_placebo, surviving (hours from the last dose), and the acute effects; `peaks` are
    dissociation at its peak by number of the dose. `told` are the differences from placebo with
    their verdicts. `scores` (n, m, T) and `felt` (n, m), the peak of dissociation, let two
    regimens be compared patient by patient; `given` (n, m, D) says which doses were given.
    """

    label: str
    form: str
    regimen: str
    model: str
    measure: str
    times: np.ndarray
    courses: Mapping[str, Spread]
    peaks: Spread | None
    told: tuple[Band, ...]
    doses: Spread | None
    given: np.ndarray
    scores: np.ndarray
    placebo: np.ndarray
    felt: np.ndarray
    occupied: np.ndarray
    subjects: np.ndarray
    sets: np.ndarray
    unstable: int
    driven: bool
    notes: tuple[str, ...]
    method: str
    seed: int
    inputs: str

    def own(self) -> np.ndarray:
        """The set that each patient is paired with where one course a patient is needed (n,)."""
        u = uniforms(self.seed, "own parameter set", self.subjects)[:, 0]
        return (u * self.scores.shape[1]).astype(int)

    def summary(self) -> str:
        """Occupancy and side effects at their peak, then what is told about the score."""
        lines = [
            f"{len(self.subjects)} patients x {self.scores.shape[1]} parameter sets "
            f"({self.model}); sets: what the data leave open in the median patient; patients: how "
            f"they differ in the middle set"
        ]
        for name, s in self.courses.items():
            if name in ("score", "placebo", "below_placebo", "surviving"):
                continue
            lines.append(f"{name.replace('_', ' ')} at its peak, {s.unit}: {_peak(s)}")
        lines += [b.summary() for b in self.told]
        if "surviving" in self.courses:
            s = self.courses["surviving"]
            lines.append(
                f"not relapsed {s.times[-1] / DAY:.0f} days after the last dose: {_last(s)}"
            )
        if self.doses is not None:
            lines.append(f"doses given: {_last(self.doses)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: both spreads of every course, and the verdicts."""
        return {
            "model": self.model,
            "form": self.form,
            "regimen": self.regimen,
            "measure": self.measure,
            "patients": len(self.subjects),
            "parameter_sets": int(self.scores.shape[1]),
            "unstable_sets": self.unstable,
            "courses": {k: v.to_dict() for k, v in self.courses.items()},
            "dissociation_by_dose": None if self.peaks is None else self.peaks.to_dict(),
            "doses_given": None if self.doses is None else self.doses.to_dict(),
            "told": [b.to_dict() for b in self.told],
            "notes": list(self.notes),
            "method": self.method,
            "seed": self.seed,
            "inputs": self.inputs,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a quantity, time and kind of spread, for a table."""
        return [row for name, s in self.courses.items() for row in s.rows(name)]


def _peak(s: Spread) -> str:
    at = int(np.argmax(np.abs(s.sets["p50"])))
    return _at(s, at)


def _last(s: Spread) -> str:
    return _at(s, -1)


def _at(s: Spread, at: int) -> str:
    o, p = s.sets, s.patients
    return (
        f"{o['p50'][at]:.3g}; sets {o['p5'][at]:.3g} to {o['p95'][at]:.3g}, "
        f"patients {p['p5'][at]:.3g} to {p['p95'][at]:.3g}"
    )


def cross(
    people: Individuals,
    study: Study,
    ensemble: Ensemble,
    *,
    regimen: Regimen,
    form: str,
    effects: str | Constants,
    days: float,
    label: str = "",
    agreement: float = 0.95,
) -> Crossed:
    """Follow every patient in every accepted set until `days` after the last dose.

    `people` are drawn for the regimen's `unconditional()` occasions, with what the sets already
    vary (the level of a metabolite) fixed. Rules of the regimen ask the score of the study's own
    measure, patient by patient and set by set.

    Raises InputError for a rule on another measure, NumericalError when no set is stable.
    """
    if not days > 0:
        raise InputError(f"{days:g} days cannot be followed. Give a number above 0.")
    measure = str(study.data.get("measure", "score"))
    for rule in regimen.rules:
        if rule.measure.casefold() != measure.casefold():
            raise InputError(
                f"the regimen asks for {rule.measure}, but {study.id} simulates {measure}. "
                f"Write the rule with {measure}."
            )
    plan = _Plan.of(regimen, days)
    run = _Run(people, study, ensemble, plan, form, effects)
    parts = [
        run.block(subset(people, np.arange(i, min(i + BLOCK, len(people)))))
        for i in range(0, len(people), BLOCK)
    ]
    whole = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    stable = np.isfinite(whole["scores"]).all(axis=(0, 2))
    if not stable.any():
        raise NumericalError("not_estimable", "no parameter set has an equilibrium in everybody.")
    for name in ("scores", "surviving", "given"):
        if name in whole:
            whole[name] = whole[name][:, stable]
    placebo = run.placebo[stable]
    gap = placebo[None] - whole["scores"]
    return Crossed(
        label=label or f"{form}, {regimen}",
        form=form,
        regimen=str(regimen),
        model=people.model.id,
        measure=measure,
        times=plan.shown,
        courses=_courses(run, whole, placebo, gap, measure),
        peaks=spread(whole["peaks"], np.arange(1, whole["peaks"].shape[2] + 1), _felt_unit())
        if not plan.driven
        else None,
        told=_told(plan, gap, measure, agreement),
        doses=_doses(plan, whole["given"]) if plan.driven else None,
        given=whole["given"],
        scores=whole["scores"],
        placebo=placebo,
        felt=whole["peaks"].max(axis=2),
        occupied=whole["occupancy"].max(axis=2),
        subjects=people.subjects,
        sets=ensemble.index[stable],
        unstable=int((~stable).sum()),
        driven=plan.driven,
        notes=_notes(people, plan, run.warnings, int((~stable).sum())),
        method=f"{ensemble.method}; patients: {people.method}",
        seed=people.seed,
        inputs=digest_of(
            people.inputs, ensemble.digest, str(regimen), form, plan.times, run.constants.to_rows()
        ),
    )


def _felt_unit() -> str:
    return UNITS["dissociation"]


def _courses(
    run: _Run,
    whole: Mapping[str, np.ndarray],
    placebo: np.ndarray,
    gap: np.ndarray,
    measure: str,
) -> dict[str, Spread]:
    plan = run.plan
    points = f"{measure} points"
    found = {
        "occupancy": spread(whole["occupancy"], plan.occupied, "share of channels"),
        "score": spread(whole["scores"], plan.shown, points),
        "placebo": spread(placebo[None], plan.shown, points),
        "below_placebo": spread(gap, plan.shown, points),
    }
    if "surviving" in whole:
        found["surviving"] = spread(
            whole["surviving"], plan.shown[plan.settled :] - plan.last, "share of responders"
        )
    for name, unit in UNITS.items():
        found[name] = spread(whole[name], plan.acute, unit)
    return found


def _told(plan: _Plan, gap: np.ndarray, measure: str, agreement: float) -> tuple[Band, ...]:
    """Points below placebo, the mean of the patients in each set, with the sets' verdict."""
    end = plan.shown[-1] + 1e-9
    wanted = [("1 day after the first dose", DAY)]
    if plan.driven:
        wanted += [(f"{d:g} days after the first dose", d * DAY) for d in (7.0, 14.0, 28.0)]
    else:
        if plan.last > 0:
            wanted.append(("1 day after the last dose", plan.last + DAY))
        late = (7.0, 28.0)
        wanted += [(f"{d:g} days after the last dose", plan.last + d * DAY) for d in late]
    wanted = [(words, hour) for words, hour in wanted if hour <= end]
    found = []
    for words, hour in wanted:
        at = int(np.argmin(np.abs(plan.shown - hour)))
        found.append(
            band(
                f"{measure} points below placebo {words}",
                gap[:, :, at].mean(axis=0),
                agreement=agreement,
            )
        )
    return tuple(found)


def _doses(plan: _Plan, given: np.ndarray) -> Spread:
    total = np.cumsum(given, axis=2).astype(float)
    return spread(total, np.array([h for h, _ in plan.checks]), "doses given so far")


def _notes(
    people: Individuals, plan: _Plan, warnings: Sequence[str], unstable: int
) -> tuple[str, ...]:
    notes = [
        "Sets: every accepted parameter set satisfies the listed experiments; its numbers are "
        "calibrated, not measured. The size of the effect is fixed by one published difference "
        "after a day; only its course and the order of regimens are predicted.",
        "Patients: only kinetics differ between them. How differently patients with equal "
        "concentrations respond has not been published and is not drawn, so real patients differ "
        "more than the band says.",
        f"Concentrations behind these courses are those of {people.model.id} "
        f"({people.model.site} plasma).",
        f"Occupancy extrapolates the rat's unbound EC50 with an unbound share of {UNBOUND[0]:g} to "
        f"{UNBOUND[1]:g}: a prior, not data.",
        *warnings,
    ]
    if plan.driven:
        notes.append(
            "Doses follow the score of each patient in each set. Occupancy and acute effects are "
            "those after the first dose. Where one course a patient is needed (the table of "
            "exposure), the patient is paired with one set drawn by seed and subject, so patients "
            "and sets are mixed there."
        )
    else:
        notes.append(
            "Relapse is counted from a day after the last dose among those who have responded; "
            "its hazard meets two published medians from different populations."
        )
    if unstable:
        notes.append(f"{unstable} sets have no equilibrium in somebody and are left out.")
    return tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """When something may be given, and where on the grid it is looked at."""

    regimen: Regimen
    checks: tuple[tuple[float, int], ...]
    driven: bool
    times: np.ndarray
    place: np.ndarray
    last: float
    settled: int

    @classmethod
    def of(cls, regimen: Regimen, days: float) -> _Plan:
        checks = regimen.checks()
        hours = np.array([h for h, _ in checks])
        last = float(hours.max())
        times = course_grid(np.unique(hours), last + DAY * days)
        daily = np.arange(0.0, times[-1] + 1e-9, DAY)
        wanted = np.concatenate([daily, *(hours + a for a in (0.0, *AFTER)), [times[-1]]])
        place = np.unique(np.searchsorted(times, wanted[wanted <= times[-1] + 1e-9] - 1e-6))
        return cls(
            regimen=regimen,
            checks=checks,
            driven=bool(regimen.rules),
            times=times,
            place=place,
            last=last,
            settled=int(np.searchsorted(times[place], last + SETTLED - 1e-6)),
        )

    @property
    def shown(self) -> np.ndarray:
        return self.times[self.place]

    @property
    def acute(self) -> np.ndarray:
        return self.times[self.times <= self._until(ACUTE_HOURS)]

    @property
    def occupied(self) -> np.ndarray:
        return self.times[self.times <= self._until(OCCUPIED_HOURS)]

    def _until(self, hours: float) -> float:
        later = [h for h, _ in self.checks if h > 0]
        return min(hours, *later) - 1e-9 if self.driven and later else hours

    def scheduled(self, n: int) -> np.ndarray | None:
        """Which doses come whatever the score is (n, D); None where all do."""
        if not self.driven:
            return None
        return np.tile([float(r < 0) for _, r in self.checks], (n, 1))


class _Run:
    """What does not depend on the patient, and one block of patients at a time."""

    def __init__(
        self,
        people: Individuals,
        study: Study,
        ensemble: Ensemble,
        plan: _Plan,
        form: str,
        effects: str | Constants,
    ) -> None:
        from klarsyn.pharmacology.solvers.cascade import LAGGED, VALUES

        read = read_constants(effects) if isinstance(effects, str) else effects
        self.constants = needing(read, "acute effects", ("analytes", "priors"))
        self.study, self.plan, self.values = study, plan, ensemble.values
        self.form = people.model.substance.form(form)
        self.site = "arterial" if people.model.site == "arterial" else "venous"
        weights = drive_weights(study, ensemble.values)
        self.acting = [a for a in weights if a in people.model.outputs]
        if not self.acting:
            raise InputError(
                f"none of the analytes of {people.model.id} acts in {study.id}. It knows: "
                f"{', '.join(weights)}."
            )
        self.weights = np.ascontiguousarray(np.stack([weights[a] for a in self.acting], axis=1))
        self.matrix = np.ascontiguousarray([ensemble.values[k] for k in VALUES])
        steps = np.round(np.diff(plan.times), 9)
        self.steps, which = np.unique(steps, return_inverse=True)
        self.which = np.ascontiguousarray(which)
        self.lags = np.array(
            [[_lag(ensemble.values[f"tau_{k}"], h) for k in LAGGED] for h in self.steps]
        )
        self.everywhere = placebo_course(plan.times, ensemble.values)
        self.placebo = score(self.baseline, self.top, self.everywhere[:, plan.place])
        self.sets = draw_sets(
            self.constants.rest["priors"], len(ensemble), people.seed, self.constants.id
        )
        self.tops: list[tuple[float, float]] = []

    @property
    def baseline(self) -> float:
        return self.study.constants["baseline"]

    @property
    def top(self) -> float:
        return self.study.constants["scale_top"]

    def block(self, people: Individuals) -> dict[str, np.ndarray]:
        """All quantities of some patients, (n, m, ...) each."""
        plan = self.plan
        candidates = plan.regimen.unconditional()
        scheduled = plan.scheduled(len(people))
        plasma = expose(people, candidates, self.form, plan.times, taken=scheduled)
        units = self._units(people, candidates)
        found = self._scores(plasma, units)
        felt = plasma
        if plan.driven:
            first = np.zeros((len(people), len(plan.checks)))
            first[:, 0] = 1.0
            felt = expose(people, candidates, self.form, plan.times, taken=first)
        return found | self._acute(felt) | {"occupancy": self._occupancy(felt)}

    def _site(self, plasma: Mapping[str, np.ndarray]) -> np.ndarray:
        """Effect-site concentrations in uM of what acts, (n, A, T)."""
        half = self.study.constants["effect_site_half_life"]
        micromolar = self.study.receptor.micromolar({a: plasma[a] for a in self.acting})
        return np.stack(
            [effect_site(self.plan.times, micromolar[a], half) for a in self.acting], axis=1
        )

    def _units(self, people: Individuals, candidates: Regimen) -> np.ndarray:
        """What each dose that a rule may ask for would add, (n, D, A, T)."""
        n, count = len(people), len(self.plan.checks)
        units = np.zeros(
            (n, count if self.plan.driven else 0, len(self.acting), len(self.plan.times))
        )
        for d, (_, rule) in enumerate(self.plan.checks):
            if rule >= 0:
                alone = np.zeros((n, count))
                alone[:, d] = 1.0
                units[:, d] = self._site(
                    expose(people, candidates, self.form, self.plan.times, taken=alone)
                )
        return units

    def _scores(self, plasma: Mapping[str, np.ndarray], units: np.ndarray) -> dict[str, np.ndarray]:
        from klarsyn.pharmacology.solvers.cascade import cascade, combine

        plan, m = self.plan, self.matrix.shape[1]
        site = np.ascontiguousarray(self._site(plasma))
        n = len(site)
        shown = np.full(len(plan.times), -1)
        shown[plan.place] = np.arange(len(plan.place))
        at = np.searchsorted(plan.times, np.array([h for h, _ in plan.checks]) - 1e-6)
        rules = plan.regimen.rules
        effect = np.empty((n, len(plan.place), m))
        given = np.zeros((n, len(plan.checks), m), bool)
        drives = np.empty((3, len(plan.times), m))
        for i in range(n):
            combine(self.weights, site[i], drives)
            cascade(
                self.matrix,
                self.lags,
                self.steps,
                self.which,
                drives,
                shown,
                effect[i],
                self.weights,
                units[i],
                at,
                np.array([r for _, r in plan.checks]),
                np.array([r.threshold for r in rules]),
                np.array([r.most for r in rules], np.int64),
                np.array([r.until for r in rules], bool),
                np.ascontiguousarray(self.everywhere[:, at].T),
                self.top,
                float(logit(self.baseline / self.top)),
                given[i],
            )
        better = self.everywhere[:, plan.place][None] + np.swapaxes(effect, 1, 2)
        scores = score(self.baseline, self.top, better)
        found = {"scores": scores, "given": np.swapaxes(given, 1, 2)}
        if not plan.driven and plan.settled < len(plan.place):
            found["surviving"] = self._surviving(scores)
        return found

    def _surviving(self, scores: np.ndarray) -> np.ndarray:
        plan = self.plan
        kept = scores[:, :, plan.settled :]
        times = plan.shown[plan.settled :]
        found = np.empty_like(kept)
        for i, one in enumerate(kept):
            hazard = relapse_hazard(one, one[:, 0], len(plan.checks), self.values)
            found[i] = survival(times, hazard)
        return found

    def _acute(self, plasma: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        plan, c, m = self.plan, self.constants, len(self.sets["pain_R"])
        names = c.rest["analytes"]
        zero = np.zeros_like(next(iter(plasma.values())))
        given = {k: plasma.get(a, zero) for k, a in names.items()}
        n, kept = len(zero), len(plan.acute)
        self._keep_tops(given)
        after = {k: effect_site(plan.times, v, c["delay"]) for k, v in given.items()}
        late = {k: effect_site(plan.times, v, c["delay_pain"]) for k, v in given.items()}
        tiled = {k: np.tile(v, n) for k, v in self.sets.items()}

        def each(x: np.ndarray) -> np.ndarray:
            return np.repeat(x, m, axis=0)

        felt = dissociation(plan.times, each(after["S"]), each(after["R"]), tiled, c)
        found = direct_courses(
            {k: each(v[:, :kept]) for k, v in after.items()},
            {k: each(v[:, :kept]) for k, v in late.items()},
            tiled,
            c,
        )
        found["dissociation"] = felt[:, :kept]
        starts = [int(np.searchsorted(plan.times, h - 1e-6)) for h, _ in plan.checks]
        found["peaks"] = np.maximum.reduceat(felt, np.unique(starts), axis=1)
        return {k: v.reshape(n, m, -1) for k, v in found.items()}

    def _keep_tops(self, given: Mapping[str, np.ndarray]) -> None:
        for size in (given["S"], given["S"] + given["R"]):
            at = np.unravel_index(int(size.argmax()), size.shape)
            self.tops.append((float(given["S"][at]), float(given["R"][at])))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the highest concentrations of everybody followed so far make uncertain."""
        s, r = np.array(self.tops).T
        return notes_on({"S": s, "R": r}, self.constants, self.site)

    def _occupancy(self, plasma: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, 5, T): the unbound share at its percentiles stands for the sets."""
        kept = len(self.plan.occupied)
        low, high = UNBOUND
        level = self.study.receptor.constants["rat_ec50_parent"]
        outputs = {k: v[:, :kept] for k, v in plasma.items() if k in self.study.receptor.ligands}
        return np.stack(
            [
                occupancy(
                    self.study.receptor,
                    outputs,
                    unbound=low * (high / low) ** (p / 100),
                    level=level,
                )
                for p in PERCENTILES
            ],
            axis=1,
        )


def _lag(tau: np.ndarray, step: float) -> np.ndarray:
    """The coefficients of y, of the input's start and of its end: tau y' = u - y, u a line."""
    z = step / tau
    decay = np.exp(-z)
    mean = -np.expm1(-z) / z
    return np.stack([decay, mean - decay, 1.0 - mean])
