"""Distributions known through integrals: one on a half line, and mixtures of normals.

No sampling: a density on [0, upper] becomes Gauss–Legendre panels that are halved until the
integral stands still, and everything conditional on it a finite mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import optimize, special

from klarsyn.errors import InputError, NumericalError

Array = np.ndarray

ORDER = 10
FIRST_PANELS = 12
DEEPEST = 40
ACCURACY = 1e-12  # of the integral, relative, at which a panel is not halved any more
MOST_PANELS = 4000


@dataclass(frozen=True, kw_only=True)
class HalfLine:
    """A distribution on [0, upper] whose unnormalised log density is `log_density(array)`.

    `nodes` and `weights` are a quadrature rule for expectations under it (weights sum to 1);
    `log_integral` is the logarithm of the integral of the unnormalised density.
    """

    log_density: Callable[[Array], Array]
    nodes: Array
    weights: Array
    log_integral: float
    edges: Array
    cumulative: Array
    scale: float

    def density(self, x: float) -> float:
        """The normalised density."""
        return float(np.exp(self.log_density(np.array([x]))[0] - self.log_integral))

    def mean(self, power: int = 1) -> float:
        """The moment of that order; infinite where the tail is too heavy for it."""
        if self.tail_exponent > -(power + 1) - 1e-3:
            return math.inf
        return float((self.weights * self.nodes**power).sum())

    @property
    def sd(self) -> float:
        """Standard deviation."""
        second = self.mean(2)
        return math.sqrt(max(second - self.mean() ** 2, 0)) if math.isfinite(second) else math.inf

    @cached_property
    def tail_exponent(self) -> float:
        """d log density / d log x far out; −inf on a bounded support."""
        top = self.edges[-1]
        if math.isfinite(top):
            return -math.inf
        far = self.scale * np.array([1e7, 1e8])
        low, high = self.log_density(far)
        if not math.isfinite(high) or not math.isfinite(low):
            return -math.inf
        return float((high - low) / math.log(10))

    def cdf(self, x: float) -> float:
        """Probability of at most x."""
        if x <= 0:
            return 0.0
        if x >= self.edges[-1]:
            return 1.0
        panel = int(np.searchsorted(self.edges, x, side="right")) - 1
        low = self.edges[panel]
        node, weight = _legendre()
        u = _to_unit(np.array([low, x]), self.scale)
        at = u[0] + 0.5 * (u[1] - u[0]) * (1 + node)
        value = np.exp(self._log_in_unit(at) - self.log_integral)
        inside = 0.5 * (u[1] - u[0]) * float((weight * value).sum())
        return float(min(self.cumulative[panel] + inside, 1.0))

    def _log_in_unit(self, u: Array) -> Array:
        return _log_in_unit(self.log_density, self.scale, u)

    def quantile(self, probability: float) -> float:
        """The value below which that share lies."""
        panel = int(np.searchsorted(self.cumulative, probability, side="right")) - 1
        panel = min(max(panel, 0), len(self.edges) - 2)
        low, high = self.edges[panel], self.edges[panel + 1]
        if not math.isfinite(high):
            high = max(low, self.scale) * 1e12
        if probability >= 1 or self.cdf(high) <= probability:
            return float(self.edges[-1] if probability >= 1 else high)
        root = optimize.brentq(lambda x: self.cdf(x) - probability, low, high, xtol=1e-14 * high)
        return float(root)  # pyright: ignore[reportArgumentType]

    @cached_property
    def mode(self) -> float:
        """Where the density is highest (0 if it falls from there)."""
        values = self.log_density(self.nodes)
        best = int(np.argmax(values))
        low = self.nodes[best - 1] if best else 0.0
        high = self.nodes[min(best + 1, len(self.nodes) - 1)]
        found = optimize.minimize_scalar(
            lambda x: -float(self.log_density(np.array([x]))[0]), bounds=(low, high),
            method="bounded", options={"xatol": 1e-10 * max(high, 1e-300)},
        )  # fmt: skip
        at = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
        smallest = float(self.nodes[0])
        if best == 0 and self.log_density(np.array([1e-9 * smallest]))[0] >= values[0]:
            return 0.0
        return at

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of that probability, for a density with one peak."""

        def excess(low: float) -> float:
            upper = self.quantile(min(self.cdf(low) + level, 1 - 1e-15))
            return self.density(max(low, 1e-12 * self.scale)) - self.density(upper)

        furthest = min(self.mode, self.quantile(1 - level))
        if furthest <= 0 or excess(0.0) >= 0:
            return 0.0, self.quantile(level)
        if excess(furthest) <= 0:
            return furthest, self.quantile(self.cdf(furthest) + level)
        low = optimize.brentq(excess, 0.0, furthest, xtol=1e-12 * furthest)
        lower = float(low)  # pyright: ignore[reportArgumentType]
        return lower, self.quantile(self.cdf(lower) + level)


