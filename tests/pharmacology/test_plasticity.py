"""Disinhibition in closed form; the cascade against an independent integrator; the score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.pharmacology.plasticity import (
    CHANGES,
    Drives,
    inverted_u,
    pyramidal_rate,
    simulate_plasticity,
)
from klarsyn.pharmacology.response import (
    dropout_hazard,
    median_time,
    needed_effect,
    placebo_course,
    relapse_hazard,
    score,
    survival,
)

STEP_ERROR = 5e-3  # share of each state's range; 5 min steps, second order (next test)
READ = 0.04  # a peak and a crossing that the design gives as about 0.63 and 2.3
ROUNDING = 1e-12
ORDER = 0.1  # relative: the next power of the step
SLOPE = 1e-9  # relative: a straight line fitted to logarithms
EIGHTEEN = 3e-4  # relative: ln 2/0.0385 is 18.004 days
VALUES = {
    k: np.array([v])
    for k, v in {
        "selectivity": 3.0,
        "balance": 1.6,
        "half_interneuron": 0.8,
        "distance": 1.2,
        "tau_eef2": 0.7,
        "tau_bdnf": 1.1,
        "tau_trkb": 0.4,
        "tau_mtor": 0.6,
        "tau_erk": 0.9,
        "tau_functional": 30.0,
        "tau_commitment": 40.0,
        "tau_spines": 300.0,
        "gain_synthesis": 1.3,
        "gain_trkb": 4.0,
        "gain_direct": 2.0,
        "direct_additive": 0.0,
        "erk_share": 0.3,
        "gain_metabolite": 0.4,
        "gate": 0.5,
    }.items()
}


def _rate(c: float, selectivity: float, balance: float, half: float) -> float:
    x_i, x_e = c / half, c / half / selectivity
    held = np.array([x_i / (1 + x_i)]), np.array([x_e / (1 + x_e)])
    return float(pyramidal_rate(*held, distance=np.array([1.0]), balance=np.array([balance]))[0])


def test_an_inverted_u_exists_only_between_one_and_the_selectivity() -> None:
    assert inverted_u(0.9, 2.0, 1.0) is None
    assert inverted_u(2.1, 2.0, 1.0) is None
    peak, crossing = inverted_u(1.3, 2.0, 1.0)
    assert (peak, crossing) == pytest.approx((0.63, 2.3), abs=READ)
    assert _rate(crossing, 2.0, 1.3, 1.0) == pytest.approx(1, abs=ROUNDING)
    around = [_rate(peak * f, 2.0, 1.3, 1.0) for f in (0.99, 1.0, 1.01)]
    assert max(around) == around[1]
    assert _rate(1.0, 2.0, 1.3, 1.0) > 1 > _rate(10.0, 2.0, 1.3, 1.0)


def test_below_one_over_the_selectivity_it_only_rises_and_above_it_only_falls() -> None:
    """The design says that it rises below rho 1; between 1/S and 1 it overshoots and stays up."""
    c = np.geomspace(0.01, 100, 60)
    assert np.all(np.diff([_rate(x, 2.0, 0.5, 1.0) for x in c]) > 0)
    assert np.all(np.diff([_rate(x, 2.0, 2.5, 1.0) for x in c]) < 0)
    between = np.array([_rate(x, 2.0, 0.8, 1.0) for x in c])
    assert between.min() > 1
    assert between.max() > between[-1]


def test_at_distance_one_the_peak_is_one_to_eight_percent() -> None:
    for selectivity, balance in ((2.0, 1.3), (1.5, 1.2), (2.0, 1.8)):
        peak, _ = inverted_u(balance, selectivity, 1.0)
        assert 1.0 < _rate(peak, selectivity, balance, 1.0) < 1.085


def test_a_circuit_past_instability_has_no_rate() -> None:
    found = pyramidal_rate(
        np.array([0.9]), np.array([0.1]), distance=np.array([0.5]), balance=np.array([1.1])
    )
    assert np.isnan(found).all()


def _drives(times: np.ndarray) -> Drives:
    c = 1.2 * np.exp(-times / 1.5)[None, :]
    return Drives(times=times, block=c, direct=0.6 * c, metabolite=0.3 * c)


def test_the_cascade_agrees_with_an_independent_integrator() -> None:
    """All eight states, written out again from the equations, by DOP853 at 1e-10."""
    v = {k: float(x[0]) for k, x in VALUES.items()}

    def slope(t, y):
        p, b, k, m, e, f, q, s = y
        c = 1.2 * np.exp(-t / 1.5)
        x_i, x_e = c / v["half_interneuron"], c / v["half_interneuron"] / v["selectivity"]
        a_i, a_e = x_i / (1 + x_i), x_e / (1 + x_e)
        r = v["distance"] / (v["distance"] + v["balance"] * a_e - a_i)
        together = v["gain_direct"] * 0.6 * c
        drive = (1 + b) * max(r - 1, 0) * (1 + together) + v["gain_metabolite"] * 0.3 * c
        g = v["gain_trkb"] * drive
        other = k * v["erk_share"] * together / (1 + together)
        return [
            ((1 - a_e) - p) / v["tau_eef2"],
            (v["gain_synthesis"] * (1 - p) - b) / v["tau_bdnf"],
            (g * (1 - k) - k) / v["tau_trkb"],
            (k - other - m) / v["tau_mtor"],
            (other - e) / v["tau_erk"],
            (m + e - f) / v["tau_functional"],
            (m + e - q) / v["tau_commitment"],
            (q - s) / v["tau_spines"],
        ]

    times = np.unique(np.r_[np.linspace(0, 12, 145), np.linspace(12, 200, 95)])
    names = ("eef2", "bdnf", "trkb", "mtor", "erk", "functional", "commitment", "spines")
    found = simulate_plasticity(VALUES, _drives(times), keep=names)
    start = [1.0] + [0.0] * 7
    exact = solve_ivp(slope, (0, 200), start, "DOP853", times, rtol=1e-10, atol=1e-13).y
    for i, name in enumerate(names):
        size = np.abs(exact[i] - exact[i][0]).max()
        assert np.abs(found[name][0] - exact[i]).max() < STEP_ERROR * size, name


def test_halving_the_step_quarters_the_error() -> None:
    ends = []
    for n in (49, 97, 193, 385):
        run = simulate_plasticity(VALUES, _drives(np.linspace(0, 12, n)))
        ends.append(run["functional"][0, -1])
    errors = np.abs(np.diff(ends))
    assert errors[0] / errors[1] == pytest.approx(4, rel=ORDER)
    assert errors[1] / errors[2] == pytest.approx(4, rel=ORDER)


def test_nothing_given_changes_nothing() -> None:
    times = np.linspace(0, 48, 20)
    zero = np.zeros((1, 20))
    run = simulate_plasticity(
        VALUES,
        Drives(times=times, block=zero, direct=zero, metabolite=zero),
        keep=("spines", "eef2"),
    )
    assert run.rate.tolist() == np.ones((1, 20)).tolist()
    assert run["spines"].tolist() == zero.tolist()
    assert np.abs(run["eef2"] - 1).max() < ROUNDING


def test_elimination_of_spines_is_the_same_with_and_without_drug() -> None:
    """After formation is over, density falls by its own time constant alone."""
    times = np.r_[np.linspace(0, 24, 200), np.linspace(25, 4000, 400)]
    run = simulate_plasticity(VALUES, _drives(times))
    tail = run["spines"][0, -100:]
    slope = np.polyfit(times[-100:], np.log(tail), 1)[0]
    assert -1 / slope == pytest.approx(300, rel=SLOPE)


@pytest.mark.parametrize(
    "change", ["throughput", "release", "genotype", "mtor", "interneurons", "new_spines", "gate"]
)
def test_each_intervention_lessens_what_it_should(change) -> None:
    values = VALUES | {"gain_metabolite": np.zeros(1)}
    times = np.linspace(0, 240, 400)
    whole = simulate_plasticity(values, _drives(times))
    without = simulate_plasticity(values, _drives(times), changes={change: 0.0})
    what = "spines" if change == "new_spines" else "functional"
    assert without[what].max() < 0.6 * whole[what].max()
    assert change in CHANGES


def test_an_unknown_intervention_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: mtor"):
        simulate_plasticity(VALUES, _drives(np.linspace(0, 1, 3)), changes={"mtorc": 0.0})


def test_a_score_stays_within_its_scale_and_inverts() -> None:
    assert score(33, 60, 0.0) == pytest.approx(33)
    assert score(33, 60, 50) == pytest.approx(0, abs=ROUNDING)
    wanted = needed_effect(33, 60, 0.3, 10.0)
    assert score(33, 60, 0.3) - score(33, 60, 0.3 + wanted) == pytest.approx(10)
    assert np.isnan(needed_effect(33, 60, 0.0, 40.0))
    with pytest.raises(InputError, match="between 0 and 60"):
        score(60, 60, 0.0)


def test_a_placebo_course_rises_to_its_top() -> None:
    values = {"placebo_top": [1.0], "placebo_delay": [7.0], "placebo_shape": [1.0]}
    found = placebo_course([0.0, 7 * 24.0, 1e6], values)[0]
    assert found == pytest.approx([0, 1 - np.exp(-1), 1])


def test_a_constant_hazard_gives_the_exponential_median() -> None:
    values = {
        "consolidation_half": np.ones(1),
        "hazard_base": np.array([0.0385]),
        "hazard_slope": np.array([0.1]),
        "consolidation": np.zeros(1),
    }
    times = np.linspace(0, 60 * 24, 3000)
    scores = np.full((1, 3000), 12.0)
    hazard = relapse_hazard(scores, np.array([12.0]), 6, values)
    assert median_time(times, survival(times, hazard))[0] / 24 == pytest.approx(18, rel=EIGHTEEN)
    assert np.isinf(median_time(times[:100], survival(times[:100], hazard[:, :100]))[0])


def test_who_is_worse_now_leaves_more() -> None:
    low, high = dropout_hazard([10.0, 20.0], 0.01, 0.05, 10.0)
    assert high / low == pytest.approx(np.exp(0.5))
