"""Rare events: every method side by side, with the patients that each of them ignores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.rare_cautions import (
    BOUNDARY,
    notes_of_beta_binomial,
    notes_of_common_effect,
    notes_of_few_events,
    notes_of_glmm,
    notes_of_peto,
)
from klarsyn.synthesis.rare_counts import Counts, count_table, rate_table
from klarsyn.synthesis.rare_results import METHODS, RareEvents, RareFit

if TYPE_CHECKING:
    from klarsyn.stats.rare_random import RandomEffectFit
    from klarsyn.stats.rare_stratified import ChiSquare, Stratified

Array = NDArray[np.float64]

__all__ = [
    "BOUNDARY",
    "METHODS",
    "Counts",
    "RareEvents",
    "RareFit",
    "count_table",
    "fit_glmm",
    "pool_rare",
    "rate_table",
]

GLMM_MODELS = ("CM.EL", "CM.AL", "UM.FS", "UM.RS")


STUDY_EFFECTS = "Random study effects let information between studies into the effect."


def pool_rare(
    counts: Counts, methods: Sequence[str] | None = None, *, coding: str = "half",
    level: float = 0.95,
) -> RareEvents:  # fmt: skip
    """Every method on the same counts, in the order asked for (all that apply by default).

    A method that has no answer for these counts is in the result with its status and sentence.
    `coding` says which group carries the random effect in unconditional models: `half` of it each,
    the `first` or the `second`.
    """
    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    known = RATE_METHODS if counts.rates else COUNT_METHODS
    asked = tuple(known) if methods is None else tuple(methods)
    for name in asked:
        if name not in known:
            raise unknown_name("method for rare events", name, known)
    return RareEvents(
        counts=counts, fits=tuple(_attempt(counts, name, coding) for name in asked), level=level
    )


def fit_glmm(
    counts: Counts,
    model: str,
    *,
    coding: str = "half",
    laplace: bool = False,
    drop_empty: bool = False,
) -> RareFit:
    """One generalised linear mixed model: CM.EL, CM.AL, UM.FS or UM.RS, by exact quadrature.

    The measure is the log odds ratio, or the log rate ratio where the totals are person-times
    (CM.EL is then the exact conditional binomial). `laplace` replaces the two-dimensional
    quadrature of UM.RS by Laplace's approximation, which other programs use for it; `drop_empty`
    leaves studies without any event out of UM.RS, as metafor does unless told otherwise.

    Raises NumericalError where the likelihood has no maximum.
    """
    if model not in GLMM_MODELS:
        raise unknown_name("generalised linear mixed model", model, GLMM_MODELS)
    _need_studies(counts.only(counts.informative), model)
    _need_events(counts, model)
    if model == "UM.RS":
        return _random_study_effects(counts, coding, laplace, drop_empty)
    kept = counts.informative
    inside = counts.only(kept)
    fit, tests = _unconditional(inside, coding) if model == "UM.FS" else _conditional(inside, model)
    return RareFit(
        method=model, measure="IRR" if counts.rates else "OR", tau2=fit.tau2,
        estimate=Estimate(value=fit.mu, se=fit.se, method=model, scale="log"),
        se_tau2=None if fit.boundary else fit.se_tau2, log_likelihood=fit.log_likelihood,
        boundary=fit.boundary, tests=tests, notes=notes_of_glmm(inside, model, fit),
        certificate=certificate_of(fit),
        **_ignored(counts, kept),
    )  # fmt: skip


def certificate_of(fit: RandomEffectFit) -> dict[str, float]:
    """How sure the fit is the maximum: slope left, curvature, boundary, number of maxima."""
    return {
        "gradient": fit.gradient, "curvature": fit.curvature, "boundary": float(fit.boundary),
        "maxima": fit.maxima, "slope_at_zero": fit.slope_at_zero,
        "integration_error": fit.integration_error, "points": fit.points,
    }  # fmt: skip


def _need_studies(counts: Counts, what: str) -> None:
    if not counts.studies:
        raise NumericalError(
            "not_estimable",
            f"{what}: no study has both an event and a non-event, so no ratio can be estimated.",
        )


def _ignored(counts: Counts, used: NDArray[np.bool_]) -> dict[str, Any]:
    people = counts.total1 + counts.total2
    return {
        "used_studies": int(used.sum()),
        "ignored_studies": tuple(
            s for s, keep in zip(counts.studies, used, strict=True) if not keep
        ),
        "ignored": float(people[~used].sum()),
        "digest": counts.digest,
    }


def _attempt(counts: Counts, method: str, coding: str) -> RareFit:
    known = RATE_METHODS if counts.rates else COUNT_METHODS
    try:
        return known[method](counts, coding)
    except NumericalError as bad:
        return RareFit(
            method=method, measure=_measure(method, counts.rates), estimate=None,
            notes=(str(bad),), status=bad.status,
            **_ignored(counts, np.zeros(len(counts.studies), dtype=bool)),
        )  # fmt: skip


def _stratified(measure: str, method: str) -> Callable[[Counts, str], RareFit]:
    def fit(counts: Counts, _: str) -> RareFit:
        from klarsyn.stats import rare_stratified as rs

        found: Stratified
        if counts.rates:
            found = rs.mantel_haenszel_rates(*counts.arrays, measure)
        elif method == "Peto":
            found = rs.peto(*counts.arrays)
        else:
            found = rs.mantel_haenszel(*counts.arrays, measure)
        if not found.estimate.se > 0:
            raise NumericalError(
                "degenerate",
                f"{method}: no study has both an event and a non-event, so the standard error "
                "would be 0. Exact limits of a proportion can still say something.",
            )
        cochran = () if method == "Peto" else _cochran_q(counts, measure, found.estimate)
        return RareFit(
            method=method, measure=measure, estimate=found.estimate,
            tests=(*found.heterogeneity, *cochran),
            effect_test=found.effect_test,
            notes=notes_of_peto(counts, found.estimate.value, method)
            + notes_of_common_effect((*found.heterogeneity, *cochran), method, measure)
            + notes_of_few_events(counts, measure),
            **_ignored(counts, found.informative),
        )  # fmt: skip

    return fit


def _measure(method: str, rates: bool) -> str:
    """RR of `MH RR`; a model's ratio where its name has none."""
    last = method.split()[-1]
    return last if last in ("RR", "RD", "IRD") else "IRR" if rates else "OR"


