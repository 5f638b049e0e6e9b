"""Whether a path names a file that can be read as a table."""

from __future__ import annotations

from pathlib import Path

from klarsyn.errors import InputError

MOST_BYTES = 1 << 30


def check_readable(file: Path) -> None:
    """Raise InputError when there is no file, it is a folder, or it is too large to read whole."""
    try:
        if not file.exists():
            raise InputError(f"{file}: there is no such file. Check the path and its spelling.")
        if file.is_dir():
            raise InputError(f"{file} is a folder, not a table. Name a CSV or Excel file in it.")
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file}: larger than {MOST_BYTES >> 20} MiB. Split the table.")
    except (OSError, ValueError) as bad:
        raise InputError(f"{file}: cannot be read ({bad}).") from None
