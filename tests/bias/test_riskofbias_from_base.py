"""Answers beside a base: what ships, what is refused, and two assessors of the same trials."""

from __future__ import annotations

import csv
import itertools
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from klarsyn.bias.questionnaire import attainable, suggest, tool
from klarsyn.bias.riskofbias import Answer, assess_rob2, read_answers
from klarsyn.bias.riskofbias_agreement import compare_assessments
from klarsyn.bias.riskofbias_from_base import (
    TrialJudgement,
    base_answers,
    base_form,
    check_trials,
    empty_form,
    judge_base,
    judgements_of,
)
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence import Base, known_bases, open_base
from klarsyn.evidence.trial import RiskAnswer
from klarsyn.report.settings import read_questions
from klarsyn.synthesis.extraction import derive_effects

BASE = "ketamine_depression"
DOMAINS = ("D1", "D2a", "D3", "D4", "D5")
EXACT = 1e-12


@cache
def shipped() -> Base:
    return open_base(BASE)


def by_trial() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for a in assigned():
        found.setdefault(a.trial, {}).setdefault(a.domain, {})[a.question] = a.answer
    return found


def assigned() -> list[RiskAnswer]:
    """The answers about the effect of assignment."""
    return [a for a in shipped().risk_answers if a.effect == "assignment"]


class TestWhatShips:
    def test_every_question_of_every_domain_is_answered_once(self) -> None:
        for trial in by_trial():
            crossed = shipped().trial(trial).design == "crossover"
            domains = (*DOMAINS, "S") if crossed else DOMAINS
            wanted = {(d, q) for d in domains for q in tool("rob2").domain(d).questions}
            rows = [a for a in assigned() if a.trial == trial]
            assert {(a.domain, a.question) for a in rows} == wanted
            assert len(rows) == len(wanted)

    def test_every_answer_has_a_reason_a_place_a_name_and_a_date(self) -> None:
        for a in shipped().risk_answers:
            assert a.why.endswith(".")
            assert a.locator
            assert a.who
            assert a.when.count("-") == 2

    def test_what_is_not_told_is_no_information(self) -> None:
        """An answer that says something stands on findings, a source or a table of the base."""
        for a in shipped().risk_answers:
            grounded = a.finding_ids() or a.source or a.locator.startswith("scales.csv")
            if a.answer not in ("NI", "") and a.question != "3.2":
                assert grounded, (a.trial, a.question)
            if a.question == "3.2" and a.answer:
                assert grounded or a.answer == "PN"

    def test_rows_and_tables_of_the_base_that_are_named_exist(self) -> None:
        folder = known_bases()[BASE]
        for a in shipped().risk_answers:
            head = a.locator.split(",")[0].split(";")[0]
            if head.endswith(".csv"):
                assert (folder / head).is_file()
            if head == "guesses.csv":
                assert a.trial in {g.trial for g in shipped().guesses}

    def test_all_are_called_drafts_that_no_person_has_reviewed(self) -> None:
        risk = judge_base(shipped())
        assert risk is not None
        assert all(r.draft and r.waits and r.overall is None for r in risk.trials.values())
        assert all("not reviewed by a person" in a.who for a in shipped().risk_answers)
        assert f"{len(risk.trials)} of them are drafts" in risk.summary()

    def test_the_reviews_trials_and_all_that_carry_a_headline_estimate_are_judged(self) -> None:
        judged = set(by_trial())
        assert {"shiroma_2020", "anand_2023", "ekstrand_2022", "jelovac_2025"} <= judged
        headline = {
            e.trial
            for question in read_questions(shipped()).values()
            for e in derive_effects(shipped(), question).effects
            if e.comparator != "same_drug"
        }
        assert headline <= judged

    def test_open_label_trials_are_answered_as_open(self) -> None:
        for trial, domains in by_trial().items():
            blinding = shipped().trial(trial).blinding
            if blinding == "open_label":
                assert domains["D2a"]["2.1"] == domains["D2a"]["2.2"] == "Y"
                assert domains["D4"]["4.3"] == "Y"
            else:
                assert domains["D4"]["4.3"] != "Y"

    def test_judgements_are_those_of_the_printed_tables(self) -> None:
        risk = judge_base(shipped())
        assert risk is not None
        for trial, domains in by_trial().items():
            for name, judge in PRINTED.items():
                judgement = risk.trials[trial].domains[name].judgement
                assert judgement == judge(domains[name]), (trial, name)

    def test_the_trial_with_33_refusals_is_high_whatever_is_not_reported(self) -> None:
        found = judgements_of(shipped())["anand_2023"]
        assert found.high_in == ("D2a", "D3", "D4")
        assert found.surely_high_in == ("D2a", "D3", "D4")
        assert found.standing == "High"

    def test_the_effect_of_adhering_is_answered_where_treatments_were_left_or_refused(self) -> None:
        found = judgements_of(shipped(), effect="adhering")
        assert set(found) == {"anand_2023", "ekstrand_2022"}
        assert found["anand_2023"].surely_high_in == ("D2b", "D3", "D4")
        assert found["ekstrand_2022"].domains["D2b"] == "High"
        assert found["ekstrand_2022"].attainable["D2b"] == ("Low", "High")

    def test_published_judgements_are_never_inputs(self) -> None:
        without = replace(shipped(), published_risks=())
        assert judgements_of(without) == judgements_of(shipped())

    def test_a_base_without_answers_has_no_judgements(self) -> None:
        other = open_base("mdma_ptsd")
        assert judge_base(other) is None
        assert judgements_of(other) == {}
        assert {p.judgement for p in other.published_risks} == {"Low", "Some concerns"}


