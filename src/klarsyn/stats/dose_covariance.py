"""Covariance of a study's adjusted log relative risks, which share one reference group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError, unknown_name

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

DESIGNS = ("case-control", "incidence-rate", "cumulative-incidence")


def greenland_longnecker(
    effects: Vector, variances: Vector, cases: Vector, n: Vector, design: str
) -> Matrix:
    """Covariance of log relative risks against the first group.

    `effects` and `variances` (without the reference) are of adjusted log odds ratios, rate ratios
    or risk ratios; `cases` and `n` (with the reference first) the groups' cases and persons (or
    person-time). Cells with these margins that give exactly these effects (Greenland & Longnecker
    1992, Am J Epidemiol 135:1301) set the correlations, the variances stay as reported.

    Raises NumericalError `degenerate` where no such cells exist.
    """
    if design not in DESIGNS:
        raise unknown_name("study design", design, DESIGNS)
    fitted = _cells(effects, cases, n, design)
    inverse = 1 / fitted
    if design == "case-control":
        inverse = inverse + 1 / (n - fitted)
    elif design == "cumulative-incidence":
        inverse = inverse - 1 / n
    if not (inverse > 0).all():
        raise NumericalError(
            "degenerate", "The fitted cases exceed the persons of a dose group. Check cases and n."
        )
    crude = inverse[1:] + inverse[0]
    correlation = inverse[0] / np.sqrt(np.outer(crude, crude))
    np.fill_diagonal(correlation, 1.0)
    return correlation * np.sqrt(np.outer(variances, variances))


def _cells(effects: Vector, cases: Vector, n: Vector, design: str) -> Vector:
    relative = np.append(0.0, effects)
    total = float(cases.sum())
    if total <= 0 or (design == "case-control" and total >= n.sum()):
        raise NumericalError(
            "degenerate", "A study needs cases and, in a case-control design, controls too."
        )
    if design != "case-control":
        share = n * np.exp(relative - relative.max())
        return total * share / share.sum()
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    def surplus(log_odds: float) -> float:
        return float((n * expit(log_odds + relative)).sum()) - total

    middle = float(logit(total / n.sum()))
    wide = float(np.abs(relative).max()) + 1.0
    log_odds: Any = brentq(surplus, middle - wide, middle + wide, xtol=1e-14)
    return n * expit(log_odds + relative)
