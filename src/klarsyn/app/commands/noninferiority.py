"""`klarsyn noninferiority`: analysis sets against a margin."""

from __future__ import annotations

import click

EPILOG = """\b
One row an analysis set; events are good, totals are patients:
  name,new_events,new_total,reference_events,reference_total
  as treated,108,195,70,170
  all randomised,108,200,70,203
  klarsyn noninferiority sets.csv --margin 0.1 --basis "declared by the trial"
\b
Give at least the set as published and all randomised. --history-rate 0.63 asks what would follow
had the reference arm done as elsewhere. A margin from history (reference − placebo, lower limit)
is (1 − preserved fraction) × that limit.
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--margin", type=float, required=True, help="Largest acceptable loss, e.g. 0.1.")
@click.option("--basis", required=True, help="Where the margin comes from.")
@click.option(
    "--interval",
    default="miettinen_nurminen",
    show_default=True,
    help="newcombe, miettinen_nurminen, mee, agresti_caffo or wald.",
)
@click.option("--history-rate", type=float, default=None, help="The reference's rate elsewhere.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    margin: float,
    basis: str,
    interval: str,
    history_rate: float | None,
    level: float,
    as_json: bool,
) -> None:
    """Is the new treatment no worse than the reference by more than a margin?"""
    from klarsyn.app.output import print_json
    from klarsyn.bias.noninferiority import (
        Counts,
        assay_sensitivity,
        fixed_margin,
        noninferiority,
    )
    from klarsyn.errors import InputError
    from klarsyn.tables import Column, read_table

    names = ("new_events", "new_total", "reference_events", "reference_total")
    table = read_table(
        file, [Column(name="name"), *(Column(name=n, kind="count") for n in names)], others=False
    )
    sets = []
    for row, r in enumerate(table.records(), start=2):
        try:
            sets.append(Counts(**r))
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
    chosen = fixed_margin(margin, basis)
    result = noninferiority(sets, chosen, interval_method=interval, level=level)
    assay = [
        assay_sensitivity(
            s, chosen, history_rate=history_rate, interval_method=interval, level=level
        )
        for s in sets
        if history_rate is not None
    ]
    if as_json:
        print_json(result.to_dict() | {"assay_sensitivity": [a.to_dict() for a in assay]})
        return
    click.echo(result.summary())
    for a in assay:
        click.echo(f"  {a.reanchored.counts.name}: {a.summary()}")
