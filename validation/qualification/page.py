"""The qualification as a page and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from predict import Row
from sums import (
    LEAST,
    choices,
    counted,
    default_rows,
    describe,
    gmfe,
    independent_in_note,
    mix,
    tabulated,
    thresholds,
)

from klarsyn.tables import write_text

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
TITLE = "Predicted over observed, every row but times of peak and half-lives"
Compared = tuple[list[Row], list[tuple[dict, str]]]


def write(rows: list[Row], left: list[tuple[dict, str]], found: Compared) -> None:
    import vl_convert

    from klarsyn.figures.kinetics import predicted_over_observed

    points = [point(r, "") for r in rows if r.counts]
    points += [point(r, "found later: ") for r in found[0] if r.counts]
    points = sorted(points, key=lambda p: (p["group"].startswith("found"), p["group"]))
    chart = predicted_over_observed(
        points, title="Predicted over observed, every row but times of peak and half-lives"
    )
    write_text(DOCS / "qualification.svg", vl_convert.vegalite_to_svg(chart.to_dict()))
    write_text(DOCS / "qualification.md", page(rows, left, found))


def point(row: Row, prefix: str) -> dict:
    kind = row.relation
    if row.steps < LEAST:
        kind = f"reading under {LEAST:g} steps, not counted"
    elif row.aside:
        kind = "other or unknown patients, not counted"
    return {
        "ratio": row.ratio,
        "group": f"{prefix}{row.route}, {row.site}, {row.family}",
        "kind": kind,
        "label": f"{row.study} {row.analyte} {row.metric}",
        "note": f"observed {row.observed:.4g} {row.unit}, {row.model}",
    }


def counting(row: Row) -> str:
    if row.counts and row.steps < LEAST:
        return f" (not counted: {row.steps:g} steps)"
    return " (not counted)" if row.aside or not row.counts else ""


def page(rows: list[Row], left: list[tuple[dict, str]], found: Compared) -> str:
    chosen, every = default_rows(rows), default_rows(rows, 0)
    noted, fifteen = tabulated(rows), independent_in_note(rows)
    filled = {
        "{GMFE}": f"{gmfe(chosen):.2f}" if chosen else "none",
        "{ALL}": f"{gmfe(every):.2f}" if every else "none",
        "{N}": f"{len(chosen)}",
        "{NOTED}": f"{gmfe(noted):.2f}" if noted else "none",
        "{NOTED_N}": f"{len(noted)}",
        "{FIFTEEN}": f"{gmfe(fifteen):.2f} and {np.median([r.ratio for r in fifteen]):.2f}"
        if fifteen
        else "none",
        "{OF}": f"{len(every)}",
        "{MIX}": mix(rows),
        "{THRESHOLDS}": "\n".join(thresholds(rows)),
        "{CHOICES}": "\n".join(choices(rows)),
        "{FOUND}": "\n".join(describe(counted(found[0]))),
    }
    text = (HERE / "text.md").read_text()
    for mark, words in filled.items():
        text = text.replace(mark, words)
    lines = text.splitlines()
    lines += ["", "## By route, analyte, site and relation", "", *describe(counted(rows))]
    lines += ["", "## Every row", ""]
    lines += ["| study | route | analyte | metric | unit | observed | predicted | P/O | relation |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.study} | {r.route} | {r.analyte} | {r.metric} | {r.unit} | {r.observed:.4g} | "
        f"{r.predicted:.4g} | {r.ratio:.2f} | {r.relation}{counting(r)} |"
        for r in rows
    ]
    lines += ["", "## Not predicted, and why", ""]
    lines += not_predicted(left)
    lines += ["", "## Every row found later", "", *found_rows(*found)]
    return "\n".join(lines) + "\n"


def found_rows(rows: list[Row], left: list[tuple[dict, str]]) -> list[str]:
    names = "study | who | route | dose | analyte | metric | unit | observed | predicted | P/O"
    lines = [f"| {names} |", "|" + "---|" * (names.count("|") + 1)]
    lines += [
        f"| {r.study} | {r.population}{counting(r)} | {r.route} | {r.dose} | {r.analyte} | "
        f"{r.metric} | {r.unit} | {r.observed:.4g} | {r.predicted:.4g} | {r.ratio:.2f} |"
        for r in rows
    ]
    return [*lines, "", "Not predicted:", "", *not_predicted(left)]


def not_predicted(left: list[tuple[dict, str]]) -> list[str]:
    return [f"- {x['study_id']} {x['analyte']} {x['metric']}: {why}" for x, why in left]
