"""The methods of blinding, unblinding, missing outcomes and margins once more, in 60 digits.

Written from the papers named at each function, without a look at the package, and by another road
where there is one: constrained likelihoods are maximised and intervals inverted by bisection,
variances are differentiated numerically, existence is decided by trying every sample. Needs mpmath;
`make.py` makes the table from it, no test imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from mpmath import (
    cholesky_solve,
    erfc,
    erfinv,
    exp,
    gamma,
    log,
    matrix,
    mp,
    mpf,
    sqrt,
)  # fmt: skip

mp.dps = 60
STEP = mpf(10) ** -18
Number = Any
HALF = mpf(1) / 2


def phi(z: Number) -> Number:
    """Φ(z)."""
    return erfc(-mpf(z) / sqrt(2)) / 2


def quantile(p: Number) -> Number:
    return sqrt(2) * erfinv(2 * mpf(p) - 1)


def two_sided(level: str = "0.95") -> Number:
    return quantile((1 + mpf(level)) / 2)


def root(f: Callable[[Number], Number], low: Number, high: Number) -> Number:
    """Bisection; a limit at which f is already 0 is returned."""
    low, high = mpf(low), mpf(high)
    below = f(low)
    for _ in range(110):
        middle = (low + high) / 2
        if below * f(middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


# --- Blinding indices


def bang(counts: Sequence[Number], weights: Sequence[Number]) -> tuple[Number, Number]:
    """Mean of the scores and its variance, participant by participant (Bang, Ni & Davis 2004)."""
    n = sum(mpf(c) for c in counts)
    mean = sum(mpf(c) * mpf(w) for c, w in zip(counts, weights, strict=True)) / n
    spread = sum(mpf(c) * (mpf(w) - mean) ** 2 for c, w in zip(counts, weights, strict=True)) / n
    return mean, spread / n


def tango(correct: int, wrong: int, total: int, level: str = "0.95") -> tuple[Number, Number]:
    """Score limits of a difference of paired proportions (Tango 1998), likelihood maximised."""
    x, y, n, z = mpf(correct), mpf(wrong), mpf(total), two_sided(level)

    def score(d: Number) -> Number:
        # the constrained probability of y, q, with p = q + d: the likelihood's derivative is 0
        low, high = max(mpf(0), -d), (1 - d) / 2

        def slope(q: Number) -> Number:
            terms = [(x, q + d, 1), (y, q, 1), (n - x - y, 1 - 2 * q - d, -2)]
            return sum(c * s / v for c, v, s in terms if c)

        e = (high - low) * mpf(10) ** -36
        if slope(low + e) <= 0:
            q = low
        elif slope(high - e) >= 0:
            q = high
        else:
            q = root(slope, low + e, high - e)
        variance = n * (2 * q + d - d * d)
        return (x - y - n * d) / sqrt(variance) if variance > 0 else (x - y - n * d) * mpf(10) ** 30

    d = (x - y) / n
    e = mpf(10) ** -15
    low = root(lambda t: score(t) - z, -1 + e, d) if d > -1 else mpf(-1)
    high = root(lambda t: score(t) + z, d, 1 - e) if d < 1 else mpf(1)
    return low, high


def james_index(p: Sequence[Sequence[Number]], w: Sequence[Sequence[Number]]) -> Number:
    """James et al. 1996, from shares; the last row is "don't know"."""
    k, arms = len(p) - 1, range(len(p[0]))
    unknown = sum(p[k])
    rows = [sum(r) for r in p]
    cols = [sum(p[i][j] for i in range(k)) for j in arms]
    known = 1 - unknown
    observed = sum(w[i][j] * p[i][j] for i in range(k) for j in arms) / known
    expected = sum(w[i][j] * rows[i] * cols[j] for i in range(k) for j in arms) / known**2
    return (1 + unknown + known * (observed - expected) / expected) / 2


def james(
    table: Sequence[Sequence[Number]], w: Sequence[Sequence[Number]] | None = None
) -> tuple[Number, Number]:
    """The index and its variance, the gradient taken numerically over multinomial cells."""
    total = sum(mpf(x) for r in table for x in r)
    k, arms = len(table) - 1, len(table[0])
    w = w or [[mpf(0) if i == j else HALF for j in range(arms)] for i in range(k)]
    w = [[mpf(x) for x in r] for r in w]
    p = [[mpf(x) / total for x in r] for r in table]

    def moved(i: int, j: int, by: Number) -> Number:
        return james_index([[x + by * ((a, b) == (i, j)) for b, x in enumerate(r)]
                            for a, r in enumerate(p)], w)  # fmt: skip

    cells = list(product(range(k + 1), range(arms)))
    slope = {c: (moved(*c, STEP) - moved(*c, -STEP)) / (2 * STEP) for c in cells}
    mean = sum(p[i][j] * slope[i, j] for i, j in cells)
    return james_index(p, w), sum(p[i][j] * (slope[i, j] - mean) ** 2 for i, j in cells) / total


def kappa(table: Sequence[Sequence[int]]) -> tuple[Number, Number]:
    """Cohen's kappa; variance by numerical differentiation over multinomial cells."""
    total = mpf(sum(map(sum, table)))
    p = [[mpf(x) / total for x in r] for r in table]

    def index(q: Sequence[Sequence[Number]]) -> Number:
        agree = sum(q[i][i] for i in range(len(q)))
        chance = sum(sum(q[i]) * sum(r[i] for r in q) for i in range(len(q)))
        return (agree - chance) / (1 - chance)

    slope = {}
    for i, j in product(range(len(p)), repeat=2):
        ends = []
        for by in (STEP, -STEP):
            q = [list(r) for r in p]
            q[i][j] += by
            ends.append(index(q))
        slope[i, j] = (ends[0] - ends[1]) / (2 * STEP)
    mean = sum(p[i][j] * s for (i, j), s in slope.items())
    return index(p), sum(p[i][j] * (s - mean) ** 2 for (i, j), s in slope.items()) / total


