"""Boundaries for looking repeatedly at accumulating evidence: the error is spent as it grows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError
from klarsyn.stats.roots import bracketed_root

Array = NDArray[np.float64]
_POINTS = 2001  # of Simpson's rule over the region where nothing was concluded
_FAR = 12.0  # standard deviations: beyond it the normal density is below 1e-32


def spent(fraction: ArrayLike, alpha: float = 0.05, *, sides: int = 2) -> Array:
    """Error spent by an information fraction: 2 − 2Φ(z / √t) on each side, O'Brien–Fleming's way.

    z is the quantile of half the error of one side, so that alpha / `sides` is spent there at 1;
    beyond 1 nothing more is. Lan and DeMets 1983 (Biometrika 70:659), as ldbounds and gsDesign.
    """
    from scipy import special

    _check_level(alpha, sides)
    t = np.minimum(np.asarray(fraction, dtype=float), 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(
            sides * 2 * special.ndtr(special.ndtri(alpha / sides / 2) / np.sqrt(t)), dtype=float
        )


def boundaries(fractions: Sequence[float], alpha: float = 0.05, *, sides: int = 2) -> Array:
    """|z| (or z, with one side) that each look must reach, for information fractions that rise.

    Recursive integration of Armitage, McPherson and Rowe 1969. A look at which too little error is
    to spend (below 1e-30) has an infinite boundary; looks beyond a fraction of 1 spend what is
    left.
    """
    _check_level(alpha, sides)
    t = np.asarray(fractions, dtype=float)
    if (
        t.ndim != 1
        or not t.size
        or not np.isfinite(t).all()
        or t[0] <= 0
        or (np.diff(t) <= 0).any()
    ):
        raise InputError(
            "Information fractions must rise from above 0, one for each look; got "
            f"{', '.join(f'{x:g}' for x in np.atleast_1d(t))}."
        )
    increments = np.diff(spent(t, alpha, sides=sides), prepend=0.0)
    found = np.full(t.size, np.inf)
    grid, mass = np.zeros(1), np.ones(1)  # where the path stands, and with what probability
    for look, (now, before, share) in enumerate(
        zip(t, np.r_[0.0, t[:-1]], increments, strict=True)
    ):
        step = float(np.sqrt(now - before))
        if share > 1e-30:
            found[look] = _crossing(grid, mass, step, float(np.sqrt(now)), share, sides)
        if look + 1 < t.size:
            top = min(found[look], _FAR) * np.sqrt(now)
            bottom = -top if sides == 2 else -_FAR * np.sqrt(now)
            points = np.linspace(bottom, top, _POINTS)
            density = np.exp(-0.5 * ((points[:, None] - grid) / step) ** 2) @ mass
            density /= step * np.sqrt(2 * np.pi)
            grid, mass = points, density * _simpson(points[1] - points[0])
    return found


def _crossing(
    grid: Array, mass: Array, step: float, scale: float, share: float, sides: int
) -> float:
    from scipy import special

    def surplus(z: float) -> float:
        tail = special.ndtr((grid - z * scale) / step)
        if sides == 2:
            tail = tail + special.ndtr((-z * scale - grid) / step)
        return float(mass @ tail) - share

    if surplus(0.0) < 0:  # less is left on the way than may be spent: any result crosses
        return 0.0
    return bracketed_root(surplus, 0.0, 40.0)


def _simpson(width: float) -> Array:
    weights = np.full(_POINTS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return weights * width / 3


def _check_level(alpha: float, sides: int) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"Alpha lies between 0 and 1; {alpha:g} does not.")
    if sides not in (1, 2):
        raise InputError(f"A test has 1 or 2 sides; {sides} is neither.")
