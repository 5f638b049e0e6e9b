"""Numbers of the dynamics as data: each with unit, source, locator and kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.substance import read_data, read_sources
from klarsyn.provenance import Source, Sourced

FOLDER = "dynamics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """One library file: its numbers by name, its sources, and everything else it holds."""

    id: str
    numbers: Mapping[str, Sourced[float]]
    sources: Mapping[str, Source]
    rest: Mapping[str, Any]

    def __getitem__(self, name: str) -> float:
        if name not in self.numbers:
            raise unknown_name("number", name, self.numbers, self.id)
        return self.numbers[name].value

    def to_rows(self) -> list[dict[str, Any]]:
        """One plain row a number, for a table of sources."""
        return [
            {
                "file": self.id,
                "name": name,
                "value": n.value,
                "unit": n.unit,
                "kind": n.kind,
                "citation": self.sources[n.source].citation,
                "locator": n.locator,
                "note": n.note,
            }
            for name, n in self.numbers.items()
        ]


def needing(constants: Constants, purpose: str, keys: tuple[str, ...]) -> Constants:
    """The same file, once it holds the tables that a purpose needs.

    Raises InputError naming what is missing.
    """
    missing = [k for k in keys if k not in constants.rest]
    if missing:
        raise InputError(
            f"{constants.id} cannot serve as {purpose}: it has no {', '.join(missing)}. "
            f"Name a file that has."
        )
    return constants


def dynamics_files() -> tuple[str, ...]:
    """The names of the shipped files of numbers."""
    place = resources.files("klarsyn.pharmacology") / "library" / FOLDER
    return tuple(sorted(p.name[:-5] for p in place.iterdir() if p.name.endswith(".toml")))


def read_constants(name: str) -> Constants:
    """Read a shipped file of numbers by name, or a user's own by its path ending in .toml.

    Raises InputError naming the file and what is missing or wrong in it.
    """
    data, where = read_data(name, FOLDER, "file of numbers", dynamics_files())
    sources = read_sources(data)
    numbers = {k: sourced(v, sources, f"{where}, {k}") for k, v in data.get("numbers", {}).items()}
    return Constants(id=data.get("id", where), numbers=numbers, sources=sources, rest=data)


def sourced(value: Mapping[str, Any], sources: Mapping[str, Source], where: str) -> Sourced[float]:
    """One number of a library file; its source must be in the file's list."""
    try:
        number = Sourced(
            value=float(value["value"]),
            unit=value["unit"],
            source=value["source"],
            locator=value["locator"],
            kind=value["kind"],
            note=value.get("note", ""),
        )
    except KeyError as missing:
        raise InputError(f"{where}: the key {missing} is missing.") from None
    if number.source not in sources:
        raise unknown_name("source", number.source, sources, where)
    return number
