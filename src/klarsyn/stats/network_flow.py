"""How evidence flows through a network: every direct comparison's contribution to every estimate.

The hat matrix sends a unit of flow from one treatment to the other (König et al. 2013). A random
walker following the flow takes path π with probability f_π and each edge of π is credited with
f_π / |π| (Davies, Papakonstantinou, Nikolakopoulou, Rücker & Galla 2022). Summed here over all
paths exactly, by the numbers of steps to and from each edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]
Index = NDArray[np.intp]

SMALLEST_FLOW = 1e-12
AT_ONCE = 1 << 16  # transition probabilities at a time: they stay in the cache


def edge_flows(
    covariance: Matrix, tails: Index, heads: Index, weights: Vector, pairs: Index
) -> Matrix:
    """Flow along each edge (tail → head positive) for a unit sent from pair[0] to pair[1].

    `covariance` is the inverse of the network's Laplacian, `weights` those of the edges.
    """
    potential = covariance[:, pairs[:, 0]] - covariance[:, pairs[:, 1]]
    return weights * (potential[tails] - potential[heads]).T


def contributions(flows: Matrix, tails: Index, heads: Index, pairs: Index, size: int) -> Matrix:
    """Share of each edge (columns) in each estimate (rows); rows sum to 1."""
    out = np.empty_like(flows)
    chunk = max(1, AT_ONCE // (size * size))
    for start in range(0, len(pairs), chunk):
        rows = slice(start, start + chunk)
        out[rows] = _walk(flows[rows], tails, heads, pairs[rows], size)
    return out


def _walk(flows: Matrix, tails: Index, heads: Index, pairs: Index, size: int) -> Matrix:
    count = len(pairs)
    each = np.arange(count)
    flow = np.where(np.abs(flows) < SMALLEST_FLOW, 0.0, flows)
    origin = np.where(flow > 0, tails, heads)
    target = np.where(flow > 0, heads, tails)
    step = np.zeros((count, size, size))
    np.add.at(step, (each[:, None], origin, target), np.abs(flow))
    leaving = step.sum(axis=2, keepdims=True)
    step /= np.where(leaving > 0, leaving, 1.0)
    ahead = _steps(step, pairs[:, 0])
    behind = _steps(step.transpose(0, 2, 1), pairs[:, 1])
    # ahead[a]: the walker is at a node after a steps; behind[b]: it arrives b steps later.
    length = 1 / (np.add.outer(np.arange(len(ahead)), np.arange(len(behind))) + 1.0)
    here = np.take_along_axis(ahead, origin[None], axis=2)
    there = np.take_along_axis(behind, target[None], axis=2)
    credit = (here * np.tensordot(length, there, 1)).sum(axis=0)
    return credit * step[each[:, None], origin, target]


def _steps(step: NDArray[np.floating], start: Index) -> NDArray[np.floating]:
    """Weight of each node after 0, 1, 2 … steps, until nothing moves."""
    count, size, _ = step.shape
    now = np.zeros((count, 1, size))
    now[np.arange(count), 0, start] = 1.0
    out = [now[:, 0]]
    for _ in range(size - 1):
        now = now @ step
        if not (now > 1e-17).any():
            break
        out.append(now[:, 0])
    return np.stack(out)
