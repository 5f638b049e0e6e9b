"""Closed forms: the exponentials of one to three compartments and of a metabolite behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from klarsyn.errors import InputError

SEPARATE = 1e-5  # rates closer than this, relative, leave fewer than ten digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Responses to a unit bolus as sums of exponentials, one row an individual.

    Concentration k at time t is Σ_m `weights[k, :, m]` exp(-`rates[:, m]` t). `separate` is False
    where rates nearly coincide and the sums lose digits: solve those individuals exactly.
    """

    rates: np.ndarray
    weights: np.ndarray
    separate: np.ndarray


def disposition(
    clearance: np.ndarray,
    volume: np.ndarray,
    exchanges: tuple[tuple[np.ndarray, np.ndarray], ...] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Rates (n, m) and weights (n, m) of the central concentration after a unit bolus.

    `exchanges` are (intercompartmental clearance, peripheral volume), up to two. The eigenvalues
    are the roots of a quadratic or a cubic in trigonometric form, the smallest from the product
    of all, then polished; the weights follow Gibaldi & Perrier (1982), chapter 2.
    """
    if len(exchanges) > 2:
        raise InputError("closed forms exist here for one to three compartments. Use solve().")
    k10 = np.asarray(clearance, float) / volume
    out = [np.asarray(q / volume, float) for q, _ in exchanges]
    back = [np.asarray(q / v, float) for q, v in exchanges]
    if not exchanges:
        rates = k10[..., None]
    elif len(exchanges) == 1:
        rates = _quadratic(k10 + out[0] + back[0], k10 * back[0])
    else:
        rates = _cubic(k10, out, back)
    weights = np.empty_like(rates)
    for i in range(rates.shape[-1]):
        top = 1.0 / np.asarray(volume, float)
        for k in back:
            top = top * (k - rates[..., i])
        for j in range(rates.shape[-1]):
            if j != i:
                with np.errstate(all="ignore"):
                    top = top / (rates[..., j] - rates[..., i])
        weights[..., i] = top
    return rates, weights


def _quadratic(total: np.ndarray, product: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(total * total - 4 * product, 0.0))
    large = (total + root) / 2
    return np.stack([large, product / large], axis=-1)


def _cubic(k10: np.ndarray, out: list[np.ndarray], back: list[np.ndarray]) -> np.ndarray:
    k12, k13, k21, k31 = out[0], out[1], back[0], back[1]
    a2 = k10 + k12 + k13 + k21 + k31
    a1 = k10 * k31 + k21 * k31 + k21 * k13 + k10 * k21 + k31 * k12
    a0 = k10 * k21 * k31
    p = np.maximum(a2 * a2 / 3 - a1, 0.0)
    q = 2 * a2**3 / 27 - a1 * a2 / 3 + a0
    size = 2 * np.sqrt(p / 3)
    with np.errstate(all="ignore"):
        angle = np.arccos(np.clip(np.where(p > 0, 3 * q / (p * size), 0.0), -1, 1)) / 3
    roots = [
        a2 / 3 + size * np.cos(angle + shift) for shift in (0.0, 2 * np.pi / 3, -2 * np.pi / 3)
    ]
    ordered = -np.sort(-np.stack(roots, axis=-1), axis=-1)
    ordered[..., 2] = a0 / (ordered[..., 0] * ordered[..., 1])
    return _polished(ordered, a2, a1, a0)


def _polished(roots: np.ndarray, a2: np.ndarray, a1: np.ndarray, a0: np.ndarray) -> np.ndarray:
    b2, b1, b0 = a2[..., None], a1[..., None], a0[..., None]
    for _ in range(2):
        value = ((roots - b2) * roots + b1) * roots - b0
        slope = (3 * roots - 2 * b2) * roots + b1
        with np.errstate(all="ignore"):
            step = value / slope
        roots = np.where(np.abs(step) < 1e-3 * roots, roots - step, roots)
    return roots


def parent_and_metabolite(
    *,
    clearance: np.ndarray,
    volume: np.ndarray,
    exchanges: tuple[tuple[np.ndarray, np.ndarray], ...],
    formed: np.ndarray,
    metabolite_clearance: np.ndarray,
    metabolite_volume: np.ndarray,
    metabolite_exchanges: tuple[tuple[np.ndarray, np.ndarray], ...] = (),
) -> Modes:
    """A parent given into its central compartment and the metabolite that it becomes.

    `formed` is the fraction of the parent's clearance that forms the metabolite. Arrays (n,), any
    consistent units; concentration 0 is the parent, 1 the metabolite.
    """
    rates, weights = disposition(clearance, volume, exchanges)
    slow, shares = disposition(metabolite_clearance, metabolite_volume, metabolite_exchanges)
    input_rate = np.asarray(formed * clearance, float)[..., None]
    gap = slow[..., None, :] - rates[..., :, None]
    with np.errstate(all="ignore"):
        parts = input_rate[..., None] * weights[..., :, None] * shares[..., None, :] / gap
    both = np.zeros((2, *rates.shape[:-1], rates.shape[-1] + slow.shape[-1]))
    m = rates.shape[-1]
    both[0, ..., :m] = weights
    both[1, ..., :m] = parts.sum(axis=-1)
    both[1, ..., m:] = -parts.sum(axis=-2)
    every = np.concatenate([rates, slow], axis=-1)
    return Modes(rates=every, weights=both, separate=_separate(every))


def _separate(rates: np.ndarray) -> np.ndarray:
    ordered = np.sort(rates, axis=-1)
    gaps = np.diff(ordered, axis=-1) / ordered[..., 1:]
    return np.all(gaps > SEPARATE, axis=-1)
