"""Bayesian random effects: the mean effect, its spread, the next study, each study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.tau_priors import TauPrior, read_prior
from klarsyn.synthesis import simulated as seen

if TYPE_CHECKING:
    from klarsyn.stats.normal_normal import NormalNormalPosterior
    from klarsyn.stats.quadrature import HalfLine, NormalMixture
    from klarsyn.synthesis.cautions import Caution
    from klarsyn.synthesis.effects import Effects

INTERVALS = {
    "shortest": "the shortest interval with that probability",
    "central": "equal probability beyond either limit",
}
FEW = 5
PRIOR_COUNTS = 20  # up to so many studies a prior below the true tau fails (validation/bayes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A distribution in six numbers; `low` and `high` bound `level` of it."""

    mode: float
    median: float
    mean: float
    sd: float
    low: float
    high: float
    level: float
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomEffectsPosterior:
    """The posterior with its priors; effects are on `scale` (log or natural).

    `distribution` answers anything else: its `tau`, `mu`, `new_study` and `study(i)` have `cdf`,
    `quantile`, `density` and `shortest`.
    """

    study: tuple[str, ...]
    measure: str
    scale: str
    prior: TauPrior
    mu_mean: float
    mu_sd: float
    level: float
    interval: str
    distribution: NormalNormalPosterior
    mu: Summary
    tau: Summary
    new_study: Summary
    warnings: tuple[Caution, ...]
    method: str = "normal–normal random effects, quadrature over tau"

    @property
    def digest(self) -> str:
        """Of data, names and priors."""
        d = self.distribution
        return digest_of(d.y, d.v, list(self.study), self.prior.label, self.mu_mean, self.mu_sd)

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences of the warnings."""
        return tuple(sentence for _, sentence in self.warnings)

    def probability_below(self, threshold: float, *, of: str = "mu") -> float:
        """P(effect < threshold), threshold on the effects' scale; `of` is mu, new_study or tau."""
        return self._target(of).cdf(threshold)

    def probability_above(self, threshold: float, *, of: str = "mu") -> float:
        """P(effect > threshold)."""
        return 1 - self._target(of).cdf(threshold)

    def prior_probability_below(self, threshold: float) -> float | None:
        """P(mu < threshold) before seeing data; None with a flat prior."""
        from scipy import special

        if math.isinf(self.mu_sd):
            return None
        return float(special.ndtr((threshold - self.mu_mean) / self.mu_sd))

    @property
    def log_bayes_factor_homogeneity(self) -> float | None:
        """Log of how much better tau = 0 predicts the data than the prior of tau."""
        d = self.distribution
        if d.log_marginal is None or d.log_marginal_homogeneous is None:
            return None
        return d.log_marginal_homogeneous - d.log_marginal

    @property
    def log_bayes_factor_no_effect(self) -> float | None:
        """Log of how much better mu = 0 predicts the data than the prior of mu."""
        d = self.distribution
        if d.log_marginal is None or d.log_marginal_null is None:
            return None
        return d.log_marginal_null - d.log_marginal

    def shrinkage(self) -> tuple[tuple[str, Summary], ...]:
        """Each study's true effect given all studies."""
        return tuple(
            (name, _summary(self.distribution.study(i), self.level, self.interval))
            for i, name in enumerate(self.study)
        )

    def summary(self) -> str:
        """A few lines."""
        lines = [
            f"{len(self.study)} studies, {self.measure} ({self.scale} scale); tau ~ "
            f"{self.prior.label}, mu ~ {self._mu_prior()}"
        ]
        for name, s in (("mu", self.mu), ("tau", self.tau), ("new study", self.new_study)):
            lines.append(
                f"{name}: median {s.median:.4g}, {s.level:.0%} {s.interval} interval "
                f"{s.low:.4g} to {s.high:.4g}"
            )
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with every study's shrunken effect."""
        d = self.distribution
        return {
            "method": self.method, "digest": self.digest, "studies": len(self.study),
            "measure": self.measure, "scale": self.scale, "tau_prior": self.prior.label,
            "mu_prior": self._mu_prior(), "mu": _plain(self.mu), "tau": _plain(self.tau),
            "new_study": _plain(self.new_study), "log_marginal": d.log_marginal,
            "log_bayes_factor_homogeneity": self.log_bayes_factor_homogeneity,
            "log_bayes_factor_no_effect": self.log_bayes_factor_no_effect,
            "probability_below_zero": {
                "mu": self.probability_below(0.0),
                "new_study": self.probability_below(0.0, of="new_study"),
                "mu_prior": self.prior_probability_below(0.0),
            },
            "definitions": {
                "interval": INTERVALS[self.interval],
                "new_study": "posterior predictive distribution of another study's true effect",
            },
            "shrinkage": [{"study": name, **_plain(s)} for name, s in self.shrinkage()],
            "notes": list(self.notes),
            "warnings": [{"name": n, "sentence": w} for n, w in self.warnings],
        }  # fmt: skip

    def plot(self) -> Any:
        """Densities of the mean effect and of a new study, as an Altair chart."""
        from klarsyn.figures.posterior import density_chart

        curves = {}
        for name, law in (
            ("mean effect", self.distribution.mu),
            ("new study", self.distribution.new_study),
        ):
            low, high = law.quantile(0.0005), law.quantile(0.9995)
            grid = [low + (high - low) * i / 200 for i in range(201)]
            curves[name] = [(x, law.density(x)) for x in grid]
        axis = f"{self.measure} (log)" if self.scale == "log" else self.measure
        return density_chart(curves, axis=axis)

    def _mu_prior(self) -> str:
        if math.isinf(self.mu_sd):
            return "flat"
        return f"normal(mean {self.mu_mean:g}, sd {self.mu_sd:g})"

    def _target(self, of: str) -> HalfLine | NormalMixture:
        if of == "mu":
            return self.distribution.mu
        if of == "new_study":
            return self.distribution.new_study
        if of == "tau":
            return self.distribution.tau
        raise unknown_name("part of the posterior", of, ("mu", "new_study", "tau"))


