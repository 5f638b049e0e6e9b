"""Compiled kernel: closed-form kinetics drive a stiff receptor and a turnover with feedback.

Rodas4P2 (Steinebach 2020, Progress in Differential-Algebraic Equations II, 165-184), a Rosenbrock
method of order 4 that keeps its order when the right side is driven by time, which Rodas4 does
not. Many patients go side by side, each with steps of its own, so that one instruction serves
several; whoever ends makes room for the next. What the lanes hold is one array, a row of 64 numbers
a quantity: distances within it are known to the compiler, which then needs no check that rows
overlap. Importing this file costs a compiler; import it inside functions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from klarsyn.pharmacology.solvers.elementary import exponential, inlined, inner, logarithm

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

# Where each quantity begins in the memory of the lanes: one vector of LANES numbers a row. What a
# patient brings along stands first, in the order of `_brought`.
RATE = 0
UNIT = RATE + MODES * LANES
WEIGHT = UNIT + MODES * LANES
SHAPE = WEIGHT + MODES * LANES
ON = SHAPE + 3 * MODES * LANES
OFF, KOUT, SMAX, HALF, HILL, KT = (ON + k * LANES for k in range(1, 7))
AMPLITUDE = KT + LANES
SETTLED = AMPLITUDE + MODES * LANES
MOVING = SETTLED + MODES * LANES
REST = MOVING + MODES * LANES
BEGIN, END, STOP, TIME, AHEAD, STEP, INFLOW = (REST + k * LANES for k in range(1, 8))
B = INFLOW + LANES
R, M, NEW_B, NEW_R, NEW_M, ERROR = (B + k * LANES for k in range(1, 7))
W11 = ERROR + LANES
W21, W22, W23, W33, INVERSE, TURN = (W11 + k * LANES for k in range(1, 7))
DRIVE = TURN + LANES
SLOPE = DRIVE + (PLACES + 1) * LANES
FINAL = PLACES * LANES
NOW = SLOPE + (PLACES + 1) * LANES
FIRST = NOW + LANES
SECOND, THIRD = FIRST + LANES, FIRST + 2 * LANES
EACH = 3 * LANES
K1 = FIRST + EACH
K2, K3 = K1 + LANES, K1 + 2 * LANES
FLOATS = K1 + STAGES * EACH
WHO, STRETCH, SHOWN, STEPS, LAST = (k * LANES for k in range(5))
NEXT = LAST + LANES
BUSY = NEXT + 1
INTEGERS = BUSY + 1


def march(
    parameters: np.ndarray,
    events: np.ndarray,
    changes: np.ndarray,
    times: np.ndarray,
    rtol: float,
    atol: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All patients: states (n, T, 9), status (n,), steps (n,)."""
    n = len(parameters)
    states = np.full((n, len(times), STATES), np.nan)
    status, steps = np.zeros(n, np.int64), np.zeros(n, np.int64)
    # A lane without a patient computes too: with ones, which divide well.
    v, z = np.ones(FLOATS), np.zeros(INTEGERS, np.int64)
    z[WHO : WHO + LANES] = -1
    brought = _brought(parameters)
    _march(brought, events, changes, times, rtol, atol, v, z, states, status, steps)
    return states, status, steps


def _brought(p: np.ndarray) -> np.ndarray:
    """Rates, unit amplitudes, drive weights, shapes of six modes, seven constants: (n, 43).

    A chain has three modes, two of the parent and one of the metabolite; the shape of a mode is
    what it adds to central, peripheral and metabolite.
    """
    rates, units, weights, shapes = [], [], [], []
    for e in range(2):
        k10, k12, k21, v1, kf, km, vm, share = p[:, 8 * e : 8 * e + 8].T
        total = k10 + k12 + k21
        fast = 0.5 * (total + np.sqrt(np.maximum(total * total - 4.0 * k10 * k21, 0.0)))
        slow = k10 * k21 / fast
        for near in (fast, slow):
            km = np.where(np.abs(km - near) < NUDGE * km, km * (1.0 + NUDGE), km)
        late = np.zeros(len(p))
        for own, other in ((fast, slow), (slow, fast)):
            part, formed = share * (k21 - own) / (other - own), kf / (km - own)
            late -= part * formed
            units.append(part)
            shapes += [np.ones(len(p)), k12 / (k21 - own), formed]
        rates += [fast, slow, km]
        units.append(late)
        shapes += [np.zeros(len(p)), np.zeros(len(p)), np.ones(len(p))]
        parent, child = 1.0 / (v1 * p[:, 16 + 2 * e]), 1.0 / (vm * p[:, 17 + 2 * e])
        weights += [
            shapes[9 * e + 3 * j] * parent + shapes[9 * e + 3 * j + 2] * child for j in range(3)
        ]
    return np.column_stack([*rates, *units, *weights, *shapes, p[:, 20:]])


