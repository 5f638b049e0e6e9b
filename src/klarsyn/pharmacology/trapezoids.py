"""Areas under sampled levels: linear on the way up, logarithmic on the way down."""

from __future__ import annotations

import math

import numpy as np

SERIES, SERIES_TERMS = 1.0, 20  # 1/(20! 22): below a double's last digit


def areas(t: np.ndarray, c: np.ndarray, rule: str = "linear-up log-down") -> tuple[float, float]:
    """Area under the curve and under its first moment, by trapezoids."""
    if len(t) < 2:
        return 0.0, 0.0
    h, a, b = np.diff(t), c[:-1], c[1:]
    flat = h * (a + b) / 2
    flat_moment = h * (t[:-1] * a + t[1:] * b) / 2
    falling = (rule != "linear") & (b < a) & (b > 0)
    low = np.where(falling, b, 1.0)
    log_area, log_moment = _falling(h, np.where(falling, a, 2.0), low)
    log_moment += t[:-1] * log_area
    return (
        float(np.sum(np.where(falling, log_area, flat))),
        float(np.sum(np.where(falling, log_moment, flat_moment))),
    )


def _falling(h: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area and moment about its start of an exponential fall from a to b in h.

    With x = ln(a/b): area h a (1 - e^-x)/x, moment h² a (1 - (1 + x) e^-x)/x², which loses its
    digits where the levels are nearly equal; there it is the series sum (-x)^k / (k! (k + 2)).
    """
    x = np.where(a > 2 * b, np.log(a) - np.log(b), np.log1p((a - b) / b))
    area = h * (a - b) / x
    near = np.minimum(x, SERIES)
    series = sum((-near) ** k / (math.factorial(k) * (k + 2)) for k in range(SERIES_TERMS))
    far = np.maximum(x, SERIES)
    closed = (-np.expm1(-far) - far * np.exp(-far)) / far**2
    return area, h**2 * a * np.where(x < SERIES, series, closed)


def partial_area(
    t: np.ndarray, c: np.ndarray, rule: str, slope: float | None, start: float, end: float
) -> float | None:
    """The area between two times, None where there is no level at one of them."""
    if any(level_at(t, c, rule, slope, at) is None for at in (start, end)):
        return None
    return cut_area(t, c, rule, slope, start, end)[0]


def cut_area(
    t: np.ndarray, c: np.ndarray, rule: str, slope: float | None, start: float, end: float
) -> tuple[float, float]:
    """Area and first moment between two times at which there is a level."""
    edges = [level_at(t, c, rule, slope, at) for at in (start, end)]
    inside = (t > start) & (t < end)
    times, levels = list(t[inside]), list(c[inside])
    area, moment = 0.0, 0.0
    if end > t[-1] and slope is not None:
        first = max(start, float(t[-1]))
        level = edges[0] if start > t[-1] else float(c[-1])
        assert level is not None
        area = level * -math.expm1(-slope * (end - first)) / slope
        fallen = level * math.exp(-slope * (end - first))
        moment = (first * level - end * fallen + area) / slope
    if start <= t[-1]:
        times, levels = [start, *times], [edges[0], *levels]
    if end <= t[-1]:
        times, levels = [*times, end], [*levels, edges[1]]
    within = areas(np.array(times), np.array(levels, float), rule)
    return within[0] + area, within[1] + moment


def level_at(
    t: np.ndarray, c: np.ndarray, rule: str, slope: float | None, at: float
) -> float | None:
    """The concentration at a time between or after the samples."""
    if at < t[0] or (at > t[-1] and slope is None):
        return None
    if at > t[-1]:
        assert slope is not None
        return float(c[-1]) * math.exp(-slope * (at - float(t[-1])))
    after = min(int(np.searchsorted(t, at, side="right")), len(t) - 1)
    a, b = float(c[after - 1]), float(c[after])
    share = (at - float(t[after - 1])) / float(t[after] - t[after - 1])
    if rule != "linear" and 0 < b < a:
        return a * (b / a) ** share
    return a + (b - a) * share
