"""Indices per arm and trial, scenarios, percentages and pooled indices."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.bias.blinding import (
    OPPOSITE,
    RANDOM,
    SCENARIOS,
    UNBLINDED,
    arm_index,
    classify,
    kappa_band,
    scenario,
    trial_blinding,
)
from klarsyn.bias.blinding_synthesis import moderate_indices, pool_indices
from klarsyn.bias.guesses import DONT_KNOWS, ArmGuesses, guesses_from_percent
from klarsyn.errors import InputError, NumericalError, UnknownNameError

ARITHMETIC = 1e-12


def arm(role: str, correct: float, wrong: float, dont_know: float = 0, **more: float) -> ArmGuesses:
    return ArmGuesses(
        trial=str(more.pop("trial", "Lii 2023")),
        arm={"active": "ketamine", "control": "placebo"}[role],
        role=role,
        correct=correct,
        wrong=wrong,
        dont_know=dont_know,
        **more,  # pyright: ignore[reportArgumentType]
    )


LII = [arm("active", 9, 5, 5), arm("control", 5, 8, 6)]


def test_every_arm_is_there_under_every_treatment_of_dont_knows() -> None:
    found = trial_blinding(LII)
    assert {(a.arm, a.dont_knows) for a in found.arms} == {
        (name, d) for name in ("ketamine", "placebo") for d in DONT_KNOWS
    }


def test_t2_the_denominator_of_dont_knows_changes_the_index() -> None:
    found = trial_blinding(LII)
    assert found.arm("ketamine").index.value == pytest.approx(4 / 19, abs=ARITHMETIC)
    assert found.arm("ketamine", "dropped").index.value == pytest.approx(4 / 14, abs=ARITHMETIC)
    assert found.arm("ketamine", "all_correct").index.value == pytest.approx(9 / 19)
    assert found.arm("ketamine", "all_wrong").index.value == pytest.approx(-1 / 19)


def test_t2_36_8_percent_of_all_and_51_9_percent_of_guessers_are_the_same_14() -> None:
    both = {"trial": "Lii 2023", "arm": "both", "role": "active", "n": 38}
    of_all = guesses_from_percent(percent="36.8", denominator="all", dont_know=11, **both)
    of_guessed = guesses_from_percent(percent="51.9", denominator="guessed", dont_know=11, **both)
    assert of_all.correct == of_guessed.correct == (14, 14)
    assert of_all.index == of_guessed.index == pytest.approx((1 / 38, 1 / 38))


def test_unknown_dont_knows_leave_a_range_from_all_wrong_to_none_wrong() -> None:
    found = guesses_from_percent(
        trial="T", arm="a", role="active", percent="50", n=20, denominator="all"
    )
    assert found.index == pytest.approx((0.0, 0.5), abs=ARITHMETIC)
    assert found.interval[0] < 0 < 0.5 < found.interval[1]


def test_whole_percent_leaves_every_count_that_rounds_to_it() -> None:
    found = guesses_from_percent(
        trial="T", arm="a", role="active", percent="46", n=400, denominator="all", dont_know=0
    )
    assert found.correct == (182, 186)


def test_a_percentage_that_no_count_gives_is_refused() -> None:
    with pytest.raises(InputError, match=r"no whole number out of 10 rounds to 46\.9 %"):
        guesses_from_percent(
            trial="T", arm="a", role="active", percent="46.9", n=10, denominator="all"
        )


@pytest.mark.parametrize(
    ("active", "control", "name"),
    [
        (0.0, 0.0, "ideal"),
        (0.5, 0.1, "active_side_unblinding"),
        (0.5, -0.5, "wishful_thinking"),
        (0.5, 0.5, "full_unblinding"),
        (-0.5, 0.5, "pessimism"),
    ],
)
def test_scenarios(active: float, control: float, name: str) -> None:
    assert scenario(active, control)[0] == name


def test_there_are_nine_scenarios_and_the_cut_itself_is_chance() -> None:
    assert len(set(SCENARIOS.values())) == 9
    assert (classify(0.2), classify(0.201), classify(-0.201)) == (RANDOM, UNBLINDED, OPPOSITE)


def test_wishful_thinking_looks_random_to_james_and_sbi() -> None:
    found = trial_blinding([arm("active", 16, 4), arm("control", 4, 16)])
    assert found.scenario == "wishful_thinking"
    assert found.james is not None
    assert found.james.value == pytest.approx(0.5, abs=ARITHMETIC)
    assert found.sbi.value == pytest.approx(0.0, abs=ARITHMETIC)


def test_all_right_has_an_interval_only_with_a_half_added() -> None:
    every = arm("active", 12, 0)
    assert arm_index(every).status == "degenerate"
    assert arm_index(every).interval == (1.0, 1.0)
    half = arm_index(every, add_half=True)
    assert half.status == "half_added"
    assert half.interval[0] < half.index.value < 1.0


def test_all_dont_know_is_reported_and_not_hidden() -> None:
    found = trial_blinding([arm("active", 0, 0, 9), arm("control", 0, 0, 8)])
    assert found.arm("ketamine").status == "degenerate"
    assert found.arm("ketamine", "dropped").status == "undefined"
    assert found.james is not None
    assert found.james.value == 1.0
    assert any("don't know" in n for n in found.notes)


def test_weak_guesses_need_a_weight() -> None:
    graded = arm("active", 5, 5, 2, somewhat_correct=4, somewhat_wrong=1)
    with pytest.raises(InputError, match="somewhat_weight"):
        arm_index(graded)
    assert arm_index(graded, somewhat_weight=0.5).index.value == pytest.approx(1.5 / 17)


def test_the_one_sided_limit_is_inside_the_two_sided_interval() -> None:
    index = arm_index(LII[0])
    assert index.lower == pytest.approx(index.index.value - 1.6448536269514722 * index.index.se)


def test_a_trial_without_control_is_refused() -> None:
    with pytest.raises(InputError, match="no arm has the role 'control'"):
        trial_blinding([LII[0]])


def test_an_unknown_role_names_the_known() -> None:
    with pytest.raises(UnknownNameError, match="active, control"):
        ArmGuesses(trial="T", arm="a", role="drug", correct=1, wrong=1)


def many(count: int = 12) -> tuple[list[ArmGuesses], list[str]]:
    rng = np.random.default_rng(8)
    kinds = ["saline", "midazolam"] * (count // 2)
    arms = []
    for k, kind in enumerate(kinds):
        p = [0.7, 0.2, 0.1] if kind == "saline" else [0.45, 0.4, 0.15]
        c, w, d = rng.multinomial(60, p)
        arms.append(arm("active", c, w, d, trial=f"trial {k}"))  # pyright: ignore[reportArgumentType]
    return arms, kinds


def test_pooled_indices_lie_between_their_extremes() -> None:
    found = [arm_index(a) for a in many()[0]]
    pooled = pool_indices(found, tau2_method="REML", test="knha")
    values = [f.index.value for f in found]
    assert min(values) < pooled.estimate < max(values)


def test_a_grouping_without_heterogeneity_gives_the_difference_of_group_means() -> None:
    arms, kinds = many()
    found = [arm_index(a) for a in arms]
    moderated = moderate_indices(found, {"control": kinds}, tau2_method="EE", test="z")
    means = []
    for kind in ("saline", "midazolam"):
        chosen = [f for f, k in zip(found, kinds, strict=True) if k == kind]
        means.append(pool_indices(chosen, tau2_method="EE", test="z").estimate)
    intercept, step = moderated.coefficients
    first = means[0] if intercept.estimate == pytest.approx(means[0], abs=ARITHMETIC) else means[1]
    assert intercept.estimate == pytest.approx(first, abs=ARITHMETIC)
    assert abs(step.estimate) == pytest.approx(abs(means[1] - means[0]), abs=ARITHMETIC)
    assert moderated.omnibus.p_value < 0.001


def test_a_number_gives_a_slope() -> None:
    found = [arm_index(a) for a in many()[0]]
    shares = [f.dont_know_share for f in found]
    slope = moderate_indices(found, {"unknown": shares}, tau2_method="REML", test="knha")
    assert [c.name for c in slope.coefficients][-1] == "unknown"


def test_an_index_without_error_cannot_be_pooled() -> None:
    found = [arm_index(arm("active", 9, 0)), arm_index(arm("active", 9, 3))]
    with pytest.raises(InputError, match="no standard error"):
        pool_indices(found, tau2_method="REML", test="knha")


def test_a_constant_covariate_is_rank_deficient() -> None:
    found = [arm_index(a) for a in many()[0]]
    with pytest.raises(NumericalError, match="follow from the others: x"):
        moderate_indices(found, {"x": [1.0] * len(found)}, tau2_method="REML", test="z")


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (-0.21, "opposite guess"), (-0.2, "successful blinding"), (0.2, "successful blinding"),
        (0.21, "slight unblinding"), (0.4, "slight unblinding"), (0.5, "moderate unblinding"),
        (0.61, "severe unblinding"), (1.0, "severe unblinding"),
    ],
)  # fmt: skip
def test_bands_of_kappa(value: float, band: str) -> None:
    assert kappa_band(value) == band


def test_unblinding_is_claimed_by_the_limits_and_not_by_the_index() -> None:
    small = trial_blinding([arm("active", 4, 2), arm("control", 4, 2)])
    large = trial_blinding([arm("active", 400, 200), arm("control", 400, 200)])
    assert [a.shown for a in small.arms if a.dont_knows == "kept"] == [False, False]
    assert [a.shown for a in large.arms if a.dont_knows == "kept"] == [True, True]
    assert (small.james_shown, large.james_shown) == (False, True)
    assert small.arms[0].index.value == pytest.approx(large.arms[0].index.value)


def test_all_right_shows_unblinding_only_where_there_is_a_limit() -> None:
    right = arm("active", 12, 0)
    assert not arm_index(right).shown
    assert arm_index(right, add_half=True).shown
    assert arm_index(right, interval="score").shown


def test_t2_both_denominators_stand_beside_each_other() -> None:
    found = trial_blinding(LII)
    assert found.correct_of_all == pytest.approx(14 / 38)
    assert found.correct_of_guessers == pytest.approx(14 / 27)
    assert "36.8 % of all, 51.9 % of those who guessed" in found.summary()
    nobody = trial_blinding([arm("active", 0, 0, 5), arm("control", 0, 0, 9)])
    assert (nobody.correct_of_all, nobody.correct_of_guessers) == (0.0, None)


def test_patients_asked_twice_do_not_pool_as_others() -> None:
    first = arm_index(arm("active", 9, 3, time="dose 1"))  # pyright: ignore[reportArgumentType]
    again = arm_index(arm("active", 10, 2, time="end"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="stands twice \\(time 'dose 1' and 'end'\\)"):
        pool_indices([first, again], tau2_method="REML", test="knha")
