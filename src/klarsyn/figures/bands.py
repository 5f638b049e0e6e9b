"""Curves with bands: a median and where most patients lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.figures.theme import Spec, keyed, short


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One curve at `times`: median with lower and upper percentiles, under one panel."""

    panel: str
    name: str
    times: Sequence[float]
    lower: Sequence[float]
    middle: Sequence[float]
    upper: Sequence[float]


def bands(
    curves: Sequence[Band],
    *,
    palette: Mapping[str, str],
    x_title: str,
    y_title: str,
    narrow: bool = False,
    columns: int = 2,
) -> Spec:
    """The Vega-Lite specification: a panel for each group of curves, each with its own height."""
    x = {"field": "t", "type": "quantitative", "title": x_title, "axis": {"tickCount": 6}}
    y = {"field": "mid", "type": "quantitative", "title": y_title}
    colour = keyed("name", palette, columns=1 if narrow else 2, symbolOpacity=1)
    area = {"mark": {"type": "area", "opacity": 0.16}}
    line = {"mark": {"type": "line", "strokeWidth": 1.8}}
    tip = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "t", "type": "quantitative", "title": x_title},
        {"field": "mid", "type": "quantitative", "title": y_title},
        {"field": "low", "type": "quantitative", "title": "5 %"},
        {"field": "high", "type": "quantitative", "title": "95 %"},
    ]
    between = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour}
    middle = {"x": x, "y": y, "color": colour, "tooltip": tip}
    return {
        "data": {"values": [row for c in curves for row in _rows(c)]},
        "facet": {
            "field": "panel",
            "type": "nominal",
            "sort": list(dict.fromkeys(c.panel for c in curves)),
            "header": {"title": None, "labelAnchor": "start", "labelFontWeight": "bold"},
        },
        "columns": 1 if narrow else columns,
        "spec": {
            "width": 270 if narrow else 375,
            "height": 170 if narrow else 190,
            "layer": [area | {"encoding": between}, line | {"encoding": middle}],
        },
        "resolve": {"scale": {"y": "independent"}},
    }


def _rows(curve: Band) -> list[Spec]:
    limits = zip(curve.times, curve.lower, curve.middle, curve.upper, strict=True)
    return [
        {
            "panel": curve.panel,
            "name": curve.name,
            "t": short(t),
            "low": short(low),
            "mid": short(mid),
            "high": short(high),
        }
        for t, low, mid, high in limits
    ]
