"""Outcome by arm and guess, reweighted to another rate of correct guesses.

Six strata in this order, the first letters what was received, the last what was guessed (U: don't
know). Arrays of four leave the don't-knows out. Szigeti et al. 2023, in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, NumericalError

Array = NDArray[np.float64]

STRATA = ("ACAC", "ACPL", "PLAC", "PLPL", "ACU", "PLU")
_ACTIVE = np.array([1, 1, 0, 0, 1, 0], dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """How guesses fell: the correct-guess rate and the share of don't-knows, and who they were.

    `r`: the control arm's share of right guesses; `s`: the active arm's share of wrong guesses;
    `t`: the active arm's share of don't-knows (½ when there are none).
    """

    r: float
    s: float
    t: float
    correct: float
    unknown: float


def composition(n: ArrayLike, *, legacy_rounding: bool = False) -> Composition:
    """The composition of counts in the order of `STRATA` (four or six).

    `legacy_rounding` rounds each stratum's share to two decimals first, as the first published
    code did: it moves stratum sizes and is here to reproduce them, not to be used.
    """
    counts = six(n, "counts")
    if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
        raise InputError("Counts by arm and guess are 0 or more, and not all 0.")
    p = counts / counts.sum()
    if legacy_rounding:
        p = np.array([round(float(share), 2) for share in p])
    acac, acpl, plac, plpl, acu, plu = p
    right, wrong, unknown = acac + plpl, acpl + plac, acu + plu
    if right == 0 or wrong == 0:
        raise NumericalError(
            "not_estimable",
            f"Nobody guessed {'right' if right == 0 else 'wrong'}: no other rate of correct "
            f"guesses can be reached by reweighting.",
        )
    return Composition(
        r=plpl / right,
        s=acpl / wrong,
        t=acu / unknown if unknown > 0 else 0.5,
        correct=right / (right + wrong),
        unknown=unknown / p.sum(),
    )


def contrast(comp: Composition, correct: float, unknown: float | None = None) -> Array:
    """The six coefficients a with Δ(correct) = a · means: active less control, reweighted.

    `correct` is the rate among those who guess; `unknown` the share of don't-knows, the observed
    one when not given.
    """
    _check_rate(correct)
    u = comp.unknown if unknown is None else unknown
    if not 0 <= u <= 1:
        raise InputError(f"A share of don't-knows lies between 0 and 1; {u:g} does not.")
    return _contrast(np.array([comp.r, comp.s, comp.t, correct, u], dtype=float))


def raw_contrast(n: ArrayLike) -> Array:
    """The coefficients of the raw difference, active less control."""
    return _raw(six(n, "counts"))


def difference(a: ArrayLike, mean: ArrayLike) -> float:
    """a · means; a stratum without coefficient needs no mean."""
    coefficients, means = np.asarray(a, float), six(mean, "means", empty=np.nan)
    used = coefficients != 0
    if np.isnan(means[used]).any():
        lost = [k for k, u, m in zip(STRATA, used, means, strict=True) if u and np.isnan(m)]
        raise NumericalError(
            "not_estimable",
            f"No outcome in stratum {', '.join(lost)}, which this contrast needs.",
        )
    return float(coefficients[used] @ means[used])


def fixed_weight_se(a: ArrayLike, n: ArrayLike, sd: ArrayLike) -> float:
    """The standard error of a · means when the weights are taken as known."""
    return float(np.sqrt(_within(np.asarray(a, float), n, sd)))


def sampled_weight_se(
    mixture: float, n: ArrayLike, mean: ArrayLike, sd: ArrayLike, correct: float
) -> float:
    """The standard error of ρ Δ(raw) + (1 − ρ) Δ(correct), the guesses taken as sampled.

    Delta method: counts multinomial within each arm. At ρ = 1 this is the usual standard error of
    a difference of two means (with divisor n).
    """
    counts, means = six(n, "counts"), np.nan_to_num(six(mean, "means", empty=np.nan))

    def value(at: NDArray) -> NDArray:
        shares = _composition_vector(at, correct)
        return mixture * _raw(at) + (1 - mixture) * _contrast(shares)

    a = np.real(value(counts.astype(complex)))
    slope = np.zeros(6)
    for k in np.flatnonzero(counts > 0):
        step = counts.astype(complex)
        step[k] += 1e-30j
        slope[k] = np.imag(value(step) @ means) / 1e-30
    between = 0.0
    for arm in (_ACTIVE, ~_ACTIVE):
        total = counts[arm].sum()
        q, g = counts[arm] / total, slope[arm]
        between += total * float(q @ g**2 - (q @ g) ** 2)
    return float(np.sqrt(_within(a, counts, sd) + max(between, 0.0)))


def dirichlet_draws(
    n: ArrayLike,
    mean: ArrayLike,
    sd: ArrayLike,
    correct: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Draws of the raw difference and of Δ(correct).

    The composition is Dirichlet with the counts as its parameters (the Bayesian bootstrap), each
    stratum's mean normal around its estimate. Columns: raw, Δ.
    """
    counts, means = six(n, "counts"), np.nan_to_num(six(mean, "means", empty=np.nan))
    sds = np.nan_to_num(six(sd, "standard deviations", empty=np.nan))
    held = counts > 0
    shares = np.zeros((draws, 6))
    shares[:, held] = rng.dirichlet(counts[held], size=draws)
    drawn = means + rng.standard_normal((draws, 6)) * np.where(
        held, sds / np.sqrt(np.where(held, counts, 1)), 0.0
    )
    raw = np.array([_raw(p) @ m for p, m in zip(shares, drawn, strict=True)])
    at = np.array(
        [
            np.real(_contrast(_composition_vector(p, correct))) @ m
            for p, m in zip(shares, drawn, strict=True)
        ]
    )
    return raw, at


