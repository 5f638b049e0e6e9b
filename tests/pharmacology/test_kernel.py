from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.solvers.closed import disposition, parent_and_metabolite
from klarsyn.pharmacology.solvers.kernel import courses, infuse_many
from klarsyn.pharmacology.solvers.many import Entry, solve_many
from klarsyn.pharmacology.system import Dose, build_system

N = 40
STARTS = np.array([0.0, 48.0, 96.0, 168.0])
LENGTHS = np.full(4, 2 / 3)
TIMES = np.linspace(0, 240, 61)
CLOSED = 1e-9  # relative, above a thousandth of the peak: sums of exponentials cancel below
INTEGRATED = 1e-8  # the integrator's tolerance is 1e-12 a step
EIGENVALUES = 1e-11  # relative: roots of a cubic against numpy's
SUMS = 1e-10  # relative: sums over eigenvectors
NEAR_ZERO = 1e-13  # absolute, of amounts near 1
ROUNDING = 1e-12  # relative


def patients(exchanges: int, metabolite: int = 0, n: int = N):
    rng = np.random.default_rng(3)

    def spread(value):
        return value * np.exp(0.3 * rng.standard_normal(n))

    pairs = ((120.0, 130.0), (23.0, 187.0))
    return {
        "clearance": spread(80.0),
        "volume": spread(60.0),
        "exchanges": tuple((spread(q), spread(v)) for q, v in pairs[:exchanges]),
        "formed": np.full(n, 0.8),
        "metabolite_clearance": spread(60.0),
        "metabolite_volume": spread(150.0),
        "metabolite_exchanges": ((spread(32.0), spread(120.0)),)[:metabolite],
    }


def amounts(n: int = N):
    return np.outer(35 * np.exp(0.2 * np.random.default_rng(4).standard_normal(n)), np.ones(4))


def reference(p, i: int, times, method: str = "auto"):
    names = ["K"] + [f"K{j}" for j in range(len(p["exchanges"]))]
    equations = {"K": "-CL/V*K", "M": "F*CL/V*K - CLM/VM*M"}
    values = {
        "CL": p["clearance"][i],
        "V": p["volume"][i],
        "F": p["formed"][i],
        "CLM": p["metabolite_clearance"][i],
        "VM": p["metabolite_volume"][i],
    }
    for letter, key in (("K", "exchanges"), ("M", "metabolite_exchanges")):
        volume = {"K": "V", "M": "VM"}[letter]
        for j, (q, v) in enumerate(p[key]):
            values |= {f"q{letter}{j}": q[i], f"v{letter}{j}": v[i]}
            out = f"q{letter}{j}/{volume}*{letter} - q{letter}{j}/v{letter}{j}*{letter}{j}"
            equations[letter] += f" - ({out})"
            equations[f"{letter}{j}"] = out
    del names
    system = build_system(
        compartments=list(equations),
        equations=equations,
        parameters=values,
        outputs={"K": "K/V", "M": "M/VM"},
    )
    doses = [
        Dose(time=t, amount=a, compartment="K", duration=d)
        for t, a, d in zip(STARTS, amounts()[i], LENGTHS, strict=True)
    ]
    found = solve(system, doses, times, method=method).outputs
    return np.stack([found["K"], found["M"]])


def agrees(ours, theirs, rel) -> bool:
    floor = 1e-3 * theirs.max(axis=-1, keepdims=True)
    return bool(np.all(np.abs(ours - theirs) <= rel * np.maximum(np.abs(theirs), floor)))


@pytest.mark.parametrize(("exchanges", "metabolite"), [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1)])
def test_the_kernel_gives_the_exact_course(exchanges: int, metabolite: int) -> None:
    p = patients(exchanges, metabolite)
    found = courses(p, starts=STARTS, durations=LENGTHS, amounts=amounts(), times=TIMES)
    for i in range(0, N, 13):
        assert agrees(found[:, i], reference(p, i, TIMES), CLOSED)


def test_the_closed_form_is_what_an_integrator_finds() -> None:
    p = patients(2)
    times = np.linspace(0.1, 120, 25)
    found = courses(p, starts=STARTS, durations=LENGTHS, amounts=amounts(), times=times)
    assert agrees(found[:, 5], reference(p, 5, times, "integrate"), INTEGRATED)


@pytest.mark.parametrize("exchanges", [1, 2])
def test_eigenvalues_in_closed_form_are_numpys(exchanges: int) -> None:
    p = patients(exchanges, n=500)
    rates, weights = disposition(p["clearance"], p["volume"], p["exchanges"])
    for i in range(0, 500, 50):
        d = exchanges + 1
        matrix = np.zeros((d, d))
        matrix[0, 0] = -p["clearance"][i] / p["volume"][i]
        for j, (q, v) in enumerate(p["exchanges"], start=1):
            matrix[0, 0] -= q[i] / p["volume"][i]
            matrix[j, 0], matrix[0, j], matrix[j, j] = (
                q[i] / p["volume"][i],
                q[i] / v[i],
                -q[i] / v[i],
            )
        expected = np.sort(-np.linalg.eigvals(matrix).real)
        assert np.allclose(np.sort(rates[i]), expected, rtol=EIGENVALUES, atol=0)
        assert weights[i].sum() == pytest.approx(1 / p["volume"][i], rel=SUMS)


def test_own_grids_give_what_the_shared_grid_gives() -> None:
    p = patients(1)
    arguments = {"starts": STARTS, "durations": LENGTHS, "amounts": amounts()}
    shared = courses(p, times=TIMES, **arguments)
    own = courses(p, times=np.tile(TIMES, (N, 1)), **arguments)
    assert agrees(own, shared, CLOSED)


