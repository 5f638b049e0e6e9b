"""Every bar of the synthesis engine's speed beside what this machine needs now.

    python benchmarks/bars.py [--rounds 9]

One line a piece of work: the bar, the median of processor time on one core and whether it meets
the bar, the median by the clock on the wall (the same on a quiet machine), and the first call of
this process (libraries are loaded, compiled code comes from the cache). Ends with exit code 1
where a bar is not met.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import beside  # noqa: F401  (limits the threads before numpy is loaded)

# isort: split
import bayes
import multilevel
import network
import pairwise
import rare
import selection
import subsets


class Bar(NamedTuple):
    """A piece of work, its bar in seconds, and how many fits a call holds."""

    what: str
    seconds: float
    call: Callable[[], Any]
    per: int = 1


def bars() -> Iterator[Bar]:
    yield Bar("all 2^15 − 1 subsets, REML", 0.06, subsets.every_subset(15))
    yield Bar("all 2^20 − 1 subsets, REML", 3.0, subsets.every_subset(20))
    for k in pairwise.PERMUTED:
        yield Bar(f"1,000 permutations, one moderator, k = {k}", 0.005, pairwise.permuted(k))
    yield Bar("one REML fit, k = 20, in a batch of 10^4", 1e-4, pairwise.batched(), pairwise.BATCH)
    yield Bar("one REML fit, k = 20, alone", 4e-4, pairwise.fit(20))
    yield Bar("one REML fit, k = 1,000", 5e-4, pairwise.fit(1000))
    yield Bar("three levels, 500 effects in 100 clusters", 0.005, multilevel.fit())
    data = network.example(network.TREATMENTS, network.TRIALS)
    yield Bar("network, 50 treatments, 200 trials, REML", 0.01, network.fitted(data))
    made = network.fit_network(data)
    yield Bar("all node-splits and contributions of it", 0.2, network.both(made))
    tables = rare.tables()
    for label, bar in (("nielweise (k = 18)", 0.07), ("nissen (k = 42)", 0.3)):
        yield Bar(f"exact conditional GLMM, {label}", bar, rare.case(tables[label], "CM.EL"))
    yield Bar("random effects by quadrature, BCG", 0.05, bayes.everything(*bayes.bcg()))
    yield Bar("beta selection model, k = 37", 0.1, selection.model(*selection.published(), "beta"))
    yield Bar("leave-one-out, k = 13", 5e-4, pairwise.left_out())


def seconds(call: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Median processor time and median wall time of several calls."""
    processor, wall = [], []
    for _ in range(rounds):
        begun, start = time.perf_counter(), time.process_time()
        call()
        processor.append(time.process_time() - start)
        wall.append(time.perf_counter() - begun)
    return sorted(processor)[rounds // 2], sorted(wall)[rounds // 2]


def peak_of_all_subsets() -> float:
    """MiB that a process of its own needs at most for the 2^20 − 1 subsets, everything counted."""
    body = "import subsets; subsets.every_subset(20)(); print(subsets.process_mib())"
    done = subprocess.run(
        [sys.executable, "-c", body],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)),
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="Rounds; the median is printed.")
    rounds = parser.parse_args().rounds
    print(f"load average {os.getloadavg()[0]:.1f}; processor time, one core, {rounds} rounds")
    print(f"{'work':<46}{'bar':>9}{'ours':>9}  met{'wall':>9}{'first':>9}")
    met = True
    for bar in bars():
        first, _ = seconds(bar.call, 1)
        ours, wall = seconds(bar.call, 3 if first > 0.5 else rounds)
        good = ours <= bar.seconds * bar.per
        met &= good
        cells = [bar.seconds, *(s / bar.per for s in (ours, wall, first))]
        limit, ours, wall, first = (f"{_time(s):>9}" for s in cells)
        print(f"{bar.what:<46}{limit}{ours}  {_said(good)}{wall}{first}", flush=True)
    peak = peak_of_all_subsets()
    good = peak < 2048
    print(
        f"{'peak memory of the 2^20 − 1 subsets':<46}{'2048 MiB':>9}{peak:5.0f} MiB  {_said(good)}"
    )
    sys.exit(0 if met and good else 1)


def _said(good: bool) -> str:
    return "yes" if good else " NO"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}"
    return ""


if __name__ == "__main__":
    main()
