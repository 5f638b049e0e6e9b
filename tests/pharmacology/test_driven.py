"""The compiled nine-state model against DOP853, exact kinetics and its own limits."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.pharmacology.driven import PARAMETERS, STATES, simulate_driven
from klarsyn.provenance import stream

TOLERANCE = 1e-6  # the stated one: relative to each state's range, at rtol 1e-6
EXACT = 1e-11  # exponentials against a matrix exponential
REFERENCE = 1e-9  # share of each state's range: exact, so what is left is dop853's own
TIGHTER = 2e-9  # the same, at rtol 1e-9 for both
NEAR = 1e-3  # relative: a rate that is 1.0001 of the other
FAST = 1e-5  # share: binding 46e4 times an hour lags behind what changes within hours
NEAR_ZERO = 1e-9  # absolute: the stated one
TYPICAL = {
    "k10_1": 0.72, "k12_1": 0.9, "k21_1": 0.5, "V1_1": 130.0, "kf_1": 0.55, "km_1": 0.6,
    "Vm_1": 75.0, "share_1": 0.5,
    "k10_2": 0.64, "k12_2": 0.9, "k21_2": 0.5, "V1_2": 115.0, "kf_2": 0.5, "km_2": 0.5,
    "Vm_2": 64.0, "share_2": 0.5,
    "K_1": 0.43, "Km_1": 2.4, "K_2": 2.0, "Km_2": 18.7,
    "on": 46.0, "off": 46.0, "kout": 0.7, "smax": 3.0, "half": 0.3, "hill": 1.6, "kt": 0.05,
}  # fmt: skip
TIMES = np.r_[np.linspace(0.25, 4, 16), np.linspace(5, 72, 20)]
DOSE = [(0.0, 2 / 3, 147.0), (24.0, 2 / 3, 147.0)]


def _patients(n: int) -> dict[str, np.ndarray]:
    z = stream(5, "driven").standard_normal((n, len(TYPICAL)))
    found = {k: v * np.exp(0.25 * z[:, i]) for i, (k, v) in enumerate(TYPICAL.items())}
    found["share_1"] = np.full(n, 0.5)
    found["share_2"] = np.full(n, 0.5)
    return found


def _reference(p: dict[str, float]) -> np.ndarray:
    """All nine equations, written out, DOP853 restarted at every edge of an infusion."""

    def slope(t, y, inflow):
        out = np.empty(9)
        x = 0.0
        for e in (1, 2):
            c, q, m = y[3 * e - 3 : 3 * e]
            k = {n: p[f"{n}_{e}"] for n in ("k10", "k12", "k21", "V1", "kf", "km", "Vm", "share")}
            out[3 * e - 3] = k["share"] * inflow - (k["k10"] + k["k12"]) * c + k["k21"] * q
            out[3 * e - 2] = k["k12"] * c - k["k21"] * q
            out[3 * e - 1] = k["kf"] * c - k["km"] * m
            x += c / k["V1"] / p[f"K_{e}"] + m / k["Vm"] / p[f"Km_{e}"]
        b, r, f = y[6:]
        s = max(b, 0.0) ** p["hill"]
        h = s / (p["half"] ** p["hill"] + s)
        out[6] = p["on"] * x * (1 - b) - p["off"] * b
        out[7] = p["kout"] * (1 + p["smax"] * h - r * f)
        out[8] = p["kt"] * (r - f)
        return out

    edges = sorted({0.0, *(s for s, _, _ in DOSE), *(s + d for s, d, _ in DOSE), TIMES[-1]})
    y, rows = np.array([0.0] * 6 + [0.0, 1.0, 1.0]), []
    for a, b in itertools.pairwise(edges):
        inflow = sum(m / d for s, d, m in DOSE if s <= a < s + d)
        wanted = TIMES[(a < TIMES) & (b >= TIMES)]
        run = solve_ivp(
            slope,
            (a, b),
            y,
            "DOP853",
            np.union1d(wanted, b),
            args=(inflow,),
            rtol=1e-11,
            atol=1e-13,
        )
        rows.append(run.y[:, : len(wanted)].T)
        y = run.y[:, -1]
    return np.vstack(rows)


def test_nine_states_agree_with_dop853_at_the_stated_tolerance() -> None:
    values = _patients(6)
    found = simulate_driven(values, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    for i in range(6):
        exact = _reference({k: float(v[i]) for k, v in values.items()})
        size = np.abs(exact).max(axis=0)
        gap = np.abs(found.states[i] - exact) / size
        assert gap[:, :6].max() < REFERENCE
        assert gap[:, 6:].max() < TOLERANCE


def test_a_tighter_tolerance_is_kept() -> None:
    values = _patients(4)
    found = simulate_driven(values, DOSE, TIMES, rtol=1e-9, atol=1e-12)
    for i in range(4):
        exact = _reference({k: float(v[i]) for k, v in values.items()})
        gap = np.abs(found.states[i] - exact) / np.abs(exact).max(axis=0)
        assert gap.max() < TIGHTER


def test_the_driven_method_keeps_its_order_four() -> None:
    """Work goes with the fourth root of the tolerance; a method that loses order does not."""
    values = _patients(6) | {"hill": np.full(6, 2.0)}
    steps = [
        simulate_driven(values, DOSE, TIMES[-1:], rtol=r, atol=r * 1e-3).steps.mean()
        for r in (1e-6, 1e-8, 1e-10)
    ]
    for less, more in itertools.pairwise(steps):
        assert 1.6 < more / less < 3.8  # 100^(1/4) = 3.16


def test_amounts_are_the_matrix_exponential() -> None:
    found = simulate_driven(TYPICAL, [(0.0, 1.0, 100.0)], [1.0, 7.5], rtol=1e-6, atol=1e-9)
    p = TYPICAL
    rates = np.array(
        [
            [-p["k10_1"] - p["k12_1"], p["k21_1"], 0, 50.0],
            [p["k12_1"], -p["k21_1"], 0, 0],
            [p["kf_1"], 0, -p["km_1"], 0],
            [0, 0, 0, 0],
        ]
    )
    during = expm(rates)[:3, 3]
    after = expm(rates[:3, :3] * 6.5) @ during
    assert found.states[0, 0, :3] == pytest.approx(during, rel=EXACT)
    assert found.states[0, 1, :3] == pytest.approx(after, rel=EXACT)


def test_equal_rates_do_not_break_it() -> None:
    total = TYPICAL["k10_1"] + TYPICAL["k12_1"] + TYPICAL["k21_1"]
    root = np.sqrt(total**2 - 4 * TYPICAL["k10_1"] * TYPICAL["k21_1"])
    for km in ((total + root) / 2, (total - root) / 2):
        at = simulate_driven(TYPICAL | {"km_1": km}, DOSE, TIMES, rtol=1e-6, atol=1e-9)
        near = simulate_driven(TYPICAL | {"km_1": km * 1.0001}, DOSE, TIMES, rtol=1e-6, atol=1e-9)
        assert at["metabolite_1"] == pytest.approx(near["metabolite_1"], rel=NEAR)


def test_no_dose_leaves_everyone_at_rest() -> None:
    found = simulate_driven(_patients(3), [], TIMES, rtol=1e-6, atol=1e-9)
    assert np.abs(found["block"]).max() == 0
    assert found["response"].tolist() == np.ones((3, len(TIMES))).tolist()


def test_a_very_fast_receptor_is_in_equilibrium_and_costs_no_more_steps() -> None:
    slow = simulate_driven(TYPICAL, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    stiff = TYPICAL | {"on": 46e4, "off": 46e4}
    fast = simulate_driven(stiff, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    x = sum(
        fast[f"central_{e}"] / TYPICAL[f"V1_{e}"] / TYPICAL[f"K_{e}"]
        + fast[f"metabolite_{e}"] / TYPICAL[f"Vm_{e}"] / TYPICAL[f"Km_{e}"]
        for e in (1, 2)
    )
    assert fast["block"] == pytest.approx(x / (1 + x), abs=FAST)
    assert fast.steps[0] < 2 * slow.steps[0]


def test_patients_do_not_depend_on_who_else_is_there() -> None:
    values = _patients(5)
    whole = simulate_driven(values, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    part = simulate_driven(
        {k: v[2:4] for k, v in values.items()}, DOSE, TIMES, rtol=1e-6, atol=1e-9
    )
    assert part.states.tolist() == whole.states[2:4].tolist()


def test_times_may_start_at_zero_and_end_before_the_last_dose() -> None:
    late = [*DOSE, (100.0, 1.0, 50.0)]
    times = np.r_[0.0, TIMES]
    found = simulate_driven(TYPICAL, late, times, rtol=1e-6, atol=1e-9)
    plain = simulate_driven(TYPICAL, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    assert found.states[0, 0].tolist() == [0.0] * 7 + [1.0, 1.0]
    assert found.states[:, 1:] == pytest.approx(plain.states, rel=TOLERANCE, abs=NEAR_ZERO)
    during = simulate_driven(TYPICAL, [(0.0, 10.0, 100.0)], [1.0, 2.0], rtol=1e-6, atol=1e-9)
    assert np.isfinite(during.states).all()


def test_what_is_missing_or_impossible_is_named() -> None:
    with pytest.raises(InputError, match="kt are missing"):
        simulate_driven(
            {k: v for k, v in TYPICAL.items() if k != "kt"}, [], [1], rtol=1e-6, atol=1e-9
        )
    with pytest.raises(InputError, match="patient 1: off is 0"):
        simulate_driven(TYPICAL | {"off": 0.0}, [], [1], rtol=1e-6, atol=1e-9)
    with pytest.raises(UnknownNameError, match="Nearest: kout"):
        simulate_driven(TYPICAL | {"kouts": 0.0}, [], [1], rtol=1e-6, atol=1e-9)
    with pytest.raises(InputError, match="must start at 0 or later"):
        simulate_driven(TYPICAL, [(0.0, 0.0, 1.0)], [1], rtol=1e-6, atol=1e-9)
    assert len(STATES) == 9
    assert set(TYPICAL) == set(PARAMETERS)


def test_no_compiler_is_loaded_until_it_is_needed() -> None:
    code = (
        "import sys, klarsyn.pharmacology.driven, klarsyn.pharmacology.ensemble;"
        "assert 'numba' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_full_lane_gives_what_a_patient_alone_gets() -> None:
    """More patients than go side by side: each lane is used again, in another order."""
    values = _patients(150)
    whole = simulate_driven(values, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    for chosen in (slice(0, 1), slice(63, 67), slice(149, 150)):
        part = simulate_driven(
            {k: v[chosen] for k, v in values.items()}, DOSE, TIMES, rtol=1e-6, atol=1e-9
        )
        assert part.states.tolist() == whole.states[chosen].tolist()
        assert part.steps.tolist() == whole.steps[chosen].tolist()


def test_a_patient_who_leaves_the_numbers_is_named_and_harms_nobody() -> None:
    """Checks for what is not a number outlive the compiler, in a lane that is used again too."""
    from klarsyn.pharmacology.driven import _events, _matrix
    from klarsyn.pharmacology.solvers.rodas import FINISHED, NOT_FINITE, march

    values = _patients(150)
    plain = simulate_driven(values, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    values["on"] = np.where(np.arange(150) == 3, 1e308, values["on"])
    with pytest.raises(NumericalError, match="Patient 4 left the numbers that can be represented"):
        simulate_driven(values, DOSE, TIMES, rtol=1e-6, atol=1e-9)
    matrix = _matrix(values)
    states, status, _ = march(matrix, *_events(DOSE, 150), TIMES, 1e-6, 1e-9)
    others = np.arange(150) != 3
    assert status[3] == NOT_FINITE
    assert (status[others] == FINISHED).all()
    assert states[others].tolist() == plain.states[others].tolist()
