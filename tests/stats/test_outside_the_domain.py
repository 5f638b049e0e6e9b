"""Just outside what a method can take, a sentence says so: no NaN, no traceback of arithmetic.

Durability, rates, information and bias; the commands' own tables are tested with the commands.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from klarsyn.bias.adjusted import (
    Bias,
    BiasPrior,
    adjust_by_priors,
    adjust_estimate,
    variance_ratio,
)
from klarsyn.bias.certainty import imprecision, imprecision_of_ratio
from klarsyn.bias.grid import Variants, sensitivity_grid
from klarsyn.bias.harms import HarmRecord, appraise_harm
from klarsyn.bias.inclusion import IncludableTrial
from klarsyn.errors import InputError, NumericalError
from klarsyn.stats import information, rates
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.reconstruction import digitised
from klarsyn.stats.relapse import Followed, fit_relapse
from klarsyn.stats.survival import kaplan_meier, log_rank, restricted_mean
from klarsyn.synthesis.rare import count_table, pool_rare
from klarsyn.synthesis.withdrawal import enriched_withdrawal

NAN, INF = math.nan, math.inf
CURVE = kaplan_meier([1, 2, 3], [1, 0, 1])
PRIOR = BiasPrior(name="given", mean=-0.1, mean_sd=0.1, between_sd=0.1, source="")


def followed(*time: float) -> list[Followed]:
    return [Followed(time=np.array(time), event=np.ones(len(time), bool))]


def effect(value: float, se: float) -> Estimate:
    return Estimate(value=value, se=se, method="given")


CALLS: list[tuple[Callable[[], object], str]] = [
    (lambda: kaplan_meier([1, 2], [NAN, 1]), "Participant 1 has the event nan"),
    (lambda: kaplan_meier([1, 2], [1, 2]), "Participant 2 has the event 2"),
    (lambda: kaplan_meier([1, 2], ["yes", "no"]), "not a word"),
    (lambda: kaplan_meier(["a", 2], [1, 1]), "Times must be numbers"),
    (lambda: kaplan_meier([1, INF], [1, 1]), "Participant 2 has the time inf"),
    (lambda: log_rank([1, 2, 3], [1, 1, 1], [0, 1, 2]), "Participant 3 has the group 2"),
    (lambda: CURVE.interval(1, 95), "between 0 and 1"),
    (lambda: CURVE.quantile(50), "between 0 and 1"),
    (lambda: restricted_mean(CURVE, NAN), "above 0; it is nan"),
    (lambda: restricted_mean(CURVE, INF), "above 0; it is inf"),
    (lambda: rates.upper_limit(NAN, 10), "nan events among 10"),
    (lambda: rates.clopper_pearson(0, INF), "0 events among inf"),
    (lambda: rates.poisson_limits(-1, 10), "cannot be -1 events"),
    (lambda: rates.poisson_limits(1, NAN), "above 0; it is nan"),
    (lambda: rates.patients_to_exclude(0.01, confidence=1), "between 0 and 1; 1 does not"),
    (lambda: rates.patients_to_exclude(0.01, background=0.001, assurance=2), "2 does not"),
    (lambda: rates.expected_events_to_exclude(-1, 0.1), "events of at least 0"),
    (lambda: information.information_size_means(NAN, 1), "nan, 1"),
    (lambda: information.information_size_means(1, NAN), "1, nan"),
    (lambda: information.with_heterogeneity(-100, 0.1), "-100 is not"),
    (lambda: information.fewest_trials(NAN, 0.1), "effect of nan"),
    (lambda: information.fewest_trials(0.1, -1), "at least 0; it is -1"),
    (lambda: information.patients_per_trial(0.1, 0.5, NAN, 5), "at least 0; it is nan"),
    (lambda: information.value_of_perfect_information(NAN, 1), "got nan and 1"),
    (lambda: information.value_of_perfect_information(1, -1), "got 1 and -1"),
    (lambda: information.preposterior_sd(1, 0, 2), "got 1, 0 and 2"),
    (
        lambda: information.value_of_perfect_information_from_draws([[1, 2], [NAN, 3]]),
        "Draw 2 of option 1 is nan",
    ),
    (
        lambda: information.value_of_perfect_information_from_draws([[1], [2]]),
        "at least two options",
    ),
    (
        lambda: information.value_of_perfect_information_from_draws(np.zeros((0, 2))),
        "one row a draw",
    ),
    (lambda: information.net_clinical_benefit(0.1, [NAN], [1]), "must all be numbers"),
    (lambda: digitised([0, 1], [1, 0.5], [0, NAN], [9, 8]), "at-risk times must increase"),
    (lambda: digitised([0, 1], [1, 0.5], [-1, 1], [9, 8]), "at-risk times must increase"),
    (lambda: fit_relapse(followed(NAN, 2), model="weibull"), "Participant 1 has the time nan"),
    (lambda: fit_relapse(followed(2, -2), model="weibull"), "Participant 2 has the time -2"),
    (
        lambda: enriched_withdrawal(
            started=9, randomised=8, relapsed_drug=1.5, drug=4, relapsed_control=1, control=4
        ),
        "whole numbers",
    ),
    (lambda: Bias(additive_sd=-1), "at least 0"),
    (lambda: Bias(additive=NAN), "four numbers"),
    (lambda: adjust_estimate(effect(NAN, 1), Bias()), "got nan and 1"),
    (lambda: adjust_estimate(effect(1, 0), Bias()), "got 1 and 0"),
    (
        lambda: BiasPrior(name="given", mean=0, mean_sd=-1, between_sd=0, source=""),
        "'given' needs a mean",
    ),
    (
        lambda: adjust_by_priors([1, NAN], [1, 1], [True, False], [PRIOR] * 3, labels=("A", "B")),
        "B: effect nan with variance 1",
    ),
    (
        lambda: adjust_by_priors([1, 1], [1, -1], [True, False], [PRIOR] * 3),
        "Study 2: effect 1 with variance -1",
    ),
    (lambda: variance_ratio((1, 1), (0.5, 2)), "must rise from above 0: 1, 1"),
    (lambda: variance_ratio((-1, 1), (0.5, 2)), "must rise from above 0: -1, 1"),
    (
        lambda: imprecision(effect(NAN, 1), None, participants=9, information_size=9),
        "must be two numbers",
    ),
    (
        lambda: imprecision(effect(1, 1), None, participants=0, information_size=9),
        "Participants must be above 0",
    ),
    (
        lambda: imprecision(effect(1, 1), None, participants=9, information_size=0),
        "information size is above 0",
    ),
    (
        lambda: imprecision_of_ratio(0.5, 0.9, participants=-1, information_size=9),
        "Participants must be above 0",
    ),
]


@pytest.mark.parametrize(("call", "match"), CALLS, ids=[m for _, m in CALLS])
def test_a_sentence_says_what_is_wrong(call: Callable[[], object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        call()


def test_relapses_all_at_one_time_have_no_shape() -> None:
    with pytest.raises(NumericalError, match="no finite estimate"):
        fit_relapse(followed(2, 2, 2), model="weibull")


def test_where_no_control_relapsed_there_is_no_ratio() -> None:
    found = enriched_withdrawal(
        started=9, randomised=8, relapsed_drug=1, drug=4, relapsed_control=0, control=4
    )
    assert found.risk_ratio is None
    assert found.number_needed is None


def test_rare_methods_check_the_level_even_without_an_answer() -> None:
    with pytest.raises(InputError, match="between 0 and 1; 95 does not"):
        pool_rare(count_table(["A"], [0], [9], [3], [9]), ["exact OR"], level=95)


def test_a_method_without_an_answer_keeps_its_measure() -> None:
    found = pool_rare(count_table(["A"], [0], [9], [0], [9]), ["MH RR", "MH RD", "Peto"])
    assert [f.measure for f in found.fits] == ["RR", "RD", "OR"]


def test_a_trial_was_published_on_a_day_of_the_calendar() -> None:
    with pytest.raises(InputError, match="A: '2021-13' is no day of the calendar"):
        IncludableTrial(id="A", y=0.1, v=0.1, published="2021-13")


def test_a_grid_has_a_threshold_that_is_a_number() -> None:
    data = Variants(
        studies=("A",), choices=(), options=((),), effects=np.array([[0.1]]),
        variances=np.array([[0.1]]),
    )  # fmt: skip
    with pytest.raises(InputError, match="threshold must be a number"):
        sensitivity_grid(
            data, estimators=["DL"], intervals=["wald"], benefit="lower", threshold=NAN
        )


def test_a_multiplier_of_ascertainment_is_a_number() -> None:
    record = HarmRecord(
        study="A", harm="x", arm="test", events=0, patients=9, ascertainment="systematic"
    )
    with pytest.raises(InputError, match="multiplier of spontaneous"):
        appraise_harm(
            [record], "x", rates=[0.01],
            multipliers={"systematic": 1.0, "spontaneous": NAN, "unknown": 2.0},
        )  # fmt: skip
