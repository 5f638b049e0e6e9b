"""Counts of events in two groups, checked study by study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events of totals in two groups, one entry a study.

    With `rates` the totals are person-times. Made by `count_table` or `rate_table`.
    """

    studies: tuple[str, ...]
    events1: Array
    total1: Array
    events2: Array
    total2: Array
    rates: bool = False

    @property
    def digest(self) -> str:
        """Changes when any count or name changes."""
        arrays = [self.events1, self.total1, self.events2, self.total2]
        return digest_of(list(self.studies), *arrays, self.rates)

    def only(self, kept: NDArray[np.bool_]) -> Counts:
        """The studies where `kept` is true."""
        return Counts(
            studies=tuple(s for s, keep in zip(self.studies, kept, strict=True) if keep),
            events1=self.events1[kept], total1=self.total1[kept],
            events2=self.events2[kept], total2=self.total2[kept], rates=self.rates,
        )  # fmt: skip

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """Events and totals of the first group, then of the second."""
        return self.events1, self.total1, self.events2, self.total2

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Studies whose odds (or rate) ratio is not 0/0: some event, and some non-event."""
        some = self.events1 + self.events2 > 0
        if self.rates:
            return some
        return some & (self.events1 + self.events2 < self.total1 + self.total2)


def count_table(
    studies: Sequence[str],
    events1: Sequence[float],
    total1: Sequence[float],
    events2: Sequence[float],
    total2: Sequence[float],
) -> Counts:
    """Checked counts of two groups; a study with a missing count (NaN) is left out.

    Raises InputError naming the study where a count is negative, not whole, or above its total.
    """
    kept, columns = _columns(studies, events1, total1, events2, total2)
    for name, a, n1, c, n2 in zip(kept, *columns, strict=True):
        for group, (x, n) in enumerate(((a, n1), (c, n2)), start=1):
            if x != int(x) or n != int(n) or n <= 0 or not 0 <= x <= n:
                raise InputError(
                    f"Study {name!r}, group {group}: {x:g} events of {n:g} is not possible. Events "
                    "and totals are whole numbers with 0 ≤ events ≤ total and total ≥ 1."
                )
    return Counts(
        studies=kept, events1=columns[0], total1=columns[1], events2=columns[2], total2=columns[3]
    )


def rate_table(
    studies: Sequence[str],
    events1: Sequence[float],
    time1: Sequence[float],
    events2: Sequence[float],
    time2: Sequence[float],
) -> Counts:
    """Checked events in person-times of two groups; a study with a missing value is left out."""
    kept, columns = _columns(studies, events1, time1, events2, time2)
    for name, a, t1, c, t2 in zip(kept, *columns, strict=True):
        for group, (x, t) in enumerate(((a, t1), (c, t2)), start=1):
            if x != int(x) or x < 0 or not t > 0:
                raise InputError(
                    f"Study {name!r}, group {group}: {x:g} events in a person-time of {t:g} is not "
                    "possible. Events are whole numbers ≥ 0 and person-times are above 0."
                )
    return Counts(
        studies=kept, events1=columns[0], total1=columns[1], events2=columns[2],
        total2=columns[3], rates=True,
    )  # fmt: skip


def _columns(studies: Sequence[str], *columns: Sequence[float]) -> tuple[tuple[str, ...], Any]:
    arrays = [np.asarray(c, dtype=float) for c in columns]
    if any(len(c) != len(studies) for c in arrays):
        raise InputError(
            f"{len(studies)} study names but columns of {', '.join(str(len(c)) for c in arrays)} "
            "values; give one value a study."
        )
    kept = np.atleast_1d(~np.isnan(np.stack(arrays)).any(axis=0))
    if not kept.any():
        raise InputError("No study has all four numbers; give events and totals of both groups.")
    names = tuple(str(s) for s, keep in zip(studies, kept, strict=True) if keep)
    return names, [c[kept] for c in arrays]
