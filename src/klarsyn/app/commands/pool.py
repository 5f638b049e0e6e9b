"""`klarsyn pool`: a table of trials becomes one estimate."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
A table has one row a study, e.g.
  study,year,tpos,tneg,cpos,cneg,n
  Aronson,1948,4,119,11,128,262
  Ferguson,1949,6,300,29,274,609
\b
  klarsyn pool trials.csv --measure RR --columns ai=tpos,bi=tneg,ci=cpos,di=cneg

Roles: ai bi ci di (or n1i n2i for bi di); m1i sd1i n1i m2i sd2i n2i; x1i t1i x2i t2i; xi ni;
ri ni; m1i m2i sd1i sd2i ni ri for pairs; ai bi ci di for matched pairs (MPOR …); ti ni mi r2i for
slopes (PCOR …); ai mi ni for alpha (ABT …); yi with vi or sei; est with its 95 % limits lower and
upper (HR: the ratio). A column that already has the role's name need not be mapped.

\b
Is it enough yet? Looks after each study, in the order of a column, against boundaries:
  klarsyn pool trials.csv --measure RR --columns ai=tpos,bi=tneg,ci=cpos,di=cneg \\
    --cumulative year --information-size 3000 --participants n

\b
Cells are separated by commas, semicolons or tabs; with semicolons or tabs (a European Excel's
"CSV") decimal commas are read too. An Excel workbook is read as it is.
"""


SIZES, GENERIC = ("n1i", "n2i", "mi"), ("sei", "est", "lower", "upper")


def effects_options(command: Any) -> Any:
    """The options that turn a file into effects, shared by the commands that start from one."""
    for option in reversed(
        (
            click.argument("file", type=click.Path()),
            click.option("--measure", required=True, help="RR, OR, RD, SMD, MD, PLO, GEN …"),
            click.option("--columns", default="", help="role=column pairs, separated by commas."),
            click.option("--study", default=None, help="The column with the studies' names."),
            click.option("--sheet", default=None, help="The sheet of an Excel workbook."),
            click.option("--add", type=float, default=None, help="Continuity correction."),
            click.option("--to", default="only0", help="only0, all, if0all or none."),
            click.option("--drop00", is_flag=True, help="Leave out studies without any event."),
            click.option("--variance", default="LS", help="LS, LS2, UB, AV or HO."),
        )
    ):
        command = option(command)
    return command


def read_effects(
    file: str,
    measure: str,
    columns: str,
    study: str | None,
    sheet: str | None,
    add: float | None,
    to: str,
    drop00: bool,
    variance: str,
) -> Any:
    """The effects of a file's rows."""
    from klarsyn.errors import unknown_name
    from klarsyn.stats.measures import MEASURES
    from klarsyn.synthesis.effects import effects_from_table
    from klarsyn.tables import read_table

    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    table = read_table(file, sheet=sheet)
    return effects_from_table(
        table,
        measure,
        roles(columns, measure, tuple(table.columns)),
        study=study,
        add=add,
        to=to,
        drop00=drop00,
        variance=variance,
    )


def roles(text: str, measure: str, header: tuple[str, ...]) -> dict[str, str]:
    """`ai=tpos,bi=tneg` as a mapping; roles that are columns themselves are added."""
    from klarsyn.errors import InputError, unknown_name
    from klarsyn.stats.contrasts import ROLES
    from klarsyn.stats.measures import MEASURES

    out: dict[str, str] = {}
    for pair in filter(None, (p.strip() for p in text.split(","))):
        role, sign, column = (part.strip() for part in pair.partition("="))
        if not (role and sign and column):
            raise InputError(f"--columns: {pair!r} is not role=column, e.g. ai=events.")
        if role not in ROLES:
            raise unknown_name("role of a column", role, ROLES, "--columns")
        out[role] = column
    wanted = MEASURES[measure].needs + (GENERIC if MEASURES[measure].kind == "generic" else SIZES)
    for role in wanted:
        if role not in out and role in header:
            out[role] = role
    return out