def _exact(counts: Counts, _: str) -> RareFit:
    from klarsyn.stats.rare_exact import exact_odds_ratio

    inside = counts.only(counts.informative)
    _need_studies(inside, "exact OR")
    return RareFit(
        method="exact OR", measure="OR", estimate=exact_odds_ratio(*inside.arrays),
        **_ignored(counts, counts.informative),
    )  # fmt: skip


def _cochran_q(counts: Counts, measure: str, pooled: Estimate) -> tuple[ChiSquare, ...]:
    """Cochran's Q of the studies' own effects around the pooled one, ½ added where a cell is 0."""
    from klarsyn.stats.contrasts import contrasts
    from klarsyn.stats.rare_stratified import ChiSquare

    names = ("x1i", "t1i", "x2i", "t2i") if counts.rates else ("ai", "n1i", "ci", "n2i")
    cells: dict[str, Any] = dict(zip(names, counts.arrays, strict=True))
    own = contrasts(measure, cells, add=0.5, to="only0", drop00=True)
    used = np.isfinite(own.y)
    q = float(((own.y[used] - pooled.value) ** 2 / own.v[used]).sum())
    return (ChiSquare(name="Cochran Q", value=q, df=max(int(used.sum()) - 1, 0)),)


def _conditional(counts: Counts, model: str) -> tuple[RandomEffectFit, tuple[ChiSquare, ...]]:
    from klarsyn.stats import rare_likelihoods as likelihoods
    from klarsyn.stats.rare_random import fit_random_effect, heterogeneity_tests

    a, n1, c, n2 = counts.arrays
    if model == "CM.EL" and not counts.rates:
        study = likelihoods.noncentral_hypergeometric(a, n1, c, n2)
    else:
        study = likelihoods.binomial(a, a + c, np.log(n1 / n2))
    fit = fit_random_effect(study, len(a))
    return fit, heterogeneity_tests(study, len(a), fit.mu_common)


def _unconditional(counts: Counts, coding: str) -> tuple[RandomEffectFit, tuple[ChiSquare, ...]]:
    from klarsyn.stats.rare_unconditional import fit_fixed_study_effects, saturated_tests

    groups, alpha = _groups(counts)
    fit = fit_fixed_study_effects(groups, alpha, coding=coding)
    tests = saturated_tests(*counts.arrays, counts.rates, groups, fit.log_likelihood_common)
    return fit, tests


