"""Days between two clicks are not read: what is said there, and what a rebuilt curve adds."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.stats.survival import kaplan_meier, restricted_mean
from klarsyn.synthesis.durability import ArmDurability, rebuild, relapse_curve

WHOLE = 0.011  # shares: a rebuilt curve of 100 participants has whole participants


def _arm(days: list[float], shares: list[float], n: int = 100) -> ArmDurability:
    curve = relapse_curve("A", "drug", days, shares, [0.0], [n], origin="last_dose")
    return rebuild(curve, seed=1, repeats=20)


def test_between_two_clicks_the_share_is_said_as_a_range() -> None:
    """100 followed, 90 left on day 30: on day 28 between 90 and 100 are left, not 100."""
    row = _arm([0, 30, 60], [1, 0.9, 0.4]).remaining([28])[0]
    assert row["remaining"] == 1.0
    assert row["remaining_least"] == pytest.approx(0.9, abs=WHOLE)
    assert row["low"] < 0.9 - WHOLE
    assert row["high"] == 1.0


def test_the_median_in_a_stretch_that_was_not_read_is_a_range() -> None:
    arm = _arm([0, 30, 60], [1, 0.9, 0.4])
    assert "median between 30 and 60 days" in arm.summary()
    assert "median not reached" in _arm([0, 30, 60], [1, 0.9, 0.6]).summary()


def test_mean_days_counted_too_many_by_hand() -> None:
    """30 days times 10 points and 30 days times 50 points: 3 and 15 days."""
    arm = _arm([0, 30, 60], [1, 0.9, 0.4])
    assert [u.days_too_many for u in arm.unread] == pytest.approx([3.0, 15.0], abs=30 * WHOLE)
    assert "up to 18.0 mean days" in arm.note()


def test_a_curve_clicked_at_every_step_has_nothing_unread() -> None:
    days = np.arange(0.0, 61.0)
    arm = _arm(days.tolist(), (1 - days / 100).tolist())
    assert arm.unread == ()
    assert arm.note() == ""
    row = arm.remaining([28.5])[0]
    assert row["remaining_least"] == row["remaining"]


def test_one_relapse_between_two_clicks_is_a_step_that_was_read() -> None:
    assert _arm([0, 20, 40], [1, 0.9, 0.8], n=10).unread == ()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_said_of_sparse_clicks_holds_the_whole_curve(seed: int) -> None:
    """200 simulated patients, all followed to day 84: three clicks against every day.

    Stated in advance: the true share lies in the range on every day within a patient's weight, and
    the mean days exceed the true ones by no more than is said.
    """
    n = 200
    time = np.random.default_rng(seed).weibull(0.8, n) * 90.0
    day, event = np.minimum(np.ceil(time), 84.0), time <= 84.0
    true = kaplan_meier(day, event)
    clicks = [0.0, 30.0, 84.0]
    arm = _arm(clicks, [float(true.at(t)) for t in clicks], n=n)
    for row in arm.remaining(np.arange(1.0, 84.0)):
        share = float(true.at(row["day"]))
        assert row["remaining_least"] - 1.01 / n <= share <= row["remaining"] + 1.01 / n
    more = restricted_mean(arm.curve, 84.0).value - restricted_mean(true, 84.0).value
    assert 0 < more <= sum(u.days_too_many for u in arm.unread) + 84 / n
