"""`klarsyn grade`: certainty of each outcome as suggestions with reasons, and the findings rows."""

from __future__ import annotations

import click

EPILOG = """\b
The table has one row an outcome, e.g.
  outcome,measure,estimate,low,high,participants,studies,information_size,high_risk_weight,
    survives_without,predicted_low,predicted_high,i2,small,moderate,large,unit,thresholds_from
  mood,mean_difference,-4.0,-6.0,-2.0,620,6,785,0.4,yes,-8,0.5,0.55,2,5,8,points,declared 2024
(on one line). measure: mean_difference, risk_ratio, odds_ratio, hazard_ratio (ratios need
baseline, and their thresholds are per 1000). Optional: belief_tip, belief_plausible and
belief_source (functional unblinding), indirect (a sentence), withheld_results,
unclear_results, nulls_to_flip, diversity (D² from 0 to 1), baseline_source, start.
--confirmations names a table outcome,domain,change,who,when,why.
\b
  klarsyn grade outcomes.csv --confirmations confirmed.csv
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--confirmations", type=click.Path(), default=None, help="What people decided.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str, confirmations: str | None, as_json: bool) -> None:
    """Suggest the certainty of evidence from a CSV or Excel FILE; a person confirms."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.certainty_table import read_certainty

    found = read_certainty(file, confirmations)
    if as_json:
        print_json([{"certainty": c.to_dict(), "findings": f.to_dict()} for c, f in found])
        return
    rows = [
        [
            f.outcome,
            f"{f.participants} ({f.studies})",
            "" if f.relative is None else "{:.2f} ({:.2f} to {:.2f})".format(*f.relative),
            "{:.3g} ({:.3g} to {:.3g}) ".format(*f.absolute) + f.unit,
            f.certainty + ("" if f.confirmed else " (suggested)"),
        ]
        for _, f in found
    ]
    header = ["outcome", "participants (studies)", "relative", "absolute", "certainty"]
    print_table(header, rows)
    for certainty, row in found:
        click.echo(f"\n{row.sentence}")
        for s in certainty.suggestions:
            click.echo(
                f"  {s.domain} {s.change:+d}: {s.reason}"
                if s.change
                else f"  {s.domain} 0: {s.reason}"
            )
        click.echo(f"  {certainty.summary()}")
