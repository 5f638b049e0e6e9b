"""The names a stranger needs are there, cheap to ask for, and the examples run."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import klarsyn

EXAMPLES = sorted(Path("examples").glob("*.py"))


@pytest.mark.parametrize("name", [n for n in dir(klarsyn) if n != "__version__"])
def test_a_front_door_opens(name: str) -> None:
    assert callable(getattr(klarsyn, name))


def test_an_unknown_door_names_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="open_base"):
        _ = klarsyn.opn_base


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs_and_says_something(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert len(capsys.readouterr().out) > 80


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from klarsyn.app.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'polars', 'altair', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "appraise" in done.stdout
