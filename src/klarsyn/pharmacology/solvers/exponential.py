"""The exponential of a rate matrix, each entry to nearly full relative accuracy."""

from __future__ import annotations

import numpy as np

from klarsyn.errors import NumericalError

MOST_SQUARINGS = 60
WIDE = 13  # squarings from which on the products are carried in the machine's longest float
TERMS = 20


def exponential(matrix: np.ndarray) -> np.ndarray:
    """exp(matrix) for one matrix or a stack (..., d, d); defective matrices need no care.

    A matrix without negative off-diagonal entries (every compartment graph) is shifted to a
    nonnegative one, whose Taylor series has no cancellation: every entry keeps its relative
    accuracy, also those that are tiny (Xue & Ye 2008, Numer. Math. 110:393). Where the fastest
    rate times the interval is large, digits are lost in proportion; beyond 2^13 the work is done
    in the longest float of the machine (64-bit mantissa on x86), good to 1e-9 up to some 1e9. Any
    other matrix goes through scipy's Padé approximation, accurate in norm.
    """
    if matrix.size == 0:
        return np.zeros_like(matrix)
    if not np.all(np.isfinite(matrix)):
        raise NumericalError(
            "degenerate", "A rate constant is not finite. Look for a zero volume or a division."
        )
    if _is_metzler(matrix):
        return _nonnegative(matrix)
    from scipy.linalg import expm

    return expm(matrix)


def _is_metzler(matrix: np.ndarray) -> bool:
    off = matrix.copy()
    index = np.arange(matrix.shape[-1])
    off[..., index, index] = 0.0
    return bool(np.all(off >= 0))


def _nonnegative(matrix: np.ndarray) -> np.ndarray:
    """Each matrix of a stack by itself: what is beside it changes no digit."""
    d = matrix.shape[-1]
    flat = matrix.reshape(-1, d, d)
    index = np.arange(d)
    wide = np.abs(flat).sum(axis=-2).max(axis=-1) >= 2.0**WIDE
    if np.any(wide) and flat.dtype != np.longdouble:
        answer = np.empty_like(flat)
        answer[wide] = _nonnegative(flat[wide].astype(np.longdouble))
        if not np.all(wide):
            answer[~wide] = _nonnegative(flat[~wide])
        return answer.reshape(matrix.shape)
    shift = -flat[:, index, index].min(axis=-1)
    shifted = flat.copy()
    shifted[:, index, index] += shift[:, None]
    norm = np.maximum(shifted.sum(axis=-2).max(axis=-1), np.abs(shift))
    squarings = np.where(norm > 0, np.ceil(np.log2(np.where(norm > 0, norm, 1.0))) + 1, 0)
    squarings = np.maximum(squarings, 0).astype(int)
    if squarings.max() > MOST_SQUARINGS:
        raise NumericalError(
            "degenerate",
            f"Rate constants times the interval reach {norm.max():.3g}; beyond "
            f"2^{MOST_SQUARINGS} no exponential is computed. Check units and volumes.",
        )
    scale = 2.0**-squarings
    step = shifted * scale[:, None, None]
    term = step
    total = np.eye(d, dtype=flat.dtype) + term
    for k in range(2, TERMS + 1):
        term = term @ step / k
        total = total + term
    total = total * np.exp(-shift * scale)[:, None, None]
    for done in range(squarings.max()):
        further = squarings > done
        total[further] = total[further] @ total[further]
    return total.reshape(matrix.shape)
