"""The normal–normal random-effects model, exactly: y_i ~ N(theta_i, v_i), theta_i ~ N(mu, tau²).

Given tau everything is normal; tau itself is integrated by quadrature (Röver 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.stats.quadrature import HalfLine, NormalMixture, half_line, normal_mixture
from klarsyn.stats.tau_priors import TauPrior

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class NormalNormalPosterior:
    """Posterior of tau and, through mixtures over it, of mu, a new study and each study.

    `log_marginal` is the log of the data's density under the whole prior (None where a prior is
    improper); `log_marginal_homogeneous` the same with tau = 0, `log_marginal_null` with mu = 0.
    """

    y: Array
    v: Array
    tau: HalfLine
    conditional_mean: Array
    conditional_variance: Array
    log_marginal: float | None
    log_marginal_homogeneous: float | None
    log_marginal_null: float | None

    @property
    def mu(self) -> NormalMixture:
        """The mean effect."""
        return normal_mixture(
            self.tau.weights, self.conditional_mean, np.sqrt(self.conditional_variance)
        )

    @property
    def new_study(self) -> NormalMixture:
        """The true effect of a study not yet done."""
        variance = self.conditional_variance + self.tau.nodes**2
        return normal_mixture(self.tau.weights, self.conditional_mean, np.sqrt(variance))

    def study(self, i: int) -> NormalMixture:
        """The true effect of study i, shrunk towards the mean."""
        pull = self.v[i] / (self.v[i] + self.tau.nodes**2)
        mean = pull * self.conditional_mean + (1 - pull) * self.y[i]
        variance = (1 - pull) * self.v[i] + pull**2 * self.conditional_variance
        return normal_mixture(self.tau.weights, mean, np.sqrt(variance))


def posterior(
    y: Array, v: Array, prior: TauPrior, *, mu_mean: float = 0.0, mu_sd: float = math.inf
) -> NormalNormalPosterior:
    """Posterior given a prior of tau and mu ~ N(mu_mean, mu_sd²), flat where mu_sd is infinite.

    Raises NumericalError `too_few_studies` where an improper prior leaves the posterior improper.
    """
    needed = 1 + (math.isinf(mu_sd)) + (not prior.proper)
    if len(y) < needed:
        raise NumericalError(
            "too_few_studies",
            f"With these priors the posterior is improper: it needs {needed} studies, not "
            f"{len(y)}, or proper priors.",
        )
    center = float(np.average(y, weights=1 / v)) if math.isinf(mu_sd) else mu_mean
    r = y - center
    scale = math.sqrt(float(np.median(v)) + float(np.var(y)))

    def log_density(tau: Array) -> Array:
        return prior.log_density(tau) + _log_likelihood(r, v, tau, mu_sd)[0]

    tau = half_line(log_density, scale=scale, upper=prior.upper)
    if tau.tail_exponent > -1 - 1e-3:
        raise NumericalError(
            "too_few_studies",
            "The posterior of tau has no finite integral; take a proper prior for tau.",
        )
    _, mean, variance = _log_likelihood(r, v, tau.nodes, mu_sd)
    proper = prior.proper and math.isfinite(mu_sd)
    homogeneous = float(_log_likelihood(r, v, np.zeros(1), mu_sd)[0][0])
    return NormalNormalPosterior(
        y=y, v=v, tau=tau, conditional_mean=mean + center, conditional_variance=variance,
        log_marginal=tau.log_integral if proper else None,
        log_marginal_homogeneous=homogeneous if proper else None,
        log_marginal_null=_log_marginal_null(y, v, prior, scale) if proper else None,
    )  # fmt: skip


def _log_likelihood(r: Array, v: Array, tau: Array, sd: float) -> tuple[Array, Array, Array]:
    """Log density of r = y − prior mean given tau, mu integrated out; mu's mean and variance.

    With a flat prior of mu the density is that of the contrasts, up to the constant of the prior.
    """
    w = 1 / (v + tau[:, None] ** 2)
    flat = math.isinf(sd)
    information = w.sum(axis=1) + (0.0 if flat else 1 / sd**2)
    mean = (w @ r) / information
    away = r - mean[:, None]
    value = 0.5 * np.log(w).sum(axis=1) - 0.5 * (w * away**2).sum(axis=1)
    value -= 0.5 * np.log(information)
    if flat:
        value -= 0.5 * (len(r) - 1) * math.log(2 * math.pi)
    else:
        value -= 0.5 * (mean / sd) ** 2 + math.log(sd) + 0.5 * len(r) * math.log(2 * math.pi)
    return value, mean, 1 / information


def _log_marginal_null(y: Array, v: Array, prior: TauPrior, scale: float) -> float:
    """With mu = 0 known."""

    def log_density(tau: Array) -> Array:
        total = v + tau[:, None] ** 2
        logs = -0.5 * (np.log(2 * math.pi * total) + y**2 / total).sum(axis=1)
        return prior.log_density(tau) + logs

    return half_line(log_density, scale=scale, upper=prior.upper).log_integral
