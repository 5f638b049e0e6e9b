from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError
from klarsyn.tables import (
    Column,
    Table,
    csv_text,
    has_decimal_comma,
    read_table,
    sheet_names,
)
from klarsyn.tables.column import EMPTY
from klarsyn.tables.texts import CHUNK

# Reading 10⁵ rows of ten columns; 10⁶ took 4.2 s and 650 MB on the slow two-core machine where
# this was set, so ten seconds leave room for one ten times slower.
SECONDS_FOR_A_TENTH_OF_A_MILLION = 10

NUMBERS = [Column(name="a"), Column(name="x", kind="number")]


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_columns_are_typed_and_empty_cells_are_none(tmp_path: Path) -> None:
    columns = [
        Column(name="name"),
        Column(name="n", kind="count", may_be_empty=True),
        Column(name="x", kind="number", may_be_empty=True),
        Column(name="w", kind="whole", may_be_empty=True),
        Column(name="ok", kind="truth", may_be_empty=True),
    ]
    table = read_table(
        write(tmp_path, "name,n,x,w,ok,rest\na,3,-1.5,-2,yes,z\nb,,NA,.,,\n"), columns
    )
    assert table.records() == [
        {"name": "a", "n": 3, "x": -1.5, "w": -2, "ok": True, "rest": "z"},
        {"name": "b", "n": None, "x": None, "w": None, "ok": None, "rest": None},
    ]
    assert type(table["n"][0]) is int
    assert "rest" not in read_table(tmp_path / "t.csv", columns, others=False)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_delimiters_line_ends_and_a_bom_do_not_matter(
    tmp_path: Path, delimiter: str, end: str, bom: str, last: bool
) -> None:
    lines = [delimiter.join(r) for r in (("a", "x"), ("u", "1"), ("v", "2"))]
    content = bom + end.join(lines) + (end if last else "")
    table = read_table(write(tmp_path, content), NUMBERS)
    assert (table["a"], table["x"]) == (("u", "v"), (1.0, 2.0))


def test_a_header_may_quote_another_delimiter(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, '"dose, in mg; total",x\n1,2\n'))
    assert list(table.columns) == ["dose, in mg; total", "x"]


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("a,x\nu,1\nv,bad\n", 3),
        ("a,x\n\n\nu,1\nv,bad\n", 5),
        ('a,x\n"u\nu\nu",1\nv,bad\n', 3),
        ('a,x\r\n"u\r\nu",1\r\n\r\nv,bad\r\n', 4),
        ("\n\na,x\nu,1\nv,bad\n", 5),
        ("a,x\n,\nu,1\nv,bad\n", 4),
        ("a,x\nu\u2028u,1\nv\x0bv\x85,bad\n", 3),
    ],
)
def test_the_row_is_the_one_that_a_spreadsheet_shows(
    tmp_path: Path, content: str, row: int
) -> None:
    with pytest.raises(InputError, match=f"row {row}, column 'x': 'bad' is not a number"):
        read_table(write(tmp_path, content), NUMBERS)


