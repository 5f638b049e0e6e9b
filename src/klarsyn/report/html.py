"""A report becomes one self-contained HTML file, its figures as files and its results as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from klarsyn.report.document import Figure, Report, Result, anchor_of
from klarsyn.report.drawing import Pictures, draw_pictures
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


def render(
    report: Report, words: Words, progress: Callable[[str], None] = lambda _: None
) -> dict[str, bytes]:
    """All files of the page by their relative path: `index.html`, `results.json`, `figures/*`.

    Equal reports give equal bytes. `progress` hears the name of each figure as it is drawn.
    """
    figures = {f.id: localised(f, words.lang) for f in report.figures()}
    specs = {name: _plain_json(f.wide) for name, f in figures.items()}
    pictures = draw_pictures(specs, lambda name: progress(figures[name].title))
    files: dict[str, bytes] = {}
    for name, drawn in pictures.items():
        files |= _figure_files(drawn, figures[name])
    files["index.html"] = _page(report, words, figures, pictures).encode()
    files["results.json"] = _results_json(report).encode()
    return files


def localised(figure: Figure, lang: str) -> Figure:
    """The figure with the language's own decimal mark on its axes."""
    if lang not in LOCALES:
        return figure

    def speaking(spec: Mapping[str, Any]) -> dict[str, Any]:
        return {**spec, "config": {**spec.get("config", {}), "locale": LOCALES[lang]}}

    return replace(figure, wide=speaking(figure.wide), narrow=speaking(figure.narrow))


def _plain_json(spec: Mapping[str, Any]) -> Any:
    return json.loads(_json(spec))


def _figure_files(drawn: Pictures, figure: Figure) -> dict[str, bytes]:
    name = f"figures/{drawn.id}"
    return {
        f"{name}.svg": drawn.svg.encode(),
        f"{name}.png": drawn.png,
        f"{name}.vl.json": _json(figure.wide, indent=1).encode(),
    }


def templates() -> Any:
    """The room's Jinja templates: everything escaped, nothing undefined (jinja2.Environment)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("klarsyn.report", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(
    report: Report,
    words: Words,
    figures: Mapping[str, Figure],
    pictures: Mapping[str, Pictures],
) -> str:
    environment = templates()
    rows = {row["id"] for row in report.rows}
    environment.filters["anchor"] = lambda name, kind: anchor_of(kind, name)
    environment.filters["place"] = lambda i: anchor_of("row" if i in rows else "result", i)
    environment.filters["printed"] = lambda value: _printed(value, words.lang)
    return environment.get_template("page.html.j2").render(
        report=report,
        words=words,
        pictures={name: _picture(d) for name, d in pictures.items()},
        specs=_embedded(_shared({name: _variants(f) for name, f in figures.items()})),
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


def _picture(drawn: Pictures) -> str:
    """The picture as a data address, for a reader without scripts and until they have run."""
    return "data:image/svg+xml," + quote(drawn.svg, safe="/:;=@!()'")


def _variants(figure: Figure) -> dict[str, Any]:
    return {"wide": figure.wide, "narrow": figure.narrow}


def _shared(specs: Mapping[str, Any]) -> dict[str, Any]:
    """The specifications with each list of rows written once: the page's script puts them back.

    The wide and the narrow form of a figure, and its layers, mostly draw the same rows.
    """
    rows: dict[str, int] = {}

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: _place(k, v, rows) or without(v) for k, v in value.items()}
        return [without(v) for v in value] if isinstance(value, (list, tuple)) else value

    figures = without(specs)
    return {"rows": [json.loads(text) for text in rows], "figures": figures}


def _place(key: str, value: Any, rows: dict[str, int]) -> dict[str, int] | None:
    if key != "values" or not isinstance(value, (list, tuple)) or not value:
        return None
    return {"$rows": rows.setdefault(_json(value), len(rows))}


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
