"""Identities and limits of the rare-event models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from klarsyn.errors import NumericalError, UnknownNameError
from klarsyn.stats import rare_betabinomial as bb
from klarsyn.stats import rare_likelihoods as likelihoods
from klarsyn.stats import rare_random, rare_stratified, rare_unconditional
from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.freeman_tukey import invert_double_arcsine

ARITHMETIC = 1e-12  # the same formula summed in another order
OPTIMISER = 1e-6  # a root or maximum found twice by different means
BRUTE = 1e-8  # adaptive quadrature against a fine grid
HEIGHT = 1e-9  # of a log-likelihood summed over 12 studies of 100 patients
CANCELLED = 1e-10  # relative; odds of 1e5 leave few digits of what they subtract
QUOTIENT = 1e-8  # differences over 2e-4 or 2e-5: the third derivative, and rounding
SECOND = 1e-6  # the same of a mixed second difference
DISTANCE = 1e-3  # the overdispersion 2e-6 is not zero yet
SIMPLEX = 1e-6  # where Nelder and Mead stop on a flat top; the height agrees far better

A, N1, C, N2 = (np.array(x, float) for x in ([4, 0, 7], [60, 45, 80], [9, 2, 6], [58, 50, 75]))


def one(*cells: float) -> tuple[np.ndarray, ...]:
    return tuple(np.array([float(x)]) for x in cells)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("OR", math.log(4 * 49 / (9 * 56))),
        ("RR", math.log(4 / 60 / (9 / 58))),
        ("RD", 4 / 60 - 9 / 58),
    ],
)
def test_mantel_haenszel_of_one_table_is_that_table(measure: str, value: float) -> None:
    found = rare_stratified.mantel_haenszel(*one(4, 60, 9, 58), measure).estimate
    assert found.value == pytest.approx(value, rel=ARITHMETIC)


def test_the_variance_of_one_table_is_woolf_s() -> None:
    """Robins, Breslow & Greenland's variance is 1/a + 1/b + 1/c + 1/d for one stratum."""
    found = rare_stratified.mantel_haenszel(*one(4, 60, 9, 58), "OR").estimate
    assert found.se**2 == pytest.approx(1 / 4 + 1 / 56 + 1 / 9 + 1 / 49, rel=ARITHMETIC)


def test_peto_by_hand() -> None:
    """Yusuf et al. 1985: O − E = 4 − 60·13/118, V = 60·58·13·105/(118²·117)."""
    o_e, v = 4 - 60 * 13 / 118, 60 * 58 * 13 * 105 / (118**2 * 117)
    found = rare_stratified.peto(*one(4, 60, 9, 58))
    assert found.estimate.value == pytest.approx(o_e / v, rel=ARITHMETIC)
    assert found.estimate.se == pytest.approx(v**-0.5, rel=ARITHMETIC)


def test_swapping_the_groups_changes_the_sign_only() -> None:
    for measure in ("OR", "RR", "RD"):
        one_way = rare_stratified.mantel_haenszel(A, N1, C, N2, measure).estimate
        other = rare_stratified.mantel_haenszel(C, N2, A, N1, measure).estimate
        assert other.value == pytest.approx(-one_way.value, rel=ARITHMETIC)
        assert other.se == pytest.approx(one_way.se, rel=ARITHMETIC)


def test_a_study_without_events_changes_no_ratio() -> None:
    more = [np.append(x, y) for x, y in zip((A, N1, C, N2), (0, 500, 0, 400), strict=True)]
    for measure in ("OR", "RR"):
        without = rare_stratified.mantel_haenszel(A, N1, C, N2, measure)
        found = rare_stratified.mantel_haenszel(*more, measure)
        assert found.estimate.value == pytest.approx(without.estimate.value, rel=ARITHMETIC)
        assert list(found.informative) == [True, True, True, False]


def test_a_group_without_events_has_no_ratio_but_a_difference() -> None:
    none = np.zeros(3)
    with pytest.raises(NumericalError, match="no event"):
        rare_stratified.mantel_haenszel(none, N1, C, N2, "OR")
    assert rare_stratified.mantel_haenszel(none, N1, C, N2, "RD").estimate.value < 0


def test_an_unknown_measure_gets_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="OR"):
        rare_stratified.mantel_haenszel(A, N1, C, N2, "ORR")


def test_expected_events_give_the_odds_ratio_back() -> None:
    for odds_ratio in (1e-4, 0.3, 1.0, 1 + 1e-9, 7.0, 1e5):
        x = rare_stratified.expected_events(odds_ratio, N1, N2, A + C)
        again = x * (N2 - A - C + x) / ((N1 - x) * (A + C - x))
        assert again == pytest.approx(odds_ratio, rel=CANCELLED)


