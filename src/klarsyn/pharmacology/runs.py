"""Runs of a response model: what is given to whom, and what each parameter set makes of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.plasticity import (
    Drives,
    blocks,
    simulate_plasticity,
)
from klarsyn.pharmacology.receptor import LN2, Receptor, effect_site, read_receptor
from klarsyn.pharmacology.response import (
    effect,
    needed_effect,
    placebo_course,
    relapse_hazard,
    score,
)

SYSTEMS = ("animal", "slice", "human")
ANIMAL_HOURS = 336.0
SECONDS = 3600.0
MOST_DAYS = 730
STATES_KEPT = ("eef2", "functional", "commitment", "spines")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Concentrations (T,) by analyte at the effect site, uM, at `times` (h); and the dose times."""

    times: np.ndarray
    analytes: Mapping[str, np.ndarray]
    doses: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A response model's file with its receptor: roles, priors, runs and experiments."""

    id: str
    constants: Constants
    receptor: Receptor

    @property
    def data(self) -> Mapping[str, Any]:
        """Everything in the file besides its numbers."""
        return self.constants.rest

    def run(self, name: str) -> Mapping[str, Any]:
        """One run's description. Raises UnknownNameError."""
        if name not in self.data["runs"]:
            raise unknown_name("run", name, self.data["runs"], self.id)
        return self.data["runs"][name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one run does in every parameter set: arrays (n, T) at `times` (h).

    `effect` is in logits of the score, `surge` is firing above 1, `eef2_fall` the fall of p-eEF2.
    """

    times: np.ndarray
    doses: np.ndarray
    entry: float
    surge: np.ndarray
    inhibition: np.ndarray
    eef2_fall: np.ndarray
    functional: np.ndarray
    commitment: np.ndarray
    spines: np.ndarray
    effect: np.ndarray


def read_study(name: str) -> Study:
    """A response model of the library, or a user's own by its path ending in .toml."""
    needed = ("receptor", "roles", "priors", "reference", "hazard", "runs", "experiments")
    constants = needing(read_constants(name), "a response model", needed)
    return Study(
        id=constants.id,
        constants=constants,
        receptor=read_receptor(constants.rest["receptor"]),
    )


def check_days(days: float) -> None:
    """Raises InputError for a time that cannot be followed, in days after a dose."""
    if not 0 < days <= MOST_DAYS:
        raise InputError(
            f"{days:g} days cannot be followed. Give a number above 0, at most {MOST_DAYS}."
        )


def course_grid(doses: np.ndarray, end: float) -> np.ndarray:
    """Times (h) that follow doses: 5 min for two hours, then ever coarser until the next dose."""
    offsets = np.concatenate(
        [
            np.arange(0, 120, 5) / 60,
            np.arange(2, 6, 0.25),
            np.arange(6, 12, 0.5),
            np.arange(12, 48, 2.0),
            np.arange(48, max(end, 48) + 12, 12.0),
        ]
    )
    pieces = []
    for i, begin in enumerate(doses):
        until = doses[i + 1] if i + 1 < len(doses) else end
        points = begin + offsets
        pieces.append(points[points < until])
    ends = np.array([end, *doses])
    return np.unique(np.round(np.concatenate([*pieces, ends]), 9))


@functools.lru_cache(maxsize=64)
def human_curves(
    model: str, form: str, regimen: str, end: float, half_life: float, receptor: str
) -> Curves:
    """The typical patient's effect-site concentrations after a regimen in words."""
    from klarsyn.pharmacology.dosing import parse_regimen
    from klarsyn.pharmacology.exposing import expose
    from klarsyn.pharmacology.modelfile import read_model
    from klarsyn.pharmacology.population import sample_individuals

    kinetic = read_model(model)
    typical = sample_individuals(kinetic, 1, seed=0, variability=False, uncertain=_scales(kinetic))
    plan = parse_regimen(regimen)
    given = plan.given(float(typical.weight[0]))
    doses = np.unique([g.time for g in given if g.portion == 1])
    times = course_grid(doses, end)
    found = expose(typical, plan, kinetic.substance.form(form), times)
    shown = {k: v[0] for k, v in found.items() if k in kinetic.outputs}
    site = {
        k: effect_site(times, v, half_life)
        for k, v in read_receptor(receptor).micromolar(shown).items()
    }
    return Curves(times=times, analytes=site, doses=doses)


def _scales(kinetic: Any) -> dict[str, float]:
    return {n: p.number.value for n, p in kinetic.parameters.items() if p.uncertain is not None}


def run_curves(study: Study, name: str) -> Curves:
    """The concentrations of a run before any parameter set scales them."""
    run, c = study.run(name), study.constants
    if run["system"] not in SYSTEMS:
        raise unknown_name("system", run["system"], SYSTEMS, f"{study.id}, run {name}")
    if run["system"] == "human":
        found = human_curves(
            run["model"],
            run["form"],
            run["regimen"],
            24.0 * run["days"],
            c["effect_site_half_life"],
            study.data["receptor"],
        )
        multiplied = {k: v * run.get("multiply", {}).get(k, 1.0) for k, v in found.analytes.items()}
        return Curves(times=found.times, analytes=multiplied, doses=found.doses)
    if run["system"] == "slice":
        times = np.linspace(0.0, 1.0, 5)
        return Curves(times=times, analytes={}, doses=np.array([0.0]))
    times = course_grid(np.array([0.0]), ANIMAL_HOURS)
    return Curves(times=times, analytes={}, doses=np.array([0.0]))


def drives_of(study: Study, name: str, values: Mapping[str, np.ndarray]) -> Drives:
    """What reaches the brain in every parameter set during a run."""
    run, curves = study.run(name), run_curves(study, name)
    n = len(values["selectivity"])
    zero = np.zeros((n, len(curves.times)))
    if run["system"] == "slice":
        return Drives(times=curves.times, block=zero + run["level"], direct=zero, metabolite=zero)
    if run["system"] == "animal":
        return _animal(study, run, curves.times, values, zero)
    scaled = {k: _in_patients(study, k, values) * v for k, v in curves.analytes.items()}
    return _combined(study, curves.times, scaled, values, zero)


def drives_from(
    study: Study, times: np.ndarray, plasma: Mapping[str, Any], values: Mapping[str, np.ndarray]
) -> Drives:
    """Drives from plasma concentrations in ng/mL (T,) or (n, T) at `times` (h), any exposure.

    The effect-site delay of the file is applied; an analyte without a role is left out.
    """
    half = study.constants["effect_site_half_life"]
    micromolar = study.receptor.micromolar(plasma)
    n = len(values["selectivity"])
    scaled = {
        k: _in_patients(study, k, values) * np.atleast_2d(effect_site(times, v, half))
        for k, v in micromolar.items()
    }
    return _combined(study, times, scaled, values, np.zeros((n, len(times))))


def drive_weights(study: Study, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What one uM of each analyte at the effect site is worth in every set: (3, n) by analyte.

    Rows are block, direct and metabolite, as in `Drives`; analytes without a role are left out.
    """
    n = len(values["selectivity"])
    found = {}
    for name in study.data["roles"]:
        one = {name: _in_patients(study, name, values)}
        drives = _combined(study, np.zeros(1), one, values, np.zeros((n, 1)))
        found[name] = np.stack(
            [
                np.broadcast_to(v, (n, 1))[:, 0]
                for v in (drives.block, drives.direct, drives.metabolite)
            ]
        )
    return found


def _in_patients(study: Study, analyte: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a concentration in a patient is multiplied by, (n, 1)."""
    metabolite = "metabolite" in study.data["roles"].get(analyte, {})
    level = values["metabolite_level"] if metabolite else 1.0
    return (values["unbound"] * level)[:, None]


def _animal(
    study: Study,
    run: Mapping[str, Any],
    times: np.ndarray,
    values: Mapping[str, np.ndarray],
    zero: np.ndarray,
) -> Drives:
    c = study.constants
    fall = np.exp(-LN2 * times / c["animal_half_life"])
    peak = values["animal_peak"][:, None]
    if "other" in run:
        other = run["other"]
        level = peak / (values[other["divide_by"]][:, None] if "divide_by" in other else 1.0)
        level = level * (values[other["multiply_by"]][:, None] if "multiply_by" in other else 1.0)
        return Drives(times=times, block=level * fall, direct=zero, metabolite=zero)
    late = np.exp(-LN2 * times / c["animal_metabolite_half_life"])
    rise = np.exp(-LN2 * times / c["animal_metabolite_rise"])
    analytes: dict[str, np.ndarray] = {}
    for name, dose in run["dose"].items():
        share = dose / c["animal_reference_dose"]
        role = study.data["roles"][name]
        if "metabolite" in role:
            analytes[name] = zero + c["metabolite_peak"] * share * late
            continue
        analytes[name] = peak * share * fall
        for other, given in study.data["roles"].items():
            if "metabolite" in given and "direct" in role:
                formed = values["animal_metabolite"][:, None] * peak * share
                analytes[other] = formed * (late - rise)
    return _combined(study, times, analytes, values, zero)


def _combined(
    study: Study,
    times: np.ndarray,
    analytes: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    zero: np.ndarray,
) -> Drives:
    block, direct, metabolite = zero, zero, zero
    ligands = study.receptor.ligands
    for name, c in analytes.items():
        role = study.data["roles"].get(name, {})
        if "block" in role:
            beside = role.get("relative_to", name)
            factor = ligands[beside].constant.value / ligands[name].constant.value
            block = block + c * values[role["block"]][:, None] * factor
        direct = direct + c * role.get("direct", 0.0)
        metabolite = metabolite + c * role.get("metabolite", 0.0)
    return Drives(times=times, block=block, direct=direct, metabolite=metabolite)


def with_equivalents(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds what one uM of each enantiomer is worth in racemate at the channel."""
    r = values["ratio"]
    return {
        **values,
        "equivalent_eutomer": 2 * r / (1 + r),
        "equivalent_distomer": 2 / (1 + r),
    }


def with_distance(study: Study, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds D0 so that firing rises by `surge` on average over the reference infusion.

    NaN where disinhibition has the wrong sign there.
    """
    reference = study.data["reference"]["run"]
    drives = drives_of(study, reference, values)
    within = drives.times <= study.constants["infusion_hours"] + 1e-9
    inside = Drives(
        times=drives.times[within],
        block=drives.block[:, within],
        direct=drives.direct[:, within],
        metabolite=drives.metabolite[:, within],
    )
    held_i, held_e = blocks(values, inside, {})
    gap = held_i - values["balance"][:, None] * held_e
    mean = np.trapezoid(gap, inside.times, axis=1) / inside.times[-1]
    usable = np.where(mean > 0, mean, np.nan)
    return {**values, "distance": usable * (1 + values["surge"]) / values["surge"]}


def with_reference(study: Study, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds the denominators and the weight of the effect from the reference course."""
    c, reference = study.constants, study.data["reference"]
    drives = drives_of(study, reference["run"], values)
    run = simulate_plasticity(values, drives)
    at = int(np.argmin(np.abs(drives.times - reference["hours"])))
    fast, slow = run["functional"][:, at], run["spines"].max(axis=1)
    safe_fast, safe_slow = np.where(fast > 0, fast, np.nan), np.where(slow > 0, slow, np.nan)
    share = values["spine_share"]
    placebo = placebo_course([reference["hours"]], values)[:, 0]
    wanted = needed_effect(
        c["baseline"], c["scale_top"], placebo, values["smd"] * values["sd_points"]
    )
    now = (1 - share) + share * run["spines"][:, at] / safe_slow
    return {
        **values,
        "functional_reference": safe_fast,
        "spines_reference": safe_slow,
        "weight": wanted / now,
    }


def simulate_run(study: Study, name: str, values: Mapping[str, np.ndarray]) -> Course:
    """One run in every parameter set; `values` must hold what the three `with_` steps add."""
    run, c = study.run(name), study.constants
    drives = drives_of(study, name, values)
    residence = None
    if "leaves" in run.get("other", {}):
        per_hour = SECONDS * values["open_probability"]
        residence = (c[run["other"]["enters"]] * per_hour, c[run["other"]["leaves"]] * per_hour)
    return course_of(
        values,
        drives,
        changes=run.get("changes", {}),
        residence=residence,
        doses=run_curves(study, name).doses,
        entry=float(run.get("entry", 0.0)),
    )


def course_of(
    values: Mapping[str, np.ndarray],
    drives: Drives,
    *,
    changes: Mapping[str, float] | None = None,
    residence: tuple[np.ndarray, np.ndarray] | None = None,
    doses: np.ndarray | None = None,
    entry: float = 0.0,
) -> Course:
    """The course that drives make, for any exposure and any intervention."""
    done = dict(changes or {})
    run = simulate_plasticity(values, drives, changes=done, residence=residence, keep=STATES_KEPT)
    held_i, _ = blocks(values, drives, done, residence)
    return Course(
        times=drives.times,
        doses=np.array([0.0]) if doses is None else doses,
        entry=entry,
        surge=run.rate - 1.0,
        inhibition=-held_i,
        eef2_fall=1.0 - run["eef2"],
        functional=run["functional"],
        commitment=run["commitment"],
        spines=run["spines"],
        effect=effect(run["functional"], run["spines"], values),
    )


def score_course(
    study: Study, course: Course, values: Mapping[str, np.ndarray], *, drug: bool = True
) -> np.ndarray:
    """The depression score (n, T), with the drug or under placebo alone."""
    c = study.constants
    better = placebo_course(course.times, values)
    return score(c["baseline"], c["scale_top"], better + (course.effect if drug else 0.0))


def hazard_course(study: Study, course: Course, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Relapse hazard per day (n, T); score and doses at the course's `entry` are its reference."""
    scores = score_course(study, course, values)
    start = int(np.searchsorted(course.times, course.entry))
    return relapse_hazard(scores, scores[:, start], _doses_at_entry(course), values)


def _doses_at_entry(course: Course) -> int:
    return int(np.sum(course.doses <= course.entry))


def with_hazard(study: Study, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds h0 and the consolidation so that both published medians are met, set by set.

    Integrals J of exp(a rise) over each median after entry and shares s = n/(n + half) of the doses
    give two equations: ln h0 - b s + ln J = ln ln 2.
    """
    found = []
    for part in (study.data["hazard"]["first"], study.data["hazard"]["second"]):
        course = simulate_run(study, part["run"], values)
        scores = score_course(study, course, values)
        days = (course.times - course.entry) / 24.0
        median = study.constants[part["median"]]
        if days[-1] < median:
            raise InputError(f"run {part['run']} ends before its median of {median:g} days.")
        grid = np.linspace(0.0, median, 200)
        index = int(np.searchsorted(course.times, course.entry))
        rise = np.array([np.interp(grid, days, row) for row in scores]) - scores[:, [index]]
        area = np.trapezoid(np.exp(values["hazard_slope"][:, None] * rise), grid, axis=1)
        n = _doses_at_entry(course)
        found.append((np.log(area), n / (n + values["consolidation_half"])))
    (log_a, s_a), (log_b, s_b) = found
    consolidation = (log_b - log_a) / (s_b - s_a)
    base = np.exp(np.log(LN2) + consolidation * s_a - log_a)
    return {**values, "consolidation": consolidation, "hazard_base": base}
