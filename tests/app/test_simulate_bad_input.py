"""What `simulate` and `respond` cannot do is one sentence: the value, what is allowed, exit 2."""

from __future__ import annotations

import pytest

from klarsyn.app.cli import main

PATIENTS = ["simulate", "--substance", "ketamine", "--n", "3", "--followed", "2", "--days", "2"]
DOSE = ["--dose", "0.5 mg/kg", "--route", "iv", "--infusion", "40 min"]
RESPOND = ["respond", "--form", "S", "--regimen", "0.5 mg/kg base iv over 40 min"]
EXAMPLE = "Write for example"
RULE = "until {0}, checked every {1}, at most {2} doses"
TABLES = {
    "heavy": ("weight\n1e9\n", "row 2, column 'weight': 1e+09 is above 400"),
    "light": ("weight\n-3\n", "row 2, column 'weight': -3 is below 1"),
    "word": ("weight\nheavy\n", "row 2, column 'weight': 'heavy' is not a number"),
    "old": ("weight,age\n70,900\n", "row 2, column 'age': 900 is above 120"),
    "sex": ("weight,female\n70,7\n", "has female 7. Give 1 for yes and 0 for no"),
    "gap": ("weight,age\n70,\n", "age"),
    "nobody": ("weight,age\n", "has 0 rows below its header; it needs at least 1"),
    "column": ("age\n40\n", "there is no column 'weight'. The file has: age"),
}


def refused(capsys, argv: list[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return " ".join(shown.err.split())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--n", "0"], "0 individuals: at least one is needed"),
        (["--n", "many"], "'many' is not a valid integer"),
        (["--seed", "1.5"], "'1.5' is not a valid integer"),
        (["--form", "T"], "'T' is not a known form. Known: R, S, racemate."),
        (["--form", "S 101 % ee"], "an enantiomeric excess lies between 0 and 100 %"),
        (["--form", "racemate 98 % ee"], "Or state an excess: 'S 99.5 % ee'"),
        (["--weight", "nan"], "a mean weight of nan kg is outside 1 to 400 kg"),
        (["--weight", "seventy"], "--weight 'seventy': give one number"),
        (["--weight-sd", "1e9"], "SD of 1e+09 kg is outside 0 to its mean, 70 kg"),
        (["--weight-sd", "nan"], "SD of nan kg is outside 0 to its mean"),
        (["--age", "70-18"], "ages 70 to 18 years: use 0 to 120, low first"),
        (["--age", "18-"], "--age '18-': give one number, or --age 18-65"),
        (["--age", "nan"], "use 0 to 120"),
        (["--days", "inf"], "inf days cannot be followed. Give a number above 0, at most 730."),
        (["--days", "1e7"], "at most 730"),
        (["--days", "nan"], "nan days cannot be followed"),
        (["--followed", "-2"], "--followed -2: at least one patient is followed"),
        (["--model", "KSR1"], "Nearest: KSR-1"),
        (["--effect-model", "nope"], "'nope' is not a known model"),
        (["--substance", "ketamin"], "Nearest: ketamine. Known: ketamine."),
        (["--route", "rectal"], "Add one of iv, im, sc, oral, nasal, film"),
        (["--route", "oral"], "the oral dose takes its time from the model"),
        (["--infusion", "-40 min"], "an infusion over -40 min. Use above 0."),
        (["--infusion", "40"], "Say of what: 'over 40 min' or 'over 40 h'"),
        (["--dose", "0.5"], "no amount. " + EXAMPLE),
        (["--dose", "0 mg/kg"], "a dose of 0 mg is not above 0"),
        (["--dose", "1e999 mg/kg"], "a dose of inf mg is not a finite amount above 0"),
        (["--dose", "32 mg sulfate"], "'sulfate' is not a known salt. Known: base, hydrochloride."),
        (["--portions", "0 portions 5 min apart"], "Use 2 to 100 portions"),
        (["--portions", "3 portions -5 min apart"], "0 min apart or more"),
        (["--schedule", "0 per week, 3 weeks"], "use 1 to 7 a week, at least one week"),
        (["--schedule", "2 per week"], EXAMPLE),
        (["--schedule", RULE.format("XYZ below 12", "3 days", 8)], "Write the rule with MADRS"),
        (["--schedule", RULE.format("MADRS below -5", "3 days", 8)], "so -5 is never met"),
        (["--schedule", RULE.format("MADRS below 500", "3 days", 8)], "MADRS runs from 0 to 60"),
        (["--schedule", RULE.format("MADRS below 12", "0 days", 8)], "checks lie above 0 h apart"),
        (["--individuals", "missing.csv"], "missing.csv: there is no such file"),
        (["--compare", "nonsense"], "'nonsense': no amount"),
        (["--compare", "1 mg/kg base iv", "--compare-form", "Q"], "'Q' is not a known form"),
        (["--out", "x.txt"], "x.txt: write to a file that ends in .parquet or .csv"),
        (["--report", "r.pdf"], "r.pdf: write to a file that ends in .html"),
        (["--lang", "de"], "'de' is not one of 'en', 'nb'"),
        (["--regimen", "1 mg/kg base iv"], "--regimen leaves no room for --dose, --route"),
        (
            ["--exposure-only", "--effect-model", "KSR-1"],
            "--exposure-only leaves no room for --effect-model",
        ),
    ],
)
def test_simulate_says_what_is_allowed(more, says, capsys) -> None:
    assert says in refused(capsys, [*PATIENTS, *DOSE, *more])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_individuals_names_its_row_and_value(name, capsys, tmp_path) -> None:
    text, says = TABLES[name]
    path = tmp_path / f"{name}.csv"
    path.write_text(text)
    assert says in refused(capsys, [*PATIENTS, *DOSE, "--individuals", str(path)])


