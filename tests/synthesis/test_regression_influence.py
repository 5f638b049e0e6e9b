"""Each study's influence on a meta-regression; the rows against metafor are C15 and C16."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import NumericalError
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.influence import influence
from klarsyn.synthesis.regression import regress
from klarsyn.synthesis.regression_influence import regression_influence

SAME = 1e-10  # one formula by another way
NEAR_ZERO = 1e-14  # absolute, of a tau² that is zero
Y = [0.1, 0.3, 0.2, 0.5, 0.6, 0.9, 0.4, 0.7]
V = [0.05, 0.04, 0.1, 0.03, 0.07, 0.04, 0.02, 0.06]
DOSE, GROUP = [1, 2, 3, 4, 7, 6, 5, 2], ["u", "u", "u", "u", "u", "u", "w", "u"]


def effects(group: list[str] = GROUP) -> Effects:
    columns = {"dose": DOSE, "group": group, "one": [1] * len(Y)}
    return effects_from_arrays(Y, V, covariates=columns)


@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
@pytest.mark.parametrize("method", ["REML", "DL", "EE"])
def test_without_moderators_it_is_the_influence_of_the_mean(test: str, method: str) -> None:
    mean = influence(effects(), method=method, test=test)
    fitted = regress(effects(), ["one"], intercept=False, method=method, test=test)
    for ours, other in zip(regression_influence(fitted), mean, strict=True):
        assert ours.dfbetas["one"] == pytest.approx(other.dfbetas, rel=SAME, abs=SAME)
        for name in ("rstandard", "rstudent", "dffits", "cook", "cov_ratio", "tau2_without",
                     "q_without", "hat", "weight"):  # fmt: skip
            expected = getattr(other, name)
            assert getattr(ours, name) == pytest.approx(expected, rel=SAME, abs=SAME), name


@pytest.mark.parametrize("test", ["z", "knha"])
def test_the_coefficients_without_a_study_are_those_of_the_others(test: str) -> None:
    fitted = regress(effects(), ["dose"], test=test)
    for i, case in enumerate(regression_influence(fitted)):
        rest = regress(effects().take([j for j in range(len(Y)) if j != i]), ["dose"], test=test)
        assert case.tau2_without == pytest.approx(rest.tau2, rel=SAME, abs=NEAR_ZERO)
        for ours, other in zip(case.coefficients, rest.coefficients, strict=True):
            assert ours.estimate == pytest.approx(other.estimate, rel=SAME)
            assert ours.ci_lower == pytest.approx(other.ci_lower, rel=SAME)
            assert ours.p_value == pytest.approx(other.p_value, rel=SAME)


def test_leverages_add_up_to_the_number_of_coefficients_and_weights_to_all() -> None:
    cases = regression_influence(regress(effects(), ["dose", "group"]))
    assert sum(c.hat for c in cases) == pytest.approx(3, rel=SAME)
    assert sum(c.weight for c in cases) == pytest.approx(100, rel=SAME)


def test_a_study_that_alone_informs_a_coefficient_says_so() -> None:
    cases = regression_influence(regress(effects(), ["dose", "group"]))
    only = [c for c in cases if c.problem]
    assert [c.study for c in only] == ["Study 7"]
    assert "no other study informs" in only[0].problem
    assert only[0].hat == pytest.approx(1)
    assert np.isnan(only[0].rstudent)
    assert only[0].coefficients == ()
    assert "no other study informs" in cases.summary()
    drawn = cases.plot().to_json()
    assert "Study 6" in drawn
    assert "Study 7" not in drawn


def test_too_few_studies_to_leave_one_out_are_an_error() -> None:
    fitted = regress(effects().take([0, 1, 2]), ["dose"])
    with pytest.raises(NumericalError, match="3 studies and 2 coefficients: without one study"):
        regression_influence(fitted)
