"""Timing of ours beside R and Python peers in one run; shared by the scripts of this folder.

Times are medians of the processor time of one core, so that other work on the machine does not
count. A call that takes more than a second is made once.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

DATA = Path(__file__).resolve().parent.parent / "tests" / "oracles" / "data"

R_HEAD = """
cpu <- function() sum(proc.time()[1:2])
say <- function(name, f, per = 1, warm = TRUE) {
  quiet <- function() suppressMessages(suppressWarnings(f()))
  s <- cpu(); v <- try(quiet(), silent = TRUE); once <- cpu() - s
  if (inherits(v, "try-error")) {
    why <- gsub("[\\t\\n]+", " ", sub("^Error in .*? : ", "", conditionMessage(attr(v, "condition"))))
    cat(name, "NA", "NA", why, sep = "\\t"); cat("\\n"); return(invisible()) }
  if (once < 1) { t <- numeric(ROUNDS); for (i in seq_len(ROUNDS)) { s <- cpu(); n <- 0
    while (cpu() - s < 0.05) { quiet(); n <- n + 1 }; t[i] <- (cpu() - s) / n }
    once <- median(t) }
  cat(name, sprintf("%.10g", 1000 * once / per), sprintf("%.17g", v), "", sep = "\\t"); cat("\\n") }
"""  # noqa: E501

PYTHON_HEAD = """
import importlib, json, time, warnings
warnings.filterwarnings("ignore")
def has(peer, module=None):
    try:
        return importlib.import_module(module or peer)
    except ImportError:
        print("LACKS" + json.dumps(peer), flush=True)
def say(peer, name, f, per=1):
    why = ""
    try:
        start = time.process_time(); value = float(f())
        took = [time.process_time() - start]
        for _ in range(ROUNDS if took[0] < 1 else 0):
            start = time.process_time(); f(); took.append(time.process_time() - start)
        ms = 1e3 * sorted(took[1:] or took)[len(took[1:] or took) // 2] / per
    except Exception as bad:
        value, ms, why = None, None, f"{type(bad).__name__}: {bad}"
    print("ROW" + json.dumps([peer, name, ms, value, why]), flush=True)
"""


class Cell(NamedTuple):
    """Median milliseconds and the value that is compared; None with the reason where it failed."""

    ms: float | None
    value: float | None
    why: str = ""


class Peer(NamedTuple):
    """What one peer did, and why it did not do the rest."""

    rows: dict[str, Cell]
    rest: str = "no such method"


Rows = dict[str, Cell]


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="Rounds; the median is printed.")
    parser.add_argument("--peer-python", default=None, help="Interpreter that has the peers.")
    parser.add_argument("--patience", type=float, default=120.0, help="Seconds for each program.")
    return parser.parse_args()


def columns(name: str) -> dict[str, list[float]]:
    """The numeric columns of a data set."""
    with (DATA / f"{name}.csv").open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    out: dict[str, list[float]] = {}
    for column in records[0]:
        try:
            out[column] = [float(r[column]) for r in records]
        except ValueError:
            continue
    return out


def median_seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median processor time of several calls after one that is not counted."""
    call()
    took = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        took.append(time.process_time() - start)
    return sorted(took)[len(took) // 2]


def ours(
    calls: Mapping[str, Callable[[], float]], rounds: int, per: Mapping[str, int] | None = None
) -> Rows:
    """Time calls that return the value to compare; `per` divides the time of a batch."""
    return {
        name: Cell(1e3 * median_seconds(call, rounds) / (per or {}).get(name, 1), call())
        for name, call in calls.items()
    }


def in_r(
    body: str,
    chosen: argparse.Namespace,
    *,
    name: str,
    packages: tuple[str, ...] = (),
    folder: Path = DATA,
    rest: str = "no such method",
) -> dict[str, Peer]:
    """One R peer; its script calls say(case, function); DATA is `folder`."""
    if shutil.which("Rscript") is None:
        return {name: Peer({}, "Rscript is not installed here")}
    load = "".join(f"suppressMessages(library({p}))\n" for p in packages)
    rounds = min(chosen.rounds, 5)
    script = f"ROUNDS <- {rounds}\nDATA <- '{folder}/'\n{load}{R_HEAD}\n{body}"
    out, why = _run(["Rscript", "-e", script], chosen.patience)
    rows = {}
    for line in out.splitlines():
        parts = line.split("\t")
        if len(parts) == 4:
            rows[parts[0]] = Cell(_number(parts[1]), _number(parts[2]), parts[3])
    return {name: Peer(rows, why or rest)}


def in_python(
    body: str,
    chosen: argparse.Namespace,
    *,
    rest: Mapping[str, str],
    folder: Path = DATA,
) -> dict[str, Peer]:
    """The Python peers; the script calls say(peer, case, function) under `if has(peer, module)`.

    `rest` names every peer with the reason why it lacks what the script does not call.
    """
    if chosen.peer_python is None:
        return {peer: Peer({}, "--peer-python not given") for peer in rest}
    script = f"ROUNDS = {min(chosen.rounds, 5)}\nDATA = {str(folder)!r}\n{PYTHON_HEAD}\n{body}"
    out, why = _run([chosen.peer_python, "-c", script], chosen.patience)
    rows: dict[str, Rows] = {peer: {} for peer in rest}
    missing = set()
    for line in out.splitlines():
        if line.startswith("ROW"):
            peer, case, ms, value, reason = json.loads(line[3:])
            rows.setdefault(peer, {})[case] = Cell(ms, value, reason)
        elif line.startswith("LACKS"):
            missing.add(json.loads(line[5:]))
    last = next(
        (json.loads(x[3:])[0] for x in reversed(out.splitlines()) if x[:3] == "ROW"), None
    )
    return {
        peer: Peer(
            found,
            "not installed here"
            if peer in missing
            else why
            if why and peer == last
            else rest.get(peer, "no such method"),
        )
        for peer, found in rows.items()
    }


def show(title: str, mine: Rows, peers: Mapping[str, Peer], *, compared: str = "estimate") -> None:
    """A line a case and, below it, a line a peer: median, ratio and how far its value lies off."""
    print(f"\n{title}\n(medians of processor time, one core; compared: {compared})")
    for case, (ms, value, _) in mine.items():
        assert ms is not None
        said = "" if value is None or math.isnan(value) else f"  {compared} {value:.6f}"
        print(f"{case:<46} ours {_time(ms)}{said}")
        for name, peer in peers.items():
            print(f"    {name:<24}{_against(peer, case, ms, value)}")


def _against(peer: Peer, case: str, ms: float, value: float | None) -> str:
    row = peer.rows.get(case)
    if row is None:
        return f"           –  ({peer.rest})"
    if row.ms is None:
        return f"           –  (fails: {row.why[:70]})"
    off = ""
    if row.value is not None and value is not None and not math.isnan(row.value - value):
        off = f"  differs by {abs(row.value - value):.0e}"
    return f"{_time(row.ms)}  {row.ms / ms:8.1f} ×{off}"


def _time(ms: float) -> str:
    return f"{ms:9.2f} ms" if ms >= 0.1 else f"{1e3 * ms:9.2f} µs"


def _run(command: list[str], patience: float) -> tuple[str, str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=patience
        )
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        return out.decode() if isinstance(out, bytes) else out, f"stopped after {patience:.0f} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return done.stdout, f"failed: {lines[-1][:70]}"
    return done.stdout, ""


def _number(text: str) -> float | None:
    return None if text in {"NA", "NaN"} else float(text)
