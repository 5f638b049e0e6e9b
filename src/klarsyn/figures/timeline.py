"""Events along one axis of days: a marker where a trial says something, words beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import broken, in_rows
from klarsyn.figures.theme import INK, Spec, detail_cells, hover, keyed, layer


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One line: a `heading` or a `study`, its marker at `day` (None: no fixed day, words only).

    `symbol` is the marker's legend text; `lower` and `upper` are limits in days.
    """

    kind: str
    label: str
    numbers: str = ""
    day: float | None = None
    lower: float | None = None
    upper: float | None = None
    symbol: str = ""
    colour: str = INK
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def timeline(
    rows: Sequence[TimelineRow],
    *,
    symbols: Mapping[str, str],
    x_title: str,
    ticks: Sequence[float],
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `symbols` gives each legend text its Vega shape."""
    title = broken(x_title, 44) if narrow else x_title
    return in_rows(
        rows,
        lambda y, shift: _marks(rows, symbols, title, ticks, y, shift),
        (400, 290, 165),
        narrow=narrow,
        longest=36,
    )


def _marks(
    rows: Sequence[TimelineRow],
    symbols: Mapping[str, str],
    x_title: str | list[str],
    ticks: Sequence[float],
    y: Spec,
    shift: float,
) -> list[Spec]:
    placed = [(i, r) for i, r in enumerate(rows) if r.day is not None]
    points = [r for _, r in placed]
    data = [_datum(i + 0.5 + shift, r) | detail_cells(r, points) for i, r in placed]
    end = max([*(r.upper or r.day or 0 for r in points), *ticks]) * 1.04
    x = {
        "field": "day",
        "type": "quantitative",
        "scale": {"type": "pow", "exponent": 0.4, "domain": [0, end], "nice": False},
        "axis": {"title": x_title, "values": list(ticks), "grid": True},
    }
    shape = keyed("symbol", symbols, columns=1, symbolFillColor=INK)
    colour = {"field": "colour", "type": "nominal", "scale": None, "legend": None}
    spans = [d for d in data if "lower" in d]
    dot = {"type": "point", "filled": True, "size": 90, "opacity": 1}
    layers = [layer(data, dot, x=x, y=y, shape=shape, color=colour, **hover(points))]
    if spans:
        rule = {"type": "rule", "strokeWidth": 1.6}
        upper = {"field": "upper"}
        layers.insert(0, layer(spans, rule, x=x | {"field": "lower"}, x2=upper, y=y, color=colour))
    return layers


def _datum(y: float, row: TimelineRow) -> Spec:
    out: Spec = {"y": y, "day": row.day, "symbol": row.symbol, "colour": row.colour}
    if row.lower is not None and row.upper is not None:
        out |= {"lower": row.lower, "upper": row.upper}
    return out
