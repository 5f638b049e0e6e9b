"""What must hold for every table: identities of the bias room's numerics on drawn inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.stats import guess_strata as strata
from klarsyn.stats.blinding_indices import bang, bang_score_interval, james, sbi
from klarsyn.stats.missing_outcomes import risk_with_missing
from klarsyn.stats.proportions import difference_interval, restricted_mle, score_z

ARITHMETIC = 1e-9
COUNTS = st.integers(1, 200)
MEANS = st.floats(-50, 50, allow_nan=False)
draw = settings(max_examples=60, deadline=None, derandomize=True)


def arms(total: int, share: float) -> tuple[int, int]:
    return round(share * total), total


SHARES = st.floats(0, 1, allow_nan=False)


@draw
@given(st.lists(COUNTS, min_size=6, max_size=6), st.lists(MEANS, min_size=6, max_size=6))
def test_reweighting_to_what_was_seen_changes_nothing(n: list[int], mean: list[float]) -> None:
    comp = strata.composition(n)
    at = strata.difference(strata.contrast(comp, comp.correct, comp.unknown), mean)
    raw = strata.difference(strata.raw_contrast(n), mean)
    assert at == pytest.approx(raw, abs=ARITHMETIC)


@draw
@given(st.lists(COUNTS, min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_each_arm_s_weights_sum_to_one_at_every_rate(n: list[int], correct: float) -> None:
    a = strata.contrast(strata.composition(n), correct)
    assert a[[0, 1, 4]].sum() == pytest.approx(1.0, abs=ARITHMETIC)
    assert a[[2, 3, 5]].sum() == pytest.approx(-1.0, abs=ARITHMETIC)


@draw
@given(COUNTS, SHARES, COUNTS, SHARES)
def test_a_wider_level_never_narrows_a_difference(n1: int, p1: float, n2: int, p2: float) -> None:
    cells = (*arms(n1, p1), *arms(n2, p2))
    for method in ("newcombe", "miettinen_nurminen", "mee", "agresti_caffo"):
        narrow = difference_interval(*cells, method=method, level=0.80)
        wide = difference_interval(*cells, method=method, level=0.99)
        assert wide.low <= narrow.low + ARITHMETIC
        assert wide.high >= narrow.high - ARITHMETIC
        assert -1 - ARITHMETIC <= wide.low <= wide.high <= 1 + ARITHMETIC


@draw
@given(COUNTS, SHARES, COUNTS, SHARES, st.floats(-0.95, 0.95))
def test_restricted_risks_differ_by_what_was_asked_and_the_score_has_its_sign(
    n1: int, p1: float, n2: int, p2: float, d: float
) -> None:
    cells = (*arms(n1, p1), *arms(n2, p2))
    q1, q2 = (float(q) for q in restricted_mle(*cells, d))
    assert q1 - q2 == pytest.approx(d, abs=ARITHMETIC)
    z = float(score_z(*cells, d, variance="farrington_manning"))
    gap = cells[0] / cells[1] - cells[2] / cells[3] - d
    assert z * gap >= 0


@draw
@given(st.lists(st.integers(0, 60), min_size=3, max_size=3).filter(any))
def test_bang_lies_in_its_score_interval_and_in_its_range(counts: list[int]) -> None:
    c, w, d = counts
    low, high = bang_score_interval(c, w, c + w + d, 0.95)
    assert -1 <= low <= bang(counts, [1, -1, 0]).value <= high <= 1


@draw
@given(st.lists(COUNTS, min_size=6, max_size=6))
def test_james_lies_between_right_and_unknown_and_sbi_is_the_mean_of_bangs_without_unknown(
    cells: list[int],
) -> None:
    table = np.array(cells, float).reshape(3, 2)
    assert 0 <= james(table).value <= 1
    known = table[:2]
    n = known.sum(axis=0)
    active = bang([known[0, 0], known[1, 0]], [1, -1]).value
    control = bang([known[1, 1], known[0, 1]], [1, -1]).value
    index = sbi(known[0, 0], n[0], known[0, 1], n[1], 0.95)[0]
    assert index.value == pytest.approx((active + control) / 2, abs=ARITHMETIC)


@draw
@given(COUNTS, SHARES, st.integers(0, 100), st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_higher_odds_among_the_missing_never_lowers_the_risk(
    n: int, p: float, missing: int, a: float, b: float
) -> None:
    x = round(p * n)
    low, high = (float(risk_with_missing(x, n, missing, i).value) for i in (min(a, b), max(a, b)))
    assert 0 <= low <= high + ARITHMETIC
    assert high <= 1 + ARITHMETIC
