"""Whatever is wrong with a file, a command says so in one sentence with exit code 2.

Each command gets a table that it accepts, and the same table spoilt in one way at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from klarsyn.app.cli import main

from ..evidence.small import small, write_base

COUNTS = """study,ai,n1i,ci,n2i,year
Aronson,4,123,11,139,1948
Ferguson,6,306,29,303,1949
Rosenthal,3,231,11,220,1960
Hart,62,13598,248,12867,1977
"""
EFFECTS = """study,yi,vi
Heffron,-2.31,0.36
Gibelli,-0.46,0.31
Pose,-0.62,0.21
"""
NETWORK = """study,treatment,events,n
One,drug,28,47
One,placebo,7,25
Two,drug,20,40
Two,placebo,12,41
"""
LEVELS = """study,scale,effect,se
One,MADRS,-0.12,0.31
One,HADS,-0.20,0.32
Two,MADRS,-0.41,0.28
Two,HADS,-0.31,0.28
"""
DOSES = """study,dose,mean,sd,n
One,0,-5.1,9.8,19
One,0.5,-11.2,10.1,22
Two,0,-4.1,9.8,19
Two,1,-10.2,10.1,22
"""
GUESSES = """trial,arm,role,respondent,correct,wrong,dont_know,total
One,drug,active,participants,9,5,5,19
One,placebo,control,participants,5,8,6,19
"""
STRATA = """received,guessed,n,mean,sd
active,active,48,19.6,9.6
active,control,43,12.3,10.5
control,active,39,18.4,9.9
control,control,102,10.9,10.9
"""
MISSING = """study,treated_events,treated_observed,treated_missing,control_events,\
control_observed,control_missing
One,29,47,22,20,34,34
Two,12,30,3,9,31,4
"""
SETS = """name,new_events,new_total,reference_events,reference_total
as treated,108,195,70,170
all randomised,108,200,70,203
"""
TRIALS = """id,treated_events,treated_total,control_events,control_total,published,eligible,reason
One,74,195,37,170,2023-05-24,yes,
Two,44,95,57,91,2022-05,yes,
"""
ASSESSMENTS = """assessment,trial,criteria,search_date
Agency A,One,randomised,2024-01
"""
PEOPLE = """weight,age,female
82,45,0
64,71,1
"""
PROFILE = """subject,time,concentration
1,0,0
1,0.5,12.1
1,1,18.4
1,2,9.7
1,4,3.1
1,8,0.4
"""
CLICKS = """study,arm,day,remaining
One,drug,0,1
One,drug,20,0.92
One,drug,40,0.80
One,drug,90,0.71
"""
AT_RISK = """study,arm,day,at_risk,events,last_dose
One,drug,0,90,24,0
One,drug,45,66,,0
"""
HARMS = """study,harm,arm,events,patients,ascertainment,years
One,cystitis,test,0,120,systematic,14
One,cystitis,control,0,118,systematic,14
"""
ANSWERS = """trial,domain,question,answer,who,when,why
One,D3,3.1,Y,A. Reader,2024-04-01,98 % followed
"""
OUTCOMES = """outcome,measure,estimate,low,high,participants,studies,information_size,\
high_risk_weight,predicted_low,predicted_high,small,moderate,large,unit,baseline
mood,mean_difference,-4,-6,-2,620,6,785,0,-8,0.5,2,5,8,points,
"""
AT_RISK_OF_BIAS = """study,effect,lower,upper,risk
One,-0.62,-1.02,-0.22,high
Two,-0.35,-0.71,0.01,low
"""
CELLS = """study,estimate,se,risk,belief,time
One,-0.6,0.2,High,-0.3,1 week
Two,-0.5,0.2,Low,-0.3,1 week
"""


@dataclass(frozen=True)
class Case:
    """A command's table, where the file stands among its arguments, and what can be spoilt."""

    table: str
    number: str
    args: tuple[str, ...] = ()
    events: tuple[str, str] = ("", "")
    spread: str = ""
    second: str = ""
    needed: str = ""


