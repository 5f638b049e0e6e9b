"""Patients crossed with parameter sets: one and many, rules that ask for doses, blocks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.pharmacology import crossed
from klarsyn.pharmacology.crossed import cross
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.ensemble import shipped_ensemble
from klarsyn.pharmacology.follow import follow
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.pharmacology.response import survival
from klarsyn.pharmacology.runs import hazard_course, read_study, simulate_run
from klarsyn.pharmacology.spread import spread, spread_at_percentiles

TRAPEZOIDS = 0.01  # shares: the hazard is summed on the run's grid of hours
PERCENTILE = 0.02  # shares: the median of curves is not the curve of the median set
SAME_HOURS = 1e-9  # grids of hours that two runs share

STUDY = read_study("ketamine_response")
SETS = shipped_ensemble(STUDY)
MODEL = read_model("KSR-1-arterial")
SIX = "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"
SAME_STEPS = 1e-9  # points: the same steps, what drives them summed in another order
EXP = 1e-12  # relative: the same sums in another order
OTHER_GRID = 1e-4  # points: the last dose is followed on another grid of hours


def _run(words: str, n: int, form: str = "racemate", typical: bool = False, **more):
    regimen = parse_regimen(words)
    fixed = {k: p.number.value for k, p in MODEL.parameters.items() if p.uncertain is not None}
    people = sample_individuals(
        MODEL,
        n,
        seed=1,
        variability=not typical,
        uncertain=fixed,
        occasions=regimen.administrations,
        **more,
    )
    return cross(
        people,
        STUDY,
        SETS,
        regimen=regimen,
        form=form,
        effects="ketamine_effects",
        days=28,
    )


def test_the_typical_patient_is_the_one_that_is_followed_alone() -> None:
    one = _run(SIX, 1, typical=True)
    alone = follow(
        STUDY,
        SETS,
        model="KSR-1-arterial",
        form="racemate",
        regimen=SIX,
        days=float(one.times[-1] / 24),
        effects="ketamine_effects",
        seed=1,
    )
    at = np.searchsorted(alone.times, one.times - 1e-9)
    assert np.abs(one.scores[0] - alone.response.score[:, at]).max() < SAME_STEPS
    assert one.placebo == pytest.approx(alone.response.placebo[:, at], rel=EXP)
    acute = len(one.courses["pain"].times)
    for name in ("dissociation", "pressure", "pain", "cardiac_output"):
        assert one.courses[name].sets["p95"] == pytest.approx(
            alone.effects.bands(name)["p95"][:acute], rel=EXP, abs=EXP
        )
    occupied = one.courses["occupancy"]
    assert occupied.patients["p50"] == pytest.approx(
        alone.occupancy["p50"][: len(occupied.times)], rel=EXP
    )


def test_the_band_of_occupancy_is_5_to_95_percent_of_the_unbound_share() -> None:
    """By hand: x = share sum(C/K) at the peak, K scaled so that the racemate has the rat's 1.42 uM.

    The share is log-uniform from 0.4 to 1, so its 5th and 95th percentile are 0.4 * 2.5^0.05 and
    0.4 * 2.5^0.95; a band over five percentiles of it would hold only 9 to 91 %.
    """
    one = _run(SIX, 1, typical=True)
    alone = follow(
        STUDY,
        SETS,
        model="KSR-1-arterial",
        form="racemate",
        regimen=SIX,
        days=20,
        effects="ketamine_effects",
        seed=1,
    )
    masses = {"S-ketamine": 237.73, "R-ketamine": 237.73}
    masses |= {"S-norketamine": 223.70, "R-norketamine": 223.70}
    ki = dict(zip(masses, (0.3, 1.4, 1.7, 13.0), strict=True))  # Ebert 1997
    scale = 1.42 / (2 / (1 / 0.3 + 1 / 1.4))
    at = int(np.searchsorted(alone.times, 2 / 3 - 1e-9))
    unscaled = sum(alone.plasma[a][at] / masses[a] / (scale * ki[a]) for a in masses)
    occupied = one.courses["occupancy"]
    here = int(np.searchsorted(occupied.times, 2 / 3 - 1e-9))
    for name, p in (("p5", 0.05), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p95", 0.95)):
        x = 0.4 * 2.5**p * unscaled
        assert occupied.sets[name][here] == pytest.approx(x / (1 + x), rel=0.01), name


def test_percentiles_of_a_prior_are_taken_as_they_stand() -> None:
    """Two patients, the second twice the first: the median lies between, at each percentile."""
    prior = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    s = spread_at_percentiles(np.stack([prior, 2 * prior])[:, :, None], [0.0], "1")
    assert [float(v[0]) for v in s.sets.values()] == [1.5, 3.0, 4.5, 6.0, 13.5]
    assert s.patients["p5"][0] == pytest.approx(3.15)  # 3 + 5 % of the way to 6
    assert s.patients["p95"][0] == pytest.approx(5.85)


def test_a_peak_of_many_patients_is_called_the_highest_of_any() -> None:
    notes = " ".join(_run("0.5 mg/kg base iv over 40 min", 12).notes)
    assert "The highest peak of any patient" in notes
    assert "The peak of" not in notes


def test_what_is_the_same_in_all_sets_is_not_printed_as_a_range() -> None:
    line = next(x for x in _run(SIX, 3).summary().splitlines() if x.startswith("eeg"))
    assert "the same in all sets (what is not known of it is not drawn)" in line


def test_the_share_not_relapsed_is_that_of_the_published_course() -> None:
    """Six infusions in two weeks: the file's own run, whose median of 18 days fixed the hazard."""
    one = _run("0.5 mg/kg base iv over 40 min, 3 times a week for 2 weeks", 1, typical=True)
    course = simulate_run(STUDY, "six", SETS.values)
    hazard = hazard_course(STUDY, course, SETS.values)
    start = int(np.searchsorted(course.times, 288.0))
    left = survival(course.times[start:], hazard[:, start:])
    at_18 = np.median([np.interp(18.0, (course.times[start:] - 288) / 24, s) for s in left])
    assert at_18 == pytest.approx(0.5, abs=TRAPEZOIDS)
    s = one.courses["surviving"]
    found = np.interp(19.0 * 24, s.times, s.sets["p50"])  # from a day after the last dose
    assert found == pytest.approx(0.5, abs=PERCENTILE)


