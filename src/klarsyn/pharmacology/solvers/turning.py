"""Where a sum of exponentials turns, every place, without a grid.

A sum of m terms, freed of one by (d/dt + its rate), has m - 1; between two zeros of the shorter sum
the longer one has at most one (Rolle). So zeros are found from sums of two terms upwards, each
between two neighbours known before (Pólya & Szegő 1976, Problems and Theorems in Analysis II,
part V, problem 77).
"""

from __future__ import annotations

import numpy as np

CLOSE = 1e-12  # of a stretch: where Newton's steps may end
ROUNDS = 100


def highest(
    rates: np.ndarray,
    weights: np.ndarray,
    when: np.ndarray,
    lengths: np.ndarray,
    running: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Peak and its hour, (k, n), of n patients whose modes (n, M) have ascending `rates`.

    `weights` (k, n, M); stretch e begins at `when[e]`, lasts `lengths[e]` and has the input
    `running[e]` (n,).
    """
    level = np.zeros_like(rates)
    top, at = np.zeros(weights.shape[:2]), np.full(weights.shape[:2], when[0])
    for start, span, flow in zip(when, lengths, running, strict=True):
        steady = flow[:, None] / rates
        free = level - steady
        level = free * np.exp(-rates * span) + steady
        for c, weight in enumerate(weights):
            hours = zeros(-rates * weight * free, rates, span)
            hours = np.column_stack([hours, np.full(len(rates), span)])
            left = np.exp(-rates[:, None, :] * hours[..., None])
            heights = np.einsum("nm,nhm->nh", weight, free[:, None] * left + steady[:, None])
            best = heights.argmax(axis=1)[:, None]
            height = np.take_along_axis(heights, best, axis=1)[:, 0]
            hour = np.take_along_axis(hours, best, axis=1)[:, 0]
            at[c] = np.where(height > top[c], start + hour, at[c])
            top[c] = np.maximum(height, top[c])
    return top, at


def zeros(terms: np.ndarray, rates: np.ndarray, span: float) -> np.ndarray:
    """Zeros between 0 and `span` of Σ `terms` exp(-`rates` t), ascending, (n, M - 1).

    `span` stands where there is no zero. Rates ascend.
    """
    n, count = rates.shape
    found = np.empty((n, 0))
    for size in range(2, count + 1):
        freed = (rates[:, None, size:] - rates[:, :size, None]).prod(axis=2)
        edges = np.column_stack([np.zeros(n), found, np.full(n, span)])
        pieces = [
            _zero(terms[:, :size] * freed, rates[:, :size], edges[:, j], edges[:, j + 1], span)
            for j in range(size - 1)
        ]
        found = np.sort(np.column_stack(pieces), axis=1)
    return found


def _zero(
    terms: np.ndarray, rates: np.ndarray, low: np.ndarray, high: np.ndarray, span: float
) -> np.ndarray:
    """The zero between `low` and `high` where the signs differ there, else `span`."""

    def parts(t: np.ndarray) -> np.ndarray:
        return terms * np.exp(-rates * t[:, None])

    ends = np.sign(parts(low).sum(axis=1)), np.sign(parts(high).sum(axis=1))
    t, done = (low + high) / 2, np.zeros(len(low), bool)
    for _ in range(ROUNDS):
        now = parts(t)
        value, slope = now.sum(axis=1), -(rates * now).sum(axis=1)
        before = np.sign(value) == ends[0]
        low, high = np.where(before, t, low), np.where(before, high, t)
        with np.errstate(all="ignore"):
            after = t - value / slope
        within = (low <= after) & (after <= high) | (np.abs(after - t) < CLOSE * span)
        after = np.where(within, after, (low + high) / 2)
        near, t = np.abs(after - t) <= CLOSE * span, np.where(done, t, after)
        done |= near
        if np.all(done):
            break
    return np.where(ends[0] * ends[1] < 0, t, span)