CASES: dict[str, Case] = {
    "pool": Case(COUNTS, "ai", ("--measure", "RR"), ("ai", "n1i")),
    "subsets": Case(COUNTS, "ai", ("--measure", "RR"), ("ai", "n1i")),
    "regress": Case(COUNTS, "ai", ("--measure", "RR", "--moderators", "year"), ("ai", "n1i")),
    "network": Case(NETWORK, "events", ("--measure", "OR"), ("events", "n")),
    "multilevel": Case(LEVELS, "effect", ("--nested", "study,scale"), spread="se"),
    "dose": Case(DOSES, "mean", ("--curve", "linear"), spread="sd"),
    "blinding": Case(GUESSES, "correct", (), ("correct", "total")),
    "unblinding": Case(STRATA, "mean", ("--timing", "unknown"), spread="sd"),
    "missing": Case(
        MISSING, "treated_events", ("--event", "good"), ("treated_events", "treated_observed")
    ),
    "noninferiority": Case(
        SETS, "new_events", ("--margin", "0.1", "--basis", "declared"), ("new_events", "new_total")
    ),
    "inclusion": Case(
        TRIALS,
        "treated_events",
        ("--positive-favours", "treated"),
        ("treated_events", "treated_total"),
        second=ASSESSMENTS,
    ),
    "simulate": Case(
        PEOPLE,
        "weight",
        ("--substance", "ketamine", "--dose", "0.5 mg/kg", "--route", "iv", "--individuals"),
        needed="weight",
    ),
    "nca": Case(PROFILE, "concentration"),
    "relapse": Case(CLICKS, "remaining", ("--origin", "randomisation"), second=AT_RISK),
    "harms": Case(
        HARMS, "events", ("--spontaneous", "3", "--unknown", "2"), ("events", "patients")
    ),
    "riskofbias": Case(ANSWERS, "", needed="answer"),
    "adjusted": Case(AT_RISK_OF_BIAS, "effect", ("--measure", "SMD", "--benefit", "lower")),
    "grade": Case(OUTCOMES, "estimate"),
    "grid": Case(CELLS, "estimate", ("--benefit", "lower"), spread="se"),
    "rare": Case(COUNTS, "ai", (), ("ai", "n1i")),
    "smallstudy": Case(EFFECTS, "yi", ("--measure", "GEN", "--favoured", "negative"), spread="vi"),
    "bayes": Case(
        EFFECTS, "yi", ("--measure", "GEN", "--tau-prior", "half-normal 0.5"), spread="vi"
    ),
}


def with_cell(table: str, column: str, cell: str, row: int = 2) -> str:
    """The table with another text in one cell; row 2 is the first below the header."""
    lines = table.splitlines()
    cells = lines[row - 1].split(",")
    cells[lines[0].split(",").index(column)] = cell
    lines[row - 1] = ",".join(cells)
    return "\n".join(lines) + "\n"


def without(table: str, column: str) -> str:
    """The table without one column."""
    rows = [line.split(",") for line in table.splitlines()]
    at = rows[0].index(column)
    return "\n".join(",".join(r[:at] + r[at + 1 :]) for r in rows) + "\n"


def decimal_commas(table: str) -> str:
    return table.replace(",", ";").replace(".", ",")


def twice(table: str) -> str:
    """The table with its second column named as the first."""
    lines = table.splitlines()
    names = lines[0].split(",")
    lines[0] = ",".join([names[0], names[0], *names[2:]])
    return "\n".join(lines) + "\n"


def in_row(case: Case, cell: str) -> str:
    return with_cell(case.table, case.number, cell)


# What is wrong with the text of the file, and words of which one must be in the sentence.
TEXTS: dict[str, tuple[Callable[[Case], str | bytes], tuple[str, ...]]] = {
    "missing column": (
        lambda c: without(c.table, c.needed or c.number),
        ("column", "columns", "neither"),
    ),
    "text in a number": (lambda c: in_row(c, "many"), ("row 2", "many")),
    "infinite": (lambda c: in_row(c, "inf"), ("finite", "row 2")),
    "huge": (lambda c: in_row(c, "1e400"), ("finite", "row 2")),
    "two in a cell": (lambda c: in_row(c, "1 2"), ("row 2",)),
    "truncated": (lambda c: c.table.rstrip("\n").rpartition(",")[0], ("row",)),
    "unclosed quotation": (lambda c: c.table + '"never closed,1,2', ("row",)),
    "not UTF-8": (lambda c: c.table.encode() + b"\xff\xfe\xe6", ("UTF-8",)),
    "UTF-16": (lambda c: c.table.encode("utf-16"), ("UTF-16",)),
    "zip": (lambda c: b"PK\x03\x04\x00\x00" + bytes(range(256)), ("UTF-8", "NUL")),
    "empty": (lambda c: "", ("empty",)),
    "blank": (lambda c: "\n \n\n", ("empty",)),
    "header only": (lambda c: c.table.partition("\n")[0] + "\n", ("at least",)),
    "decimal commas": (lambda c: in_row(c, '"1,5"'), ("decimal", "whole", "row 2")),
    "column twice": (lambda c: twice(c.table), ("twice",)),
    "negative spread": (
        lambda c: with_cell(c.table, c.spread, "-3"),
        ("negative", "below", "above", "positive"),
    ),
    "events above n": (
        lambda c: with_cell(c.table, c.events[0], "999999"),
        ("row 2", "Aronson", "One", "as treated"),
    ),
    "negative events": (
        lambda c: with_cell(c.table, c.events[0], "-1"),
        ("below", "negative", "-1"),
    ),
    "half a patient": (lambda c: with_cell(c.table, c.events[0], "2.5"), ("whole", "2.5")),
}


