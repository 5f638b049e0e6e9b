"""`klarsyn appraise`: a base becomes a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@click.command()
@click.argument("base", default="ketamine_depression")
@click.option("--out", default="out", show_default=True, help="Folder for the page.")
@click.option(
    "--lang",
    default="en",
    show_default=True,
    type=click.Choice(["en", "nb"]),
    help="Language of the page.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(base: str, out: str, lang: str, as_json: bool) -> None:
    """Write the page that answers the four questions about BASE.

    BASE is a shipped base (see `klarsyn evidence list`), a folder of tables or an Excel workbook.
    The folder gets index.html, results.json and figures/; files appear whole or not at all.
    """
    from pathlib import Path

    from klarsyn.app.output import print_json
    from klarsyn.evidence import open_base
    from klarsyn.report.appraisal import build_report
    from klarsyn.report.html import render
    from klarsyn.tables import whole_files

    with _progress() as say:
        say(f"Reading {base}")
        opened = open_base(base)
        say("Pooling")
        report, context = build_report(opened, lang)
        files = render(report, context.words, lambda title: say(f"Drawing: {title}"))
        say("Writing")
        whole_files(out, files)
    if as_json:
        import json

        print_json(json.loads(files["results.json"]))
        return
    _print_answers(report, context.words.plain("page.notice"))
    click.echo(f"\nThe page: {Path(out) / 'index.html'}")


def _print_answers(report: Any, notice: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=report.title, show_header=False, box=None, padding=(0, 2, 1, 0))
    for card in report.summary:
        table.add_row(card["question"], card["answer"])
    console = Console(highlight=False)
    console.print(table)
    console.print(notice)


def _progress() -> Any:
    """A context whose value says what is being done: one changing line, or lines in a log."""
    from contextlib import nullcontext

    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext(lambda text: click.echo(f"  {text}", err=True))
    status = console.status("Starting")

    @contextmanager
    def shown() -> Iterator[Callable[[str], None]]:
        with status:
            yield status.update

    return shown()
