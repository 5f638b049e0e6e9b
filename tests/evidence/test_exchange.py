from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence import Base, check_base, known_bases, open_base, select_trials
from klarsyn.evidence.exchange import data_package, export_base, new_base
from klarsyn.evidence.schema import TABLES

from .small import csv_text, small, write_base


def same(one: Base, other: Base) -> bool:
    """Whether two bases hold the same records, wherever they were read."""
    plain = {"digest": "", "location": ""}
    return replace(one, **plain) == replace(other, **plain)  # type: ignore[arg-type]


@pytest.mark.parametrize("out", ["again", "again.xlsx"])
def test_an_exported_base_opens_as_the_same_base(
    small_base: Base, tmp_path: Path, out: str
) -> None:
    there = export_base(small_base, tmp_path / out)
    again = open_base(there)
    assert same(again, small_base)
    assert select_trials(again, "review").ids() == ("alpha",)


def test_every_shipped_base_survives_export(tmp_path: Path) -> None:
    for name in known_bases():
        base = open_base(name)
        assert same(open_base(export_base(base, tmp_path / f"{name}.xlsx")), base)


@pytest.mark.parametrize("out", ["a", "a.xlsx", "a.json"])
def test_the_same_base_gives_the_same_bytes(small_base: Base, tmp_path: Path, out: str) -> None:
    texts = []
    for place in (tmp_path / "one", tmp_path / "two"):
        there = export_base(small_base, place / out)
        files = sorted(there.iterdir()) if there.is_dir() else [there]
        texts.append([f.read_bytes() for f in files])
    assert texts[0] == texts[1]


def test_json_holds_every_table(small_base: Base, tmp_path: Path) -> None:
    there = export_base(small_base, tmp_path / "a.json")
    tables = json.loads(there.read_text(encoding="utf-8"))
    assert set(TABLES) <= set(tables)
    assert tables["findings"][0]["value"] == 20.4
    assert tables["findings"][-1]["value"] is None


def test_texts_that_look_like_formulas_or_numbers_stay_texts(tmp_path: Path) -> None:
    tables = small()
    tables["findings"][0].update(locator="=1+1", note="0012")
    tables["sources"][0].update(citation='A "quoted", split\nline', url="https://example.org/a")
    base = open_base(write_base(tmp_path / "b", tables))
    again = open_base(export_base(base, tmp_path / "b.xlsx"))
    assert again.findings[0].locator == "=1+1"
    assert again.findings[0].note == "0012"
    assert same(again, base)


def test_licences_of_the_package_are_kept(small_folder: Path, tmp_path: Path) -> None:
    package = small_folder / "datapackage.json"
    described = data_package("small", "A small base", licenses=[{"name": "CC0-1.0"}])
    package.write_text(json.dumps(described), encoding="utf-8")
    there = export_base(open_base(small_folder), tmp_path / "again")
    assert json.loads((there / "datapackage.json").read_text())["licenses"] == [{"name": "CC0-1.0"}]


