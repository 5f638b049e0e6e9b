"""Selection models and tests of small-study effects: ours beside metafor and the Python peers.

    python benchmarks/selection.py [--peer-python PATH] [--rounds 9]

Data: dat.hackshaw1998, k = 37. metafor's selmodel starts from an rma() fit that is not timed.
Then time and memory against the number of studies, simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beside import arguments, columns, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

KINDS = ("beta", "halfnorm", "negexp", "logistic", "power")
LADDER = (20, 40, 80, 160, 320, 640)

R = """
d <- read.csv(paste0(DATA, "dat.hackshaw1998.csv"))
m <- rma(yi, vi, data = d, method = "ML"); r <- rma(yi, vi, data = d)
say("step function (0.025)", function() as.numeric(
  selmodel(m, type = "stepfun", steps = 0.025, alternative = "greater")$beta))
for (t in c("beta", "halfnorm", "negexp", "logistic", "power")) say(t, function() as.numeric(
  selmodel(m, type = t, alternative = "greater")$beta))
say("Egger, mixed effects", function() as.numeric(regtest(r)$zval))
say("trim and fill L0", function() as.numeric(trimfill(r)$beta))
say("rank test", function() as.numeric(ranktest(r)$tau))
"""

PYTHON = """
import csv, numpy as np
rows = list(csv.DictReader(open(f"{DATA}/dat.hackshaw1998.csv")))
yi, vi = (np.array([float(r[c]) for r in rows]) for c in ("yi", "vi"))
def number(x):
    return float(np.ravel(x)[0])
if P := has("pimeta"):
    m = P.rma(yi=list(yi), vi=list(vi), method="ML")
    r = P.rma(yi=list(yi), vi=list(vi))
    say("pimeta", "rank test", lambda: number(P.ranktest(r).tau))
    say("pimeta", "trim and fill L0", lambda: number(P.trimfill(r).b))
    say("pimeta", "Egger, mixed effects", lambda: number(P.regtest(r).zval))
    say("pimeta", "step function (0.025)",
        lambda: number(P.selmodel(m, "stepfun", steps=[0.025]).beta))
    for t in ("beta", "halfnorm", "negexp", "logistic", "power"):
        say("pimeta", t, lambda: number(P.selmodel(m, t).beta))
if P := has("PyMetaAnalysis", "meta_analyze"):
    r = P.meta_analysis(effect=yi, variance=vi, tau2_method="REML")
    say("PyMetaAnalysis", "rank test", lambda: r.begg_test().tau)
    say("PyMetaAnalysis", "trim and fill L0", lambda: r.trim_and_fill().adjusted_estimate)
"""

REST = {
    "pimeta": "no such method",
    "PyMARE": "no test of small-study effects, no selection model",
    "PyMetaAnalysis": "no selection model; its Egger test is the classic one",
    "statsmodels": "no test of small-study effects, no selection model",
}


def model(y: np.ndarray, v: np.ndarray, kind: str) -> Callable[[], float]:
    from klarsyn.stats.selection import fit_selection

    return lambda: fit_selection(y, v, kind=kind).mu


def published() -> tuple[np.ndarray, np.ndarray]:
    d = columns("dat.hackshaw1998")
    return np.array(d["yi"]), np.array(d["vi"])


def simulated(k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([20260104, k])
    v = rng.uniform(0.02, 0.4, k)
    return rng.normal(0.3, np.sqrt(v + 0.05)), v


def main() -> None:
    from klarsyn.stats.asymmetry import rank_test, regression_test
    from klarsyn.stats.trim_and_fill import trim_and_fill

    chosen = arguments(__doc__ or "")
    y, v = published()
    calls: dict[str, Callable[[], Any]] = {"step function (0.025)": model(y, v, "stepfun")}
    calls |= {kind: model(y, v, kind) for kind in KINDS}
    calls |= {
        "Egger, mixed effects": lambda: regression_test(y, v, model="rma").statistic,
        "trim and fill L0": lambda: trim_and_fill(y, v).estimate.value,
        "rank test": lambda: rank_test(y, v).tau,
    }
    peers = in_r(R, chosen, name="metafor", packages=("metafor",))
    peers |= in_python(PYTHON, chosen, rest=REST)
    show("Selection and asymmetry", ours(calls, chosen.rounds), peers)
    for kind in ("stepfun", "beta", "power"):
        growth(f"{kind} selection: studies", LADDER, lambda k, t=kind: model(*simulated(k), t), 3)
    growth("trim and fill: studies", LADDER, lambda k: _filled(*simulated(k)), 3)


def _filled(y: np.ndarray, v: np.ndarray) -> Callable[[], Any]:
    from klarsyn.stats.trim_and_fill import trim_and_fill

    return lambda: trim_and_fill(y, v)


if __name__ == "__main__":
    main()
