"""`klarsyn multilevel`: several dependent effects per study become one estimate."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
One row an effect, its estimate and standard error, and the columns it is nested in:
  study,scale,effect,se
  Lii 2023,MADRS,-0.12,0.31
  Lii 2023,HADS,-0.20,0.32
  Shiroma 2020,MADRS,-0.41,0.28
\b
  klarsyn multilevel effects.csv --nested study,scale
  klarsyn multilevel effects.csv --nested study,scale --rho 0.6 --robust study
  klarsyn multilevel effects.csv --crossed study,scale --json
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--nested", "nesting", default="", help="Groupings, the widest first.")
@click.option("--crossed", default="", help="Groupings that cross each other.")
@click.option("--effect", default="effect", help="The column of effects.")
@click.option("--se", default="se", help="The column of standard errors.")
@click.option("--rho", type=float, default=None, help="Correlation of sampling errors in a study.")
@click.option("--moderators", default="", help="Columns of numbers, separated by commas.")
@click.option("--robust", "cluster", default=None, help="CR2 errors by this column.")
@click.option("--method", default="REML", help="REML or ML.")
@click.option("--test", default="z", help="z or t.")
@click.option("--sheet", default=None, help="The sheet of an Excel workbook.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    nesting: str,
    crossed: str,
    effect: str,
    se: str,
    rho: float | None,
    moderators: str,
    cluster: str | None,
    method: str,
    test: str,
    sheet: str | None,
    as_json: bool,
) -> None:
    """Fit random effects at several levels to the effects of a CSV or Excel FILE."""
    import numpy as np

    from klarsyn.app.output import print_json
    from klarsyn.errors import InputError
    from klarsyn.synthesis.known_covariance import assumed_covariance
    from klarsyn.synthesis.multilevel import fit_multilevel
    from klarsyn.synthesis.random_terms import Intercepts, nested
    from klarsyn.synthesis.robust import robust
    from klarsyn.tables import Column, read_table

    numbers = (Column(name=effect, kind="number"), Column(name=se, kind="number", above=0))
    table = read_table(file, numbers, sheet=sheet)
    inside, across = _names(nesting), _names(crossed)
    if not inside and not across:
        raise InputError("Name the groupings: --nested study,effect or --crossed study,scale.")
    terms: list[Any] = list(nested(**{name: table[name] for name in inside}))
    terms += [Intercepts(name=name, levels=table[name]) for name in across]
    y, v = table.numbers(effect), table.numbers(se) ** 2
    extra = _names(moderators)
    X = np.column_stack([np.ones(len(y)), *(table.numbers(name) for name in extra)])
    widest = (inside or across)[0]
    V = v if rho is None else assumed_covariance(v, table[widest], rho=rho)
    fit = fit_multilevel(
        y, V, random=terms, design=X, names=["intercept", *extra], method=method, test=test
    )
    sturdy = None if cluster is None else robust(fit, table[cluster])
    if as_json:
        print_json(fit.to_dict() | ({} if sturdy is None else {"robust": sturdy.to_dict()}))
        return
    click.echo(fit.summary())
    if sturdy is not None:
        click.echo(sturdy.summary())


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