def test_patients_and_sets_are_never_mixed() -> None:
    values = np.array([[[1.0], [10.0]], [[3.0], [12.0]], [[5.0], [14.0]]])  # (patients, sets, T)
    s = spread(values, [0.0], "1")
    assert s.sets["p50"] == pytest.approx([7.5])  # median patients 3 and 12
    assert s.sets["p5"] == pytest.approx([3.45])
    assert s.patients["p50"] == pytest.approx([7.5])
    assert s.patients["p95"][0] - s.patients["p5"][0] == pytest.approx(3.6)  # 4 wide in each set
    alike = _run("0.5 mg/kg base iv over 40 min", 3, typical=True).courses["score"]
    assert np.array_equal(alike.patients["p5"], alike.patients["p95"])
    assert (alike.sets["p95"] - alike.sets["p5"]).max() > 5


def test_a_spread_leaves_the_values_as_they_were_however_they_lie() -> None:
    lanes = np.array([[[3.0, 1.0, 2.0]]])  # the patients of one set and time side by side
    values = np.moveaxis(lanes, -1, 0)
    assert spread(values, [0.0], "1").sets["p50"] == pytest.approx([2.0])
    assert lanes.tolist() == [[[3.0, 1.0, 2.0]]]


def test_a_patients_course_does_not_depend_on_blocks_or_on_the_others(monkeypatch) -> None:
    whole = _run(SIX, 7)
    monkeypatch.setattr(crossed, "BLOCK", 2)
    small = _run(SIX, 7)
    late = _run(SIX, 3, first=4)
    assert np.array_equal(whole.scores, small.scores)
    assert np.array_equal(whole.scores[4:], late.scores)
    assert np.array_equal(whole.felt[4:], late.felt)
    assert json.dumps(whole.to_dict()) == json.dumps(small.to_dict())


