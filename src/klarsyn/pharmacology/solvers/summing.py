"""The compiled loop behind `summaries`; importing this file imports the compiler.

Patients go through in blocks, so that every loop over one fills the registers. A patient whose
course may turn more than once in a stretch is left to `turning`.
"""

from __future__ import annotations

from klarsyn.pharmacology.solvers.elementary import exponential, inner, outer

BLOCK = 256
CLOSE = 1e-5  # of a stretch: Newton's next step is the square of that, and a peak is flat
NOISE = 1e-12  # of a stretch: a step that rounding may put outside the bracket
ROUNDS, FIRST = 4, 12  # of Newton's, from the hour of the peak before and from a guess


@inner
def _decays(rates, t, left):  # pragma: no cover - compiled
    """What is left of each mode after `t`."""
    for m in range(len(rates)):
        for i in range(BLOCK):
            left[m, i] = exponential(-rates[m, i] * t[i])


@inner
def _climb(
    rates, terms, left, span, rounds, limit, step, t, low, high, total, slope
):  # pragma: no cover - compiled
    """Where the slope turns from rise to fall: Newton from `t`, kept in a bracket.

    A patient moves `limit` times, whoever else needs more `rounds`. Leaves the last step in `step`,
    the whole stretch where it was no step of Newton's, and the modes at the hour in `left`.
    """
    for i in range(BLOCK):
        low[i], high[i] = 0.0, span
        start = min(0.25 * span, 1.0 / rates[len(rates) // 2, i])
        t[i] = t[i] if limit[i] == 0.0 or 0.0 < t[i] < span else start
    for k in range(int(rounds)):
        _decays(rates, t, left)
        for i in range(BLOCK):
            total[i], slope[i] = 0.0, 0.0
        for m in range(len(rates)):
            for i in range(BLOCK):
                total[i] += terms[m, i] * left[m, i]
            for i in range(BLOCK):
                slope[i] -= rates[m, i] * terms[m, i] * left[m, i]
        for i in range(BLOCK):
            rising = total[i] > 0.0
            low[i] = t[i] if rising else low[i]
            high[i] = high[i] if rising else t[i]
            after = t[i] - total[i] / slope[i]
            moved = abs(after - t[i])
            within = low[i] <= after <= high[i] or moved < NOISE * span
            after = after if within else 0.5 * (low[i] + high[i])
            moved = moved if within else span
            step[i] = moved if k < limit[i] else step[i]
            t[i] = after if k < limit[i] else t[i]
    _decays(rates, t, left)


@inner
def _survey(
    rates, weight, level, free, decay, terms, height, first, final, changes, before
):  # pragma: no cover - compiled
    """Of a stretch: its last height, its slope's exponentials, their sum at both ends and signs."""
    for i in range(BLOCK):
        height[i], first[i], final[i], changes[i], before[i] = 0.0, 0.0, 0.0, 0.0, 0.0
    for m in range(len(rates)):
        for i in range(BLOCK):
            height[i] += weight[m, i] * level[m, i]
        for i in range(BLOCK):
            terms[m, i] = -rates[m, i] * weight[m, i] * free[m, i]
        for i in range(BLOCK):
            first[i] += terms[m, i]
        for i in range(BLOCK):
            final[i] += terms[m, i] * decay[m, i]
        for i in range(BLOCK):
            changes[i] += 1.0 if before[i] * terms[m, i] < 0.0 else 0.0
        for i in range(BLOCK):
            before[i] = terms[m, i] if terms[m, i] != 0.0 else before[i]


@inner
def _heights(rates, weight, flow, free, left, height):  # pragma: no cover - compiled
    """Concentrations within a stretch, where `left` is left of each mode."""
    for i in range(BLOCK):
        height[i] = 0.0
    for m in range(len(rates)):
        for i in range(BLOCK):
            height[i] += weight[m, i] * (free[m, i] * left[m, i] + flow[i] / rates[m, i])


@inner
def _advance(rates, flow, decay, level, free):  # pragma: no cover - compiled
    """To the end of a stretch: `free` is what decays in it, `level` what stands after it."""
    for m in range(len(rates)):
        for i in range(BLOCK):
            free[m, i] = level[m, i] - flow[i] / rates[m, i]
        for i in range(BLOCK):
            level[m, i] = free[m, i] * decay[m, i] + flow[i] / rates[m, i]


@outer
def summarised(
    rates, weights, spans, which, when, running, decay, modes, rows, levels, out, other
):  # pragma: no cover - compiled
    """Peak, its time and last value of each patient: `out` (B, 3, k, BLOCK), zero before.

    B blocks of patients: `rates` (B, M, BLOCK) ascend, `weights` (B, k, M, BLOCK), `running` (B, E,
    BLOCK) is the input in stretch e, which begins at `when[e]` and lasts `spans[which[e]]`. `other`
    (B, BLOCK) becomes 1 for patients that are left out; `levels` (B, M, BLOCK), zero before, are
    those of the modes at the end. Room to work in comes from outside, because
    arrays made here take long to compile: decay (U, M, BLOCK), modes (3, M, BLOCK), rows (8 + k,
    BLOCK).
    """
    free, terms, left = modes[0], modes[1], modes[2]
    height, first, final, changes, before = rows[0], rows[1], rows[2], rows[3], rows[4]
    low, high, slope = rows[5], rows[6], rows[7]
    for b in range(len(rates)):
        rate, level, alone = rates[b], levels[b], other[b]
        for u in range(len(spans)):
            low[:] = spans[u]
            _decays(rate, low, decay[u])
        rows[8:] = -1.0
        for e in range(len(when)):
            span, over, flow = spans[which[e]], decay[which[e]], running[b, e]
            _advance(rate, flow, over, level, free)
            for c in range(weights.shape[1]):
                weight, t = weights[b, c], rows[8 + c]
                top, at, last = out[b, 0, c], out[b, 1, c], out[b, 2, c]
                _survey(rate, weight, level, free, over, terms, last, first, final, changes, before)
                rounds = 0.0
                for i in range(BLOCK):
                    if last[i] > top[i]:
                        top[i], at[i] = last[i], when[e] + span
                    # A sum has as many zeros as changes of sign, or fewer by an even number; the
                    # first input meets nothing, and its slope is a bolus's, never below 0.
                    signs, begins = changes[i], first[i]
                    turns = begins * final[i] < 0.0
                    if e > 0 and (signs > 2.0 or (signs == 2.0 and not turns)):
                        alone[i] = 1.0
                    climbs = signs <= 2.0 and turns and begins > 0.0
                    steps = FIRST if t[i] < 0.0 else ROUNDS
                    changes[i], first[i] = climbs, steps if climbs else 0.0
                    rounds = max(rounds, first[i])
                if rounds == 0:
                    continue
                _climb(rate, terms, left, span, rounds, first, final, t, low, high, height, slope)
                _heights(rate, weight, flow, free, left, height)
                for i in range(BLOCK):
                    if changes[i] > 0.0 and final[i] > CLOSE * span:
                        alone[i] = 1.0
                    if changes[i] > 0.0 and height[i] > top[i]:
                        top[i], at[i] = height[i], when[e] + t[i]