def pool_bayes(
    effects: Effects,
    *,
    tau_prior: TauPrior | str,
    mu_mean: float = 0.0,
    mu_sd: float = math.inf,
    level: float = 0.95,
    interval: str = "shortest",
) -> RandomEffectsPosterior:
    """Posterior of the normal–normal model under a prior of tau and a normal or flat one of mu.

    `tau_prior` is made by `klarsyn.stats.tau_priors` (or written, as `"half-normal 0.5"`); it has
    no default because the answer depends on it with few studies. `mu_sd` infinite is a flat prior.
    """
    if interval not in INTERVALS:
        raise unknown_name("kind of interval", interval, INTERVALS)
    if not 0 < level < 1:
        raise InputError(f"A level lies between 0 and 1; {level:g} does not.")
    if not mu_sd > 0:
        raise InputError(f"The prior standard deviation of mu is positive; {mu_sd:g} is not.")
    from klarsyn.stats.normal_normal import posterior

    prior = read_prior(tau_prior) if isinstance(tau_prior, str) else tau_prior
    usable, left = effects.usable()
    found = posterior(usable.y, usable.v, prior, mu_mean=mu_mean, mu_sd=mu_sd)
    return RandomEffectsPosterior(
        study=usable.study, measure=effects.measure, scale=effects.scale, prior=prior,
        mu_mean=mu_mean, mu_sd=mu_sd, level=level, interval=interval, distribution=found,
        mu=_summary(found.mu, level, interval), tau=_summary(found.tau, level, interval),
        new_study=_summary(found.new_study, level, interval),
        warnings=_warnings(usable.study, len(left), prior, mu_sd),
    )  # fmt: skip


def _summary(law: HalfLine | NormalMixture, level: float, interval: str) -> Summary:
    from klarsyn.stats.quadrature import HalfLine

    if interval == "shortest":
        low, high = law.shortest(level)
    else:
        low, high = law.quantile((1 - level) / 2), law.quantile((1 + level) / 2)
    mean = law.mean() if isinstance(law, HalfLine) else law.mean
    return Summary(
        mode=law.mode, median=law.quantile(0.5), mean=mean, sd=law.sd, low=low, high=high,
        level=level, interval=interval,
    )  # fmt: skip


def _warnings(
    studies: Sequence[str], left_out: int, prior: TauPrior, mu_sd: float
) -> tuple[Caution, ...]:
    said: list[Caution] = []
    if len(studies) < FEW:
        sentence = f"Only {len(studies)} studies: the prior of tau decides much; compare several."
        said.append(("prior_decides", sentence))
    if len(studies) <= PRIOR_COUNTS and prior.proper:
        mean, new = seen.PRIOR_TOO_NARROW_MEAN, seen.PRIOR_TOO_NARROW_NEW
        sentence = (
            f"With {len(studies)} studies a prior that puts tau too low makes intervals too short: "
            f"95 % intervals of the mean covered {mean[0]} to {mean[1]} % of simulated truths with "
            f"up to 10 studies, of a new study {new[0]} to {new[1]} % with up to 20, where tau was "
            f"1.4 times the scale of its half-normal prior. Compare a wider prior."
        )
        said.append(("narrow_prior", sentence))
    if not prior.proper or math.isinf(mu_sd):
        said.append(("improper", "An improper prior has no Bayes factor."))
    if left_out:
        said.append(("left_out", f"{left_out} studies without an effect are left out."))
    return tuple(said)


def _plain(s: Summary) -> dict[str, Any]:
    return {
        "mode": s.mode, "median": s.median, "mean": s.mean, "sd": s.sd, "low": s.low,
        "high": s.high, "level": s.level, "interval": s.interval,
    }  # fmt: skip
