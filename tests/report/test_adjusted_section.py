"""Bias-adjusted pooling on the page: three priors beside the effect as reported."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest

from klarsyn.bias.riskofbias_from_base import TrialJudgement
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Report, Result, Section
from klarsyn.report.guessing import arm_guesses
from klarsyn.report.sections.adjusted import build_adjusted, carries_bias, guessed_by_chance

PRIORS = ("published", "wide", "patients")
# The section and the forest plot fit the same effects with two REML programs.
SAME_FIT = 1e-5
EXACT = 1e-9


@cache
def page(base: str, lang: str = "en") -> Report:
    return build_report(open_base(base), lang)[0]


def section(base: str, lang: str = "en") -> Section:
    return next(s for s in page(base, lang).sections if s.id == "adjusted")


def groups(base: str) -> list[Result]:
    return [r for r in section(base).results if "crossover" not in r.id]


@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_every_group_shows_three_priors_and_the_effect_as_reported(base: str) -> None:
    found = groups(base)
    assert found
    for result in found:
        assert set(result.value) >= {"as_reported", *PRIORS}


@pytest.mark.parametrize("base", ["ketamine_depression", "mdma_ptsd"])
def test_as_reported_is_the_effect_of_the_forest_plot(base: str) -> None:
    every = {r.id: r for r in page(base).results()}
    compared = 0
    for result in groups(base):
        name = result.id.removeprefix("adjusted.")
        if name not in every:
            continue
        compared += 1
        ours, theirs = result.value["as_reported"], every[name].value
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=SAME_FIT)
        assert ours["ci"] == pytest.approx(theirs["ci"], rel=SAME_FIT, abs=SAME_FIT)
    assert compared


def test_where_all_trials_are_biased_the_published_prior_moves_the_effect_by_its_mean() -> None:
    """Widened variances change the weights a little; with them equal the shift would be exact."""
    result = next(r for r in groups("ketamine_depression") if r.id.endswith("day1.inert"))
    assert len(result.value["biased"]) == result.value["of"]
    mean = result.value["published"]["prior"][0]
    assert mean == pytest.approx(math.log(0.87) * math.sqrt(3) / math.pi, rel=EXACT)
    shift = result.value["published"]["estimate"] - result.value["as_reported"]["estimate"]
    assert shift == pytest.approx(-mean, abs=0.02)


def test_belief_as_seen_stands_beside_them_only_where_the_base_saw_it() -> None:
    assert all("belief" in r.value for r in groups("ketamine_depression"))
    assert all("belief" not in r.value for r in groups("mdma_ptsd"))


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_without_judgements_the_page_says_what_would_be_needed(lang: str) -> None:
    told = " ".join(str(p) for p in section("ketamine_depression", lang).blocks[-1].paragraphs)
    assert "Turner 2009" in told


def test_recorded_judgements_become_a_row_of_their_own() -> None:
    base = open_base("ketamine_depression")
    judged = {"trial": "nugent_2019", "additive": -0.1, "additive_sd": 0.1}
    judged |= {"who": "A. Reader", "when": "2026-01-05", "why": "unmasked by dissociation"}
    settings = {**base.settings, "elicited": [judged]}
    _, context = build_report(replace(base, settings=settings))
    built = build_adjusted(context)
    assert built is not None
    first = built[0].results[0].value
    assert first["elicited"]["estimate"] > first["as_reported"]["estimate"]
    assert "Turner" not in " ".join(str(p) for p in built[0].blocks[-1].paragraphs)


def judgement(**domains: str) -> dict[str, TrialJudgement]:
    return {
        "t": TrialJudgement(
            trial="t",
            outcome="",
            scale="",
            domains=domains,
            attainable={d: (j, j) for d, j in domains.items()},
            standing="Low",
            recorded=False,
            draft=True,
            waits=True,
        )
    }


def test_a_judged_trial_carries_the_bias_where_measurement_or_deviations_are_not_low() -> None:
    assert not carries_bias("t", judgement(D1="High", D2a="Low", D3="High", D4="Low"), ())
    assert carries_bias("t", judgement(D2a="Low", D4="Some concerns"), ())
    assert carries_bias("t", judgement(D2a="High", D4="Low"), ())
    assert carries_bias("t", judgement(D2b="Some concerns", D4="Low"), ())


def test_a_trial_that_nobody_judged_and_that_asked_nobody_carries_the_bias() -> None:
    _, context = build_report(open_base("ketamine_depression"))
    guesses = arm_guesses(context)
    assert carries_bias("murrough_2013", {}, guesses)
    assert carries_bias("lii_2023", {}, guesses)
    assert not any(guessed_by_chance("x", [g]) for g in guesses)


def test_only_chance_in_both_arms_frees_a_trial_that_nobody_judged() -> None:
    _, context = build_report(open_base("ketamine_depression"))
    lii = [g for g in arm_guesses(context) if g.trial.id == "lii_2023"]
    chance = [replace(g, allowed=(0.0, 0.0)) for g in lii if g.guess.respondent == "patient"]
    assert not carries_bias("lii_2023", {}, chance)
    assert carries_bias("lii_2023", {}, chance[:1])


def cautions(base: str) -> str:
    return " ".join(str(p) for p in section(base).blocks[-1].paragraphs)


def test_the_page_says_which_rule_is_used() -> None:
    assert "the same trials would carry it" in cautions("ketamine_depression")
    assert "nobody has judged them" in cautions("mdma_ptsd")


def test_where_the_rules_differ_both_are_shown() -> None:
    """Murrough 2013 answered as a trial whose measurement cannot have been influenced."""
    base = open_base("ketamine_depression")
    answers = tuple(
        replace(a, answer="N")
        if (a.trial, a.domain, a.question[:1]) == ("murrough_2013", "D4", "4")
        else a
        for a in base.risk_answers
    )
    _, context = build_report(replace(base, risk_answers=answers))
    built = build_adjusted(context)
    assert built is not None
    told = " ".join(str(p) for p in built[0].blocks[-1].paragraphs)
    assert "otherwise for Murrough 2013" in told
    found = next(r.value for r in built[0].results if r.id == "adjusted.day1.psychoactive")
    assert found["biased"] == ["dwyer_2021"]
    fewer, more = found["published"]["estimate"], found["by_guesses"]["estimate"]
    assert found["as_reported"]["estimate"] < fewer < more


def test_unpaired_counts_of_crossover_trials_are_a_range_and_not_a_point() -> None:
    results = section("ketamine_depression").results
    found = next(r for r in results if r.id == "adjusted.crossover.day1.inert").value
    assert found["trials"] == ["zarate_2006", "lapidus_2014"]
    assert all(0 < r < 1 for r in found["highest_correlation"].values())
    plain = next(r for r in results if r.id == "adjusted.day1.inert").value["as_reported"]
    assert found["as_independent"]["estimate"] == pytest.approx(plain["estimate"], rel=SAME_FIT)
    assert found["at_highest"]["estimate"] != found["as_independent"]["estimate"]
    assert all("crossover" not in r.id for r in section("mdma_ptsd").results)
