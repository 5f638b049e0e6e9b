"""RoB 2 and ROBINS-I: exhaustive counts, the human overall judgement (T9), own wording (T10)."""

from __future__ import annotations

import itertools
import tomllib
from collections import Counter
from importlib import resources

import pytest

from klarsyn.bias.questionnaire import suggest, tool
from klarsyn.bias.riskofbias import (
    assess_rob2,
    overall_choices,
    read_answers,
    rob2_domain,
    robins_i,
)
from klarsyn.errors import InputError, UnknownNameError

# methods.md §3.4: Low / Some concerns / High over all answer combinations, found alike by two
# independent implementations (rob-luke/risk-of-bias and InfinityBowman/corates).
COUNTS = {
    "D1": (18, 47, 60),
    "D2a": (15500, 28452, 34173),
    "D2b": (3915, 9234, 13851),
    "D3": (410, 36, 54),
    "D4": (480, 402, 2243),
    "D5": (8, 37, 80),
}


def judgements(domain: str) -> Counter[str]:
    """Over five answers a question (3.2 four; 2.3 to 2.5 of D2b also NA), unreachable ignored."""
    used, table = tool("rob2"), tool("rob2").domain(domain)
    options = [
        [a for a in used.allowed(domain, q) if a != "NA" or (domain, q) in WITH_NA]
        for q in table.questions
    ]
    counts: Counter[str] = Counter()
    for answers in itertools.product(*options):
        given = iter(answers)
        parts = [p.find([next(given) for _ in p.questions]) for p in table.parts]
        assert all(part is not None for part in parts)
        counts[used.worst([part.judgement for part in parts if part])] += 1
    return counts


WITH_NA = {("D2b", "2.3"), ("D2b", "2.4"), ("D2b", "2.5")}


@pytest.mark.parametrize("domain", COUNTS)
def test_every_combination_has_a_judgement_and_the_counts_are_the_published_ones(domain):
    found = judgements(domain)
    assert tuple(found[j] for j in ("Low", "Some concerns", "High")) == COUNTS[domain]


@pytest.mark.parametrize("domain", ["D1", "D3", "D4", "D5"])
def test_the_front_door_gives_what_the_tables_give(domain):
    """`suggest` with its checks, over every combination of the smaller domains."""
    used = tool("rob2")
    questions = used.domain(domain).questions
    options = [[a for a in used.allowed(domain, q) if a != "NA"] for q in questions]
    found = Counter(rob2_domain(domain, a).judgement for a in itertools.product(*options))
    assert tuple(found[j] for j in ("Low", "Some concerns", "High")) == COUNTS[domain]


@pytest.mark.parametrize(
    ("domain", "answers", "judgement"),
    [
        ("D4", ["N", "N", "PY", "Y", "PY"], "High"),  # patient-rated, patients know
        ("D4", ["N", "N", "NI", "Y", "PN"], "Some concerns"),  # remote rater, awareness unclear
        ("D5", ["NI", "NI", "PN"], "Some concerns"),  # no plan available
        ("D3", ["N", "N", "Y", "PY"], "High"),  # 33 against 5 left on learning their allocation
    ],
)
def test_cases_of_psychoactive_trials(domain, answers, judgement):
    assert rob2_domain(domain, answers).judgement == judgement


def test_both_readings_of_pre_treatment_refusal_end_high():
    """methods.md §4.5: 2.6 No with 2.7 Probably yes, or 2.6 Probably yes and D3 takes over."""
    strict = ["Y", "Y", "N", "NA", "NA", "N", "PY"]
    lenient = ["Y", "Y", "N", "NA", "NA", "PY", "NA"]
    assert rob2_domain("D2a", strict).judgement == "High"
    assert rob2_domain("D2a", lenient).judgement == "Low"
    assert rob2_domain("D3", ["N", "N", "Y", "PY"]).judgement == "High"


def test_a_question_is_needed_only_where_the_judgement_depends_on_it():
    assert suggest("rob2", "D1", {"1.2": "N"}).judgement == "High"
    assert suggest("rob2", "D3", {"3.1": "Y"}).unanswered == ()
    with pytest.raises(InputError, match=r"question 3\.2 is needed after 3\.1 N"):
        suggest("rob2", "D3", {"3.1": "N"})


def test_an_answer_to_a_question_that_is_not_asked_is_named():
    found = suggest("rob2", "D3", {"3.1": "Y", "3.4": "Y"})
    assert found.judgement == "Low"
    assert found.not_asked == ("3.2", "3.4")[1:]


def test_an_unknown_answer_gets_the_list():
    with pytest.raises(UnknownNameError, match=r"'MAYBE' is not a known answer to question 1\.1"):
        suggest("rob2", "D1", {"1.1": "MAYBE"})
    with pytest.raises(UnknownNameError, match=r"answer to question 3\.2"):
        suggest("rob2", "D3", {"3.1": "N", "3.2": "NI"})


