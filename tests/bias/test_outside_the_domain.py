"""Numbers just outside what a method allows end in a sentence, never in NaN or a traceback."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from klarsyn.bias import belief, history, noninferiority
from klarsyn.bias.blinding import arm_index
from klarsyn.bias.expectancy import GuessStratum, read_guesses
from klarsyn.bias.guesses import ArmGuesses, guesses_from_percent
from klarsyn.bias.missing import ContinuousStudy, Missingness, tipping_delta
from klarsyn.bias.reference_based import VisitMeans, dropout_on_aggregates, tipping_grid
from klarsyn.bias.refusals import Refusals, refusal_grid
from klarsyn.errors import InputError
from klarsyn.stats import blinding_indices as indices
from klarsyn.stats import conversions, granularity, reported_tests, sanity
from klarsyn.stats import guess_strata as strata
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.proportions import restricted_mle, score_z

NAN, INF = math.nan, math.inf
COMPOSITION = strata.composition((5, 4, 3, 2, 1, 1))
COUNTS = noninferiority.Counts(
    name="T", new_events=3, new_total=10, reference_events=4, reference_total=12
)
TEN = noninferiority.fixed_margin(0.1, "declared")


def est(value: float, se: float) -> Estimate:
    return Estimate(value=value, se=se, method="given")


def arm(**counts: float) -> ArmGuesses:
    return ArmGuesses(trial="T", arm="a", role="active", **counts)  # pyright: ignore[reportArgumentType]


def weak(weight: float) -> Any:
    return arm_index(arm(correct=1, wrong=1, somewhat_correct=2), somewhat_weight=weight)


def percent(text: str) -> Any:
    return guesses_from_percent(
        trial="T", arm="a", role="active", percent=text, n=10, denominator="all"
    )


def reading(sd: float) -> Any:
    groups = [
        GuessStratum(received=r, guessed=g, n=5, mean=1.0, sd=sd)
        for r in ("active", "control")
        for g in ("active", "control")
    ]
    return read_guesses(groups, timing="unknown", se_method="fixed")


def tip(effect: Estimate, threshold: float = 0.0) -> Any:
    return belief.tipping(
        effect, belief_difference=0.5, belief_interval=(0.4, 0.6), threshold=threshold
    )


def benchmark(mean: float, tau2: float) -> Any:
    return belief.control_benchmark(
        est(1, 0.1), reference_class="usual", reference_mean=est(mean, 0.1), reference_tau2=tau2,
        standardised_by="SD of the change",
    )  # fmt: skip


def visits(**changed: Any) -> VisitMeans:
    given = {
        "treated": (-4.0, -9.0), "control": (-3.0, -5.0),
        "covariance": ((25.0, 14.0), (14.0, 49.0)),
        "treated_last_seen": (2, 5, 50), "control_last_seen": (3, 4, 53),
    }  # fmt: skip
    return VisitMeans(**(given | changed))


def shift(threshold: float, widest: float) -> Any:
    study = ContinuousStudy(
        study="T", treated_mean=5, treated_sd=1, treated_observed=10, treated_missing=2,
        control_mean=1, control_sd=1, control_observed=10, control_missing=3,
    )  # fmt: skip
    return tipping_delta(
        [study], arm="treated", threshold=threshold, tau2_method="PM", test="z", widest=widest
    )


def refused(new: float, reference: float, margin: float) -> Any:
    refusals = Refusals(analysed=COUNTS, new_refused=new, reference_refused=reference)  # pyright: ignore[reportArgumentType]
    return refusal_grid(refusals, margin)


def against(history_: tuple[Estimate, float]) -> Any:
    return noninferiority.assay_sensitivity(COUNTS, TEN, history_rate=0.3, history=history_)


def synthesis(difference: Estimate, known: Estimate) -> Any:
    return noninferiority.synthesis_test(difference, known, 0.5)


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "a weight that is no number": (lambda: indices.bang((1, 2), (NAN, -1)), "between -1 and 1"),
    "a negative weight of James": (
        lambda: indices.james([[1, 2], [0, 3], [1, 1]], [[-3, 1], [1, 0]]), "between 0"),
    "a score interval of nothing": (lambda: indices.bang_score_interval(NAN, 1, 5, 0.95), "cannot"),
    "endless guesses": (lambda: arm(correct=INF, wrong=1), "a count is 0 or more"),
    "a weak guess that weighs nothing known": (lambda: weak(NAN), "weak guess weighs"),
    "a weak guess that weighs against": (lambda: weak(-0.5), "weak guess weighs"),
    "a percentage that is no number": (lambda: percent("nan"), "outside 0 to 100"),
    "a stratum of unknown size": (lambda: strata.composition((NAN, 1, 1, 1)), "0 or more"),
    "a share of don't-knows below 0": (lambda: strata.contrast(COMPOSITION, 0.5, -0.1), "share"),
    "a share of don't-knows above 1": (lambda: strata.contrast(COMPOSITION, 0.5, 1.1), "share"),
    "strata at a rate of 2": (lambda: strata.stratum_sizes((5, 4, 3, 2), 2), "rate of correct"),
    "an endless SD": (lambda: reading(INF), "SD ≥ 0"),
    "an effect without error": (lambda: tip(est(-6, NAN)), "standard error"),
    "a threshold that is no number": (lambda: tip(est(-6, 1), NAN), "threshold is a number"),
    "an endless variance between trials": (lambda: benchmark(1, INF), "variance between trials"),
    "a usual control without mean": (lambda: benchmark(NAN, 0.1), "mean and a standard error"),
    "a share of an unknown change": (lambda: belief.control_share(NAN, 1), "must be numbers"),
    "an endless SD of the IMOR": (
        lambda: Missingness(assumption="odds_ratio", treated=1, control=1, sd_treated=INF),
        "Standard deviations"),
    "a correlation that is no number": (
        lambda: Missingness(assumption="odds_ratio", treated=1, control=1, correlation=NAN),
        "correlation"),
    "a shift to no threshold": (lambda: shift(NAN, 50), "threshold is a number"),
    "a shift of no width": (lambda: shift(0, 0), "above 0"),
    "a null beyond everybody": (lambda: restricted_mle(3, 10, 4, 12, 1.5), "between -1 and 1"),
    "a null that is no number": (
        lambda: score_z(3, 10, 4, 12, NAN, variance="farrington_manning"), "between -1 and 1"),
    "a likelihood of nobody": (lambda: restricted_mle(3, 0, 4, 12, 0.1), "above 0"),
    "history without error": (lambda: synthesis(est(0.1, 0.1), est(0.3, NAN)), "standard errors"),
    "certainty on both sides": (lambda: synthesis(est(0.1, 0), est(0.3, 0)), "standard errors"),
    "a negative variance of history": (lambda: against((est(0, 0.1), -1.0)), "τ², 0 or more"),
    "an endless odds ratio": (
        lambda: history.history_from_odds_ratio(2, 1, INF, rate=0.5), "limits are above 0"),
    "half a refusal": (lambda: refused(1.5, 2, 0.1), "give a count"),
    "a margin of everybody": (lambda: refused(1, 2, 1.0), "positive risk difference below 1"),
    "a margin that is no number": (lambda: refused(1, 2, NAN), "positive risk difference below 1"),
    "more refusals than a grid shows": (lambda: refused(5000, 5000, 0.1), "more than the 250,000"),
    "a visit without mean": (lambda: visits(treated=(NAN, 1.0)), "needs a mean"),
    "half a patient last seen": (lambda: visits(treated_last_seen=(2.5, 1, 3)), "whole counts"),
    "a delta without end": (
        lambda: tipping_grid(visits(), "jump_to_reference", [INF], [0]), "delta is a number"),
    "a difference without value": (
        lambda: dropout_on_aggregates("T", est(NAN, 1), treated=(9, 8), control=(9, 8)), "value"),
    "a negative SD": (lambda: granularity.grimmer("5.2", "-1", 10), "SD is 0 or more"),
    "a negative SD of a share": (lambda: granularity.debit(".2", "-.3", 10), "SD is 0 or more"),
    "one yes or no": (lambda: granularity.debit("1", ".3", 1), "two scores"),
    "a scale upside down": (
        lambda: granularity.grim("5.2", 10, minimum=8, maximum=3), "lower limit first"),
    "two and a half participants": (
        lambda: granularity.grim("5.2", 2.5), "whole numbers"),  # pyright: ignore[reportArgumentType]
    "a t without degrees of freedom": (lambda: reported_tests.p_of("t", 2, 0), "above 0"),
    "a negative SD alike": (lambda: sanity.similarity((9, 9), (1, 2), (-1, 1)), "finite means"),
    "no correlation of that change": (
        lambda: conversions.correlation_from_change(1, 1, 9), "lies between 0 and 2"),
    "nobody together": (lambda: conversions.combined_sd(0, 1, 1, 0, 1, 1), "n of 1 or more"),
    "a median outside its quartiles": (
        lambda: conversions.mean_from_quartiles(5, 1, 2), "below the first quartile"),
    "the range of one": (lambda: conversions.sd_from_range(1, 3, 1), "2 or more"),
    "an interval at level 1": (lambda: conversions.se_from_interval(1, 2, level=1), "level"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_is_refused_with_a_sentence(case: str) -> None:
    made, words = CASES[case]
    with pytest.raises(InputError, match=words):
        made()


def test_a_correlation_printed_as_one_may_have_been_less() -> None:
    (result,) = reported_tests.read_test_results("r(5) = 1, p = .001")
    found = reported_tests.recompute(result)
    assert (found.p, found.consistent) == (0.0, True)


def test_a_comma_before_three_digits_is_a_thousand() -> None:
    (result,) = reported_tests.read_test_results("t(1,234) = 2.1, p = .036")
    assert (result.df1, result.df2) == (1234.0, None)
    assert reported_tests.recompute(result).consistent
    assert reported_tests.read_test_results("t(12,5) = 2.1, p = .036") == []


def test_a_mean_off_the_scale_is_not_called_a_matter_of_rounding() -> None:
    found = granularity.grim("15.2", 10, minimum=0, maximum=10)
    assert (found.possible, found.reason) == (False, "outside the scale from 0 to 10")
