"""Every sentence of the page, in every language, from one catalogue."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from klarsyn.errors import InputError, unknown_name

LANGUAGES = ("en", "nb")
PERCENT = re.compile(r"(?<=\d) (?=%)")  # a number and its sign stay on one line


@dataclass(frozen=True, slots=True)
class Words:
    """The catalogue in one language."""

    lang: str
    entries: Mapping[str, str]

    def __call__(self, key: str, **values: Any) -> Any:
        """The sentence `key` with its fields filled in, as safe HTML: plain values are escaped."""
        from markupsafe import Markup

        return Markup(self.entry(key)).format(**values)

    def plain(self, key: str, **values: Any) -> str:
        """The sentence `key` as plain text, for figures, alt texts and the terminal."""
        return self.entry(key).format(**values)

    def count(self, key: str, number: int | str) -> str:
        """A number with its noun: the entry `key.one` for one, `key.many` otherwise."""
        return self.plain(f"{key}.one" if str(number) == "1" else f"{key}.many", n=number)

    def entry(self, key: str) -> str:
        """The raw template; raises UnknownNameError with the nearest keys."""
        if key not in self.entries:
            raise unknown_name("sentence", key, self.entries)
        return self.entries[key]

    def knows(self, key: str) -> bool:
        """Whether the catalogue has that sentence."""
        return key in self.entries


def capital(text: str) -> str:
    """The text with a capital letter first, the rest as it is."""
    return text[:1].upper() + text[1:]


def read_words(lang: str) -> Words:
    """The catalogue of one language; raises UnknownNameError for another language."""
    if lang not in LANGUAGES:
        raise unknown_name("language", lang, LANGUAGES)
    return Words(lang, {key: both[lang] for key, both in _catalogue().items()})


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    folder = resources.files("klarsyn.report") / "catalogue"
    entries: dict[str, dict[str, str]] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            flat = _flat(tomllib.loads(file.read_text(encoding="utf-8")), "")
            for key in flat.keys() & entries.keys():
                raise InputError(f"The sentence {key!r} stands twice in the catalogue.")
            entries |= flat
    return entries


def _flat(node: Mapping[str, Any], prefix: str) -> dict[str, dict[str, str]]:
    if set(node) == set(LANGUAGES) and all(isinstance(v, str) for v in node.values()):
        _check_fields(prefix, node)
        return {prefix: {lang: PERCENT.sub("\u00a0", text) for lang, text in node.items()}}
    out: dict[str, dict[str, str]] = {}
    for name, child in node.items():
        if not isinstance(child, Mapping):
            raise InputError(f"The sentence {prefix!r} needs exactly {' and '.join(LANGUAGES)}.")
        out |= _flat(child, f"{prefix}.{name}" if prefix else name)
    return out


def _check_fields(key: str, both: Mapping[str, str]) -> None:
    fields = [{f for _, f, _, _ in string.Formatter().parse(t) if f} for t in both.values()]
    if any(f != fields[0] for f in fields):
        raise InputError(f"The sentence {key!r} has other fields in one language than the other.")
