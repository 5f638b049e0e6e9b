"""`klarsyn inclusion`: what each assessment concludes from the trials it included."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
TRIALS has one row a trial; either events or y and v (on the scale of the measure):
  id,treated_events,treated_total,control_events,control_total,published,eligible,reason
  ELEKT-D,74,195,37,170,2023-05-24,yes,
  KetECT,44,95,57,91,2022-05,yes,
ASSESSMENTS has one row an included trial:
  assessment,trial,criteria,search_date
  Agency A,ELEKT-D,randomised against ECT,2024-01
\b
  klarsyn inclusion trials.csv assessments.csv --measure RR --positive-favours treated
"""


@click.command(epilog=EPILOG)
@click.argument("trials", type=click.Path())
@click.argument("assessments", type=click.Path())
@click.option("--measure", default="RR", show_default=True, help="RR, OR, RD (events) or any name.")
@click.option(
    "--positive-favours",
    type=click.Choice(["treated", "control"]),
    required=True,
    help="Which arm a positive effect (a ratio above 1) speaks for.",
)
@click.option("--method", default="REML", show_default=True, help="Estimator of tau2.")
@click.option("--test", default="z", show_default=True, help="z, t, knha or adhoc.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    trials: str,
    assessments: str,
    measure: str,
    positive_favours: str,
    method: str,
    test: str,
    level: float,
    as_json: bool,
) -> None:
    """The conclusion of each set of trials, what would flip it, and what it left out."""
    from klarsyn.app.output import print_json
    from klarsyn.bias.inclusion import inclusion

    known = _trials(trials, measure)
    result = inclusion(
        known,
        _assessments(assessments, [t.id for t in known]),
        measure=measure,
        positive_favours=positive_favours,
        tau2_method=method,
        test=test,
        level=level,
    )
    if as_json:
        print_json(result.to_dict())
        return
    click.echo(result.summary())


def _trials(file: str, measure: str) -> list[Any]:
    from klarsyn.bias.inclusion import IncludableTrial
    from klarsyn.errors import InputError
    from klarsyn.stats.contrasts import contrasts
    from klarsyn.tables import Column, read_table

    cells = ("treated_events", "treated_total", "control_events", "control_total")
    table = read_table(
        file,
        [
            Column(name="id"),
            *(Column(name=n, kind="count", required=False) for n in cells),
            Column(name="y", kind="number", required=False),
            Column(name="v", kind="number", required=False, above=0),
            Column(name="published"),
            Column(name="eligible", kind="truth", required=False),
            Column(name="reason", required=False, may_be_empty=True),
        ],
    )
    counted = all(n in table for n in cells)
    if not counted and not ("y" in table and "v" in table):
        raise InputError(f"{file}: give the columns {', '.join(cells)}, or y and v.")
    out = []
    for row, r in table.numbered():
        y, v = r.get("y"), r.get("v")
        if counted:
            a, n1, c, n2 = (r[n] for n in cells)
            if None in (a, n1, c, n2) or a > n1 or c > n2 or min(n1, n2) == 0:
                raise InputError(
                    f"{file}: row {row}: {a} of {n1} and {c} of {n2}; give events of both arms, "
                    f"none above its total."
                )
            found = contrasts(measure, {"ai": [a], "n1i": [n1], "ci": [c], "n2i": [n2]})
            y, v = float(found.y[0]), float(found.v[0])
        if y is None or v is None:
            raise InputError(f"{file}: row {row}: y and v must both be given.")
        eligible = r.get("eligible")
        try:
            out.append(
                IncludableTrial(
                    id=r["id"],
                    y=y,
                    v=v,
                    published=r["published"],
                    eligible=True if eligible is None else eligible,
                    reason=r.get("reason") or "",
                )
            )
        except InputError as bad:
            raise InputError(f"{file}: row {row}: {bad}") from None
    return out


def _assessments(file: str, trials: list[str]) -> list[Any]:
    from klarsyn.bias.inclusion import Assessment
    from klarsyn.errors import InputError, unknown_name
    from klarsyn.tables import Column, read_table

    table = read_table(
        file,
        [
            Column(name="assessment"),
            Column(name="trial"),
            Column(name="criteria", may_be_empty=True),
            Column(name="search_date", may_be_empty=True),
        ],
    )
    members: dict[str, list[dict[str, Any]]] = {}
    for row, r in table.numbered():
        if r["trial"] not in trials:
            raise unknown_name("trial", r["trial"], trials, f"{file}: row {row}")
        known = members.setdefault(r["assessment"], [])
        if known and known[0]["search_date"] != r["search_date"]:
            raise InputError(
                f"{file}: row {row}: {r['assessment']} was searched {r['search_date']} here and "
                f"{known[0]['search_date']} before. Give one date."
            )
        known.append(r)
    return [
        Assessment(
            id=name,
            included=tuple(r["trial"] for r in rows),
            criteria=rows[0]["criteria"] or "",
            search_date=rows[0]["search_date"] or "",
        )
        for name, rows in members.items()
    ]
