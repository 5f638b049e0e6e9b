"""Compiled kernel: closed-form kinetics drive a stiff receptor and a turnover with feedback.

Rodas4P2 (Steinebach 2020, Progress in Differential-Algebraic Equations II, 165-184), a Rosenbrock
method of order 4 that keeps its order when the right side is driven by time, which Rodas4 does
not. Many patients go side by side, each with steps of its own, so that one instruction serves
several; whoever ends makes room for the next. Importing this file costs a compiler; import it
inside functions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from klarsyn.pharmacology.solvers.compiled import exponentials

GAMMA = 0.25
# Row s: what the increments of earlier stages add to the state at stage s + 1 (A), to its right
# side over the step (C), the place of the stage within the step (T) and of the time derivative (D).
A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [3.0, 0.0, 0.0, 0.0, 0.0],
        [0.906377755268814, -0.189707390391685, 0.0, 0.0, 0.0],
        [3.758617027739064, 1.161741776019525, -0.849258085312803, 0.0, 0.0],
        [7.089566927282776, 4.573591406461604, -8.423496976860259, -0.959280113459775, 0.0],
        [7.089566927282776, 4.573591406461604, -8.423496976860259, -0.959280113459775, 1.0],
    ]
)
C = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [-12.0, 0.0, 0.0, 0.0, 0.0],
        [-6.354581592719008, 0.338972550544623, 0.0, 0.0, 0.0],
        [-8.575016317114033, -7.606483992117508, 12.22499765012482, 0.0, 0.0],
        [-5.888975457523102, -8.157396617841821, 24.805546872612922, 12.790401512796979, 0.0],
        [
            -4.408651676063871,
            -6.692003137674639,
            24.625568527593117,
            16.627521966636085,
            -5.714285714285718,
        ],
    ]
)
T = np.array([0.75, 0.321448134013046, 0.519745732277726, 1.0])
D = np.array([0.25, -0.5, -0.189532918363016, 0.085612108792769, 0.0, 0.0])
STAGES = 6

MODES = 6
STATES = 9
LANES = 64
PLACES = 4
FINISHED, TOO_MANY_STEPS, NOT_FINITE = 0, 1, 2
MOST_STEPS = 100_000
NUDGE = 1e-6
SQRT2 = 1.4142135623730951
LN2 = 0.6931471805599453
MANTISSA = (1 << 52) - 1
ONE = 1023 << 52


@njit(cache=True, error_model="numpy")
def _modes(p, rate, unit, weight, shape):  # pragma: no cover - compiled
    """Rates, unit amplitudes, drive weights and shapes of the six modes of two chains."""
    for e in range(2):
        k10, k12, k21, v1 = p[8 * e], p[8 * e + 1], p[8 * e + 2], p[8 * e + 3]
        kf, km, vm, share = p[8 * e + 4], p[8 * e + 5], p[8 * e + 6], p[8 * e + 7]
        total = k10 + k12 + k21
        root = math.sqrt(max(total * total - 4.0 * k10 * k21, 0.0))
        fast = 0.5 * (total + root)
        slow = k10 * k21 / fast
        if abs(km - fast) < NUDGE * km:
            km *= 1.0 + NUDGE
        if abs(km - slow) < NUDGE * km:
            km *= 1.0 + NUDGE
        i = 3 * e
        rate[i], rate[i + 1], rate[i + 2] = fast, slow, km
        a_fast = (k21 - fast) / (slow - fast)
        a_slow = (k21 - slow) / (fast - slow)
        m_fast, m_slow = kf / (km - fast), kf / (km - slow)
        unit[i], unit[i + 1] = share * a_fast, share * a_slow
        unit[i + 2] = -share * (a_fast * m_fast + a_slow * m_slow)
        shape[i, 0], shape[i, 1], shape[i, 2] = 1.0, k12 / (k21 - fast), m_fast
        shape[i + 1, 0], shape[i + 1, 1], shape[i + 1, 2] = 1.0, k12 / (k21 - slow), m_slow
        shape[i + 2, 0], shape[i + 2, 1], shape[i + 2, 2] = 0.0, 0.0, 1.0
        parent, child = 1.0 / (v1 * p[16 + 2 * e]), 1.0 / (vm * p[17 + 2 * e])
        for j in range(3):
            weight[i + j] = shape[i + j, 0] * parent + shape[i + j, 2] * child


@njit(cache=True, error_model="numpy")
def _logarithms(whole, bits, x, answer):  # pragma: no cover - compiled
    """answer = ln of what `whole` holds, normal numbers above 0, in every lane.

    `whole` is read as int64; `bits` and `x` are one scratch, as int64 and as float64.
    """
    for i in range(LANES):
        answer[i] = ((whole[i] >> 52) - 1023) * LN2
        bits[i] = (whole[i] & MANTISSA) | ONE
    for i in range(LANES):
        large = x[i] > SQRT2
        f = 0.5 * x[i] if large else x[i]
        s = (f - 1.0) / (f + 1.0)
        z = s * s
        w = 1.0 / 21.0
        w = w * z + 1.0 / 19.0
        w = w * z + 1.0 / 17.0
        w = w * z + 1.0 / 15.0
        w = w * z + 1.0 / 13.0
        w = w * z + 1.0 / 11.0
        w = w * z + 1.0 / 9.0
        w = w * z + 1.0 / 7.0
        w = w * z + 1.0 / 5.0
        w = w * z + 1.0 / 3.0
        answer[i] += 2.0 * s * (1.0 + z * w) + (LN2 if large else 0.0)


@njit(cache=True, error_model="numpy")
def _saturation(b, half, hill, x, whole, log, argument, bits, powers, left, h):  # pragma: no cover
    """h = b^hill/(half^hill + b^hill) in every lane, 0 for b <= 0; the rest is scratch."""
    for i in range(LANES):
        x[i] = b[i] / half[i] if b[i] > 1e-300 * half[i] else 1e-300
    _logarithms(whole, bits, powers, log)
    for i in range(LANES):
        argument[i] = -abs(hill[i] * log[i])
    exponentials(argument, len(x), bits, powers, left)
    for i in range(LANES):
        over = 1.0 / (1.0 + left[i])
        h[i] = (over if log[i] >= 0.0 else left[i] * over) if b[i] > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def _load(lane, p, rate, unit, weight, shape, amplitude):  # pragma: no cover - compiled
    """Puts the modes of a patient into a lane, nothing being in the body."""
    own, one, wide, form = np.empty(MODES), np.empty(MODES), np.empty(MODES), np.empty((MODES, 3))
    _modes(p, own, one, wide, form)
    for j in range(MODES):
        rate[j, lane], unit[j, lane], weight[j, lane] = own[j], one[j], wide[j]
        amplitude[j, lane] = 0.0
        for k in range(3):
            shape[3 * j + k, lane] = form[j, k]


@njit(cache=True, error_model="numpy")
def _show(out, at, lane, rate, shape, amplitude, settled, b, r, m):  # pragma: no cover - compiled
    for e in range(2):
        for k in range(3):
            total = 0.0
            for j in range(3 * e, 3 * e + 3):
                left = math.exp(-rate[j, lane] * at)
                moving = amplitude[j, lane] - settled[j, lane]
                total += shape[3 * j + k, lane] * (settled[j, lane] + moving * left)
            out[3 * e + k] = total
    out[6], out[7], out[8] = b, r, m


@njit(cache=True, error_model="numpy")
def march(parameters, events, changes, times, rtol, atol):  # pragma: no cover - compiled
    """All patients: states (n, T, 9), status (n,), steps (n,)."""
    n, asked = len(parameters), len(times)
    out = np.full((n, asked, STATES), np.nan)
    status, counts = np.zeros(n, np.int64), np.zeros((n, 1), np.int64)
    rate, unit, weight = np.ones((MODES, LANES)), np.zeros((MODES, LANES)), np.zeros((MODES, LANES))
    shape = np.zeros((3 * MODES, LANES))
    amplitude, settled = np.zeros((MODES, LANES)), np.zeros((MODES, LANES))
    moving, rest = np.zeros((MODES, LANES)), np.zeros(LANES)
    constant = np.ones((7, LANES))
    on, off, kout, smax = constant[0], constant[1], constant[2], constant[3]
    half, hill, kt = constant[4], constant[5], constant[6]
    who, stretch = np.full(LANES, -1, np.int64), np.zeros(LANES, np.int64)
    shown, steps = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    begin, end, stop = np.zeros(LANES), np.ones(LANES), np.ones(LANES)
    t, h, step, inflow = np.zeros(LANES), np.ones(LANES), np.ones(LANES), np.zeros(LANES)
    last = np.zeros(LANES, np.bool_)
    b, r, m = np.zeros(LANES), np.ones(LANES), np.ones(LANES)
    x, slope = np.zeros((PLACES + 1, LANES)), np.zeros((PLACES + 1, LANES))
    argument = np.empty(PLACES * MODES * LANES)
    found = np.empty(PLACES * MODES * LANES)
    bits = np.empty(PLACES * MODES * LANES, np.int64)
    powers = bits.view(np.float64)
    ratio, log = np.empty(LANES), np.empty(LANES)
    whole = ratio.view(np.int64)
    w11, w21, w22, w23, w33 = (
        np.empty(LANES),
        np.empty(LANES),
        np.empty(LANES),
        np.empty(LANES),
        np.empty(LANES),
    )
    inverse, turn, share, error = (
        np.empty(LANES),
        np.empty(LANES),
        np.empty(LANES),
        np.empty(LANES),
    )
    k1, k2, k3 = np.empty((STAGES, LANES)), np.empty((STAGES, LANES)), np.empty((STAGES, LANES))
    y1, y2, y3 = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    z1, z2, z3 = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    following, busy = 0, 0
    for i in range(LANES):
        stretch[i] = len(events)
    while True:
        for i in range(LANES):
            # A lane whose stretch is over begins the next one, or the next patient.
            while who[i] < 0 or t[i] >= end[i] or shown[i] >= asked:
                if who[i] >= 0:
                    for j in range(MODES):
                        left = math.exp(-rate[j, i] * (end[i] - begin[i]))
                        amplitude[j, i] = settled[j, i] + (amplitude[j, i] - settled[j, i]) * left
                    stretch[i] += 1
                    if stretch[i] >= len(events) or shown[i] >= asked:
                        counts[who[i], 0] = steps[i]
                        who[i] = -1
                        busy -= 1
                if who[i] < 0:
                    if following >= n:
                        t[i], end[i], shown[i] = 0.0, 1.0, 0
                        break
                    who[i] = following
                    following += 1
                    busy += 1
                    p = parameters[who[i]]
                    _load(i, p, rate, unit, weight, shape, amplitude)
                    for k in range(7):
                        constant[k, i] = p[20 + k]
                    b[i], r[i], m[i] = 0.0, 1.0, 1.0
                    inflow[i], h[i] = 0.0, 1e-3
                    stretch[i], shown[i], steps[i] = 0, 0, 0
                begin[i] = events[stretch[i]]
                inflow[i] += changes[who[i], stretch[i]]
                over = stretch[i] + 1 >= len(events)
                end[i] = times[asked - 1] if over else events[stretch[i] + 1]
                rest[i], x[0, i], slope[0, i] = 0.0, 0.0, 0.0
                for j in range(MODES):
                    settled[j, i] = inflow[i] * unit[j, i] / rate[j, i]
                    moving[j, i] = (amplitude[j, i] - settled[j, i]) * weight[j, i]
                    rest[i] += settled[j, i] * weight[j, i]
                    x[0, i] += moving[j, i]
                    slope[0, i] -= rate[j, i] * moving[j, i]
                x[0, i] += rest[i]
                t[i] = begin[i]
                h[i] = min(h[i], 0.02)
                while shown[i] < asked and times[shown[i]] <= begin[i]:
                    _show(
                        out[who[i], shown[i]], 0.0, i, rate, shape, amplitude, settled,
                        b[i], r[i], m[i],
                    )  # fmt: skip
                    shown[i] += 1
            if who[i] >= 0:
                stop[i] = min(end[i], times[shown[i]])
                far = stop[i] - t[i]
                last[i] = far <= h[i] * 1.0000001
                step[i] = far if last[i] else (0.5 * far if far < 2.0 * h[i] else h[i])
        if busy == 0:
            return out, status, counts
        for q in range(PLACES):
            for j in range(MODES):
                for i in range(LANES):
                    argument[(q * MODES + j) * LANES + i] = -rate[j, i] * (
                        t[i] - begin[i] + T[q] * step[i]
                    )
        exponentials(argument, PLACES * MODES * LANES, bits, powers, found)
        for q in range(PLACES):
            for i in range(LANES):
                x[q + 1, i], slope[q + 1, i] = rest[i], 0.0
            for j in range(MODES):
                for i in range(LANES):
                    part = moving[j, i] * found[(q * MODES + j) * LANES + i]
                    x[q + 1, i] += part
                    slope[q + 1, i] -= rate[j, i] * part
        _saturation(b, half, hill, ratio, whole, log, argument, bits, powers, found, share)
        for i in range(LANES):
            flat = 1.0 / half[i] if hill[i] == 1.0 else 0.0
            steep = hill[i] * share[i] * (1.0 - share[i]) / b[i] if b[i] > 0.0 else flat
            w = 1.0 / (GAMMA * step[i])
            w11[i] = 1.0 / (w + on[i] * x[0, i] + off[i])
            w21[i] = kout[i] * smax[i] * steep
            w22[i], w23[i], w33[i] = w + kout[i] * m[i], kout[i] * r[i], w + kt[i]
            inverse[i] = 1.0 / (w22[i] * w33[i] + w23[i] * kt[i])
            turn[i] = step[i] * on[i] * (1.0 - b[i]) * slope[0, i]
        for s in range(STAGES):
            place = s if s < PLACES else PLACES
            for i in range(LANES):
                y1[i], y2[i], y3[i] = b[i], r[i], m[i]
                z1[i], z2[i], z3[i] = 0.0, 0.0, 0.0
            for q in range(s):
                a, c = A[s, q], C[s, q]
                for i in range(LANES):
                    y1[i] += a * k1[q, i]
                    y2[i] += a * k2[q, i]
                    y3[i] += a * k3[q, i]
                    z1[i] += c * k1[q, i]
                    z2[i] += c * k2[q, i]
                    z3[i] += c * k3[q, i]
            if s > 0:
                _saturation(y1, half, hill, ratio, whole, log, argument, bits, powers, found, share)
            for i in range(LANES):
                per = 1.0 / step[i]
                f1 = on[i] * x[place, i] * (1.0 - y1[i]) - off[i] * y1[i] + D[s] * turn[i]
                f2 = kout[i] * (1.0 + smax[i] * share[i] - y2[i] * y3[i]) + per * z2[i]
                f3 = kt[i] * (y2[i] - y3[i]) + per * z3[i]
                k1[s, i] = (f1 + per * z1[i]) * w11[i]
                f2 += w21[i] * k1[s, i]
                k2[s, i] = (f2 * w33[i] - w23[i] * f3) * inverse[i]
                k3[s, i] = (w22[i] * f3 + kt[i] * f2) * inverse[i]
        for i in range(LANES):
            y1[i] += k1[STAGES - 1, i]
            y2[i] += k2[STAGES - 1, i]
            y3[i] += k3[STAGES - 1, i]
            worst = abs(k1[STAGES - 1, i]) / (atol + rtol * max(abs(b[i]), abs(y1[i])))
            second = abs(k2[STAGES - 1, i]) / (atol + rtol * max(abs(r[i]), abs(y2[i])))
            third = abs(k3[STAGES - 1, i]) / (atol + rtol * max(abs(m[i]), abs(y3[i])))
            # A sum would be finite where a maximum hides what is not a number.
            error[i] = max(worst, max(second, third)) + 0.0 * (worst + second + third)
        for i in range(LANES):
            if who[i] < 0:
                continue
            steps[i] += 1
            if steps[i] > MOST_STEPS or (not math.isfinite(error[i]) and step[i] < 1e-12):
                status[who[i]] = TOO_MANY_STEPS if steps[i] > MOST_STEPS else NOT_FINITE
                shown[i] = asked
                continue
            if not math.isfinite(error[i]):
                h[i] = 0.1 * step[i]
                continue
            factor = 6.0
            if error[i] > 0.0:
                factor = min(6.0, max(0.2, 0.9 / math.sqrt(math.sqrt(error[i]))))
            if error[i] > 1.0:
                h[i] = step[i] * factor
                continue
            t[i] = stop[i] if last[i] else t[i] + step[i]
            b[i], r[i], m[i] = y1[i], y2[i], y3[i]
            x[0, i], slope[0, i] = x[PLACES, i], slope[PLACES, i]
            if not last[i] or factor < 1.0 or step[i] * factor > h[i]:
                h[i] = step[i] * factor
            if last[i] and t[i] == times[shown[i]]:
                _show(
                    out[who[i], shown[i]], t[i] - begin[i], i, rate, shape, amplitude, settled,
                    b[i], r[i], m[i],
                )  # fmt: skip
                shown[i] += 1
