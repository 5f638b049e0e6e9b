"""The specification curve: every analysis by its estimate, ticks for what made it, links."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klarsyn.figures.theme import FAINT, SOFT, Spec, detail_cells, housed, hover, keyed, layer

COLOURS = {
    "benefit": "#0072B2",
    "inconclusive": "#9aa3ab",
    "harm": "#D55E00",
    "not_estimable": FAINT,
}

LETTER = 5.2  # mean width of a letter of 11 pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One analysis: its rank among all, its estimate and limits, and the options it took.

    `conclusion` is a name of COLOURS, `options` are (choice, option) in words; `details` appear on
    hover.
    """

    rank: int
    estimate: float
    low: float | None
    high: float | None
    conclusion: str
    options: Sequence[tuple[str, str]]
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def specification_curve(
    analyses: Sequence[Analysis],
    *,
    lines: Sequence[tuple[str, Sequence[str]]],
    conclusions: Mapping[str, str],
    x_title: str,
    y_title: str,
    limits: tuple[float, float] | None = None,
    threshold: float = 0,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `lines` are the choices with their options, top to bottom.

    `conclusions` names each in words. Intervals that leave `limits` are cut there; a dashed line
    stands at `threshold`. Without `lines` the estimates stand alone.
    """
    room = _room(lines) if narrow else 250
    width = 350 - room if narrow else 860 - room
    colour = _colour(analyses, conclusions, narrow)
    end = max(a.rank for a in analyses)
    x = {
        "field": "rank",
        "type": "quantitative",
        "scale": {"domain": [0, end + 1], "nice": False},
        "axis": {"title": x_title, "tickCount": 4, "grid": False, "format": "d"},
    }
    extent = {"minExtent": room, "maxExtent": room}
    y = {
        "field": "estimate",
        "type": "quantitative",
        "scale": ({"domain": list(limits), "nice": False} if limits else {}) | {"zero": False},
        "axis": {"title": None, "tickCount": 6} | extent,
    }
    bare = x | {"axis": None} if lines else x
    title = {"text": y_title, "anchor": "start", "fontWeight": "normal", "fontSize": 12}
    upper = {"title": title, "layer": _estimates(analyses, conclusions, bare, y, colour, threshold)}
    parts = [upper | {"width": width, "height": 200}]
    if lines:
        ticks = _ticks(analyses, lines, conclusions, x, colour, extent, room)
        parts.append(ticks | {"width": width})
    return {"vconcat": parts, "spacing": 6, "resolve": {"scale": {"color": "shared"}}}


def _room(lines: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Pixels beside the narrow curve: the longest option, but the curve keeps a third."""
    longest = max((len(o) for _, options in lines for o in options), default=0)
    return min(max(190, round(LETTER * longest) + 20), 232)


def _colour(analyses: Sequence[Analysis], conclusions: Mapping[str, str], narrow: bool) -> Spec:
    present = {a.conclusion for a in analyses}
    palette = {conclusions[c]: colour for c, colour in COLOURS.items() if c in present}
    key = {"symbolType": "square", "symbolOpacity": 1, "columns": 1 if narrow else 3}
    return keyed("conclusion", palette, **key)


def _estimates(
    analyses: Sequence[Analysis],
    conclusions: Mapping[str, str],
    x: Spec,
    y: Spec,
    colour: Spec,
    threshold: float,
) -> list[Spec]:
    rows = [
        {"rank": a.rank, "estimate": a.estimate, "conclusion": conclusions[a.conclusion]}
        | ({"low": a.low, "high": a.high} if a.low is not None and a.high is not None else {})
        | detail_cells(a, analyses)
        for a in analyses
    ]
    rule = {"type": "rule", "clip": True, "opacity": 0.4, "strokeWidth": 1.3}
    dot = {"type": "circle", "clip": True, "size": 22, "opacity": 1}
    none = {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}
    low, high = y | {"field": "low"}, {"field": "high"}
    kept = ("rank", "low", "high", "conclusion")
    drawn = [{k: r[k] for k in kept} for r in rows if "low" in r]
    return [
        layer(drawn, rule, x=x, y=low, y2=high, color=colour),
        layer(rows, dot, x=x, y=y, color=colour, **hover(analyses)),
        layer([{"estimate": threshold}], none, y=y),
    ]


def _ticks(
    analyses: Sequence[Analysis],
    lines: Sequence[tuple[str, Sequence[str]]],
    conclusions: Mapping[str, str],
    x: Spec,
    colour: Spec,
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
    return {"height": 15 * len(order), "layer": [layer(rows, tick, x=x, y=y, color=colour)]}


def grid_chart(
    cells: Sequence[Mapping[str, Any]],
    choices: Mapping[str, Sequence[str]],
    *,
    threshold: float,
    total: int,
    title: str = "Every analysis, in order of its estimate",
    effect_label: str = "Effect",
    rank_label: str = "Rank among {total} analyses",
    most_options: int = 12,
    names: Mapping[str, str] | None = None,
) -> Any:
    """The curve as an Altair chart of `cells`: rank, estimate, low, high, conclusion and options.

    `choices` has the options of each choice, top to bottom; one with more than `most_options` of
    them has no ticks, which would be a wall. `names` translates choices, options and conclusions;
    `{total}` in `rank_label` is filled in.
    """
    words = {c: c.replace("_", " ") for c in COLOURS}
    words |= {text: text for c, options in choices.items() for text in (c, *options)}
    words |= names or {}
    ticked = [c for c, options in choices.items() if len(options) <= most_options]
    curve = specification_curve(
        [_analysis(cell, choices, ticked, words, effect_label) for cell in cells],
        lines=[(words[c], [words[o] for o in choices[c]]) for c in ticked],
        conclusions=words,
        x_title=rank_label.format(total=total),
        y_title=title,
        threshold=threshold,
    )
    return housed(curve)


def _analysis(
    cell: Mapping[str, Any],
    choices: Mapping[str, Sequence[str]],
    ticked: Sequence[str],
    words: Mapping[str, str],
    effect_label: str,
) -> Analysis:
    estimate, low, high = (cell[name] for name in ("estimate", "low", "high"))
    bounded = math.isfinite(low) and math.isfinite(high)
    effect = f"{estimate:.3f} ({low:.3f} to {high:.3f})" if bounded else f"{estimate:.3f}"
    return Analysis(
        rank=cell["rank"],
        estimate=estimate,
        low=low if bounded else None,
        high=high if bounded else None,
        conclusion=cell["conclusion"],
        options=[(words[c], words[cell[c]]) for c in ticked],
        details={effect_label: effect} | {words[c]: words[cell[c]] for c in choices},
    )
