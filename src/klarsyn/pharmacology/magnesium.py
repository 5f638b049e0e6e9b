"""Two published statements that one site cannot hold together, and the dispute over a metabolite.

The drug competes with magnesium, and about 1 uM blocks half of the resting channels; depolarised
cells lose magnesium and so are blocked more. How far each holds depends on one number, theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.pharmacology.constants import Constants
from klarsyn.pharmacology.receptor import Receptor, Site, occupied, site
from klarsyn.provenance import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MagnesiumConflict:
    """IC50 at rest (uM) and selectivity K_resting/K_depolarised, both against `theta`.

    `selectivity` above 1 means that the depolarised cell is blocked more. `crossing` is the theta
    of 1; `needed` are the thetas that give the resting IC50s of `wanted`.
    """

    theta: np.ndarray
    resting_ic50: np.ndarray
    selectivity: np.ndarray
    resting_block: np.ndarray
    crossing: float
    wanted: tuple[float, float]
    needed: tuple[float, float]
    peak: float
    method: str
    inputs: str

    def summary(self) -> str:
        """Why the two statements exclude each other, in numbers."""
        low, high = self.needed
        at = float(np.interp(high, self.theta, self.selectivity))
        return (
            f"A resting IC50 of {self.wanted[0]:g} to {self.wanted[1]:g} uM needs theta "
            f"{low:.2f} to {high:.2f}; depolarised cells are blocked more only above theta "
            f"{self.crossing:.2f}. At theta {high:.2f} the resting cell is {1 / at:.1f} times more "
            f"sensitive. At theta 1 the resting IC50 is {self.resting_ic50[-1]:.0f} uM and "
            f"{self.peak:g} uM blocks {100 * self.resting_block[-1]:.0f} %."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "theta": self.theta.tolist(),
            "resting_ic50": self.resting_ic50.tolist(),
            "selectivity": self.selectivity.tolist(),
            "resting_block": self.resting_block.tolist(),
            "crossing": self.crossing,
            "wanted": list(self.wanted),
            "needed": list(self.needed),
            "peak": self.peak,
            "method": self.method,
            "inputs": self.inputs,
        }

    def plot(self) -> Any:
        """IC50 and selectivity against theta, an Altair chart."""
        from klarsyn.figures.pharmacodynamics import magnesium_conflict

        return magnesium_conflict(
            theta=self.theta.tolist(),
            resting_ic50=self.resting_ic50.tolist(),
            selectivity=self.selectivity.tolist(),
            crossing=self.crossing,
            needed=self.needed,
            wanted=self.wanted,
        )


def magnesium_conflict(
    receptor: Receptor, *, wanted: tuple[float, float] = (1.0, 1.4), points: int = 101
) -> MagnesiumConflict:
    """What each theta implies, for a resting and a depolarised cell in physiological magnesium."""
    c = receptor.constants
    theta = np.linspace(0.0, 1.0, points)
    rest, up = _pair(c, 1.0)
    constant = c[c.rest["level_from"]]
    log_rest = np.log1p(rest.magnesium_ratio)
    log_up = np.log1p(up.magnesium_ratio)
    factor = np.exp(theta * log_rest) * rest.woodhull
    ic50 = constant * factor
    selectivity = factor / (np.exp(theta * log_up) * up.woodhull)
    crossing = np.log(up.woodhull / rest.woodhull) / (log_rest - log_up)
    needed = [float(np.log(w / (constant * rest.woodhull)) / log_rest) for w in wanted]
    peak = c["total_peak"]
    return MagnesiumConflict(
        theta=theta,
        resting_ic50=ic50,
        selectivity=selectivity,
        resting_block=peak / (peak + ic50),
        crossing=float(crossing),
        wanted=wanted,
        needed=(needed[0], needed[1]),
        peak=peak,
        method="one site, IC50 = K (1+M)^theta v (design B 1b); K honours the IC50, not koff/kon",
        inputs=digest_of(c.to_rows(), list(wanted), points),
    )


def _pair(c: Constants, theta: float) -> tuple[Site, Site]:
    made = [
        site(c, voltage=c[v], theta=theta, magnesium=c["magnesium"])
        for v in ("resting_voltage", "interneuron_voltage")
    ]
    return made[0], made[1]


def two_site_fit(
    concentration: Sequence[float], remaining: Sequence[float], second: float
) -> tuple[float, float, float]:
    """(incomplete share, pore constant in uM, largest residual) for remaining = pore x second site.

    remaining = 1/(1 + C/pore) (1 - I C/(C + second)), I in 0..1. Two points and two unknowns: a
    fit that is exact is no test. A pore constant that runs to its bound is returned as infinity.
    """
    from scipy.optimize import least_squares

    c, y = np.asarray(concentration, float), np.asarray(remaining, float)

    def miss(p: np.ndarray) -> np.ndarray:
        return (1.0 - p[0] * c / (c + second)) / (1.0 + c * np.exp(-p[1])) - y

    top = np.log(1e9)
    best = min(
        (
            least_squares(miss, (i, k), bounds=((0, -7), (1, top)), xtol=1e-15, ftol=1e-15)
            for i in (0.2, 0.5, 0.8)
            for k in (0.0, 2.0, 10.0)
        ),
        key=lambda found: found.cost,
    )
    pore = float(np.exp(best.x[1]))
    return float(best.x[0]), np.inf if pore > 1e4 else pore, float(np.abs(best.fun).max())


def apparent_hill(concentration: Sequence[float], remaining: Sequence[float]) -> float:
    """The Hill slope through two points of remaining current."""
    c, y = np.asarray(concentration, float), np.asarray(remaining, float)
    odds = np.log((1 - y) / y)
    return float((odds[1] - odds[0]) / np.log(c[1] / c[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaboliteDispute:
    """What each assumed constant of a metabolite predicts for block at disputed concentrations.

    `block[i, j]` is the blocked share for `constants[i]` (uM) at `concentrations[j]`, without
    magnesium; `block_magnesium` the same at rest in physiological magnesium with full competition.
    `other` are constants (uM) of effects that do not need the channel.
    """

    constants: tuple[tuple[str, float], ...]
    concentrations: np.ndarray
    block: np.ndarray
    block_magnesium: np.ndarray
    marks: tuple[tuple[str, float], ...]
    other: tuple[tuple[str, float], ...]
    method: str
    inputs: str

    def at(self, concentration: float) -> dict[str, float]:
        """Blocked share without magnesium at one concentration, by assumption."""
        return {n: float(occupied(concentration, k)) for n, k in self.constants}

    def summary(self) -> str:
        """One line a disputed concentration."""
        lines = []
        for name, c in self.marks:
            said = ", ".join(f"{n} {100 * b:.0f} %" for n, b in self.at(c).items())
            lines.append(f"{name} ({c:g} uM) blocks, without magnesium: {said}.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "constants": [list(k) for k in self.constants],
            "concentrations": self.concentrations.tolist(),
            "block": self.block.tolist(),
            "block_magnesium": self.block_magnesium.tolist(),
            "marks": [list(m) for m in self.marks],
            "other": [list(o) for o in self.other],
            "method": self.method,
            "inputs": self.inputs,
        }

    def plot(self) -> Any:
        """Block against concentration, one curve an assumption; an Altair chart."""
        from klarsyn.figures.pharmacodynamics import metabolite_dispute

        return metabolite_dispute(
            concentrations=self.concentrations.tolist(),
            curves={name: self.block[i].tolist() for i, (name, _) in enumerate(self.constants)},
            marks=dict(self.marks),
        )


def metabolite_dispute(receptor: Receptor, words: dict[str, Any]) -> MetaboliteDispute:
    """Block by a metabolite under each assumption.

    `words` is the file's table `dispute`: names of numbers for `constants`, `marks`, `other`, each
    with the label to print. The concentration that only blocks when the constant equals it is the
    third assumption that the dispute needs.
    """
    c = receptor.constants
    rest, _ = _pair(c, 1.0)
    pick = {g: tuple((label, c[n]) for n, label in words[g].items()) for g in words}
    grid = np.geomspace(0.1, 300.0, 121)
    k = np.array([v for _, v in pick["constants"]])[:, None]
    return MetaboliteDispute(
        constants=pick["constants"],
        concentrations=grid,
        block=grid / (grid + k),
        block_magnesium=grid / (grid + k * rest.factor),
        marks=pick["marks"],
        other=pick["other"],
        method="C/(C + K); with magnesium K (1+M), complete competition",
        inputs=digest_of(c.to_rows(), words),
    )