@click.command(epilog=EPILOG)
@effects_options
@click.option("--method", default="REML", help="REML, ML, DL, PM, PMM, EB, SJ, HS, HSk, HE, EE.")
@click.option("--test", default="knha", help="z, t, knha or adhoc.")
@click.option("--level", type=float, default=0.95, help="Confidence level.")
@click.option("--interval", default="QP", help="Interval for tau2: QP, PL, J or BJ.")
@click.option("--prediction", default="test", help="test, k-1, k-2 or normal.")
@click.option("--drop-problems", is_flag=True, help="Leave out studies that have no effect.")
@click.option("--by", default=None, help="Pool each level of this column and compare them.")
@click.option("--own-tau2", is_flag=True, help="With --by: a tau2 for each level.")
@click.option("--leave-one-out", "left_out", is_flag=True, help="Also without each study.")
@click.option("--cumulative", default=None, help="Also one by one in the order of this column.")
@click.option(
    "--information-size",
    type=float,
    default=None,
    help="Enough yet? Participants of one large trial.",
)
@click.option("--participants", default=None, help="With it: the column with each study's number.")
@click.option(
    "--diversity", type=float, default=None, help="With it: D2 from 0 to 1, else estimated."
)
@click.option("--influence", "diagnose", is_flag=True, help="Also each study's diagnostics.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    method: str,
    test: str,
    level: float,
    interval: str,
    prediction: str,
    drop_problems: bool,
    by: str | None,
    own_tau2: bool,
    left_out: bool,
    cumulative: str | None,
    information_size: float | None,
    participants: str | None,
    diversity: float | None,
    diagnose: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Pool the effects of a CSV or Excel FILE: estimate, tau2, I2, Q, prediction interval."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.synthesis.pairwise import pool

    pooled = pool(
        read_effects(**source),
        method=method,
        test=test,
        level=level,
        interval=interval,
        prediction=prediction,
        drop_problems=drop_problems,
    )
    more = _more(pooled, by, own_tau2, left_out, cumulative, diagnose)
    if information_size is None and not (participants is None and diversity is None):
        raise click.UsageError("--participants and --diversity belong to --information-size.")
    if information_size is not None:
        enough = _enough(pooled, information_size, participants, cumulative, diversity)
        more["sequential"] = enough.to_dict()
    if as_json:
        print_json(pooled.to_dict() | more)
        return
    print_table(
        ("study", "effect", "lower", "upper", "weight %"),
        [
            (s.study, f"{s.y:.4f}", f"{s.ci_lower:.4f}", f"{s.ci_upper:.4f}", f"{s.weight:.1f}")
            for s in pooled.studies
        ],
        title=f"{pooled.measure} ({pooled.scale} scale)",
    )
    click.echo(pooled.summary())
    for title, rows in more.items():
        _print_more(title, rows)


def _more(
    pooled: Any,
    by: str | None,
    own_tau2: bool,
    left_out: bool,
    cumulative: str | None,
    diagnose: bool,
) -> dict[str, Any]:
    from dataclasses import asdict

    from klarsyn.synthesis import influence
    from klarsyn.synthesis.subgroups import subgroups

    effects, out = pooled.effects, {}
    choices = {"method": pooled.method, "test": pooled.test}
    series = choices | {"level": pooled.level}
    if by is not None:
        out["subgroups"] = subgroups(effects, by, common_tau2=not own_tau2, **series).to_dict()
    if left_out:
        out["leave_one_out"] = [s.to_dict() for s in influence.leave_one_out(effects, **series)]
    if cumulative is not None:
        order = influence.order_of(effects, cumulative)
        steps = influence.cumulative(effects, order, **series)
        out["cumulative"] = [s.to_dict() for s in steps]
    if diagnose:
        out["influence"] = [asdict(i) for i in influence.influence(effects, **choices)]
    return out


def _enough(
    pooled: Any, size: float, column: str | None, order: str | None, diversity: float | None
) -> Any:
    from klarsyn.errors import InputError
    from klarsyn.synthesis.influence import order_of
    from klarsyn.synthesis.sequential import sequential_analysis

    if column is None:
        raise InputError("--information-size needs --participants, the column with each number.")
    people = order_of(pooled.effects, column)
    if any(isinstance(n, str) for n in people):
        raise InputError(f"--participants: the column {column!r} does not hold numbers only.")
    return sequential_analysis(
        pooled.effects,
        people,
        size=size,
        order=None if order is None else order_of(pooled.effects, order),
        diversity_share=diversity,
        method=pooled.method,
        alpha=1 - pooled.level,
    )


def _print_more(title: str, value: Any) -> None:
    from klarsyn.app.output import print_table

    if title == "sequential":
        looks = [
            (
                k["study"], f"{k['participants']:.0f}", f"{k['fraction']:.0%}", f"{k['z']:.2f}",
                "–" if k["boundary"] is None else f"{k['boundary']:.2f}",
                "crossed" if k["crossed"] else "",
            )
            for k in value["looks"]
        ]  # fmt: skip
        header = ("up to", "participants", "of required", "z", "boundary", "")
        print_table(header, looks, title="enough yet?")
        click.echo(value["summary"])
        return
    if title == "subgroups":
        between = value["between"]
        rows = [
            {"level": name, **{key: g[key] for key in ("k", "estimate", "ci_lower", "ci_upper")}}
            for name, g in value["groups"].items()
        ]
        title = f"by {value['by']}: difference p = {between['p_value']:.3g}"
    else:
        rows = value
    header = list(rows[0])
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in r.values()] for r in rows]
    print_table(header, cells, title=title.replace("_", " "))
