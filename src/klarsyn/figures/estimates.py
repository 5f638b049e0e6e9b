"""Estimates with their intervals, one a line, as every result draws them."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import SOFT, Spec, housed, layer

Line = tuple[str, float, float, float]
LARGEST = math.log(sys.float_info.max)  # of a logarithm, so that its ratio is a number


def estimate_lines(
    lines: Sequence[Line],
    *,
    title: str,
    log: bool = False,
    pooled: Sequence[Line] = (),
    null: float | None = 0.0,
) -> Any:
    """An Altair chart of (label, value, low, high) on the analysis scale; `pooled` as diamonds.

    With `log` the values are natural logarithms and the axis shows ratios; `null`, on the analysis
    scale, is where no difference lies (None: nowhere).
    """
    return housed(estimate_spec(lines, title=title, log=log, pooled=pooled, null=null))


def estimate_spec(
    lines: Sequence[Line],
    *,
    title: str,
    log: bool = False,
    pooled: Sequence[Line] = (),
    null: float | None = 0.0,
) -> Spec:
    """The specification of `estimate_lines`, to be joined with others."""
    show = _ratio if log else float
    rows = [_row("study", line, show) for line in lines]
    rows += [_row("pooled", line, show) for line in pooled]
    at = None if null is None else show(null)
    return forest(rows, ForestAxis(title=title, null=at, log=log))


def _ratio(log: float) -> float:
    return math.exp(min(log, LARGEST))


def _row(kind: str, line: Line, show: Any) -> ForestRow:
    label, *values = line
    if not all(math.isfinite(x) for x in values):
        return ForestRow(kind=kind, label=label, numbers="no estimate")
    value, low, high = (show(x) for x in values)
    numbers = f"{value:.3g} ({low:.3g} to {high:.3g})"
    return ForestRow(
        kind=kind, label=label, estimate=value, lower=low, upper=high, weight=0.25, numbers=numbers
    )


def panels_of_values(
    names: Sequence[str],
    panels: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    width: int = 150,
) -> Any:
    """One dot a name in each panel of (title, values, marks); marks are dashed reference lines."""
    parts = []
    for i, (title, values, marks) in enumerate(panels):
        rows = [
            {"name": n, "value": v} for n, v in zip(names, values, strict=True) if math.isfinite(v)
        ]
        axis: Spec = {} if i == 0 else {"axis": None}
        y = {"field": "name", "type": "nominal", "sort": list(names), "title": None, **axis}
        y["scale"] = {"domain": list(names)}
        x = {"field": "value", "type": "quantitative", "title": title}
        stems = layer(rows, {"type": "rule", "color": "#0072B2"}, x=x, y=y)
        stems["encoding"]["x2"] = {"datum": 0}
        dots = layer(
            rows,
            {"type": "point", "filled": True, "size": 45, "color": "#0072B2", "opacity": 1},
            x=x,
            y=y,
            tooltip=[
                {"field": "name", "type": "nominal", "title": "row"},
                {"field": "value", "type": "quantitative", "title": title, "format": ".4g"},
            ],
        )
        lines = layer(
            [{"value": m} for m in marks],
            {"type": "rule", "stroke": SOFT, "strokeDash": [3, 3]},
            x=x,
        )
        parts.append({"width": width, "height": 20 * len(names), "layer": [lines, stems, dots]})
    return housed({"hconcat": parts, "spacing": 12})
