"""`klarsyn grid`: every combination of choices is fitted, and the choice that matters is named."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
The table has one row a study and variant; every further column is a choice, e.g.
  study,estimate,se,risk,belief,time,missing
  Alpha 2020,-0.62,0.21,Some concerns,-0.3,1 week,as analysed
  Alpha 2020,-0.41,0.22,Some concerns,-0.3,4 weeks,as analysed
  Alpha 2020,-0.48,0.21,Some concerns,-0.3,1 week,jump to reference
  Beta 2021,-0.30,0.15,Low,-0.1,1 week,as analysed
  Beta 2021,-0.22,0.16,Low,-0.1,4 weeks,as analysed
  Beta 2021,-0.27,0.15,Low,-0.1,1 week,jump to reference
risk (overall judgement) and belief (how far belief alone would move the effect) are optional.
--sets names a table set,study with inclusion sets. --features names one with what studies are; its
sets are all that these define, each value or either, e.g.
  study,setting,dose
  Alpha 2020,ward,single
  Beta 2021,ward,repeated
\b
  klarsyn grid effects.csv --benefit lower --estimators DL,REML --intervals wald,knapp_hartung
  klarsyn grid effects.csv --benefit lower --estimators REML,unweighted --features features.csv
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--benefit", required=True, help="Whether a lower or a higher effect is good.")
@click.option("--estimators", default="common,DL,PM,REML", help="Of tau², separated by commas.")
@click.option("--intervals", default="wald,knapp_hartung", help="wald, knapp_hartung, …_truncated.")
@click.option("--sets", type=click.Path(), default=None, help="Inclusion sets: set,study.")
@click.option("--features", type=click.Path(), default=None, help="Sets by what studies are.")
@click.option("--fewest", type=int, default=2, help="With --features: fewest studies of a set.")
@click.option("--all-subsets", is_flag=True, help="Every subset of studies as inclusion set.")
@click.option("--shares", default="0", help="Shares of the belief effect to take away.")
@click.option(
    "--threshold", type=float, default=0.0, help="No difference, or the least that counts."
)
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--null", type=int, default=0, help="Compare with so many grids without effect.")
@click.option("--seed", type=int, default=1, help="Of --null.")
@click.option("--rows", type=int, default=500, help="Cells of the curve in the JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, as_json: bool, rows: int, null: int, seed: int, **options: Any) -> None:
    """Fit every combination of choices in a CSV or Excel FILE and draw out what matters."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.grid_null import compare_with_null

    data, analyse = _prepared(file, **options)
    grid = analyse(data, progress=_shown)
    without = compare_with_null(data, analyse, draws=null, seed=seed) if null else None
    if as_json:
        print_json(grid.to_dict(rows) | {"null": without.to_dict() if without else None})
        return
    lines = [
        [
            i.choice,
            f"{i.redrawn:.0%}",
            f"{i.flips:.0%}",
            f"{i.mean_range:.3g}",
            f"{i.largest_range:.3g}",
            f"{i.variance_share:.0%}",
        ]
        for i in grid.influence()
    ]
    header = ["choice", "changes conclusion", "not of one mind", "mean range", "largest range"]
    print_table([*header, "share of variance"], lines)
    click.echo(grid.summary())
    if without:
        click.echo(without.summary())


def _shown(done: int, total: int) -> None:
    """Progress on a terminal's second channel, so that the first holds results only."""
    import sys

    if sys.stderr.isatty():
        end = "\n" if done == total else "\r"
        click.echo(f"{done:,} of {total:,} analyses{end}", err=True, nl=False)


def _prepared(file: str, **o: Any) -> tuple[Any, Any]:
    """The table's variants, and the grid with all options but the variants."""
    from functools import partial

    from klarsyn.bias.grid import sensitivity_grid
    from klarsyn.bias.grid_table import read_feature_sets, read_grid_table, read_inclusion_sets
    from klarsyn.errors import InputError
    from klarsyn.stats.many_fits import every_subset

    table = read_grid_table(file)
    studies = table.data.studies
    if sum(map(bool, (o["sets"], o["features"], o["all_subsets"]))) > 1:
        raise InputError("--sets, --features and --all-subsets exclude each other.")
    if o["fewest"] < 1:
        raise InputError(f"--fewest: a set has at least 1 study; {o['fewest']} is below it.")
    sets: Any = read_inclusion_sets(o["sets"], studies) if o["sets"] else None
    if o["features"]:
        sets = read_feature_sets(o["features"], studies, fewest=o["fewest"])
    if o["all_subsets"]:
        if len(studies) > 18:
            raise InputError(f"{len(studies)} studies have too many subsets; name --sets.")
        sets = every_subset(len(studies))
    try:
        shares = [float(s) for s in o["shares"].split(",")]
    except ValueError:
        raise InputError(f"--shares: {o['shares']!r} is not a list such as 0,0.5,1.") from None
    analyse = partial(
        sensitivity_grid,
        estimators=[e.strip() for e in o["estimators"].split(",")],
        intervals=[i.strip() for i in o["intervals"].split(",")],
        benefit=o["benefit"],
        threshold=o["threshold"],
        inclusion_sets=sets,
        exclusions=table.exclusions(),
        unblinding_shares=shares,
        unblinding_bias=table.belief,
        level=o["level"],
    )
    return table.data, analyse
