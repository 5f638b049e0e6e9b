"""Makes method_more_a.csv: `python tests/oracles/method_more_a/make.py`, mpmath 1.4.1 installed.

Values come from `reference.py`, or are printed in the source that a row names.
"""

from __future__ import annotations

import csv
from pathlib import Path

import guesses
import margins
import missing
import printed
from table import ROWS

for made in (
    guesses.blinding,
    guesses.one_arm,
    guesses.unblinding,
    guesses.belief,
    missing.events,
    missing.means,
    missing.reference_based,
    margins.proportions,
    margins.margins,
    printed.printed_numbers,
):
    made()
with (
    Path(__file__)
    .parents[1]
    .joinpath("method_more_a.csv")
    .open("w", encoding="utf-8", newline="") as out
):
    writer = csv.DictWriter(out, fieldnames=list(ROWS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
