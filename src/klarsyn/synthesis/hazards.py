"""A table of what papers print about time to an event becomes log hazard ratios, each way named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats import hazard_ratios as ways
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.tables import Column, read_table

_NUMBERS = (
    "ratio", "lower", "upper", "level", "observed1", "expected1", "observed2", "expected2", "p",
    "events1", "events2", "events", "patients1", "patients2", "survival1", "se1", "survival2",
    "se2", "median1", "median2",
)  # fmt: skip
COLUMNS = (
    Column(name="study"),
    Column(name="favours", required=False, may_be_empty=True, allowed=("first", "second")),
    *(Column(name=n, kind="number", required=False, may_be_empty=True) for n in _NUMBERS),
)

Row = Mapping[str, Any]


def _ratio(r: Row) -> Estimate:
    level = 0.95 if r.get("level") is None else r["level"]
    return ways.from_interval(r["ratio"], r["lower"], r["upper"], level)


def _p_and_arms(r: Row) -> Estimate:
    return ways.from_p_value_and_arms(
        r["p"], favours_first=r["favours"] == "first", events1=r["events1"], events2=r["events2"]
    )


def _p_and_sizes(r: Row) -> Estimate:
    return ways.from_p_value(
        r["p"], favours_first=r["favours"] == "first", events=r["events"],
        patients1=r["patients1"], patients2=r["patients2"],
    )  # fmt: skip


def _in_order(function: Callable[..., Estimate], *names: str) -> Callable[[Row], Estimate]:
    return lambda r: function(*(r[n] for n in names))


_EXPECTED = ("observed1", "expected1", "observed2", "expected2")
_SURVIVAL = ("survival1", "se1", "survival2", "se2")
_MEDIANS = ("median1", "median2", "events1", "events2")
# From what carries most to what takes most for granted.
WAYS: dict[tuple[str, ...], Callable[[Row], Estimate]] = {
    ("ratio", "lower", "upper"): _ratio,
    _EXPECTED: _in_order(ways.from_expected_events, *_EXPECTED),
    ("p", "favours", "events1", "events2"): _p_and_arms,
    ("p", "favours", "events", "patients1", "patients2"): _p_and_sizes,
    _SURVIVAL: _in_order(ways.from_survival, *_SURVIVAL),
    _MEDIANS: _in_order(ways.from_medians, *_MEDIANS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazards:
    """Log hazard ratios, first group against second: below 0, fewer events in the first."""

    study: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    method: str
    digest: str

    def effects(self) -> Effects:
        """The same as effects to pool, measure HR."""
        return effects_from_arrays(
            [e.value for e in self.estimates], [e.se**2 for e in self.estimates],
            study=self.study, measure="HR",
        )  # fmt: skip

    def summary(self) -> str:
        """One line a study, with the way it was found."""
        lines = []
        for name, e in zip(self.study, self.estimates, strict=True):
            low, high = (math.exp(min(x, 700.0)) for x in e.interval())
            lines.append(
                f"{name}: HR {math.exp(min(e.value, 700.0)):.3g} ({low:.3g} to {high:.3g}), "
                f"{e.method.removeprefix('hazard ratio from ')}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `variance` and `observed_less_expected` are V and O − E."""
        return {
            "studies": [
                {
                    "study": name, "log_hazard_ratio": e.value, "se": e.se,
                    "observed_less_expected": e.value / e.se**2, "variance": e.se**-2,
                    "way": e.method,
                }
                for name, e in zip(self.study, self.estimates, strict=True)
            ],
            "method": self.method,
            "digest": self.digest,
        }  # fmt: skip

    def plot(self) -> Any:
        """The hazard ratios with their limits (Altair)."""
        from klarsyn.figures.estimates import estimate_lines

        rows = [
            (s, e.value, *e.interval()) for s, e in zip(self.study, self.estimates, strict=True)
        ]
        return estimate_lines(rows, title="Hazard ratio", log=True)


def read_hazards(path: str | Path) -> Hazards:
    """Read one row a study; the first way of `WAYS` whose cells are all filled is taken.

    Raises InputError naming the row, also where no way has all that it needs.
    """
    table = read_table(path, COLUMNS)
    found = []
    for place, r in zip(table.row_numbers, table.records(), strict=True):
        at = f"{path}: row {place} ({r['study']})"
        try:
            found.append(hazard_ratio(r))
        except InputError as bad:
            raise InputError(f"{at}: {bad}") from None
    return Hazards(
        study=tuple(str(s) for s in table["study"]),
        estimates=tuple(found),
        method="log hazard ratios from printed results (Parmar 1998, Tierney 2007)",
        digest=digest_of([(e.value, e.se, e.method) for e in found]),
    )


def hazard_ratio(cells: Row) -> Estimate:
    """One study's log hazard ratio by the first way of `WAYS` whose cells are all there."""
    filled = {name for name, value in cells.items() if value is not None and value != ""}
    for names, way in WAYS.items():
        if filled.issuperset(names):
            return way(cells)
    closest = min(WAYS, key=lambda names: len(set(names) - filled) / len(names))
    raise InputError(
        "no way to a hazard ratio has all that it needs. Closest: "
        f"{', '.join(closest)}, without {', '.join(n for n in closest if n not in filled)}."
    )
