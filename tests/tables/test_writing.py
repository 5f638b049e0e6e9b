from __future__ import annotations

import os
from pathlib import Path

import pytest

from klarsyn.errors import InputError
from klarsyn.tables import whole_files, write_text


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_files_appear_with_their_content_and_nothing_else(tmp_path: Path) -> None:
    whole_files(tmp_path / "out", {"a.csv": b"1", "sub/b.csv": b"2"})
    assert names(tmp_path) == ["out/a.csv", "out/sub/b.csv"]
    write_text(tmp_path / "out" / "a.csv", "æøå\n")
    assert (tmp_path / "out" / "a.csv").read_bytes() == "æøå\n".encode()
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")] == []


def test_a_write_that_fails_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_files(tmp_path, {"a": b"old a", "b": b"old b"})
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "b":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"No space left on device.*Nothing was changed"):
        whole_files(tmp_path, {"a": b"new a", "b": b"new b"})
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"old a"
    assert names(tmp_path) == ["a", "b"]


def test_no_file_appears_before_all_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = os.replace

    def watched(src: Path, dst: Path) -> None:
        staged = [p for p in Path(src).parent.rglob("*") if p.is_file()]
        seen.append([p.name for p in staged])
        real(src, dst)

    monkeypatch.setattr(os, "replace", watched)
    whole_files(tmp_path, {"a": b"1", "b": b"2"})
    assert sorted(seen[0]) == ["a", "b"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write there"):
        whole_files(tmp_path / "file", {"a": b"1"})
    with pytest.raises(InputError, match="cannot write there"):
        write_text(tmp_path / "file" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="writing failed"):
        write_text(tmp_path / "folder", "x")