def test_rates_scale_with_the_unit_of_time() -> None:
    ratio = rare_stratified.mantel_haenszel_rates(A, N1, C, N2, "IRR").estimate
    again = rare_stratified.mantel_haenszel_rates(A, N1 * 365.25, C, N2 * 365.25, "IRR").estimate
    assert again.value == pytest.approx(ratio.value, rel=ARITHMETIC)
    assert again.se == pytest.approx(ratio.se, rel=ARITHMETIC)


def test_the_conditional_likelihood_is_fisher_s_noncentral_hypergeometric() -> None:
    study = likelihoods.noncentral_hypergeometric(A, N1, C, N2)
    theta = -0.7
    value, slope, curvature = study(np.full((3, 1), theta))
    for i in range(3):
        law = stats.nchypergeom_fisher(
            int(N1[i] + N2[i]), int(N1[i]), int(A[i] + C[i]), math.exp(theta)
        )
        assert value[i, 0] == pytest.approx(law.logpmf(A[i]), rel=OPTIMISER)
        assert slope[i, 0] == pytest.approx(A[i] - law.mean(), rel=OPTIMISER)
        assert curvature[i, 0] == pytest.approx(-law.var(), rel=OPTIMISER)


def test_one_study_is_its_own_conditional_estimate() -> None:
    fit = rare_random.fit_random_effect(
        likelihoods.noncentral_hypergeometric(*one(4, 60, 9, 58)), 1
    )
    root = optimize.brentq(
        lambda t: 4 - stats.nchypergeom_fisher.mean(118, 60, 13, math.exp(t)), -5, 5, xtol=1e-13
    )
    assert fit.mu == pytest.approx(root, rel=OPTIMISER)
    assert fit.tau2 == 0
    assert fit.boundary


@pytest.mark.parametrize("tau", [0.2, 1.0, 3.0])
def test_quadrature_equals_a_fine_grid(tau: float) -> None:
    study = likelihoods.noncentral_hypergeometric(A, N1, C, N2)
    found, _, _ = rare_random.marginal(study, 3, -0.4, tau, 161)
    z = np.linspace(-14, 14, 200_001)
    value, _, _ = study(np.broadcast_to(-0.4 + tau * z, (3, len(z))))
    grid = np.log((np.exp(value) * stats.norm.pdf(z)).sum(axis=1) * (z[1] - z[0]))
    assert found == pytest.approx(grid, abs=BRUTE)


def test_slopes_and_curvatures_are_those_of_the_marginal_likelihood() -> None:
    study = likelihoods.noncentral_hypergeometric(A, N1, C, N2)
    mu, tau, h = -0.4, 0.8, 1e-4

    def total(m: float, t: float) -> float:
        return float(rare_random.marginal(study, 3, m, t, 61)[0].sum())

    _, slope, bend = rare_random.marginal(study, 3, mu, tau, 61)
    assert slope[0] == pytest.approx(
        (total(mu + h, tau) - total(mu - h, tau)) / (2 * h), abs=QUOTIENT
    )
    assert slope[1] == pytest.approx(
        (total(mu, tau + h) - total(mu, tau - h)) / (2 * h), abs=QUOTIENT
    )
    cross = total(mu + h, tau + h) - total(mu + h, tau - h)
    cross -= total(mu - h, tau + h) - total(mu - h, tau - h)
    assert bend[0, 1] == pytest.approx(cross / (4 * h * h), abs=SECOND)


def test_no_grid_point_beats_the_fit() -> None:
    rng = np.random.default_rng(3)
    n1 = rng.integers(30, 120, 12).astype(float)
    a = rng.binomial(n1.astype(int), 0.08).astype(float)
    c = rng.binomial(n1.astype(int), rng.uniform(0.02, 0.4, 12)).astype(float)
    study = likelihoods.noncentral_hypergeometric(a, n1, c, n1)
    fit = rare_random.fit_random_effect(study, 12)
    for mu in np.linspace(-3, 1, 21):
        for tau in np.linspace(0.01, 2.5, 20):
            value = rare_random.marginal(study, 12, float(mu), float(tau))[0].sum()
            assert value <= fit.log_likelihood + HEIGHT


def test_a_likelihood_without_maximum_is_named() -> None:
    none = np.zeros(3)
    with pytest.raises(NumericalError, match="rises without end") as caught:
        rare_random.fit_random_effect(likelihoods.binomial(none, C + 1), 3)
    assert caught.value.status == "not_estimable"


