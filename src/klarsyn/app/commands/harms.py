"""`klarsyn harms`: what the evidence on rare harms can and cannot exclude."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from klarsyn.bias.harms import HarmAppraisal

EPILOG = """\b
The table has one row an arm and harm; years (person-years) is optional, e.g.
  study,harm,arm,events,patients,ascertainment,years
  Alpha 2020,cystitis,test,0,120,systematic,14
  Alpha 2020,cystitis,control,0,118,systematic,14
  Clinic 2022,cystitis,single,1,310,spontaneous,
arm is test, control or single; ascertainment is systematic, spontaneous or unknown.
\b
  klarsyn harms harms.csv --rates 0.01,0.001 --spontaneous 3 --unknown 2
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--harm", default=None, help="One harm only; all by default.")
@click.option("--rates", default="0.01,0.001", help="Shares that one would like to exclude.")
@click.option("--spontaneous", type=float, required=True, help="True cases behind one report.")
@click.option("--unknown", type=float, required=True, help="The same where nobody said how.")
@click.option("--systematic", type=float, default=1.0, help="The same where all were asked.")
@click.option("--background", type=float, default=None, help="Share without the drug.")
@click.option("--ratio", type=float, default=2.0, help="Times the background to be told apart.")
@click.option("--confidence", type=float, default=0.95, help="Of the one-sided limits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    harm: str | None,
    rates: str,
    spontaneous: float,
    unknown: float,
    systematic: float,
    background: float | None,
    ratio: float,
    confidence: float,
    as_json: bool,
) -> None:
    """State exact limits for each harm, and the patients still needed to exclude a rate."""
    from klarsyn.app.output import print_json
    from klarsyn.bias.harms import appraise_harm, read_harms
    from klarsyn.errors import InputError

    try:
        wanted = [float(r) for r in rates.split(",")]
    except ValueError:
        raise InputError(
            f"--rates: {rates!r} is not a list of shares such as 0.01,0.001."
        ) from None
    records = read_harms(file)
    names = [harm] if harm else list(dict.fromkeys(r.harm for r in records))
    found = [
        appraise_harm(
            records,
            name,
            rates=wanted,
            multipliers={
                "systematic": systematic,
                "spontaneous": spontaneous,
                "unknown": unknown,
            },
            confidence=confidence,
            background=background,
            ratio=ratio,
        )
        for name in names
    ]
    if as_json:
        print_json([h.to_dict() for h in found])
        return
    for h in found:
        _show(h, confidence)


def _show(h: HarmAppraisal, confidence: float) -> None:
    from klarsyn.app.output import print_table

    rows = [
        [e.name, e.studies, e.events, e.patients, f"{e.effective:.0f}", f"{e.upper:.3%}"]
        for e in h.exposures
    ]
    print_table(
        ["asked", "studies", "events", "patients", "count as", f"below ({confidence:.0%})"],
        rows,
        title=h.harm,
    )
    click.echo(h.summary())
    if d := h.difference:
        k = len(d.trials)
        told = "one trial" if k == 1 else f"{k} trials, wider where they disagree"
        points = f"{100 * d.value:.1f} ({100 * d.low:.1f} to {100 * d.high:.1f})"
        click.echo(f"Test minus control: {points} percentage points in {told}.")
    if h.pooled:
        click.echo(h.pooled.summary())
    click.echo("")
