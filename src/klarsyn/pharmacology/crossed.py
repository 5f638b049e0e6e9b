"""Every patient in every parameter set: occupancy, score, relapse and side effects of a regimen.

Patients differ in their kinetics, and in what is their own (`between`) where that is drawn;
parameter sets differ in everything that the listed experiments leave open. Both are simulated in
full and shown apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError
from klarsyn.pharmacology.beside_trials import BesideTrial, beside_trials
from klarsyn.pharmacology.between import Between
from klarsyn.pharmacology.constants import Constants
from klarsyn.pharmacology.crossing import Plan, Run
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.effects import UNITS
from klarsyn.pharmacology.ensemble import Band, Ensemble, band
from klarsyn.pharmacology.exposing import subset
from klarsyn.pharmacology.extrapolated import Extrapolated, extrapolated
from klarsyn.pharmacology.follow import UNBOUND
from klarsyn.pharmacology.parting import Parting, partings
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.runs import Study, check_days
from klarsyn.pharmacology.spread import Spread, spread, spread_at_percentiles, spread_of_shares
from klarsyn.provenance import digest_of, uniforms

BLOCK = 40
DAY = 24.0
BUILT_IN = "lower by construction: the model cannot raise the score, so the sign is not a finding"

LEAST = 0.001  # smaller shares are beyond what the model can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """What a regimen does in patients x parameter sets.

    `courses` by name are spreads over hours from the first dose: occupancy, score, placebo,
    below_placebo, surviving (hours from the last dose), and the acute effects; `peaks` are
    dissociation at its peak by number of the dose, `tops` each patient's own largest occupancy and
    acute effect after the first dose, whenever it comes. `told` are the differences from placebo,
    whose sign is built in. `sizes` are those of what is the patients' own (5th, 50th and 95th
    percentile over the sets), `response` the points from which down a patient counts in
    `surviving`, `partings` how far their changes lie apart beside what trials report and `beside`
    the differences that trials of like regimens found: empty and None where only kinetics differ;
    `extrapolated` is set where relapse is asked for after other numbers of doses than it was
    calibrated with. `scores` (n, m, T) and `felt` (n, m), the peak of dissociation, let two
    regimens be compared patient by patient; `placebo` (m, T) is the typical patient's course
    without drug; `given` (n, m, D) says which doses were given.
    """

    label: str
    form: str
    regimen: str
    model: str
    measure: str
    times: np.ndarray
    courses: Mapping[str, Spread]
    peaks: Spread | None
    tops: Mapping[str, Spread]
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
    response: float | None
    sizes: Mapping[str, Sequence[float]]
    partings: tuple[Parting, ...]
    beside: tuple[BesideTrial, ...]
    extrapolated: Extrapolated | None
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
        for name, s in self.tops.items():
            lines.append(f"{name.replace('_', ' ')} at its peak, {s.unit}: {_last(s)}")
        lines += [b.summary() for b in self.told]
        lines += [t.summary(self.measure) for t in self.beside]
        lines += [p.summary(self.measure) for p in self.partings]
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
            "peaks_of_patients": {k: v.to_dict() for k, v in self.tops.items()},
            "doses_given": None if self.doses is None else self.doses.to_dict(),
            "told": [b.to_dict() for b in self.told],
            "own_of_patients": {
                k: dict(zip(("p5", "p50", "p95"), v, strict=True)) for k, v in self.sizes.items()
            },
            "beside_trials": [t.to_dict() for t in self.beside],
            "sd_of_change": [p.to_dict() for p in self.partings],
            "relapse_extrapolated": None
            if self.extrapolated is None
            else self.extrapolated.to_dict(),
            "notes": list(self.notes),
            "method": self.method,
            "seed": self.seed,
            "inputs": self.inputs,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a quantity, time and kind of spread, for a table."""
        return [row for name, s in self.courses.items() for row in s.rows(name)]


def _last(s: Spread) -> str:
    return _at(s, -1)


def _at(s: Spread, at: int) -> str:
    o, p = s.sets, s.patients
    left_open = f"sets {_brief(o['p5'][at])} to {_brief(o['p95'][at])}"
    if o["p5"][at] == o["p95"][at] != 0:
        left_open = "the same in all sets (what is not known of it is not drawn)"
    return (
        f"{_brief(o['p50'][at])}; {left_open}, "
        f"patients {_brief(p['p5'][at])} to {_brief(p['p95'][at])}"
    )


