"""From plasticity to a depression score: placebo course, drug effect, relapse and dropout hazards.

Scores are on 0 to `top`; an effect is in logits, positive when the patient is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from klarsyn.errors import InputError

HOURS_PER_DAY = 24.0


def logit(share: Any) -> np.ndarray:
    """ln(p / (1 - p))."""
    p = np.asarray(share, float)
    return np.log(p) - np.log1p(-p)


def placebo_course(times: Any, values: Mapping[str, Any]) -> np.ndarray:
    """Improvement without drug (n, T) in logits: Pmax (1 - exp(-(t/Td)^beta)), t in h, Td in days.

    The Weibull form is that of the placebo models in depression (Gomeni 2009, Merlo-Pich); their
    values were not seen.
    """
    days = np.asarray(times, float) / HOURS_PER_DAY
    top, delay, shape = (
        np.asarray(values[k], float)[..., None]
        for k in ("placebo_top", "placebo_delay", "placebo_shape")
    )
    return top * -np.expm1(-((days / delay) ** shape))


def score(baseline: float, top: float, improvement: Any) -> np.ndarray:
    """The score after an improvement in logits, e.g. `score(33, 60, 1.2)`.

    Raises InputError for a baseline that is not strictly between 0 and `top`.
    """
    if not 0 < baseline < top:
        raise InputError(f"a baseline of {baseline:g} must lie between 0 and {top:g}.")
    return top / (1.0 + np.exp(np.asarray(improvement, float) - logit(baseline / top)))


def needed_effect(baseline: float, top: float, placebo: Any, points: Any) -> np.ndarray:
    """The drug effect (logits) that lowers the score by `points` below placebo at one time.

    NaN where so many points are not left.
    """
    under_placebo = score(baseline, top, placebo)
    share = (under_placebo - np.asarray(points, float)) / top
    possible = share > 0
    return np.where(
        possible, logit(under_placebo / top) - logit(np.where(possible, share, 0.5)), np.nan
    )


def effect(functional: Any, spines: Any, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Drug effect in logits (n, T): weight ((1 - share) F/F_ref + share S/S_ref).

    The reference course fixes both denominators, so `spine_share` alone splits fast potentiation
    from spines; single-dose data do not identify it.
    """
    share = values["spine_share"][:, None]
    fast = np.asarray(functional, float) / values["functional_reference"][:, None]
    slow = np.asarray(spines, float) / values["spines_reference"][:, None]
    return values["weight"][:, None] * ((1.0 - share) * fast + share * slow)


def relapse_hazard(
    scores: Any,
    entry: Any,
    doses: int,
    values: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Hazard per day, h0 exp(a (score - entry) - b n/(n + half)).

    `entry` is the score at which a course counts as remitted or responded (n,), `doses` the number
    given until then. Consolidation saturates with doses; without it the two published relapse
    courses differ fifteen-fold.
    """
    settled = (doses / (doses + values["consolidation_half"]))[:, None]
    rise = np.asarray(scores, float) - np.asarray(entry, float)[:, None]
    return values["hazard_base"][:, None] * np.exp(
        values["hazard_slope"][:, None] * rise - values["consolidation"][:, None] * settled
    )


def summed_hazard(times: Any, hazard: Any) -> np.ndarray:
    """Cumulative hazard (n, T), from a hazard per day at `times` in h (trapezoids)."""
    from scipy.integrate import cumulative_trapezoid

    days = np.asarray(times, float) / HOURS_PER_DAY
    return cumulative_trapezoid(hazard, days, axis=-1, initial=0.0)


def survival(times: Any, hazard: Any) -> np.ndarray:
    """Share still well (n, T), from a hazard per day at `times` in h (trapezoids)."""
    return np.exp(-summed_hazard(times, hazard))


def median_time(times: Any, surviving: Any) -> np.ndarray:
    """Hours until half are left (n,), infinity where that never happens in the times given."""
    t, s = np.asarray(times, float), np.asarray(surviving, float)
    under = s <= 0.5
    first = np.argmax(under, axis=-1)
    rows = np.arange(len(s))
    before = np.maximum(first - 1, 0)
    high, low = s[rows, before], s[rows, first]
    gap = np.where(high > low, high - low, 1.0)
    found = t[before] + (high - 0.5) / gap * (t[first] - t[before])
    return np.where(under.any(axis=-1), np.where(first == 0, t[0], found), np.inf)


def dropout_hazard(scores: Any, base: float, slope: float, reference: float) -> np.ndarray:
    """Hazard per day of leaving, base exp(slope (score - reference)), from the current true score.

    Missing not at random: in 695 patients this fitted better than dropout from the last seen score
    (Gomeni 2009); the coefficients were not seen and are arguments.
    """
    return base * np.exp(slope * (np.asarray(scores, float) - reference))
