"""Acute effects: signs, published points, tolerance; what contradicts stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.pharmacology.constants import read_constants
from klarsyn.pharmacology.effects import (
    EFFECTS,
    UNITS,
    acute_effects,
    dissociation,
    racemate_slowing,
    slowing,
)
from klarsyn.pharmacology.ensemble import draw_sets

ONE_DECIMAL = 0.05
TWO_DECIMALS = 5e-3
WHOLE = 0.5  # ng/mL
CENTRED = 1e-6  # relative: draws have the published value as their median
GONE = 1e-9  # relative: tolerance after 20,000 hours
FULL = 1e-6  # relative: a concentration a million times the IC50 leaves 800/1e9
SPREAD = 0.1  # a median of 200 ratios drawn between 0 and 1 about the published 0.3

C = read_constants("ketamine_effects")
FLAT = np.linspace(0, 6, 73)
SETS = 200


def _effects(**plasma: float):
    names = C.rest["analytes"]
    given = {names[k]: np.full(len(FLAT), v) for k, v in plasma.items()}
    return acute_effects(
        C, times=FLAT, plasma=given, label="flat", site="arterial", sets=SETS, seed=3
    )


def test_cardiac_output_rises_with_s_falls_with_its_metabolite_and_ignores_r() -> None:
    """Experiment 23 (Kamp 2021): up, down, none."""
    assert np.all(_effects(S=100).courses["cardiac_output"][:, -1] > 0)
    assert np.all(_effects(SN=100).courses["cardiac_output"][:, -1] < 0)
    assert np.all(_effects(R=100).courses["cardiac_output"] == 0)


def test_cardiac_output_rises_40_to_50_percent_over_the_published_span() -> None:
    rise = _effects(S=320).courses["cardiac_output"] - _effects(S=40).courses["cardiac_output"]
    assert rise[:, -1].min() > 0.39
    assert rise[:, -1].max() < 0.51


def test_pain_is_the_published_line_with_its_contradiction() -> None:
    assert np.median(_effects(S=100).courses["pain"][:, -1]) == pytest.approx(-3.8, abs=CENTRED)
    both = _effects(S=100, SN=50).courses["pain"][:, -1]
    olofsen = 100 * C["pain_S"] + 50 * C["pain_SN_olofsen"]
    simons = 100 * C["pain_S"] + 50 * C["pain_SN_simons"]
    assert olofsen == pytest.approx(-2.3)
    low, high = np.percentile(both, [1, 99])
    assert low < simons < olofsen < high


def test_drug_high_needs_a_quarter_of_what_antinociception_needs() -> None:
    mass = 237.73
    assert C["high_c50"] * mass == pytest.approx(71, abs=WHOLE)
    assert C["antinociception_c50_low"] * mass == pytest.approx(285, abs=WHOLE)
    assert C["antinociception_c50_high"] * mass == pytest.approx(404, abs=WHOLE)


def test_pressure_goes_through_the_published_point() -> None:
    slope = draw_sets(C.rest["priors"], SETS, 3, C.id)["pressure_slope"]
    found = _effects(S=1959).courses["pressure"][:, -1] / slope
    assert found == pytest.approx(np.full(SETS, 0.27), rel=CENTRED)
    assert C["pressure_rise"] < C["rate_rise"]


def test_r_dissociates_less_than_s_and_never_not_at_all() -> None:
    s = _effects(S=100).courses["dissociation"][:, 1]
    r = _effects(R=100).courses["dissociation"][:, 1]
    assert np.all(r > 0)
    assert np.all(r <= s * 1.0000001)
    assert np.median(r / s) == pytest.approx(0.3, abs=SPREAD)


def test_racemate_of_100_is_one_unit_and_the_line_holds_to_200() -> None:
    values = draw_sets(C.rest["priors"], SETS, 3, C.id) | {"tolerance_gain": np.zeros(SETS)}
    for level in (50.0, 100.0, 200.0):
        half = np.full(len(FLAT), level / 2)
        found = dissociation(FLAT, half, half, values, C)
        assert found == pytest.approx(np.full_like(found, level / 100))


def test_tolerance_lessens_later_doses_and_is_gone_after_long() -> None:
    """Week-1 dissociation 16.7 %, decreased thereafter: the sign only."""
    values = draw_sets(C.rest["priors"], SETS, 3, C.id)
    pulse = np.r_[0.0, 100.0, 100.0, 0.0]
    times, s = [], []
    for week in (0.0, 84.0, 168.0, 20000.0):
        times += [week + x for x in (0.1, 0.2, 1.2, 1.3)]
        s += pulse.tolist()
    t, c = np.array(times), np.array(s)
    found = dissociation(t, c, 0 * c, values, C)
    first, second, third, late = found[:, 1], found[:, 5], found[:, 9], found[:, 13]
    assert np.all(second < first)
    assert np.all(third < second)
    assert late == pytest.approx(first, rel=GONE)


def test_each_enantiomer_alone_has_its_published_emax_and_ic50() -> None:
    assert slowing(800.0, 0.0, C) == pytest.approx(8.3 / 2)
    assert slowing(0.0, 1800.0, C) == pytest.approx(4.4 / 2)
    assert slowing(1e9, 0.0, C) == pytest.approx(8.3, rel=FULL)


def test_the_rule_for_two_enantiomers_overpredicts_the_racemate_as_its_source_says() -> None:
    """Schuttler: such a rule predicted the racemate poorly. Too much at every level."""
    total = C["eeg_ic50_racemate"]
    ratio = slowing(total / 2, total / 2, C) / racemate_slowing(total, C)
    assert ratio == pytest.approx(1.20, abs=TWO_DECIMALS)
    low = slowing(100.0, 100.0, C) / racemate_slowing(200.0, C)
    assert low == pytest.approx(1.57, abs=TWO_DECIMALS)


def test_every_effect_has_a_unit_and_a_course() -> None:
    found = _effects(S=60, R=60, SN=20)
    assert tuple(found.courses) == EFFECTS == tuple(UNITS)
    assert found.bands("pain")["p50"].shape == FLAT.shape
    assert "dissociation" in found.summary()
    again = _effects(S=60, R=60, SN=20)
    assert found.to_dict() == again.to_dict()


def test_venous_peaks_and_high_levels_are_noted() -> None:
    given = {"S-ketamine": np.full(3, 300.0)}
    found = acute_effects(
        C, times=[0, 1, 2], plasma=given, label="x", site="venous", sets=2, seed=1
    )
    assert any("arterial" in n for n in found.notes)
    assert any("300 ng/mL" in n for n in found.notes)


def test_wrong_inputs_are_refused() -> None:
    given = {"S-ketamine": np.zeros(2)}
    with pytest.raises(InputError, match="must rise"):
        acute_effects(C, times=[1, 1], plasma=given, label="", site="venous", sets=2, seed=1)
    with pytest.raises(InputError, match="none of the analytes aspirin"):
        acute_effects(
            C, times=[0, 1], plasma={"aspirin": [0, 0]}, label="", site="venous", sets=2, seed=1
        )
    with pytest.raises(UnknownNameError, match="not a known site"):
        acute_effects(C, times=[0, 1], plasma=given, label="", site="capillary", sets=2, seed=1)
