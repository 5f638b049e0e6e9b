"""Gaussian linear model whose covariance is known plus a linear combination of known patterns.

y ~ N(Xb, V + Σ γ_a A_a), V and all A_a block-diagonal in the same blocks. Blocks of like size are
computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError
from klarsyn.stats.bounded_newton import Certificate, Local, Minimum, certify, minimise

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]
Index = NDArray[np.intp]

LARGE = 32  # a single block of this size has its patterns as sparse matrices too


class Bucket(NamedTuple):
    """Blocks of at most n observations: `rows` (blocks × n) with −1 where a block is shorter.

    `sparse` holds the patterns of a single large block once more, as sparse matrices.
    """

    rows: Index
    y: Vector
    X: Matrix
    V: Matrix
    patterns: NDArray[np.floating]
    sparse: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The model in blocks, y and V rescaled by `unit` and X made orthonormal by `triangle`."""

    buckets: tuple[Bucket, ...]
    observations: int
    columns: int
    unit: float
    triangle: Matrix


class State(NamedTuple):
    """What a covariance implies: −2 log-likelihood without constants, coefficients, derivatives."""

    value: float
    b: Vector
    vcov: Matrix
    quadratic: float
    gradient: Vector
    curvature: Matrix
    scoring: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedFit:
    """Estimates of one model, in the units of the data; `phi` are the covariance parameters."""

    b: Vector
    vcov: Matrix
    phi: Vector
    log_likelihood: float
    certificate: Certificate
    method: str


PatternMaker = Callable[[Index, NDArray[np.bool_]], NDArray[np.floating]]


def build(y: Vector, X: Matrix, V: Matrix, blocks: Sequence[Index], maker: PatternMaker) -> Problem:
    """The problem from a vector or matrix V, index sets of independent blocks and their patterns.

    `maker(index, real)` gives the patterns (a × blocks × n × n) of a bucket; `real` marks where
    the index is not padding. Raises NumericalError `rank_deficient`.
    """
    unit = _unit(V)
    Q, triangle = np.linalg.qr(X)
    if X.shape[1] and np.min(np.abs(np.diag(triangle))) < 1e-10 * np.max(np.abs(triangle)):
        raise NumericalError(
            "rank_deficient",
            "The columns of the design are linearly dependent; drop a moderator or merge levels.",
        )
    buckets = []
    for index in _by_size(blocks):
        real = index >= 0
        both = real[:, :, None] & real[:, None, :]
        known = (
            V[np.maximum(index, 0)][:, :, None] * np.eye(index.shape[1])
            if V.ndim == 1
            else V[np.maximum(index, 0)[:, :, None], np.maximum(index, 0)[:, None, :]]
        )
        known = np.where(both, known / unit, np.eye(index.shape[1]))
        patterns = maker(index, real)
        buckets.append(
            Bucket(
                index,
                np.where(real, y[index], 0.0) / np.sqrt(unit),
                np.where(real[:, :, None], Q[index], 0.0),
                known,
                patterns,
                _sparse(patterns),
            )
        )
    return Problem(
        buckets=tuple(buckets),
        observations=len(y),
        columns=X.shape[1],
        unit=unit,
        triangle=triangle,
    )


def _sparse(patterns: NDArray[np.floating]) -> tuple[Any, ...] | None:
    count, blocks, n, _ = patterns.shape
    if blocks > 1 or n < LARGE or np.count_nonzero(patterns) > count * n * n / 4:
        return None
    from scipy.sparse import csr_array

    return tuple(csr_array(p[0]) for p in patterns)


def _times(W: Matrix, patterns: Sequence[Any]) -> NDArray[np.floating]:
    """W A of one block for every pattern; W and A are symmetric."""
    return np.stack([(A @ W).T[None] for A in patterns])


def _unit(V: Matrix) -> float:
    # A power of four: dividing by it (and its root) rounds nothing.
    typical = float(np.median(V if V.ndim == 1 else np.diag(V)))
    return 4.0 ** round(np.log2(typical) / 2)


