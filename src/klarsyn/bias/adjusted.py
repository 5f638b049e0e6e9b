"""Pooling with what is believed about bias: Turner's adjustment and Welton's priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import Source, Sourced, digest_of
from klarsyn.stats.conversions import SMD_PER_LOG_ODDS_RATIO
from klarsyn.stats.estimate import Z_95, Estimate
from klarsyn.stats.known_covariance import variance_beside
from klarsyn.stats.many_fits import fit_many

METABLIND = Source(
    id="metablind2020",
    citation="Moustgaard et al. 2020, BMJ 368:l6802 (MetaBLIND)",
    doi="10.1136/bmj.l6802",
    url="https://pmc.ncbi.nlm.nih.gov/articles/PMC7190062",
)
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

    def __post_init__(self) -> None:
        values = (self.additive, self.additive_sd, self.proportional, self.proportional_sd)
        if not np.isfinite(values).all() or min(self.additive_sd, self.proportional_sd) < 0:
            raise InputError(
                f"A bias is four numbers with standard deviations of at least 0; got {values}."
            )


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
    if not (math.isfinite(estimate.value) and math.isfinite(estimate.se) and estimate.se > 0):
        raise InputError(
            f"An effect with a standard error above 0 is needed; got {estimate.value:g} and "
            f"{estimate.se:g}."
        )
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
    from klarsyn.figures.estimates import estimate_lines

    log = named[0][1].scale == "log"
    *before, last = [(name, e.value, *e.interval()) for name, e in named]
    title = "Pooled ratio" if log else "Pooled effect"
    return estimate_lines(before, pooled=[last], title=title, log=log)


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
    estimates: Sequence[Estimate],
    biases: Sequence[Sequence[Bias]],
    *,
    estimator: str = "REML",
    test: str = "z",
) -> Elicited:
    """Turner's adjustment of each study by its biases, then ordinary random effects.

    `biases` has a list for each study (empty where none was elicited); those of a study are taken
    as independent. `estimator` and `test` as for `adjust_by_priors`.
    """
    if len(estimates) != len(biases) or not estimates:
        raise InputError(f"{len(estimates)} studies but biases for {len(biases)}.")
    if len({e.scale for e in estimates}) > 1:
        raise InputError("The studies are on different scales; bring them to one.")
    _check_test(test, len(estimates))
    adjusted = [adjust_estimate(e, total_bias(b)) for e, b in zip(estimates, biases, strict=True)]
    (raw, raw_tau2), (pooled, tau2) = [
        _welton(
            np.array([e.value for e in side]),
            np.array([e.se**2 for e in side]),
            np.zeros(len(side), bool),
            replace(NO_BIAS, name=name),
            scale=estimates[0].scale,
            estimator=estimator,
            test=test,
        )
        for side, name in ((estimates, "as reported"), (adjusted, "adjusted (Turner 2009)"))
    ]
    return Elicited(
        raw=tuple(estimates),
        adjusted=tuple(adjusted),
        pooled_raw=raw,
        pooled=pooled,
        tau2=(raw_tau2, tau2),
        method=f"Turner 2009, first order, {estimator}, {test}",
        digest=digest_of(
            [(e.value, e.se) for e in estimates], [list(b) for b in biases], estimator, test
        ),
    )


def variance_ratio(before: tuple[float, float], after: tuple[float, float]) -> float:
    """How many times the variance grew, from two intervals of a ratio at the same level."""
    for low, high in (before, after):
        if not 0 < low < high < math.inf:
            raise InputError(f"The limits of a ratio must rise from above 0: {low:g}, {high:g}.")
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

    def __post_init__(self) -> None:
        values = (self.mean, self.mean_sd, self.between_sd)
        if not np.isfinite(values).all() or min(self.mean_sd, self.between_sd) < 0:
            raise InputError(
                f"The prior {self.name!r} needs a mean and standard deviations of at least 0; got "
                f"{self.mean:g}, {self.mean_sd:g} and {self.between_sd:g}."
            )


NO_BIAS = BiasPrior(name="as reported", mean=0.0, mean_sd=0.0, between_sd=0.0, source="")


def prior_from_ratio(
    name: str, ratio: float, low: float, high: float, *, between_sd: float, source: str
) -> BiasPrior:
    """A prior from a published ratio of odds ratios with its 95 % limits; below 1 exaggerates."""
    if not 0 < low <= ratio <= high:
        raise InputError(f"The ratio {ratio:g} must lie between {low:g} and {high:g}, above 0.")
    return BiasPrior(
        name=name,
        mean=math.log(ratio),
        mean_sd=(math.log(high) - math.log(low)) / (2 * Z_95),
        between_sd=between_sd,
        source=source,
    )


def published_ratios() -> dict[str, Sourced[tuple[float, float, float]]]:
    """Ratios of odds ratios, high or unclear against low risk, with limits.

    `blinding` and `concealment` are of all trials (ROBES); `patients` is of trials whose patients
    were not masked and told the outcome themselves (MetaBLIND).
    """
    rows = {
        "blinding": ((0.87, 0.80, 0.93), ROBES, "Abstract"),
        "concealment": ((0.92, 0.86, 0.98), ROBES, "Abstract"),
        "patients": (
            (0.91, 0.61, 1.35),
            METABLIND,
            "Table 2, row Ia, adjusted for allocation concealment",
        ),
    }
    return {
        name: Sourced(
            value=value,
            unit="ratio of odds ratios",
            source=source.id,
            locator=locator,
            kind="reported",
        )
        for name, (value, source, locator) in rows.items()
    }


DOMAINS = ("blinding", "concealment")
# MetaBLIND, the same row: SD of the mean bias between meta-analyses, and between trials.
PATIENTS_MEAN_SD, PATIENTS_BETWEEN_SD = 0.20, 0.21
# ROBES does not print how bias differs between trials: an assumption, on the log odds ratio.
BETWEEN_SD = 0.1


def three_priors(domain: str, *, benefit: str, measure: str) -> tuple[BiasPrior, ...]:
    """Three beliefs about the bias of trials at high or unclear risk, in the order they are shown.

    `published` (ROBES); `wide`, the same with three times its spread; and, for `blinding`,
    `patients` (MetaBLIND: unmasked patients who tell the outcome themselves), for `concealment`
    `doubled`, twice the published bias with three times its spread. `benefit` says whether a
    `lower` or a `higher` value is good for the patient, so that bias makes the treatment look
    better; `measure` is `log_odds_ratio` or `smd` (times √3/π). All of them speak of ordinary
    unmasking, not of a drug that everybody recognises: hence the wide one.
    """
    ratios = published_ratios()
    if domain not in DOMAINS:
        raise unknown_name("domain with a published bias", domain, DOMAINS)
    if benefit not in ("lower", "higher"):
        raise unknown_name("direction of benefit", benefit, ("lower", "higher"))
    factors = {"log_odds_ratio": 1.0, "smd": SMD_PER_LOG_ODDS_RATIO}
    if measure not in factors:
        raise unknown_name("measure", measure, factors)
    told = prior_from_ratio(
        "published", *ratios[domain].value, between_sd=BETWEEN_SD, source=ROBES.citation
    )
    wide = _stretched(told, "wide", 1.0)
    third = _patients() if domain == "blinding" else _stretched(told, "doubled", 2.0)
    sign, factor = (1.0 if benefit == "lower" else -1.0), factors[measure]
    return tuple(
        replace(
            p,
            mean=sign * factor * p.mean,
            mean_sd=factor * p.mean_sd,
            between_sd=factor * p.between_sd,
        )
        for p in (told, wide, third)
    )


def _stretched(prior: BiasPrior, name: str, times: float) -> BiasPrior:
    return BiasPrior(
        name=name,
        mean=times * prior.mean,
        mean_sd=3 * prior.mean_sd,
        between_sd=3 * prior.between_sd,
        source=f"{prior.source}, spread three times" + (", bias twice" if times == 2 else ""),
    )


def _patients() -> BiasPrior:
    value = published_ratios()["patients"].value
    told = prior_from_ratio(
        "patients", *value, between_sd=PATIENTS_BETWEEN_SD, source=METABLIND.citation
    )
    return replace(told, mean_sd=math.hypot(told.mean_sd, PATIENTS_MEAN_SD))


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasAdjusted:
    """The pooled effect as reported, and under several priors on bias, never one alone.

    `tau2` and `unadjusted_tau2` are the variances between studies of each.
    """

    unadjusted: Estimate
    unadjusted_tau2: float
    priors: tuple[BiasPrior, ...]
    pooled: tuple[Estimate, ...]
    tau2: tuple[float, ...]
    high_risk: tuple[str, ...]
    studies: int
    method: str
    digest: str

    def summary(self) -> str:
        """One line as reported, one for each prior."""
        lines = [
            f"{len(self.high_risk)} of {self.studies} studies carry the bias",
            f"  as reported: {_told(self.unadjusted)}",
        ]
        for p, e in zip(self.priors, self.pooled, strict=True):
            lines.append(f"  {p.name} ({p.source}): {_told(e)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; values are on the effects' own scale (logarithms of ratios)."""
        rows = zip(self.priors, self.pooled, self.tau2, strict=True)
        return {
            "unadjusted": _dict(self.unadjusted) | {"tau2": self.unadjusted_tau2},
            "priors": [
                {
                    "name": p.name,
                    "bias_mean": p.mean,
                    "bias_mean_sd": p.mean_sd,
                    "bias_between_sd": p.between_sd,
                    "source": p.source,
                    "tau2": t,
                }
                | _dict(e)
                for p, e, t in rows
            ],
            "high_risk": list(self.high_risk),
            "studies": self.studies,
            "scale": self.unadjusted.scale,
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self, *, title: str = "", null: float = 0.0) -> Any:
        """The estimates one below the other, as reported first; ratios on a logarithmic axis."""
        from klarsyn.figures.forest import ForestAxis, ForestRow, forest
        from klarsyn.figures.theme import housed

        log = self.unadjusted.scale == "log"
        turn = math.exp if log else float
        named = [("as reported", self.unadjusted)]
        named += [(p.name, e) for p, e in zip(self.priors, self.pooled, strict=True)]
        rows = [ForestRow(kind="heading", label=title or self.method)]
        rows += [
            ForestRow(
                kind="study",
                label=name,
                estimate=turn(e.value),
                lower=turn(e.interval()[0]),
                upper=turn(e.interval()[1]),
                weight=0.35,
                numbers=_told(e),
            )
            for name, e in named
        ]
        return housed(forest(rows, ForestAxis(title="effect", null=turn(null), log=log)))