@inner
def _show(v, i, at, out):  # pragma: no cover - compiled
    """Writes the nine states of lane i, `at` hours into its stretch."""
    for e in range(2):
        for k in range(3):
            out[3 * e + k] = 0.0
        for j in range(3 * e, 3 * e + 3):
            m = j * LANES + i
            left = math.exp(-v[RATE + m] * at)
            level = v[SETTLED + m] + (v[AMPLITUDE + m] - v[SETTLED + m]) * left
            for k in range(3):
                out[3 * e + k] += v[SHAPE + (3 * j + k) * LANES + i] * level
    out[6], out[7], out[8] = v[B + i], v[R + i], v[M + i]


@inner
def _enter(v, z, brought, events, changes, times, out, steps):  # pragma: no cover - compiled
    """Lanes whose stretch is over begin the next one, or the next patient."""
    asked = len(times)
    for i in range(LANES):
        while z[WHO + i] < 0 or v[TIME + i] >= v[END + i] or z[SHOWN + i] >= asked:
            if z[WHO + i] >= 0:
                for j in range(MODES):
                    m = j * LANES + i
                    left = math.exp(-v[RATE + m] * (v[END + i] - v[BEGIN + i]))
                    v[AMPLITUDE + m] = v[SETTLED + m] + (v[AMPLITUDE + m] - v[SETTLED + m]) * left
                z[STRETCH + i] += 1
                if z[STRETCH + i] >= len(events) or z[SHOWN + i] >= asked:
                    steps[z[WHO + i]] = z[STEPS + i]
                    z[WHO + i] = -1
                    z[BUSY] -= 1
            if z[WHO + i] < 0:
                if z[NEXT] >= len(brought):
                    v[TIME + i], v[END + i], z[SHOWN + i] = 0.0, 1.0, 0
                    break
                z[WHO + i] = z[NEXT]
                z[NEXT] += 1
                z[BUSY] += 1
                z[STRETCH + i], z[SHOWN + i], z[STEPS + i] = 0, 0, 0
                for k in range(brought.shape[1]):
                    v[k * LANES + i] = brought[z[WHO + i], k]
                for j in range(MODES):
                    v[AMPLITUDE + j * LANES + i] = 0.0
                v[B + i], v[R + i], v[M + i] = 0.0, 1.0, 1.0
                v[INFLOW + i], v[AHEAD + i] = 0.0, 1e-3
            at = z[STRETCH + i]
            v[BEGIN + i] = events[at]
            v[INFLOW + i] += changes[z[WHO + i], at]
            v[END + i] = events[at + 1] if at + 1 < len(events) else times[asked - 1]
            v[REST + i], v[DRIVE + i], v[SLOPE + i] = 0.0, 0.0, 0.0
            for j in range(MODES):
                m = j * LANES + i
                v[SETTLED + m] = v[INFLOW + i] * v[UNIT + m] / v[RATE + m]
                v[MOVING + m] = (v[AMPLITUDE + m] - v[SETTLED + m]) * v[WEIGHT + m]
                v[REST + i] += v[SETTLED + m] * v[WEIGHT + m]
                v[DRIVE + i] += v[MOVING + m]
                v[SLOPE + i] -= v[RATE + m] * v[MOVING + m]
            v[DRIVE + i] += v[REST + i]
            v[TIME + i] = v[BEGIN + i]
            v[AHEAD + i] = min(v[AHEAD + i], 0.02)
            while z[SHOWN + i] < asked and times[z[SHOWN + i]] <= v[BEGIN + i]:
                _show(v, i, 0.0, out[z[WHO + i], z[SHOWN + i]])
                z[SHOWN + i] += 1
        v[STOP + i] = min(v[END + i], times[min(z[SHOWN + i], asked - 1)])