def test_a_patient_does_not_depend_on_the_others() -> None:
    p = patients(2, n=600)
    dose = amounts(600)
    whole = courses(p, starts=STARTS, durations=LENGTHS, amounts=dose, times=TIMES)
    chosen = slice(517, 523)
    part = {
        k: tuple((q[chosen], v[chosen]) for q, v in x) if isinstance(x, tuple) else x[chosen]
        for k, x in p.items()
    }
    alone = courses(part, starts=STARTS, durations=LENGTHS, amounts=dose[chosen], times=TIMES)
    assert np.array_equal(alone, whole[:, chosen])


def test_patients_whose_rates_coincide_are_solved_exactly() -> None:
    p = patients(1)
    rates, _ = disposition(p["clearance"], p["volume"], p["exchanges"])
    p["metabolite_clearance"] = p["metabolite_clearance"].copy()
    p["metabolite_clearance"][7] = rates[7, 1] * p["metabolite_volume"][7]
    found = courses(p, starts=STARTS, durations=LENGTHS, amounts=amounts(), times=TIMES)
    assert agrees(found[:, 7], reference(p, 7, TIMES), CLOSED)
    modes = parent_and_metabolite(**p)
    assert not modes.separate[7]
    with pytest.raises(InputError, match="patient 7 has rates that nearly coincide"):
        infuse_many(modes, starts=STARTS, durations=LENGTHS, amounts=amounts(), times=TIMES)


def test_many_at_once_are_each_as_alone_even_with_defective_matrices() -> None:
    rng = np.random.default_rng(8)
    n = 12
    values = {"K": rng.uniform(0.5, 5, n), "E": rng.uniform(0.05, 1, n)}
    text = {
        "compartments": ("A", "B", "C"),
        "equations": {"A": "-K*A", "B": "K*A - K*B", "C": "K*B - E*C"},
        "outputs": {"C": "C"},
    }
    start, length = rng.uniform(0, 3, n), rng.uniform(0.2, 2, n)
    entries = [
        Entry(compartment=0, time=start, amount=np.full(n, 10.0), duration=np.zeros(n)),
        Entry(compartment=1, time=start + 1, amount=np.full(n, 4.0), duration=length),
    ]
    times = np.array([0.0, 0.7, 1.9, 4.0, 11.0])
    found = solve_many([(0.0, build_system(parameters=values, **text))], entries, times, n)
    for i in range(n):
        system = build_system(parameters={k: v[i] for k, v in values.items()}, **text)
        doses = [
            Dose(time=start[i], amount=10.0, compartment="A"),
            Dose(time=start[i] + 1, amount=4.0, compartment="B", duration=length[i]),
        ]
        assert np.allclose(found[i], solve(system, doses, times).amounts, rtol=SUMS, atol=NEAR_ZERO)


def test_parameters_that_change_between_doses_are_followed() -> None:
    text = {"compartments": ("A",), "equations": {"A": "-K*A"}, "outputs": {"A": "A"}}
    first = build_system(parameters={"K": np.array([0.5, 1.0])}, **text)
    second = build_system(parameters={"K": np.array([0.1, 0.2])}, **text)
    entry = Entry(compartment=0, time=np.zeros(2), amount=np.ones(2), duration=np.zeros(2))
    times = np.array([1.0, 4.0])
    found = solve_many([(0.0, first), (2.0, second)], [entry], times, 2)[:, :, 0]
    expected = np.exp([[-0.5, -1.0 - 0.2], [-1.0, -2.0 - 0.4]])
    assert np.allclose(found, expected, rtol=ROUNDING, atol=0)


def test_the_room_does_not_wait_for_the_compiler() -> None:
    code = (
        "import sys, klarsyn.pharmacology.simulate, klarsyn.pharmacology.solvers.kernel;"
        "print([m for m in ('numba', 'rdkit', 'libsbml', 'altair', 'polars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plain_simulation_needs_no_compiler() -> None:
    """From dose to score, with doses that follow it."""
    code = (
        "import sys\n"
        "from klarsyn.app.cli import main\n"
        "words = ['simulate', '--substance', 'ketamine', '--form', 'S', '--dose', '28 mg base']\n"
        "words += ['--route', 'iv', '--infusion', '40 min', '--n', '3', '--schedule']\n"
        "rule = 'when MADRS at or above 20, checked every 7 days, at most 3 doses'\n"
        "try:\n"
        "    main([*words, rule])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "print([m for m in ('numba', 'scipy.stats', 'scipy.integrate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"durations": np.zeros(4)}, "last longer than 0 h"),
        ({"starts": np.array([0.0, 0.0, 1.0, 2.0])}, "one after another"),
    ],
)
def test_infusions_that_cannot_be_are_refused(changed, says) -> None:
    arguments = {"starts": STARTS, "durations": LENGTHS, "amounts": amounts(), "times": TIMES}
    with pytest.raises(InputError, match=says):
        courses(patients(1), **(arguments | changed))


def test_what_is_not_a_number_stays_so_and_touches_nobody_else() -> None:
    """The compiler may not reason NaN away, neither in the sums nor in the exponentials."""
    modes = parent_and_metabolite(**patients(1))
    spoilt = modes.rates.copy()
    spoilt[7] = np.nan
    given = {"starts": STARTS, "durations": LENGTHS, "amounts": amounts()}
    others = np.arange(N) != 7
    for times in (TIMES, np.tile(TIMES, (N, 1))):
        plain = infuse_many(modes, times=times, **given)
        broken = infuse_many(replace(modes, rates=spoilt), times=times, **given)
        assert np.isnan(broken[:, 7, 1:]).all()
        assert broken[:, others].tolist() == plain[:, others].tolist()
