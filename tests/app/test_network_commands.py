"""Networks, dependent effects and doses from the command line, on small tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from klarsyn.app.cli import main

FILES = {
    "arms.csv": "study,treatment,events,n\n1,A,10,50\n1,B,15,52\n1,C,20,49\n2,A,8,40\n2,B,16,41\n"
    "3,B,12,60\n3,C,18,61\n4,A,9,70\n4,C,22,69\n",
    "means.csv": "study,treatment,mean,sd,n\n1,A,10,5,30\n1,A+B,7,5,31\n2,B,8,4,40\n"
    "2,none,11,4,41\n3,A,9,5,30\n3,none,11,5,30\n",
    "contrasts.csv": "study,treat1,treat2,effect,se\nx,A,B,0.5,0.2\ny,A,C,0.9,0.25\n"
    "z,B,C,0.1,0.3\n",
    "holes.csv": "study,treat1,treat2,effect,se\nx,A,B,0.5,0.2\ny,,D,0.9,0.25\n",
    "apart.csv": "study,treat1,treat2,effect,se\nx,A,B,0.5,0.2\ny,C,D,0.9,0.25\n",
    "effects.csv": "study,scale,effect,se\na,m,0.1,0.2\na,h,0.3,0.2\nb,m,0.6,0.3\nb,h,0.5,0.2\n"
    "c,m,-0.1,0.2\nc,h,0.2,0.3\nd,m,0.4,0.1\n",
    "doses.csv": "study,dose,mean,sd,n\n1,0,0,5,40\n1,0.5,3,5,41\n1,1,4,5,40\n2,0,1,5,30\n"
    "2,1,6,5,32\n3,0,0,5,50\n3,0.5,2,5,50\n",
    "risks.csv": "study,dose,effect,se,cases,n,design\n1,0,0,,77,258,case-control\n"
    "1,16,-0.43,0.22,88,413,case-control\n1,46,-1.08,0.30,24,202,case-control\n"
    "2,0,0,,60,300,cumulative-incidence\n2,20,-0.2,0.2,50,320,cumulative-incidence\n",
}
RUNS = {
    "network arms.csv --measure OR --reference A --better lower": "P-score",
    "network arms.csv --measure OR --splits --contributions": "Between designs",
    "network arms.csv --measure OR --mantel-haenszel": "Mantel-Haenszel",
    "network contrasts.csv --measure MD --heterogeneity common": "3 treatments, 3 studies",
    "network means.csv --measure MD --components --inactive none": "Additive",
    "network ketamine_depression --measure OR --outcome response --days 11..45 --target 28 "
    "--merge saline+placebo_nasal+placebo_oral=inert --reference inert": "ect against inert",
    "network apart.csv --measure MD --largest-piece": "not connected to the rest (C, D)",
    "multilevel effects.csv --nested study,scale --rho 0.5 --robust study": "CR2",
    "multilevel effects.csv --crossed study,scale": "sigma2[scale]",
    "dose doses.csv --curve quadratic": "Nonlinearity",
    "dose risks.csv --curve linear --method common": "log relative risk",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", RUNS)
def test_the_command_answers_in_words(line: str, folder: Path, capsys) -> None:
    main(line.split())
    assert RUNS[line] in capsys.readouterr().out


@pytest.mark.parametrize("line", RUNS)
def test_the_command_answers_in_json(line: str, folder: Path, capsys) -> None:
    main([*line.split(), "--json"])
    assert json.loads(capsys.readouterr().out)["digest"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("network apart.csv --measure MD", "2 pieces"),
        ("network arms.csv --measure or", "Nearest: OR"),
        ("network ketamine_depression --measure OR --outcome response", "needs a span"),
        ("network ketamine_depression --measure OR --days 1..9", "needs --outcome"),
        (
            "network ketamine_depression --measure OR --outcome response --days 1..3",
            "falls into 2 pieces",
        ),
        ("network arms.csv --measure MD", "mean is missing"),
        ("network holes.csv --measure MD", "Comparison 2 has no name"),
        ("network effects.csv --measure MD", "no column 'treatment'"),
        ("network arms.csv --measure OR --reference Z", "'Z' is not a known treatment"),
        ("multilevel effects.csv", "Name the groupings"),
        ("multilevel effects.csv --nested study --rho 2", "rho must lie between"),
        ("dose doses.csv --curve cubic", "'cubic' is not a known curve"),
        ("dose doses.csv --curve spline --knots a,b", "separated by commas"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(
    line: str, sentence: str, folder: Path, capsys
) -> None:
    with pytest.raises(SystemExit) as bad:
        main(line.split())
    assert bad.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
