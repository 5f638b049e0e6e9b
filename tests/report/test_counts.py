"""Counts by arm, read from a base: the latest report of each arm, and no patient twice."""

from __future__ import annotations

from klarsyn.evidence import open_base
from klarsyn.evidence.trial import Arm, Base, Finding, Trial
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.counts import arm_counts, without_overlap
from klarsyn.report.guessing import arm_guesses
from klarsyn.report.numbers import Numbers
from klarsyn.report.settings import read_settings
from klarsyn.report.words import read_words


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


REPORTED = (
    finding("test", "events", 1, 7),
    finding("test", "n", 50, 7),
    finding("test", "events", 3, 28),
    finding("test", "n", 50, 28),
    finding("control", "events", 0),
    finding("control", "n", 48),
)


def context(participants: int, design: str = "parallel") -> Context:
    arms = tuple(
        Arm(trial="t", id=r, label=r, treatment=r, role=r, drug=r) for r in ("test", "control")
    )
    trial = Trial(
        id="t",
        label="Trial 2020",
        participants=participants,
        design=design,
        arms=arms,
        findings=REPORTED,
    )
    base = Base(name="b", title="b", trials=(trial,), sources={}, scales={}, terms={})
    return Context(
        base=base, settings=read_settings(base), words=read_words("en"), numbers=Numbers("en")
    )


def test_the_latest_report_of_each_arm_is_taken_with_its_rows() -> None:
    found = arm_counts(context(98), "ae_rash")
    assert [(c.arm.role, c.events, c.n) for c in found] == [("test", 3, 50), ("control", 0, 48)]
    assert {f.id for f in found[0].rows} == {"test:events:28", "test:n:28"}


def test_arms_that_add_up_to_more_than_took_part_are_left_out() -> None:
    assert without_overlap(arm_counts(context(60), "ae_rash")) == []
    assert len(without_overlap(arm_counts(context(98), "ae_rash"))) == 2


def test_in_a_crossover_trial_each_patient_may_count_in_both_arms() -> None:
    assert len(without_overlap(arm_counts(context(60, "crossover"), "ae_rash"))) == 2


def test_the_shipped_base_gives_counts_that_can_be_found_in_its_source() -> None:
    """Daly 2019, table 3: blood pressure increased 10 of 152 and 5 of 145."""
    _, shipped = build_report(open_base("ketamine_depression"))
    counts = {(c.events, c.n) for c in arm_counts(shipped, "ae_blood_pressure_increased")}
    assert {(10, 152), (5, 145)} <= counts


def test_only_strong_beliefs_printed_leave_a_range() -> None:
    """Janik 2025: 90 of 192 on placebo guessed right; wrong and don't know are not told apart."""
    _, shipped = build_report(open_base("ketamine_depression"))
    janik = [g for g in arm_guesses(shipped) if g.trial.id == "janik_2025"]
    placebo = next(g for g in janik if g.role == "control")
    assert placebo.index is None
    assert placebo.allowed[0] < 0 < placebo.allowed[1]
