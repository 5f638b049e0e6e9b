"""Cumulative pooling against boundaries: identities, what each conclusion needs, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.stats.estimate import Z_95
from klarsyn.stats.sequential import boundaries
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.sequential import sequential_analysis

Y = [-0.9, -0.3, -0.5, -0.4, -0.35]
V = [0.08, 0.05, 0.03, 0.02, 0.015]
N = [60, 90, 150, 210, 330]
EFFECTS = effects_from_arrays(Y, V, study=list("ABCDE"))
SAME = 1e-9


def test_each_look_is_the_pool_so_far_against_its_boundary() -> None:
    found = sequential_analysis(EFFECTS, N, size=785, diversity_share=0.2)
    assert found.required == pytest.approx(785 / 0.8)
    fractions = np.cumsum(N) / found.required
    assert [k.boundary for k in found.looks] == pytest.approx(boundaries(fractions.tolist()))
    for i, look in enumerate(found.looks, start=1):
        so_far = pool(Y[:i], V[:i], method="DL", test="z")
        assert look.z == pytest.approx(so_far.estimate / so_far.se, abs=SAME)
        assert look.crossed == (abs(look.z) >= look.boundary)


def test_an_ordinary_p_below_five_per_cent_is_not_enough_early() -> None:
    found = sequential_analysis(EFFECTS.take([0]), [60], size=785)
    (look,) = found.looks
    assert abs(look.z) > Z_95
    assert not look.crossed
    assert found.conclusion == "too little information"
    assert "undecided" in found.summary()
    assert found.interval is not None
    assert found.interval[1] > 0  # wide enough for what one early look may say


def test_one_look_at_the_required_size_is_an_ordinary_interval() -> None:
    found = sequential_analysis(EFFECTS.take([4]), [330], size=330)
    y, se = Y[4], V[4] ** 0.5
    assert found.interval == pytest.approx((y - Z_95 * se, y + Z_95 * se), abs=SAME)
    assert found.conclusion == "boundary crossed"


def test_enough_without_an_effect_says_so() -> None:
    none = effects_from_arrays([0.02, -0.03], [0.01, 0.01])
    found = sequential_analysis(none, [300, 300], size=500)
    assert found.conclusion == "information reached"
    assert "no boundary was crossed" in found.summary()


def test_the_order_decides_the_looks_not_the_last_estimate() -> None:
    given = sequential_analysis(EFFECTS, N, size=785)
    turned = sequential_analysis(EFFECTS, N, size=785, order=[5, 4, 3, 2, 1])
    assert [k.study for k in turned.looks] == list("EDCBA")
    assert turned.looks[-1].estimate == pytest.approx(given.looks[-1].estimate, abs=SAME)
    assert turned.looks[0].participants == 330


def test_heterogeneity_asks_for_more() -> None:
    apart = effects_from_arrays([-1.0, 0.2, -0.8, 0.1], [0.02] * 4)
    found = sequential_analysis(apart, [100] * 4, size=400)
    assert found.diversity > 0.5
    assert found.required > 800


def test_the_dictionary_is_json_and_the_picture_draws() -> None:
    found = sequential_analysis(EFFECTS, [5, 5, 150, 210, 330], size=10_000)
    assert found.looks[0].boundary is None  # nothing may be spent so early
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["looks"][0]["boundary"] is None
    assert found.plot().to_dict()["layer"]


@pytest.mark.parametrize(
    ("people", "size", "match"),
    [
        ([1, 2], 785, "2 numbers of participants for 5 studies"),
        ([60, 0, 150, 210, 330], 785, "B: participants must be above 0; got 0"),
        ([60, float("nan"), 150, 210, 330], 785, "B: participants must be above 0; got nan"),
        (N, 0, "information size must be above 0"),
    ],
)
def test_impossible_numbers_are_named(people, size, match: str) -> None:
    with pytest.raises(InputError, match=match):
        sequential_analysis(EFFECTS, people, size=size)
