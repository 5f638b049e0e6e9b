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
@click.option("--influence", "diagnose", is_flag=True, help="Also each study's diagnostics.")
@click.option("--leave-one-out", "left_out", is_flag=True, help="Also without each study.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    moderators: str,
    scale: str,
    method: str,
    test: str,
    level: float,
    no_intercept: bool,
    drop_problems: bool,
    diagnose: bool,
    left_out: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Regress the effects of a CSV or Excel FILE on its columns."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.errors import InputError
    from klarsyn.synthesis.location_scale import regress_location_scale
    from klarsyn.synthesis.regression import regress

    if scale and (diagnose or left_out):
        raise InputError("--influence and --leave-one-out are for a regression without --scale.")
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
    more = {} if scale else _more(fitted, diagnose, left_out)
    if as_json:
        print_json(fitted.to_dict() | more)
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
    for title, cases in more.items():
        _print_cases(title, cases)


def _more(fitted: Any, diagnose: bool, left_out: bool) -> dict[str, Any]:
    from klarsyn.synthesis.regression_influence import regression_influence

    if not (diagnose or left_out):
        return {}
    cases = [c.to_dict() for c in regression_influence(fitted)]
    asked = {"influence": diagnose, "leave_one_out": left_out}
    return {
        name: [
            {k: v for k, v in case.items() if (k == "coefficients") == (name == "leave_one_out")
             or k in {"study", "problem", "tau2_without"}}
            for case in cases
        ]
        for name, wanted in asked.items()
        if wanted
    }  # fmt: skip


def _print_cases(title: str, cases: list[dict[str, Any]]) -> None:
    from klarsyn.app.output import print_table

    rows = []
    for case in cases:
        row = {k: v for k, v in case.items() if k not in {"dfbetas", "coefficients", "problem"}}
        row |= {f"dfbetas {n}": v for n, v in case.get("dfbetas", {}).items()}
        row |= {c["name"]: c["estimate"] for c in case.get("coefficients", ())}
        rows.append(row)
    header = list(max(rows, key=len))
    cells = [[_shown(row.get(name)) for name in header] for row in rows]
    print_table(header, cells, title=title.replace("_", " "))
    for case in cases:
        if case["problem"]:
            click.echo(f"{case['study']}: {case['problem']}.")


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _names(text: str) -> list[str]:
    return [m.strip() for m in text.split(",") if m.strip()]
