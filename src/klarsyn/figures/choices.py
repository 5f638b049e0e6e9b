"""The page's specification curve: every analysis by its estimate, ticks for what made it, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.theme import SOFT, Spec, detail_cells, hover, layer

COLOURS = {"benefit": "#0072B2", "inconclusive": "#9aa3ab", "harm": "#D55E00"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One analysis: its rank among all, its estimate and limits, and the options it took.

    `options` are (choice, option) in words; `details` appear on hover.
    """

    rank: int
    estimate: float
    low: float | None
    high: float | None
    conclusion: str
    options: Sequence[tuple[str, str]]
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def choices(
    analyses: Sequence[Analysis],
    *,
    lines: Sequence[tuple[str, Sequence[str]]],
    conclusions: Mapping[str, str],
    x_title: str,
    y_title: str,
    limits: tuple[float, float],
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `lines` are the choices with their options, top to bottom.

    Intervals that leave `limits` are cut there.
    """
    room = 190 if narrow else 250
    width = 350 - room if narrow else 860 - room
    present = [c for c in COLOURS if any(a.conclusion == c for a in analyses)]
    colour = {
        "field": "conclusion",
        "type": "nominal",
        "scale": {
            "domain": [conclusions[c] for c in present],
            "range": [COLOURS[c] for c in present],
        },
        "legend": {
            "title": None,
            "orient": "top",
            "symbolType": "square",
            "symbolOpacity": 1,
            "columns": 1 if narrow else 3,
        },
    }
    end = max(a.rank for a in analyses)
    scale = {"domain": [0, end + 1], "nice": False}
    x = {"field": "rank", "type": "quantitative", "scale": scale}
    extent = {"minExtent": room, "maxExtent": room}
    upper = _upper(analyses, conclusions, x, colour, y_title, limits, extent)
    lower = _lower(analyses, lines, conclusions, x, colour, x_title, extent, room)
    return {
        "vconcat": [upper | {"width": width, "height": 200}, lower | {"width": width}],
        "spacing": 6,
        "resolve": {"scale": {"color": "shared"}},
    }


def _upper(
    analyses: Sequence[Analysis],
    conclusions: Mapping[str, str],
    x: Spec,
    colour: Spec,
    y_title: str,
    limits: tuple[float, float],
    extent: Spec,
) -> Spec:
    y = {
        "field": "estimate",
        "type": "quantitative",
        "scale": {"domain": list(limits), "nice": False, "zero": False},
        "axis": {"title": None, "tickCount": 6} | extent,
    }
    rows = [
        {"rank": a.rank, "estimate": a.estimate, "conclusion": conclusions[a.conclusion]}
        | ({"low": a.low, "high": a.high} if a.low is not None and a.high is not None else {})
        | detail_cells(a, analyses)
        for a in analyses
    ]
    bare = x | {"axis": None}
    rule = {"type": "rule", "clip": True, "opacity": 0.4, "strokeWidth": 1.3}
    dot = {"type": "circle", "clip": True, "size": 22, "opacity": 1}
    none = {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}
    low, high = y | {"field": "low"}, {"field": "high"}
    kept = ("rank", "low", "high", "conclusion")
    drawn = [{k: r[k] for k in kept} for r in rows if "low" in r]
    return {
        "title": {"text": y_title, "anchor": "start", "fontWeight": "normal", "fontSize": 12},
        "layer": [
            layer(drawn, rule, x=bare, y=low, y2=high, color=colour),
            layer(rows, dot, x=bare, y=y, color=colour, **hover(analyses)),
            layer([{"estimate": 0}], none, y=y),
        ],
    }


def _lower(
    analyses: Sequence[Analysis],
    lines: Sequence[tuple[str, Sequence[str]]],
    conclusions: Mapping[str, str],
    x: Spec,
    colour: Spec,
    x_title: str,
    extent: Spec,
    room: int,
) -> Spec:
    order = [f"{choice}|{o}" for choice, options in lines for o in ("", *options)]
    rows = [
        {"rank": a.rank, "line": f"{choice}|{option}", "conclusion": conclusions[a.conclusion]}
        for a in analyses
        for choice, option in a.options
    ]
    heading = "substring(datum.value, length(datum.value) - 1) === '|'"
    y = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": order},
        "axis": {
            "title": None,
            "labelLimit": room - 12,
            "labelPadding": 8,
            "labelFontSize": 11,
            "labelExpr": "split(datum.value, '|')[1] || split(datum.value, '|')[0]",
            "labelFontWeight": {"condition": {"test": heading, "value": "bold"}, "value": "normal"},
            "ticks": False,
            "domain": False,
        }
        | extent,
    }
    tick = {"type": "tick", "thickness": 1.3, "height": 10, "orient": "vertical"}
    axis = x | {"axis": {"title": x_title, "tickCount": 4, "grid": False, "format": "d"}}
    return {"height": 15 * len(order), "layer": [layer(rows, tick, x=axis, y=y, color=colour)]}
