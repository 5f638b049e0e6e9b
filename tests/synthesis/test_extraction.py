"""One question asked of every trial: arms, times and ways are chosen as stated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.evidence import Base
from klarsyn.evidence.trial import Arm, Finding, Trial
from klarsyn.synthesis.extraction import Question, as_effects, derive_effects

ASK = Question(
    id="q",
    measure="SMD",
    outcomes=("score", "change"),
    clock="first_dose",
    target=1,
    earliest=0.5,
    latest=8,
    correlation=0.5,
    binary_outcomes=("response",),
)


def arm(name: str, role: str, treatment: str) -> Arm:
    return Arm(
        trial="t", id=name, label=name, treatment=treatment, role=role, drug=treatment, started=20
    )


def rows(arm_id: str, day: float, outcome: str = "score", **values: float) -> list[Finding]:
    return [
        Finding(
            id=f"{arm_id}:{outcome}:{day}:{name}",
            trial="t",
            arm=arm_id,
            outcome=outcome,
            statistic=name,
            value=value,
            unit="points",
            source="s",
            locator="Table 1",
            kind="reported",
            confidence="primary",
            scale="MADRS",
            days_from_first_dose=day,
            days_from_last_dose=day,
        )
        for name, value in values.items()
    ]


def base(*findings: Finding, design: str = "parallel") -> Base:
    trial = Trial(
        id="t",
        label="Trial 2020",
        design=design,
        comparator="inert",
        doses=1,
        participants=40,
        arms=(
            arm("low", "test", "x_low"),
            arm("full", "test", "x"),
            arm("saline", "control", "saline"),
        ),
        findings=findings,
    )
    return Base(name="b", title="b", trials=(trial,), sources={}, scales={}, terms={})


DAY1 = [*rows("full", 1, mean=20, sd=10), *rows("saline", 1, mean=26, sd=10)]
DAY7 = [*rows("full", 7, mean=24, sd=10), *rows("saline", 7, mean=26, sd=10)]


def test_the_time_nearest_to_the_one_asked_is_taken() -> None:
    found = derive_effects(base(*DAY7, *DAY1), replace(ASK, treatments=("x",))).effects
    assert [e.days for e in found] == [1]
    later = replace(ASK, treatments=("x",), target=7)
    assert [e.days for e in derive_effects(base(*DAY7, *DAY1), later).effects] == [7]


def test_the_treatment_named_first_is_the_one_compared() -> None:
    low = [*rows("low", 1, mean=25, sd=10)]
    asked = replace(ASK, treatments=("x", "x_low"))
    assert derive_effects(base(*low, *DAY1), asked).effects[0].treatment == "x"


def test_the_baseline_is_no_outcome() -> None:
    before = [*rows("full", 0, mean=30, sd=5), *rows("saline", 0, mean=31, sd=5)]
    asked = replace(ASK, treatments=("x",), earliest=0)
    found = derive_effects(base(*before), asked)
    assert found.effects == ()
    assert [u.reason for u in found.unanswered] == ["not_at_this_time"]


def test_a_score_is_preferred_to_a_count_of_responders() -> None:
    counts = [
        *rows("full", 1, "response", events=12, n=20),
        *rows("saline", 1, "response", events=4, n=20),
    ]
    asked = replace(ASK, treatments=("x",))
    assert derive_effects(base(*counts, *DAY7), asked).effects[0].outcome == "score"
    alone = derive_effects(base(*counts), asked).effects[0]
    assert alone.outcome == "response"
    assert alone.y < 0
    assert "ln OR" in alone.formula


def test_counts_of_crossover_periods_say_that_their_pairing_is_left_out() -> None:
    counts = [
        *rows("full", 1, "response", events=12, n=20),
        *rows("saline", 1, "response", events=4, n=20),
    ]
    asked = replace(ASK, treatments=("x",))
    crossed = derive_effects(base(*counts, design="crossover"), asked).effects[0]
    assert "crossover periods as if independent" in crossed.formula
    assert "crossover" not in derive_effects(base(*counts), asked).effects[0].formula


def test_a_difference_reported_the_other_way_round_is_turned() -> None:
    def contrast(name: str, sign: int) -> list[Finding]:
        return rows(name, 1, mean_difference=sign * 6.0, se=3.0)

    spread = [*rows("full", 1, sd=10), *rows("saline", 1, sd=10)]
    asked = replace(ASK, treatments=("x",), measure="MD")
    forward = derive_effects(base(*spread, *contrast("full|saline", -1)), asked).effects[0]
    backward = derive_effects(base(*spread, *contrast("saline|full", 1)), asked).effects[0]
    assert forward.y == backward.y == -6.0
    assert forward.v == backward.v == 9.0


def test_a_trial_without_a_spread_says_so() -> None:
    bare = [*rows("full", 1, mean=20), *rows("saline", 1, mean=26)]
    found = derive_effects(base(*bare), replace(ASK, treatments=("x",)))
    assert [u.reason for u in found.unanswered] == ["no_spread"]


def test_effects_keep_their_names_and_origin_on_the_way_to_pooling() -> None:
    found = derive_effects(base(*DAY1), replace(ASK, treatments=("x",))).effects
    labelled = as_effects(found)
    assert labelled.study == ("Trial 2020",)
    assert labelled.origin == ("published",)
    assert labelled.covariates["comparator"] == ("inert",)


def test_an_unknown_measure_gets_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="SMD"):
        replace(ASK, measure="SMDX")


@pytest.mark.parametrize(
    ("doses", "days", "reason"),
    [(1, None, "single_dose"), (None, None, "doses_unknown"), (None, 28, "not_at_this_time")],
)
def test_a_trial_is_not_called_single_dose_because_its_doses_were_not_counted(
    doses: int | None, days: float | None, reason: str
) -> None:
    """Four weeks of treatment are repeated doses, however many (Singh 2016)."""
    whole = base()
    trial = replace(whole.trials[0], doses=doses, treatment_days=days)
    asked = derive_effects(replace(whole, trials=(trial,)), replace(ASK, only_repeated=True))
    assert [u.reason for u in asked.unanswered] == [reason]
