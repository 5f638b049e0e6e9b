"""What trials report becomes an effect and its sampling variance, measure by measure.

Argument names are those of the meta-analysis literature's common tables: `ai bi ci di` are the
cells of a 2×2 table (events and non-events, first group then second; or `n1i`, `n2i` instead of
`bi`, `di`), `x1i t1i x2i t2i` events and person-time, `m1i sd1i n1i …` means, `xi ni` events of one
group, `ri` a correlation. Effects as published are `yi` with `vi` or `sei`, or `est` with its 95 %
limits `lower` and `upper` (for HR on the ratio scale).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.estimate import Z_95
from klarsyn.stats.measures import MEASURES, Measure

Array = np.ndarray
Cells = Mapping[str, Array]
DROPPED = "dropped as asked: no event, or nothing but events, in either group"
LARGE_C = 25.0  # of ₂F₁(a, a; c; z): 300 terms of the series are then exact to 1e-16
CORRECTIONS = ("only0", "all", "if0all", "none")
VARIANCES = ("LS", "LS2", "UB", "AV", "HO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """Effects `y` and sampling variances `v`, one a study, in the order of the input.

    `corrected` marks studies whose cells got the continuity correction; `problem` is empty or says
    why a study has no usable effect (its y and v are then NaN). `fewest` is the smaller number of
    events of the two groups, before any correction; NaN where the measure has no two counts.
    """

    measure: str
    scale: str
    y: Array
    v: Array
    corrected: Array
    problem: tuple[str, ...]
    method: str
    fewest: Array


_ALIASES = ("n1i", "n2i", "mi", "sei", "est", "lower", "upper")
ROLES = tuple(dict.fromkeys([*(r for m in MEASURES.values() for r in m.needs), *_ALIASES]))
# Measures whose variance is defined for a zero cell, so that none is corrected unless asked.
_NO_CORRECTION = frozenset({"AS", "PHI", "IRSD", "PAS", "PFT", "IRS", "IRFT"})


def contrasts(
    measure: str,
    cells: Mapping[str, Any],
    *,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    variance: str = "LS",
    labels: Sequence[str] = (),
) -> Contrasts:
    """Effects and sampling variances of one measure.

    `add` is put on every cell of a study with a zero cell (`to="only0"`), of all studies
    (`"all"`), of all as soon as one has a zero (`"if0all"`), or of none; left out, it is 1/2 for
    measures that a zero makes infinite and 0 for the others. `drop00` gives studies without any
    event, or with nothing but events, no effect. `variance` is `LS` (large sample), `LS2`, `UB`
    (unbiased), `AV` (average effect in place of each study's own) or `HO` (equal variances), as
    far as the measure has it. `labels` name the studies in errors (else 1, 2, …).

    Raises UnknownNameError for names outside the lists, InputError for impossible cells.
    """
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    if to not in CORRECTIONS:
        raise unknown_name("correction rule", to, CORRECTIONS)
    kind = MEASURES[measure]
    if variance not in kind.variances:
        raise unknown_name(f"variance of {measure}", variance, kind.variances)
    amount = (0.0 if measure in _NO_CORRECTION else 0.5) if add is None else float(add)
    if not 0 <= amount < np.inf:
        raise InputError(f"The continuity correction `add` is 0 or more; {amount:g} is not.")
    columns = complete(measure, cells, labels)
    check_cells(kind, columns, labels)
    size = len(next(iter(columns.values())))
    corrected = np.zeros(size, dtype=bool)
    dropped = empty_studies(kind, columns) if drop00 else np.zeros(size, dtype=bool)
    fewest = _fewest(columns, size)
    if kind.kind in _COUNTS:
        columns, corrected = _corrected(kind, columns, amount, to)
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = _FORMULAS[kind.kind](measure, columns, variance)
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    problem = tuple(
        DROPPED if gone else _problem(*pair) for gone, *pair in zip(dropped, y, v, strict=True)
    )
    bad = np.array([bool(p) for p in problem])
    return Contrasts(
        measure=measure,
        scale=kind.scale,
        y=np.where(bad, np.nan, y),
        v=np.where(bad, np.nan, v),
        corrected=corrected,
        problem=problem,
        method=f"{measure}, variance {variance}, add {amount:g} to {to}"
        + (", trials without any event dropped" if drop00 else ""),
        fewest=fewest,
    )


def _fewest(columns: Cells, size: int) -> Array:
    for first, second in (("ai", "ci"), ("x1i", "x2i")):
        if first in columns and second in columns:
            return np.minimum(columns[first], columns[second])
    return np.full(size, np.nan)


def complete(
    measure: str, cells: Mapping[str, Any], labels: Sequence[str] = ()
) -> dict[str, Array]:
    """The columns that the measure needs, with group sizes turned into non-events."""
    kind = MEASURES[measure]
    given = {name: np.asarray(column, dtype=float) for name, column in cells.items()}
    if kind.kind == "table":
        for events, others, size in (("ai", "bi", "n1i"), ("ci", "di", "n2i")):
            if others not in given and {events, size} <= set(given):
                given[others] = given[size] - given[events]
    if kind.kind == "proportion" and "ni" not in given and {"xi", "mi"} <= set(given):
        given["ni"] = given["xi"] + given["mi"]
    if kind.kind == "generic":
        _check_limits(given, labels, log=kind.scale == "log")
        given = _from_limits(given, log=kind.scale == "log")
    missing = [name for name in kind.needs if name not in given]
    if missing:
        raise InputError(
            f"{measure} needs {', '.join(kind.needs)}; missing: {', '.join(missing)}. "
            f"Say which column holds each."
        )
    columns = {name: given[name] for name in kind.needs}
    sizes = {len(c) for c in columns.values()}
    if len(sizes) != 1:
        raise InputError(f"The columns of {measure} have different lengths: {sorted(sizes)}.")
    return columns


def _check_limits(given: Cells, labels: Sequence[str], *, log: bool) -> None:
    """Raise InputError for limits in the wrong order or ratios that are not above 0."""
    checks = [(n, given[n] <= 0, "is not above 0, as a ratio must be")
              for n in ("est", "lower", "upper") if log and n in given]  # fmt: skip
    if {"lower", "upper"} <= set(given):
        checks.append(("lower", given["lower"] >= given["upper"], "is not below the upper limit"))
        if "est" in given:
            outside = (given["est"] < given["lower"]) | (given["est"] > given["upper"])
            checks.append(("est", outside, "does not lie between its limits"))
    _refuse(checks, given, labels)


def _from_limits(given: dict[str, Array], *, log: bool) -> dict[str, Array]:
    """Effect and variance from `sei`, or from an estimate with its 95 % limits (ratios: logs)."""
    out = dict(given)
    shown = np.log if log else np.asarray
    with np.errstate(divide="ignore", invalid="ignore"):
        if "yi" not in out and "est" in out:
            out["yi"] = shown(out["est"])
        if "vi" not in out and "sei" in out:
            out["vi"] = out["sei"] ** 2
        if "vi" not in out and {"lower", "upper"} <= set(out):
            width = shown(out["upper"]) - shown(out["lower"])
            out["vi"] = (width / (2 * Z_95)) ** 2
    return out


def check_cells(kind: Measure, columns: Cells, labels: Sequence[str] = ()) -> None:
    """Raise InputError for a missing, negative or otherwise impossible cell, with its study."""
    checks = []
    for name, column in columns.items():
        checks.append((name, ~np.isfinite(column), "is missing or not finite"))
        if name[0] in "abcdnxt" or name.startswith("sd"):
            checks.append((name, column < 0, "is negative"))
        if name.startswith(("n", "t")):
            checks.append((name, column == 0, "is zero; a group needs a size"))
        if name == "ri":
            checks.append((name, np.abs(column) > 1, "is no correlation (−1 to 1)"))
        if name == "vi":
            checks.append((name, column < 0, "is a negative variance"))
    if kind.kind == "proportion":
        checks.append(("xi", columns["xi"] > columns["ni"], "exceeds the group's size"))
    if kind.kind == "table":
        for one, two in (("ai", "bi"), ("ci", "di")):
            empty = (columns[one] == 0) & (columns[two] == 0)
            checks.append((two, empty, f"and {one} is 0 too; a group needs a size"))
    _refuse(checks, columns, labels)


def _refuse(
    checks: Sequence[tuple[str, Array, str]], columns: Cells, labels: Sequence[str]
) -> None:
    for name, bad, why in checks:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            below = name in {"bi", "di"} and columns[name][row] < 0
            end = "; do the events exceed the group's size?" if below else "."
            raise InputError(
                f"{labels[row] if labels else f'Study {row + 1}'}: {name} = "
                f"{columns[name][row]:g} {why}{end} Correct it or leave the study out."
            )


def _problem(y: float, v: float) -> str:
    if not np.isfinite(y):
        return (
            "the effect is not estimable (a zero cell, a mean without a logarithm, or too few "
            "patients)"
        )
    if not np.isfinite(v):
        return "the sampling variance is not estimable"
    if v <= 0:
        return "the sampling variance is zero"
    return ""


_COUNTS = {
    "table": ("ai", "bi", "ci", "di"),
    "rates": ("x1i", "x2i"),
    "proportion": ("xi", "mi"),
    "rate": ("xi",),
}


def _corrected(
    kind: Measure, columns: Cells, add: float, to: str
) -> tuple[dict[str, Array], Array]:
    out = dict(columns)
    if kind.kind == "proportion":
        out["mi"] = out["ni"] - out["xi"]
    names = _COUNTS[kind.kind]
    counts = np.array([out[n] for n in names])
    zero = (counts == 0).any(axis=0)
    where = {
        "only0": zero,
        "all": np.ones_like(zero),
        "if0all": np.full_like(zero, zero.any()),
        "none": np.zeros_like(zero),
    }[to]
    counts = counts + add * where
    out.update(zip(names, counts, strict=True))
    if kind.kind == "proportion":
        out["ni"] = out["xi"] + out["mi"]
    return out, where & (add != 0)


def empty_studies(kind: Measure, columns: Cells) -> Array:
    """Which studies have no event in either group, or nothing but events (2×2 tables only)."""
    if kind.kind == "rates":
        return (columns["x1i"] == 0) & (columns["x2i"] == 0)
    if kind.kind != "table":
        return np.zeros(len(next(iter(columns.values()))), dtype=bool)
    a, b, c, d = (columns[n] for n in ("ai", "bi", "ci", "di"))
    return ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))


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
    return _standardised(measure, c, pooled, variance)


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
    m1, m2, s1, n, r = c["m1i"], c["m2i"], c["sd1i"], c["ni"], c["ri"]
    s2 = c.get("sd2i", s1)
    spread = s1**2 + s2**2 - 2 * r * s1 * s2
    if measure == "MC":
        return m1 - m2, spread / n
    if measure == "ROMC":
        v = s1**2 / (n * m1**2) + s2**2 / (n * m2**2) - 2 * r * s1 * s2 / (m1 * m2 * n)
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
    m, s, n = c["mi"], c["sdi"], c["ni"]
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


def _gauss(a: float, c: Array, z: Array) -> Array:
    """₂F₁(a, a; c; z), 0 ≤ z ≤ 1; scipy's overflows for large c, where the series is short."""
    from scipy.special import hyp2f1

    k = np.arange(300)[:, None]
    terms = np.cumprod((a + k) ** 2 / ((c + k) * (k + 1)) * z, axis=0)
    return np.where(c > LARGE_C, 1 + terms.sum(axis=0), hyp2f1(a, a, c, z))


def _generic(_: str, c: Cells, __: str) -> tuple[Array, Array]:
    return c["yi"], c["vi"]


_FORMULAS: dict[str, Callable[[str, Cells, str], tuple[Array, Array]]] = {
    "table": _table,
    "rates": _rates,
    "means": _means,
    "pairs": _pairs,
    "proportion": _proportion,
    "rate": _rate,
    "mean": _mean,
    "correlation": _correlation,
    "generic": _generic,
}
