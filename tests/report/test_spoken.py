"""A simulation's own words in the language of the page: regimens, names and notes."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.report.spoken import spoken_name, spoken_regimen, spoken_sentence

REGIMENS = {
    "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks": (
        "0,5 mg/kg base i.v. over 40 min, to ganger i uken i 3 uker"
    ),
    "28 mg base nasal; 56 mg base nasal on days 3, 7, 10": (
        "28 mg base nasalt, én gang; 56 mg base nasalt, på dag 3, 7, 10"
    ),
    "1 mg/kg hydrochloride oral every 12 h for 4 doses": (
        "1 mg/kg hydroklorid peroralt, hver 12. time, 4 doser"
    ),
    "84 mg base nasal in 3 portions 5 min apart": (
        "84 mg base i 3 porsjoner med 5 min mellom nasalt, én gang"
    ),
    "1 mg/kg base iv until MADRS below 12, checked every 3 days, at most 8 doses": (
        "1 mg/kg base i.v., til MADRS er under 12, målt hver 72. time, høyst 8 doser"
    ),
}


@pytest.mark.parametrize("words", REGIMENS)
def test_a_regimen_is_printed_in_norwegian(words: str) -> None:
    printed = str(parse_regimen(words))
    assert spoken_regimen(printed, "nb") == REGIMENS[words]
    assert spoken_regimen(printed, "en") == printed


def test_names_are_norwegian_also_with_a_form_before_them() -> None:
    assert spoken_name("S-hydroxynorketamine", "nb") == "S-hydroksynorketamin"
    assert spoken_name("S-hydroxynorketamine", "en") == "S-hydroxynorketamine"


def test_every_note_of_a_shipped_model_has_a_translation() -> None:
    models = resources.files("klarsyn.pharmacology.library") / "models"
    notes = [
        note
        for file in models.iterdir()
        if file.name.endswith(".toml")
        for note in tomllib.loads(file.read_text(encoding="utf-8")).get("notes", ())
    ]
    assert len(notes) > 20
    assert [n for n in notes if 'lang="en"' in spoken_sentence(n, "nb")] == []


def test_what_changes_in_a_note_is_kept_with_the_decimal_sign_of_the_language() -> None:
    note = "The peak of 393.5 ng/mL lies above 200 ng/mL, where dissociation was seen to be linear."
    told = spoken_sentence(note, "nb")
    assert re.findall(r"\d+(?:,\d+)?", told) == ["393,5", "200"]
    assert spoken_sentence(note, "en") == note


def test_a_note_without_translation_is_marked_as_english_and_escaped() -> None:
    assert spoken_sentence("My own <model>.", "nb") == (
        '<span lang="en">My own &lt;model&gt;.</span>'
    )


def test_every_translation_keeps_the_fields_of_what_it_translates() -> None:
    file = resources.files("klarsyn.pharmacology.library") / "norwegian.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    both = [pair for part in ("regimen", "sentences") for pair in table[part].items()]
    kept = [
        (a, b) for a, b in both if set(re.findall(r"\{\w+\}", a)) >= set(re.findall(r"\{\w+\}", b))
    ]
    assert kept == both