def _brief(value: float) -> str:
    return f"{value:.3g}" if value == 0 or abs(value) >= LEAST else f"below {LEAST:g}"


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
    between: Between | None = None,
) -> Crossed:
    """Follow every patient in every accepted set until `days` after the last dose.

    `people` are drawn for the regimen's `unconditional()` occasions, with what the sets already
    vary (the level of a metabolite) fixed. Rules of the regimen ask the score of the study's own
    measure, patient by patient and set by set. With `between` patients also have an effect, a
    course and a tendency to relapse of their own; without it they differ in kinetics only.

    Raises InputError for a rule on another measure or outside its range, NumericalError when no set
    is stable.
    """
    check_days(days)
    measure = _measure(study, regimen)
    plan = Plan.of(regimen, days)
    run = Run(people, study, ensemble, plan, form, effects, between)
    whole, stable = _followed(run, people)
    placebo = run.placebo[stable]
    gap = whole.get("placebo", placebo[None]) - whole["scores"]
    scattered = () if between is None else partings(between, whole, plan.shown, stable)
    courses = _courses(run, whole, placebo, gap, measure)
    beyond = None if plan.driven else extrapolated(study, len(plan.checks), between, courses)
    inputs = (people.inputs, ensemble.digest, str(regimen), form, plan.times)
    drawn = () if between is None else (between.digest,)
    return Crossed(
        label=label or f"{form}, {regimen}",
        form=form,
        regimen=str(regimen),
        model=people.model.id,
        measure=measure,
        times=plan.shown,
        courses=courses,
        peaks=spread(whole["peaks"], np.arange(1, whole["peaks"].shape[2] + 1), _felt_unit())
        if not plan.driven
        else None,
        tops=_tops(whole),
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
        response=None if between is None else between.response,
        sizes={} if between is None else between.sizes(),
        partings=scattered,
        beside=beside_trials(between, plan, form, gap),
        extrapolated=beyond,
        notes=(
            *_notes(people, plan, run.warnings, int((~stable).sum()), between, measure),
            *_uncounted(run, whole),
            *(() if beyond is None else beyond.notes()),
            *_sampled(plan, gap, between, measure),
        ),
        method=f"{ensemble.method}; patients: {people.method}",
        seed=people.seed,
        inputs=digest_of(*inputs, run.constants.to_rows(), *drawn),
    )


def _measure(study: Study, regimen: Regimen) -> str:
    """The score that the study simulates, which is the only one that a rule can ask for."""
    measure = str(study.data.get("measure", "score"))
    for rule in regimen.rules:
        if rule.measure.casefold() != measure.casefold():
            raise InputError(
                f"the regimen asks for {rule.measure}, but {study.id} simulates {measure}. "
                f"Write the rule with {measure}."
            )
        top = study.constants["scale_top"]
        if not 0 <= rule.threshold <= top:
            raise InputError(
                f"'{rule}': {measure} runs from 0 to {top:g}, so {rule.threshold:g} is never met. "
                f"Give a threshold between them."
            )
    return measure


def _followed(run: Run, people: Individuals) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Everybody's records, block by block, in the sets that are stable in all; which sets are."""
    parts = [
        run.block(subset(people, np.arange(i, min(i + BLOCK, len(people)))))
        for i in range(0, len(people), BLOCK)
    ]
    whole = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    stable = np.asarray(np.isfinite(whole["scores"]).all(axis=(0, 2)))
    if not stable.any():
        raise NumericalError("not_estimable", "no parameter set has an equilibrium in everybody.")
    for name in ("scores", "placebo", "surviving", "share", "given"):
        if name in whole:
            whole[name] = whole[name][:, stable]
    return whole, stable


def _felt_unit() -> str:
    return UNITS["dissociation"]


def _courses(
    run: Run,
    whole: Mapping[str, np.ndarray],
    placebo: np.ndarray,
    gap: np.ndarray,
    measure: str,
) -> dict[str, Spread]:
    plan = run.plan
    points = f"{measure} points"
    found = {
        "occupancy": spread_at_percentiles(whole["occupancy"], plan.occupied, "share of channels"),
        "score": spread(whole["scores"], plan.shown, points),
        "placebo": spread(whole.get("placebo", placebo[None]), plan.shown, points),
        "below_placebo": spread(gap, plan.shown, points),
    }
    if "surviving" in whole and (run.between is None or _responded(run, whole).any()):
        found["surviving"] = _surviving(run, whole)
    for name, unit in UNITS.items():
        found[name] = spread(whole[name], plan.acute, unit)
    return found


def _tops(whole: Mapping[str, np.ndarray]) -> dict[str, Spread]:
    """Each patient's own largest change: at no hour do all patients peak whose uptake differs."""
    top = whole["occupancy"].max(axis=2, keepdims=True)
    found = {"occupancy": spread_at_percentiles(top, [0.0], "share of channels")}
    for name, unit in UNITS.items():
        path = whole[name]
        at = np.abs(path).argmax(axis=2)[:, :, None]
        found[name] = spread(np.take_along_axis(path, at, axis=2), [0.0], unit)
    return found


