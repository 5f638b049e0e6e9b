"""A printed survival curve with its numbers at risk becomes pseudo-participants (Guyot 2012)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import stream

OUTLIERS = ("keep", "tukey")
_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Digitised:
    """A curve as read off a figure: survival as a share, numbers at risk at `risk_time`.

    `total_events` is the published number of events, where there is one.
    """

    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    risk_time: NDArray[np.float64]
    at_risk: NDArray[np.int64]
    total_events: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """Pseudo-participants whose Kaplan–Meier curve is the printed one.

    `at_risk_error` is how far the reconstruction misses each published number at risk;
    `largest_distance` is the largest distance in survival to the cleaned clicks.
    """

    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    at_risk_error: NDArray[np.int64]
    largest_distance: float
    clicks: int
    dropped: int

    @property
    def events(self) -> int:
        """How many pseudo-participants have the event."""
        return int(self.event.sum())


def digitised(
    time: ArrayLike,
    survival: ArrayLike,
    risk_time: ArrayLike,
    at_risk: ArrayLike,
    *,
    total_events: int | None = None,
    largest_rise: float = 0.02,
    where: str = "curve",
) -> Digitised:
    """Check what was read off a figure.

    `survival` as shares from 0 to 1. A later point may lie above an earlier one by at most
    `largest_rise` (a trembling hand); more is an error, because survival does not rise.
    Raises InputError with the number of the point.
    """
    t, s = np.asarray(time, dtype=float), np.asarray(survival, dtype=float)
    r, n = np.asarray(risk_time, dtype=float), np.asarray(at_risk, dtype=float)
    if t.size != s.size or t.size < 2:
        raise InputError(f"{where}: at least two points with a time and a survival are needed.")
    if r.size != n.size or r.size < 1:
        raise InputError(f"{where}: each time of the at-risk row needs its number at risk.")
    _check_points(t, s, largest_rise, where)
    if (
        not (np.isfinite(r).all() and r[0] >= 0)
        or np.any(np.diff(r) <= 0)
        or r[0] > max(0.0, float(t.min()))
    ):
        raise InputError(
            f"{where}: the at-risk times must increase and start where the curve does."
        )
    rising = np.flatnonzero(np.diff(n) > 0)
    if rising.size or n[0] < 1 or np.any(n < 0) or np.any(n != np.rint(n)):
        raise InputError(
            f"{where}: the numbers at risk must be whole numbers that never rise; "
            f"got {', '.join(f'{x:g}' for x in n)}."
        )
    if total_events is not None and not 0 <= total_events <= n[0]:
        raise InputError(f"{where}: {total_events} events among {n[0]:g} participants.")
    if total_events == 0 and s.min() < 1 - largest_rise:
        raise InputError(
            f"{where}: no events are told, but the curve falls to {s.min():g}. Leave the total out "
            f"if it was not printed."
        )
    return Digitised(
        time=t,
        survival=s,
        risk_time=r,
        at_risk=n.astype(np.int64),
        total_events=total_events,
    )


def reconstruct(curve: Digitised, *, outliers: str = "keep") -> Reconstruction:
    """Solve for events and censorings that give the clicks and the numbers at risk.

    Guyot et al. 2012 (BMC Med Res Methodol 12:9) with one rule added: a click that does not lie
    below the one before it never holds an event, so a level tail stays free of events. `outliers`
    is `keep`, or `tukey` for the way of Liu et al. 2021 (IPDfromKM): it drops single clicks whose
    jump lies outside Tukey's fences with k = 0.5, and censors between clicks only, so it needs many
    of them. With `keep`, censorings spread over the whole time between two numbers at risk, also
    where a level stretch holds no click.
    """
    if outliers not in OUTLIERS:
        raise unknown_name("way to treat outlying clicks", outliers, OUTLIERS)
    clicks, levels = _cleaned(curve, outliers)
    risk_time, at_risk = _trimmed(curve)
    whole = outliers == "keep"
    time, survival = clicks, levels
    if whole:
        told = (at_risk > 0) & ((risk_time < clicks[-1]) | (curve.total_events is None))
        time, survival = _with_risk_times(clicks, levels, risk_time[told])
    interval = np.searchsorted(risk_time, time, side="right") - 1
    used = np.unique(np.maximum(interval, 0))
    state = _State.start(time, survival, int(at_risk[0]), whole=whole)
    lows = [int(np.flatnonzero(np.maximum(interval, 0) == i)[0]) for i in used]
    highs = [*[low - 1 for low in lows[1:]], time.size - 1]
    missed = np.zeros(used.size, dtype=np.int64)
    censored: list[float] = []
    for j in range(used.size - 1):
        start = int(state.left[lows[j]])
        goal = int(at_risk[used[j + 1]])
        censored.append(_fit_interval(state, lows[j], highs[j], start, goal))
        missed[j + 1] = int(state.left[lows[j + 1]]) - goal
    remaining = int(at_risk[-1]) if used[-1] < at_risk.size - 1 else 0
    _fit_last(state, lows, highs, risk_time[used], censored, remaining, curve.total_events)
    rebuilt = _participants(state, missed, clicks.size, curve.time.size - clicks.size)
    return _followed_on(rebuilt, risk_time, at_risk) if whole else rebuilt


def reconstruct_repeatedly(
    curve: Digitised,
    *,
    repeats: int,
    seed: int,
    key: int = 0,
    survival_error: float = 0.005,
    time_error: float = 0.005,
    at_risk_error: int = 1,
    outliers: str = "keep",
) -> tuple[Reconstruction, ...]:
    """Reconstructions of the same curve read again with error.

    Each level of the curve moves by a uniform error of ± `survival_error` (share of the axis), each
    click's time by ± `time_error` of the longest time, and each number at risk after the first by a
    whole number up to ± `at_risk_error` (before or after the events of that day is seldom said).
    Clicks on one level move together, so a level stretch stays level.
    """
    results = []
    for repeat in range(repeats):
        draw = stream(seed, "reading error", key, repeat)
        levels, where = np.unique(curve.survival, return_inverse=True)
        moved = levels + draw.uniform(-survival_error, survival_error, levels.size)
        width = time_error * float(curve.time.max())
        times = np.maximum(curve.time + draw.uniform(-width, width, curve.time.size), 0.0)
        shift = draw.integers(-at_risk_error, at_risk_error + 1, curve.at_risk.size)
        shift[0] = 0
        counts = np.clip(curve.at_risk + shift, 0, curve.at_risk[0])
        again = Digitised(
            time=np.maximum.accumulate(times),
            survival=np.clip(moved, 0.0, 1.0)[where],
            risk_time=curve.risk_time,
            at_risk=np.minimum.accumulate(counts),
            total_events=curve.total_events,
        )
        results.append(reconstruct(again, outliers=outliers))
    return tuple(results)


def _check_points(t: NDArray[np.float64], s: NDArray[np.float64], rise: float, where: str) -> None:
    order = np.argsort(t, kind="stable")
    lowest = math.inf
    for i in order:
        at = f"{where}: point {i + 1} (time {t[i]:g}, survival {s[i]:g})"
        if not (math.isfinite(t[i]) and math.isfinite(s[i])):
            raise InputError(f"{at} is not a pair of numbers.")
        if not -0.02 <= s[i] <= 1.02:
            raise InputError(f"{at}: survival is a share from 0 to 1. Divide percentages by 100.")
        if s[i] > lowest + rise:
            raise InputError(
                f"{at} lies {s[i] - lowest:.3g} above an earlier point; survival cannot rise. "
                f"Look for two curves read as one, or a wrong axis."
            )
        lowest = min(lowest, s[i])


def _trimmed(curve: Digitised) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The at-risk row with at most one zero at its end."""
    keep = curve.at_risk.size
    while keep > 1 and curve.at_risk[keep - 1] == 0 and curve.at_risk[keep - 2] == 0:
        keep -= 1
    return curve.risk_time[:keep], curve.at_risk[:keep]


