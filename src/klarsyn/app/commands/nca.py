"""`klarsyn nca`: peak, area and half-life of any concentration table."""

from __future__ import annotations

from typing import Any

import click

AT_TAU = ("average", "trough", "fluctuation", "swing", "accumulation")


@click.command()
@click.argument("file")
@click.option("--time", default="time", show_default=True, help="The column of times.")
@click.option("--concentration", default="concentration", show_default=True, help="Its column.")
@click.option("--by", multiple=True, help="Columns that separate profiles; may be repeated.")
@click.option("--dose", type=float, help="Gives clearance and volume.")
@click.option("--infusion", default=0.0, help="Length of the infusion, in the unit of time.")
@click.option(
    "--partial", multiple=True, help="Also the area from one time to another: '0,24'; repeatable."
)
@click.option("--tau", type=float, help="Dosing interval of a profile at steady state from 0.")
@click.option("--linear", is_flag=True, help="Linear trapezoids also on the way down.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(**options: Any) -> None:
    """Analyse the profiles of a table, without any model.

    \b
    subject,time,concentration
    1,0,0
    1,0.5,12.1
    1,1,18.4
    1,2,9.7
    1,4,3.1
    1,8,0.4
    1,12,<0.1
    """
    from klarsyn.app.output import print_json, print_table
    from klarsyn.pharmacology.nca import analyse_table

    analysis = analyse_table(
        options["file"],
        time=options["time"],
        concentration=options["concentration"],
        by=options["by"],
        dose=options["dose"],
        infusion=options["infusion"],
        tau=options["tau"],
        partial=[_interval(text) for text in options["partial"]],
        rule="linear" if options["linear"] else "linear-up log-down",
    )
    if options["as_json"]:
        print_json(analysis.to_dict())
        return
    rows = [
        [
            " ".join(p.group) or "all",
            f"{p.cmax:.5g}",
            _or_dash(p.tmax),
            f"{p.auc_last:.5g}",
            _or_dash(p.auc_infinite),
            _or_dash(p.half_life),
            _or_dash(p.clearance if p.interval is None else p.interval.clearance),
            *(_or_dash(area) for _, _, area in p.partial),
            *(_or_dash(getattr(p.interval, name)) for name in AT_TAU if p.interval),
            p.status,
        ]
        for p in analysis.profiles
    ]
    header = ["profile", "Cmax", "Tmax", "AUC last", "AUC inf", "half-life", "CL"]
    header += [f"AUC {text}" for text in options["partial"]]
    if options["tau"] is not None:
        header[6] = "CL (tau)"
        header += [f"{name} (tau)" for name in AT_TAU]
    header += ["status"]
    print_table(header, rows, title=f"{options['file']}: {analysis.method}")
    for p in analysis.profiles:
        for caution in p.cautions:
            click.echo(f"{' '.join(p.group) or 'all'}: {caution}.")


def _interval(text: str) -> tuple[float, float]:
    from klarsyn.errors import InputError

    try:
        start, end = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--partial {text!r}: give two times with a comma between, '0,24'."
        ) from None
    return start, end


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
