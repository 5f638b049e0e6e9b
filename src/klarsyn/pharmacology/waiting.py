"""Doses that wait for the score: which patient gets which of them in which parameter set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from klarsyn.pharmacology.dosing import ResponseRule


class Waiting:
    """The doses of a regimen while it is followed, in n patients x m parameter sets.

    `checks` are (grid index, rule or -1) of each dose that could come; `units` (T, n, D, A) is what
    each dose with a rule would add at the effect site. `given` (n, m, D) says which doses were
    given: those without a rule in everybody.
    """

    def __init__(
        self,
        rules: Sequence[ResponseRule],
        checks: Sequence[tuple[int, int]],
        units: np.ndarray,
        shape: tuple[int, int],
    ) -> None:
        self.rules, self.units = rules, units
        self.given = np.zeros((*shape, len(checks)), bool)
        self.given[:, :, [d for d, (_, rule) in enumerate(checks) if rule < 0]] = True
        self._due: dict[int, list[tuple[int, int]]] = {}
        for d, (at, rule) in enumerate(checks):
            if rule >= 0:
                self._due.setdefault(at, []).append((d, rule))
        self._had = np.zeros((len(rules), *shape), int)
        self._over = np.zeros((len(rules), *shape), bool)
        self._asked: list[int] = []
        self._shares = np.zeros((*shape, 0))

    def more(self, at: int) -> np.ndarray | None:
        """What doses given by a rule add at a grid index, (n, m, A); None where there are none."""
        if not self._asked:
            return None
        return self._shares @ self.units[at][:, self._asked]

    def ask(self, at: int, score: Callable[[], np.ndarray]) -> bool:
        """Gives what is due at a grid index where `score` (n, m) asks for it; whether any was."""
        due = self._due.get(at, [])
        changed = False
        for d, rule in due:
            asks = score() >= self.rules[rule].threshold
            if self.rules[rule].until:
                self._over[rule] |= ~asks
            asks &= ~self._over[rule] & (self._had[rule] < self.rules[rule].most)
            if asks.any():
                self.given[:, :, d] = asks
                self._had[rule] += asks
                self._asked.append(d)
                changed = True
        if changed:
            self._shares = self.given[:, :, self._asked].astype(float)
        return changed
