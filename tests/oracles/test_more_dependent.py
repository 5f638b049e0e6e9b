"""Dependent effects on further data sets, against metafor 3.8, clubSandwich and robumeta."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from meta_rows import data
from more import Compute, Values, all_rows, analyses, misses, numbered, prefixed

from klarsyn.stats.contrasts import contrasts
from klarsyn.synthesis.known_covariance import assumed_covariance
from klarsyn.synthesis.multilevel import MultilevelFit, fit_multilevel
from klarsyn.synthesis.multilevel_after import deviations, likelihood_ratio, predict
from klarsyn.synthesis.random_terms import Inner, Intercepts, Slopes, nested
from klarsyn.synthesis.robust import RobustFit, fit_robust, robust

FLAT_LIKELIHOOD = 1e-5
TOLERANCE: dict[str, float] = {}
# A variance of 0: metafor estimates its logarithm, which stops somewhere on the way to −∞.
ABSOLUTE = {"D03.DIAG.tau2": 1e-10, "D09.s2": 1e-9}
# metafor stops on a lower maximum; ours is 1.3 higher (test below).
LOWER_MAXIMUM = "D04.HCS"
Array = np.ndarray


def ml(fit: MultilevelFit) -> Values:
    out = {"ll": fit.log_likelihood, "QE": fit.QE.statistic}
    for i, e in enumerate(fit.coefficients.values()):
        out |= {f"b{i}": e.value, f"se{i}": e.se}
    return out


def factor(labels: Array, *, whole: bool = False) -> Array:
    """The columns of a factor after a constant (`whole`: all its levels, no constant)."""
    levels = sorted(set(labels.tolist()))
    columns = [(labels == level).astype(float) for level in levels[0 if whole else 1 :]]
    return np.stack(columns if whole else [np.ones(len(labels)), *columns], axis=1)


@cache
def bornmann() -> tuple[Array, Array]:
    d = data("dat.bornmann2007")
    cells = {"ai": d["waward"], "n1i": d["wtotal"], "ci": d["maward"], "n2i": d["mtotal"]}
    made = contrasts("OR", cells)
    return made.y, made.v


def d01() -> Values:
    d, (y, v) = data("dat.bornmann2007"), bornmann()
    levels = nested(study=d["study"], obs=d["obs"])
    m = fit_multilevel(y, v, random=levels)
    n = fit_multilevel(
        y, v, random=levels, design=factor(d["doctype"]), method="ML", test="t",
    )  # fmt: skip
    crossed = [Intercepts(name=c, levels=d[c]) for c in ("country", "study")]
    x = fit_multilevel(y, v, random=[*crossed, Intercepts(name="row", levels=np.arange(len(y)))])
    _, (low, high) = predict(m)
    second = sorted(deviations(m, "study"), key=lambda s: str(s.level))[1]
    assert n.QM is not None
    return ml(m) | prefixed("n", ml(n)) | prefixed("x", ml(x)) | {
        "s2.1": m.components["sigma2[study]"], "s2.2": m.components["sigma2[study/obs]"],
        "AIC": m.aic, "BIC": m.bic, "AICc": m.aicc, "pi.lb": low, "pi.ub": high,
        "ranef2": second.value, "ranef2.se": second.se,
        "n.s2.1": n.components["sigma2[study]"], "n.s2.2": n.components["sigma2[study/obs]"],
        "n.QM": n.QM.statistic, "n.QMp": n.QM.p,
        "n.p1": list(n.coefficients.values())[1].p_value(),
        "x.s2.country": x.components["sigma2[country]"],
        "x.s2.study": x.components["sigma2[study]"], "x.s2.obs": x.components["sigma2[row]"],
    }  # fmt: skip


def d02() -> Values:
    d, (y, v) = data("dat.bornmann2007"), bornmann()
    X = np.column_stack([factor(d["type"]), d["year"]])
    m = fit_multilevel(y, v, random=nested(study=d["study"], obs=d["obs"]), design=X)
    out: Values = {}
    for kind in ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"):
        found = robust(m, d["study"], kind).coefficients.values()
        out |= numbered(f"{kind}.", [e.se for e in found])
    r = robust(m, d["study"])
    found, test = list(r.coefficients.values()), r.test(list(r.coefficients)[1:])
    return out | numbered("df.", [e.df for e in found]) | numbered(
        "p.", [e.p_value() for e in found]
    ) | {"HTZ": test.statistic, "HTZ.df": test.df2, "HTZ.p": test.p}  # fmt: skip


def variances(m: MultilevelFit) -> list[float]:
    return [value for name, value in m.components.items() if name.startswith("tau2")]


def structured(m: MultilevelFit, *, rho: bool) -> Values:
    found = variances(m)
    if len(found) == 1:
        out = ml(m) | {"tau2.1": found[0], "tau2": found[0]}
    else:
        out = ml(m) | numbered("tau2.", found, 1)
    if rho:
        out["rho"] = next(v for n, v in m.components.items() if n.startswith("rho"))
    return out


def d03() -> Values:
    d = data("dat.kalaian1996")
    V = assumed_covariance(
        d["vi"], d["study"], rho=1.0, kind=d["outcome"], kind_rho=0.66,
    )  # fmt: skip
    X = factor(d["outcome"], whole=True)
    out: Values = {"V12": V[11, 12]}
    for name, kind, method in (
        *((s, s, "REML") for s in ("ID", "DIAG", "CS", "HCS", "UN")), ("ML", "UN", "ML")
    ):  # fmt: skip
        term = Inner(name="o", inner=d["outcome"], outer=d["study"], structure=kind)
        m = fit_multilevel(d["yi"], V, random=[term], design=X, method=method)
        out |= prefixed(name, structured(m, rho=kind not in ("ID", "DIAG")))
    keep = np.isfinite(d["hrs"])
    X = np.column_stack([factor(d["outcome"]), d["hrs"]])[keep]
    term = Inner(
        name="o", inner=d["outcome"][keep], outer=d["study"][keep], structure="UN"
    )  # fmt: skip
    r = robust(
        fit_multilevel(d["yi"][keep], V[np.ix_(keep, keep)], random=[term], design=X),
        d["study"][keep],
    )
    found, test = list(r.coefficients.values()), r.test(list(r.coefficients)[1:])
    return out | {
        **numbered("cr2.b.", [e.value for e in found]),
        **numbered("cr2.se.", [e.se for e in found]),
        **numbered("cr2.df.", [e.df for e in found]),
        "cr2.F": test.statistic, "cr2.df2": test.df2,
    }  # fmt: skip


def d04() -> Values:
    d = data("fine1993_long")
    V = assumed_covariance(d["vi"], d["study"], time=d["time"], phi=0.8)
    X = factor(d["time"], whole=True)
    out: Values = {}
    for name, inner in (("AR", "time"), ("HAR", "time"), ("HCS", "time"), ("CAR", "months")):
        term = Inner(name="t", inner=d[inner], outer=d["study"], structure=name)
        m = fit_multilevel(d["yi"], V, random=[term], design=X)
        out |= prefixed(name, structured(m, rho=True))
    return out


def d05() -> Values:
    d = data("riley2003_complete")
    V = assumed_covariance(d["vi"], d["study"], rho=1.0, kind=d["outcome"], kind_rho=0.7)
    X = factor(d["outcome"], whole=True)

    def fit(kind: str) -> MultilevelFit:
        term = Inner(name="o", inner=d["outcome"], outer=d["study"], structure=kind)
        return fit_multilevel(d["yi"], V, random=[term], design=X)

    return structured(fit("UN"), rho=True) | {"hcs.ll": fit("HCS").log_likelihood}


@cache
def crede() -> tuple[Array, Array]:
    d = data("dat.crede2010")
    made = contrasts("ZCOR", {"ri": d["ri"], "ni": d["ni"]})
    return made.y, made.v


def d06() -> Values:
    d, (y, v) = data("dat.crede2010"), crede()
    levels = nested(study=d["studyid"], sample=d["sampleid"])
    X = factor(d["criterion"])
    m = fit_multilevel(y, v, random=levels, design=X, test="t")
    n = fit_multilevel(y, v, random=levels[:1], design=X, test="t")
    test, slope = likelihood_ratio(m, n), list(m.coefficients.values())[1]
    assert m.QM is not None
    return ml(m) | {
        "s2.1": m.components["sigma2[study]"], "s2.2": m.components["sigma2[study/sample]"],
        "QM": m.QM.statistic, "QMp": m.QM.p, "p1": slope.p_value(), "lb1": slope.interval()[0],
        "LRT": test.statistic, "LRTp": test.p,
    }  # fmt: skip


def d07() -> Values:
    d = data("obrien2003")
    X = np.stack([np.ones(len(d["yi"])), d["bmicent"]], axis=1)
    term = Slopes(name="s", columns=X, outer=d["study"], structure="UN")
    m = fit_multilevel(d["yi"], d["vi"], random=[term], design=X)
    G = m.covariances["s"]
    return ml(m) | {"tau2.0": G[0, 0], "tau2.1": G[1, 1], "cov": G[0, 1]}


def d08() -> Values:
    d = data("dat.white2020")
    made = contrasts("ZCOR", {"ri": d["r"], "ni": d["n"]})
    terms = [Intercepts(name=c, levels=d[c]) for c in ("study_id", "obs", "species")]
    m = fit_multilevel(made.y, made.v, random=terms)
    two = fit_multilevel(made.y, made.v, random=terms[:2], design=factor(d["exp_obs"]))
    r = list(robust(two, d["study_id"], "CR1p").coefficients.values())
    return ml(m) | {
        "s2.study": m.components["sigma2[study_id]"], "s2.obs": m.components["sigma2[obs]"],
        "s2.species": m.components["sigma2[species]"], "cr1.se0": r[0].se, "cr1.se1": r[1].se,
        "cr1.p1": r[1].p_value(),
    }  # fmt: skip


def d09() -> Values:
    d = data("dat.knapp2017")
    V = assumed_covariance(
        d["vi"], d["study"], rho=1.0, kind=d["task"], kind_rho=0.4,
        groups=(d["group1"], d["group2"]), sizes=(d["n_sz"], d["n_hc"]),
    )  # fmt: skip
    m = fit_multilevel(d["yi"], V, random=nested(study=d["study"], id=np.arange(len(V))))
    r = robust(m, d["study"]).estimate
    return ml(m) | {
        "V23": V[1, 2], "Vsum": float(V.sum()), "s2.1": m.components["sigma2[study]"],
        "s2.2": m.components["sigma2[study/id]"], "cr2.se": r.se, "cr2.df": r.df,
    }  # fmt: skip


def robu(fit: RobustFit) -> Values:
    found = list(fit.coefficients.values())
    return {
        **numbered("b.", [e.value for e in found]), **numbered("se.", [e.se for e in found]),
        **numbered("df.", [e.df for e in found]), **numbered("p.", [e.p_value() for e in found]),
        **fit.heterogeneity,
    }  # fmt: skip


def d10() -> Values:
    d = data("dat.tannersmith2016")
    one = np.ones((len(d["yi"]), 1))
    X = np.column_stack([one, d["aget1"], d["propmale"]])

    def fit(design: Array, **choices: Any) -> Values:
        return robu(fit_robust(d["yi"], d["vi"], d["studyid"], design=design, **choices))

    return {
        **prefixed("corr", fit(X, weights="CORR", rho=0.8)),
        **prefixed("low", fit(one, weights="CORR", rho=0.2)),
        **prefixed("hier", fit(X, weights="HIER")), **prefixed("plain", fit(one, weights="HIER")),
    }  # fmt: skip


def d11() -> Values:
    d, (y, v) = data("dat.crede2010"), crede()
    X = np.stack([np.ones(len(y)), d["criterion"] == "grade"], axis=1).astype(float)
    corr = fit_robust(y, v, d["studyid"], weights="CORR", rho=0.5, design=X)
    hier = fit_robust(y, v, d["studyid"], weights="HIER", design=X)
    return prefixed("corr", robu(corr)) | prefixed("hier", robu(hier))


COMPUTE: dict[str, Compute] = {
    f.__name__.upper(): f for f in (d01, d02, d03, d04, d05, d06, d07, d08, d09, d10, d11)
}


@pytest.mark.parametrize("analysis", [a for a in analyses() if a[0] == "D"])
def test_every_row_of_the_analysis_is_reproduced(analysis: str) -> None:
    found = misses(analysis, COMPUTE[analysis](), TOLERANCE, FLAT_LIKELIHOOD, ABSOLUTE)
    found = [line for line in found if not line.startswith(LOWER_MAXIMUM)]
    assert not found, "\n".join(found)


def test_our_maximum_is_the_higher_one_where_metafor_s_differs() -> None:
    reference = next(r.value for r in all_rows() if r.id == f"{LOWER_MAXIMUM}.ll")
    assert d04()["HCS.ll"] > reference + 1
