"""`klarsyn dose`: dose groups of several studies become one dose–response curve."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
Means (the lowest dose of a study is its reference):
  study,dose,mean,sd,n
  Trial A,0,-5.1,9.8,19
  Trial A,0.1,-6.0,10.0,18
  Trial A,0.5,-11.2,10.1,22
  Trial A,1,-12.0,9.6,20
  Trial B,0,-4.6,9.1,30
  Trial B,0.5,-9.0,9.4,31
\b
or adjusted log relative risks (the reference row has se empty; design is case-control,
incidence-rate with n as person-time, or cumulative-incidence):
  study,dose,effect,se,cases,n,design
  Bobak,0,0,,77,258,case-control
  Bobak,16,-0.43,0.22,88,413,case-control
  Bobak,46,-1.08,0.30,24,202,case-control
\b
  klarsyn dose means.csv --curve quadratic
  klarsyn dose means.csv --curve spline --knots 0.1,0.5,1
  klarsyn dose means.csv --curve emax --json
  klarsyn dose risks.csv --curve linear --method common
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--curve", required=True, help="linear, quadratic, spline or emax.")
@click.option("--knots", default="", help="Of the spline: three or more doses.")
@click.option("--method", default=None, help="REML (default), ML or common; emax: ML or common.")
@click.option("--sheet", default=None, help="The sheet of an Excel workbook.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str, curve: str, knots: str, method: str | None, sheet: str | None, as_json: bool
) -> None:
    """Fit a dose-response curve to the dose groups of a CSV or Excel FILE."""
    from klarsyn.app.output import print_json
    from klarsyn.errors import InputError
    from klarsyn.synthesis.doseresponse import fit_dose_response, fit_emax

    data = read_doses(file, sheet)
    if curve == "emax":
        fit = fit_emax(data, method=method or "ML")
    else:
        try:
            places = [float(k) for k in knots.split(",") if k.strip()]
        except ValueError:
            raise InputError(f"--knots {knots}: give doses separated by commas.") from None
        fit = fit_dose_response(data, curve=curve, method=method or "REML", knots=places)
    if as_json:
        print_json(fit.to_dict())
    else:
        click.echo(fit.summary())


def read_doses(file: str, sheet: str | None) -> Any:
    """The dose groups of a file: relative risks when it has a column `cases`, otherwise means."""
    from klarsyn.synthesis.dose_data import doses_from_means, doses_from_risks
    from klarsyn.tables import Column, in_file, read_table

    above = [Column(name=c, kind="number", required=False, above=0) for c in ("sd", "n", "cases")]
    least = [Column(name=c, kind="number", required=False, minimum=0) for c in ("dose", "se")]
    table = read_table(file, [*above, *least], sheet=sheet)
    with in_file(file):
        if "cases" in table:
            numbers = [table.numbers(c) for c in ("dose", "effect", "se", "cases", "n")]
            return doses_from_risks(table["study"], *numbers, design=table["design"])
        return doses_from_means(
            table["study"], *(table.numbers(c) for c in ("dose", "mean", "sd", "n"))
        )
