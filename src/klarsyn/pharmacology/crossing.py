"""Patients through every parameter set, block by block: the plan of doses and the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.between import Between
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.effects import direct_courses, dissociation_by_time, notes_on
from klarsyn.pharmacology.ensemble import Ensemble, draw_sets
from klarsyn.pharmacology.exposing import SolvedRegimen
from klarsyn.pharmacology.follow import UNBOUND
from klarsyn.pharmacology.plasticity import (
    Cascade,
    Inputs,
    blocks_now,
    inputs_of,
    pyramidal_rate,
)
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.receptor import effect_site, occupancy
from klarsyn.pharmacology.response import (
    effect,
    placebo_course,
    relapse_hazard,
    score,
    summed_hazard,
    survival,
)
from klarsyn.pharmacology.runs import Study, course_grid, drive_weights
from klarsyn.pharmacology.spread import PERCENTILES
from klarsyn.pharmacology.waiting import Waiting

ACUTE_HOURS = 8.0
OCCUPIED_HOURS = 24.0
SETTLED = 24.0  # h after the last dose from which relapse counts, as in the file's own runs
AFTER = (2 / 3, 2.0, 4.0, 8.0, 24.0)
DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When something may be given, and where on the grid it is looked at."""

    regimen: Regimen
    checks: tuple[tuple[float, int], ...]
    driven: bool
    times: np.ndarray
    place: np.ndarray
    last: float
    settled: int

    @classmethod
    def of(cls, regimen: Regimen, days: float) -> Plan:
        """The plan of a regimen that is followed until `days` after its last possible dose."""
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
        """Hours at which scores are kept."""
        return self.times[self.place]

    @property
    def acute(self) -> np.ndarray:
        """Hours at which acute effects are kept."""
        return self.times[self.times <= self._until(ACUTE_HOURS)]

    @property
    def occupied(self) -> np.ndarray:
        """Hours at which occupancy is kept."""
        return self.times[self.times <= self._until(OCCUPIED_HOURS)]

    def _until(self, hours: float) -> float:
        later = [h for h, _ in self.checks if h > 0]
        return min(hours, *later) - 1e-9 if self.driven and later else hours

    def scheduled(self, n: int) -> np.ndarray | None:
        """Which doses come whatever the score is (n, D); None where all do."""
        if not self.driven:
            return None
        return np.tile([float(r < 0) for _, r in self.checks], (n, 1))


