"""Rare events, asymmetry and selection against metafor 3.8-12 (R 4.2.2) beyond the oracle table.

REML was given threshold 1e-12, selection models integrals to 1e-10; the mixed models are as lme4
and optim leave them.
"""

from __future__ import annotations

from typing import Any

import pytest
from test_meta_analysis_rare import bcg, nielweise, nielweise_rates

from klarsyn.stats import asymmetry
from klarsyn.stats.fail_safe import fail_safe
from klarsyn.stats.selection import fit_selection
from klarsyn.stats.trim_and_fill import trim_and_fill
from klarsyn.synthesis import rare, rare_one_group
from klarsyn.synthesis.effects import Effects, effects_from_table

CLOSED = 1e-8
GLMM = 2e-4
# metafor's UM.FS goes through lme4, whose seven quadrature points and stopping rule leave tau² this
# far from the exact integral's maximum (as P21.UM.tau2 of the table); ours moves with neither.
LME4 = 1e-3
SELECTION = 2e-4  # optim's stopping rule
HEIGHT = 1e-7  # of a log-likelihood, by the same rule
SLOPE = 1e-8  # of a log-likelihood at its maximum
LIKELIHOOD_RATIO = 1e-8  # relative; second order in where an optimiser stops
NEAR_ZERO = 1e-9  # absolute, of a tau² that is zero


def risk_ratios() -> Effects:
    a, n1, c, n2 = bcg().arrays
    return effects_from_table(
        {"ai": list(a), "n1i": list(n1), "ci": list(c), "n2i": list(n2)}, "RR",
        {"ai": "ai", "n1i": "n1i", "ci": "ci", "n2i": "n2i"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "missing", "se", "estimate", "tau2"),
    [
        ("L0", 1, 2.4527986432, -0.6570827835, 0.3312876334),
        ("R0", 0, 1.4142135624, -0.7145323422, 0.3132432581),
        ("Q0", 1, 2.7786257409, -0.6570827835, 0.3312876334),
    ],
)
def test_trim_and_fill(
    estimator: str, missing: int, se: float, estimate: float, tau2: float
) -> None:
    found = trim_and_fill(risk_ratios().y, risk_ratios().v, estimator=estimator)
    assert (found.missing, found.side) == (missing, "right")
    assert found.se_missing == pytest.approx(se, rel=CLOSED)
    assert found.estimate.value == pytest.approx(estimate, rel=CLOSED)
    assert found.tau2 == pytest.approx(tau2, rel=CLOSED)


@pytest.mark.parametrize(
    ("predictor", "model", "statistic", "p", "limit"),
    [
        ("sei", "lm", -1.4012820023, 0.1887069951, -0.1909286424),
        ("sei", "rma", -0.8033291931, 0.4217844889, -0.5104318741),
        ("vi", "lm", -0.8568139650, 0.4098258121, -0.3799535064),
        ("vi", "rma", -0.4267811265, 0.6695387545, -0.6553594439),
        ("ni", "lm", 4.411221661124, 0.001043589684, None),
        ("ni", "rma", 2.04875455599, 0.04048612152, None),
        ("ninv", "lm", -1.4484695606, 0.1753843654, -0.3490664273),
        ("ninv", "rma", -1.2565628255, 0.2089119830, -0.5971932576),
        ("sqrtni", "lm", 4.278716524843, 0.001301517188, None),
        ("sqrtni", "rma", 2.35724495874, 0.01841109739, None),
        ("sqrtninv", "lm", -2.62597608193, 0.02357590745, -0.12714251490),
        ("sqrtninv", "rma", -1.83606240429, 0.06634842778, -0.40977682885),
    ],
)
def test_regression_tests(
    predictor: str, model: str, statistic: float, p: float, limit: float | None
) -> None:
    e, c = risk_ratios(), bcg()
    found = asymmetry.regression_test(
        e.y, e.v, model=model, predictor=predictor, n=c.total1 + c.total2
    )
    assert found.statistic == pytest.approx(statistic, rel=CLOSED)
    assert found.p == pytest.approx(p, rel=CLOSED)
    if limit is None:
        assert found.limit is None
    else:
        assert found.limit is not None
        assert found.limit.value == pytest.approx(limit, rel=CLOSED)


def test_the_rank_test_and_fail_safe_numbers() -> None:
    e = risk_ratios()
    rank = asymmetry.rank_test(e.y, e.v)
    assert rank.tau == pytest.approx(0.02564102564, rel=CLOSED)
    assert rank.p == pytest.approx(0.952361908, rel=CLOSED)
    assert fail_safe(e.y, e.v).number == 598
    assert fail_safe(e.y, e.v, kind="Orwin", target=-0.2).number == 36
    assert fail_safe(e.y, e.v, kind="Rosenberg").number == 370


@pytest.mark.parametrize(
    ("choice", "mu", "se", "tau2", "delta", "log_likelihood"),
    [
        ({"alternative": "less"}, -0.6205636233, 0.2613226596, 0.2912394546, 0.6355361093,
         -12.5438266065),
        ({"alternative": "less", "steps": (0.025, 0.5)}, -0.6711954251, 0.2799678292,
         0.2639018756, 0.6315474610, -12.4916164442),
        ({"alternative": "two.sided", "steps": (0.05,)}, -0.6880355506, 0.2138598988,
         0.2774467462, 0.8649285922, -12.6492136221),
        ({"alternative": "less", "kind": "negexp", "by_se": True}, -0.6839879879, 0.2264388036,
         0.2897988744, 0.5129472675, -12.6454216832),
        ({"alternative": "less", "kind": "beta"}, -0.7892782351, 0.5617351170, 0.4073668338,
         1.1086461040, -11.9528983080),
    ],
)  # fmt: skip
def test_selection_models(
    choice: dict[str, Any], mu: float, se: float, tau2: float, delta: float, log_likelihood: float
) -> None:
    e = risk_ratios()
    by_se = choice.pop("by_se", False)
    found = fit_selection(e.y, e.v, precision=e.v**0.5 if by_se else None, **choice)
    at = 1 if found.kind == "stepfun" else 0
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=HEIGHT)
    assert found.mu == pytest.approx(mu, rel=SELECTION)
    assert found.se == pytest.approx(se, rel=SELECTION)
    assert found.tau2 == pytest.approx(tau2, rel=SELECTION)
    assert found.delta[at] == pytest.approx(delta, rel=SELECTION)


