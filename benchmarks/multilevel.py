"""Three-level REML, CR2 errors and robust variance estimation: ours and the peers in one run.

    python benchmarks/multilevel.py [--peer-python PATH] [--rounds 9]

500 effects in 100 clusters. R's metafor, clubSandwich and robumeta run through `Rscript`, pimeta
and PyMARE in the interpreter of `--peer-python`. Compared are the log-likelihood of the fit, the
Satterthwaite degrees of freedom of CR2 and the robust standard errors of HIER and CORR. Then time
and memory against the number of clusters.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from beside import arguments, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

CLUSTERS, EACH, RHO = 100, 5, 0.8
LADDER = (25, 50, 100, 200, 400, 800)
FIT, SANDWICH, HIER, CORR = (
    "three levels (log-likelihood)",
    "CR2 of that fit (df)",
    "HIER (standard error)",
    "CORR (standard error)",
)

METAFOR = """
d <- read.csv(paste0(DATA, "effects.csv"))
say("three levels (log-likelihood)", function() as.numeric(logLik(
  rma.mv(y, v, random = ~ 1 | study/effect, data = d, sparse = SPARSE))))
"""
CLUBSANDWICH = """
d <- read.csv(paste0(DATA, "effects.csv"))
m <- rma.mv(y, v, random = ~ 1 | study/effect, data = d, sparse = TRUE)
say("CR2 of that fit (df)", function() coef_test(m, vcov = "CR2", cluster = d$study)$df_Satt[1])
"""
ROBUMETA = """
d <- read.csv(paste0(DATA, "effects.csv"))
for (w in c("HIER", "CORR")) say(paste(w, "(standard error)"), function() robu(y ~ 1, data = d,
  studynum = study, var.eff.size = v, modelweights = w, rho = 0.8)$reg_table$SE[1])
"""
PYTHON = """
import numpy as np
study, effect, y, v = np.loadtxt(f"{DATA}/effects.csv", delimiter=",", skiprows=1).T
study, effect = study.astype(int), effect.astype(int)
if P := has("pimeta"):
    import pandas
    frame = pandas.DataFrame({"study": study, "effect": effect})
    def fit():
        return P.rma_mv(y, vi=v, data=frame, random="~ 1 | study/effect")
    m = fit()
    say("pimeta", "three levels (log-likelihood)", lambda: fit().ll)
    def sandwich():
        return P.robust(m, cluster=list(study), clubSandwich=True)["dfs"][0]
    say("pimeta", "CR2 of that fit (df)", sandwich)
if P := has("PyMARE", "pymare"):
    from pymare import estimators
    def corr():
        e = estimators.DerSimonianLaird(weight_scheme="rescale", rho=0.8)
        e.fit(y[:, None], v[:, None], np.ones((len(y), 1)), study)
        return e.summary().get_fe_stats()["se"].ravel()[0]
    say("PyMARE", "CORR (standard error)", corr)
"""
REST = {
    "pimeta": "no robust variance estimation by moments",
    "PyMARE": "no multilevel model",
    "PyMetaAnalysis": "no dependent effects",
    "statsmodels": "its MixedLM takes no known sampling variances",
}


def example(clusters: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240601)
    study = np.repeat(np.arange(clusters), EACH)
    n = len(study)
    v = rng.gamma(2, 0.05, n)
    y = 0.3 + 0.3 * rng.normal(size=clusters)[study] + 0.3 * rng.normal(size=n)
    return {"study": study, "effect": np.arange(n), "y": y + rng.normal(0, np.sqrt(v)), "v": v}


def fit(clusters: int = CLUSTERS) -> Callable[[], float]:
    """The whole three-level fit, from arrays."""
    from klarsyn.synthesis.multilevel import fit_multilevel
    from klarsyn.synthesis.random_terms import nested

    d = example(clusters)
    terms = nested(study=d["study"], effect=d["effect"])
    return lambda: fit_multilevel(d["y"], d["v"], random=terms).log_likelihood


def sandwich(clusters: int = CLUSTERS) -> Callable[[], float]:
    from klarsyn.synthesis.multilevel import fit_multilevel
    from klarsyn.synthesis.random_terms import nested
    from klarsyn.synthesis.robust import robust

    d = example(clusters)
    made = fit_multilevel(d["y"], d["v"], random=nested(study=d["study"], effect=d["effect"]))
    return lambda: robust(made, d["study"]).estimate.df


def moments(weights: str, clusters: int = CLUSTERS) -> Callable[[], float]:
    from klarsyn.synthesis.robust import fit_robust

    d = example(clusters)
    rho = RHO if weights == "CORR" else None

    def call() -> float:
        se = fit_robust(d["y"], d["v"], d["study"], weights=weights, rho=rho).estimate.se
        assert se is not None
        return se

    return call


def write_inputs(folder: Path) -> None:
    d = example(CLUSTERS)
    table = np.column_stack(list(d.values()))
    np.savetxt(
        folder / "effects.csv", table, delimiter=",", header=",".join(d), comments="", fmt="%.17g"
    )


def main() -> None:
    chosen = arguments(__doc__ or "")
    mine = ours(
        {FIT: fit(), SANDWICH: sandwich(), HIER: moments("HIER"), CORR: moments("CORR")},
        chosen.rounds,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder)
        peers = {}
        for name, packages, body, rest in (
            ("metafor", ("metafor",), "SPARSE <- FALSE" + METAFOR, "clubSandwich does it for it"),
            ("metafor, sparse", ("metafor",), "SPARSE <- TRUE" + METAFOR, "see metafor"),
            ("clubSandwich", ("metafor", "clubSandwich"), CLUBSANDWICH, "fits no model itself"),
            ("robumeta", ("robumeta",), ROBUMETA, "no likelihood, no CR2 of another fit"),
        ):
            peers |= in_r(body, chosen, name=name, packages=packages, folder=folder, rest=rest)
        peers |= in_python(PYTHON, chosen, rest=REST, folder=folder)
    show(f"{CLUSTERS * EACH} effects in {CLUSTERS} clusters", mine, peers, compared="value")
    growth("three levels: clusters of 5", LADDER, fit, 3)
    growth("CR2: clusters of 5", LADDER, sandwich, 3)
    growth("HIER: clusters of 5", LADDER, lambda k: moments("HIER", k), 3)


if __name__ == "__main__":
    main()
