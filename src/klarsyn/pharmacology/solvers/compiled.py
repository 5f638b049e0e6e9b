"""The compiled loops behind `kernel`; importing this file imports the compiler."""

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 256
LOG2E = 1.4426950408889634
LN2_HIGH = 6.93145751953125e-1
LN2_LOW = 1.42860682030941723212e-6
ROUND = 6755399441055744.0
LOWEST = -708.0


@njit(inline="always")
def _polynomial(r):  # pragma: no cover - compiled
    """exp(r) on |r| ≤ ln 2 / 2, Taylor to r^13: error below one unit in the last place."""
    s = 1.6059043836821613e-10
    s = s * r + 2.08767569878681e-09
    s = s * r + 2.505210838544172e-08
    s = s * r + 2.755731922398589e-07
    s = s * r + 2.7557319223985893e-06
    s = s * r + 2.48015873015873e-05
    s = s * r + 0.0001984126984126984
    s = s * r + 0.001388888888888889
    s = s * r + 0.008333333333333333
    s = s * r + 0.041666666666666664
    s = s * r + 0.16666666666666666
    s = s * r + 0.5
    s = s * r + 1.0
    return s * r + 1.0


@njit(cache=True)
def exponentials(x, size, bits, powers, answer):  # pragma: no cover - compiled
    """answer[i] = exp(x[i]) for x ≤ 0; below -708 the answer is 0.

    `bits` is scratch of int64 and `powers` the same memory as float64.
    """
    for i in range(size):
        v = max(x[i], LOWEST)
        k = (v * LOG2E + ROUND) - ROUND
        r = (v - k * LN2_HIGH) - k * LN2_LOW
        bits[i] = (np.int64(k) + 1023) << 52
        answer[i] = _polynomial(r)
    for i in range(size):
        answer[i] = answer[i] * powers[i] if x[i] > LOWEST else 0.0


@njit(cache=True)
def shared_grid(
    rates, weights, steps, which, shown, running, current, lasting, answer
):  # pragma: no cover - compiled
    """All patients on one grid, a block of them at a time; answer (k, T, n).

    Between grid times each mode decays by exp(-rate h) and gains the running input's
    (1 - exp(-rate h)) / rate.
    """
    kinds, modes, n = weights.shape
    bits = np.empty(BLOCK, np.int64)
    powers = bits.view(np.float64)
    argument, found = np.empty(BLOCK), np.empty(BLOCK)
    decay = np.empty((len(steps), modes, BLOCK))
    gain = np.empty((len(steps), modes, BLOCK))
    level = np.empty((modes, BLOCK))
    total = np.empty(BLOCK)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for u in range(len(steps)):
            for m in range(modes):
                for i in range(size):
                    argument[i] = -rates[m, begin + i] * steps[u]
                exponentials(argument, size, bits, powers, found)
                for i in range(size):
                    decay[u, m, i] = found[i]
                    gain[u, m, i] = (1.0 - found[i]) / rates[m, begin + i]
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


@njit(cache=True)
def own_grids(rates, weights, when, running, times, answer):  # pragma: no cover - compiled
    """Each patient on a grid of its own; answer (k, n, T).

    Between switches of the input a concentration is a constant plus a sum of exponentials of the
    time since the switch.
    """
    kinds, modes, n = weights.shape
    length = times.shape[1]
    bits = np.empty(length, np.int64)
    powers = bits.view(np.float64)
    argument, found = np.empty(length), np.empty(length)
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
                    argument[j] = -rates[m, i] * (times[i, done + j] - when[e])
                exponentials(argument, size, bits, powers, found)
                free = level[m] - flow / rates[m, i]
                for c in range(kinds):
                    factor = weights[c, m, i] * free
                    for j in range(size):
                        answer[c, i, done + j] += factor * found[j]
            done = stop
