"""How far an estimate shakes over many analyses of the same studies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import NumericalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Vibration:
    """The middle 98 % of the estimates, on their own scale.

    `ratio` is the 99th over the 1st percentile of a ratio, None where the scale is no logarithm.
    `janus` says that the two lie on opposite sides of the null; `above` is the share above it.
    """

    low: float
    high: float
    difference: float
    ratio: float | None
    above: float
    janus: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}

    def summary(self) -> str:
        """One sentence."""
        if self.ratio is not None:
            size = f"the 99th percentile is {self.ratio:.3g} times the 1st"
        else:
            size = f"the 99th percentile lies {self.difference:.3g} above the 1st"
        side = "on both sides of no difference (a Janus effect)" if self.janus else "on one side"
        return f"Vibration of effects: {size}, {side}; {self.above:.1%} lie above no difference."


def vibration(estimates: ArrayLike, *, log: bool, null: float = 0.0) -> Vibration:
    """Vibration of effects (Patel, Burford and Ioannidis 2015, J Clin Epidemiol 68:1046).

    Estimates that are not finite do not count. Raises NumericalError without any.
    """
    values = np.asarray(estimates, dtype=float).ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        raise NumericalError("not_estimable", "No analysis has an estimate to compare.")
    low, high = (float(q) for q in np.quantile(values, (0.01, 0.99)))
    return Vibration(
        low=low,
        high=high,
        difference=high - low,
        ratio=math.exp(min(high - low, 709.0)) if log else None,
        above=float(np.mean(values > null)),
        janus=low < null < high,
    )
