"""Upper limits of harms on a logarithmic axis, against rates one would like to exclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from klarsyn.figures.rows import edged, in_rows
from klarsyn.figures.theme import PALETTE, SOFT, Spec, detail_cells, hover, layer

EDGE = 0.0005  # shares below it are drawn at the left edge


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """A `heading`, or a `study` row with the share seen and the limit that it does not exclude."""

    kind: str
    label: str
    numbers: str = ""
    share: float | None = None
    upper: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def limits(
    rows: Sequence[LimitRow],
    *,
    rates: Sequence[tuple[float, str]],
    x_title: str,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification; `rates` are shares with the words written above their lines."""
    return in_rows(
        rows,
        lambda y, shift: _marks(rows, rates, x_title, y, shift),
        (250, 420, 180),
        narrow=narrow,
    )


def _marks(
    rows: Sequence[LimitRow],
    rates: Sequence[tuple[float, str]],
    x_title: str,
    y: Spec,
    shift: float,
) -> list[Spec]:
    x: Spec = {
        "field": "upper",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [EDGE, 1], "nice": False},
        "axis": {
            "title": x_title,
            "values": [0.001, 0.01, 0.1, 1],
            "format": "~%",
            "grid": False,
        },
    }
    drawn = [(i, r) for i, r in enumerate(rows) if r.upper is not None]
    points = [r for _, r in drawn]
    data = [
        {"y": i + 0.5 + shift, "share": max(r.share or 0.0, EDGE), "upper": r.upper}
        | detail_cells(r, points)
        for i, r in drawn
    ]
    lines = [{"upper": rate, "y": -0.45, "text": text} for rate, text in rates]
    rule = {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]}
    bar = {"type": "rule", "strokeWidth": 7, "opacity": 0.45, "color": PALETTE[0]}
    tick = {"type": "tick", "thickness": 3, "height": 16, "orient": "vertical", "color": PALETTE[0]}
    seen = {"type": "circle", "size": 50, "opacity": 1, "color": PALETTE[1]}
    at = x | {"field": "share"}
    found = [d for d in data if d["share"] > EDGE]
    return [
        layer(lines, rule, x=x),
        *edged(layer(lines, {"type": "text", "fill": SOFT}, x=x, y=y, text={"field": "text"})),
        layer(data, bar, x=at, x2={"field": "upper"}, y=y, **hover(points)),
        layer(data, tick, x=x, y=y, **hover(points)),
        layer(found, seen, x=at, y=y, **hover(points)),
    ]