def test_where_the_likelihood_is_flat_ours_is_higher() -> None:
    """Logistic weights on dat.bcg: optim stopped at −12.6641683988 with delta 0.2918."""
    e = risk_ratios()
    found = fit_selection(e.y, e.v, kind="logistic", alternative="less")
    assert found.log_likelihood > -12.6641683988
    assert found.gradient < SLOPE


def test_mantel_haenszel_tests_with_zero_cells() -> None:
    result = rare.pool_rare(nielweise(), ["MH OR", "MH RR", "MH RD"])
    first = result.fit("MH OR")
    assert first.effect_test is not None
    assert first.effect_test.value == pytest.approx(32.2135612610, rel=CLOSED)
    values = {t.name: t.value for t in first.tests}
    assert values["Breslow–Day"] == pytest.approx(25.6873688817, rel=CLOSED)
    assert values["Tarone"] == pytest.approx(25.6794889345, rel=CLOSED)
    assert values["Cochran Q"] == pytest.approx(16.8636572911, rel=CLOSED)
    for name, estimate, se, q in (
        ("MH RR", -1.1777719442, 0.2181679439, 16.3881481978),
        ("MH RD", -0.024262187445, 0.004224309157, 56.251413939656),
    ):
        fit = result.fit(name)
        assert fit.estimate is not None
        assert fit.estimate.value == pytest.approx(estimate, rel=CLOSED)
        assert fit.estimate.se == pytest.approx(se, rel=CLOSED)
        assert fit.tests[-1].value == pytest.approx(q, rel=CLOSED)
        assert fit.tests[-1].df == 16
    rate = rare.pool_rare(nielweise_rates(), ["MH IRR"]).fits[0]
    assert rate.effect_test is not None
    assert rate.effect_test.value == pytest.approx(4.79504816866, rel=CLOSED)
    assert rate.tests[-1].value == pytest.approx(9.86520244646, rel=CLOSED)


@pytest.mark.parametrize(
    ("model", "counts", "estimate", "se", "tau2", "wald", "ratio"),
    [
        ("CM.EL", nielweise, -1.3531582827, 0.3510681932, 0.6934592653, 11.85696, 28.6092677144),
        ("CM.AL", nielweise, -1.3026530266, 0.3386409302, 0.6006847079, 11.1154540045,
         27.3917307250),
        ("UM.FS", nielweise, -1.23682, 0.28036, 0.31956, 11.9382549030, 28.7359061000),
        ("CM.EL", nielweise_rates, -0.4762394314, 0.2377004276, 0.1225613834, 9.6975972572,
         11.6017743979),
        ("UM.FS", nielweise_rates, -0.45874453867, 0.22482654318, 0.09562165503, 9.69761698694,
         11.60177439793),
    ],
)  # fmt: skip
def test_mixed_models_and_their_heterogeneity_tests(
    model: str, counts: Any, estimate: float, se: float, tau2: float, wald: float, ratio: float
) -> None:
    """UM.FS of the counts is the value with 25 quadrature points (lme4 did not converge)."""
    fit = rare.fit_glmm(counts(), model)
    assert fit.estimate is not None
    bound = LME4 if model == "UM.FS" else GLMM
    assert fit.estimate.value == pytest.approx(estimate, rel=bound)
    assert fit.estimate.se == pytest.approx(se, rel=GLMM)
    assert fit.tau2 == pytest.approx(tau2, rel=bound)
    assert fit.tests[0].value == pytest.approx(ratio, rel=LIKELIHOOD_RATIO)
    # CM.EL's Wald statistic of metafor rests on a numerical Hessian (here 8e-4 off; see P08.CMEL)
    assert fit.tests[1].value == pytest.approx(wald, rel=1e-3 if model == "CM.EL" else 1e-5)


@pytest.mark.parametrize(
    ("coding", "estimate", "tau2"),
    [("first", -1.3479780176, 0.3804222466), ("second", -1.2286277230, 0.0)],
)
def test_the_coding_of_the_groups_is_part_of_the_model(
    coding: str, estimate: float, tau2: float
) -> None:
    fit = rare.fit_glmm(nielweise(), "UM.FS", coding=coding)
    assert fit.estimate is not None
    assert fit.estimate.value == pytest.approx(estimate, rel=GLMM)
    assert fit.tau2 == pytest.approx(tau2, rel=LME4, abs=NEAR_ZERO)


def test_one_rate_a_study() -> None:
    c = nielweise_rates()
    fit = rare_one_group.pool_single_rates(c.studies, list(c.events1), list(c.total1))
    assert fit.estimate is not None
    assert fit.estimate.value == pytest.approx(-6.0583513219, rel=GLMM)
    assert fit.estimate.se == pytest.approx(0.3302646561, rel=GLMM)
    assert fit.tau2 == pytest.approx(0.6542918692, rel=LME4)
