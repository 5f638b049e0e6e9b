"""Quasi-equilibrium block: every derived number of the design, recomputed."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.pharmacology.magnesium import (
    apparent_hill,
    magnesium_conflict,
    metabolite_dispute,
    two_site_fit,
)
from klarsyn.pharmacology.receptor import (
    available,
    drive,
    effect_site,
    half_blocking,
    occupancy,
    occupancy_bands,
    occupied,
    off_targets,
    read_receptor,
    site,
    slow_block,
    trapped_half_life,
)

TWO_DIGITS = 0.02  # the design prints two or three digits
ONE_DECIMAL = 0.05
TWO_DECIMALS = 5e-3
CROSSING = 0.015  # the design prints about 0.53; its own constants give 0.52
ON_GRID = 1e-5  # a crossing read between the points of a fine grid
ROUGHLY = 0.03  # relative: half-lives that the design gives as about 20 min
ROUNDING = 1e-12  # relative
SOLVED = 1e-9  # two equations, two unknowns
PERCENT = 0.5  # printed without decimals
FAST_GATE = 0.06  # share: the block lags behind a peak that falls within minutes
LAST_BITS = 1e-14
RECEPTOR = read_receptor("ketamine_receptor")
C = RECEPTOR.constants


def _rest(theta: float):
    return site(C, voltage=-70, theta=theta, magnesium=1.0)


def test_pure_competition_gives_a_resting_ic50_of_sixteen() -> None:
    assert 1 + _rest(1).magnesium_ratio == pytest.approx(22.5, rel=TWO_DIGITS)
    assert half_blocking(C["ic50_no_magnesium"], _rest(1)) == pytest.approx(16, rel=TWO_DIGITS)


def test_the_conflict_has_the_numbers_of_the_design() -> None:
    found = magnesium_conflict(RECEPTOR)
    assert found.needed == pytest.approx((0.11, 0.22), abs=TWO_DECIMALS)
    # The design prints about 0.53; its own constants give 0.52.
    assert found.crossing == pytest.approx(0.53, abs=CROSSING)
    up = site(C, voltage=-50, theta=0.22, magnesium=1.0)
    assert _rest(0.22).factor / up.factor == pytest.approx(0.71, abs=TWO_DECIMALS)
    assert up.factor / _rest(0.22).factor == pytest.approx(1.4, rel=TWO_DIGITS)
    assert np.interp(found.crossing, found.theta, found.selectivity) == pytest.approx(
        1, abs=ON_GRID
    )
    assert found.needed[1] < found.crossing
    assert "needs theta 0.11 to 0.22" in found.summary()


def test_trapped_drug_leaves_in_seconds_to_hours_with_the_open_probability() -> None:
    off = C["koff_macroscopic"] / C["open_probability_scheme"]
    for po, seconds in ((0.058, 21), (0.01, 120), (1e-3, 1200), (1e-4, 3.4 * 3600)):
        assert trapped_half_life(off, po) == pytest.approx(seconds, rel=ROUGHLY)


def test_ratios_between_ligands_are_those_of_one_laboratory() -> None:
    k = RECEPTOR.affinities()
    assert k["R-ketamine"] / k["S-ketamine"] == pytest.approx(4.7, rel=TWO_DIGITS)
    assert k["R-norketamine"] / k["S-norketamine"] == pytest.approx(7.6, rel=TWO_DIGITS)
    half = {"S-ketamine": 0.5 * 0.71, "R-ketamine": 0.5 * 0.71}
    assert drive(half, k) == pytest.approx(1, rel=ROUNDING)
    assert k["R-hydroxynorketamine"] == 46


def test_the_racemate_of_two_labs_differs_four_fold() -> None:
    k = RECEPTOR.affinities(level=2 / (1 / 0.3 + 1 / 1.4))
    assert k["S-ketamine"] == pytest.approx(0.3, rel=ROUNDING)
    racemate = 2 / (1 / 0.3 + 1 / 1.4)
    assert racemate == pytest.approx(0.49, abs=TWO_DECIMALS)
    assert racemate / 0.119 == pytest.approx(4.2, abs=ONE_DECIMAL)


def test_two_points_fit_two_unknowns_in_two_of_three_recordings() -> None:
    wanted = {"outside-out": (0.34, 10.6), "slice (authors' text)": (0.45, 5.7)}
    for record in C.rest["two_site"]:
        share, pore, miss = two_site_fit(
            record["concentration"], record["remaining"], C["allosteric_ec50"]
        )
        if record["name"] in wanted:
            assert miss < SOLVED
            assert (share, pore) == pytest.approx(wanted[record["name"]], rel=TWO_DIGITS)
        else:
            assert np.isinf(pore)
            assert share == pytest.approx(0.86, rel=TWO_DIGITS)
            assert miss > 0.02


def test_apparent_slopes_are_shallow() -> None:
    wanted = {"cell-attached": 0.55, "outside-out": 0.52, "slice (authors' text)": 0.60}
    for record in C.rest["two_site"]:
        found = apparent_hill(record["concentration"], record["remaining"])
        assert found == pytest.approx(wanted[record["name"]], abs=TWO_DECIMALS)
        assert found < C["hill_no_magnesium"]


def test_opioid_receptors_are_hardly_occupied() -> None:
    found = off_targets(RECEPTOR, C["total_peak"])
    assert 100 * found["mu opioid"] == pytest.approx(1.8, abs=ONE_DECIMAL)
    assert 100 * found["kappa opioid"] == pytest.approx(2.7, abs=ONE_DECIMAL)
    assert found["delta opioid"] < 0.01


def test_human_occupancy_is_an_extrapolation_between_18_and_35_percent() -> None:
    for unbound, percent in ((1.0, 35), (0.6, 25), (0.4, 18)):
        found = 100 * occupied(unbound * C["total_peak"], C["rat_ec50_parent"])
        assert found == pytest.approx(percent, abs=PERCENT)


def test_the_metabolite_blocks_15_percent_at_the_brain_peak_and_none_with_magnesium() -> None:
    found = metabolite_dispute(RECEPTOR, C.rest["dispute"])
    assert found.at(8.0)["reported IC50 (Abbott 2020)"] == pytest.approx(0.15, abs=TWO_DECIMALS)
    assert found.at(10.0)["reported IC50 (Abbott 2020)"] == pytest.approx(0.18, abs=TWO_DECIMALS)
    assert found.at(50.0)["reported IC50 (Abbott 2020)"] == pytest.approx(0.52, abs=TWO_DECIMALS)
    assert np.interp(8.0, found.concentrations, found.block_magnesium[0]) < 0.01
    assert "50 uM" in found.summary()


def test_quasi_equilibrium_is_enough_when_the_open_probability_is_a_thousandth() -> None:
    """Lord 2013: no occupancy one hour after a peak at 15 min needs Po of 1e-3 or more."""
    t = np.linspace(0, 4 * 3600, 2000)
    x = 5 * np.exp(-t / 1200)
    off = C["koff_macroscopic"] / C["open_probability_scheme"]
    on = off / C["ic50_no_magnesium"]
    fast = slow_block(t, x, on=on, off=off, open_probability=0.058)
    equal = x / (x + off / on)
    assert np.abs(fast - equal)[100:].max() < FAST_GATE
    slow = slow_block(t, x, on=on, off=off, open_probability=1e-4)
    assert slow[-1] > equal[-1] + 0.1


def test_an_effect_site_is_exact_for_lines_and_follows_without_delay_at_zero() -> None:
    t = np.array([0.0, 0.3, 1.0, 2.5])
    k = np.log(2) / 0.7
    assert effect_site(t, t, 0.7) == pytest.approx(t - (1 - np.exp(-k * t)) / k, abs=LAST_BITS)
    assert effect_site(t, t, 0.0).tolist() == t.tolist()


def test_a_second_incomplete_site_takes_its_share() -> None:
    assert available(0.0, _rest(0.1), incomplete=0.5, second=1e9) == pytest.approx(0.5)


def test_wrong_inputs_say_what_is_allowed() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        _rest(1.2)
    with pytest.raises(UnknownNameError, match="Nearest: S-ketamine"):
        drive({"S-ketamin": 1.0}, RECEPTOR.affinities())


def test_every_number_has_a_known_source_and_kind() -> None:
    rows = C.to_rows()
    assert len(rows) == len(C.numbers)
    assert all(r["locator"] and r["citation"] for r in rows)
    assert {r["kind"] for r in rows} <= {"reported", "derived", "digitised", "assumed"}


def test_occupancy_of_the_racemate_s_peak_is_the_extrapolated_18_to_35_percent() -> None:
    half = C["total_peak"] / 2 * 237.73
    plasma = {"S-ketamine": half, "R-ketamine": half, "aspirin": 1.0}
    for unbound, percent in ((1.0, 35), (0.6, 25), (0.4, 18)):
        found = 100 * occupancy(RECEPTOR, plasma, unbound=unbound, level=C["rat_ec50_parent"])
        assert found == pytest.approx(percent, abs=PERCENT)
    bands = occupancy_bands(RECEPTOR, plasma, unbound=(0.4, 1.0), level=C["rat_ec50_parent"])
    assert 0.18 < bands["p5"] < bands["p50"] < bands["p95"] < 0.355
