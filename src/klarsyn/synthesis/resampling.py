"""Tests and intervals from permuted, flipped or redrawn trials, each one batched computation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of, stream
from klarsyn.stats.batched import BATCHED, fit_permutations, fit_rows
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import TESTS, pool
from klarsyn.synthesis.regression import regress

Array = np.ndarray
# A permuted statistic this close below the observed one counts as equal: permutations that swap
# equal studies give the same statistic but for rounding.
TIES = 1e-9
MOST_EXACT = 1 << 20  # orders that are enumerated
EXACT_SIGNS = 20  # studies whose 2^k patterns of signs are


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationTest:
    """Two-sided permutation p values of each coefficient and of all slopes together.

    The observed order counts among the `count` orders, so that p is never 0.
    """

    names: tuple[str, ...]
    statistic: tuple[float, ...]
    p_value: tuple[float, ...]
    omnibus: float
    omnibus_p: float
    count: int
    exact: bool
    seed: int | None
    method: str
    test: str
    digest: str
    draws: Array = field(repr=False, compare=False)

    def summary(self) -> str:
        """One line a coefficient, then the joint test."""
        how = "all distinct orders" if self.exact else f"random orders, seed {self.seed}"
        lines = [
            f"{name}: statistic {s:.4g}, permutation p = {p:.4g}"
            for name, s, p in zip(self.names, self.statistic, self.p_value, strict=True)
        ]
        tail = (
            f"All slopes: {self.omnibus:.4g}, permutation p = {self.omnibus_p:.4g}; {self.count} "
            f"{how}, {self.method}, {self.test}"
        )
        return "\n".join([*lines, tail])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the statistics of the single orders (`draws`) are left out."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "draws"}

    def plot(self) -> Any:
        """The joint statistic over all orders, the observed one marked, as an Altair chart."""
        from klarsyn.figures.draws import histogram

        return histogram(self.draws, {"observed": self.omnibus}, title="Joint statistic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Bootstrap distributions of the estimate and of τ²; limits are percentiles."""

    estimate: float
    bias: float
    se: float
    ci_lower: float
    ci_upper: float
    tau2_lower: float
    tau2_upper: float
    kind: str
    count: int
    seed: int
    method: str
    digest: str
    draws: Array = field(repr=False, compare=False)

    def summary(self) -> str:
        """Two lines, on the effects' scale."""
        return (
            f"{self.estimate:.4g} ({self.ci_lower:.4g} to {self.ci_upper:.4g}), bias "
            f"{self.bias:.2g}, standard error {self.se:.4g}; {self.count} draws of {self.kind}, "
            f"seed {self.seed}, {self.method}\n"
            f"tau2 {self.tau2_lower:.4g} to {self.tau2_upper:.4g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the single redrawn estimates (`draws`) are left out."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "draws"}

    def plot(self) -> Any:
        """The redrawn estimates with their limits, as an Altair chart."""
        from klarsyn.figures.draws import histogram

        marks = {"estimate": self.estimate, "lower": self.ci_lower, "upper": self.ci_upper}
        return histogram(self.draws, marks, title="Redrawn estimate")


def permutation_test(
    effects: Effects,
    moderators: Sequence[str] = (),
    *,
    method: str = "REML",
    test: str = "z",
    exact: bool = False,
    count: int = 1000,
    seed: int | None = None,
) -> PermutationTest:
    """Permute the rows of the design; without moderators flip the signs of the effects.

    `exact` takes every distinct order (every pattern of signs), else `count` random ones are drawn
    from `seed`. The statistics are those of `regress` with these choices.
    """
    if method not in BATCHED:
        raise unknown_name("estimator with a batched form", method, BATCHED)
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    if not exact and seed is None:
        raise InputError("Random permutations need a `seed`, so that they can be drawn again.")
    used, _ = effects.usable()
    if not moderators:
        return _sign_flips(used, method, test, exact, count, seed)
    fitted = regress(used, moderators, method=method, test=test)
    x = fitted.design.matrix
    orders = _all_orders(x) if exact else _random_orders(used.k, count, seed or 0)
    fits = fit_permutations(used.y, used.v, x, orders, method=method)
    df = used.k - x.shape[1]
    scale = _scale(fits.q_tau, df, test)
    z = fits.beta / np.sqrt(scale[:, None] * np.diagonal(fits.covariance, axis1=1, axis2=2))
    at = list(fitted.design.slopes)
    if len(at) == 1:
        omnibus = z[:, at[0]] ** 2
    else:
        b = fits.beta[:, at]
        inner = np.linalg.solve(fits.covariance[:, at][:, :, at], b[:, :, None])[:, :, 0]
        omnibus = np.einsum("ri,ri->r", b, inner) / scale / (1 if test == "z" else len(at))
    observed = np.array([c.statistic for c in fitted.coefficients])
    return PermutationTest(
        names=fitted.design.names,
        statistic=tuple(observed.tolist()),
        p_value=tuple(_share(np.abs(z), np.abs(observed)).tolist()),
        omnibus=fitted.omnibus.statistic,
        omnibus_p=float(_share(omnibus[:, None], np.array([fitted.omnibus.statistic]))[0]),
        count=len(orders),
        exact=exact,
        seed=None if exact else seed,
        method=method,
        test=test,
        digest=digest_of(used.y, used.v, x, method, test, exact, count, seed),
        draws=omnibus,
    )


