from __future__ import annotations

from pathlib import Path

import pytest

from klarsyn.evidence import Base, open_base

from .small import small, write_base


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    return write_base(tmp_path / "small", small())


@pytest.fixture
def small_base(small_folder: Path) -> Base:
    return open_base(small_folder)
