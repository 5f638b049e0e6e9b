"""Measures, estimators, regression and influence on further data sets, against metafor 3.8."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from meta_rows import data
from more import Compute, Values, analyses, misses, prefixed

from klarsyn.stats.heterogeneity import typical_variance
from klarsyn.stats.measures import MEASURES
from klarsyn.stats.tau2_intervals import relative_intervals, tau2_interval
from klarsyn.synthesis.effects import Effects, effects_from_arrays, effects_from_table
from klarsyn.synthesis.influence import cumulative, influence, leave_one_out
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.pairwise import Pooled, pool
from klarsyn.synthesis.rare_one_group import pool_double_arcsines
from klarsyn.synthesis.regression import (
    Regression,
    joint_test,
    predict,
    regress,
    shrink,
    variance_inflation,
)
from klarsyn.synthesis.regression_influence import regression_influence
from klarsyn.synthesis.resampling import permutation_test
from klarsyn.synthesis.subgroups import subgroups
from klarsyn.synthesis.subsets import subsets

CLOSED_FORM = 1e-8  # the bar of the project
# metafor looks for the scale coefficients with a general optimiser and differentiates numerically.
TOLERANCE = {"C05": 1e-5}
# τ² is 0: Fisher scoring approaches it until the steps are below its threshold (1e-13).
ABSOLUTE = {"B08": 1e-13, "C10.cumul.tau2": 1e-13, "C16.knha.tau2del": 1e-13} | dict.fromkeys(
    ("C16.knha.dfbs.5", "C16.EE.dfbs.1"),
    1e-13,  # a level that has no study left out does not move
)

COUNTS = {c: c for c in ("ai", "n1i", "ci", "n2i")}
MEANS = {c: c for c in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")}
RATES = {c: c for c in ("x1i", "t1i", "x2i", "t2i")}
SHARES = {c: c for c in ("xi", "ni")}
ESTIMATORS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")


def few(p: Pooled) -> Values:
    return {"k": p.k, "est": p.estimate, "se": p.se, "tau2": p.tau2, "Q": p.q}


def co(p: Pooled) -> Values:
    return few(p) | {
        "stat": p.statistic, "pval": p.p_value, "ci.lb": p.ci_lower, "ci.ub": p.ci_upper,
        "se.tau2": p.tau2_se, "I2": p.i2, "H2": p.h2, "Qp": p.q_p,
    }  # fmt: skip


def made(dataset: str, measure: str, cells: dict[str, str], **choices: Any) -> Effects:
    return effects_from_table(data(dataset), measure, cells, **choices)


def reml(effects: Effects, **choices: Any) -> Pooled:
    return pool(effects, **{"method": "REML", "test": "z", "drop_problems": True} | choices)


def a01() -> Values:
    out: Values = {}
    for m in ("RR", "OR", "RD", "PETO", "AS", "PHI", "YUQ", "YUY", "OR2DN", "OR2DL", "PBIT"):
        out |= prefixed(m, few(reml(made("dat.laopaiboon2015", m, COUNTS))))
    return out


def a02() -> Values:
    out: Values = {}
    for v in ("LS", "UB", "AV"):
        out |= prefixed(v, few(reml(made("dat.laopaiboon2015", "RD", COUNTS, variance=v))))
    return out


def a03() -> Values:
    cells = {
        "ai": "hcq_arm_event", "n1i": "hcq_arm_total",
        "ci": "control_arm_event", "n2i": "control_arm_total",
    }  # fmt: skip
    choices: dict[str, dict[str, Any]] = {
        "only0": {}, "all": {"to": "all"}, "if0all": {"to": "if0all"}, "add1": {"add": 0.1},
        "drop": {"drop00": True},
    }  # fmt: skip
    out: Values = {}
    for name, chosen in choices.items():
        out |= prefixed(name, few(reml(made("dat.axfors2021", "OR", cells, **chosen))))
    return out


def a04() -> Values:
    out: Values = {}
    for m in ("MD", "SMD", "SMDH", "SMD1", "ROMU", "VR", "CVR", "D2ORN", "D2ORL"):
        name = "ROM" if m == "ROMU" else m  # metafor 3.8 has no bias correction yet
        out |= prefixed(name, few(reml(made("dat.curtis1998", m, MEANS))))
    return out


def a05() -> Values:
    out: Values = {}
    for name, m, v in (
        ("LS2", "SMD", "LS2"), ("UB", "SMD", "UB"), ("AV", "SMD", "AV"),
        ("SMD1.LS2", "SMD1", "LS2"), ("MD.HO", "MD", "HO"), ("ROM.HO", "ROMU", "HO"),
    ):  # fmt: skip
        out |= prefixed(name, few(reml(made("dat.curtis1998", m, MEANS, variance=v))))
    return out


def a06() -> Values:
    out: Values = {}
    for m in ("IRR", "IRD", "IRSD"):
        out |= prefixed(m, few(reml(made("dat.hart1999", m, RATES))))
    for m in ("IR", "IRLN", "IRS", "IRFT"):
        out |= prefixed(m, few(reml(made("dat.hart1999", m, {"xi": "x2i", "ti": "t2i"}))))
    return out


def a07() -> Values:
    d, out = data("dat.debruin2009"), {}
    for m in ("PR", "PLN", "PLO", "PAS", "PFT"):
        out |= prefixed(m, few(reml(made("dat.debruin2009", m, SHARES))))
    for m in ("PR", "PLN", "PLO"):
        out |= prefixed(f"{m}.AV", few(reml(made("dat.debruin2009", m, SHARES, variance="AV"))))
    out |= prefixed("UB", few(reml(made("dat.debruin2009", "PR", SHARES, variance="UB"))))
    arcsine = pool_double_arcsines(list(d["author"]), d["xi"], d["ni"])
    assert arcsine.certificate is not None
    return out | {"HO.pft.back": arcsine.certificate["proportion"]}


def a08() -> Values:
    out: Values = {}
    for m in ("PR", "PLN", "PLO", "PAS", "PFT"):
        out |= prefixed(m, few(reml(made("dat.hannum2020", m, SHARES))))
    return out


def a09() -> Values:
    out: Values = {}
    for m in ("COR", "UCOR", "ZCOR"):
        out |= prefixed(m, few(reml(made("dat.mcdaniel1994", m, {"ri": "ri", "ni": "ni"}))))
    return out


def a10() -> Values:
    out: Values = {}
    for name, m, v in (
        ("COR.AV", "COR", "AV"), ("UCOR.LS", "UCOR", "LS"), ("UCOR.UB", "UCOR", "UB"),
        ("UCOR.AV", "UCOR", "AV"), ("ZCOR", "ZCOR", "LS"),
    ):  # fmt: skip
        found = made("dat.molloy2014", m, {"ri": "ri", "ni": "ni"}, variance=v)
        out |= prefixed(name, few(reml(found)))
    return out


def a11() -> Values:
    cells = {
        "m1i": "m_post", "m2i": "m_pre", "sd1i": "sd_pre", "sd2i": "sd_post", "ni": "ni", "ri": "ri"
    }  # fmt: skip
    out: Values = {}
    for m in ("MC", "SMCC", "SMCR", "SMCRH", "ROMC"):
        used = {r: c for r, c in cells.items() if m != "SMCR" or r != "sd2i"}
        out |= prefixed(m, few(reml(made("morris2008", m, used))))
    return out


def a12() -> Values:
    out: Values = {}
    for m in ("MN", "MNLN"):
        cells = {"mi": "m_pre", "sdi": "sd_pre", "ni": "ni"}
        out |= prefixed(m, few(reml(made("morris2008", m, cells))))
    return out


def a13() -> Values:
    d = data("dat.laopaiboon2015")
    pairs = {"ai": d["n1i"] - d["ai"], "bi": d["ai"], "ci": d["ci"], "di": d["n2i"] - d["ci"]}
    change = {
        "m1i": "m_post", "m2i": "m_pre", "sd1i": "sd_post", "sd2i": "sd_pre", "ni": "ni", "ri": "ri"
    }  # fmt: skip
    one = {"mi": "m_pre", "sdi": "sd_pre", "ni": "ni"}
    slope = {"ti": "tval", "ni": "n", "mi": "preds", "r2i": "R2"}
    alpha = {"ai": "ai", "mi": "mi", "ni": "ni"}
    out: Values = {}
    for name in ("MPRD", "MPRR", "MPOR", "MPORC", "MPPETO"):
        out |= prefixed(name, few(reml(effects_from_table(pairs, name, {c: c for c in pairs}))))
    for names, dataset, cells in (
        (("SMD1H", "RPB", "RBIS"), "dat.curtis1998", MEANS),
        (("CVRC", "VRC"), "morris2008", change), (("SMN", "SDLN", "CVLN"), "morris2008", one),
        (("PCOR", "ZPCOR", "SPCOR"), "dat.aloe2013", slope),
        (("ARAW", "AHW", "ABT"), "dat.bonett2010", alpha),
    ):  # fmt: skip
        for name in names:
            used = {r: c for r, c in cells.items() if r in MEASURES[name].needs}
            out |= prefixed(name, few(reml(made(dataset, name, used))))
    for name in ("PCOR", "SPCOR"):
        used = {r: c for r, c in slope.items() if r in MEASURES[name].needs}
        found = made("dat.aloe2013", name, used, variance="AV")
        out |= prefixed(f"{name}.AV", few(reml(found)))
    return out


@cache
def lee() -> Effects:
    return made("dat.lee2004", "RR", COUNTS)


@cache
def baskerville() -> Effects:
    d = data("dat.baskerville2012")
    columns = {n: tuple(c.tolist()) for n, c in d.items()}
    return effects_from_arrays(d["smd"], d["se"] ** 2, covariates=columns)


@cache
def cannon() -> Effects:
    return made("dat.cannon2006", "RR", {"ai": "ep1t", "n1i": "nt", "ci": "ep1c", "n2i": "nc"})


def b01() -> Values:
    out: Values = {}
    for method in ESTIMATORS:
        out |= prefixed(method, co(reml(lee(), method=method)))
    return out


def b02() -> Values:
    out: Values = {}
    for method in ESTIMATORS:
        out |= prefixed(method, co(reml(baskerville(), method=method, test="t")))
    for method in ("DL", "REML", "PM", "SJ"):
        for test in ("knha", "adhoc"):
            found = reml(baskerville(), method=method, test=test)
            out |= prefixed(f"{method}.{test}", co(found))
    return out


def b03() -> Values:
    d = data("dat.lee2004")
    w = d["n1i"] + d["n2i"]
    low, high = tau2_interval(lee().y, lee().v, interval="GENQ", weights=w)
    return (
        prefixed("GENQ", few(reml(lee(), method="GENQ", weights=w)))
        | prefixed("own", few(reml(lee(), weights=w)))
        | {"GENQ.lb": low, "GENQ.ub": high}
        | {"GENQM.tau2": reml(lee(), method="GENQM", weights=w).tau2}
    )


def limits(name: str, pair: tuple[float, float]) -> Values:
    return {f"{name}.lb": pair[0], f"{name}.ub": pair[1]}


def b04() -> Values:
    y, v = baskerville().y, baskerville().v
    out: Values = {}
    for name, kind, level in (("QP", "QP", 0.95), ("QP90", "QP", 0.9), ("PL", "PL", 0.95)):
        pair = tau2_interval(y, v, interval=kind, level=level)
        out |= limits(name, pair)
        for ratio, other in relative_intervals(pair, typical_variance(v, None)).items():
            out |= limits(f"{name}.{'tau' if ratio == 'tau' else ratio.upper()}", other)
    out |= limits("PLML", reml(baskerville(), method="ML", interval="PL").tau2_ci)
    out |= limits("J", reml(baskerville(), interval="J").tau2_ci)
    return out | limits("BJ", reml(baskerville(), interval="BJ").tau2_ci)


def b05() -> Values:
    out: Values = {}
    for name, chosen in {
        "z": {}, "t": {"test": "t"}, "knha": {"test": "knha"}, "DL": {"method": "DL"},
        "level90": {"test": "knha", "level": 0.9},
    }.items():  # fmt: skip
        p = reml(baskerville(), **chosen)
        out |= {f"{name}.pi.lb": p.pi_lower, f"{name}.pi.ub": p.pi_upper}
    for method in ("REML", "ML", "DL", "EE"):
        p = reml(baskerville(), method=method)
        found = {"ll": p.log_likelihood, "AIC": p.aic, "BIC": p.bic, "AICc": p.aicc}
        out |= prefixed(method, found)
    return out


def b06() -> Values:
    out: Values = {}
    for method in ("DL", "HE", "SJ", "ML", "REML", "EB", "PM"):
        out |= prefixed(method, co(reml(cannon(), method=method, test="knha")))
    return out


def b07() -> Values:
    return prefixed("two", co(reml(cannon().take([0, 1]), test="knha"))) | prefixed(
        "three", co(reml(cannon().take([0, 1, 2]), test="t", method="PM"))
    )


def b08() -> Values:
    d = data("dat.dagostino1998")
    out: Values = {}
    for outcome in ("rnic1", "snic1", "rngoal1", "sngoal2"):
        rows = {n: c[d["outcome"] == outcome] for n, c in d.items()}
        if outcome.endswith(("ic1", "ic2")):
            cells = {
                "m1i": "mt", "sd1i": "sdt", "n1i": "nt", "m2i": "mc", "sd2i": "sdc", "n2i": "nc"
            }  # fmt: skip
            out |= prefixed(f"{outcome}.SMD", few(reml(effects_from_table(rows, "SMD", cells))))
        else:
            cells = {"ai": "xt", "n1i": "nt", "ci": "xc", "n2i": "nc"}
            out |= prefixed(f"{outcome}.OR", few(reml(effects_from_table(rows, "OR", cells))))
    return out


def coefficients(r: Regression) -> Values:
    out: Values = {}
    for i, c in enumerate(r.coefficients):
        out |= {f"b{i}": c.estimate, f"se{i}": c.se, f"lb{i}": c.ci_lower, f"ub{i}": c.ci_upper}
    return out


def c01() -> Values:
    effects = made("dat.laopaiboon2015", "RR", COUNTS)
    terms = ["factor(diag.ab)", "year", "factor(diag.ab):year"]
    r = regress(effects, terms, test="z", drop_problems=True)
    return coefficients(r) | {
        "tau2": r.tau2, "R2": r.r2, "I2": r.i2, "H2": r.h2, "QM": r.omnibus.statistic,
        "QMp": r.omnibus.p_value, "QE": r.qe, "QEp": r.qe_p, "ll": r.log_likelihood,
        "AICc": r.aicc, "Qab": joint_test(r, terms[2:]).statistic,
    }  # fmt: skip


def c02() -> Values:
    r = regress(baskerville(), ["design", "country"], test="knha")
    a = joint_test(r, ["design"])
    out = coefficients(r) | {
        "tau2": r.tau2, "R2": r.r2, "F": r.omnibus.statistic, "Fp": r.omnibus.p_value,
        "F.design": a.statistic, "Fp.design": a.p_value,
    }  # fmt: skip
    for method in ("DL", "HE", "HS", "HSk", "SJ", "ML", "EB", "PM", "EE"):
        x = regress(baskerville(), ["design", "score"], method=method, test="z")
        out |= prefixed(method, {
            "b1": x.coefficients[1].estimate, "b3": x.coefficients[3].estimate,
            "se3": x.coefficients[3].se, "tau2": x.tau2, "QM": x.omnibus.statistic, "I2": x.i2,
        })  # fmt: skip
    return out


def c03() -> Values:
    effects = made("dat.debruin2009", "PLO", SHARES)
    m = regress(effects, ["ethnicity"], intercept=False, test="t")
    n = regress(effects, ["scq", "ethnicity", "select"], test="z")
    p = predict(n, {"scq": 20, "ethnicity=other": 1, "select=yes": 1})
    inflation, shrunk = variance_inflation(n), shrink(n)
    return coefficients(m) | prefixed("n", coefficients(n)) | {
        "F": m.omnibus.statistic, "Fp": m.omnibus.p_value, "tau2": m.tau2, "n.tau2": n.tau2,
        "n.pred": p.estimate, "n.pred.se": p.se, "n.pi.lb": p.pi_lower, "n.pi.ub": p.pi_upper,
        "n.vif.scq": inflation["scq"], "n.vif.eth": inflation["ethnicity=other"],
        "n.blup3": shrunk[2].estimate, "n.blup3.se": shrunk[2].se,
        "n.ranef5": shrunk[4].deviation,
    }  # fmt: skip


def c04() -> Values:
    d = data("dat.viechtbauer2021")
    table = dict(d) | {"dose2": d["dose"] ** 2}
    cells = {"ai": "xTi", "n1i": "nTi", "ci": "xCi", "n2i": "nCi"}
    effects = effects_from_table(table, "OR", cells, add=0.5, to="all")
    m = regress(effects, ["dose"], test="adhoc")
    q = regress(effects, ["dose", "dose2"], test="z", method="ML")
    return coefficients(m) | prefixed("quad", coefficients(q)) | {
        "tau2": m.tau2, "R2": m.r2, "quad.tau2": q.tau2, "quad.QM": q.omnibus.statistic,
        "quad.R2": q.r2,
    }  # fmt: skip


def c05() -> Values:
    out: Values = {}
    for name, location, scale, chosen in (
        ("m", ["score"], ["score", "alloconc"], {}),
        ("n", [], ["retention"], {"method": "ML"}),
        ("o", ["score"], ["score"], {"test": "knha"}),
    ):
        e = baskerville()
        f = regress_location_scale(e, location, scale, drop_problems=True, **chosen)
        for i, c in enumerate(f.location):
            out |= {f"{name}.b{i}": c.estimate, f"{name}.se{i}": c.se}
            out |= {f"{name}.lb{i}": c.ci_lower, f"{name}.ub{i}": c.ci_upper}
        for i, c in enumerate(f.scale):
            key = c.name if i else "0"
            out |= {f"{name}.a.{key}": c.estimate, f"{name}.a.se{i + 1}": c.se}
        out |= {f"{name}.QM": f.location_test.statistic, f"{name}.QS": f.scale_test.statistic}
        out |= {f"{name}.ll": f.log_likelihood}
    return out


def c06() -> Values:
    cells = {"ai": "n.ctrl.rec", "bi": "n.ctrl.non", "ci": "n.cbt.rec", "di": "n.cbt.non"}
    effects = made("dat.landenberger2005", "OR", cells)
    m = regress(effects, ["factor(design)", "factor(group)", "pubtype"], test="knha")
    n = regress(effects, ["male", "sessions"], test="z", drop_problems=True)
    return coefficients(m) | prefixed("n", coefficients(n)) | {
        "tau2": m.tau2, "F": m.omnibus.statistic, "Fp": m.omnibus.p_value, "n.k": n.k,
        "n.tau2": n.tau2, "n.QM": n.omnibus.statistic,
    }  # fmt: skip


def c07() -> Values:
    t = permutation_test(cannon(), exact=True)
    return {"p": t.p_value[0], "n": t.count}


def c08() -> Values:
    effects = made("dat.hart1999", "IRR", RATES)
    p = permutation_test(effects, ["year"], exact=True)
    q = permutation_test(effects, ["year"], exact=True, test="knha", method="DL")
    return {
        "p0": p.p_value[0], "p1": p.p_value[1], "QMp": p.omnibus_p, "n": p.count,
        "knha.p0": q.p_value[0], "knha.p1": q.p_value[1], "knha.QMp": q.omnibus_p,
    }  # fmt: skip


def c09() -> Values:
    p = permutation_test(baskerville().take(range(11)), ["itt"], exact=True, method="DL")
    return {"p0": p.p_value[0], "p1": p.p_value[1], "QMp": p.omnibus_p, "n": p.count}


def c10() -> Values:
    effects = lee()
    left, cases = leave_one_out(effects, test="z"), influence(effects)
    years = cumulative(effects, effects.covariates["year"], test="z")
    out: Values = {}
    for i, s in enumerate(left, 1):
        found = {"est": s.estimate, "se": s.se, "tau2": s.tau2, "I2": s.i2, "Q": s.q}
        out |= {f"l1o.{name}.{i}": value for name, value in found.items()}
    for i, c in enumerate(cases, 1):
        found = {
            "rstud": c.rstudent, "dffits": c.dffits, "cook": c.cook, "covr": c.cov_ratio,
            "tau2del": c.tau2_without, "QEdel": c.q_without, "hat": c.hat, "weight": c.weight,
            "dfbs": c.dfbetas,
        }  # fmt: skip
        out |= {f"{name}.{i}": value for name, value in found.items()}
    for i, s in enumerate(years, 1):
        found = {"est": s.estimate, "se": s.se, "tau2": s.tau2}
        out |= {f"cumul.{name}.{i}": value for name, value in found.items()}
    return out


def c11() -> Values:
    effects, choices = baskerville(), {"method": "DL", "test": "knha"}
    cases, left = influence(effects, **choices), leave_one_out(effects, **choices)
    out: Values = {}
    for i in (1, 2, 10, 23):
        c, s = cases[i - 1], left[i - 1]
        found = {
            "rstud": c.rstudent, "dffits": c.dffits, "cook": c.cook, "covr": c.cov_ratio,
            "hat": c.hat, "dfbs": c.dfbetas, "l1o.lb": s.ci_lower, "l1o.ub": s.ci_upper,
        }  # fmt: skip
        out |= {f"{name}.{i}": value for name, value in found.items()}
    return out


def c12() -> Values:
    effects = made("dat.debruin2009", "PLO", SHARES)
    common = subgroups(effects, "patients", test="z")
    own = subgroups(effects, "patients", test="z", common_tau2=False)
    out = {
        "Q.common": common.between.statistic, "p.common": common.between.p_value,
        "Q.own": own.between.statistic, "p.own": own.between.p_value,
    }  # fmt: skip
    for name, p in own.groups.items():
        out |= prefixed(name, few(p))
    return out


def c13() -> Values:
    effects = made("dat.laopaiboon2015", "RR", COUNTS).take(range(10))
    out: Values = {}
    for method in ("EE", "REML", "DL"):
        s = subsets(effects, method=method, test="z")
        found = {
            "n": s.count, "est.mean": s.estimate.mean(), "est.sd": s.estimate.std(ddof=1),
            "est.min": s.estimate.min(), "est.max": s.estimate.max(), "QE.mean": s.q.mean(),
        }  # fmt: skip
        out |= prefixed(method, {n: float(v) for n, v in found.items()})
    return out


def c14() -> Values:
    effects, ab = made("dat.laopaiboon2015", "RR", COUNTS), "factor(diag.ab)"
    m = regress(effects, [f"year:{ab}"], test="z", drop_problems=True)
    shares, pair = made("dat.debruin2009", "PLO", SHARES), "ethnicity:patients"
    n = regress(shares, ["ethnicity", pair], test="z")
    p = regress(shares, [pair], test="z", intercept=False)
    assert regress(shares, [pair], test="z").tau2 == pytest.approx(p.tau2, rel=CLOSED_FORM)
    return coefficients(m) | prefixed("n", coefficients(n)) | {
        "tau2": m.tau2, "QM": m.omnibus.statistic, "n.tau2": n.tau2,
        "n.QM": n.omnibus.statistic, "p.tau2": p.tau2, "p.QM": p.omnibus.statistic,
    }  # fmt: skip


def diagnosed(r: Regression, places: Sequence[int]) -> Values:
    cases, out = regression_influence(r), Values()
    for i in places:
        c = cases[i - 1]
        found = {
            "rstandard": c.rstandard, "rstud": c.rstudent, "dffits": c.dffits, "cook": c.cook,
            "covr": c.cov_ratio, "tau2del": c.tau2_without, "QEdel": c.q_without, "hat": c.hat,
            "weight": c.weight,
        }  # fmt: skip
        out |= {f"{name}.{i}": value for name, value in found.items()}
        for j, (b, moved) in enumerate(zip(c.coefficients, c.dfbetas.values(), strict=True)):
            out |= {f"dfbs.{j}.{i}": moved, f"b.{j}.{i}": b.estimate}
            out |= {f"lb.{j}.{i}": b.ci_lower, f"ub.{j}.{i}": b.ci_upper}
    return out


def c15() -> Values:
    effects = made("dat.debruin2009", "PLO", SHARES)
    r = regress(effects, ["scq", "ethnicity", "select"], test="z")
    return diagnosed(r, range(1, r.k + 1))


def c16() -> Values:
    e, places = baskerville(), (1, 7, 11, 23)
    fits = {
        "t": regress(e, ["score"], test="t", method="ML"),
        "EE": regress(e, ["design"], intercept=False, method="EE", test="z"),
        "adhoc": regress(e, ["score"], test="adhoc", method="DL"),
    }
    out = prefixed("knha", diagnosed(regress(e, ["design", "country"], test="knha"), places))
    for name, fit in fits.items():
        out |= prefixed(name, diagnosed(fit, places))
    cases = influence(e, test="z")
    return out | {f"mean.{i}": c.rstandard for i, c in enumerate(cases, 1)}


COMPUTE: dict[str, Compute] = {
    f.__name__.upper(): f
    for f in (
        *(a01, a02, a03, a04, a05, a06, a07, a08, a09, a10, a11, a12, a13),
        *(b01, b02, b03, b04, b05, b06, b07, b08),
        *(c01, c02, c03, c04, c05, c06, c07, c08, c09, c10, c11, c12, c13, c14, c15, c16),
    )
}


@pytest.mark.parametrize("analysis", [a for a in analyses() if a[0] in "ABC"])
def test_every_row_of_the_analysis_is_reproduced(analysis: str) -> None:
    found = misses(analysis, COMPUTE[analysis](), TOLERANCE, CLOSED_FORM, ABSOLUTE)
    assert not found, "\n".join(found)
