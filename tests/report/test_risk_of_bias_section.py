"""The page shows risk of bias as drafts, the grid leaves trials out by it, GRADE counts it once."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from klarsyn.bias.riskofbias_from_base import judgements_of
from klarsyn.evidence import Base, known_bases, open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Section, TableBlock
from klarsyn.report.gradings import derive_ground, grade_body, symptom_bodies
from klarsyn.report.grids import derive_grid
from klarsyn.report.numbers import Numbers
from klarsyn.report.sections.riskofbias import build_risk_of_bias
from klarsyn.report.settings import read_settings
from klarsyn.report.words import read_words

BASE = "ketamine_depression"
DRAFT = {"en": "draft", "nb": "utkast"}


@cache
def shipped(name: str = BASE) -> Base:
    return open_base(name)


def context_of(base: Base, lang: str = "en") -> Context:
    return Context(
        base=base, settings=read_settings(base), words=read_words(lang), numbers=Numbers(lang)
    )


@cache
def section(name: str, lang: str) -> Section:
    return build_risk_of_bias(context_of(shipped(name), lang))[0]


def told(of: Section) -> str:
    return " ".join(str(p) for b in of.blocks if isinstance(b, Prose) for p in b.paragraphs)


@pytest.mark.parametrize("lang", DRAFT)
def test_drafts_are_called_drafts_wherever_they_are_shown(lang: str) -> None:
    made = section(BASE, lang)
    titles = [b.title for b in made.blocks if isinstance(b, Figure)]
    titles += [b.title for b in made.blocks if isinstance(b, TableBlock) and b.id == "riskofbias"]
    assert len(titles) == 3
    assert all(DRAFT[lang] in t.casefold() for t in titles)
    assert DRAFT[lang] in told(made).casefold()


def test_the_lights_show_every_judgement_hollow_where_it_hangs_on_the_unreported() -> None:
    (lights, _) = (b for b in section(BASE, "en").blocks if isinstance(b, Figure))
    marks = lights.wide["data"]["values"]
    judged = judgements_of(shipped())
    assert len(marks) == sum(len(j.domains) + 1 for j in judged.values())
    labels = {shipped().trial(t).label: j for t, j in judged.items()}
    names = {"Randomisation": "D1", "Departures from treatment": "D2a", "Missing outcomes": "D3",
             "Measuring": "D4", "Selective reporting": "D5",
             "Periods of a crossover": "S"}  # fmt: skip
    for m in marks:
        if m["domain"] == "Overall":
            assert (m["judgement"], m["open"]) == ("none", True)
            continue
        domain = names[m["domain"]]
        found = labels[m["trial"]]
        assert m["judgement"] == found.domains[domain]
        assert m["open"] == (len(set(found.attainable[domain])) == 2)
        assert m["note"]


def test_reasons_are_folded_and_answers_link_to_their_rows() -> None:
    made = section(BASE, "en")
    (table,) = (b for b in made.blocks if isinstance(b, TableBlock) and b.id == "riskofbias")
    assert table.folded
    asked = [a for a in shipped().risk_answers if a.answer and a.effect == "assignment"]
    judged = judgements_of(shipped())
    crossed = sum(shipped().trial(name).design == "crossover" for name in judged)
    assert len(table.rows) == 5 * len(judged) + crossed
    assert sum(str(row[2]).count("<strong>") for row in table.rows) == len(asked)
    links = {i for row in table.rows for i in re.findall(r'href="#row-([^"]+)"', str(row[2]))}
    wanted = {i.replace(":", "-") for a in asked for i in a.finding_ids()}
    assert links == wanted
    assert {f.replace(":", "-") for f in made.findings} >= wanted


def test_the_sentence_counts_what_would_stay_high() -> None:
    judged = judgements_of(shipped())
    high = [j for j in judged.values() if j.high_in]
    sure = [j for j in judged.values() if j.surely_high_in]
    text = told(section(BASE, "en"))
    assert f"tables {len(high)} of them come out at high risk" in text
    assert f"{len(sure)} of the {len(high)} would stay high" in text


def test_the_other_effect_of_interest_is_told() -> None:
    text = told(section(BASE, "en"))
    assert (
        "departures comes out as: Anand 2023 (ELEKT-D): high; Ekstrand 2022 (KetECT): high" in text
    )


def test_judgements_of_others_stand_beside_ours_and_say_where_they_differ() -> None:
    blocks = section(BASE, "en").blocks
    (table,) = (b for b in blocks if isinstance(b, TableBlock) and b.id == "riskofbias-others")
    rows = {(r[0], r[1]): r for r in table.rows}
    assert len(table.rows) == len(shipped().published_risks)
    both = rows["Lapidus 2014 (nasal ketamine)", "blinding of outcome assessment"]
    assert both[2] == "Low risk"
    assert both[4:] == ("Some concerns", "differ")
    assert rows["Zarate 2006", "allocation concealment"][4:] == ("Some concerns", "alike")
    assert rows["Su 2017", "selective reporting"][4:] == ("–", "–")


@pytest.mark.parametrize("lang", DRAFT)
def test_a_base_without_answers_says_what_is_needed(lang: str) -> None:
    made = section("mdma_ptsd", lang)
    assert not [b for b in made.blocks if isinstance(b, Figure)]
    assert "klarsyn riskofbias --new form.csv --base mdma_ptsd" in told(made)
    (table,) = (b for b in made.blocks if isinstance(b, TableBlock))
    assert [re.sub("<[^>]+>", "", str(r[2])) for r in table.rows].count("Low") == 5


def test_the_section_stands_on_every_page() -> None:
    for name in known_bases():
        assert "riskofbias" in [s.id for s in build_report(shipped(name))[0].sections]


def test_the_grid_leaves_out_trials_at_high_risk() -> None:
    made = derive_grid(context_of(shipped()))
    assert made is not None
    choices = {c.name: c.options for c in made.grid.choices}
    assert {"high_risk_draft", "surely_high_risk_draft"} <= set(choices["exclusion"])
    cell = {
        "measure": "scores_or_response", "time": "end", "inclusion set": "inert",
        "unblinding share": "0", "estimator": "REML", "interval": "wald",
    }  # fmt: skip
    every = made.grid.cell(**cell, exclusion="nothing")
    fewer = made.grid.cell(**cell, exclusion="high_risk_draft")
    judged = judgements_of(shipped())
    inert = {"daly_2018", "daly_2018_panel_b", "fedgchin_2019", "popova_2019", "ochsross_2020",
             "takahashi_2021", "chen_2023", "janik_2025"}  # fmt: skip
    high = {t for t in inert if judged[t].standing == "High"}
    assert high == {"fedgchin_2019", "janik_2025"}
    assert (every["studies"], fewer["studies"]) == (len(inert), len(inert - high))


def test_without_answers_the_grid_has_no_such_choice() -> None:
    made = derive_grid(context_of(replace(shipped(), risk_answers=())))
    assert made is not None
    options = next(c.options for c in made.grid.choices if c.name == "exclusion")
    assert not [o for o in options if "risk" in o]


def facts_of(base: Base, name: str) -> tuple[int, dict]:
    context = context_of(base)
    ground = derive_ground(context)
    body = next(b for b in symptom_bodies(context, ground) if b.id == name)
    graded = grade_body(context, body, ground)
    change = next(s.change for s in graded.certainty.suggestions if s.domain == "risk of bias")
    return change, dict(graded.facts["risk of bias"])


def knowing_raters(folder: Path) -> Base:
    """The shipped base where every rater of one trial knew and was moved by it."""
    place = folder / "base"
    shutil.copytree(known_bases()[BASE], place)
    file = place / "riskofbias.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for question in ("4.3", "4.4", "4.5"):
        at = next(i for i, s in enumerate(lines)
                  if s.startswith("chen_2023,") and f",D4,{question}," in s)  # fmt: skip
        lines[at] = re.sub(rf",{question},[A-Z]+,", f",{question},Y,", lines[at])
    file.write_text("".join(lines), encoding="utf-8")
    return open_base(place)


def test_functional_unblinding_is_counted_once(tmp_path: Path) -> None:
    """A trial that is high by measurement alone is left to the belief effect, which counts once."""
    before, plain = facts_of(shipped(), "end.inert.symptoms")
    after, moved = facts_of(knowing_raters(tmp_path), "end.inert.symptoms")
    assert plain["falls"] is True
    assert (plain["spared"], moved["spared"]) == (0, 1)
    assert moved["high_share"] == plain["high_share"]
    assert after == before


def test_silence_of_the_sources_is_told_but_not_counted() -> None:
    _, facts = facts_of(shipped(), "end.inert.symptoms")
    judged = judgements_of(shipped())
    assert judged["janik_2025"].standing == "High"
    assert not judged["janik_2025"].counts_as_high
    assert 0 < facts["high_share"] < 0.5
    assert 0 < facts["unknown_share"] < 0.5


def test_without_answers_masking_stands_in_as_before() -> None:
    _, facts = facts_of(replace(shipped(), risk_answers=()), "end.inert.symptoms")
    assert (facts["judged"], facts["drafts"], facts["high_share"]) == (0, 0, 0)