def _share(values: Array, observed: Array) -> Array:
    return np.mean(values >= observed * (1 - TIES), axis=0)


def _scale(q: Array, df: int, test: str) -> Array:
    if test not in {"knha", "adhoc"}:
        return np.ones_like(q)
    return np.maximum(q / df, 1) if test == "adhoc" else q / df


def _random_orders(k: int, count: int, seed: int) -> Array:
    orders = np.tile(np.arange(k), (count, 1))
    orders[1:] = stream(seed, "permutation").permuted(orders[1:], axis=1)
    return orders


def _all_orders(x: Array) -> Array:
    """One order for each distinct arrangement of the design's rows, the observed one included."""
    _, kind = np.unique(x, axis=0, return_inverse=True)
    sizes = np.bincount(kind.ravel())
    total = math.factorial(len(x)) // math.prod(math.factorial(int(s)) for s in sizes)
    if total > MOST_EXACT:
        raise NumericalError(
            "not_estimable",
            f"An exact test needs {total} orders; at most {MOST_EXACT} are enumerated. "
            f"Draw random ones: exact=False with a seed.",
        )
    places: list[list[int]] = [[-1] * len(x)]
    free = [list(range(len(x)))]
    for level, size in enumerate(sizes):
        rows = np.flatnonzero(kind.ravel() == level).tolist()
        next_places, next_free = [], []
        for place, room in zip(places, free, strict=True):
            for chosen in itertools.combinations(room, int(size)):
                filled = place.copy()
                for slot, row in zip(chosen, rows, strict=True):
                    filled[slot] = row
                next_places.append(filled)
                next_free.append([r for r in room if r not in chosen])
        places, free = next_places, next_free
    return np.array(places)


def _sign_flips(
    used: Effects, method: str, test: str, exact: bool, count: int, seed: int | None
) -> PermutationTest:
    k = used.k
    if exact:
        if k > EXACT_SIGNS:
            raise NumericalError(
                "not_estimable", f"2^{k} patterns of signs are too many; draw random ones."
            )
        bits = (np.arange(1 << k)[:, None] >> np.arange(k)) & 1
    else:
        bits = stream(seed or 0, "signs").integers(0, 2, (count, k))
        bits[0] = 0
    signs = 1.0 - 2.0 * bits
    fits = fit_rows(signs * used.y, used.v, method=method)
    z = fits.estimate / (fits.se * np.sqrt(_scale(fits.q_tau, max(k - 1, 1), test)))
    observed = pool(used, method=method, test=test).statistic
    p = float(_share(np.abs(z)[:, None], np.array([abs(observed)]))[0])
    return PermutationTest(
        names=("intercept",),
        statistic=(observed,),
        p_value=(p,),
        omnibus=observed**2,
        omnibus_p=p,
        count=len(signs),
        exact=exact,
        seed=None if exact else seed,
        method=method,
        test=test,
        digest=digest_of(used.y, used.v, method, test, exact, count, seed),
        draws=z**2,
    )


def bootstrap(
    effects: Effects,
    *,
    method: str = "REML",
    kind: str = "studies",
    count: int = 2000,
    level: float = 0.95,
    seed: int,
) -> Bootstrap:
    """Redraw the studies with replacement, or (`kind="model"`) their effects from the fitted model.

    `model` draws y from N(μ, τ² + v) with the fitted values.
    """
    if kind not in {"studies", "model"}:
        raise unknown_name("bootstrap", kind, ("studies", "model"))
    if method not in BATCHED:
        raise unknown_name("estimator with a batched form", method, BATCHED)
    used, _ = effects.usable()
    full = pool(used, method=method, test="z")
    draw = stream(seed, f"bootstrap of {kind}")
    if kind == "studies":
        index = draw.integers(0, used.k, (count, used.k))
        fits = fit_rows(used.y[index], used.v[index], method=method)
    else:
        spread = np.sqrt(used.v + full.tau2)
        y = full.estimate + spread * draw.standard_normal((count, used.k))
        fits = fit_rows(y, used.v, method=method)
    tails = ((1 - level) / 2, (1 + level) / 2)
    lower, upper = np.quantile(fits.estimate, tails)
    tau_lower, tau_upper = np.quantile(fits.tau2, tails)
    return Bootstrap(
        estimate=full.estimate,
        bias=float(fits.estimate.mean() - full.estimate),
        se=float(fits.estimate.std(ddof=1)),
        ci_lower=float(lower),
        ci_upper=float(upper),
        tau2_lower=float(tau_lower),
        tau2_upper=float(tau_upper),
        kind=kind,
        count=count,
        seed=seed,
        method=method,
        digest=digest_of(used.y, used.v, method, kind, count, level, seed),
        draws=fits.estimate,
    )
