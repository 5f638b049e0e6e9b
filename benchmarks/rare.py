"""Rare events: ours beside metafor and pimeta.

    python benchmarks/rare.py [--peer-python PATH] [--rounds 9]

metafor's CM.EL needs the R package BiasedUrn; where it fails or does not converge, that is said.
"""

from __future__ import annotations

from beside import arguments, columns, in_python, in_r, ours, show

R = """
suppressMessages(library(metafor))
b <- read.csv(paste0(DATA, "dat.bcg.csv")); n <- read.csv(paste0(DATA, "dat.nielweise2007.csv"))
s <- read.csv(paste0(DATA, "dat.nissen2007.csv"))
d <- list("bcg (k = 13)" = list(b$tpos, b$tpos + b$tneg, b$cpos, b$cpos + b$cneg),
  "nielweise (k = 18)" = list(n$ai, n$n1i, n$ci, n$n2i),
  "nissen (k = 42)" = list(s$treat.infarction, s$treat.total, s$cont.infarction, s$cont.total))
for (name in names(d)) { x <- d[[name]]
  for (m in c("CM.EL", "CM.AL", "UM.FS", "UM.RS")) say(paste(m, name), function() as.numeric(
    rma.glmm(measure = "OR", ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]], model = m)$beta))
  say(paste("MH OR", name), function() as.numeric(
    rma.mh(measure = "OR", ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]])$beta))
  say(paste("Peto", name), function() as.numeric(
    rma.peto(ai = x[[1]], n1i = x[[2]], ci = x[[3]], n2i = x[[4]])$beta)) }
"""

PEER = """
import csv, numpy, pimeta
def load(name, *cols):
    rows = list(csv.DictReader(open(f"{DATA}/{name}.csv")))
    return [numpy.array([float(r[c]) for r in rows]) for c in cols]
tp, tn, cp, cn = load("dat.bcg", "tpos", "tneg", "cpos", "cneg")
sets = {"bcg (k = 13)": (tp, tn, cp, cn)}
for label, name, cols in (("nielweise (k = 18)", "dat.nielweise2007", ("ai", "n1i", "ci", "n2i")),
    ("nissen (k = 42)", "dat.nissen2007",
     ("treat.infarction", "treat.total", "cont.infarction", "cont.total"))):
    a, n1, c, n2 = load(name, *cols)
    sets[label] = (a, n1 - a, c, n2 - c)
def number(x):
    return float(numpy.ravel(x)[0])
for label, (a, b, c, d) in sets.items():
    def mh():
        r = pimeta.rma_mh(list(a), list(b), list(c), list(d))
        return number(getattr(r, "beta", getattr(r, "estimate", None)))
    def glmm():
        r = pimeta.rma_glmm("OR", ai=list(a), bi=list(b), ci=list(c), di=list(d))
        return number(getattr(r, "beta", getattr(r, "estimate", None)))
    say(f"MH OR {label}", mh)
    say(f"UM.FS {label}", glmm)
"""


def main() -> None:
    from klarsyn.synthesis.rare import count_table, pool_rare

    chosen = arguments(__doc__ or "")
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
    calls = {}
    for label, cells in sets.items():
        counts = count_table([str(i) for i in range(len(cells[0]))], *cells)
        for method in ("CM.EL", "CM.AL", "UM.FS", "UM.RS", "MH OR", "Peto", "beta-binomial"):

            def call(counts=counts, method=method) -> float:
                estimate = pool_rare(counts, [method]).fits[0].estimate
                assert estimate is not None
                return estimate.value

            calls[f"{method} {label}"] = call
    peers = {
        "metafor": in_r(R, chosen.rounds),
        "pimeta": in_python(chosen.peer_python, PEER, chosen.rounds),
    }
    show("Rare events, log odds ratios, median times", ours(calls, chosen.rounds), peers)


if __name__ == "__main__":
    main()
