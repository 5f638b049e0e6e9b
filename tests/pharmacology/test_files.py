"""Event tables and SBML files in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from klarsyn.errors import InputError
from klarsyn.pharmacology.events import Subject, read_events, write_events
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.sbml import read_sbml
from klarsyn.pharmacology.system import Change, Dose, Reset, build_system, check_doses

EXACT = 1e-9  # linear systems are solved exactly: rounding of exponentials
NOTHING = 1e-12  # an amount that was set to 0
WRITTEN = 1e-12  # relative: the same doses, written twice
SIX_DIGITS = 5e-6  # relative: libroadrunner's numbers are printed to six digits
EXPONENTIAL = 1e-13  # relative: one exponential

BEFORE_24, BEFORE_48 = np.nextafter(24.0, 0.0).item(), np.nextafter(48.0, 0.0).item()
HALVES = """ID,TIME,EVID,AMT,RATE,II,ADDL,SS,CMT,DV,MDV
a,0,1,64,,6,9,,1,,1
a,3,0,,,,,,,,1
a,6,0,,,,,,,,1
a,7,1,24,12,,,,A,,1
a,8,4,16,,,,,A,,1
a,9,0,,,,,,,,1
a,11,0,,,,,,,,1
a,11,3,,,,,,,,1
a,12,0,,,,,,,,1
a,13,0,,,,,,,,1
a,13,1,8,,,,,A,,1
a,13,0,,,,,,,,1
a,14,0,,,,,,,,1
"""
TABLE = """ID,TIME,EVID,AMT,RATE,II,ADDL,SS,CMT,DV,MDV,WT
1,0,1,100,0,12,3,0,GUT,,1,70
1,1,0,,,,,,,4.5,0,70
1,30,0,,,,,,,,1,80
2,0,1,50,25,0,0,0,2,,1,60
2,2,0,,,,,,,3.1,0,60
"""
TWO = build_system(
    compartments=("GUT", "C"),
    equations={"GUT": "-GUT", "C": "GUT - 0.5*C"},
    parameters={"WT": 70.0},
    outputs={"C": "C"},
)
SUBJECTS = (
    Subject(
        id="1",
        doses=(
            Dose(time=0, amount=100, compartment="GUT", interval=12, additional=3),
            Dose(time=50, amount=7.25, compartment="C", duration=2 / 3),
        ),
        times=(1.0, 30.0),
        observed=(4.5, None),
        changes=(
            Change(time=0.0, parameters={"WT": 70.0}),
            Change(time=30.0, parameters={"WT": 80.1}),
        ),
    ),
    Subject(
        id="2",
        doses=(Dose(time=0, amount=50, compartment="C", rate=25, interval=24, steady=1),),
        times=(2.0,),
        observed=(3.1,),
        changes=(),
    ),
    Subject(
        id="3",
        doses=(
            Dose(time=0, amount=5, compartment="GUT", rate=-2, interval=6, additional=9),
            Dose(time=12, amount=5, compartment="C", interval=8, steady=2),
            Dose(time=24, amount=10, compartment="GUT", rate=-1),
        ),
        times=(1.0, BEFORE_24, 24.0, BEFORE_48, 50.0),
        observed=(None, 2.5, 2.75, None, 1e-3),
        changes=(),
        resets=(Reset(time=24.0), Reset(time=48.0)),
    ),
)


def test_an_event_table_is_read(tmp_path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(TABLE)
    first, second = read_events(file, ["GUT", "C"], covariates=["WT"])
    assert first.doses == (Dose(time=0, amount=100, compartment="GUT", interval=12, additional=3),)
    assert (first.times, first.observed) == ((1.0, 30.0), (4.5, None))
    assert [c.parameters["WT"] for c in first.changes] == [70, 70, 80]
    assert second.doses[0] == Dose(time=0, amount=50, compartment="C", rate=25)


def test_a_header_in_lower_case_reads_the_same(tmp_path) -> None:
    upper, lower = tmp_path / "upper.csv", tmp_path / "lower.csv"
    upper.write_text(TABLE)
    header, rest = TABLE.split("\n", 1)
    lower.write_text("\n".join([header.lower().replace("id,", "ID,").replace("wt", "WT"), rest]))
    expected = read_events(upper, ["GUT", "C"], covariates=["WT"])
    assert read_events(lower, ["GUT", "C"], covariates=["WT"]) == expected
    small = tmp_path / "small.csv"
    small.write_text("\n".join([header.lower(), rest]))
    weights = [c.parameters for c in read_events(small, ["GUT", "C"], covariates=["wt"])[0].changes]
    assert weights == [{"wt": 70.0}, {"wt": 70.0}, {"wt": 80.0}]


def test_a_header_that_names_a_column_in_both_cases_is_refused(tmp_path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("ID,TIME,time\n1,0,0\n")
    with pytest.raises(InputError, match="names the column 'TIME' twice"):
        read_events(file, ["A"])


def test_comment_lines_are_left_out_and_rows_keep_their_numbers(tmp_path) -> None:
    plain, file = tmp_path / "plain.csv", tmp_path / "events.csv"
    plain.write_text(TABLE)
    expected = read_events(plain, ["GUT", "C"], covariates=["WT"])
    lines = TABLE.splitlines()
    lines[1:1] = ["#1,0,1,500", "C 1,0,1,500; left out", "C,0,1,900,0,0,0,0,GUT,,1,70"]
    file.write_text("\n".join(["# made by hand; second version", "C for NONMEM", *lines, ""]))
    assert read_events(file, ["GUT", "C"], covariates=["WT"]) == expected
    file.write_text(file.read_text().replace("1,30,0,", "1,0.5,0,"))
    with pytest.raises(InputError, match=r"row 9: TIME 0\.5 comes after 1"):
        read_events(file, ["GUT", "C"], covariates=["WT"])


def test_an_individual_that_would_read_back_as_a_comment_is_not_written(tmp_path) -> None:
    lost = Subject(id="C", doses=(), times=(1.0,), observed=(None,), changes=())
    with pytest.raises(InputError, match="'C' would be read back as a comment"):
        write_events(tmp_path / "events.csv", [lost])


def test_a_column_c_marks_the_rows_that_are_left_out(tmp_path) -> None:
    plain, file = tmp_path / "plain.csv", tmp_path / "events.csv"
    plain.write_text(TABLE)
    header, *rows = TABLE.splitlines()
    marked = [f"C,{header}", *(f".,{r}" for r in rows[:2]), "C,1,2,1,999,0,0,0,0,1,,1,70"]
    file.write_text("\n".join([*marked, *(f",{r}" for r in rows[2:]), ""]))
    expected = read_events(plain, ["GUT", "C"], covariates=["WT"])
    assert read_events(file, ["GUT", "C"], covariates=["WT"]) == expected


def test_what_is_written_reads_back_to_the_same(tmp_path) -> None:
    file = tmp_path / "events.csv"
    write_events(file, SUBJECTS, covariates=["WT"])
    assert read_events(file, ["GUT", "C"], covariates=["WT"]) == SUBJECTS


def test_a_read_subject_solves_like_doses_written_by_hand(tmp_path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(TABLE)
    system = build_system(
        compartments=("GUT", "C"),
        equations={"GUT": "-GUT", "C": "GUT - 0.1*WT/70*C"},
        parameters={"WT": 70.0},
        outputs={"C": "C"},
    )
    subject = read_events(file, system.compartments, covariates=["WT"])[0]
    found = solve(system, subject.doses, subject.times, changes=subject.changes).outputs["C"]
    doses = [Dose(time=12.0 * k, amount=100, compartment="GUT") for k in range(4)]
    heavier = [Change(time=30, parameters={"WT": 80.0})]
    expected = solve(system, doses, [1.0, 30.0], changes=heavier).outputs["C"]
    assert np.allclose(found, expected, rtol=WRITTEN, atol=0)


@pytest.mark.parametrize("method", ["exact", "integrate"])
def test_resets_and_doses_by_hand(tmp_path, method) -> None:
    # half is lost each hour: 64/8; 64/64 + 64 given at 6; reset at 8 wipes both and the infusion,
    # 16 given, so 8 and 2; reset at 11, so 0; before and after the 8 of hour 13; its half
    file = tmp_path / "events.csv"
    file.write_text(HALVES)
    system = build_system(
        compartments=("A",),
        equations={"A": "-log(2)*A"},
        parameters={},
        outputs={"A": "A"},
    )
    subject = read_events(file, system.compartments)[0]
    found = solve(system, subject.doses, subject.times, resets=subject.resets, method=method)
    assert found.outputs["A"] == pytest.approx([8, 65, 8, 2, 0, 0, 8, 4], rel=EXACT, abs=NOTHING)


@pytest.mark.parametrize("law", ["-2*A/(3 + A)", "-0.4*A"])
def test_a_reset_is_a_new_subject(law) -> None:
    system = build_system(
        compartments=("D", "A"),
        equations={"D": "-0.7*D", "A": f"0.7*D {law}"},
        parameters={"base": 1.5, "late": 2.0},
        outputs={"A": "A"},
        initial={"A": "base"},
        lag={"D": "late"},
    )
    old = [
        Dose(time=0, amount=9, compartment="D", interval=4, additional=20, steady=1),
        Dose(time=9, amount=30, compartment="A", rate=2.0),
    ]
    new = [Dose(time=0, amount=5, compartment="D"), Dose(time=1, amount=4, compartment="A")]
    later = [Dose(time=d.time + 10, amount=d.amount, compartment=d.compartment) for d in new]
    times = np.array([0.0, 0.5, 2.5, 7.0, 20.0])
    whole = solve(system, [*old, *later], times + 10, resets=[Reset(time=10)]).outputs["A"]
    assert whole == pytest.approx(solve(system, new, times).outputs["A"], rel=EXACT)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1,30,0", "1,0.5,0", "row 4: TIME 0.5 comes after 1"),
        ("1,0,1,100", "1,0,5,100", "EVID 5 is not 0 .observation., 1 .dose., 2 .other., 3 .reset"),
        ("1,0,1,100", "1,0,2,100", "EVID 2 is not a dose, but AMT is 100"),
        ("1,30,0", "1,0.5,4", "TIME goes back to 0.5 at a reset. Let TIME run on from 1"),
        ("1,1,0,,", "1,0,3,,", "reset at 0 would wipe out a dose of the same time"),
        ("1,0,1,100,0", "1,0,1,100,-3", "row 2: rate -3"),
        ("GUT", "GUZ", "row 2: 'GUZ' is not a known compartment. Nearest: GUT"),
        ("25,0,0,0,2", "25,0,0,0,9", "'9' is not a known compartment"),
        ("WT", "WEIGHT", "there is no column 'WT'"),
        ("1,0,1,100", "1,0,1,lots", "'lots' is not a number"),
    ],
)
def test_a_broken_event_table_names_the_row(tmp_path, old, new, says) -> None:
    file = tmp_path / "events.csv"
    file.write_text(TABLE.replace(old, new, 1))
    with pytest.raises(InputError, match=says):
        check_doses(TWO, read_events(file, ["GUT", "C"], covariates=["WT"])[0].doses)


def test_an_unknown_column_is_refused(tmp_path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(TABLE)
    with pytest.raises(InputError, match="'WT' is not a known column of an event table"):
        read_events(file, ["GUT", "C"])


MATH = 'math xmlns="http://www.w3.org/1998/Math/MathML"'
SATURATED = (
    "<apply><divide/><apply><times/><ci>Vmax</ci><ci>A</ci></apply>"
    "<apply><plus/><ci>Km</ci><ci>A</ci></apply></apply>"
)
FIRST_ORDER = "<apply><times/><ci>c</ci><ci>Vmax</ci><ci>A</ci></apply>"


def sbml(law: str, extra: str = "") -> str:
    species = (
        'hasOnlySubstanceUnits="false" boundaryCondition="false" constant="false" compartment="c"'
    )
    reference = 'stoichiometry="1" constant="true"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'
        '<model id="m"><listOfCompartments>'
        '<compartment id="c" size="50" constant="true" spatialDimensions="3"/></listOfCompartments>'
        f'<listOfSpecies><species id="A" initialAmount="100" {species}/>'
        f'<species id="M" initialConcentration="0" {species}/></listOfSpecies>'
        '<listOfParameters><parameter id="Vmax" value="10" constant="true"/>'
        '<parameter id="Km" value="0.5" constant="true"/></listOfParameters>'
        '<listOfReactions><reaction id="r1" reversible="false" fast="false">'
        f'<listOfReactants><speciesReference species="A" {reference}/></listOfReactants>'
        f'<listOfProducts><speciesReference species="M" {reference}/></listOfProducts>'
        f"<kineticLaw><{MATH}>{law}</math></kineticLaw></reaction>"
        '<reaction id="r2" reversible="false" fast="false">'
        f'<listOfReactants><speciesReference species="M" {reference}/></listOfReactants>'
        f"<kineticLaw><{MATH}><apply><times/><ci>c</ci><ci>k</ci><ci>M</ci></apply></math>"
        '<listOfLocalParameters><localParameter id="k" value="0.3"/></listOfLocalParameters>'
        f"</kineticLaw></reaction></listOfReactions>{extra}</model></sbml>"
    )


def test_an_sbml_model_gives_what_libroadrunner_gives(tmp_path) -> None:
    # libroadrunner 2.10.0, CVODE at relative 1e-10, printed to six digits
    file = tmp_path / "m.xml"
    file.write_text(sbml(SATURATED))
    found = solve(read_sbml(file), [], [1.0, 5.0, 10.0])
    assert found.outputs["A"] == pytest.approx([1.84133, 1.2393, 0.601084], rel=SIX_DIGITS)
    assert found.outputs["M"] == pytest.approx([0.137023, 0.388476, 0.406713], rel=SIX_DIGITS)


def test_a_linear_sbml_model_is_solved_exactly(tmp_path) -> None:
    file = tmp_path / "m.xml"
    file.write_text(sbml(FIRST_ORDER))
    system = read_sbml(file)
    assert is_linear(system)
    found = solve(system, [], [0.1]).outputs["A"][0]
    assert found == pytest.approx(2 * np.exp(-1), rel=EXPONENTIAL)


def test_an_sbml_event_is_refused_by_name(tmp_path) -> None:
    event = (
        '<listOfEvents><event id="dose2" useValuesFromTriggerTime="true"><trigger '
        f'initialValue="true" persistent="true"><{MATH}><apply><gt/><csymbol encoding="text" '
        'definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol><cn>4</cn></apply>'
        "</math></trigger></event></listOfEvents>"
    )
    file = tmp_path / "m.xml"
    file.write_text(sbml(SATURATED, event))
    with pytest.raises(InputError, match="event 'dose2' is not read"):
        read_sbml(file)


def test_a_choice_a_logarithm_and_an_assigned_output_by_hand(tmp_path) -> None:
    # 100 in 50 L falls by 4 /h while time < 5 h, then by log10(100) = 2 /h: 80 at 5 h, 70 at 10 h
    choice = (
        '<piecewise><piece><cn>4</cn><apply><lt/><csymbol encoding="text" '
        'definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol><cn>5</cn></apply></piece>'
        "<otherwise><apply><log/><logbase><cn>10</cn></logbase><cn>100</cn></apply></otherwise>"
        "</piecewise>"
    )
    share = f'<assignmentRule variable="left"><{MATH}><apply><divide/><ci>A</ci><cn>2</cn></apply>'
    file = tmp_path / "m.xml"
    file.write_text(
        sbml(choice)
        .replace('<parameter id="Km"', '<parameter id="left" constant="false"/><parameter id="Km"')
        .replace(
            "<listOfReactions>",
            f"<listOfRules>{share}</math></assignmentRule></listOfRules><listOfReactions>",
        )
    )
    found = solve(read_sbml(file), [], [5.0, 10.0]).outputs
    assert found["A"] == pytest.approx([80 / 50, 70 / 50], rel=EXACT)
    assert found["left"] == pytest.approx([0.8, 0.7], rel=EXACT)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "<listOfReactions>",
            f"<listOfRules><algebraicRule><{MATH}><ci>A</ci></math></algebraicRule></listOfRules>"
            "<listOfReactions>",
            "algebraic rule",
        ),
        (
            "<listOfReactions>",
            f'<listOfInitialAssignments><initialAssignment symbol="c"><{MATH}><cn>3</cn></math>'
            "</initialAssignment></listOfInitialAssignments><listOfReactions>",
            "initial assignment of 'c', which is no species or parameter",
        ),
        (
            'size="50" constant="true"',
            'size="50" constant="false"',
            "the volume of 'c' varies; not read",
        ),
        (
            "<listOfReactions>",
            f'<listOfRules><rateRule variable="c"><{MATH}><cn>1</cn></math></rateRule>'
            "</listOfRules><listOfReactions>",
            "rule of 'c', which is no species or parameter",
        ),
        (SATURATED, f"<apply><sech/>{SATURATED}</apply>", "a function that is not read"),
        ('id="Vmax" value="10"', 'id="Vmax"', "'Vmax' has no finite value at the start"),
    ],
)
def test_what_sbml_holds_beyond_this_is_refused_by_name(tmp_path, old, new, says) -> None:
    file = tmp_path / "m.xml"
    file.write_text(sbml(SATURATED).replace(old, new))
    with pytest.raises(InputError, match=says):
        read_sbml(file)


def test_what_is_not_sbml_is_refused(tmp_path) -> None:
    file = tmp_path / "m.xml"
    file.write_text("not xml")
    with pytest.raises(InputError, match="not a valid SBML file"):
        read_sbml(file)
    with pytest.raises(InputError, match="no such file"):
        read_sbml(tmp_path / "none.xml")


def test_functions_rules_and_boundary_species_give_what_libroadrunner_gives() -> None:
    # libroadrunner 2.10.0, CVODE at relative 1e-10, printed to six digits
    system = read_sbml(Path(__file__).parent / "data" / "rules.xml")
    found = solve(system, [], [1.0, 3.0]).outputs
    assert found["A"] == pytest.approx([0.816715, 0.0791661], rel=SIX_DIGITS)
    assert found["X"] == pytest.approx([1.90246, 1.27526], rel=SIX_DIGITS)
    assert found["Z"] == pytest.approx([6.45821, 8.30208], rel=SIX_DIGITS)
