"""`klarsyn decide`: benefit against harm, weighed."""

from __future__ import annotations

import click

EPILOG = """\b
One row an option and criterion; worst and best are the anchors from 0 to 1, e.g.
  option,criterion,mean,sd,worst,best
  drug,mood (points),6,1.2,0,12
  drug,psychosis (per 1000),8,4,50,0
  placebo,mood (points),2,0.8,0,12
  placebo,psychosis (per 1000),3,2,50,0
A column weight (how much the swing from worst to best counts) states the weights; without it all
weights are tried, or those in the order of --order.
\b
  klarsyn decide options.csv --seed 1 --order "mood (points)" --order "psychosis (per 1000)"
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--seed", type=int, required=True, help="Of the draws.")
@click.option("--draws", type=int, default=10_000, show_default=True, help="How many.")
@click.option("--order", multiple=True, help="A criterion; repeat, the most important first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, seed: int, draws: int, order: tuple[str, ...], as_json: bool) -> None:
    """Weigh options on several criteria of a CSV or Excel FILE, and what knowing is worth."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.decision import read_decision

    found = read_decision(file, seed=seed, draws=draws, order=order or None)
    if as_json:
        print_json(found.to_dict())
        return
    print_table(
        ("option", "value", *(f"rank {i + 1}" for i in range(len(found.options)))),
        [
            (name, f"{value:.3f}", *(f"{share:.0%}" for share in ranks))
            for name, value, ranks in zip(found.options, found.mean_value, found.ranks, strict=True)
        ],
    )
    click.echo(found.summary())
