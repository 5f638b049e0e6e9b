"""`klarsyn adjusted`: the pooled effect under three beliefs about bias, less elicited biases."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
One row a study; risk is low, unclear or high (unclear carries the bias too, as in the source):
  study,effect,lower,upper,risk
  Alpha,-0.62,-1.02,-0.22,high
  Beta,-0.35,-0.71,0.01,low
  Gamma,-0.80,-1.30,-0.30,unclear
  klarsyn adjusted studies.csv --measure SMD --benefit lower
\b
Measures: SMD, MD (with --sd, the points of one standard deviation) or OR (effect and limits as
ratios). The effect as reported and three priors always stand side by side.
\b
Further columns, all or some, take away each study's own elicited bias (Turner 2009):
  study,effect,lower,upper,risk,additive,additive_sd,proportional,proportional_sd
  Alpha,-0.62,-1.02,-0.22,high,-0.10,0.08,0.05,0.05
  Beta,-0.35,-0.71,0.01,low,0,0.05,0,0.05
Additive on the effect's scale (logarithm for OR), proportional as a share of the effect.
"""
ELICITED = ("additive", "additive_sd", "proportional", "proportional_sd")


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--measure", required=True, help="SMD, MD or OR.")
@click.option("--benefit", required=True, help="Which value is good: lower or higher.")
@click.option("--domain", default="blinding", show_default=True, help="blinding or concealment.")
@click.option("--sd", type=float, default=None, help="MD: points of one standard deviation.")
@click.option("--method", default="REML", show_default=True, help="REML, ML, DL, PM or common.")
@click.option("--test", default="adhoc", show_default=True, help="z, knha or adhoc.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Level of the limits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, as_json: bool, **options: Any) -> None:
    """What would be left if the trials at risk exaggerate? From a CSV or Excel FILE."""
    from klarsyn.app.output import print_json
    from klarsyn.bias.adjusted import adjust_by_priors, pool_elicited
    from klarsyn.errors import unknown_name
    from klarsyn.stats.many_fits import ESTIMATORS

    if options["method"] not in ESTIMATORS:
        raise unknown_name("estimator of tau2", options["method"], ESTIMATORS)
    priors = _priors(options)
    table = _read(file)
    estimates, risky = _estimates(file, table, options)
    result = adjust_by_priors(
        [e.value for e in estimates],
        [e.se**2 for e in estimates],
        risky,
        priors,
        labels=table["study"],
        scale=estimates[0].scale,
        estimator=options["method"],
        test=options["test"],
    )
    elicited = None
    if any(name in table for name in ELICITED):
        biases = _biases(file, table)
        elicited = pool_elicited(
            estimates, biases, estimator=options["method"], test=options["test"]
        )
    if as_json:
        found = {"by_prior": result.to_dict()}
        print_json(found | ({"elicited": elicited.to_dict()} if elicited else {}))
        return
    click.echo(result.summary())
    if elicited is not None:
        click.echo(elicited.summary())


def _priors(options: dict[str, Any]) -> Any:
    """The three priors in the measure's own units."""
    from dataclasses import replace

    from klarsyn.bias.adjusted import three_priors
    from klarsyn.errors import InputError, unknown_name

    measure, sd = options["measure"], options["sd"]
    known = {"SMD": "smd", "MD": "smd", "OR": "log_odds_ratio"}
    if measure not in known:
        raise unknown_name("measure with a published bias", measure, known)
    if (measure == "MD") != (sd is not None) or (sd is not None and not sd > 0):
        raise InputError(
            "A bias in points needs the points of one standard deviation: --measure MD --sd 10, "
            "e.g.; SMD and OR take no --sd."
        )
    priors = three_priors(options["domain"], benefit=options["benefit"], measure=known[measure])
    by = sd or 1.0
    return [
        replace(p, mean=by * p.mean, mean_sd=by * p.mean_sd, between_sd=by * p.between_sd)
        for p in priors
    ]


def _read(file: str) -> Any:
    from klarsyn.tables import Column, read_table

    optional = {"kind": "number", "required": False, "may_be_empty": True}
    return read_table(
        file,
        [
            Column(name="study"),
            *(Column(name=n, kind="number") for n in ("effect", "lower", "upper")),
            Column(name="risk", allowed=("low", "unclear", "high")),
            *(
                Column(name=n, **optional, minimum=0 if n.endswith("_sd") else None)
                for n in ELICITED
            ),
        ],
        others=False,
    )


def _estimates(file: str, table: Any, options: dict[str, Any]) -> tuple[list[Any], list[bool]]:
    import math

    from klarsyn.errors import InputError
    from klarsyn.stats.estimate import Estimate
    from klarsyn.stats.proportions import two_sided_z

    ratio = options["measure"] == "OR"
    wide = 2 * two_sided_z(options["level"])
    out = []
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        values = [r["effect"], r["lower"], r["upper"]]
        if not values[1] < values[0] < values[2]:
            raise InputError(
                f"{file}: row {row}: the effect {values[0]:g} does not lie between its limits "
                f"{values[1]:g} and {values[2]:g}."
            )
        if ratio and values[1] <= 0:
            raise InputError(f"{file}: row {row}: an odds ratio's limit {values[1]:g} is not > 0.")
        if ratio:
            values = [math.log(x) for x in values]
        out.append(
            Estimate(
                value=values[0],
                se=(values[2] - values[1]) / wide,
                method=r["study"],
                scale="log" if ratio else "natural",
            )
        )
    return out, [risk != "low" for risk in table["risk"]]


def _biases(file: str, table: Any) -> list[Any]:
    from klarsyn.bias.adjusted import Bias
    from klarsyn.errors import InputError

    out = []
    for row, r in zip(table.row_numbers, table.records(), strict=True):
        given = {name: r.get(name) for name in ELICITED}
        bias = Bias(**{k: v for k, v in given.items() if v is not None})
        if bias.proportional <= -1:
            raise InputError(
                f"{file}: row {row}, column 'proportional': {bias.proportional:g} turns the effect "
                f"around; a share of the effect is above -1."
            )
        out.append([bias])
    return out
