"""Options with uncertain scores: who comes first under which weights, and what knowing is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError

Array = NDArray[np.float64]


def partial_values(scores: ArrayLike, worst: ArrayLike, best: ArrayLike) -> Array:
    """Scores on a line from 0 at `worst` to 1 at `best` (which may be the lower), cut there."""
    low, high = np.asarray(worst, dtype=float), np.asarray(best, dtype=float)
    if not (np.isfinite(low) & np.isfinite(high) & (low != high)).all():
        raise InputError("Worst and best must be two different numbers for every criterion.")
    return np.asarray(np.clip((np.asarray(scores, dtype=float) - low) / (high - low), 0, 1))


def random_weights(
    draws: int, criteria: int, generator: np.random.Generator, *, order: ArrayLike | None = None
) -> Array:
    """Weights that add up to 1, evenly over all there are (draws × criteria).

    With `order`, the criteria's numbers from the most to the least important, evenly over those
    that respect it (Lahdelma and Salminen 2001, Oper Res 49:444).
    """
    weights = generator.dirichlet(np.ones(criteria), draws)
    if order is None:
        return weights
    places = np.asarray(order, dtype=int)
    if sorted(places.tolist()) != list(range(criteria)):
        raise InputError("An order names each criterion once.")
    ranked = np.empty_like(weights)
    ranked[:, places] = -np.sort(-weights, axis=1)
    return ranked


def rank_shares(values: Array) -> Array:
    """Share of the draws in which each option takes each rank (options × ranks, best first).

    `values` is draws × options; options that tie share their ranks evenly.
    """
    draws, options = values.shape
    above = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    tied = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    shares = np.zeros((options, options))
    for rank in range(options):
        inside = (above <= rank) & (rank < above + tied)
        shares[:, rank] = np.where(inside, 1 / tied, 0.0).sum(axis=0) / draws
    return shares


def value_of_learning(scores: Array, weights: Array) -> tuple[float, Array]:
    """Expected gain of knowing all scores, and of knowing one criterion's, before choosing.

    `scores` is draws × options × criteria with independent criteria; EVPI and, for each criterion,
    EVPPI in units of the weighted value (methods of Raiffa and Schlaifer 1961): what is not
    learned stays at its mean.
    """
    parts = scores * weights
    mean = parts.mean(axis=0)
    chosen = float(mean.sum(axis=1).max())
    whole = float(parts.sum(axis=2).max(axis=1).mean()) - chosen
    alone = [
        float((mean.sum(axis=1) + parts[:, :, c] - mean[:, c]).max(axis=1).mean()) - chosen
        for c in range(scores.shape[2])
    ]
    return max(whole, 0.0), np.maximum(alone, 0.0)
