"""The forest plot: one row a study, a diamond where rows are pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klarsyn.figures.rows import TEXT_FIELDS, edged, lifted, rows_axis, words
from klarsyn.figures.theme import INK, SOFT, Spec, detail_cells, hover, layer

ROW = 21
NARROW_ROW = 37
BESIDE = (-0.28, 0.32)  # the part of a narrow row that holds the interval, in rows from its middle
WIDTHS = {"label": 245, "plot": 400, "numbers": 215, "narrow": 340}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One line of a forest plot, in the units of its axis (ratios, not their logarithms).

    `kind` is `heading`, `study` or `pooled`; `weight` (0 to 1) sets the square's area;
    `prediction` are the limits of a pooled row's prediction interval. `details` appear on hover,
    `link` is followed on click.
    """

    kind: str
    label: str
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    weight: float = 0.0
    prediction: tuple[float, float] | None = None
    numbers: str = ""
    colour: str = INK
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestAxis:
    """The horizontal axis: `null` is no difference (None: there is none), `left` and `right` sides.

    With `log` the values are ratios on a logarithmic axis. An interval that leaves `limits` ends
    in an arrow at the edge. `marks` are further vertical lines, their words in the first row, which
    should be a heading, or above it in the narrow form.
    """

    title: str
    null: float | None = 0.0
    log: bool = False
    left: str = ""
    right: str = ""
    limits: tuple[float, float] | None = None
    marks: tuple[tuple[float, str], ...] = ()


def forest(rows: Sequence[ForestRow], axis: ForestAxis, *, narrow: bool = False) -> Spec:
    """The Vega-Lite specification of a forest plot, rows from top to bottom.

    The wide form has three columns (label, plot, numbers); the narrow one, for phones, writes
    label and numbers above each interval.
    """
    limits = axis.limits or _limits(rows, axis)
    data = [_datum(i, row, limits) for i, row in enumerate(rows)]
    if narrow:
        return _narrow(data, axis, limits)
    size = {"height": ROW * (len(rows) + 1.2)}
    y = rows_axis(len(rows))
    left = size | {"width": WIDTHS["label"], "layer": words(data, "label", 0, "left", y)}
    right = size | {
        "width": WIDTHS["numbers"],
        "layer": words(data, "numbers", WIDTHS["numbers"], "right", y),
    }
    middle = size | {
        "width": WIDTHS["plot"],
        "layer": _marks(data, axis, limits, y, WIDTHS["plot"]),
    }
    return {"hconcat": [left, middle, right], "spacing": 6}


def _narrow(data: list[Spec], axis: ForestAxis, limits: tuple[float, float]) -> Spec:
    y, width = rows_axis(len(data)), WIDTHS["narrow"]
    above = [d | {"y": d["y"] - lifted(d["kind"], 0.42)} for d in data]
    texts = words(above, "label", 0, "left", y, over=True)
    texts += words(above, "numbers", width, "right", y, over=True)
    lowered = [d | {"y": d["y"] + 0.06} for d in data]
    return {
        "width": width,
        "height": NARROW_ROW * (len(data) + 1.2),
        "layer": [*_marks(lowered, axis, limits, y, width, gaps=True), *texts],
    }


def _datum(index: int, row: ForestRow, limits: tuple[float, float]) -> Spec:
    low, high = limits
    out: Spec = {
        "y": index + 0.5,
        "kind": row.kind,
        "label": row.label,
        "numbers": row.numbers,
        "colour": row.colour,
        "row": row,
    }
    if row.link:
        out["link"] = row.link
    if row.estimate is None or row.lower is None or row.upper is None:
        return out
    out |= {"x": row.estimate, "from": max(row.lower, low), "to": min(row.upper, high)}
    out |= {"cut_low": row.lower < low, "cut_high": row.upper > high}
    out["size"] = 26 + 190 * row.weight
    if row.prediction is not None:
        out |= {"pi_from": max(row.prediction[0], low), "pi_to": min(row.prediction[1], high)}
    return out


