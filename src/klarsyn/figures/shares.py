"""Shares of rows in columns as a table of shades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import INK, housed, layer


def share_table(rows: Sequence[str], columns: Sequence[str], shares: Any, *, title: str) -> Any:
    """An Altair chart of `shares` (0 to 1), one line a row; cells of 5 % and more are written."""
    cells = [
        {"row": r, "column": c, "share": round(float(s), 6), "text": f"{100 * s:.0f}"}
        for r, line in zip(rows, shares, strict=True)
        for c, s in zip(columns, line, strict=True)
    ]
    x = {"field": "column", "type": "nominal", "sort": list(columns), "title": title}
    y = {"field": "row", "type": "nominal", "sort": list(rows), "title": None}
    fill = {
        "field": "share",
        "type": "quantitative",
        "title": "share",
        "scale": {"domain": [0, 1], "range": ["#ffffff", "#0072B2"], "interpolate": "rgb"},
        "legend": {"format": ".0%"},
    }
    told = [{"field": n, "type": "nominal"} for n in ("row", "column", "text")]
    heat = layer(cells, {"type": "rect"}, x=x, y=y, color=fill, tooltip=told)
    written = [c for c in cells if c["share"] >= 0.05]
    text = layer(written, {"type": "text", "fill": INK}, x=x, y=y, text={"field": "text"})
    size = {"width": 40 * len(columns), "height": 20 * len(rows)}
    return housed(size | {"layer": [heat, text]})
