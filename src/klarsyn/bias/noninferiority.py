"""Is the new treatment no worse than the reference by more than a margin, and would it still be?

Events are good (response, remission). Differences are new − reference, so higher is better for
the new treatment; a margin is a positive number of the same scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy import special

from klarsyn.errors import InputError, NumericalError
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.proportions import check_counts, difference_interval, score_z

SUPERIOR, NONINFERIOR, INCONCLUSIVE, INFERIOR = (
    "superior",
    "non-inferior",
    "inconclusive",
    "inferior",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Good events and patients in both arms of one analysis set; events may be expected values."""

    name: str
    new_events: float
    new_total: float
    reference_events: float
    reference_total: float

    def __post_init__(self) -> None:
        try:
            check_counts(
                [self.new_events, self.reference_events], [self.new_total, self.reference_total]
            )
        except InputError as bad:
            raise InputError(f"{self.name}: {bad}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much worse is still acceptable, and where that number comes from.

    `value` is a positive risk difference. `kind` is `fixed` or `preserved_fraction`; the latter
    has `history` (reference − placebo), `fraction` kept, and `m1`, the history's lower limit.
    """

    value: float
    kind: str
    basis: str
    history: Estimate | None = None
    fraction: float | None = None
    m1: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResult:
    """One analysis set against the margin.

    `z` and `p_value` are the one-sided Farrington–Manning test of difference ≤ −margin.
    """

    counts: Counts
    difference: float
    interval: tuple[float, float]
    z: float
    p_value: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """All analysis sets against one margin; non-inferior only if every set says so."""

    sets: tuple[SetResult, ...]
    margin: Margin
    verdict: str
    interval_method: str
    level: float
    notes: tuple[str, ...]
    method: str
    inputs: str

    def summary(self) -> str:
        """One line a set, then the verdict over all."""
        lines = [f"margin {100 * self.margin.value:.1f} points ({self.margin.basis})"]
        for s in self.sets:
            low, high = s.interval
            lines.append(
                f"  {s.counts.name}: {100 * s.difference:.1f} ({100 * low:.1f} to "
                f"{100 * high:.1f}) points, z {s.z:.2f}, one-sided p {s.p_value:.2g}: {s.verdict}"
            )
        lines.append(f"  over all sets: {self.verdict}")
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self) -> Any:
        """Each set's difference with its interval; the vertical line is the margin (Altair)."""
        return _against_margin([(s.counts.name, s) for s in self.sets], self.margin.value)


def _against_margin(named: Sequence[tuple[str, SetResult]], margin: float) -> Any:
    from klarsyn.figures.estimates import estimate_lines

    *first, last = [
        (name, 100 * s.difference, 100 * s.interval[0], 100 * s.interval[1]) for name, s in named
    ]
    title = f"Difference in points; the line is the margin of −{100 * margin:g}"
    return estimate_lines(first, pooled=[last], title=title, null=-100 * margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssaySensitivity:
    """How the reference arm did against its history, and the verdict had it done as before.

    `z`: the arm's distance from the predictive distribution of history (None without one).
    `lost_at`: the lowest reference rate at which non-inferiority is lost, the new arm unchanged.
    """

    observed_rate: float
    history_rate: float
    z: float | None
    reanchored: SetResult
    lost_at: float | None
    sentence: str
    method: str
    inputs: str

    def summary(self) -> str:
        """The sentence."""
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)


def fixed_margin(value: float, basis: str) -> Margin:
    """A margin that the trial declared; `basis` says where it comes from."""
    if not 0 < value < 1:
        raise InputError(
            f"A margin is a positive risk difference below 1 (0.1 for 10 points); {value:g} is not."
        )
    return Margin(value=value, kind="fixed", basis=basis)


def preserved_fraction_margin(
    history: Estimate,
    fraction: float,
    *,
    basis: str,
    level: float = 0.95,
    lower: float | None = None,
) -> Margin:
    """M2 = (1 − fraction) M1, M1 the lower limit of reference − placebo.

    `lower` is that limit where history's own is not symmetric (an odds ratio's, carried over).
    Raises NumericalError when history does not show that the reference works: there is then no
    margin to preserve.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"A preserved fraction lies in 0 to 1, 1 left out; {fraction:g} does not.")
    m1 = history.interval(level)[0] if lower is None else lower
    if not m1 > 0:
        raise NumericalError(
            "not_estimable",
            f"The lower limit of reference − placebo is {m1:.3g}: history does not show that the "
            f"reference works, so no margin follows from it.",
        )
    return Margin(
        value=(1 - fraction) * m1,
        kind="preserved_fraction",
        basis=basis,
        history=history,
        fraction=fraction,
        m1=m1,
    )


def synthesis_test(difference: Estimate, history: Estimate, fraction: float) -> tuple[float, float]:
    """z and one-sided p of the synthesis test: new − reference + (1 − f)(reference − placebo) > 0.

    Assumes constancy: the reference works as it did in history.
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"A preserved fraction lies between 0 and 1; {fraction:g} does not.")
    kept = 1 - fraction
    numbers = (difference.value, difference.se, history.value, history.se)
    if not all(map(math.isfinite, numbers)) or math.hypot(difference.se, kept * history.se) == 0:
        raise InputError("The synthesis test needs two differences with their standard errors.")
    z = (difference.value + kept * history.value) / math.hypot(difference.se, kept * history.se)
    return z, float(special.ndtr(-z))


def verdict(low: float, high: float, margin: float) -> str:
    """What an interval of new − reference says about a margin.

    `superior`: above 0; `non-inferior`: above −margin; `inferior`: below −margin; else
    `inconclusive`. An interval between −margin and 0 is non-inferior though worse than 0.
    """
    if low > 0:
        return SUPERIOR
    if low > -margin:
        return NONINFERIOR
    return INFERIOR if high < -margin else INCONCLUSIVE


