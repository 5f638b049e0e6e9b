"""Block at quasi-equilibrium: competition between ligands, voltage, magnesium, a second site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.constants import Constants, needing, read_constants, sourced
from klarsyn.provenance import Sourced

LN2 = float(np.log(2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ligand:
    """Something that binds: its molar mass (g/mol) and its constant (uM).

    `scaled` constants are ratios of one laboratory and move with the level of the receptor;
    the others are used as reported.
    """

    name: str
    molar_mass: float
    constant: Sourced[float]
    scaled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receptor:
    """The ligands of one substance, the numbers of the block, and what contradicts them."""

    ligands: Mapping[str, Ligand]
    racemate: tuple[str, ...]
    constants: Constants

    def affinities(self, level: float | None = None) -> dict[str, float]:
        """Each ligand's constant K (uM) at rest without magnesium.

        `level` is the racemate's constant; None takes the one that the file names. Ratios between
        scaled ligands are kept.
        """
        target = self.constants[self.constants.rest["level_from"]] if level is None else level
        inverse = [1.0 / self.ligands[n].constant.value for n in self.racemate]
        own = len(inverse) / sum(inverse)
        return {
            name: ligand.constant.value * (target / own if ligand.scaled else 1.0)
            for name, ligand in self.ligands.items()
        }

    def micromolar(self, concentrations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """ng/mL to uM for every analyte that is a ligand; the others are left out."""
        return {
            name: micromolar(values, self.ligands[name].molar_mass)
            for name, values in concentrations.items()
            if name in self.ligands
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a channel sits and how magnesium meets the drug there.

    `theta` runs from 0 (magnesium does not hinder the drug) to 1 (both want the same place);
    `voltage` in mV, `magnesium` in mM; the rest are the constants of the two voltage terms.
    """

    voltage: float
    magnesium: float
    theta: float
    delta: float
    thermal: float
    reference: float
    slope: float
    constant: float

    @property
    def magnesium_ratio(self) -> float:
        """Blocked by magnesium over free, M = [Mg] exp(-slope V) / constant."""
        return float(self.magnesium * np.exp(-self.slope * self.voltage) / self.constant)

    @property
    def woodhull(self) -> float:
        """Factor on K from the voltage across the drug's own site."""
        return float(np.exp(self.delta * (self.voltage - self.reference) / self.thermal))

    @property
    def factor(self) -> float:
        """How much larger the half-blocking concentration is than at reference without Mg."""
        return (1.0 + self.magnesium_ratio) ** self.theta * self.woodhull


def read_receptor(name: str) -> Receptor:
    """A receptor file of the library, or a user's own by its path.

    Raises InputError naming what is missing.
    """
    constants = needing(read_constants(name), "a receptor", ("ligands", "racemate", "level_from"))
    ligands = {}
    for ligand, data in constants.rest["ligands"].items():
        scaled = "ki" in data
        raw = data["ki"] if scaled else data["absolute"]
        ligands[ligand] = Ligand(
            name=ligand,
            molar_mass=float(data["molar_mass"]),
            constant=sourced(raw, constants.sources, f"{constants.id}, {ligand}"),
            scaled=scaled,
        )
    racemate = tuple(constants.rest["racemate"])
    for part in racemate:
        if part not in ligands:
            raise unknown_name("ligand", part, ligands, constants.id)
    return Receptor(ligands=ligands, racemate=racemate, constants=constants)


def site(constants: Constants, *, voltage: float, theta: float, magnesium: float) -> Site:
    """A site with the file's voltage terms; the three choices have no default."""
    if not 0 <= theta <= 1:
        raise InputError(f"theta is {theta:g}; it is a share of competition between 0 and 1.")
    return Site(
        voltage=voltage,
        magnesium=magnesium,
        theta=theta,
        delta=constants["delta"],
        thermal=constants["thermal"],
        reference=constants["resting_voltage"],
        slope=constants["magnesium_slope"],
        constant=constants["magnesium_constant"],
    )


def micromolar(nanograms_per_ml: Any, molar_mass: float) -> np.ndarray:
    """ng/mL to uM."""
    return np.asarray(nanograms_per_ml, float) / molar_mass


def drive(concentrations: Mapping[str, Any], affinities: Mapping[str, float]) -> np.ndarray:
    """X, the sum of C/K over ligands that compete for one site (both in uM).

    Raises UnknownNameError for a concentration without an affinity.
    """
    total: Any = 0.0
    for name, values in concentrations.items():
        if name not in affinities:
            raise unknown_name("ligand", name, affinities)
        total = total + np.asarray(values, float) / affinities[name]
    return np.asarray(total, float)


