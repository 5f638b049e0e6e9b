"""Dose–response curves that are linear in their coefficients, and the Emax curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, unknown_name

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

CURVES = ("linear", "quadratic", "spline")


def curve_columns(curve: str, dose: Vector, knots: Vector | None = None) -> Matrix:
    """Columns of a curve at the doses: the dose, its square, or the spline's further terms.

    spline: restricted cubic, linear beyond the outer knots, at least three knots; terms are
    divided by the squared distance of the outer knots (Harrell 2015, eq. 2.25).
    """
    x = np.asarray(dose, dtype=float)
    if curve == "linear":
        return x[:, None]
    if curve == "quadratic":
        return np.stack([x, x**2], axis=1)
    if curve != "spline":
        raise unknown_name("curve", curve, CURVES)
    t = np.unique(np.asarray([] if knots is None else knots, dtype=float))
    if len(t) < 3:
        raise InputError("A restricted cubic spline needs at least three different knots.")
    last, before = t[-1], t[-2]
    columns = [x]
    for knot in t[:-2]:
        term = np.maximum(x - knot, 0) ** 3
        term -= np.maximum(x - before, 0) ** 3 * (last - knot) / (last - before)
        term += np.maximum(x - last, 0) ** 3 * (before - knot) / (last - before)
        columns.append(term / (last - t[0]) ** 2)
    return np.stack(columns, axis=1)


def emax(dose: Vector, ed50: float) -> Vector:
    """Share of the maximal effect at each dose: dose / (ED50 + dose)."""
    x = np.asarray(dose, dtype=float)
    return x / (ed50 + x)


def emax_slope(dose: Vector, ed50: float) -> Vector:
    """Derivative of `emax` by log ED50."""
    x = np.asarray(dose, dtype=float)
    return -x * ed50 / (ed50 + x) ** 2
