"""Missing outcomes and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.bias.missing import (
    ASSUMPTIONS,
    BinaryStudy,
    ContinuousStudy,
    Missingness,
    binary_with_missing,
    continuous_with_missing,
    shifts_to_threshold,
    tipping_delta,
)
from klarsyn.bias.noninferiority import Counts
from klarsyn.bias.refusals import Refusals, refusal_grid
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.missing_outcomes import contrast_of_arms, mean_with_missing, risk_with_missing

ARITHMETIC = 1e-12
Z = 1.959963984540054
ENDLESS = 1e-11  # an odds ratio of 1e12 instead of infinity
QUOTIENT = 1e-8  # relative; a difference over 2e-6 of shares rounded at 1e-16
ROOT = 1e-10  # a limit at the root that was searched for


def study(**changes: float) -> BinaryStudy:
    cells = {
        "treated_events": 29,
        "treated_observed": 47,
        "treated_missing": 22,
        "control_events": 20,
        "control_observed": 34,
        "control_missing": 34,
    } | changes
    return BinaryStudy(study="Beasley", **cells)


def pooled(assumption: str, measure: str = "RR", **more: float) -> float:
    return binary_with_missing(
        [study(), study(treated_events=20)],
        Missingness(assumption=assumption, **more),  # pyright: ignore[reportArgumentType]
        measure=measure,
        event_is_good=True,
        tau2_method="DL",
        test="z",
    ).y[0]


def test_missing_at_random_is_the_available_case() -> None:
    assert pooled("at_random") == pytest.approx(math.log(29 / 47 / (20 / 34)), abs=ARITHMETIC)


def test_no_event_among_the_missing_is_events_over_randomised() -> None:
    assert pooled("none_had_event") == pytest.approx(math.log(29 / 69 / (20 / 68)), abs=ARITHMETIC)


def test_all_missing_with_event_is_counted_so() -> None:
    assert pooled("all_had_event") == pytest.approx(math.log(51 / 69 / (54 / 68)), abs=ARITHMETIC)


def test_best_and_worst_enclose_every_other_assumption() -> None:
    best, worst = pooled("best"), pooled("worst")
    for name in set(ASSUMPTIONS) - {"best", "worst", "odds_ratio"}:
        assert worst - ARITHMETIC <= pooled(name) <= best + ARITHMETIC


def test_a_bad_event_swaps_best_and_worst() -> None:
    ends = [
        binary_with_missing(
            [study(), study()],
            Missingness(assumption=assumption),
            event_is_good=good,
            tau2_method="DL",
            test="z",
        ).y[0]
        for assumption, good in (("best", True), ("worst", False))
    ]
    assert ends[0] == ends[1]


def test_an_extreme_odds_ratio_reaches_the_limit_continuously() -> None:
    limit = risk_with_missing(29, 47, 22, math.inf)
    near = risk_with_missing(29, 47, 22, 1e12)
    assert near.value == pytest.approx(limit.value, abs=ENDLESS)
    assert near.variance == pytest.approx(limit.variance, rel=ENDLESS)


def test_uncertain_odds_ratios_widen_and_perfect_correlation_of_equal_arms_does_not() -> None:
    a = risk_with_missing(20, 40, 10, 0.5)
    _, known = contrast_of_arms(a, a, measure="risk_ratio")
    _, doubted = contrast_of_arms(a, a, measure="risk_ratio", sd=(1.0, 1.0))
    _, together = contrast_of_arms(a, a, measure="risk_ratio", sd=(1.0, 1.0), correlation=1.0)
    assert doubted > known
    assert together == pytest.approx(float(known), abs=ARITHMETIC)


def test_the_slope_by_log_odds_is_the_derivative() -> None:
    h = 1e-6
    up, down = (risk_with_missing(29, 47, 22, 2 * math.exp(s)).value for s in (h, -h))
    slope = risk_with_missing(29, 47, 22, 2.0).slope
    assert float(slope) == pytest.approx(float(up - down) / (2 * h), rel=QUOTIENT)


def test_a_mean_with_missing_by_hand() -> None:
    # Mavridis 2015: mean + a λ; variance s²/n + λ² a(1 − a)/N, a = 10/50.
    found = mean_with_missing(12.0, 8.0, 40, 10, 3.0, kind="difference")
    assert float(found.value) == pytest.approx(12.6)
    assert float(found.variance) == pytest.approx(64 / 40 + 9 * 0.16 / 50)
    ratio = mean_with_missing(12.0, 8.0, 40, 10, 1.25, kind="ratio")
    assert float(ratio.value) == pytest.approx(12 * 0.8 + 12 * 1.25 * 0.2)


def means(shift: float = 0.0) -> list[ContinuousStudy]:
    return [
        ContinuousStudy(
            study=name,
            treated_mean=10 + shift,
            treated_sd=8,
            treated_observed=60,
            treated_missing=15,
            control_mean=14,
            control_sd=8,
            control_observed=61,
            control_missing=14,
        )
        for name in ("A", "B", "C")
    ]


def test_the_tipping_delta_puts_the_limit_on_the_threshold() -> None:
    delta = tipping_delta(
        means(), arm="treated", threshold=0.0, tau2_method="DL", test="z", widest=40
    )
    assert delta is not None
    assert delta > 0
    at = continuous_with_missing(
        means(),
        Missingness(assumption="difference", treated=delta, control=0.0),
        kind="difference",
        tau2_method="DL",
        test="z",
    ).random
    assert at.ci_upper == pytest.approx(0.0, abs=ROOT)


def test_no_tipping_delta_within_the_range_is_none() -> None:
    delta = tipping_delta(
        means(), arm="treated", threshold=0.0, tau2_method="DL", test="z", widest=1
    )
    assert delta is None


def test_more_events_than_seen_are_refused() -> None:
    with pytest.raises(InputError, match="Beasley, treated arm: 48 events of 47 seen"):
        study(treated_events=48)


def test_an_unknown_assumption_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="at_random"):
        pooled("at_randm")


ELEKT_D = Refusals(
    analysed=Counts(
        name="ELEKT-D", new_events=108, new_total=195, reference_events=70, reference_total=170
    ),
    new_refused=5,
    reference_refused=33,
)


def test_elekt_d_all_refusals_against_ketamine() -> None:
    worst = refusal_grid(ELEKT_D, 0.1).scenario("all_against_new")
    shown = [round(100 * v, 1) for v in (worst.difference, worst.low, worst.high)]
    assert shown == [3.3, -6.4, 12.9]
    assert worst.region == "non-inferior"


@pytest.mark.parametrize("method", ["newcombe", "miettinen_nurminen"])
def test_elekt_d_superiority_is_lost_from_20_of_33_and_non_inferiority_never(method: str) -> None:
    grid = refusal_grid(ELEKT_D, 0.1, interval_method=method)
    assert grid.superiority_lost_from == 20
    assert grid.noninferiority_lost_from is None
    assert set(grid.region_counts()) == {"superior", "non-inferior"}
    assert len(grid.cells) == 6 * 34


def test_regions_only_worsen_as_more_of_the_reference_would_have_responded() -> None:
    grid = refusal_grid(ELEKT_D, 0.1)
    lows = np.array([c.low for c in grid.cells]).reshape(6, 34)
    assert (np.diff(lows, axis=1) < 0).all()
    assert (np.diff(lows, axis=0) > 0).all()


def test_an_external_rate_becomes_a_scenario() -> None:
    grid = refusal_grid(ELEKT_D, 0.1, external_rates={"as_elsewhere": (0.46, 0.63)})
    cell = grid.scenario("as_elsewhere")
    assert cell.new_responders == pytest.approx(2.3)
    assert cell.reference_responders == pytest.approx(20.79)
    with pytest.raises(UnknownNameError, match="as_elsewhere"):
        grid.scenario("as_elswhere")


def test_a_conclusion_that_is_not_there_is_not_lost_later() -> None:
    even = Refusals(
        analysed=Counts(
            name="even", new_events=50, new_total=100, reference_events=50, reference_total=100
        ),
        new_refused=3,
        reference_refused=3,
    )
    grid = refusal_grid(even, 0.1)
    assert grid.superiority_lost_from == 0
    assert "superiority: not there" in grid.summary()


def test_a_shift_that_was_not_given_is_not_guessed() -> None:
    with pytest.raises(InputError, match="say how the missing differ"):
        continuous_with_missing(
            means(),
            Missingness(assumption="difference", treated=2.0),
            kind="difference",
            tau2_method="DL",
            test="z",
        )


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@pytest.mark.parametrize("assumption", sorted(set(ASSUMPTIONS) - {"odds_ratio"}))
def test_full_and_empty_arms_keep_finite_effects(assumption: str, measure: str) -> None:
    odd = [
        study(treated_events=47, control_events=0),
        study(treated_events=0, control_events=34),
        study(),
    ]
    found = binary_with_missing(
        odd,
        Missingness(assumption=assumption),
        measure=measure,
        event_is_good=True,
        tau2_method="DL",
        test="z",
    )
    assert np.isfinite(found.y).all()
    assert (np.array(found.v) > 0).all()


def continuous(
    name: str, treated: tuple[float, ...], control: tuple[float, ...]
) -> ContinuousStudy:
    arms = {"treated": treated, "control": control}
    kinds = ("mean", "sd", "observed", "missing")
    cells = {f"{a}_{k}": v for a in arms for k, v in zip(kinds, arms[a], strict=True)}
    return ContinuousStudy(study=name, **cells)


def test_after_the_shift_the_limit_is_the_threshold() -> None:
    studies = [
        continuous("A", (-14.2, 8.1, 44, 9), (-9.7, 7.5, 41, 15)),
        continuous("B", (-12.0, 4.0, 90, 8), (-8.0, 5.0, 92, 11)),
    ]
    for shift in shifts_to_threshold(studies, -1.0, tau2_method="EE", test="z"):
        assert not shift.outside
        assert shift.delta is not None
        moved = {"treated": 0.0, "control": 0.0, shift.arm: shift.delta}
        found = continuous_with_missing(
            studies,
            Missingness(assumption="difference", **moved),
            kind="difference",
            tau2_method="EE",
            test="z",
        )
        assert found.random.ci_upper == pytest.approx(-1.0, abs=ROOT)


def test_a_limit_beyond_the_threshold_already_is_said() -> None:
    study = continuous("A", (-1.0, 8.0, 20, 4), (0.0, 8.0, 20, 4))
    treated, _ = shifts_to_threshold([study], 0.0, tau2_method="EE", test="z")
    assert treated.outside
    assert "beyond already" in treated.summary()
