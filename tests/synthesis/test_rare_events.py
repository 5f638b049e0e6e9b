"""Rare events side by side: what is ignored, what is refused, what the result says."""

from __future__ import annotations

import json
import math

import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.synthesis import rare

ROUNDING = 1e-12  # relative; the same sums
OPTIMISER = 1e-8  # relative; one maximum reached on mirrored or rescaled counts

STUDIES = ["A", "B", "C", "D"]
COUNTS = ([1, 0, 3, 0], [100, 80, 120, 60], [4, 0, 5, 1], [100, 70, 118, 62])


def table(**changes: list[float]) -> rare.Counts:
    return rare.count_table(STUDIES, *COUNTS)


def test_patients_of_studies_without_events_are_counted_as_ignored() -> None:
    result = rare.pool_rare(table())
    assert result.total == 710
    for name in ("MH OR", "MH RR", "Peto", "CM.EL", "CM.AL", "UM.FS", "beta-binomial FS"):
        assert result.fit(name).ignored == 150
        assert result.fit(name).ignored_studies == ("B",)
    for name in ("MH RD", "UM.RS", "beta-binomial"):
        assert result.fit(name).ignored == 0
        assert result.fit(name).used_studies == 4


def test_a_study_without_events_changes_no_conditional_fit() -> None:
    without = table().only(table().informative)
    for model in ("CM.EL", "CM.AL", "UM.FS"):
        one, other = rare.fit_glmm(table(), model), rare.fit_glmm(without, model)
        assert one.estimate is not None
        assert other.estimate is not None
        assert one.estimate.value == pytest.approx(other.estimate.value, rel=ROUNDING)


def test_swapping_groups_mirrors_every_ratio() -> None:
    a, n1, c, n2 = COUNTS
    one = rare.pool_rare(table())
    other = rare.pool_rare(rare.count_table(STUDIES, c, n2, a, n1))
    for fit in one.fits:
        mirrored = other.fit(fit.method)
        assert fit.estimate is not None
        assert mirrored.estimate is not None
        assert mirrored.estimate.value == pytest.approx(-fit.estimate.value, rel=OPTIMISER)
        assert mirrored.estimate.se == pytest.approx(fit.estimate.se, rel=OPTIMISER)


def test_a_group_without_events_leaves_only_the_difference() -> None:
    result = rare.pool_rare(rare.count_table(["A", "B"], [0, 0], [50, 60], [2, 3], [50, 60]))
    assert result.fit("MH RD").status == "ok"
    for name in ("MH OR", "CM.EL", "CM.AL", "UM.FS", "UM.RS", "beta-binomial"):
        fit = result.fit(name)
        assert fit.status in {"not_estimable", "not_converged"}
        assert fit.estimate is None
        assert fit.notes


def test_no_events_at_all_is_an_answer_with_reasons() -> None:
    result = rare.pool_rare(rare.count_table(["A"], [0], [50], [0], [50]))
    assert result.fit("MH OR").status == "not_estimable"
    with pytest.raises(NumericalError, match="no study has both"):
        rare.fit_glmm(result.counts, "CM.EL")


def test_unbounded_heterogeneity_is_named() -> None:
    """Two informative studies, one at each edge: the conditional likelihood rises with tau²."""
    c = rare.count_table(["A", "B"], [0, 2], [298, 75], [3, 0], [258, 248])
    for model in ("CM.EL", "CM.AL"):
        with pytest.raises(NumericalError, match="tau² grows without end"):
            rare.fit_glmm(c, model)
    assert rare.pool_rare(c).fit("MH OR").status == "ok"


def test_no_events_give_no_standard_error_of_zero() -> None:
    result = rare.pool_rare(rare.count_table(["A", "B"], [0, 0], [224, 4], [0, 0], [229, 205]))
    assert {f.status for f in result.fits} <= {"not_estimable", "degenerate", "not_converged"}


def test_one_study_agrees_among_methods() -> None:
    c = rare.count_table(["A"], [4], [60], [9], [58])
    for name in ("MH OR", "UM.FS"):
        fit = rare.pool_rare(c, [name]).fits[0]
        assert fit.estimate is not None
        assert fit.estimate.value == pytest.approx(math.log(4 * 49 / (9 * 56)), rel=OPTIMISER)


