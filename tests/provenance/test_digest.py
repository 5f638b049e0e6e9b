"""A digest names content: equal content has one, a change of any part another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.provenance import Sourced, digest_of, stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    first: float
    second: str


def test_a_digest_is_sixteen_hex_digits_and_the_same_on_every_run() -> None:
    """Written down once: another number means that every digest of every result has changed."""
    assert digest_of("a", 1, [0.1, None]) == "5dc368c69f2236dc"


def test_the_order_of_a_mapping_or_a_set_does_not_matter_and_that_of_a_list_does() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of(frozenset({"x", "y"})) == digest_of(frozenset({"y", "x"}))
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_parts_do_not_run_together() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of(b"ab", b"c") != digest_of(b"a", b"bc")


def test_the_last_bit_of_a_number_counts() -> None:
    assert digest_of(0.1) != digest_of(np.nextafter(0.1, 1))


def test_arrays_and_records_enter_by_what_they_hold() -> None:
    assert digest_of(np.array([1.0, 2.0])) == digest_of([1.0, 2.0])
    assert digest_of(Pair(first=1.0, second="x")) == digest_of({"first": 1.0, "second": "x"})
    assert digest_of(Pair(first=1.0, second="x")) != digest_of(Pair(first=1.0, second="y"))


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no canonical form"):
        digest_of(object())


def test_a_sourced_value_is_of_a_known_kind() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: reported"):
        Sourced(value=1.0, unit="mg", source="s", locator="p. 1", kind="reportd")


def test_a_stream_depends_on_seed_purpose_and_key_alone() -> None:
    def drawn(*of: object) -> float:
        return float(stream(*of).normal())  # type: ignore[arg-type]

    assert drawn(1, "dropout", 3, 7) == drawn(1, "dropout", 3, 7)
    others = [(2, "dropout", 3, 7), (1, "arrival", 3, 7), (1, "dropout", 7, 3), (1, "dropout", 37)]
    assert drawn(1, "dropout", 3, 7) not in [drawn(*o) for o in others]