@inner
def _aim(v, z):  # pragma: no cover - compiled
    """The length of the next step, which ends where something is asked or switched."""
    for i in range(LANES):
        far, h = v[STOP + i] - v[TIME + i], v[AHEAD + i]
        last = far <= h * 1.0000001
        v[STEP + i] = far if last else (0.5 * far if far < 2.0 * h else h)
        z[LAST + i] = 1 if last else 0


@inner
def _drive(v):  # pragma: no cover - compiled
    """The receptor's drive and its slope at the four later places of the step."""
    for q in range(PLACES):
        x, slope, place = DRIVE + (q + 1) * LANES, SLOPE + (q + 1) * LANES, T[q]
        for i in range(LANES):
            v[x + i], v[slope + i] = v[REST + i], 0.0
        for j in range(MODES):
            m = j * LANES
            for i in range(LANES):
                at = v[TIME + i] - v[BEGIN + i] + place * v[STEP + i]
                part = v[MOVING + m + i] * exponential(-v[RATE + m + i] * at)
                v[x + i] += part
                v[slope + i] -= v[RATE + m + i] * part


@inlined
def _share(b, half, hill):  # pragma: no cover - compiled
    """b^hill/(half^hill + b^hill), 0 for b <= 0."""
    log = logarithm(b / half if b > 1e-300 * half else 1e-300)
    left = exponential(-abs(hill * log))
    over = 1.0 / (1.0 + left)
    return (over if log >= 0.0 else left * over) if b > 0.0 else 0.0


@inner
def _linearise(v):  # pragma: no cover - compiled
    """The factors of I/(GAMMA h) - J at the start of the step; all increments 0."""
    for i in range(LANES):
        b, half, hill = v[B + i], v[HALF + i], v[HILL + i]
        share = _share(b, half, hill)
        flat = 1.0 / half if hill == 1.0 else 0.0
        steep = hill * share * (1.0 - share) / b if b > 0.0 else flat
        w = 1.0 / (GAMMA * v[STEP + i])
        w22, w23 = w + v[KOUT + i] * v[M + i], v[KOUT + i] * v[R + i]
        w33 = w + v[KT + i]
        v[W11 + i] = 1.0 / (w + v[ON + i] * v[DRIVE + i] + v[OFF + i])
        v[W21 + i] = v[KOUT + i] * v[SMAX + i] * steep
        v[W22 + i], v[W23 + i], v[W33 + i] = w22, w23, w33
        v[INVERSE + i] = 1.0 / (w22 * w33 + w23 * v[KT + i])
        v[TURN + i] = v[STEP + i] * v[ON + i] * (1.0 - b) * v[SLOPE + i]
    for i in range(STAGES * EACH):
        v[K1 + i] = 0.0


@inlined
def _sum(v, at, a, b, c, d, e):  # pragma: no cover - compiled
    row = at + 2 * EACH
    return a * v[at] + b * v[at + EACH] + c * v[row] + d * v[row + EACH] + e * v[row + 2 * EACH]


