"""Every way the refusals could have gone: a grid of conclusions with numbered scenarios on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.theme import INK, Spec, detail_cells, hover, keyed, layer

COLOURS = {
    "superior": "#0072B2",
    "non-inferior": "#56B4E9",
    "inconclusive": "#E69F00",
    "inferior": "#D55E00",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """Responders among the refusals of the reference (`x`) and of the new arm (`y`)."""

    x: float
    y: float
    region: str
    name: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def refusals(
    cells: Sequence[GridCell],
    named: Sequence[GridCell],
    *,
    regions: Mapping[str, str],
    x_title: str,
    y_title: str,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `regions` gives each region's words, `named` carry a number."""
    present = {c.region for c in cells}
    palette = {regions[r]: colour for r, colour in COLOURS.items() if r in present}
    colour = keyed("region", palette, symbolType="square")
    widest, tallest = max(c.x for c in cells), max(c.y for c in cells)
    x = _axis("x", x_title, widest)
    y = _axis("y", y_title, tallest)
    y["axis"]["offset"] = 12  # a scenario at the edge hides no number
    squares = [
        {"x": c.x - 0.5, "x2": c.x + 0.5, "y": c.y - 0.5, "y2": c.y + 0.5}
        | {"region": regions[c.region]}
        | detail_cells(c, cells)
        for c in cells
    ]
    dots = [{"x": c.x, "y": c.y, "text": c.name} | detail_cells(c, named) for c in named]
    rect = {"type": "rect", "opacity": 0.75, "stroke": "white", "strokeWidth": 0.6}
    grid = layer(squares, rect, x=x, y=y, color=colour, **hover(cells))
    grid["encoding"] |= {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    disc = {"type": "circle", "size": 330, "opacity": 1, "color": "white", "stroke": INK}
    words = {"type": "text", "fontWeight": "bold", "baseline": "middle"}
    return {
        "width": 285 if narrow else 760,
        "height": 40 * (tallest + 1) if tallest < 10 else 300,
        "layer": [
            grid,
            layer(dots, disc, x=x, y=y, **hover(named)),
            layer(dots, words, x=x, y=y, text={"field": "text"}, **hover(named)),
        ],
    }


def _axis(name: str, title: str, most: float) -> Spec:
    return {
        "field": name,
        "type": "quantitative",
        "scale": {"domain": [-0.5, most + 0.5], "nice": False, "zero": False},
        "axis": {"title": title, "tickMinStep": 1, "grid": False, "format": "d"},
    }
