"""Control arms against usual ones: the standardised change, by hand and by metafor's definition."""

from __future__ import annotations

import math

import pytest

from klarsyn.bias.controls import (
    ControlArm,
    Usual,
    benchmark_arms,
    pool_changes,
    standardised_change,
    usual_of,
)
from klarsyn.errors import InputError
from klarsyn.stats.estimate import Estimate

EXACT = 1e-12
# metafor 3.8-1: escalc("SMCC", m1i=0, m2i=-8.1, sd1i=10.3, sd2i=10.3, ni=106, ri=.5), printed.
METAFOR = (0.7807749178, 0.01230947864)
PRINTED = 1e-9


def arm(trial: str, group: str, value: float, se: float = 0.1) -> ControlArm:
    return ControlArm(
        trial=trial, group=group, improvement=Estimate(value=value, se=se, method="SMCC")
    )


def test_the_standardised_change_is_metafors() -> None:
    found = standardised_change(8.1, 10.3, 106, "Trial B")
    assert found.value == pytest.approx(METAFOR[0], abs=PRINTED)
    assert found.se**2 == pytest.approx(METAFOR[1], abs=PRINTED)


def test_the_standardised_change_does_not_know_the_scale() -> None:
    one, ten = standardised_change(8.1, 10.3, 40, "a"), standardised_change(81, 103, 40, "a")
    assert (one.value, one.se) == pytest.approx((ten.value, ten.se), rel=EXACT)


def test_usual_arms_are_pooled_and_the_others_stand_against_them() -> None:
    arms = [arm("A", "seen", 0.2)]
    arms += [arm("B", "usual", 0.8), arm("C", "usual", 1.0), arm("D", "usual", 1.2)]
    usual = usual_of(arms, "usual", method="DL")
    assert usual.mean.value == pytest.approx(1.0, rel=EXACT)
    (found,) = benchmark_arms(arms, usual)
    spread = math.sqrt(usual.tau2 + usual.mean.se**2 + 0.1**2)
    assert (found.arm, found.z) == ("A", pytest.approx(-0.8 / spread, rel=EXACT))
    assert found.summary().startswith("A: control improved 0.20 SD against 1.00")


def test_an_arm_as_the_usual_ones_is_no_surprise() -> None:
    usual = Usual(name="u", mean=Estimate(value=1.0, se=0.05, method=""), tau2=0.02)
    (found,) = benchmark_arms([arm("A", "seen", 1.0)], usual)
    assert (found.z, found.p_value) == (0.0, pytest.approx(1.0))


def test_one_arm_pools_to_itself() -> None:
    found = pool_changes([Estimate(value=0.7, se=0.2, method="")], method="REML", test="z")
    assert (found.estimate, found.se) == pytest.approx((0.7, 0.2), rel=EXACT)


def test_two_arms_do_not_say_how_such_arms_vary() -> None:
    with pytest.raises(InputError, match="2 control arms are of the group 'usual'; three or more"):
        usual_of([arm("A", "usual", 1.0), arm("B", "usual", 0.9)], "usual", method="REML")


@pytest.mark.parametrize(("sd", "n"), [(0.0, 20), (-1.0, 20), (5.0, 2), (math.nan, 20)])
def test_a_change_without_spread_or_patients_is_named(sd: float, n: int) -> None:
    with pytest.raises(InputError, match=r"^Trial B: a standardised change needs"):
        standardised_change(8.0, sd, n, "Trial B")
