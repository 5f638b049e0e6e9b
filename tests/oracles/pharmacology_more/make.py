"""Makes pharmacology_more.csv: `python tests/oracles/pharmacology_more/make.py`, mpmath 1.4.1.

Nothing of klarsyn is used; every value is computed from the definition its module names.
"""

from __future__ import annotations

import csv
from pathlib import Path

import eventtables
import models
import noncompartmental
import substances
import words
from table import ROWS

for made in (
    substances.substances,
    substances.resolutions,
    words.regimens,
    eventtables.tables,
    models.models,
    noncompartmental.noncompartmental,
):
    made()
TABLE = Path(__file__).parents[1] / "pharmacology_more.csv"
with TABLE.open("w", encoding="utf-8", newline="") as out:
    writer = csv.DictWriter(out, fieldnames=list(ROWS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
