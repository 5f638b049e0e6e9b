"""Figures become pictures, in as many helper processes as there are processors (two at most)."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from klarsyn.errors import KlarsynError

PROCESSES = 2
PNG_SCALE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A figure's wide form as SVG text and as PNG."""

    id: str
    svg: str
    png: bytes


def draw_pictures(
    specs: Mapping[str, Any],
    progress: Callable[[str], None] = lambda _: None,
    processes: int | None = None,
) -> dict[str, Pictures]:
    """The pictures of Vega-Lite specifications by figure id, in the given order.

    The same specifications give the same bytes however many `processes` share the work.
    `progress` hears each id as its pictures are done.
    """
    count = min(processes or PROCESSES, os.cpu_count() or 1, len(specs))
    tasks = [json.dumps([name, spec]) for name, spec in specs.items()]
    found: dict[str, Pictures] = {}
    for pictures in _drawn(tasks, count):
        found[pictures.id] = pictures
        progress(pictures.id)
    return {name: found[name] for name in specs}


def _drawn(tasks: Sequence[str], count: int) -> Iterator[Pictures]:
    if count <= 1:
        for task in tasks:
            yield _pictures(_draw(task))
        return
    lines: SimpleQueue[str] = SimpleQueue()
    helpers = [_helper(share, lines) for share in _shares(tasks, count)]
    try:
        for _ in tasks:
            line = lines.get()
            if not line:
                raise KlarsynError("A figure could not be drawn: its helper process ended early.")
            yield _pictures(line)
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()


def _shares(tasks: Sequence[str], count: int) -> list[list[str]]:
    """The tasks dealt out by size, largest first, always to the helper with least to do."""
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [0] * count
    for task in sorted(tasks, key=len, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += len(task) + 20_000
    return shares


def _helper(share: Sequence[str], lines: SimpleQueue[str]) -> subprocess.Popen[str]:
    """A process that draws its share; every line it answers goes into `lines`, "" if it fails."""
    helper = subprocess.Popen(
        [sys.executable, "-m", "klarsyn.report.drawing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )

    def feed() -> None:
        assert helper.stdin is not None
        try:
            with helper.stdin as pipe:
                pipe.writelines(task + "\n" for task in share)
        except OSError:
            return

    def listen() -> None:
        assert helper.stdout is not None
        answered = 0
        with helper.stdout as pipe:
            for line in pipe:
                answered += 1
                lines.put(line)
        if answered < len(share):
            lines.put("")

    Thread(target=feed, daemon=True).start()
    Thread(target=listen, daemon=True).start()
    return helper


def _draw(task: str) -> str:
    """One task's answer: [id, SVG, PNG in base 64] as a line of JSON."""
    import vl_convert

    name, spec = json.loads(task)
    svg = draw_svg(spec)
    png = base64.b64encode(vl_convert.svg_to_png(svg, scale=PNG_SCALE)).decode()
    return json.dumps([name, svg, png])


def _pictures(line: str) -> Pictures:
    name, svg, png = json.loads(line)
    return Pictures(id=name, svg=svg, png=base64.b64decode(png))


def draw_svg(spec: Mapping[str, Any]) -> str:
    """The SVG of a Vega-Lite specification; equal specifications give equal text."""
    import vl_convert

    return _renumbered(vl_convert.vegalite_to_svg(dict(spec)))


def _renumbered(svg: str) -> str:
    """The SVG with its clip paths counted from 0: the renderer counts through the whole process."""
    seen: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return seen.setdefault(found.group(0), f"clip{len(seen)}")

    return re.sub(r"\bclip\d+\b", number, svg)


def serve(source: IO[str], sink: IO[str]) -> None:
    """Answer each task of `source` with a line in `sink`."""
    for task in source:
        sink.write(_draw(task) + "\n")
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
