"""Ours and the peers on the same studies in one run: fits, leave-one-out, permutations, a batch.

    python benchmarks/pairwise.py [--peer-python PATH] [--rounds 15]

R's metafor runs through `Rscript`; pimeta, PyMARE, PyMetaAnalysis and statsmodels in the
interpreter of `--peer-python`. Then time and memory against the number of studies and of fits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beside import arguments, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

SEED = 20260101
LEFT_OUT, PERMUTED = 13, (13, 20, 50)
BATCH, BATCH_K = 10_000, 20
LADDER = (10, 30, 100, 300, 1000, 3000, 10_000)
PERMUTATION_LADDER = (13, 25, 50, 100, 200)

R = """
read <- function(k) read.csv(paste0(DATA, k, ".csv"))
tight <- list(threshold = 1e-12, maxiter = 1000)
for (k in c(20, 1000)) { d <- read(k); say(paste("REML fit, k =", k), function() {
  m <- rma(y, v, data = d, test = "knha", control = tight); confint(m); m$beta[1] }) }
d <- read(20); say("a fit of 20 in a batch of 10,000", function() rma(y, v, data = d)$beta[1])
d <- read(13)
m <- rma(y, v, data = d, control = tight)
say("leave-one-out, k = 13", function() leave1out(m)$estimate[1])
for (k in c(13, 20, 50)) { d <- read(k); r <- rma(y, v, mods = ~ x, data = d, control = tight)
  say(paste("1,000 permutations, one moderator, k =", k), function() {
    permutest(r, iter = 1000, progbar = FALSE); r$zval[2] }) }
"""

PYTHON = """
import numpy as np
def read(k):
    return np.loadtxt(f"{DATA}/{k}.csv", delimiter=",", skiprows=1).T
batch = np.load(f"{DATA}/batch.npz")
one, leave = "a fit of 20 in a batch of 10,000", "leave-one-out, k = 13"
def many(k):
    return f"1,000 permutations, one moderator, k = {k}"
if P := has("pimeta"):
    for k in (20, 1000):
        y, v, x = read(k)
        say("pimeta", f"REML fit, k = {k}", lambda: np.ravel(P.rma(y, v, test="knha").b)[0])
    y, v, x = read(13)
    say("pimeta", leave, lambda: P.leave1out(y, v).estimate[0])
    for k in (13, 20, 50):
        y, v, x = read(k)
        m = P.rma(y, v, mods=x)
        say("pimeta", many(k), lambda: P.permutest(m, iter=1000, seed=1).zval[1])
if P := has("PyMARE", "pymare"):
    from pymare import Dataset, estimators
    def likely(d, **more):
        e = estimators.VarianceBasedLikelihoodEstimator(method="REML", **more)
        return e.fit_dataset(d).summary()
    for k in (20, 1000):
        y, v, x = read(k)
        say("PyMARE", f"REML fit, k = {k}",
            lambda: likely(Dataset(y, v)).get_fe_stats()["est"].ravel()[0])
    y, v = batch["y"].T, np.tile(batch["v"][:, None], (1, len(batch["y"])))
    say("PyMARE", one, lambda: likely(Dataset(y, v)).get_fe_stats()["est"].ravel()[0],
        y.shape[1])
    for k in (13, 20, 50):
        y, v, x = read(k)
        d = Dataset(y, v, X=x[:, None], X_names=["x"])
        def permuted():
            r = likely(d, small_sample_correction="wald")
            r.permutation_test(1000)
            return r.get_fe_stats()["z"].ravel()[1]
        say("PyMARE", many(k), permuted)
if P := has("PyMetaAnalysis", "meta_analyze"):
    def pooled(y, v, ci="normal"):
        return P.meta_analysis(effect=y, variance=v, tau2_method="REML", ci_method=ci)
    for k in (20, 1000):
        y, v, x = read(k)
        say("PyMetaAnalysis", f"REML fit, k = {k}", lambda: pooled(y, v, "hartung_knapp").estimate)
    y, v, x = read(13)
    say("PyMetaAnalysis", leave,
        lambda: pooled(y, v).leave_one_out().table["estimate"].iloc[0])
if has("statsmodels"):
    from statsmodels.stats.meta_analysis import combine_effects
    for k in (20, 1000):
        y, v, x = read(k)
        say("statsmodels", f"REML fit, k = {k}", lambda: combine_effects(y, v,
            method_re="iterated", use_t=True).summary_frame().loc["random effect", "eff"])
