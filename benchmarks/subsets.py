"""All subsets of the studies: ours and metafor's gosh() on the same studies in one run.

    python benchmarks/subsets.py [--largest 20] [--rounds 5]

Prints seconds and peak memory of our fits for k up to `--largest`, the exponent of the number of
subsets, and, on the 2^10 − 1 subsets that a peer can do in reasonable time, the ratio and the
largest difference. pimeta is compared where `--peer-python` has it. One core.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)

from klarsyn.synthesis.effects import Effects, effects_from_arrays  # noqa: E402
from klarsyn.synthesis.subsets import subsets  # noqa: E402

SEED = 20260102
PEER_K = 10

R_SCRIPT = """
suppressMessages(library(metafor))
input <- file("stdin"); lines <- readLines(input); close(input)
num <- function(i) as.numeric(strsplit(lines[i], " ")[[1]])
m <- rma(num(1), num(2)); s <- proc.time()[3]
g <- gosh(m, progbar=FALSE)
cat(proc.time()[3] - s, "\\n"); cat(sprintf("%.15g", sort(g$res[,"estimate"])))
"""
PYTHON_SCRIPT = """
import sys, time, numpy as np, pimeta
y, v = (np.array(list(map(float, line.split()))) for line in sys.stdin.read().splitlines())
start = time.perf_counter()
g = pimeta.gosh(y, v, method="REML")
print(time.perf_counter() - start)
print(" ".join(repr(float(e)) for e in np.sort(np.ravel(g.estimate))))
"""


def studies(k: int) -> Effects:
    rng = np.random.default_rng([SEED, k])
    v = rng.uniform(0.02, 0.4, k)
    return effects_from_arrays(rng.normal(0.3, np.sqrt(v + 0.1)), v)


def seconds(k: int, rounds: int) -> float:
    effects = studies(k)
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        subsets(effects, method="REML", test="z")
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2]


def peer(name: str, command: list[str], ours: float) -> None:
    effects = studies(PEER_K)
    lines = "\n".join(" ".join(map(repr, a.tolist())) for a in (effects.y, effects.v)) + "\n"
    ran = subprocess.run(command, input=lines, capture_output=True, text=True)
    if ran.returncode:
        print(f"{name}: not run here ({ran.stderr.strip().splitlines()[-1:]})")
        return
    first, second = ran.stdout.strip().split("\n")
    values = np.array([float(x) for x in second.replace("NA", "nan").split()])
    values = np.sort(values[np.isfinite(values)])
    mine = np.sort(subsets(effects, method="REML", test="z").estimate)
    same = len(values) == len(mine)
    off = f"largest difference of an estimate {np.abs(values - mine).max():.0e}" if same else ""
    failed = f"{len(mine) - len(values)} subsets without a result, " if not same else ""
    print(
        f"{name}: {float(first):.3f} s for {len(mine)} subsets, {float(first) / ours:.0f} times "
        f"ours, {failed}{off}".rstrip(", ")
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--largest", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--peer-python", default=sys.executable)
    chosen = options.parse_args()
    seconds(4, 1)  # loads the compiled kernel
    sizes = [k for k in (8, 10, 12, 15, 18, 20) if k <= chosen.largest]
    took = []
    for k in sizes:
        took.append(seconds(k, chosen.rounds))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        count = 2**k - 1
        print(
            f"k = {k:2d}  {count:8d} subsets  {took[-1]:8.4f} s  {1e6 * took[-1] / count:6.2f} µs "
            f"a subset  peak {peak:5.0f} MiB"
        )
    slope = np.polyfit(np.log([2**k for k in sizes[2:]]), np.log(took[2:]), 1)[0]
    print(f"exponent of the number of subsets: {slope:.2f}")
    ours = seconds(PEER_K, chosen.rounds)
    if shutil.which("Rscript"):
        peer("metafor gosh()", ["Rscript", "-e", R_SCRIPT], ours)
    else:
        print("metafor: Rscript is not installed here, not compared")
    peer("pimeta gosh()", [chosen.peer_python, "-W", "ignore", "-c", PYTHON_SCRIPT], ours)


if __name__ == "__main__":
    main()
