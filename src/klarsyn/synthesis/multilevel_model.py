"""A multilevel model in blocks, with its covariance parameters and what they mean."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from klarsyn.stats import linear_mixed
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.synthesis.random_terms import CodedTerm

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

SINGULAR = 1e-10
ROUNDING = 1e-18  # a variance of this share of the typical sampling variance is zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What was fitted: kept whole so that intervals, predictions and robust errors can follow."""

    y: Vector
    V: Matrix
    X: Matrix
    terms: tuple[CodedTerm, ...]
    blocks: tuple[NDArray[np.intp], ...]
    problem: linear_mixed.Problem
    phi: Vector

    def elements(self, phi: Vector) -> tuple[Vector, Matrix]:
        """All covariance elements at φ and their Jacobian, term by term."""
        return all_elements(self.terms, phi)

    def covariance(self, block: NDArray[np.intp]) -> Matrix:
        """The marginal covariance of the observations of a block, in the data's units."""
        index = block[None, :]
        real = np.ones(index.shape, dtype=bool)
        gamma = self.elements(self.phi)[0]
        known = np.diag(self.V[block]) if self.V.ndim == 1 else self.V[np.ix_(block, block)]
        patterns = np.concatenate([t.patterns(index, real) for t in self.terms])[:, 0]
        return known + self.problem.unit * np.tensordot(gamma, patterns, 1)


def independent_blocks(
    terms: Sequence[CodedTerm], V: Matrix, n: int
) -> tuple[NDArray[np.intp], ...]:
    """Index sets of effects that no term and no sampling covariance connects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, cols, offset = [], [], n
    for term in terms:
        rows.append(np.arange(n))
        cols.append(term.outer + offset)
        offset += len(term.outer_labels)
    if V.ndim == 2:
        i, j = np.nonzero(np.triu(V, 1))
        rows.append(i)
        cols.append(j)
    at, to = np.concatenate(rows), np.concatenate(cols)
    graph = coo_array((np.ones(at.size, dtype=np.int8), (at, to)), shape=(offset, offset))
    _, part = connected_components(graph, directed=False)
    part = part[:n]
    order = np.argsort(part, kind="stable")
    cuts = np.flatnonzero(np.diff(part[order])) + 1
    return tuple(order[a:b] for a, b in itertools.pairwise((0, *cuts.tolist(), n)))


def all_elements(terms: Sequence[CodedTerm], phi: Vector) -> tuple[Vector, Matrix]:
    """The covariance elements of all terms at φ, and their Jacobian."""
    if len(terms) == 1:
        return terms[0].family.elements(phi)
    values, jacobians, at = [], [], 0
    for term in terms:
        count = len(term.family.parameters)
        value, jacobian = term.family.elements(phi[at : at + count])
        values.append(value)
        jacobians.append(jacobian)
        at += count
    gamma = np.concatenate(values)
    out = np.zeros((gamma.size, phi.size))
    row = col = 0
    for jacobian in jacobians:
        r, c = jacobian.shape
        out[row : row + r, col : col + c] = jacobian
        row, col = row + r, col + c
    return gamma, out


def parameter_bounds(terms: Sequence[CodedTerm]) -> tuple[Vector, Vector]:
    """Lower and upper bounds of all covariance parameters."""
    return (
        np.concatenate([t.family.lower for t in terms]),
        np.concatenate([t.family.upper for t in terms]),
    )


def starting_points(terms: Sequence[CodedTerm], problem: linear_mixed.Problem) -> list[Vector]:
    """Equal shares of a small, the plausible and a large heterogeneity, and each term alone."""
    p = problem.columns
    squares = sum(float((b.y**2).sum()) for b in problem.buckets)
    fitted = sum((np.einsum("bip,bi->p", b.X, b.y) for b in problem.buckets), np.zeros(p))
    spread = (squares - float((fitted**2).sum())) / max(problem.observations - p, 1)
    sampling = float(
        np.median(
            np.concatenate([np.diagonal(b.V, axis1=1, axis2=2).ravel() for b in problem.buckets])
        )
    )
    total = max(spread - sampling, 0.1 * sampling)
    shares = [np.full(len(terms), f / len(terms)) for f in (1.0, 0.1, 4.0)]
    if len(terms) > 1:
        each = np.arange(len(terms))
        shares += [np.where(each == alone, 1.0, 0.02) for alone in each]
    correlations = (0.5, -0.9, 0.9) if has_correlations(terms) else (0.5,)
    return [
        np.concatenate([t.family.start(total * s, r) for t, s in zip(terms, share, strict=True)])
        for r in correlations
        for share in shares
    ]


def has_correlations(terms: Sequence[CodedTerm]) -> bool:
    """Whether some term has correlations to estimate."""
    return any(len(t.family.parameters) > 1 and t.family.name != "DIAG" for t in terms)


def with_singular(certificate: Certificate, model: Model) -> Certificate:
    """The certificate with unstructured matrices that are singular among its boundaries."""
    singular, at = [], 0
    for term in model.terms:
        count = len(term.family.parameters)
        G = term.family.matrix(model.phi[at : at + count])
        at += count
        if term.family.parameters[0].startswith("factor"):
            values = np.linalg.eigvalsh(G)
            if values[0] <= SINGULAR * values[-1]:
                singular.append(f"{term.name}: singular")
    if not singular:
        return certificate
    return replace(certificate, boundary=(*certificate.boundary, *singular))


def natural_components(model: Model) -> tuple[dict[str, float], dict[str, Matrix]]:
    """Variances and correlations by name, and the whole matrix of each structured term."""
    components: dict[str, float] = {}
    covariances: dict[str, Matrix] = {}
    at = 0
    for term in model.terms:
        count = len(term.family.parameters)
        matrix = term.family.matrix(model.phi[at : at + count])
        matrix = np.where(np.abs(matrix) < ROUNDING, 0.0, matrix) * model.problem.unit
        at += count
        if term.inner is None and term.columns is None:
            components[f"sigma2[{term.name}]"] = float(matrix[0, 0])
            continue
        back = np.linalg.inv(term.basis)
        G = back @ matrix @ back.T
        covariances[term.name] = G
        components |= _named(term, G, float(model.phi[at - 1]))
    return components, covariances


def _named(term: CodedTerm, G: Matrix, last: float) -> dict[str, float]:
    sd = np.sqrt(np.diag(G))
    correlation = np.divide(
        G, np.outer(sd, sd), out=np.full_like(G, math.nan), where=np.outer(sd, sd) > 0
    )
    labels = term.inner_labels or tuple(range(1, len(G) + 1))
    single = len(G) == 1 or term.family.name in ("ID", "CS", "AR", "CAR")
    out = (
        {f"tau2[{term.name}]": float(G[0, 0])}
        if single
        else {f"tau2[{term.name}: {k}]": float(v) for k, v in zip(labels, np.diag(G), strict=True)}
    )
    if len(G) == 1 or term.family.name in ("ID", "DIAG"):
        return out
    if term.family.name != "UN":
        # rho is the last parameter; without two levels that vary nothing tells what it is.
        return out | {f"rho[{term.name}]": last if (sd > 0).sum() > 1 else math.nan}
    for i in range(len(G)):
        for j in range(i + 1, len(G)):
            out[f"rho[{term.name}: {labels[i]}, {labels[j]}]"] = float(correlation[i, j])
    return out