def half_line(
    log_density: Callable[[Array], Array], *, scale: float, upper: float = math.inf
) -> HalfLine:
    """Normalise a density on [0, upper]; `scale` is a typical value of its argument.

    Raises NumericalError `degenerate` where the density cannot be integrated.
    """
    if not scale > 0 or not upper > 0:
        raise InputError(f"Scale and upper limit are positive; {scale:g} and {upper:g} are not.")
    end = 1.0 if math.isinf(upper) else upper / (upper + scale)
    u_edges = np.linspace(0, end, FIRST_PANELS + 1)
    low, high = u_edges[:-1], u_edges[1:]
    value: tuple[Array, Array] = _panel_values(log_density, scale, low, high)
    if not np.isfinite(value[0].max()):
        raise _improper("is zero or infinite everywhere it was looked at")
    shift = float(value[0].max())
    done_low, done_high = [], []
    for _ in range(DEEPEST):
        middle = 0.5 * (low + high)
        left = _panel_values(log_density, scale, low, middle)
        right = _panel_values(log_density, scale, middle, high)
        shift = max(shift, float(left[0].max()), float(right[0].max()))
        whole, halves = _areas(value, shift), _areas(left, shift) + _areas(right, shift)
        total = halves.sum() + sum(d[1] for d in done_high)
        good = np.abs(halves - whole) <= ACCURACY * total
        done_low.append(low[good])
        done_high.append((high[good], float(halves[good].sum())))
        if good.all() or len(low) > MOST_PANELS:
            break
        bad = ~good
        low, high = (
            np.concatenate([low[bad], middle[bad]]),
            np.concatenate([middle[bad], high[bad]]),
        )
        value = tuple(np.concatenate([a[bad], b[bad]]) for a, b in zip(left, right, strict=True))  # pyright: ignore[reportAssignmentType]
    else:
        raise _improper("has an integral that does not settle; it may be infinite")
    starts = np.sort(np.concatenate(done_low))
    return _assemble(log_density, scale, np.append(starts, end), upper)


def _assemble(
    log_density: Callable[[Array], Array], scale: float, u_edges: Array, upper: float
) -> HalfLine:
    node, weight = _legendre()
    half = 0.5 * np.diff(u_edges)[:, None]
    u = u_edges[:-1, None] + half * (1 + node)
    logs = _log_in_unit(log_density, scale, u.ravel()).reshape(u.shape)
    top = float(logs.max())
    mass = half * weight * np.exp(logs - top)
    total = float(mass.sum())
    cumulative = np.concatenate([[0.0], np.cumsum(mass.sum(axis=1)) / total])
    kept = mass.ravel() > 0
    edges = _from_unit(u_edges, scale)
    edges[-1] = upper
    return HalfLine(
        log_density=log_density, nodes=_from_unit(u.ravel()[kept], scale),
        weights=mass.ravel()[kept] / total, log_integral=top + math.log(total), edges=edges,
        cumulative=cumulative, scale=scale,
    )  # fmt: skip


def _panel_values(
    log_density: Callable[[Array], Array], scale: float, low: Array, high: Array
) -> tuple[Array, Array]:
    node, weight = _legendre()
    half = 0.5 * (high - low)[:, None]
    u = low[:, None] + half * (1 + node)
    logs = _log_in_unit(log_density, scale, u.ravel()).reshape(u.shape)
    return logs, half * weight


def _areas(value: tuple[Array, Array], shift: float) -> Array:
    logs, weight = value
    return (weight * np.exp(logs - shift)).sum(axis=1)


