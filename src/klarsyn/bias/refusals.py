"""Patients who left after learning their allocation, before treatment: every way they could go.

A grid over how many of them would have responded in each arm. Events are good; differences are
new − reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.bias.noninferiority import Counts, verdict
from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.proportions import difference_interval

MOST_CELLS = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """The patients as analysed, and how many refused before treatment in each arm."""

    analysed: Counts
    new_refused: int
    reference_refused: int

    def __post_init__(self) -> None:
        for name, value in (("new", self.new_refused), ("reference", self.reference_refused)):
            if value < 0 or value != int(value):
                raise InputError(
                    f"{self.analysed.name}: {value} refusals in the {name} arm; give a count."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way the refusals could have gone; responders may be expected numbers."""

    name: str
    new_responders: float
    reference_responders: float
    difference: float
    low: float
    high: float
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalGrid:
    """All cells, the named scenarios, and where the conclusion is lost.

    `cells` runs over responders among the new arm's refusals, then the reference's.
    `superiority_lost_from` and `noninferiority_lost_from` are the fewest responders among the
    reference's refusals, none responding in the new arm, without the conclusion: 0 if it is not
    there to lose, None if it is never lost.
    """

    refusals: Refusals
    margin: float
    cells: tuple[Cell, ...]
    scenarios: tuple[Cell, ...]
    superiority_lost_from: int | None
    noninferiority_lost_from: int | None
    interval_method: str
    level: float
    method: str
    inputs: str

    def region_counts(self) -> dict[str, int]:
        """How many cells lie in each region."""
        regions = [c.region for c in self.cells]
        return {r: regions.count(r) for r in dict.fromkeys(regions)}

    def scenario(self, name: str) -> Cell:
        """A named scenario."""
        for cell in self.scenarios:
            if cell.name == name:
                return cell
        from klarsyn.errors import unknown_name

        raise unknown_name("scenario", name, [c.name for c in self.scenarios])

    def summary(self) -> str:
        """The named scenarios and where the conclusion is lost."""
        lines = [
            f"{c.name.replace('_', ' ')}: {c.new_responders:.3g} of "
            f"{self.refusals.new_refused} and {c.reference_responders:.3g} of "
            f"{self.refusals.reference_refused} respond: "
            f"{100 * c.difference:.1f} ({100 * c.low:.1f} to {100 * c.high:.1f}) points, {c.region}"
            for c in self.scenarios
        ]
        total = self.refusals.reference_refused
        for what, lost in (
            ("superiority", self.superiority_lost_from),
            ("non-inferiority", self.noninferiority_lost_from),
        ):
            if lost is None:
                lines.append(f"{what}: kept however many of the refusals respond")
            elif lost == 0:
                lines.append(f"{what}: not there when no refusal responds")
            else:
                lines.append(
                    f"{what}: lost once {lost} of the reference's {total} refusals respond"
                )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self, **labels: Any) -> Any:
        """The grid as a heat map of regions with the named scenarios on it."""
        from klarsyn.figures.missing import refusal_chart

        return refusal_chart(
            [asdict(c) for c in self.cells], [asdict(c) for c in self.scenarios], **labels
        )


def refusal_grid(
    refusals: Refusals,
    margin: float,
    *,
    external_rates: Mapping[str, tuple[float, float]] | None = None,
    interval_method: str = "newcombe",
    level: float = 0.95,
) -> RefusalGrid:
    """Every number of responders among the refusals of both arms, with named scenarios.

    `external_rates` adds scenarios: name → response rates of (new, reference) elsewhere.
    """
    a, b = refusals.new_refused, refusals.reference_refused
    if not 0 < margin < 1:
        raise InputError(
            f"A margin is a positive risk difference below 1 (0.1 for 10 points); {margin:g} is "
            f"not."
        )
    if (a + 1) * (b + 1) > MOST_CELLS:
        raise InputError(
            f"{refusals.analysed.name}: {a} and {b} refusals make {(a + 1) * (b + 1):,} cells, "
            f"more than the {MOST_CELLS:,} that a grid can show. Check the counts."
        )
    new, reference = (
        g.ravel() for g in np.meshgrid(np.arange(a + 1), np.arange(b + 1), indexing="ij")
    )
    cells = _cells(refusals, [""] * new.size, new, reference, margin, interval_method, level)
    named = _named(refusals, external_rates or {})
    scenarios = _cells(
        refusals,
        list(named),
        np.array([v[0] for v in named.values()]),
        np.array([v[1] for v in named.values()]),
        margin,
        interval_method,
        level,
    )
    edge = [c for c in cells if c.new_responders == 0]
    return RefusalGrid(
        refusals=refusals,
        margin=margin,
        cells=cells,
        scenarios=scenarios,
        superiority_lost_from=_first_lost(edge, 0.0),
        noninferiority_lost_from=_first_lost(edge, -margin),
        interval_method=interval_method,
        level=level,
        method="refusals counted as randomised, responders among them varied over all values",
        inputs=digest_of(refusals, margin, dict(external_rates or {})),
    )


def _named(refusals: Refusals, rates: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    c, a, b = refusals.analysed, refusals.new_refused, refusals.reference_refused
    new, reference = c.new_events / c.new_total, c.reference_events / c.reference_total
    named: dict[str, tuple[float, float]] = {
        "as_the_treated_of_their_arm": (a * new, b * reference),
        "none_respond": (0, 0),
        "all_against_new": (0, b),
        "all_for_new": (a, 0),
        "as_the_other_arm": (a * reference, b * new),
    }
    for name, (p, q) in rates.items():
        if not (0 <= p <= 1 and 0 <= q <= 1):
            raise InputError(f"{name}: rates {p:g} and {q:g} do not lie between 0 and 1.")
        named[name] = (a * p, b * q)
    return named


def _cells(
    refusals: Refusals,
    names: list[str],
    new: np.ndarray,
    reference: np.ndarray,
    margin: float,
    method: str,
    level: float,
) -> tuple[Cell, ...]:
    c = refusals.analysed
    x1, n1 = c.new_events + new, c.new_total + refusals.new_refused
    x2, n2 = c.reference_events + reference, c.reference_total + refusals.reference_refused
    limits = difference_interval(x1, n1, x2, n2, method=method, level=level)
    rows = zip(
        names,
        new,
        reference,
        x1 / n1 - x2 / n2,
        np.atleast_1d(limits.low),
        np.atleast_1d(limits.high),
        strict=True,
    )
    return tuple(
        Cell(
            name=name,
            new_responders=float(x),
            reference_responders=float(y),
            difference=float(d),
            low=float(low),
            high=float(high),
            region=verdict(float(low), float(high), margin),
        )
        for name, x, y, d, low, high in rows
    )


def _first_lost(edge: list[Cell], bound: float) -> int | None:
    """The first reference count at which the lower limit is no longer above the bound."""
    lost = [c.reference_responders for c in edge if c.low <= bound]
    return int(lost[0]) if lost else None
