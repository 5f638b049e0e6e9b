"""The table for people who come from R names only what is there."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from klarsyn.app.cli import COMMANDS

TABLE = Path(__file__).parents[1] / "docs" / "coming-from-r.md"
CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w+)\(")
NOT_OURS = {"sqrt"}  # numpy's


def rows() -> list[tuple[str, str]]:
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert all(len(c) == 2 for c in cells)
    return [(a.strip(), b.strip()) for a, b in cells[1:]]


def modules() -> list[str]:
    """The modules that the bold rows name; a name that starts with a dot stays in its room."""
    out, room = [], ""
    for left, right in rows():
        if left.startswith("**"):
            for name in re.findall(r"`([\w.]+)`", right):
                room = room if name.startswith(".") else name.partition(".")[0]
                out.append(f"klarsyn.{room}.{name.rpartition('.')[2]}")
    return out


def test_every_call_is_in_a_module_that_the_table_names() -> None:
    held: set[str] = set()
    for module in modules():
        held |= set(dir(importlib.import_module(module)))
    unquoted = [re.sub(r'"[^"]*"', "", r) for left, r in rows() if not left.startswith("**")]
    named = {c for right in unquoted for c in CALL.findall(right)}
    assert len(named) > 50
    assert named - held - NOT_OURS == set()


@pytest.mark.parametrize("line", re.findall(r"`klarsyn ([^`]+)`", TABLE.read_text("utf-8")))
def test_every_command_and_option_exists(line: str) -> None:
    name, *rest = line.split()
    module = importlib.import_module(f"klarsyn.app.commands.{COMMANDS[name][0].rpartition('.')[2]}")
    known = {o for p in module.command.params for o in p.opts}
    assert {w for w in rest if w.startswith("--")} <= known


def test_names_of_arguments_are_arguments() -> None:
    taken: set[str] = set()
    for module in modules():
        held = vars(importlib.import_module(module)).values()
        methods = [m for c in held if inspect.isclass(c) for m in vars(c).values() if callable(m)]
        for item in [*held, *methods]:
            if inspect.isroutine(item) or inspect.isclass(item):
                try:
                    taken |= set(inspect.signature(item).parameters)
                except ValueError:
                    continue
    assert {"method", "measure"} <= taken
    said = {
        k for left, right in rows() if not left.startswith("**")
        for code in re.findall(r"`([^`]+)`", right) if not code.startswith("klarsyn ")
        for k in re.findall(r"[(,] *([a-z_]\w*)=(?!=)", code)
    }  # fmt: skip
    assert said - taken == set()
