"""Crossover trials that print counts but not pairs: the pooled effect over every correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Result
from klarsyn.stats.paired_counts import Pairing, pairing
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.extraction import TrialEffect
from klarsyn.synthesis.pairwise import Pooled, pool

SMD_VARIANCE_PER_LOG_ODDS = 3 / math.pi**2
SAME = 1e-6  # the variance at correlation 0 must be the one that was pooled


def crossover_range(
    context: Context, name: str, effects: Sequence[TrialEffect]
) -> tuple[Any, Result] | None:
    """A sentence and its result for one pooled group; None where no counts of pairs are missing.

    The effects are pooled with every unpaired trial's correlation at 0, as the page does, and at
    the highest that its counts allow.
    """
    found = {e.trial: p for e in effects if (p := _pairing(context, e)) is not None}
    if not found:
        return None
    as_pooled = _pool(context, effects, {})
    highest = {trial: p.highest for trial, p in found.items()}
    variances = {
        trial: SMD_VARIANCE_PER_LOG_ODDS * p.variance(p.highest) for trial, p in found.items()
    }
    at_most = _pool(context, effects, variances)
    result = Result(
        id=f"adjusted.crossover.{name}",
        value={
            "trials": list(found),
            "highest_correlation": highest,
            "as_independent": _value(as_pooled),
            "at_highest": _value(at_most),
        },
        method="variance of paired counts v1 + v2 − 2 r √(v1 v2), r from 0 to Fréchet's bound; "
        f"random effects, {as_pooled.method}, {as_pooled.test}",
        inputs=tuple(i for e in effects if e.trial in found for i in e.findings),
        digest=digest_of([(e.trial, e.y, e.v) for e in effects], highest),
    )
    n = context.numbers

    def shown(p: Pooled) -> Any:
        return context.result_claim(result, n.with_interval(p.estimate, p.ci_lower, p.ci_upper))

    text = context.words(
        "adjusted.crossover",
        trials=", ".join(context.base.trial(t).label for t in found),
        independent=shown(as_pooled),
        paired=shown(at_most),
        correlations="; ".join(n.fixed(r) for r in highest.values()),
    )
    return text, result


def _pairing(context: Context, e: TrialEffect) -> Pairing | None:
    if "as if independent" not in e.formula or e.measure != "SMD":
        return None
    trial = context.base.trial(e.trial)
    known = context.known
    cells = []
    for treatment, n in ((e.treatment, e.n_test), (e.control, e.n_control)):
        arms = {a.id for a in trial.arms if a.treatment == treatment}
        stats = {known[i].statistic: known[i].value for i in e.findings if known[i].arm in arms}
        events, percent = stats.get("events"), stats.get("percent")
        if events is None and percent is not None:
            events = float(round(percent * n / 100))
        if events is None:
            return None
        cells += [events, n]
    try:
        made = pairing("OR", *cells)
    except InputError:
        return None
    apart = SMD_VARIANCE_PER_LOG_ODDS * made.variance(0.0)
    return made if math.isclose(apart, e.v, rel_tol=SAME) else None


def _pool(context: Context, effects: Sequence[TrialEffect], other: dict[str, float]) -> Pooled:
    s = context.settings
    made = effects_from_arrays(
        [e.y for e in effects], [other.get(e.trial, e.v) for e in effects], measure="SMD"
    )
    return pool(made, method=s.method, test=s.test)


def _value(p: Pooled) -> dict[str, Any]:
    return {"estimate": p.estimate, "ci": [p.ci_lower, p.ci_upper], "tau2": p.tau2}
