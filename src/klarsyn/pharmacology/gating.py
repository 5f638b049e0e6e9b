"""The channel as a Markov chain: gating, magnesium, and a drug that is trapped when it closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.pharmacology.constants import Constants, needing, read_constants

BLOCKED = "+B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A gating scheme: `transitions` are (from, to, on, off, binds) by the names of their rates.

    `binds` is 'agonist', 'magnesium' or ''; rates of binding are in /uM/s, all others in /s.
    """

    id: str
    states: tuple[str, ...]
    conducting: tuple[str, ...]
    magnesium_arm: tuple[str, ...]
    transitions: tuple[tuple[str, str, str, str, str], ...]
    voltage: Mapping[str, float]
    constants: Constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A drug that enters and leaves the open channel only.

    `on` (/uM/s) and `off` (/s) are microscopic rates at the reference voltage; `off` grows by
    exp(delta (V - reference) / thermal), Woodhull's rule.
    """

    on: float
    off: float
    delta: float
    reference: float = -70.0
    thermal: float = 26.7

    @property
    def dissociation(self) -> float:
        """off over on, in uM."""
        return self.off / self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What surrounds the channel: voltage in mV, magnesium in mM, agonist and drug in uM."""

    voltage: float
    magnesium: float
    agonist: float
    drug: float = 0.0


def read_scheme(name: str) -> Scheme:
    """A gating scheme of the library, or a user's own file.

    Raises InputError for a transition whose state or rate is not in the file.
    """
    tables = ("states", "conducting", "magnesium_arm", "transitions", "voltage")
    constants = needing(read_constants(name), "a gating scheme", tables)
    data = constants.rest
    states = tuple(data["states"])
    transitions = tuple(
        (t["from"], t["to"], t["on"], t["off"], t.get("binds", "")) for t in data["transitions"]
    )
    for a, b, on, off, _ in transitions:
        for state in (a, b):
            if state not in states:
                raise unknown_name("state", state, states, constants.id)
        for rate in (on, off):
            if rate not in constants.numbers:
                raise unknown_name("rate", rate, constants.numbers, constants.id)
    return Scheme(
        id=constants.id,
        states=states,
        conducting=tuple(data["conducting"]),
        magnesium_arm=tuple(data["magnesium_arm"]),
        transitions=transitions,
        voltage=data["voltage"],
        constants=constants,
    )


def all_states(scheme: Scheme, conditions: Conditions) -> tuple[str, ...]:
    """The states that can be visited: no magnesium arm without magnesium, no blocked without drug.

    The blocked arm mirrors every state without magnesium: the agonist leaves and the gate moves
    as if the drug were not there, which is what full trapping means.
    """
    free = [s for s in scheme.states if s not in scheme.magnesium_arm]
    shown = scheme.states if conditions.magnesium > 0 else tuple(free)
    blocked = tuple(s + BLOCKED for s in free) if conditions.drug > 0 else ()
    return (*shown, *blocked)


def generator(
    scheme: Scheme,
    conditions: Conditions,
    blocker: Blocker | None = None,
    *,
    states: Sequence[str] | None = None,
) -> np.ndarray:
    """The rate matrix (n, n) in /s, row = from; rows sum to zero.

    `states` keeps arms that the conditions would leave out, for courses through a wash.
    """
    if conditions.drug > 0 and blocker is None:
        raise InputError("a drug concentration needs a blocker with its rates.")
    names = tuple(states or all_states(scheme, conditions))
    place = {s: i for i, s in enumerate(names)}
    found = np.zeros((len(names), len(names)))

    def link(a: str, b: str, forward: float, back: float) -> None:
        if a in place and b in place:
            found[place[a], place[b]] += forward
            found[place[b], place[a]] += back

    for a, b, on, off, binds in scheme.transitions:
        forward, back = _rates(scheme, conditions, on, off, binds)
        link(a, b, forward, back)
        if binds != "magnesium" and a not in scheme.magnesium_arm:
            link(a + BLOCKED, b + BLOCKED, forward, back)
    if blocker is not None:
        leave = blocker.off * np.exp(
            blocker.delta * (conditions.voltage - blocker.reference) / blocker.thermal
        )
        for state in scheme.conducting:
            link(state, state + BLOCKED, blocker.on * conditions.drug, leave)
    np.fill_diagonal(found, -found.sum(axis=1))
    return found