def noninferiority(
    sets: Sequence[Counts],
    margin: Margin,
    *,
    interval_method: str = "miettinen_nurminen",
    level: float = 0.95,
) -> NonInferiority:
    """Each analysis set against the margin, and the verdict over all.

    Give at least the intention-to-treat set and the set as published: intention to treat pulls
    towards no difference, and the other may pull either way. Over all sets the verdict is the
    least favourable one.
    """
    if not sets:
        raise InputError("There is no analysis set. Give events and totals of both arms.")
    found = tuple(_set_result(c, margin.value, interval_method, level) for c in sets)
    notes = []
    if len(found) == 1:
        notes.append(
            "One analysis set only. All randomised pulls towards no difference and the treated "
            "may pull either way; non-inferiority wants both."
        )
    if interval_method == "wald":
        notes.append("The Wald interval is for comparison only: it is too short at 0 and 1.")
    order = (INFERIOR, INCONCLUSIVE, NONINFERIOR, SUPERIOR)
    return NonInferiority(
        sets=found,
        margin=margin,
        verdict=min((s.verdict for s in found), key=order.index),
        interval_method=interval_method,
        level=level,
        notes=tuple(notes),
        method=f"{interval_method} interval; Farrington–Manning test at minus the margin",
        inputs=digest_of(list(sets), margin),
    )


def assay_sensitivity(
    counts: Counts,
    margin: Margin,
    *,
    history_rate: float,
    history_total: float | None = None,
    history: tuple[Estimate, float] | None = None,
    interval_method: str = "miettinen_nurminen",
    level: float = 0.95,
) -> AssaySensitivity:
    """What if the reference had done as in other trials, the new arm as it did?

    `history_rate` is the rate to put in its place and `history_total` the patients it was seen in,
    whose number then takes the place of the arm's own: a rate is no surer than where it was seen.
    Without it the arm's size is kept. `history`, when there are several trials, is their
    random-effects mean log odds and τ², and gives the z of the observed arm; the rate is then as
    sure as that of one more such trial.
    """
    if not 0 <= history_rate <= 1:
        raise InputError(
            f"A rate lies between 0 and 1; {history_rate:g} does not. Write 0.63 for 63 %."
        )
    if history is not None and not (
        math.isfinite(history[0].value) and history[0].se >= 0 and 0 <= history[1] < math.inf
    ):
        raise InputError("History needs a mean log odds, its standard error and τ², 0 or more.")
    observed = counts.reference_events / counts.reference_total
    size = history_total or _as_many(history_rate, history) or counts.reference_total
    other = Counts(
        name=f"{counts.name}, reference at {100 * history_rate:.0f} %",
        new_events=counts.new_events,
        new_total=counts.new_total,
        reference_events=history_rate * size,
        reference_total=size,
    )
    result = _set_result(other, margin.value, interval_method, level)
    low, high = result.interval
    lost = _lost_at(counts, margin.value, interval_method, level)
    sentence = (
        f"The reference arm had {100 * observed:.0f} % against {100 * history_rate:.0f} % "
        f"elsewhere; had it done as there, the difference would be "
        f"{100 * result.difference:.1f} ({100 * low:.1f} to {100 * high:.1f}) points: "
        f"{result.verdict}."
    )
    return AssaySensitivity(
        observed_rate=observed,
        history_rate=history_rate,
        z=None if history is None else _arm_z(counts, *history),
        reanchored=result,
        lost_at=lost,
        sentence=sentence,
        method="reference arm's rate replaced, "
        + (
            "its size kept"
            if size == counts.reference_total
            else f"as sure as in {size:.0f} patients"
        ),
        inputs=digest_of(counts, margin, history_rate, size),
    )


def _as_many(rate: float, history: tuple[Estimate, float] | None) -> float | None:
    """Patients that tell a rate as well as history predicts that of one more trial.

    Variance of log odds 1 / (n p (1 − p)) = se² + τ².
    """
    if history is None or not 0 < rate < 1:
        return None
    variance = history[0].se ** 2 + history[1]
    return 1 / (variance * rate * (1 - rate)) if variance > 0 else None


def _set_result(c: Counts, margin: float, method: str, level: float) -> SetResult:
    cells = (c.new_events, c.new_total, c.reference_events, c.reference_total)
    limits = difference_interval(*cells, method=method, level=level)
    low, high = float(limits.low), float(limits.high)
    z = float(score_z(*cells, -margin, variance="farrington_manning"))
    return SetResult(
        counts=c,
        difference=c.new_events / c.new_total - c.reference_events / c.reference_total,
        interval=(low, high),
        z=z,
        p_value=float(special.ndtr(-z)),
        verdict=verdict(low, high, margin),
    )


def _lost_at(c: Counts, margin: float, method: str, level: float) -> float | None:
    import numpy as np

    events = np.arange(0, math.floor(c.reference_total) + 1)
    limits = difference_interval(
        c.new_events, c.new_total, events, c.reference_total, method=method, level=level
    )
    lost = np.flatnonzero(np.asarray(limits.low) <= -margin)
    return float(events[lost[0]] / c.reference_total) if lost.size else None


def _arm_z(c: Counts, mean: Estimate, tau2: float) -> float:
    """The arm's log odds against the predictive distribution of history.

    Half a patient is added to both cells only where one is empty, as to the arms of history.
    """
    x, y = c.reference_events, c.reference_total - c.reference_events
    if x == 0 or y == 0:
        x, y = x + 0.5, y + 0.5
    return (math.log(x / y) - mean.value) / math.sqrt(tau2 + mean.se**2 + 1 / x + 1 / y)