def test_an_unknown_form_or_ending_is_refused(small_base: Base, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'xslx' is not a known format\. Nearest: xlsx"):
        export_base(small_base, tmp_path / "a", "xslx")
    with pytest.raises(InputError, match=r"ends in \.xlsx or \.json"):
        export_base(small_base, tmp_path / "a.docx")


def test_a_new_base_is_empty_and_takes_the_example(tmp_path: Path) -> None:
    place = new_base(tmp_path / "mine")
    with pytest.raises(InputError, match="no trials yet"):
        open_base(place)
    described = json.loads((place / "datapackage.json").read_text())
    assert [r["name"] for r in described["resources"]] == list(TABLES)
    write_base(place, small())
    assert len(open_base(place).trials) == 4


def test_the_settings_of_a_new_base_are_read_once_uncommented(tmp_path: Path) -> None:
    place = write_base(new_base(tmp_path / "mine"), small())
    file = new_base(tmp_path / "other") / "appraisal.toml"
    lines = [line.removeprefix("# ") for line in file.read_text(encoding="utf-8").splitlines()]
    settings = [n for n in lines if "=" in n or n.startswith("[")]
    (place / "appraisal.toml").write_text("\n".join(settings), encoding="utf-8")
    base = open_base(place)
    assert select_trials(base, "review").ids() == ("alpha",)
    assert base.settings["pooling"] == {"measure": "SMD", "method": "REML", "test": "knha"}


def test_a_base_is_never_written_over(small_folder: Path) -> None:
    before = (small_folder / "trials.csv").read_bytes()
    with pytest.raises(InputError, match=r"already has trials\.csv"):
        new_base(small_folder)
    assert (small_folder / "trials.csv").read_bytes() == before


def test_the_schema_names_every_reference_and_closed_list() -> None:
    package = data_package("a", "A")
    resources = {r["name"]: r["schema"] for r in package["resources"]}  # type: ignore[union-attr]
    findings = resources["findings"]
    assert {k["fields"] for k in findings["foreignKeys"]} == {"trial_id", "source_id", "scale"}
    fields = {f["name"]: f for f in findings["fields"]}
    assert "p_below" in fields["statistic"]["constraints"]["enum"]
    assert fields["value"]["type"] == "number"
    for schema in resources.values():
        assert all(f["description"] for f in schema["fields"])


def test_a_workbook_without_a_table_says_which(small_base: Base, tmp_path: Path) -> None:
    import xlsxwriter

    file = tmp_path / "b.xlsx"
    book = xlsxwriter.Workbook(str(file))
    book.add_worksheet("trials").write_row(0, 0, ["trial_id", "label"])
    book.close()
    with pytest.raises(InputError, match="there is no column 'year'"):
        open_base(file)
    book = xlsxwriter.Workbook(str(file))
    book.add_worksheet("arms")
    book.close()
    with pytest.raises(InputError, match="the sheet trials is missing"):
        open_base(file)


@pytest.mark.parametrize("out", ["again", "again.xlsx"])
def test_a_simulated_trial_stays_simulated(small_base: Base, tmp_path: Path, out: str) -> None:
    trials = tuple(replace(t, origin="simulated") for t in small_base.trials)
    again = open_base(export_base(replace(small_base, trials=trials), tmp_path / out))
    assert {t.origin for t in again.trials} == {"simulated"}
    assert {t.origin for t in small_base.trials} == {"published"}


def test_the_example_in_a_new_base_is_a_base(tmp_path: Path) -> None:
    """The rows that the README shows, with the control added as it says."""
    place = new_base(tmp_path / "mine")
    arm = {"trial_id": "smith_2020", "label": "10 mg", "treatment": "drug", "randomised": 20}
    rows: dict[str, list[dict[str, object]]] = {
        "trials": [
            {
                "trial_id": "smith_2020",
                "label": "Smith 2020",
                "design": "parallel",
                "comparator": "inert",
                "participants": 40,
                "source_id": "smith_2020",
            }
        ],
        "arms": [
            {**arm, "arm_id": "drug", "role": "test"},
            {**arm, "arm_id": "placebo", "role": "control", "treatment": "placebo"},
        ],
        "findings": [
            {
                "finding_id": "smith_2020:1",
                "trial_id": "smith_2020",
                "arm_id": "drug",
                "outcome": "symptom_score",
                "scale": "SCALE",
                "days_from_first_dose": 28,
                "analysis_set": "itt",
                "estimator": "raw",
                "statistic": "mean",
                "value": 18.2,
                "unit": "points",
                "source_id": "smith_2020",
                "locator": "Table 2",
                "kind": "reported",
                "confidence": "primary",
                "status": "reported",
                "chosen": "true",
            }
        ],
        "vocabulary": [
            {"list": "outcome", "name": "symptom_score", "definition": "total score"},
            {"list": "treatment", "name": "drug", "definition": "the drug at its usual dose"},
            {"list": "treatment", "name": "placebo", "definition": "placebo"},
        ],
        "scales": [
            {
                "name": "SCALE",
                "label": "Symptom scale",
                "minimum": 0,
                "maximum": 60,
                "higher_is": "worse",
                "integer": "true",
            }
        ],
        "sources": [{"source_id": "smith_2020", "citation": "Smith J. Journal 2020;1:1-9"}],
    }
    readme = (place / "README.md").read_text(encoding="utf-8")
    assert all(f"`{v}`" in readme for v in rows["findings"][0].values())
    for name, group in rows.items():
        (place / f"{name}.csv").write_text(csv_text(name, group), encoding="utf-8")
    base = open_base(place)
    assert base.findings[0].value == 18.2
    assert check_base(base).remarks == ()
