"""Weighted kappa: by hand, against statsmodels, and where chance alone would agree."""

from __future__ import annotations

import math

import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.agreement import weighted_kappa

LEVELS = ("Low", "Some concerns", "High")
EXACT = 1e-12  # two programs on the same closed form
# statsmodels 0.15.0, cohens_kappa(TABLE, wt=...): kappa and std_kappa.
TABLE = ((11, 2, 1), (3, 7, 4), (0, 2, 9))
STATSMODELS = {
    "linear": (0.6291148500365764, 0.09637960864653101),
    "quadratic": (0.7169811320754718, 0.09136397054418799),
    "unweighted": (0.5398230088495575, 0.10905963815992811),
}


def spread(table: tuple[tuple[int, ...], ...]) -> tuple[list[str], list[str]]:
    pairs = [(LEVELS[i], LEVELS[j]) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    return [a for a, _ in pairs], [b for _, b in pairs]


def test_ten_trials_by_hand() -> None:
    """Seven alike, two one step apart, one two steps: 0.8 against 0.55 by chance (Cohen 1968)."""
    first, second = spread(((3, 1, 0), (0, 2, 1), (1, 0, 2)))
    found = weighted_kappa(first, second, LEVELS)
    assert found.identical == pytest.approx(0.7, abs=EXACT)
    assert found.observed == pytest.approx(0.8, abs=EXACT)
    assert found.expected == pytest.approx(0.34 + 0.5 * (0.24 + 0.18), abs=EXACT)
    assert found.kappa == pytest.approx((0.8 - 0.55) / 0.45, abs=EXACT)


@pytest.mark.parametrize("weights", STATSMODELS)
def test_kappa_and_its_standard_error_are_those_of_statsmodels(weights: str) -> None:
    found = weighted_kappa(*spread(TABLE), LEVELS, weights=weights)
    assert (found.kappa, found.se) == pytest.approx(STATSMODELS[weights], abs=EXACT)


def test_full_agreement_is_one_and_order_of_assessors_does_not_matter() -> None:
    first, second = spread(TABLE)
    alike = weighted_kappa(first, first, LEVELS)
    assert alike.kappa == pytest.approx(1.0, abs=EXACT)
    assert "too even for limits" in alike.summary()
    assert math.isnan(alike.interval()[0])
    forth, back = (weighted_kappa(a, b, LEVELS) for a, b in ((first, second), (second, first)))
    assert forth.kappa == pytest.approx(back.kappa, abs=EXACT)


def test_one_category_throughout_has_no_kappa_and_says_so() -> None:
    found = weighted_kappa(["Low"] * 4, ["Low"] * 4, LEVELS)
    assert math.isnan(found.kappa)
    assert "no kappa: both gave one and the same category" in found.summary()


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="2 and 1 judgements were given"):
        weighted_kappa(["Low", "High"], ["Low"], LEVELS)
    with pytest.raises(UnknownNameError, match=r"'Unclear' is not a known category"):
        weighted_kappa(["Low"], ["Unclear"], LEVELS)
    with pytest.raises(UnknownNameError, match=r"'cubic' is not a known weighting\. Nearest"):
        weighted_kappa(["Low"], ["Low"], LEVELS, weights="cubic")
