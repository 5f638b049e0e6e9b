"""Selection models and tests of small-study effects: ours beside metafor and pimeta.

    python benchmarks/selection.py [--peer-python PATH] [--rounds 9]

Data: dat.hackshaw1998, k = 37. metafor's selmodel starts from an rma() fit that is not timed.
"""

from __future__ import annotations

import numpy as np
from beside import arguments, columns, in_python, in_r, ours, show

R = """
suppressMessages(library(metafor)); d <- read.csv(paste0(DATA, "dat.hackshaw1998.csv"))
m <- rma(yi, vi, data = d, method = "ML"); r <- rma(yi, vi, data = d)
say("step function (0.025)", function() as.numeric(
  selmodel(m, type = "stepfun", steps = 0.025, alternative = "greater")$beta))
for (t in c("beta", "halfnorm", "negexp", "logistic", "power")) say(t, function() as.numeric(
  selmodel(m, type = t, alternative = "greater")$beta))
say("Egger, mixed effects", function() as.numeric(regtest(r)$zval))
say("trim and fill L0", function() as.numeric(trimfill(r)$beta))
say("rank test", function() as.numeric(ranktest(r)$tau))
"""

PEER = """
import csv, numpy, pimeta
rows = list(csv.DictReader(open(f"{DATA}/dat.hackshaw1998.csv")))
yi = [float(r["yi"]) for r in rows]; vi = [float(r["vi"]) for r in rows]
m = pimeta.rma(yi=yi, vi=vi, method="ML")
def number(x):
    return float(numpy.ravel(x)[0])
say("step function (0.025)", lambda: number(pimeta.selmodel(m, "stepfun", steps=[0.025]).beta))
for t in ("beta", "halfnorm", "negexp", "logistic", "power"):
    say(t, lambda t=t: number(pimeta.selmodel(m, t).beta))
"""


def main() -> None:
    from klarsyn.stats.asymmetry import rank_test, regression_test
    from klarsyn.stats.selection import fit_selection
    from klarsyn.stats.selection_weights import SMOOTH
    from klarsyn.stats.trim_and_fill import trim_and_fill

    chosen = arguments(__doc__ or "")
    d = columns("dat.hackshaw1998")
    y, v = np.array(d["yi"]), np.array(d["vi"])
    calls = {"step function (0.025)": lambda: fit_selection(y, v).mu}
    for kind in ("beta", "halfnorm", "negexp", "logistic", "power"):
        assert kind in SMOOTH
        calls[kind] = lambda kind=kind: fit_selection(y, v, kind=kind).mu
    calls |= {
        "Egger, mixed effects": lambda: regression_test(y, v, model="rma").statistic,
        "trim and fill L0": lambda: trim_and_fill(y, v).estimate.value,
        "rank test": lambda: rank_test(y, v).tau,
    }
    peers = {
        "metafor": in_r(R, chosen.rounds),
        "pimeta": in_python(chosen.peer_python, PEER, chosen.rounds),
    }
    show("Selection and asymmetry, median times", ours(calls, chosen.rounds), peers)


if __name__ == "__main__":
    main()
