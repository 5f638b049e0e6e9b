"""`klarsyn rare`: counts of rare events pooled by every method, side by side."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
A table of counts has one row a study, e.g.
  study,ai,n1i,ci,n2i
  Bach,0,116,3,117
  George,1,44,3,35
(events and totals of the first group, then of the second; bi and di may stand for n1i and n2i)
or, with --rates, events and person-times:
  study,x1i,t1i,x2i,t2i
  Bong,7,1344,11,1988
\b
  klarsyn rare harms.csv
  klarsyn rare harms.csv --columns ai=treated_events,n1i=treated,ci=control_events,n2i=controls
  klarsyn rare rates.csv --rates --json
"""


def read_counts(file: str, columns: str, study: str | None, sheet: str | None, rates: bool) -> Any:
    """The counts of a file's rows, checked; a row with an empty cell is left out."""
    from klarsyn.app.commands.pool import roles
    from klarsyn.synthesis.rare import count_table, rate_table
    from klarsyn.tables import in_file, read_table

    table = read_table(file, sheet=sheet)
    named = roles(columns, "IRR" if rates else "OR", tuple(table.columns))
    labels = _labels(table, study)

    def column(role: str) -> Any:
        return table.numbers(named.get(role, role))

    with in_file(file):
        if rates:
            return rate_table(labels, column("x1i"), column("t1i"), column("x2i"), column("t2i"))
        totals = [
            column(total) if total in named else column(event) + column(rest)
            for total, event, rest in (("n1i", "ai", "bi"), ("n2i", "ci", "di"))
        ]
        return count_table(labels, column("ai"), totals[0], column("ci"), totals[1])


def _labels(table: Any, study: str | None) -> list[str]:
    name = study if study is not None else "study"
    if study is None and name not in table:
        return [f"Study {i + 1}" for i in range(table.rows)]
    return [str(cell) for cell in table[name]]


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--columns", default="", help="role=column pairs, separated by commas.")
@click.option("--study", default=None, help="The column with the studies' names.")
@click.option("--sheet", default=None, help="The sheet of an Excel workbook.")
@click.option("--rates", is_flag=True, help="Totals are person-times: rate ratios.")
@click.option("--methods", default="", help="A comma-separated choice; all when left out.")
@click.option("--coding", default="half", help="Treatment in UM models: half, first or second.")
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    columns: str,
    study: str | None,
    sheet: str | None,
    rates: bool,
    methods: str,
    coding: str,
    level: float,
    as_json: bool,
) -> None:
    """Pool rare events of FILE without corrections: Mantel–Haenszel, Peto, exact, mixed models."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.synthesis.rare import pool_rare

    counts = read_counts(file, columns, study, sheet, rates)
    asked = [m.strip() for m in methods.split(",") if m.strip()] or None
    result = pool_rare(counts, asked, coding=coding, level=level)
    if as_json:
        print_json(result.to_dict())
        return
    unit = "person-time" if rates else "patients"
    rows = [_row(f.to_dict(level)) for f in result.fits]
    header = ("method", "measure", "estimate", "lower", "upper", "tau2", f"{unit} ignored")
    print_table(header, rows, title=f"{len(counts.studies)} studies, {result.total:g} {unit}")
    for f in result.fits:
        if f.estimate is None:
            click.echo(f.summary())
    for note in result.notes:
        click.echo(note)


def _row(fit: dict[str, Any]) -> tuple[str, ...]:
    if "estimate" not in fit:
        return (fit["method"], fit["measure"], fit["status"], "", "", "", f"{fit['ignored']:g}")
    shown = fit.get("ratio") or [fit["estimate"], fit["low"], fit["high"]]
    tau2 = f"{fit['tau2']:.4f}" if "tau2" in fit else ""
    numbers = tuple(f"{v:.4g}" for v in shown)
    return (fit["method"], fit["measure"], *numbers, tau2, f"{fit['ignored']:g}")
