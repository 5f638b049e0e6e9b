"""Counts of two periods in the same patients, when the pairing was not printed.

Without the two-by-two table of pairs a crossover trial's counts are pooled as if the periods were
independent. The true variance depends on the correlation of a patient's two outcomes, which the
counts bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from klarsyn.errors import InputError, unknown_name

MEASURES = ("OR", "RR", "RD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The two periods' shares of the variance, and the correlations that their counts allow.

    `first` and `second` are the variances that each period brings to the effect (logarithms of
    ratios); `lowest` and `highest` are Fréchet's bounds on the correlation.
    """

    first: float
    second: float
    lowest: float
    highest: float

    def variance(self, correlation: float) -> float:
        """The effect's variance at a correlation of a patient's two outcomes (0: independent).

        v₁ + v₂ − 2 r √(v₁ v₂), first order (Elbourne et al. 2002, Int J Epidemiol 31:140). Raises
        InputError for a correlation that the counts do not allow.
        """
        if not self.lowest - 1e-9 <= correlation <= self.highest + 1e-9:
            raise InputError(
                f"A correlation of {correlation:g} cannot be with these counts; they allow "
                f"{self.lowest:.3g} to {self.highest:.3g}."
            )
        joint = 2 * correlation * math.sqrt(self.first * self.second)
        return self.first + self.second - joint


def pairing(
    measure: str, x1: float, n1: float, x2: float, n2: float, *, add: float = 0.5
) -> Pairing:
    """What counts of two periods (events and patients) say about an effect and its pairing.

    `add` goes to every cell when one is empty, as pooling does. Raises InputError for counts that
    cannot be and for a measure other than OR, RR or RD.
    """
    if measure not in MEASURES:
        raise unknown_name("measure of paired counts", measure, MEASURES)
    if not (0 <= x1 <= n1 and 0 <= x2 <= n2 and n1 > 0 and n2 > 0):
        raise InputError(f"{x1:g} of {n1:g} and {x2:g} of {n2:g} patients cannot be.")
    if 0 in (x1, x2, n1 - x1, n2 - x2):
        x1, x2, n1, n2 = x1 + add, x2 + add, n1 + 2 * add, n2 + 2 * add
    p, q = x1 / n1, x2 / n2
    shares = {
        "OR": (1 / (n1 * p * (1 - p)), 1 / (n2 * q * (1 - q))),
        "RR": ((1 - p) / (n1 * p), (1 - q) / (n2 * q)),
        "RD": (p * (1 - p) / n1, q * (1 - q) / n2),
    }
    odds = (p / (1 - p), q / (1 - q))
    alike, against = odds[0] / odds[1], odds[0] * odds[1]
    return Pairing(
        first=shares[measure][0],
        second=shares[measure][1],
        lowest=-math.sqrt(min(against, 1 / against)),
        highest=math.sqrt(min(alike, 1 / alike)),
    )