def percent_tables(
    percent: str, n: int, of: str, dont_know: int | None
) -> Iterator[tuple[int, int, int]]:
    """Every (correct, wrong, don't know) of n whose printed percentage is `percent`."""
    digits = len(percent.partition(".")[2])
    half = Fraction(1, 2 * 10**digits)
    for c, w in product(range(n + 1), repeat=2):
        d = n - c - w
        if d < 0 or (dont_know is not None and d != dont_know):
            continue
        bases = {"all": [n], "guessed": [c + w], "unknown": [n, c + w]}[of]
        if any(b and abs(Fraction(100 * c, b) - Fraction(percent)) <= half for b in bases):
            yield c, w, d


# --- Outcome by guess and arm (Szigeti 2023; strata ACAC ACPL PLAC PLPL [ACU PLU])


def shares(n: Sequence[Number], c: Number, u: Number) -> list[Number]:
    """The six weights at a rate c of right guesses and a share u of don't-knows."""
    acac, acpl, plac, plpl, acu, plu = (mpf(x) for x in n)
    r, s = plpl / (plpl + acac), acpl / (acpl + plac)
    t = acu / (acu + plu) if acu + plu else HALF
    return [(1 - u) * c * (1 - r), (1 - u) * (1 - c) * s, (1 - u) * (1 - c) * (1 - s),
            (1 - u) * c * r, u * t, u * (1 - t)]  # fmt: skip


def delta_at(
    n: Sequence[Number], mean: Sequence[Number], c: Number, u: Number | None = None
) -> Number:
    """Δ(c) of the closed form."""
    u = (mpf(n[4]) + n[5]) / sum(mpf(x) for x in n) if u is None else u
    w = shares(n, c, u)
    active, control = (0, 1, 4), (2, 3, 5)
    return (
        sum(w[k] * mean[k] for k in active) / sum(w[k] for k in active)
        - sum(w[k] * mean[k] for k in control) / sum(w[k] for k in control)
    )  # fmt: skip


def raw(n: Sequence[Number], mean: Sequence[Number]) -> Number:
    active, control = (0, 1, 4), (2, 3, 5)
    return (
        sum(mpf(n[k]) * mean[k] for k in active) / sum(mpf(n[k]) for k in active)
        - sum(mpf(n[k]) * mean[k] for k in control) / sum(mpf(n[k]) for k in control)
    )  # fmt: skip


def fixed_se(n: Sequence[Number], sd: Sequence[Number], c: Number) -> Number:
    """Standard error of Δ(c), the weights known."""
    u = (mpf(n[4]) + n[5]) / sum(mpf(x) for x in n)
    w = shares(n, c, u)
    arms = [sum(w[k] for k in (0, 1, 4)), sum(w[k] for k in (2, 3, 5))]
    own = [0, 0, 1, 1, 0, 1]
    return sqrt(sum((w[k] / arms[own[k]]) ** 2 * mpf(sd[k]) ** 2 / n[k] for k in range(6) if n[k]))


