from __future__ import annotations

import numpy as np
import pytest

from klarsyn.provenance import normals, uniforms
from klarsyn.provenance.seeds import _philox

PUBLISHED = [  # Random123 1.14, kat_vectors, philox4x32 with 10 rounds
    ([0, 0, 0, 0], (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    (
        [0xFFFFFFFF] * 4,
        (0xFFFFFFFF, 0xFFFFFFFF),
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
MANY = 200_000
FOUR_SE = 4 / np.sqrt(MANY)  # Monte Carlo error of a mean of unit variance


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_the_generator_gives_its_published_numbers(counter, key, expected) -> None:
    words = _philox([np.array([w], dtype=np.uint64) for w in counter], *key)
    assert [int(w[0]) for w in words] == expected


def test_a_subject_has_the_same_draws_in_any_chunk_and_order() -> None:
    whole = normals(5, "effect", np.arange(1000), 3)
    assert np.array_equal(whole[700:710], normals(5, "effect", np.arange(700, 710), 3))
    order = np.random.default_rng(1).permutation(1000)
    assert np.array_equal(whole[order], normals(5, "effect", order, 3))


def test_more_draws_begin_with_the_fewer() -> None:
    few, many = uniforms(1, "x", np.arange(9), 3), uniforms(1, "x", np.arange(9), 8)
    assert np.array_equal(few, many[:, :3])


def test_seed_purpose_and_occasion_each_give_other_numbers() -> None:
    who = np.arange(50)
    base = uniforms(1, "a", who)
    others = (uniforms(2, "a", who), uniforms(1, "b", who), uniforms(1, "a", who, 1, 1))
    assert not any(np.any(base == other) for other in others)


def test_normals_have_mean_zero_variance_one_and_no_correlation() -> None:
    z = normals(3, "moments", np.arange(MANY), 2)
    assert abs(z.mean()) < FOUR_SE
    assert abs((z**2).mean() - 1) < FOUR_SE * np.sqrt(2)
    assert abs((z[:, 0] * z[:, 1]).mean()) < FOUR_SE


def test_uniforms_never_touch_zero_or_one() -> None:
    u = uniforms(1, "edge", np.arange(MANY))
    assert u.min() > 0
    assert u.max() < 1
