from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klarsyn.evidence import Base, Checked, check_base, open_base
from klarsyn.evidence.check import check_trial

from .small import finding, small, write_base

Tables = dict[str, list[dict[str, Any]]]


def checked(folder: Path, change: Callable[[Tables], object]) -> Checked:
    tables = small()
    change(tables)
    return check_base(open_base(write_base(folder, tables)))


def add(*rows: tuple[object, ...], **rest: object) -> Callable[[Tables], None]:
    """Findings (arm, statistic, value) of trial alpha, in a cell of their own at day 99."""

    def change(tables: Tables) -> None:
        for i, (arm, statistic, value) in enumerate(rows):
            where = {"days_from_first_dose": 99, **rest}
            tables["findings"].append(
                finding("alpha", 100 + i, str(arm), str(statistic), value, **where)
            )

    return change


def put(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    return lambda tables: tables[table][row].update(values)


def correlation(**values: object) -> Callable[[Tables], None]:
    row = {"trial_id": "alpha", "arm_id": "x", "x": "age", "y": "score", "statistic": "r"}
    return lambda tables: tables.update(correlations=[row | values])


RATIO = {"outcome": "response", "scale": "", "unit": ""}
PEOPLE = {"outcome": "response", "scale": ""}

# change, severity, test, a part of the sentence
WRONG = {
    "arms": (
        put("trials", 0, participants=61),
        "inconsistent",
        "arms add up",
        "add up to 60 .30 . 30., but 61",
    ),
    "flow": (put("arms", 0, completed=31), "impossible", "participant flow", "31 completed of 30"),
    "n": (
        put("findings", 2, value=31),
        "inconsistent",
        "analysed of randomised",
        "31 analysed of 30",
    ),
    "schedule": (put("trials", 0, doses_per_week=7), "look", "schedule", "2.0 a week, but 7"),
    "times": (
        put("findings", 0, days_from_last_dose=29),
        "impossible",
        "time order",
        "29 days from the last dose",
    ),
    "events": (
        put("findings", 9, value=26),
        "impossible",
        "events of n",
        "26 events of 25",
    ),
    "percent of events": (
        put("findings", 11, value=44),
        "inconsistent",
        "percent and count",
        r"12 of 25 are 48.00 %, but 44 %",
    ),
    "percent without events": (
        add(("x", "percent", 41.1), ("x", "n", 25), **PEOPLE),
        "inconsistent",
        "percent and count",
        "41.1 % of 25 is no whole number",
    ),
    "percent above 100": (
        put("findings", 11, value=148),
        "impossible",
        "range of a statistic",
        "between 0 and 100",
    ),
    "p above 1": (
        add(("x|p", "p_value", 1.2)),
        "impossible",
        "range of a statistic",
        "between 0 and 1",
    ),
    "half an event": (put("findings", 9, value=2.5), "impossible", "whole count", "2.5 is not"),
    "sd and se": (
        add(("x", "mean", 20), ("x", "sd", 2), ("x", "se", 3)),
        "impossible",
        "SD and SE",
        "the SD 2 is smaller than the SE 3",
    ),
    "sd, se and n": (
        add(("x", "mean", 20), ("x", "sd", 8.1), ("x", "se", 2.5), ("x", "n", 25)),
        "inconsistent",
        "SD, SE and n",
        "do not fit n = 25",
    ),
    "interval and sd": (
        add(
            ("x", "mean", 20),
            ("x", "sd", 8.1),
            ("x", "n", 25),
            ("x", "ci95_lower", 19),
            ("x", "ci95_upper", 21),
        ),
        "inconsistent",
        "interval and SD",
        "means an SD of",
    ),
    "interval of a mean and se": (
        add(("x", "mean", 20), ("x", "se", 4), ("x", "ci95_lower", 18), ("x", "ci95_upper", 22)),
        "inconsistent",
        "interval and SE",
        "does not fit the SE 4",
    ),
    "estimate outside": (
        put("findings", 8, value=-5),
        "impossible",
        "estimate in interval",
        "lies outside its interval",
    ),
    "asymmetric difference": (
        put("findings", 8, value=6.3),
        "inconsistent",
        "symmetric interval",
        "not the middle of its interval$",
    ),
    "asymmetric ratio": (
        add(
            ("x|p", "odds_ratio", 2.4),
            ("x|p", "ci95_lower", 1.1),
            ("x|p", "ci95_upper", 8.3),
            **RATIO,
        ),
        "look",
        "symmetric interval",
        "on the log scale",
    ),
    "p of an interval": (
        add(
            ("x|p", "mean_difference", -4.1),
            ("x|p", "ci95_lower", -8.5),
            ("x|p", "ci95_upper", 0.3),
            ("x|p", "p_value", 0.003),
        ),
        "inconsistent",
        "interval and p",
        "but p = 0.003",
    ),
    "one-sided p": (
        add(
            ("x|p", "mean_difference", -4.1),
            ("x|p", "ci95_lower", -8.5),
            ("x|p", "ci95_upper", 0.3),
            ("x|p", "p_value", 0.034),
        ),
        "look",
        "interval and p",
        "one-sided",
    ),
    "statistic and p": (
        add(("x|p", "t", 1.2), ("x|p", "df", 58), ("x|p", "p_value", 0.03)),
        "inconsistent",
        "statistic and p",
        "t = 1.2 means p = 0.24, but p = 0.03",
    ),
    "correlation": (
        correlation(value=1.2),
        "impossible",
        "range of a statistic",
        "1.2 is not between -1 and 1",
    ),
    "p of a correlation": (
        correlation(value=0.17, p=0.02, n=99),
        "inconsistent",
        "statistic and p",
        "r = 0.17 of 99 means p = 0.093, but p = 0.02",
    ),
    "published": (
        lambda t: t.update(
            published=[
                {"id": "m", "citation": "M", "estimate": 3, "ci95_lower": 1, "ci95_upper": 2}
            ]
        ),
        "impossible",
        "estimate in interval",
        "3 .1 to 2.: the estimate lies outside",
    ),
    "quantiles": (
        add(("x", "median", 20), ("x", "q1", 22), ("x", "q3", 25)),
        "impossible",
        "order of quantiles",
        "q1 22 lies above median 20",
    ),
    "beyond the scale": (
        put("findings", 0, value=-12.5),
        "impossible",
        "range of the scale",
        "-12.5 lies outside 0 to 60",
    ),
    "change beyond the scale": (
        add(("x", "mean", -61), outcome="depression_change"),
        "impossible",
        "range of the scale",
        "-61 lies outside -60 to 60",
    ),
    "spread beyond the scale": (
        put("findings", 1, value=35),
        "impossible",
        "spread within the scale",
        "above 29",
    ),
    "an SE as SD": (put("findings", 1, value=1.6), "look", "SD or SE", "an SE?"),
    "grim": (
        put("findings", 0, value=20.43),
        "inconsistent",
        "whole-number mean (GRIM)",
        "20.43 of 25 is inconsistent with n under integer scoring",
    ),
    "grimmer": (
        add(("x", "mean", 2.6), ("x", "sd", 2.05), ("x", "n", 25)),
        "inconsistent",
        "whole-number SD (GRIMMER)",
        "inconsistent with n under integer scoring",
    ),
    "difference of raw means": (
        add(("x", "mean", 20.4), ("p", "mean", 24.5), ("x|p", "mean_difference", -5.1)),
        "inconsistent",
        "difference of means",
        "differ by -4.1, but -5.1",
    ),
    "direction": (
        put("findings", 6, value=4.1),
        "look",
        "direction of the difference",
        "first minus second",
    ),
    "interval and SDs": (
        add(
            ("x", "mean", 20.4),
            ("x", "sd", 8),
            ("x", "n", 25),
            ("p", "mean", 24.4),
            ("p", "sd", 8),
            ("p", "n", 25),
            ("x|p", "mean_difference", -4),
            ("x|p", "ci95_lower", -5),
            ("x|p", "ci95_upper", -3),
        ),
        "look",
        "interval and SDs",
        "mean an SE of",
    ),
    "ratio of counts": (
        add(
            ("x", "events", 10),
            ("x", "n", 20),
            ("p", "events", 5),
            ("p", "n", 20),
            ("x|p", "risk_ratio", 2.5),
            **PEOPLE,
        ),
        "look",
        "effect of the counts",
        "give risk ratio 2, but 2.5",
    ),
    "sign of change": (
        lambda t: (
            add(("x", "mean", 30), days_from_first_dose=0)(t),
            t["findings"].append(
                finding("alpha", 200, "x", "mean", 9.6, outcome="depression_change")
            ),
        ),
        "look",
        "sign of the change",
        "later minus earlier",
    ),
    "two chosen": (
        add(("x", "mean", 20), ("x", "mean", 21)),
        "inconsistent",
        "one chosen of several",
        "2 of them are chosen",
    ),
    "no reason": (
        lambda t: (
            add(("x", "mean", 20), ("x", "mean", 21))(t),
            t["findings"][-1].update(chosen="false"),
        ),
        "look",
        "reason for the choice",
        "no reason",
    ),
    "no locator": (put("findings", 0, locator=""), "look", "locator", "no locator"),
    "guesses": (
        put("guesses", 0, total=31),
        "inconsistent",
        "guesses add up",
        "add up to 30, but 31",
    ),
    "some guesses": (
        put("guesses", 0, total=20, wrong=None, dont_know=None, correct=21),
        "impossible",
        "guesses add up",
        "21 guesses of arm x of 20",
    ),
    "percent of guesses": (
        put("guesses", 0, percent_correct=70),
        "inconsistent",
        "percent of guesses",
        "fits neither 20 of 30 asked nor 20 of 25",
    ),
    "denominator of guesses": (
        put("guesses", 0, percent_correct=80),
        "look",
        "denominator of guesses",
        "leaves out 5 who did not know",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_wrong_number_gets_its_sentence_and_its_row(tmp_path: Path, case: str) -> None:
    change, severity, test, words = WRONG[case]
    found = checked(tmp_path / "b", change)
    hits = [r for r in found.remarks if r.test == test]
    assert len(hits) == 1, found.remarks
    assert hits[0].severity == severity
    assert hits[0].row >= 2
    assert re.search(words, hits[0].sentence), hits[0].sentence


def test_the_right_base_has_no_remark(small_base: Base) -> None:
    found = check_base(small_base)
    assert found.remarks == ()
    assert sum(found.performed.values()) > 40
    assert "0 impossible, 0 inconsistent, 0 look" in found.summary()


def test_a_remark_never_names_a_motive(tmp_path: Path) -> None:
    for case, (change, *_) in WRONG.items():
        text = str(checked(tmp_path / case.replace(" ", "_"), change).to_dict()).casefold()
        assert not any(word in text for word in ("fraud", "fabricat", "falsif", "manipulat"))


NOT_RAW = [
    {"estimator": "model"},
    {"estimator": "locf"},
    {"estimator": "unknown"},
    {"estimator": ""},
    {"kind": "digitised"},
    {"kind": "derived"},
    {"period": "both"},
    {"unit": "percent"},
]


@pytest.mark.parametrize("rest", NOT_RAW, ids=str)
def test_grim_is_left_out_where_scores_are_not_raw(tmp_path: Path, rest: dict[str, object]) -> None:
    """Trap T12."""
    rows = (("x", "mean", 20.43), ("x", "sd", 8.11), ("x", "n", 25))
    found = checked(tmp_path / "b", add(*rows, **rest))
    plain = checked(tmp_path / "c", add(*rows))
    tests = ("whole-number mean (GRIM)", "whole-number SD (GRIMMER)")
    assert not any(r.test in tests for r in found.remarks)
    assert any(r.test in tests for r in plain.remarks)


def test_grim_is_left_out_where_the_scale_is_not_whole(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["scales"][0]["integer"] = "false"
        add(("x", "mean", 20.43), ("x", "n", 25))(tables)

    assert checked(tmp_path / "b", change).remarks == ()


def test_an_unchosen_number_takes_no_part_in_its_cell(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["findings"].append(
            finding("alpha", 300, "x", "mean", 20.43, chosen="false", reason="a later report")
        )

    assert checked(tmp_path / "b", change).remarks == ()


def test_groups_alike_beyond_chance_are_remarked_on(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        for i, outcome in enumerate(("depression_score", "age")):
            for arm in ("x", "p"):
                for j, (statistic, value) in enumerate((("mean", 30), ("sd", 10), ("n", 30))):
                    number = f"{i}{arm}{j}"
                    tables["findings"].append(
                        finding(
                            "alpha",
                            400 + len(tables["findings"]),
                            arm,
                            statistic,
                            value,
                            outcome=outcome,
                            scale="MADRS" if i == 0 else "",
                            days_from_first_dose=0,
                            note=number,
                        )
                    )

    (remark,) = checked(tmp_path / "b", change).remarks
    assert remark.test == "baseline similarity"
    assert "more alike than chance" in remark.sentence


def test_crossover_arms_share_participants(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["trials"][0].update(design="crossover", participants=30)

    assert "arms add up" not in {r.test for r in checked(tmp_path / "b", change).remarks}


def test_one_trial_is_checked_alone(tmp_path: Path) -> None:
    tables = small()
    tables["trials"][0]["participants"] = 61
    base = open_base(write_base(tmp_path / "b", tables))
    assert len(check_trial(base, base.trial("alpha")).remarks) == 1
    assert check_trial(base, base.trial("beta")).remarks == ()


def test_remarks_come_worst_first(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["findings"][0]["locator"] = ""
        tables["trials"][0]["participants"] = 61
        tables["findings"][9]["value"] = 26

    found = checked(tmp_path / "b", change)
    assert [r.severity for r in found.remarks] == [
        "impossible",
        "inconsistent",
        "inconsistent",
        "look",
    ]
