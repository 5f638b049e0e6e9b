"""Repeated measures with dropout: the unstructured mixed model, and imputation from a reference.

Rows are patients, columns visits, NaN a visit not seen. Carpenter, Roger & Kenward 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from klarsyn.errors import InputError, NumericalError, unknown_name

Array = np.ndarray

STRATEGIES = (
    "missing_at_random",
    "jump_to_reference",
    "copy_reference",
    "copy_increments",
    "last_mean_carried_forward",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedMeasures:
    """REML estimates: `beta` (p,) with its covariance, and the covariance of visits (t, t)."""

    beta: Array
    beta_covariance: Array
    covariance: Array
    log_likelihood: float


def fit_repeated_measures(y: ArrayLike, x: ArrayLike) -> RepeatedMeasures:
    """REML of y[i, t] = x[i, t] · β + e with an unstructured covariance over visits.

    `x` is (patients, visits, p). Raises NumericalError `not_converged` or `rank_deficient`.
    """
    outcome, design = np.asarray(y, float), np.asarray(x, float)
    seen = ~np.isnan(outcome)
    keep = seen.any(axis=1)
    groups = _patterns(outcome[keep], design[keep], seen[keep])
    flat = design[seen]
    if np.linalg.matrix_rank(flat) < flat.shape[1]:
        raise NumericalError("rank_deficient", "The columns of the model depend on each other.")
    start = _start(outcome, design, seen)

    def objective(theta: Array) -> float:
        return -_restricted(_covariance(theta, outcome.shape[1]), groups)[0]

    found = optimize.minimize(objective, start, method="BFGS", options={"gtol": 1e-6})
    found = optimize.minimize(objective, found.x, method="Powell", options={"xtol": 1e-9})
    found = optimize.minimize(objective, found.x, method="BFGS", options={"gtol": 1e-7})
    gradient = np.asarray(optimize.approx_fprime(found.x, objective, 1e-6), float)
    slope = float(np.abs(gradient).max())
    if not slope < 1e-2:
        raise NumericalError(
            "not_converged", f"The restricted likelihood is not at a maximum (slope {slope:.2g})."
        )
    covariance = _covariance(found.x, outcome.shape[1])
    value, beta, information = _restricted(covariance, groups)
    return RepeatedMeasures(
        beta=beta,
        beta_covariance=np.linalg.inv(information),
        covariance=covariance,
        log_likelihood=value,
    )


def mean_after_dropout(own: Array, reference: Array, seen: int, strategy: str) -> Array:
    """The mean over visits that a patient last seen at visit `seen` (1, 2 …; 0 never) is given.

    `own` and `reference` are arm means as changes from baseline, so that 0 is where both began.
    """
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    if strategy == "missing_at_random":
        return own
    if strategy == "copy_reference":
        return reference
    after = {
        "jump_to_reference": reference,
        "copy_increments": reference + (own[seen - 1] - reference[seen - 1] if seen > 0 else 0.0),
        "last_mean_carried_forward": np.full_like(own, own[seen - 1] if seen > 0 else 0.0),
    }[strategy]
    return np.concatenate([own[:seen], after[seen:]])


def imputed_difference(
    y: ArrayLike, treated: ArrayLike, baseline: ArrayLike, strategy: str
) -> float:
    """Treated − reference at the last visit, the missing imputed by their conditional mean.

    Changes from baseline `y` (patients, visits) on arm × visit and baseline × visit; then the
    completed last visit on arm and baseline. Patients of the reference arm are missing at random.
    """
    outcome, arm, base = (
        np.asarray(y, float),
        np.asarray(treated, bool),
        np.asarray(baseline, float),
    )
    visits = outcome.shape[1]
    fitted = fit_repeated_measures(outcome, _visit_design(arm, base, visits))
    if_treated = _visit_design(np.ones_like(arm), base, visits) @ fitted.beta
    if_reference = _visit_design(np.zeros_like(arm), base, visits) @ fitted.beta
    full = np.empty_like(outcome)
    for i, row in enumerate(outcome):
        seen = np.flatnonzero(~np.isnan(row))
        last = int(seen[-1]) + 1 if seen.size else 0
        own = if_treated[i] if arm[i] else if_reference[i]
        used = strategy if arm[i] else "missing_at_random"
        mean = mean_after_dropout(own, if_reference[i], last, used)
        full[i] = fill(row, mean, fitted.covariance)
    design = np.column_stack([np.ones_like(base), arm.astype(float), base])
    return float(np.linalg.lstsq(design, full[:, -1], rcond=None)[0][1])


def fill(row: Array, mean: Array, covariance: Array) -> Array:
    """A row whose missing visits are their normal conditional mean given the others."""
    seen, lost = ~np.isnan(row), np.isnan(row)
    if not lost.any():
        return row
    full = row.copy()
    if not seen.any():
        return mean.copy()
    pull = np.linalg.solve(covariance[np.ix_(seen, seen)], row[seen] - mean[seen])
    full[lost] = mean[lost] + covariance[np.ix_(lost, seen)] @ pull
    return full


def strategy_losses(
    treated: Array, control: Array, covariance: Array, strategy: str
) -> tuple[Array, Array, Array]:
    """What a dropout's final mean loses against missing at random, by when it was last seen.

    Returns, for k = 0 … visits − 1 visits seen: the losses d (k,), and their derivatives by the
    treated and the control means (k, visits). Exact for the conditional mean with one covariance.
    """
    visits = len(treated)
    by_treated, by_control = np.zeros((visits, visits)), np.zeros((visits, visits))
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    for k in range(visits):
        if strategy == "missing_at_random":
            continue
        by_treated[k, -1] = 1.0
        if strategy != "last_mean_carried_forward":
            by_control[k, -1] = -1.0
        if k == 0:
            continue
        if strategy == "copy_increments":
            by_treated[k, k - 1] -= 1.0
            by_control[k, k - 1] += 1.0
        elif strategy == "last_mean_carried_forward":
            by_treated[k, k - 1] -= 1.0
        elif strategy == "copy_reference":
            pull = np.linalg.solve(covariance[:k, :k], covariance[:k, -1])
            by_treated[k, :k] -= pull
            by_control[k, :k] += pull
    return by_treated @ treated + by_control @ control, by_treated, by_control


def _visit_design(arm: Array, base: Array, visits: int) -> Array:
    n = len(base)
    design = np.zeros((n, visits, 3 * visits))
    for t in range(visits):
        design[:, t, t] = 1.0
        design[:, t, visits + t] = arm
        design[:, t, 2 * visits + t] = base
    return design


def _patterns(y: Array, x: Array, seen: NDArray[np.bool_]) -> list[tuple[NDArray, Array, Array]]:
    out = []
    for pattern in np.unique(seen, axis=0):
        rows = (seen == pattern).all(axis=1)
        out.append((pattern, y[rows][:, pattern], x[rows][:, pattern]))
    return out


def _restricted(
    covariance: Array, groups: list[tuple[NDArray, Array, Array]]
) -> tuple[float, Array, Array]:
    """The restricted log-likelihood (constants left out), β and its information."""
    p = groups[0][2].shape[2]
    information, score, squares, log_det = np.zeros((p, p)), np.zeros(p), 0.0, 0.0
    for pattern, y, x in groups:
        block = covariance[np.ix_(pattern, pattern)]
        inverse = np.linalg.inv(block)
        log_det += len(y) * np.linalg.slogdet(block)[1]
        weighted = np.einsum("st,itp->isp", inverse, x)
        information += np.einsum("isp,isq->pq", x, weighted)
        score += np.einsum("isp,is->p", weighted, y)
        squares += np.einsum("is,st,it->", y, inverse, y)
    beta = np.linalg.solve(information, score)
    value = -0.5 * (log_det + np.linalg.slogdet(information)[1] + squares - score @ beta)
    return float(value), beta, information


def _start(y: Array, x: Array, seen: NDArray[np.bool_]) -> Array:
    """Cholesky parameters of the covariance of least-squares residuals, pairwise and mended."""
    beta = np.linalg.lstsq(x[seen], y[seen], rcond=None)[0]
    residual = np.where(seen, y - x @ beta, 0.0)
    pairs = seen.T.astype(float) @ seen.astype(float)
    if (np.diag(pairs) < 2).any():
        raise InputError("A visit was seen in fewer than two patients. Leave the visit out.")
    covariance = residual.T @ residual / np.maximum(pairs, 1)
    values, vectors = np.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(values, values.max() * 1e-3)) @ vectors.T
    factor = np.linalg.cholesky(covariance)
    rows, columns = np.tril_indices(len(factor))
    theta = factor[rows, columns]
    diagonal = rows == columns
    theta[diagonal] = np.log(theta[diagonal])
    return theta


def _covariance(theta: Array, visits: int) -> Array:
    factor = np.zeros((visits, visits))
    rows, columns = np.tril_indices(visits)
    factor[rows, columns] = np.where(rows == columns, np.exp(theta), theta)
    return factor @ factor.T