def stratum_sizes(n: ArrayLike, correct: float, *, legacy_rounding: bool = False) -> dict[str, int]:
    """How many of each stratum a resample of the same total holds at a rate of correct guesses."""
    _check_rate(correct)
    counts = six(n, "counts")
    comp = composition(counts, legacy_rounding=legacy_rounding)
    total = round(float(counts[:4].sum()))
    right = round(correct * total)
    plpl, acpl = round(right * comp.r), round((total - right) * comp.s)
    return {
        "ACAC": right - plpl,
        "ACPL": acpl,
        "PLAC": total - right - acpl,
        "PLPL": plpl,
    }


def six(values: ArrayLike, what: str, empty: float = 0.0) -> Array:
    """Four or six values in the order of `STRATA` as six."""
    array = np.asarray(values, float)
    if array.shape == (4,):
        return np.concatenate([array, [empty, empty]])
    if array.shape != (6,):
        raise InputError(
            f"The {what} must be four (ACAC, ACPL, PLAC, PLPL) or six (and ACU, PLU); "
            f"there are {array.size}."
        )
    return array


def _check_rate(correct: float) -> None:
    if not 0 <= correct <= 1:
        raise InputError(f"A rate of correct guesses lies between 0 and 1; {correct:g} does not.")


def _within(a: Array, n: ArrayLike, sd: ArrayLike) -> float:
    counts, sds = six(n, "counts"), six(sd, "standard deviations", empty=np.nan)
    used = a != 0
    if np.isnan(sds[used]).any() or np.any(sds[used] < 0) or np.any(counts[used] <= 0):
        raise NumericalError(
            "not_estimable", "A stratum that the contrast needs has no patients or no SD."
        )
    return float((a[used] ** 2 * sds[used] ** 2 / counts[used]).sum())


def _composition_vector(counts: NDArray, correct: float) -> NDArray:
    acac, acpl, plac, plpl, acu, plu = counts
    unknown = acu + plu
    t = acu / unknown if unknown != 0 else 0.5
    return np.array(
        [plpl / (acac + plpl), acpl / (acpl + plac), t, correct, unknown / counts.sum()]
    )


def _raw(counts: NDArray) -> NDArray:
    active, control = counts[_ACTIVE].sum(), counts[~_ACTIVE].sum()
    if active == 0 or control == 0:
        raise NumericalError("not_estimable", "One arm is empty.")
    return np.where(_ACTIVE, counts / active, -counts / control)


def _contrast(shares: NDArray) -> NDArray:
    r, s, t, c, u = shares
    weights = np.array(
        [
            (1 - u) * c * (1 - r),
            (1 - u) * (1 - c) * s,
            (1 - u) * (1 - c) * (1 - s),
            (1 - u) * c * r,
            u * t,
            u * (1 - t),
        ]
    )
    active, control = weights[_ACTIVE].sum(), weights[~_ACTIVE].sum()
    if active == 0 or control == 0:
        raise NumericalError(
            "not_estimable", "At this rate of correct guesses one arm would be empty."
        )
    return np.where(_ACTIVE, weights / active, -weights / control)
