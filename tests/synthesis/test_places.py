"""A refusal names the study's row in its file, and a way out that its data allow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from klarsyn.errors import InputError, NumericalError
from klarsyn.stats.contrasts import way_out
from klarsyn.stats.measures import MEASURES
from klarsyn.synthesis.effects import Effects, effects_from_table
from klarsyn.synthesis.influence import order_of
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.regression import regress
from klarsyn.tables import read_table

MEANS = {c: c for c in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")}
HEADER = "study;m1i;sd1i;n1i;m2i;sd2i;n2i;dose"


def read(folder: Path, *rows: str, measure: str = "ROM") -> Effects:
    file = folder / "means.csv"
    file.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return effects_from_table(read_table(file), measure, MEANS)


SOUND = "A;1,5;2;10;2;2;10;1"
BELOW = "B;-1,5;2;10;2;2;10;"


def test_a_study_without_an_effect_is_named_with_its_row_and_a_measure_of_means(
    tmp_path: Path,
) -> None:
    effects = read(tmp_path, SOUND, "", BELOW)
    assert effects.rows == (2, 4)
    with pytest.raises(NumericalError, match=r"B \(row 4\).*no logarithm.*\(MD\)") as refused:
        pool(effects)
    assert "Mantel" not in str(refused.value)
    assert "AS" not in str(refused.value)


def test_the_row_follows_the_study_through_a_selection(tmp_path: Path) -> None:
    effects = read(tmp_path, SOUND, "", BELOW, measure="MD").take([1])
    assert effects.place(0) == "B (row 4)"


def test_an_empty_moderator_is_named_with_its_row(tmp_path: Path) -> None:
    effects = read(tmp_path, SOUND, "", BELOW, measure="MD")
    with pytest.raises(InputError, match=r"B \(row 4\): the moderator 'dose' is empty"):
        regress(effects, ["dose"])
    with pytest.raises(InputError, match=r"B \(row 4\): 'dose' is empty"):
        order_of(effects, "dose")


def test_a_study_named_twice_has_its_row_once(tmp_path: Path) -> None:
    effects = read(tmp_path, SOUND, SOUND, measure="MD")
    assert effects.place(1) == "A (row 3)"


def test_numbers_that_come_from_no_file_have_no_row() -> None:
    table = {"study": ["A"], "m1i": [1], "sd1i": [1], "n1i": [9], "m2i": [2], "sd2i": [1],
             "n2i": [9]}  # fmt: skip
    assert effects_from_table(table, "MD", MEANS).place(0) == "A"


def test_a_decimal_comma_in_a_moderator_is_refused_not_taken_as_a_name() -> None:
    table = {"yi": [0.1, 0.2, 0.3, 0.5], "vi": [0.1] * 4, "dose": ["0,5", "1", "2", "3"]}
    effects = effects_from_table(table, "GEN", {"yi": "yi", "vi": "vi"})
    with pytest.raises(InputError, match="'dose' is '0,5', which is not a number"):
        regress(effects, ["dose"])


@pytest.mark.parametrize("measure", MEASURES)
def test_no_measure_is_its_own_way_out(measure: str) -> None:
    assert re.search(rf"\b{measure}\b", way_out(measure)) is None
    assert "Mantel" not in way_out(measure) or MEASURES[measure].kind in {"table", "rates"}
