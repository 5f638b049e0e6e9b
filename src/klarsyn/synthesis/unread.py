"""Stretches of a printed curve between two clicks in which several relapses went unread.

A rebuilt curve drops at the later click, so inside such a stretch it is the highest that the clicks
allow, and mean days without relapse are the most that they allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from klarsyn.stats.reconstruction import Digitised
from klarsyn.stats.survival import SurvivalCurve

LEAST = 0.05  # share that must have been lost between two clicks to be worth a sentence
RELAPSES = 2  # one relapse is one step, which two clicks may frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """From one click to the next, days from the last dose: the share falls, nobody knows when."""

    start: float
    end: float
    before: float
    after: float
    relapses: int

    def holds(self, day: float) -> bool:
        """Whether a day lies between the two clicks."""
        return self.start < day < self.end

    @property
    def days_too_many(self) -> float:
        """How many mean days without relapse the rebuilt curve counts too many at most."""
        return (self.end - self.start) * (self.before - self.after)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"days_too_many": self.days_too_many}


def unread_stretches(points: Digitised, curve: SurvivalCurve, zero: float) -> tuple[Unread, ...]:
    """Where `curve` (days from the last dose, on day `zero` of the clicks) was not read."""
    clicks = sorted({0.0, *(float(t) - zero for t in points.time if t > zero)})
    found = []
    for start, end in pairwise(clicks):
        before, after = float(curve.at(start)), float(curve.at(end))
        inside = (curve.time > start) & (curve.time <= end)
        relapses = int(curve.events[inside].sum())
        if before - after > LEAST and relapses >= RELAPSES:
            found.append(
                Unread(start=start, end=end, before=before, after=after, relapses=relapses)
            )
    return tuple(found)


def note_on(name: str, unread: Sequence[Unread]) -> str:
    """One sentence on the stretches of an arm; empty without any."""
    if not unread:
        return ""
    said = ", ".join(
        f"between day {u.start:g} and {u.end:g} ({u.before:.0%} to {u.after:.0%}, {u.relapses} "
        f"relapses)"
        for u in unread
    )
    most = sum(u.days_too_many for u in unread)
    return (
        f"{name}: nothing was read {said}. All are put at the later day, so up to {most:.1f} mean "
        f"days without relapse are counted too many, and hazard ratio, pooled curve and models "
        f"rest on that too. Click every step of the curve."
    )
