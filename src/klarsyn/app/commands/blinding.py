"""`klarsyn blinding`: counts of guesses become indices of blinding."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
A table has one row an arm and respondent, e.g.
  trial,arm,role,respondent,correct,wrong,dont_know,total
  Lii 2023,ketamine,active,participants,9,5,5,19
  Lii 2023,placebo,control,participants,5,8,6,19
\b
role: active or control. respondent (participants or raters), time, dont_know and total may be
left out; a total is checked. Weak guesses: columns somewhat_correct and somewhat_wrong, with
--somewhat-weight. Where only "% correct" is printed:
  trial,arm,role,percent_correct,total,denominator,dont_know
  Shiroma,midazolam,control,89.3,28,unknown,
denominator: all (who answered), guessed (don't-knows left out) or unknown.
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path())
@click.option("--somewhat-weight", type=float, default=None, help="Weight of a weak guess.")
@click.option("--add-half", is_flag=True, help="Add ½ to arms whose answers are all of one kind.")
@click.option(
    "--interval", default="normal", show_default=True, help="Of Bang's index: normal or score."
)
@click.option("--cut", type=float, default=0.2, show_default=True, help="Bang: chance below this.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option(
    "--pool", "pooled", is_flag=True, help="Pool the indices of each role (REML, Knapp–Hartung)."
)
@click.option("--moderator", default=None, help="A column of the table: pool along it.")
@click.option(
    "--dont-knows",
    default="kept",
    show_default=True,
    help="Pooling: kept, dropped, split, all_correct or all_wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    somewhat_weight: float | None,
    add_half: bool,
    interval: str,
    cut: float,
    level: float,
    pooled: bool,
    moderator: str | None,
    dont_knows: str,
    as_json: bool,
) -> None:
    """Bang, James and SBI indices from the guesses in a CSV or Excel FILE."""
    from klarsyn.app.output import print_json
    from klarsyn.bias.blinding import trial_blinding
    from klarsyn.tables import read_table

    table = read_table(file, columns())
    if "percent_correct" in table:
        _percents(table, level, as_json)
        return
    groups = _groups(table)
    found = [
        trial_blinding(
            arms,
            somewhat_weight=somewhat_weight,
            add_half=add_half,
            interval=interval,
            cut=cut,
            level=level,
        )
        for arms in groups
    ]
    pools = _pools(found, level, table, moderator, dont_knows) if pooled or moderator else {}
    if as_json:
        print_json(
            {
                "trials": [f.to_dict() for f in found],
                "pooled": {k: p.to_dict() for k, p in pools.items()},
            }
        )
        return
    for f in found:
        click.echo(f.summary())
    for name, p in pools.items():
        click.echo(f"pooled, {name}:\n{p.summary()}")


def columns() -> list[Any]:
    """The columns of the table."""
    from klarsyn.bias.guesses import DENOMINATORS, RESPONDENTS, ROLES
    from klarsyn.tables import Column

    def optional(name: str, **more: Any) -> Any:
        return Column(name=name, required=False, may_be_empty=True, **more)

    return [
        Column(name="trial"),
        Column(name="arm"),
        Column(name="role", allowed=ROLES),
        optional("respondent", allowed=RESPONDENTS),
        optional("time"),
        *(
            optional(name, kind="count")
            for name in (
                "correct",
                "wrong",
                "dont_know",
                "somewhat_correct",
                "somewhat_wrong",
                "total",
            )
        ),
        optional("percent_correct"),
        optional("denominator", allowed=DENOMINATORS),
    ]


def _groups(table: Any) -> list[list[Any]]:
    """The arms of each trial, respondent and time, in the order of the file."""
    from klarsyn.bias.guesses import ArmGuesses
    from klarsyn.errors import InputError
    from klarsyn.tables.reading import missing_column

    for name in ("correct", "wrong"):
        if name not in table:
            raise missing_column(table.path, name, list(table.columns))
    groups: dict[tuple[str, str, str], list[Any]] = {}
    rows: dict[tuple[str, str, str, str], int] = {}
    for row, r in table.numbered():
        parts = {
            name: r.get(name) or 0
            for name in ("correct", "wrong", "dont_know", "somewhat_correct", "somewhat_wrong")
        }
        if r["correct"] is None or r["wrong"] is None:
            raise InputError(f"{table.path}: row {row}: correct and wrong must both be given.")
        total = r.get("total")
        if total is not None and sum(parts.values()) != total:
            raise InputError(
                f"{table.path}: row {row}: the guesses add up to {sum(parts.values())}, the total "
                f"is {total}. Correct one of them, or count the rest as dont_know."
            )
        try:
            arm = ArmGuesses(
                trial=r["trial"],
                arm=r["arm"],
                role=r["role"],
                respondent=r.get("respondent") or "participants",
                time=r.get("time") or "",
                **parts,
            )
        except InputError as bad:
            raise InputError(f"{table.path}: row {row}: {bad}") from None
        key = (arm.trial, arm.arm, arm.respondent, arm.time)
        if key in rows:
            raise InputError(
                f"{table.path}: row {row}: {arm.trial}, arm {arm.arm} ({arm.respondent}) stands in "
                f"row {rows[key]} already. Leave one out, or say when each was asked (time)."
            )
        rows[key] = row
        groups.setdefault((arm.trial, arm.respondent, arm.time), []).append(arm)
    return list(groups.values())


def _percents(table: Any, level: float, as_json: bool) -> None:
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.guesses import guesses_from_percent
    from klarsyn.errors import InputError

    found = []
    for row, r in table.numbered():
        if r.get("total") is None or r["percent_correct"] is None or not r.get("denominator"):
            raise InputError(
                f"{table.path}: row {row}: percent_correct needs total and denominator beside it."
            )
        try:
            found.append(
                guesses_from_percent(
                    trial=r["trial"],
                    arm=r["arm"],
                    role=r["role"],
                    percent=r["percent_correct"],
                    n=r["total"],
                    denominator=r["denominator"],
                    dont_know=r.get("dont_know"),
                    level=level,
                )
            )
        except InputError as bad:
            raise InputError(f"{table.path}: row {row}: {bad}") from None
    if as_json:
        print_json({"bounds": [f.to_dict() for f in found]})
        return
    print_table(
        ("trial", "arm", "n", "correct", "don't know", "Bang index from", "to", "limits"),
        [
            (
                f.trial,
                f.arm,
                f.n,
                "–".join(map(str, dict.fromkeys(f.correct))),
                "–".join(map(str, dict.fromkeys(f.dont_know))),
                f"{f.index[0]:.2f}",
                f"{f.index[1]:.2f}",
                f"{f.interval[0]:.2f} to {f.interval[1]:.2f}",
            )
            for f in found
        ],
    )


def _pools(
    found: list[Any], level: float, table: Any, moderator: str | None, dont_knows: str
) -> dict[str, Any]:
    from klarsyn.bias.blinding_synthesis import moderate_indices, pool_indices
    from klarsyn.bias.guesses import DONT_KNOWS, RESPONDENTS, ROLES
    from klarsyn.errors import unknown_name

    if dont_knows not in DONT_KNOWS:
        raise unknown_name("treatment of don't-knows", dont_knows, DONT_KNOWS)
    traits = _traits(table, moderator) if moderator else {}
    out = {}
    for respondent in RESPONDENTS:
        for role in ROLES:
            arms = [
                a
                for f in found
                for a in f.arms
                if (a.role, a.respondent, a.dont_knows) == (role, respondent, dont_knows)
            ]
            for time, asked in _by_time(arms).items():
                if len(asked) < 2:
                    continue
                name = f"{respondent}, {role} arms" + (f", {time}" if time else "")
                choices: dict[str, Any] = {"tau2_method": "REML", "test": "knha", "level": level}
                out[name] = pool_indices(asked, **choices)
                if moderator:
                    values = [traits[a.trial, a.arm, a.respondent, a.time] for a in asked]
                    out[f"{name} by {moderator}"] = moderate_indices(
                        asked, {moderator: values}, **choices
                    )
    return out


def _by_time(arms: list[Any]) -> dict[str, list[Any]]:
    """The arms together, or by time where one was asked more than once."""
    if len({(a.trial, a.arm) for a in arms}) == len(arms):
        return {"": arms}
    times = dict.fromkeys(a.time for a in arms)
    return {time: [a for a in arms if a.time == time] for time in times}


def _traits(table: Any, moderator: str) -> dict[tuple[str, str, str, str], Any]:
    """The moderator of each arm; numbers when every cell is one."""
    from klarsyn.errors import InputError

    values = list(table[moderator])
    for row, value in zip(table.row_numbers, values, strict=True):
        if value is None or str(value).strip() in ("", "nan"):
            raise InputError(
                f"{table.path}: row {row}: {moderator} is empty; an arm without it cannot be "
                f"placed. Fill it in, or leave the row out."
            )
    try:
        values = [float(v) for v in values]
    except (TypeError, ValueError):
        values = [str(v) for v in values]
    return {
        (r["trial"], r["arm"], r.get("respondent") or "participants", r.get("time") or ""): value
        for r, value in zip(table.records(), values, strict=True)
    }
