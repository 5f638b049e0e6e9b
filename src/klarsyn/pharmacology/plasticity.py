"""From blocked channels to plasticity: disinhibition, BDNF, TrkB, mTOR, fast potentiation, spines.

Eight states a parameter set, hours throughout, every state zero (eEF2 phosphorylation: one) when
nothing is given. Structure and signs are those of the design's layers L2 to L4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from klarsyn.errors import InputError, unknown_name

STATES = ("eef2", "bdnf", "trkb", "mtor", "erk", "functional", "commitment", "spines")
LAGGED = tuple(s for s in STATES if s != "trkb")
CHANGES = {
    "throughput": "share of AMPA throughput that reaches the release of BDNF (antagonist: 0)",
    "release": "share of BDNF that is released and reaches TrkB (channel blocker, antibody: 0)",
    "genotype": "activity-dependent release by genotype, 1 to 0",
    "synthesis": "share of BDNF synthesis",
    "mtor": "share of mTORC1 activity (inhibitor: 0)",
    "interneurons": "share of interneuron channels that the drug can block (knock-down: 0)",
    "pyramidal": "share of pyramidal channels that the drug can block (knock-down: 0)",
    "new_spines": "share of new spines kept (deletion: 0)",
    "gate": "strength of the permissive gate that is left, 1 to 0",
}
STEP_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """What reaches the brain of each parameter set: arrays (n, T) at `times` (T,) in h.

    `block` is in racemate equivalents of the channel (uM at the effect site), `direct` and
    `metabolite` in uM of what acts without the channel.
    """

    times: np.ndarray
    block: np.ndarray
    direct: np.ndarray
    metabolite: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Plasticity:
    """Courses (n, T): `rate` is pyramidal firing (1 without drug), the rest are the states."""

    times: np.ndarray
    rate: np.ndarray
    states: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.states:
            raise unknown_name("state", name, self.states)
        return self.states[name]


def pyramidal_rate(
    interneuron_block: np.ndarray,
    pyramidal_block: np.ndarray,
    *,
    distance: np.ndarray,
    balance: np.ndarray,
) -> np.ndarray:
    """r_E = D0 / (D0 + rho (1 - A_E) - (1 - A_I)), 1 without drug.

    `distance` is D0, how far the circuit is from instability; `balance` is rho, excitatory over
    inhibitory weight of the channel. Both in units of the interneurons' drive. A circuit pushed
    past instability has no rate: NaN, which no experiment accepts.
    """
    below = distance + balance * pyramidal_block - interneuron_block
    if np.all(below > 0):
        return distance / below
    return np.where(below > 0, distance / np.where(below > 0, below, 1.0), np.nan)


def inverted_u(balance: float, selectivity: float, half: float) -> tuple[float, float] | None:
    """Peak and zero crossing (uM) of r_E over concentration, or None where it never crosses 1.

    An inverted U that ends below 1 exists if and only if 1 < rho < S. For 1/S < rho < 1 firing
    overshoots and settles above 1; below 1/S it only rises, above S it only falls. `half` is K_I.
    """
    if not 1 < balance < selectivity:
        return None
    k_e = selectivity * half
    s = np.sqrt(selectivity / balance)
    peak = (s - 1) / (1 / half - s / k_e)
    return float(peak), float((k_e - balance * half) / (balance - 1))


def blocks(
    values: Mapping[str, np.ndarray],
    drives: Drives,
    changes: Mapping[str, float],
    residence: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Blocked shares (n, T) of interneuron and pyramidal channels.

    At quasi-equilibrium C/(C + K), or with `residence` (rates of entering at C = K and of leaving,
    /h, arrays (n,)) the slow course of a drug that is trapped.
    """
    if residence is None:
        columns = {k: values[k][:, None] for k in ("half_interneuron", "selectivity")}
        held_i, held_e = blocks_now(columns, drives.block)
    else:
        half_i = values["half_interneuron"][:, None]
        half_e = half_i * values["selectivity"][:, None]
        held_i, held_e = (
            _slow(drives.times, drives.block / half, residence) for half in (half_i, half_e)
        )
    return held_i * changes.get("interneurons", 1.0), held_e * changes.get("pyramidal", 1.0)