def _told(e: Estimate) -> str:
    values = [e.value, *e.interval()]
    if e.scale == "log":
        values = [math.exp(v) for v in values]
    return f"{values[0]:.3g} ({values[1]:.3g} to {values[2]:.3g})"


def _dict(e: Estimate) -> dict[str, Any]:
    return {"value": e.value, "se": e.se, "interval": list(e.interval()), "df": e.df}


TESTS = ("z", "knha", "adhoc")


def adjust_by_priors(
    effects: ArrayLike,
    variances: ArrayLike,
    high_risk: Sequence[bool],
    priors: Sequence[BiasPrior],
    *,
    labels: Sequence[str] = (),
    scale: str = "natural",
    estimator: str = "REML",
    test: str = "z",
) -> BiasAdjusted:
    """Welton et al. 2009 (J R Stat Soc A 172:119): high-risk studies carry a bias b_i.

    b_i ~ N(b, κ²), b ~ N(mean, φ²) shared by all of them; integrated exactly (the model is normal).
    tau² comes by `estimator` (one of the batched ones) from the effects less their mean bias, under
    the covariance that κ² and the shared φ² give them. `test`: `z`, or Knapp and Hartung's factor
    for generalised least squares with k − 1 degrees of freedom (`knha`; `adhoc` never below 1). At
    least three priors must be given: the answer is known to depend on them.
    """
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    risky = np.asarray(high_risk, dtype=bool)
    if len(priors) < 3:
        raise InputError("At least three priors are needed, so that the choice among them shows.")
    if not (y.shape == v.shape == risky.shape) or y.size == 0:
        raise InputError("Effects, variances and risk marks must be of equal length.")
    wrong = np.flatnonzero(~(np.isfinite(y) & np.isfinite(v) & (v > 0)))
    if wrong.size:
        i = int(wrong[0])
        name = labels[i] if labels else f"Study {i + 1}"
        raise InputError(
            f"{name}: effect {y[i]:g} with variance {v[i]:g}; give a number and a variance above 0."
        )
    _check_test(test, y.size)
    (plain, plain_tau2), *adjusted = [
        _welton(y, v, risky, p, scale=scale, estimator=estimator, test=test)
        for p in (NO_BIAS, *priors)
    ]
    return BiasAdjusted(
        unadjusted=plain,
        unadjusted_tau2=plain_tau2,
        priors=tuple(priors),
        pooled=tuple(e for e, _ in adjusted),
        tau2=tuple(t for _, t in adjusted),
        high_risk=tuple(
            labels[i] if labels else str(i + 1) for i in np.flatnonzero(risky).tolist()
        ),
        studies=int(y.size),
        method=f"Welton 2009, normal bias integrated exactly, {estimator}, {test}",
        digest=digest_of(y, v, risky, list(priors), estimator, test),
    )


