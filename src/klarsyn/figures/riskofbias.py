"""Risk of bias as a traffic light of trials by domains, and as bars of their shares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from klarsyn.figures.theme import INK, PAPER, Spec, keyed, tooltip

ORDER = ("Low", "Some concerns", "High", "none")
COLOURS = ("#2f7d57", "#e0a92e", "#b8432f", "#aab3bb")
SIGNS = ("+", "–", "×", "?")
Mark = Mapping[str, Any]


def traffic_light(
    marks: Sequence[Mark],
    *,
    title: str = "",
    trial_label: str = "Trial",
    domain_label: str = "Domain",
    judgement_label: str = "Judgement",
    note_label: str = "Note",
    names: Mapping[str, str] | None = None,
    narrow: bool = False,
) -> Spec:
    """The specification of a dot for each trial and domain; marks hold them and a judgement.

    Judgements differ by sign, not by colour alone. A mark whose `open` is true is drawn hollow: it
    could change. `note` is shown on hover, `link` followed on click. `names` translates judgements
    and domains.
    """
    words = dict(names or {})
    rows = [_row(mark, words) for mark in marks]
    told = {"trial": trial_label, "domain": domain_label, "shown": judgement_label,
            "note": note_label}  # fmt: skip
    encoding = {**_places(narrow), "tooltip": tooltip(told)}
    if any(row["link"] for row in rows):
        encoding["href"] = {"field": "link"}
    spec: Spec = {
        "data": {"values": rows},
        "encoding": encoding,
        "layer": _dots(_colour(words, narrow), 240 if narrow else 330),
        "width": {"step": 24 if narrow else 44},
        "height": {"step": 24},
    }
    return spec | ({"title": title} if title else {})


def _places(narrow: bool) -> Spec:
    """Domains across, on top and slanted; trials down."""
    return {
        "x": {
            "field": "domain",
            "type": "nominal",
            "sort": None,
            "axis": {"orient": "top", "title": None, "labelAngle": -50, "labelLimit": 220,
                     "domain": False, "ticks": False, "labelAlign": "left",
                     "labelBaseline": "middle"},
        },
        "y": {
            "field": "trial",
            "type": "nominal",
            "sort": None,
            "axis": {"title": None, "labelLimit": 280, "labelFontSize": 11 if narrow else 12,
                     "domain": False, "ticks": False},
        },
    }  # fmt: skip


def _dots(colour: Spec, size: int) -> list[Spec]:
    """A dot in the judgement's colour, hollow where it is open, and its sign upon it."""
    hollow = {"test": "datum.open", "value": PAPER}
    dot = {"type": "circle", "size": size, "opacity": 1, "strokeWidth": 2.5}
    sign = {"type": "text", "fontWeight": "bold", "fontSize": 14, "dy": 1}
    ink = {"condition": {"test": "datum.dark", "value": PAPER}, "value": INK}
    return [
        {"mark": dot, "encoding": {"fill": {**colour, "condition": hollow}, "stroke": colour}},
        {"mark": sign, "encoding": {"text": {"field": "sign"}, "color": ink}},
    ]


def _row(mark: Mark, words: Mapping[str, str]) -> dict[str, Any]:
    place = ORDER.index(mark["judgement"])
    hollow = bool(mark.get("open"))
    return {
        "trial": mark["trial"],
        "domain": words.get(mark["domain"], mark["domain"]),
        "judgement": mark["judgement"],
        "shown": words.get(mark["judgement"], mark["judgement"]),
        "sign": SIGNS[place],
        "open": hollow,
        "dark": not hollow and mark["judgement"] in ("Low", "High"),
        "note": mark.get("note", ""),
        "link": mark.get("link", ""),
    }


def _colour(words: Mapping[str, str], narrow: bool) -> Spec:
    palette = {words.get(o, o): colour for o, colour in zip(ORDER, COLOURS, strict=True)}
    return keyed("shown", palette, columns=2 if narrow else 4, symbolType="circle")


def weighted_bars(
    marks: Sequence[Mark],
    weights: Mapping[str, float],
    *,
    title: str = "",
    domain_label: str = "Domain",
    share_label: str = "Share of weight",
    judgement_label: str = "Judgement",
    open_label: str = "could change",
    names: Mapping[str, str] | None = None,
    narrow: bool = False,
) -> Spec:
    """The specification of one stacked bar for each domain, hollow marks paler.

    `weights` are in any unit; a missing trial weighs 0.
    """
    words = dict(names or {})
    spec: Spec = {
        "data": {"values": _shares(marks, weights, open_label, words)},
        "mark": {"type": "bar", "stroke": PAPER, "strokeWidth": 1},
        "encoding": {
            "y": {"field": "domain", "type": "nominal", "sort": None,
                  "axis": {"title": None, "labelLimit": 150 if narrow else 260}},
            "x": {"field": "share", "type": "quantitative", "stack": "zero",
                  "axis": {"title": share_label, "format": "%"}},
            "color": _colour(words, narrow),
            "opacity": {"condition": {"test": "datum.open", "value": 0.4}, "value": 1},
            "order": {"field": "place", "type": "quantitative"},
            "tooltip": [
                {"field": "domain", "type": "nominal", "title": domain_label},
                {"field": "told", "type": "nominal", "title": judgement_label},
                {"field": "share", "type": "quantitative", "title": share_label, "format": ".0%"},
            ],
        },
        "width": 200 if narrow else 460,
        "height": {"step": 26},
    }  # fmt: skip
    return spec | ({"title": title} if title else {})


def _shares(
    marks: Sequence[Mark], weights: Mapping[str, float], open_label: str, words: Mapping[str, str]
) -> list[Spec]:
    """The pieces of each domain's bar: judgements in their order, those that could change after."""
    total = sum(weights.values())
    rows = []
    for domain in dict.fromkeys(mark["domain"] for mark in marks):
        sums: dict[tuple[str, bool], float] = {}
        for m in marks:
            if m["domain"] == domain:
                key = (m["judgement"], bool(m.get("open")))
                sums[key] = sums.get(key, 0) + weights.get(m["trial"], 0)
        for place, (judgement, hollow) in enumerate(itertools.product(ORDER, (False, True))):
            told = words.get(judgement, judgement)
            if share := sums.get((judgement, hollow), 0):
                rows.append(
                    {
                        "domain": words.get(domain, domain),
                        "shown": told,
                        "told": f"{told}, {open_label}" if hollow else told,
                        "open": hollow,
                        "share": share / total,
                        "place": place,
                    }
                )
    return rows