class TestOverall:
    """T9: the overall judgement is a recorded human decision, never a count."""

    def test_several_some_concerns_leave_two_judgements_open(self):
        assert overall_choices(["Some concerns"] * 2 + ["Low"] * 3) == ("Some concerns", "High")
        assert overall_choices(["Some concerns"] * 5) == ("Some concerns", "High")

    def test_only_clear_cases_are_closed(self):
        assert overall_choices(["Low"] * 5) == ("Low",)
        assert overall_choices(["Low", "High"]) == ("High",)
        assert overall_choices(["Low", "Some concerns"]) == ("Some concerns",)

    def test_without_a_recorded_judgement_there_is_none(self, tmp_path):
        risk = assess_rob2(read_answers(write(tmp_path, LINES)))
        assert risk.trials["Alpha 2020"].overall is None
        assert "leave Some concerns or High" in risk.trials["Alpha 2020"].note
        assert "no overall judgement yet: Alpha 2020" in risk.summary()

    def test_a_recorded_judgement_keeps_who_when_and_why(self, tmp_path):
        extra = "Alpha 2020,overall,,High,A. Reader,2024-05-01,two concerns on the same outcome\n"
        found = assess_rob2(read_answers(write(tmp_path, LINES + extra))).trials["Alpha 2020"]
        assert found.overall is not None
        assert found.note.startswith("High, A. Reader, 2024-05-01: two concerns")

    def test_a_recorded_judgement_outside_the_rule_is_kept_and_said(self, tmp_path):
        extra = "Alpha 2020,overall,,Low,A. Reader,2024-05-01,I like it\n"
        found = assess_rob2(read_answers(write(tmp_path, LINES + extra))).trials["Alpha 2020"]
        assert "although the domains leave only Some concerns or High" in found.note


HEADER = "trial,domain,question,answer,who,when,why\n"
LINES = HEADER + "".join(
    f"Alpha 2020,{line},A. Reader,2024-04-01,as printed\n"
    for line in [
        "D1,1.1,Y",
        "D1,1.2,NI",
        "D1,1.3,N",
        "D2a,2.1,N",
        "D2a,2.2,N",
        "D2a,2.6,Y",
        "D3,3.1,Y",
        "D4,4.1,N",
        "D4,4.2,N",
        "D4,4.3,N",
        "D5,5.1,NI",
        "D5,5.2,N",
        "D5,5.3,N",
    ]
)


def write(folder, text: str):
    path = folder / "answers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_answers_file_names_the_wrong_row(tmp_path):
    bad = LINES.replace("D3,3.1,Y", "D3,3.1,YES")
    with pytest.raises(UnknownNameError, match=r"answers: row 8: 'YES' is not a known answer"):
        assess_rob2(read_answers(write(tmp_path, bad)))
    twice = LINES + "Alpha 2020,D3,3.1,N,B. Reader,2024-04-02,second look\n"
    with pytest.raises(InputError, match=r"row 15 answers D3 3\.1 of Alpha 2020 again \(row 8\)"):
        assess_rob2(read_answers(write(tmp_path, twice)))
    with pytest.raises(InputError, match="column 'who' is empty"):
        read_answers(write(tmp_path, LINES.replace("A. Reader", "", 1)))


def test_an_override_stands_beside_the_suggestion(tmp_path):
    extra = (
        "Alpha 2020,D1,judgement,Low,B. Reader,2024-04-02,central pharmacy confirmed by letter\n"
    )
    domain = (
        assess_rob2(read_answers(write(tmp_path, LINES + extra))).trials["Alpha 2020"].domains["D1"]
    )
    assert domain.judgement == "Low"
    assert domain.note == (
        "The table suggests Some concerns; B. Reader judged Low: central pharmacy confirmed by "
        "letter."
    )


@pytest.mark.parametrize(
    ("answers", "judgement"),
    [
        (["Y", "NA", "Y"], "Low"),
        (["PY", "NA", "PY"], "Low"),
        (["Y", "NA", "N"], "High"),
        (["NI", "NI", "PN"], "High"),
    ],
)
def test_the_plain_corners_of_the_crossover_domain_are_suggested(answers, judgement):
    assert rob2_domain("S", answers).judgement == judgement


@pytest.mark.parametrize("answers", [["Y", "NA", "NI"], ["N", "Y", "Y"], ["NI", "NI", "Y"]])
def test_between_the_corners_the_crossover_domain_has_no_invented_table(answers):
    with pytest.raises(InputError, match="not available from a public source"):
        rob2_domain("S", answers)


def test_undecided_crossover_answers_are_kept_and_wait_for_a_person(tmp_path):
    asked = LINES + "Alpha 2020,S,S.1,Y,A,2024,x\nAlpha 2020,S,S.3,NI,A,2024,x\n"
    trial = assess_rob2(read_answers(write(tmp_path, asked))).trials["Alpha 2020"]
    assert "S" not in trial.domains
    assert [(a.question, a.answer) for a in trial.unjudged] == [("S.1", "Y"), ("S.3", "NI")]
    assert "Not judged yet: S" in trial.note
    judged = asked + "Alpha 2020,S,,Some concerns,A. Reader,2024-04-01,washout of one week\n"
    trial = assess_rob2(read_answers(write(tmp_path, judged))).trials["Alpha 2020"]
    assert trial.domains["S"].judgement == "Some concerns"
    assert trial.unjudged == ()