def _welton(
    y: np.ndarray,
    v: np.ndarray,
    risky: np.ndarray,
    prior: BiasPrior,
    *,
    scale: str,
    estimator: str,
    test: str,
) -> tuple[Estimate, float]:
    shifted = y - risky * prior.mean
    variance = v + risky * prior.between_sd**2
    shared = np.outer(risky, risky) * prior.mean_sd**2
    tau2 = _between(shifted, variance, shared, estimator)
    covariance = np.diag(variance + tau2) + shared
    weights = np.linalg.solve(covariance, np.ones(y.size))
    mean, se, df = float(weights @ shifted / weights.sum()), float(weights.sum() ** -0.5), math.inf
    if test != "z":
        residual = shifted - mean
        spread = float(residual @ np.linalg.solve(covariance, residual)) / (y.size - 1)
        se *= math.sqrt(max(1.0, spread) if test == "adhoc" else spread)
        df = float(y.size - 1)
    name = f"{prior.name}, {estimator}, {test}"
    return Estimate(value=mean, se=se, method=name, scale=scale, df=df), tau2


def _between(y: np.ndarray, v: np.ndarray, shared: np.ndarray, estimator: str) -> float:
    """tau² beside variances `v` and what the studies at risk share."""
    if not shared.any() or y.size < 2:
        every = np.ones((1, y.size), bool)
        return float(fit_many(y[None], v[None], every, estimator).tau2[0, 0])
    return variance_beside(y, np.diag(v) + shared, estimator)


def _check_test(test: str, studies: int) -> None:
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    if test != "z" and studies < 2:
        raise InputError(f"The test {test} needs two studies or more; there is one.")
