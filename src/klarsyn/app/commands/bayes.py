"""`klarsyn bayes`: the posterior of a random-effects model without sampling."""

from __future__ import annotations

import math
from typing import Any

import click

from klarsyn.app.commands.pool import effects_options

EPILOG = """\b
A table has one row a study, with effects and variances or with what they are made from, e.g.
  study,yi,vi
  Heffron,-2.31,0.36
  Gibelli,-0.46,0.31
or
  study,ai,n1i,ci,n2i
  Aronson,4,123,11,139
  Ferguson,6,306,29,303
\b
  klarsyn bayes effects.csv --measure GEN --tau-prior "half-normal 0.5" --mu-sd 4
  klarsyn bayes counts.csv --measure OR --tau-prior "half-cauchy 0.5" --below 0 --json

Priors of tau: half-normal SCALE, half-cauchy SCALE, half-t SCALE DF, exponential MEAN,
log-normal MEAN SD, inverse-gamma SHAPE SCALE (of tau2), uniform UPPER, flat.
"""


@click.command(epilog=EPILOG)
@effects_options
@click.option("--tau-prior", required=True, help='E.g. "half-normal 0.5".')
@click.option("--mu-mean", type=float, default=0.0, help="Prior mean of mu.")
@click.option("--mu-sd", type=float, default=math.inf, help="Prior SD of mu; flat if left out.")
@click.option("--level", type=float, default=0.95, help="Probability of the intervals.")
@click.option("--interval", default="shortest", help="shortest or central.")
@click.option("--below", type=float, multiple=True, help="Print P(effect < this); repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    tau_prior: str,
    mu_mean: float,
    mu_sd: float,
    level: float,
    interval: str,
    below: tuple[float, ...],
    as_json: bool,
    **source: Any,
) -> None:
    """Posterior of the mean effect, tau, each study and the next study of FILE."""
    from klarsyn.app.commands.pool import read_effects
    from klarsyn.app.output import print_json, print_table
    from klarsyn.synthesis.bayes import pool_bayes

    found = pool_bayes(
        read_effects(**source),
        tau_prior=tau_prior,
        mu_mean=mu_mean,
        mu_sd=mu_sd,
        level=level,
        interval=interval,
    )
    asked = [
        {
            "below": t,
            "mu": found.probability_below(t),
            "new_study": found.probability_below(t, of="new_study"),
            "mu_prior": found.prior_probability_below(t),
        }
        for t in below
    ]
    if as_json:
        print_json({**found.to_dict(), "probabilities": asked})
        return
    click.echo(found.summary())
    for row in asked:
        click.echo(
            f"P(mean effect < {row['below']:g}) = {row['mu']:.4f}; "
            f"P(new study < {row['below']:g}) = {row['new_study']:.4f}"
        )
    print_table(
        ("study", "median", "lower", "upper"),
        [(n, f"{s.median:.4f}", f"{s.low:.4f}", f"{s.high:.4f}") for n, s in found.shrinkage()],
        title="Each study's effect, shrunk",
    )