"""

REST = {
    "pimeta": "no batch of data sets",
    "PyMARE": "no leave-one-out",
    "PyMetaAnalysis": "no batch, no permutation test",
    "statsmodels": "no batch, no leave-one-out, no meta-regression",
}


def studies(k: int) -> dict[str, list[float]]:
    rng = np.random.default_rng([SEED, k])
    v = rng.uniform(0.02, 0.4, k)
    x = rng.normal(0, 1, k)
    y = 0.3 + 0.2 * x + rng.normal(0, np.sqrt(v + 0.1))
    return {"y": y.tolist(), "v": v.tolist(), "x": x.tolist()}


def batch(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Effects (rows, 20) and the variances of their columns; the first row is `studies(20)`."""
    rng = np.random.default_rng(SEED)
    first = studies(BATCH_K)
    v = np.array(first["v"])
    y = rng.normal(0, np.sqrt(v + 0.1), (rows, BATCH_K))
    y[0] = first["y"]
    return y, v


def write_inputs(folder: Path) -> None:
    for k in {20, 1000, LEFT_OUT, *PERMUTED}:
        table = np.column_stack(list(studies(k).values()))
        np.savetxt(folder / f"{k}.csv", table, delimiter=",", header="y,v,x", comments="",
                   fmt="%.17g")  # fmt: skip
    y, v = batch(BATCH)
    np.savez(folder / "batch.npz", y=y, v=v)


def fit(k: int) -> Callable[[], float]:
    """A REML fit with Knapp–Hartung, Q-profile and prediction from lists of numbers."""
    from klarsyn.synthesis.pairwise import pool

    d = studies(k)
    return lambda: pool(d["y"], d["v"], method="REML", test="knha").estimate


def batched() -> Callable[[], float]:
    from klarsyn.stats.batched import fit_rows

    y, v = batch(BATCH)
    return lambda: float(fit_rows(y, v, method="REML").estimate[0])


def left_out() -> Callable[[], float]:
    from klarsyn.synthesis.effects import effects_from_arrays
    from klarsyn.synthesis.influence import leave_one_out

    d = studies(LEFT_OUT)
    effects = effects_from_arrays(d["y"], d["v"])
    return lambda: leave_one_out(effects, method="REML", test="z")[0].estimate


def permuted(k: int) -> Callable[[], float]:
    """1,000 permutations of one moderator, from the effects to the p values."""
    from klarsyn.synthesis.effects import effects_from_arrays
    from klarsyn.synthesis.resampling import permutation_test

    d = studies(k)
    effects = effects_from_arrays(d["y"], d["v"], covariates={"x": d["x"]})
    return lambda: permutation_test(effects, ["x"], method="REML", seed=1).statistic[1]


def cost_tables(rounds: int) -> None:
    from klarsyn.stats.batched import fit_rows
    from klarsyn.synthesis.pairwise import pool

    def one(k: int) -> Callable[[], Any]:
        d = studies(k)
        y, v = np.array(d["y"]), np.array(d["v"])
        return lambda: pool(y, v)

    def rows(count: int) -> Callable[[], Any]:
        y, v = batch(count)
        return lambda: fit_rows(y, v, method="REML")

    growth("pool(), all of it: studies", LADDER, one, rounds)
    growth("batch of fits of 20: fits", LADDER, rows, rounds)
    growth("1,000 permutations: studies", PERMUTATION_LADDER, permuted, rounds)


def main() -> None:
    chosen = arguments(__doc__ or "")
    calls = {f"REML fit, k = {k}": fit(k) for k in (20, 1000)}
    calls["a fit of 20 in a batch of 10,000"] = batched()
    calls[f"leave-one-out, k = {LEFT_OUT}"] = left_out()
    calls |= {f"1,000 permutations, one moderator, k = {k}": permuted(k) for k in PERMUTED}
    mine = ours(calls, chosen.rounds, {"a fit of 20 in a batch of 10,000": BATCH})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder)
        peers = in_r(R, chosen, name="metafor", packages=("metafor",), folder=folder)
        peers |= in_python(PYTHON, chosen, rest=REST, folder=folder)
    show("Pairwise; of permutations the observed z is compared", mine, peers)
    print("statsmodels has no REML: its Paule–Mandel fit is timed, so its estimate differs.")
    cost_tables(chosen.rounds)


if __name__ == "__main__":
    main()
