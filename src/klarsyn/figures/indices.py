"""Indices between −1 and 1, one row an arm: a point with its interval, or all that is possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import in_rows
from klarsyn.figures.theme import FAINT, INK, Spec, detail_cells, hover, keyed, layer


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """A `heading`, or a `study` row with a value and interval or with `allowed`, the bounds."""

    kind: str
    label: str
    numbers: str = ""
    group: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None
    allowed: tuple[float, float] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def indices(
    rows: Sequence[IndexRow],
    *,
    palette: Mapping[str, str],
    x_title: str,
    cut: float,
    sides: tuple[str, str] = ("", ""),
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; a band from −`cut` to `cut` marks guessing at random."""
    ends = ("", "") if narrow else sides
    return in_rows(
        rows,
        lambda y, shift: _marks(rows, palette, x_title, cut, ends, y, shift),
        (270, 410, 170),
        narrow=narrow,
    )


def _marks(
    rows: Sequence[IndexRow],
    palette: Mapping[str, str],
    x_title: str,
    cut: float,
    sides: tuple[str, str],
    y: Spec,
    shift: float,
) -> list[Spec]:
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [-1, 1], "nice": False},
        "axis": {"title": x_title, "tickCount": 5, "grid": True},
    }
    colour = keyed("group", palette, symbolType="circle", symbolOpacity=1)
    found = [r for r in rows if r.group]
    data = [
        _datum(i + 0.5 + shift, r) | detail_cells(r, found) for i, r in enumerate(rows) if r.group
    ]
    band = layer([{"x": -cut, "end": cut}], {"type": "rect", "color": FAINT, "opacity": 0.5}, x=x)
    band["encoding"]["x2"] = {"field": "end"}
    zero = layer([{"x": 0}], {"type": "rule", "stroke": INK, "strokeDash": [3, 3]}, x=x)
    bar = {"type": "rule", "strokeWidth": 7, "opacity": 0.45}
    rule = {"type": "rule", "strokeWidth": 1.6}
    dot = {"type": "circle", "size": 60, "opacity": 1}
    end = {"field": "to"}
    allowed = [d for d in data if "from" in d]
    sure = [d for d in data if "low" in d]
    points = [d for d in data if "x" in d]
    at = x | {"field": "from"}
    low = x | {"field": "low"}
    out = [band, zero]
    for text, place, align in ((sides[0], 0, "left"), (sides[1], 410, "right")):
        if text:
            mark = {"type": "text", "align": align, "fill": INK, "fontSize": 11}
            row = {"y": -0.45, "text": text}
            out.append(layer([row], mark, x={"value": place}, y=y, text={"field": "text"}))
    if allowed:
        out.append(layer(allowed, bar, x=at, x2=end, y=y, color=colour, **hover(found)))
    if sure:
        out.append(layer(sure, rule, x=low, x2={"field": "high"}, y=y, color=colour))
    if allowed and not points:
        unseen = [{"y": d["y"], "x": d["from"], "group": d["group"]} for d in allowed]
        out.append(layer(unseen, dot | {"opacity": 0}, x=x, y=y, color=colour))
    if points:
        out.append(layer(points, dot, x=x, y=y, color=colour, **hover(found)))
    return out


def _datum(y: float, row: IndexRow) -> Spec:
    out: Spec = {"y": y, "group": row.group}
    if row.value is not None:
        out["x"] = row.value
    if row.interval is not None:
        out |= {"low": row.interval[0], "high": row.interval[1]}
    if row.allowed is not None:
        out |= {"from": row.allowed[0], "to": row.allowed[1]}
    return out
