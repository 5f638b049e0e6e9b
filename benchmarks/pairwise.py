"""Ours and the peers on the same studies in one run: fits, leave-one-out, permutations, a batch.

    python benchmarks/pairwise.py [--peer-python PATH] [--rounds 15]

Prints the median of several rounds, the ratio to ours and the largest difference of the estimate
from ours. R's metafor runs through `Rscript`, Python peers (pimeta, PyMARE, statsmodels) in the
interpreter of `--peer-python`; what is not installed is named. One core.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)
from growth import growth  # noqa: E402

SEED = 20260101
SIZES = (20, 1000)
LEFT_OUT = 13
PERMUTATIONS = 1000
BATCH = 10_000
LADDER = (10, 30, 100, 300, 1000, 3000, 10_000)


def studies(k: int) -> dict[str, list[float]]:
    rng = np.random.default_rng([SEED, k])
    v = rng.uniform(0.02, 0.4, k)
    x = rng.normal(0, 1, k)
    y = 0.3 + 0.2 * x + rng.normal(0, np.sqrt(v + 0.1))
    return {"y": y.tolist(), "v": v.tolist(), "x": x.tolist()}


def median_ms(call: Callable[[], Any], rounds: int) -> float:
    call()
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return 1e3 * sorted(took)[len(took) // 2]


def ours(rounds: int) -> dict[str, dict[str, float]]:
    from klarsyn.stats.batched import fit_rows
    from klarsyn.synthesis.effects import effects_from_arrays
    from klarsyn.synthesis.influence import leave_one_out
    from klarsyn.synthesis.pairwise import pool
    from klarsyn.synthesis.resampling import permutation_test

    out: dict[str, dict[str, float]] = {}
    for k in SIZES:
        d = studies(k)
        made = pool(d["y"], d["v"], method="REML", test="knha")
        ms = median_ms(lambda d=d: pool(d["y"], d["v"], method="REML", test="knha"), rounds)
        out[f"REML fit, k = {k}"] = {"ms": ms, "value": made.estimate}
    d = studies(LEFT_OUT)
    effects = effects_from_arrays(d["y"], d["v"], covariates={"x": d["x"]})
    steps = leave_one_out(effects, method="REML", test="z")
    out[f"leave-one-out, k = {LEFT_OUT}"] = {
        "ms": median_ms(lambda: leave_one_out(effects, method="REML", test="z"), rounds),
        "value": steps[0].estimate,
    }
    out[f"{PERMUTATIONS} permutations, one moderator"] = {
        "ms": median_ms(
            lambda: permutation_test(effects, ["x"], method="REML", count=PERMUTATIONS, seed=1),
            rounds,
        ),
        "value": permutation_test(effects, ["x"], method="REML", seed=1).statistic[1],
    }
    rng = np.random.default_rng(SEED)
    v = rng.uniform(0.02, 0.4, 20)
    y = rng.normal(0, np.sqrt(v + 0.1), (BATCH, 20))
    out["a fit of 20 in a batch of 10,000"] = {
        "ms": median_ms(lambda: fit_rows(y, v, method="REML"), rounds) / BATCH,
        "value": float(fit_rows(y, v, method="REML").estimate[0]),
    }
    return out


R_SCRIPT = """
suppressMessages(library(metafor))
input <- file("stdin"); lines <- readLines(input); close(input)
num <- function(i) as.numeric(strsplit(lines[i], " ")[[1]])
med <- function(f, n) { f(); t <- numeric(n); for (i in 1:n) { s <- proc.time()[3]; for (j in 1:5)
  f(); t[i] <- (proc.time()[3] - s) / 5 }; 1000 * median(t) }
say <- function(name, ms, value) cat(name, sprintf("%.10g", ms), sprintf("%.17g", value), sep="|")
end <- function() cat("\\n")
for (i in 0:1) { y <- num(1 + 3 * i); v <- num(2 + 3 * i)
  say(paste0("REML fit, k = ", length(y)),
      med(function() { m <- rma(y, v, test="knha"); confint(m) }, if (length(y) > 100) 1 else 5),
      rma(y, v, test="knha", control=list(threshold=1e-10))$beta[1])
  end() }
y <- num(7); v <- num(8); x <- num(9); m <- rma(y, v)
say(paste0("leave-one-out, k = ", length(y)), med(function() leave1out(m), 5),
    leave1out(rma(y, v, control=list(threshold=1e-10)))$estimate[1]); end()
r <- rma(y, v, mods=~x); s <- proc.time()[3]
p <- permutest(r, iter=1000, progbar=FALSE)
say("1000 permutations, one moderator", 1000 * (proc.time()[3] - s),
    rma(y, v, mods=~x, control=list(threshold=1e-10))$zval[2]); end()