def test_row_numbers_follow_the_rows(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,x\nu,1\n\nv,2\n"), NUMBERS)
    assert list(table.row_numbers) == [2, 4]


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", "the file is empty"),
    "blank file": (" \n\n", "the file is empty"),
    "only delimiters": (";;\n;;\n", "the file is empty"),
    "only a bom": ("\ufeff", "the file is empty"),
    "header only": ("a,x\n", "0 rows below its header; it needs at least 1"),
    "short row": ("a,x\nu,1\nv\n", "row 3 has 1 cells where the header has 2"),
    "long row": ("a,x\nu,1,5\n", "row 2 has 3 cells.*decimal points"),
    "truncated in a quotation": ('a,x\nu,1\n"v,2\n', "row 3 is broken.*truncated or has an unclo"),
    "text after a quotation": ('a,x\n"u"u,1\n', "row 2 is broken"),
    "not utf-8": (b"a,x\nu,1\n\xe5,2\n", "line 3 is not UTF-8 text"),
    "utf-16": ("a,x\nu,1\n".encode("utf-16"), "looks like UTF-16"),
    "nul": ("a,x\nu\x00,1\n", "line 2 holds a NUL byte"),
    "column twice": ("a,x,x\nu,1,2\n", "names the column 'x' twice"),
    "column without name": ("a,,x\nu,1,2\n", "column 2 has no name"),
    "column missing": ("a,xx\nu,1\n", "there is no column 'x'. Nearest: xx"),
    "decimal comma": ('a,x\nu,"1,5"\n', "'1,5' is not a number. Use a decimal point"),
    "thousands": ("a;x\nu;1.234,5\n", "row 2, column 'x': '1.234,5' is not a number"),
    "two commas": ("a;x\nu;1,234,5\n", "row 2, column 'x': '1,234,5' is not a number"),
    "empty cell": ("a,x\nu,\n", "row 2, column 'x' is empty"),
    "infinite": ("a,x\nu,inf\n", "'inf' is not a finite number"),
    "overflow": ("a,x\nu,1e999\n", "'1e999' is not a finite number"),
    "underscore": ("a,x\nu,1_000\n", "'1_000' is not a number"),
    "NAN in capitals": ("a,x\nu,NAN\n", "'NAN' is not a finite number"),
    "huge cell": ("a,x\n" + "u" * 200_000 + ",1\n", "row 2 is broken"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_says_what_and_where(tmp_path: Path, case: str) -> None:
    content, sentence = BROKEN[case]
    with pytest.raises(InputError, match=sentence):
        read_table(write(tmp_path, content), NUMBERS)


def test_a_path_that_is_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder, not a table"):
        read_table(tmp_path)
    with pytest.raises(InputError, match=r"cannot be read|no such file"):
        read_table(tmp_path / ("x" * 5000))
    with pytest.raises(InputError, match="no such file"):
        read_table("a\x00b.csv")


LIMITS = [
    (Column(name="x", kind="number", minimum=0), "-0.1", "below 0"),
    (Column(name="x", kind="number", maximum=1), "1.1", "above 1"),
    (Column(name="x", kind="number", above=0), "0", "must be above 0"),
    (Column(name="x", kind="count"), "-1", "below 0"),
    (Column(name="x", kind="count"), "1.5", "not a whole number"),
    (Column(name="x", kind="count"), "1e300", "too large to be counted"),
    (Column(name="x", kind="whole"), "-1.5", "not a whole number"),
    (Column(name="x", kind="truth"), "maybe", "not true or false"),
    (Column(name="x", allowed=("left", "right")), "lefft", "Nearest: left"),
]


@pytest.mark.parametrize(("column", "cell", "sentence"), LIMITS, ids=str)
def test_a_value_outside_its_limits_is_refused(
    tmp_path: Path, column: Column, cell: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=f"row 2.*{sentence}"):
        read_table(write(tmp_path, f"x\n{cell}\n"), [column])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_are_read_where_they_delimit_nothing(tmp_path: Path, delimiter: str) -> None:
    lines = ["a;x;dose;words;n", "u;-1,5;0,25;1,5;3", "v;\u2212,5;NA;low;4", "w;2;1,0e-1;;5"]
    file = write(tmp_path, "\r\n".join(lines).replace(";", delimiter) + "\r\n")
    table = read_table(file, [*NUMBERS, Column(name="n", kind="count")])
    assert table["x"] == (-1.5, -0.5, 2.0)
    assert table["dose"] == ("0.25", None, "1.0e-1")  # numbers alone
    assert table["words"] == ("1,5", "low", None)  # as they were: not all are numbers
    np.testing.assert_array_equal(table.numbers("dose"), [0.25, math.nan, 0.1])
    with pytest.raises(InputError, match="row 2, column 'words': '1,5' is not a number"):
        table.numbers("words")


def test_a_text_column_keeps_its_commas(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a;x\n1,5;1,5\n"), NUMBERS)["a"] == ("1,5",)


def test_commas_and_points_in_one_column_of_numbers_are_refused(tmp_path: Path) -> None:
    said = "row 4, column 'x': '1,5' has a decimal comma, but '0.5' in row 2 has a decimal point"
    with pytest.raises(InputError, match=said):
        read_table(write(tmp_path, "a;x\nu;0.5\nv;1\nw;1,5\n"), NUMBERS)
    many = "".join("u;0.5\n" for _ in range(CHUNK + 5))
    with pytest.raises(InputError, match=rf"row {CHUNK + 7}.*in row 2 has a decimal point"):
        read_table(write(tmp_path, f"a;x\n{many}v;1,5\n"), NUMBERS)
    table = read_table(write(tmp_path, "a;x\nu;0.5\nv;1,5\n"))
    with pytest.raises(InputError, match="row 3, column 'x': '1,5' is not a number"):
        table.numbers("x")


def test_a_whole_number_with_a_decimal_part_is_still_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 2, column 'n': 1\.5 is not a whole number"):
        read_table(write(tmp_path, "n;a\n1,5;u\n"), [Column(name="n", kind="count")])


def test_a_decimal_comma_in_a_workbook_s_text_is_refused(tmp_path: Path) -> None:
    """A text cell does not say whose comma it is; a number in a cell has none."""
    file = book(tmp_path / "t.xlsx", {"one": [["a", "x"], ["u", 1.5], ["v", "0,5"]]})
    with pytest.raises(InputError, match=r"row 3, column 'x': '0,5' is not a number\. Use a dec"):
        read_table(file, NUMBERS)


def test_a_table_may_be_empty_when_asked(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,x\n"), NUMBERS, least_rows=0)
    assert (table.rows, table["x"], table.records()) == (0, (), [])


def test_numbers_of_a_text_column_name_their_row(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,x\nu,1\n\nv,two\n"))
    with pytest.raises(InputError, match="row 4, column 'x': 'two' is not a number"):
        table.numbers("x")
    with pytest.raises(InputError, match="there is no column 'y'"):
        table.numbers("y")


def test_a_minus_sign_is_a_minus(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a,x\nu,\u22122.5\n"), NUMBERS)["x"] == (-2.5,)


def test_the_empty_words_have_not_grown() -> None:
    assert frozenset({"", "NA", "na", "N/A", "nan", "NaN", "null", "."}) == EMPTY


def test_a_large_file_is_read_in_chunks_with_the_right_rows(tmp_path: Path) -> None:
    rows = 100_000
    body = "".join(f"study {i % 50},{i}.5,{i},0.1,0.2,0.3,0.4,0.5,0.6,b\n" for i in range(rows))
    file = write(tmp_path, "a,x,n,c,d,e,f,g,h,t\n" + body)
    columns = [*NUMBERS, Column(name="n", kind="count")]
    start = time.perf_counter()
    table = read_table(file, columns)
    assert time.perf_counter() - start < SECONDS_FOR_A_TENTH_OF_A_MILLION
    assert table.rows == rows
    assert table["n"] == tuple(range(rows))
    assert table.numbers("x")[-1] == rows - 0.5
    file.write_bytes(file.read_bytes() + b"last,1,-1,0,0,0,0,0,0,b\n")
    with pytest.raises(InputError, match=f"row {rows + 2}, column 'n': -1 is below 0"):
        read_table(file, columns)


def book(file: Path, sheets: dict[str, list[list[object]]]) -> Path:
    out = xlsxwriter.Workbook(str(file))
    for name, rows in sheets.items():
        sheet = out.add_worksheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                if cell is not None:
                    sheet.write(i, j, cell)
    out.close()
    return file


def test_a_workbook_is_read_as_the_same_table(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a", "x", "ok"], ["u", 1, True], ["v", 2.5, False]]
    file = book(tmp_path / "t.xlsx", {"one": rows, "two": [["a", "x"], ["w", 3]]})
    columns = [*NUMBERS, Column(name="ok", kind="truth")]
    assert read_table(file, columns)["ok"] == (True, False)
    assert read_table(file, columns)["x"] == (1.0, 2.5)
    assert read_table(file, NUMBERS, sheet="two")["x"] == (3.0,)
    assert sheet_names(file) == ["one", "two"]


def test_rows_of_a_sheet_count_its_empty_rows(tmp_path: Path) -> None:
    rows: list[list[object]] = [[], ["a", "x"], ["u", 1], [], ["v", "bad"]]
    with pytest.raises(InputError, match="row 5, column 'x': 'bad'"):
        read_table(book(tmp_path / "t.xlsx", {"one": rows}), NUMBERS)


def test_a_workbook_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable Excel workbook"):
        read_table(write(tmp_path, b"PK\x03\x04 not really", "t.xlsx"))
    with pytest.raises(InputError, match="not a readable Excel workbook"):
        read_table(write(tmp_path, "a,x\n1,2\n", "u.xlsx"))
    file = book(tmp_path / "v.xlsx", {"findings": [["a"], [1]], "empty": []})
    with pytest.raises(InputError, match=r"'finding' is not a known sheet\. Nearest"):
        read_table(file, sheet="finding")
    with pytest.raises(InputError, match="sheet 'empty' is empty"):
        read_table(file, sheet="empty")
    with pytest.raises(InputError, match="no such file"):
        sheet_names(tmp_path / "none.xlsx")


@given(st.binary(max_size=300))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_give_a_table_or_a_sentence(tmp_path: Path, content: bytes) -> None:
    try:
        table = read_table(write(tmp_path, content), [Column(name="x", kind="number")])
    except InputError:
        return
    assert isinstance(table, Table)
    assert table.rows == len(table["x"]) == len(table.row_numbers) >= 1


CELLS = st.text(
    st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=8
).map(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",;\t"))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    assume(delimiter == "," or not any(has_decimal_comma(c) for row in rows for c in row))
    kept = [(i, row) for i, row in enumerate(rows, start=2) if any(row)]
    table = read_table(write(tmp_path, out.getvalue()), least_rows=0)
    assert list(table.row_numbers) == [i for i, _ in kept]
    expected = [
        {k: None if c in EMPTY else c for k, c in zip("ab", r, strict=True)} for _, r in kept
    ]
    assert table.records() == expected


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Commas, quotation marks and line feeds inside cells stay; a cell of None is empty."""
    names = ["a, b", 'the "x"']
    rows = [["u\nu", 0.1], ["v,v", None], ['"w"', -2]]
    text = csv_text(names, rows)
    assert "\r" not in text
    table = read_table(write(tmp_path, text))
    assert table[names[0]] == ("u\nu", "v,v", '"w"')
    assert table[names[1]] == ("0.1", None, "-2")


@given(st.lists(st.sampled_from(["1", "-2.5", "", "NA", "x", "1,5", "inf", "3 "]), max_size=5))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_quick_way_and_the_careful_way_agree(tmp_path: Path, cells: list[str]) -> None:
    """A column of numbers is converted at once; one bad cell sends it cell by cell."""
    file = write(tmp_path, "k;x\n" + "".join(f"k;{c}\n" for c in cells))
    column = Column(name="x", kind="number", may_be_empty=True)
    bad = any(c in {"x", "inf"} for c in cells) or {"1,5", "-2.5"} <= set(cells)
    if bad or not cells:
        with pytest.raises(InputError, match=r"not a number|not a finite number|0 rows|one way"):
            read_table(file, [column])
    else:
        found = read_table(file, [column])["x"]
        assert found == tuple(None if c in EMPTY else float(c.replace(",", ".")) for c in cells)