def sampled_se(
    n: Sequence[Number], mean: Sequence[Number], sd: Sequence[Number], rho: Number
) -> Number:
    """Standard error of ρ raw + (1 − ρ) Δ(½), guesses multinomial within each arm, numerically."""
    counts = [mpf(v) for v in n]
    held = [k for k in range(6) if counts[k] > 0]

    def value(at: Sequence[Number], m: Sequence[Number]) -> Number:
        return mpf(rho) * raw(at, m) + (1 - mpf(rho)) * delta_at(at, m, HALF)

    def slope(k: int, by_mean: bool) -> Number:
        ends = []
        for step in (STEP, -STEP):
            at, m = list(counts), [mpf(v) for v in mean]
            (m if by_mean else at)[k] += step
            ends.append(value(at, m))
        return (ends[0] - ends[1]) / (2 * STEP)

    total = sum((slope(k, True) * mpf(sd[k])) ** 2 / counts[k] for k in held)
    for arm in ((0, 1, 4), (2, 3, 5)):
        inside = [k for k in arm if k in held]
        size = sum(counts[k] for k in inside)
        g = {k: slope(k, False) for k in inside}
        centre = sum(counts[k] * g[k] for k in inside) / size
        total += sum(counts[k] * (g[k] - centre) ** 2 for k in inside)
    return sqrt(total)


def raw_se(n: Sequence[Number], mean: Sequence[Number], sd: Sequence[Number]) -> Number:
    """Welch's standard error of the raw difference, each arm's variance put together again."""
    total = mpf(0)
    for arm in ((0, 1, 4), (2, 3, 5)):
        size = sum(mpf(n[k]) for k in arm)
        centre = sum(mpf(n[k]) * mean[k] for k in arm) / size
        squares = sum(
            (mpf(n[k]) - 1) * mpf(sd[k]) ** 2 + n[k] * (mpf(mean[k]) - centre) ** 2
            for k in arm
            if n[k]
        )
        total += squares / (size - 1) / size
    return sqrt(total)


# --- Missing outcomes


def risk_if_missing(
    r: Number, n: Number, m: Number, imor: Number
) -> tuple[Number, Number, Number, Number]:
    """Risk, its variance, and its slopes by log IMOR (White, Higgins & Wood 2008), numerically."""
    p, a = mpf(r) / n, mpf(m) / (mpf(n) + m)

    def risk(p: Number, a: Number, i: Number) -> Number:
        return p * (1 - a) + a * p * i / (p * i + 1 - p)

    i = mpf(imor)
    by_p = (risk(p + STEP, a, i) - risk(p - STEP, a, i)) / (2 * STEP)
    by_a = (risk(p, a + STEP, i) - risk(p, a - STEP, i)) / (2 * STEP)
    by_log = (risk(p, a, i * exp(STEP)) - risk(p, a, i * exp(-STEP))) / (2 * STEP)
    variance = by_p**2 * p * (1 - p) / n + by_a**2 * a * (1 - a) / (mpf(n) + m)
    return risk(p, a, i), variance, by_log, a


SCALE = {"RD": lambda p: p, "RR": log, "OR": lambda p: log(p / (1 - p))}


def binary_effect(
    study: Sequence[int], imor: Sequence[Number], sd: Sequence[Number], rho: Number, measure: str
) -> tuple[Number, Number]:
    """Effect and variance of (r1, n1, m1, r2, n2, m2) under an uncertain IMOR in each arm."""
    f = SCALE[measure]
    value, variance, slopes = [], mpf(0), []
    for k in range(2):
        p, v, by_log, _ = risk_if_missing(*study[3 * k : 3 * k + 3], imor[k])
        d = (f(p + STEP) - f(p - STEP)) / (2 * STEP)
        value.append(f(p))
        variance += d**2 * v
        slopes.append(d * by_log)
    s1, s2 = slopes[0] * mpf(sd[0]), slopes[1] * mpf(sd[1])
    return value[0] - value[1], variance + s1**2 + s2**2 - 2 * mpf(rho) * s1 * s2


def empty_cell(study: Sequence[int], imor: Sequence[Number]) -> tuple[Number, Number]:
    """Log RR with an empty cell: risks (r + ½)/(n + ½), variances with n (metasens' metamiss)."""
    value, variance = [], mpf(0)
    for k in range(2):
        r, n, m = (mpf(v) for v in study[3 * k : 3 * k + 3])
        p = (r + HALF) / (n + HALF)
        risk, v, _, _ = risk_if_missing(p * n, n, m, imor[k])
        value.append(log(risk))
        variance += v / risk**2
    return value[0] - value[1], variance