def _by_size(blocks: Sequence[Index]) -> list[Index]:
    groups: dict[int, list[Index]] = {}
    for block in blocks:
        groups.setdefault(_ceiling(len(block)), []).append(block)
    out = []
    for members in groups.values():
        n = max(len(m) for m in members)
        index = np.full((len(members), n), -1)
        for row, m in enumerate(members):
            index[row, : len(m)] = m
        out.append(index)
    return out


def _ceiling(n: int) -> int:
    for size in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
        if n <= size:
            return size
    return n


def evaluate(problem: Problem, gamma: Vector, restricted: bool, order: int = 2) -> State | None:
    """The state at γ (in the problem's units); None where the covariance is not positive definite.

    `order` 0 leaves the derivatives empty.
    """
    inverses = []
    log_det = 0.0
    p = problem.columns
    XWX, XWy = np.zeros((p, p)), np.zeros(p)
    for bucket in problem.buckets:
        M = bucket.V + (gamma @ bucket.patterns.reshape(gamma.size, -1)).reshape(bucket.V.shape)
        try:
            factor = np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            return None
        log_det += 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum()
        W = np.linalg.inv(M)
        WX = W @ bucket.X
        rows = bucket.y.size
        flat = WX.reshape(rows, p)
        XWX += flat.T @ bucket.X.reshape(rows, p)
        XWy += flat.T @ bucket.y.ravel()
        inverses.append((W, WX))
    C, log_information = _inverse(XWX)
    b = C @ XWy
    value, quadratic = log_det, 0.0
    if restricted:
        value += log_information
    residuals = []
    for bucket, (W, _) in zip(problem.buckets, inverses, strict=True):
        e = bucket.y - bucket.X @ b
        r = (W @ e[:, :, None])[:, :, 0]
        quadratic += float((e * r).sum())
        residuals.append(r)
    value += quadratic
    if order == 0:
        empty = np.zeros(0)
        return State(value, b, C, quadratic, empty, empty, empty)
    gradient, curvature, scoring = _derivatives(problem, inverses, residuals, C, restricted)
    return State(value, b, C, quadratic, gradient, curvature, scoring)


def _inverse(A: Matrix) -> tuple[Matrix, float]:
    """Inverse and log-determinant; one column, the usual case, needs no factorisation."""
    if A.shape == (1, 1):
        return 1 / A, float(np.log(A[0, 0]))
    return np.linalg.inv(A), float(np.linalg.slogdet(A)[1])


def _derivatives(
    problem: Problem,
    inverses: list[tuple[Matrix, Matrix]],
    residuals: list[Vector],
    C: Matrix,
    restricted: bool,
) -> tuple[Vector, Matrix, Matrix]:
    """Derivatives of −2 log-likelihood by γ: gradient, observed and expected curvature."""
    count = problem.buckets[0].patterns.shape[0] if problem.buckets else 0
    p = problem.columns
    trace1, trace2 = np.zeros(count), np.zeros((count, count))
    F, cross = np.zeros((count, p, p)), np.zeros((count, count))
    score, data2, pulled = np.zeros(count), np.zeros((count, count)), np.zeros((count, p))
    for bucket, (W, WX), r in zip(problem.buckets, inverses, residuals, strict=True):
        A = bucket.patterns
        flat = A.reshape(count, -1)
        trace1 += flat @ W.ravel()
        WA = W @ A if bucket.sparse is None else _times(W[0], bucket.sparse)
        trace2 += WA.reshape(count, -1) @ WA.transpose(0, 1, 3, 2).reshape(count, -1).T
        u = (A @ r[None, :, :, None])[..., 0]
        score += (u * r).sum(axis=(1, 2))
        Wu = (W @ u[..., None])[..., 0]
        data2 += u.reshape(count, -1) @ Wu.reshape(count, -1).T
        pulled += u.reshape(count, r.size) @ WX.reshape(r.size, p)
        if restricted and p:
            AX = A @ WX
            F += WX.reshape(-1, p).T @ AX.reshape(count, -1, p)
            cross += (AX @ C).reshape(count, -1) @ (W @ AX).reshape(count, -1).T
    data2 -= pulled @ C @ pulled.T
    if restricted and p:
        CF = C @ F
        trace1 = trace1 - np.einsum("aii->a", CF)
        trace2 = trace2 - 2 * cross + np.einsum("aij,bji->ab", CF, CF)
    return trace1 - score, -trace2 + 2 * data2, trace2


