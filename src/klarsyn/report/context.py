"""What every section needs: the base, its settings, the words and the numbers of one language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from klarsyn.evidence.trial import TOGETHER, Base, Finding
from klarsyn.figures.theme import FAINT, colours
from klarsyn.report.document import Result, anchor_of, claim
from klarsyn.report.numbers import Numbers
from klarsyn.report.settings import Settings
from klarsyn.report.words import Words, capital


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A base to be reported on in one language; `known` are its findings by id."""

    base: Base
    settings: Settings
    words: Words
    numbers: Numbers
    known: Mapping[str, Finding] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", {f.id: f for f in self.base.findings})

    @property
    def lang(self) -> str:
        """The page's language."""
        return self.words.lang

    def term(self, kind: str, name: str) -> str:
        """A name of the base's or the engine's vocabulary as a reader would say it."""
        for term in self.base.terms.get(kind, ()):
            if term.name == name:
                label = term.label_nb if self.lang == "nb" else term.label_en
                return label or name
        key = f"term.{kind}.{name}"
        return self.words.plain(key) if self.words.knows(key) else name.replace("_", " ")

    def heading(self, kind: str, name: str) -> str:
        """The same with a capital, for the head of a row."""
        return capital(self.term(kind, name))

    def option(self, name: str) -> str:
        """A statistical option as a reader would say it; its own name where there are no words."""
        key = f"choices.option.{name}"
        return self.words.plain(key) if self.words.knows(key) else name

    def palette(self) -> dict[str, str]:
        """A colour for each comparator class of the base, by its label, in the page's order."""
        made = colours(self.settings.comparators)
        return {self.comparator(c): made[c] for c in self.settings.comparators}

    def comparator(self, name: str) -> str:
        """The comparator class in words."""
        return self.term("comparator", name)

    def colour(self, comparator: str) -> str:
        """The colour of a comparator class; a pale grey for one the page does not list."""
        return colours(self.settings.comparators).get(comparator, FAINT)

    def row_claim(self, finding: Finding, text: str) -> Any:
        """A number that links to the row of the base it was read from."""
        return claim(text, anchor_of("row", finding.id))

    def result_claim(self, result: Result, text: str) -> Any:
        """A number that links to the result it was computed as."""
        return claim(text, anchor_of("result", result.id))

    def source_of(self, ids: Iterable[str]) -> str:
        """The citations behind some findings, for a hover text."""
        findings = self.known
        names = dict.fromkeys(findings[i].source for i in ids if i in findings)
        cited = [self.base.sources[n].citation for n in names if n in self.base.sources]
        return "; ".join(cited[:3]) + (" …" if len(cited) > 3 else "")

    def arm_label(self, trial_id: str, arm: str) -> str:
        """What an arm, or a contrast of two arms, is called in its trial."""
        trial = self.base.trial(trial_id)
        labels = {a.id: a.label for a in trial.arms}
        if arm in TOGETHER:
            return self.words.plain(f"page.{arm}")
        joint = self.words.plain("page.against")
        return f" {joint} ".join(labels.get(part, part) for part in arm.split("|"))
