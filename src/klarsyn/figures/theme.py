"""One look for every figure: system fonts, colours told apart by colour-blind readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

INK = "#1d2733"
SOFT = "#5b6875"
FAINT = "#d5dbe1"
PAPER = "#ffffff"
FONT = "Helvetica, Arial, sans-serif"
# Okabe & Ito (2008), Color Universal Design; black and yellow left out for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b6b6b", "#9a7b4f")

Spec = dict[str, Any]


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, by its place in the list."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def finish(chart: Any) -> Spec:
    """A chart as a complete Vega-Lite specification with the shared look.

    Takes an Altair chart or a specification without `$schema` and `config`.
    """
    spec = chart.to_dict() if hasattr(chart, "to_dict") else dict(chart)
    spec["$schema"] = "https://vega.github.io/schema/vega-lite/v6.json"
    return spec | {"config": _config()}


def housed(chart: Any) -> Any:
    """An Altair chart with the shared look, which notebooks draw; takes what `finish` takes."""
    import altair as alt

    if hasattr(chart, "to_dict"):
        return chart.properties(config=_config())
    return alt.Chart.from_dict(finish(chart))


def layer(values: Sequence[Mapping[str, Any]], mark: Mapping[str, Any], **encoding: Any) -> Spec:
    """One layer of a chart: its rows, its mark and what encodes what."""
    return {"data": {"values": list(values)}, "mark": dict(mark), "encoding": encoding}


def keyed(field: str, by: Mapping[str, str], *, title: str | None = None, **legend: object) -> Spec:
    """The encoding of a field's names by the colours or shapes `by`, with their key on top."""
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(by), "range": list(by.values())},
        "legend": {"title": title, "orient": "top", **legend},
    }


def short(value: float) -> float:
    """The number with the four digits that a curve shows."""
    return float(f"{value:.4g}")


def hover(points: Sequence[Any]) -> Spec:
    """The encoding that shows each point's `details` on hover and follows its `link` on click."""
    names = detail_names(points)
    out: Spec = {"tooltip": tooltip({f"d{i}": n for i, n in enumerate(names)})} if names else {}
    return out | ({"href": {"field": "link"}} if any(p.link for p in points) else {})


def detail_cells(point: Any, points: Sequence[Any]) -> Spec:
    """The columns of one row that `hover` reads; `points` are all rows of the layer."""
    cells: Spec = {
        f"d{i}": point.details.get(name, "") for i, name in enumerate(detail_names(points))
    }
    return cells | ({"link": point.link} if point.link else {})


def detail_names(points: Sequence[Any]) -> list[str]:
    """The names of all details, in order of first appearance."""
    return list(dict.fromkeys(name for p in points for name in p.details))


def tooltip(fields: Mapping[str, str]) -> list[dict[str, str]]:
    """What hovering shows: field → title, in order."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields.items()]


def _config() -> Spec:
    axis = {
        "labelColor": SOFT,
        "titleColor": INK,
        "domainColor": SOFT,
        "tickColor": SOFT,
        "gridColor": "#eef1f4",
        "labelFontSize": 12,
        "titleFontSize": 12.5,
        "titleFontWeight": "normal",
    }
    legend = {
        "labelFontSize": 12,
        "titleFontSize": 12.5,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "labelLimit": 280,
    }
    return {
        "background": PAPER,
        "font": FONT,
        "aria": False,
        "view": {"stroke": None},
        "axis": axis,
        "legend": legend,
        "text": {"font": FONT, "fontSize": 12, "fill": INK},
        "header": {"labelFontSize": 12.5, "labelColor": INK, "titleFontSize": 12.5},
    }