def test_a_recorded_crossover_judgement_needs_no_answers(tmp_path):
    recorded = LINES + "Alpha 2020,S,,Some concerns,A. Reader,2024-04-01,washout of one week\n"
    domain = assess_rob2(read_answers(write(tmp_path, recorded))).trials["Alpha 2020"].domains["S"]
    assert domain.judgement == "Some concerns"
    assert domain.note == "Recorded by A. Reader: washout of one week."


def test_an_unknown_crossover_question_is_named_with_its_row(tmp_path):
    with pytest.raises(UnknownNameError, match=r"row 15.*S\.4"):
        assess_rob2(read_answers(write(tmp_path, LINES + "Alpha 2020,S,S.4,Y,A,2024,x\n")))


def test_questions_are_told_in_own_words():
    """T10: the tool's wording is licensed; ids and a paraphrase ship, and never its phrases."""
    texts = tool("rob2").texts
    asked = {f"{d}:{q}" for d, dom in tool("rob2").domains.items() for q in dom.questions}
    assert set(texts) == asked
    theirs = (
        "was the allocation sequence",
        "intended intervention",
        "outcome assessors",
        "appropriate analysis used to estimate",
        "were data for this outcome available",
        "baseline differences between intervention groups suggest",
    )
    assert not [t for t in texts.values() if any(phrase in t.casefold() for phrase in theirs)]


def test_a_long_table_with_nothing_answered_asks_for_its_first_question():
    with pytest.raises(InputError, match=r"D4: question 4\.1 is needed after nothing yet"):
        suggest("robins_i", "D4", {})


def test_robins_i_undefined_cell_raises():
    answers = {"2.1": "N", "2.2": "N", "2.3": "SY", "2.4": "WY", "2.5": "N"}
    with pytest.raises(InputError, match=r"no row for 2\.1 N, 2\.2 N, 2\.3 SY, 2\.4 WY, 2\.5 N"):
        suggest("robins_i", "D2", answers)


@pytest.mark.parametrize(
    ("domain", "answers", "judgement"),
    [
        ("D1A", "1.1 Y 1.2 WN 1.3 N 1.4 N", "Low except confounding"),
        ("D1A", "1.1 SN 1.4 Y", "Critical"),
        ("D1B", "1.1 Y 1.2 WN 1.3 Y 1.5 N", "Low except confounding"),
        ("D1B", "1.1 N 1.4 Y", "Critical"),
        ("D2", "2.1 Y 2.4 SY 2.5 NI", "Critical"),
        ("D2", "2.1 N 2.2 N 2.3 N 2.4 WY 2.5 N", "Critical"),
        ("D3", "3.1 Y 3.2 N 3.3 N", "Low"),
        ("D3", "3.1 SN 3.3 N 3.6 N 3.7 N 3.8 N", "Serious"),
        ("D3", "3.1 SN 3.3 N 3.6 Y", "Moderate"),
        ("D3", "3.1 SN 3.3 N 3.6 N 3.7 N 3.8 Y", "Critical"),
        ("D4", "4.1 Y 4.2 Y 4.3 Y", "Low"),
        ("D4", "4.1 N 4.2 Y 4.3 Y 4.4 Y 4.5 Y 4.6 SN 4.11 N", "Critical"),
        ("D5", "5.1 NI 5.2 Y 5.3 SY", "Serious"),
        ("D6", "6.1 N 6.2 Y 6.3 N 6.4 Y", "Critical"),
        ("D6", "6.1 N 6.2 NI 6.3 N 6.4 N", "Moderate"),
    ],
)
def test_robins_i_paths(domain, answers, judgement):
    words = answers.split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert suggest("robins_i", domain, given).judgement == judgement


def test_robins_i_stops_at_the_gate_and_takes_the_worst():
    assert robins_i({"B": {"B2": "PY"}, "D5": {"5.1": "N", "5.2": "N"}}) == {
        "overall": "Critical",
        "domains": {},
        "stopped": "Section B",
    }
    found = robins_i({"B": {"B2": "N", "B3": "N"}, "D5": {"5.1": "Y"}, "D6": {"6.1": "Y"}})
    assert found["overall"] == "Serious"


def test_tables_are_data_with_a_judgement_in_every_row():
    for name in ("rob2", "robins_i"):
        text = resources.files("klarsyn.bias") / "questionnaires" / f"{name}.toml"
        raw = tomllib.loads(text.read_text(encoding="utf-8"))
        for domain in raw["domains"].values():
            for part in domain["parts"]:
                for row in part["rules"]:
                    assert len(row) == len(part["questions"]) + 1
                    assert row[-1] in raw["judgements"]


def test_the_traffic_light_shows_a_missing_judgement_as_missing(tmp_path):
    chart = assess_rob2(read_answers(write(tmp_path, LINES))).plot(title="Skjevhet")
    (values,) = chart.to_dict()["datasets"].values()
    assert {(r["domain"], r["judgement"]) for r in values} >= {("overall", "none"), ("D3", "Low")}
    assert chart.to_dict()["title"] == "Skjevhet"
