"""The cascade from block to plasticity for all parameter sets of one patient, compiled.

The same steps as `plasticity.simulate_plasticity` without interventions, with doses that may wait
for the score. Importing this file imports the compiler.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from klarsyn.pharmacology.solvers.elementary import exponential, inner

VALUES = (
    "half_interneuron",
    "selectivity",
    "balance",
    "distance",
    "gain_synthesis",
    "gain_trkb",
    "tau_trkb",
    "erk_share",
    "gain_direct",
    "direct_additive",
    "gain_metabolite",
    "weight",
    "spine_share",
    "functional_reference",
    "spines_reference",
)
LAGGED = ("eef2", "bdnf", "mtor", "erk", "functional", "commitment", "spines")


STATES = ("eef2", "bdnf", "trkb", "mtor", "erk", "functional", "commitment", "spines")
SCRATCH = 9


def cascade(
    p, lags, steps, which, drives, shown, effect,
    weights, units, at, rule, threshold, most, until, placebo, top, odds, given,
) -> None:  # fmt: skip
    """One patient: `effect` (shown, m) in logits; `given` (D, m) says which doses were given.

    `p` (15, m) in the order of VALUES; `lags` (U, 7, 3, m) are the coefficients of each lag at each
    step length; `drives` (3, T, m) hold block, direct and metabolite and grow by every dose that a
    rule asks for: `weights` (3, A, m) times `units` (D, A, T). Dose d is checked at grid index
    `at[d]`; `rule[d]` is -1 for a dose that is given whatever happens.
    """
    m = p.shape[1]
    state, scratch = np.zeros((len(STATES), m)), np.empty((SCRATCH, m))
    state[0] = 1.0
    doses, over = np.zeros((len(threshold), m), np.int64), np.zeros((len(threshold), m), bool)
    _march(
        p, lags, steps, which, drives, shown, effect, weights, units, at, rule, threshold, most,
        until, placebo, top, odds, given, state, scratch, doses, over,
    )  # fmt: skip


@inner
def _inputs(p, block, direct, metabolite, held, surge, alone, together):  # pragma: no cover
    """What the cascade is driven by at one time, every set."""
    for s in range(len(block)):
        x_i = block[s] / p[0, s]
        x_e = x_i / p[1, s]
        held[s] = x_e / (1.0 + x_e)
        below = p[3, s] + p[2, s] * held[s] - x_i / (1.0 + x_i)
        rate = p[3, s] / below if below > 0.0 else np.nan
        surge[s] = 0.0 if rate < 1.0 else rate - 1.0
        facilitated = p[8, s] * direct[s]
        together[s] = (1.0 - p[9, s]) * facilitated
        alone[s] = p[10, s] * metabolite[s] + p[9, s] * facilitated


@inner
def _driven(bdnf, surge, alone, together, driven):  # pragma: no cover - compiled
    for s in range(len(bdnf)):
        driven[s] = (1.0 + bdnf[s]) * surge[s] * (1.0 + together[s]) + alone[s]


@inner
def _synthesis(p, lag, eef2, bdnf, before, held):  # pragma: no cover - compiled
    """eEF2 and the BDNF that it holds back."""
    for s in range(len(eef2)):
        old = eef2[s]
        now = lag[0, 0, s] * old + lag[0, 1, s] * (1.0 - before[s]) + lag[0, 2, s] * (1.0 - held[s])
        eef2[s] = now
        bdnf[s] = (
            lag[1, 0, s] * bdnf[s]
            + lag[1, 1, s] * p[4, s] * (1.0 - old)
            + lag[1, 2, s] * p[4, s] * (1.0 - now)
        )


@inner
def _trkb(p, step, driven_old, driven, trkb, now):  # pragma: no cover - compiled
    for s in range(len(trkb)):
        gain = p[5, s] * 0.5 * (driven_old[s] + driven[s])
        left = exponential(-(1.0 + gain) * step / p[6, s])
        now[s] = trkb[s] * left + gain / (1.0 + gain) * (1.0 - left)


@inner
def _potentiation(p, lag, state, now, together, own_old):  # pragma: no cover - compiled
    """From TrkB, before and now, to mTOR and ERK, fast potentiation and spines."""
    trkb, mtor, erk = state[2], state[3], state[4]
    functional, commitment, spines = state[5], state[6], state[7]
    for s in range(len(now)):
        own = p[7, s] * together[s] / (1.0 + together[s])
        aside, other = trkb[s] * own_old[s], now[s] * own
        first = mtor[s] + erk[s]
        mtor[s] = (
            lag[2, 0, s] * mtor[s]
            + lag[2, 1, s] * (trkb[s] - aside)
            + lag[2, 2, s] * (now[s] - other)
        )
        erk[s] = lag[3, 0, s] * erk[s] + lag[3, 1, s] * aside + lag[3, 2, s] * other
        second = mtor[s] + erk[s]
        functional[s] = lag[4, 0, s] * functional[s] + lag[4, 1, s] * first + lag[4, 2, s] * second
        drove = commitment[s]
        commitment[s] = lag[5, 0, s] * drove + lag[5, 1, s] * first + lag[5, 2, s] * second
        spines[s] = lag[6, 0, s] * spines[s] + lag[6, 1, s] * drove + lag[6, 2, s] * commitment[s]
        trkb[s] = now[s]


@inner
def _asked(
    j, d, r, made, drives, weights, units, threshold, most, until, placebo, top, odds, given,
    doses, over,
):  # fmt: skip  # pragma: no cover - compiled
    """Gives dose d at grid index j in the sets whose score asks for it; whether any did."""
    changed = False
    for s in range(len(made)):
        level = top / (1.0 + np.exp(placebo[d, s] + made[s] - odds))
        asks = level >= threshold[r]
        if until[r] and not asks:
            over[r, s] = True
        if not asks or over[r, s] or doses[r, s] >= most[r]:
            continue
        doses[r, s] += 1
        given[d, s] = True
        changed = True
        for k in range(3):
            for a in range(units.shape[1]):
                w = weights[k, a, s]
                if w != 0.0:
                    for t in range(j, drives.shape[1]):
                        drives[k, t, s] += w * units[d, a, t]
    return changed


@njit(cache=True, error_model="numpy")
def _march(
    p, lags, steps, which, drives, shown, effect, weights, units, at, rule, threshold, most,
    until, placebo, top, odds, given, state, scratch, doses, over,
):  # fmt: skip  # pragma: no cover - compiled
    eef2, bdnf, trkb, functional, spines = state[0], state[1], state[2], state[5], state[7]
    held, surge, alone, together = scratch[0], scratch[1], scratch[2], scratch[3]
    before, driven, driven_old = scratch[4], scratch[5], scratch[6]
    own_old, made = scratch[7], scratch[8]
    for j in range(drives.shape[1]):
        _inputs(p, drives[0, j], drives[1, j], drives[2, j], held, surge, alone, together)
        if j > 0:
            lag = lags[which[j - 1]]
            _synthesis(p, lag, eef2, bdnf, before, held)
            _driven(bdnf, surge, alone, together, driven)
            _trkb(p, steps[which[j - 1]], driven_old, driven, trkb, made)
            _potentiation(p, lag, state, made, together, own_old)
        for s in range(len(made)):
            made[s] = p[11, s] * (
                (1.0 - p[12, s]) * functional[s] / p[13, s] + p[12, s] * spines[s] / p[14, s]
            )
        changed = False
        for d in range(len(at)):
            if at[d] == j and rule[d] < 0:
                given[d, :] = True
            elif at[d] == j:
                changed |= _asked(
                    j, d, rule[d], made, drives, weights, units, threshold, most, until, placebo,
                    top, odds, given, doses, over,
                )  # fmt: skip
        if changed:
            _inputs(p, drives[0, j], drives[1, j], drives[2, j], held, surge, alone, together)
        _driven(bdnf, surge, alone, together, driven_old)
        for s in range(len(made)):
            before[s] = held[s]
            own_old[s] = p[7, s] * together[s] / (1.0 + together[s])
        place = shown[j]
        if place >= 0:
            for s in range(len(made)):
                effect[place, s] = made[s]


@njit(cache=True, error_model="numpy")
def combine(weights, site, drives):  # pragma: no cover - compiled
    """`drives` (3, T, m) from `weights` (3, A, m) and concentrations `site` (A, T)."""
    for k in range(3):
        for t in range(drives.shape[1]):
            for s in range(drives.shape[2]):
                drives[k, t, s] = 0.0
            for a in range(site.shape[0]):
                c = site[a, t]
                for s in range(drives.shape[2]):
                    drives[k, t, s] += weights[k, a, s] * c
