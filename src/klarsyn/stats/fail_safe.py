"""Fail-safe numbers: how many null results would undo a finding. Shown because readers ask."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from klarsyn.errors import InputError, unknown_name

Array = np.ndarray

KINDS = ("Rosenthal", "Orwin", "Rosenberg")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailSafe:
    """`number` unseen studies; 0 where the finding does not reach the target to begin with."""

    kind: str
    number: int
    target: float
    method: str


def fail_safe(
    y: Array, v: Array, *, kind: str = "Rosenthal", alpha: float = 0.05,
    target: float | None = None, weighted: bool = False,
) -> FailSafe:  # fmt: skip
    """The fail-safe N of one kind.

    Rosenthal 1979: null results that lift the one-sided combined p (Stouffer) to alpha. Orwin
    1983: null results that bring the mean (weighted by 1/v if asked) down to `target`, half the
    mean if left out. Rosenberg 2005: results of mean weight that lift the common-effect p to alpha.
    """
    k = len(y)
    if kind == "Rosenthal":
        z = float((y / np.sqrt(v)).sum())
        number = z**2 / float(special.ndtri(1 - alpha)) ** 2 - k
        return _result(kind, number, alpha, "sum of z-values")
    if kind == "Orwin":
        mean = float(np.average(y, weights=1 / v if weighted else None))
        goal = mean / 2 if target is None else target
        if goal == 0 or (goal > 0) != (mean > 0):
            raise InputError(
                f"Orwin's target {goal:g} is not between 0 and the mean effect {mean:g}."
            )
        return _result(kind, k * (mean - goal) / goal, goal, f"weighted {weighted}")
    if kind == "Rosenberg":
        w = 1 / v
        critical = float(special.ndtri(1 - alpha / 2))
        number = (float((w * y).sum()) ** 2 / critical**2 - w.sum()) / w.mean()
        return _result(kind, number, alpha, "common effect")
    raise unknown_name("fail-safe number", kind, KINDS)


def _result(kind: str, number: float, target: float, method: str) -> FailSafe:
    return FailSafe(kind=kind, number=max(0, math.ceil(number)), target=target, method=method)
