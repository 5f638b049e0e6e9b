"""What a command's help prints runs as printed: its tables, written down, through its examples."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from klarsyn.app.cli import cli, main

# command: the file of each table that its help prints, in order
TABLES = {
    "adjusted": ("studies.csv", "elicited.csv"),
    "bayes": ("effects.csv", "counts.csv"),
    "dose": ("means.csv", "risks.csv"),
    "grid": ("effects.csv", "features.csv"),
    "inclusion": ("trials.csv", "assessments.csv"),
    "multilevel": ("effects.csv",),
    "network": ("arms.csv", "contrasts.csv", "means.csv"),
    "noninferiority": ("sets.csv", "arms.csv"),
    "pool": ("trials.csv",),
    "relapse": ("points.csv", "at_risk.csv", "shares.csv"),
    "riskofbias": ("answers.csv",),
    "smallstudy": ("effects.csv", "counts.csv"),
    "unblinding": ("strata.csv", "effects.csv", "controls.csv"),
}
# Examples of the help that read files which it does not print, or take seconds.
NOT_PRINTED = ("mine.csv", "many.csv", "ketamine_depression")
# Examples beyond the help, for tables that no printed example reads.
ALSO = {
    "adjusted": ["adjusted elicited.csv --measure SMD --benefit lower"],
    "network": ["network contrasts.csv --measure OR"],
    "relapse": [
        "relapse points.csv at_risk.csv --origin randomisation --model --shares shares.csv"
    ],
}


def epilog(name: str) -> list[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return (command.epilog or "").replace("\\\n", " ").splitlines()


def tables(lines: list[str]) -> list[str]:
    """Every run of two or more indented lines with commas that is no command."""
    found: list[list[str]] = [[]]
    for line in lines:
        row = line.startswith("  ") and "," in line and not line.strip().startswith("klarsyn ")
        if row:
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return ["\n".join(rows) + "\n" for rows in found if len(rows) > 1]


@pytest.mark.parametrize("name", TABLES)
def test_the_examples_of_the_help_run_as_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = epilog(name)
    printed = tables(lines)
    assert len(printed) == len(TABLES[name])
    for file, text in zip(TABLES[name], printed, strict=True):
        (tmp_path / file).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    examples = [
        x.strip().removeprefix("klarsyn ") for x in lines if x.strip().startswith("klarsyn")
    ]
    run = [x for x in examples if not any(n in x for n in NOT_PRINTED)] + ALSO.get(name, [])
    assert run
    for example in run:
        main(shlex.split(example))
        assert capsys.readouterr().out, example


def test_a_missing_option_says_what_it_gives(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["dose", "means.csv"])
    assert "linear, quadratic, spline or emax" in capsys.readouterr().err


def test_a_base_without_its_question_is_not_called_a_missing_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["network", "ketamine_depression", "--measure", "OR"])
    assert "a base needs a span, e.g. 11..45" in capsys.readouterr().err


def test_a_report_ends_in_html_before_anything_is_simulated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["simulate", "--substance", "ketamine", "--dose", "1 mg base", "--route", "iv"]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--report", "page.txt"])
    said = capsys.readouterr()
    assert said.out == ""
    assert "page.txt: write to a file that ends in .html." in said.err


def test_a_trial_that_no_table_has_is_named_with_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials, sets = tmp_path / "trials.csv", tmp_path / "sets.csv"
    trials.write_text("id,y,v,published\nAlpha,0.2,0.1,2020\n", encoding="utf-8")
    sets.write_text("assessment,trial,criteria,search_date\nA,Alfa,,2021\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main(["inclusion", str(trials), str(sets), "--positive-favours", "treated"])
    said = capsys.readouterr().err
    assert "sets.csv: row 2: 'Alfa' is not a known trial. Nearest: Alpha." in said
