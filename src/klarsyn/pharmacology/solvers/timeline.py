"""Dose records become a line of elementary events: amounts in, rates on and off, states set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from klarsyn.errors import InputError
from klarsyn.pharmacology.system import Change, Dose, Reset, System, check_doses, value_of

MOST_REPEATS = 1_000_000
MOST_RUNNING = 10_000
CARRIED = -1  # the number of events that a steady state brings along
ORDER = {"change": 0, "off": 1, "reset": 2, "steady": 3, "bolus": 4, "on": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A dose repeated for ever every `interval` h, as it stands when its record comes."""

    index: int
    amount: float
    rate: float
    length: float
    interval: float
    lag: float
    adds: bool

    def pattern(self) -> list[tuple[float, float]]:
        """(length, rate) pieces of one interval, all overlapping infusions counted."""
        if self.rate == 0:
            return [(self.interval, 0.0)]
        whole = math.floor(self.length / self.interval * (1 + 1e-14))
        rest = max(0.0, self.length - whole * self.interval)
        pieces = [(rest, (whole + 1) * self.rate), (self.interval - rest, whole * self.rate)]
        return [(length, rate) for length, rate in pieces if length > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One instant: `kind` says what; amounts and rates belong to compartment `index`.

    The two ends of one infusion share their `pair`.
    """

    time: float
    kind: str
    number: int
    index: int = 0
    pair: int = 0
    amount: float = 0.0
    steady: Steady | None = None
    change: Change | None = None

    def key(self) -> tuple[float, int, int]:
        """Where the event stands in the line."""
        return (self.time, ORDER[self.kind], self.number)


def timeline(
    system: System,
    doses: Sequence[Dose],
    changes: Sequence[Change],
    resets: Sequence[Reset] = (),
) -> list[Event]:
    """All events in the order in which they happen.

    A reset, and a dose that sets the steady state (SS 1), cancels what earlier records bring.
    """
    check_doses(system, doses)
    wiped = sorted({float(r.time) for r in resets})
    if not all(math.isfinite(time) for time in wiped):
        raise InputError("the time of a reset is not a finite number of hours.")
    replaced = sorted((float(d.time), i) for i, d in enumerate(doses) if d.steady == 1)
    ordered = sorted(changes, key=lambda c: c.time)
    events = [
        Event(time=float(c.time), kind="change", number=i, change=c) for i, c in enumerate(ordered)
    ]
    for number, dose in enumerate(doses):
        at = system
        for change in ordered:
            if change.time <= dose.time:
                at = at.with_parameters(change.parameters)
        until = min(
            next((time for time in wiped if time > dose.time), math.inf),
            next((at for at, later in replaced if (at, later) > (dose.time, number)), math.inf),
        )
        events += [e for e in _events_of(at, dose, number) if e.time < until]
    events += [Event(time=time, kind="reset", number=i) for i, time in enumerate(wiped)]
    return sorted(events, key=Event.key)


def _events_of(system: System, dose: Dose, number: int) -> list[Event]:
    index = system.compartments.index(dose.compartment)
    fraction = float(value_of(system.bioavailability, dose.compartment, system, 1.0))
    lag = float(value_of(system.lag, dose.compartment, system, 0.0))
    _check_share(fraction, lag, dose.compartment)
    constant = bool(dose.steady) and dose.amount == 0 and dose.rate > 0
    if constant:
        steady = Steady(
            index=index,
            amount=0.0,
            rate=dose.rate,
            length=math.inf,
            interval=math.inf,
            lag=0.0,
            adds=dose.steady == 2,
        )
        return [Event(time=dose.time, kind="steady", number=number, index=index, steady=steady)]
    amount = dose.amount * fraction
    rate, length = _input(system, dose, amount)
    events: list[Event] = []
    if dose.steady and max(length, lag) > MOST_RUNNING * dose.interval:
        raise InputError(
            f"the steady state into {dose.compartment} of an input {length:g} h long, after a lag "
            f"of {lag:g} h, every {dose.interval:g} h: more than {MOST_RUNNING} would run or wait "
            f"at once. Give a constant infusion (AMT 0 with RATE)."
        )
    if dose.steady:
        steady = Steady(
            index=index,
            amount=amount,
            rate=rate,
            length=length,
            interval=dose.interval,
            lag=lag,
            adds=dose.steady == 2,
        )
        events.append(
            Event(time=dose.time, kind="steady", number=number, index=index, steady=steady)
        )
    for repeat in range(dose.additional + 1):
        start = dose.time + lag + repeat * dose.interval
        given = _given(start, index, amount, rate, length, number)
        events += [replace(e, pair=number * MOST_REPEATS + repeat) for e in given]
    return events


def _check_share(fraction: float, lag: float, compartment: str) -> None:
    if not math.isfinite(fraction) or fraction < 0:
        raise InputError(
            f"bioavailability of {compartment} is {fraction:g}; it must be a number from 0 up."
        )
    if not math.isfinite(lag) or lag < 0:
        raise InputError(f"lag of {compartment} is {lag:g} h; it must be a number from 0 up.")


def _input(system: System, dose: Dose, amount: float) -> tuple[float, float]:
    """Rate and length of the input; a bolus has both 0."""
    if dose.duration > 0 or dose.rate == -2:
        length = dose.duration or float(
            value_of(system.duration, dose.compartment, system, math.nan)
        )
        if not length > 0:
            raise InputError(
                f"the dose into {dose.compartment} takes its duration from the model, which gives "
                f"{length:g} h. State a duration above 0."
            )
        return amount / length, length
    rate = dose.rate
    if rate == -1:
        rate = float(value_of(system.rate, dose.compartment, system, math.nan))
        if not rate > 0:
            raise InputError(
                f"the dose into {dose.compartment} takes its rate from the model, which gives "
                f"{rate:g}. State a rate above 0."
            )
    if rate == 0:
        return 0.0, 0.0
    return rate, amount / rate


def _given(
    start: float, index: int, amount: float, rate: float, length: float, number: int
) -> list[Event]:
    if rate == 0:
        return [Event(time=start, kind="bolus", number=number, index=index, amount=amount)]
    if length == 0:
        return []
    return [
        Event(time=start, kind="on", number=number, index=index, amount=rate),
        Event(time=start + length, kind="off", number=number, index=index, amount=rate),
    ]


def still_running(steady: Steady, now: float) -> list[Event]:
    """The ends of infusions that a steady state brings along, `now` being the record's time."""
    ends: list[Event] = []
    if steady.rate == 0 or math.isinf(steady.interval):
        return ends
    instance = _pending(steady) + 1
    while (end := _instance(steady, now, instance) + steady.length) > now + 1e-12:
        ends.append(
            Event(
                time=end,
                kind="off",
                number=CARRIED,
                index=steady.index,
                amount=steady.rate,
                pair=-instance,
            )
        )
        instance += 1
    return ends


def still_to_come(steady: Steady, now: float) -> list[Event]:
    """Earlier doses of a steady state whose lag is not over, where it exceeds the interval."""
    events: list[Event] = []
    for instance in range(1, _pending(steady) + 1):
        start = max(now, _instance(steady, now, instance))
        given = _given(start, steady.index, steady.amount, steady.rate, steady.length, CARRIED)
        events += [replace(e, pair=-instance) for e in given]
    return events


def _pending(steady: Steady) -> int:
    """How many earlier doses are still to enter when the record comes."""
    if math.isinf(steady.interval):
        return 0
    return math.floor(steady.lag / steady.interval * (1 + 1e-14))


def _instance(steady: Steady, now: float, instance: int) -> float:
    return now + steady.lag - instance * steady.interval


def phase_after_dose(steady: Steady) -> float:
    """Hours since the last dose of the steady state that entered before its record comes."""
    return steady.interval - (steady.lag - _pending(steady) * steady.interval)


def cut(pattern: list[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    """The first `length` hours of an interval's pieces."""
    kept: list[tuple[float, float]] = []
    for piece, rate in pattern:
        kept.append((min(piece, length), rate))
        length -= piece
        if length <= 0:
            break
    return kept
