"""A small self-contained page of one simulation: the numbers, the curves, what to keep in mind."""

from __future__ import annotations

import html
from typing import Any

from klarsyn.pharmacology.simulate import METRICS, Exposure

FIRST_HOURS = 24.0
LEADING = 4
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b}table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left}"
    "svg{max-width:100%;height:auto}"
)


def render_exposure(exposure: Exposure) -> str:
    """The page as HTML: one file, the picture inlined, no network."""
    import vl_convert

    close = vl_convert.vegalite_to_svg(exposure.plot(hours=FIRST_HOURS).to_dict())
    whole = vl_convert.vegalite_to_svg(exposure.plot(analytes=_leading(exposure)).to_dict())
    title = html.escape(f"{exposure.form}: {exposure.regimen}")
    rows = "".join(_row(exposure, a) for a in exposure.analytes)
    notes = "".join(f"<li>{html.escape(n)}</li>" for n in exposure.notes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>Exposure</h1><p>{title}. Model {html.escape(exposure.model)}, "
        f"{len(exposure.subjects)} simulated patients, seed {exposure.seed}. Median with the 5th "
        f"to 95th percentile. A simulation, not medical advice.</p>"
        f"<table><thead><tr><th>analyte</th><th>unit</th><th>Cmax</th><th>Tmax (h)</th>"
        f"<th>AUC to infinity</th><th>half-life (h)</th></tr></thead><tbody>{rows}</tbody></table>"
        f"<h2>The first {FIRST_HOURS:g} hours</h2>"
        f'<figure aria-label="Concentrations of the first day, median and bands">{close}</figure>'
        f"<h2>The whole course</h2>"
        f'<figure aria-label="Concentrations over all doses, median and bands">{whole}</figure>'
        f"<h2>To keep in mind</h2><ul>{notes}</ul>"
        f"<p>Inputs {exposure.inputs}; {html.escape(exposure.method)}.</p></body></html>\n"
    )


def _leading(exposure: Exposure) -> list[str]:
    """What the whole course shows: the totals, or the first analytes where there is none."""
    plain = [a for a in exposure.analytes if "-" not in a]
    return plain or list(exposure.analytes[:LEADING])


def _row(exposure: Exposure, analyte: str) -> str:
    cells: list[Any] = [html.escape(analyte), html.escape(exposure.units[analyte])]
    for metric in METRICS:
        cells.append(exposure.cell(analyte, metric))
    return "<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
