"""Rare events, selection, Bayes and dose-response on further data sets.

Reference: metafor 3.8 for stratified methods, tests of asymmetry and selection models; R written
out (more_rows.R) for what is integrated.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from meta_rows import data
from more import Compute, Row, Values, all_rows, analyses, misses, numbered, prefixed

from klarsyn.stats import asymmetry
from klarsyn.stats.contrasts import Contrasts, contrasts
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.fail_safe import fail_safe
from klarsyn.stats.selection import SelectionFit, fit_selection
from klarsyn.stats.trim_and_fill import TrimAndFill, trim_and_fill
from klarsyn.stats.worst_case import corrected_effect, worst_case
from klarsyn.synthesis.bayes import RandomEffectsPosterior, pool_bayes
from klarsyn.synthesis.dose_data import DoseData, doses_from_means, doses_from_risks
from klarsyn.synthesis.doseresponse import DoseResponseFit, fit_dose_response, fit_emax
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.rare import Counts, RareFit, count_table, fit_glmm, pool_rare, rate_table
from klarsyn.synthesis.rare_one_group import pool_proportions, pool_single_rates

CLOSED_FORM = 1e-8
INTEGRATION = 1e-7  # of R's sums of log-likelihoods, each integrated to 1e-10
TWO_INTEGRALS = 1e-4  # of UM.RS's log-likelihood, where its quadrature takes no more points
# R's BFGS stops with a slope of about 1e-6 left (its own gradients are numerical); a flat direction
# shows it in the fifth digit. Ours maximise by exact derivatives (and are not below, test below).
OPTIMISER = 2e-5
TOLERANCE = {
    **dict.fromkeys((f"F{i:02}" for i in (6, 7, 8, 9, 10, 11, 13)), OPTIMISER),
    **dict.fromkeys(("G05", "G06", "G08"), OPTIMISER),
    "G08.nep.b.se": 1e-4,  # tau² is 0 here and 4e-12 there, where its curvature is differenced
    "F08.CM.AL": 1e-4,  # tau² = 0.007 with a standard error of 0.06
    # lme4's Laplace approximation has a noisy inner loop; its own checks allow 0.002.
    "F12.est": 2e-4, "F12.tau2": 5e-4, "F12.se": 5e-3,
    # trimfill() mirrors the studies at a centre that it finds with a loose stopping rule.
    **{f"{a}.{t}": 1e-5 for a in ("G01", "G07", "G07.cohen") for t in ("L0", "R0", "Q0", "right")},
    "G04.rank.p": 1e-6,  # R takes an exact p of 5e-8 from 1 − (1 − p)
    # The sum over tau here and there; quantiles by interpolation between 12,000 points.
    **dict.fromkeys(("H01", "H02", "H03"), OPTIMISER), **dict.fromkeys(("H04", "H05"), OPTIMISER),
}  # fmt: skip
# The likelihood falls from tau² = 0 on; R's optimisers stop near it (F13 searches its logarithm).
ABSOLUTE = {
    "F13.hahn.tau2": 1e-6,
    "G05.beta.tau2": 1e-11,
    "G08.nep.b.tau2": 1e-11,
    "H05.quad.ML.psi": 1e-15,
}
Array = np.ndarray
SETS = {
    "dat.hahn2001": ("ai", "n1i", "ci", "n2i"), "dat.damico2009": ("xt", "nt", "xc", "nc"),
    "dat.collins1985a": ("b.xti", "nti", "b.xci", "nci"),
    "dat.axfors2021": (
        "hcq_arm_event", "hcq_arm_total", "control_arm_event", "control_arm_total"
    ),
}  # fmt: skip


@cache
def counts(name: str) -> Counts:
    d = data(name)
    columns = np.array([d[c] for c in SETS[name]])
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    return count_table([str(i) for i in range(columns.shape[1])], *columns)


def stratified(name: str) -> Values:
    found, out = pool_rare(counts(name), ["MH OR", "MH RR", "MH RD", "Peto"]), Values()
    for method in ("MH OR", "MH RR", "MH RD"):
        fit = found.fit(method)
        assert fit.estimate is not None
        e = fit.estimate
        out |= prefixed(method[3:], {
            "est": e.value, "se": e.se, "lb": e.interval()[0], "p": e.p_value(),
            "Q": fit.tests[-1].value,
        })  # fmt: skip
    ratio, peto = found.fit("MH OR"), found.fit("Peto")
    breslow_day, tarone, _ = ratio.tests
    assert ratio.effect_test is not None
    assert peto.estimate is not None
    return out | {
        "CMH": ratio.effect_test.value, "CMHp": ratio.effect_test.p, "BD": breslow_day.value,
        "TA": tarone.value, "Peto.est": peto.estimate.value, "Peto.se": peto.estimate.se,
        "Peto.Q": peto.tests[0].value, "Peto.used": peto.used_studies,
    }  # fmt: skip


def f05() -> Values:
    out: Values = {}
    for name in ("IRR", "IRD"):
        fit = pool_rare(hart_rates(), [f"MH {name}"]).fits[0]
        assert fit.estimate is not None
        out |= {f"{name}.est": fit.estimate.value, f"{name}.se": fit.estimate.se}
        out[f"{name}.Q"] = fit.tests[-1].value
    return out


@cache
def hart_rates() -> Counts:
    d = data("dat.hart1999")
    return rate_table(list(d["trial"]), d["x1i"], d["t1i"], d["x2i"], d["t2i"])


def model(fit: RareFit) -> Values:
    assert fit.estimate is not None
    out = {"est": fit.estimate.value, "se": fit.estimate.se, "ll": fit.log_likelihood or math.nan}
    for name, value in (("tau2", fit.tau2), ("se.tau2", fit.se_tau2), ("rho", fit.rho)):
        if value is not None:
            out[name] = value
    return out


def models(name: str) -> Values:
    out = prefixed("BB", model(pool_rare(counts(name), ["beta-binomial"]).fits[0]))
    for kind in ("CM.EL", "CM.AL", "UM.FS"):
        out |= prefixed(kind, model(fit_glmm(counts(name), kind)))
    return out


def f09() -> Values:
    kept = counts("dat.axfors2021")
    return prefixed("BB", model(pool_rare(kept, ["beta-binomial"]).fits[0])) | prefixed(
        "CM.AL", model(fit_glmm(kept, "CM.AL"))
    )


def f10() -> Values:
    return model(fit_glmm(hart_rates(), "CM.EL"))


def f11() -> Values:
    out: Values = {}
    for name in ("debruin2009", "hannum2020"):
        d = data(f"dat.{name}")
        names = [str(i) for i in range(len(d["ni"]))]
        found = model(pool_proportions(names, d["xi"], d["ni"]))
        out |= prefixed(name[:-4], found)
    d = data("dat.hart1999")
    return out | prefixed("hart", model(pool_single_rates(list(d["trial"]), d["x2i"], d["t2i"])))


def f12() -> Values:
    return model(fit_glmm(counts("dat.damico2009"), "UM.RS", laplace=True))


def f13() -> Values:
    out: Values = {}
    for name in ("hahn2001", "damico2009"):
        found = model(fit_glmm(counts(f"dat.{name}"), "UM.RS"))
        out |= prefixed(name[:-4], found)
    return out


@cache
def lee() -> Contrasts:
    d = data("dat.lee2004")
    return contrasts("OR", {c: d[c] for c in ("ai", "n1i", "ci", "n2i")})


def trimmed(t: TrimAndFill, *, with_se: bool = True) -> Values:
    out = {"k0": t.missing, "est": t.estimate.value, "se": t.estimate.se, "tau2": t.tau2}
    return out | ({"se.k0": t.se_missing} if with_se else {})


def small(y: Array, v: Array, n: Array) -> Values:
    out: Values = {}
    for predictor in asymmetry.PREDICTORS:
        for kind in asymmetry.MODELS:
            t = asymmetry.regression_test(y, v, model=kind, predictor=predictor, n=n)
            found = {"stat": t.statistic, "p": t.p}
            if t.limit is not None:
                found["limit"] = t.limit.value
            out |= prefixed(f"{kind}.{predictor}", found)
    r = asymmetry.rank_test(y, v)
    out |= {"rank.tau": r.tau, "rank.p": r.p}
    for name in ("L0", "R0", "Q0"):
        out |= prefixed(name, trimmed(trim_and_fill(y, v, estimator=name)))
    return out | prefixed("right", trimmed(trim_and_fill(y, v, estimator="L0", side="right")))


def g01() -> Values:
    d = data("dat.lee2004")
    return small(lee().y, lee().v, d["n1i"] + d["n2i"])


def g02() -> Values:
    d = data("dat.baskerville2012")
    y, v = d["smd"], d["se"] ** 2
    r, lm = asymmetry.rank_test(y, v), asymmetry.regression_test(y, v)
    rma = asymmetry.regression_test(y, v, model="rma", tau2_method="DL")
    assert lm.limit is not None
    assert rma.limit is not None
    out = {
        "rank.tau": r.tau, "rank.p": r.p, "e.z": rma.statistic, "e.limit": rma.limit.value,
        "l.t": lm.statistic, "l.limit": lm.limit.value, "rosenthal": fail_safe(y, v).number,
        "orwin": fail_safe(y, v, kind="Orwin", target=0.1).number,
        "rosenberg": fail_safe(y, v, kind="Rosenberg").number,
    }  # fmt: skip
    for name in ("L0", "R0"):
        found = trim_and_fill(y, v, estimator=name, tau2_method="DL")
        out |= prefixed(name, trimmed(found, with_se=False))
    return out


def g03() -> Values:
    d, y, v = data("dat.lee2004"), lee().y, lee().v
    cells = [d[c] for c in ("ai", "n1i", "ci", "n2i")]
    tests = {
        "harbord": asymmetry.harbord(*cells), "peters": asymmetry.peters(y, *cells),
        "macaskill": asymmetry.macaskill(y, *cells), "deeks": asymmetry.deeks(y, *cells),
        "arcsine": asymmetry.schwarzer_arcsine(*cells),
    }  # fmt: skip
    out: Values = {}
    for name, t in tests.items():
        out |= {f"{name}.stat": t.statistic, f"{name}.p": t.p}
    both = asymmetry.pet_peese(y, v)
    assert both.pet.limit is not None
    assert both.peese.limit is not None
    return out | {
        "pet": both.pet.limit.value, "pet.se": both.pet.limit.se,
        "pet.slope": both.pet.slope.value, "peese": both.peese.limit.value,
        "peese.se": both.peese.limit.se,
    }  # fmt: skip


def g04() -> Values:
    d = data("dat.curtis1998")
    made = contrasts("SMD", {c: d[c] for c in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")})
    p = asymmetry.pustejovsky_rodgers(made.y, d["n1i"], d["n2i"])
    r = asymmetry.rank_test(made.y, made.v)
    return {
        "pr.stat": p.statistic, "pr.p": p.p,
        "e.stat": asymmetry.regression_test(made.y, made.v).statistic, "rank.tau": r.tau,
        "rank.p": r.p,
    }  # fmt: skip


def selected(s: SelectionFit) -> Values:
    return numbered("delta.", s.delta, 1) | {
        "est": s.mu, "se": s.se, "tau2": s.tau2, "ll": s.log_likelihood, "LRT": s.test.value
    }  # fmt: skip


def g05() -> Values:
    d = data("dat.baskerville2012")
    y, v, out = d["smd"], d["se"] ** 2, Values()
    for kind in ("beta", "halfnorm", "negexp", "logistic", "power"):
        out |= prefixed(kind, selected(fit_selection(y, v, kind=kind)))
    return (
        out
        | prefixed("step", selected(fit_selection(y, v)))
        | prefixed("three", selected(fit_selection(y, v, steps=(0.01, 0.3))))
        | prefixed("prec", selected(fit_selection(y, v, kind="negexp", precision=d["se"])))
    )


def g06() -> Values:
    y, v = lee().y, lee().v
    fits = {
        "less": fit_selection(y, v, alternative="less"),
        "both": fit_selection(y, v, steps=(0.05,), alternative="two.sided"),
        "beta": fit_selection(y, v, kind="beta", alternative="less"),
        "given": fit_selection(y, v, steps=(0.05,), fixed=(1, 0.3), alternative="less"),
        "halfnorm": fit_selection(y, v, kind="halfnorm", alternative="less"),
    }
    out: Values = {}
    for name, fit in fits.items():
        out |= prefixed(name, selected(fit))
    return out


def g07() -> Values:
    d, e = data("dat.molloy2014"), data("dat.cohen1981")
    z = contrasts("ZCOR", {"ri": d["ri"], "ni": d["ni"]})
    r = contrasts("COR", {"ri": e["ri"], "ni": e["ni"]})
    return small(z.y, z.v, d["ni"]) | prefixed("cohen", small(r.y, r.v, e["ni"]))


def g08() -> Values:
    d, b, out = data("dat.mcdaniel1994"), data("dat.baskerville2012"), Values()
    z = contrasts("ZCOR", {"ri": d["ri"], "ni": d["ni"]})
    for name, y, v, steps, alternative in (
        ("two", z.y, z.v, (0.025, 0.5), "greater"),
        ("four", z.y, z.v, (0.001, 0.01, 0.05, 0.5), "greater"),
        ("five", z.y, z.v, (0.001, 0.01, 0.05, 0.2, 0.5), "greater"),
        ("both", z.y, z.v, (0.05, 0.3), "two.sided"),
        ("both.four", z.y, z.v, (0.001, 0.01, 0.1, 0.5), "two.sided"),
        ("less", lee().y, lee().v, (0.025, 0.5), "less"),
        ("lee.both", lee().y, lee().v, (0.05, 0.5), "two.sided"),
    ):
        fit = fit_selection(y, v, steps=steps, alternative=alternative)
        out |= prefixed(name, selected(fit))
    held = fit_selection(z.y, z.v, steps=(0.025, 0.5), fixed=(1, None, 0.4))
    nep = fit_selection(z.y, z.v, kind="negexppow")
    other = fit_selection(b["smd"], b["se"] ** 2, kind="negexppow")
    for name, fit in (("held", held), ("nep", nep), ("nep.b", other)):
        out |= prefixed(name, selected(fit))
    return out


def corrected(e: Estimate) -> Values:
    low, high = e.interval()
    return {"est": e.value, "se": e.se, "df": e.df, "lb": low, "ub": high}


def g09() -> Values:
    b, out = data("dat.baskerville2012"), Values()
    for name, y, v, favoured, ratios in (
        ("lee", lee().y, lee().v, "negative", (1.5, 4)),
        ("baskerville", b["smd"], b["se"] ** 2, "positive", (1, 3, 20)),
    ):
        for ratio in ratios:
            found = corrected_effect(y, v, ratio, favoured=favoured)
            out |= prefixed(f"{name}.{ratio}", corrected(found))
        common = corrected_effect(y, v, ratios[0], favoured=favoured, model="common")
        whole = worst_case(y, v, favoured=favoured)
        assert whole.worst is not None
        out |= prefixed(f"{name}.worst", corrected(whole.worst))
        out |= {f"{name}.common.est": common.value, f"{name}.common.se": common.se}
        out[f"{name}.n"] = whole.affirmative
    return out


def limited(y: Array, v: Array, method: str) -> Values:
    out: Values = {}
    for adjustment in asymmetry.LIMITS:
        m = asymmetry.limit_meta_analysis(y, v, adjustment=adjustment, tau2_method=method)
        out |= {adjustment: m.estimate.value, f"{adjustment}.se": m.estimate.se}
        out |= {
            "slope": m.slope, "bias": m.intercept, "Q.small": m.small_study.value,
            "Q.resid": m.residual.value, "G2": m.g2, "limit1": m.limits[0],
        }  # fmt: skip
    return out


def g10() -> Values:
    b = data("dat.baskerville2012")
    y, v = b["smd"], b["se"] ** 2
    return (
        prefixed("lee", limited(lee().y, lee().v, "DL"))
        | prefixed("bask", limited(y, v, "DL"))
        | prefixed("bask.REML", limited(y, v, "REML"))
    )


def posterior(p: RandomEffectsPosterior) -> Values:
    d = p.distribution
    out = {
        "mu.mean": p.mu.mean, "mu.sd": p.mu.sd, "mu.median": p.mu.median, "mu.low": p.mu.low,
        "mu.high": p.mu.high, "mu.below": p.probability_below(0), "tau.mean": p.tau.mean,
        "tau.sd": p.tau.sd, "tau.median": p.tau.median, "tau.low": p.tau.low,
        "tau.high": p.tau.high, "new.median": p.new_study.median, "new.low": p.new_study.low,
        "new.high": p.new_study.high, "new.below": p.probability_below(0, of="new_study"),
        "study1": p.shrinkage()[0][1].mean,
    }  # fmt: skip
    return out | ({} if d.log_marginal is None else {"logml": d.log_marginal})


def bayes(y: Array, v: Array, prior: str, mean: float, sd: float = math.inf) -> Values:
    effects = effects_from_arrays(y, v)
    return posterior(
        pool_bayes(effects, tau_prior=prior, mu_mean=mean, mu_sd=sd, interval="central")
    )


def h01() -> Values:
    d = data("dat.cannon2006")
    made = contrasts("RR", {"ai": d["ep1t"], "n1i": d["nt"], "ci": d["ep1c"], "n2i": d["nc"]})
    out: Values = {}
    for name, prior, sd in (
        ("hn", "half-normal 0.5", 4), ("hc", "half-cauchy 0.5", 4), ("ht", "half-t 0.3 4", 2),
        ("ex", "exponential 0.4", 4), ("ln", "log-normal -2.5 0.8", 4),
        ("ig", "inverse-gamma 2 0.1", 4), ("un", "uniform 2", 4),
    ):  # fmt: skip
        out |= prefixed(name, bayes(made.y, made.v, prior, 0, sd))
    return out


def h02() -> Values:
    d = data("dat.hart1999")
    made = contrasts("IRR", {c: d[c] for c in ("x1i", "t1i", "x2i", "t2i")})
    return prefixed("flat", bayes(made.y, made.v, "half-normal 1", 0)) | prefixed(
        "sceptic", bayes(made.y, made.v, "half-normal 0.5", 0.1, 0.2)
    )


def h03() -> Values:
    d = data("dat.baskerville2012")
    return bayes(d["smd"], d["se"] ** 2, "half-normal 0.5", 0, 1)


def curve(fit: DoseResponseFit) -> Values:
    found = list(fit.coefficients.values())
    return (
        numbered("b.", [e.value for e in found], 1)
        | numbered("se.", [e.se for e in found], 1)
        | numbered("psi.", np.diag(fit.psi).tolist(), 1)
        | {"ll": fit.log_likelihood, "Q": fit.Q}
    )


@cache
def bmi() -> DoseData:
    d = data("obrien2003_risks")
    return doses_from_risks(*(d[c] for c in ("study", "dose", "effect", "se", "cases", "n")),
                            design=list(d["design"]))  # fmt: skip


def h04() -> Values:
    knots = [20, 25, 32]
    fits = {
        "linear": fit_dose_response(bmi(), curve="linear"),
        "linear.ML": fit_dose_response(bmi(), curve="linear", method="ML"),
        "quad": fit_dose_response(bmi(), curve="quadratic", method="ML"),
        "spline": fit_dose_response(bmi(), curve="spline", knots=knots),
        "common": fit_dose_response(bmi(), curve="spline", knots=knots, method="common"),
        "common.quad": fit_dose_response(bmi(), curve="quadratic", method="common"),
    }
    out: Values = {}
    for name, fit in fits.items():
        out |= prefixed(name, curve(fit))
    return out


def h05() -> Values:
    d = data("dose_means")
    made = doses_from_means(*(d[c] for c in ("study", "dose", "mean", "sd", "n")))
    linear = fit_dose_response(made, curve="linear")
    square = fit_dose_response(made, curve="quadratic", method="ML")
    out = prefixed("linear", curve(linear)) | prefixed("quad.ML", curve(square))
    for prefix, fit in (("", fit_emax(made)), ("common.", fit_emax(made, method="common"))):
        at = fit.coefficients
        out |= {
            f"{prefix}emax": at["emax"].value, f"{prefix}log.ed50": at["log_ed50"].value,
            f"{prefix}ll" if prefix else "emax.ll": fit.log_likelihood,
        }  # fmt: skip
    return out


COMPUTE: dict[str, Compute] = {
    **{f"F0{i}": (lambda name=name: stratified(name)) for i, name in enumerate(SETS, 1)},
    "F05": f05,
    **{f"F0{i}": (lambda name=name: models(name)) for i, name in enumerate(list(SETS)[:3], 6)},
    **{f.__name__.upper(): f for f in (f09, f10, f11, f12, f13)},
    **{
        f.__name__.upper(): f
        for f in (g01, g02, g03, g04, g05, g06, g07, g08, g09, g10, h01, h02, h03)
    },
    **{f.__name__.upper(): f for f in (h04, h05)},
}


@cache
def computed(analysis: str) -> Values:
    return COMPUTE[analysis]()


@pytest.mark.parametrize("analysis", [a for a in analyses() if a[0] in "FGH"])
def test_every_row_of_the_analysis_is_reproduced(analysis: str) -> None:
    found = misses(analysis, computed(analysis), TOLERANCE, CLOSED_FORM, ABSOLUTE)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("row", [r for r in all_rows() if r.name.endswith("ll")
                                 and r.analysis[0] in "FGH"], ids=lambda r: r.id)  # fmt: skip
def test_no_likelihood_lies_below_the_reference_s(row: Row) -> None:
    slack = TWO_INTEGRALS if row.analysis == "F13" else INTEGRATION
    assert computed(row.analysis)[row.name] >= row.value - slack