def blocks_now(
    values: Mapping[str, np.ndarray], block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of interneuron and pyramidal channels blocked at quasi-equilibrium, any shape."""
    x_i = block / values["half_interneuron"]
    x_e = x_i / values["selectivity"]
    return x_i / (1.0 + x_i), x_e / (1.0 + x_e)


def _slow(times: np.ndarray, x: np.ndarray, residence: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    entering, leaving = residence
    held = np.zeros_like(x)
    for i, step in enumerate(np.diff(times)):
        into = entering * 0.5 * (x[:, i] + x[:, i + 1])
        rate = into + leaving
        decay = np.exp(-rate * step)
        held[:, i + 1] = held[:, i] * decay + into / rate * (1.0 - decay)
    return held


def simulate_plasticity(
    values: Mapping[str, np.ndarray],
    drives: Drives,
    *,
    changes: Mapping[str, float] | None = None,
    residence: tuple[np.ndarray, np.ndarray] | None = None,
    keep: tuple[str, ...] = ("functional", "spines"),
) -> Plasticity:
    """Run every parameter set through the drives, all at once.

    `values` are arrays (n,) by parameter; `changes` are interventions by the names of CHANGES.
    Each state is linear once what is above it is known, so a step uses its own exponential and the
    upstream course as a line: second order in the step, never unstable.

    Raises UnknownNameError for an intervention that is not in the list.
    """
    done = dict(changes or {})
    for name in done:
        if name not in CHANGES:
            raise unknown_name("intervention", name, CHANGES)
    _check_times(drives.times)
    held_i, held_e = blocks(values, drives, done, residence)
    rate = pyramidal_rate(
        held_i, held_e, distance=values["distance"][:, None], balance=values["balance"][:, None]
    )
    firing, held, direct, metabolite = (
        np.ascontiguousarray(x.T) for x in (rate, held_e, drives.direct, drives.metabolite)
    )
    inputs = inputs_of(values, firing, held, direct, metabolite, done)
    cascade = Cascade(values, done)
    course = {s: np.empty(inputs.held.shape) for s in keep}
    for j in range(len(drives.times)):
        now = Inputs(*(x[j] for x in inputs))
        if j == 0:
            cascade.meet(now)
        else:
            cascade.move(now, float(drives.times[j] - drives.times[j - 1]))
        for s in keep:
            course[s][j] = cascade.states[s]
    return Plasticity(
        times=drives.times, rate=rate, states={s: path.T for s, path in course.items()}
    )


def _check_times(times: np.ndarray) -> None:
    if np.any(np.diff(times) <= 0):
        raise InputError("the times of a course must rise, none given twice.")


class Inputs(NamedTuple):
    """What moves the states at one time, one number a parameter set (or set and patient).

    `held` is the blocked share of pyramidal channels; TrkB is driven by `lift` times BDNF above
    none plus `alone`; `own` is the share of TrkB that acts through ERK.
    """

    held: np.ndarray
    lift: np.ndarray
    alone: np.ndarray
    own: np.ndarray


def inputs_of(
    values: Mapping[str, np.ndarray],
    rate: np.ndarray,
    held: np.ndarray,
    direct: np.ndarray,
    metabolite: np.ndarray,
    changes: Mapping[str, float],
) -> Inputs:
    """The inputs of the states, (..., n), from pyramidal firing and block and uM of the rest."""
    facilitated = values["gain_direct"] * direct
    together = (1.0 - values["direct_additive"]) * facilitated
    alone = values["gain_metabolite"] * metabolite + values["direct_additive"] * facilitated
    lift = np.maximum(rate - 1.0, 0.0) * (1.0 + together)
    if changes:
        gate = 1.0 - values["gate"] * (1.0 - changes.get("gate", 1.0))
        released = changes.get("release", 1.0) * changes.get("genotype", 1.0)
        lift = lift * (changes.get("throughput", 1.0) * released * gate)
        alone = alone * gate
    own = values["erk_share"] * together / (1.0 + together)
    return Inputs(held=held, lift=lift, alone=alone, own=own)


class Cascade:
    """The eight states, moved from one time to the next; arrays of one shape, (..., n).

    `values` are (n,) by parameter. Each state is linear once what is above it is known, so a step
    uses its own exponential and the upstream course as a line.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        changes: Mapping[str, float],
        shape: tuple[int, ...] = (),
    ) -> None:
        self.values, self.changes = values, changes
        zero = np.zeros(shape or values["gain_synthesis"].shape)
        self.states = {s: zero.copy() for s in STATES}
        self.states["eef2"] += 1.0
        self.kept: dict[float, dict[str, np.ndarray]] = {}

    def meet(self, inputs: Inputs) -> None:
        """Takes these inputs, of the time that the states have come to, for the next step."""
        trkb = self.states["trkb"]
        self.free, self.held_back = 1.0 - inputs.held, 1.0 - self.states["eef2"]
        self.driven = (1.0 + self.states["bdnf"]) * inputs.lift + inputs.alone
        self.aside = trkb * inputs.own
        self.rest = trkb - self.aside

    def move(self, inputs: Inputs, step: float) -> None:
        """To the time at which `inputs` hold, `step` hours on."""
        lag, state = self._lags(step), self.states
        free, held_back, driven = self.free, self.held_back, self.driven
        aside, rest = self.aside, self.rest
        before = state["mtor"] + state["erk"]
        self.free = 1.0 - inputs.held
        _follow(lag["eef2"], state["eef2"], free, self.free)
        self.held_back = 1.0 - state["eef2"]
        _follow(lag["bdnf"], state["bdnf"], held_back, self.held_back)
        self.driven = (1.0 + state["bdnf"]) * inputs.lift + inputs.alone
        state["trkb"] = trkb = self._saturating(driven + self.driven, step)
        self.aside = trkb * inputs.own
        self.rest = trkb - self.aside
        _follow(lag["mtor"], state["mtor"], rest, self.rest)
        _follow(lag["erk"], state["erk"], aside, self.aside)
        after = state["mtor"] + state["erk"]
        _follow(lag["functional"], state["functional"], before, after)
        committed = state["commitment"].copy()
        _follow(lag["commitment"], state["commitment"], before, after)
        _follow(lag["spines"], state["spines"], committed, state["commitment"])

    def _lags(self, step: float) -> dict[str, np.ndarray]:
        """What each lag keeps of itself and takes from its input, before and now, (3, n)."""
        key = round(step, STEP_DIGITS)
        if key not in self.kept:
            scales = {
                "bdnf": self.values["gain_synthesis"] * self.changes.get("synthesis", 1.0),
                "mtor": self.changes.get("mtor", 1.0),
                "spines": self.changes.get("new_spines", 1.0),
            }
            found = {}
            for name in LAGGED:
                z = key / self.values[f"tau_{name}"]
                decay = np.exp(-z)
                mean = -np.expm1(-z) / z
                scale = scales.get(name, 1.0)
                found[name] = np.stack([decay, scale * (mean - decay), scale * (1.0 - mean)])
            self.kept[key] = found
        return self.kept[key]

    def _saturating(self, twice: np.ndarray, step: float) -> np.ndarray:
        """tau y' = g (1 - y) - y of TrkB with its drive held at the mean, half of `twice`."""
        g = (0.5 * self.values["gain_trkb"]) * twice
        rate = 1.0 + g
        decay = np.exp(rate * (-step / self.values["tau_trkb"]))
        return self.states["trkb"] * decay + g / rate * (1.0 - decay)


def _follow(lag: np.ndarray, y: np.ndarray, before: np.ndarray, now: np.ndarray) -> None:
    """tau y' = u - y over a step with u a line from `before` to `now`: exact, in place."""
    y *= lag[0]
    y += lag[1] * before
    y += lag[2] * now
