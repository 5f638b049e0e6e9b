"""`klarsyn smallstudy`: tests of small-study effects and models of selection."""

from __future__ import annotations

from typing import Any

import click

from klarsyn.app.commands.pool import effects_options

EPILOG = """\b
A table has one row a study, with effects and variances or with what they are made from, e.g.
  study,yi,vi
  Garfinkel,0.166,0.0188
  Hirayama,0.372,0.0330
  Butler,0.703,0.5402
  Cardenas,0.182,0.0313
or
  study,ai,n1i,ci,n2i
  Aronson,4,123,11,139
  Ferguson,6,306,29,303
  Rosenthal,3,231,11,220
\b
  klarsyn smallstudy effects.csv --measure GEN --favoured positive
  klarsyn smallstudy counts.csv --measure OR --favoured negative --steps 0.025,0.5 --json
  klarsyn smallstudy effects.csv --measure GEN --favoured positive --funnel funnel.json

Binary measures add the tests made for counts, SMD those made for group sizes (n1i, n2i), --events
those made for hazard ratios.
"""


@click.command(epilog=EPILOG)
@effects_options
@click.option(
    "--favoured", required=True, help="Sign that publication favours: positive or negative."
)
@click.option("--method", default="REML", help="Estimator of tau2.")
@click.option("--steps", default="0.025", help="Cut points of one-sided p, separated by commas.")
@click.option("--cluster", default=None, help="Column naming what is dependent (worst case only).")
@click.option("--events", default=None, help="Column with the events of both groups together.")
@click.option("--funnel", default=None, help="Write the funnel plot's Vega-Lite JSON here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    favoured: str,
    method: str,
    steps: str,
    cluster: str | None,
    events: str | None,
    funnel: str | None,
    as_json: bool,
    **source: Any,
) -> None:
    """Do small studies of FILE show other effects, and what would selection have done?"""
    from klarsyn.app.commands.pool import read_effects
    from klarsyn.app.output import print_json
    from klarsyn.synthesis.smallstudy import analyse_small_studies

    effects = read_effects(**source)
    result = analyse_small_studies(
        effects,
        favoured=favoured,
        tau2_method=method,
        steps=_numbers(steps),
        counts=_counts(source) if source["measure"] in {"OR", "RR", "RD"} else None,
        groups=_groups(source) if source["measure"] == "SMD" else None,
        events=None if events is None else [float(x) for x in _column(effects, events)],
        clusters=None if cluster is None else _column(effects, cluster),
    )
    if funnel:
        from klarsyn.tables import write_text

        write_text(funnel, result.plot().to_json() + "\n")
    if as_json:
        print_json(result.to_dict())
    else:
        click.echo(result.summary())


def _numbers(text: str) -> list[float]:
    from klarsyn.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--steps: {text!r} is not a list of numbers such as 0.025,0.5.") from None


def _counts(source: dict[str, Any]) -> Any:
    from klarsyn.app.commands.rare import read_counts

    return read_counts(source["file"], source["columns"], source["study"], source["sheet"], False)


def _groups(source: dict[str, Any]) -> Any:
    from klarsyn.app.commands.pool import roles
    from klarsyn.tables import read_table

    table = read_table(source["file"], sheet=source["sheet"])
    named = roles(source["columns"], "SMD", tuple(table.columns))
    return table.numbers(named["n1i"]), table.numbers(named["n2i"])


def _column(effects: Any, name: str) -> Any:
    from klarsyn.errors import unknown_name

    if name not in effects.covariates:
        raise unknown_name("column", name, effects.covariates)
    return effects.covariates[name]
