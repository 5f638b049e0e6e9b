"""How a command prints a result: a short table, or JSON with `--json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print JSON that any reader takes: NaN and infinities become null."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """The value as JSON types; arrays become lists, NaN and infinities None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table to standard output, in plain text when it is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title or None, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
