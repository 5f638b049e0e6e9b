"""Acute effects straight from effect-site concentrations: no path through plasticity.

Dissociation with tolerance, blood pressure and heart rate, EEG slowing, pain and cardiac output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.constants import Constants, needing, read_constants
from klarsyn.pharmacology.ensemble import bands_over_time, draw_sets
from klarsyn.pharmacology.receptor import effect_site
from klarsyn.provenance import digest_of

EFFECTS = ("dissociation", "pressure", "heart_rate", "eeg", "pain", "cardiac_output")
UNITS = {
    "dissociation": "times 100 ng/mL racemate",
    "pressure": "share of baseline",
    "heart_rate": "share of baseline",
    "eeg": "slowing, Hz",
    "pain": "change, cm VAS",
    "cardiac_output": "share of baseline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcuteEffects:
    """Courses (n, T) of each effect over `times` (h), one row a drawn parameter set.

    Every course is a change from no drug, in the unit that UNITS names. The spread is that of
    unknown coefficients, not of patients.
    """

    label: str
    times: np.ndarray
    courses: Mapping[str, np.ndarray]
    notes: tuple[str, ...]
    method: str
    seed: int
    inputs: str

    def bands(self, effect: str) -> dict[str, np.ndarray]:
        """Percentile curves of one effect."""
        if effect not in self.courses:
            raise unknown_name("effect", effect, self.courses)
        return bands_over_time(self.courses[effect])

    def peak(self, effect: str) -> dict[str, float]:
        """Percentiles of the largest change, with its sign."""
        path = self.courses[effect]
        at = np.abs(path).argmax(axis=1)
        top = path[np.arange(len(path)), at]
        return {k: float(v[0]) for k, v in bands_over_time(top[:, None]).items()}

    def summary(self) -> str:
        """One line an effect: median peak and 5 to 95 %."""
        lines = []
        for name in self.courses:
            p = self.peak(name)
            lines.append(f"{name}: {p['p50']:.3g} ({p['p5']:.3g} to {p['p95']:.3g}) {UNITS[name]}")
        return "\n".join([f"{self.label}, peak", *lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: percentile courses."""
        return {
            "label": self.label,
            "times": self.times.tolist(),
            "units": dict(UNITS),
            "effects": {k: {p: v.tolist() for p, v in self.bands(k).items()} for k in self.courses},
            "notes": list(self.notes),
            "method": self.method,
            "seed": self.seed,
            "inputs": self.inputs,
        }

    def plot(self) -> Any:
        """One panel an effect, an Altair chart."""
        from klarsyn.figures.pharmacodynamics import effect_courses

        return effect_courses(
            hours=self.times.tolist(),
            bands={k: {p: v.tolist() for p, v in self.bands(k).items()} for k in self.courses},
            titles={k: k.replace("_", " ") for k in self.courses},
            units=dict(UNITS),
        )


def acute_effects(
    name: str | Constants,
    *,
    times: Any,
    plasma: Mapping[str, Any],
    label: str,
    site: str,
    sets: int,
    seed: int,
) -> AcuteEffects:
    """All acute effects of plasma concentrations in ng/mL (T,) at `times` (h).

    `site` says where the concentrations hold, `arterial` or `venous`: the delay of the effect site
    comes from arterial work, so venous peaks get a note. `sets` parameter sets are drawn from the
    file's priors.

    Raises InputError for times that do not rise, no known analyte, or an unknown site.
    """
    read = read_constants(name) if isinstance(name, str) else name
    constants = needing(read, "acute effects", ("analytes", "priors"))
    t = _times(times)
    if site not in ("arterial", "venous"):
        raise unknown_name("site", site, ("arterial", "venous"))
    names = constants.rest["analytes"]
    if not set(names.values()) & set(plasma):
        raise InputError(
            f"none of the analytes {', '.join(plasma)} acts in {constants.id}. It knows: "
            f"{', '.join(names.values())}."
        )
    zero = np.zeros(len(t))
    given = {k: np.asarray(plasma.get(a, zero), float) for k, a in names.items()}
    values = draw_sets(constants.rest["priors"], sets, seed, constants.id)
    after = {k: effect_site(t, c, constants["delay"]) for k, c in given.items()}
    late = {k: effect_site(t, c, constants["delay_pain"]) for k, c in given.items()}
    courses = direct_courses(after, late, values, constants)
    felt = dissociation(t, after["S"], after["R"], values, constants)
    courses = {"dissociation": felt} | courses
    return AcuteEffects(
        label=label,
        times=t,
        courses=courses,
        notes=notes_on(given, constants, site),
        method="effect-site delay, then linear or saturating in concentration (design L6)",
        seed=seed,
        inputs=digest_of(constants.to_rows(), given, t, sets, seed),
    )


