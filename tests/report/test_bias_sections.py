"""The sections after the four answers print the published and recomputed numbers, as claims."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache

import pytest

from klarsyn.bias.certainty import DOMAINS
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Figure, Prose, Report, Section, TableBlock

SECTIONS = ("against", "left", "findings", "told", "change")
LANGUAGES = ("en", "nb")
# Values printed with two decimals by the sources.
PRINTED = 0.005
# Percentage points printed with one decimal.
POINTS = 0.0005
# Oracle values of Bang's index are exact fractions.
EXACT = 1e-12
ONE_DECIMAL = 0.05


@cache
def page(base: str, lang: str) -> Report:
    return build_report(open_base(base), lang)[0]


def section(base: str, lang: str, name: str) -> Section:
    return next(s for s in page(base, lang).sections if s.id == name)


def text(of: Section) -> str:
    parts: list[str] = []
    for block in of.blocks:
        if isinstance(block, Prose):
            parts += [str(p) for p in block.paragraphs]
        elif isinstance(block, TableBlock):
            parts += [str(c) for row in block.rows for c in row] + [str(block.caption)]
        elif isinstance(block, Figure):
            parts += [block.title, block.alt, str(block.caption)]
    return " ".join(parts)


def value(base: str, name: str) -> dict:
    return dict(next(r for r in page(base, "en").results() if r.id == name).value)


def test_sections_stand_behind_the_answer_that_they_bear_on() -> None:
    contents = page("ketamine_depression", "en").contents
    assert tuple(s.id for p in contents for s in p.behind if s.id in SECTIONS) == SECTIONS


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_every_claim_and_every_input_has_its_place_on_the_page(base: str, lang: str) -> None:
    report = page(base, lang)
    places = {f"row-{re.sub(r'[^0-9A-Za-z_-]', '-', r['id'])}" for r in report.rows}
    places |= {f"result-{re.sub(r'[^0-9A-Za-z_-]', '-', r.id)}" for r in report.results()}
    linked = {
        anchor
        for s in report.sections
        for anchor in re.findall(r'class="n" href="#([^"]+)"', text(s))
    }
    assert linked
    assert linked <= places
    known = {r["id"] for r in report.rows} | {r.id for r in report.results()}
    stray = {i for r in report.results() for i in r.inputs} - known
    assert not stray


@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_no_result_is_named_twice(base: str) -> None:
    ids = [r.id for r in page(base, "en").results()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_results_name_method_and_digest(base: str) -> None:
    mine = [r for s in page(base, "en").sections if s.id in SECTIONS for r in s.results]
    assert mine
    for result in mine:
        assert result.method
        assert result.digest
        assert result.inputs


def test_the_margin_trial_prints_as_published() -> None:
    """Anand 2023, NEJM, abstract: 14.2 points (3.9 to 24.2)."""
    found = value("ketamine_depression", "against.published.anand_2023")
    assert found["difference"] == pytest.approx(0.142, abs=POINTS)
    assert found["ci"] == pytest.approx([0.039, 0.242], abs=POINTS)
    assert "14.2 (3.9 to 24.2)" in text(section("ketamine_depression", "en", "against"))


def test_refusals_counted_against_the_drug_keep_noninferiority_and_lose_superiority() -> None:
    """Methods §5.4: 3.3 (−6.4 to 12.9); superiority lost from 20 of the 33."""
    worst = value("ketamine_depression", "left.refusals.anand_2023.all_against_new")
    assert worst["difference"] == pytest.approx(0.033, abs=POINTS)
    assert worst["ci"] == pytest.approx([-0.064, 0.129], abs=POINTS)
    assert worst["region"] == "non-inferior"
    grid = value("ketamine_depression", "left.refusals.anand_2023")
    assert grid["refused"] == [5, 33]
    assert grid["cells"] == 6 * 34
    assert grid["superiority_lost_from"] == 20
    assert grid["noninferiority_lost_from"] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id2022_018", (1.74, 1.25, 2.44)),
        ("ekstrand_2024", (1.13, 0.49, 2.62)),
    ],
)
def test_each_inclusion_set_has_its_risk_ratio(name: str, expected: tuple[float, ...]) -> None:
    found = value("ketamine_depression", f"against.set.{name}")
    assert [found["risk_ratio"], *found["ci"]] == pytest.approx(list(expected), abs=PRINTED)
    assert found["smallest_flip"] == 1


def test_the_other_trial_alone_points_the_other_way() -> None:
    found = value("ketamine_depression", "reference.remission.ekstrand_2022")
    shown = [math.exp(x) for x in (found["estimate"], *found["ci"])]
    assert shown == pytest.approx([0.74, 0.57, 0.97], abs=PRINTED)


def test_the_reference_did_far_better_elsewhere() -> None:
    """Remission 22 % in one trial and 63 % in the other."""
    found = value("ketamine_depression", "against.reanchored.anand_2023")
    assert found["observed_rate"] == pytest.approx(0.22, abs=PRINTED)
    assert found["elsewhere_rate"] == pytest.approx(0.63, abs=PRINTED)
    assert found["verdict"] == "inferior"


@pytest.mark.parametrize(
    ("lang", "worst", "ratio"),
    [
        ("en", "3.3 (−6.4 to 12.9)", "1.13 (0.49 to 2.62)"),
        ("nb", "3,3 (−6,4 til 12,9)", "1,13 (0,49 til 2,62)"),
    ],
)
def test_both_languages_print_the_same_numbers(lang: str, worst: str, ratio: str) -> None:
    told = text(section("ketamine_depression", lang, "against"))
    assert worst in told
    assert ratio in told


def test_guesses_by_arm_become_bang_indices() -> None:
    """Lii 2023, counted from participants: 9, 5, 5 and 5, 8, 6 (right, wrong, don't know)."""
    drug = value("ketamine_depression", "told.index.lii_2023.ketamine.patient")
    control = value("ketamine_depression", "told.index.lii_2023.saline.patient")
    assert drug["index"] == pytest.approx(4 / 19, abs=EXACT)
    assert control["index"] == pytest.approx(-3 / 19, abs=EXACT)


def test_a_percentage_without_counts_is_a_range() -> None:
    low, high = value("ketamine_depression", "told.index.shiroma_2020.ketamine.patient")["index"]
    assert (low, high) == pytest.approx((0.0, 0.5), abs=EXACT)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_adjusted_difference_never_stands_without_the_raw_one(lang: str) -> None:
    told = section("ketamine_depression", lang, "told")
    table = next(b for b in told.blocks if isinstance(b, TableBlock) and b.id == "readings")
    assert all(len(row) == 4 and all(str(c) for c in row) for row in table.rows)
    for result in told.results:
        if "at_half_right_guesses" in result.value:
            assert {"raw", "by_benign_share"} <= set(result.value)


def test_belief_effect_of_the_base_is_the_one_seen_within_arms() -> None:
    """Methods §2.5: guessed the drug minus guessed control is about −7.5 points."""
    found = value("ketamine_depression", "told.belief.lii_2023")
    assert found["value"] == pytest.approx(-7.4, abs=ONE_DECIMAL)


def test_the_curve_of_belief_crosses_zero_where_the_page_says() -> None:
    found = value("ketamine_depression", "told.tipping.inert")
    left = found["effect"] - found["at_estimate"] * found["belief_difference"]
    assert left == pytest.approx(0.0, abs=EXACT)


def test_the_ranking_of_choices_is_computed_and_sorted() -> None:
    found = value("ketamine_depression", "change.grid")
    chances = [i["redrawn"] for i in found["influence"]]
    assert chances == sorted(chances, reverse=True)
    assert found["analyses"] == math.prod(len(o) for o in found["choices"].values())
    assert found["benefit"] + found["harm"] + found["inconclusive"] == pytest.approx(1.0)


def test_certainty_is_called_suggested_until_a_person_confirms() -> None:
    rows = [r for r in page("ketamine_depression", "en").results() if r.id.startswith("findings.")]
    assert rows
    assert all(str(r.value["certainty"]).endswith("(suggested)") for r in rows)


def test_masking_lowers_certainty_in_one_domain_only() -> None:
    changes = value("ketamine_depression", "findings.day1.inert.symptoms")["changes"]
    assert changes["risk of bias"] == -1
    assert changes["indirectness"] == 0


def test_a_base_without_a_reference_has_no_section_against_it() -> None:
    ids = [s.id for s in page("mdma_ptsd", "en").sections]
    assert "against" not in ids
    assert "told" in ids
    assert "change" in ids


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_would_have_had_to_be_reported_is_said(lang: str) -> None:
    start = {"en": "What would have had to be reported", "nb": "Dette måtte ha vært rapportert"}
    for name in ("told", "left"):
        assert start[lang] in text(section("ketamine_depression", lang, name))


@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_figures_say_in_words_what_they_show_and_come_in_two_widths(base: str) -> None:
    for figure in page(base, "nb").figures():
        assert len(figure.alt) > 40
        assert figure.wide != figure.narrow


def test_norwegian_numbers_have_a_decimal_comma() -> None:
    for name in SECTIONS:
        prose = re.sub(r"<[^>]+>", "", text(section("ketamine_depression", "nb", name)))
        assert not re.search(r"\d\.\d", prose), name


def with_settings(**more: object) -> Report:
    base = open_base("ketamine_depression")
    return build_report(replace(base, settings={**base.settings, **more}), "en")[0]


def test_a_margin_without_its_basis_is_refused() -> None:
    with pytest.raises(InputError, match="margin_basis"):
        with_settings(noninferiority={"trial": "anand_2023", "outcome": "response", "margin": 0.1})


def test_a_margin_of_an_unknown_trial_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="anand_2023"):
        with_settings(noninferiority={"trial": "anand_2032"})


