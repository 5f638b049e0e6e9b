"""Peaks, their times and areas without a course, beside the courses and matrix exponentials."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.pharmacology.solvers.closed import parent_and_metabolite
from klarsyn.pharmacology.solvers.kernel import courses, switches
from klarsyn.pharmacology.solvers.summaries import _exactly, summaries
from klarsyn.pharmacology.solvers.turning import highest, zeros

N = 60
CLOSED = 1e-9  # relative: what sums of exponentials keep of the area and of the last value
PEAK = 1e-10  # relative: a peak is flat, so that its hour may be wrong by 1e-5 of the stretch
GRID = 1e-3  # relative: what 8,001 times over up to 240 h leave of a peak between them
HOUR = 1e-3  # h, of stretches of up to 50 h


def patients(exchanges: int, metabolite: int, seed: int = 5) -> dict:
    rng = np.random.default_rng(seed)

    def spread(value: float) -> np.ndarray:
        return value * np.exp(0.4 * rng.standard_normal(N))

    pairs = ((120.0, 130.0), (23.0, 187.0))
    return {
        "clearance": spread(80.0),
        "volume": spread(60.0),
        "exchanges": tuple((spread(q), spread(v)) for q, v in pairs[:exchanges]),
        "formed": np.full(N, 0.8),
        "metabolite_clearance": spread(60.0),
        "metabolite_volume": spread(150.0),
        "metabolite_exchanges": ((spread(32.0), spread(120.0)),)[:metabolite],
    }


REGIMENS = {
    "one infusion": ([0.0], [0.7], [35.0], 30.0),
    "twice a week": ([0.0, 48.0, 96.0, 168.0], [0.7] * 4, [35.0] * 4, 240.0),
    "falling doses": ([0.0, 4.0, 8.0, 12.0], [1.0] * 4, [60.0, 20.0, 5.0, 1.0], 40.0),
    "weak infusion in a strong one's tail": ([0.0, 3.0], [1.0, 20.0], [90.0, 10.0], 30.0),
    "overlapping": ([0.0, 1.0, 2.0], [5.0, 0.5, 8.0], [40.0, 10.0, 30.0], 24.0),
    "cut within an infusion": ([0.0, 6.0], [1.0, 12.0], [30.0, 60.0], 9.5),
}
SHAPES = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1)]


def given(name: str) -> dict:
    starts, durations, amounts, until = REGIMENS[name]
    scale = np.exp(0.3 * np.random.default_rng(6).standard_normal(N))
    return {
        "starts": np.array(starts),
        "durations": np.array(durations),
        "amounts": np.outer(scale, amounts),
        "until": until,
    }


def dense(p: dict, asked: dict, points: int) -> np.ndarray:
    until = asked["until"]
    ends = asked["starts"] + asked["durations"]
    times = np.unique(np.append(np.linspace(0, until, points), ends[ends <= until]))
    rest = {k: v for k, v in asked.items() if k != "until"}
    return courses(p, **rest, times=times)


@pytest.mark.parametrize("name", REGIMENS)
@pytest.mark.parametrize(("exchanges", "metabolite"), SHAPES)
def test_a_peak_is_the_highest_of_the_course(exchanges: int, metabolite: int, name: str) -> None:
    p, asked = patients(exchanges, metabolite), given(name)
    found = summaries(p, **asked)
    curves = dense(p, asked, 8001)
    highest = curves.max(axis=2)
    assert np.all(highest <= found.cmax * (1 + PEAK))
    assert np.all(found.cmax <= highest * (1 + GRID))
    again = np.empty_like(found.cmax)
    for k in range(2):
        for i in range(N):
            own = {key: at(value, i) for key, value in p.items()}
            hour = np.array([found.tmax[k, i]])
            rest = {key: asked[key] for key in ("starts", "durations")}
            again[k, i] = courses(own, **rest, amounts=asked["amounts"][[i]], times=hour)[k, 0, 0]
    np.testing.assert_allclose(again, found.cmax, rtol=CLOSED)


def at(value, i: int):
    if isinstance(value, tuple):
        return tuple((q[[i]], v[[i]]) for q, v in value)
    return value[[i]]


@pytest.mark.parametrize("name", REGIMENS)
@pytest.mark.parametrize(("exchanges", "metabolite"), SHAPES)
def test_sums_of_exponentials_agree_with_matrix_exponentials(
    exchanges: int, metabolite: int, name: str
) -> None:
    p, asked = patients(exchanges, metabolite), given(name)
    found = summaries(p, **asked)
    for i in (0, 17, 41):
        cmax, tmax, auc, last = _exactly(
            p, i, asked["starts"], asked["durations"], asked["amounts"][i], asked["until"]
        )
        np.testing.assert_allclose(found.cmax[:, i], cmax, rtol=CLOSED)
        single = np.ptp(asked["starts"]) == 0  # with several doses two peaks may tie
        assert not single or np.allclose(found.tmax[:, i], tmax, rtol=0, atol=HOUR)
        np.testing.assert_allclose(found.auc[:, i], auc, rtol=CLOSED)
        np.testing.assert_allclose(found.last[:, i], last, rtol=CLOSED, atol=1e-12)


@pytest.mark.parametrize("name", REGIMENS)
@pytest.mark.parametrize(("exchanges", "metabolite"), SHAPES)
def test_the_compiled_climb_finds_what_every_turning_point_gives(
    exchanges: int, metabolite: int, name: str
) -> None:
    modes = parent_and_metabolite(**patients(exchanges, metabolite))
    asked = given(name)
    when, running = switches(asked["starts"], asked["durations"], asked["amounts"])
    when = when[when < asked["until"]]
    lengths = np.diff(np.append(when, asked["until"]))
    order = np.argsort(modes.rates, axis=1)
    rates = np.take_along_axis(modes.rates, order, axis=1)
    weights = np.take_along_axis(modes.weights, order[None], axis=2)
    top, _ = highest(rates, weights, when, lengths, running[: len(when)])
    found = summaries(patients(exchanges, metabolite), **asked)
    np.testing.assert_allclose(found.cmax, top, rtol=1e-12)


def test_all_zeros_of_a_sum_of_exponentials_are_found() -> None:
    rates = np.array([[1.0, 2.0, 3.0, 4.0]])
    places = np.log([1.5, 2.0, 4.0])  # of (x - 1/1.5)(x - 1/2)(x - 1/4), x = exp(-t), times x
    cubic = np.polynomial.polynomial.polyfromroots(np.exp(-places))
    np.testing.assert_allclose(zeros(cubic[None], rates, 10.0), places[None], rtol=1e-9)
    np.testing.assert_allclose(zeros(cubic[None], rates, 1.0), [[*places[:2], 1.0]], rtol=1e-9)


def test_the_area_is_the_dose_over_clearance() -> None:
    p, asked = patients(2, 1), given("twice a week")
    found = summaries(p, **(asked | {"until": 4000.0}))
    dose = asked["amounts"].sum(axis=1)
    np.testing.assert_allclose(found.auc[0], dose / p["clearance"], rtol=CLOSED)
    formed = p["formed"] * dose / p["metabolite_clearance"]
    np.testing.assert_allclose(found.auc[1], formed, rtol=CLOSED)


def test_twice_the_dose_is_twice_the_exposure_at_the_same_hour() -> None:
    p, asked = patients(2, 1), given("overlapping")
    one, two = summaries(p, **asked), summaries(p, **(asked | {"amounts": 2 * asked["amounts"]}))
    for name in ("cmax", "auc", "last"):
        np.testing.assert_allclose(getattr(two, name), 2 * getattr(one, name), rtol=1e-13)
    np.testing.assert_allclose(two.tmax, one.tmax, atol=HOUR)


def test_the_parent_peaks_when_a_single_infusion_ends() -> None:
    found = summaries(patients(2, 0), **given("one infusion"))
    np.testing.assert_array_equal(found.tmax[0], np.full(N, 0.7))
    assert np.all(found.tmax[1] > 0.7)


def test_patients_do_not_depend_on_each_other() -> None:
    p, asked = patients(1, 0), given("falling doses")
    whole = summaries(p, **asked)
    for i in (0, 33, N - 1):
        own = {key: at(value, i) for key, value in p.items()}
        one = summaries(own, **(asked | {"amounts": asked["amounts"][[i]]}))
        for name in ("cmax", "tmax", "auc", "last"):
            np.testing.assert_array_equal(getattr(one, name)[:, 0], getattr(whole, name)[:, i])


def test_rates_that_coincide_are_as_exact() -> None:
    p, asked = patients(0, 0), given("twice a week")
    p["metabolite_volume"] = p["metabolite_clearance"] * p["volume"] / p["clearance"]
    found = summaries(p, **asked)
    moved = p | {"metabolite_volume": p["metabolite_volume"] * (1 + 1e-4)}
    near = summaries(moved, **asked)
    np.testing.assert_allclose(found.cmax, near.cmax, rtol=2e-4)
    np.testing.assert_allclose(found.auc, near.auc, rtol=2e-4)
    assert np.all(found.cmax > 0)


def test_an_end_before_the_first_dose_is_refused() -> None:
    with pytest.raises(InputError, match="until must lie after the first start, 0 h; it is 0"):
        summaries(patients(1, 0), **(given("one infusion") | {"until": 0.0}))
