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
\b
  klarsyn riskofbias answers.csv
  klarsyn riskofbias --questions
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(), required=False)
@click.option("--effect", default="assignment", help="assignment or adhering.")
@click.option("--questions", is_flag=True, help="Print the questions in short and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str | None, effect: str, questions: bool, as_json: bool) -> None:
    """Judge each trial with RoB 2 from a CSV or Excel FILE of answers."""
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
