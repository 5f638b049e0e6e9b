"""How long it lasts: printed relapse curves, with the error of reading them carried through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.reconstruction import (
    Digitised,
    Reconstruction,
    digitised,
    reconstruct,
    reconstruct_repeatedly,
)
from klarsyn.stats.survival import (
    LogRank,
    SurvivalCurve,
    cox_two_groups,
    kaplan_meier,
    largest_common_time,
    log_rank,
    restricted_mean,
)
from klarsyn.synthesis.unread import Unread, note_on, unread_stretches

ORIGINS = ("last_dose", "first_dose", "randomisation")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelapseCurve:
    """The share of one arm still without relapse, as printed; times in days from `origin`.

    `last_dose` is the day of the last dose counted from `origin` (0 where origin is the last dose);
    `redosed` says that doses went on during follow-up, so the curve describes a strategy.
    """

    study: str
    arm: str
    points: Digitised
    origin: str
    last_dose: float = 0.0
    redosed: bool = False
    source: str = ""
    locator: str = ""


def relapse_curve(
    study: str,
    arm: str,
    time: ArrayLike,
    remaining: ArrayLike,
    risk_time: ArrayLike,
    at_risk: ArrayLike,
    *,
    origin: str,
    last_dose: float | None = None,
    total_events: int | None = None,
    redosed: bool = False,
    source: str = "",
    locator: str = "",
    largest_rise: float = 0.02,
) -> RelapseCurve:
    """Check one printed curve; `remaining` is the share without relapse, from 0 to 1.

    `last_dose` may be left out only where time starts there: which day it was is not assumed.
    """
    if origin not in ORIGINS:
        raise unknown_name("origin of time", origin, ORIGINS, f"{study}, {arm}")
    if last_dose is None and origin != "last_dose":
        raise InputError(
            f"{study}, {arm}: days are read from {origin.replace('_', ' ')} and reported from the "
            "last dose. Give last_dose, its day (0 where dosing stopped at the start)."
        )
    points = digitised(
        time,
        remaining,
        risk_time,
        at_risk,
        total_events=total_events,
        largest_rise=largest_rise,
        where=f"{study}, {arm}",
    )
    return RelapseCurve(
        study=study,
        arm=arm,
        points=points,
        origin=origin,
        last_dose=last_dose or 0.0,
        redosed=redosed,
        source=source,
        locator=locator,
    )


def from_last_dose(time: ArrayLike, event: ArrayLike, last_dose: float) -> tuple[Any, Any]:
    """Participants still event-free at the last dose, with time counted from it."""
    t, e = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    still = t > last_dose
    if not still.any():
        raise InputError(f"Nobody is followed beyond the last dose on day {last_dose:g}.")
    return t[still] - last_dose, e[still]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDurability:
    """One arm rebuilt: its Kaplan–Meier curve from the last dose, and what reading it cost.

    `unread` are the stretches between clicks in which several relapses fell on unknown days.
    """

    study: str
    arm: str
    curve: SurvivalCurve
    reconstruction: Reconstruction
    repeats: tuple[SurvivalCurve, ...]
    origin: str
    redosed: bool
    method: str
    digest: str
    seed: int
    unread: tuple[Unread, ...] = ()

    def remaining(self, times: ArrayLike, level: float = 0.95) -> list[dict[str, float]]:
        """Share without relapse at `times` with limits that hold reading error too.

        Between two clicks that frame several relapses the share is the highest possible,
        `remaining_least` the lowest, and the limits hold both.
        """
        rows = []
        for t in np.atleast_1d(np.asarray(times, dtype=float)):
            row = self._at(float(t), level)
            for u in self.unread:
                if u.holds(float(t)):
                    later = self._at(u.end, level)
                    row["low"] = later["low"]
                    row["remaining_least"] = later["remaining"]
            rows.append(row)
        return rows

    def _at(self, day: float, level: float) -> dict[str, float]:
        from scipy import special

        share = float(self.curve.at(day))
        sampling = float(self.curve.standard_error(day))
        reading = float(np.std([c.at(day) for c in self.repeats], ddof=1))
        se = math.hypot(sampling, reading)
        low, high = share, share
        if 0 < share < 1:
            z = float(special.ndtri(0.5 + level / 2))
            half = z * se / abs(share * math.log(share))
            low, high = share ** math.exp(half), share ** math.exp(-half)
        return {
            "day": day,
            "remaining": share,
            "se": se,
            "low": low,
            "high": high,
            "reading_se": reading,
            "remaining_least": share,
        }

    def note(self) -> str:
        """What was not read of the curve and what it does to the results; empty without any."""
        return note_on(f"{self.study}, {self.arm}", self.unread)

    def _middle(self) -> str:
        """The median in words: between two clicks where it falls into what was not read."""
        for u in self.unread:
            if u.before > 0.5 >= u.after:
                return f"median between {u.start:g} and {u.end:g} days"
        median = self.curve.quantile()
        return f"median {median:.0f} days" if math.isfinite(median) else "median not reached"

    def summary(self) -> str:
        """One sentence: participants, relapses, median."""
        return (
            f"{self.study}, {self.arm}: {self.reconstruction.events} relapses among "
            f"{self.curve.participants}, {self._middle()} from the last dose"
            + (" (dosing went on: a strategy, not a wearing-off)." if self.redosed else ".")
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        median = self.curve.quantile()
        return {
            "study": self.study,
            "arm": self.arm,
            "participants": self.curve.participants,
            "events": self.reconstruction.events,
            "median_days": median if math.isfinite(median) else None,
            "followed_days": self.curve.last_time,
            "largest_distance": self.reconstruction.largest_distance,
            "at_risk_error": self.reconstruction.at_risk_error.tolist(),
            "unread": [u.to_dict() for u in self.unread],
            "redosed": self.redosed,
            "origin": "last_dose",
            "read_from": self.origin,
            "method": self.method,
            "digest": self.digest,
            "seed": self.seed,
        }

    def steps(self, name: str = "") -> list[dict[str, Any]]:
        """The curve as steps from day 0, for a figure."""
        low, high = self.curve.interval(self.curve.time)
        rows = zip(self.curve.time, self.curve.survival, low, high, strict=True)
        label = name or self.arm
        return [{"group": label, "time": 0.0, "share": 1.0, "low": 1.0, "high": 1.0}] + [
            {"group": label, "time": float(t), "share": float(s)}
            | {"low": float(a), "high": float(b)}
            for t, s, a, b in rows
        ]

    def plot(self, **labels: Any) -> Any:
        """The curve with the numbers at risk (Altair)."""
        return arms_chart([self], **labels)


def arms_chart(arms: Sequence[ArmDurability], marks: int = 6, **labels: Any) -> Any:
    """Several arms in one figure; numbers at risk at `marks` evenly spaced days."""
    from klarsyn.figures.survival import survival_curves
    from klarsyn.figures.theme import housed

    names = [a.arm if len({b.study for b in arms}) == 1 else f"{a.study}, {a.arm}" for a in arms]
    days = np.floor(np.linspace(0, max(a.curve.last_time for a in arms), marks))
    at_risk = [
        {"group": name, "time": float(day), "number": int(arm.curve.number_at_risk(day))}
        for name, arm in zip(names, arms, strict=True)
        for day in days
    ]
    steps = [s for name, arm in zip(names, arms, strict=True) for s in arm.steps(name)]
    return housed(survival_curves(steps, at_risk, **labels))


def rebuild(
    curve: RelapseCurve,
    *,
    seed: int,
    repeats: int = 200,
    outliers: str = "keep",
    survival_error: float = 0.005,
    time_error: float = 0.005,
    at_risk_error: int = 1,
) -> ArmDurability:
    """Pseudo-participants of one printed curve, and `repeats` rereadings with error.

    Errors as in `stats.reconstruction.reconstruct_repeatedly`: shares of the axes, and whole
    participants.
    """
    if repeats < 2:
        raise InputError("At least two repeats are needed to see the reading error.")
    best = reconstruct(curve.points, outliers=outliers)
    digest = digest_of(curve)
    again = reconstruct_repeatedly(
        curve.points,
        repeats=repeats,
        seed=seed,
        key=int(digest[:8], 16),
        survival_error=survival_error,
        time_error=time_error,
        at_risk_error=at_risk_error,
        outliers=outliers,
    )
    zero = 0.0 if curve.origin == "last_dose" else curve.last_dose
    whole = _curve_from(best, zero)
    return ArmDurability(
        study=curve.study,
        arm=curve.arm,
        curve=whole,
        unread=unread_stretches(curve.points, whole, zero),
        reconstruction=best,
        repeats=tuple(_curve_from(r, zero) for r in again),
        origin=curve.origin,
        redosed=curve.redosed,
        method=f"Guyot 2012, outliers {outliers}, {repeats} rereadings",
        digest=digest,
        seed=seed,
    )


def _curve_from(rebuilt: Reconstruction, zero: float) -> SurvivalCurve:
    if zero == 0:
        return kaplan_meier(rebuilt.time, rebuilt.event)
    return kaplan_meier(*from_last_dose(rebuilt.time, rebuilt.event, zero))


def participants(curve: SurvivalCurve) -> tuple[Any, Any]:
    """Times and events of those behind a curve."""
    time = np.repeat(curve.time, curve.events + curve.censored)
    counts = np.column_stack([curve.events, curve.censored]).ravel()
    return time, np.repeat(np.tile([True, False], curve.time.size), counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityComparison:
    """Two arms of one study: `test` against `control`; below 1 (log < 0) is fewer relapses.

    `hazard_ratio` carries sampling, reading and method error; the parts stand beside it. `extra`
    is the difference in mean days without relapse up to `horizon`, test minus control.
    """

    study: str
    test: str
    control: str
    hazard_ratio: Estimate
    sampling_se: float
    reading_se: float
    method_error: float
    ties: str
    log_rank: LogRank
    horizon: float
    mean_test: Estimate
    mean_control: Estimate
    extra: Estimate
    digest: str
    seed: int

    def summary(self) -> str:
        """One sentence with the hazard ratio and the extra days."""
        low, high = self.hazard_ratio.interval()
        a, b = self.extra.interval()
        return (
            f"{self.study}: {self.test} against {self.control}, hazard ratio of relapse "
            f"{math.exp(self.hazard_ratio.value):.2f} ({math.exp(low):.2f} to {math.exp(high):.2f})"
            f"; {self.extra.value:+.1f} days without relapse within {self.horizon:g} "
            f"({a:.1f} to {b:.1f})."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        low, high = self.hazard_ratio.interval()
        return {
            "study": self.study,
            "test": self.test,
            "control": self.control,
            "hazard_ratio": math.exp(self.hazard_ratio.value),
            "low": math.exp(low),
            "high": math.exp(high),
            "log_hazard_ratio": self.hazard_ratio.value,
            "se": self.hazard_ratio.se,
            "sampling_se": self.sampling_se,
            "reading_se": self.reading_se,
            "method_error": self.method_error,
            "log_rank_p": self.log_rank.p,
            "horizon_days": self.horizon,
            "extra_days": self.extra.value,
            "extra_days_interval": list(self.extra.interval()),
            "method": self.method,
            "digest": self.digest,
            "seed": self.seed,
        }

    @property
    def method(self) -> str:
        """How the hazard ratio was estimated."""
        return self.hazard_ratio.method

    def plot(self) -> Any:
        """The hazard ratio as its error grows: sampling, reading the curve, rebuilding (Altair)."""
        from klarsyn.figures.estimates import estimate_lines

        errors = [self.sampling_se, math.hypot(self.sampling_se, self.reading_se)]
        labels = ("sampling error alone", "and error of reading the curve", "and of the method")
        held = [replace(self.hazard_ratio, se=se) for se in (*errors, self.hazard_ratio.se)]
        *first, last = [
            (label, e.value, *e.interval()) for label, e in zip(labels, held, strict=True)
        ]
        title = f"Hazard ratio of relapse, {self.test} against {self.control}"
        return estimate_lines(first, pooled=[last], title=title, log=True)


def compare_durability(
    test: ArmDurability,
    control: ArmDurability,
    *,
    horizon: float | None = None,
    ties: str = "efron",
    method_error: float = 0.05,
) -> DurabilityComparison:
    """Hazard ratio, log-rank and restricted mean difference of two rebuilt arms.

    The variance of the log hazard ratio is sampling + between rereadings + `method_error`²: the
    Bonner benchmark's reconstruction misses the published hazard ratio by about 5 %, whatever the
    clicks. `horizon` in days; without one the longest that both arms share.
    """
    if method_error < 0:
        raise InputError(
            f"The method's error is a standard deviation; {method_error:g} is below 0."
        )
    tau = largest_common_time(test.curve, control.curve) if horizon is None else horizon
    fit = _cox(test.curve, control.curve, ties)
    pairs = list(zip(test.repeats, control.repeats, strict=True))
    reading = float(np.std([_cox(a, b, ties).value for a, b in pairs], ddof=1))
    means = [restricted_mean(c, tau) for c in (test.curve, control.curve)]
    rereads = [
        restricted_mean(a, t).value - restricted_mean(b, t).value
        for a, b in pairs
        for t in [min(tau, largest_common_time(a, b))]
    ]
    time, event, group = _stacked(test.curve, control.curve)
    return DurabilityComparison(
        study=test.study,
        test=test.arm,
        control=control.arm,
        hazard_ratio=replace(fit, se=math.sqrt(fit.se**2 + reading**2 + method_error**2)),
        sampling_se=fit.se,
        reading_se=reading,
        method_error=method_error,
        ties=ties,
        log_rank=log_rank(time, event, group),
        horizon=tau,
        mean_test=means[0],
        mean_control=means[1],
        extra=Estimate(
            value=means[0].value - means[1].value,
            se=math.sqrt(means[0].se ** 2 + means[1].se ** 2 + float(np.var(rereads, ddof=1))),
            method="difference in restricted mean time",
        ),
        digest=digest_of(test.digest, control.digest),
        seed=test.seed,
    )


def _stacked(test: SurvivalCurve, control: SurvivalCurve) -> tuple[Any, Any, Any]:
    (t1, e1), (t0, e0) = participants(test), participants(control)
    group = np.r_[np.zeros(t0.size, bool), np.ones(t1.size, bool)]
    return np.r_[t0, t1], np.r_[e0, e1], group


def _cox(test: SurvivalCurve, control: SurvivalCurve, ties: str) -> Estimate:
    return cox_two_groups(*_stacked(test, control), ties=ties).estimate