def _limits(rows: Sequence[ForestRow], axis: ForestAxis) -> tuple[float, float]:
    import math

    turn, back = (math.log, math.exp) if axis.log else (float, float)
    if axis.null is None:
        return _reach(rows, axis.log)
    points = [turn(axis.null)]
    for row in rows:
        if row.estimate is None or row.lower is None or row.upper is None:
            continue
        centre = turn(row.estimate)
        low, high = turn(max(row.lower, 1e-12)) if axis.log else row.lower, turn(row.upper)
        reach = 1.6 if axis.log else math.inf
        points += [max(low, centre - reach), min(high, centre + reach)]
    half = max(abs(p - turn(axis.null)) for p in points) * 1.04 or 1.0
    return back(turn(axis.null) - half), back(turn(axis.null) + half)


def _reach(rows: Sequence[ForestRow], log: bool) -> tuple[float, float]:
    """From the lowest to the highest limit with a little room, where no value is special."""
    lows = [r.lower for r in rows if r.lower is not None]
    highs = [r.upper for r in rows if r.upper is not None]
    if not lows or not highs:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = min(lows), max(highs)
    return (low / 1.15, high * 1.15) if log else (low - 0.05 * (high - low), high)


def _marks(
    data: list[Spec],
    axis: ForestAxis,
    limits: tuple[float, float],
    y: Spec,
    width: int,
    *,
    gaps: bool = False,
) -> list[Spec]:
    """What stands on the plot; with `gaps` vertical lines leave out where words stand."""
    scale = {"domain": list(limits), "type": "log" if axis.log else "linear", "nice": False}
    ticks: Spec = {"grid": False, "tickCount": 6, "title": axis.title}
    if axis.log:
        ticks |= {"values": _ratio_ticks(limits), "format": "~g"}

    def x(name: str) -> Spec:
        return {"field": name, "type": "quantitative", "scale": scale, "axis": ticks}

    studies = [d for d in data if d["kind"] == "study" and "x" in d]
    pooled = [d for d in data if d["kind"] == "pooled" and "x" in d]
    at = [] if axis.null is None else [axis.null]
    beside = [d["y"] for d in (*studies, *pooled)] if gaps else None
    null = _verticals(at, {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}, x("x"), y, beside)
    sides = _sides(axis, y, width)
    return [
        null,
        *_rules(axis, x, y, beside),
        *sides,
        *_studies(studies, x, y),
        *_arrows(studies, x, y),
        *_diamonds(pooled, x, y),
    ]


def _verticals(
    at: Sequence[float], mark: Spec, x: Spec, y: Spec, beside: Sequence[float] | None
) -> Spec:
    """Vertical lines from top to bottom, or only beside the intervals in these rows."""
    if beside is None:
        return layer([{"x": value} for value in at], mark, x=x)
    low, high = BESIDE
    rows = [{"x": v, "y": row + low, "y2": row + high} for v in at for row in beside]
    return layer(rows, mark, x=x, y=y, y2={"field": "y2"})


def _rules(axis: ForestAxis, x: Any, y: Spec, beside: Sequence[float] | None) -> list[Spec]:
    if not axis.marks:
        return []
    above = beside is not None  # the first row's words would hide them
    rows = [{"x": at, "y": -0.45 if above else 0.55, "text": text} for at, text in axis.marks]
    rule = {"type": "rule", "stroke": "#D55E00", "strokeDash": [5, 3]}
    side = {"align": "left", "dx": 4} if above else {"align": "right", "dx": -4}
    words = {"type": "text", "baseline": "middle", "fill": "#a84400"} | side
    lines = _verticals([at for at, _ in axis.marks], rule, x("x"), y, beside)
    return [lines, *edged(layer(rows, words, x=x("x"), y=y, text={"field": "text"}))]


