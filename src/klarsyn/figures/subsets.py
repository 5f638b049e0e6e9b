"""Clouds of subset estimates: those with one study against those without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import PALETTE, Spec

WITHOUT, WITH = PALETTE[:2]
BINS = 160  # a cloud of a million points is drawn as counts on a grid of this many columns


def subset_cloud(
    estimate: Sequence[float] | Any,
    i2: Sequence[float] | Any,
    marked: Sequence[bool] | Any | None = None,
    *,
    label: str = "",
    title: str = "Estimate",
    log: bool = False,
) -> Spec:
    """A specification of a density of subsets, estimate across and I² (percent) up.

    `marked` subsets (those with the study `label`) and the others are drawn in two colours. With
    `log` the estimates are natural logarithms and the axis shows ratios.
    """
    import numpy as np

    x, y = np.asarray(estimate, dtype=float), np.asarray(i2, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    group = np.zeros(len(x), dtype=bool) if marked is None else np.asarray(marked, dtype=bool)
    low, high = (float(x[known].min()), float(x[known].max())) if known.any() else (0.0, 1.0)
    values = []
    for flag in (False, True):
        chosen = known & (group == flag)
        if chosen.any():
            values += _cells(x[chosen], y[chosen], (low, high), _name(label, flag), log)
    ratio = {"scale": {"type": "log"}} if log else {"scale": {"zero": False}}
    return {
        "width": 480,
        "height": 300,
        "data": {"values": values},
        "mark": {"type": "square", "size": 9},
        "encoding": {
            "x": {"field": "estimate", "type": "quantitative", "title": title, **ratio},
            "y": {
                "field": "i2",
                "type": "quantitative",
                "title": "I² (%)",
                "scale": {"domain": [0, 100]},
            },
            "opacity": {
                "field": "subsets",
                "type": "quantitative",
                "scale": {"type": "log", "range": [0.15, 1]},
                "legend": None,
            },
            "color": _colour(label, group),
            "tooltip": [
                {"field": "estimate", "type": "quantitative", "format": ".3f"},
                {"field": "i2", "type": "quantitative", "title": "I² (%)", "format": ".1f"},
                {"field": "subsets", "type": "quantitative"},
            ],
        },
    }


def _name(label: str, flag: bool) -> str:
    return f"{'with' if flag else 'without'} {label}" if label else "all subsets"


def _colour(label: str, group: Any) -> Spec:
    if not (label and group.any()):
        return {"value": WITHOUT}
    return {
        "field": "group",
        "type": "nominal",
        "scale": {
            "domain": [_name(label, True), _name(label, False)],
            "range": [WITH, WITHOUT],
        },
        "legend": {"title": None, "orient": "top"},
    }


def _cells(x: Any, y: Any, limits: tuple[float, float], name: str, log: bool) -> list[Spec]:
    import numpy as np

    counts, across, up = np.histogram2d(x, y, bins=(BINS, 100), range=(limits, (0, 100)))
    middle_x, middle_y = (across[1:] + across[:-1]) / 2, (up[1:] + up[:-1]) / 2
    show = np.exp if log else np.asarray
    return [
        {
            "estimate": round(float(show(middle_x[i])), 6),
            "i2": round(float(middle_y[j]), 3),
            "subsets": int(counts[i, j]),
            "group": name,
        }
        for i, j in zip(*np.nonzero(counts), strict=True)
    ]