def direct_courses(
    after: Mapping[str, np.ndarray],
    late: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    constants: Constants,
) -> dict[str, np.ndarray]:
    """Every effect but dissociation, (n, T), from concentrations S, R, SN at the effect site.

    `after` and, for pain with its longer delay, `late` are ng/mL, (T,), or (patients, 1, T) for
    effects (patients, n, T); `values` (n,).
    """
    shape = np.broadcast_shapes((len(values["pain_R"]), 1), np.shape(after["S"]))
    return {
        "pressure": _linear(constants["pressure_rise"], after["S"], values, constants),
        "heart_rate": _linear(constants["rate_rise"], after["S"], values, constants),
        "eeg": np.broadcast_to(slowing(after["S"], after["R"], constants), shape).copy(),
        "pain": constants["pain_S"] * (late["S"] + values["pain_R"][:, None] * late["R"])
        + values["pain_SN"][:, None] * late["SN"],
        "cardiac_output": values["output_S"][:, None] * after["S"]
        - values["output_SN"][:, None] * after["SN"],
    }


def _times(times: Any) -> np.ndarray:
    t = np.asarray(times, float)
    if t.ndim != 1 or len(t) < 2 or np.any(np.diff(t) <= 0):
        raise InputError("the times of a course must rise, none given twice.")
    return t


def _linear(
    rise: float, s: np.ndarray, values: Mapping[str, np.ndarray], c: Constants
) -> np.ndarray:
    return values["pressure_slope"][:, None] * rise * s / c["pressure_at"]


def dissociation(
    times: np.ndarray,
    s: np.ndarray,
    r: np.ndarray,
    values: Mapping[str, np.ndarray],
    constants: Constants,
) -> np.ndarray:
    """Dissociation (n, T): (S + q R) exp(-tolerance) over the same of the reference racemate.

    Tolerance grows with the dissociation felt and decays with its own time; it is stepped with the
    mean of each stretch: x' = g drive exp(-x) - x/tau, the gain solved exactly, then the decay.
    """
    return np.stack(list(dissociation_by_time(times, s, r, values, constants)), axis=-1)


def dissociation_by_time(
    times: np.ndarray,
    s: np.ndarray,
    r: np.ndarray,
    values: Mapping[str, np.ndarray],
    constants: Constants,
) -> Iterator[np.ndarray]:
    """Dissociation at each time: (n,), or (patients, n) where `s` and `r` are (patients, 1, T)."""
    q, gain = values["dissociation_R"], values["tolerance_gain"]
    unit = (1.0 + q) * constants["dissociation_reference"]
    drives = (
        2.0 * (x + q * y) / unit
        for x, y in zip(np.moveaxis(s, -1, 0), np.moveaxis(r, -1, 0), strict=True)
    )
    drive = next(drives)
    left = np.ones(drive.shape)
    yield drive
    for step, then in zip(np.diff(times), drives, strict=True):
        grown = np.log(1.0 / left + (0.5 * step * gain) * (drive + then))
        left = np.exp(grown * -np.exp(-step / values["tolerance_time"]))
        drive = then
        yield drive * left


def slowing(s: Any, r: Any, constants: Constants) -> np.ndarray:
    """EEG slowing (Hz) of S and R together as two agonists of one site.

    E = (E_S S/K_S + E_R R/K_R) / (1 + S/K_S + R/K_R), which is Emax for each alone. The source's
    own racemate was predicted poorly by such a rule; `racemate_slowing` is what it measured.
    """
    x = np.asarray(s, float) / constants["eeg_ic50_S"]
    y = np.asarray(r, float) / constants["eeg_ic50_R"]
    return (constants["eeg_emax_S"] * x + constants["eeg_emax_R"] * y) / (1.0 + x + y)


def racemate_slowing(total: Any, constants: Constants) -> np.ndarray:
    """EEG slowing (Hz) by the racemate's own Emax and IC50, from its total concentration."""
    c = np.asarray(total, float)
    return constants["eeg_emax_racemate"] * c / (constants["eeg_ic50_racemate"] + c)


def notes_on(
    given: Mapping[str, np.ndarray], c: Constants, site: str, *, many: bool = False
) -> tuple[str, ...]:
    """What to keep in mind about acute effects of concentrations S and R (ng/mL).

    With `many` they are those of many patients, and their highest peak is nobody's typical one.
    """
    notes = [
        "Dissociation is in units of 100 ng/mL racemate without tolerance: no slope in points was "
        "seen. Pressure and heart rate are lines through one point at a high concentration of S; "
        "what R does to them was not seen and is left out, which does not make it zero.",
    ]
    if float(np.max(given["S"])) > c["pain_seen_to"]:
        notes.append(
            f"The line for pain was seen up to {c['pain_seen_to']:.0f} ng/mL of S; beyond that it "
            f"is extrapolated and may leave the scale."
        )
    top = float(np.max(given["S"] + given["R"]))
    if top > c["dissociation_high"]:
        high = c["dissociation_high"]
        notes.append(
            f"The highest peak of any patient, {top:.0f} ng/mL, lies above {high:.0f} ng/mL, up to "
            f"which dissociation was seen to be linear."
            if many
            else f"The peak of {top:.0f} ng/mL lies above {high:.0f} ng/mL, where dissociation was "
            f"seen to be linear."
        )
    if site == "venous":
        notes.append("The delay of the effect site is arterial; with venous peaks it is too long.")
    return tuple(notes)
