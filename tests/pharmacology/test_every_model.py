"""Identities that hold on every kinetic model of the library, whatever its graph and parameters."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.expressions import read_expression
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.model import models, read_model
from klarsyn.pharmacology.system import Dose

EXACT = 1e-9  # relative; integrated models (a rate that changes with time) keep this, too
FLOOR = 1e-12  # of the peak
LONG = 5_000.0  # hours after which nothing is left
TIMES = np.array([0.2, 0.7, 1.5, 3.0, 5.0, 9.0, 24.0, 60.0])
FEW = settings(max_examples=6, deadline=None, derandomize=True)
# total clearance of the parent (L/h) from the parameters of each source
CLEARANCES = {
    "Clements1981": {"K": "60*k10*V1"},
    "Domino1982": {"K": "60*k10*V1"},
    "Hijazi2003": {"K": "60*k10*V1"},
    "KSR-1": {"K_S": "CL_S", "K_R": "CL_S*ratio_K"},
    "KSR-1-arterial": {"K_S": "60*CL_S", "K_R": "60*CL_S*ratio_K"},
    "Simons2022": {"K_S": "60*CL_S"},
    "PerezRuixo2021": {"K": "Qh*Vh*(kel + kmet)/(Qh + Vh*(kel + kmet))"},
}
EVERY = pytest.mark.parametrize("name", models())


def form_of(model) -> str:
    if not model.enantiomers:
        return model.holds
    return "racemate" if len(model.enantiomers) == 2 else model.enantiomers[0]


def given_doses(model, text: str, form: str = "") -> tuple[Dose, ...]:
    substance_form = model.substance.form(form or form_of(model))
    return model.doses(parse_regimen(text).given(70.0), substance_form, model.values(70.0))


def system_of(model):
    return model.with_values(model.values(70.0))


def curves(model, doses, times=TIMES) -> np.ndarray:
    outputs = solve(system_of(model), doses, times).outputs
    return np.array(list(outputs.values()))


def same(a, b) -> bool:
    peaks = np.maximum(np.max(np.abs(b), axis=-1, keepdims=True), 1e-300)
    return bool(np.all(np.abs(a - b) <= EXACT * np.abs(b) + FLOOR * peaks))


def copies(name: str) -> set[str]:
    """Compartments into which a flow writes without drawing from its origin."""
    folder = resources.files("klarsyn.pharmacology") / "library" / "models"
    data = tomllib.loads((folder / f"{name}.toml").read_text())
    targets = {f["to"] for f in data["flows"] if not f.get("depletes", True)}
    return {t.replace("{e}", e) for t in targets for e in data.get("enantiomers", [""])}


def with_counters(system, counters: dict[str, str]):
    """The system with further compartments that count what the texts say."""
    equations = {n: read_expression(text) for n, text in counters.items()}
    return replace(
        system,
        compartments=(*system.compartments, *counters),
        equations={**system.equations, **equations},
    )


@EVERY
@given(length=st.floats(0.1, 4.0), parts=st.integers(2, 5))
@FEW
def test_consecutive_infusions_equal_one_long_one(name, length, parts) -> None:
    model = read_model(name)
    whole = given_doses(model, f"40 mg base iv over {length * 60:.6f} min")
    pieces = [
        Dose(
            time=dose.time + k * dose.duration / parts,
            amount=dose.amount / parts,
            compartment=dose.compartment,
            duration=dose.duration / parts,
        )
        for dose in whole
        for k in range(parts)
    ]
    times = np.setdiff1d(TIMES, [d.time for d in pieces])
    assert same(curves(model, pieces, times), curves(model, whole, times))


@EVERY
@given(start=st.floats(0.0, 8.0), factor=st.floats(0.01, 100.0))
@FEW
def test_doses_superpose_and_scale_on_every_route(name, start, factor) -> None:
    model = read_model(name)
    for route in model.routes:
        first = given_doses(model, "20 mg base iv over 30 min")
        one = given_doses(model, f"30 mg base {route}")
        second = tuple(replace(d, time=d.time + start, amount=factor * d.amount) for d in one)
        scaled = tuple(replace(d, amount=factor * d.amount) for d in one)
        both = curves(model, [*first, *second])
        assert same(both, curves(model, first) + curves(model, second))
        assert same(curves(model, scaled), factor * curves(model, one))


@EVERY
@pytest.mark.parametrize("text", ["20 mg base iv", "20 mg base iv over 90 min"])
def test_area_is_dose_over_clearance(name, text) -> None:
    model = read_model(name)
    system, doses = system_of(model), given_doses(model, text)
    for compartment, clearance in CLEARANCES.get(name, {"K": "CL"}).items():
        volume = next(v for v in ("V1", "V1_S", "Vc") if v in system.parameters)
        ratio = "*ratio_K" if compartment.endswith("_R") else ""
        counted = with_counters(
            system, {"CLEARED": f"({clearance})*{compartment}/({volume}{ratio})"}
        )
        found = solve(counted, doses, [LONG]).amount("CLEARED")[0]
        share = sum(d.amount for d in doses if d.compartment == compartment)
        assert found == pytest.approx(share, rel=EXACT)


@EVERY
def test_mass_is_balanced_at_every_moment_on_every_route(name) -> None:
    model = read_model(name)
    system = system_of(model)
    held = [c for c in system.compartments if c not in copies(name)]
    lost = "-(" + " + ".join(f"({system.equations[c]})" for c in held) + ")"
    counted = with_counters(system, {"LOST": lost})
    for route in model.routes:
        doses = given_doses(model, f"30 mg base {route}")
        course = solve(counted, doses, [*TIMES, LONG])
        inside = sum(course.amount(c) for c in held)
        entered = np.array([sum(_entered(d, t) for d in doses) for t in course.times])
        assert inside + course.amount("LOST") == pytest.approx(entered, rel=EXACT)
        assert np.all(np.diff(course.amount("LOST")) >= 0)
        assert inside[-1] <= 1e-6 * entered[-1]


def _entered(dose: Dose, time: float) -> float:
    if dose.duration == 0:
        return dose.amount * (time >= dose.time)
    return dose.amount * float(np.clip((time - dose.time) / dose.duration, 0, 1))


@pytest.mark.parametrize("name", [n for n in models() if len(read_model(n).enantiomers) == 2])
@given(share=st.floats(0.0, 1.0))
@FEW
def test_enantiomers_are_independent_on_every_route(name, share) -> None:
    model = read_model(name)
    for route in model.routes:
        parts = {e: given_doses(model, f"30 mg base {route}", e) for e in ("S", "R")}
        weights = {"S": share, "R": 1 - share}
        mixed = [replace(d, amount=weights[e] * d.amount) for e, ds in parts.items() for d in ds]
        outputs = solve(system_of(model), mixed, TIMES).outputs
        for e, doses in parts.items():
            alone = solve(system_of(model), doses, TIMES).outputs
            for analyte, values in outputs.items():
                if analyte.startswith(f"{e}-"):
                    assert same(values, weights[e] * alone[analyte])
                else:
                    assert not np.any(alone[analyte])


def test_all_but_one_model_are_solved_exactly() -> None:
    assert [n for n in models() if not is_linear(system_of(read_model(n)))] == ["Flint2017"]
