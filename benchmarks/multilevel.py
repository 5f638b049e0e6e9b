"""Three-level REML and CR2 errors: ours and the peers on the same effects in one run.

    python benchmarks/multilevel.py [--peer-python PATH] [--rscript PATH] [--rounds 7]

500 effects in 100 clusters, one core, medians. Peers that are not installed are named: pimeta by
`--peer-python` (an interpreter that has it), metafor and clubSandwich by `--rscript`. The second
table gives our cost against the number of clusters and its exponent.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)
from growth import growth  # noqa: E402

from klarsyn.synthesis.multilevel import fit_multilevel  # noqa: E402
from klarsyn.synthesis.random_terms import nested  # noqa: E402
from klarsyn.synthesis.robust import robust  # noqa: E402

CLUSTERS, EACH = 100, 5
GROWTH = (25, 50, 100, 200, 400, 800)

PIMETA = """
import sys, time, warnings
import numpy as np, pimeta
warnings.simplefilter("ignore")
study, effect, y, v = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1).T
data = {"study": study.astype(int), "effect": effect.astype(int)}
try:
    import pandas
    data = pandas.DataFrame(data)
except ImportError:
    pass
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    fit = pimeta.rma_mv(y, vi=v, data=data, random="~ 1 | study/effect")
    times.append(time.perf_counter() - start)
print("fit", np.median(times), fit.log_lik if hasattr(fit, "log_lik") else float("nan"))
"""

METAFOR = """
args <- commandArgs(TRUE)
d <- read.csv(args[1]); rounds <- as.integer(args[2])
suppressMessages(library(metafor))
clock <- function(f) median(replicate(rounds, system.time(f())[["elapsed"]]))
for (sparse in c(FALSE, TRUE)) {
  m <- rma.mv(y, v, random = ~ 1 | study/effect, data = d, sparse = sparse)
  t <- clock(function() rma.mv(y, v, random = ~ 1 | study/effect, data = d, sparse = sparse))
  cat(if (sparse) "fit(sparse)" else "fit", t, sprintf("%.12f", logLik(m)), "\\n")
}
m <- rma.mv(y, v, random = ~ 1 | study/effect, data = d)
if (requireNamespace("clubSandwich", quietly = TRUE)) {
  r <- robust(m, cluster = study, clubSandwich = TRUE)
  t <- clock(function() robust(m, cluster = study, clubSandwich = TRUE))
  cat("CR2", t, sprintf("%.12f", r$dfs), "\\n")
}
"""


def example(clusters: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240601)
    study = np.repeat(np.arange(clusters), EACH)
    n = len(study)
    v = rng.gamma(2, 0.05, n)
    y = 0.3 + 0.3 * rng.normal(size=clusters)[study] + 0.3 * rng.normal(size=n)
    return {"study": study, "effect": np.arange(n), "y": y + rng.normal(0, np.sqrt(v)), "v": v}


def median(run: Callable[[], object], rounds: int) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def peers(d: dict[str, np.ndarray], args: argparse.Namespace) -> list[tuple[str, float, float]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "effects.csv"
        np.savetxt(
            table, np.column_stack(list(d.values())), delimiter=",", header=",".join(d), comments=""
        )
        for program, text, suffix in (
            (args.peer_python, PIMETA, "py"),
            (args.rscript, METAFOR, "R"),
        ):
            label = "pimeta" if suffix == "py" else "metafor"
            if not program:
                print(f"{label}: not given")
                continue
            script = Path(folder) / f"peer.{suffix}"
            script.write_text(text)
            done = subprocess.run(
                [program, str(script), str(table), "3"], capture_output=True, text=True
            )
            if done.returncode:
                print(f"{label}: {done.stderr.strip().splitlines()[-1]}")
            for line in done.stdout.splitlines():
                what, seconds, check = line.split()
                found.append((f"{label} {what}", float(seconds), float(check)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--rscript", default=shutil.which("Rscript") or "")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    d = example(CLUSTERS)
    terms = nested(study=d["study"], effect=d["effect"])
    fit = fit_multilevel(d["y"], d["v"], random=terms)
    rows = [
        (
            "klarsyn fit",
            median(lambda: fit_multilevel(d["y"], d["v"], random=terms), args.rounds),
            fit.log_likelihood,
        ),
        (
            "klarsyn CR2",
            median(lambda: robust(fit, d["study"]), args.rounds),
            robust(fit, d["study"]).estimate.df,
        ),
        *peers(d, args),
    ]
    own = {"fit": rows[0][1], "CR2": rows[1][1]}
    print(f"\n{CLUSTERS * EACH} effects in {CLUSTERS} clusters (check: log-likelihood; CR2: df)")
    print(f"{'what':24}{'median ms':>12}{'× ours':>10}{'check':>20}")
    for label, seconds, check in rows:
        ratio = seconds / own["CR2" if "CR2" in label else "fit"]
        print(f"{label:24}{1e3 * seconds:12.2f}{ratio:10.1f}{check:20.9f}")
    growth("fit: clusters of 5", GROWTH, _fit, 3)


def _fit(clusters: int) -> Callable[[], object]:
    d = example(clusters)
    terms = nested(study=d["study"], effect=d["effect"])
    return lambda: fit_multilevel(d["y"], d["v"], random=terms)


if __name__ == "__main__":
    main()
