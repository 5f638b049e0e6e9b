"""Peaks of many individuals in one pass: exponentials stepped, outputs read, the largest kept.

Importing this file imports the compiler.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from klarsyn.pharmacology.solvers.compiled import BLOCK
from klarsyn.pharmacology.solvers.elementary import exponential


@njit(cache=True, error_model="numpy")
def peaks(
    rates, weights, used, summed, steps, which, when, lasts, jump, flow, kept, top, at, curves
):  # pragma: no cover - compiled
    """The largest value of each output and the index of the time at which it stands.

    `rates` (M, n) and `weights` (C, M, n) of each mode; `used` (C, M) says which are not all zero.
    Outputs beyond C are sums: `summed` (D, C) says of which. At grid index `when[e]` (ascending)
    the levels jump by `jump[e]` (M, n) and the input rates by `flow[e]`; `lasts[e]` is 1 where an
    infusion starts, -1 where it ends. `top` and `at` (C + D, n) are filled, and `curves`
    (C + D, T, kept) for the first `kept` individuals.
    """
    kinds, modes, n = weights.shape
    count = len(which) + 1
    decay = np.empty((len(steps), modes, BLOCK))
    gain = np.empty((len(steps), modes, BLOCK))
    level, running = np.empty((modes, BLOCK)), np.empty((modes, BLOCK))
    total = np.empty((kinds + len(summed), BLOCK))
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for u in range(len(steps)):
            for m in range(modes):
                for i in range(size):
                    left = exponential(-rates[m, begin + i] * steps[u])
                    decay[u, m, i] = left
                    gain[u, m, i] = (1.0 - left) / rates[m, begin + i]
        level[:, :] = 0.0
        running[:, :] = 0.0
        e = 0
        lasting = 0
        for k in range(count):
            if k > 0:
                u = which[k - 1]
                for m in range(modes):
                    if lasting == 0:
                        for i in range(size):
                            level[m, i] = level[m, i] * decay[u, m, i]
                    else:
                        for i in range(size):
                            level[m, i] = (
                                level[m, i] * decay[u, m, i] + running[m, i] * gain[u, m, i]
                            )
            while e < len(when) and when[e] == k:
                for m in range(modes):
                    for i in range(size):
                        level[m, i] += jump[e, m, begin + i]
                        running[m, i] += flow[e, m, begin + i]
                lasting += lasts[e]
                if lasts[e] != 0 and lasting == 0:
                    running[:, :] = 0.0
                e += 1
            for c in range(kinds):
                for i in range(size):
                    total[c, i] = 0.0
                for m in range(modes):
                    if used[c, m]:
                        for i in range(size):
                            total[c, i] += weights[c, m, begin + i] * level[m, i]
            for d in range(len(summed)):
                for i in range(size):
                    total[kinds + d, i] = 0.0
                for c in range(kinds):
                    if summed[d, c]:
                        for i in range(size):
                            total[kinds + d, i] += total[c, i]
            for c in range(kinds + len(summed)):
                for i in range(size):
                    higher = k == 0 or total[c, i] > top[c, begin + i]
                    top[c, begin + i] = total[c, i] if higher else top[c, begin + i]
                    at[c, begin + i] = k if higher else at[c, begin + i]
                for i in range(min(size, kept - begin)):
                    curves[c, k, begin + i] = total[c, i]
