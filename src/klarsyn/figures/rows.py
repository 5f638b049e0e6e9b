"""Figures whose rows are lines of text: a shared vertical axis and columns of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from klarsyn.figures.theme import PAPER, Spec, layer

ROW = 24
NARROW_ROW = 42
TALL_ROW = 54  # where a label takes two lines
SECOND_LINE = 54  # letters that fit beside nothing
NARROW_WIDTH = 330
TEXT_FIELDS = frozenset({"row", "label", "numbers", "kind"})


def rows_axis(count: int) -> Spec:
    """The hidden vertical axis of `count` rows, row i centred at i + ½, one line above them."""
    scale = {"domain": [-0.9, count + 0.3], "reverse": True, "nice": False, "zero": False}
    return {"field": "y", "type": "quantitative", "scale": scale, "axis": None}


def words(
    data: list[Spec], name: str, at: float, align: str, y: Spec, *, over: bool = False
) -> list[Spec]:
    """A column of words: plain for studies, bold for headings and pooled rows.

    With `over` they stand over marks and get a white edge.
    """
    layers = []
    for kinds, weight in ((("study",), "normal"), (("heading", "pooled"), "bold")):
        rows = [_cell(d, name) for d in data if d["kind"] in kinds and d[name]]
        if not rows:
            continue
        mark = {"type": "text", "align": align, "baseline": "middle", "fontWeight": weight}
        encoding: Spec = {"x": {"value": at}, "y": y, "text": {"field": "text"}}
        if any("link" in r for r in rows):
            encoding["href"] = {"field": "link"}
        made = layer(rows, mark, **encoding)
        layers += edged(made) if over else [made]
    return layers or [layer([], {"type": "text"}, y=y)]


def edged(text: Spec) -> list[Spec]:
    """A layer of words over lines: first a white edge that hides the lines, then the words."""
    edge = text["mark"] | {"stroke": PAPER, "strokeWidth": 5, "strokeJoin": "round", "fill": PAPER}
    return [text | {"mark": edge}, text]


def _cell(datum: Spec, name: str) -> Spec:
    kept = {"y": datum["y"], "text": datum[name]}
    return kept | ({"link": datum["link"]} if "link" in datum else {})


def in_rows(
    rows: Sequence[Any],
    marks: Callable[[Spec, float], list[Spec]],
    widths: tuple[int, int, int],
    *,
    narrow: bool,
    longest: int | None = None,
) -> Spec:
    """Marks with each row's `label` to their left and its `numbers` to their right.

    `marks` draws on the vertical axis it is given, shifted down by a share of a row; `widths` are
    those of label, marks and numbers. The narrow form writes label and numbers above the marks; a
    label of more than `longest` letters goes on in a second line.
    """
    y = rows_axis(len(rows))
    texts = [
        {"y": i + 0.5, "kind": r.kind, "label": r.label, "numbers": r.numbers}
        for i, r in enumerate(rows)
    ]
    if narrow:
        above = [
            t | {"y": t["y"] - lifted(t["kind"], 0.36), "label": broken(t["label"], longest)}
            for t in texts
        ]
        columns = words(above, "label", 0, "left", y, over=True)
        columns += words(above, "numbers", NARROW_WIDTH, "right", y, over=True)
        tall = any(isinstance(t["label"], list) for t in above)
        height = (TALL_ROW if tall else NARROW_ROW) * (len(rows) + 1.2)
        return {"width": NARROW_WIDTH, "height": height, "layer": [*marks(y, 0.14), *columns]}
    size = {"height": ROW * (len(rows) + 1.2)}
    left = size | {"width": widths[0], "layer": words(texts, "label", 0, "left", y)}
    middle = size | {"width": widths[1], "layer": marks(y, 0)}
    right = size | {"width": widths[2], "layer": words(texts, "numbers", widths[2], "right", y)}
    return {"hconcat": [left, middle, right], "spacing": 8}


def lifted(kind: str, by: float) -> float:
    """How far words stand above the middle of their row; a heading stands near what it heads."""
    return 0.0 if kind == "heading" else by


def broken(text: str, longest: int | None) -> str | list[str]:
    """The text in one line, or broken at a space into two."""
    if longest is None or len(text) <= longest:
        return text
    first = text[: longest + 1].rsplit(" ", 1)[0]
    rest = text[len(first) :].strip()
    return [first, rest if len(rest) <= SECOND_LINE else rest[: SECOND_LINE - 1].rstrip() + "…"]
