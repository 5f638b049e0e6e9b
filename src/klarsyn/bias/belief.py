"""Only aggregates: how strong must belief be for the conclusion to fall, and is the control odd?

The bias of unblinding is the effect of believing one has the drug (δ) times how much oftener the
active arm believes it than the control arm. The tipping point needs no prior for δ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.bias.expectancy import GuessStratum
from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BeliefEvidence:
    """What another trial says about the effect of belief, on the outcome's own scale."""

    label: str
    value: float
    low: float
    high: float
    source: str
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tipping:
    """The effect as a function of the belief effect δ, and where the conclusion falls.

    `at_estimate` and `at_limit` are the δ at which the estimate, and the confidence limit nearer
    the threshold, reach the threshold (None when no δ does because both arms believe alike).
    `at_limit_range` is the same over the interval of the difference in belief. `curve` holds
    (δ, effect, low, high). `fallen`: the limit is beyond the threshold already at δ = 0.
    """

    effect: Estimate
    interval: tuple[float, float]
    belief_difference: float
    belief_interval: tuple[float, float]
    threshold: float
    at_estimate: float | None
    at_limit: float | None
    at_limit_range: tuple[float, float] | None
    fallen: bool
    curve: tuple[tuple[float, float, float, float], ...]
    evidence: tuple[BeliefEvidence, ...]
    level: float
    method: str
    inputs: str

    def summary(self) -> str:
        """The tipping points and the evidence on belief beside them."""
        low, high = self.interval
        lines = [
            f"effect {self.effect.value:.2f} ({low:.2f} to {high:.2f}); the active arm believes it "
            f"has the drug {100 * self.belief_difference:.0f} points oftener"
        ]
        if self.fallen:
            lines.append(f"  the interval holds {self.threshold:g} before any belief effect")
        elif self.at_limit is None:
            lines.append("  both arms believe alike: no belief effect can tip the conclusion")
        else:
            lines.append(
                f"  a belief effect of {self.at_limit:.2f} brings the limit to {self.threshold:g}; "
                f"{self.at_estimate:.2f} the estimate"
            )
        for e in self.evidence:
            lines.append(
                f"  {e.label}: belief effect {e.value:.2f} ({e.low:.2f} to {e.high:.2f})"
                f"{'; ' + e.caution if e.caution else ''}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self, **labels: Any) -> Any:
        """The effect over δ, with the tipping points and the evidence."""
        from klarsyn.figures.expectancy import tipping_chart

        return tipping_chart(
            [dict(zip(("delta", "value", "low", "high"), p, strict=True)) for p in self.curve],
            [asdict(e) for e in self.evidence],
            threshold=self.threshold,
            at_limit=None if self.fallen else self.at_limit,
            **labels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlBenchmark:
    """A control arm's change against control arms of other trials.

    Changes are improvements in standard deviations (positive: better). `z` is the control's
    distance from the predictive distribution of the reference. `contrast_as_observed` is active −
    control; `contrast_if_reference` the same with the reference's mean control.
    """

    control: float
    reference_class: str
    reference_mean: float
    z: float
    p_value: float
    contrast_as_observed: float | None
    contrast_if_reference: Estimate | None
    standardised_by: str
    caveats: tuple[str, ...]
    method: str
    inputs: str
    arm: str = ""

    def summary(self) -> str:
        """Where the control stands, and the contrast with a usual control."""
        text = f"{self.arm}: " if self.arm else ""
        text += (
            f"control improved {self.control:.2f} SD against {self.reference_mean:.2f} in "
            f"{self.reference_class} (z {self.z:.2f}, p {self.p_value:.3f})"
        )
        if self.contrast_if_reference is not None:
            text += (
                f"; contrast {self.contrast_as_observed:.2f} as observed, "
                f"{self.contrast_if_reference.value:.2f} with the reference control"
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)


BENCHMARK_CAVEATS = (
    "Trials differ in baseline severity, entry criteria, regression to the mean, how often "
    "symptoms are rated and what care comes with the drug; none of it is adjusted for here.",
    "The standard deviation that divides the change (at baseline, or of the change) must be the "
    "same in all.",
)


def belief_difference(
    bang_active: float, bang_control: float, unknown_active: float = 0, unknown_control: float = 0
) -> float:
    """P(believes active | active) − P(believes active | control), from Bang indices per arm.

    `unknown_*` are the shares of don't-knows. Equal to the SBI of the same counts.
    """
    for name, value, low in (
        ("A Bang index", bang_active, -1.0),
        ("A Bang index", bang_control, -1.0),
        ("A share of don't-knows", unknown_active, 0.0),
        ("A share of don't-knows", unknown_control, 0.0),
    ):
        if not low <= value <= 1:
            raise InputError(f"{name} lies between {low:g} and 1; {value:g} does not.")
    for bang, unknown in ((bang_active, unknown_active), (bang_control, unknown_control)):
        if abs(bang) > 1 - unknown + 1e-9:
            raise InputError(
                f"A Bang index of {bang:g} is impossible with {unknown:.0%} don't-knows."
            )
    return (bang_active + bang_control + unknown_control - unknown_active) / 2


def belief_evidence(
    groups: Sequence[GuessStratum], *, label: str, source: str, caution: str, level: float = 0.95
) -> BeliefEvidence:
    """The effect of believing one has the drug in a trial with outcome by arm and guess.

    Guessed active − guessed control within each arm, the arms weighted by n₁n₂/(n₁ + n₂). Observed,
    not caused: the outcome may have made the belief, so `caution` must say what speaks against it.
    """
    cells = {(g.received, g.guessed): g for g in groups}
    total, value, variance = 0.0, 0.0, 0.0
    for arm in ("active", "control"):
        a, b = cells.get((arm, "active")), cells.get((arm, "control"))
        if a is None or b is None or min(a.n, b.n) < 2:
            continue
        weight = a.n * b.n / (a.n + b.n)
        total += weight
        value += weight * (a.mean - b.mean)
        variance += weight**2 * (a.sd**2 / a.n + b.sd**2 / b.n)
    if total == 0:
        raise InputError(f"{label}: no arm has two patients with each guess.")
    low, high = Estimate(value=value / total, se=math.sqrt(variance) / total, method="").interval(
        level
    )
    return BeliefEvidence(
        label=label, value=value / total, low=low, high=high, source=source, caution=caution
    )


def tipping(
    effect: Estimate,
    *,
    belief_difference: float,
    belief_interval: tuple[float, float],
    threshold: float,
    deltas: Sequence[float] | None = None,
    evidence: Sequence[BeliefEvidence] = (),
    level: float = 0.95,
) -> Tipping:
    """The belief effect at which an effect falls to a threshold.

    `effect` is active − control on a natural scale; `threshold` is 0 or the smallest effect that
    matters, with the same sign as the effect's direction. The interval of the curve keeps the
    effect's own standard error: the difference in belief is taken as known along it and its
    interval enters `at_limit_range`.
    """
    _check_belief(effect, belief_difference, belief_interval)
    if not math.isfinite(threshold):
        raise InputError(f"A threshold is a number on the effect's scale; {threshold:g} is none.")
    ends = effect.interval(level)
    near = ends[0] if effect.value >= threshold else ends[1]
    at_limit = _ratio(near - threshold, belief_difference)
    if deltas is None:
        deltas = _deltas(effect.value - threshold, belief_difference, at_limit or 0.0, evidence)
    bias = [float(d) * belief_difference for d in deltas]
    curve = [
        (float(d), effect.value - b, ends[0] - b, ends[1] - b)
        for d, b in zip(deltas, bias, strict=True)
    ]
    return Tipping(
        effect=effect,
        interval=ends,
        belief_difference=belief_difference,
        belief_interval=belief_interval,
        threshold=threshold,
        at_estimate=_ratio(effect.value - threshold, belief_difference),
        at_limit=at_limit,
        at_limit_range=_range(near - threshold, belief_interval),
        fallen=(near - threshold) * (effect.value - threshold) <= 0,
        curve=tuple(curve),
        evidence=tuple(evidence),
        level=level,
        method="bias = belief effect × difference in belief between arms",
        inputs=digest_of(effect, belief_difference, list(belief_interval), threshold),
    )


def control_benchmark(
    control: Estimate,
    *,
    reference_class: str,
    reference_mean: Estimate,
    reference_tau2: float,
    standardised_by: str,
    active: Estimate | None = None,
    arm: str = "",
) -> ControlBenchmark:
    """Is this control arm's improvement that of the disappointed?

    `control` and `active` are standardised improvements within an arm, `reference_mean` and
    `reference_tau2` the random-effects mean and variance of other control arms. z = (control −
    mean) / √(τ² + se(mean)² + se(control)²).
    """
    if not 0 <= reference_tau2 < math.inf:
        raise InputError(f"A variance between trials is 0 or more; {reference_tau2:g} is not.")
    if not all(map(math.isfinite, (control.value, control.se, *_both(reference_mean)))):
        raise InputError("Control and reference need a mean and a standard error as numbers.")
    spread = math.sqrt(reference_tau2 + reference_mean.se**2 + control.se**2)
    if spread == 0:
        raise InputError("Control and reference have no uncertainty at all; give their errors.")
    z = (control.value - reference_mean.value) / spread
    contrast = None
    if active is not None:
        contrast = Estimate(
            value=active.value - reference_mean.value,
            se=math.sqrt(active.se**2 + reference_mean.se**2 + reference_tau2),
            method="active change less the reference's control change",
        )
    return ControlBenchmark(
        control=control.value,
        reference_class=reference_class,
        reference_mean=reference_mean.value,
        z=z,
        p_value=math.erfc(abs(z) / math.sqrt(2)),
        contrast_as_observed=None if active is None else active.value - control.value,
        contrast_if_reference=contrast,
        standardised_by=standardised_by,
        caveats=BENCHMARK_CAVEATS,
        method="predictive distribution of control arms (random effects)",
        inputs=digest_of(control, reference_mean, reference_tau2),
        arm=arm,
    )


def control_share(control_change: float, active_change: float) -> float:
    """The control arm's change as a share of the active arm's (0.72: 72 % of the response)."""
    if active_change == 0:
        raise InputError("The active arm did not change; a share of 0 has no value.")
    if not (math.isfinite(control_change) and math.isfinite(active_change)):
        raise InputError("Both changes must be numbers.")
    return control_change / active_change


def _both(estimate: Estimate) -> tuple[float, float]:
    return estimate.value, estimate.se


def _check_belief(effect: Estimate, difference: float, interval: tuple[float, float]) -> None:
    low, high = interval
    if not -1 <= low <= difference <= high <= 1:
        raise InputError(
            f"A difference in belief of {difference:g} ({low:g} to {high:g}) is not within its "
            f"interval or not between -1 and 1."
        )
    if not (math.isfinite(effect.value) and 0 <= effect.se < math.inf):
        raise InputError("An effect needs a value and a standard error of 0 or more.")
    if effect.scale != "natural":
        raise InputError("The tipping curve needs an effect on a natural scale, not a logarithm.")


def _deltas(
    gap: float, difference: float, at_limit: float, evidence: Sequence[BeliefEvidence]
) -> list[float]:
    """Belief effects from 0 past the tipping point and past what is seen elsewhere."""
    ends = [abs(v) for e in evidence for v in (e.low, e.high)]
    widest = max([2 * abs(gap), 1.5 * abs(at_limit), *ends])
    return [float(d) for d in np.linspace(0, math.copysign(widest, gap * (difference or 1)), 61)]


def _ratio(gap: float, difference: float) -> float | None:
    return None if abs(difference) < 1e-12 else gap / difference


def _range(gap: float, interval: tuple[float, float]) -> tuple[float, float] | None:
    """δ at the limit over the interval of the belief difference; None if it holds 0."""
    low, high = interval
    if low <= 0 <= high:
        return None
    ends = sorted((gap / low, gap / high))
    return ends[0], ends[1]
