from __future__ import annotations

import re
from pathlib import Path

import pytest

import klarsyn
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence import Base, known_bases, open_base

from .small import finding, small, write_base

# Words of one body of evidence that the engine must never know.
SUBSTANCES = re.compile(
    r"ketamin|ketect|mdma|midazolam|psilocyb|elekt|madrs|hdrs|ham-d|cadss", re.I
)


def opened(tmp_path: Path, change: object = None, **edits: object) -> Base:
    tables = small()
    if callable(change):
        change(tables)
    return open_base(write_base(tmp_path / "b", tables))


def test_a_base_keeps_every_row_with_its_place_in_the_file(small_base: Base) -> None:
    assert [t.id for t in small_base.trials] == ["alpha", "beta", "gamma", "delta"]
    assert len(small_base.findings) == 13
    assert small_base.trial("beta").findings[0].row == 14
    assert small_base.trial("alpha").arm("p").randomised == 30
    assert small_base.guesses[0].correct == 20
    assert small_base.guess_outcomes[0].mean == 18.5
    assert [i.included for i in small_base.inclusion] == [True, False]
    assert small_base.settings["selections"]


def test_an_absence_is_a_finding_without_a_value(small_base: Base) -> None:
    absent = small_base.trial("beta").findings[0]
    assert (absent.status, absent.value) == ("not_reported", None)


def test_the_digest_changes_with_one_number_and_only_then(tmp_path: Path) -> None:
    first = open_base(write_base(tmp_path / "a", small()))
    same = open_base(write_base(tmp_path / "b", small()))
    tables = small()
    tables["findings"][0]["value"] = 20.5
    other = open_base(write_base(tmp_path / "c", tables))
    assert first.digest == same.digest != other.digest


def test_optional_tables_may_be_missing(tmp_path: Path) -> None:
    tables = small()
    for name in ("guesses", "guess_outcomes", "inclusion"):
        del tables[name]
    base = open_base(write_base(tmp_path / "b", tables))
    assert (base.guesses, base.guess_outcomes, base.inclusion) == ((), (), ())


@pytest.mark.parametrize("name", ["trials", "arms", "findings", "sources", "scales", "vocabulary"])
def test_a_missing_required_table_is_named(tmp_path: Path, name: str) -> None:
    tables = small()
    del tables[name]
    with pytest.raises(InputError, match=rf"the file {name}\.csv is missing"):
        open_base(write_base(tmp_path / "b", tables))


def test_an_empty_base_says_what_to_add(tmp_path: Path) -> None:
    empty = {name: [] for name in small()}
    with pytest.raises(InputError, match="no trials yet"):
        open_base(write_base(tmp_path / "b", empty))