"""

PYTHON_SCRIPT = """
import json, sys, time
import numpy as np
data = [np.array(list(map(float, line.split()))) for line in sys.stdin.read().splitlines()]
out = {}
def med(f, n):
    f(); t = []
    for _ in range(n):
        s = time.perf_counter(); f(); t.append(time.perf_counter() - s)
    return 1e3 * sorted(t)[n // 2]
def note(peer, name, call, value, n=7):
    try:
        out.setdefault(peer, {})[name] = {"ms": med(call, n), "value": float(value())}
    except Exception as bad:
        out.setdefault(peer, {})[name] = {"error": f"{type(bad).__name__}: {bad}"}
try:
    import pimeta
    for i in (0, 3):
        y, v = data[i], data[i + 1]
        note("pimeta", f"REML fit, k = {len(y)}", lambda: pimeta.rma(y, v, test="knha"),
             lambda: np.ravel(pimeta.rma(y, v).b)[0], 3)
    y, v, x = data[6:9]
    note("pimeta", f"leave-one-out, k = {len(y)}", lambda: pimeta.leave1out(y, v), lambda: float("nan"))
    note("pimeta", "1000 permutations, one moderator",
         lambda: pimeta.permutest(pimeta.rma(y, v, mods=x), iter=1000, seed=1),
         lambda: float("nan"), 1)
except ImportError:
    out["pimeta"] = None
try:
    from pymare import Dataset, estimators
    for i in (0, 3):
        d = Dataset(data[i], data[i + 1])
        def fit():
            return estimators.VarianceBasedLikelihoodEstimator(method="reml").fit_dataset(d).summary()
        note("PyMARE", f"REML fit, k = {len(data[i])}", fit, lambda: fit().get_fe_stats()["est"].ravel()[0], 3)
except ImportError:
    out["PyMARE"] = None
try:
    from statsmodels.stats.meta_analysis import combine_effects
    for i in (0, 3):
        note("statsmodels (PM)", f"REML fit, k = {len(data[i])}",
             lambda: combine_effects(data[i], data[i + 1], method_re="iterated", use_t=True).summary_frame(),
             lambda: float("nan"), 3)
except ImportError:
    out["statsmodels (PM)"] = None
print(json.dumps(out))
"""  # noqa: E501


def shared_input() -> str:
    lines = []
    for k in (*SIZES, LEFT_OUT):
        d = studies(k)
        lines += [" ".join(map(repr, d[c])) for c in ("y", "v", "x")]
    return "\n".join(lines) + "\n"


def from_r() -> dict[str, dict[str, float]] | None:
    if shutil.which("Rscript") is None:
        return None
    ran = subprocess.run(
        ["Rscript", "-e", R_SCRIPT], input=shared_input(), capture_output=True, text=True
    )
    if ran.returncode:
        print(ran.stderr.strip(), file=sys.stderr)
        return None
    out = {}
    for line in ran.stdout.strip().splitlines():
        name, ms, value = line.split("|")
        out[name] = {"ms": float(ms), "value": float(value)}
    return out


def from_python(interpreter: str) -> dict[str, Any]:
    ran = subprocess.run(
        [interpreter, "-W", "ignore", "-c", PYTHON_SCRIPT],
        input=shared_input(), capture_output=True, text=True,
    )  # fmt: skip
    if ran.returncode:
        print(ran.stderr.strip()[-2000:], file=sys.stderr)
        return {}
    return json.loads(ran.stdout.strip().splitlines()[-1])


def cost_tables(rounds: int) -> None:
    from klarsyn.stats.batched import fit_rows
    from klarsyn.synthesis.pairwise import pool

    def one(k: int) -> Callable[[], Any]:
        d = studies(k)
        y, v = np.array(d["y"]), np.array(d["v"])
        return lambda: pool(y, v)

    def batch(rows: int) -> Callable[[], Any]:
        rng = np.random.default_rng(SEED)
        v = rng.uniform(0.02, 0.4, 20)
        y = rng.normal(0, np.sqrt(v + 0.1), (rows, 20))
        return lambda: fit_rows(y, v, method="REML")

    growth("pool(), all of it: studies", LADDER, one, rounds)
    growth("batch of fits of 20: fits", LADDER, batch, rounds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--peer-python", default=sys.executable)
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    mine = ours(chosen.rounds)
    peers: dict[str, Any] = {"metafor (R)": from_r(), **from_python(chosen.peer_python)}
    print(f"{'':34s}{'klarsyn':>12s}" + "".join(f"{p:>28s}" for p in peers if peers[p]))
    for name, row in mine.items():
        line = f"{name:34s}{row['ms']:9.4f} ms"
        for found in (f for f in peers.values() if f):
            cell = found.get(name)
            if cell is None or "error" in cell:
                line += f"{'-' if cell is None else 'fails':>28s}"
                continue
            off = abs(cell["value"] - row["value"])
            same = "" if np.isnan(off) else f", off {off:.0e}"
            line += f"{cell['ms']:9.2f} ms {cell['ms'] / row['ms']:6.0f}x{same:>9s}"
        print(line)
    for peer, found in peers.items():
        if not found:
            print(f"{peer}: not installed here, not compared")
            continue
        for name, cell in found.items():
            if "error" in cell:
                print(f"{peer}, {name}: {cell['error']}")
    cost_tables(chosen.rounds)


if __name__ == "__main__":
    main()
