"""Who left during treatment: reference-based and delta-adjusted readings of printed summaries."""

from __future__ import annotations

from functools import cache

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Report, TableBlock

EXACT = 1e-12
BASES = ("ketamine_depression", "mdma_ptsd")


@cache
def page(base: str, lang: str = "en") -> Report:
    return build_report(open_base(base), lang)[0]


def dropouts(base: str) -> dict[str, dict]:
    section = next(s for s in page(base).sections if s.id == "left")
    return {r.id: dict(r.value) for r in section.results if r.id.startswith("left.dropouts.")}


@pytest.mark.parametrize("base", BASES)
def test_the_jump_is_the_difference_times_the_share_seen(base: str) -> None:
    found = {k: v for k, v in dropouts(base).items() if "pooled" not in k}
    assert len(found) >= 2
    for v in found.values():
        share = v["seen"][0] / v["began"][0]
        assert v["jump_to_reference"] == pytest.approx(share * v["difference"], rel=EXACT)


@pytest.mark.parametrize("base", BASES)
def test_losing_what_the_drug_gave_cannot_help_the_drug(base: str) -> None:
    pooled = {k.rsplit("_", 1)[1]: v for k, v in dropouts(base).items() if "pooled" in k}
    assert abs(pooled["jump"]["estimate"]) <= abs(pooled["seen"]["estimate"])


def test_janik_prints_how_many_of_those_who_began_were_seen() -> None:
    """Janik 2025: 121 began esketamine 84 mg and 89 were scored on day 28; 250 and 185 placebo."""
    found = dropouts("ketamine_depression")["left.dropouts.end.janik_2025"]
    assert (found["began"], found["seen"]) == ([121, 250], [89, 185])
    assert found["tipping_delta"] > 1.0


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_table_has_a_row_for_each_trial_and_says_what_is_missing(lang: str) -> None:
    section = next(s for s in page("ketamine_depression", lang).sections if s.id == "left")
    table = next(b for b in section.blocks if isinstance(b, TableBlock) and b.id == "dropouts")
    assert len(table.rows) == len(dropouts("ketamine_depression")) - 2
    assert all(len(r) == len(table.header) for r in table.rows)
    wanted = {"en": "at every visit the mean", "nb": "ved hver visitt gjennomsnitt"}[lang]
    assert any(wanted in str(p) for b in section.blocks for p in getattr(b, "paragraphs", ()))


def test_a_loss_larger_than_the_scale_is_called_impossible() -> None:
    """CAPS-5 runs from 0 to 80: no patient of the second base can end 114 points worse."""
    section = next(s for s in page("mdma_ptsd").sections if s.id == "left")
    table = next(b for b in section.blocks if isinstance(b, TableBlock) and b.id == "dropouts")
    told = {row[0]: str(row[-1]) for row in table.rows}
    assert "impossible" in told["Mitchell 2023"]
    assert "impossible" not in told["Mitchell 2021"]


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_where_superiority_is_lost_says_what_became_of_the_other_refusals(lang: str) -> None:
    """20 of 33 lose it if none of the 5 responds; with 2.3 of 5 it stands at 20.7 of 33."""
    section = next(s for s in page("ketamine_depression", lang).sections if s.id == "left")
    said = " ".join(str(p) for b in section.blocks for p in getattr(b, "paragraphs", ()))
    wanted = {
        "en": ("If nobody who refused ketamine IV had responded, superiority is lost from",),
        "nb": ("Hvis ingen av dem som takket nei til", "går overlegenhet tapt når minst"),
    }[lang]
    assert all(w in said for w in wanted)
