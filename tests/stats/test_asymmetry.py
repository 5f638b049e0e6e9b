"""Every regression and rank test of asymmetry against base R (asymmetry.R, which says versions)."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from klarsyn.errors import UnknownNameError
from klarsyn.stats import asymmetry as at
from klarsyn.stats.contrasts import contrasts

LIMIT = 1e-7  # a limit extrapolates: an error of R's lm grows with the distance
LAST_BITS = 1e-12  # the same sums with other signs

HERE = Path(__file__).parent
DATA = HERE.parent / "oracles" / "data"
SAME = 1e-9  # both are closed forms; R's lm loses digits by its pivoting
ITERATED = 1e-6  # REML with a threshold of 1e-12 in R
HAZARDS = {
    "y": [-0.51, -0.22, 0.10, -0.36, -0.69, -0.05, -0.92],
    "v": [0.040, 0.012, 0.009, 0.055, 0.130, 0.006, 0.210],
    "d1": [48, 160, 230, 35, 12, 330, 6], "d2": [52, 175, 214, 38, 19, 341, 13],
}  # fmt: skip


def reference() -> list[dict[str, str]]:
    lines = (HERE / "asymmetry_metafor_3.8.csv").read_text("utf-8").splitlines()
    assert lines[0].startswith("# R version 4.2.2")
    return list(csv.DictReader(lines[1:]))


@cache
def table(name: str) -> dict[str, np.ndarray]:
    with (DATA / f"dat.{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numeric = [c for c in rows[0] if all(_number(r[c]) for r in rows)]
    return {c: np.array([float(r[c]) for r in rows]) for c in numeric}


def _number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def cells(name: str) -> list[np.ndarray]:
    t = table(name)
    if name == "bcg":
        a, c = t["tpos"], t["cpos"]
        return [a, a + t["tneg"], c, c + t["cneg"]]
    return [t[x] for x in ("ai", "n1i", "ci", "n2i")]


def informative(name: str) -> list[np.ndarray]:
    a, n1, c, n2 = cells(name)
    kept = (a + c > 0) & (a + c < n1 + n2)
    return [x[kept] for x in (a, n1, c, n2)]


def log_odds(name: str) -> tuple[np.ndarray, np.ndarray]:
    made = contrasts("OR", dict(zip(("ai", "n1i", "ci", "n2i"), informative(name), strict=True)))
    return made.y, made.v


def effects(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "bcg":
        return log_odds(name)
    t = table(name)
    made = contrasts("SMD", {c: t[c] for c in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")})
    return made.y, made.v


def sizes() -> tuple[np.ndarray, np.ndarray]:
    return table("normand1999")["n1i"], table("normand1999")["n2i"]


def hazards(weight: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Any:
    h = {name: np.array(x, dtype=float) for name, x in HAZARDS.items()}
    return at.debray(h["y"], h["d1"] + h["d2"], weight(h))


TESTS: dict[str, Callable[[str], Any]] = {
    "Egger": lambda d: at.regression_test(*effects(d)),
    "Egger unweighted": lambda d: at.unweighted_test(*effects(d)),
    "Egger mixed": lambda d: at.regression_test(*effects(d), model="rma"),
    "Thompson-Sharp": lambda d: at.thompson_sharp(*effects(d)),
    "Begg": lambda d: at.rank_test(*effects(d)),
    "Harbord": lambda d: at.harbord(*cells(d)),
    "Harbord RR": lambda d: at.harbord(*cells(d), measure="RR"),
    "Peters": lambda d: at.peters(log_odds(d)[0], *informative(d)),
    "Macaskill": lambda d: at.macaskill(log_odds(d)[0], *informative(d)),
    "Macaskill FIV": lambda d: at.macaskill(log_odds(d)[0], *informative(d), v=log_odds(d)[1]),
    "Deeks": lambda d: at.deeks(log_odds(d)[0], *informative(d)),
    "arcsine": lambda d: at.schwarzer_arcsine(*cells(d)),
    "Schwarzer": lambda d: at.schwarzer_rank(*cells(d)),
    "Pustejovsky": lambda d: at.pustejovsky_rodgers(effects(d)[0], *sizes()),
    "Pustejovsky meta": lambda d: at.pustejovsky_rodgers(effects(d)[0], *sizes(), v=effects(d)[1]),
    "Debray FIV": lambda _: hazards(lambda h: 1 / h["v"]),
    "Debray FAV": lambda _: hazards(lambda h: 1 / (1 / h["d1"] + 1 / h["d2"])),
}


@pytest.mark.parametrize("row", reference(), ids=lambda r: f"{r['data']}-{r['test']}")
def test_a_test_of_asymmetry_agrees_with_base_r(row: dict[str, str]) -> None:
    found = TESTS[row["test"]](row["data"])
    close = ITERATED if row["test"] == "Egger mixed" else SAME
    statistic = found.tau if isinstance(found, at.RankTest) else found.statistic
    assert statistic == pytest.approx(float(row["statistic"]), rel=close)
    assert found.p == pytest.approx(float(row["p"]), rel=close)
    if isinstance(found, at.RankTest):
        assert found.exact
        return
    assert found.df == float(row["df"])
    assert found.slope.value == pytest.approx(float(row["slope"]), rel=close)
    assert found.slope.se == pytest.approx(float(row["se"]), rel=close)
    if row["limit"].strip() == "NA":
        assert found.limit is None
    else:
        assert found.limit.value == pytest.approx(float(row["limit"]), rel=LIMIT, abs=SAME)


def test_every_reference_test_was_reached_and_none_is_without_one() -> None:
    assert {r["test"] for r in reference()} == set(TESTS)


def test_harbord_knows_odds_and_risk_ratios_only() -> None:
    with pytest.raises(UnknownNameError, match="OR, RR"):
        at.harbord(*cells("bcg"), measure="RD")


def test_schwarzers_rank_test_changes_sign_with_the_groups() -> None:
    """Swapping the groups turns the log odds ratio, and with it every deviation, around."""
    rows = ([4, 9, 2, 20], [40, 80, 30, 150], [8, 15, 7, 31], [41, 79, 33, 149])
    a, n1, c, n2 = (np.array(x, dtype=float) for x in rows)
    one = at.schwarzer_rank(a, n1, c, n2)
    swapped = at.schwarzer_rank(c, n2, a, n1)
    assert swapped.tau == pytest.approx(-one.tau, abs=LAST_BITS)
    assert swapped.p == pytest.approx(one.p, rel=LAST_BITS)