def gamble_hollis(study: Sequence[int], measure: str) -> tuple[Number, Number]:
    """Available cases, SE from the limits of worst and best case (Gamble & Hollis 2005)."""
    r1, n1, m1, r2, n2, m2 = (mpf(x) for x in study)
    f, z = SCALE[measure], two_sided()

    def limit(x1: Number, t1: Number, x2: Number, t2: Number, sign: int) -> Number:
        p, q = x1 / t1, x2 / t2
        v = {"RD": p * (1 - p) / t1 + q * (1 - q) / t2,
             "RR": 1 / x1 - 1 / t1 + 1 / x2 - 1 / t2,
             "OR": 1 / x1 + 1 / (t1 - x1) + 1 / x2 + 1 / (t2 - x2)}[measure]  # fmt: skip
        return f(p) - f(q) + sign * z * sqrt(v)

    low = limit(r1, n1 + m1, r2 + m2, n2 + m2, -1)
    high = limit(r1 + m1, n1 + m1, r2, n2 + m2, 1)
    return f(r1 / n1) - f(r2 / n2), ((high - low) / (2 * z)) ** 2


def mean_effect(
    study: Sequence[Number], lam: Sequence[Number], sd: Sequence[Number], rho: Number, kind: str
) -> tuple[Number, Number]:
    """Effect and variance of (mean, sd, n, m) × 2 (Mavridis et al. 2015), numerically."""
    value, variance, slopes = [], mpf(0), []
    for k in range(2):
        x, s, n, m = (mpf(v) for v in study[4 * k : 4 * k + 4])
        a = m / (n + m)

        def mean(x: Number, a: Number, p: Number) -> Number:
            missing = x + p if kind == "difference" else x * p
            return x * (1 - a) + missing * a

        p = mpf(lam[k])
        by_x = (mean(x + STEP, a, p) - mean(x - STEP, a, p)) / (2 * STEP)
        by_a = (mean(x, a + STEP, p) - mean(x, a - STEP, p)) / (2 * STEP)
        by_p = (mean(x, a, p + STEP) - mean(x, a, p - STEP)) / (2 * STEP)
        value.append(mean(x, a, p))
        variance += by_x**2 * s**2 / n + by_a**2 * a * (1 - a) / (n + m)
        slopes.append(by_p * mpf(sd[k]))
    s1, s2 = slopes
    return value[0] - value[1], variance + s1**2 + s2**2 - 2 * mpf(rho) * s1 * s2


def pooled(effects: Sequence[tuple[Number, Number]]) -> dict[str, Number]:
    """Common-effect mean; random-effects mean with Paule and Mandel's τ²."""

    def mean(tau2: Number) -> Number:
        return sum(y / (v + tau2) for y, v in effects) / sum(1 / (v + tau2) for _, v in effects)

    def excess(tau2: Number) -> Number:
        m = mean(tau2)
        return sum((y - m) ** 2 / (v + tau2) for y, v in effects) - (len(effects) - 1)

    tau2 = root(excess, 0, 1000) if excess(mpf(0)) > 0 else mpf(0)
    weight = sum(1 / (v + tau2) for _, v in effects)
    return {"common": mean(mpf(0)), "random": mean(tau2), "tau2": tau2, "se": 1 / sqrt(weight)}


def reference_difference(
    treated: Sequence[Number], control: Sequence[Number], cov: Sequence[Sequence[Number]],
    last_seen: Sequence[int], strategy: str,
) -> Number:  # fmt: skip
    """Final difference when treated dropouts follow the reference (Carpenter et al. 2013).

    Visits 1 … last; `last_seen` counts those last seen at visit 0 (baseline), 1, … last.
    """
    total, last = sum(last_seen), len(treated)
    t, c = [mpf(x) for x in treated], [mpf(x) for x in control]
    mean = mpf(0)
    for k, count in enumerate(last_seen):
        if k == last:
            mean += count * t[-1]
            continue
        carried = mpf(0)  # B (mean of the seen under treatment less the mean imputed from)
        if k and strategy == "copy_reference":
            block = matrix([[mpf(cov[i][j]) for j in range(k)] for i in range(k)])
            apart = matrix([t[i] - c[i] for i in range(k)])
            solved = cholesky_solve(block, apart)
            carried = sum(mpf(cov[last - 1][i]) * solved[i] for i in range(k))
        seen_t, seen_c = (t[k - 1], c[k - 1]) if k else (mpf(0), mpf(0))
        mean += (
            count
            * {
                "missing_at_random": t[-1],
                "jump_to_reference": c[-1],
                "copy_reference": c[-1] + carried,
                "copy_increments": seen_t + c[-1] - seen_c,
                "last_mean_carried_forward": seen_t,
            }[strategy]
        )
    return mean / total - c[-1]


# --- Differences of proportions


