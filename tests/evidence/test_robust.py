"""Whatever stands in the cells, a base opens or says why not, and every check then ends."""

from __future__ import annotations

import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError
from klarsyn.evidence import check_base, open_base, select_trials
from klarsyn.evidence.completeness import completeness
from klarsyn.evidence.exchange import rows_of
from klarsyn.evidence.remarks import SEVERITIES
from klarsyn.evidence.schema import TABLES
from klarsyn.evidence.vocabulary import LISTS

from .small import finding, small, write_base

VALUES = st.one_of(
    st.sampled_from([0, -1, 1, 0.5, 100, 1e-9, -1e-9, 1e6, 1e12, -60, 60, 20.43]),
    st.floats(-1e6, 1e6).map(lambda v: round(v, 2)),
)
STATISTICS = st.sampled_from(sorted(LISTS["statistic"]))
ARMS = st.sampled_from(["x", "p", "all", "x|p"])
OUTCOMES = st.sampled_from(["depression_score", "depression_change", "response"])
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@given(st.lists(st.tuples(ARMS, OUTCOMES, STATISTICS, VALUES), min_size=5, max_size=60))
@settings(max_examples=60, **QUIET)
def test_every_check_ends_whatever_the_numbers(
    tmp_path: Path, rows: list[tuple[str, str, str, float]]
) -> None:
    tables = small()
    for i, (arm, outcome, statistic, value) in enumerate(rows):
        tables["findings"].append(finding("alpha", 100 + i, arm, statistic, value, outcome=outcome))
    base = open_base(write_base(tmp_path / "b", tables))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = check_base(base)
    assert all(r.severity in SEVERITIES and "nan" not in r.sentence for r in found.remarks)
    select_trials(base, "review")
    completeness(base)


CELLS = [(t, f.name) for t in small() for f in TABLES[t].fields]


@given(
    st.sampled_from(CELLS),
    st.integers(0, 100),
    st.one_of(st.sampled_from(["", "NA", "x|p", "all", "-1", "1e9", "true"]), st.text(max_size=6)),
)
@settings(max_examples=250, **QUIET)
def test_a_changed_cell_gives_a_base_or_a_sentence(
    tmp_path: Path, cell: tuple[str, str], row: int, text: str
) -> None:
    table, column = cell
    tables = small()
    rows = tables[table]
    rows[row % len(rows)][column] = text
    try:
        folder = write_base(tmp_path / "b", tables)
    except UnicodeEncodeError:
        return
    try:
        base = open_base(folder)
    except InputError as bad:
        sentence = str(bad)
    else:
        sentence = check_base(base).summary()
        rows_of(base)
    assert len(sentence) > 20
