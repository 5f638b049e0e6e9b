"""Readings that stay together, tipping belief effects and control-arm benchmarks."""

from __future__ import annotations

import json

import pytest

from klarsyn.bias.belief import (
    BeliefEvidence,
    belief_difference,
    belief_evidence,
    control_benchmark,
    control_share,
    tipping,
)
from klarsyn.bias.expectancy import GuessStratum, read_guesses
from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.stats.blinding_indices import bang, sbi
from klarsyn.stats.estimate import Estimate

ARITHMETIC = 1e-10
CELLS = [
    ("active", "active", 48, 19.5625, 9.6),
    ("active", "control", 43, 12.325581, 10.5),
    ("control", "active", 39, 18.358974, 9.9),
    ("control", "control", 102, 10.931373, 10.9),
]


def groups(cells: list[tuple[str, str, int, float, float]] = CELLS) -> list[GuessStratum]:
    return [GuessStratum(received=r, guessed=g, n=n, mean=m, sd=s) for r, g, n, m, s in cells]


def read(se_method: str = "fixed", **more: int) -> object:
    return read_guesses(groups(), timing="after_outcome", se_method=se_method, **more)  # pyright: ignore[reportArgumentType]


def test_the_adjusted_difference_cannot_be_printed_alone() -> None:
    readings = read_guesses(groups(), timing="unknown", se_method="fixed").readings
    for text in (str(readings), repr(readings), f"{readings}"):
        assert "raw 3.16" in text
        assert "at half right guesses 1.08" in text
        assert "benign" in text
    with pytest.raises(TypeError, match="printed together"):
        format(readings, ".2f")
    assert not any(hasattr(readings, n) for n in ("adjusted", "at_half", "raw", "value"))


def test_the_summary_holds_raw_adjusted_curve_and_caveat() -> None:
    text = read_guesses(groups(), timing="after_outcome", se_method="sampled").summary()
    for part in ("raw", "half right", "benign", "only if no trait", "cannot separate"):
        assert part in text


def test_all_benign_is_the_raw_difference_and_none_the_adjusted() -> None:
    raw, adjusted, curve = read_guesses(
        groups(), timing="after_outcome", se_method="fixed", rhos=(0.0, 0.5, 1.0)
    ).readings
    assert curve[0].value == pytest.approx(adjusted.value, abs=ARITHMETIC)
    assert curve[-1].value == pytest.approx(raw.value, abs=ARITHMETIC)
    assert curve[1].value == pytest.approx((raw.value + adjusted.value) / 2, abs=ARITHMETIC)


def test_within_guess_contrasts_by_hand() -> None:
    found = read_guesses(groups(), timing="unknown", se_method="fixed")
    assert found.within_guess["active"].value == pytest.approx(19.5625 - 18.358974)
    assert found.within_guess["control"].value == pytest.approx(12.325581 - 10.931373)
    assert found.interaction is not None
    assert found.interaction.value == pytest.approx(
        found.within_guess["active"].value - found.within_guess["control"].value
    )


def test_draws_need_a_seed_and_give_the_same_twice() -> None:
    with pytest.raises(InputError, match="A seed belongs"):
        read("dirichlet")
    first, second = (
        read_guesses(groups(), timing="unknown", se_method="dirichlet", seed=4).to_dict()
        for _ in range(2)
    )
    assert json.dumps(first) == json.dumps(second)


def test_an_empty_stratum_is_not_estimable_and_named() -> None:
    with pytest.raises(NumericalError, match="PLAC"):
        read_guesses(
            groups([c for c in CELLS if c[:2] != ("control", "active")]),
            timing="unknown",
            se_method="fixed",
        )


def test_an_unknown_timing_names_the_known() -> None:
    with pytest.raises(UnknownNameError, match="before_outcome"):
        read_guesses(groups(), timing="later", se_method="fixed")


def test_the_difference_in_belief_from_bang_is_the_sbi() -> None:
    active, control = bang([9, 5, 5], [1, -1, 0]), bang([5, 8, 6], [1, -1, 0])
    got = belief_difference(active.value, control.value, 5 / 19, 6 / 19)
    assert got == pytest.approx(sbi(9, 19, 8, 19, 0.95)[0].value, abs=ARITHMETIC)


def effect() -> Estimate:
    return Estimate(value=-6.0, se=1.5, method="")


def test_the_tipping_belief_effect_by_hand() -> None:
    found = tipping(effect(), belief_difference=0.6, belief_interval=(0.4, 0.8), threshold=0.0)
    assert found.at_estimate == pytest.approx(-10.0)
    limit = -6.0 + 1.959963984540054 * 1.5
    assert found.at_limit == pytest.approx(limit / 0.6)
    assert found.at_limit_range == pytest.approx((limit / 0.4, limit / 0.8))
    assert not found.fallen


def test_no_difference_in_belief_cannot_tip_anything() -> None:
    found = tipping(effect(), belief_difference=0.0, belief_interval=(-0.1, 0.1), threshold=0.0)
    assert found.at_limit is None
    assert found.at_limit_range is None
    assert "no belief effect" in found.summary()


def test_an_interval_that_holds_the_threshold_has_fallen_already() -> None:
    found = tipping(
        Estimate(value=-2.0, se=1.5, method=""),
        belief_difference=0.5,
        belief_interval=(0.3, 0.6),
        threshold=0.0,
    )
    assert found.fallen


def test_evidence_stands_beside_the_tipping_point() -> None:
    lii = BeliefEvidence(
        label="Lii 2023", value=-7.5, low=-11.4, high=-3.6, source="OSF ZDKR8", caution="n = 27"
    )
    found = tipping(
        effect(),
        belief_difference=0.6,
        belief_interval=(0.4, 0.8),
        threshold=0.0,
        evidence=[lii],
    )
    assert "Lii 2023: belief effect -7.50 (-11.40 to -3.60); n = 27" in found.summary()


def test_an_impossible_bang_index_is_refused() -> None:
    with pytest.raises(InputError, match="impossible with 50% don't-knows"):
        belief_difference(0.8, 0.1, 0.5, 0.0)


def test_the_control_benchmark_by_hand() -> None:
    found = control_benchmark(
        Estimate(value=0.5, se=0.1, method=""),
        reference_class="SSRI trials",
        reference_mean=Estimate(value=1.0, se=0.05, method=""),
        reference_tau2=0.02,
        standardised_by="baseline SD",
        active=Estimate(value=1.21, se=0.12, method=""),
    )
    assert found.z == pytest.approx(-0.5 / (0.02 + 0.0025 + 0.01) ** 0.5)
    # Hieronymus 2025: 1.21 − 1.00 = 0.21 with an SSRI trial's control.
    assert found.contrast_if_reference is not None
    assert found.contrast_if_reference.value == pytest.approx(0.21)


def test_the_placebo_share_of_matsingos() -> None:
    assert round(100 * control_share(-1.85, -2.57)) == 72


def test_the_belief_effect_of_a_trial_is_weighted_over_its_arms() -> None:
    found = belief_evidence(groups(), label="microdose", source="", caution="guess after outcome")
    w1, w2 = 48 * 43 / 91, 39 * 102 / 141
    expected = (w1 * (19.5625 - 12.325581) + w2 * (18.358974 - 10.931373)) / (w1 + w2)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_a_stratum_of_one_has_no_error() -> None:
    cells = [*CELLS[:3], ("control", "control", 1, 10.0, 0.0)]
    with pytest.raises(NumericalError, match="PLPL has one patient"):
        read_guesses(groups(cells), timing="unknown", se_method="sampled")
