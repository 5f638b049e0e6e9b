"""Network meta-analysis: ours and the peers on the same network in one run.

    python benchmarks/network.py [--peer-python PATH] [--rounds 9] [--patience 120]

50 treatments, 200 trials (a tenth with three arms), odds ratios, REML: the fit, all node-splits,
all contributions. pimeta by `--peer-python`; metafor's rma.mv, the same model in general form, by
`Rscript`, and netmeta where R has it. Then time and memory against the number of treatments and of
trials.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from beside import arguments, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

from klarsyn.synthesis.network import NetworkFit, fit_network
from klarsyn.synthesis.network_consistency import node_splits
from klarsyn.synthesis.network_contributions import contribution_shares
from klarsyn.synthesis.network_data import NetworkData, network_from_arms

TREATMENTS, TRIALS = 50, 200
LADDER, TRIAL_LADDER = (10, 20, 40, 80), (100, 200, 400, 800)
FIT, SPLITS, SHARES = "fit (tau)", "node-splits", "contributions"

PIMETA = """
import numpy as np
rows = [line.split(",") for line in open(f"{DATA}/pairs.csv").read().split()[1:]]
study, one, two = ([r[i] for r in rows] for i in range(3))
effect, se = (np.array([float(r[i]) for r in rows]) for i in (3, 4))
if P := has("pimeta"):
    def fit():
        return P.netmeta(effect, se, one, two, studlab=study, method_tau="REML")
    m = fit()
    say("pimeta", "fit (tau)", lambda: fit().tau)
    say("pimeta", "node-splits", lambda: P.netsplit(m) and float("nan"))
    say("pimeta", "contributions", lambda: P.netcontrib(m, method="randomwalk") and float("nan"))
"""
REST = {
    "pimeta": "no such method",
    "PyMARE": "no network",
    "PyMetaAnalysis": "no network",
    "statsmodels": "no network",
}
METAFOR = """
X <- as.matrix(read.csv(paste0(DATA, "X.csv"), header = FALSE))
V <- as.matrix(read.csv(paste0(DATA, "V.csv"), header = FALSE))
d <- read.csv(paste0(DATA, "effects.csv"))
say("fit (tau)", function() sqrt(rma.mv(d$y, V, mods = X, intercept = FALSE,
  random = ~ arm | study, rho = 0.5, data = d, control = list(optimizer = "nlminb"))$tau2))
"""
NETMETA = """
d <- read.csv(paste0(DATA, "pairs.csv"))
m <- netmeta(effect, se, treat1, treat2, study, data = d, method.tau = "REML")
say("fit (tau)", function() netmeta(effect, se, treat1, treat2, study, data = d,
  method.tau = "REML")$tau)
say("node-splits", function() { netsplit(m); NA })
say("contributions", function() { netcontrib(m); NA })
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


def write_contrasts(data: NetworkData, folder: Path) -> None:
    """All pairs with their standard errors, and the general model's y, X and V."""
    lines, y, X = ["study,treat1,treat2,effect,se"], [], []
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


def arms(trials: int) -> NetworkData:
    return example(20, trials)


def shares(treatments: int) -> Callable[[], object]:
    fit = fit_network(example(treatments, 4 * treatments))
    return lambda: contribution_shares(fit)


def splits(treatments: int) -> Callable[[], object]:
    fit = fit_network(example(treatments, 4 * treatments))
    return lambda: node_splits(fit)


def fitted(data: NetworkData) -> Callable[[], float]:
    return lambda: fit_network(data).tau


def both(fit: NetworkFit) -> Callable[[], float]:
    """All node-splits and contributions of a network."""

    def call() -> float:
        node_splits(fit)
        contribution_shares(fit)
        return np.nan

    return call


def main() -> None:
    chosen = arguments(__doc__ or "")
    data = example(TREATMENTS, TRIALS)
    fit = fit_network(data)

    def split() -> float:
        node_splits(fit)
        return np.nan

    def share() -> float:
        contribution_shares(fit)
        return np.nan

    mine = ours({FIT: fitted(data), SPLITS: split, SHARES: share}, chosen.rounds)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_contrasts(data, folder)
        rest = "no network of its own"
        peers = in_r(
            METAFOR, chosen, name="metafor", packages=("metafor",), folder=folder, rest=rest
        )
        peers |= in_r(NETMETA, chosen, name="netmeta", packages=("netmeta",), folder=folder)
        peers |= in_python(PIMETA, chosen, rest=REST, folder=folder)
    show(f"{TREATMENTS} treatments, {TRIALS} trials, REML", mine, peers, compared="tau")
    growth("fit: treatments (4 trials each)", LADDER, lambda t: fitted(example(t, 4 * t)), 3)
    growth("fit: trials of 20 treatments", TRIAL_LADDER, lambda k: fitted(arms(k)), 3)
    growth("node-splits: treatments", LADDER, splits, 3)
    growth("contributions: treatments", LADDER, shares, 3)


if __name__ == "__main__":
    main()