def _groups(counts: Counts) -> tuple[Any, Array]:
    """The two groups' likelihoods and starting intercepts."""
    from klarsyn.stats import rare_likelihoods as likelihoods

    a, n1, c, n2 = counts.arrays
    if counts.rates:
        return likelihoods.two_poissons(*counts.arrays), np.log((a + c + 0.5) / (n1 + n2))
    return (
        likelihoods.two_binomials(*counts.arrays),
        np.log((a + c + 0.5) / (n1 + n2 - a - c + 0.5)),
    )


def _random_study_effects(counts: Counts, coding: str, laplace: bool, drop_empty: bool) -> RareFit:
    from klarsyn.stats.rare_unconditional_random import fit_random_study_effects

    kept = counts.informative if drop_empty else np.ones(len(counts.studies), dtype=bool)
    groups, alpha = _groups(counts.only(kept))
    start = (float(alpha.mean()), 0.0, float(alpha.std()))
    fit = fit_random_study_effects(
        groups, start, k=len(alpha), coding=coding, points=1 if laplace else None
    )
    return RareFit(
        method="UM.RS", measure="IRR" if counts.rates else "OR", tau2=fit.tau2,
        estimate=Estimate(value=fit.mu, se=fit.se, method="UM.RS", scale="log"),
        log_likelihood=fit.log_likelihood, boundary=fit.boundary,
        notes=(*notes_of_glmm(counts.only(counts.informative), "UM.RS", fit), STUDY_EFFECTS),
        certificate={
            "gradient": fit.gradient, "curvature": fit.curvature, "boundary": float(fit.boundary),
            "maxima": fit.maxima, "integration_error": fit.integration_error,
            "points": fit.points, "sigma2": fit.sigma2, "alpha": fit.alpha,
        },
        **_ignored(counts, kept),
    )  # fmt: skip


def _need_events(counts: Counts, what: str) -> None:
    """Both directions must be possible: no ratio is finite where every study lies at one edge."""
    a, n1, c, n2 = counts.arrays
    most = a + c if counts.rates else np.minimum(n1, a + c)
    least = np.zeros_like(a) if counts.rates else np.maximum(0, a + c - n2)
    if np.all(a == least) or np.all(a == most):
        raise NumericalError(
            "not_estimable",
            f"{what}: one group has no event (or only events) in all studies together, so no "
            "finite ratio fits best. A risk difference or an exact limit can still say something.",
        )


def _beta_binomial(method: str, study_effects: bool) -> Callable[[Counts, str], RareFit]:
    def fit(counts: Counts, _: str) -> RareFit:
        from klarsyn.stats.rare_betabinomial import fit_beta_binomial

        used = counts.informative if study_effects else np.ones(len(counts.studies), dtype=bool)
        inside = counts.only(used)
        _need_studies(inside, method)
        found = fit_beta_binomial(*inside.arrays, study_effects=study_effects)
        return RareFit(
            method=method, measure="OR", estimate=found.estimate, rho=found.rho,
            log_likelihood=found.log_likelihood, boundary=found.boundary,
            certificate={
                "gradient": found.gradient, "risk1": found.risk1, "risk2": found.risk2,
                "risk_difference": found.risk_difference.value,
                "risk_difference_se": found.risk_difference.se,
            },
            notes=notes_of_beta_binomial(inside, method, at_zero=found.boundary),
            **_ignored(counts, used),
        )  # fmt: skip

    return fit


def _glmm(model: str) -> Callable[[Counts, str], RareFit]:
    return lambda counts, coding: fit_glmm(counts, model, coding=coding)


COUNT_METHODS: dict[str, Callable[[Counts, str], RareFit]] = {
    "MH OR": _stratified("OR", "MH OR"),
    "MH RR": _stratified("RR", "MH RR"),
    "MH RD": _stratified("RD", "MH RD"),
    "Peto": _stratified("OR", "Peto"),
    "exact OR": _exact,
    "CM.EL": _glmm("CM.EL"),
    "CM.AL": _glmm("CM.AL"),
    "UM.FS": _glmm("UM.FS"),
    "UM.RS": _glmm("UM.RS"),
    "beta-binomial": _beta_binomial("beta-binomial", study_effects=False),
    "beta-binomial FS": _beta_binomial("beta-binomial FS", study_effects=True),
}
RATE_METHODS: dict[str, Callable[[Counts, str], RareFit]] = {
    "MH IRR": _stratified("IRR", "MH IRR"),
    "MH IRD": _stratified("IRD", "MH IRD"),
    "CM.EL": _glmm("CM.EL"),
    "UM.FS": _glmm("UM.FS"),
    "UM.RS": _glmm("UM.RS"),
}
