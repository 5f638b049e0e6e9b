"""A table of effects becomes the grid's variants, or one sentence names the row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from klarsyn.bias.grid_table import read_grid_table, read_inclusion_sets
from klarsyn.errors import InputError, UnknownNameError

HEAD = "study,estimate,se,risk,belief,time\n"
TABLE = (
    HEAD + "A,-0.6,0.2,High,-0.3,1 week\nA,-0.4,0.3,High,-0.3,4 weeks\n"
    "B,-0.2,0.1,Some concerns,,1 week\nC,0.1,0.5,Low,,4 weeks\n"
)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "effects.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_each_variant_holds_its_studies_and_nothing_for_the_others(tmp_path: Path) -> None:
    data = read_grid_table(write(tmp_path, TABLE)).data
    assert (data.studies, data.choices) == (("A", "B", "C"), ("time",))
    assert data.options == (("1 week",), ("4 weeks",))
    np.testing.assert_array_equal(data.effects, [[-0.6, -0.2, np.nan], [-0.4, np.nan, 0.1]])
    np.testing.assert_array_equal(data.variances[:, 0], np.square([0.2, 0.3]))


def test_judgements_become_exclusions_and_no_belief_is_no_pull(tmp_path: Path) -> None:
    table = read_grid_table(write(tmp_path, TABLE))
    assert table.exclusions() == {
        "none": (),
        "high risk": ("A",),
        "high risk or some concerns": ("A", "B"),
    }
    assert table.belief is not None
    assert table.belief.tolist() == [-0.3, 0, 0]


def test_a_table_without_choices_judgements_or_beliefs_has_one_of_each(tmp_path: Path) -> None:
    table = read_grid_table(write(tmp_path, "study,estimate,se\nA,1,0.1\nB,2,0.1\n"))
    assert (table.data.choices, table.data.options) == (("data",), (("as given",),))
    assert table.exclusions() == {"none": ()}
    assert table.belief is None


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("A,-0.5,0.2,High,,1 week\n", "row 6 repeats A, 1 week of row 2"),
        ("D,-0.5,0.2,High,,\n", "row 6, column 'time' is empty"),
        ("A,-0.5,0.2,Low,,2 weeks\n", "row 6 judges A Low, an earlier row High"),
        ("D,-0.5,0.2,Hihg,,1 week\n", "Nearest: High"),
        ("D,-0.5,0,High,,1 week\n", "must be above 0"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_grid_table(write(tmp_path, TABLE + row))


def test_a_row_is_counted_as_a_spreadsheet_shows_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 5 repeats A, 1 week of row 4"):
        read_grid_table(write(tmp_path, HEAD + "\n\n" + 2 * "A,-0.5,0.2,High,,1 week\n"))


def test_inclusion_sets_hold_known_studies(tmp_path: Path) -> None:
    file = write(tmp_path, "set,study\nfirst,A\nfirst,B\nlast,B\n")
    assert read_inclusion_sets(file, ("A", "B")) == {"first": ("A", "B"), "last": ("B",)}
    with pytest.raises(UnknownNameError, match="row 3"):
        read_inclusion_sets(file, ("A", "C"))
