"""A histogram of redrawn or permuted values with the observed one marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klarsyn.figures.theme import INK, Spec, housed, layer

BINS = 60


def histogram(values: Any, marks: Mapping[str, float], *, title: str) -> Any:
    """An Altair chart of counts in 60 bins; `marks` are named vertical lines."""
    import numpy as np

    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    counts, edges = np.histogram(x, bins=BINS)
    bars = [
        {"from": round(float(a), 12), "to": round(float(b), 12), "count": int(n)}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
        if n
    ]
    axis: Spec = {"type": "quantitative", "title": title, "scale": {"zero": False}}
    bar = layer(
        bars,
        {"type": "rect", "color": "#0072B2", "opacity": 0.75},
        x=axis | {"field": "from"},
        x2={"field": "to"},
        y={"field": "count", "type": "quantitative", "title": "Draws"},
        y2={"datum": 0},
    )
    lines = [{"at": at, "name": name} for name, at in marks.items()]
    rule = layer(lines, {"type": "rule", "color": INK, "strokeDash": [4, 3]})
    rule["encoding"] = {"x": axis | {"field": "at"}}
    words = {"type": "text", "align": "left", "baseline": "top", "dx": 4, "fill": INK}
    told = layer(lines, words, x=axis | {"field": "at"}, y={"value": 2}, text={"field": "name"})
    return housed({"width": 420, "height": 240, "layer": [bar, rule, told]})
