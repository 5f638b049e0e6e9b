"""Covariance matrices of random effects as smooth functions of a few bounded parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import unknown_name

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

STRUCTURES = ("ID", "DIAG", "CS", "HCS", "AR", "HAR", "CAR", "UN")
NEEDS_TIME = ("AR", "HAR", "CAR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A family of k × k covariance matrices.

    `elements(phi)` gives the distinct linear elements γ and their derivative by the parameters φ;
    `masks` (one k × k matrix each) put the elements into the matrix: G = Σ γ_a masks_a.
    `start(variance, correlation)` is a plausible φ.
    """

    name: str
    parameters: tuple[str, ...]
    lower: Vector
    upper: Vector
    masks: NDArray[np.floating]
    elements: Callable[[Vector], tuple[Vector, Matrix]]
    start: Callable[[float, float], Vector]

    def matrix(self, phi: Vector) -> Matrix:
        """The covariance matrix at φ."""
        return np.tensordot(self.elements(phi)[0], self.masks, 1)


def structure(name: str, size: int, times: Vector | None = None) -> Structure:
    """The family of that name for `size` inner levels; `times` of the levels for AR, HAR, CAR.

    ID: one variance. DIAG: a variance per level. CS: one variance, one correlation. HCS: a
    standard deviation per level, one correlation. AR, HAR: correlation rho^|lag| with integer
    lags; CAR: real lags, rho ≥ 0. UN: unstructured, through its Cholesky factor.

    Raises UnknownNameError.
    """
    if name not in STRUCTURES:
        raise unknown_name("covariance structure", name, STRUCTURES)
    eye = np.eye(size)
    if name == "ID" or (size == 1 and name in ("CS", "AR", "CAR", "UN")):
        return _linear(name, ("tau2",), eye[None])
    if name == "DIAG" or (size == 1 and name in ("HCS", "HAR")):
        masks = np.stack([np.outer(row, row) for row in eye])
        return _linear(name, tuple(f"tau2[{i + 1}]" for i in range(size)), masks)
    lags = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(float)
    if name in NEEDS_TIME and times is not None:
        lags = np.abs(np.subtract.outer(times, times))
    if name == "CS":
        return _one_variance(name, np.where(eye > 0, 0.0, 1.0), -1 / (size - 1))
    if name in ("AR", "CAR"):
        return _one_variance(name, lags, 0.0 if name == "CAR" else -1.0)
    if name == "HCS" or (name == "UN" and size == 2):
        low = -1 / (size - 1)
        return _many_variances(name, np.where(eye > 0, 0.0, 1.0), low)
    if name == "HAR":
        return _many_variances(name, lags, -1.0)
    return _unstructured(size)


def _linear(name: str, names: tuple[str, ...], masks: NDArray[np.floating]) -> Structure:
    count = len(names)
    return Structure(
        name=name,
        parameters=names,
        lower=np.zeros(count),
        upper=np.full(count, np.inf),
        masks=masks,
        elements=lambda phi: (phi, np.eye(count)),
        start=lambda v, r: np.full(count, v),
    )


def _power(rho: float, lag: Vector) -> tuple[Vector, Vector]:
    """rho^lag and its derivative, with 0^0 = 1; a negative rho keeps its sign at odd lags only."""
    size = max(abs(rho), 1e-300)
    sign = np.sign(rho) or 1.0
    safe = np.where(lag == 0, 1.0, lag)
    value = np.where(lag == 0, 1.0, np.where(lag % 2 == 1, sign, 1.0) * abs(rho) ** safe)
    turn = np.where((lag - 1) % 2 == 1, sign, 1.0)
    slope = np.where(lag == 0, 0.0, safe * turn * size ** np.maximum(safe - 1, -0.5))
    return value, slope


def _one_variance(name: str, lags: Matrix, low: float) -> Structure:
    distinct = np.unique(lags)
    masks = np.stack([(lags == d).astype(float) for d in distinct])

    def elements(phi: Vector) -> tuple[Vector, Matrix]:
        tau2, rho = phi
        value, slope = _power(rho, distinct)
        return tau2 * value, np.stack([value, tau2 * slope], axis=1)

    return Structure(
        name=name,
        parameters=("tau2", "rho"),
        lower=np.array([0.0, low]),
        upper=np.array([np.inf, 1.0]),
        masks=masks,
        elements=elements,
        start=lambda v, r: np.array([v, max(r, 0.9 * low)]),
    )


def _many_variances(name: str, lags: Matrix, low: float) -> Structure:
    size = len(lags)
    rows, cols = np.tril_indices(size)
    masks = _pair_masks(size, rows, cols)
    lag = lags[rows, cols]

    def elements(phi: Vector) -> tuple[Vector, Matrix]:
        tau, rho = phi[:size], phi[size]
        value, slope = _power(rho, lag)
        jacobian = np.zeros((rows.size, size + 1))
        each = np.arange(rows.size)
        np.add.at(jacobian, (each, rows), tau[cols] * value)
        np.add.at(jacobian, (each, cols), tau[rows] * value)
        jacobian[:, size] = tau[rows] * tau[cols] * slope
        return tau[rows] * tau[cols] * value, jacobian

    return Structure(
        name=name,
        parameters=(*(f"tau[{i + 1}]" for i in range(size)), "rho"),
        lower=np.append(np.zeros(size), low),
        upper=np.append(np.full(size, np.inf), 1.0),
        masks=masks,
        elements=elements,
        start=lambda v, r: np.append(np.full(size, np.sqrt(v)), max(r, 0.9 * low)),
    )


def _unstructured(size: int) -> Structure:
    rows, cols = np.tril_indices(size)
    masks = _pair_masks(size, rows, cols)

    def elements(phi: Vector) -> tuple[Vector, Matrix]:
        factor = np.zeros((size, size))
        factor[rows, cols] = phi
        value = (factor @ factor.T)[rows, cols]
        jacobian = np.zeros((rows.size, rows.size))
        for at, (i, m) in enumerate(zip(rows, cols, strict=True)):
            # d(LL')_jl / dL_im = [j = i] L_lm + [l = i] L_jm
            jacobian[:, at] = (rows == i) * factor[cols, m] + (cols == i) * factor[rows, m]
        return value, jacobian

    def start(v: float, r: float) -> Vector:
        rho = max(r, -0.9 / (size - 1))
        shared = v * ((1 - rho) * np.eye(size) + rho)
        return np.linalg.cholesky(shared)[rows, cols]

    return Structure(
        name="UN",
        parameters=tuple(f"factor[{i + 1},{j + 1}]" for i, j in zip(rows, cols, strict=True)),
        # A column's sign is free: a wall at 0 would trap a descent on the saddle there.
        lower=np.full(rows.size, -np.inf),
        upper=np.full(rows.size, np.inf),
        masks=masks,
        elements=elements,
        start=start,
    )


def _pair_masks(size: int, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.floating]:
    masks = np.zeros((rows.size, size, size))
    each = np.arange(rows.size)
    masks[each, rows, cols] = 1.0
    masks[each, cols, rows] = 1.0
    return masks