@inner
def _stage(v, s):  # pragma: no cover - compiled
    """The increments of stage s; later ones are 0, so every stage adds up the same five."""
    if s < 0 or s >= STAGES:  # never; tells the compiler that no index counts from the end
        return
    x, k = DRIVE + min(s, PLACES) * LANES, K1 + s * EACH
    for i in range(LANES):
        v[NOW + i] = v[x + i]
    a0, a1, a2, a3, a4 = A[s, 0], A[s, 1], A[s, 2], A[s, 3], A[s, 4]
    c0, c1, c2, c3, c4 = C[s, 0], C[s, 1], C[s, 2], C[s, 3], C[s, 4]
    share_of_drive = D[s]
    for i in range(LANES):
        y1 = v[B + i] + _sum(v, K1 + i, a0, a1, a2, a3, a4)
        y2 = v[R + i] + _sum(v, K2 + i, a0, a1, a2, a3, a4)
        y3 = v[M + i] + _sum(v, K3 + i, a0, a1, a2, a3, a4)
        z1 = _sum(v, K1 + i, c0, c1, c2, c3, c4)
        z2 = _sum(v, K2 + i, c0, c1, c2, c3, c4)
        z3 = _sum(v, K3 + i, c0, c1, c2, c3, c4)
        per = 1.0 / v[STEP + i]
        kout, kt = v[KOUT + i], v[KT + i]
        h = _share(y1, v[HALF + i], v[HILL + i])
        f1 = v[ON + i] * v[NOW + i] * (1.0 - y1) - v[OFF + i] * y1 + share_of_drive * v[TURN + i]
        f2 = kout * (1.0 + v[SMAX + i] * h - y2 * y3) + per * z2
        f3 = kt * (y2 - y3) + per * z3
        first = (f1 + per * z1) * v[W11 + i]
        f2 += v[W21 + i] * first
        v[FIRST + i] = first
        v[SECOND + i] = (f2 * v[W33 + i] - v[W23 + i] * f3) * v[INVERSE + i]
        v[THIRD + i] = (v[W22 + i] * f3 + kt * f2) * v[INVERSE + i]
        v[NEW_B + i], v[NEW_R + i], v[NEW_M + i] = y1, y2, y3
    for i in range(EACH):
        v[k + i] = v[FIRST + i]


@inner
def _end(v, rtol, atol):  # pragma: no cover - compiled
    """The state at the end of the step, and its error over the tolerance."""
    for i in range(LANES):
        k1, k2, k3 = v[FIRST + i], v[SECOND + i], v[THIRD + i]
        b, r, m = v[NEW_B + i] + k1, v[NEW_R + i] + k2, v[NEW_M + i] + k3
        v[NEW_B + i], v[NEW_R + i], v[NEW_M + i] = b, r, m
        first = abs(k1) / (atol + rtol * max(abs(v[B + i]), abs(b)))
        second = abs(k2) / (atol + rtol * max(abs(v[R + i]), abs(r)))
        third = abs(k3) / (atol + rtol * max(abs(v[M + i]), abs(m)))
        # A sum would be finite where a maximum hides what is not a number.
        v[ERROR + i] = max(first, max(second, third)) + 0.0 * (first + second + third)


@inner
def _judge(v, z, times, out, status):  # pragma: no cover - compiled
    """Keeps each lane's step or takes it back, and says how far to go next."""
    for i in range(LANES):
        who = z[WHO + i]
        if who < 0:
            continue
        error, step, last = v[ERROR + i], v[STEP + i], z[LAST + i] == 1
        z[STEPS + i] += 1
        if not math.isfinite(error) or z[STEPS + i] > MOST_STEPS:
            v[AHEAD + i] = 0.1 * step
            if z[STEPS + i] > MOST_STEPS or step < 1e-12:
                status[who] = TOO_MANY_STEPS if z[STEPS + i] > MOST_STEPS else NOT_FINITE
                z[SHOWN + i] = len(times)
            continue
        factor = 6.0
        if error > 0.0:
            factor = min(6.0, max(0.2, 0.9 / math.sqrt(math.sqrt(error))))
        if error > 1.0:
            v[AHEAD + i] = step * factor
            continue
        v[TIME + i] = v[STOP + i] if last else v[TIME + i] + step
        v[B + i], v[R + i], v[M + i] = v[NEW_B + i], v[NEW_R + i], v[NEW_M + i]
        v[DRIVE + i], v[SLOPE + i] = v[DRIVE + FINAL + i], v[SLOPE + FINAL + i]
        if not last or factor < 1.0 or step * factor > v[AHEAD + i]:
            v[AHEAD + i] = step * factor
        if last and v[TIME + i] == times[z[SHOWN + i]]:
            _show(v, i, v[TIME + i] - v[BEGIN + i], out[who, z[SHOWN + i]])
            z[SHOWN + i] += 1


@njit(cache=True, error_model="numpy")
def _march(
    brought, events, changes, times, rtol, atol, v, z, out, status, steps
):  # pragma: no cover - compiled
    while True:
        _enter(v, z, brought, events, changes, times, out, steps)
        if z[BUSY] == 0:
            return
        _aim(v, z)
        _drive(v)
        _linearise(v)
        for s in range(STAGES):
            _stage(v, s)
        _end(v, rtol, atol)
        _judge(v, z, times, out, status)
