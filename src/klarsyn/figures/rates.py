"""Shares of patients with an event, test against control, one row a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import rows_axis, words
from klarsyn.figures.theme import Spec, detail_cells, hover, layer

ROW = 24
NARROW_ROW = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """A share (0 to 1) with exact limits, of one `group` of a row."""

    group: str
    share: float
    lower: float
    upper: float
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """One line: a `heading`, or a `study` with a point for each of its groups."""

    kind: str
    label: str
    numbers: str = ""
    points: Sequence[RatePoint] = ()


def rates(
    rows: Sequence[RateRow],
    *,
    palette: Mapping[str, str],
    x_title: str,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; the groups of a row stand just above each other."""
    y = rows_axis(len(rows))
    texts = [
        {"y": i + 0.5, "kind": r.kind, "label": r.label, "numbers": r.numbers}
        for i, r in enumerate(rows)
    ]
    if narrow:
        above = [t | {"y": t["y"] - 0.36} for t in texts]
        columns = words(above, "label", 0, "left", y) + words(above, "numbers", 330, "right", y)
        marks = _marks(rows, palette, x_title, y, 0.14)
        height = NARROW_ROW * (len(rows) + 1.2)
        return {"width": 330, "height": height, "layer": [*marks, *columns]}
    size = {"height": ROW * (len(rows) + 1.2)}
    left = size | {"width": 250, "layer": words(texts, "label", 0, "left", y)}
    middle = size | {"width": 420, "layer": _marks(rows, palette, x_title, y, 0)}
    right = size | {"width": 180, "layer": words(texts, "numbers", 180, "right", y)}
    return {"hconcat": [left, middle, right], "spacing": 8}


def _marks(
    rows: Sequence[RateRow], palette: Mapping[str, str], x_title: str, y: Spec, shift: float
) -> list[Spec]:
    points = [p for r in rows for p in r.points]
    data = [
        _datum(p, i + 0.5 + shift + _offset(r, p)) | detail_cells(p, points)
        for i, r in enumerate(rows)
        for p in r.points
    ]
    x = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "nice": False},
        "axis": {"title": x_title, "format": "%", "tickCount": 5, "grid": True},
    }
    colour = {
        "field": "group",
        "type": "nominal",
        "scale": {"domain": list(palette), "range": list(palette.values())},
        "legend": {"title": None, "orient": "top", "symbolType": "circle", "symbolOpacity": 1},
    }
    rule = {"type": "rule", "strokeWidth": 1.6}
    dot = {"type": "circle", "size": 52, "opacity": 1}
    upper = {"field": "upper"}
    return [
        layer(data, rule, x=x | {"field": "lower"}, x2=upper, y=y, color=colour),
        layer(data, dot, x=x, y=y, color=colour, **hover(points)),
    ]


def _datum(point: RatePoint, y: float) -> Spec:
    limits = {"share": point.share, "lower": point.lower, "upper": point.upper}
    return {"y": y, "group": point.group, **limits}


def _offset(row: RateRow, point: RatePoint) -> float:
    place = list(row.points).index(point)
    return 0.24 * (place - (len(row.points) - 1) / 2)
