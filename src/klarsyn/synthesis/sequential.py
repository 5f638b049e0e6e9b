"""Is the evidence enough yet? A cumulative meta-analysis against boundaries that spend its error.

Trial sequential analysis (Wetterslev et al. 2008, J Clin Epidemiol 61:64) without its futility
boundaries: each new study is another look, and an ordinary p < 0.05 at one of many looks is not
evidence at that level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.information import diversity, with_heterogeneity
from klarsyn.stats.sequential import boundaries, spent
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.influence import Steps, cumulative
from klarsyn.synthesis.pairwise import pool

CROSSED, REACHED, TOO_LITTLE = "boundary crossed", "information reached", "too little information"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The pooled effect once one more study is in; `boundary` is what |z| had to reach.

    `boundary` is None where no error is left to spend: too early, or after the required size.
    """

    study: str
    participants: float
    fraction: float
    estimate: float
    se: float
    z: float
    boundary: float | None
    error_spent: float
    crossed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialAnalysis:
    """Every look, and what they allow to say; effects on the measure's own scale.

    `required` is the information size after heterogeneity (D²). `interval` is the last estimate
    with the last look's boundary in place of 1.96, None where that look had no boundary.
    """

    looks: tuple[Look, ...]
    size: float
    diversity: float
    required: float
    alpha: float
    conclusion: str
    interval: tuple[float, float] | None
    measure: str
    scale: str
    method: str
    digest: str

    def summary(self) -> str:
        """What the looks allow to say."""
        last = self.looks[-1]
        first = next((look for look in self.looks if look.crossed), None)
        told = {
            CROSSED: f"the boundary is crossed at {first.study if first else ''}",
            REACHED: "the required size is reached and no boundary was crossed",
            TOO_LITTLE: "no boundary is crossed and the required size is not reached: undecided",
        }[self.conclusion]
        return (
            f"{last.participants:.0f} of {self.required:.0f} participants "
            f"({last.fraction:.0%}; {self.size:.0f} at a diversity D² of {self.diversity:.0%}): "
            f"{told}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        own = {name: getattr(self, name) for name in type(self).__slots__}
        return own | {"looks": [look.to_dict() for look in self.looks], "summary": self.summary()}

    def plot(self) -> Any:
        """z of each look against its boundary over the participants seen (Altair)."""
        from klarsyn.figures.sequential import sequential_chart
        from klarsyn.figures.theme import housed

        looks = [(k.participants, k.z, k.boundary, k.study) for k in self.looks]
        return housed(sequential_chart(looks, self.required))


def sequential_analysis(
    effects: Effects,
    participants: Sequence[float],
    *,
    size: float,
    order: Sequence[Any] | None = None,
    diversity_share: float | None = None,
    method: str = "DL",
    alpha: float = 0.05,
) -> SequentialAnalysis:
    """Look at the pooled effect after each study, in `order` (smallest first).

    `participants` of each study; `size` is the information size of one large trial, divided by
    1 − D² here. D² is `diversity_share`, or estimated from all the studies. Two-sided, error spent
    as O'Brien and Fleming's boundaries spend it; looks after the required size is reached have no
    error left. Normal limits: with few studies the pooled z itself is too sure of τ².
    """
    used, _ = effects.usable()
    people = _participants(participants, used)
    if not (math.isfinite(size) and size > 0):
        raise InputError(f"The information size must be above 0; it is {size:g}.")
    keys = list(range(used.k)) if order is None else list(order)
    steps = cumulative(used, keys, method=method, test="z")
    seen = np.cumsum(people[sorted(range(used.k), key=lambda i: keys[i])])
    share = _diversity(used, method) if diversity_share is None else diversity_share
    required = with_heterogeneity(size, share)
    fraction = seen / required
    looks = _looks(steps, seen, fraction, alpha)
    reached = REACHED if fraction[-1] >= 1 else TOO_LITTLE
    last = looks[-1]
    reach = None if last.boundary is None else last.boundary * last.se
    return SequentialAnalysis(
        looks=looks,
        size=size,
        diversity=share,
        required=required,
        alpha=alpha,
        conclusion=CROSSED if any(k.crossed for k in looks) else reached,
        interval=None if reach is None else (last.estimate - reach, last.estimate + reach),
        measure=used.measure,
        scale=used.scale,
        method=f"{method}, z, Lan–DeMets spending of O'Brien–Fleming type",
        digest=digest_of(used.y, used.v, used.study, people, keys, size, share, alpha, method),
    )


def _participants(participants: Sequence[float], used: Effects) -> NDArray[np.float64]:
    people = np.asarray(participants, dtype=float)
    if people.shape != (used.k,):
        raise InputError(f"{people.size} numbers of participants for {used.k} studies.")
    for i, n in enumerate(people):
        if not (math.isfinite(n) and n > 0):
            raise InputError(f"{used.place(i)}: participants must be above 0; got {n:g}.")
    return people


def _looks(
    steps: Steps, seen: NDArray[np.float64], fraction: NDArray[np.float64], alpha: float
) -> tuple[Look, ...]:
    """The pooled effect at each `fraction` of the required size beside its boundary."""
    limits, error = boundaries(fraction.tolist(), alpha), spent(fraction, alpha)
    return tuple(
        Look(
            study=step.study,
            participants=float(n),
            fraction=float(t),
            estimate=step.estimate,
            se=step.se,
            z=step.estimate / step.se,
            boundary=float(limit) if math.isfinite(limit) else None,
            error_spent=float(e),
            crossed=bool(abs(step.estimate / step.se) >= limit),
        )
        for step, n, t, limit, e in zip(steps, seen, fraction, limits, error, strict=True)
    )


def _diversity(effects: Effects, method: str) -> float:
    if effects.k < 2 or method == "EE":
        return 0.0
    random, common = (pool(effects, method=m, test="z") for m in (method, "EE"))
    return diversity(random.se**2, common.se**2)