def _cleaned(curve: Digitised, outliers: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Clicks in order, never rising, at most two a time, from (0, 1)."""
    order = np.argsort(curve.time, kind="stable")
    t, s = curve.time[order], curve.survival[order]
    if outliers == "tukey":
        keep = ~_single_outliers(s)
        t, s = t[keep], s[keep]
    s = np.minimum.accumulate(s)
    pairs = np.unique(np.column_stack([t, -s]), axis=0)
    first = np.r_[True, np.diff(pairs[:, 0]) > 0]
    last = np.r_[first[1:], True]
    t, s = pairs[first | last, 0], -pairs[first | last, 1]
    valid = (t >= 0) & (s >= 0) & (s <= 1)
    t, s = t[valid], s[valid]
    if t.size == 0 or t[0] != 0 or s[0] != 1:
        t, s = np.r_[0.0, t], np.r_[1.0, s]
    return t, s


def _with_risk_times(
    time: NDArray[np.float64], survival: NDArray[np.float64], risk_time: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The clicks, and the level of the step curve at each number at risk that has none.

    A number at risk after the last click says that the curve went on, so its level does too.
    """
    between = risk_time[~np.isin(risk_time, time)]
    before = np.searchsorted(time, between, side="right") - 1
    known = before >= 0
    place = np.searchsorted(time, between[known])
    return (
        np.insert(time, place, between[known]),
        np.insert(survival, place, survival[before[known]]),
    )


def _single_outliers(s: NDArray[np.float64]) -> NDArray[np.bool_]:
    jump = np.abs(np.diff(s, prepend=s[0]))
    q1, q3 = np.quantile(jump, [0.25, 0.75])
    far = (jump <= q1 - 0.5 * (q3 - q1)) | (jump >= q3 + 0.5 * (q3 - q1))
    return far & ~np.r_[False, far[:-1]] & np.r_[far[1:], True]


@dataclass(slots=True)
class _State:
    """The reconstruction while it is being solved; the only mutable thing here."""

    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    events: NDArray[np.float64]
    censored: NDArray[np.float64]
    left: NDArray[np.float64]
    curve: NDArray[np.float64]
    whole: bool

    @classmethod
    def start(
        cls, time: NDArray[np.float64], survival: NDArray[np.float64], n: int, *, whole: bool
    ) -> _State:
        size = time.size
        left = np.full(size + 1, float(n))
        return cls(time, survival, np.zeros(size), np.zeros(size), left, np.ones(size), whole)

    def run(self, low: int, high: int, start: float, allow_events: bool = True) -> None:
        """Walk through clicks low..high with the censorings already placed."""
        self.left[low] = start
        last = self.curve[low - 1] if low else 1.0
        for k in range(low, high + 1):
            falls = k > 0 and self.survival[k] < self.survival[k - 1]
            d = 0.0
            if falls and allow_events and last > 0:
                d = max(0.0, round(self.left[k] * (1 - self.survival[k] / last)))
            d = min(d, self.left[k])
            if d:
                last *= 1 - d / self.left[k]
            self.events[k], self.curve[k] = d, last
            after = self.left[k] - d - self.censored[k]
            if after < 0:
                self.censored[k] = max(0.0, self.left[k] - d)
                after = 0.0
            self.left[k + 1] = after

    def spread(self, low: int, high: int, count: float) -> float:
        """Place floor(count) censorings evenly, to the next stretch or this one's last click."""
        whole = int(count)
        self.censored[low : high + 1] = 0.0
        if whole <= 0:
            return 0.0
        start, end = self.time[low], self.time[min(high + self.whole, self.time.size - 1)]
        moments = start + np.arange(1, whole + 1) * (end - start) / (count + 1)
        place = np.searchsorted(self.time, moments, side="right") - 1
        np.add.at(self.censored, np.clip(place, low, high), 1.0)
        return float(whole)


def _fit_interval(state: _State, low: int, high: int, start: int, goal: int) -> float:
    """Shift the number of censorings until the next number at risk is met, or cannot be."""
    fall = state.survival[high + 1] / state.survival[low] if state.survival[low] > 0 else 0.0
    count = float(round(start * fall - goal))
    best, distance = 0.0, math.inf
    for _ in range(_ROUNDS):
        count = state.spread(low, high, max(0.0, min(count, start - goal + 1)))
        state.run(low, high, start)
        miss = state.left[high + 1] - goal
        if abs(miss) < distance:
            best, distance = count, abs(miss)
        if miss == 0 or (miss < 0 and count == 0) or (miss > 0 and count > start - goal):
            break
        count += miss
    if state.left[high + 1] - goal != 0:
        state.spread(low, high, best)
        state.run(low, high, start)
    return best


def _fit_last(
    state: _State,
    lows: list[int],
    highs: list[int],
    risk_time: NDArray[np.float64],
    censored: list[float],
    remaining: int,
    total_events: int | None,
) -> None:
    """The stretch after the last number at risk: censored at the earlier rate, or by events."""
    low, high = lows[-1], highs[-1]
    start = float(state.left[low])
    before = float(state.events[:low].sum())
    count = 0.0
    if censored:
        rate = np.mean(censored) / (risk_time[-1] - risk_time[-2])
        wanted = 0.0 if total_events is None else max(0.0, total_events - before)
        room = max(0.0, start - remaining - wanted)
        count = min(rate * (state.time[high] - risk_time[-1]), room)
    state.spread(low, high, count)
    state.run(low, high, start, allow_events=total_events is None or before < total_events)
    if total_events is not None:
        _match_events(state, low, high, start, int(count), total_events - before)


def _match_events(
    state: _State, low: int, high: int, start: float, count: int, wanted: float
) -> None:
    """More censorings in the last stretch while it holds too many events, fewer while too few."""
    best, distance = count, abs(state.events[low : high + 1].sum() - wanted)
    for _ in range(_ROUNDS):
        surplus = state.events[low : high + 1].sum() - wanted
        if surplus == 0 or wanted <= 0 or (surplus < 0 and count == 0):
            break
        count = int(min(max(0, count + surplus), start))
        state.spread(low, high, count)
        state.run(low, high, start)
        now = abs(state.events[low : high + 1].sum() - wanted)
        if now < distance:
            best, distance = count, now
        elif count in (0, int(start)):
            break
    state.spread(low, high, best)
    state.run(low, high, start, allow_events=wanted > 0)


def _participants(
    state: _State, missed: NDArray[np.int64], clicks: int, dropped: int
) -> Reconstruction:
    middle = np.r_[(state.time[:-1] + state.time[1:]) / 2, state.time[-1]]
    d, c = state.events.astype(int), state.censored.astype(int)
    final = int(state.left[-1])
    time = np.r_[np.repeat(state.time, d), np.repeat(middle, c), np.repeat(state.time[-1], final)]
    event = np.r_[np.ones(d.sum(), bool), np.zeros(c.sum() + final, bool)]
    order = np.argsort(time, kind="stable")
    return Reconstruction(
        time=time[order],
        event=event[order],
        at_risk_error=missed,
        largest_distance=float(np.abs(state.curve - state.survival).max()),
        clicks=clicks,
        dropped=max(0, dropped),
    )


def _followed_on(
    rebuilt: Reconstruction, risk_time: NDArray[np.float64], at_risk: NDArray[np.int64]
) -> Reconstruction:
    """Those whom a number after the last click still counts are censored there, not at the click.

    Needed where the total of events rules the last stretch, so that it holds no such number.
    """
    last = float(rebuilt.time[-1])
    later = np.flatnonzero((risk_time > last) & (at_risk > 0))
    if not later.size:
        return rebuilt
    time = rebuilt.time.copy()
    ending = np.flatnonzero((time == last) & ~rebuilt.event)
    for place in later:  # each number counts the ones that follow too
        time[ending[max(0, ending.size - int(at_risk[place])) :]] = risk_time[place]
    order = np.argsort(time, kind="stable")
    return replace(rebuilt, time=time[order], event=rebuilt.event[order])
