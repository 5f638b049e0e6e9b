"""Predicted against observed, row by row: how good is the default, per route, analyte and site?

    python validation/qualification/run.py [OBSERVED.csv] [--write]

Each row of the table is one observation with the dose that led to it. Venous rows meet the venous
default, arterial rows the arterial alternative; a row that no model can predict is listed with the
reason. A reading of which one step (a pixel, a stated error) is more than a fifth is listed, not
counted; where the step is not known, the row counts. Without a table of its own the run also
predicts found.csv, the rows looked for after the model was fixed. `--write` renews
docs/qualification.md and docs/qualification.svg. The exit code is 1 when the intravenous default
misses ketamine or norketamine by a geometric mean of more than 1.15-fold.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from klarsyn.errors import KlarsynError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from page import write  # noqa: E402  beside this file, also where it is loaded by path
from predict import Row, predict, read_rows  # noqa: E402
from sums import (  # noqa: E402
    LEAST,
    LIMIT,
    beyond,
    choices,
    counted,
    default_rows,
    describe,
    gmfe,
    independent_in_note,
    qualify,
    tabulated,
    thresholds,
)

__all__ = [
    "LEAST",
    "beyond",
    "counted",
    "default_rows",
    "gmfe",
    "independent_in_note",
    "predict",
    "qualify",
    "read_rows",
    "tabulated",
]


def show(rows: list[Row], left: list[tuple[dict, str]]) -> None:
    for row in rows:
        print(
            f"{row.study:20} {row.route:6} {row.analyte:20} {row.metric:28} "
            f"{row.observed:9.4g} {row.predicted:9.4g} {row.unit:9} P/O {row.ratio:5.2f} "
            f"{row.model} {row.relation}"
        )
    for record, reason in left:
        print(
            f"not predicted: {record['study_id']} {record['analyte']} {record['metric']}: {reason}"
        )
    print("\n".join(describe(counted(rows))))


def main(argv: list[str]) -> int:
    paths = [a for a in argv if not a.startswith("--")]
    try:
        rows, left = qualify(Path(paths[0]) if paths else HERE / "observed.csv")
        found = None if paths else qualify(HERE / "found.csv")
    except KlarsynError as bad:
        print(f"run.py: {bad}", file=sys.stderr)
        return 2
    show(rows, left)
    chosen, every = default_rows(rows), default_rows(rows, 0)
    value = gmfe(chosen) if chosen else math.nan
    whole = gmfe(every) if every else math.nan
    print(
        f"\nIntravenous default, ketamine and norketamine: GMFE {whole:.3f} with every row "
        f"({len(every)}), {value:.3f} without the {len(every) - len(chosen)} readings under "
        f"{LEAST:g} steps (limit {LIMIT})"
    )
    print("\n".join([*thresholds(rows), "", *choices(rows)]))
    if found:
        print("\nFound after the model was fixed:")
        show(*found)
    if "--write" in argv:
        write(rows, left, found or ([], []))
    return int(bool(chosen) and value > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
