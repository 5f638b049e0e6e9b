"""Courses with two kinds of spread: what the data leave open, and how patients differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.figures.theme import PALETTE, SOFT, Spec, short


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadCurve:
    """One curve of a panel at `times`: median, lower and upper; `kind` is one of KINDS.

    `open` is a filled band with its median, `patients` two broken lines, `beside` a grey band to
    compare with.
    """

    panel: str
    kind: str
    times: Sequence[float]
    lower: Sequence[float]
    middle: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadWords:
    """What the legend calls each kind, and the hover's words."""

    open: str
    patients: str
    beside: str
    low: str
    middle: str
    high: str


KINDS = ("open", "patients", "beside")
TINT = {"open": PALETTE[0], "patients": PALETTE[1], "beside": SOFT}


def spread_panels(
    curves: Sequence[SpreadCurve],
    *,
    words: SpreadWords,
    x_title: str,
    y_title: str,
    narrow: bool = False,
    columns: int = 2,
    height: int = 190,
) -> Spec:
    """The Vega-Lite specification: a panel for each group of curves, each with its own height."""
    names = {kind: getattr(words, kind) for kind in KINDS}
    seen = [k for k in KINDS if any(c.kind == k for c in curves)]
    rows = _points(curves, names)
    colour = _colour({names[k]: TINT[k] for k in seen}, narrow)
    x = {"field": "t", "type": "quantitative", "title": x_title, "axis": {"tickCount": 6}}
    panels = list(dict.fromkeys(c.panel for c in curves))
    single = len(panels) == 1
    width = 290 if narrow else (790 if single else 375)
    shown = {
        "width": width,
        "height": 170 if narrow else (height + 60 if single else height),
        "layer": _layers(x, y_title, colour, names, words, x_title),
    }
    if single:
        return {"data": {"values": rows}, **shown}
    return {
        "data": {"values": rows},
        "facet": {
            "field": "panel",
            "type": "nominal",
            "sort": panels,
            "header": {"title": None, "labelAnchor": "start", "labelFontWeight": "bold"},
        },
        "columns": 1 if narrow else columns,
        "spec": shown,
        "resolve": {"scale": {"y": "independent"}, "axis": {"x": "independent"}},
    }


def _points(curves: Sequence[SpreadCurve], names: Mapping[str, str]) -> list[Spec]:
    return [
        {
            "panel": c.panel,
            "kind": names[c.kind],
            "t": short(t),
            "low": short(low),
            "mid": short(mid),
            "high": short(high),
        }
        for c in curves
        for t, low, mid, high in zip(c.times, c.lower, c.middle, c.upper, strict=True)
    ]


def _colour(tints: Mapping[str, str], narrow: bool) -> Spec:
    return {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": list(tints), "range": list(tints.values())},
        "legend": {
            "title": None,
            "orient": "top",
            "columns": 1 if narrow else 3,
            "symbolOpacity": 1,
            "labelLimit": 340,
        },
    }


def _layers(
    x: Spec, y_title: str, colour: Spec, names: dict[str, str], words: SpreadWords, x_title: str
) -> list[Spec]:
    y = {"field": "mid", "type": "quantitative", "title": y_title}
    area = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour}
    filled = {"filter": f"datum.kind !== {_quoted(names['patients'])}"}
    broken = {"filter": f"datum.kind === {_quoted(names['patients'])}"}
    dash = {"type": "line", "strokeWidth": 1.3, "strokeDash": [5, 3]}
    tip = [
        {"field": "kind", "type": "nominal", "title": " "},
        {"field": "t", "type": "quantitative", "title": x_title},
        {"field": "mid", "type": "quantitative", "title": words.middle},
        {"field": "low", "type": "quantitative", "title": words.low},
        {"field": "high", "type": "quantitative", "title": words.high},
    ]
    line = {"type": "line", "strokeWidth": 1.9}
    return [
        {"transform": [filled], "mark": {"type": "area", "opacity": 0.2}, "encoding": area},
        *(
            {
                "transform": [broken],
                "mark": dash,
                "encoding": {"x": x, "y": y | {"field": end}, "color": colour},
            }
            for end in ("low", "high")
        ),
        {
            "transform": [filled],
            "mark": line,
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tip},
        },
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
