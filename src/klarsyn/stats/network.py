"""Network meta-analysis in arrays: studies with any number of arms, one heterogeneity variance.

The covariance of a study's contrasts is V + tau² D, D having 1 on and ½ off the diagonal. Both
matrices are made diagonal at once, so the network becomes independent observations with variances
`spread` + tau², and nothing depends on which arm or treatment is called the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.scalar_heterogeneity import estimate_tau2

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]
Index = NDArray[np.intp]


class StudyContrasts(NamedTuple):
    """A study's arms (treatment numbers), effects of the later arms against the first, and V."""

    arms: tuple[int, ...]
    effects: Vector
    covariance: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoupled:
    """Independent observations: y = X d + noise of variance `spread` + tau².

    X (observations × treatments) has rows that sum to zero; `study` numbers each row's study.
    `groups` keeps, by number of arms: study numbers, arms, and the covariances V of the contrasts.
    """

    y: Vector
    X: Matrix
    spread: Vector
    study: Index
    groups: tuple[tuple[Index, Index, Matrix], ...]
    treatments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSolution:
    """Effects of all treatments about their mean, and their covariance (a Laplacian's inverse).

    `Q` is the weighted residual sum of squares at the given tau².
    """

    effects: Vector
    covariance: Matrix
    Q: float
    df: int
    tau2: float


def decouple(studies: Sequence[StudyContrasts], treatments: int) -> Decoupled:
    """The network as independent observations."""
    groups: dict[int, list[int]] = {}
    for number, study in enumerate(studies):
        groups.setdefault(len(study.arms), []).append(number)
    ys, Xs, spreads, numbers, kept = [], [], [], [], []
    for size, members in sorted(groups.items()):
        arms = np.array([studies[m].arms for m in members])
        y = np.stack([studies[m].effects for m in members])
        V = np.stack([studies[m].covariance for m in members])
        X = np.zeros((len(members), size - 1, treatments))
        row = np.arange(len(members))[:, None]
        X[row, np.arange(size - 1), arms[:, 1:]] = 1.0
        X[row, np.arange(size - 1), arms[:, :1]] = -1.0
        half = np.linalg.inv(np.linalg.cholesky(0.5 * np.eye(size - 1) + 0.5))
        values, vectors = np.linalg.eigh(half @ V @ half.T)
        turn = vectors.transpose(0, 2, 1) @ half
        ys.append((turn @ y[:, :, None]).ravel())
        Xs.append((turn @ X).reshape(-1, treatments))
        spreads.append(values.ravel())
        numbers.append(np.repeat(members, size - 1))
        kept.append((np.array(members), arms, V))
    return Decoupled(
        y=np.concatenate(ys),
        X=np.concatenate(Xs),
        spread=np.concatenate(spreads),
        study=np.concatenate(numbers),
        groups=tuple(kept),
        treatments=treatments,
    )


def solve(network: Decoupled, tau2: float) -> NetworkSolution:
    """Weighted least squares at a given tau²; the network must be connected."""
    w = 1 / (network.spread + tau2)
    WX = w[:, None] * network.X
    covariance = pseudo_inverse(network.X.T @ WX)
    effects = covariance @ (WX.T @ network.y)
    residual = network.y - network.X @ effects
    return NetworkSolution(
        effects=effects,
        covariance=covariance,
        Q=float((w * residual**2).sum()),
        df=len(network.y) - network.treatments + 1,
        tau2=tau2,
    )


def pseudo_inverse(laplacian: Matrix) -> Matrix:
    """Inverse of a connected Laplacian on the space orthogonal to the constant."""
    count = len(laplacian)
    size = np.trace(laplacian) / max(count, 1)
    return np.linalg.inv(laplacian + size / count) - 1 / (size * count)


def heterogeneity(network: Decoupled, estimator: str) -> tuple[float, Certificate]:
    """tau² by DL, PM, ML or REML with its certificate."""
    return estimate_tau2(network.y, network.X[:, 1:], network.spread, estimator)


def laplacians(network: Decoupled, tau2: float) -> tuple[Index, Index, Vector, Index]:
    """Every study's weights at tau²: tail, head, weight and study of each pair of its arms.

    A study of a arms gives a(a − 1)/2 pairs whose Laplacian is the study's information; the
    weights of a multi-arm study are the reduced weights of Rücker (2012).
    """
    tails, heads, weights, numbers = [], [], [], []
    for members, arms, V in network.groups:
        size = arms.shape[1]
        D = 0.5 * np.eye(size - 1) + 0.5
        W = np.linalg.inv(V + tau2 * D)
        basic = np.concatenate([-np.ones((size - 1, 1)), np.eye(size - 1)], axis=1)
        L = basic.T @ W @ basic
        i, j = np.triu_indices(size, 1)
        tails.append(arms[:, i].ravel())
        heads.append(arms[:, j].ravel())
        weights.append(-L[:, i, j].ravel())
        numbers.append(np.repeat(members, len(i)))
    return (
        np.concatenate(tails),
        np.concatenate(heads),
        np.concatenate(weights),
        np.concatenate(numbers),
    )


def pairwise_contrasts(network: Decoupled, studies: Sequence[StudyContrasts]) -> dict[str, NDArray]:
    """Every pair of arms of every study: lower treatment, higher, effect, variance, study."""
    low, high, effect, variance, number = [], [], [], [], []
    for which, study in enumerate(studies):
        value = np.append(0.0, study.effects)
        V = np.zeros((len(value), len(value)))
        V[1:, 1:] = study.covariance
        for i in range(len(value)):
            for j in range(i + 1, len(value)):
                a, b = study.arms[i], study.arms[j]
                sign = 1.0 if a < b else -1.0
                low.append(min(a, b))
                high.append(max(a, b))
                effect.append(sign * (value[i] - value[j]))
                variance.append(V[i, i] + V[j, j] - 2 * V[i, j])
                number.append(which)
    return {
        "low": np.array(low),
        "high": np.array(high),
        "effect": np.array(effect),
        "variance": np.array(variance),
        "study": np.array(number),
    }