def test_a_table_of_individuals_leaves_no_room_for_a_weight(capsys, tmp_path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("weight\n70\n")
    said = refused(capsys, [*PATIENTS, *DOSE, "--individuals", str(path), "--weight", "80"])
    assert "--individuals leaves no room for --weight. Give one." in said


def test_a_column_that_no_model_knows_is_said_to_do_nothing(capsys, tmp_path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("weight,colour\n70,1\n")
    main([*PATIENTS, *DOSE, "--individuals", str(path), "--exposure-only"])
    assert "without effect in KSR-1: colour" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([*RESPOND, "--days", "inf"], "inf days cannot be followed"),
        ([*RESPOND, "--days", "1e6"], "at most 730"),
        ([*RESPOND, "--form", "S"], "--form S is given 2 times. Give it once."),
        ([*RESPOND, "--model", "x"], "'x' is not a known model"),
        ([*RESPOND, "--study", "ketamine_effects"], "cannot serve as a response model"),
        ([*RESPOND, "--effects", "kampa2004"], "cannot serve as acute effects"),
        (["respond", "--form", "S"], "Missing option '--regimen'"),
        (["respond", "--form", "Q", "--regimen", RESPOND[-1]], "Known: R, S, racemate"),
        (["respond", "--form", "S", "--regimen", "1 mg/kg iv"], "does not say of what"),
        (["respond", "--form", "S", "--regimen", "28 mg base nasal"], "Known: film, iv"),
        (
            [*RESPOND[:-1], RESPOND[-1] + ", " + RULE.format("MADRS below 12", "3 days", 8)],
            "one typical course cannot follow. Use klarsyn simulate",
        ),
    ],
)
def test_respond_says_what_is_allowed(argv, says, capsys) -> None:
    assert says in refused(capsys, argv)


def test_a_course_ends_when_the_days_asked_for_are_over() -> None:
    from klarsyn.pharmacology.ensemble import shipped_ensemble
    from klarsyn.pharmacology.follow import follow
    from klarsyn.pharmacology.runs import read_study

    study = read_study("ketamine_response")
    found = follow(
        study,
        shipped_ensemble(study),
        model="KSR-1-arterial",
        form="S",
        regimen="0.5 mg/kg base iv over 40 min, twice a week for 3 weeks",
        days=5,
        effects="ketamine_effects",
        seed=1,
    )
    assert found.times[0] == 0.0
    assert found.times[-1] == 24.0 * 5
