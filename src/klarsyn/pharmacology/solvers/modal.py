"""Peaks of many individuals in one pass: exponentials stepped, outputs read, the largest kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

INDIVIDUALS, TIMES = 500, 16  # at once, so that their modes stay in the processor's cache


def peaks(
    rates: np.ndarray,
    weights: np.ndarray,
    summed: np.ndarray,
    steps: np.ndarray,
    which: np.ndarray,
    when: np.ndarray,
    lasts: np.ndarray,
    jump: np.ndarray,
    flow: np.ndarray,
    kept: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest value of each output, the index of the time at which it stands, and courses.

    `rates` (M, n) and `weights` (C, M, n) of each mode. Outputs beyond C are sums: `summed` (D, C)
    says of which. At grid index `when[e]` (ascending) the levels jump by `jump[e]` (M, n) and the
    input rates by `flow[e]`; `lasts[e]` is 1 where an infusion starts, -1 where it ends. Values and
    indices are (C + D, n), courses (C + D, T, kept) of the first `kept` individuals.
    """
    count, n = len(weights) + len(summed), rates.shape[1]
    top, at = np.empty((count, n)), np.empty((count, n), np.int64)
    curves = np.empty((count, len(which) + 1, kept))
    used = [np.flatnonzero(np.any(w != 0, axis=1)) for w in weights]
    parts = [np.flatnonzero(s) for s in summed]
    for begin in range(0, n, INDIVIDUALS):
        some = slice(begin, min(begin + INDIVIDUALS, n))
        mine = np.ascontiguousarray(weights[:, :, some])
        seen = max(0, min(kept - begin, mine.shape[2]))
        best, place = np.full((count, mine.shape[2]), -np.inf), at[:, some]
        for first, levels in _levels(
            rates[:, some], steps, which, when, lasts, jump[:, :, some], flow[:, :, some]
        ):
            values = _outputs(levels, mine, used, parts)
            curves[:, first : first + len(levels), begin : begin + seen] = values[:, :, :seen]
            _keep(best, place, values, first)
        top[:, some] = best
    return top, at, curves


def _keep(best: np.ndarray, place: np.ndarray, values: np.ndarray, first: int) -> None:
    """Takes over what is higher than before; what is not a number stays so."""
    highest = values.max(axis=1)
    higher = ~(highest <= best) & ~np.isnan(best)
    for c in np.flatnonzero(higher.any(axis=1)):
        best[c] = np.where(higher[c], highest[c], best[c])
        place[c] = np.where(higher[c], values[c].argmax(axis=0) + first, place[c])


def _levels(
    rates: np.ndarray,
    steps: np.ndarray,
    which: np.ndarray,
    when: np.ndarray,
    lasts: np.ndarray,
    jump: np.ndarray,
    flow: np.ndarray,
) -> Iterator[tuple[int, np.ndarray]]:
    """The modes' levels (at most TIMES, M, n), with the index of the first time of each piece."""
    decay = np.exp(-rates * steps[:, None, None])
    gain = (1.0 - decay) / rates
    level, running = np.zeros_like(rates), np.zeros_like(rates)
    count, e, lasting = len(which) + 1, 0, 0
    for first in range(0, count, TIMES):
        found = np.empty((min(TIMES, count - first), *rates.shape))
        for k in range(first, first + len(found)):
            if k > 0:
                u = which[k - 1]
                level *= decay[u]
                if lasting:
                    level += running * gain[u]
            while e < len(when) and when[e] == k:
                level += jump[e]
                running += flow[e]
                lasting += lasts[e]
                if lasts[e] and not lasting:
                    running[:] = 0.0
                e += 1
            found[k - first] = level
        yield first, found


def _outputs(
    levels: np.ndarray, weights: np.ndarray, used: list[np.ndarray], parts: list[np.ndarray]
) -> np.ndarray:
    """Every output and sum of some (C + D, T, n) at these levels of the modes (T, M, n)."""
    kinds = len(weights)
    values = np.zeros((kinds + len(parts), len(levels), levels.shape[2]))
    term = np.empty(values.shape[1:])
    for c, modes in enumerate(used):
        for m in modes:
            np.multiply(levels[:, m], weights[c, m], out=term)
            values[c] += term
    for d, summands in enumerate(parts):
        for c in summands:
            values[kinds + d] += values[c]
    return values
