"""Facts about the bases that ship: what the review and the thesis say must come out of them."""

from __future__ import annotations

import json
from functools import cache

import pytest

from klarsyn.evidence import Base, check_base, known_bases, open_base, select_trials
from klarsyn.evidence.exchange import data_package
from klarsyn.evidence.schema import TABLES

REVIEW = {"shiroma_2020", "anand_2023", "ekstrand_2022", "jelovac_2025"}
# Trials that the review or the thesis cites: first author and year of each.
CITED = {
    "review": (
        "fava_2020 zarate_2006 phillips_2019 williams_2018 jelen_2025 shiroma_2020 anand_2023 "
        "ekstrand_2022 jelovac_2025 lii_2023 ionescu_2019 murrough_2013 wilkinson_2018"
    ),
    "thesis": "berman_2000 zarate_2006 singh_2016_esketamine murrough_2013_repeated daly_2019",
}


@cache
def shipped(name: str) -> Base:
    return open_base(name)


def test_two_bases_ship() -> None:
    assert set(known_bases()) == {"ketamine_depression", "mdma_ptsd"}


def test_the_reviews_own_criteria_give_the_reviews_four_trials() -> None:
    found = select_trials(shipped("ketamine_depression"), "review")
    assert set(found.ids()) == REVIEW
    assert [c.text for c in found.criteria] == [
        "controlled",
        "route=iv",
        "doses_per_week=2..3",
        "treatment_days=7..28",
        "followup_days>=28",
        "participants>=50",
    ]


@pytest.mark.parametrize("text", CITED)
def test_every_trial_that_the_texts_cite_has_a_row(text: str) -> None:
    base = shipped("ketamine_depression")
    cited = {t.id for t in base.trials if text in t.cited_by}
    assert set(CITED[text].split()) <= cited


@pytest.mark.parametrize("name", ["ketamine_depression", "mdma_ptsd"])
def test_no_shipped_number_is_impossible(name: str) -> None:
    found = check_base(shipped(name))
    assert [r.text() for r in found.remarks if r.severity == "impossible"] == []
    assert sum(found.performed.values()) > 1000


@pytest.mark.parametrize("name", ["ketamine_depression", "mdma_ptsd"])
def test_the_shipped_schema_is_the_one_that_is_read(name: str) -> None:
    package = json.loads((known_bases()[name] / "datapackage.json").read_text(encoding="utf-8"))
    shown = {r["name"]: [f["name"] for f in r["schema"]["fields"]] for r in package["resources"]}
    assert {n: shown[n] for n in TABLES} == {
        n: [f.name for f in t.fields] for n, t in TABLES.items()
    }
    assert package["licenses"]
    assert data_package("a", "A")["profile"] == package["profile"]


def test_a_number_that_two_sources_tell_differently_keeps_both_and_a_reason() -> None:
    findings = shipped("ketamine_depression").findings
    unchosen = [f for f in findings if not f.chosen and f.value is not None]
    assert unchosen
    assert any(f.reason for f in unchosen)
