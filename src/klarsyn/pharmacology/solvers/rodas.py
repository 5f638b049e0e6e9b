"""Compiled kernel: closed-form kinetics drive a stiff receptor and a turnover with feedback.

Rodas4P2 (Steinebach 2020, Progress in Differential-Algebraic Equations II, 165-184), a Rosenbrock
method of order 4 that keeps its order when the right side is driven by time, which Rodas4 does
not. Importing this file costs a compiler; import it inside functions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GAMMA = 0.25
A21 = 3.0
A31, A32 = 0.906377755268814, -0.189707390391685
A41, A42, A43 = 3.758617027739064, 1.161741776019525, -0.849258085312803
A51, A52, A53, A54 = 7.089566927282776, 4.573591406461604, -8.423496976860259, -0.959280113459775
C21 = -12.0
C31, C32 = -6.354581592719008, 0.338972550544623
C41, C42, C43 = -8.575016317114033, -7.606483992117508, 12.22499765012482
C51, C52, C53, C54 = (
    -5.888975457523102,
    -8.157396617841821,
    24.805546872612922,
    12.790401512796979,
)
C61, C62, C63, C64, C65 = (
    -4.408651676063871,
    -6.692003137674639,
    24.625568527593117,
    16.627521966636085,
    -5.714285714285718,
)
T2, T3, T4 = 0.75, 0.321448134013046, 0.519745732277726
D1, D2, D3, D4 = 0.25, -0.5, -0.189532918363016, 0.085612108792769

MODES = 6
STATES = 9
FINISHED, TOO_MANY_STEPS, NOT_FINITE = 0, 1, 2
MOST_STEPS = 100_000
NUDGE = 1e-6


@njit(cache=True)
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


@njit(cache=True)
def _drive(rate, rest, moving, at):  # pragma: no cover - compiled
    """X and its slope `at` hours into a stretch: rest + sum of moving exp(-rate at)."""
    x, slope = rest, 0.0
    for j in range(MODES):
        part = moving[j] * math.exp(-rate[j] * at)
        x += part
        slope -= rate[j] * part
    return x, slope


@njit(cache=True)
def _saturation(b, half, hill):  # pragma: no cover - compiled
    """b^hill/(half^hill + b^hill) and its slope in b."""
    if b <= 0.0:
        return 0.0, (1.0 / half if hill == 1.0 else 0.0)
    h = b / (half + b) if hill == 1.0 else 1.0 / (1.0 + (half / b) ** hill)
    return h, hill * h * (1.0 - h) / b


@njit(cache=True)
def _solve(w11, w21, w22, w23, w32, w33, r1, r2, r3):  # pragma: no cover - compiled
    """W k = r for the pattern of this system: block first, then turnover and feedback."""
    k1 = r1 / w11
    s2 = r2 - w21 * k1
    determinant = w22 * w33 - w23 * w32
    return k1, (s2 * w33 - w23 * r3) / determinant, (w22 * r3 - w32 * s2) / determinant


@njit(cache=True)
def _patient(p, events, changes, times, rtol, atol, out, counts):  # pragma: no cover - compiled
    """One patient: nine states at each time. Returns a status."""
    rate, unit, weight = np.empty(MODES), np.empty(MODES), np.empty(MODES)
    shape = np.empty((MODES, 3))
    _modes(p, rate, unit, weight, shape)
    on, off, kout, smax = p[20], p[21], p[22], p[23]
    half, hill, kt = p[24], p[25], p[26]
    amplitude, settled, moving = np.zeros(MODES), np.empty(MODES), np.empty(MODES)
    b, r, m = 0.0, 1.0, 1.0
    inflow, t, h = 0.0, 0.0, 1e-3
    shown, steps = 0, 0
    n_times = len(times)
    for stretch in range(len(events)):
        begin = events[stretch]
        inflow += changes[stretch]
        end = events[stretch + 1] if stretch + 1 < len(events) else times[n_times - 1]
        rest = 0.0
        for j in range(MODES):
            settled[j] = inflow * unit[j] / rate[j]
            moving[j] = (amplitude[j] - settled[j]) * weight[j]
            rest += settled[j] * weight[j]
        t = begin
        x0, slope0 = _drive(rate, rest, moving, 0.0)
        h = min(h, 0.02)
        while shown < n_times and times[shown] <= begin:
            _show(out, shown, 0.0, rate, shape, amplitude, settled, b, r, m)
            shown += 1
        while t < end and shown < n_times:
            stop = min(end, times[shown])
            last = stop - t <= h * 1.0000001
            step = stop - t if last else (0.5 * (stop - t) if stop - t < 2.0 * h else h)
            s0, ds0 = _saturation(b, half, hill)
            w = 1.0 / (GAMMA * step)
            w11 = w + on * x0 + off
            w21 = -kout * smax * ds0
            w22, w23 = w + kout * m, kout * r
            w32, w33 = -kt, w + kt
            g = step * on * (1.0 - b) * slope0
            q = 1.0 / step
            # stage 1
            f1, f2, f3 = on * x0 * (1 - b) - off * b, kout * (1 + smax * s0 - r * m), kt * (r - m)
            a1, a2, a3 = _solve(w11, w21, w22, w23, w32, w33, f1 + D1 * g, f2, f3)
            # stage 2
            x, _ = _drive(rate, rest, moving, t - begin + T2 * step)
            y1, y2, y3 = b + A21 * a1, r + A21 * a2, m + A21 * a3
            s, _ = _saturation(y1, half, hill)
            f1, f2, f3 = (
                on * x * (1 - y1) - off * y1,
                kout * (1 + smax * s - y2 * y3),
                kt * (y2 - y3),
            )
            b1, b2, b3 = _solve(
                w11,
                w21,
                w22,
                w23,
                w32,
                w33,
                f1 + D2 * g + q * C21 * a1,
                f2 + q * C21 * a2,
                f3 + q * C21 * a3,
            )
            # stage 3
            x, _ = _drive(rate, rest, moving, t - begin + T3 * step)
            y1 = b + A31 * a1 + A32 * b1
            y2 = r + A31 * a2 + A32 * b2
            y3 = m + A31 * a3 + A32 * b3
            s, _ = _saturation(y1, half, hill)
            f1, f2, f3 = (
                on * x * (1 - y1) - off * y1,
                kout * (1 + smax * s - y2 * y3),
                kt * (y2 - y3),
            )
            c1, c2, c3 = _solve(
                w11,
                w21,
                w22,
                w23,
                w32,
                w33,
                f1 + D3 * g + q * (C31 * a1 + C32 * b1),
                f2 + q * (C31 * a2 + C32 * b2),
                f3 + q * (C31 * a3 + C32 * b3),
            )
            # stage 4
            x, _ = _drive(rate, rest, moving, t - begin + T4 * step)
            y1 = b + A41 * a1 + A42 * b1 + A43 * c1
            y2 = r + A41 * a2 + A42 * b2 + A43 * c2
            y3 = m + A41 * a3 + A42 * b3 + A43 * c3
            s, _ = _saturation(y1, half, hill)
            f1, f2, f3 = (
                on * x * (1 - y1) - off * y1,
                kout * (1 + smax * s - y2 * y3),
                kt * (y2 - y3),
            )
            d1, d2, d3 = _solve(
                w11,
                w21,
                w22,
                w23,
                w32,
                w33,
                f1 + D4 * g + q * (C41 * a1 + C42 * b1 + C43 * c1),
                f2 + q * (C41 * a2 + C42 * b2 + C43 * c2),
                f3 + q * (C41 * a3 + C42 * b3 + C43 * c3),
            )
            # stage 5
            x1, slope1 = _drive(rate, rest, moving, t - begin + step)
            y1 = b + A51 * a1 + A52 * b1 + A53 * c1 + A54 * d1
            y2 = r + A51 * a2 + A52 * b2 + A53 * c2 + A54 * d2
            y3 = m + A51 * a3 + A52 * b3 + A53 * c3 + A54 * d3
            s, _ = _saturation(y1, half, hill)
            f1, f2, f3 = (
                on * x1 * (1 - y1) - off * y1,
                kout * (1 + smax * s - y2 * y3),
                kt * (y2 - y3),
            )
            e1, e2, e3 = _solve(
                w11,
                w21,
                w22,
                w23,
                w32,
                w33,
                f1 + q * (C51 * a1 + C52 * b1 + C53 * c1 + C54 * d1),
                f2 + q * (C51 * a2 + C52 * b2 + C53 * c2 + C54 * d2),
                f3 + q * (C51 * a3 + C52 * b3 + C53 * c3 + C54 * d3),
            )
            # stage 6, whose increment is the error
            y1, y2, y3 = y1 + e1, y2 + e2, y3 + e3
            s, _ = _saturation(y1, half, hill)
            f1, f2, f3 = (
                on * x1 * (1 - y1) - off * y1,
                kout * (1 + smax * s - y2 * y3),
                kt * (y2 - y3),
            )
            z1, z2, z3 = _solve(
                w11,
                w21,
                w22,
                w23,
                w32,
                w33,
                f1 + q * (C61 * a1 + C62 * b1 + C63 * c1 + C64 * d1 + C65 * e1),
                f2 + q * (C61 * a2 + C62 * b2 + C63 * c2 + C64 * d2 + C65 * e2),
                f3 + q * (C61 * a3 + C62 * b3 + C63 * c3 + C64 * d3 + C65 * e3),
            )
            y1, y2, y3 = y1 + z1, y2 + z2, y3 + z3
            error = max(
                abs(z1) / (atol + rtol * max(abs(b), abs(y1))),
                abs(z2) / (atol + rtol * max(abs(r), abs(y2))),
                abs(z3) / (atol + rtol * max(abs(m), abs(y3))),
            )
            steps += 1
            if steps > MOST_STEPS:
                return TOO_MANY_STEPS
            if not math.isfinite(error):
                if step < 1e-12:
                    return NOT_FINITE
                h = 0.1 * step
                continue
            factor = min(6.0, max(0.2, 0.9 * error**-0.25)) if error > 0.0 else 6.0
            if error <= 1.0:
                t = stop if last else t + step
                b, r, m, x0, slope0 = y1, y2, y3, x1, slope1
                if not last or factor < 1.0 or step * factor > h:
                    h = step * factor
                if last and t == times[shown]:
                    _show(out, shown, t - begin, rate, shape, amplitude, settled, b, r, m)
                    shown += 1
            else:
                h = step * factor
        for j in range(MODES):
            left = math.exp(-rate[j] * (end - begin))
            amplitude[j] = settled[j] + (amplitude[j] - settled[j]) * left
    counts[0] = steps
    return FINISHED


@njit(cache=True)
def _show(out, row, at, rate, shape, amplitude, settled, b, r, m):  # pragma: no cover - compiled
    for e in range(2):
        for k in range(3):
            total = 0.0
            for j in range(3 * e, 3 * e + 3):
                left = math.exp(-rate[j] * at)
                total += shape[j, k] * (settled[j] + (amplitude[j] - settled[j]) * left)
            out[row, 3 * e + k] = total
    out[row, 6], out[row, 7], out[row, 8] = b, r, m


@njit(cache=True)
def march(parameters, events, changes, times, rtol, atol):  # pragma: no cover - compiled
    """All patients: states (n, T, 9), status (n,), steps (n,)."""
    n = len(parameters)
    out = np.full((n, len(times), STATES), np.nan)
    status = np.zeros(n, np.int64)
    steps = np.zeros((n, 1), np.int64)
    for i in range(n):
        status[i] = _patient(parameters[i], events, changes[i], times, rtol, atol, out[i], steps[i])
    return out, status, steps
