"""From event to event: the same walk for the exact and for the integrated solution."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from klarsyn.pharmacology.solvers.timeline import (
    CARRIED,
    Event,
    Steady,
    still_running,
    still_to_come,
    timeline,
)
from klarsyn.pharmacology.system import Change, Dose, Reset, System, initial_state


class Flow(Protocol):
    """How amounts move while nothing happens."""

    def many(
        self, state: np.ndarray, rates: np.ndarray, begin: float, times: np.ndarray
    ) -> np.ndarray:
        """States at `times` (n, d), ascending, from `state` at `begin`."""
        ...

    def steady(self, steady: Steady, now: float) -> np.ndarray:
        """The state of a dose repeated for ever, when its record comes."""
        ...


def march(
    system: System,
    doses: Sequence[Dose],
    times: np.ndarray,
    changes: Sequence[Change],
    flow_of: Callable[[System], Flow],
    resets: Sequence[Reset] = (),
) -> np.ndarray:
    """Amounts at `times` (T, d); at the instant of an event, those after it."""
    line = [(*e.key(), i, e) for i, e in enumerate(timeline(system, doses, changes, resets))]
    heapq.heapify(line)
    order = np.argsort(times, kind="stable")
    now = min([0.0, *times[order[:1]], *(item[0] for item in line)])
    walk = _Walk(system, flow_of, len(line))
    answer = np.empty((len(times), len(system.compartments)))
    while True:
        until = line[0][0] if line else math.inf
        ready = int(np.searchsorted(times[order], until, side="left"))
        chosen, order = order[:ready], order[ready:]
        wanted = times[chosen] if math.isinf(until) else np.append(times[chosen], until)
        states = walk.flow.many(walk.state, walk.rates, now, wanted)
        answer[chosen] = states[: len(chosen)]
        if not line:
            return answer
        walk.state, now = states[-1].copy(), until
        while line and line[0][0] == now:
            walk.happen(heapq.heappop(line)[-1], line)


class _Walk:
    """The state between events: amounts, inputs that run, and how amounts move."""

    def __init__(self, system: System, flow_of: Callable[[System], Flow], serial: int) -> None:
        self.system, self.flow_of, self.serial = system, flow_of, serial
        self.flow = flow_of(system)
        self.state = initial_state(system)
        self.running: dict[int, tuple[int, float]] = {}

    @property
    def rates(self) -> np.ndarray:
        rates = np.zeros(len(self.system.compartments))
        for index, rate in self.running.values():
            rates[index] += rate
        return rates

    def happen(self, event: Event, line: list) -> None:
        if event.kind == "bolus":
            self.state[event.index] += event.amount
        elif event.kind == "on":
            self.running[event.pair] = (event.index, event.amount)
        elif event.kind == "off":
            self.running.pop(event.pair, None)
        elif event.kind == "reset":
            self.state, self.running = initial_state(self.system), {}
            line[:] = [item for item in line if item[-1].number != CARRIED]
            heapq.heapify(line)
        elif event.kind == "change":
            assert event.change is not None
            self.system = self.system.with_parameters(event.change.parameters)
            self.flow = self.flow_of(self.system)
        else:
            self._settle(event, line)

    def _settle(self, event: Event, line: list) -> None:
        steady = event.steady
        assert steady is not None
        found = self.flow.steady(steady, event.time)
        if steady.adds:
            self.state = self.state + found
        else:
            self.state, self.running = found, {}
        ends = still_running(steady, event.time)
        for end in ends:
            self.running[end.pair] = (end.index, end.amount)
        for later in [*ends, *still_to_come(steady, event.time)]:
            heapq.heappush(line, (*later.key(), self.serial, later))
            self.serial += 1
