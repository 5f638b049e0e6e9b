"""Effects over one moderator, larger where more precise, with the fitted line and its band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import INK, housed, layer


def bubble_chart(
    points: Sequence[tuple[str, float, float, float]],
    line: Sequence[tuple[float, float, float, float]],
    *,
    moderator: str,
    axis: str,
) -> Any:
    """Points are (study, moderator, effect, weight); the line (moderator, mean, low, high)."""
    x = {"field": "x", "type": "quantitative", "title": moderator, "scale": {"zero": False}}
    x["axis"] = {"format": "~g"}
    y = {"type": "quantitative", "title": axis, "scale": {"zero": False}}
    drawn = [{"x": a, "mean": m, "low": low, "high": high} for a, m, low, high in line]
    dots = [{"study": s, "x": a, "effect": e, "weight": w} for s, a, e, w in points]
    band = layer(
        drawn,
        {"type": "area", "color": "#0072B2", "opacity": 0.18},
        x=x,
        y=y | {"field": "low"},
        y2={"field": "high"},
    )
    middle = layer(drawn, {"type": "line", "color": "#0072B2"}, x=x, y=y | {"field": "mean"})
    mark = {"type": "circle", "color": INK, "opacity": 0.6}
    circles = layer(
        dots,
        mark,
        x=x,
        y=y | {"field": "effect"},
        size={"field": "weight", "type": "quantitative", "legend": None},
        tooltip=[
            {"field": "study", "type": "nominal"},
            {"field": "x", "type": "quantitative", "title": moderator},
            {"field": "effect", "type": "quantitative", "title": axis, "format": ".4g"},
        ],
    )
    return housed({"width": 420, "height": 280, "layer": [band, middle, circles]})