def test_unconditional_slopes_are_those_of_the_likelihood() -> None:
    groups = likelihoods.two_binomials(A, N1, C, N2)
    alpha, h = np.array([-2.0, -3.0, -2.2]), 1e-5

    def value(alphas: np.ndarray, mu: float, tau: float) -> np.ndarray:
        return rare_unconditional._moments(groups, (0.5, -0.5), alphas, mu, tau, 61).value

    m = rare_unconditional._moments(groups, (0.5, -0.5), alpha, -0.4, 0.7, 61)
    by_alpha = (value(alpha + h, -0.4, 0.7) - value(alpha - h, -0.4, 0.7)) / (2 * h)
    by_mu = (value(alpha, -0.4 + h, 0.7) - value(alpha, -0.4 - h, 0.7)) / (2 * h)
    by_tau = (value(alpha, -0.4, 0.7 + h) - value(alpha, -0.4, 0.7 - h)) / (2 * h)
    assert m.gradient == pytest.approx(np.array([by_alpha, by_mu, by_tau]), abs=QUOTIENT)


def test_fixed_study_effects_without_heterogeneity_are_logistic_regression() -> None:
    """tau² = 0 in homogeneous tables: one odds ratio, one intercept a study."""
    a, c, n = np.array([5.0, 10, 20]), np.array([10.0, 20, 40]), np.array([100.0, 200, 400])
    fit = rare_unconditional.fit_fixed_study_effects(
        likelihoods.two_binomials(a, n, c, n), np.full(3, -2.5)
    )
    assert fit.boundary
    assert fit.mu == pytest.approx(math.log((5 / 95) / (10 / 90)), rel=OPTIMISER)


def test_the_beta_binomial_tends_to_the_binomial() -> None:
    value = bb.log_likelihood(A, N1, np.full(3, 0.1), 2e-6)
    limit = bb.log_likelihood(A, N1, np.full(3, 0.1), 0.0)
    assert value == pytest.approx(limit, abs=DISTANCE)
    closer = bb.log_likelihood(A, N1, np.full(3, 0.1), 1.1e-6)
    assert np.abs(closer - limit).max() < np.abs(value - limit).max()


def test_the_beta_binomial_is_scipy_s() -> None:
    mu, rho = 0.12, 0.07
    p, q = mu * (1 - rho) / rho, (1 - mu) * (1 - rho) / rho
    ours = bb.log_likelihood(A, N1, np.full(3, mu), rho / (1 - rho))
    theirs = (
        stats.betabinom.logpmf(A, N1, p, q) - np.log(stats.binom.pmf(A, N1, 0.5)) - N1 * math.log(2)
    )
    assert ours == pytest.approx(theirs, rel=ARITHMETIC)


def test_underdispersed_counts_fit_the_binomial_exactly() -> None:
    a, c, n = np.full(6, 5.0), np.full(6, 10.0), np.full(6, 100.0)
    fit = bb.fit_beta_binomial(a, n, c, n)
    assert fit.boundary
    assert fit.rho == 0
    assert fit.estimate.value == pytest.approx(math.log((5 / 95) / (10 / 90)), rel=ARITHMETIC)
    assert fit.estimate.se**2 == pytest.approx(1 / 30 + 1 / 570 + 1 / 60 + 1 / 540, rel=OPTIMISER)


def test_the_beta_binomial_fit_is_a_maximum_by_another_optimiser() -> None:
    rng = np.random.default_rng(5)
    n = rng.integers(40, 200, 15).astype(float)
    a = rng.binomial(n.astype(int), rng.beta(1, 14, 15)).astype(float)
    c = rng.binomial(n.astype(int), rng.beta(1.5, 12, 15)).astype(float)
    fit = bb.fit_beta_binomial(a, n, c, n)

    def deviance(p: np.ndarray) -> float:
        phi = math.exp(p[2])
        m1, m2 = 1 / (1 + math.exp(-p[0] - p[1])), 1 / (1 + math.exp(-p[0]))
        law = stats.betabinom
        return -float(
            law.logpmf(a, n, m1 / phi, (1 - m1) / phi).sum()
            + law.logpmf(c, n, m2 / phi, (1 - m2) / phi).sum()
        )

    other = optimize.minimize(
        deviance, [-2, 0, -3], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}
    )
    assert fit.log_likelihood == pytest.approx(-other.fun, abs=BRUTE)
    assert fit.estimate.value == pytest.approx(other.x[1], abs=SIMPLEX)


@pytest.mark.parametrize(("events", "total"), [(0, 10), (1, 10), (5, 10), (10, 10), (300, 1000)])
def test_inverting_the_double_arcsine_gives_the_proportion_back(events: int, total: int) -> None:
    value = contrasts("PFT", {"xi": [events], "ni": [total]}).y[0]
    assert invert_double_arcsine(float(value), total) == pytest.approx(
        events / total, abs=ARITHMETIC
    )