def available(x: Any, where: Site, *, incomplete: float = 0.0, second: Any = 0.0) -> np.ndarray:
    """The share of channels that still conduct, A in (0, 1].

    `second` is C over the constant of a second, incomplete site and `incomplete` the share that it
    can inhibit (tonic pool only).
    """
    pore = 1.0 / (1.0 + np.asarray(x, float) / where.factor)
    other = np.asarray(second, float)
    return pore * (1.0 - incomplete * other / (1.0 + other))


def half_blocking(constant: float, where: Site) -> float:
    """IC50 (uM) at a site for a ligand of this constant at reference without magnesium."""
    return constant * where.factor


def occupied(concentration: Any, constant: float) -> np.ndarray:
    """The share of a simple receptor that is occupied, C/(C + K)."""
    c = np.asarray(concentration, float)
    return c / (c + constant)


def off_targets(receptor: Receptor, concentration: Any) -> dict[str, np.ndarray]:
    """The occupied share of each other receptor of the file at a racemate concentration (uM)."""
    c = receptor.constants
    return {
        name: occupied(concentration, 10.0 ** (6.0 - c[number]))
        for name, number in c.rest.get("targets", {}).items()
    }


def slow_block(times: Any, x: Any, *, on: float, off: float, open_probability: float) -> np.ndarray:
    """The blocked share B where the gate is slower than clinical change (per-second rates).

    dB/dt = Po (on X (1-B) - off B) with X in uM, linear between `times` (s); starts unblocked.
    Each stretch takes the mean of X: second order in the step.
    """
    t, u = np.asarray(times, float), np.asarray(x, float)
    found = np.zeros(len(t))
    for i, step in enumerate(np.diff(t)):
        into = open_probability * on * 0.5 * (u[i] + u[i + 1])
        rate = into + open_probability * off
        decay = np.exp(-rate * step)
        found[i + 1] = found[i] * decay + into / rate * (1.0 - decay)
    return found


def trapped_half_life(off: float, open_probability: float) -> float:
    """Seconds until half of a trapped drug has left after the concentration is zero."""
    return LN2 / (off * open_probability)


def effect_site(times: Any, c: Any, half_life: float) -> np.ndarray:
    """Effect-site concentrations behind plasma ones: dCe/dt = ke0 (C - Ce), same unit.

    `times` (T,) and `half_life` share a unit; `c` is (..., T), taken as linear between times, for
    which the answer is exact. A half-life of 0 is no delay.
    """
    t, u = np.asarray(times, float), np.asarray(c, float)
    if half_life == 0:
        return u.copy()
    if half_life < 0:
        raise InputError(f"a half-life of {half_life:g} cannot be. Give 0 or more.")
    z = LN2 / half_life * np.diff(t)
    decay = np.exp(-z)
    mean = -np.expm1(-z) / z
    rows = np.ascontiguousarray(np.moveaxis(u, -1, 0))
    found = np.zeros(rows.shape)
    for i in range(len(z)):
        found[i + 1] = (
            found[i] * decay[i] + rows[i] * (mean[i] - decay[i]) + rows[i + 1] * (1.0 - mean[i])
        )
    return np.moveaxis(found, 0, -1)


def occupancy(
    receptor: Receptor, plasma: Mapping[str, Any], *, unbound: float, level: float
) -> np.ndarray:
    """The occupied share of channels from plasma concentrations in ng/mL, all ligands competing.

    `unbound` is the share of plasma that reaches the receptor and `level` (uM) the racemate's
    constant there: with the rat's unbound EC50 this is an extrapolation, since no human percentage
    has been published.
    """
    if not unbound > 0:
        raise InputError(f"an unbound share of {unbound:g} cannot be. Give a number above 0.")
    free = {k: unbound * c for k, c in receptor.micromolar(plasma).items()}
    x = drive(free, receptor.affinities(level))
    return x / (1.0 + x)


def occupancy_bands(
    receptor: Receptor, plasma: Mapping[str, Any], *, unbound: tuple[float, float], level: float
) -> dict[str, np.ndarray]:
    """Occupancy by percentile ('p5' to 'p95') when the unbound share is log-uniform in a range.

    Occupancy rises with the share, so its percentiles are those of the share.
    """
    low, high = unbound
    return {
        f"p{p}": occupancy(receptor, plasma, unbound=low * (high / low) ** (p / 100), level=level)
        for p in (5, 25, 50, 75, 95)
    }
