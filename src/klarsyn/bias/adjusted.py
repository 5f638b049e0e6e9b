"""Pooling with what is believed about bias: Turner's adjustment and Welton's priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import Source, Sourced, digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.many_fits import fit_many

ROBES = Source(
    id="robes2018",
    citation="Savović et al. 2018, Am J Epidemiol 187:1113 (ROBES)",
    doi="10.1093/aje/kwx344",
    url="https://pmc.ncbi.nlm.nih.gov/articles/PMC5928453",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """One elicited bias of one study: additive on the effect's scale, proportional as a share."""

    additive: float = 0.0
    additive_sd: float = 0.0
    proportional: float = 0.0
    proportional_sd: float = 0.0


def total_bias(biases: Sequence[Bias]) -> Bias:
    """Independent biases of one study together: means and variances add."""
    return Bias(
        additive=sum(b.additive for b in biases),
        additive_sd=math.sqrt(sum(b.additive_sd**2 for b in biases)),
        proportional=sum(b.proportional for b in biases),
        proportional_sd=math.sqrt(sum(b.proportional_sd**2 for b in biases)),
    )


def adjust_estimate(estimate: Estimate, bias: Bias) -> Estimate:
    """Turner et al. 2009 (J R Stat Soc A 172:21), first order.

    (y − μ_add) / (1 + μ_prop), variance (s² + σ²_add + θ² σ²_prop) / (1 + μ_prop)². An additive
    bias above 0 moves the estimate up; a proportional one above 0 exaggerates whatever effect.
    """
    if bias.proportional <= -1:
        raise InputError(f"A proportional bias of {bias.proportional:g} turns the effect around.")
    value = (estimate.value - bias.additive) / (1 + bias.proportional)
    variance = estimate.se**2 + bias.additive_sd**2 + (value * bias.proportional_sd) ** 2
    return Estimate(
        value=value,
        se=math.sqrt(variance) / (1 + bias.proportional),
        method=f"{estimate.method}, adjusted for bias (Turner 2009)",
        scale=estimate.scale,
        df=estimate.df,
    )


