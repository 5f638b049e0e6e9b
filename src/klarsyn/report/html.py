"""A report becomes one self-contained HTML file, its figures as files and its results as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from klarsyn.report.document import Figure, Report, Result, anchor_of
from klarsyn.report.numbers import Numbers
from klarsyn.report.words import Words

# How a language writes numbers on an axis, as d3-format names it; English is the default.
LOCALES: dict[str, dict[str, Any]] = {
    "nb": {
        "number": {
            "decimal": ",",
            "thousands": "\u00a0",
            "grouping": [3],
            "currency": ["", "\u00a0kr"],
            "percent": "\u00a0%",
            "minus": "\u2212",
        }
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure's two pictures as SVG text."""

    figure: Figure
    wide: str
    narrow: str


def render(
    report: Report, words: Words, progress: Callable[[str], None] = lambda _: None
) -> dict[str, bytes]:
    """All files of the page by their relative path: `index.html`, `results.json`, `figures/*`.

    Equal reports give equal bytes. `progress` hears the name of each figure as it is drawn.
    """
    drawn = []
    files: dict[str, bytes] = {}
    for given in report.figures():
        figure = _localised(given, words.lang)
        progress(figure.title)
        drawn.append(_draw(figure))
        files |= _figure_files(drawn[-1])
    files["index.html"] = _page(report, words, drawn).encode()
    files["results.json"] = _results_json(report).encode()
    return files


def _localised(figure: Figure, lang: str) -> Figure:
    """The figure with the language's own decimal mark on its axes."""
    if lang not in LOCALES:
        return figure

    def speaking(spec: Mapping[str, Any]) -> dict[str, Any]:
        return {**spec, "config": {**spec.get("config", {}), "locale": LOCALES[lang]}}

    return replace(figure, wide=speaking(figure.wide), narrow=speaking(figure.narrow))


def _draw(figure: Figure) -> Drawn:
    import vl_convert

    wide = vl_convert.vegalite_to_svg(dict(figure.wide))
    narrow = vl_convert.vegalite_to_svg(dict(figure.narrow))
    return Drawn(figure=figure, wide=_renumbered(wide), narrow=_renumbered(narrow))


def _renumbered(svg: str) -> str:
    """The SVG with its clip paths counted from 0: the renderer counts through the whole process."""
    seen: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return seen.setdefault(found.group(0), f"clip{len(seen)}")

    return re.sub(r"\bclip\d+\b", number, svg)


def _figure_files(drawn: Drawn) -> dict[str, bytes]:
    import vl_convert

    name = f"figures/{drawn.figure.id}"
    return {
        f"{name}.svg": drawn.wide.encode(),
        f"{name}.png": vl_convert.svg_to_png(drawn.wide, scale=2),
        f"{name}.vl.json": _json(drawn.figure.wide, indent=1).encode(),
    }


def _page(report: Report, words: Words, drawn: list[Drawn]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("klarsyn.report", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = {row["id"] for row in report.rows}
    environment.filters["anchor"] = lambda name, kind: anchor_of(kind, name)
    environment.filters["place"] = lambda i: anchor_of("row" if i in rows else "result", i)
    environment.filters["printed"] = lambda value: _printed(value, words.lang)
    return environment.get_template("page.html.j2").render(
        report=report,
        words=words,
        pictures={d.figure.id: _pictures(d) for d in drawn},
        specs=_embedded({d.figure.id: _variants(d.figure) for d in drawn}),
        vega=_vega(),
    )


def _vega() -> str:
    """The drawing library, inlined so that the page fetches nothing."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    return bundle.replace("</script", "<\\/script")


def _printed(value: Any, lang: str) -> str:
    """A result's value for the table of results: names and numbers, four decimals at most."""
    if isinstance(value, Mapping):
        return "; ".join(f"{k} {_printed(v, lang)}" for k, v in value.items() if v not in ([], ""))
    if isinstance(value, (list, tuple)):
        return ", ".join(_printed(v, lang) for v in value)
    if isinstance(value, float):
        return Numbers(lang).fixed(value, 4) if value != int(value) else Numbers(lang).whole(value)
    return "–" if value is None else str(value)


def _pictures(drawn: Drawn) -> dict[str, str]:
    def uri(svg: str) -> str:
        return "data:image/svg+xml," + quote(svg, safe="/:;=@!()'")

    return {"wide": uri(drawn.wide), "narrow": uri(drawn.narrow)}


def _variants(figure: Figure) -> dict[str, Any]:
    return {"wide": figure.wide, "narrow": figure.narrow}


def _embedded(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return _json(value).replace("<", "\\u003c")


def _results_json(report: Report) -> str:
    return _json(
        {
            "title": report.title,
            "language": report.lang,
            "notice": "Research synthesis, not medical advice.",
            **report.facts,
            "results": {r.id: _result(r) for r in report.results()},
            "rows": {row["id"]: row for row in report.rows},
            "sources": {source["id"]: source for source in report.sources},
        },
        indent=1,
    )


def _result(result: Result) -> Mapping[str, Any]:
    out = {
        "value": result.value,
        "method": result.method,
        "inputs": result.inputs,
        "digest": result.digest,
    }
    return out | ({"seed": result.seed} if result.seed is not None else {})


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if to_list := getattr(value, "tolist", None):
        return to_list()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot stand in results.json")
