"""Results that exist and are not seen: the ROB-ME matrix, and what unseen studies could do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.synthesis.pairwise import Pooled, pool

Array = NDArray[np.float64]
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
    method: str = "REML",
    test: str = "adhoc",
    unseen_effect: float = 0.0,
    unseen_variance: float | None = None,
    threshold: float = 0.0,
    level: float = 0.95,
    most: int = 200,
) -> int | None:
    """How many unseen studies take the interval of those seen back over `threshold`, or beyond.

    Each number is pooled anew by `method` and `test` (as in `pool`). The unseen studies lie about
    `unseen_effect` as far apart as those seen, at normal scores of variance τ² + their own: copies
    of one value would make any body of evidence look more alike, and ask for many times as many.
    `unseen_variance` is by default the median of those seen. A single seen study has τ² = 0 and a
    normal interval. 0 where the interval holds the threshold already; None beyond `most`.
    """
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    if y.size == 0 or np.any(v <= 0):
        raise InputError("At least one study with a variance above 0 is needed.")
    added = float(np.median(v)) if unseen_variance is None else unseen_variance
    seen = pool(y, v, method=method, test=test if y.size > 1 else "z", level=level)
    above = seen.estimate > threshold

    def kept(made: Pooled) -> bool:
        return made.ci_lower > threshold if above else made.ci_upper < threshold

    if not kept(seen):
        return 0
    apart = math.sqrt(added + (seen.tau2 if y.size > 1 else 0.0))
    for count in range(1, most + 1):
        made = pool(
            np.r_[y, unseen_effect + apart * _scores(count)],
            np.r_[v, np.full(count, added)],
            method=method,
            test=test,
            level=level,
        )
        if not kept(made):
            return count
    return None


def _scores(count: int) -> Array:
    """Normal scores of mean 0 and sample variance 1; a single one is 0."""
    from scipy import special

    scores = special.ndtri((np.arange(count) + 0.5) / count)
    return scores / scores.std(ddof=1) if count > 1 else scores
