"""Bayesian random effects: quadrature against brute force, and the limits that must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.stats import tau_priors as priors
from klarsyn.stats.normal_normal import NormalNormalPosterior, posterior
from klarsyn.stats.quadrature import half_line, normal_mixture

GRID = 1e-8  # trapezoid on 40,001 points of tau, smooth density
CLOSED = 1e-10  # a known distribution by quadrature
CELL = 1e-7  # relative, of the moments and probabilities on that grid
ROOT = 1e-9  # relative; quantiles are roots to 1e-14 of their bracket
SUMMED = 1e-10  # relative; one sum or integral taken in another order or unit
SHIFTED = 1e-8  # 10,000 added to effects near 1 costs four digits
FLAT_TOP = 1e-7  # a mode is found to the root of machine precision

Y = np.array([0.3, 0.9, -0.1, 0.6, 0.2, 1.4])
V = np.array([0.04, 0.09, 0.02, 0.2, 0.05, 0.3])
PROPER = [
    priors.half_normal(0.5), priors.half_cauchy(0.3), priors.half_t(0.5, 4),
    priors.exponential(0.4), priors.log_normal(-1.2, 0.7), priors.uniform(2.0),
    priors.inverse_gamma_variance(1.0, 0.1),
]  # fmt: skip


def brute(prior: priors.TauPrior, sd: float) -> dict[str, float]:
    """Moments by the trapezoid on a fine grid of tau; nothing shared with the quadrature."""
    tau = np.linspace(1e-9, 12, 400_001)
    if math.isfinite(prior.upper):
        tau = np.linspace(1e-9, prior.upper, 400_001)
    w = 1 / (V[:, None] + tau**2)
    information = w.sum(axis=0) + 1 / sd**2
    mean = (w * Y[:, None]).sum(axis=0) / information
    covariance_free = stats.norm.logpdf(Y[:, None], mean, np.sqrt(1 / w)).sum(axis=0)
    logs = prior.log_density(tau) + covariance_free
    logs += stats.norm.logpdf(mean, 0, sd) - stats.norm.logpdf(0, 0, np.sqrt(1 / information))
    density = np.exp(logs)
    total = integrate.trapezoid(density, tau)
    weight = density / total
    mu = integrate.trapezoid(weight * mean, tau)
    second = integrate.trapezoid(weight * (1 / information + mean**2), tau)
    below = integrate.trapezoid(weight * stats.norm.cdf(0.2, mean, np.sqrt(1 / information)), tau)
    new = integrate.trapezoid(
        weight * stats.norm.cdf(0.2, mean, np.sqrt(1 / information + tau**2)), tau
    )
    return {
        "log_marginal": math.log(total), "tau": integrate.trapezoid(weight * tau, tau), "mu": mu,
        "sd": math.sqrt(second - mu**2), "below": below, "new_below": new,
    }  # fmt: skip


@pytest.mark.parametrize(
    "prior", [p for p in PROPER if p.name != "half-Cauchy"], ids=lambda p: p.name
)
def test_quadrature_equals_a_fine_grid(prior: priors.TauPrior) -> None:
    found, expected = posterior(Y, V, prior, mu_sd=2.0), brute(prior, 2.0)
    assert found.log_marginal == pytest.approx(expected["log_marginal"], abs=CELL)
    assert found.tau.mean() == pytest.approx(expected["tau"], rel=CELL)
    assert found.mu.mean == pytest.approx(expected["mu"], rel=CELL)
    assert found.mu.sd == pytest.approx(expected["sd"], rel=CELL)
    assert found.mu.cdf(0.2) == pytest.approx(expected["below"], rel=CELL)
    assert found.new_study.cdf(0.2) == pytest.approx(expected["new_below"], rel=CELL)


@pytest.mark.parametrize("prior", PROPER, ids=lambda p: p.name)
def test_a_prior_integrates_to_one(prior: priors.TauPrior) -> None:
    law = half_line(prior.log_density, scale=0.5, upper=prior.upper)
    assert law.log_integral == pytest.approx(0, abs=CLOSED)
    assert law.cdf(0.3) == pytest.approx(
        float(integrate.quad(lambda t: math.exp(prior.log_density(np.array([t]))[0]), 0, 0.3)[0]),
        rel=SUMMED,
    )


def test_a_tiny_tau_gives_the_common_effect() -> None:
    found = posterior(Y, V, priors.half_normal(1e-7))
    w = 1 / V
    assert found.mu.mean == pytest.approx(float((w * Y).sum() / w.sum()), rel=SUMMED)
    assert found.mu.sd == pytest.approx(w.sum() ** -0.5, rel=SUMMED)


def test_one_study_with_a_normal_prior_is_conjugate() -> None:
    found = posterior(Y[:1], V[:1], priors.half_normal(1e-8), mu_mean=0.1, mu_sd=0.5)
    precision = 1 / 0.04 + 1 / 0.25
    assert found.mu.mean == pytest.approx((0.3 / 0.04 + 0.1 / 0.25) / precision, rel=SUMMED)
    assert found.log_marginal == pytest.approx(
        stats.norm.logpdf(0.3, 0.1, math.sqrt(0.04 + 0.25)), abs=SUMMED
    )


def test_the_posterior_follows_the_unit() -> None:
    c = 250.0
    one = posterior(Y, V, priors.half_cauchy(0.3), mu_sd=2.0)
    other = posterior(c * Y, c**2 * V, priors.half_cauchy(0.3 * c), mu_sd=2.0 * c)
    for p in (0.025, 0.5, 0.975):
        assert other.mu.quantile(p) == pytest.approx(c * one.mu.quantile(p), rel=ROOT)
        assert other.tau.quantile(p) == pytest.approx(c * one.tau.quantile(p), rel=ROOT)
    assert one.log_marginal is not None
    assert other.log_marginal == pytest.approx(one.log_marginal - 6 * math.log(c), rel=SUMMED)


def test_shifting_the_data_shifts_the_mean_only() -> None:
    one = posterior(Y, V, priors.flat())
    other = posterior(Y + 1e4, V, priors.flat())
    assert other.mu.mean - 1e4 == pytest.approx(one.mu.mean, abs=SHIFTED)
    assert other.tau.quantile(0.5) == pytest.approx(one.tau.quantile(0.5), rel=SHIFTED)


def test_a_vague_normal_prior_of_mu_is_flat() -> None:
    flat, vague = posterior(Y, V, PROPER[0]), posterior(Y, V, PROPER[0], mu_sd=1e5)
    assert vague.mu.quantile(0.9) == pytest.approx(flat.mu.quantile(0.9), rel=ROOT)


def test_shrunken_effects_lie_between_study_and_mean() -> None:
    found = posterior(Y, V, PROPER[0])
    for i, y in enumerate(Y):
        low, high = sorted((float(y), found.mu.mean))
        assert low - 0.02 <= found.study(i).mean <= high + 0.02
    assert found.study(1).sd < math.sqrt(V[1])


def test_shortest_intervals_hold_their_level_and_no_other_is_shorter() -> None:
    found = posterior(Y, V, priors.half_normal(0.5))
    for law in (found.mu, found.tau, found.new_study):
        low, high = law.shortest(0.9)
        assert law.cdf(high) - law.cdf(low) == pytest.approx(0.9, abs=ROOT)
        for p in (0.001, 0.03, 0.05, 0.08):
            assert high - low <= law.quantile(p + 0.9) - law.quantile(p) + ROOT


def test_the_shortest_interval_of_a_rising_density_ends_at_its_top() -> None:
    law = half_line(lambda t: np.log(t), scale=0.5, upper=1.0)
    low, high = law.shortest(0.9)
    assert (low, high) == pytest.approx((math.sqrt(0.1), 1.0), rel=ROOT)


def test_a_half_normal_is_known() -> None:
    law = half_line(priors.half_normal(0.7).log_density, scale=3.0)
    known = stats.halfnorm(scale=0.7)
    assert law.mean() == pytest.approx(known.mean(), rel=CLOSED)
    assert law.sd == pytest.approx(known.std(), rel=CLOSED)
    assert law.quantile(0.95) == pytest.approx(known.ppf(0.95), rel=ROOT)
    assert law.mode == 0


def test_heavy_tails_have_infinite_moments() -> None:
    law = half_line(priors.half_cauchy(0.5).log_density, scale=0.5)
    assert math.isinf(law.mean())
    assert law.quantile(0.5) == pytest.approx(0.5, rel=ROOT)


def test_a_mixture_of_one_is_normal() -> None:
    law = normal_mixture(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    assert law.shortest(0.95) == pytest.approx(stats.norm(2, 3).interval(0.95), rel=ROOT)
    assert law.mode == pytest.approx(2, abs=FLAT_TOP)


def test_an_improper_posterior_is_refused() -> None:
    with pytest.raises(NumericalError, match="improper") as caught:
        posterior(Y[:2], V[:2], priors.flat())
    assert caught.value.status == "too_few_studies"


def test_bayes_factors_follow_from_marginal_likelihoods() -> None:
    found: NormalNormalPosterior = posterior(Y, V, PROPER[0], mu_sd=2.0)
    joint = stats.multivariate_normal(np.zeros(6), np.diag(V) + 4.0)
    assert found.log_marginal_homogeneous == pytest.approx(joint.logpdf(Y), rel=SUMMED)


def test_a_user_prior_is_used_and_checked() -> None:
    mine = priors.user_prior(lambda t: stats.halfnorm.pdf(t, scale=0.5), name="mine")
    ours, theirs = posterior(Y, V, mine, mu_sd=2.0), posterior(Y, V, PROPER[0], mu_sd=2.0)
    assert ours.log_marginal == pytest.approx(theirs.log_marginal, rel=SUMMED)
    with pytest.raises(InputError, match="density ≥ 0"):
        priors.user_prior(lambda t: -t, name="bad")


def test_written_priors_are_parsed() -> None:
    assert priors.read_prior("half-normal 0.5").label == "half-normal(scale 0.5)"
    assert priors.read_prior("half-t(0.5, 4)").parameters == {"scale": 0.5, "df": 4}
    with pytest.raises(UnknownNameError, match="half-normal"):
        priors.read_prior("halfnormal 0.5")
    with pytest.raises(InputError, match="takes 1 numbers"):
        priors.read_prior("half-normal")
    with pytest.raises(InputError, match="must be numbers"):
        priors.read_prior("half-normal x")
