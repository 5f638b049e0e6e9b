"""How much of each trial is known: one row a trial, one column an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.figures.theme import Spec, keyed, layer, tooltip


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCell:
    """What is known of one item in one trial; `state` is a name of the palette."""

    trial: str
    item: str
    state: str
    link: str = ""


def completeness(
    cells: Sequence[KnownCell],
    *,
    palette: Mapping[str, str],
    titles: tuple[str, str, str],
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification of the map; `titles` name trial, item and state on hover."""
    rows = [{"trial": c.trial, "item": c.item, "state": c.state, "link": c.link} for c in cells]
    x = {
        "field": "item",
        "type": "nominal",
        "sort": None,
        "axis": {"orient": "top", "title": None, "labelAngle": -90 if narrow else -50,
                 "labelLimit": 220, "domain": False, "ticks": False, "labelAlign": "left",
                 "labelBaseline": "middle"},
    }  # fmt: skip
    y = {
        "field": "trial",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelLimit": 300, "labelFontSize": 11 if narrow else 12,
                 "domain": False, "ticks": False},
    }  # fmt: skip
    colour = keyed("state", palette, columns=1 if narrow else 3)
    chart = layer(
        rows,
        {"type": "rect", "stroke": "white", "strokeWidth": 1.5},
        x=x,
        y=y,
        color=colour,
        tooltip=tooltip(dict(zip(("trial", "item", "state"), titles, strict=True))),
    )
    if any(c.link for c in cells):
        chart["encoding"]["href"] = {"field": "link"}
    step = 15
    return chart | {"width": {"step": 18 if narrow else 46}, "height": {"step": step}}
