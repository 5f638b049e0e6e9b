"""Network meta-analysis: ours and the peers on the same network in one run.

    python benchmarks/network.py [--peer-python PATH] [--rscript PATH] [--rounds 7]

50 treatments, 200 trials (a tenth with three arms), odds ratios, REML, one core, medians: the fit,
all node-splits, all contributions. pimeta by `--peer-python`; metafor's rma.mv, the same model in
general form, by `--rscript`. The second table gives our cost against the network's size.
"""

from __future__ import annotations

import argparse
import itertools
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

from klarsyn.synthesis.network import fit_network  # noqa: E402
from klarsyn.synthesis.network_consistency import node_splits  # noqa: E402
from klarsyn.synthesis.network_contributions import contribution_shares  # noqa: E402
from klarsyn.synthesis.network_data import NetworkData, network_from_arms  # noqa: E402

TREATMENTS, TRIALS = 50, 200
GROWTH = (10, 20, 40, 80)

PIMETA = """
import sys, time, warnings
import numpy as np, pimeta
warnings.simplefilter("ignore")
rows = [line.split(",") for line in open(sys.argv[1]).read().split()[1:]]
study, one, two = ([r[i] for r in rows] for i in range(3))
effect, se = (np.array([float(r[i]) for r in rows]) for i in (3, 4))
def fit():
    return pimeta.netmeta(effect, se, one, two, studlab=study, method_tau="REML")
def clock(f):
    start = time.perf_counter(); out = f()
    return time.perf_counter() - start, out
t, m = clock(fit); print("fit", t, m.tau, flush=True)
t, _ = clock(lambda: pimeta.netsplit(m)); print("node-splits", t, float("nan"), flush=True)
t, _ = clock(lambda: pimeta.netcontrib(m, method="randomwalk"))
print("contributions", t, float("nan"), flush=True)
"""

METAFOR = """
args <- commandArgs(TRUE)
suppressMessages(library(metafor))
X <- as.matrix(read.csv(args[2], header = FALSE)); V <- as.matrix(read.csv(args[3], header = FALSE))
d <- read.csv(args[1])
f <- function() rma.mv(d$y, V, mods = X, intercept = FALSE, random = ~ arm | study, rho = 0.5,
                       data = d, control = list(optimizer = "nlminb"))
s <- system.time(m <- f())[["elapsed"]]
cat("fit", s, sprintf("%.12f", sqrt(m$tau2)), "\\n")
"""


def example(treatments: int, trials: int) -> NetworkData:
    rng = np.random.default_rng(20240602)
    effect = rng.normal(0, 0.5, treatments)
    study, arm, events, n = [], [], [], []
    for s in range(trials):
        size = 3 if s % 10 == 0 else 2
        first = s % treatments
        others = rng.choice(np.delete(np.arange(treatments), first), size - 1, replace=False)
        base = rng.normal(-1, 0.5)
        for t in (first, *others):
            m = int(rng.integers(60, 250))
            chance = 1 / (1 + np.exp(-(base + effect[t] + rng.normal(0, 0.2))))
            study.append(f"s{s:04d}")
            arm.append(f"t{t:03d}")
            n.append(m)
            events.append(int(rng.binomial(m, chance)))
    return network_from_arms(study, arm, measure="OR", events=events, n=n)


