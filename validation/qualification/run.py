"""Predicted against observed, row by row: how good is the default, per route, analyte and site?

    python validation/qualification/run.py [OBSERVED.csv] [--write]

Each row of the table is one observation with the dose that led to it. Venous rows meet the venous
default, arterial rows the arterial alternative; a row that no model can predict is listed with the
reason. Digitised values that another curve of the same figure reads alike are listed, not counted.
`--write` renews docs/qualification.md and docs/qualification.svg. The exit code is 1 when
the intravenous default misses ketamine or norketamine by a geometric mean of more than 1.15-fold.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from klarsyn.errors import InputError, KlarsynError
from klarsyn.tables import write_text

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
LIMIT = 1.15
sys.path.insert(0, str(HERE))

from predict import (  # noqa: E402  beside this file, also where it is loaded by path
    VENOUS,
    NotPredictedError,
    Row,
    predict,
    read_alike,
    read_rows,
)


def gmfe(rows) -> float:
    return math.exp(np.mean([abs(math.log(r.ratio)) for r in rows]))


def groups(rows: list[Row]) -> dict[tuple[str, str, str, str], list[Row]]:
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        if row.counts:
            key = (row.route, row.family, row.site, row.relation)
            found.setdefault(key, []).append(row)
    return dict(sorted(found.items()))


def default_rows(rows: list[Row]) -> list[Row]:
    """What the acceptance of the default is about: intravenous, venous, parent and norketamine."""
    return [
        r
        for r in rows
        if r.counts
        and r.route == "iv"
        and r.model == VENOUS
        and r.family in ("ketamine", "norketamine")
    ]


def qualify(path: Path) -> tuple[list[Row], list[tuple[dict, str]]]:
    rows, left = [], []
    records = read_rows(path)
    alike = read_alike(records)
    for i, record in enumerate(records):
        try:
            row = predict(record)
            same = i in alike
            rows.append(replace(row, alike=same, counts=row.counts and not same))
        except NotPredictedError as reason:
            left.append((record, str(reason)))
        except (KeyError, ValueError) as odd:
            left.append((record, f"a unit or number was not understood ({odd})"))
        except InputError as reason:
            left.append((record, str(reason).split(". ")[0]))
    return rows, left


def with_alike(rows: list[Row]) -> list[Row]:
    """The rows as they would count without the rule on readings."""
    return [replace(r, counts=True) if r.alike else r for r in rows]


def by_study(rows: list[Row]) -> float:
    """The geometric mean of the studies' own errors: one vote a study."""
    names = {r.study.split("_")[0] for r in rows}
    each = [gmfe([r for r in rows if r.study.split("_")[0] == n]) for n in sorted(names)]
    return math.exp(np.mean(np.log(each)))


def choices(rows: list[Row]) -> list[str]:
    """The headline under other choices of rows, none of which looks at a prediction."""
    counted, every = default_rows(rows), default_rows(with_alike(rows))
    table = [
        ("as counted: without readings that two curves share", counted, gmfe),
        ("every row", every, gmfe),
        ("no digitised figure at all", [r for r in every if not r.digitised], gmfe),
        ("digitised figures only", [r for r in every if r.digitised], gmfe),
        (
            "no row from which a number of the model was taken in full",
            [r for r in counted if r.relation != "in-sample"],
            gmfe,
        ),
        ("as counted, one vote a study", counted, by_study),
        ("every row, one vote a study", every, by_study),
    ]
    lines = ["| rows | n | GMFE | within the limit |", "|---|---|---|---|"]
    for words, chosen, measure in table:
        if chosen:
            value = measure(chosen)
            verdict = "yes" if value <= LIMIT else "no"
            lines.append(f"| {words} | {len(chosen)} | {value:.3f} | {verdict} |")
    return lines


def mix(rows: list[Row]) -> str:
    """How many of the default's rows stand in which relation to it, and their error."""
    chosen = default_rows(rows)
    found = []
    for relation in ("in-sample", "partly", "independent"):
        members = [r for r in chosen if r.relation == relation]
        if members:
            found.append(f"{len(members)} {relation} ({gmfe(members):.2f})")
    return ", ".join(found)


