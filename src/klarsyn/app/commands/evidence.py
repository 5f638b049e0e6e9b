"""`klarsyn evidence`: look into an evidence base, test it, select from it, export it, begin one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from klarsyn.app.output import print_json, print_table

if TYPE_CHECKING:
    from klarsyn.evidence import Base, Trial
    from klarsyn.evidence.select import Exclusion

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
BASE = click.argument("base", required=False)


@click.group("evidence")
def command() -> None:
    """The trials, arms and numbers of an evidence base.

    A BASE is the name of a shipped base, a folder of tables (trials.csv, arms.csv, findings.csv,
    sources.csv, scales.csv, vocabulary.csv) or an Excel workbook with those sheets; without one
    the first shipped base is used. `klarsyn evidence new DIR` makes an empty one.
    """


@command.command("list")
@BASE
@JSON
def list_trials(base: str | None, as_json: bool) -> None:
    """List the trials of a base."""
    opened = _opened(base)
    if as_json:
        print_json({"base": opened.name, "digest": opened.digest, **_overview(opened)})
        return
    header = ("trial", "label", "design", "comparator", "doses", "n", "follow-up", "numbers")
    rows = [
        (
            t.id,
            t.label,
            t.design or "?",
            t.comparator or "?",
            _number(t.doses),
            _number(t.participants),
            "?" if t.followup_days is None else f"{t.followup_days:g} d",
            sum(f.value is not None for f in t.findings),
        )
        for t in opened.trials
    ]
    print_table(header, rows, title=f"{opened.title}: {len(rows)} trials")


@command.command()
@click.argument("trial")
@click.option("--base", help="Name, folder or workbook; the first shipped base without it.")
@JSON
def show(trial: str, base: str | None, as_json: bool) -> None:
    """Show all that is known of one trial, each number with its source."""
    opened = _opened(base)
    found = opened.trial(trial)
    if as_json:
        print_json(_trial_json(opened, found))
        return
    _print_trial(opened, found)


@command.command()
@BASE
@click.option("--strict", is_flag=True, help="Exit with 1 when something impossible is found.")
@click.option("--trial", help="Check this trial only.")
@JSON
def check(base: str | None, strict: bool, trial: str | None, as_json: bool) -> None:
    """Test the arithmetic of every record; each remark names its row.

    A remark says that printed numbers do not fit each other, never why.
    """
    from klarsyn.evidence.check import check_base, check_trial

    opened = _opened(base)
    found = check_trial(opened, opened.trial(trial)) if trial else check_base(opened)
    if as_json:
        print_json(found.to_dict())
    else:
        for remark in found.remarks:
            click.echo(remark.text())
        click.echo(found.summary())
    if strict and found.count("impossible"):
        sys.exit(1)


@command.command()
@click.argument("base")
@click.argument("criteria", nargs=-1)
@JSON
def select(base: str, criteria: tuple[str, ...], as_json: bool) -> None:
    """Select the trials of BASE that meet every one of the CRITERIA.

    \b
    A criterion is a word:        controlled, uncontrolled, repeated, single_dose, randomised
    or compares a field:          'route=iv'  'comparator=inert|psychoactive'  'design!=crossover'
    with a number or a range:     'doses_per_week=2..3'  'followup_days>=28'  'participants>=50'
    or names a selection that the base's appraisal.toml defines, such as: review

    Trials of which a criterion cannot be judged are listed as unknown, apart from those that fail.
    """
    from klarsyn.evidence import select_trials
    from klarsyn.evidence.select import known_selections

    opened = _opened(base)
    if not criteria:
        named = ", ".join(known_selections(opened)) or "none"
        raise click.UsageError(
            f"Give at least one criterion, such as controlled or 'route=iv'. "
            f"Selections named by {opened.name}: {named}."
        )
    found = select_trials(opened, criteria)
    if as_json:
        print_json(found.to_dict())
        return
    rows = [(t.id, t.label, "selected", "") for t in found.selected]
    rows += [(e.trial.id, e.trial.label, e.verdict, _reason(e)) for e in found.excluded]
    print_table(("trial", "label", "verdict", "first reason"), rows, title=opened.title)
    click.echo(found.summary())


@command.command()
@BASE
@JSON
def known(base: str | None, as_json: bool) -> None:
    """Count what is reported, recorded absent or not looked for, question by question."""
    from klarsyn.evidence.completeness import completeness

    found = completeness(_opened(base))
    if as_json:
        print_json(found.to_dict())
        return
    rows = [(q, *found.counts(q).values()) for q in found.questions]
    print_table(("question", "reported", "absent", "not looked for"), rows, title=found.base)


@command.command()
@click.argument("base")
@click.argument("out")
@click.option("--format", "form", help="folder, xlsx or json; by the ending of OUT without it.")
def export(base: str, out: str, form: str | None) -> None:
    """Write BASE to OUT: a folder of CSV tables, one Excel workbook (.xlsx) or JSON (.json)."""
    from klarsyn.evidence.exchange import export_base

    click.echo(f"Written: {export_base(_opened(base), out, form)}")


@command.command()
@click.argument("folder")
def new(folder: str) -> None:
    """Make an empty base in FOLDER, with headers, schema and an example in its README."""
    from klarsyn.evidence.exchange import new_base

    place = new_base(folder)
    click.echo(f"An empty base is in {place}. Its README.md shows an example of each table.")


def _opened(base: str | None) -> Base:
    from klarsyn.errors import InputError
    from klarsyn.evidence import known_bases, open_base

    if base is not None:
        return open_base(base)
    shipped = list(known_bases())
    if not shipped:
        raise InputError("No base ships with this installation. Name a folder or workbook.")
    return open_base(shipped[0])


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _overview(base: Base) -> dict[str, object]:
    from klarsyn.evidence.base import row_counts
    from klarsyn.evidence.exchange import rows_of

    return {"counts": dict(row_counts(base)), "trials": rows_of(base)["trials"]}


def _trial_json(base: Base, trial: Trial) -> dict[str, object]:
    from klarsyn.evidence.exchange import rows_of

    tables = rows_of(base)
    mine = {
        name: [row for row in rows if row.get("trial_id") == trial.id]
        for name, rows in tables.items()
        if name not in {"sources", "scales", "vocabulary", "published"}
    }
    used = {row["source_id"] for rows in mine.values() for row in rows if "source_id" in row}
    mine["sources"] = [row for row in tables["sources"] if row["source_id"] in used]
    return {"base": base.name, "digest": base.digest, **mine}


def _print_trial(base: Base, trial: Trial) -> None:
    click.echo(f"{trial.label} ({trial.id})")
    for name in ("journal", "year", "doi", "registry", "country", "design", "blinding"):
        click.echo(f"  {name}: {getattr(trial, name) or 'not reported'}")
    for name in ("comparator", "population", "participants", "doses", "doses_per_week"):
        value = getattr(trial, name)
        text = f"{value:g}" if isinstance(value, float) else value
        click.echo(f"  {name}: {'not reported' if value in (None, '') else text}")
    arms = [
        (a.id, a.role, a.treatment, _dose(a.dose, a.dose_unit), a.route or "?") for a in trial.arms
    ]
    sizes = [(_number(a.randomised), _number(a.started), _number(a.completed)) for a in trial.arms]
    header = ("arm", "role", "treatment", "dose", "route", "randomised", "started", "completed")
    print_table(header, [(*a, *s) for a, s in zip(arms, sizes, strict=True)])
    rows = [
        (
            f.row,
            f.arm,
            f.outcome,
            f.scale,
            _number(f.days_from_first_dose),
            f.statistic,
            "not reported" if f.value is None else f"{f.value:g} {f.unit}".strip(),
            "" if f.chosen else "not chosen",
            f.source,
            f.locator[:60],
        )
        for f in trial.findings
    ]
    header = ("row", "arm", "outcome", "scale", "day", "statistic", "value", "", "source", "where")
    print_table(header, rows)
    used = {f.source for f in trial.findings} | {trial.source}
    for source in (base.sources[s] for s in sorted(used) if s in base.sources):
        click.echo(f"{source.id}: {source.citation} {source.doi}".rstrip())


def _reason(excluded: Exclusion) -> str:
    return f"{excluded.criterion.text} ({excluded.found or 'not reported'})"


def _dose(dose: float | None, unit: str) -> str:
    return "?" if dose is None else f"{dose:g} {unit}".strip()
