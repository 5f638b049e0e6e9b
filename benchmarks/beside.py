"""Timing of ours beside R and Python peers in one run; shared by the scripts of this folder.

A peer that takes more than a second is timed once.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

DATA = Path(__file__).resolve().parent.parent / "tests" / "oracles" / "data"

R_HEAD = """
took <- function(f, rounds) { f(); t <- numeric(rounds)
  for (i in seq_len(rounds)) { s <- proc.time()[["elapsed"]]; n <- 0
    while (proc.time()[["elapsed"]] - s < 0.05) { f(); n <- n + 1 }
    t[i] <- (proc.time()[["elapsed"]] - s) / n }
  1000 * median(t) }
say <- function(name, f) { s <- proc.time()[["elapsed"]]
  v <- try(suppressWarnings(f()), silent = TRUE); once <- proc.time()[["elapsed"]] - s
  if (inherits(v, "try-error")) { cat(name, "NA", "NA\\n", sep = "\\t")
  } else cat(name, if (once > 1) 1000 * once else took(function() suppressWarnings(f()), ROUNDS),
    v, sep = "\\t"); cat("\\n") }
"""

PYTHON_HEAD = """
import json, time, warnings
warnings.filterwarnings("ignore")
def say(name, f):
    try:
        start = time.perf_counter(); value = float(f())
        took = [time.perf_counter() - start]
        for _ in range(ROUNDS if took[0] < 1 else 0):
            start = time.perf_counter(); f(); took.append(time.perf_counter() - start)
        ms = 1e3 * sorted(took)[len(took) // 2]
    except Exception as bad:
        value, ms = None, None
    print("ROW" + json.dumps([name, ms, value]))
"""

Rows = dict[str, tuple[float | None, float | None]]


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=9, help="Rounds; the median is printed.")
    parser.add_argument("--peer-python", default=None, help="Interpreter that has the peers.")
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


def ours(calls: Mapping[str, Callable[[], float]], rounds: int) -> Rows:
    rows: Rows = {}
    for name, call in calls.items():
        value = call()
        took = []
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            took.append(time.perf_counter() - start)
        rows[name] = (1e3 * sorted(took)[len(took) // 2], value)
    return rows


def in_r(body: str, rounds: int) -> Rows | None:
    """Rows that an R script says; None without Rscript."""
    if shutil.which("Rscript") is None:
        return None
    script = f"ROUNDS <- {rounds}\nDATA <- '{DATA}/'\n{R_HEAD}\n{body}"
    done = subprocess.run(
        ["Rscript", "-e", script], capture_output=True, text=True, check=False, timeout=600
    )
    rows: Rows = {}
    for line in done.stdout.splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            rows[parts[0]] = (_number(parts[1]), _number(parts[2]))
    return rows or None


def in_python(interpreter: str | None, body: str, rounds: int) -> Rows | None:
    """Rows that a peer's interpreter says; None where there is none."""
    if interpreter is None:
        return None
    script = f"ROUNDS = {min(rounds, 3)}\nDATA = {str(DATA)!r}\n{PYTHON_HEAD}\n{body}"
    done = subprocess.run(
        [interpreter, "-c", script], capture_output=True, text=True, check=False, timeout=600
    )
    found = [json.loads(x[3:]) for x in done.stdout.splitlines() if x.startswith("ROW")]
    if done.returncode:
        print(done.stderr[-500:])
    return {name: (ms, value) for name, ms, value in found} or None


def show(title: str, mine: Rows, peers: Mapping[str, Rows | None]) -> None:
    """A line a case: our median, each peer's median, ratio and its difference of the estimate."""
    print(title)
    for name, rows in peers.items():
        if rows is None:
            print(f"  {name} is not installed here")
    for case, (ms, value) in mine.items():
        print(f"{case:<34} ours {ms:9.2f} ms  estimate {value:.6f}")
        for name, rows in peers.items():
            if rows is not None:
                print(f"    {_peer(name, rows.get(case), ms, value)}")


def _peer(name: str, row: Any, ms: float | None, value: float | None) -> str:
    if row is None:
        return f"{name:<14} has no such method"
    if row[0] is None or ms is None or value is None:
        return f"{name:<14} fails"
    return f"{name:<14} {row[0]:9.2f} ms  {row[0] / ms:7.1f} ×  difference {row[1] - value:+.1e}"


def _number(text: str) -> float | None:
    return None if text == "NA" else float(text)
