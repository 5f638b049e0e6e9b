"""From blocked channels to plasticity: disinhibition, BDNF, TrkB, mTOR, fast potentiation, spines.

Eight states a parameter set, hours throughout, every state zero (eEF2 phosphorylation: one) when
nothing is given. Structure and signs are those of the design's layers L2 to L4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from klarsyn.errors import InputError, unknown_name

STATES = ("eef2", "bdnf", "trkb", "mtor", "erk", "functional", "commitment", "spines")
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
    half_i = values["half_interneuron"][:, None]
    half_e = half_i * values["selectivity"][:, None]
    found = []
    for half, share in ((half_i, "interneurons"), (half_e, "pyramidal")):
        x = drives.block / half
        held = x / (1.0 + x) if residence is None else _slow(drives.times, x, residence)
        found.append(held * changes.get(share, 1.0))
    return found[0], found[1]


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
    surge = np.maximum(rate - 1.0, 0.0) * done.get("throughput", 1.0)
    states = _march(values, drives, done, surge, held_e, keep)
    return Plasticity(times=drives.times, rate=rate, states=states)


def _check_times(times: np.ndarray) -> None:
    if np.any(np.diff(times) <= 0):
        raise InputError("the times of a course must rise, none given twice.")


class _Lags:
    """Exponentials of a first-order lag, kept by step length."""

    def __init__(self, tau: np.ndarray) -> None:
        self.tau = tau
        self.kept: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def follow(
        self, y: np.ndarray, u0: np.ndarray, u1: np.ndarray, step: float, key: float
    ) -> np.ndarray:
        """tau y' = u - y over a step with u a line from u0 to u1: exact. `key` rounds the step."""
        if key not in self.kept:
            z = step / self.tau
            decay = np.exp(-z)
            mean = -np.expm1(-z) / z
            self.kept[key] = (decay, mean - decay, 1.0 - mean)
        decay, first, second = self.kept[key]
        return decay * y + first * u0 + second * u1


def _march(
    values: Mapping[str, np.ndarray],
    drives: Drives,
    changes: Mapping[str, float],
    surge: np.ndarray,
    held: np.ndarray,
    keep: tuple[str, ...],
) -> dict[str, np.ndarray]:
    n, count = surge.shape
    lag = {
        name: _Lags(values[f"tau_{name}"])
        for name in ("eef2", "bdnf", "mtor", "erk", "functional", "commitment", "spines")
    }
    released = changes.get("release", 1.0) * changes.get("genotype", 1.0)
    gain_synthesis = values["gain_synthesis"] * changes.get("synthesis", 1.0)
    gate = 1.0 - values["gate"] * (1.0 - changes.get("gate", 1.0))
    alone, together = _without_channel(values, drives)
    own_arm = values["erk_share"][:, None] * together / (1.0 + together)
    inhibited = changes.get("mtor", 1.0)
    kept_spines = changes.get("new_spines", 1.0)
    zero = np.zeros(n)
    now = {s: (np.ones(n) if s == "eef2" else zero) for s in STATES}
    course = {s: np.empty((n, count)) for s in keep}
    for s in keep:
        course[s][:, 0] = now[s]

    def driven_at(j: int, bdnf: np.ndarray) -> np.ndarray:
        return gate * ((1 + bdnf) * surge[:, j] * released * (1 + together[:, j]) + alone[:, j])

    driven_old = driven_at(0, zero)
    steps = np.diff(drives.times)
    for i, (step, key) in enumerate(zip(steps, np.round(steps, STEP_DIGITS).tolist(), strict=True)):
        j = i + 1
        new = dict(now)
        new["eef2"] = lag["eef2"].follow(now["eef2"], 1 - held[:, i], 1 - held[:, j], step, key)
        new["bdnf"] = lag["bdnf"].follow(
            now["bdnf"],
            gain_synthesis * (1 - now["eef2"]),
            gain_synthesis * (1 - new["eef2"]),
            step,
            key,
        )
        driven = driven_at(j, new["bdnf"])
        new["trkb"] = _saturating(values, now["trkb"], 0.5 * (driven_old + driven), step)
        other_old, other = now["trkb"] * own_arm[:, i], new["trkb"] * own_arm[:, j]
        new["mtor"] = lag["mtor"].follow(
            now["mtor"],
            (now["trkb"] - other_old) * inhibited,
            (new["trkb"] - other) * inhibited,
            step,
            key,
        )
        new["erk"] = lag["erk"].follow(now["erk"], other_old, other, step, key)
        before, after = now["mtor"] + now["erk"], new["mtor"] + new["erk"]
        for state in ("functional", "commitment"):
            new[state] = lag[state].follow(now[state], before, after, step, key)
        new["spines"] = lag["spines"].follow(
            now["spines"],
            kept_spines * now["commitment"],
            kept_spines * new["commitment"],
            step,
            key,
        )
        for s in keep:
            course[s][:, j] = new[s]
        now, driven_old = new, driven
    return course


def _without_channel(
    values: Mapping[str, np.ndarray], drives: Drives
) -> tuple[np.ndarray, np.ndarray]:
    """What drives TrkB by itself, and what multiplies the drive of released BDNF, both (n, T)."""
    direct = values["gain_direct"][:, None] * drives.direct
    additive = values["direct_additive"][:, None]
    metabolite = values["gain_metabolite"][:, None] * drives.metabolite
    return metabolite + additive * direct, (1.0 - additive) * direct


def _saturating(
    values: Mapping[str, np.ndarray], y: np.ndarray, driven: np.ndarray, step: float
) -> np.ndarray:
    """tau y' = g (1 - y) - y with the drive g held at its mean."""
    g = values["gain_trkb"] * driven
    rate = 1.0 + g
    decay = np.exp(-rate * step / values["tau_trkb"])
    return y * decay + g / rate * (1.0 - decay)
