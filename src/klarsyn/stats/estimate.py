"""A number with its uncertainty, on a named scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from klarsyn.errors import InputError

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal: half a 95 % interval in SE


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its standard error and how both were made.

    `scale` is `natural` or `log` (value and se are then natural logarithms); `df` is infinite for
    a normal reference distribution.
    """

    value: float
    se: float
    method: str
    scale: str = "natural"
    df: float = math.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided limits on the estimate's own scale, from t with `df` degrees of freedom."""
        if not 0 < level < 1:
            raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
        half = _quantile(0.5 + level / 2, self.df) * self.se
        return self.value - half, self.value + half

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p of the hypothesis that the value is `null`."""
        from scipy import special

        z = abs(self.value - null) / self.se
        if math.isinf(self.df):
            return float(2 * special.ndtr(-z))
        return float(2 * special.stdtr(self.df, -z))


def _quantile(probability: float, df: float) -> float:
    from scipy import special

    if math.isinf(df):
        return float(special.ndtri(probability))
    return float(special.stdtrit(df, probability))
