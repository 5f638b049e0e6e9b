"""Identities of selection models, tests of asymmetry, trim and fill and the worst case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.stats import asymmetry, selection
from klarsyn.stats.fail_safe import fail_safe
from klarsyn.stats.heterogeneity import estimate_tau2, log_likelihood
from klarsyn.stats.selection import fit_selection
from klarsyn.stats.selection_weights import SMOOTH
from klarsyn.stats.trim_and_fill import trim_and_fill
from klarsyn.stats.weighted import fit
from klarsyn.stats.worst_case import affirmative, cluster_robust_mean, corrected_effect, worst_case

ARITHMETIC = 1e-10  # the same quantity by another order of operations
OPTIMISER = 1e-6  # maxima found twice
QUADRATURE = 1e-6  # the kink at the smallest p falls inside a panel of the brute force
HEIGHT = 1e-9  # of a log-likelihood; what rounding may put another optimiser above ours
QUOTIENT = 1e-7  # differences over 2e-6 of values near 10 rounded at 1e-15
UNIT = 1e-12  # relative; the same steps on numbers a thousand times as large
ENDLESS = 1e-8  # relative; selection of 1e9 instead of without end

RNG = np.random.default_rng(11)
V = RNG.uniform(0.01, 0.3, 25)
Y = 0.5 + RNG.normal(0, np.sqrt(V + 0.03))


@pytest.mark.parametrize("kind", selection.KINDS)
def test_without_selection_it_is_maximum_likelihood(kind: str) -> None:
    none = (1.0, 1.0) if kind == "stepfun" else SMOOTH[kind].none
    found = fit_selection(Y, V, kind=kind, fixed=none)
    tau2 = estimate_tau2(Y, V, method="ML").value
    assert found.tau2 == pytest.approx(tau2, rel=OPTIMISER)
    assert found.mu == pytest.approx(float(fit(Y, V, None, tau2).beta[0]), rel=OPTIMISER)
    value = float(log_likelihood(Y, V, None, tau2, restricted=False)[0])
    assert found.log_likelihood == pytest.approx(value, abs=ARITHMETIC)


@pytest.mark.parametrize("kind", SMOOTH)
@pytest.mark.parametrize("alternative", ["greater", "two.sided"])
def test_the_area_is_the_integral_of_weight_times_density(kind: str, alternative: str) -> None:
    s, mu, tau2, floor = 0.3, 0.2, 0.05, 1e-5
    delta = np.array({"beta": [1.7, 0.8], "negexppow": [1.4, 2.5]}.get(kind, [1.4]))
    integral = selection._smooth_integral(
        np.array([s]), SMOOTH[kind], alternative, np.ones((1, 1)), floor
    )
    log_area, _ = integral.log_area(mu, tau2, delta)

    def height(z: np.ndarray) -> np.ndarray:
        p = stats.norm.sf(z) if alternative == "greater" else 2 * stats.norm.sf(np.abs(z))
        p = np.clip(p, floor, 1 - floor)[None]
        log_w, _ = SMOOTH[kind].log_weight(np.log(p), np.log1p(-p), np.ones((1, 1)), delta)
        return np.exp(log_w[0]) * stats.norm.pdf(z * s, mu, math.sqrt(s**2 + tau2)) * s

    edges = np.concatenate([[0], np.geomspace(1e-7, 40, 1500)])
    node, weight = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (1 + node)).ravel()
    value = ((half * weight).ravel() * (height(z) + height(-z))).sum()
    assert math.exp(log_area[0]) == pytest.approx(value, rel=QUADRATURE)


@pytest.mark.parametrize("kind", selection.KINDS)
@pytest.mark.parametrize("alternative", ["greater", "two.sided"])
def test_slopes_are_those_of_the_likelihood(kind: str, alternative: str) -> None:
    cuts = (0.025, 0.5) if kind == "stepfun" else ()
    s = np.sqrt(V)
    integral = selection._integral(kind, s, cuts, alternative, np.ones((1, 1)), 1e-5)
    evaluate = selection._likelihood(Y, V, kind, cuts, alternative, integral)
    delta = {"stepfun": [1.0, 0.6, 0.3], "beta": [1.5, 0.8], "negexppow": [0.7, 1.6]}.get(
        kind, [0.7]
    )
    at = np.array([0.2, 0.04, *delta])
    _, slope = evaluate(at)
    h = 1e-6
    for i in range(len(at)):
        move = np.eye(len(at))[i] * h
        numeric = (evaluate(at + move)[0] - evaluate(at - move)[0]) / (2 * h)
        assert slope[i] == pytest.approx(numeric, abs=QUOTIENT)


def test_the_step_model_is_its_textbook_likelihood() -> None:
    """Hedges 1992: product of w·N(y; mu, v + tau²) / (w1·P(p < 0.025) + w2·P(p ≥ 0.025))."""

    def deviance(q: np.ndarray) -> float:
        mu, tau2, w = q[0], math.exp(q[1]), math.exp(q[2])
        sd = np.sqrt(V + tau2)
        cut = stats.norm.isf(0.025) * np.sqrt(V)
        seen = stats.norm.sf(cut, mu, sd)
        weight = np.where(np.sqrt(V) * stats.norm.isf(0.025) <= Y, 1.0, w)
        return -float(
            (np.log(weight) + stats.norm.logpdf(Y, mu, sd) - np.log(seen + w * (1 - seen))).sum()
        )

    found = fit_selection(Y, V)
    ours = np.array([found.mu, math.log(found.tau2), math.log(found.delta[1])])
    assert found.log_likelihood == pytest.approx(-deviance(ours), rel=ARITHMETIC)
    for start in (ours + 0.3, ours - 0.3, np.array([0.2, -3, 0])):
        other = optimize.minimize(deviance, start, method="Nelder-Mead")
        assert -other.fun <= found.log_likelihood + HEIGHT


@pytest.mark.parametrize("kind", selection.KINDS)
def test_estimates_follow_the_unit(kind: str) -> None:
    one, other = fit_selection(Y, V, kind=kind), fit_selection(1000 * Y, 1e6 * V, kind=kind)
    assert other.mu == pytest.approx(1000 * one.mu, rel=UNIT)
    assert other.tau2 == pytest.approx(1e6 * one.tau2, rel=UNIT)
    assert other.delta == pytest.approx(one.delta, rel=UNIT)
    lower = one.log_likelihood - len(Y) * math.log(1000)
    assert other.log_likelihood == pytest.approx(lower, rel=UNIT)


def test_less_mirrors_greater() -> None:
    up, down = fit_selection(Y, V), fit_selection(-Y, V, alternative="less")
    assert down.mu == pytest.approx(-up.mu, rel=UNIT)
    assert down.delta == up.delta


def test_an_empty_interval_of_p_is_named() -> None:
    with pytest.raises(NumericalError, match="p-value between") as caught:
        fit_selection(Y, V, steps=(1e-12, 0.025))
    assert caught.value.status == "not_estimable"


def test_wrong_choices_are_named() -> None:
    with pytest.raises(UnknownNameError, match="stepfun"):
        fit_selection(Y, V, kind="step")
    with pytest.raises(UnknownNameError, match="greater"):
        fit_selection(Y, V, alternative="bigger")
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_selection(Y, V, steps=(5,))
    with pytest.raises(InputError, match="precision"):
        fit_selection(Y, V, kind="beta", precision=np.sqrt(V))


def test_egger_is_the_regression_of_z_on_precision() -> None:
    """Egger et al. 1997: intercept and t of y/se on 1/se."""
    s = np.sqrt(V)
    line = stats.linregress(1 / s, Y / s)
    found = asymmetry.regression_test(Y, V)
    assert found.slope.value == pytest.approx(line.intercept, rel=ARITHMETIC)
    assert found.slope.se == pytest.approx(line.intercept_stderr, rel=ARITHMETIC)
    assert found.limit is not None
    assert found.limit.value == pytest.approx(line.slope, rel=ARITHMETIC)


def test_egger_does_not_depend_on_the_unit() -> None:
    for model in asymmetry.MODELS:
        one = asymmetry.regression_test(Y, V, model=model)
        other = asymmetry.regression_test(60 * Y, 3600 * V, model=model)
        assert other.p == pytest.approx(one.p, rel=ARITHMETIC)


def test_harbord_regresses_the_score_on_the_root_of_information() -> None:
    """Harbord et al. 2006, eq. 5: Z/√V on √V."""
    a, n1, c, n2 = (RNG.integers(low, high, 12).astype(float)
                    for low, high in ((1, 20), (40, 90), (1, 20), (40, 90)))  # fmt: skip
    m, n = a + c, n1 + n2
    z, v = a - m * n1 / n, n1 * n2 * m * (n - m) / (n**2 * (n - 1))
    line = stats.linregress(np.sqrt(v), z / np.sqrt(v))
    found = asymmetry.harbord(a, n1, c, n2)
    assert found.slope.value == pytest.approx(line.intercept, rel=ARITHMETIC)
    assert found.slope.se == pytest.approx(line.intercept_stderr, rel=ARITHMETIC)


def test_a_symmetric_funnel_has_nothing_to_trim() -> None:
    y = np.array([-0.3, 0.3, -0.2, 0.2, -0.1, 0.1, 0.0])
    v = np.array([0.09, 0.09, 0.04, 0.04, 0.01, 0.01, 0.005])
    for estimator in ("L0", "R0", "Q0"):
        found = trim_and_fill(y, v, estimator=estimator, side="left")
        assert found.missing == 0
        assert found.estimate.value == pytest.approx(0, abs=UNIT)


def test_trimming_the_mirror_image_fills_the_other_side() -> None:
    y, v = Y[:15] + 2 * np.sqrt(V[:15]), V[:15]
    left, right = trim_and_fill(y, v), trim_and_fill(-y, v)
    assert (left.side, right.side) == ("left", "right")
    assert left.missing == right.missing > 0
    assert right.estimate.value == pytest.approx(-left.estimate.value, rel=UNIT)


def test_pet_and_peese_agree_with_their_regressions() -> None:
    found = asymmetry.pet_peese(Y, V)
    assert found.peese.limit == asymmetry.pet_peese(Y, V, threshold=1.0).estimate
    assert asymmetry.pet_peese(Y, V, threshold=1e-9).chosen == "PET"


def test_the_limit_of_equal_effects_is_that_effect() -> None:
    found = asymmetry.limit_meta_analysis(np.full(8, 0.4), V[:8])
    assert found.tau2 == 0
    assert found.estimate.value == pytest.approx(0.4, rel=UNIT)


def test_the_worst_case_is_the_limit_of_ever_stronger_selection() -> None:
    worst = worst_case(Y, V, favoured="positive", model="common").worst
    assert worst is not None
    strong = corrected_effect(Y, V, 1e9, favoured="positive", model="common")
    assert strong.value == pytest.approx(worst.value, rel=ENDLESS)
    assert strong.se == pytest.approx(worst.se, rel=ENDLESS)


def test_the_common_effect_s_value_has_its_closed_form() -> None:
    """Mathur & VanderWeele 2020, theorem for fixed effects."""
    chosen = affirmative(Y, V, favoured="positive")
    w, a, n = 1 / V, chosen, ~chosen
    q = 0.5 * (np.average(Y, weights=w) + np.average(Y[n], weights=w[n]))
    found = worst_case(Y, V, favoured="positive", q=q, model="common")
    by_hand = ((w * Y)[a].sum() - q * w[a].sum()) / (q * w[n].sum() - (w * Y)[n].sum())
    assert by_hand > 1
    assert found.s_value == pytest.approx(by_hand, rel=ARITHMETIC)


def test_the_robust_error_of_equal_weights_is_that_of_a_mean() -> None:
    """CR2 with equal variances and clusters of one is s²/k with k − 1 degrees of freedom."""
    r = Y - Y.mean()
    se, df = cluster_robust_mean(r, np.ones(25), np.ones(25), list(range(25)))
    assert se == pytest.approx(float(np.std(Y, ddof=1)) / 5, rel=ARITHMETIC)
    assert df == pytest.approx(24, rel=ARITHMETIC)


def test_fail_safe_numbers_undo_the_finding() -> None:
    """One null study fewer than Rosenthal's N leaves the combined p below 0.05."""
    n = fail_safe(Y, V).number
    z = (Y / np.sqrt(V)).sum()
    assert stats.norm.sf(z / math.sqrt(len(Y) + n)) >= 0.05
    assert stats.norm.sf(z / math.sqrt(len(Y) + n - 1)) < 0.05


def test_orwin_halves_the_mean_with_as_many_null_studies() -> None:
    assert fail_safe(Y, V, kind="Orwin").number == len(Y)