def _log_in_unit(log_density: Callable[[Array], Array], scale: float, u: Array) -> Array:
    """Log density of u where x = scale·u/(1 − u)."""
    logs = log_density(_from_unit(u, scale)) + math.log(scale) - 2 * np.log1p(-u)
    if np.isnan(logs).any() or (logs == math.inf).any():
        raise _improper("is not a number or infinite at some positive value")
    return logs


def _from_unit(u: Array, scale: float) -> Array:
    with np.errstate(divide="ignore"):
        return scale * u / (1 - u)


def _to_unit(x: Array, scale: float) -> Array:
    return x / (x + scale)


@cache
def _legendre() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(ORDER)


def _improper(what: str) -> NumericalError:
    return NumericalError(
        "degenerate", f"The density {what}. With few studies, take a proper prior for tau."
    )


@dataclass(frozen=True, kw_only=True)
class NormalMixture:
    """A finite mixture of normal distributions; a standard deviation may be 0."""

    weights: Array
    means: Array
    sds: Array

    @cached_property
    def mean(self) -> float:
        """Expected value."""
        return float((self.weights * self.means).sum())

    @cached_property
    def sd(self) -> float:
        """Standard deviation."""
        within = (self.weights * self.sds**2).sum()
        return math.sqrt(float(within + (self.weights * (self.means - self.mean) ** 2).sum()))

    def cdf(self, x: float) -> float:
        """Probability of at most x."""
        return float((self.weights * special.ndtr((x - self.means) / self.sds)).sum())

    def density(self, x: float) -> float:
        """Density at x."""
        z = (x - self.means) / self.sds
        return float((self.weights * np.exp(-0.5 * z**2) / self.sds).sum()) / math.sqrt(2 * math.pi)

    def quantile(self, probability: float) -> float:
        """The value below which that share lies."""
        z = abs(float(special.ndtri(probability)))
        reach = (z + 2) * self.sd
        low, high = self.mean - reach, self.mean + reach
        while self.cdf(low) > probability:
            low -= reach
        while self.cdf(high) < probability:
            high += reach
        root = optimize.brentq(lambda x: self.cdf(x) - probability, low, high, xtol=1e-13 * reach)
        return float(root)  # pyright: ignore[reportArgumentType]

    @cached_property
    def mode(self) -> float:
        """Where the density is highest."""
        found = optimize.minimize_scalar(
            lambda x: -self.density(x), bounds=(self.quantile(0.05), self.quantile(0.95)),
            method="bounded", options={"xatol": 1e-9 * self.sd},
        )  # fmt: skip
        return float(found.x)  # pyright: ignore[reportAttributeAccessIssue]

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of that probability, for a mixture with one peak."""
        tail = (1 - level) / 2
        low, high = self.quantile(tail), self.quantile(1 - tail)
        for _ in range(50):
            gap = np.array(
                [self.cdf(high) - self.cdf(low) - level, self.density(high) - self.density(low)]
            )
            jacobian = np.array(
                [[-self.density(low), self.density(high)], [-self._slope(low), self._slope(high)]]
            )
            step = np.linalg.solve(jacobian, gap)
            low, high = low - float(step[0]), high - float(step[1])
            if np.abs(step).max() < 1e-12 * self.sd:
                return low, high
        return self._shortest_by_search(level)

    def _slope(self, x: float) -> float:
        z = (x - self.means) / self.sds
        height = self.weights * np.exp(-0.5 * z**2) / self.sds**2
        return -float((height * z).sum()) / math.sqrt(2 * math.pi)

    def _shortest_by_search(self, level: float) -> tuple[float, float]:
        found = optimize.minimize_scalar(
            lambda p: self.quantile(p + level) - self.quantile(p),
            bounds=(1e-9, 1 - level - 1e-9), method="bounded", options={"xatol": 1e-9},
        )  # fmt: skip
        p = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
        return self.quantile(p), self.quantile(p + level)


def normal_mixture(weights: Array, means: Array, sds: Array) -> NormalMixture:
    """A mixture without the components that carry no weight in double precision."""
    kept = weights > 1e-18
    return NormalMixture(weights=weights[kept], means=means[kept], sds=sds[kept])