def wilson(x: Number, n: Number, level: str = "0.95") -> tuple[Number, Number]:
    """The p at which |x/n − p| = z √(p(1 − p)/n), by bisection (Wilson 1927)."""
    x, n, z = mpf(x), mpf(n), two_sided(level)
    p = x / n

    def f(q: Number) -> Number:
        return (p - q) ** 2 - z * z * q * (1 - q) / n

    e = mpf(10) ** -30  # at an estimate of 0 or 1 the estimate itself is the other zero
    return (root(f, 0, p - e) if x else mpf(0)), (root(f, p + e, 1) if x != n else mpf(1))


def newcombe(cells: Sequence[Number], level: str = "0.95") -> tuple[Number, Number]:
    """Newcombe 1998, method 10."""
    x1, n1, x2, n2 = (mpf(v) for v in cells)
    (l1, u1), (l2, u2) = wilson(x1, n1, level), wilson(x2, n2, level)
    p, q = x1 / n1, x2 / n2
    return p - q - sqrt((p - l1) ** 2 + (u2 - q) ** 2), p - q + sqrt((u1 - p) ** 2 + (q - l2) ** 2)


def dual_p(cells: Sequence[Number]) -> Number:
    """1 less the level at which Newcombe's interval just reaches 0 (Petroff et al. 2024)."""
    x1, n1, x2, n2 = (mpf(v) for v in cells)
    d = x1 / n1 - x2 / n2
    if d == 0:
        return mpf(1)

    def reach(z: Number) -> Number:
        limits = []
        for x, n in ((x1, n1), (x2, n2)):  # the ends of Wilson's interval, as roots of a quadratic
            middle, half = x + z * z / 2, z * sqrt(x * (n - x) / n + z * z / 4)
            limits.append(((middle - half) / (n + z * z), (middle + half) / (n + z * z)))
        (l1, u1), (l2, u2) = limits
        p, q = x1 / n1, x2 / n2
        if d > 0:
            return d - sqrt((p - l1) ** 2 + (u2 - q) ** 2)
        return -d - sqrt((u1 - p) ** 2 + (q - l2) ** 2)

    return 2 * phi(-root(reach, mpf(10) ** -20, 1000))


def constrained(cells: Sequence[Number], d: Number) -> tuple[Number, Number]:
    """The most likely p1, p2 with p1 − p2 = d: the likelihood's slope followed to its zero."""
    x1, n1, x2, n2 = (mpf(v) for v in cells)
    d = mpf(d)
    low, high = max(mpf(0), -d), min(mpf(1), 1 - d)

    def slope(q: Number) -> Number:
        parts = [(x1, q + d, 1), (n1 - x1, 1 - q - d, -1), (x2, q, 1), (n2 - x2, 1 - q, -1)]
        return sum(s * c / v for c, v, s in parts if c)

    e = (high - low) * mpf(10) ** -36
    if high - low <= 0 or slope(low + e) <= 0:
        q = low
    elif slope(high - e) >= 0:
        q = high
    else:
        q = root(slope, low + e, high - e)
    return q + d, q


def score(cells: Sequence[Number], d: Number, corrected: bool) -> Number:
    """(p1 − p2 − d) over its restricted standard error (Farrington & Manning 1990)."""
    x1, n1, x2, n2 = (mpf(v) for v in cells)
    p, q = constrained(cells, d)
    variance = p * (1 - p) / n1 + q * (1 - q) / n2
    variance *= (n1 + n2) / (n1 + n2 - 1) if corrected else 1
    away = x1 / n1 - x2 / n2 - mpf(d)
    if variance < mpf(10) ** -30:
        return mpf(0) if abs(away) < mpf(10) ** -15 else away * mpf(10) ** 12
    return away / sqrt(variance)


def score_interval(
    cells: Sequence[Number], corrected: bool, level: str = "0.95"
) -> tuple[Number, Number]:
    """Miettinen & Nurminen 1985 (`corrected`) or Mee 1984, by bisection."""
    x1, n1, x2, n2 = (mpf(v) for v in cells)
    z, d = two_sided(level), x1 / n1 - x2 / n2
    e = mpf(10) ** -15
    low = root(lambda t: score(cells, t, corrected) - z, -1 + e, d) if d > -1 else mpf(-1)
    high = root(lambda t: score(cells, t, corrected) + z, d, 1 - e) if d < 1 else mpf(1)
    return low, high


def small_sample(df: int) -> Number:
    """Hedges' exact factor."""
    d = mpf(df)
    return gamma(d / 2) / (sqrt(d / 2) * gamma((d - 1) / 2))
