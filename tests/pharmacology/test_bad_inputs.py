"""What cannot be computed is refused in a sentence that names the value, its row and a way out."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.errors import InputError
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.events import read_events
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.nca import analyse_profile
from klarsyn.pharmacology.sbml import read_sbml
from klarsyn.pharmacology.substance import mix, read_substance, resolve
from klarsyn.pharmacology.system import Dose, build_system

LEVELS = "subject,time,concentration\n"
GOOD = LEVELS + "1,0,0\n1,1,8\n1,2,5\n1,4,2\n1,6,0.9\n"
SESSION = ["simulate", "--substance", "ketamine", "--n", "2", "--exposure-only"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "Traceback" not in seen.err
    assert len(seen.err.strip().splitlines()) == 1
    return seen.err


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        (LEVELS + "1,0,5\n", [], "profile 1: .* it has 1"),
        (LEVELS + "1,0,5\n1,0,4\n", [], "profile 1: time 0 comes after 0"),
        (LEVELS + "1,0,5\n1,2,4\n1,1,3\n", [], "profile 1: time 1 comes after 2"),
        (LEVELS + "1,0,-5\n1,2,4\n", [], "profile 1: the concentration at 0 is negative"),
        (LEVELS + "1,0,<\n1,2,4\n", [], "row 2, column 'concentration': '<' is not a number"),
        (LEVELS + "1,0,<5..1\n1,2,4\n", [], "row 2, column 'concentration': '<5..1'"),
        (LEVELS + "1,0,inf\n1,2,4\n", [], "row 2, .* 'inf' is not a finite number"),
        (LEVELS + "1,0,1e308\n1,1e10,1e308\n", [], "the area is too large a number"),
        (LEVELS + ",0,5\n1,0,3\n1,1,2\n", [], "row 2, column 'subject' is empty"),
        (GOOD, ["--dose", "0"], "the dose is 0; it must be a finite number above 0"),
        (GOOD, ["--dose", "nan"], "the dose is nan"),
        (GOOD, ["--tau", "-4"], "the tau is -4"),
        (GOOD, ["--tau", "inf"], "the tau is inf"),
        (GOOD, ["--infusion", "-1"], "an infusion of length -1"),
        (GOOD, ["--infusion", "nan"], "an infusion of length nan"),
        (GOOD, ["--partial", "4,1"], "from 4 to 1: the end must lie later"),
        (GOOD, ["--partial", "0,inf"], "from 0 to inf: both must be finite"),
        (GOOD, ["--partial", "4"], "--partial '4': give two times"),
        (GOOD, ["--concentration", "time"], "'time' cannot hold both"),
        (GOOD, ["--by", "analyte"], "there is no column 'analyte'"),
    ],
)
def test_a_concentration_table_that_cannot_be(table, options, says, tmp_path, capsys) -> None:
    file = tmp_path / "levels.csv"
    file.write_text(table)
    said = refused(["nca", str(file), *options], capsys)
    with pytest.raises(InputError, match=says):
        raise InputError(said)


@pytest.mark.parametrize(
    ("regimen", "says"),
    [
        ("1e400 mg base iv", "a dose of inf mg is not a finite amount"),
        ("nan mg base iv", "no amount"),
        ("5 mg/kg/h base iv", "no amount"),
        ("5 mg 10 mg base iv", "'10 mg' was not understood"),
        ("5 mg base hydrochloride iv", "'hydrochloride' was not understood"),
        ("5 mg base rectal", "Nearest to 'rectal': oral"),
        ("5 mg base iv over -4 min", "an infusion over -4 min"),
        ("5 mg base iv over 40", "Say of what: 'over 40 min'"),
        ("5 mg base iv, 8 per week, 3 weeks", "8 doses a week .* 1 to 7"),
        ("5 mg base iv, daily for 0 days", "1 doses a day for 0 days"),
        ("5 mg base iv, 25 times a day for 2 days", "25 doses a day .* 1 to 24"),
        ("5 mg base iv, every 0 h, 3 doses", "3 doses every 0 h"),
        ("5 mg base iv, every 8 h, 100000 doses", "100000 doses every 8 h: .* 1 to 10000"),
        ("5 mg base iv, every 8 h for 0 days", "the time it is kept up are above 0"),
        ("5 mg base iv, every 5 h", "'every 5 h' was not understood"),
        ("5 mg base iv on days 3, 3", "a dose at 72 h comes after one at 72 h"),
        ("5 mg base iv on days -1", "a dose at -24 h"),
        ("5 mg base nasal in 0 portions 5 min apart", "0 portions 5 min apart"),
        ("5 mg base nasal in 3 portions -5 min apart", "3 portions -5 min apart"),
        ("5 mg base nasal in 100000 sprays 1 min apart", "Use 2 to 100 portions"),
    ],
)
def test_a_regimen_that_cannot_be(regimen, says, capsys) -> None:
    with pytest.raises(InputError, match=says):
        parse_regimen(regimen)
    refused([*SESSION, "--regimen", regimen], capsys)


def test_a_dose_beside_a_regimen_is_not_passed_over(capsys) -> None:
    said = refused([*SESSION, "--regimen", "5 mg base iv", "--dose", "9 mg base"], capsys)
    assert "--regimen leaves no room for --dose" in said


HEAD = "ID,TIME,EVID,AMT,RATE,II,ADDL,SS,CMT,MDV\n"
SEEN = "\n1,5,0,0,0,0,0,0,1,0\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,0,1,-5,0,0,0,0,1,1", "row 2: amount -5 is negative"),
        ("1,0,1,.,0,0,0,0,1,1", "row 2: a dose without AMT"),
        ("1,0,1,5,-3,0,0,0,1,1", "row 2: rate -3"),
        ("1,0,1,5,0,0,3,0,1,1", "row 2: ADDL 3 needs an interval II"),
        ("1,0,1,5,0,4,2000000000,0,1,1", "row 2: ADDL 2000000000 is more than 100000"),
        ("1,0,1,5,0,-4,3,0,1,1", "row 2: II -4 is negative"),
        ("1,0,1,5,0,0,0,1,1,1", "row 2: SS 1 needs an interval II"),
        ("1,0,1,5,0,9,0,3,1,1", "row 2: SS 3 is not 0, 1 or 2"),
        ("1,0,1,0,0,12,0,1,1,1", "row 2: SS 1 needs AMT above 0"),
        ("1,0,1,0,5,0,0,0,1,1", "row 2: rate 5 without an amount never ends"),
        ("1,0,1,0,5,12,3,1,1,1", "row 2: the steady state of a constant infusion .* no II"),
        ("1,0,0,0,0,12,3,0,1,0", "row 2: EVID 0 is not a dose, but II is 12"),
        ("1,0,3,5,0,0,0,0,1,1", "row 2: EVID 3 is not a dose, but AMT is 5"),
        ("1,0,1,5,0,0,0,0,1,2", "row 2: MDV 2 is not 0"),
        ("1,0,1,5,0,0,0,0,3,1", "row 2: '3' is not a known compartment"),
        ("1,0,1,5,0,0,0,0,1,1\n2,0,1,5,0,0,0,0,1,1", "row 4: ID 1 begins again after ID 2"),
    ],
)
def test_an_event_table_that_cannot_be(row, says, tmp_path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(HEAD + row + SEEN)
    with pytest.raises(InputError, match=says):
        read_events(file, ["central", "peripheral"])


def test_a_steady_state_of_endless_overlap_is_refused() -> None:
    system = build_system(
        compartments=["A"], equations={"A": "-k*A"}, parameters={"k": 1.0}, outputs={"A": "A"}
    )
    dose = Dose(time=0, amount=5, compartment="A", rate=0.1, interval=1e-9, steady=1)
    with pytest.raises(InputError, match="every 1e-09 h: more than 10000 would run"):
        solve(system, [dose], [1.0])


MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model>
<listOfCompartments><compartment id="v" size="5" constant="true"/></listOfCompartments>
<listOfSpecies><species id="S" compartment="v" initialConcentration="2"
hasOnlySubstanceUnits="false" boundaryCondition="false" constant="false"/></listOfSpecies>
<listOfParameters><parameter id="k" value="0.4" constant="true"/></listOfParameters>
<listOfReactions><reaction id="r" reversible="false"><listOfReactants>
<speciesReference species="S" stoichiometry="1" constant="true"/></listOfReactants><kineticLaw>
<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>k</ci><ci>S</ci></apply></math>
</kineticLaw></reaction></listOfReactions></model></sbml>
"""
MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">'


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (' size="5"', "", "compartment 'v' has the size nan. Give it a finite volume"),
        ('size="5"', 'size="-5"', "compartment 'v' has the size -5"),
        (' initialConcentration="2"', "", "'S' has no finite value at the start"),
        ('"2"\n', '"INF"\n', "'S' has no finite value at the start"),
        (' value="0.4"', "", "'k' has no finite value at the start"),
        (' stoichiometry="1"', "", "'S' in reaction 'r' has no stoichiometry"),
        ('compartment="v"', 'compartment="q"', "refers to the compartment 'q'"),
        ('id="k"', 'id="kk"', "not a valid SBML file .line 8: .* 'k'"),
        ('Reference species="S"', 'Reference species="Z"', "not a valid SBML file"),
        ("<ci>k</ci>", "<apply><arcsin/><ci>k</ci></apply>", "asin.k.' uses a function"),
        ('="2"\n', '="2" conversionFactor="k"\n', "conversion factors are not read"),
        (
            "<listOfReactions>",
            f'<listOfInitialAssignments><initialAssignment symbol="k">{MATH}<ci>k</ci></math>'
            "</initialAssignment></listOfInitialAssignments><listOfReactions>",
            "not a valid SBML file .*[Cc]ircular",
        ),
        (
            "<listOfReactions>",
            f'<listOfRules><rateRule variable="k">{MATH}<cn>2</cn></math></rateRule>'
            "</listOfRules><listOfReactions>",
            "'k' should have a constant value of 'false'",
        ),
    ],
)
def test_an_sbml_model_that_cannot_be(old, new, says, tmp_path) -> None:
    file = tmp_path / "m.xml"
    file.write_text(MODEL)
    assert solve(read_sbml(file), [], [0.0]).outputs["S"] == [2.0]
    assert old in MODEL
    file.write_text(MODEL.replace(old, new, 1))
    with pytest.raises(InputError, match=says):
        read_sbml(file)


