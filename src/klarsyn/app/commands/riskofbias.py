"""`klarsyn riskofbias`: signalling answers become suggestions beside recorded judgements."""

from __future__ import annotations

import click

EPILOG = """\b
The table has one row an answer, e.g.
  trial,domain,question,answer,who,when,why
  Alpha 2020,D1,1.1,Y,A. Reader,2024-04-01,computer list (p. 3)
  Alpha 2020,D3,judgement,Low,B. Reader,2024-04-02,letter from the author
  Alpha 2020,overall,,Some concerns,A. Reader,2024-04-03,one domain unclear
Domains: D1, D2a (assignment) or D2b (adhering), D3, D4, D5, S (crossover, judgement only),
overall. Answers: Y, PY, PN, N, NI, NA. The overall judgement is never derived.
With --tool robins_i: domains B (B2, B3), D1A or D1B, D2 to D6; the worst domain is shown.
\b
  klarsyn riskofbias answers.csv
  klarsyn riskofbias --questions
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(), required=False)
@click.option("--effect", default="assignment", help="assignment or adhering.")
@click.option("--tool", "name", default="rob2", help="rob2 or robins_i.")
@click.option("--questions", is_flag=True, help="Print the questions in short and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str | None, effect: str, name: str, questions: bool, as_json: bool) -> None:
    """Judge each trial with RoB 2 (or ROBINS-I) from a CSV or Excel FILE of answers."""
    from klarsyn.app.output import print_json, print_table
    from klarsyn.bias.questionnaire import tool
    from klarsyn.bias.riskofbias import assess_rob2, read_answers

    if questions:
        texts = [[*key.split(":"), text] for key, text in tool("rob2").texts.items()]
        if as_json:
            print_json([dict(zip(("domain", "question", "text"), t, strict=True)) for t in texts])
        else:
            print_table(["domain", "question", "in short (not the tool's wording)"], texts)
        return
    if file is None:
        raise click.UsageError("Name the file of answers, or ask for --questions.")
    if tool(name).name == "robins_i":
        _robins(file, as_json)
        return
    risk = assess_rob2(read_answers(file), effect=effect, where=file)
    if as_json:
        print_json(risk.to_dict())
        return
    names = list(dict.fromkeys(d for r in risk.trials.values() for d in r.domains))
    rows = [
        [r.trial]
        + [r.domains[d].judgement if d in r.domains else "not judged" for d in names]
        + [r.overall.answer if r.overall else "not judged"]
        for r in risk.trials.values()
    ]
    print_table(["trial", *names, "overall"], rows)
    for r in risk.trials.values():
        notes = [d.note for d in r.domains.values() if d.note]
        click.echo(f"{r.trial}: {' '.join([*notes, r.note])}")
    click.echo(risk.summary())


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