def test_impossible_counts_name_study_and_group() -> None:
    with pytest.raises(InputError, match="'B', group 2: 71 events of 70"):
        rare.count_table(STUDIES, COUNTS[0], COUNTS[1], [4, 71, 5, 1], COUNTS[3])
    with pytest.raises(InputError, match="whole numbers"):
        rare.count_table(["A"], [0.5], [10], [1], [10])
    with pytest.raises(InputError, match="person-times are above 0"):
        rare.rate_table(["A"], [1], [0], [1], [10])
    with pytest.raises(InputError, match="one value a study"):
        rare.count_table(["A", "B"], [1], [10], [1], [10])
    with pytest.raises(InputError, match="No study has all four"):
        rare.count_table(["A"], [math.nan], [10], [1], [10])


def test_unknown_methods_get_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"CM\.EL"):
        rare.pool_rare(table(), ["CM.E"])
    with pytest.raises(UnknownNameError, match=r"UM\.FS"):
        rare.fit_glmm(table(), "UM")
    with pytest.raises(UnknownNameError, match="half"):
        rare.fit_glmm(table(), "UM.FS", coding="quarter")


def test_rate_ratios_do_not_depend_on_the_unit_of_time() -> None:
    a, t1, c, t2 = [3, 0, 5], [100.0, 50, 120], [6, 2, 4], [90.0, 60, 130]
    names = ["A", "B", "C"]
    one = rare.pool_rare(
        rare.rate_table(names, a, t1, c, t2), ["MH IRR", "CM.EL", "UM.FS", "UM.RS"]
    )
    days = rare.rate_table(names, a, [t * 365 for t in t1], c, [t * 365 for t in t2])
    other = rare.pool_rare(days, ["MH IRR", "CM.EL", "UM.FS", "UM.RS"])
    for first, second in zip(one.fits, other.fits, strict=True):
        assert first.estimate is not None
        assert second.estimate is not None
        assert second.estimate.value == pytest.approx(first.estimate.value, rel=OPTIMISER)


def test_a_result_is_json_with_digest_and_ignored_patients() -> None:
    out = json.loads(json.dumps(rare.pool_rare(table()).to_dict(), allow_nan=False))
    assert out["digest"] == table().digest
    assert [f["ignored"] for f in out["fits"]][:4] == [150, 150, 0, 150]
    assert "ignores 150 patients in 1 studies" in rare.pool_rare(table()).summary()


def test_the_picture_has_one_point_a_ratio() -> None:
    spec = rare.pool_rare(table(), ["MH OR", "MH RD", "Peto"]).plot().to_dict()
    rows = spec["layer"][1]["data"]["values"]
    assert [r["method"] for r in rows] == ["MH OR", "Peto"]


def test_peto_warns_of_unequal_groups_and_of_large_effects() -> None:
    """validation/rare: groups of 4:1 bias Peto's method, the more the larger the effect."""
    names = ["A", "B", "C"]
    uneven = rare.count_table(names, [8, 9, 7], [400, 480, 360], [4, 5, 3], [100, 120, 90])
    said = " ".join(rare.pool_rare(uneven, ["Peto"]).fit("Peto").notes)
    assert "3 studies have one group more than twice the other" in said
    even = rare.count_table(names, [8, 9, 7], [100, 120, 90], [4, 5, 3], [100, 120, 90])
    assert not any("twice" in n for n in rare.pool_rare(even, ["Peto"]).fit("Peto").notes)
    large = rare.count_table(names, [1, 0, 1], [100, 120, 90], [9, 8, 9], [100, 120, 90])
    assert any("effect is large" in n for n in rare.pool_rare(large, ["Peto"]).fit("Peto").notes)


def test_common_effect_intervals_say_that_heterogeneity_can_be_missed() -> None:
    """validation/rare: with tau 0.4 they fail, and the tests often see nothing."""
    for name in ("MH OR", "Peto"):
        assert any("can miss it" in n for n in rare.pool_rare(table(), [name]).fit(name).notes)
    lone = rare.count_table(["A"], [4], [60], [9], [58])
    assert not any("heterogeneity" in n for n in rare.pool_rare(lone, ["MH OR"]).fits[0].notes)
    assert any("Only 3 studies" in n for n in rare.fit_glmm(table(), "CM.EL").notes)
