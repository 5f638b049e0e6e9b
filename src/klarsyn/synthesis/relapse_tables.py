"""Two small tables, the clicks and the numbers at risk, become checked relapse curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.synthesis.durability import RelapseCurve, relapse_curve
from klarsyn.synthesis.pooled_relapse import RelapseShare
from klarsyn.tables import Column, read_table

POINTS = (
    Column(name="study"),
    Column(name="arm"),
    Column(name="day", kind="number"),
    Column(name="remaining", kind="number"),
)
AT_RISK = (
    Column(name="study"),
    Column(name="arm"),
    Column(name="day", kind="number"),
    Column(name="at_risk", kind="count"),
    Column(name="events", kind="count", required=False, may_be_empty=True),
    Column(name="last_dose", kind="number", required=False, may_be_empty=True),
    Column(name="redosed", kind="truth", required=False, may_be_empty=True),
)


SHARES = (
    Column(name="study"),
    Column(name="day", kind="number", above=0),
    Column(name="relapsed", kind="count"),
    Column(name="counted", kind="count", minimum=1),
)


def read_relapse_shares(path: str | Path) -> tuple[RelapseShare, ...]:
    """Read study, day (after the last dose), relapsed, counted: studies without a curve."""
    shares = []
    for row, r in read_table(path, SHARES, others=False).numbered():
        if r["relapsed"] > r["counted"]:
            raise InputError(
                f"{path}: row {row} ({r['study']}): {r['relapsed']} relapsed of {r['counted']}."
            )
        shares.append(RelapseShare(**r))
    return tuple(shares)


def read_relapse_curves(
    points: str | Path,
    at_risk: str | Path,
    *,
    origin: str,
    percent: bool = False,
    largest_rise: float = 0.02,
) -> tuple[RelapseCurve, ...]:
    """Read clicks (study, arm, day, remaining) and numbers at risk (study, arm, day, at_risk).

    The at-risk table may add `events` (total, on any row of the arm), `last_dose` (day of the last
    dose from `origin`, needed unless time starts there) and `redosed`. With `percent` the
    remaining share is in percent. Raises InputError naming the row where a curve rises or a number
    is impossible.
    """
    clicks, counts = read_table(points, POINTS), read_table(at_risk, AT_RISK)
    _check_rise(str(points), clicks.records(), percent, largest_rise)
    curves: dict[tuple[str, str], list[dict]] = {}
    for row in clicks.records():
        curves.setdefault((row["study"], row["arm"]), []).append(row)
    risks: dict[tuple[str, str], list[dict]] = {}
    for row in counts.records():
        risks.setdefault((row["study"], row["arm"]), []).append(row)
    for key in curves:
        if key not in risks:
            known = [f"{s}, {a}" for s, a in risks]
            raise unknown_name("arm of the at-risk table", ", ".join(key), known, str(at_risk))
    return tuple(
        relapse_curve(
            study,
            arm,
            [r["day"] for r in rows],
            [r["remaining"] / (100 if percent else 1) for r in rows],
            [r["day"] for r in risks[study, arm]],
            [r["at_risk"] for r in risks[study, arm]],
            origin=origin,
            last_dose=_first(risks[study, arm], "last_dose"),
            total_events=_first(risks[study, arm], "events"),
            redosed=bool(_first(risks[study, arm], "redosed")),
            largest_rise=largest_rise,
            source=str(points),
        )
        for (study, arm), rows in curves.items()
    )


def _check_rise(path: str, rows: list[dict], percent: bool, largest_rise: float) -> None:
    """As `digitised` checks, but naming the file's row."""
    unit = 100 if percent else 1
    lowest: dict[tuple[str, str], float] = {}
    order = sorted(range(len(rows)), key=lambda i: rows[i]["day"])
    for i in order:
        row, key = rows[i], (rows[i]["study"], rows[i]["arm"])
        at = f"{path}: row {i + 2} ({key[0]}, {key[1]}, day {row['day']:g})"
        share = row["remaining"] / unit
        if not -0.02 <= share <= 1.02:
            hint = "Leave out --percent." if percent else "For percentages say --percent."
            raise InputError(f"{at}: remaining {row['remaining']:g} is no share. {hint}")
        if share > lowest.get(key, 2.0) + largest_rise:
            raise InputError(
                f"{at}: remaining {row['remaining']:g} lies above an earlier "
                f"{lowest[key] * unit:g}; the share without relapse cannot rise. Look for two "
                f"curves read as one, or a wrong axis."
            )
        lowest[key] = min(lowest.get(key, 2.0), share)


def _first(rows: list[dict], name: str) -> Any:
    return next((r[name] for r in rows if r.get(name) is not None), None)
