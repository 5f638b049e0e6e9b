"""Harms and grids straight from a base."""

from __future__ import annotations

import math

import pytest

from klarsyn.bias.grid import sensitivity_grid
from klarsyn.bias.grid_from_base import ask_base
from klarsyn.bias.harms import appraise_harm
from klarsyn.bias.harms_from_base import derive_harm
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence.base import open_base
from klarsyn.evidence.trial import Arm, Base, Finding, Trial
from klarsyn.synthesis.extraction import Question


def finding(arm: str, statistic: str, value: float, day: float = 7.0) -> Finding:
    return Finding(
        id=f"{arm}:{statistic}:{day:g}",
        trial="t",
        arm=arm,
        outcome="ae_rash",
        statistic=statistic,
        value=value,
        unit="participants",
        source="s",
        locator="p. 1",
        kind="reported",
        confidence="primary",
        days_from_first_dose=day,
    )


def base(participants: int, findings: tuple[Finding, ...], roles=("test", "control")) -> Base:
    arms = tuple(
        Arm(trial="t", id=r, label=r, treatment=r, role=r, drug=r) for r in dict.fromkeys(roles)
    )
    trial = Trial(
        id="t",
        label="Trial 2020",
        participants=participants,
        design="parallel",
        arms=arms,
        findings=findings,
    )
    return Base(name="b", title="b", trials=(trial,), sources={}, scales={}, terms={})


REPORTED = (
    finding("test", "events", 1, 7),
    finding("test", "n", 50, 7),
    finding("test", "events", 3, 28),
    finding("test", "n", 50, 28),
    finding("control", "events", 0),
    finding("control", "n", 48),
)


def test_the_latest_report_of_each_arm_is_taken_with_its_rows():
    found = derive_harm(base(98, REPORTED), "rash", ["ae_rash"])
    assert [(r.arm, r.events, r.patients) for r in found.records] == [
        ("test", 3, 50),
        ("control", 0, 48),
    ]
    assert "test:events:28" in found.findings
    assert {r.ascertainment for r in found.records} == {"unknown"}


def test_overlapping_arms_are_left_out_and_said():
    found = derive_harm(base(60, REPORTED), "rash", ["ae_rash"])
    assert found.records == ()
    assert "98 patients of 60; they overlap" in found.left_out[0]


def test_a_trial_without_a_control_group_is_single():
    found = derive_harm(base(50, REPORTED[:4], roles=("test",)), "rash", ["ae_rash"])
    assert found.records[0].arm == "single"


def test_an_outcome_that_the_base_does_not_know_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="Nearest: ae_rash"):
        derive_harm(base(98, REPORTED), "rash", ["ae_rahs"])


def test_the_shipped_base_gives_counts_that_can_be_found_in_its_source():
    """Daly 2019, table 3: blood pressure increased 10 of 152 and 5 of 145."""
    shipped = open_base("ketamine_depression")
    found = derive_harm(shipped, "blood pressure", ["ae_blood_pressure_increased"])
    counts = {(r.events, r.patients) for r in found.records}
    assert {(10, 152), (5, 145)} <= counts
    assert len(found.silent) + len({r.study for r in found.records}) + len(found.left_out) == len(
        shipped.trials
    )
    text = appraise_harm(
        found.records,
        "blood pressure",
        rates=[0.01],
        multipliers={"systematic": 1.0, "spontaneous": 1.0, "unknown": 1.0},
    ).summary()
    assert "exposed patients in" in text


def question(days: float, measure: str = "SMD") -> Question:
    return Question(
        id=f"day {days:g}",
        measure=measure,
        outcomes=("depression_score", "depression_change"),
        clock="first_dose",
        target=days,
        earliest=days / 2,
        latest=days * 2,
        correlation=0.5,
        scales=("MADRS", "HDRS-17"),
        treatments=("ketamine_iv",),
    )


def test_the_shipped_base_answers_every_variant_of_a_question():
    asked = ask_base(
        open_base("ketamine_depression"),
        {("1 day",): question(1), ("1 week",): question(7)},
        ("time",),
    )
    found = sensitivity_grid(
        asked.data,
        estimators=("DL", "REML"),
        intervals=("wald", "knapp_hartung"),
        benefit="lower",
        inclusion_sets=asked.by_comparator,
    )
    assert found.cells == 2 * len(asked.by_comparator) * 4
    whole = found.cell(
        time="1 day",
        estimator="REML",
        interval="wald",
        **{"inclusion set": "all"},
    )
    assert whole["studies"] == asked.answered["1 day",] > 3
    assert math.isfinite(whole["estimate"])


def test_cells_on_different_scales_are_not_one_grid():
    with pytest.raises(InputError, match="different scales"):
        ask_base(
            open_base("ketamine_depression"),
            {("SMD",): question(1), ("MD",): question(1, "MD")},
            ("measure",),
        )
