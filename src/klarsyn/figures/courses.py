"""Values along time: one line a trial, points with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.theme import SOFT, Spec, detail_cells, hover, keyed, layer


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePoint:
    """One value of one trial at `days`; `group` gives the colour, `series` the line it is on."""

    series: str
    group: str
    days: float
    value: float
    lower: float | None = None
    upper: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def courses(
    points: Sequence[CoursePoint],
    *,
    palette: Mapping[str, str],
    x_title: str,
    y_title: str,
    group_title: str,
    days: Sequence[float],
    null: float | None = None,
    y_limits: tuple[float, float] | None = None,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification of courses over time on a root scale, ticks at `days`."""
    rows = [_datum(p) | detail_cells(p, points) for p in points]
    axis = {"values": list(days), "title": x_title, "grid": True}
    end = max([p.days for p in points] + list(days[:1])) * 1.05
    scale = {"type": "pow", "exponent": 0.4, "domain": [0, end], "nice": False}
    x = {"field": "days", "type": "quantitative", "scale": scale, "axis": axis}
    y: Spec = {"field": "value", "type": "quantitative", "title": y_title.split("\n")}
    y["scale"] = {"zero": False} | ({"domain": list(y_limits)} if y_limits else {})
    columns = 2 if narrow else 4
    mark = {"columns": columns, "symbolType": "circle", "symbolOpacity": 1}
    colour = keyed("group", palette, title=group_title, **mark)
    series = {"color": colour, "detail": {"field": "series"}}
    line = {"type": "line", "opacity": 0.55, "strokeWidth": 1.4, "clip": True}
    dot = {"type": "circle", "opacity": 1, "size": 46, "clip": True}
    layers = [
        *_null(null, y),
        *_bars([r for r in rows if "lower" in r], x, y, colour),
        layer(rows, line, x=x, y=y, **series),
        layer(rows, dot, x=x, y=y, color=colour, **hover(points)),
    ]
    return {"width": 310 if narrow else 780, "height": 300 if narrow else 380, "layer": layers}


def _datum(p: CoursePoint) -> Spec:
    out: Spec = {"series": p.series, "group": p.group, "days": p.days, "value": p.value}
    if p.lower is not None and p.upper is not None:
        out |= {"lower": p.lower, "upper": p.upper}
    return out


def _bars(rows: list[Spec], x: Spec, y: Spec, colour: Spec) -> list[Spec]:
    if not rows:
        return []
    mark = {"type": "rule", "opacity": 0.3, "clip": True}
    upper = {"field": "upper"}
    return [layer(rows, mark, x=x, y=y | {"field": "lower"}, y2=upper, color=colour)]


def _null(null: float | None, y: Spec) -> list[Spec]:
    if null is None:
        return []
    mark = {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}
    return [layer([{"value": null}], mark, y=y)]
