"""One group a study: pooled proportions and rates that keep studies without any event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.rare import BOUNDARY, RareFit
from klarsyn.synthesis.rare_counts import Counts, count_table, rate_table

if TYPE_CHECKING:
    from klarsyn.stats.rare_likelihoods import StudyLikelihood


def pool_proportions(
    studies: Sequence[str], events: Sequence[float], totals: Sequence[float]
) -> RareFit:
    """Random-effects model of one proportion a study; the estimate is a logit.

    Studies with no events or only events stay in.
    """
    from klarsyn.stats.rare_likelihoods import binomial

    counts = count_table(studies, events, totals, [0.0] * len(studies), [1.0] * len(studies))
    return _one_group(binomial(counts.events1, counts.total1), counts, "PLO", "logit")


def pool_single_rates(
    studies: Sequence[str], events: Sequence[float], times: Sequence[float]
) -> RareFit:
    """Random-effects Poisson model of one rate a study; the estimate is a log rate."""
    from klarsyn.stats.rare_likelihoods import poisson

    counts = rate_table(studies, events, times, [0.0] * len(studies), [1.0] * len(studies))
    return _one_group(poisson(counts.events1, counts.total1), counts, "IRLN", "log")


def _one_group(study: StudyLikelihood, counts: Counts, measure: str, scale: str) -> RareFit:
    from klarsyn.stats.rare_random import fit_random_effect, heterogeneity_tests

    k = len(counts.studies)
    fit = fit_random_effect(study, k)
    method = f"{scale} GLMM"
    return RareFit(
        method=method, measure=measure, used_studies=k, ignored_studies=(), ignored=0.0,
        estimate=Estimate(value=fit.mu, se=fit.se, method=method, scale=scale), tau2=fit.tau2,
        se_tau2=None if fit.boundary else fit.se_tau2, log_likelihood=fit.log_likelihood,
        boundary=fit.boundary, tests=heterogeneity_tests(study, k, fit.mu_common),
        notes=(BOUNDARY,) if fit.boundary else (), digest=counts.digest,
    )  # fmt: skip


def pool_double_arcsines(
    studies: Sequence[str],
    events: Sequence[float],
    totals: Sequence[float],
    *,
    tau2_method: str = "REML",
    sample_size: float | None = None,
    level: float = 0.95,
) -> RareFit:
    """Inverse-variance pooling of Freeman–Tukey double arcsines, with the caveat in `notes`.

    `estimate` is on the transformed scale; `certificate` holds the proportion with its limits
    after inversion with `sample_size` (the harmonic mean of the totals when left out).
    """
    from klarsyn.stats.contrasts import contrasts
    from klarsyn.stats.freeman_tukey import CAVEAT, harmonic_mean, invert_double_arcsine
    from klarsyn.stats.heterogeneity import estimate_tau2
    from klarsyn.stats.weighted import fit

    counts = count_table(studies, events, totals, [0.0] * len(studies), [1.0] * len(studies))
    made = contrasts("PFT", {"xi": counts.events1, "ni": counts.total1})
    tau2 = estimate_tau2(made.y, made.v, method=tau2_method).value if len(made.y) > 1 else 0.0
    pooled = fit(made.y, made.v, None, tau2)
    method = f"double arcsine, {tau2_method}"
    estimate = Estimate(
        value=float(pooled.beta[0]), se=math.sqrt(pooled.covariance[0, 0]), method=method,
        scale="Freeman–Tukey",
    )  # fmt: skip
    size = harmonic_mean(counts.total1) if sample_size is None else sample_size
    low, high = (invert_double_arcsine(limit, size) for limit in estimate.interval(level))
    return RareFit(
        method=method, measure="PFT", estimate=estimate, used_studies=len(made.y),
        ignored_studies=(), ignored=0.0, tau2=tau2, notes=(CAVEAT,),
        certificate={
            "proportion": invert_double_arcsine(estimate.value, size), "low": low, "high": high,
            "sample_size": size,
        },
        digest=counts.digest,
    )  # fmt: skip
