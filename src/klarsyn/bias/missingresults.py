"""Results that exist and are not seen: the ROB-ME matrix, and what unseen studies could do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.many_fits import fit_many

AVAILABILITY = ("available", "partial", "missing_because_of_result", "missing_otherwise", "unclear")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMatrix:
    """Studies by results, each cell one of `AVAILABILITY` (Page et al. 2023, BMJ 383:e076754).

    The tool's decision rules were not available from a public source: the judgement of a synthesis
    is recorded by a person, not derived.
    """

    studies: tuple[str, ...]
    results: tuple[str, ...]
    cells: Mapping[tuple[str, str], str]
    digest: str

    def counts(self, result: str) -> dict[str, int]:
        """How many studies have each availability of one result."""
        if result not in self.results:
            raise unknown_name("result", result, self.results)
        found: dict[str, int] = dict.fromkeys(AVAILABILITY, 0)
        for study in self.studies:
            found[self.cells[study, result]] += 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: one row a study."""
        return {
            "rows": [
                {"study": s} | {r: self.cells[s, r] for r in self.results} for s in self.studies
            ],
            "digest": self.digest,
        }


def result_matrix(cells: Mapping[tuple[str, str], str]) -> ResultMatrix:
    """Check a matrix given as (study, result) → availability; every pair must be there."""
    studies = tuple(dict.fromkeys(s for s, _ in cells))
    results = tuple(dict.fromkeys(r for _, r in cells))
    for study in studies:
        for result in results:
            value = cells.get((study, result), "")
            if value not in AVAILABILITY:
                raise unknown_name("availability", value, AVAILABILITY, f"{study}, {result}")
    return ResultMatrix(
        studies=studies,
        results=results,
        cells=dict(cells),
        digest=digest_of([[s, r, cells[s, r]] for s in studies for r in results]),
    )


def studies_to_flip(
    effects: ArrayLike,
    variances: ArrayLike,
    *,
    unseen_effect: float = 0.0,
    unseen_variance: float | None = None,
    threshold: float = 0.0,
    level: float = 0.95,
    most: int = 200,
) -> int | None:
    """How many unseen studies of one effect take the interval back over `threshold`.

    Random effects (DerSimonian–Laird, Wald) after each addition; `unseen_variance` is by default
    the median of those seen. 0 where the interval holds the threshold already; None beyond `most`.
    """
    from scipy import special

    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    if y.size == 0 or np.any(v <= 0):
        raise InputError("At least one study with a variance above 0 is needed.")
    added = float(np.median(v)) if unseen_variance is None else unseen_variance
    z = float(special.ndtri(0.5 + level / 2))
    first, half = _pooled(y, v, z)
    side = math.copysign(1.0, first - threshold)
    if half >= abs(first - threshold):
        return 0
    for count in range(1, most + 1):
        mean, half = _pooled(
            np.r_[y, np.full(count, unseen_effect)], np.r_[v, np.full(count, added)], z
        )
        if side * (mean - threshold) <= half:
            return count
    return None


def _pooled(y: np.ndarray, v: np.ndarray, z: float) -> tuple[float, float]:
    fit = fit_many(y[None], v[None], np.ones((1, y.size), bool), "DL")
    return float(fit.mean[0, 0]), z * float(fit.se[0, 0])