Elements = Callable[[Vector], tuple[Vector, Matrix]]


def fit(
    problem: Problem,
    elements: Elements,
    starts: Sequence[Vector],
    lower: Vector,
    upper: Vector,
    names: Sequence[str],
    *,
    restricted: bool,
    first: int = 1,
) -> tuple[MixedFit, Minimum]:
    """Maximise the likelihood over φ (in the problem's units) from each start; keep the best.

    All starts are first ranked by their likelihood; `first` of them are followed to a maximum.
    Raises NumericalError `not_converged`.
    """

    local = objective(problem, elements, restricted)
    ends: list[Minimum] = []
    for start in _ranked(problem, elements, starts, restricted)[:first]:
        known = min(ends, key=lambda e: e.local.value) if ends else None
        ends.append(minimise(local, start, lower, upper, known))
    if not ends:
        raise NumericalError(
            "not_converged", "The covariance is not positive definite at any starting point."
        )
    best = min(ends, key=lambda e: e.local.value)
    state = evaluate(problem, elements(best.at)[0], restricted, order=0)
    assert state is not None
    certificate = certify(best, ends, names, (lower, upper))
    return _in_data_units(problem, state, best, certificate, restricted), best


def objective(
    problem: Problem, elements: Elements, restricted: bool
) -> Callable[[Vector], Local | None]:
    """−2 log-likelihood (without constants) as a function of φ, with derivatives."""

    def local(phi: Vector) -> Local | None:
        gamma, jacobian = elements(phi)
        state = evaluate(problem, gamma, restricted)
        if state is None:
            return None
        curvature = jacobian.T @ state.curvature @ jacobian
        curvature += _bend(elements, phi, state.gradient, jacobian)
        return Local(
            state.value,
            jacobian.T @ state.gradient,
            curvature,
            jacobian.T @ state.scoring @ jacobian,
        )

    return local


def _ranked(
    problem: Problem, elements: Elements, starts: Sequence[Vector], restricted: bool
) -> list[Vector]:
    if len(starts) == 1:
        return list(starts)
    values = []
    for start in starts:
        state = evaluate(problem, elements(start)[0], restricted, order=0)
        values.append(np.inf if state is None else state.value)
    order = np.argsort(values, kind="stable")
    return [starts[i] for i in order if np.isfinite(values[i])]


def _bend(elements: Elements, phi: Vector, gradient: Vector, jacobian: Matrix) -> Matrix:
    """Σ gradient_a ∂²γ_a/∂φ², by central differences of the exact Jacobian."""
    count = phi.size
    out = np.zeros((count, count))
    if jacobian.shape[0] == count and np.array_equal(jacobian, np.eye(count)):
        return out
    for i in range(count):
        step = np.zeros(count)
        step[i] = 1e-5 * max(1.0, abs(phi[i]))
        high, low = elements(phi + step)[1], elements(phi - step)[1]
        out[i] = gradient @ (high - low) / (2 * step[i])
    return (out + out.T) / 2


def _in_data_units(
    problem: Problem, state: State, best: Minimum, certificate: Certificate, restricted: bool
) -> MixedFit:
    n, p = problem.observations, problem.columns
    root = np.sqrt(problem.unit)
    back = np.linalg.inv(problem.triangle) if p else np.zeros((0, 0))
    freedom = n - p if restricted else n
    minus2 = state.value + freedom * np.log(2 * np.pi * problem.unit)
    return MixedFit(
        b=root * back @ state.b,
        vcov=problem.unit * back @ state.vcov @ back.T,
        phi=best.at,
        log_likelihood=float(-minus2 / 2),
        certificate=certificate,
        method="REML" if restricted else "ML",
    )
