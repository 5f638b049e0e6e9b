"""Shares of patients with an event, test against control, one row a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import in_rows
from klarsyn.figures.theme import Spec, detail_cells, hover, keyed, layer

# Groups are told apart by shape too, for print and for those who do not see the colours.
SHAPES = ("circle", "square", "triangle-up", "diamond")


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
    return in_rows(
        rows,
        lambda y, shift: _marks(rows, palette, x_title, y, shift),
        (250, 420, 180),
        narrow=narrow,
    )


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
    shapes = {name: SHAPES[i % len(SHAPES)] for i, name in enumerate(palette)}
    colour = keyed("group", palette, symbolOpacity=1)
    shape = keyed("group", shapes, symbolOpacity=1)
    rule = {"type": "rule", "strokeWidth": 1.6}
    dot = {"type": "point", "filled": True, "size": 52, "opacity": 1}
    upper = {"field": "upper"}
    return [
        layer(data, rule, x=x | {"field": "lower"}, x2=upper, y=y, color=colour),
        layer(data, dot, x=x, y=y, color=colour, shape=shape, **hover(points)),
    ]


def _datum(point: RatePoint, y: float) -> Spec:
    limits = {"share": point.share, "lower": point.lower, "upper": point.upper}
    return {"y": y, "group": point.group, **limits}


def _offset(row: RateRow, point: RatePoint) -> float:
    place = list(row.points).index(point)
    return 0.24 * (place - (len(row.points) - 1) / 2)
