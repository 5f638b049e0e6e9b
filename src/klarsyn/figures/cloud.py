"""The cloud of all subsets; pointing at a study shows the subsets that hold it."""

from __future__ import annotations

from collections.abc import Sequence

from klarsyn.figures.theme import FAINT, INK, PALETTE, SOFT, Spec, layer

FEW = 30  # subsets up to which a point is drawn large enough to be found alone


def pickable_cloud(
    estimates: Sequence[float],
    i2: Sequence[float],
    members: Sequence[Sequence[int]],
    studies: Sequence[str],
    *,
    x_title: str,
    y_title: str,
    hint: str,
    labels: tuple[str, str],
    pooled: float,
    null: float | None = None,
    narrow: bool = False,
) -> Spec:
    """The Vega-Lite specification: one point a subset, the studies as a list to point at.

    `members` are the places of each subset's studies in `studies`; `labels` name estimate and
    number of studies on hover.
    """
    rows = [
        {"x": x, "y": y, "k": len(m), "members": list(m)}
        for x, y, m in zip(estimates, i2, members, strict=True)
    ]
    names = [{"study": i, "name": name, "y": i} for i, name in enumerate(studies)]
    picked = "isValid(pick.study) && indexof(datum.members, pick.study[0]) >= 0"
    x = {
        "field": "x",
        "type": "quantitative",
        "title": x_title,
        "scale": {"zero": False},
        "axis": {"tickCount": 5 if narrow else 10},
    }
    y = {"field": "y", "type": "quantitative", "title": y_title, "scale": {"domain": [0, 100]}}
    colour = {"condition": {"test": picked, "value": PALETTE[1]}, "value": PALETTE[0]}
    told = [
        {"field": "x", "type": "quantitative", "format": ".2f", "title": labels[0]},
        {"field": "k", "type": "quantitative", "title": labels[1]},
    ]
    size = 26 if len(rows) > FEW else 90
    dot = {"type": "circle", "size": size, "opacity": 0.6}
    cloud: Spec = {
        "width": 320 if narrow else 480,
        "height": 260 if narrow else 300,
        "layer": [
            *_lines(pooled, null),
            layer(rows, dot, x=x, y=y, color=colour, tooltip=told),
        ],
    }
    return {("vconcat" if narrow else "hconcat"): [cloud, _names(names, hint)], "spacing": 24}


def _lines(pooled: float, null: float | None) -> list[Spec]:
    out: list[Spec] = [_line(pooled, INK, [])]
    return out if null is None else [*out, _line(null, SOFT, [3, 3])]


def _line(at: float, colour: str, dash: list[int]) -> Spec:
    mark = {"type": "rule", "stroke": colour, "strokeDash": dash}
    return {
        "data": {"values": [{"at": at}]},
        "mark": mark,
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }


def _names(names: list[Spec], hint: str) -> Spec:
    select = {"type": "point", "fields": ["study"], "on": "pointerover", "clear": "pointerout"}
    y = {"field": "y", "type": "ordinal", "axis": None}
    on = {"param": "pick", "empty": False}
    return {
        "title": {"text": hint, "anchor": "start", "fontSize": 12, "fontWeight": "normal"},
        "width": 230,
        "height": {"step": 22},
        "data": {"values": names},
        "layer": [
            {
                "params": [{"name": "pick", "select": select}],
                "mark": {"type": "bar", "color": "#f3f5f7", "stroke": FAINT, "cursor": "pointer"},
                "encoding": {
                    "y": y,
                    "x": {"value": 0},
                    "x2": {"value": 230},
                    "color": {"condition": on | {"value": "#fbe3d0"}, "value": "#f3f5f7"},
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6},
                "encoding": {"y": y, "x": {"value": 0}, "text": {"field": "name"}},
            },
        ],
    }