def _intervals(named: Sequence[tuple[str, Estimate]]) -> Any:
    from klarsyn.figures.intervals import intervals_chart

    log = named[0][1].scale == "log"
    show = math.exp if log else float
    rows = [
        (name, show(e.value), show(e.interval()[0]), show(e.interval()[1])) for name, e in named
    ]
    title = "Pooled ratio" if log else "Pooled effect"
    return intervals_chart(rows, title=title, null=1.0 if log else 0.0, log=log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elicited:
    """Studies before and after taking away their elicited biases, and both pooled."""

    raw: tuple[Estimate, ...]
    adjusted: tuple[Estimate, ...]
    pooled_raw: Estimate
    pooled: Estimate
    tau2: tuple[float, float]
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence with both, and how much the doubt about bias widened the answer."""
        a, b = (e.interval() for e in (self.pooled_raw, self.pooled))
        grown = (self.pooled.se / self.pooled_raw.se) ** 2
        return (
            f"As reported {self.pooled_raw.value:.3g} ({a[0]:.3g} to {a[1]:.3g}), adjusted for "
            f"elicited biases {self.pooled.value:.3g} ({b[0]:.3g} to {b[1]:.3g}); variance "
            f"{grown:.2g} times."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "pooled_raw": [self.pooled_raw.value, *self.pooled_raw.interval()],
            "pooled": [self.pooled.value, *self.pooled.interval()],
            "tau2_raw": self.tau2[0],
            "tau2": self.tau2[1],
            "adjusted": [[e.value, e.se] for e in self.adjusted],
            "scale": self.pooled.scale,
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self) -> Any:
        """Both pooled effects with their intervals (Altair)."""
        named = (("as reported", self.pooled_raw), ("adjusted for elicited bias", self.pooled))
        return _intervals(named)


def pool_elicited(
    estimates: Sequence[Estimate], biases: Sequence[Sequence[Bias]], *, estimator: str = "REML"
) -> Elicited:
    """Turner's adjustment of each study by its biases, then ordinary random effects.

    `biases` has a list for each study (empty where none was elicited); those of a study are taken
    as independent.
    """
    if len(estimates) != len(biases) or not estimates:
        raise InputError(f"{len(estimates)} studies but biases for {len(biases)}.")
    if len({e.scale for e in estimates}) > 1:
        raise InputError("The studies are on different scales; bring them to one.")
    adjusted = [adjust_estimate(e, total_bias(b)) for e, b in zip(estimates, biases, strict=True)]
    y = np.array([[e.value for e in side] for side in (estimates, adjusted)])
    v = np.array([[e.se**2 for e in side] for side in (estimates, adjusted)])
    fits = fit_many(y, v, np.ones((1, len(estimates)), bool), estimator)
    pooled = [
        Estimate(
            value=float(fits.mean[i, 0]),
            se=float(fits.se[i, 0]),
            method=f"{name}, {estimator}",
            scale=estimates[0].scale,
        )
        for i, name in enumerate(("as reported", "adjusted for bias (Turner 2009)"))
    ]
    return Elicited(
        raw=tuple(estimates),
        adjusted=tuple(adjusted),
        pooled_raw=pooled[0],
        pooled=pooled[1],
        tau2=(float(fits.tau2[0, 0]), float(fits.tau2[1, 0])),
        method=f"Turner 2009, first order, {estimator}, Wald",
        digest=digest_of(y, v, [list(b) for b in biases]),
    )


def variance_ratio(before: tuple[float, float], after: tuple[float, float]) -> float:
    """How many times the variance grew, from two intervals of a ratio at the same level."""
    widths = [math.log(high) - math.log(low) for low, high in (before, after)]
    return (widths[1] / widths[0]) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasPrior:
    """What is believed about high-risk studies: their mean bias and how it varies.

    On the log odds ratio (or the effect's scale); `mean` below 0 where high-risk studies give lower
    ratios. `mean_sd` is the doubt about the mean (φ), `between_sd` differs from study to study (κ).
    """

    name: str
    mean: float
    mean_sd: float
    between_sd: float
    source: str


def prior_from_ratio(
    name: str, ratio: float, low: float, high: float, *, between_sd: float, source: str
) -> BiasPrior:
    """A prior from a published ratio of odds ratios with its 95 % limits; below 1 exaggerates."""
    if not 0 < low <= ratio <= high:
        raise InputError(f"The ratio {ratio:g} must lie between {low:g} and {high:g}, above 0.")
    return BiasPrior(
        name=name,
        mean=math.log(ratio),
        mean_sd=(math.log(high) - math.log(low)) / (2 * 1.959963984540054),
        between_sd=between_sd,
        source=source,
    )


def published_ratios() -> dict[str, Sourced[tuple[float, float, float]]]:
    """Ratios of odds ratios, high or unclear against low risk, with limits (ROBES)."""
    return {
        name: Sourced(
            value=value,
            unit="ratio of odds ratios",
            source=ROBES.id,
            locator="Abstract",
            kind="reported",
        )
        for name, value in {
            "blinding": (0.87, 0.80, 0.93),
            "concealment": (0.92, 0.86, 0.98),
        }.items()
    }


def three_priors(domain: str, *, benefit: str, measure: str) -> tuple[BiasPrior, ...]:
    """No bias, the published one, and the published one with three times its spread.

    `benefit` says whether a `lower` or a `higher` value is good for the patient, so that bias makes
    the treatment look better; `measure` is `log_odds_ratio` or `smd` (times √3/π). Published
    ratios speak of ordinary unblinding, not of a drug that everybody recognises: hence the wide
    one. Its spread between trials, 0.1 on the log odds ratio, is an assumption.
    """
    ratios = published_ratios()
    if domain not in ratios:
        raise unknown_name("domain with a published bias", domain, ratios)
    if benefit not in ("lower", "higher"):
        raise unknown_name("direction of benefit", benefit, ("lower", "higher"))
    factors = {"log_odds_ratio": 1.0, "smd": math.sqrt(3) / math.pi}
    if measure not in factors:
        raise unknown_name("measure", measure, factors)
    middle = prior_from_ratio(domain, *ratios[domain].value, between_sd=0.1, source=ROBES.citation)
    sign, factor = (1.0 if benefit == "lower" else -1.0), factors[measure]

    def scaled(name: str, mean: float, spread: float, source: str) -> BiasPrior:
        return BiasPrior(
            name=name,
            mean=sign * factor * mean,
            mean_sd=factor * spread * middle.mean_sd,
            between_sd=factor * spread * middle.between_sd,
            source=source,
        )

    return (
        scaled("no bias", 0.0, 0.0, "assumed"),
        scaled("published", middle.mean, 1.0, middle.source),
        scaled("wide", middle.mean, 3.0, f"{middle.source}, spread three times"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasAdjusted:
    """Pooled effects under several priors, never one alone."""

    priors: tuple[BiasPrior, ...]
    pooled: tuple[Estimate, ...]
    tau2: tuple[float, ...]
    high_risk: tuple[str, ...]
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence with all priors."""
        parts = [
            f"{p.name} {e.value:.3g} ({e.interval()[0]:.3g} to {e.interval()[1]:.3g})"
            for p, e in zip(self.priors, self.pooled, strict=True)
        ]
        return f"By prior on the bias of {len(self.high_risk)} studies: {'; '.join(parts)}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        rows = zip(self.priors, self.pooled, self.tau2, strict=True)
        return {
            "priors": [
                {
                    "name": p.name,
                    "bias_mean": p.mean,
                    "bias_mean_sd": p.mean_sd,
                    "bias_between_sd": p.between_sd,
                    "source": p.source,
                    "value": e.value,
                    "se": e.se,
                    "interval": list(e.interval()),
                    "tau2": t,
                }
                for p, e, t in rows
            ],
            "high_risk": list(self.high_risk),
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self) -> Any:
        """The pooled effect under each prior (Altair)."""
        return _intervals([(p.name, e) for p, e in zip(self.priors, self.pooled, strict=True)])


def adjust_by_priors(
    effects: ArrayLike,
    variances: ArrayLike,
    high_risk: Sequence[bool],
    priors: Sequence[BiasPrior],
    *,
    labels: Sequence[str] = (),
    scale: str = "natural",
) -> BiasAdjusted:
    """Welton et al. 2009 (J R Stat Soc A 172:119): high-risk studies carry a bias b_i.

    b_i ~ N(b, κ²), b ~ N(mean, φ²) shared by all of them; integrated exactly (the model is normal),
    tau² between studies by DerSimonian–Laird from the low-risk and the corrected high-risk studies.
    At least three priors must be given: the answer is known to depend on them.
    """
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    risky = np.asarray(high_risk, dtype=bool)
    if len(priors) < 3:
        raise InputError("At least three priors are needed, so that the choice among them shows.")
    if not (y.shape == v.shape == risky.shape) or y.size == 0 or np.any(v <= 0):
        raise InputError("Effects, variances above 0 and risk marks must be of equal length.")
    results = [_welton(y, v, risky, p) for p in priors]
    return BiasAdjusted(
        priors=tuple(priors),
        pooled=tuple(
            Estimate(value=m, se=s, method=f"Welton 2009, {p.name}", scale=scale)
            for p, (m, s, _) in zip(priors, results, strict=True)
        ),
        tau2=tuple(t for *_, t in results),
        high_risk=tuple(
            labels[i] if labels else str(i + 1) for i in np.flatnonzero(risky).tolist()
        ),
        method="Welton 2009, normal bias integrated exactly, DerSimonian–Laird tau²",
        digest=digest_of(y, v, risky, list(priors)),
    )


def _welton(
    y: np.ndarray, v: np.ndarray, risky: np.ndarray, prior: BiasPrior
) -> tuple[float, float, float]:
    shifted = y - risky * prior.mean
    variance = v + risky * prior.between_sd**2
    every = np.ones((1, y.size), bool)
    tau2 = float(fit_many(shifted[None], variance[None], every, "DL").tau2[0, 0])
    covariance = np.diag(variance + tau2) + np.outer(risky, risky) * prior.mean_sd**2
    ones = np.linalg.solve(covariance, np.ones(y.size))
    return float(ones @ shifted / ones.sum()), float(ones.sum() ** -0.5), tau2
