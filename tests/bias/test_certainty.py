"""GRADE suggestions: the rules, one count of unblinding, and the person who confirms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.bias.certainty import (
    DOMAINS,
    Confirmation,
    Suggestion,
    Thresholds,
    UnblindingTip,
    grade,
    imprecision,
    imprecision_of_ratio,
    inconsistency,
    indirectness,
    publication_bias,
    risk_of_bias,
)
from klarsyn.bias.findings_table import absolute_per_1000, row_from_difference, row_from_ratio
from klarsyn.bias.missingresults import result_matrix, studies_to_flip
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.fail_safe import fail_safe
from klarsyn.synthesis.pairwise import pool

PER_1000 = 1e-10  # rounding of a share, times 1,000

POINTS = Thresholds(small=2, moderate=5, large=8, unit="points", origin="declared before analysis")


def difference(value: float, se: float) -> Estimate:
    return Estimate(value=value, se=se, method="pooled")


@pytest.mark.parametrize(
    ("value", "se", "participants", "change"),
    [
        (-6.5, 0.5, 900, 0),  # -7.5 to -5.5 crosses nothing, information met
        (-4.5, 0.5, 900, -1),  # crosses -5
        (-4.5, 1.5, 900, -2),  # crosses -5 and -2
        (-6.5, 0.5, 300, -2),  # grossly short of information
        (-10.0, 0.8, 600, -1),  # large effect, information short
        (-6.5, 0.5, 600, 0),  # short, but not large
        (-4.0, 4.0, 100, -3),  # crosses -8, -5, -2, 2 and grossly short
        (-4.5, 1.5, 300, -3),  # crosses -5 and -2 and grossly short
        (0.0, 0.5, 900, 0),  # -1 to 1 lies within the trivial effects: the null is no threshold
        (-2.0, 1.3, 900, -1),  # -4.5 to 0.5 crosses -2; that it holds the null counts no more
    ],
)
def test_imprecision_counts_thresholds_and_information(value, se, participants, change):
    found = imprecision(
        difference(value, se), POINTS, participants=participants, information_size=785
    )
    assert found.change == change
    assert f"{participants} participants" in found.reason


def test_heterogeneity_raises_what_is_needed():
    plan = {"participants": 900, "information_size": 785}
    assert imprecision(difference(-10, 0.8), POINTS, **plan).change == 0
    found = imprecision(difference(-10, 0.8), POINTS, **plan, diversity_share=0.4)
    assert found.change == -1
    assert "1308 that are needed at a diversity of 40%" in found.reason


def test_without_thresholds_only_the_null_counts():
    assert imprecision(difference(-1, 1), None, participants=900, information_size=785).change == -1
    assert imprecision(difference(-3, 1), None, participants=900, information_size=785).change == 0


@pytest.mark.parametrize(
    ("low", "high", "participants", "change"),
    [
        (0.6, 0.9, 2000, 0),
        (0.7, 1.1, 2000, -1),
        (0.7, 1.4, 2000, -2),
        (0.6, 0.9, 900, -1),
        (0.6, 0.9, 400, -2),
        (0.7, 1.4, 400, -3),
    ],
)
def test_imprecision_of_a_ratio(low, high, participants, change):
    found = imprecision_of_ratio(low, high, participants=participants, information_size=1000)
    assert found.change == change


def test_unblinding_is_counted_once_and_only_under_risk_of_bias():
    tip = UnblindingTip(tip=3.0, plausible=7.5, unit="points", source="Lii 2023")
    with_tip = risk_of_bias(0.2, True, unblinding=tip)
    assert with_tip.change == risk_of_bias(0.2, True).change - 1
    assert risk_of_bias(0.9, False, unblinding=tip).change == -2
    assert "masking" in with_tip.reason
    strong = UnblindingTip(tip=math.inf, plausible=7.5, unit="points", source="Lii 2023")
    assert risk_of_bias(0.0, True, unblinding=strong).change == 0
    second = Suggestion(domain="risk of bias", change=-1, reason="unblinding again")
    with pytest.raises(InputError, match="more than one suggestion; each domain counts once"):
        grade("mood", [with_tip, second])


@pytest.mark.parametrize(
    ("weight", "survives", "change"),
    [(0.0, True, 0), (0.3, True, 0), (0.7, True, -1), (0.3, False, -1), (0.7, False, -2)],
)
def test_risk_of_bias_by_weight_and_survival(weight, survives, change):
    assert risk_of_bias(weight, survives).change == change


def test_inconsistency_asks_what_a_new_setting_may_see():
    mean = difference(-6.5, 0.5)
    same = inconsistency(mean, (-7.8, -5.2), POINTS, i2=0.2, studies=8)
    wide = inconsistency(mean, (-12.0, -1.0), POINTS, i2=0.8, studies=8)
    assert (same.change, wide.change) == (0, -2)
    assert inconsistency(mean, (-7, -6), POINTS, i2=0, studies=1).change == 0


def test_indirectness_and_publication_bias_need_a_reason():
    found = indirectness({"form": "S in place of racemate"}, serious=["form"])
    assert (found.change, found.reason) == (-1, "form: S in place of racemate.")
    with pytest.raises(UnknownNameError, match="Nearest: form"):
        indirectness({"form": "x"}, serious=["frm"])
    assert publication_bias(1, 0, 6, nulls_to_flip=None).change == -1
    assert "Nobody recorded" in publication_bias(None, None, 6, nulls_to_flip=None).reason
    assert "no number tried" in publication_bias(0, 0, 6, nulls_to_flip=math.inf).reason
    assert publication_bias(0, 2, 6, nulls_to_flip=2).change == -1
    assert publication_bias(0, 2, 6, nulls_to_flip=3).change == 0


def test_a_fragile_result_of_which_nothing_is_missing_is_imprecise_not_unpublished():
    assert publication_bias(0, 0, 6, nulls_to_flip=1).change == 0
    assert publication_bias(None, None, 6, nulls_to_flip=1).change == 0


def suggestions(change: int = 0) -> list[Suggestion]:
    return [Suggestion(domain=d, change=change, reason="as computed") for d in DOMAINS]


def confirmed(change: int = 0) -> list[Confirmation]:
    return [
        Confirmation(domain=d, change=change, who="A. Reader", when="2024-05-01", why="agreed")
        for d in DOMAINS
    ]


def test_nothing_is_certain_before_a_person_confirms_every_domain():
    found = grade("mood", suggestions())
    assert (found.suggested, found.confirmed) == ("High", None)
    assert "to be confirmed: risk of bias" in found.summary()
    assert grade("mood", suggestions(), confirmations=confirmed()[:4]).confirmed is None
    assert grade("mood", suggestions(), confirmations=confirmed()).confirmed == "High"


def test_the_persons_change_counts_not_the_suggestion():
    decided = [
        *confirmed()[:4],
        *[Confirmation(domain=DOMAINS[4], change=-1, who="A", when="2024", why="registry search")],
    ]
    assert grade("mood", suggestions(-1), confirmations=decided).confirmed == "Moderate"


def test_certainty_never_falls_below_very_low():
    assert grade("mood", suggestions(-2)).suggested == "Very low"
    assert grade("mood", suggestions(), start="Low").suggested == "Low"


def test_a_confirmation_without_a_reason_is_refused():
    empty = [Confirmation(domain=DOMAINS[0], change=0, who="A", when="2024", why=" ")]
    with pytest.raises(InputError, match="needs who, when and why"):
        grade("mood", suggestions(), confirmations=empty)


class TestFindings:
    def test_absolute_differences_by_hand(self):
        assert absolute_per_1000("risk_ratio", 0.5, 0.2) == pytest.approx(-100)
        assert absolute_per_1000("odds_ratio", 0.5, 0.2) == pytest.approx(1000 * (1 / 9 - 0.2))
        assert absolute_per_1000("hazard_ratio", 1.0, 0.2) == pytest.approx(0, abs=PER_1000)

    def test_sustain_relapse_row(self):
        """HR 0.49 (0.29 to 0.84) at a placebo relapse of 45.3 %."""
        log_hr = Estimate(
            value=math.log(0.49),
            se=(math.log(0.84) - math.log(0.29)) / 3.919927969,
            method="published",
            scale="log",
        )
        row = row_from_ratio(
            grade("relapse", suggestions()),
            log_hr,
            measure="hazard_ratio",
            baseline=0.453,
            baseline_source="placebo arm",
            participants=176,
            studies=1,
        )
        assert row.absolute[0] == pytest.approx(1000 * (1 - 0.547**0.49 - 0.453), abs=PER_1000)
        assert row.absolute[1] < row.absolute[0] < row.absolute[2] < 0
        assert row.sentence.startswith("relapse: 197 per 1000 fewer or lower")
        assert not row.confirmed

    def test_a_difference_row_carries_reasons_only_where_certainty_fell(self):
        lowered = [*suggestions()[:4], Suggestion(domain=DOMAINS[4], change=-1, reason="why")]
        row = row_from_difference(
            grade("mood", lowered), difference(-4, 1), unit="points", participants=80, studies=3
        )
        assert row.reasons == ("publication bias: why",)
        assert row.certainty == "Moderate"
        assert row.sentence == "mood: probably 4 points fewer or lower (-5.96 to -2.04)."


class TestMissingResults:
    def test_the_matrix_must_be_whole(self):
        with pytest.raises(UnknownNameError, match="A, day 1: '' is not a known availability"):
            result_matrix({("A", "day 7"): "available", ("B", "day 1"): "available"})

    def test_counts_by_availability(self):
        rows = [("A", "available"), ("B", "missing_because_of_result"), ("C", "available")]
        matrix = result_matrix({(study, "day 7"): a for study, a in rows})
        assert matrix.counts("day 7")["available"] == 2
        assert matrix.counts("day 7")["missing_because_of_result"] == 1

    def test_an_interval_that_holds_the_threshold_needs_no_unseen_study(self):
        assert studies_to_flip([0.1, -0.1], [0.05, 0.05]) == 0

    def test_with_a_common_effect_it_is_rosenbergs_number(self):
        y, v = np.array([-0.5, -0.3, -0.55, -0.4]), np.array([0.05, 0.02, 0.08, 0.03])
        of_mean_weight = 1 / np.mean(1 / v)
        count = studies_to_flip(y, v, method="EE", test="z", unseen_variance=of_mean_weight)
        assert count == fail_safe(y, v, kind="Rosenberg").number

    # Bounds stated before the run: 400 draws of one half lie within 0.5 ± 0.1 (4 standard errors).
    @pytest.mark.parametrize(
        ("y", "v"),
        [
            ([-2.44, -1.44, -1.05, -0.38, -0.89, -0.34], [0.7, 0.39, 0.13, 0.21, 0.07, 0.02]),
            ([-0.8, -0.2, -0.6, -0.1, -0.9, -0.7, -0.4, -0.3], [0.02] * 8),
        ],
    )
    def test_at_the_number_half_of_random_unseen_studies_flip(self, y: list, v: list):
        count, seen, added = studies_to_flip(y, v), pool(y, v, test="adhoc"), float(np.median(v))
        assert count is not None
        rng = np.random.default_rng(20261122)
        flips = 0
        for _ in range(400):
            unseen = rng.normal(0, np.sqrt(seen.tau2 + added), count)
            made = pool([*y, *unseen], [*v, *[added] * count], test="adhoc")
            flips += made.ci_lower <= 0 <= made.ci_upper
        assert 0.4 <= flips / 400 <= 0.6

    def test_adverse_studies_that_carry_the_interval_past_the_null_flip_it_too(self):
        found = studies_to_flip(
            [-0.5], [0.01], method="EE", test="z", unseen_effect=0.5, unseen_variance=1e-6
        )
        assert found == 1

    def test_unseen_studies_like_those_seen_never_flip(self):
        assert studies_to_flip([-5.0], [1e-4], test="z", unseen_effect=-5.0, most=5) is None