def yes(answer: str) -> bool:
    return answer in ("Y", "PY")


def no(answer: str) -> bool:
    return answer in ("N", "PN")


def d1(a: Mapping[str, str]) -> str:
    if no(a["1.2"]) or (a["1.2"] == "NI" and yes(a["1.3"])):
        return "High"
    if a["1.2"] == "NI" or no(a["1.1"]) or yes(a["1.3"]):
        return "Some concerns"
    return "Low"


def d2a(a: Mapping[str, str]) -> str:
    ranks = ("Low", "Some concerns", "High")
    if (no(a["2.1"]) and no(a["2.2"])) or no(a["2.3"]):
        first = 0
    elif a["2.3"] == "NI" or no(a["2.4"]) or yes(a["2.5"]):
        first = 1
    else:
        first = 2
    second = 0 if yes(a["2.6"]) else 1 if no(a["2.7"]) else 2
    return ranks[max(first, second)]


def d3(a: Mapping[str, str]) -> str:
    if yes(a["3.1"]) or yes(a["3.2"]) or no(a["3.3"]):
        return "Low"
    return "Some concerns" if no(a["3.4"]) else "High"


def d4(a: Mapping[str, str]) -> str:
    if yes(a["4.1"]) or yes(a["4.2"]):
        return "High"
    unsure = "Some concerns" if a["4.2"] == "NI" else "Low"
    if no(a["4.3"]) or no(a["4.4"]):
        return unsure
    return "Some concerns" if no(a["4.5"]) else "High"


def d5(a: Mapping[str, str]) -> str:
    if yes(a["5.2"]) or yes(a["5.3"]):
        return "High"
    if "NI" in (a["5.2"], a["5.3"]):
        return "Some concerns"
    return "Low" if yes(a["5.1"]) else "Some concerns"


# The decision trees of Sterne et al. 2019 as branches, written apart from the tables of the engine.
PRINTED = {"D1": d1, "D2a": d2a, "D3": d3, "D4": d4, "D5": d5}


@pytest.mark.parametrize("domain", ["D1", "D3", "D4", "D5"])
def test_the_branches_above_agree_with_the_tables_on_every_combination(domain: str) -> None:
    used = tool("rob2")
    questions = used.domain(domain).questions
    options = [[a for a in used.allowed(domain, q) if a != "NA"] for q in questions]
    for answers in itertools.product(*options):
        given = dict(zip(questions, answers, strict=True))
        assert suggest("rob2", domain, given).judgement == PRINTED[domain](given)


@pytest.mark.parametrize("domain", ["D1", "D3", "D5"])
def test_attainable_judgements_are_those_of_every_way_to_fill_the_gaps(domain: str) -> None:
    used = tool("rob2")
    questions = used.domain(domain).questions
    known = ("Y", "N", "NI")
    for answers in itertools.product(known, repeat=len(questions)):
        given = dict(zip(questions, answers, strict=True))
        if given.get("3.2") == "NI":
            continue
        ways = itertools.product(*([a] if a != "NI" else ["Y", "PY", "PN", "N"] for a in answers))
        found = {PRINTED[domain](dict(zip(questions, w, strict=True))) for w in ways}
        ranked = sorted(found, key=used.judgements.index)
        assert attainable("rob2", domain, given) == (ranked[0], ranked[-1])


