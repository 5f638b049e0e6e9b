"""What a page is made of before anyone decides how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A number the program computed: what, how and from which rows of the base.

    `value` is what is printed, in full precision; `inputs` are ids of findings (or of other
    results); `digest` changes when any input changes.
    """

    id: str
    value: Mapping[str, Any]
    method: str
    inputs: tuple[str, ...]
    digest: str
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture with what it shows in words; `wide` and `narrow` are Vega-Lite specifications."""

    id: str
    title: str
    alt: str
    wide: Mapping[str, Any]
    narrow: Mapping[str, Any]
    caption: Any = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBlock:
    """A table with a header; cells are text or safe HTML. The first column names the row.

    `lead` says the answer between title and table; a table without rows is its lead alone.
    A `folded` one shows its title until the reader opens it.
    On a phone a row that `stacks` becomes a list of its cells; the others scroll sideways.
    """

    id: str
    title: str
    header: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    lead: Any = ""
    caption: Any = ""
    numeric: Sequence[int] = ()
    folded: bool = False
    stacks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Paragraphs of safe HTML; `tone` is `plain`, `finding` (the answer) or `caution`."""

    paragraphs: Sequence[Any]
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One question and what answers it, figure first."""

    id: str
    title: str
    blocks: Sequence[Figure | TableBlock | Prose]
    results: Sequence[Result] = ()
    findings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of the contents: a section, and the sections that stand behind its answer."""

    first: Section
    behind: Sequence[Section] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole page: its sections, and the rows and sources that its numbers point at.

    `contents` groups the same sections as a reader looks for them, in the same order.
    """

    lang: str
    title: str
    subtitle: str
    summary: Sequence[Any]
    sections: Sequence[Section]
    contents: Sequence[Part]
    rows: Sequence[Mapping[str, Any]]
    sources: Sequence[Mapping[str, str]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def results(self) -> tuple[Result, ...]:
        """All results of all sections, in the order of the page."""
        return tuple(r for s in self.sections for r in s.results)

    def figures(self) -> tuple[Figure, ...]:
        """All figures, in the order of the page."""
        return tuple(b for s in self.sections for b in s.blocks if isinstance(b, Figure))


def unique(results: Iterable[Result]) -> list[Result]:
    """Each result once, the last of those with one id."""
    return list({r.id: r for r in results}.values())


def spoken(rows: Iterable[Any], *, headings: bool = False) -> list[str]:
    """What the rows of a figure say in its alt text: label and numbers, and headings if asked."""
    return [
        f"{r.label}: {r.numbers}." if r.numbers else f"{r.label}."
        for r in rows
        if r.numbers or headings
    ]


def claim(text: str, anchor: str) -> Markup:
    """A number in a sentence that links to the row or result it stands on."""
    return Markup('<a class="n" href="#{}">{}</a>').format(anchor, text)


def written(text: str, lang: str) -> Any:
    """Words of the base, which are English, marked as such on a page in another language."""
    if lang == "en" or not text:
        return escape(text)
    return Markup('<span lang="en">{}</span>').format(text)


def anchor_of(kind: str, name: str) -> str:
    """The place on the page of a finding (`row`), a result (`result`) or a source (`source`)."""
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    return f"{kind}-{safe}"


def paragraphs(*texts: Any) -> tuple[Any, ...]:
    """The non-empty texts, escaped unless they are safe HTML already."""
    return tuple(escape(t) for t in texts if t)
