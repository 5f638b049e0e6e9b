"""Outputs appear whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from klarsyn.errors import InputError


def csv_text(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV: a header, then the cells of each row; commas, lines end with a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue()


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file in one step: a reader sees the old file or the new one, never a part."""
    whole_files(Path(path).parent, {Path(path).name: text.encode()})


def whole_files(folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Write several files below `folder`; all are complete on disk before the first appears."""
    target = Path(folder)
    with _staging(target) as stage:
        for name, content in files.items():
            place = stage / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        for name in files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(stage / name, target / name)


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    try:
        target.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".klarsyn-", dir=target))
    except (OSError, ValueError) as bad:
        reason = getattr(bad, "strerror", None) or str(bad)
        raise InputError(
            f"{target}: cannot write there ({reason}). Choose another folder."
        ) from None
    try:
        yield stage
    except OSError as bad:
        raise InputError(
            f"{target}: writing failed ({bad.strerror}). Nothing was changed."
        ) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