def applies(fault: str, case: Case) -> bool:
    if fault == "negative spread":
        return bool(case.spread)
    if fault == "half a patient":  # metafor and the network take shares of patients
        return bool(case.events[0]) and case.table not in (COUNTS, NETWORK)
    if fault in {"events above n", "negative events"}:
        return bool(case.events[0])
    if fault in {"text in a number", "infinite", "huge", "two in a cell", "decimal commas"}:
        return bool(case.number)
    return True


PAIRS = [(name, fault) for name in CASES for fault in TEXTS if applies(fault, CASES[name])]


def run(
    capsys: pytest.CaptureFixture[str], name: str, file: Path, folder: Path, *more: str
) -> tuple[int, str, str]:
    """The command on a file: exit code, output, error."""
    case = CASES[name]
    files = [str(file)]
    if case.second:
        second = folder / "second.csv"
        second.write_text(case.second, encoding="utf-8")
        files.append(str(second))
    last = case.args[-1:] == ("--individuals",)
    args = [name, *case.args, *files] if last else [name, *files, *case.args]
    code = 0
    try:
        main([*args, *more])
    except SystemExit as leave:
        code = int(leave.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def said(code: int, out: str, err: str) -> str:
    """The one sentence of a refusal; nothing else is printed."""
    assert code == 2, f"exit code {code}\n{out}\n{err}"
    assert "Traceback" not in err
    assert out == ""
    assert err.startswith("klarsyn: ")
    assert err.rstrip().endswith((".", "?"))
    return err


@pytest.mark.parametrize("name", CASES)
def test_the_sound_table_is_accepted(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(CASES[name].table, encoding="utf-8")
    code, out, err = run(capsys, name, file, tmp_path)
    assert (code, err) == (0, "")
    assert out


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.number])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_european_export_gives_the_same_answer(
    name: str, delimiter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plain = tmp_path / "table.csv", CASES[name].table
    file.write_text(plain, encoding="utf-8")
    expected = run(capsys, name, file, tmp_path)
    file.write_text(decimal_commas(plain).replace(";", delimiter), encoding="utf-8")
    assert run(capsys, name, file, tmp_path) == expected


@pytest.mark.parametrize(("name", "fault"), PAIRS)
def test_a_spoilt_table_is_one_sentence(
    name: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = TEXTS[fault]
    content = spoil(CASES[name])
    file = tmp_path / "table.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    err = said(*run(capsys, name, file, tmp_path))
    assert "table.csv" in err or fault in {"missing column"}, err
    assert any(word in err for word in words), err


@pytest.mark.parametrize("name", CASES)
def test_a_path_that_is_no_table_is_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such file" in said(*run(capsys, name, tmp_path / "absent.csv", tmp_path))
    assert "is a folder" in said(*run(capsys, name, tmp_path, tmp_path))
    fake = tmp_path / "fake.xlsx"
    fake.write_text(CASES[name].table, encoding="utf-8")
    assert "Excel" in said(*run(capsys, name, fake, tmp_path))


@pytest.mark.parametrize(
    ("name", "option"),
    [("simulate", "--out"), ("simulate", "--report"), ("smallstudy", "--funnel")],
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    name: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(CASES[name].table, encoding="utf-8")
    suffix = {"--out": "csv", "--report": "html", "--funnel": "json"}[option]
    target = file / f"below-a-file.{suffix}"
    _, _, err = run(capsys, name, file, tmp_path, option, str(target))
    assert "cannot write" in err
    assert "Traceback" not in err


BASE_FAULTS: dict[str, tuple[str, Callable[[str], str | bytes], tuple[str, ...]]] = {
    "missing column": (
        "findings",
        lambda t: without(t, "statistic"),
        ("findings.csv", "no column 'statistic'"),
    ),
    "text in a number": (
        "findings",
        lambda t: with_cell(t, "value", "many"),
        ("findings.csv", "row 2", "'value'", "many"),
    ),
    "infinite": (
        "findings",
        lambda t: with_cell(t, "value", "inf"),
        ("findings.csv", "row 2", "finite"),
    ),
    "unknown scale": (
        "findings",
        lambda t: with_cell(t, "scale", "MADRSS"),
        ("findings.csv", "row 2", "Nearest: MADRS"),
    ),
    "unknown trial": (
        "findings",
        lambda t: with_cell(t, "trial_id", "nobody"),
        ("findings.csv", "row 2", "nobody"),
    ),
    "unknown comparator": (
        "trials",
        lambda t: with_cell(t, "comparator", "inertt"),
        ("trials.csv", "row 2", "Nearest: inert"),
    ),
    "empty file": ("arms", lambda t: "", ("arms.csv", "empty")),
    "no trials": ("trials", lambda t: t.partition("\n")[0] + "\n", ("trials.csv", "no trials")),
    "truncated": ("trials", lambda t: t.rstrip("\n")[:-40], ("trials.csv", "row")),
    "not UTF-8": ("sources", lambda t: t.encode() + b"\xe6\xff", ("sources.csv", "UTF-8")),
    "column twice": ("findings", twice, ("findings.csv", "twice")),
    "decimal commas": (
        "findings",
        lambda t: with_cell(t, "value", "2,5").replace(",", ";").replace("2;5", "2,5"),
        ("findings.csv", "row 2", "decimal point"),
    ),
}


@pytest.mark.parametrize("fault", BASE_FAULTS)
@pytest.mark.parametrize("args", [["appraise"], ["evidence", "check"], ["evidence", "list"]])
def test_a_spoilt_base_is_one_sentence_and_leaves_nothing(
    args: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, spoil, words = BASE_FAULTS[fault]
    base = write_base(tmp_path / "base", small())
    file = base / f"{table}.csv"
    content = spoil(file.read_text(encoding="utf-8"))
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = tmp_path / "out"
    more = ["--out", str(out)] if args == ["appraise"] else []
    err = refused(capsys, [*args, str(base), *more])
    assert all(word in err for word in words), err
    assert not out.exists()


@pytest.mark.parametrize(
    ("statistic", "value", "words"),
    [("sd", -3, ("sd -3 is not 0 or more",)), ("events", 999, ("999 events of 25",))],
)
def test_impossible_numbers_are_remarked_with_their_row(
    statistic: str, value: int, words: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    tables = small()
    row = next(r for r in tables["findings"] if r["statistic"] == statistic)
    row["value"] = value
    base = write_base(tmp_path / "base", tables)
    code = 0
    try:
        main(["evidence", "check", str(base), "--strict"])
    except SystemExit as leave:
        code = int(leave.code or 0)
    out = capsys.readouterr().out
    assert code == 1, out
    number = 2 + tables["findings"].index(row)
    assert f"impossible: findings row {number} (" in out
    assert all(word in out for word in words)


@pytest.mark.parametrize("args", [["appraise"], ["evidence", "check"], ["evidence", "list"]])
@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("ketamine_depresion", "Nearest: ketamine_depression"),
        ("no/such/folder", "no such base"),
        ("no.xlsx", "no such base"),
        ("", "is not a known base"),
    ],
)
def test_an_unknown_base_is_one_sentence(
    args: list[str], base: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, [*args, base])
    assert list(tmp_path.iterdir()) == []


def test_an_appraisal_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    err = refused(capsys, ["appraise", "mdma_ptsd", "--out", str(blocked / "out")])
    assert "cannot write" in err
    assert blocked.read_text() == "in the way"


def refused(capsys: pytest.CaptureFixture[str], args: list[str]) -> str:
    """The one sentence that a command ends with; progress lines before it do not count."""
    code = 0
    try:
        main(args)
    except SystemExit as leave:
        code = int(leave.code or 0)
    out = capsys.readouterr()
    assert code == 2, f"exit code {code}\n{out.out}\n{out.err}"
    assert "Traceback" not in out.err
    assert out.out == ""
    last = [line for line in out.err.splitlines() if not line.startswith("  ")]
    assert len(last) == 1, out.err
    assert last[0].startswith("klarsyn: ")
    return last[0]
