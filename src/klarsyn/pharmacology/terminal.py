"""The terminal line of a profile, and when what rests on it should not be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LEAST_TERMINAL = 3
# Above or below these a terminal slope or an infinite area is commonly not accepted (the defaults
# of PKNCA: max.aucinf.pext, min.span.ratio, min.hl.r.squared; 20 % also in EMA's guideline on
# bioequivalence, CPMP/EWP/QWP/1401/98 Rev. 1).
MOST_BEYOND = 0.2
LEAST_HALF_LIVES = 2.0
LEAST_FIT = 0.9


@dataclass(frozen=True, slots=True)
class Line:
    """ln(c / last level) = level - slope (t - centre), through the last `points`.

    `span` is the time from the first of them to the last.
    """

    slope: float
    points: int
    fit: float
    level: float
    centre: float
    span: float


def terminal_line(t: np.ndarray, c: np.ndarray, peak: int) -> Line | None:
    """The line through the last points with the highest adjusted R² (see `analyse_profile`)."""
    usable = np.flatnonzero((np.arange(len(t)) > peak) & (c > 0))
    logs = np.zeros(len(t))
    if len(usable):
        logs[usable] = _logs(c[usable], float(c[-1]))
    lines = [
        _line(t[usable[-count:]], logs[usable[-count:]])
        for count in range(LEAST_TERMINAL, len(usable) + 1)
    ]
    falling = [line for line in lines if line.slope > 0]
    if not falling:
        return None
    best = max(line.fit for line in falling)
    return [line for line in falling if line.fit >= best - 1e-4][-1]


def _logs(c: np.ndarray, unit: float) -> np.ndarray:
    """ln(c / unit), with the digits of c - unit where the two are near."""
    off = (c - unit) / unit
    return np.where(abs(off) < 0.5, np.log1p(np.maximum(off, -0.5)), np.log(c) - math.log(unit))


def _line(x: np.ndarray, y: np.ndarray) -> Line:
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    total, off = float(dy @ dy), dy - slope * dx
    unexplained = float(off @ off) / total if total > 0 else 1.0
    fit = 1 - unexplained * (len(x) - 1) / (len(x) - 2)
    return Line(-slope, len(x), fit, float(y.mean()), float(x.mean()), float(x[-1] - x[0]))


def cautions_on(
    line: Line | None, beyond: float | None, *, steady: bool = False
) -> tuple[str, ...]:
    """Why a half-life or an infinite area of which the share `beyond` is extrapolated is weak.

    In a profile at steady state (`steady`) the infinite area holds what earlier doses left.
    """
    if line is None:
        return ()
    said = []
    lives = line.span * line.slope / math.log(2)
    if lives < LEAST_HALF_LIVES:
        said.append(
            f"the half-life comes from points that span {lives:.2g} of it (fewer than "
            f"{LEAST_HALF_LIVES:g}): the real one may be longer"
        )
    if line.fit < LEAST_FIT:
        said.append(
            f"the terminal line fits badly (adjusted R² {line.fit:.2f}, below {LEAST_FIT:g})"
        )
    if steady:
        said.append(
            "at steady state the area to infinity holds what earlier doses left: clearance and "
            "volumes from it are too small, so take the clearance of the interval"
        )
    elif beyond is not None and beyond > MOST_BEYOND:
        said.append(
            f"{100 * beyond:.0f} % of the area to infinity lies beyond the last level (more than "
            f"{100 * MOST_BEYOND:.0f} %): it, clearance and volumes rest on the extrapolation"
        )
    return tuple(said)
