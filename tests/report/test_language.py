"""The Norwegian page is Norwegian: no sentence of the catalogue and no label stays English."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from klarsyn.errors import InputError
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Figure, Prose, Report, TableBlock
from klarsyn.report.labels import in_language
from klarsyn.report.words import read_words

# English function words that Norwegian lacks; «for», «at», «by», «under» and «over» are in both.
ENGLISH = frozenset(
    re.findall(
        r"\w+",
        """the of and with was were than which that this from are not each into against only who
        after before what how does would cannot their there been have has""",
    )
)
# Nor can these stand in an English sentence.
NORWEGIAN = frozenset(
    re.findall(r"\w+", "og ikke som er på av til med den det enn eller mot ble uten hvor")
)
# What stays as it is: names of methods, scales, trials and places.
SAME = 0.12  # share of entries that may read alike in both languages (numbers, names, axes)


def words_of(text: str) -> set[str]:
    """The words of a text in the page's language: what is marked as another one is not."""
    own = re.sub(r'<span lang="en">.*?</span>', " ", text)
    bare = html.unescape(re.sub(r"<[^>]+>|\{[^}]*\}|trim and fill", " ", own, flags=re.I))
    return set(re.findall(r"[a-zæøå]+", bare.lower()))


@pytest.fixture(scope="module", params=["ketamine_depression", "mdma_ptsd"])
def norwegian(request: pytest.FixtureRequest) -> Report:
    report, _ = build_report(open_base(request.param), "nb")
    return report


def test_no_norwegian_entry_of_the_catalogue_is_an_english_sentence() -> None:
    entries = read_words("nb").entries
    assert {k: v for k, v in entries.items() if words_of(v) & ENGLISH} == {}


def test_no_english_entry_of_the_catalogue_is_a_norwegian_sentence() -> None:
    entries = read_words("en").entries
    assert {k: v for k, v in entries.items() if words_of(v) & NORWEGIAN} == {}


def test_few_entries_read_alike_in_both_languages() -> None:
    en, nb = read_words("en").entries, read_words("nb").entries
    long = [k for k in en if len(words_of(en[k])) >= 4]
    assert [k for k in long if en[k] == nb[k]] == []
    assert sum(en[k] == nb[k] for k in en) / len(en) < SAME


def sentences(report: Report) -> Iterator[str]:
    for card in report.summary:
        yield from (card["question"], str(card["answer"]))
    for section in report.sections:
        yield section.title
        for block in section.blocks:
            if isinstance(block, Prose):
                yield from map(str, block.paragraphs)
            elif isinstance(block, TableBlock):
                yield from (block.title, str(block.caption), *map(str, block.header))
                yield from (str(cell) for row in block.rows for cell in row)
            else:
                yield from (block.title, block.alt, str(block.caption))


def test_the_norwegian_page_holds_no_english_sentence(norwegian: Report) -> None:
    assert [s for s in sentences(norwegian) if words_of(s) & ENGLISH] == []


def drawn(node: Any, key: str = "") -> Iterator[str]:
    """What a figure writes: titles and the labels in its rows, not its links or sources."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from drawn(child, name)
    elif isinstance(node, list):
        for child in node:
            yield from drawn(child, key)
    elif isinstance(node, str) and key in WRITTEN:
        yield node


WRITTEN = {
    "title", "text", "label", "name", "trial", "item", "state", "panel", "group", "kind",
    "treatment", "comparison", "assumption", "row", "study", "p",
}  # fmt: skip


def test_the_figures_of_the_norwegian_page_are_labelled_in_norwegian(norwegian: Report) -> None:
    figures = [b for s in norwegian.sections for b in s.blocks if isinstance(b, Figure)]
    found = {
        text
        for f in figures
        for spec in (f.wide, f.narrow)
        for text in drawn(json.loads(json.dumps(spec, default=str)))
        if words_of(text) & ENGLISH
    }
    assert len(figures) >= 8
    assert found == set()


def test_a_translated_base_changes_nothing_but_names() -> None:
    base = open_base("ketamine_depression")
    named = in_language(base, "nb")
    assert in_language(base, "en") is base
    assert [t.id for t in named.trials] == [t.id for t in base.trials]
    assert named.findings == base.findings
    assert named.trial("lii_2023").label == "Lii 2023 (blindet med anestesi)"


def test_translations_of_another_form_are_one_sentence() -> None:
    from dataclasses import replace

    base = replace(open_base("mdma_ptsd"), settings={"names": {"nb": ["x"]}})
    with pytest.raises(InputError, match=r"\[names\.nb\] in appraisal\.toml must map labels"):
        in_language(base, "nb")
