"""The exponential of a rate matrix, each entry to nearly full relative accuracy."""

from __future__ import annotations

import numpy as np

from klarsyn.errors import NumericalError

MOST_SQUARINGS = 60
TERMS = 20


def exponential(matrix: np.ndarray) -> np.ndarray:
    """exp(matrix) for one matrix or a stack (..., d, d); defective matrices need no care.

    A matrix without negative off-diagonal entries (every compartment graph) is shifted to a
    nonnegative one, whose Taylor series has no cancellation: every entry keeps its relative
    accuracy, also those that are tiny (Xue & Ye 2008, Numer. Math. 110:393). Any other matrix
    goes through scipy's Padé approximation, accurate in norm.
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
    d = matrix.shape[-1]
    index = np.arange(d)
    shift = -matrix[..., index, index].min(axis=-1)
    shifted = matrix.copy()
    shifted[..., index, index] += shift[..., None]
    norm = float(np.max(shifted.sum(axis=-2), initial=0.0))
    norm = max(norm, float(np.max(np.abs(shift), initial=0.0)))
    squarings = max(0, int(np.ceil(np.log2(norm))) + 1) if norm > 0 else 0
    if squarings > MOST_SQUARINGS:
        raise NumericalError(
            "degenerate",
            f"Rate constants times the interval reach {norm:.3g}; beyond 2^{MOST_SQUARINGS} no "
            f"exponential is computed. Check units and volumes.",
        )
    scale = 2.0**-squarings
    term = shifted * scale
    total = np.broadcast_to(np.eye(d), matrix.shape) + term
    for k in range(2, TERMS + 1):
        term = term @ shifted * (scale / k)
        total = total + term
    total = total * np.exp(-shift * scale)[..., None, None]
    for _ in range(squarings):
        total = total @ total
    return total