def median(run: Callable[[], object], rounds: int) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def write_contrasts(data: NetworkData, folder: Path) -> list[str]:
    """All pairs with their standard errors, and the general model's y, X and V."""
    lines, y, X, study = ["study,treat1,treat2,effect,se"], [], [], []
    blocks = []
    for name, c in zip(data.studies, data.contrasts, strict=True):
        value = np.append(0.0, c.effects)
        V = np.zeros((len(value), len(value)))
        V[1:, 1:] = c.covariance
        for i, j in itertools.combinations(range(len(value)), 2):
            se = np.sqrt(V[i, i] + V[j, j] - 2 * V[i, j])
            a, b = (data.treatments[c.arms[k]] for k in (i, j))
            lines.append(f"{name},{a},{b},{value[i] - value[j]!r},{se!r}".replace("np.float64", ""))
        for k, effect in enumerate(c.effects, 1):
            row = np.zeros(len(data.treatments))
            row[c.arms[k]], row[c.arms[0]] = 1, -1
            X.append(row[1:])
            y.append((effect, name, k))
        blocks.append(c.covariance)
    study = np.repeat(np.arange(len(blocks)), [len(b) for b in blocks])
    V = np.zeros((len(y), len(y)))
    for s, block in enumerate(blocks):
        V[np.ix_(study == s, study == s)] = block
    (folder / "pairs.csv").write_text("\n".join(lines).replace("(", "").replace(")", ""))
    (folder / "effects.csv").write_text(
        "y,study,arm\n" + "\n".join(f"{float(e)!r},{s},{k}" for e, s, k in y)
    )
    np.savetxt(folder / "X.csv", np.array(X), delimiter=",")
    np.savetxt(folder / "V.csv", V, delimiter=",")
    return [str(folder / f) for f in ("pairs.csv", "effects.csv", "X.csv", "V.csv")]


def peers(data: NetworkData, args: argparse.Namespace) -> list[tuple[str, float, float]]:
    found = []
    with tempfile.TemporaryDirectory() as place:
        pairs, effects, X, V = write_contrasts(data, Path(place))
        for label, program, text, files in (
            ("pimeta", args.peer_python, PIMETA, [pairs]),
            ("metafor", args.rscript, METAFOR, [effects, X, V]),
        ):
            if not program:
                print(f"{label}: not given")
                continue
            script = Path(place) / ("peer.py" if label == "pimeta" else "peer.R")
            script.write_text(text)
            try:
                done = subprocess.run(
                    [program, str(script), *files],
                    capture_output=True,
                    text=True,
                    timeout=args.patience,
                )
                out = done.stdout
                if done.returncode:
                    print(f"{label}: {done.stderr.strip().splitlines()[-1]}")
            except subprocess.TimeoutExpired as late:
                out = (late.stdout or b"").decode()
                print(f"{label}: stopped after {args.patience} s")
            for line in out.splitlines():
                what, seconds, check = line.split()
                found.append((f"{label} {what}", float(seconds), float(check)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--rscript", default=shutil.which("Rscript") or "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for each peer")
    args = parser.parse_args()
    data = example(TREATMENTS, TRIALS)
    fit = fit_network(data)
    rows = [
        ("klarsyn fit", median(lambda: fit_network(data), args.rounds), fit.tau),
        ("klarsyn node-splits", median(lambda: node_splits(fit), args.rounds), np.nan),
        ("klarsyn contributions", median(lambda: contribution_shares(fit), args.rounds), np.nan),
        *peers(data, args),
    ]
    own = {label.split()[1]: seconds for label, seconds, _ in rows[:3]}
    print(f"\n{TREATMENTS} treatments, {TRIALS} trials, REML (check: tau)")
    print(f"{'what':26}{'median ms':>12}{'× ours':>10}{'check':>16}")
    for label, seconds, check in rows:
        ratio = seconds / own[label.split()[1]]
        print(f"{label:26}{1e3 * seconds:12.2f}{ratio:10.1f}{check:16.9f}")
    growth("fit: treatments (4 trials each)", GROWTH, _fit, 3)
    growth("contributions: treatments", GROWTH[:3], _shares, 3)


def _fit(treatments: int) -> Callable[[], object]:
    data = example(treatments, 4 * treatments)
    return lambda: fit_network(data)


def _shares(treatments: int) -> Callable[[], object]:
    fit = fit_network(example(treatments, 4 * treatments))
    return lambda: contribution_shares(fit)


if __name__ == "__main__":
    main()