BREAKS = {
    "unknown outcome": (
        lambda t: t["findings"][0].update(outcome="depresion_score"),
        r"findings\.csv: row 2, column 'outcome': 'depresion_score'.*Nearest: depression_score",
    ),
    "unknown statistic": (
        lambda t: t["findings"][1].update(statistic="sdd"),
        r"row 3: 'sdd' is not a known statistic",
    ),
    "unknown trial": (
        lambda t: t["findings"][0].update(trial_id="alpa"),
        "row 2, column 'trial_id': 'alpa' is not a known trial. Nearest: alpha",
    ),
    "unknown arm": (
        lambda t: t["findings"][0].update(arm_id="y"),
        "row 2, trial alpha: 'y' is not a known arm",
    ),
    "unknown arm of a contrast": (
        lambda t: t["findings"][6].update(arm_id="x|q"),
        "row 8, trial alpha: 'q' is not a known arm",
    ),
    "contrast of an arm with itself": (
        lambda t: t["findings"][6].update(arm_id="x|x"),
        "not an arm or a contrast",
    ),
    "unknown source": (
        lambda t: t["findings"][0].update(source_id="s2"),
        "'s2' is not a known source. Nearest: s1",
    ),
    "unknown scale": (
        lambda t: t["findings"][0].update(scale="MADR"),
        "'MADR' is not a known scale. Nearest: MADRS",
    ),
    "value with not_reported": (
        lambda t: t["findings"][0].update(status="not_reported"),
        r"row 2 \(alpha:1\): the status is not_reported but the value is 20.4",
    ),
    "no value": (
        lambda t: t["findings"][0].update(value=None),
        "value is empty but the status is reported",
    ),
    "number is text": (
        lambda t: t["findings"][0].update(value="20,4"),
        "'20,4' is not a number. Use a decimal point",
    ),
    "finding twice": (
        lambda t: t["findings"].append(finding("alpha", 1, "x", "mean", 20)),
        "row 15 repeats finding_id = alpha:1 of row 2",
    ),
    "arm twice": (lambda t: t["arms"].append(t["arms"][0]), "repeats trial_id, arm_id"),
    "trial twice": (lambda t: t["trials"].append(t["trials"][0]), "row 6 repeats trial_id"),
    "reserved arm": (lambda t: t["arms"][0].update(arm_id="all"), "'all' cannot name an arm"),
    "scale upside down": (
        lambda t: t["scales"][0].update(minimum=60, maximum=0),
        "runs from 60 to 0",
    ),
    "unknown list": (
        lambda t: t["vocabulary"][0].update(list="outcomes"),
        "'outcomes' is not a known list of the base. Nearest: outcome",
    ),
    "negative count": (lambda t: t["arms"][0].update(randomised=-1), "below 0"),
    "half a participant": (lambda t: t["arms"][0].update(randomised=1.5), "not a whole number"),
    "unknown design": (
        lambda t: t["trials"][0].update(design="paralel"),
        "'paralel' is not a known design. Nearest: parallel",
    ),
    "guess for a contrast": (lambda t: t["guesses"][0].update(arm_id="x|p"), "or `all`"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_what_is_wrong_is_said_with_its_row(tmp_path: Path, case: str) -> None:
    change, sentence = BREAKS[case]
    with pytest.raises(InputError, match=sentence):
        opened(tmp_path, change)


def test_a_name_that_no_list_can_have_yet_points_to_the_empty_table(tmp_path: Path) -> None:
    tables = small()
    tables["vocabulary"] = [r for r in tables["vocabulary"] if r["list"] != "route"]
    with pytest.raises(InputError, match="'iv' has no row in vocabulary"):
        open_base(write_base(tmp_path / "b", tables))


def test_an_origin_is_published_or_simulated(small_folder: Path) -> None:
    file = small_folder / "trials.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head + ",origin", *(r + ",simulate" for r in rows)]))
    with pytest.raises(UnknownNameError, match=r"row 2: 'simulate' is not a known origin"):
        open_base(small_folder)


def test_a_path_that_is_no_base_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such base"):
        open_base(tmp_path / "nothing")
    with pytest.raises(UnknownNameError, match="'nothing' is not a known base"):
        open_base("nothing")
    text = tmp_path / "trials.csv"
    text.write_text("a\n1\n")
    with pytest.raises(InputError, match="a base is a folder"):
        open_base(text)
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(InputError, match=r"trials\.csv is missing"):
        open_base(folder)


def test_settings_that_are_not_toml_name_the_file(small_folder: Path) -> None:
    (small_folder / "appraisal.toml").write_text("a = ")
    with pytest.raises(InputError, match=r"appraisal\.toml: not readable as TOML"):
        open_base(small_folder)
    (small_folder / "appraisal.toml").write_text("")
    (small_folder / "datapackage.json").write_text("[")
    with pytest.raises(InputError, match=r"datapackage\.json: not readable as JSON"):
        open_base(small_folder)


def test_every_shipped_base_opens() -> None:
    for name in known_bases():
        assert open_base(name).trials


def test_the_engine_knows_no_substance_and_no_scale() -> None:
    root = Path(klarsyn.__file__).parent
    # Data, and the commands' examples and defaults, may name a substance; the engine may not.
    data = ("bases/", "pharmacology/library/", "app/commands/")
    outside = [p for p in root.rglob("*.py") if not p.relative_to(root).as_posix().startswith(data)]
    assert len(outside) > 20
    named = [
        f"{p.relative_to(root)}: {line.strip()}"
        for p in outside
        for line in p.read_text(encoding="utf-8").splitlines()
        if SUBSTANCES.search(line)
    ]
    assert named == []