def test_masses_that_cannot_be_mixed() -> None:
    ketamine = read_substance("ketamine")
    form = ketamine.form("S")
    for parts, says in (
        ([], "at least one form"),
        ([(form, -1.0)], "-1 of S"),
        ([(form, np.nan)], "nan of S"),
        ([(form, 0.0)], "sum to 0"),
    ):
        with pytest.raises(InputError, match=says):
            mix(parts)


@pytest.mark.parametrize("rounds", [0, -1, 1.5, True])
def test_rounds_that_cannot_be_counted(rounds) -> None:
    with pytest.raises(InputError, match="rounds is a whole number from 1 up"):
        resolve(yield_per_round=0.4, excess=0.9, racemised=0.9, rounds=rounds)


def test_a_profile_says_what_is_not_in_its_numbers() -> None:
    late = analyse_profile([3, 4, 6, 8], [9, 6.5, 3.2, 1.7], partial=[(0, 4)])
    assert late.status == (
        "areas begin with the first sample, at 3; "
        "no area from 0 to 4: it begins before the first sample"
    )
    short = analyse_profile([0, 1, 2, 3, 4], [0, 9, 4, 2, 0.9], infusion=10, dose=5)
    assert short.mean_residence is None
    assert short.volume_steady is None
    assert "the infusion of 10 goes on after the last level, at 4" in short.status
    assert "no line through the last points falls" in (
        analyse_profile([0, 1, 2, 3, 4], [10, 1, 2, 3, 4]).status
    )
    assert analyse_profile([0, 1], [0, 0]).status == "no level above the limit of quantification"
