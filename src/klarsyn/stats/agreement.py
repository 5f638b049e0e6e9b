"""How far two assessors agree beyond chance: weighted kappa of ordered categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of

WEIGHTS = ("linear", "quadratic", "unweighted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Observed, chance and chance-corrected agreement of two assessors on the same items.

    `identical` is the share given the same category; `observed` and `expected` credit near misses
    by the weights. `kappa` and `se` are NaN where chance alone would agree fully, and `status`
    says so; `se` is the large-sample one of a kappa that is not zero.
    """

    items: int
    identical: float
    observed: float
    expected: float
    kappa: float
    se: float
    status: str
    method: str
    digest: str

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wald limits of kappa, cut at −1 and 1; NaN where kappa is."""
        from scipy import special

        half = float(special.ndtri(0.5 + level / 2)) * self.se
        if math.isnan(half):
            return math.nan, math.nan
        return max(-1.0, self.kappa - half), min(1.0, self.kappa + half)

    def summary(self) -> str:
        """One sentence."""
        same = f"{self.identical:.0%} identical of {self.items}"
        if math.isnan(self.kappa):
            return f"{same}; {self.status}"
        low, high = self.interval()
        return f"{same}; kappa {self.kappa:.2f} ({low:.2f} to {high:.2f})."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__} | {
            "interval": list(self.interval())
        }


def weighted_kappa(
    first: Sequence[str],
    second: Sequence[str],
    categories: Sequence[str],
    *,
    weights: str = "linear",
) -> Agreement:
    """Cohen's weighted kappa (Cohen 1968, Psychol Bull 70:213) of two assessors.

    `categories` in their order. Agreement weights are 1 − d/(c − 1) (`linear`), 1 − d²/(c − 1)²
    (`quadratic`) or 1 for identity alone. Standard error: Fleiss, Cohen and Everitt 1969 (Psychol
    Bull 72:323), equation 8.
    """
    if weights not in WEIGHTS:
        raise unknown_name("weighting", weights, WEIGHTS)
    if len(first) != len(second) or not first:
        raise InputError(
            f"Two assessors of the same items are needed; {len(first)} and {len(second)} "
            f"judgements were given."
        )
    for name in (*first, *second):
        if name not in categories:
            raise unknown_name("category", name, categories)
    place = {c: i for i, c in enumerate(categories)}
    shares = np.zeros((len(categories), len(categories)))
    np.add.at(shares, ([place[a] for a in first], [place[b] for b in second]), 1 / len(first))
    w = _credit(len(categories), weights)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float((w * shares).sum()), float(rows @ w @ columns)
    full = 1 - expected < 1e-12
    return Agreement(
        items=len(first),
        identical=float(np.trace(shares)),
        observed=observed,
        expected=expected,
        kappa=math.nan if full else (observed - expected) / (1 - expected),
        se=math.nan if full else _standard_error(shares, w, observed, expected, len(first)),
        status="no kappa: both gave one and the same category throughout." if full else "",
        method=f"Cohen 1968, {weights} weights",
        digest=digest_of(list(first), list(second), list(categories), weights),
    )


def _credit(count: int, weights: str) -> np.ndarray:
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
    if weights == "unweighted" or count == 1:
        return (apart == 0).astype(float)
    return 1 - (apart / (count - 1)) ** (1 if weights == "linear" else 2)


def _standard_error(
    shares: np.ndarray, w: np.ndarray, observed: float, expected: float, items: int
) -> float:
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    mean = (w @ columns)[:, None] + (rows @ w)[None, :]
    inner = (shares * (w * (1 - expected) - mean * (1 - observed)) ** 2).sum()
    variance = inner - (observed * expected - 2 * expected + observed) ** 2
    return math.sqrt(max(float(variance), 0.0) / items) / (1 - expected) ** 2
