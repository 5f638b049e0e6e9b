"""The compiled loops behind `kernel`; importing this file imports the compiler."""

from __future__ import annotations

import numpy as np
from numba import njit

from klarsyn.pharmacology.solvers.elementary import exponential

BLOCK = 256


@njit(cache=True, error_model="numpy")
def shared_grid(
    rates, weights, steps, which, shown, running, current, lasting, answer
):  # pragma: no cover - compiled
    """All patients on one grid, a block of them at a time; answer (k, T, n).

    Between grid times each mode decays by exp(-rate h) and gains the running input's
    (1 - exp(-rate h)) / rate.
    """
    kinds, modes, n = weights.shape
    decay = np.empty((len(steps), modes, BLOCK))
    gain = np.empty((len(steps), modes, BLOCK))
    level = np.empty((modes, BLOCK))
    total = np.empty(BLOCK)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for u in range(len(steps)):
            for m in range(modes):
                for i in range(size):
                    left = exponential(-rates[m, begin + i] * steps[u])
                    decay[u, m, i] = left
                    gain[u, m, i] = (1.0 - left) / rates[m, begin + i]
        level[:, :] = 0.0
        for k in range(len(shown)):
            if k > 0:
                u = which[k - 1]
                now = current[k - 1]
                for m in range(modes):
                    if not lasting[k - 1]:
                        for i in range(size):
                            level[m, i] = level[m, i] * decay[u, m, i]
                    else:
                        for i in range(size):
                            level[m, i] = (
                                level[m, i] * decay[u, m, i]
                                + running[now, begin + i] * gain[u, m, i]
                            )
            place = shown[k]
            if place < 0:
                continue
            for c in range(kinds):
                for i in range(size):
                    total[i] = weights[c, 0, begin + i] * level[0, i]
                for m in range(1, modes):
                    for i in range(size):
                        total[i] += weights[c, m, begin + i] * level[m, i]
                for i in range(size):
                    answer[c, place, begin + i] = total[i]


@njit(cache=True, error_model="numpy")
def own_grids(rates, weights, when, running, times, answer):  # pragma: no cover - compiled
    """Each patient on a grid of its own; answer (k, n, T).

    Between switches of the input a concentration is a constant plus a sum of exponentials of the
    time since the switch.
    """
    kinds, modes, n = weights.shape
    length = times.shape[1]
    found = np.empty(length)
    level = np.empty(modes)
    for i in range(n):
        level[:] = 0.0
        done = 0
        while done < length and times[i, done] < when[0]:
            for c in range(kinds):
                answer[c, i, done] = 0.0
            done += 1
        for e in range(len(when)):
            if e > 0:
                span = when[e] - when[e - 1]
                for m in range(modes):
                    fixed = running[e - 1, i] / rates[m, i]
                    level[m] = (level[m] - fixed) * np.exp(-rates[m, i] * span) + fixed
            stop = done
            if e + 1 < len(when):
                while stop < length and times[i, stop] < when[e + 1]:
                    stop += 1
            else:
                stop = length
            size = stop - done
            if size == 0:
                continue
            flow = running[e, i]
            for c in range(kinds):
                steady = 0.0
                for m in range(modes):
                    steady += weights[c, m, i] * flow / rates[m, i]
                for j in range(done, stop):
                    answer[c, i, j] = steady
            for m in range(modes):
                for j in range(size):
                    found[j] = exponential(-rates[m, i] * (times[i, done + j] - when[e]))
                free = level[m] - flow / rates[m, i]
                for c in range(kinds):
                    factor = weights[c, m, i] * free
                    for j in range(size):
                        answer[c, i, done + j] += factor * found[j]
            done = stop
