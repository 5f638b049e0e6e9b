"""Sets of trials, what they conclude and what flips them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from klarsyn.bias.inclusion import (
    FAVOURS_CONTROL,
    FAVOURS_TREATED,
    UNDECIDED,
    Assessment,
    IncludableTrial,
    Inclusion,
    inclusion,
)
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.synthesis.pairwise import pool


def ratio(id: str, a: int, n: int, c: int, m: int, published: str) -> IncludableTrial:
    return IncludableTrial(
        id=id,
        y=math.log(a / n / (c / m)),
        v=1 / a - 1 / n + 1 / c - 1 / m,
        published=published,
    )


# Remission, ketamine against ECT; counts rebuilt from rounded percentages (Anand 2023,
# Ekstrand 2022).
ECT = [
    ratio("ELEKT-D", 74, 195, 37, 170, "2023-05-24"),
    ratio("KetECT", 44, 95, 57, 91, "2022-05"),
]


def one(name: str, *members: str, searched: str = "2024-01") -> Assessment:
    return Assessment(id=name, included=members, criteria="", search_date=searched)


def run(*sets: Assessment, trials: list[IncludableTrial] = ECT) -> Inclusion:
    return inclusion(
        trials, sets, measure="RR", positive_favours="treated", tau2_method="DL", test="z"
    )


def test_ect_remission_by_inclusion_set() -> None:
    found = run(one("A", "ELEKT-D"), one("B", "KetECT"))
    shown = {s.id: round(math.exp(s.estimate), 2) for s in found.sets}
    assert shown == {"A": 1.74, "B": 0.74, "all eligible": 1.13}
    both = found.set("all eligible")
    assert [round(math.exp(v), 2) for v in both.interval] == [0.49, 2.62]
    assert both.i2 is not None
    assert round(both.i2) == 93


def test_opposite_conclusions_from_one_trial_each() -> None:
    found = run(one("A", "ELEKT-D"), one("B", "KetECT"))
    assert [s.conclusion for s in found.sets] == [FAVOURS_TREATED, FAVOURS_CONTROL, UNDECIDED]


def test_one_added_trial_flips_each_one_trial_assessment() -> None:
    found = run(one("A", "ELEKT-D"))
    (flip,) = found.set("A").flips
    assert (flip.changes, flip.added, flip.removed) == (1, ("KetECT",), ())


def test_what_was_published_after_the_search_is_not_an_omission_to_explain() -> None:
    found = run(one("B", "KetECT", searched="2022-12"))
    assert [(o.trial, o.why) for o in found.set("B").omitted] == [
        ("ELEKT-D", "published after the search")
    ]
    late = run(one("A", "ELEKT-D", searched="2024"))
    assert late.set("A").omitted[0].why == "unknown"


@pytest.mark.parametrize("count", [7, 10])
def test_the_smallest_flip_is_smallest_over_all_sets(count: int) -> None:
    # Ten trials go through the compiled loops, seven one by one.
    rng = np.random.default_rng(4)
    trials = [
        IncludableTrial(id=f"t{k}", y=float(y), v=0.05, published="2020")
        for k, y in enumerate(rng.normal(0.35, 0.35, count))
    ]
    chosen = tuple(t.id for t in trials[:4])
    found = run(one("A", *chosen), trials=trials).set("A")

    def conclusion(names: tuple[str, ...]) -> str:
        some = [t for t in trials if t.id in names]
        p = pool(
            [t.y for t in some],
            [t.v for t in some],
            measure="RR",
            method="DL" if len(some) > 1 else "EE",
            test="z",
        )
        if p.ci_lower > 0:
            return FAVOURS_TREATED
        return FAVOURS_CONTROL if p.ci_upper < 0 else UNDECIDED

    start = conclusion(chosen)
    sizes = [
        len(set(s) ^ set(chosen))
        for k in range(1, count + 1)
        for s in itertools.combinations([t.id for t in trials], k)
        if conclusion(s) != start
    ]
    assert found.conclusion == start
    assert found.flips[0].changes == min(sizes)
    assert len(found.flips) == sizes.count(min(sizes))


def test_a_set_that_nothing_flips_says_so() -> None:
    sure = [IncludableTrial(id=i, y=1.0, v=0.01, published="2020") for i in ("a", "b", "c")]
    found = run(one("A", "a"), trials=sure)
    assert found.set("A").flips == ()
    assert "no set of the eligible trials concludes otherwise" in found.summary()


def test_an_unknown_trial_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Nearest: KetECT"):
        run(one("A", "KetEct"))


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="'May 2022' is not a date"):
        IncludableTrial(id="x", y=0.0, v=1.0, published="May 2022")
