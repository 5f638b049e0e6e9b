from __future__ import annotations

import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.report.numbers import Numbers
from klarsyn.report.words import LANGUAGES, read_words
from klarsyn.synthesis.pairwise import pool

EN, NB = Numbers("en"), Numbers("nb")


def test_norwegian_writes_a_decimal_comma_and_til() -> None:
    assert NB.with_interval(-0.62, -0.91, 0.33) == "−0,62 (−0,91 til 0,33)"
    assert EN.with_interval(-0.62, -0.91, 0.33) == "−0.62 (−0.91 to 0.33)"


def test_a_negative_value_that_rounds_to_zero_has_no_sign() -> None:
    assert EN.fixed(-0.004) == "0.00"


def test_a_small_p_is_a_bound() -> None:
    assert EN.p(0.0004) == "p\u00a0<\u00a00.001"
    assert NB.p(0.031) == "p\u00a0=\u00a00,031"


def test_a_limit_beyond_a_thousand_shows_no_false_digits() -> None:
    assert EN.with_interval(2.5, 0.0, 809165.59) == "2.50 (0.00 to >1000)"
    assert EN.interval(-5000, 3) == "<−1000 to 3.00"


def test_thousands_are_set_apart_from_ten_thousand_on() -> None:
    assert EN.whole(9999) == "9999"
    assert EN.whole(12345) == "12\u202f345"


def test_both_languages_have_the_same_sentences() -> None:
    keys = [set(read_words(lang).entries) for lang in LANGUAGES]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 100


def test_an_unknown_sentence_gets_the_nearest_keys() -> None:
    with pytest.raises(UnknownNameError, match=r"works\.title"):
        read_words("en").entry("works.titel")


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="Known: en, nb"):
        read_words("de")


def test_a_value_in_a_sentence_cannot_become_markup() -> None:
    text = read_words("en")("works.points", points="<b>", scale="x")
    assert "&lt;b&gt;" in text


def test_one_trial_is_not_some_trials() -> None:
    words = read_words("en")
    assert words.count("page.trials_count", 1) == "1 trial"
    assert words.count("page.trials_count", 0) == "0 trials"


def test_every_caution_of_a_random_effects_pooling_has_words_on_the_page() -> None:
    few = pool([0.1, 0.2, 0.15], [0.1] * 3, test="z")
    dominated = pool([0.1, 0.5, -0.4, 0.9, 0.2], [0.001, 0.1, 0.1, 0.1, 0.1])
    said = {name for p in (few, dominated) for name, _ in p.warnings} | {"sparse"}
    assert said >= {"few_studies", "normal_interval", "prediction", "dominant_study"}
    for lang in LANGUAGES:
        assert [n for n in said if not read_words(lang).knows(f"works.few.{n}")] == []


def test_every_caution_of_a_network_has_words_on_the_page() -> None:
    for lang in LANGUAGES:
        known = read_words(lang).knows
        names = ("no_tau", "few_df", "few_trials", "empty_cells")
        assert all(known(f"network.warning.{n}") for n in names)
