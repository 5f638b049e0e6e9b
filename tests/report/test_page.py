"""What the page of the shipped base says, and that every number on it leads somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from klarsyn.errors import InputError
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Prose
from klarsyn.report.html import render
from klarsyn.report.settings import read_settings

from ..evidence.small import small, write_base

TEXT_DIGITS = 0.005  # the page prints two decimals


@pytest.fixture(scope="module")
def pages() -> dict[str, dict[str, bytes]]:
    base = open_base("ketamine_depression")
    out = {}
    for lang in ("en", "nb"):
        report, context = build_report(base, lang)
        out[lang] = render(report, context.words)
    return out


def html(files: dict[str, bytes]) -> str:
    return files["index.html"].decode()


def test_the_four_questions_come_in_their_order(pages: dict[str, dict[str, bytes]]) -> None:
    for lang, titles in (
        ("en", ["Does it work?", "For how long?", "How safely?", "How sure can we be?"]),
        ("nb", ["Virker det?", "Hvor lenge?", "Hvor trygt?", "Hvor sikre kan vi være?"]),
    ):
        text = html(pages[lang])
        found = re.findall(r"<h2>([^<]+)</h2>", text)
        assert [title for title in found if title in titles] == titles
        assert re.findall(r"<h3>([^<]+)</h3>", text)[:4] == titles


def test_the_contents_name_every_section_once_in_the_order_of_the_page() -> None:
    report, _ = build_report(open_base("ketamine_depression"), "en")
    named = [s.id for part in report.contents for s in (part.first, *part.behind)]
    assert named == [s.id for s in report.sections]
    assert [part.first.id for part in report.contents][:4] == [
        "works",
        "duration",
        "safety",
        "certainty",
    ]


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_every_link_within_the_page_has_its_place(
    pages: dict[str, dict[str, bytes]], lang: str
) -> None:
    text = html(pages[lang])
    head = text.split('<script type="application/json"')[0]
    places = set(re.findall(r'\bid="([^"]+)"', head))
    wanted = set(re.findall(r'href="#([^"]+)"', head))
    specs = text.split('id="specs">')[1].split("</script>")[0]
    wanted |= set(re.findall(r'"link": "#([^"]+)"', specs))
    assert wanted - places == set()
    assert len(wanted) > 150


def test_the_page_names_no_host_and_loads_nothing(pages: dict[str, dict[str, bytes]]) -> None:
    head = html(pages["en"]).split('<script type="application/json"')[0]
    assert not re.search(r'(?:src|srcset)="(?!data:)', head)
    assert "<link" not in head
    assert "default-src 'none'" in head


def test_the_same_base_gives_the_same_bytes(pages: dict[str, dict[str, bytes]]) -> None:
    report, context = build_report(open_base("ketamine_depression"), "en")
    assert render(report, context.words) == pages["en"]


def test_the_page_is_small_enough_to_mail(pages: dict[str, dict[str, bytes]]) -> None:
    assert len(pages["en"]["index.html"]) < 6_000_000


def test_each_figure_comes_as_svg_png_and_specification(
    pages: dict[str, dict[str, bytes]],
) -> None:
    drawn = set(re.findall(r'data-figure="([^"]+)"', html(pages["en"])))
    for name in drawn:
        assert pages["en"][f"figures/{name}.svg"].startswith(b"<svg")
        assert pages["en"][f"figures/{name}.png"].startswith(b"\x89PNG")
        assert "$schema" in json.loads(pages["en"][f"figures/{name}.vl.json"])
    assert len(drawn) >= 10


def test_remission_against_ect_depends_on_which_trial_is_let_in(
    pages: dict[str, dict[str, bytes]],
) -> None:
    """Design notes, section 9: 1.74 (1.25-2.44), 0.74 (0.57-0.97), both 1.13 (0.49-2.62)."""
    results = json.loads(pages["en"]["results.json"])["results"]
    for name, wanted in (
        ("reference.remission.anand_2023", (1.74, 1.25, 2.44)),
        ("reference.remission.ekstrand_2022", (0.74, 0.57, 0.97)),
        ("reference.remission.pair", (1.13, 0.49, 2.62)),
    ):
        value = results[name]["value"]
        found = np.exp([value["estimate"], *value["ci"]])
        assert found == pytest.approx(wanted, abs=TEXT_DIGITS)


def test_the_review_s_criteria_select_its_four_trials(pages: dict[str, dict[str, bytes]]) -> None:
    results = json.loads(pages["en"]["results.json"])["results"]
    assert set(results["selection.review"]["value"]["selected"]) == {
        "shiroma_2020",
        "anand_2023",
        "ekstrand_2022",
        "jelovac_2025",
    }


def test_every_result_names_its_method_its_inputs_and_its_digest(
    pages: dict[str, dict[str, bytes]],
) -> None:
    data = json.loads(pages["en"]["results.json"])
    known = set(data["rows"]) | set(data["results"])
    for name, result in data["results"].items():
        assert result["method"], name
        assert re.fullmatch(r"[0-9a-f]{16}", result["digest"]), name
        assert set(result["inputs"]) <= known, name


def test_every_row_on_the_page_names_its_source(pages: dict[str, dict[str, bytes]]) -> None:
    data = json.loads(pages["en"]["results.json"])
    assert all(row["source"] in data["sources"] and row["kind"] for row in data["rows"].values())


def test_the_stated_correlation_of_crossover_periods_is_that_of_the_participants() -> None:
    """OpenNeuro ds005917: MADRS two days after the drug and after placebo, major depression."""
    base = open_base("ketamine_depression")
    folder = "src/klarsyn/bases/ketamine_depression/participants"
    rows = pl.read_csv(
        f"{folder}/nimh_ds005917_ketamine_crossover.csv", null_values=["n/a", ""]
    ).filter(pl.col("group") == "MDD")
    wide = rows.pivot("session_id", index="participant_id", values="MADRS_Total")
    pairs = wide.drop_nulls(["ses-d2", "ses-p2"])
    r = float(np.corrcoef(pairs["ses-d2"], pairs["ses-p2"])[0, 1])
    assert len(pairs) == 24
    assert read_settings(base).correlation == pytest.approx(r, abs=TEXT_DIGITS)


def test_another_drug_goes_through_the_same_code() -> None:
    report, context = build_report(open_base("mdma_ptsd"), "nb")
    files = render(report, context.words)
    assert "MDMA" in html(files)
    assert "etamin" not in html(files).split('<script type="application/json"')[0]


def test_settings_of_the_wrong_form_are_one_sentence() -> None:
    from dataclasses import replace

    base = replace(open_base("mdma_ptsd"), settings={"windows": [{"id": "x"}]})
    with pytest.raises(InputError, match=r"appraisal\.toml is not in the expected form"):
        build_report(base)


def test_a_base_without_trials_is_refused() -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="has no trial"):
        build_report(replace(open_base("mdma_ptsd"), trials=()))


def test_a_base_without_settings_is_asked_for_what_it_holds(tmp_path: Path) -> None:
    """The example in the README of a new base: one trial, one outcome, day 28."""
    tables = small()
    for t in tables["trials"]:
        t.pop("primary_outcome", None)
    settings = read_settings(open_base(write_base(tmp_path / "own", tables)))
    assert settings.windows[-1].id == "last"
    assert "depression_score" in settings.windows[0].question.outcomes


def test_the_page_prints_what_its_own_estimates_warn_of(pages: dict[str, dict[str, bytes]]) -> None:
    assert "the range for the next trial may be too narrow" in html(pages["en"])
    assert "prediksjonsintervallet kan være for smalt" in html(pages["nb"])


def test_points_on_the_page_are_the_same_wherever_they_stand() -> None:
    """The sentences and the Summary of Findings turn one standardised difference into points."""
    report, _ = build_report(open_base("ketamine_depression"), "en")
    said = " ".join(
        str(p)
        for s in report.sections
        if s.id == "works"
        for b in s.blocks
        if hasattr(b, "paragraphs")
        for p in b.paragraphs  # type: ignore[union-attr]
    )
    table = " ".join(
        str(cell)
        for s in report.sections
        if s.id == "findings"
        for b in s.blocks
        if hasattr(b, "rows")
        for row in b.rows  # type: ignore[union-attr]
        for cell in row
    )
    spoken = set(re.findall(r"about (−[\d.]+) MADRS points", said))
    shown = re.findall(r"(−?[\d.]+) \([^)]*\) MADRS points", table)
    assert len(shown) >= 5
    assert set(shown) <= spoken


def test_trials_under_one_registration_are_named_where_they_are_pooled_together() -> None:
    """Zarate 2006 and the shared NIMH data both stand under NCT00088699."""
    report, _ = build_report(open_base("ketamine_depression"), "en")
    works = next(s for s in report.sections if s.id == "works")
    said = " ".join(str(p) for b in works.blocks if isinstance(b, Prose) for p in b.paragraphs)
    assert re.search(r"Zarate 2006 and Nugent 2019[^.]*NCT00088699[^.]*counted twice", said)
    assert "NCT01998958" not in said