def test_certainty_is_confirmed_only_by_a_person_in_all_domains() -> None:
    name = "day1.inert.symptoms"
    one = {"outcome": name, "change": -1, "who": "A. Reader", "when": "2026-01-01", "why": "read"}

    def certainty(domains: tuple[str, ...]) -> str:
        confirmed = [{**one, "domain": d} for d in domains]
        report = with_settings(findings={"confirmed": confirmed})
        return next(r for r in report.results() if r.id == f"findings.{name}").value["certainty"]

    assert certainty(DOMAINS[:-1]).endswith("(suggested)")
    assert certainty(DOMAINS) == "Very low"


def test_each_named_harm_says_what_it_cannot_exclude() -> None:
    """Nobody counts dependence; of 91 patients none died by suicide, which leaves 3.2 %."""
    safety = section("ketamine_depression", "en", "safety")
    blocks = {b.title: str(b.lead) for b in safety.blocks if isinstance(b, TableBlock)}
    labels = ("Blood pressure", "Dissociation", "Psychosis", "Suicidality", "Bladder", "Dependence")
    assert [title for title in blocks if title in labels] == list(labels)
    assert re.search(r"Cannot be excluded: suicide in up to <a[^>]*>3\.2\s%", blocks["Suicidality"])
    assert blocks["Dissociation"].startswith("More than with control: dissociation")
    found = value("ketamine_depression", "harm.suicide")
    assert (found["events"], found["patients"]) == (0, 91)
    assert found["upper"] == pytest.approx(1 - 0.05 ** (1 / 91), abs=EXACT)
    assert "No trial of the base counts it by arm" in blocks["Dependence"]
