"""Rare events: ours beside metafor and the Python peers.

    python benchmarks/rare.py [--peer-python PATH] [--rounds 9]

metafor's CM.EL needs the R package BiasedUrn; where it fails or does not converge, that is said.
Then time and memory against the number of studies, drawn with replacement from dat.nissen2007.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beside import arguments, columns, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

METHODS = ("CM.EL", "CM.AL", "UM.FS", "UM.RS", "MH OR", "Peto", "beta-binomial")
GROWING = ("CM.EL", "UM.FS", "UM.RS", "MH OR", "beta-binomial")
LADDER = (20, 40, 80, 160, 320)

R = """
b <- read.csv(paste0(DATA, "dat.bcg.csv")); n <- read.csv(paste0(DATA, "dat.nielweise2007.csv"))
s <- read.csv(paste0(DATA, "dat.nissen2007.csv"))
d <- list("bcg (k = 13)" = list(b$tpos, b$tpos + b$tneg, b$cpos, b$cpos + b$cneg),
  "nielweise (k = 18)" = list(n$ai, n$n1i, n$ci, n$n2i),
  "nissen (k = 42)" = list(s$treat.infarction, s$treat.total, s$cont.infarction, s$cont.total))
for (name in names(d)) { x <- d[[name]]
  for (m in c(if (length(x[[1]]) < 42) "CM.EL", "CM.AL", "UM.FS", "UM.RS")) say(paste(m, name), function() as.numeric(
    rma.glmm(measure = "OR", ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]], model = m)$beta))
  say(paste("MH OR", name), function() as.numeric(
    rma.mh(measure = "OR", ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]])$beta))
  say(paste("Peto", name), function() as.numeric(
    rma.peto(ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]])$beta)) }
say(paste("CM.EL", name), function() as.numeric(rma.glmm(measure = "OR", ai = x[[1]], n1i = x[[2]],
  ci = x[[3]], n2i = x[[4]], model = "CM.EL")$beta))
"""

PYTHON = """
import csv, numpy as np
def load(name, *cols):
    rows = list(csv.DictReader(open(f"{DATA}/{name}.csv")))
    return [np.array([float(r[c]) for r in rows]) for c in cols]
tp, tn, cp, cn = load("dat.bcg", "tpos", "tneg", "cpos", "cneg")
sets = {"bcg (k = 13)": (tp, tn, cp, cn)}
for label, name, cols in (("nielweise (k = 18)", "dat.nielweise2007", ("ai", "n1i", "ci", "n2i")),
    ("nissen (k = 42)", "dat.nissen2007",
     ("treat.infarction", "treat.total", "cont.infarction", "cont.total"))):
    a, n1, c, n2 = load(name, *cols)
    sets[label] = (a, n1 - a, c, n2 - c)
def number(x):
    return float(np.ravel(x)[0])
for label, (a, b, c, d) in sets.items():
    lists = [list(x) for x in (a, b, c, d)]
    if P := has("pimeta"):
        def pooled(r):
            return number(getattr(r, "beta", getattr(r, "estimate", None)))
        for case, call in (("MH OR", "rma_mh"), ("Peto", "rma_peto")):
            if hasattr(P, call):
                say("pimeta", f"{case} {label}", lambda: pooled(getattr(P, call)(*lists)))
        for model in ("CM.EL", "CM.AL", "UM.FS", "UM.RS"):
            say("pimeta", f"{model} {label}", lambda: pooled(P.rma_glmm("OR", ai=lists[0],
                bi=lists[1], ci=lists[2], di=lists[3], model=model)))
    if P := has("PyMetaAnalysis", "meta_analyze"):
        for case, method in (("MH OR", "MH"), ("Peto", "Peto")):
            say("PyMetaAnalysis", f"{case} {label}", lambda: P.meta_binary(event_treat=a,
                n_treat=a + b, event_control=c, n_control=c + d, measure="OR", method=method,
                continuity_correction=0.0).estimate)
    if has("statsmodels"):
        from statsmodels.stats.contingency_tables import StratifiedTable
        def stratified():
            table = StratifiedTable(np.array([[a, b], [c, d]]))
            table.logodds_pooled_confint()
            return table.logodds_pooled
        say("statsmodels", f"MH OR {label}", stratified)
"""

REST = {
    "pimeta": "no such model",
    "PyMARE": "no model for counts",
    "PyMetaAnalysis": "no GLMM, no beta-binomial",
    "statsmodels": "no meta-analytic GLMM, no Peto",
}


def case(counts: Any, method: str) -> Callable[[], float]:
    from klarsyn.synthesis.rare import pool_rare

    def call() -> float:
        estimate = pool_rare(counts, [method]).fits[0].estimate
        assert estimate is not None
        return estimate.value

    return call


def tables() -> dict[str, Any]:
    from klarsyn.synthesis.rare import count_table

    b, n, s = (columns(f"dat.{name}") for name in ("bcg", "nielweise2007", "nissen2007"))
    sets = {
        "bcg (k = 13)": (
            b["tpos"], [x + y for x, y in zip(b["tpos"], b["tneg"], strict=True)],
            b["cpos"], [x + y for x, y in zip(b["cpos"], b["cneg"], strict=True)],
        ),
        "nielweise (k = 18)": (n["ai"], n["n1i"], n["ci"], n["n2i"]),
        "nissen (k = 42)": tuple(
            s[c] for c in ("treat.infarction", "treat.total", "cont.infarction", "cont.total")
        ),
    }  # fmt: skip
    return {
        label: count_table([str(i) for i in range(len(cells[0]))], *cells)
        for label, cells in sets.items()
    }


def drawn(studies: int) -> Any:
    from klarsyn.synthesis.rare import count_table

    d = columns("dat.nissen2007")
    names = ("treat.infarction", "treat.total", "cont.infarction", "cont.total")
    rows = np.random.default_rng([20260103, studies]).integers(0, len(d[names[0]]), studies)
    return count_table([str(i) for i in range(studies)], *([d[n][r] for r in rows] for n in names))


def main() -> None:
    chosen = arguments(__doc__ or "")
    calls = {
        f"{method} {label}": case(counts, method)
        for label, counts in tables().items()
        for method in METHODS
    }
    peers = in_r(R, chosen, name="metafor", packages=("metafor",))
    peers |= in_python(PYTHON, chosen, rest=REST)
    show("Rare events, log odds ratios", ours(calls, chosen.rounds), peers)
    for method in GROWING:
        growth(f"{method}: studies", LADDER, lambda k, m=method: case(drawn(k), m), 3)


if __name__ == "__main__":
    main()
