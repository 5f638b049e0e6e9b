"""`klarsyn subsets`: what every inclusion set would have concluded."""

from __future__ import annotations

import math
from typing import Any

import click

from klarsyn.app.commands.pool import effects_options, read_effects

EPILOG = """\b
  klarsyn subsets trials.csv --measure RR --columns ai=tpos,bi=tneg,ci=cpos,di=cneg
  klarsyn subsets many.csv --measure GEN --sample 1000000 --seed 1 --json

Up to 20 studies all 2^k-1 subsets are pooled; with more, a seeded sample.
"""


@click.command(epilog=EPILOG)
@effects_options
@click.option("--method", default="REML", help="REML, ML, DL, PM, EB or EE.")
@click.option("--test", default="z", help="z, t, knha or adhoc.")
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--sample", type=int, default=None, help="Draw this many subsets instead of all.")
@click.option("--seed", type=int, default=None, help="Seed of the sample.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    method: str,
    test: str,
    level: float,
    sample: int | None,
    seed: int | None,
    as_json: bool,
    **source: Any,
) -> None:
    """Pool every subset of the studies of a CSV or Excel FILE."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.synthesis.subsets import pull, subsets

    result = subsets(
        read_effects(**source), method=method, test=test, level=level, sample=sample, seed=seed
    )
    if as_json:
        print_json(result.to_dict())
        return
    click.echo(result.summary())
    print_table(
        ("study", "median with", "without", "I2 with", "without"),
        [
            (
                row["study"],
                _shown(row["estimate_with"], 4),
                _shown(row["estimate_without"], 4),
                _shown(row["i2_with"], 1),
                _shown(row["i2_without"], 1),
            )
            for row in pull(result)
        ],
        title=f"{result.measure} ({result.scale} scale)",
    )


def _shown(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
