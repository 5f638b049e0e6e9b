"""`klarsyn riskofbias`: signalling answers become suggestions beside recorded judgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from klarsyn.bias.riskofbias import RiskOfBias
    from klarsyn.evidence.trial import Base

EPILOG = """\b
The table has one row an answer, e.g.
  trial,domain,question,answer,who,when,why
  Alpha 2020,D1,1.1,Y,A. Reader,2024-04-01,computer list (p. 3)
  Alpha 2020,D1,1.2,PY,A. Reader,2024-04-01,the pharmacy kept the list (p. 3)
  Alpha 2020,D1,1.3,N,A. Reader,2024-04-01,groups alike (table 1)
  Alpha 2020,D3,judgement,Low,B. Reader,2024-04-02,letter from the author
  Alpha 2020,overall,,Some concerns,A. Reader,2024-04-03,one domain unclear
Domains: D1, D2a (assignment) or D2b (adhering), D3, D4, D5, S (crossover),
overall. Answers: Y, PY, PN, N, NI, NA. The overall judgement is never derived.
outcome, scale, effect, findings, source_id, locator and draft may be there too; --new writes an
empty form with all of them, which is also a base's table riskofbias.
With --tool robins_i: domains B (B2, B3), D1A or D1B, D2 to D6; the worst domain is shown.
\b
  klarsyn riskofbias answers.csv
  klarsyn riskofbias --base ketamine_depression
  klarsyn riskofbias --new form.csv --base ketamine_depression --trial shiroma_2020
  klarsyn riskofbias mine.csv --compare yours.csv
  klarsyn riskofbias --base ketamine_depression --synthesis
  klarsyn riskofbias --questions
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(), required=False)
@click.option("--base", "base_name", default=None, help="Judge the answers that ship with a base.")
@click.option("--compare", type=click.Path(), default=None, help="Compare with a second assessor.")
@click.option("--new", type=click.Path(), default=None, help="Write an empty form there.")
@click.option("--trial", "trials", multiple=True, help="With --new: a trial; may be repeated.")
@click.option("--effect", default="assignment", help="assignment or adhering.")
@click.option("--outcome", default="", help="The result to judge, where there are several.")
@click.option("--tool", "name", default="rob2", help="rob2 or robins_i.")
@click.option("--weights", default="linear", help="Of kappa: linear, quadratic or unweighted.")
@click.option("--synthesis", is_flag=True, help="With --base: which results are not seen (ROB-ME).")
@click.option("--questions", is_flag=True, help="Print the questions in short and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str | None,
    base_name: str | None,
    new: str | None,
    name: str,
    questions: bool,
    synthesis: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge each trial with RoB 2 (or ROBINS-I) from a CSV or Excel FILE of answers, or a base."""
    from klarsyn.bias.questionnaire import tool

    if questions:
        _questions(as_json)
        return
    base = _opened(base_name)
    if synthesis:
        _synthesis(base, as_json)
        return
    if new is not None:
        _write_form(new, base, **options)
        return
    if file is None and base is None:
        raise click.UsageError("Name the file of answers or a --base, or ask for --questions.")
    if tool(name).name == "robins_i":
        if file is None:
            raise click.UsageError("ROBINS-I needs a file of answers.")
        _robins(file, as_json)
        return
    _rob2(file, base, as_json, **options)


def _opened(name: str | None) -> Base | None:
    if name is None:
        return None
    from klarsyn.evidence import open_base

    return open_base(name)


def _questions(as_json: bool) -> None:
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.questionnaire import tool

    texts = [[*key.split(":"), text] for key, text in tool("rob2").texts.items()]
    if as_json:
        print_json([dict(zip(("domain", "question", "text"), t, strict=True)) for t in texts])
    else:
        print_table(["domain", "question", "in short (not the tool's wording)"], texts)


def _synthesis(base: Base | None, as_json: bool) -> None:
    """Which results of a base are seen, and how many unseen null trials would flip each pool."""
    if base is None:
        raise click.UsageError("--synthesis asks about a base: name it with --base.")
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.missingresults import AVAILABILITY
    from klarsyn.report.settings import read_settings
    from klarsyn.report.unseen import derive_unseen

    found = derive_unseen(base, read_settings(base))
    if found is None:
        raise click.UsageError(f"{base.name}: no controlled trial has a result to look for.")
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        [
            r.window,
            r.comparator,
            *(r.counts[a] for a in AVAILABILITY),
            "none tried" if r.to_flip is None else r.to_flip,
        ]
        for r in found.rows
    ]
    heads = [a.replace("_", " ") for a in AVAILABILITY]
    print_table(["time", "comparator", *heads, "null trials to flip"], rows)
    results = found.matrix.results
    matrix = [[s, *(found.matrix.cells[s, r] for r in results)] for s in found.matrix.studies]
    print_table(["trial", *results], matrix, title="Each trial's result at each time")
    click.echo(found.summary())


def _write_form(
    place: str, base: Base | None, trials: tuple[str, ...], effect: str, outcome: str, **_: Any
) -> None:
    from pathlib import Path

    from klarsyn.bias.riskofbias_from_base import base_form, empty_form
    from klarsyn.tables import write_text

    if Path(place).exists():
        raise click.UsageError(f"{place} is already there; name a new file.")
    if base is not None:
        text = base_form(base, trials, outcome=outcome, effect=effect)
    else:
        text = empty_form(trials, outcome=outcome, effect=effect)
    write_text(place, text)
    click.echo(
        f"{place}: {text.count(chr(10)) - 1} questions. Fill in answer, why, who and when; leave "
        f"blank what the path does not ask. Two people should do it apart: --compare compares."
    )


def _rob2(
    file: str | None,
    base: Base | None,
    as_json: bool,
    compare: str | None,
    effect: str,
    outcome: str,
    weights: str,
    **_: Any,
) -> None:
    from klarsyn.app.output import print_json
    from klarsyn.bias.riskofbias_agreement import compare_assessments

    risk = _judged(file, base, effect, outcome)
    if compare is not None:
        other = _judged(compare, base, effect, outcome)
        if risk is None or other is None:
            raise click.UsageError("There is nothing to compare: one side has no answers.")
        compared = compare_assessments(risk, other, weights=weights)
        if as_json:
            print_json(compared.to_dict())
        else:
            _print_comparison(compared)
        return
    published = _published(base) if base is not None and file is None else []
    if as_json:
        told = {"trials": [], "effect": effect} if risk is None else risk.to_dict()
        print_json(told | ({"published": published} if published else {}))
        return
    _print_risk(risk, base, published)


def _judged(file: str | None, base: Base | None, effect: str, outcome: str) -> RiskOfBias | None:
    from klarsyn.bias.riskofbias import assess_rob2, read_answers
    from klarsyn.bias.riskofbias_from_base import check_trials, judge_base

    if file is None:
        return None if base is None else judge_base(base, effect=effect, outcome=outcome)
    answers = read_answers(file)
    if base is not None:
        check_trials(answers, base, file)
    return assess_rob2(answers, effect=effect, outcome=outcome, where=file)


def _published(base: Base) -> list[dict[str, str]]:
    names = ("trial", "tool", "domain", "judgement", "why", "source", "locator", "note")
    return [{n: getattr(p, n) for n in names} for p in base.published_risks]


def _print_risk(
    risk: RiskOfBias | None, base: Base | None, published: list[dict[str, str]]
) -> None:
    from klarsyn.app.output import print_table

    if risk is None:
        named = base.name if base else ""
        click.echo(
            f"{named}: nobody has answered the questions yet. "
            f"`klarsyn riskofbias --new form.csv --base {named}` writes the form."
        )
    else:
        names = list(dict.fromkeys(d for r in risk.trials.values() for d in r.domains))
        rows = [
            [r.trial]
            + [r.domains[d].judgement if d in r.domains else "not judged" for d in names]
            + [r.overall.answer if r.overall else "not judged", "draft" if r.draft else ""]
            for r in risk.trials.values()
        ]
        print_table(["trial", *names, "overall", ""], rows)
        for r in risk.trials.values():
            notes = [d.note for d in r.domains.values() if d.note]
            click.echo(f"{r.trial}: {' '.join([*notes, r.note])}")
        click.echo(risk.summary())
    if published:
        header = ["trial", "domain as published", "judgement as published", "source"]
        rows = [[p["trial"], p["domain"], p["judgement"], p["source"]] for p in published]
        print_table(header, rows, title="Judged by others, with their own tool")


def _print_comparison(compared: Any) -> None:
    from klarsyn.app.output import print_table

    rows = [[name, a.items, a.summary()] for name, a in compared.judgements.items()]
    print_table(["domain", "trials", "agreement"], rows)
    lines = [
        [d.trial, d.domain, d.question, d.first, d.second, d.first_why, d.second_why]
        for d in compared.disagreements
    ]
    header = ["trial", "domain", "question", "first", "second", "first's reason", "second's reason"]
    if lines:
        print_table(header, lines, title="To be settled")
    for one, names in (("first", compared.only_first), ("second", compared.only_second)):
        if names:
            click.echo(f"Judged by the {one} alone: {', '.join(names)}.")
    click.echo(compared.summary())


def _robins(file: str, as_json: bool) -> None:
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.riskofbias import read_answers, robins_i

    studies: dict[str, dict[str, dict[str, str]]] = {}
    for line in read_answers(file):
        domain = studies.setdefault(line.trial, {}).setdefault(line.domain, {})
        domain[line.question] = line.answer
    found = {s: robins_i(domains, where=f"{file}: {s}") for s, domains in studies.items()}
    if as_json:
        print_json(found)
        return
    rows = [
        [s, "; ".join(f"{d} {j}" for d, j in r["domains"].items()) or r["stopped"], r["overall"]]
        for s, r in found.items()
    ]
    print_table(["study", "domains", "worst"], rows)
