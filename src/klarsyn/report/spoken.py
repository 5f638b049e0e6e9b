"""What the pharmacology says in English, said in the language of the page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

FILES = {"nb": "norwegian.toml"}
POINT = re.compile(r"(?<=\d)\.(?=\d)")


def spoken_name(name: str, lang: str) -> str:
    """The name of an analyte, a form or a salt; as it is where the library has no other."""
    for ours, theirs in _table(lang, "names").items():
        name = name.replace(ours, theirs)
    return name


def spoken_regimen(regimen: str, lang: str) -> str:
    """A regimen as `Regimen` prints it, phrase by phrase, with the language's decimal sign."""
    if lang not in FILES:
        return regimen
    for pattern, words in _phrases(lang):
        regimen = pattern.sub(words, regimen)
    return spoken_name(POINT.sub(",", regimen), lang)


def spoken_sentence(sentence: str, lang: str) -> Markup:
    """A note or a method as safe HTML; marked as English where the library has no translation."""
    told = sentence if lang not in FILES else _told(sentence, lang)
    return (
        Markup.escape(told)
        if told is not None
        else Markup('<span lang="en">{}</span>').format(sentence)
    )


def _told(sentence: str, lang: str) -> str | None:
    """The sentence itself, or its parts between semicolons; None where one is not known."""
    for pattern, words in _sentences(lang):
        found = pattern.fullmatch(sentence)
        if found:
            values = {k: _told(v, lang) or _value(v) for k, v in found.groupdict().items()}
            return words.format(**values)
    parts = [_told(part, lang) for part in sentence.split("; ")] if "; " in sentence else [None]
    known = [part for part in parts if part is not None]
    return "; ".join(known) if len(known) == len(parts) else None


def _value(text: str) -> str:
    return POINT.sub(",", text)


@cache
def _sentences(lang: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    table = _table(lang, "sentences")
    return tuple((re.compile(_fields(english, ".+?")), words) for english, words in table.items())


@cache
def _phrases(lang: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each phrase of a regimen as a pattern with what stands for it."""
    return tuple(
        (
            re.compile(rf"(?<![\w.]){_fields(english, '[^ ,;]+')}(?!\w)"),
            re.sub(r"\{(\w+)\}", r"\\g<\1>", words),
        )
        for english, words in _table(lang, "regimen").items()
    )


def _fields(template: str, one: str) -> str:
    """A pattern of the template: its words as they are, its fields as `one`."""
    pieces = re.split(r"\{(\w+)\}", template)
    return "".join(
        f"(?P<{piece}>{one})" if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )


def _table(lang: str, name: str) -> Mapping[str, str]:
    return _file(lang)[name] if lang in FILES else {}


@cache
def _file(lang: str) -> dict[str, Any]:
    place = resources.files("klarsyn.pharmacology.library") / FILES[lang]
    return tomllib.loads(place.read_text(encoding="utf-8"))
