from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError
from klarsyn.pharmacology.dosing import (
    ROUTES,
    Amount,
    Regimen,
    ResponseRule,
    build_step,
    parse_regimen,
)
from klarsyn.pharmacology.schedules import at_hours, every, once, weekly

LAST_BIT = 1e-15  # relative; minutes become hours

amounts = st.builds(
    Amount,
    value=st.one_of(st.integers(1, 500).map(float), st.floats(1e-4, 1e4)),
    per_kg=st.booleans(),
    basis=st.sampled_from(["base", "hydrochloride", "fumarate"]),
)
schedules = st.one_of(
    st.just(once()),
    st.builds(weekly, st.integers(1, 7), st.integers(1, 12)),
    st.builds(every, st.floats(0.01, 500), st.integers(1, 30)),
    st.lists(st.floats(0, 5000), min_size=1, max_size=8, unique=True).map(
        lambda h: at_hours(sorted(h))
    ),
    st.lists(st.integers(0, 90), min_size=1, max_size=8, unique=True).map(
        lambda d: at_hours([x * 24.0 for x in sorted(d)])
    ),
)
rules = st.builds(
    ResponseRule,
    measure=st.sampled_from(["MADRS", "pain"]),
    threshold=st.floats(-5, 60),
    every=st.floats(0.5, 500),
    most=st.integers(1, 20),
)


@st.composite
def steps(draw):
    portions = draw(st.integers(1, 6))
    rule = draw(st.none() | rules)
    return build_step(
        amount=draw(amounts),
        route=draw(st.sampled_from(sorted(ROUTES))),
        schedule=once() if rule else draw(schedules),
        duration=draw(st.one_of(st.just(0.0), st.integers(1, 600).map(lambda m: m / 60))),
        portions=portions,
        gap=draw(st.floats(0, 3)) if portions > 1 else 0.0,
        rule=rule,
    )


@given(st.lists(steps(), min_size=1, max_size=4))
@settings(deadline=None, derandomize=True)
def test_what_is_printed_parses_to_the_same_regimen(parts) -> None:
    regimen = Regimen(steps=tuple(parts))
    assert parse_regimen(str(regimen)) == regimen


def test_the_regimen_of_the_trials_parses_to_its_events() -> None:
    regimen = parse_regimen("0.5 mg/kg base iv over 40 min, twice a week for 3 weeks")
    given_ = regimen.given(weight=80)
    assert [g.time / 24 for g in given_] == [0, 3, 7, 10, 14, 17]
    assert {(g.milligrams, g.basis, g.route) for g in given_} == {(40.0, "base", "iv")}
    assert all(g.duration == pytest.approx(2 / 3, rel=LAST_BIT) for g in given_)


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        ("3 per week, 2 weeks", [0, 48, 96, 168, 216, 264]),
        ("2 per week, 3 weeks", [0, 72, 168, 240, 336, 408]),
        ("once weekly for 2 weeks", [0, 168]),
        ("every 8 h for 3 doses", [0, 8, 16]),
        ("daily for 3 days", [0, 24, 48]),
        ("on days 0, 3, 7", [0, 72, 168]),
        ("at 0, 90 min", [0, 1.5]),
        ("once", [0]),
    ],
)
def test_schedules_in_words(words: str, hours: list[float]) -> None:
    step = parse_regimen(f"1 mg base iv, {words}").steps[0]
    assert list(step.schedule.hours) == hours


def test_sprays_share_the_dose_and_count_their_portion() -> None:
    given_ = parse_regimen("84 mg base nasal in 3 sprays 5 min apart").given()
    assert [(g.milligrams, g.portion, g.occasion) for g in given_] == [
        (28.0, 1, 1),
        (28.0, 2, 1),
        (28.0, 3, 1),
    ]
    assert given_[2].time == pytest.approx(10 / 60, rel=LAST_BIT)


def test_a_titration_is_steps_on_one_clock() -> None:
    text = "28 mg base nasal on day 0; 56 mg base nasal in 2 sprays 5 min apart on days 3, 7"
    given_ = parse_regimen(text).given()
    assert [(g.time, g.milligrams) for g in given_][:2] == [(0.0, 28.0), (72.0, 28.0)]
    assert max(g.occasion for g in given_) == 3


def test_a_response_driven_regimen_stops_when_the_score_falls() -> None:
    rule = "when MADRS at or above 20, checked every 3 days, at most 6 doses"
    text = f"0.5 mg/kg base iv over 40 min, {rule}"
    regimen = parse_regimen(text)
    falling = regimen.given(70, score=lambda hour, given_: 32 - 5 * len(given_))
    never = regimen.given(70, score=lambda hour, given_: 40)
    assert len(falling) == 3
    assert len(never) == 6


def test_a_response_driven_regimen_without_a_score_is_refused() -> None:
    regimen = parse_regimen(
        "1 mg base iv, when HAM-D at or above 9, checked every 1 day, at most 2 doses"
    )
    with pytest.raises(InputError, match="needs HAM-D over time"):
        regimen.given(70)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the regimen is empty"),
        ("0.5 mg/kg iv", "does not say of what"),
        ("0.5 mg/kg salt iv", "the name of the salt"),
        ("-3 mg base iv", "is not above 0"),
        ("0 mg base iv", "is not above 0"),
        ("base iv", "no amount"),
        ("5 mg base", "no route"),
        ("5 mg base iv bananas", "'bananas' was not understood"),
        ("5 mg base iv over 0 min", "Use above 0"),
        ("5 mg base iv, 9 times a week for 2 weeks", "1 to 7 a week"),
        ("5 mg base iv on days 3, 1", "must rise"),
    ],
)
def test_a_regimen_that_cannot_be_given_says_why(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_regimen(text)


def test_a_dose_per_kg_needs_a_weight() -> None:
    with pytest.raises(InputError, match="needs the body weight"):
        parse_regimen("0.5 mg/kg base iv").given()


@given(st.text(max_size=60))
@settings(deadline=None, derandomize=True)
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        regimen = parse_regimen(text)
    except InputError:
        return
    assert regimen.steps
