"""Sampling covariance of a study's several effects, from known or assumed correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]


def assumed_covariance(
    variance: Sequence[float] | Vector,
    cluster: Sequence[Any],
    *,
    rho: float | None = None,
    kind: Sequence[Any] | None = None,
    kind_rho: float | Mapping[tuple[Any, Any], float] | None = None,
    time: Sequence[float] | Vector | None = None,
    phi: float | None = None,
    groups: tuple[Sequence[Any], Sequence[Any]] | None = None,
    sizes: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Matrix:
    """Covariance matrix with the given variances; effects of different clusters are independent.

    The correlation of two effects of a cluster is the product of what is given: `rho`, or between
    effects of different `kind` (outcomes, scales) `kind_rho` in its place, one number or one per
    pair of kinds; `phi`^|difference of `time`|; and what shared patients imply, when `groups` gives
    the treated and the comparison group of each effect and `sizes` their numbers of patients.

    Raises InputError for correlations outside −1 to 1, for clusters of several effects with nothing
    given, and where the result is indefinite (naming the cluster).
    """
    v = np.asarray(variance, dtype=float)
    n = v.size
    if not (np.isfinite(v).all() and (v > 0).all()):
        raise InputError("Every sampling variance must be a finite number above 0.")
    labels = _column("cluster", cluster, n)
    if rho is None and kind is None and time is None and groups is None:
        raise InputError(
            "Say how effects correlate: rho, kind with kind_rho, time with phi, groups."
        )
    same = np.array([[a == b for b in labels] for a in labels])
    R = np.ones((n, n))
    if rho is not None:
        R *= np.where(np.eye(n, dtype=bool), 1.0, _correlation("rho", rho))
    if kind is not None:
        labelled = _column("kind", kind, n)
        other = np.array([[a != b for b in labelled] for a in labelled])
        R = np.where(other, _kinds(labelled, kind_rho), R)
    if time is not None:
        if phi is None:
            raise InputError("`time` needs phi, the correlation of effects one unit of time apart.")
        at = np.asarray(time, dtype=float)
        if at.shape != (n,) or not np.isfinite(at).all():
            raise InputError(f"`time` needs {n} finite numbers.")
        if phi < 0:
            raise InputError(f"phi must lie between 0 and 1, not {phi:g}.")
        R *= _correlation("phi", phi) ** np.abs(np.subtract.outer(at, at))
    if groups is not None:
        R *= _shared_patients(groups, sizes, n)
    V = np.where(same, R, 0.0) * np.sqrt(np.outer(v, v))
    np.fill_diagonal(V, v)
    _require_positive(V, labels)
    return V


def _column(name: str, values: Sequence[Any], n: int) -> list[Any]:
    column = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if len(column) != n:
        raise InputError(f"`{name}` has {len(column)} values for {n} effects.")
    return column


def _correlation(name: str, value: float) -> float:
    if not -1 <= value <= 1:
        raise InputError(f"{name} must lie between -1 and 1, not {value:g}.")
    return float(value)


def _kinds(kinds: list[Any], given: float | Mapping[tuple[Any, Any], float] | None) -> Matrix:
    if given is None:
        raise InputError("`kind` needs kind_rho, the correlation of effects of different kinds.")
    if not isinstance(given, Mapping):
        other = _correlation("kind_rho", given)
        return np.array([[1.0 if a == b else other for b in kinds] for a in kinds])
    out = np.ones((len(kinds), len(kinds)))
    for i, a in enumerate(kinds):
        for j, b in enumerate(kinds):
            if a == b:
                continue
            value = given.get((a, b), given.get((b, a)))
            if value is None:
                raise InputError(f"kind_rho gives no correlation of {a} with {b}.")
            out[i, j] = _correlation(f"kind_rho of {a} with {b}", value)
    return out


def _shared_patients(
    groups: tuple[Sequence[Any], Sequence[Any]],
    sizes: tuple[Sequence[float], Sequence[float]] | None,
    n: int,
) -> Matrix:
    """Correlation of two differences of group means with equal standard deviations."""
    treated, control = (_column("groups", g, n) for g in groups)
    if sizes is None:
        raise InputError("`groups` needs sizes: the patients of each effect's two groups.")
    one, two = (np.asarray(s, dtype=float) for s in sizes)
    if one.shape != (n,) or two.shape != (n,) or not ((one > 0).all() and (two > 0).all()):
        raise InputError(f"`sizes` needs {n} numbers above 0 for each of the two groups.")

    def shared(a: list[Any], b: list[Any], p: Vector, q: Vector) -> Matrix:
        return np.array([[x == y for y in b] for x in a]) / np.sqrt(np.outer(p, q))

    covariance = shared(treated, treated, one, one) + shared(control, control, two, two)
    covariance -= shared(treated, control, one, two) + shared(control, treated, two, one)
    sd = np.sqrt(1 / one + 1 / two)
    return covariance / np.outer(sd, sd)


def _require_positive(V: Matrix, labels: list[Any]) -> None:
    for label in dict.fromkeys(labels):
        rows = [i for i, x in enumerate(labels) if x == label]
        block = V[np.ix_(rows, rows)]
        sd = np.sqrt(np.diag(block))
        if np.linalg.eigvalsh(block / np.outer(sd, sd))[0] < -1e-10:
            raise InputError(
                f"Cluster {label}: these correlations are impossible together (the covariance is "
                f"not positive definite). Is a correlation too extreme?"
            )