def _rates(
    scheme: Scheme, conditions: Conditions, on: str, off: str, binds: str
) -> tuple[float, float]:
    forward, back = scheme.constants[on], scheme.constants[off]
    if binds == "agonist":
        return forward * conditions.agonist, back
    if binds == "magnesium":
        v = scheme.voltage
        tilt = (conditions.voltage - v["reference"]) * v["valence"] / v["thermal"]
        into = forward * conditions.magnesium * 1e3 * np.exp(tilt * v["fraction"])
        return float(into), float(back * np.exp(-tilt * (1 - v["fraction"])))
    return forward, back


def stationary(rates: np.ndarray) -> np.ndarray:
    """The distribution that the rates leave unchanged.

    Raises NumericalError when the chain falls into parts that never meet.
    """
    n = len(rates)
    scale = np.abs(rates).max() or 1.0
    system = np.vstack([rates.T / scale, np.ones(n)])
    answer, _, rank, _ = np.linalg.lstsq(system, np.r_[np.zeros(n), 1.0], rcond=None)
    if rank < n:
        raise NumericalError(
            "disconnected", "The scheme has parts that never meet, so no single equilibrium exists."
        )
    return answer


def open_share(scheme: Scheme, conditions: Conditions, blocker: Blocker | None = None) -> float:
    """The equilibrium probability that the channel conducts."""
    names = all_states(scheme, conditions)
    shares = stationary(generator(scheme, conditions, blocker))
    return float(sum(shares[names.index(s)] for s in scheme.conducting))


def block_course(
    scheme: Scheme,
    phases: Sequence[tuple[float, Conditions]],
    blocker: Blocker,
    *,
    points: int = 200,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (s), share that conducts and share with drug, through phases of (seconds, conditions).

    Starts at the drug-free equilibrium of the first phase; each phase moves by the exponential of
    its rate matrix.
    """
    from scipy.linalg import expm

    first = phases[0][1]
    wet = any(c.magnesium > 0 for _, c in phases)
    whole = Conditions(voltage=first.voltage, magnesium=float(wet), agonist=1.0, drug=1.0)
    names = all_states(scheme, whole)
    bare = Conditions(voltage=first.voltage, magnesium=first.magnesium, agonist=first.agonist)
    start = dict(zip(all_states(scheme, bare), stationary(generator(scheme, bare)), strict=True))
    state = np.array([start.get(s, 0.0) for s in names])
    times, path = [0.0], [state]
    for length, conditions in phases:
        step = length / points
        move = expm(generator(scheme, conditions, blocker, states=names) * step)
        for _ in range(points):
            state = state @ move
            times.append(times[-1] + step)
            path.append(state)
    course = np.array(path)
    conducting = [names.index(s) for s in scheme.conducting]
    held = [i for i, s in enumerate(names) if s.endswith(BLOCKED)]
    return np.array(times), course[:, conducting].sum(axis=1), course[:, held].sum(axis=1)


def half_block(scheme: Scheme, conditions: Conditions, blocker: Blocker) -> float:
    """The drug concentration (uM) that halves the open share at equilibrium: the IC50."""
    from scipy.optimize import brentq

    def excess(log_drug: float) -> float:
        dosed = Conditions(
            voltage=conditions.voltage,
            magnesium=conditions.magnesium,
            agonist=conditions.agonist,
            drug=float(np.exp(log_drug)),
        )
        return open_share(scheme, dosed, blocker) / without - 0.5

    without = open_share(scheme, conditions)
    root: Any = brentq(excess, np.log(1e-4), np.log(1e6), xtol=1e-13)
    return float(np.exp(root))


def cycle_balance(scheme: Scheme, conditions: Conditions, cycle: Sequence[str]) -> float:
    """Product of rates around a cycle over the product the other way: 1 is detailed balance."""
    names = all_states(scheme, conditions)
    rates = generator(scheme, conditions)
    steps = [
        (names.index(a), names.index(b)) for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    ]
    return float(np.prod([rates[a, b] / rates[b, a] for a, b in steps]))
