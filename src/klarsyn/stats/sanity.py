"""Whether printed numbers can belong together, allowing for their rounding.

Every function takes numbers as printed (texts keep trailing zeros) and answers for the whole
interval that rounds to them: "no" means that no unrounded numbers fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from klarsyn.errors import InputError
from klarsyn.stats.rounding import Printed, not_negative, overlap, printed, span

Number = str | float | Printed
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The whole numbers of n that a printed percentage can stand for.

    `status` is `unique`, `ambiguous` (several; `first` to `last`) or `inconsistent` (none).
    """

    status: str
    first: int | None = None
    last: int | None = None


def counts_of_percent(percent: Number, n: int) -> Counts:
    """The counts x of n for which 100·x/n rounds to the printed percentage."""
    if n < 1:
        raise InputError(f"A percentage of {n} participants has no count.")
    p = printed(percent)
    first = max(0, math.ceil(p.lower * n / 100))
    last = min(n, math.floor(p.upper * n / 100))
    if first > last:
        return Counts(status="inconsistent")
    return Counts(status="unique" if first == last else "ambiguous", first=first, last=last)


def sd_fits_se(sd: Number, se: Number, n: int) -> bool:
    """Whether SE = SD/√n within the rounding of both."""
    low, high = not_negative(printed(sd))
    return overlap((low / math.sqrt(n), high / math.sqrt(n)), not_negative(printed(se)))


def quantiles(level: float, df: float | None) -> Interval:
    """The half-width of a two-sided interval in standard errors: normal and t with `df`.

    Sources rarely say which they used; both bound what may have been. Without `df` only the
    normal is known.
    """
    normal = NormalDist().inv_cdf(0.5 + level / 2)
    if df is None:
        return normal, normal
    from scipy import special

    return normal, float(special.stdtrit(df, 0.5 + level / 2))


def ci_fits_se(
    lower: Number, upper: Number, se: Number, *, level: float = 0.95, df: float | None = None
) -> bool:
    """Whether a symmetric interval is estimate ± quantile · SE, normal or t, within rounding."""
    low, high = se_of_ci(lower, upper, level=level, df=df)
    return overlap((low, high), not_negative(printed(se)))


def se_of_ci(
    lower: Number,
    upper: Number,
    *,
    level: float = 0.95,
    df: float | None = None,
    log: bool = False,
) -> Interval:
    """The standard errors that a printed interval can have come from; with `log`, of the log.

    On the log scale a limit that may have been 0 gives an infinite upper end.
    """
    low, high = _scaled(lower, log), _scaled(upper, log)
    small, large = quantiles(level, df)
    return max(0.0, (high[0] - low[1]) / 2 / large), (high[1] - low[0]) / 2 / small


def ci_is_symmetric(estimate: Number, lower: Number, upper: Number, *, log: bool = False) -> bool:
    """Whether the estimate is the middle of its interval, on the log scale for ratios."""
    low, high = _scaled(lower, log), _scaled(upper, log)
    middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2)
    return overlap(middle, _scaled(estimate, log))


def _scaled(value: Number, log: bool) -> Interval:
    low, high = span(printed(value))
    if not log:
        return low, high
    if high <= 0:
        raise InputError(f"A ratio is above 0; {value!r} is not.")
    return (math.log(low) if low > 0 else -math.inf), math.log(high)


def ci_p_values(
    estimate: Number, lower: Number, upper: Number, *, level: float = 0.95, log: bool = False
) -> Interval:
    """The two-sided p values, normal, that a printed estimate and interval can have come from."""
    from scipy import special

    low, high = se_of_ci(lower, upper, level=level, log=log)
    effect = _scaled(estimate, log)
    far = max(abs(effect[0]), abs(effect[1]))
    near = 0.0 if effect[0] <= 0 <= effect[1] else min(abs(effect[0]), abs(effect[1]))
    smallest = 2 * special.ndtr(-far / low) if low > 0 else 0.0
    largest = 2 * special.ndtr(-near / high) if math.isfinite(high) else 1.0
    return float(smallest), float(largest)