def _studies(rows: list[Spec], x: Any, y: Spec) -> list[Spec]:
    if not rows:
        return []
    colour = {"field": "colour", "scale": None, "legend": None, "type": "nominal"}
    rule = layer(_flat(rows), {"type": "rule", "strokeWidth": 1.5}, x=x("from"), y=y, color=colour)
    rule["encoding"]["x2"] = {"field": "to"}
    square = layer(
        _flat(rows),
        {"type": "square", "opacity": 1, "tooltip": True},
        x=x("x"),
        y=y,
        color=colour,
        size={"field": "size", "type": "quantitative", "scale": None, "legend": None},
        **_hover(rows),
    )
    rule["encoding"] |= _hover(rows)
    return [rule, square]


def _diamonds(rows: list[Spec], x: Any, y: Spec) -> list[Spec]:
    if not rows:
        return []
    corners = [corner for d in rows for corner in _corners(d)]
    area = {"type": "area", "opacity": 0.95, "interpolate": "linear"}
    diamond = layer(corners, area, x=x("x"), y=y | {"field": "top"})
    diamond["encoding"] |= {
        "y2": {"field": "bottom"},
        "color": {"field": "colour", "scale": None, "legend": None, "type": "nominal"},
        "detail": {"field": "place"},
    }
    spot = layer(
        _flat(rows), {"type": "point", "opacity": 0, "size": 260, "filled": True}, x=x("x"), y=y
    )
    spot["encoding"] |= _hover(rows)
    predicted = [d for d in rows if "pi_from" in d]
    if not predicted:
        return [diamond, spot]
    span = layer(
        _flat(predicted),
        {"type": "rule", "strokeWidth": 1.2, "strokeDash": [2, 2]},
        x=x("pi_from"),
        y=y,
        color={"field": "colour", "scale": None, "legend": None, "type": "nominal"},
    )
    span["encoding"]["x2"] = {"field": "pi_to"}
    return [span, diamond, spot]


def _corners(d: Spec) -> list[Spec]:
    common = {"place": d["y"], "colour": d["colour"]}
    return [
        common | {"x": d["from"], "top": d["y"], "bottom": d["y"]},
        common | {"x": d["x"], "top": d["y"] - 0.3, "bottom": d["y"] + 0.3},
        common | {"x": d["to"], "top": d["y"], "bottom": d["y"]},
    ]


def _arrows(rows: list[Spec], x: Any, y: Spec) -> list[Spec]:
    layers = []
    for flag, name, shape in (
        ("cut_low", "from", "triangle-left"),
        ("cut_high", "to", "triangle-right"),
    ):
        cut = [d for d in rows if d.get(flag)]
        if cut:
            mark = {"type": "point", "shape": shape, "filled": True, "size": 55, "opacity": 1}
            colour = {"field": "colour", "scale": None, "legend": None, "type": "nominal"}
            layers.append(layer(_flat(cut), mark, x=x(name), y=y, color=colour))
    return layers


def _sides(axis: ForestAxis, y: Spec, width: int) -> list[Spec]:
    out = []
    for text, at, align in ((axis.left, 0, "left"), (axis.right, width, "right")):
        if text:
            mark = {"type": "text", "align": align, "fill": SOFT}
            row = {"y": -0.45, "text": text}
            out += edged(layer([row], mark, x={"value": at}, y=y, text={"field": "text"}))
    return out


def _flat(rows: list[Spec]) -> list[Spec]:
    points = [d["row"] for d in rows]
    kept = [{k: v for k, v in d.items() if k not in TEXT_FIELDS} for d in rows]
    return [one | detail_cells(p, points) for one, p in zip(kept, points, strict=True)]


def _hover(rows: list[Spec]) -> Spec:
    return hover([d["row"] for d in rows])


def _ratio_ticks(limits: tuple[float, float]) -> list[float]:
    nice = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    inside = [t for t in nice if limits[0] <= t <= limits[1]]
    return inside if len(inside) >= 3 else [0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4]