def describe(rows: list[Row]) -> list[str]:
    head = ["| route | analyte | site | relation | n | GMFE | median P/O | within 1.25 | worst |"]
    head += ["|---|---|---|---|---|---|---|---|---|"]
    for (route, family, site, relation), members in groups(rows).items():
        ratios = np.array([r.ratio for r in members])
        worst = max(members, key=lambda r: abs(math.log(r.ratio)))
        near = np.mean(np.maximum(ratios, 1 / ratios) <= 1.25)
        head.append(
            f"| {route} | {family} | {site} | {relation} | {len(members)} | {gmfe(members):.2f} | "
            f"{np.median(ratios):.2f} | {near:.0%} | {worst.ratio:.2f} ({worst.study}, "
            f"{worst.analyte} {worst.metric}) |"
        )
    return head


def main(argv: list[str]) -> int:
    paths = [a for a in argv if not a.startswith("--")]
    try:
        rows, left = qualify(Path(paths[0]) if paths else HERE / "observed.csv")
    except KlarsynError as bad:
        print(f"run.py: {bad}", file=sys.stderr)
        return 2
    for row in rows:
        print(
            f"{row.study:20} {row.route:6} {row.analyte:20} {row.metric:28} "
            f"{row.observed:9.4g} {row.predicted:9.4g} {row.unit:9} P/O {row.ratio:5.2f} "
            f"{row.model} {row.relation}"
        )
    for record, reason in left:
        print(
            f"not predicted: {record['study_id']} {record['analyte']} {record['metric']}: {reason}"
        )
    print("\n".join(describe(rows)))
    chosen = default_rows(rows)
    verdict = gmfe(chosen) if chosen else math.nan
    every = default_rows(with_alike(rows))
    whole = gmfe(every) if every else math.nan
    print(
        f"\nIntravenous default, ketamine and norketamine: GMFE {verdict:.3f} "
        f"(limit {LIMIT}), {whole:.3f} with the "
        f"{sum(r.alike for r in every)} digitised values that two curves share"
    )
    print("\n".join(choices(rows)))
    if "--write" in argv:
        write(rows, left, verdict, whole)
    return int(bool(chosen) and verdict > LIMIT)


def write(rows: list[Row], left: list[tuple[dict, str]], verdict: float, whole: float) -> None:
    import vl_convert

    from klarsyn.figures.kinetics import predicted_over_observed

    points = [
        {
            "ratio": r.ratio,
            "group": f"{r.route}, {r.site}, {r.family}",
            "kind": r.relation,
            "label": f"{r.study} {r.analyte} {r.metric}",
            "note": f"observed {r.observed:.4g} {r.unit}, {r.model}",
        }
        for r in sorted(rows, key=lambda r: (r.route, r.site, r.family))
        if r.counts
    ]
    chart = predicted_over_observed(points, title="Predicted over observed, every counted row")
    write_text(DOCS / "qualification.svg", vl_convert.vegalite_to_svg(chart.to_dict()))
    write_text(DOCS / "qualification.md", page(rows, left, verdict, whole))


def counting(row: Row) -> str:
    if row.alike:
        return " (not counted: two curves share the reading)"
    return "" if row.counts else " (not counted)"


def page(rows: list[Row], left: list[tuple[dict, str]], verdict: float, whole: float) -> str:
    lines = (HERE / "text.md").read_text().replace("{GMFE}", f"{verdict:.2f}")
    lines = (
        lines.replace("{ALL}", f"{whole:.2f}")
        .replace("{MIX}", mix(rows))
        .replace("{CHOICES}", "\n".join(choices(rows)))
        .splitlines()
    )
    lines += ["", "## By route, analyte, site and relation", "", *describe(rows)]
    lines += ["", "## Every row", ""]
    lines += ["| study | route | analyte | metric | unit | observed | predicted | P/O | relation |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.study} | {r.route} | {r.analyte} | {r.metric} | {r.unit} | {r.observed:.4g} | "
        f"{r.predicted:.4g} | {r.ratio:.2f} | {r.relation}{counting(r)} |"
        for r in rows
    ]
    lines += ["", "## Not predicted, and why", ""]
    lines += [f"- {x['study_id']} {x['analyte']} {x['metric']}: {why}" for x, why in left]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
