"""Guyot's reconstruction: round trips, level tails (trap T11), reading error, errors."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.reconstruction import digitised, reconstruct, reconstruct_repeatedly
from klarsyn.stats.survival import kaplan_meier

TIED = 4  # events that share a step with another and cannot be told from censoring
ROUNDED = 1  # event: what is published is met up to whole participants
ROUND_TRIP = 0.01  # survival, where ten or more are at risk; one event of 120 is 0.008


def true_people(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    draw = stream(seed, "true people")
    event, censoring = draw.exponential(60, n), draw.uniform(20, 200, n)
    return np.ceil(np.minimum(event, censoring)), event <= censoring


@pytest.mark.parametrize("seed", range(5))
def test_an_exact_reading_gives_back_the_curve_and_nearly_the_events(seed):
    time, event = true_people(seed)
    curve = kaplan_meier(time, event)
    marks = np.arange(0, curve.last_time, 20.0)
    read = digitised(
        np.r_[0, curve.time], np.r_[1, curve.survival], marks, curve.number_at_risk(marks)
    )
    rebuilt = reconstruct(read)
    again = kaplan_meier(rebuilt.time, rebuilt.event)
    dense = marks[curve.number_at_risk(marks) >= 10]
    assert np.abs(again.at(dense) - curve.at(dense)).max() < ROUND_TRIP
    assert rebuilt.time.size == time.size
    assert abs(rebuilt.events - event.sum()) <= TIED
    assert np.all(rebuilt.at_risk_error == 0)


def test_a_level_tail_holds_no_event():
    tail = np.linspace(30, 100, 15)
    read = digitised(
        np.r_[0, 10, 20, 30, tail],
        np.r_[1, 0.813, 0.622, 0.477, np.full(15, 0.477)],
        [0, 25, 50, 75],
        [47, 28, 19, 7],
    )
    for result in (reconstruct(read), *reconstruct_repeatedly(read, repeats=50, seed=1)):
        assert not np.any(result.time[result.event] > 31.0)


def test_a_published_number_of_events_is_met_in_the_last_stretch():
    time, event = true_people(3)
    curve = kaplan_meier(time, event)
    read = digitised(
        np.r_[0, curve.time],
        np.r_[1, curve.survival],
        [0],
        [120],
        total_events=int(event.sum()),
    )
    assert abs(reconstruct(read).events - event.sum()) <= ROUNDED


def test_too_few_published_events_never_bring_more_events():
    read = digitised([0, 10, 20], [1, 0.8, 0.5], [0, 15], [50, 40], total_events=10)
    assert reconstruct(read).events <= 11


def test_participants_are_neither_lost_nor_invented():
    for seed in range(8):
        draw = stream(seed, "clicks")
        times = np.sort(draw.uniform(0, 100, 12))
        survival = np.sort(draw.uniform(0.1, 1, 12))[::-1]
        counts = np.r_[80, np.sort(draw.integers(0, 80, 3))[::-1]]
        result = reconstruct(digitised(times, survival, [0, 25, 50, 75], counts))
        assert result.time.size == 80
        assert np.all(result.time >= 0)


def test_the_same_seed_reads_the_same_and_another_does_not():
    read = digitised([0, 10, 20, 40], [1, 0.8, 0.6, 0.4], [0, 20], [60, 35])
    one, two = (reconstruct_repeatedly(read, repeats=3, seed=4) for _ in range(2))
    other = reconstruct_repeatedly(read, repeats=3, seed=5)
    assert all(np.array_equal(a.time, b.time) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0].time, other[0].time)


@pytest.mark.parametrize(
    ("times", "survival", "risk", "counts", "message"),
    [
        ([0, 5, 9], [1, 0.5, 0.7], [0], [20], r"point 3 .* lies 0.2 above an earlier point"),
        ([0, 5], [100, 80], [0], [20], "Divide percentages by 100"),
        ([0, 5], [1, 0.8], [0, 3], [20, 25], "never rise; got 20, 25"),
        ([0, 5], [1, 0.8], [2, 3], [20, 15], "start where the curve does"),
        ([0], [1], [0], [20], "at least two points"),
        ([0, 5], [1, float("nan")], [0], [20], "not a pair of numbers"),
    ],
)
def test_a_wrong_reading_is_named(times, survival, risk, counts, message):
    with pytest.raises(InputError, match=message):
        digitised(times, survival, risk, counts)


def test_unknown_outlier_rule_gets_the_nearest_name():
    read = digitised([0, 10], [1, 0.8], [0], [10])
    with pytest.raises(UnknownNameError, match="Nearest: tukey"):
        reconstruct(read, outliers="tuckey")


def test_clicks_at_the_corners_are_enough():
    """20 start, two events at 2 and two at 5, then nothing: 12 and 5 are left at 10 and 20."""
    read = digitised([0, 2, 5, 30], [1, 0.9, 0.8, 0.8], [0, 10, 20], [20, 12, 5])
    rebuilt = reconstruct(read)
    assert rebuilt.events == 4
    assert [(rebuilt.time >= t).sum() for t in (10, 20)] == [12, 5]
    assert rebuilt.time[~rebuilt.event].max() == 25  # half-way between the last count and the end
    assert rebuilt.clicks == 4


def test_a_number_at_risk_after_the_last_click_keeps_them_followed():
    rebuilt = reconstruct(digitised([0, 5], [1, 0.5], [0, 10], [10, 4]))
    assert rebuilt.events == 5
    assert (rebuilt.time >= 10).sum() == 4


def test_no_event_cannot_be_told_of_a_curve_that_falls():
    with pytest.raises(InputError, match=r"no events are told, but the curve falls to 0\.8"):
        digitised([0, 5, 20], [1, 0.9, 0.8], [0, 10], [30, 12], total_events=0)


def test_a_printed_total_still_rules_the_last_stretch_and_nobody_is_lost():
    clicks = [0, 10, 20, 40, 50], [1, 0.9, 0.8, 0.6, 0.5]
    risk = [0, 30, 60], [40, 26, 6]
    for total in (14, 16, 17):
        rebuilt = reconstruct(digitised(*clicks, *risk, total_events=total))
        assert rebuilt.events == total
        assert rebuilt.time.size == 40
        assert (rebuilt.time >= 60).sum() == 6
    untold = reconstruct(digitised(*clicks, *risk))
    assert (untold.time >= 60).sum() == 6
