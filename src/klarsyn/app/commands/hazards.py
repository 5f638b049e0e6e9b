"""`klarsyn hazards`: hazard ratios from what papers print."""

from __future__ import annotations

import click

EPILOG = """\b
One row a study; fill what the paper prints, the rest stays empty, e.g.
  study,ratio,lower,upper,p,favours,events,patients1,patients2
  Alpha,0.49,0.29,0.84,,,,,
  Beta,,,,0.003,first,63,90,86
The first of these ways that is filled is taken, and named in the result:
  ratio,lower,upper (level, if not 0.95)
  observed1,expected1,observed2,expected2     of a log-rank test
  p,favours,events1,events2                   two-sided log-rank p; favours: first or second
  p,favours,events,patients1,patients2
  survival1,se1,survival2,se2                 both curves at one time
  median1,median2,events1,events2             takes hazards for constant
A ratio below 1 means fewer events in the first group.
\b
  klarsyn hazards printed.csv
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--method", default="REML", help="Estimator of tau2, or EE.")
@click.option("--test", default="knha", help="z, t, knha or adhoc.")
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, method: str, test: str, level: float, as_json: bool) -> None:
    """Hazard ratios from what papers print in a CSV or Excel FILE, and pooled."""
    from klarsyn.app.output import print_json
    from klarsyn.synthesis.hazards import read_hazards
    from klarsyn.synthesis.pairwise import pool

    found = read_hazards(file)
    pooled = pool(found.effects(), method=method, test=test, level=level)
    if as_json:
        print_json(found.to_dict() | {"pooled": pooled.to_dict()})
        return
    click.echo(found.summary())
    click.echo(pooled.summary())
