"""How patients with equal concentrations differ: own drug effect, own course, own relapse.

Four draws a patient, keyed by (seed, purpose, subject), times the sizes of each parameter set. The
size of the effect and both relapse medians are met again by the mean of such patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.ensemble import Ensemble, draw_sets
from klarsyn.pharmacology.response import needed_effect, placebo_course, score
from klarsyn.pharmacology.runs import Study, simulate_run
from klarsyn.provenance import digest_of, normals, uniforms

SIZES = ("frailty", "drug", "course", "onset", "plateau", "noise", "left_first", "left_second")
NODES = 64  # points of the three normal draws that stand for the patients
GRID = 31  # points of time up to a median, closer at its start
HALF = 0.5
STEPS = 48  # halvings of an interval of logarithms: to 1e-13
FACTORS, LEVELS = 4.0, 40.0  # logarithms on either side within which each is looked for
PLASTIC = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)  # R3 (Roberts 2018)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Sizes of what is a patient's own, arrays (m,) by set, and what they change in the set.

    `frailty` is the variance of a gamma frailty of mean 1, `drug` the log SD of the patient's drug
    effect (mean 1), `course` the SD in logits of its own course, reached with time constant `onset`
    (h), `plateau` the SD in logits of where its placebo course ends, `noise` the SD of one rating
    in points; `left_first` and `left_second` are the shares without relapse at the two published
    medians, near a half as far as their samples allow. `values` are the set's own with `weight`,
    `hazard_base` and `consolidation` such that the mean of such patients meets the published
    difference and both shares. Patients count as responders from `response` points down.
    """

    frailty: np.ndarray
    drug: np.ndarray
    course: np.ndarray
    onset: np.ndarray
    plateau: np.ndarray
    noise: np.ndarray
    left_first: np.ndarray
    left_second: np.ndarray
    values: Mapping[str, np.ndarray]
    response: float
    constants: Constants

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the sizes and their file."""
        return digest_of(self.constants.to_rows(), self.sizes())

    def sizes(self) -> dict[str, list[float]]:
        """Each size's 5th, 50th and 95th percentile over the sets."""
        return {k: np.percentile(getattr(self, k), (5, 50, 95)).tolist() for k in SIZES}

    def effect_factor(self, seed: int, subjects: np.ndarray) -> np.ndarray:
        """What multiplies each patient's drug effect in each set (n, m), mean 1."""
        z = normals(seed, f"between-subject:{self.constants.id}:drug", subjects)
        return np.exp(self.drug * z - self.drug**2 / 2)

    def scores_apart(self, seed: int, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two standard normal draws a patient (n, 1): of its course and of its plateau."""
        course, plateau = (
            normals(seed, f"between-subject:{self.constants.id}:{name}", subjects)
            for name in ("course", "plateau")
        )
        return course, plateau

    def improvement(self, times: Any, apart: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """What each patient improves beyond the set's placebo course, logits (n, m, T), mean 0.

        Its own course is reached within hours; its own plateau as the placebo course is.
        """
        hours = np.asarray(times, float)
        course, plateau = apart
        parted = -np.expm1(-hours / self.onset[:, None])
        top = {**self.values, "placebo_top": np.ones_like(self.onset)}
        own = (self.course * course)[:, :, None] * parted
        return own + (self.plateau * plateau)[:, :, None] * placebo_course(hours, top)

    def proneness(self, seed: int, subjects: np.ndarray) -> np.ndarray:
        """Each patient's factor on the relapse hazard in each set (n, m), mean 1."""
        from scipy.special import gammaincinv

        u = uniforms(seed, f"between-subject:{self.constants.id}:relapse", subjects)
        theta = np.where(self.frailty > 0, self.frailty, 1.0)
        drawn = theta * gammaincinv(1.0 / theta, np.broadcast_to(u, (len(subjects), len(theta))))
        return np.where(self.frailty > 0, drawn, 1.0)

    def still_well(self, hazard_so_far: Any) -> np.ndarray:
        """Share not relapsed over the frailties, from cumulative hazards (..., m, T).

        (1 + theta H)^(-1/theta); exp(-H) where theta is 0.
        """
        return marginal(np.asarray(hazard_so_far, float), self.frailty[:, None])


def marginal(hazard_so_far: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The mean of exp(-Z H) over gamma Z of mean 1 and variance theta (Vaupel 1979)."""
    some = theta > 0
    safe = np.where(some, theta, 1.0)
    left = np.exp(-np.log1p(safe * hazard_so_far) / safe)
    return left if some.all() else np.where(some, left, np.exp(-hazard_so_far))


def read_between(study: Study, ensemble: Ensemble) -> Between | None:
    """The sizes of a response model's own file of patients; None where it names none.

    A set has the same sizes whatever other sets are kept. Raises InputError for a file without
    priors of all of them or without the numbers that say who is counted.
    """
    name = study.data.get("patients")
    if not name:
        return None
    constants = needing(read_constants(name), "a file of patients", ("priors",))
    priors = constants.rest["priors"]
    missing = [k for k in SIZES if k not in priors]
    if missing:
        raise InputError(f"{constants.id}, priors: {', '.join(missing)} missing.")
    drawn = draw_sets(priors, int(ensemble.index.max()) + 1, ensemble.seed, constants.id)
    return between(study, ensemble.values, {k: drawn[k][ensemble.index] for k in SIZES}, constants)


def between(
    study: Study,
    values: Mapping[str, np.ndarray],
    sizes: Mapping[str, np.ndarray],
    constants: Constants,
) -> Between:
    """Sizes with the constants that they change, for any sets; a set without any keeps its own."""
    found = Between(
        **{k: np.asarray(sizes[k], float) for k in SIZES},
        values=values,
        response=constants["response_points"],
        constants=constants,
    )
    alike = (found.frailty == 0) & (found.drug == 0)
    alike &= (found.course == 0) & (found.plateau == 0)
    halves = (found.left_first == HALF) & (found.left_second == HALF)
    changed = dict(values)
    gain = np.where(alike, 1.0, _gain(study, found))
    changed["weight"] = values["weight"] * gain
    solved = _hazard(study, found, changed)
    changed |= {k: np.where(alike & halves, values[k], v) for k, v in solved.items()}
    return Between(
        **{k: getattr(found, k) for k in SIZES},
        values=changed,
        response=found.response,
        constants=constants,
    )


def _nodes(found: Between) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Effect factors (J, m) and draws of patients that stand for all, equal weights."""
    from scipy.special import ndtri

    z = ndtri((0.5 + np.arange(1, NODES + 1)[:, None] * np.array(PLASTIC)) % 1.0)
    return np.exp(found.drug * z[:, :1] - found.drug**2 / 2), (z[:, 1:2], z[:, 2:])


def _gain(study: Study, found: Between) -> np.ndarray:
    """What the effect is multiplied by so that the mean difference is the published one, (m,)."""
    c, v = study.constants, found.values
    hour = float(study.data["reference"]["hours"])
    base, top = c["baseline"], c["scale_top"]
    typical = placebo_course([hour], v)[:, 0]
    points = v["smd"] * v["sd_points"]
    needed = needed_effect(base, top, typical, points)
    factor, apart = _nodes(found)
    course = typical + found.improvement([hour], apart)[:, :, 0]
    without = score(base, top, course).mean(axis=0)

    def short(log_gain: np.ndarray) -> np.ndarray:
        drop = without - score(base, top, course + np.exp(log_gain) * needed * factor).mean(axis=0)
        return drop < points

    return np.exp(_halved(short, len(points), FACTORS, "the published difference"))


def _halved(short: Any, count: int, span: float, what: str) -> np.ndarray:
    """The logarithms at which `short` (True below) turns, one a set, by halving."""
    low, high = np.full(count, -span), np.full(count, span)
    if short(high).any() or not short(low).all():
        raise NumericalError("not_estimable", f"no factor lets these patients meet {what}.")
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        under = short(middle)
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)


def _hazard(
    study: Study, found: Between, values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """h0 and consolidation so that the shares left of those counted are met at both medians.

    Counted are patients who have responded (first median) or remitted (second) at entry.
    """
    limits = (found.response, found.constants["remission_points"])
    parts = (study.data["hazard"]["first"], study.data["hazard"]["second"])
    levels, settled = [], []
    shares = (found.left_first, found.left_second)
    for part, limit, share in zip(parts, limits, shares, strict=True):
        last = study.constants[part["median"]]
        area, counted, doses = areas(study, found, values, part["run"], last, limit)
        levels.append(_level(area, counted, found.frailty, share))
        settled.append(doses / (doses + values["consolidation_half"]))
    consolidation = (levels[0] - levels[1]) / (settled[1] - settled[0])
    return {
        "consolidation": consolidation,
        "hazard_base": np.exp(levels[0] + consolidation * settled[0]),
    }


def areas(
    study: Study,
    found: Between,
    values: Mapping[str, np.ndarray],
    name: str,
    last: float,
    limit: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Integrals of exp(a rise) over `last` days after a run's entry in patients that stand for all.

    Returns them (J, m), who is counted (J, m): those at `limit` points or below at entry, all where
    nobody is; and the doses given by then.
    """
    c = study.constants
    run = simulate_run(study, name, values)
    days = last * np.linspace(0.0, 1.0, GRID) ** 2
    hours = run.entry + 24.0 * days
    effect = np.stack([np.interp(hours, run.times, row) for row in run.effect])
    factor, apart = _nodes(found)
    better = placebo_course(hours, values) + found.improvement(hours, apart)
    scores = score(c["baseline"], c["scale_top"], better + factor[:, :, None] * effect)
    rise = scores - scores[:, :, :1]
    area = np.trapezoid(np.exp(values["hazard_slope"][:, None] * rise), days, axis=2)
    counted = scores[:, :, 0] <= limit
    nobody = ~counted.any(axis=0)
    return area, np.where(nobody, True, counted), int(np.sum(run.doses <= run.entry))


def _level(
    area: np.ndarray, counted: np.ndarray, theta: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """The log hazard level at which `share` of those counted is left after these areas, (m,)."""
    number = counted.sum(axis=0)

    def short(level: np.ndarray) -> np.ndarray:
        left = np.where(counted, marginal(np.exp(level) * area, theta), 0.0).sum(axis=0) / number
        return left > share

    return _halved(short, len(theta), LEVELS, "a published median")
