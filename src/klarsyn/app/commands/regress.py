"""`klarsyn regress`: which features of the trials go with their effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from klarsyn.app.commands.pool import effects_options, read_effects

EPILOG = """\b
  klarsyn regress trials.csv --measure RR --columns ai=tpos,bi=tneg,ci=cpos,di=cneg \\
      --moderators "ablat,factor(alloc)"

Moderators are columns of the table: numbers as they are, words as factors; factor(x) treats
numbers as levels, a:b is a product.
"""


@click.command(epilog=EPILOG)
@effects_options
@click.option("--moderators", required=True, help="Columns, separated by commas.")
@click.option("--scale", default="", help="Columns that log tau2 depends on (REML or ML).")
@click.option("--method", default="REML", help="REML, ML, DL, PM, PMM, EB, SJ, HS, HSk, HE, EE.")
@click.option("--test", default="knha", help="z, t, knha or adhoc.")
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--no-intercept", is_flag=True, help="Fit without an intercept.")
@click.option("--drop-problems", is_flag=True, help="Leave out studies that have no effect.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    moderators: str,
    scale: str,
    method: str,
    test: str,
    level: float,
    no_intercept: bool,
    drop_problems: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Regress the effects of a CSV or Excel FILE on its columns."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.synthesis.location_scale import regress_location_scale
    from klarsyn.synthesis.regression import regress

    effects, location = read_effects(**source), _names(moderators)
    choices = {"method": method, "test": test, "level": level, "drop_problems": drop_problems}
    if scale:
        fitted = regress_location_scale(effects, location, _names(scale), **choices)
        rows = [*fitted.location, *(replace(c, name=f"log tau2: {c.name}") for c in fitted.scale)]
        closing = f"log-likelihood {fitted.log_likelihood:.5g}"
    else:
        fitted = regress(effects, location, intercept=not no_intercept, **choices)
        rows = list(fitted.coefficients)
        closing = fitted.summary().split("\n", len(rows))[-1]
    if as_json:
        print_json(fitted.to_dict())
        return
    print_table(
        ("coefficient", "estimate", "se", "lower", "upper", "p"),
        [
            (c.name, f"{c.estimate:.5g}", f"{c.se:.4g}", f"{c.ci_lower:.5g}", f"{c.ci_upper:.5g}",
             f"{c.p_value:.3g}")
            for c in rows
        ],
    )  # fmt: skip
    click.echo(closing)


def _names(text: str) -> list[str]:
    return [m.strip() for m in text.split(",") if m.strip()]