class Run:
    """What does not depend on the patient, and one block of patients at a time."""

    def __init__(
        self,
        people: Individuals,
        study: Study,
        ensemble: Ensemble,
        plan: Plan,
        form: str,
        effects: str | Constants,
        between: Between | None = None,
    ) -> None:
        read = read_constants(effects) if isinstance(effects, str) else effects
        self.constants = needing(read, "acute effects", ("analytes", "priors"))
        self.study, self.plan, self.between = study, plan, between
        self.values = ensemble.values if between is None else between.values
        self.form = people.model.substance.form(form)
        self.site = "arterial" if people.model.site == "arterial" else "venous"
        weights = drive_weights(study, ensemble.values)
        self.acting = [a for a in weights if a in people.model.outputs]
        if not self.acting:
            raise InputError(
                f"none of the analytes of {people.model.id} acts in {study.id}. It knows: "
                f"{', '.join(weights)}."
            )
        self.weights = [
            [(i, weights[a][k]) for i, a in enumerate(self.acting) if np.any(weights[a][k])]
            for k in range(3)
        ]
        self.everywhere = placebo_course(plan.times, ensemble.values)
        self.placebo = score(self.baseline, self.top, self.everywhere[:, plan.place])
        self.sets = draw_sets(
            self.constants.rest["priors"], len(ensemble), people.seed, self.constants.id
        )
        self.tops: list[tuple[float, float]] = []

    @property
    def baseline(self) -> float:
        """The score before anything is given."""
        return self.study.constants["baseline"]

    @property
    def top(self) -> float:
        """The highest score of the scale."""
        return self.study.constants["scale_top"]

    def block(self, people: Individuals) -> dict[str, np.ndarray]:
        """All quantities of some patients, (n, m, ...) each."""
        plan = self.plan
        course = SolvedRegimen(people, plan.regimen.unconditional(), self.form, plan.times)
        plasma = course.of(plan.scheduled(len(people)))
        units = self._units(len(people), course)
        found = self._scores(plasma, units, self._own(people))
        felt = plasma
        if plan.driven:
            first = np.zeros((len(people), len(plan.checks)))
            first[:, 0] = 1.0
            felt = course.of(first)
        return found | self._acute(felt) | {"occupancy": self._occupancy(felt)}

    def _site(self, plasma: Mapping[str, np.ndarray]) -> np.ndarray:
        """Effect-site concentrations in uM of what acts, (T, n, A)."""
        half = self.study.constants["effect_site_half_life"]
        micromolar = self.study.receptor.micromolar({a: plasma[a] for a in self.acting})
        together = np.stack([micromolar[a] for a in self.acting], axis=1)
        return np.moveaxis(effect_site(self.plan.times, together, half), 2, 0)

    def _units(self, n: int, course: SolvedRegimen) -> np.ndarray:
        """What each dose that a rule may ask for would add, (T, n, D, A)."""
        count = len(self.plan.checks)
        size = count if self.plan.driven else 0
        units = np.zeros((len(self.plan.times), n, size, len(self.acting)))
        for d, (_, rule) in enumerate(self.plan.checks):
            if rule >= 0:
                alone = np.zeros((n, count))
                alone[:, d] = 1.0
                units[:, :, d] = self._site(course.of(alone, self.acting))
        return units

    def _own(self, people: Individuals) -> dict[str, np.ndarray]:
        """What each patient has of its own: nothing where only kinetics differ."""
        if self.between is None:
            return {}
        key = (people.seed, people.subjects)
        return {
            "factor": self.between.effect_factor(*key),
            "apart": np.stack(self.between.scores_apart(*key)),
            "proneness": self.between.proneness(*key),
        }

    def _scores(
        self,
        plasma: Mapping[str, np.ndarray],
        units: np.ndarray,
        own: Mapping[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        plan = self.plan
        functional, spines, given = self._walk(self._site(plasma), units, own)
        course = self._courses(plan.place, own, len(functional))
        drug = self._effect(functional, spines, own)
        scores = score(self.baseline, self.top, course + drug)
        found = {"scores": scores, "given": given}
        if own:
            found["placebo"] = score(self.baseline, self.top, course)
        if not plan.driven and plan.settled < len(plan.place):
            found |= self._relapse(scores, own)
        return found

    def _walk(
        self, site: np.ndarray, units: np.ndarray, own: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fast potentiation and spines where scores are kept (n, m, T), and doses given (n, m, D).

        At each time the states move first, then doses are given, by the score that has come of it.
        """
        plan = self.plan
        shape = site.shape[1], len(self.values["selectivity"])
        at = np.searchsorted(plan.times, np.array([h for h, _ in plan.checks]) - 1e-6)
        checks = [(int(j), rule) for j, (_, rule) in zip(at, plan.checks, strict=True)]
        cascade = Cascade(self.values, {}, shape)
        waiting = Waiting(plan.regimen.rules, checks, units, shape)
        kept = {s: np.empty((len(plan.place), *shape)) for s in ("functional", "spines")}
        shown = {int(j): k for k, j in enumerate(plan.place)}
        for j, hour in enumerate(plan.times):
            inputs = self._inputs(site[j], waiting.more(j), shape)
            if j == 0:
                cascade.meet(inputs)
            else:
                cascade.move(inputs, float(hour - plan.times[j - 1]))
            if waiting.ask(j, partial(self._score_now, cascade, j, own)):
                cascade.meet(self._inputs(site[j], waiting.more(j), shape))
            if j in shown:
                for s, courses in kept.items():
                    courses[shown[j]] = cascade.states[s]
        # In one order: an exponential of strided numbers may differ in the last bit.
        functional, spines = (np.ascontiguousarray(np.moveaxis(k, 0, 2)) for k in kept.values())
        return functional, spines, waiting.given

    def _score_now(self, cascade: Cascade, j: int, own: Mapping[str, np.ndarray]) -> np.ndarray:
        """The score (n, m) at a grid index, from the states there."""
        fast, slow = (cascade.states[s][:, :, None] for s in ("functional", "spines"))
        course = self._courses(np.array([j]), own, len(fast))
        better = course + self._effect(fast, slow, own)
        return score(self.baseline, self.top, better)[:, :, 0]

    def _effect(
        self, functional: np.ndarray, spines: np.ndarray, own: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Improvement by the drug in logits (n, m, T), with the factor of each patient's own."""
        found = effect(functional, spines, self.values)
        return found * own["factor"][:, :, None] if own else found

    def _inputs(self, site: np.ndarray, more: np.ndarray | None, shape: tuple[int, int]) -> Inputs:
        """What moves the states, from uM at the effect site, (n, A), and more of it, (n, m, A)."""
        drives = []
        for kind in self.weights:
            total = np.zeros(shape)
            for i, weight in kind:
                c = site[:, i, None] if more is None else site[:, i, None] + more[:, :, i]
                total += c * weight
            drives.append(total)
        block, direct, metabolite = drives
        held_i, held_e = blocks_now(self.values, block)
        rate = pyramidal_rate(
            held_i, held_e, distance=self.values["distance"], balance=self.values["balance"]
        )
        return inputs_of(self.values, rate, held_e, direct, metabolite, {})

    def _courses(self, place: np.ndarray, own: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """Improvement without drug in logits at places of the grid (n, m, T): the patient's own."""
        typical = np.broadcast_to(
            self.everywhere[:, place], (n, self.everywhere.shape[0], len(place))
        )
        if self.between is None:
            return typical
        apart = (own["apart"][0], own["apart"][1])
        return typical + self.between.improvement(self.plan.times[place], apart)

    def _relapse(self, scores: np.ndarray, own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each patient's chance of not having relapsed (n, m, T); with `own`, also the share."""
        plan = self.plan
        kept, times = scores[:, :, plan.settled :], plan.shown[plan.settled :]
        hazard = relapse_hazard(kept, kept[:, :, 0], len(plan.checks), self.values)
        if self.between is None:
            return {"surviving": survival(times, hazard)}
        so_far = summed_hazard(times, hazard)
        return {
            "surviving": np.exp(-own["proneness"][:, :, None] * so_far),
            "share": self.between.still_well(so_far),
        }

    def _acute(self, plasma: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        plan, c = self.plan, self.constants
        names = c.rest["analytes"]
        zero = np.zeros_like(next(iter(plasma.values())))
        given = {k: plasma.get(a, zero) for k, a in names.items()}
        kept = len(plan.acute)
        self._keep_tops(given)
        # One row of sets a patient: (n, 1, T).
        after, late = (
            {k: effect_site(plan.times, v[:, None], c[delay]) for k, v in given.items()}
            for delay in ("delay", "delay_pain")
        )
        found = direct_courses(
            {k: v[..., :kept] for k, v in after.items()},
            {k: v[..., :kept] for k, v in late.items()},
            self.sets,
            c,
        )
        return found | self._felt(after["S"], after["R"])

    def _felt(self, s: np.ndarray, r: np.ndarray) -> dict[str, np.ndarray]:
        """Dissociation as long as acute effects are kept, and its peak after each dose."""
        plan = self.plan
        starts = np.unique(np.searchsorted(plan.times, [h - 1e-6 for h, _ in plan.checks]))
        after = np.searchsorted(starts, np.arange(len(plan.times)), side="right")
        dose = np.maximum(after - 1, 0)
        shape = len(s), len(self.sets["dissociation_R"])
        early = np.empty((len(plan.acute), *shape))
        peaks = np.full((len(starts), *shape), -np.inf)
        for j, felt in enumerate(dissociation_by_time(plan.times, s, r, self.sets, self.constants)):
            if j < len(early):
                early[j] = felt
            np.maximum(peaks[dose[j]], felt, out=peaks[dose[j]])
        return {"dissociation": np.moveaxis(early, 0, 2), "peaks": np.moveaxis(peaks, 0, 2)}

    def _keep_tops(self, given: Mapping[str, np.ndarray]) -> None:
        for size in (given["S"], given["S"] + given["R"]):
            at = np.unravel_index(int(size.argmax()), size.shape)
            self.tops.append((float(given["S"][at]), float(given["R"][at])))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the highest concentrations of everybody followed so far make uncertain."""
        s, r = np.array(self.tops).T
        return notes_on({"S": s, "R": r}, self.constants, self.site, many=True)

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
