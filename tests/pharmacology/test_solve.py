"""Identities that any right solution of compartments has, and what cannot be solved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.pharmacology.expressions import evaluate, read_expression
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.solvers import numeric
from klarsyn.pharmacology.solvers.exponential import exponential
from klarsyn.pharmacology.system import Change, Dose, affine_system, build_system

EXACT = 1e-10  # matrix exponentials: rounding over tens of multiplications
FLOOR = 1e-13  # of the peak: sums of large terms cannot be better
INTEGRATED = 1e-8  # the integrator's own tolerance is 1e-12 a step
SUMS = 1e-10  # relative: an area from the same exponentials
CLOSED = 1e-12  # relative: a closed form
ONE_EXPONENTIAL = 1e-13  # relative
REPEATED = 1e-8  # relative: where the search for a steady state stops
MASS = 1e-9  # relative: what is conserved
BINDING = 1e-4  # relative: bound 1e5 times faster than eliminated
TAIL = 1e-15  # small enough to be the tail

TWO = {
    "compartments": ("G", "C", "P", "M"),
    "equations": {
        "G": "-KA*G",
        "C": "KA*G - (CL+Q)/V*C + Q/V2*P",
        "P": "Q/V*C - Q/V2*P",
        "M": "FM*CL/V*C - CLM/VM*M",
    },
    "outputs": {"CP": "C/V", "CM": "M/VM"},
}
rate = st.floats(0.05, 20)
numbers = st.fixed_dictionaries(
    {
        "KA": rate,
        "CL": st.floats(1, 200),
        "V": st.floats(5, 300),
        "Q": st.floats(1, 200),
        "V2": st.floats(5, 300),
        "FM": st.floats(0.05, 1),
        "CLM": st.floats(1, 200),
        "VM": st.floats(5, 300),
    }
)
TIMES = np.array([0.1, 0.5, 1.0, 2.0, 3.5, 6.0, 12.0, 30.0])


def system_of(parameters):
    return build_system(parameters=parameters, **TWO)


def same(a, b, rel=EXACT):
    return np.allclose(a, b, rtol=rel, atol=FLOOR * max(np.max(np.abs(b)), 1e-300))


@given(numbers, st.floats(0.1, 3), st.integers(2, 6))
@settings(deadline=None, derandomize=True)
def test_consecutive_infusions_equal_one_long_infusion(p, length, parts) -> None:
    system = system_of(p)
    whole = [Dose(time=0, amount=100, compartment="C", duration=length)]
    piece = length / parts
    split = [
        Dose(time=k * piece, amount=100 / parts, compartment="C", duration=piece)
        for k in range(parts)
    ]
    a, b = solve(system, whole, TIMES), solve(system, split, TIMES)
    assert same(a.amounts, b.amounts)


@given(numbers, st.floats(0, 4), st.floats(0.1, 2))
@settings(deadline=None, derandomize=True)
def test_doses_superpose(p, second, length) -> None:
    system = system_of(p)
    one = Dose(time=0, amount=50, compartment="G")
    two = Dose(time=second, amount=80, compartment="C", duration=length)
    both = solve(system, [one, two], TIMES).amounts
    apart = solve(system, [one], TIMES).amounts + solve(system, [two], TIMES).amounts
    assert same(both, apart)


@given(numbers, st.floats(0.01, 1000))
@settings(deadline=None, derandomize=True)
def test_a_linear_system_is_linear_in_the_dose(p, factor) -> None:
    system = system_of(p)
    one = solve(system, [Dose(time=0, amount=1, compartment="G")], TIMES).amounts
    many = solve(system, [Dose(time=0, amount=factor, compartment="G")], TIMES).amounts
    assert same(many, factor * one)


@given(numbers)
@settings(deadline=None, derandomize=True)
def test_area_is_dose_over_clearance(p) -> None:
    with_area = {
        "compartments": ("C", "P", "A"),
        "equations": {
            "C": "-(CL+Q)/V*C + Q/V2*P",
            "P": "Q/V*C - Q/V2*P",
            "A": "C/V",
        },
        "outputs": {"AUC": "A"},
    }
    system = build_system(parameters=p, **with_area)
    dose = Dose(time=0, amount=100, compartment="C", duration=0.7)
    slowest = -np.linalg.eigvals(
        [
            [-(p["CL"] + p["Q"]) / p["V"], p["Q"] / p["V2"]],
            [p["Q"] / p["V"], -p["Q"] / p["V2"]],
        ]
    ).real.max()
    area = solve(system, [dose], [60 / slowest]).outputs["AUC"][0]
    assert area == pytest.approx(100 / p["CL"], rel=SUMS)


@given(numbers, st.floats(0.1, 3))
@settings(deadline=None, derandomize=True)
def test_mass_is_balanced(p, length) -> None:
    closed = {
        "compartments": ("C", "P", "M", "OUT"),
        "equations": {
            "C": "-(CL+Q)/V*C + Q/V2*P",
            "P": "Q/V*C - Q/V2*P",
            "M": "FM*CL/V*C - CLM/VM*M",
            "OUT": "(1-FM)*CL/V*C + CLM/VM*M",
        },
        "outputs": {"OUT": "OUT"},
    }
    system = build_system(parameters=p, **closed)
    dose = Dose(time=0, amount=100, compartment="C", duration=length)
    course = solve(system, [dose], TIMES)
    put = 100 * np.minimum(TIMES / length, 1)
    assert np.allclose(course.amounts.sum(axis=1), put, rtol=EXACT)


@given(numbers)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_exact_solution_is_the_integrated_one(p) -> None:
    system = system_of(p)
    doses = [
        Dose(time=0, amount=50, compartment="G"),
        Dose(time=1.3, amount=30, compartment="C", rate=20),
    ]
    exact = solve(system, doses, TIMES).amounts
    integrated = solve(system, doses, TIMES, method="integrate").amounts
    assert np.allclose(exact, integrated, rtol=INTEGRATED, atol=1e-10 * exact.max())


@given(st.floats(0.05, 5), st.floats(-1e-6, 1e-6) | st.just(0.0))
@settings(deadline=None, derandomize=True)
def test_equal_and_nearly_equal_rates_are_exact(k, gap) -> None:
    # Bateman's function with ka = ke (1 + gap): dose k t exp(-k t) (1 - gap k t / 2 + ...)
    system = build_system(
        compartments=("G", "C"),
        equations={"G": "-KA*G", "C": "KA*G - KE*C"},
        parameters={"KA": k, "KE": k * (1 + gap)},
        outputs={"C": "C"},
    )
    times = np.array([0.2, 1.0, 3.0]) / k
    found = solve(system, [Dose(time=0, amount=1, compartment="G")], times).outputs["C"]
    x = k * times
    expected = x * np.exp(-x) * (1 - gap * x / 2 + gap**2 * x**2 / 6)
    assert np.allclose(found, expected, rtol=CLOSED, atol=0)


@pytest.mark.parametrize("length", [1, 3, 8, 15])
def test_a_transit_chain_is_erlangs_density(length: int) -> None:
    names = [f"T{i}" for i in range(length)]
    equations = {"T0": "-K*T0"}
    equations |= {names[i]: f"K*{names[i - 1]} - K*{names[i]}" for i in range(1, length)}
    system = build_system(
        compartments=names, equations=equations, parameters={"K": 2.5}, outputs={"L": names[-1]}
    )
    times = np.array([0.01, 0.3, 1.0, 4.0, 9.0])
    found = solve(system, [Dose(time=0, amount=1, compartment="T0")], times).outputs["L"]
    x = 2.5 * times
    expected = x ** (length - 1) * np.exp(-x) / math.factorial(length - 1)
    assert np.allclose(found, expected, rtol=CLOSED, atol=0)


@given(
    numbers,
    st.floats(2, 24),
    st.sampled_from([0.0, 1.0, 9.0, 40.0]),
    st.sampled_from([0.0, 1.5, 2.0, 30.0]),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_steady_state_is_what_many_doses_become(p, interval, length, lag) -> None:
    p = p | {"CL": 40 + p["CL"], "CLM": 40 + p["CLM"], "Q": 40 + p["Q"], "LAG": lag}
    system = build_system(parameters=p, lag={"C": "LAG"}, **TWO)
    matrix = affine_system(system)[0][1:, 1:]
    slowest = -np.linalg.eigvals(matrix).real.max()
    count = int(np.ceil((30 / slowest + length + lag) / interval))
    one = {"amount": 100, "compartment": "C", "duration": length, "interval": interval}
    many = Dose(time=-count * interval, additional=count + 2, **one)
    steady = Dose(time=0, additional=2, steady=1, **one)
    times = np.linspace(0, 2.9 * interval, 13)[1:] + 0.0123
    found, expected = solve(system, [steady], times), solve(system, [many], times)
    assert same(found.amounts, expected.amounts, rel=1e-9)


def test_a_constant_infusion_comes_to_rate_over_clearance() -> None:
    p = dict.fromkeys(("KA", "Q", "V2", "FM", "CLM", "VM"), 1.0) | {"CL": 8.0, "V": 40.0}
    dose = Dose(time=0, amount=0, compartment="C", rate=24, steady=1)
    assert solve(system_of(p), [dose], [0.0]).outputs["CP"][0] == pytest.approx(3.0, rel=CLOSED)


def test_a_second_steady_state_is_added_to_the_first() -> None:
    p = {"KA": 1, "CL": 5, "V": 20, "Q": 3, "V2": 30, "FM": 0.5, "CLM": 4, "VM": 10}
    first = Dose(time=0, amount=10, compartment="G", interval=12, steady=1)
    second = Dose(time=0, amount=7, compartment="C", interval=24, steady=2)
    alone = Dose(time=0, amount=7, compartment="C", interval=24, steady=1)
    both = solve(system_of(p), [first, second], TIMES).amounts
    apart = (
        solve(system_of(p), [first], TIMES).amounts + solve(system_of(p), [alone], TIMES).amounts
    )
    assert np.allclose(both, apart, rtol=EXACT)


def test_a_nonlinear_steady_state_repeats_itself() -> None:
    system = build_system(
        compartments=("C",),
        equations={"C": "-VMAX*C/V/(KM + C/V)"},
        parameters={"VMAX": 20.0, "KM": 1.5, "V": 30.0},
        outputs={"CP": "C/V"},
    )
    dose = Dose(time=0, amount=100, compartment="C", interval=12, additional=1, steady=1)
    trough = solve(system, [dose], [11.999999999, 23.999999999]).outputs["CP"]
    assert trough[0] == pytest.approx(trough[1], rel=REPEATED)


def test_too_much_for_a_saturated_elimination_has_no_steady_state(monkeypatch) -> None:
    system = build_system(
        compartments=("C",),
        equations={"C": "-VMAX*C/(KM + C)"},
        parameters={"VMAX": 5.0, "KM": 1.0},
        outputs={"C": "C"},
    )
    dose = Dose(time=0, amount=100, compartment="C", interval=12, steady=1)
    monkeypatch.setattr(numeric, "MOST_INTERVALS", 60)
    with pytest.raises(NumericalError, match="still grows from dose to dose"):
        solve(system, [dose], [1.0])


def test_a_compartment_that_never_empties_has_no_steady_state() -> None:
    system = build_system(
        compartments=("C", "AUC"),
        equations={"C": "-K*C", "AUC": "C"},
        parameters={"K": 0.3},
        outputs={"C": "C"},
    )
    dose = Dose(time=0, amount=1, compartment="C", interval=12, steady=1)
    with pytest.raises(NumericalError, match="never emptied"):
        solve(system, [dose], [1.0])


def test_a_covariate_that_changes_takes_effect_from_its_time_on() -> None:
    system = build_system(
        compartments=("C",), equations={"C": "-K*C"}, parameters={"K": 0.5}, outputs={"A": "C*K"}
    )
    dose = Dose(time=0, amount=1, compartment="C")
    found = solve(system, [dose], [1.0, 3.0], changes=[Change(time=2.0, parameters={"K": 0.1})])
    expected = [0.5 * np.exp(-0.5), 0.1 * np.exp(-0.5 * 2 - 0.1)]
    assert np.allclose(found.outputs["A"], expected, rtol=ONE_EXPONENTIAL, atol=0)


@given(st.integers(1, 7), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_exponential_of_a_graph_keeps_mass_and_sign(d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flows = rng.uniform(0, 10 ** rng.uniform(-3, 3), (d, d))
    np.fill_diagonal(flows, 0)
    matrix = flows - np.diag(flows.sum(axis=0))
    found = exponential(matrix * 3.0)
    assert np.all(found >= 0)
    assert np.allclose(found.sum(axis=0), 1, rtol=MASS, atol=0)


def test_linear_in_its_amounts_means_linear() -> None:
    def linear(text, **parameters) -> bool:
        return is_linear(
            build_system(
                compartments=("A", "B"),
                equations={"A": text, "B": "0"},
                parameters=parameters or {"k": 1.0},
                outputs={"A": "A"},
            )
        )

    assert linear("-k*A + 2*(B - A)/k + pow(k, 2)*A")
    assert linear("k*A*B", k=0.0)
    assert linear("-A^k", k=1.0)
    assert not linear("-k*A*B")
    assert not linear("-A/(k + A)")
    assert not linear("-k*A*t")
    assert not linear("exp(A)")
    assert not linear("A if A > k else 0")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"compartment": "X"}, "'X' is not a known compartment"),
        ({"amount": -1}, "amount -1 is negative"),
        ({"amount": float("nan")}, "not a finite number"),
        ({"steady": 1}, "SS 1 needs an interval II"),
        ({"additional": 3}, "needs an interval II above 0"),
        ({"rate": -2}, "takes its duration from the model"),
        ({"rate": -5}, "Use 0"),
        ({"steady": 7}, "is not 0, 1 or 2"),
    ],
)
def test_a_dose_that_cannot_be_given_says_why(changed, says) -> None:
    p = {"KA": 1, "CL": 5, "V": 20, "Q": 3, "V2": 30, "FM": 0.5, "CLM": 4, "VM": 10}
    dose = {"time": 0.0, "amount": 1.0, "compartment": "C"} | changed
    with pytest.raises(InputError, match=says):
        solve(system_of(p), [Dose(**dose)], [1.0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-k*Z", "'Z' is not a known parameter or compartment"),
        ("__import__('os')", "is not a known function"),
        ("A.__class__", "Attribute in"),
        ("[A for A in k]", "not an arithmetic expression"),
        ("[A, k]", "List in"),
        ("-k*", "not an arithmetic expression"),
        ("'text'", "is not a number"),
        ("pow(A)", "takes 2 arguments"),
        ("(lambda: A)()", "not an arithmetic expression"),
        ("A()()", "only plain calls"),
        ("A if A > 0 > k else 0", "is not arithmetic"),
    ],
)
def test_an_equation_is_arithmetic_and_nothing_else(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        build_system(compartments=("A",), equations={"A": text}, parameters={"k": 1.0}, outputs={})


def test_a_compartment_without_an_equation_is_refused() -> None:
    with pytest.raises(InputError, match="compartment 'B' has no equation"):
        build_system(compartments=("A", "B"), equations={"A": "0"}, parameters={}, outputs={})


def test_an_unknown_parameter_gets_the_nearest_name() -> None:
    system = build_system(
        compartments=("A",), equations={"A": "-CL*A"}, parameters={"CL": 1.0}, outputs={}
    )
    with pytest.raises(UnknownNameError, match="Nearest: CL"):
        system.with_parameters({"CLX": 2.0})


def test_exact_is_refused_for_what_is_not_linear() -> None:
    system = build_system(
        compartments=("A",), equations={"A": "-A*A"}, parameters={}, outputs={"A": "A"}
    )
    with pytest.raises(InputError, match="'exact' needs equations that are linear"):
        solve(system, [], [1.0], method="exact")


def test_saturable_elimination_is_lamberts_function_down_to_its_tail() -> None:
    # dC/dt = -VM C/(KM + C): C = KM W(C0/KM exp((C0 - VM t)/KM))
    system = build_system(
        compartments=("C",),
        equations={"C": "-VM*C/(KM + C)"},
        parameters={"VM": 2.0, "KM": 0.8},
        outputs={"C": "C"},
    )
    times = np.array([0.5, 2.0, 5.0, 8.0, 14.0, 20.0])
    found = solve(system, [Dose(time=0, amount=10, compartment="C")], times).outputs["C"]
    expected = 0.8 * lambertw(10 / 0.8 * np.exp((10 - 2.0 * times) / 0.8)).real
    assert expected[-1] < TAIL
    assert np.allclose(found, expected, rtol=INTEGRATED, atol=0)


def test_a_stiff_system_is_integrated_in_reasonable_time() -> None:
    # binding 1e5 times faster than elimination against its quasi-equilibrium limit
    system = build_system(
        compartments=("L", "R", "P"),
        equations={
            "L": "-k*L - kon*L*R + koff*P",
            "R": "-kon*L*R + koff*P",
            "P": "kon*L*R - koff*P",
        },
        parameters={"k": 0.1, "kon": 1e5, "koff": 1e4},
        initial={"R": "1"},
        outputs={"L": "L"},
    )
    found = solve(system, [Dose(time=0, amount=5, compartment="L")], [1.0, 10.0])
    free, bound = found.outputs["L"], found.amount("P")
    assert np.allclose(found.amount("R") + bound, 1, rtol=MASS, atol=0)
    assert np.allclose(bound, free / (0.1 + free), rtol=BINDING, atol=0)


def test_reserved_words_of_the_language_are_names_like_any_other() -> None:
    system = build_system(
        compartments=("in",),
        equations={"in": "-lambda*in"},
        parameters={"lambda": 0.5},
        outputs={"is": "in*2"},
    )
    for method in ("exact", "integrate"):
        found = solve(
            system, [Dose(time=0, amount=1, compartment="in")], [2.0], method=method
        ).outputs["is"]
        assert found[0] == pytest.approx(2 * np.exp(-1), rel=SUMS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x > 1 ? 10 : 20", 10),
        ("x > 9 ? 10 : x > 1 ? 30 : 20", 30),
        ("x > 1 ? x > 9 ? 1 : 2 : 3", 2),
        ("1 + max((x < 1 ? 5 : 7), x == 3 ? 9 : 2)*2", 19),
        ("(x >= 3 ? pow(x, 2) : 0) - (x != 3 ? 1 : 2)", 7),
    ],
)
def test_a_choice_may_be_written_as_in_c(text: str, value: float) -> None:
    assert evaluate(read_expression(text), {"x": 3.0}) == value


@pytest.mark.parametrize("text", ["x ? 1", "? 1 : 2", "x > 1 ? : 2", "x ? 1 : 2 : 3"])
def test_a_broken_choice_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"not (an )?arithmetic"):
        read_expression(text)