def test_with_everything_reported_nothing_else_is_attainable() -> None:
    given = {"4.1": "N", "4.2": "N", "4.3": "Y", "4.4": "Y", "4.5": "PN"}
    assert attainable("rob2", "D4", given) == ("Some concerns", "Some concerns")
    assert attainable("rob2", "D4", given | {"4.3": "NI"}) == ("Low", "Some concerns")


def judged(**changes) -> TrialJudgement:
    values = {
        "trial": "a",
        "outcome": "score",
        "scale": "",
        "domains": {"D1": "Low", "D4": "High"},
        "attainable": {"D1": ("Low", "Low"), "D4": ("Some concerns", "High")},
        "standing": "High",
        "recorded": False,
        "draft": True,
        "waits": True,
    }
    return TrialJudgement(**(values | changes))


class TestWhatCounts:
    def test_silence_of_the_sources_does_not_lower_certainty_in_a_draft(self) -> None:
        assert not judged().counts_as_high
        assert judged(draft=False).counts_as_high
        assert judged(draft=False).only_measurement

    def test_what_is_high_whatever_is_unreported_counts_even_in_a_draft(self) -> None:
        sure = {"D1": ("Low", "Low"), "D4": ("High", "High")}
        assert judged(attainable=sure).counts_as_high
        assert judged(attainable=sure).only_measurement
        both = {"D1": ("High", "High"), "D4": ("High", "High")}
        domains = {"D1": "High", "D4": "High"}
        assert not judged(attainable=both, domains=domains).only_measurement

    def test_a_persons_overall_judgement_decides(self) -> None:
        assert judged(recorded=True, draft=False).counts_as_high
        assert not judged(recorded=True, draft=False, standing="Some concerns").counts_as_high


def copy_with(folder: Path, change) -> Path:
    """The shipped base with its answers changed row by row."""
    place = folder / "base"
    shutil.copytree(known_bases()[BASE], place)
    file = place / "riskofbias.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([change(i, dict(r)) for i, r in enumerate(rows, start=2)])
    return place


def at(row: int, **cells: str):
    return lambda i, r: r | cells if i == row else r


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at(5, answer="YES"), r"riskofbias: row 5: 'YES' is not a known answer to question 2\.1"),
        (at(2, question="1.4"), r"riskofbias: row 2: '1\.4' is not a known question of D1\. Near"),
        (at(3, who=""), "riskofbias: row 3: column 'who' is empty"),
        (at(2, domain="D9"), r"riskofbias: row 2: 'D9' is not a known domain\. Nearest"),
        (at(3, answer="NA"), r"D1: the published table has no row for 1\.1 PY, 1\.2 NA, 1\.3 PN"),
        (
            at(3, answer="", who="", when="", why=""),
            r"shiroma_2020 \(from row 2\): D1: question 1\.2 is needed after 1\.1 PY, 1\.3 PN",
        ),
    ],
)
def test_wrong_answers_beside_a_base_are_named_with_their_row(tmp_path, change, message) -> None:
    base = open_base(copy_with(tmp_path, change))
    with pytest.raises(InputError, match=message):
        judge_base(base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at(2, trial_id="shiroma"), r"riskofbias\.csv: row 2, column 'trial_id': 'shiroma' is not"),
        (at(2, effect="assigned"), r"riskofbias\.csv: row 2.*'assigned'.*assignment"),
        (at(4, findings="shiroma_2020:999"), r"riskofbias\.csv: row 4: 'shiroma_2020:999' is not"),
        (at(4, findings="anand_2023:31"), r"not a known finding of shiroma_2020"),
        (at(2, source_id="cochrane"), r"riskofbias\.csv: row 2, column 'source_id': 'cochrane'"),
        (at(2, outcome="mood"), r"riskofbias\.csv: row 2, column 'outcome': 'mood' is not"),
    ],
)
def test_answers_that_point_nowhere_are_refused_when_the_base_opens(
    tmp_path, change, message
) -> None:
    with pytest.raises(InputError, match=message):
        open_base(copy_with(tmp_path, change))


