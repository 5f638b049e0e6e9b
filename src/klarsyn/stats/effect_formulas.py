"""An effect and its sampling variance from complete cells: one function a kind of data.

Each takes the measure's name, its columns (after continuity correction) and the variance asked
for. Formulas as in metafor's `escalc` unless a source stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray
Cells = Mapping[str, Array]
LARGE_C = 25.0  # of ₂F₁(a, a; c; z): 300 terms of the series are then exact to 1e-16


def _weighted_mean(values: Array, sizes: Array) -> float:
    known = np.isfinite(values) & np.isfinite(sizes)
    return float(np.sum(values[known] * sizes[known]) / np.sum(sizes[known]))


def hedges_correction(df: Array | float) -> Any:
    """The exact factor Γ(m/2) / (√(m/2) Γ((m−1)/2)) of Hedges 1981, eq. 6e; 1 for infinite m.

    NaN for m ≤ 1: a standardised difference then has no mean that could be corrected.
    """
    from scipy.special import gammaln

    m = np.asarray(df, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.exp(gammaln(m / 2) - 0.5 * np.log(m / 2) - gammaln((m - 1) / 2))
    return np.where(np.isinf(m), 1.0, np.where(m > 1, factor, np.nan))[()]


def _table(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    a, b, cc, d = c["ai"], c["bi"], c["ci"], c["di"]
    n1, n2 = a + b, cc + d
    p1, p2 = a / n1, cc / n2
    if measure in {"OR", "OR2DN", "OR2DL"}:
        y, v = np.log(a) + np.log(d) - np.log(b) - np.log(cc), 1 / a + 1 / b + 1 / cc + 1 / d
        factor = {"OR": 1.0, "OR2DN": 1 / 1.65, "OR2DL": np.sqrt(3) / np.pi}[measure]
        return factor * y, factor**2 * v
    if measure == "RR":
        return np.log(p1) - np.log(p2), 1 / a - 1 / n1 + 1 / cc - 1 / n2
    if measure == "RD":
        q1, q2 = p1, p2
        if variance == "AV":
            q1, q2 = _weighted_mean(p1, n1), _weighted_mean(p2, n2)
        less = 1 if variance == "UB" else 0
        return p1 - p2, q1 * (1 - q1) / (n1 - less) + q2 * (1 - q2) / (n2 - less)
    if measure == "PETO":
        n, events = n1 + n2, a + cc
        spread = events * (b + d) * (n1 / n) * (n2 / n) / (n - 1)
        return (a - events * n1 / n) / spread, 1 / spread
    if measure == "AS":
        return np.arcsin(np.sqrt(p1)) - np.arcsin(np.sqrt(p2)), 1 / (4 * n1) + 1 / (4 * n2)
    return _association(measure, a, b, cc, d)


def _association(measure: str, a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    from scipy.special import ndtri

    n1, n2, inverse = a + b, c + d, 1 / a + 1 / b + 1 / c + 1 / d
    if measure == "PBIT":
        z1, z2 = ndtri(a / n1), ndtri(c / n2)
        v = [
            2 * np.pi * p * (1 - p) * np.exp(z**2) / n
            for p, z, n in ((a / n1, z1, n1), (c / n2, z2, n2))
        ]
        return z1 - z2, v[0] + v[1]
    if measure == "YUQ":
        y = (a * d - b * c) / (a * d + b * c)
        return y, (1 - y**2) ** 2 * inverse / 4
    if measure == "YUY":
        y = (np.sqrt(a * d) - np.sqrt(b * c)) / (np.sqrt(a * d) + np.sqrt(b * c))
        return y, (1 - y**2) ** 2 * inverse / 16
    n, m1, m2 = n1 + n2, a + c, b + d
    y = (a * d - b * c) / np.sqrt(n1 * n2 * m1 * m2)
    skew = (n1 / n - n2 / n) * (m1 / n - m2 / n) / np.sqrt(n1 / n * n2 / n * m1 / n * m2 / n)
    edge = (n1 / n - n2 / n) ** 2 / (n1 / n * n2 / n) + (m1 / n - m2 / n) ** 2 / (m1 * m2 / n**2)
    return y, (1 - y**2 + y * (1 + y**2 / 2) * skew - 0.75 * y**2 * edge) / n


def _matched(measure: str, c: Cells, _: str) -> tuple[Array, Array]:
    """Pairs: `ai` with two events, `bi` and `ci` with the first or second alone, `di` with none."""
    b, cc = c["bi"], c["ci"]
    n = c["ai"] + b + cc + c["di"]
    if measure == "MPORC":
        return np.log(b) - np.log(cc), 1 / b + 1 / cc
    if measure == "MPPETO":
        return 2 * (b - cc) / (b + cc), 4 / (b + cc)
    p1, p2 = (c["ai"] + b) / n, (c["ai"] + cc) / n
    spread = (b + cc) / n - ((b - cc) / n) ** 2  # n times the variance of p1 − p2
    if measure == "MPRD":
        return p1 - p2, spread / n
    if measure == "MPRR":
        return np.log(p1 / p2), (b + cc) / n / (n * p1 * p2)
    y = np.log(p1 / (1 - p1)) - np.log(p2 / (1 - p2))
    return y, spread / (n * p1 * (1 - p1) * p2 * (1 - p2))


def _rates(measure: str, c: Cells, _: str) -> tuple[Array, Array]:
    x1, t1, x2, t2 = c["x1i"], c["t1i"], c["x2i"], c["t2i"]
    if measure == "IRR":
        return np.log(x1 / t1) - np.log(x2 / t2), 1 / x1 + 1 / x2
    if measure == "IRD":
        return x1 / t1 - x2 / t2, x1 / t1**2 + x2 / t2**2
    return np.sqrt(x1 / t1) - np.sqrt(x2 / t2), 1 / (4 * t1) + 1 / (4 * t2)


def _means(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    s1, n1, s2, n2 = c["sd1i"], c["n1i"], c["sd2i"], c["n2i"]
    if measure == "VR":
        y = np.log(s1 / s2) + 1 / (2 * (n1 - 1)) - 1 / (2 * (n2 - 1))
        return y, 1 / (2 * (n1 - 1)) + 1 / (2 * (n2 - 1))
    m1, m2 = c["m1i"], c["m2i"]
    if measure == "SMD1H":  # Bonett 2009
        g = hedges_correction(n2 - 1) * (m1 - m2) / s2
        return g, (s1 / s2) ** 2 / n1 + 1 / n2 + g**2 / (2 * n2)
    pooled = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n1 + n2 - 2))
    if measure == "MD":
        v = pooled**2 * (1 / n1 + 1 / n2) if variance == "HO" else s1**2 / n1 + s2**2 / n2
        return m1 - m2, v
    if measure in {"ROM", "ROMU"}:
        u1, u2 = (pooled, pooled) if variance == "HO" else (s1, s2)
        bias = (s1**2 / (n1 * m1**2) - s2**2 / (n2 * m2**2)) / 2 if measure == "ROM" else 0.0
        return np.log(m1 / m2) + bias, u1**2 / (n1 * m1**2) + u2**2 / (n2 * m2**2)
    if measure == "CVR":
        y = np.log(s1 / m1) + 1 / (2 * (n1 - 1)) - np.log(s2 / m2) - 1 / (2 * (n2 - 1))
        v = sum(1 / (2 * (n - 1)) + s**2 / (n * m**2) for s, n, m in ((s1, n1, m1), (s2, n2, m2)))
        return y, np.asarray(v)
    if measure in {"RPB", "RBIS"}:
        return _biserial(measure, (m1 - m2) / pooled, n1, n2)
    return _standardised(measure, c, pooled, variance)


def _biserial(measure: str, d: Array, n1: Array, n2: Array) -> tuple[Array, Array]:
    """Of the groups with the outcome (Jacobs & Viechtbauer 2017, eq. 3 and 8; Soper 1914)."""
    from scipy.special import ndtri

    n = n1 + n2
    h = (n - 2) / n1 + (n - 2) / n2
    r = d / np.sqrt(d**2 + h)
    if measure == "RPB":
        return r, h**2 / (h + d**2) ** 3 * (1 / n1 + 1 / n2 + d**2 / (2 * n))
    p, q = n1 / n, n2 / n
    z = ndtri(q)
    height = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    r = np.sqrt(p * q) / height * r
    b = np.clip(r, -1, 1)
    bend = 1.5 + (1 - p * z / height) * (1 + q * z / height)
    return r, (p * q / height**2 - bend * b**2 + b**4) / (n - 1)


def _standardised(measure: str, c: Cells, pooled: Array, variance: str) -> tuple[Array, Array]:
    s1, n1, s2, n2 = c["sd1i"], c["n1i"], c["sd2i"], c["n2i"]
    difference, n = c["m1i"] - c["m2i"], n1 + n2
    if measure in {"D2ORN", "D2ORL"}:
        factor = 1.65 if measure == "D2ORN" else np.pi / np.sqrt(3)
        d = difference / pooled
        return factor * d, factor**2 * (1 / n1 + 1 / n2 + d**2 / (2 * n))
    if measure == "SMDH":
        mean = np.sqrt((s1**2 + s2**2) / 2)
        g = hedges_correction(n - 2) * difference / mean
        v = g**2 * (s1**4 / (n1 - 1) + s2**4 / (n2 - 1)) / (8 * mean**4)
        return g, v + (s1**2 / (n1 - 1) + s2**2 / (n2 - 1)) / mean**2
    sd, df, size = (s2, n2 - 1, n2) if measure == "SMD1" else (pooled, n - 2, n)
    j = hedges_correction(df)
    g = j * difference / sd
    base = 1 / n1 + 1 / n2
    if variance == "UB":
        return g, base + (1 - (df - 2) / (df * j**2)) * g**2
    if variance == "AV":
        return g, base + _weighted_mean(g, n) ** 2 / (2 * size)
    if variance == "LS2":
        return g, j**2 * (base + (g / j) ** 2 / (2 * size))
    return g, base + g**2 / (2 * size)


def _pairs(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    s1, n, r = c["sd1i"], c["ni"], c["ri"]
    if measure == "VRC":
        return np.log(s1 / c["sd2i"]), (1 - r**2) / (n - 1)
    m1, m2 = c["m1i"], c["m2i"]
    s2 = c.get("sd2i", s1)
    spread = s1**2 + s2**2 - 2 * r * s1 * s2
    if measure == "MC":
        return m1 - m2, spread / n
    if measure in {"ROMC", "CVRC"}:
        v = s1**2 / (n * m1**2) + s2**2 / (n * m2**2) - 2 * r * s1 * s2 / (m1 * m2 * n)
        if measure == "CVRC":
            return np.log(s1 / m1) - np.log(s2 / m2), v + (1 - r**2) / (n - 1)
        return np.log(m1 / m2), v
    j = hedges_correction(n - 1)
    if measure == "SMCRH":
        g = j * (m1 - m2) / s1
        return g, j**2 * (spread / (s1**2 * (n - 1)) + g**2 / (2 * (n - 1)))
    sd, base = (np.sqrt(spread), 1 / n) if measure == "SMCC" else (s1, 2 * (1 - r) / n)
    d = (m1 - m2) / sd
    if variance == "LS2":
        return j * d, j**2 * (base + d**2 / (2 * n))
    return j * d, base + (j * d) ** 2 / (2 * n)


def _proportion(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    x, n = c["xi"], c["ni"]
    p = x / n
    q = np.full_like(p, _weighted_mean(p, n)) if variance == "AV" else p
    if measure == "PR":
        return p, q * (1 - q) / (n - 1 if variance == "UB" else n)
    if measure == "PLN":
        return np.log(p), 1 / (q * n) - 1 / n
    if measure == "PLO":
        return np.log(p / (1 - p)), 1 / (q * n) + 1 / ((1 - q) * n)
    if measure == "PAS":
        return np.arcsin(np.sqrt(p)), 1 / (4 * n)
    y = (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))) / 2
    return y, 1 / (4 * n + 2)


def _rate(measure: str, c: Cells, _: str) -> tuple[Array, Array]:
    x, t = c["xi"], c["ti"]
    if measure == "IR":
        return x / t, x / t**2
    if measure == "IRLN":
        return np.log(x / t), 1 / x
    if measure == "IRS":
        return np.sqrt(x / t), 1 / (4 * t)
    return (np.sqrt(x / t) + np.sqrt(x / t + 1 / t)) / 2, 1 / (4 * t)


def _mean(measure: str, c: Cells, _: str) -> tuple[Array, Array]:
    s, n = c["sdi"], c["ni"]
    if measure == "SDLN":  # Nakagawa et al. 2015
        return np.log(s) + 1 / (2 * (n - 1)), 1 / (2 * (n - 1))
    m = c["mi"]
    if measure == "CVLN":
        return np.log(s / m) + 1 / (2 * (n - 1)), 1 / (2 * (n - 1)) + s**2 / (n * m**2)
    if measure == "SMN":
        g = hedges_correction(n - 1) * m / s
        return g, 1 / n + g**2 / (2 * n)
    if measure == "MN":
        return m, s**2 / n
    return np.log(m), s**2 / (n * m**2)


def _correlation(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    r, n = c["ri"], c["ni"]
    if measure == "ZCOR":
        return np.arctanh(r), 1 / (n - 3)
    y = r * _gauss(0.5, (n - 2) / 2, 1 - r**2) if measure == "UCOR" else r  # Olkin–Pratt 1958
    if variance == "AV":
        return y, (1 - _weighted_mean(y, n) ** 2) ** 2 / (n - 1)
    if variance == "UB":  # Hedges 1989
        v = y**2 - 1 + (n - 3) / (n - 2) * (1 - r**2) * _gauss(1, n / 2, 1 - r**2)
        return y, v
    return y, (1 - y**2) ** 2 / (n - 1)


def _partial(measure: str, c: Cells, variance: str) -> tuple[Array, Array]:
    """From a slope's t, the patients and the regression's predictors (Aloe & Becker 2012)."""
    t, n, df = c["ti"], c["ni"], c["ni"] - c["mi"] - 1
    if measure == "SPCOR":
        y, r2 = t * np.sqrt(1 - c["r2i"]) / np.sqrt(df), c["r2i"]
        rest = r2 - (_weighted_mean(y, n) ** 2 if variance == "AV" else y**2)
        return y, (r2**2 - 2 * r2 + rest + 1 - rest**2) / n
    y = t / np.sqrt(t**2 + df)
    if measure == "ZPCOR":
        return np.arctanh(y), 1 / df
    return y, (1 - (_weighted_mean(y, n) if variance == "AV" else y) ** 2) ** 2 / df


def _alpha(measure: str, c: Cells, _: str) -> tuple[Array, Array]:
    """Bonett 2010 (raw, 2002); Hakstian & Whalen 1976."""
    rest, m, n = 1 - c["ai"], c["mi"], c["ni"]
    if measure == "AHW":
        v = 18 * m * (n - 1) * np.cbrt(rest) ** 2 / ((m - 1) * (9 * n - 11) ** 2)
        return 1 - np.cbrt(rest), v
    v = 2 * m / ((m - 1) * (n - 2))
    return (c["ai"], v * rest**2) if measure == "ARAW" else (-np.log(rest), v)


def _gauss(a: float, c: Array, z: Array) -> Array:
    """₂F₁(a, a; c; z), 0 ≤ z ≤ 1; scipy's overflows for large c, where the series is short."""
    from scipy.special import hyp2f1

    k = np.arange(300)[:, None]
    terms = np.cumprod((a + k) ** 2 / ((c + k) * (k + 1)) * z, axis=0)
    return np.where(c > LARGE_C, 1 + terms.sum(axis=0), hyp2f1(a, a, c, z))


def _generic(_: str, c: Cells, __: str) -> tuple[Array, Array]:
    return c["yi"], c["vi"]


FORMULAS: dict[str, Callable[[str, Cells, str], tuple[Array, Array]]] = {
    "table": _table,
    "matched": _matched,
    "rates": _rates,
    "means": _means,
    "pairs": _pairs,
    "proportion": _proportion,
    "rate": _rate,
    "mean": _mean,
    "correlation": _correlation,
    "partial": _partial,
    "alpha": _alpha,
    "generic": _generic,
}
