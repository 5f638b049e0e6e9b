"""Patients through every parameter set, block by block: the plan of doses and the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.between import Between
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.dosing import Regimen
from klarsyn.pharmacology.effects import direct_courses, dissociation, notes_on
from klarsyn.pharmacology.ensemble import Ensemble, draw_sets
from klarsyn.pharmacology.exposing import expose
from klarsyn.pharmacology.follow import UNBOUND
from klarsyn.pharmacology.population import Individuals
from klarsyn.pharmacology.receptor import effect_site, occupancy
from klarsyn.pharmacology.response import (
    logit,
    placebo_course,
    relapse_hazard,
    score,
    summed_hazard,
    survival,
)
from klarsyn.pharmacology.runs import Study, course_grid, drive_weights
from klarsyn.pharmacology.spread import PERCENTILES

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
        from klarsyn.pharmacology.solvers.cascade import LAGGED, VALUES

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
        self.weights = np.ascontiguousarray(np.stack([weights[a] for a in self.acting], axis=1))
        self.matrix = np.ascontiguousarray([self.values[k] for k in VALUES])
        self.weight_row = VALUES.index("weight")
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
        """The score before anything is given."""
        return self.study.constants["baseline"]

    @property
    def top(self) -> float:
        """The highest score of the scale."""
        return self.study.constants["scale_top"]

    def block(self, people: Individuals) -> dict[str, np.ndarray]:
        """All quantities of some patients, (n, m, ...) each."""
        plan = self.plan
        candidates = plan.regimen.unconditional()
        scheduled = plan.scheduled(len(people))
        plasma = expose(people, candidates, self.form, plan.times, taken=scheduled)
        units = self._units(people, candidates)
        found = self._scores(plasma, units, self._own(people))
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
        matrix, course = self.matrix.copy(), self._courses(plan.place, own, n)
        asked = np.swapaxes(self._courses(at, own, n), 1, 2)
        for i in range(n):
            if own:
                matrix[self.weight_row] = self.matrix[self.weight_row] * own["factor"][i]
            combine(self.weights, site[i], drives)
            cascade(
                matrix,
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
                np.ascontiguousarray(asked[i]),
                self.top,
                float(logit(self.baseline / self.top)),
                given[i],
            )
        scores = score(self.baseline, self.top, course + np.swapaxes(effect, 1, 2))
        found = {"scores": scores, "given": np.swapaxes(given, 1, 2)}
        if own:
            found["placebo"] = score(self.baseline, self.top, course)
        if not plan.driven and plan.settled < len(plan.place):
            found |= self._relapse(scores, own)
        return found

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
        kept = scores[:, :, plan.settled :]
        times = plan.shown[plan.settled :]
        found = {"surviving": np.empty_like(kept)}
        if self.between is not None:
            found["share"] = np.empty_like(kept)
        for i, one in enumerate(kept):
            hazard = relapse_hazard(one, one[:, 0], len(plan.checks), self.values)
            if self.between is None:
                found["surviving"][i] = survival(times, hazard)
                continue
            so_far = summed_hazard(times, hazard)
            found["surviving"][i] = np.exp(-own["proneness"][i][:, None] * so_far)
            found["share"][i] = self.between.still_well(so_far)
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
