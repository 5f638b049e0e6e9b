"""Figures whose rows are lines of text: a shared vertical axis and columns of words."""

from __future__ import annotations

from klarsyn.figures.theme import Spec, layer

TEXT_FIELDS = frozenset({"row", "label", "numbers", "kind"})


def rows_axis(count: int) -> Spec:
    """The hidden vertical axis of `count` rows, row i centred at i + ½, one line above them."""
    scale = {"domain": [-0.9, count + 0.3], "reverse": True, "nice": False, "zero": False}
    return {"field": "y", "type": "quantitative", "scale": scale, "axis": None}


def words(data: list[Spec], name: str, at: float, align: str, y: Spec) -> list[Spec]:
    """A column of words: plain for studies, bold for headings and pooled rows."""
    layers = []
    for kinds, weight in ((("study",), "normal"), (("heading", "pooled"), "bold")):
        rows = [_cell(d, name) for d in data if d["kind"] in kinds and d[name]]
        if not rows:
            continue
        mark = {"type": "text", "align": align, "baseline": "middle", "fontWeight": weight}
        encoding: Spec = {"x": {"value": at}, "y": y, "text": {"field": "text"}}
        if any("link" in r for r in rows):
            encoding["href"] = {"field": "link"}
        layers.append(layer(rows, mark, **encoding))
    return layers or [layer([], {"type": "text"}, y=y)]


def _cell(datum: Spec, name: str) -> Spec:
    kept = {"y": datum["y"], "text": datum[name]}
    return kept | ({"link": datum["link"]} if "link" in datum else {})
