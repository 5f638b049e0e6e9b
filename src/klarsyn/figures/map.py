"""The evidence map: every trial by doses, follow-up, size and comparator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.theme import INK, SOFT, Spec, detail_cells, hover, keyed, layer


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """One trial; `followup` in days after the last dose, `named` writes its label beside it."""

    label: str
    group: str
    doses: float
    followup: float
    participants: float
    named: bool = False
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def evidence_map(
    points: Sequence[MapPoint],
    *,
    palette: Mapping[str, str],
    x_title: str,
    y_title: str,
    size_title: str,
    corner: tuple[float, float] | None = None,
    corner_text: str = "",
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `corner` (follow-up, doses) marks a region that is asked for."""
    rows = _spread([_datum(p) | detail_cells(p, points) for p in points])
    top = max([p.doses for p in points] + [12]) * 1.4
    end = max([p.followup for p in points] + [200]) * 1.7
    x = {
        "field": "followup",
        "type": "quantitative",
        "scale": {"type": "pow", "exponent": 0.4, "domain": [-0.02, end], "nice": False},
        "axis": {"title": x_title, "values": [0, 1, 3, 7, 14, 28, 90, 180, 365], "grid": True},
    }
    if narrow:
        x["axis"]["values"] = [0, 1, 7, 28, 90, 365]
    y = {
        "field": "doses",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [0.72, top], "nice": False},
        "axis": {"title": y_title, "values": [1, 2, 4, 6, 8, 12, 24, 48]},
    }
    colour = keyed("group", palette, columns=2 if narrow else 4)
    size = {
        "field": "participants",
        "type": "quantitative",
        "scale": {"type": "sqrt", "range": [20, 900 if narrow else 1500]},
        "legend": None
        if narrow
        else {"title": size_title, "orient": "right", "values": [20, 100, 400]},
    }
    dots = layer(
        rows,
        {"type": "circle", "opacity": 0.62, "stroke": "white", "strokeWidth": 1},
        x=x,
        y=y,
        color=colour,
        size=size,
        **hover(points),
    )
    layers = [*_corner(corner, corner_text, x, y, end, top), dots]
    named = [r for r in rows if r["named"]]
    if named and not narrow:
        layers += _labels(named, x, y)
    return {"width": 305 if narrow else 690, "height": 330 if narrow else 430, "layer": layers}


def _datum(p: MapPoint) -> Spec:
    out: Spec = {"label": p.label, "group": p.group, "doses": p.doses, "named": p.named}
    out |= {"followup": p.followup, "participants": p.participants}
    return out


def _spread(rows: list[Spec]) -> list[Spec]:
    """Trials with equal doses and follow-up are fanned out upwards so that each can be seen."""
    seen: dict[tuple[float, float], int] = {}
    out = []
    for row in sorted(rows, key=lambda r: -r["participants"]):
        key = (round(row["followup"]), row["doses"])
        place = seen.get(key, 0)
        seen[key] = place + 1
        out.append(row | {"doses": row["doses"] * 1.055**place * (0.9 if place else 1)})
    return out


def _labels(rows: list[Spec], x: Spec, y: Spec) -> list[Spec]:
    """Names to the right of their trials, below each other where trials share a follow-up."""
    layers: list[Spec] = []
    seen: dict[int, int] = {}
    for row in sorted(rows, key=lambda r: -r["doses"]):
        place = seen.setdefault(round(row["followup"]), 0)
        seen[round(row["followup"])] += 1
        mark = {"type": "text", "align": "left", "fontSize": 11, "fill": INK}
        at = mark | {"dx": 16, "dy": 9 * place - 4}
        layers.append(layer([row], at, x=x, y=y, text={"field": "label"}))
    return layers


def _corner(
    corner: tuple[float, float] | None, text: str, x: Spec, y: Spec, end: float, top: float
) -> list[Spec]:
    if corner is None:
        return []
    box = {"followup": corner[0], "x2": end, "doses": corner[1], "y2": top}
    area = layer([box], {"type": "rect", "fill": "#0072B2", "opacity": 0.07}, x=x, y=y)
    area["encoding"] |= {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    label = {"followup": end, "doses": top, "text": text}
    mark = {"type": "text", "align": "right", "baseline": "top", "dx": -6, "dy": 6, "fill": SOFT}
    return [area, layer([label], mark, x=x, y=y, text={"field": "text"})]
