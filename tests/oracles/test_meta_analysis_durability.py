"""P39: participants rebuilt from the Bonner curves, with the filter of IPDfromKM 0.1.10."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from meta_rows import Row, data, rows_of

from klarsyn.stats.reconstruction import digitised, reconstruct
from klarsyn.stats.survival import cox_two_groups, kaplan_meier

COVERED = ("P39",)
ARMS = ("radio", "radioplus")
CLOSED_FORM = 1e-8  # relative; the table has ten significant digits
BONNER_RISE = 0.03  # share by which the published clicks tremble upwards


@cache
def quantities() -> dict[str, float]:
    risk = data("IPDfromKM_Radiationdata_nrisk")
    found: dict[str, float] = {}
    people = []
    for name in ARMS:
        clicks = data(f"IPDfromKM_Radiationdata_{name}")
        read = digitised(
            clicks["V1"],
            clicks["V2"] / 100,
            risk["trisk"],
            risk[f"nrisk.{name}"],
            largest_rise=BONNER_RISE,
        )
        rebuilt = reconstruct(read, outliers="tukey")
        curve = kaplan_meier(rebuilt.time, rebuilt.event)
        found[f"events.{name}"] = rebuilt.events
        found[f"median.{name}"] = curve.quantile()
        found |= {f"S.{name}.{t}": float(curve.at(t)) for t in (12, 24, 36)}
        people.append(rebuilt)
    time = np.concatenate([p.time for p in people])
    event = np.concatenate([p.event for p in people])
    group = np.repeat([0, 1], [p.time.size for p in people])
    fit = cox_two_groups(time, event, group, ties="efron").estimate
    return found | {"logHR": fit.value, "seLogHR": fit.se}


@pytest.mark.parametrize("row", rows_of(COVERED), ids=lambda r: r.id)
def test_row(row: Row) -> None:
    assert quantities()[row.name] == pytest.approx(row.value, rel=CLOSED_FORM)
