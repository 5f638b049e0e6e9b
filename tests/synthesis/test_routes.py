"""From reported numbers to effects, checked by hand and by identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from klarsyn.evidence.trial import Finding
from klarsyn.synthesis.routes import (
    Cell,
    Derived,
    Group,
    combine,
    derive_binary,
    derive_continuous,
    difference_of,
    events_of,
    smd_from_odds,
    spread_of,
)

ARITHMETIC = 1e-12  # order of operations only
PRINTED = 6e-4  # relative; limits 16.07 apart and SDs near 10, each printed to two decimals


def cell(size: float | None = None, **values: float) -> Cell:
    rows = {
        name: Finding(
            id=f"t:{name}",
            trial="t",
            arm="a",
            outcome="score",
            statistic=name,
            value=value,
            unit="points",
            source="s",
            locator="Table 1",
            kind="reported",
            confidence="primary",
        )
        for name, value in values.items()
    }
    return Cell(statistics=rows, size=size)


def test_an_sd_from_se_and_from_an_interval_is_the_sd() -> None:
    n, sd = 25, 8.0
    se = sd / math.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * se
    found = spread_of(cell(se=se), n)
    assert found is not None
    assert found[0] == pytest.approx(sd, rel=ARITHMETIC)
    found = spread_of(cell(ci95_lower=10 - half, ci95_upper=10 + half), n)
    assert found is not None
    assert found[0] == pytest.approx(sd, rel=ARITHMETIC)


def test_combined_groups_have_the_mean_and_sd_of_all_their_patients() -> None:
    rng = np.random.default_rng(7)
    parts = [rng.normal(m, 5, size) for m, size in ((20, 11), (15, 7), (25, 13))]
    groups = [
        Group(mean=p.mean(), sd=p.std(ddof=1), n=len(p), formula="", findings=()) for p in parts
    ]
    everyone = np.concatenate(parts)
    pooled = combine(groups)
    assert pooled.mean == pytest.approx(everyone.mean(), rel=ARITHMETIC)
    assert pooled.sd == pytest.approx(everyone.std(ddof=1), rel=ARITHMETIC)
    assert pooled.n == len(everyone)


def test_hedges_g_by_hand() -> None:
    made = derive_continuous(
        "SMD", [cell(mean=20, sd=10, n=10)], cell(mean=26, sd=10, n=12), [], [], None
    )
    assert made is not None
    exact = math.gamma(10) / (math.sqrt(10) * math.gamma(9.5))
    assert made.y == pytest.approx(-0.6 * exact, rel=ARITHMETIC)


def test_a_difference_gives_the_same_se_from_ci_and_from_p() -> None:
    n, se, md = 40, 2.5, -6.0
    t = stats.t.ppf(0.975, n - 2)
    from_ci = difference_of(
        cell(mean_difference=md, ci95_lower=md - t * se, ci95_upper=md + t * se), n
    )
    p = 2 * stats.t.sf(abs(md / se), n - 2)
    from_p = difference_of(cell(mean_difference=md, p_value=p), n)
    assert from_ci is not None
    assert from_p is not None
    assert from_ci[1] == pytest.approx(se, rel=ARITHMETIC)
    assert from_p[1] == pytest.approx(se, rel=ARITHMETIC)


def test_p_below_a_bound_gives_the_largest_se_it_allows() -> None:
    loose = difference_of(cell(mean_difference=-6, p_below=0.05), 40)
    tight = difference_of(cell(mean_difference=-6, p_below=0.001), 40)
    assert loose is not None
    assert tight is not None
    assert loose[1] > tight[1]


def test_a_reported_smd_takes_its_precision_from_the_difference_beside_it() -> None:
    """KARMA-Dep 2: MD -3.16 (-8.54 to 2.22) beside d -0.29; the interval belongs to the points."""
    contrast = cell(
        mean_difference=-3.16,
        ci95_lower=-8.54,
        ci95_upper=2.22,
        standardised_mean_difference=-0.29,
    )
    made = derive_continuous("SMD", [cell(32)], cell(33), [contrast], [], None)
    assert made is not None
    se_points = (2.22 + 8.54) / (2 * stats.t.ppf(0.975, 63))
    assert made.y == -0.29
    assert math.sqrt(made.v) == pytest.approx(se_points * 0.29 / 3.16, rel=ARITHMETIC)


def test_perfectly_correlated_periods_leave_no_error_in_the_difference() -> None:
    arms = cell(mean=20, sd=8, n=12), cell(mean=25, sd=8, n=12)
    made = derive_continuous("MD", [arms[0]], arms[1], [], [], 1.0)
    apart = derive_continuous("MD", [arms[0]], arms[1], [], [], 0.0)
    assert made is not None
    assert apart is not None
    assert made.v == pytest.approx(0.0, abs=ARITHMETIC)
    assert apart.v == pytest.approx(2 * 64 / 12, rel=ARITHMETIC)


def test_a_crossover_that_reports_its_difference_uses_its_own_correlation() -> None:
    """Dwyer 2021, abstract: difference -8.69, SD 15.08, 95 % CI -16.72 to -0.65, df 15, d 0.78."""
    arms = cell(mean=15.44, sd=10.07, n=16), cell(mean=24.13, sd=12.08, n=16)
    contrast = cell(mean_difference=-8.69, ci95_lower=-16.72, ci95_upper=-0.65, p_below=0.05)
    own = derive_continuous("MD", [arms[0]], arms[1], [contrast], [], 0.34)
    assert own is not None
    assert math.sqrt(own.v) == pytest.approx(15.08 / 4, rel=PRINTED)
    assert "r = 0.082 from the trial's own difference, SE from CI95" in own.formula
    assumed = derive_continuous("SMD", [arms[0]], arms[1], [], [], 0.34)
    standardised = derive_continuous("SMD", [arms[0]], arms[1], [contrast], [], 0.34)
    assert assumed is not None
    assert standardised is not None
    assert standardised.y == assumed.y
    assert standardised.v / assumed.v == pytest.approx((1 - 0.0817) / (1 - 0.34), rel=PRINTED)


def test_a_crossover_counts_only_the_patients_seen_in_both_periods() -> None:
    """Nugent 2019: 27 after the drug, 26 after saline, 24 with both (Borenstein 2009, eq. 4.28)."""
    arms = cell(mean=23.59, sd=10.32, n=27), cell(mean=31.31, sd=5.88, n=26)
    made = derive_continuous("SMD", [arms[0]], arms[1], [cell(n=24)], [], 0.34)
    assert made is not None
    d = (23.59 - 31.31) / math.sqrt((10.32**2 + 5.88**2) / 2)
    factor = math.gamma(11.5) / (math.sqrt(11.5) * math.gamma(11))
    assert made.n_test == made.n_control == 24
    assert made.y == pytest.approx(factor * d, rel=ARITHMETIC)
    v = factor**2 * (1 / 24 + d**2 / 48) * 2 * (1 - 0.34)
    assert made.v == pytest.approx(v, rel=ARITHMETIC)


def test_a_difference_that_is_not_that_of_the_two_means_gives_no_correlation() -> None:
    arms = cell(mean=15.4, sd=10.0, n=16), cell(mean=24.1, sd=12.0, n=16)
    modelled = cell(mean_difference=-7.0, se=3.8)
    made = derive_continuous("MD", [arms[0]], arms[1], [modelled], [], 0.5)
    assert made is not None
    assert "r = 0.5 (" in made.formula
    impossible = cell(mean_difference=-8.7, se=30.0)
    made = derive_continuous("MD", [arms[0]], arms[1], [impossible], [], 0.5)
    assert made is not None
    assert "r = 0.5 (" in made.formula


def test_a_percentage_of_n_is_rounded_to_a_count_and_says_so() -> None:
    assert events_of(cell(percent=55.4, n=195)) == (108.0, 195.0, "events = percent·n rounded")


def test_events_above_n_are_no_count() -> None:
    assert events_of(cell(events=9, n=8)) is None


def test_an_odds_ratio_of_one_is_no_difference_and_more_response_is_fewer_symptoms() -> None:
    one = Derived(y=0.0, v=1.0, n_test=9, n_control=9, formula="", findings=())
    more = Derived(y=1.0, v=1.0, n_test=9, n_control=9, formula="", findings=())
    assert smd_from_odds(one).y == 0.0
    assert smd_from_odds(more).y == pytest.approx(-math.sqrt(3) / math.pi, rel=ARITHMETIC)


def test_two_arms_against_one_control_are_averaged_with_correlation_one_half() -> None:
    contrasts = [cell(mean_difference=-4, se=2.0), cell(mean_difference=-6, se=2.0)]
    made = derive_continuous("MD", [cell(30), cell(30)], cell(30), contrasts, [], None)
    assert made is not None
    assert made.y == -5
    assert made.v == pytest.approx((4 + 4 + 2 * 0.5 * 4) / 4, rel=ARITHMETIC)


def test_a_risk_ratio_by_hand() -> None:
    """KetECT, remission: 44 of 95 against 57 of 91."""
    made = derive_binary("RR", [cell(events=44, n=95)], cell(events=57, n=91), [])
    assert made is not None
    assert math.exp(made.y) == pytest.approx((44 / 95) / (57 / 91), rel=ARITHMETIC)
    assert made.v == pytest.approx(1 / 44 - 1 / 95 + 1 / 57 - 1 / 91, rel=ARITHMETIC)


def test_a_hazard_ratio_is_taken_from_its_interval_and_never_from_counts() -> None:
    """SUSTAIN-1, stable remitters: 0.49 (0.29 to 0.84); counts beside it say nothing about time."""
    arms = cell(events=24, n=90), cell(events=39, n=86)
    ratio = cell(hazard_ratio=0.49, ci95_lower=0.29, ci95_upper=0.84)
    made = derive_binary("HR", [arms[0]], arms[1], [ratio])
    assert made is not None
    assert made.y == pytest.approx(math.log(0.49), rel=ARITHMETIC)
    width = math.log(0.84 / 0.29) / (2 * stats.norm.ppf(0.975))
    assert made.v == pytest.approx(width**2, rel=ARITHMETIC)
    assert derive_binary("HR", [arms[0]], arms[1], [cell()]) is None


def test_nothing_reported_gives_nothing() -> None:
    assert derive_continuous("SMD", [cell(20)], cell(20), [cell()], [], None) is None
    assert derive_binary("RR", [cell()], cell(), [cell()]) is None