def test_a_recorded_judgement_and_a_review_end_the_draft(tmp_path) -> None:
    def settle(_: int, r: dict[str, str]) -> dict[str, str]:
        return r | {"draft": "false", "who": "A. Reader"} if r["trial_id"] == "chen_2023" else r

    place = copy_with(tmp_path, settle)
    line = {
        "trial_id": "chen_2023", "outcome": "depression_change", "scale": "MADRS",
        "effect": "assignment", "domain": "overall", "answer": "High",
        "why": "several concerns on one result", "who": "A. Reader", "when": "2026-12-01",
    }  # fmt: skip
    file = place / "riskofbias.csv"
    names = file.read_text(encoding="utf-8").splitlines()[0].split(",")
    with file.open("a", encoding="utf-8", newline="") as out:
        csv.DictWriter(out, names, lineterminator="\n").writerow(line)
    found = judgements_of(open_base(place))["chen_2023"]
    assert (found.standing, found.recorded, found.draft, found.waits) == (
        "High",
        True,
        False,
        False,
    )
    assert found.counts_as_high
    assert judgements_of(open_base(place))["popova_2019"].draft


def test_answers_about_two_results_of_a_trial_need_an_outcome() -> None:
    rows = base_answers(shipped())
    of_one = [a for a in rows if a.trial == "zarate_2006"]
    two = [*of_one, *(replace(a, outcome="remission", row=a.row + 500) for a in of_one)]
    with pytest.raises(InputError, match="zarate_2006 has answers about several results: resp"):
        assess_rob2(two)
    assert assess_rob2(two, outcome="remission").trials["zarate_2006"].outcome == "remission"


class TestCrossover:
    def test_the_shipped_crossover_trials_are_judged_only_where_it_is_plain(self) -> None:
        """Responders a week later (Zarate), gains on the 14th day (Dwyer): the gap was short."""
        risk = judge_base(shipped())
        assert risk is not None
        crossed = {t.id for t in shipped().trials if t.design == "crossover"} & set(risk.trials)
        found = {t: risk.trials[t].domains.get("S") for t in crossed}
        assert {t: d.judgement for t, d in found.items() if d} == {
            "zarate_2006": "High",
            "dwyer_2021": "High",
        }
        waiting = {t for t, d in found.items() if d is None}
        assert waiting == {"lapidus_2014", "nugent_2019"}
        assert all(risk.trials[t].unjudged for t in waiting)


class TestForm:
    def test_it_asks_every_question_once_and_the_crossover_domain_where_it_is_due(self) -> None:
        form = base_form(shipped(), ["zarate_2006", "anand_2023"])
        rows = list(csv.DictReader(form.splitlines()))
        asked = [(r["trial_id"], r["domain"], r["question"]) for r in rows]
        assert len(asked) == len(set(asked)) == 22 + 22 + 3 + 1 + 2
        assert {("zarate_2006", "S", q) for q in ("S.1", "S.2", "S.3", "")} <= set(asked)
        assert ("anand_2023", "S", "") not in asked
        assert all(r["asks"] and not r["answer"] for r in rows)

    def test_the_other_effect_of_interest_has_its_own_questions(self) -> None:
        rows = list(csv.DictReader(empty_form(["A"], outcome="x", effect="adhering").splitlines()))
        assert {r["domain"] for r in rows} == {"D1", "D2b", "D3", "D4", "D5", "overall"}
        assert {r["effect"] for r in rows} == {"adhering"}

    def test_a_filled_form_is_read_and_blanks_that_the_path_does_not_ask_are_allowed(
        self, tmp_path
    ) -> None:
        given = {"D1": "Y Y N", "D2a": "N N - - - Y -", "D3": "Y - - -", "D4": "N N N - -",
                 "D5": "Y N N"}  # fmt: skip
        answers = {d: iter(text.split()) for d, text in given.items()}
        rows = list(csv.DictReader(base_form(shipped(), ["anand_2023"]).splitlines()))
        for r in rows:
            told = next(answers[r["domain"]]) if r["domain"] in answers else "-"
            if told != "-":
                r |= {"answer": told, "who": "A", "when": "2026-12-01", "why": "read"}
        file = tmp_path / "form.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        (risk,) = assess_rob2(read_answers(file)).trials.values()
        assert {d.judgement for d in risk.domains.values()} == {"Low"}
        assert risk.overall is None

    def test_unknown_trials_are_named_with_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match=r"'anand' is not a known trial\. Nearest"):
            base_form(shipped(), ["anand"])
        answer = replace(base_answers(shipped())[0], trial="shiroma", row=7)
        with pytest.raises(UnknownNameError, match=r"form\.csv: row 7: 'shiroma' is not a known"):
            check_trials([answer], shipped(), "form.csv")


