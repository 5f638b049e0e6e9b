"""What results on rare events must say about themselves: where simulations saw each method fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from klarsyn.synthesis import simulated as seen
from klarsyn.synthesis.rare_counts import Counts

if TYPE_CHECKING:
    from klarsyn.stats.rare_stratified import ChiSquare

FEW = 20  # 3 and 10 studies failed in validation/rare; 40 failed too where tau² was above 0
FEW_EVENTS = 10  # in the group with fewer of them, all studies together
FREQUENT = 0.05  # pooled risk; a control risk of 10 % (7 % pooled) failed, 1 % held
BOUNDARY = (
    "tau² = 0 fits best; the standard error is the profile one, with tau² held at 0, and ignores "
    "that tau² was estimated."
)


class _Fitted(Protocol):
    @property
    def tau2(self) -> float: ...
    @property
    def boundary(self) -> bool: ...
    @property
    def integration_error(self) -> float: ...


def notes_of_common_effect(tests: Sequence[ChiSquare], measure: str) -> tuple[str, ...]:
    """That a common effect's interval ignores differences between studies, seen or not."""
    if not any(t.df > 0 for t in tests):
        return ()
    if any(t.df > 0 and t.p < 0.1 for t in tests):
        return (
            "The studies differ more than by chance; this common-effect interval ignores that.",
        )
    low, high = seen.MANTEL_HAENSZEL[measure]
    return (
        f"The tests see no heterogeneity but can miss it; where effects differed between studies "
        f"(tau 0.2 or 0.5, of a difference as a share of the risk) Mantel–Haenszel's {measure} "
        f"covered {low} to {high} % in simulations.",
    )


def notes_of_few_events(counts: Counts, measure: str) -> tuple[str, ...]:
    """That a ratio rests on a handful of events of one group."""
    fewest = min(counts.events1.sum(), counts.events2.sum())
    if measure in {"RD", "IRD"} or fewest >= FEW_EVENTS:
        return ()
    return (
        f"One group has {fewest:g} events in all studies together: a ratio made of so few is "
        f"biased, and the more the fewer (a log odds ratio of −0.7 by up to "
        f"{seen.FEW_EVENTS_BIAS:g} in simulations).",
    )


def notes_of_peto(counts: Counts, effect: float, method: str) -> tuple[str, ...]:
    """Unequal groups and large effects, where Peto's one step falls short."""
    if method != "Peto":
        return ()
    notes = []
    ratio = counts.total1 / counts.total2
    uneven = int(((ratio > 2) | (ratio < 0.5)).sum())
    if uneven:
        notes.append(
            f"{uneven} studies have one group more than twice the other; Peto's method is biased "
            "there."
        )
    if abs(effect) > math.log(3):
        where = "" if uneven else " towards 1"
        notes.append(f"The effect is large (ratio beyond 3); Peto's method is biased{where}.")
    return tuple(notes)


def notes_of_glmm(counts: Counts, model: str, fit: _Fitted) -> tuple[str, ...]:
    """Where the normal interval of a mixed model is too short or its assumption fails."""
    notes = [BOUNDARY] if fit.boundary else []
    notes += _too_short(counts, model, fit.tau2)
    if model == "CM.AL" and not counts.rates:
        risk = (counts.events1 + counts.events2).sum() / (counts.total1 + counts.total2).sum()
        if risk > FREQUENT:
            low, high = seen.APPROXIMATE_AT_10
            notes.append(
                f"{risk:.0%} of patients have the event; CM.AL assumes that it is rare: at a "
                f"control risk of 10 % it covered {low} to {high} % even of equal effects in "
                f"simulations. Prefer CM.EL."
            )
    if fit.integration_error > 1e-6:
        notes.append(
            f"Twice the quadrature points moved the log-likelihood by {fit.integration_error:.1g}."
        )
    return (*notes, *notes_of_few_events(counts, "OR"))


def notes_of_beta_binomial(counts: Counts, method: str, *, at_zero: bool) -> tuple[str, ...]:
    """The boundary, and what fixed study effects do to the interval."""
    notes = ["rho = 0 fits best: the binomial model."] if at_zero else []
    if method in seen.GLMM_DIFFERING:
        notes += _too_short(counts, method, math.inf)
    return (*notes, *notes_of_few_events(counts, "OR"))


def _too_short(counts: Counts, model: str, tau2: float) -> list[str]:
    k = len(counts.studies)
    if k >= FEW and not tau2 > 0:
        return []
    low, high = seen.GLMM_DIFFERING[model]
    few = f"Only {k} studies: tau² is hardly known. " if k < FEW else ""
    return [
        f"{few}Where effects differ between studies a normal interval is likely too short: "
        f"{model} covered {low} to {high} % in simulations (tau 0.4 and 0.8, 3 to 40 studies)."
    ]
