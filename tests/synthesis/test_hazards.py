"""A table of printed results: the first way that is filled is taken; a row without one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from klarsyn.errors import InputError
from klarsyn.stats import hazard_ratios as ways
from klarsyn.synthesis.hazards import read_hazards

HEADER = "study,ratio,lower,upper,p,favours,events,patients1,patients2,survival1,se1,survival2,se2"


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "printed.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_each_row_takes_its_way(tmp_path: Path) -> None:
    found = read_hazards(
        table(
            tmp_path,
            "A,0.49,0.29,0.84,0.01,first,63,90,86,,,,",
            "B,,,,0.003,first,63,90,86,,,,",
            "C,,,,,,,,,0.62,0.06,0.41,0.07",
        )
    )
    by_p = ways.from_p_value(0.003, favours_first=True, events=63, patients1=90, patients2=86)
    assert found.estimates == (
        ways.from_interval(0.49, 0.29, 0.84),
        by_p,
        ways.from_survival(0.62, 0.06, 0.41, 0.07),
    )
    assert found.effects().scale == "log"
    assert "B: HR" in found.summary()


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("A,0.49,,,0.01,,,,,,,,", r"row 2 \(A\): no way .*without"),
        ("A,0.9,0.29,0.84,,,,,,,,,", r"row 2 \(A\): The hazard ratio 0.9 must lie"),
        ("A,,,,1.2,second,63,90,86,,,,", r"row 2 \(A\): A two-sided p lies above 0"),
        ("A,,,,,,,,,1,0.06,0.41,0.07", r"row 2 \(A\): A survival between 0 and 1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_hazards(table(tmp_path, row))