def assessor(judgements: Mapping[str, tuple[str, str]]) -> list[Answer]:
    """Answers of one assessor: 1.2 (NI gives Some concerns) and 3.1 of each trial."""
    rows = []
    for trial, (concealed, complete) in judgements.items():
        for domain, question, answer in (
            ("D1", "1.1", "Y"), ("D1", "1.2", concealed), ("D1", "1.3", "N"),
            ("D3", "3.1", complete), ("D3", "3.2", "N"), ("D3", "3.3", "Y"), ("D3", "3.4", "Y"),
        ):  # fmt: skip
            rows.append(
                Answer(trial=trial, domain=domain, question=question, answer=answer, who="A",
                       when="2026-12-01", why=f"{answer} as read", row=len(rows) + 2)
            )  # fmt: skip
    return rows


class TestTwoAssessors:
    """Five trials, D1 Low Some Some Low High against Low Low Some Low High; D3 as listed."""

    FIRST: Mapping[str, tuple[str, str]] = {
        "a": ("Y", "Y"), "b": ("NI", "Y"), "c": ("NI", "N"), "d": ("Y", "N"), "e": ("N", "Y"),
    }  # fmt: skip
    SECOND: Mapping[str, tuple[str, str]] = {
        "a": ("Y", "Y"), "b": ("Y", "N"), "c": ("NI", "N"), "d": ("PY", "N"), "e": ("N", "Y"),
        "f": ("Y", "Y"),
    }  # fmt: skip

    def compared(self):
        return compare_assessments(
            assess_rob2(assessor(self.FIRST)), assess_rob2(assessor(self.SECOND))
        )

    def test_kappa_of_a_domain_by_hand(self) -> None:
        """Shares: first .4 .4 .2, second .6 .2 .2; observed 1 − .2·.5; chance .36 + .5·.44."""
        found = self.compared().judgements["D1"]
        assert found.items == 5
        assert found.observed == pytest.approx(0.9, abs=EXACT)
        same = 0.4 * 0.6 + 0.4 * 0.2 + 0.2 * 0.2
        near = 0.4 * 0.2 + 0.4 * 0.6 + 0.4 * 0.2 + 0.2 * 0.2
        assert found.expected == pytest.approx(same + 0.5 * near, abs=EXACT)
        chance = 0.36 + 0.5 * 0.44
        assert found.kappa == pytest.approx((0.9 - chance) / (1 - chance), abs=EXACT)

    def test_disagreements_are_listed_with_both_reasons(self) -> None:
        found = self.compared()
        told = [(d.trial, d.domain, d.question, d.first, d.second) for d in found.disagreements]
        assert told == [
            ("b", "D1", "1.2", "NI", "Y"),
            ("b", "D1", "judgement", "Some concerns", "Low"),
            ("b", "D3", "3.1", "Y", "N"),
            ("b", "D3", "judgement", "Low", "High"),
            ("d", "D1", "1.2", "Y", "PY"),
        ]
        assert found.disagreements[0].first_why == "NI as read"

    def test_answers_are_counted_and_a_trial_of_one_alone_is_told(self) -> None:
        found = self.compared()
        assert found.answers == {"D1": (13, 15), "D3": (19, 20)}
        assert (found.only_first, found.only_second) == ((), ("f",))
        assert "5 trials judged by both" in found.summary()
        assert "Answers: 32 of 35 identical." in found.summary()

    def test_without_a_common_trial_or_effect_there_is_nothing_to_compare(self) -> None:
        one = assess_rob2(assessor({"a": ("Y", "Y")}))
        with pytest.raises(InputError, match="No trial was judged in both: a against b"):
            compare_assessments(one, assess_rob2(assessor({"b": ("Y", "Y")})))
        with pytest.raises(InputError, match="compare like with like"):
            compare_assessments(one, replace(one, effect="adhering"))
