"""Outcomes that nobody saw: pooled effects under stated assumptions about the missing.

Binary outcomes by odds ratios of missingness (IMOR), continuous ones by differences or ratios
(IMDoM, IMRoM). "Treated" and "control" are the two arms of each study.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats import missing_outcomes as unseen
from klarsyn.stats.proportions import two_sided_z
from klarsyn.synthesis.pairwise import Pooled, pool

Array = np.ndarray

# What is assumed of the missing; the second word is metamiss's name for it.
ASSUMPTIONS = {
    "none_had_event": "0",
    "all_had_event": "1",
    "at_random": "p",
    "as_control": "pc",
    "as_treated": "pe",
    "best": "b",
    "worst": "w",
    "odds_ratio": "IMOR",
    "gamble_hollis": "GH",
}
_MEASURES = {"RR": "risk_ratio", "OR": "odds_ratio", "RD": "risk_difference"}
_ADDED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryStudy:
    """Events and patients seen, and patients missing, in both arms."""

    study: str
    treated_events: float
    treated_observed: float
    treated_missing: float
    control_events: float
    control_observed: float
    control_missing: float

    def __post_init__(self) -> None:
        for arm in ("treated", "control"):
            x, n, m = (getattr(self, f"{arm}_{w}") for w in ("events", "observed", "missing"))
            if not (0 <= x <= n and n > 0 and m >= 0):
                raise InputError(
                    f"{self.study}, {arm} arm: {x:g} events of {n:g} seen, {m:g} missing; give "
                    f"0 ≤ events ≤ seen, seen > 0 and missing ≥ 0."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousStudy:
    """Mean and SD of the patients seen, how many they are, and how many are missing."""

    study: str
    treated_mean: float
    treated_sd: float
    treated_observed: float
    treated_missing: float
    control_mean: float
    control_sd: float
    control_observed: float
    control_missing: float

    def __post_init__(self) -> None:
        for arm in ("treated", "control"):
            s, n, m = (getattr(self, f"{arm}_{w}") for w in ("sd", "observed", "missing"))
            if not (s >= 0 and n > 1 and m >= 0):
                raise InputError(
                    f"{self.study}, {arm} arm: SD {s:g}, {n:g} seen, {m:g} missing; give SD ≥ 0, "
                    f"seen above 1 and missing ≥ 0."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Missingness:
    """What is assumed of the missing outcomes.

    For binary outcomes `treated` and `control` are IMORs and `sd_*` standard deviations of their
    logarithms; for continuous ones they are IMDoMs or IMRoMs on their own scale. `correlation` is
    that of the two arms' parameters.
    """

    assumption: str
    treated: float | None = None
    control: float | None = None
    sd_treated: float = 0.0
    sd_control: float = 0.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        sds = (self.sd_treated, self.sd_control)
        if not (all(0 <= s < math.inf for s in sds) and abs(self.correlation) <= 1):
            raise InputError("Standard deviations are 0 or more, a correlation between -1 and 1.")

    def parameters(self) -> tuple[float, float]:
        """Both arms' parameters; InputError when one was not given."""
        if self.treated is None or self.control is None:
            raise InputError(
                f"{self.assumption.replace('_', ' ')}: say how the missing differ from the seen "
                f"in both arms (treated and control)."
            )
        return self.treated, self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class WithMissing:
    """The effects of all studies and their pooled value under one assumption.

    `y` and `v` are on the measure's own scale (logarithm for ratios).
    """

    missingness: Missingness
    measure: str
    study: tuple[str, ...]
    y: tuple[float, ...]
    v: tuple[float, ...]
    random: Pooled
    common: Pooled
    method: str
    inputs: str

    def summary(self) -> str:
        """The assumption and both pooled values, back-transformed."""
        show = math.exp if self.random.scale == "log" else float
        r, c = self.random, self.common
        if r.k == 1:
            return (
                f"{self.missingness.assumption.replace('_', ' ')}: {self.measure} "
                f"{show(c.estimate):.3g} ({show(c.ci_lower):.3g} to {show(c.ci_upper):.3g})"
            )
        return (
            f"{self.missingness.assumption.replace('_', ' ')}: {self.measure} "
            f"{show(r.estimate):.3g} ({show(r.ci_lower):.3g} to {show(r.ci_upper):.3g}), "
            f"tau2 {r.tau2:.3g}; common effect {show(c.estimate):.3g} "
            f"({show(c.ci_lower):.3g} to {show(c.ci_upper):.3g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        out = {n: getattr(self, n) for n in ("measure", "study", "y", "v", "method", "inputs")}
        out["missingness"] = asdict(self.missingness)
        out["random"], out["common"] = self.random.to_dict(), self.common.to_dict()
        return out

    def plot(self) -> Any:
        """The forest plot under this assumption (Altair)."""
        return self.random.plot()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftToThreshold:
    """How far one arm's missing must have ended from its seen for the pooled limit to tip.

    `delta` is in outcome units, None where no shift within ±`widest` does it; `outside` says that
    the limit is beyond the threshold already when the missing are like the seen.
    """

    arm: str
    threshold: float
    delta: float | None
    outside: bool
    widest: float
    level: float
    method: str
    inputs: str

    def summary(self) -> str:
        """One line."""
        start = f"limit at {self.threshold:g} when the missing of the {self.arm} arm ended"
        if self.delta is None:
            return f"{start} nowhere within {self.widest:g} of those seen"
        return f"{start} {self.delta:+.2f} from those seen" + (
            "; it is beyond already when they ended alike" if self.outside else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)


def binary_with_missing(
    studies: Sequence[BinaryStudy],
    missingness: Missingness,
    *,
    measure: str = "RR",
    event_is_good: bool,
    tau2_method: str,
    test: str,
    level: float = 0.95,
) -> WithMissing:
    """Pool binary outcomes under one assumption (White & Higgins 2008; Gamble & Hollis 2005).

    `best` and `worst` are for the treated arm and need `event_is_good`. `odds_ratio` takes the
    IMORs of `missingness`; the other assumptions ignore them but keep the `sd_*` as uncertainty.
    A study with an empty cell gets ½ event and ½ patient in its risks, while variances keep the
    true numbers, as R's metasens does; 1 patient for OR and where everybody had the event, since
    ½ would leave a risk of 1.
    """
    if missingness.assumption not in ASSUMPTIONS:
        raise unknown_name("assumption", missingness.assumption, ASSUMPTIONS)
    if measure not in _MEASURES:
        raise unknown_name("measure", measure, _MEASURES)
    _some(studies)
    if missingness.assumption == "gamble_hollis":
        y, v = _gamble_hollis(studies, measure, event_is_good, level)
    else:
        y, v = _binary(studies, missingness, measure, event_is_good)
    return _pooled(studies, missingness, measure, y, v, tau2_method, test, level)


def continuous_with_missing(
    studies: Sequence[ContinuousStudy],
    missingness: Missingness,
    *,
    kind: str,
    tau2_method: str,
    test: str,
    level: float = 0.95,
) -> WithMissing:
    """Pool mean differences under a difference or ratio of missingness (Mavridis et al. 2015).

    `kind` is `difference` (IMDoM) or `ratio` (IMRoM). Only for means of the patients seen, not
    for model-based means.
    """
    _some(studies)
    given = dict(zip(("treated", "control"), missingness.parameters(), strict=True))
    arms = [
        unseen.mean_with_missing(
            *(_columns(studies, arm, name)[0] for name in ("mean", "sd", "observed", "missing")),
            parameter=given[arm],
            kind=kind,
        )
        for arm in ("treated", "control")
    ]
    y, v = unseen.contrast_of_arms(
        arms[0],
        arms[1],
        measure="mean_difference",
        sd=(missingness.sd_treated, missingness.sd_control),
        correlation=missingness.correlation,
    )
    return _pooled(studies, missingness, "MD", y, v, tau2_method, test, level)


def shifts_to_threshold(
    studies: Sequence[ContinuousStudy],
    threshold: float,
    *,
    tau2_method: str,
    test: str,
    level: float = 0.95,
    widest: float | None = None,
) -> tuple[ShiftToThreshold, ShiftToThreshold]:
    """`tipping_delta` of the treated arm and of the control arm.

    `widest` is ten times the largest SD when not given.
    """
    _some(studies)
    if widest is None:
        widest = 10 * max(max(s.treated_sd, s.control_sd) for s in studies)
    choices: dict[str, Any] = {"tau2_method": tau2_method, "test": test, "level": level}
    random = continuous_with_missing(
        studies,
        Missingness(assumption="difference", treated=0.0, control=0.0),
        kind="difference",
        **choices,
    ).random
    beyond = random.ci_lower <= threshold <= random.ci_upper
    treated, control = (
        ShiftToThreshold(
            arm=arm,
            threshold=threshold,
            delta=tipping_delta(studies, arm=arm, threshold=threshold, widest=widest, **choices),
            outside=beyond,
            widest=widest,
            level=level,
            method=f"delta adjustment of one arm, the other's missing like its seen; "
            f"{tau2_method}, {test}",
            inputs=digest_of(list(studies), arm, threshold),
        )
        for arm in ("treated", "control")
    )
    return treated, control


def tipping_delta(
    studies: Sequence[ContinuousStudy],
    *,
    arm: str,
    threshold: float,
    tau2_method: str,
    test: str,
    level: float = 0.95,
    widest: float,
) -> float | None:
    """The shift of the missing in one arm at which the pooled limit reaches a threshold.

    In outcome units, searched between −`widest` and `widest`, the smallest in absolute size; None
    if there is none. The other arm's missing are taken at random.
    """
    if arm not in ("treated", "control"):
        raise unknown_name("arm", arm, ("treated", "control"))
    if not (math.isfinite(threshold) and 0 < widest < math.inf):
        raise InputError("The threshold is a number, and the widest shift above 0.")

    def at(delta: float) -> Pooled:
        shifts = {"treated": 0.0, "control": 0.0, arm: delta}
        return continuous_with_missing(
            studies,
            Missingness(assumption="difference", **shifts),
            kind="difference",
            tau2_method=tau2_method,
            test=test,
            level=level,
        ).random

    start = at(0.0).estimate

    def gap(delta: float) -> float:
        pooled = at(delta)
        return (pooled.ci_lower if start >= threshold else pooled.ci_upper) - threshold

    from scipy.optimize import brentq

    found = []
    for sign in (-1.0, 1.0):
        grid = np.linspace(0, sign * widest, 41)
        values = [gap(d) for d in grid]
        for a, b, fa, fb in zip(grid, grid[1:], values, values[1:], strict=False):
            if fa * fb <= 0:
                found.append(float(brentq(gap, a, b, xtol=1e-10)))  # pyright: ignore[reportArgumentType]
                break
    return min(found, key=abs) if found else None


def _binary(
    studies: Sequence[BinaryStudy], missingness: Missingness, measure: str, event_is_good: bool
) -> tuple[Array, Array]:
    x1, n1, m1 = _columns(studies, "treated", "events", "observed", "missing")
    x2, n2, m2 = _columns(studies, "control", "events", "observed", "missing")
    p1, p2 = _risks(x1, n1, x2, n2, measure)
    i1, i2 = _imors(missingness, p1, p2, event_is_good)
    return unseen.contrast_of_arms(
        unseen.risk_with_missing(p1 * n1, n1, m1, i1),
        unseen.risk_with_missing(p2 * n2, n2, m2, i2),
        measure=_MEASURES[measure],
        sd=(missingness.sd_treated, missingness.sd_control),
        correlation=missingness.correlation,
    )


def _risks(x1: Array, n1: Array, x2: Array, n2: Array, measure: str) -> tuple[Array, Array]:
    full = (x1 == n1) | (x2 == n2)
    add = np.where((x1 == 0) | (x2 == 0) | full, _ADDED, 0.0)
    whole = np.where(full | (measure == "OR"), 2 * add, add)
    return (x1 + add) / (n1 + whole), (x2 + add) / (n2 + whole)


def _imors(m: Missingness, p1: Array, p2: Array, event_is_good: bool) -> tuple[Any, Any]:
    if m.assumption == "odds_ratio":
        return m.parameters()
    odds1, odds2 = p1 / (1 - p1), p2 / (1 - p2)
    good, bad = (math.inf, 0.0) if event_is_good else (0.0, math.inf)
    return {
        "none_had_event": (0.0, 0.0),
        "all_had_event": (math.inf, math.inf),
        "at_random": (1.0, 1.0),
        "as_control": (odds2 / odds1, 1.0),
        "as_treated": (1.0, odds1 / odds2),
        "best": (good, bad),
        "worst": (bad, good),
    }[m.assumption]


def _gamble_hollis(
    studies: Sequence[BinaryStudy], measure: str, event_is_good: bool, level: float
) -> tuple[Array, Array]:
    """Available-case effect; standard error from the outer limits of the two extremes."""
    x1, n1, m1 = _columns(studies, "treated", "events", "observed", "missing")
    x2, n2, m2 = _columns(studies, "control", "events", "observed", "missing")
    z = two_sided_z(level)
    y, _ = _available(x1, n1, x2, n2, measure)
    y_low, v_low = _available(x1, n1 + m1, x2 + m2, n2 + m2, measure)
    y_high, v_high = _available(x1 + m1, n1 + m1, x2, n2 + m2, measure)
    se = ((y_high + z * np.sqrt(v_high)) - (y_low - z * np.sqrt(v_low))) / (2 * z)
    return y, se**2


def _available(x1: Array, n1: Array, x2: Array, n2: Array, measure: str) -> tuple[Array, Array]:
    zero = (x1 == 0) | (x2 == 0)
    if measure == "OR":
        zero |= (x1 == n1) | (x2 == n2)
    add = np.where(zero, _ADDED, 0.0)
    if measure == "RD":
        p1, p2 = x1 / n1, x2 / n2
        return p1 - p2, p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    a, b = x1 + add, x2 + add
    if measure == "RR":
        n1, n2 = n1 + add, n2 + add
        return np.log(a / n1 / (b / n2)), 1 / a - 1 / n1 + 1 / b - 1 / n2
    c, d = n1 - x1 + add, n2 - x2 + add
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def _pooled(
    studies: Sequence[Any],
    missingness: Missingness,
    measure: str,
    y: Array,
    v: Array,
    tau2_method: str,
    test: str,
    level: float,
) -> WithMissing:
    names = tuple(s.study for s in studies)
    if not np.isfinite(y).all() or not np.isfinite(v).all():
        bad = names[int(np.flatnonzero(~(np.isfinite(y) & np.isfinite(v)))[0])]
        raise InputError(
            f"{bad}: {measure} has no value when {missingness.assumption.replace('_', ' ')}. "
            f"Use RD, or another assumption."
        )
    shared: dict[str, Any] = {"study": names, "measure": measure, "level": level}
    return WithMissing(
        missingness=missingness,
        measure=measure,
        study=names,
        y=tuple(y.tolist()),
        v=tuple(v.tolist()),
        random=pool(y, v, method=tau2_method, test=test, **shared),
        common=pool(y, v, method="EE", test="z", **shared),
        method=f"missing outcomes: {missingness.assumption}; {tau2_method}, {test}",
        inputs=digest_of(list(studies), missingness, measure),
    )


def _columns(studies: Sequence[Any], arm: str, *names: str) -> list[Array]:
    return [np.array([getattr(s, f"{arm}_{n}") for s in studies], float) for n in names]


def _some(studies: Sequence[Any]) -> None:
    if not studies:
        raise InputError("There are no studies. Give at least one row.")
