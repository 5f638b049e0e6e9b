"""A number together with where it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from klarsyn.errors import unknown_name

T = TypeVar("T")

KINDS = ("reported", "derived", "digitised", "assumed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A public text or data set; `doi` is the citation, `url` may be a mirror."""

    id: str
    citation: str
    doi: str = ""
    url: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced(Generic[T]):
    """A value with its unit, source, locator and kind.

    `kind` is `reported` (printed in the source), `derived` (computed from reported values; `note`
    names the formula), `digitised` (read off a figure) or `assumed` (nobody reported it).
    """

    value: T
    unit: str
    source: str
    locator: str
    kind: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of value", self.kind, KINDS)