def difference_fits(first: Number, second: Number, difference: Number) -> bool:
    """Whether first − second can round to the printed difference."""
    a, b = span(printed(first)), span(printed(second))
    return overlap((a[0] - b[1], a[1] - b[0]), span(printed(difference)))


def welch_se(sd1: Number, n1: int, sd2: Number, n2: int) -> Interval:
    """The standard errors √(sd₁²/n₁ + sd₂²/n₂) of a difference of two raw means."""
    a, b = not_negative(printed(sd1)), not_negative(printed(sd2))
    low, high = (math.sqrt(a[i] ** 2 / n1 + b[i] ** 2 / n2) for i in (0, 1))
    return low, high


def similarity(n: Sequence[int], mean: Sequence[float], sd: Sequence[float]) -> float:
    """P of groups at least this similar under randomisation: 1 − p of a one-way ANOVA.

    Carlisle 2017. Assumes normal, independent participants and unrounded numbers; a very small
    value says "more alike than chance", a very large one "less alike". A screen, not a verdict.
    """
    from scipy import special

    k, total = len(n), sum(n)
    if not k == len(mean) == len(sd) or k < 2 or min(n) < 2:
        raise InputError("Similarity needs n ≥ 2, a mean and an SD for each of two or more groups.")
    if not all(map(math.isfinite, mean)) or not all(0 <= s < math.inf for s in sd):
        raise InputError("Similarity needs finite means and SDs of 0 or more.")
    grand = math.fsum(a * m for a, m in zip(n, mean, strict=True)) / total
    between = math.fsum(a * (m - grand) ** 2 for a, m in zip(n, mean, strict=True)) / (k - 1)
    within = math.fsum((a - 1) * s * s for a, s in zip(n, sd, strict=True)) / (total - k)
    if within == 0:
        return 0.0 if between == 0 else 1.0
    return float(special.fdtr(k - 1, total - k, between / within))


def simulated_similarity(
    n: Sequence[int],
    mean: Sequence[float],
    sd: Sequence[float],
    decimals: int,
    *,
    draws: int,
    seed: int,
) -> float:
    """As `similarity`, by Monte Carlo: group means are drawn, rounded and compared.

    Rounding makes equal means likely, which the ANOVA calls suspicious; here a tie counts half.
    """
    import numpy as np

    from klarsyn.provenance import stream

    sizes, means, sds = (np.asarray(v, dtype=float) for v in (n, mean, sd))
    weights = sizes / sizes.sum()
    pooled = math.sqrt(float(((sizes - 1) * sds**2).sum() / (sizes - 1).sum()))
    centre = float(weights @ means)
    noise = stream(seed, "baseline similarity").standard_normal((draws, len(sizes)))
    drawn = np.round(centre + noise * pooled / np.sqrt(sizes), decimals)

    def spread(group: np.ndarray) -> np.ndarray:
        middle = group @ weights
        return ((group - middle[..., None]) ** 2 * sizes).sum(axis=-1)

    seen, expected = float(spread(means[None, :])[0]), spread(drawn)
    slack = 1e-9 * max(seen, 10.0 ** (-2 * decimals))
    below = np.count_nonzero(expected < seen - slack)
    ties = np.count_nonzero(np.abs(expected - seen) <= slack)
    return float((below + ties / 2) / draws)


def stouffer(p: Sequence[float]) -> float:
    """One p from independent p values: Φ(Σ Φ⁻¹(p) / √k)."""
    if not p or not all(0 < value < 1 for value in p):
        raise InputError("Stouffer's method combines p values strictly between 0 and 1.")
    normal = NormalDist()
    return normal.cdf(math.fsum(map(normal.inv_cdf, p)) / math.sqrt(len(p)))
