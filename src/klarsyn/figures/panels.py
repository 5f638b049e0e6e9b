"""Curves with their intervals, panel beside panel on one vertical scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import edged
from klarsyn.figures.theme import INK, SOFT, Spec, detail_cells, hover, layer

WIDTH, GAP, NARROW = 800, 24, 285
CLOSE = 0.1  # of the axis: two marks nearer than this have their words on either side


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One value of a curve with its limits and what hovering shows."""

    x: float
    value: float
    low: float
    high: float
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range on the horizontal axis, drawn along the panel's foot: what else is known of x."""

    label: str
    low: float
    value: float
    high: float
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One curve; `marks` are vertical lines with a word, `spans` stand at the foot."""

    title: str
    x_title: str
    points: Sequence[CurvePoint]
    colour: str = INK
    marks: Sequence[tuple[float, str]] = ()
    spans: Sequence[Span] = ()
    x_format: str = ""


def panels(
    drawn: Sequence[Panel],
    *,
    y_title: str,
    null: float = 0.0,
    limits: tuple[float, float] | None = None,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification: panels in a row, or in a column for phones.

    Bands that leave `limits` are cut there.
    """
    values = [*(limits or (v for p in drawn for q in p.points for v in (q.low, q.high))), null]
    reach = max(values) - min(values)
    foot = max((len(p.spans) for p in drawn), default=0)
    domain = [min(values) - (0.04 + 0.17 * foot) * reach, max(values) + 0.06 * reach]
    width = NARROW if narrow else (WIDTH - (len(drawn) - 1) * GAP) // len(drawn)
    made = [
        _panel(p, y_title if narrow or i == 0 else "", null, domain, width, foot)
        for i, p in enumerate(drawn)
    ]
    return {"vconcat" if narrow else "hconcat": made, "spacing": GAP}


def _panel(
    panel: Panel, y_title: str, null: float, domain: list[float], width: int, foot: int
) -> Spec:
    ends = [q.x for q in panel.points] + [e for s in panel.spans for e in (s.low, s.high)]
    scale = {"domain": [min(ends), max(ends)], "nice": False}
    ticks: Spec = {"title": panel.x_title, "tickCount": 5, "grid": False}
    if panel.x_format:
        ticks["format"] = panel.x_format
    x: Spec = {"field": "x", "type": "quantitative", "scale": scale, "axis": ticks}
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": domain, "nice": False, "zero": False},
        "axis": {"title": y_title or None, "tickCount": 6},
    }
    rows = [
        {"x": q.x, "value": q.value, "low": q.low, "high": q.high} | detail_cells(q, panel.points)
        for q in panel.points
    ]
    area = {"type": "area", "clip": True, "opacity": 0.18, "color": panel.colour}
    line = {"type": "line", "clip": True, "color": panel.colour, "strokeWidth": 2}
    dot = {"type": "circle", "clip": True, "opacity": 0, "size": 140}
    none = {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}
    layers = [
        layer([{"value": null}], none, y=y),
        layer(rows, area, x=x, y=y | {"field": "low"}, y2={"field": "high"}),
        layer(rows, line, x=x, y=y),
        *_marks(panel, x, y, domain),
        *_spans(panel, x, y, domain, foot),
        layer(rows, dot, x=x, y=y, **hover(panel.points)),
    ]
    title = {"text": panel.title, "anchor": "start", "fontSize": 12.5, "fontWeight": "bold"}
    return {"width": width, "height": 210 + 26 * foot, "title": title, "layer": layers}


def _marks(panel: Panel, x: Spec, y: Spec, domain: list[float]) -> list[Spec]:
    out = []
    low, high = x["scale"]["domain"]
    places = sorted(at for at, _ in panel.marks)
    close = len(places) == 2 and places[1] - places[0] < CLOSE * (high - low)
    for place, (at, text) in enumerate(panel.marks):
        rule = {"type": "rule", "stroke": INK, "strokeDash": [2, 2]}
        row = {"x": at, "value": domain[1], "text": text}
        leftwards = at == places[0] if close else at >= (low + high) / 2
        align = "right" if leftwards else "left"
        words = {
            "type": "text",
            "align": align,
            "baseline": "top",
            "dx": 4 if align == "left" else -4,
            "dy": 15 * place,
            "fill": INK,
        }
        out += [
            layer([row], rule, x=x),
            *edged(layer([row], words, x=x, y=y, text={"field": "text"})),
        ]
    return out


def _spans(panel: Panel, x: Spec, y: Spec, domain: list[float], foot: int) -> list[Spec]:
    if not panel.spans:
        return []
    step = (domain[1] - domain[0]) * 0.15 / (1 + 0.17 * foot)
    rows = [
        {"low": s.low, "x": s.value, "high": s.high, "text": s.label}
        | {"value": domain[0] + step * (0.35 + i)}
        | detail_cells(s, panel.spans)
        for i, s in enumerate(panel.spans)
    ]
    rule = {"type": "rule", "stroke": "#D55E00", "strokeWidth": 3}
    dot = {"type": "circle", "color": "#D55E00", "size": 70, "opacity": 1}
    words = {"type": "text", "align": "left", "baseline": "bottom", "dy": -6, "fill": "#a84400"}
    start = {"value": 4}
    return [
        layer(rows, rule, x=x | {"field": "low"}, x2={"field": "high"}, y=y, **hover(panel.spans)),
        layer(rows, dot, x=x, y=y, **hover(panel.spans)),
        *edged(layer(rows, words, x=start, y=y, text={"field": "text"})),
    ]
