"""Benefit against harm: options on several criteria, weighed by stated or by all weights.

Multi-criteria decision analysis with uncertain scores; without stated weights, stochastic
multicriteria acceptability analysis (SMAA-2, Lahdelma and Salminen 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of, stream
from klarsyn.stats.options import partial_values, random_weights, rank_shares, value_of_learning
from klarsyn.tables import Column, read_table

COLUMNS = (
    Column(name="option"),
    Column(name="criterion"),
    Column(name="mean", kind="number"),
    Column(name="sd", kind="number", minimum=0),
    Column(name="worst", kind="number"),
    Column(name="best", kind="number"),
    Column(name="weight", kind="number", required=False, may_be_empty=True, minimum=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What counts, from its `worst` to its `best` value; `weight` is of the swing between them."""

    name: str
    worst: float
    best: float
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the options are worth under the weights, and what knowing more would be worth.

    `ranks` (options × ranks) are shares of draws; `central` is, for each option, the mean weights
    under which it is best, None where it never is. `mean_value`, `evpi` and `evppi` (one a
    criterion) are at the mean weights, on the scale from 0 (worst in all) to 1 (best in all).
    """

    options: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    weights: tuple[float, ...]
    mean_value: tuple[float, ...]
    ranks: tuple[tuple[float, ...], ...]
    central: tuple[tuple[float, ...] | None, ...]
    evpi: float
    evppi: tuple[float, ...]
    draws: int
    seed: int
    method: str
    digest: str

    def summary(self) -> str:
        """Who comes first how often, and the criterion most worth knowing better."""
        lines = [
            f"{name}: value {value:.3f}, first in {ranks[0]:.0%} of the draws"
            for name, value, ranks in zip(self.options, self.mean_value, self.ranks, strict=True)
        ]
        most = int(np.argmax(self.evppi))
        lines.append(
            f"Knowing everything would be worth {self.evpi:.4f}; of single criteria most is worth "
            f"{self.criteria[most].name} ({self.evppi[most]:.4f}). {self.method}."
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        own = {name: getattr(self, name) for name in type(self).__slots__}
        own["criteria"] = [
            {"name": c.name, "worst": c.worst, "best": c.best, "weight": c.weight}
            for c in self.criteria
        ]
        return own

    def plot(self) -> Any:
        """How often each option takes each rank (Altair)."""
        from klarsyn.figures.shares import share_table

        ranks = [str(i + 1) for i in range(len(self.options))]
        return share_table(self.options, ranks, self.ranks, title="Rank")


def decide(
    options: Sequence[str],
    criteria: Sequence[Criterion],
    means: Any,
    sds: Any,
    *,
    seed: int,
    draws: int = 10_000,
    order: Sequence[str] | None = None,
) -> Decision:
    """Weigh the options; `means` and `sds` are options × criteria, normal and independent.

    With a weight for every criterion these are used (scaled to add up to 1); with none, all weights
    are tried, or those that respect `order` (names, most important first).
    """
    mean, sd = np.asarray(means, dtype=float), np.asarray(sds, dtype=float)
    shape = (len(options), len(criteria))
    if mean.shape != shape or sd.shape != shape or min(shape) < 1 or len(options) < 2:
        raise InputError("Means and SDs need one row an option (two or more), one column each.")
    if not (np.isfinite(mean) & np.isfinite(sd) & (sd >= 0)).all():
        raise InputError("Means must be numbers and SDs at least 0.")
    if draws < 1:
        raise InputError(f"{draws} draws are none; ask for at least 1.")
    given = _weights(criteria, order)
    generator = stream(seed, "options")
    drawn = mean + sd * generator.standard_normal((draws, *shape))
    scores = partial_values(drawn, [c.worst for c in criteria], [c.best for c in criteria])
    if given is None:
        places = None if order is None else [[c.name for c in criteria].index(n) for n in order]
        weights = random_weights(draws, len(criteria), generator, order=places)
    else:
        weights = np.tile(given, (draws, 1))
    values = np.einsum("doc,dc->do", scores, weights)
    middle = weights.mean(axis=0)
    evpi, evppi = value_of_learning(scores, middle)
    first = values.argmax(axis=1)
    how = "stated weights" if given is not None else "all weights"
    told = how if order is None else f"all weights in the order {', '.join(order)}"
    return Decision(
        options=tuple(options),
        criteria=tuple(criteria),
        weights=tuple(middle.tolist()),
        mean_value=tuple((scores.mean(axis=0) @ middle).tolist()),
        ranks=tuple(tuple(row) for row in rank_shares(values).tolist()),
        central=tuple(
            tuple(weights[first == i].mean(axis=0).tolist()) if (first == i).any() else None
            for i in range(len(options))
        ),
        evpi=evpi,
        evppi=tuple(evppi.tolist()),
        draws=draws,
        seed=seed,
        method=f"Weighted sum of linear values, {told}, {draws} draws (seed {seed})",
        digest=digest_of(list(options), list(criteria), mean, sd, draws, seed, order),
    )


def _weights(criteria: Sequence[Criterion], order: Sequence[str] | None) -> Any:
    """Stated weights that add up to 1, or None; raises InputError where some are missing."""
    names = [c.name for c in criteria]
    for name in order or ():
        if name not in names:
            raise unknown_name("criterion", name, names)
    stated = [c for c in criteria if c.weight is not None]
    if not stated:
        if order is not None and sorted(order) != sorted(names):
            raise InputError(f"The order must name each criterion once: {', '.join(names)}.")
        return None
    if order is not None:
        raise InputError("Give weights or an order of the criteria, not both.")
    if len(stated) < len(criteria):
        missing = next(c.name for c in criteria if c.weight is None)
        raise InputError(f"{missing!r} has no weight; give one to every criterion or to none.")
    weights = np.array([c.weight for c in criteria], dtype=float)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError("Weights must be at least 0, and one of them above.")
    return weights / weights.sum()


def read_decision(
    path: str | Path, *, seed: int, draws: int = 10_000, order: Sequence[str] | None = None
) -> Decision:
    """Read option, criterion, mean, sd, worst, best and perhaps weight; one row for each pair."""
    table = read_table(path, COLUMNS)
    criteria: dict[str, Criterion] = {}
    cells: dict[tuple[str, str], tuple[float, float]] = {}
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        at = f"{path}: row {row} ({r['option']}, {r['criterion']})"
        made = Criterion(
            name=r["criterion"], worst=r["worst"], best=r["best"], weight=r.get("weight")
        )
        if criteria.setdefault(made.name, made) != made:
            raise InputError(f"{at}: worst, best or weight differ from the criterion's first row.")
        if made.worst == made.best:
            raise InputError(f"{at}: worst and best are both {made.best:g}; they must differ.")
        if (r["option"], made.name) in cells:
            raise InputError(f"{at}: stands twice. Keep one row.")
        cells[r["option"], made.name] = (r["mean"], r["sd"])
    options = list(dict.fromkeys(option for option, _ in cells))
    for option in options:
        for name in criteria:
            if (option, name) not in cells:
                raise InputError(f"{path}: {option!r} has no row for {name!r}.")
    if len(options) < 2:
        raise InputError(f"{path}: two options or more are needed; there is {len(options)}.")
    pairs = np.array([[cells[o, c] for c in criteria] for o in options])
    return decide(
        options, list(criteria.values()), pairs[..., 0], pairs[..., 1],
        seed=seed, draws=draws, order=order,
    )  # fmt: skip