RULE = "0.5 mg/kg base iv over 40 min, until MADRS below 12, checked every 3 d, at most 6 doses"


def test_a_rule_gives_doses_until_the_score_has_fallen_and_never_again() -> None:
    found = _run(RULE, 4)
    hours = found.doses.times
    at = [int(np.argmin(np.abs(found.times - h))) for h in hours]
    score = found.scores[:, :, at]
    asked = score >= 12.0
    still = np.cumprod(asked, axis=2).astype(bool)
    expected = still & (np.cumsum(still, axis=2) <= 6)
    assert np.array_equal(found.given, expected)
    assert found.given[:, :, 0].all()
    assert len({int(x) for x in found.given.sum(axis=2).ravel()}) > 2


def test_a_rule_that_always_asks_is_the_schedule() -> None:
    rule = RULE.replace("until MADRS below 12", "when MADRS at or above 0")
    asked = _run(rule, 3)
    plain = _run("0.5 mg/kg base iv over 40 min, every 3 d for 6 doses", 3)
    assert asked.given.sum(axis=2).min() == 6
    at = [int(np.argmin(np.abs(asked.times - t))) for t in plain.times if t <= 15 * 24]
    both = plain.scores[:, :, : len(at)]
    assert asked.times[at] == pytest.approx(plain.times[: len(at)], abs=SAME_HOURS)
    # the two grids differ after the last dose only; concentrations add up by superposition
    assert np.abs(asked.scores[:, :, at] - both).max() < OTHER_GRID


def test_doses_come_back_with_the_score_where_the_rule_says_when() -> None:
    rule = RULE.replace("until MADRS below 12", "when MADRS at or above 20").replace("6", "8")
    given = _run(rule, 3).given
    gaps = (np.diff(given.astype(int), axis=2) > 0).any(axis=2)
    assert gaps.any()  # off and on again in some sets


def test_a_rule_on_another_measure_is_refused() -> None:
    with pytest.raises(InputError, match="asks for HAMD, but ketamine_response simulates MADRS"):
        _run(RULE.replace("MADRS", "HAMD"), 1)


def test_the_regimen_of_a_rule_reads_back() -> None:
    text = str(parse_regimen(RULE))
    assert str(parse_regimen(text)) == text
    falling = parse_regimen(RULE).given(70, score=lambda hour, given: 20 if hour != 72 else 5)
    assert [g.time for g in falling] == [0.0]


def test_a_peak_is_each_patient_s_own_however_late_it_comes() -> None:
    """By mouth uptake differs, so no hour holds everybody's peak; by hand from each own maximum."""
    regimen = parse_regimen("1 mg/kg base oral")
    model = read_model("KSR-1")
    fixed = {k: p.number.value for k, p in model.parameters.items() if p.uncertain is not None}
    people = sample_individuals(model, 40, seed=1, uncertain=fixed)
    one = cross(people, STUDY, SETS, regimen=regimen, form="S", effects="ketamine_effects", days=2)
    own = np.sort(one.occupied[:, 2])  # the median of the prior
    top = one.tops["occupancy"].patients
    assert top["p50"][0] == pytest.approx((own[19] + own[20]) / 2, rel=EXP)
    assert top["p95"][0] == pytest.approx(0.95 * own[37] + 0.05 * own[38], rel=0.02)
    # The hour at which the median is highest would leave out those who peak earlier or later.
    course = one.courses["occupancy"].patients
    at = int(np.argmax(course["p50"]))
    assert top["p95"][0] > 1.03 * course["p95"][at]
    assert top["p5"][0] > 1.03 * course["p5"][at]


def test_after_an_infusion_everybody_peaks_at_its_end() -> None:
    one = _run("0.5 mg/kg base iv over 40 min", 8)
    for name in ("occupancy", "pressure"):
        course, top = one.courses[name].patients, one.tops[name].patients
        assert top["p50"][0] == pytest.approx(course["p50"].max(), rel=0.01)