def _surviving(run: Run, whole: Mapping[str, np.ndarray]) -> Spread:
    """The share not relapsed; where patients differ in it, among those who have responded."""
    plan, unit = run.plan, "share of responders"
    hours = plan.shown[plan.settled :] - plan.last
    if run.between is None:
        return spread(whole["surviving"], hours, unit)
    return spread_of_shares(whole["share"], whole["surviving"], _responded(run, whole), hours, unit)


def _responded(run: Run, whole: Mapping[str, np.ndarray]) -> np.ndarray:
    """Who counts for relapse (n, m): a score low enough a day after the last dose."""
    limit = np.inf if run.between is None else run.between.response
    return whole["scores"][:, :, run.plan.settled] <= limit


def _told(plan: Plan, gap: np.ndarray, measure: str, agreement: float) -> tuple[Band, ...]:
    """Points below placebo, the mean of the patients in each set; their sign is built in."""
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
        name = f"{measure} points below placebo {words}"
        told = band(name, gap[:, :, at].mean(axis=0), agreement=agreement)
        found.append(replace(told, verdict=BUILT_IN) if told.verdict == "positive" else told)
    return tuple(found)


def _doses(plan: Plan, given: np.ndarray) -> Spread:
    total = np.cumsum(given, axis=2).astype(float)
    return spread(total, np.array([h for h, _ in plan.checks]), "doses given so far")


def _notes(
    people: Individuals,
    plan: Plan,
    warnings: Sequence[str],
    unstable: int,
    between: Between | None,
    measure: str,
) -> tuple[str, ...]:
    notes = [
        "Sets: every accepted parameter set satisfies the listed experiments; its numbers are "
        "calibrated, not measured. The size of the effect is fixed by one published difference "
        "after a day; only its course and the order of regimens are predicted. The model has no "
        "way to raise the score, so the sign against placebo is built in and not a finding.",
        *_notes_on_patients(between, measure),
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
        notes.append(_note_on_relapse(between))
    if unstable:
        notes.append(f"{unstable} sets have no equilibrium in somebody and are left out.")
    return tuple(notes)


def _uncounted(run: Run, whole: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Sets that relapse says nothing about, because nobody in them has responded."""
    if "surviving" not in whole:
        return ()
    nobody = int((~_responded(run, whole).any(axis=0)).sum())
    if not nobody:
        return ()
    sets = whole["scores"].shape[1]
    return (f"Nobody has responded in {nobody} of {sets} sets; relapse is that of the others.",)


def _sampled(plan: Plan, gap: np.ndarray, between: Between | None, measure: str) -> tuple[str, ...]:
    """What the number of patients leaves uncertain, where they differ by more than kinetics."""
    n, at = len(gap), int(np.argmin(np.abs(plan.shown - DAY)))
    if between is None or n < 2:
        return ()
    error = float(np.median(gap[:, :, at].std(axis=0, ddof=1))) / n**0.5
    return (
        f"The {n} followed patients are a sample, the same in every set: the mean difference after "
        f"a day has a standard error of {error:.1f} {measure} points from that alone, which moves "
        f"all sets together. Follow more patients to lessen it.",
    )


def _notes_on_patients(between: Between | None, measure: str) -> list[str]:
    if between is None:
        return [
            "Patients: only kinetics differ between them. How differently patients with equal "
            "concentrations respond is not drawn here, so real patients differ more than the band "
            "says."
        ]
    noise = between.sizes()["noise"]
    return [
        "Patients: besides their kinetics each has a drug effect, a course and a tendency to "
        "relapse of its own. How large these are was measured in nobody: each size is a range "
        f"that published spreads allow ({between.constants.id}), drawn once a set. The three are "
        "independent of each other and of the kinetics: an assumption. All start at one score.",
        "The mean of such patients meets the published difference after a day; those who have "
        "responded or remitted meet the two relapse medians as nearly as the samples behind them "
        "allow. The median patient lies nearer to placebo than the mean says.",
        f"One rating strays from the patient's own score by an SD of {noise[0]:.1f} to "
        f"{noise[2]:.1f} {measure} points: in no band, and added only to the SD of change that a "
        f"trial would report.",
    ]


def _note_on_relapse(between: Between | None) -> str:
    counted = "Relapse is counted from a day after the last dose among those who have responded"
    medians = "its hazard meets two published medians from different populations."
    if between is None:
        return (
            f"{counted}; {medians} Patients with the same score share one hazard, so the model "
            "leaves fewer without relapse late on than real patients would."
        )
    theta = between.sizes()["frailty"]
    return (
        f"{counted} (at most {between.response:g} points); {medians} Patients differ by a gamma "
        f"frailty with a variance of {theta[0]:.1f} to {theta[2]:.1f}, so those prone to relapse "
        "go first and the curve flattens. One curve cannot tell this from a hazard that falls "
        "with time in everybody: the range is what one published follow-up allows if it is all "
        "frailty."
    )
