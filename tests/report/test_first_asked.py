"""The same patients, asked twice, count once in a pooled index: as first asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from klarsyn.report.sections.told import first_asked


def asked(trial: str, arm: str, days: float | None) -> Any:
    return SimpleNamespace(
        trial=SimpleNamespace(id=trial), guess=SimpleNamespace(arm=arm, days_from_first_dose=days)
    )


def test_the_earliest_guess_of_each_arm_stays_in_its_place() -> None:
    late, early, other = asked("T", "a", 14), asked("T", "a", 1), asked("T", "b", None)
    assert first_asked([late, other, early]) == [other, early]


def test_a_guess_without_a_day_is_the_last_choice() -> None:
    undated, dated = asked("T", "a", None), asked("T", "a", 40)
    assert first_asked([undated, dated]) == [dated]
    assert first_asked([undated]) == [undated]
