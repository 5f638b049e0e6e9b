"""Dropout after treatment began: the final difference if those who left lost what they gained.

From visit-wise means, one covariance over visits and the shares who left when; no individual
data. Outcomes are changes from baseline, differences treated − control.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.longitudinal import STRATEGIES, strategy_losses

CONTROL_DROPOUTS = ("missing_at_random", "no_change")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitMeans:
    """What a trial reports by visit.

    `treated` and `control`: model-based mean change at each visit. `covariance`: of one patient's
    changes over visits (visits × visits). `*_last_seen`: how many patients were last seen at
    baseline, visit 1, … and the last visit (one number more than visits). `se`: the standard
    error of the final difference as reported; without it, the one that complete data would give.
    """

    treated: tuple[float, ...]
    control: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    treated_last_seen: tuple[int, ...]
    control_last_seen: tuple[int, ...]
    se: float | None = None

    def __post_init__(self) -> None:
        visits = len(self.treated)
        if visits == 0 or len(self.control) != visits:
            raise InputError(
                f"{visits} treated and {len(self.control)} control means; give one each a visit."
            )
        if not np.isfinite([*self.treated, *self.control]).all():
            raise InputError("Each visit needs a mean in both arms.")
        square = np.asarray(self.covariance, float)
        if square.shape != (visits, visits) or not np.allclose(square, square.T):
            raise InputError(f"The covariance must be symmetric, {visits} by {visits}.")
        if (np.linalg.eigvalsh(square) <= 0).any():
            raise InputError("The covariance is not positive definite; check SDs, correlations.")
        for arm in (self.treated_last_seen, self.control_last_seen):
            whole = all(math.isfinite(count) and count == int(count) for count in arm)
            if len(arm) != visits + 1 or not whole or min(arm) < 0 or sum(arm) < 2:
                raise InputError(
                    f"Last seen: give {visits + 1} whole counts (baseline, then each visit), "
                    f"0 or more, 2 in all."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceBased:
    """The final difference under one strategy for dropouts.

    `se` is the repeated-sampling standard error (the assumption itself is not uncertain), not
    Rubin's. `tipping_delta`: the outcome units to add to each imputed final value of the treated
    arm at which the limit nearer 0 reaches 0; None without dropouts there or when the interval
    holds 0 already.
    """

    strategy: str
    control_dropouts: str
    difference: Estimate
    interval: tuple[float, float]
    missing_at_random: Estimate
    treated_dropout: float
    control_dropout: float
    tipping_delta: float | None
    method: str
    inputs: str

    def summary(self) -> str:
        """The difference beside that under missing at random."""
        low, high = self.interval
        tip = "" if self.tipping_delta is None else f"; tips at {self.tipping_delta:+.2f}"
        return (
            f"{self.strategy.replace('_', ' ')}: {self.difference.value:.2f} ({low:.2f} to "
            f"{high:.2f}); at random {self.missing_at_random.value:.2f}{tip}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self) -> Any:
        """The difference at random and under the strategy (Altair)."""
        from klarsyn.figures.estimates import estimate_lines

        random = self.missing_at_random
        return estimate_lines(
            [("missing at random", random.value, *random.interval())],
            pooled=[(self.strategy.replace("_", " "), self.difference.value, *self.interval)],
            title="Difference at the end",
        )


def reference_based(
    trial: VisitMeans, strategy: str, *, control_dropouts: str, level: float = 0.95
) -> ReferenceBased:
    """The final difference when treated dropouts follow `strategy`.

    Each dropout's expected final value under a strategy differs from that under missing at random
    by a number that depends only on the visit means (and for copy reference the covariance), so
    the mean does too: Δ = Δ(at random) − Σ share(k) loss(k). `control_dropouts`:
    `missing_at_random`, or `no_change` (those disappointed by control end as they began).
    """
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    if control_dropouts not in CONTROL_DROPOUTS:
        raise unknown_name("assumption for control dropouts", control_dropouts, CONTROL_DROPOUTS)
    treated, control = np.asarray(trial.treated, float), np.asarray(trial.control, float)
    covariance = np.asarray(trial.covariance, float)
    n1, n2 = sum(trial.treated_last_seen), sum(trial.control_last_seen)
    left1 = np.asarray(trial.treated_last_seen[:-1], float) / n1
    left2 = np.asarray(trial.control_last_seen[:-1], float) / n2
    losses, by_treated, by_control = strategy_losses(treated, control, covariance, strategy)
    last = np.eye(len(treated))[-1]
    gone = float(left2.sum()) if control_dropouts == "no_change" else 0.0
    g1 = last - left1 @ by_treated
    g2 = -last * (1 - gone) - left1 @ by_control
    value = float(treated[-1] - control[-1] * (1 - gone) - left1 @ losses)
    inflation = _inflation(trial, covariance, n1, n2)
    variance = inflation * float(g1 @ covariance @ g1 / n1 + g2 @ covariance @ g2 / n2)
    variance += (float(left1 @ losses**2) - float(left1 @ losses) ** 2) / n1
    variance += control[-1] ** 2 * gone * (1 - gone) / n2
    difference = Estimate(value=value, se=math.sqrt(variance), method=f"dropouts: {strategy}")
    ends = difference.interval(level)
    se_random = math.sqrt(inflation * covariance[-1, -1] * (1 / n1 + 1 / n2))
    near = ends[0] if value > 0 else ends[1]
    share = float(left1.sum())
    tips = share > 0 and near * value > 0
    return ReferenceBased(
        strategy=strategy,
        control_dropouts=control_dropouts,
        difference=difference,
        interval=ends,
        missing_at_random=Estimate(
            value=float(treated[-1] - control[-1]), se=se_random, method="missing at random"
        ),
        treated_dropout=share,
        control_dropout=float(left2.sum()),
        tipping_delta=-near / share if tips else None,
        method="conditional-mean imputation from visit means (Carpenter, Roger & Kenward 2013)",
        inputs=digest_of(trial, strategy, control_dropouts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateDropout:
    """A trial's difference among those seen, and what those who left could do to it.

    `jump` is jump to reference: those who left the drug end as control does. `tipping_delta` is how
    much worse (on the difference's scale, signed) than those seen the ones who left the drug must
    have ended for the limit nearer 0 to reach it; None where nobody left or the interval holds 0.
    """

    study: str
    seen: Estimate
    treated_dropout: float
    control_dropout: float
    jump: Estimate
    tipping_delta: float | None
    level: float
    method: str
    inputs: str

    def summary(self) -> str:
        """One line: who left, the difference seen, after the jump, and where it tips."""
        (a, b), (c, d) = self.seen.interval(self.level), self.jump.interval(self.level)
        tip = (
            "the interval holds 0 already"
            if a <= 0 <= b
            else "nobody left the drug"
            if self.tipping_delta is None
            else f"tips if those who left the drug ended {self.tipping_delta:+.2f} from those seen"
        )
        return (
            f"{self.study}: {100 * self.treated_dropout:.0f} % left the drug, "
            f"{100 * self.control_dropout:.0f} % control; seen {self.seen.value:.2f} ({a:.2f} to "
            f"{b:.2f}), jump to reference {self.jump.value:.2f} ({c:.2f} to {d:.2f}); {tip}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self) -> Any:
        """The difference among those seen and after the jump (Altair)."""
        from klarsyn.figures.estimates import estimate_lines

        return estimate_lines(
            [("those seen", self.seen.value, *self.seen.interval(self.level))],
            pooled=[("jump to reference", self.jump.value, *self.jump.interval(self.level))],
            title="Difference at the end",
        )


def dropout_on_aggregates(
    study: str,
    seen: Estimate,
    *,
    treated: tuple[float, float],
    control: tuple[float, float],
    level: float = 0.95,
) -> AggregateDropout:
    """What a printed table allows: the difference among those seen, and how many were.

    `treated` and `control` are (began, seen at the end). Raises InputError when more were seen than
    began. Both arms' missing are taken as the seen of their arm but where said otherwise.
    """
    if not (math.isfinite(seen.value) and 0 <= seen.se < math.inf):
        raise InputError(f"{study}: the difference among those seen needs a value and an error.")
    shares = []
    for arm, (began, left) in (("treated", treated), ("control", control)):
        if not 0 < left <= began:
            raise InputError(
                f"{study}: {left:g} of the {began:g} {arm} patients seen; it must be at least 1 "
                f"and no more than began."
            )
        shares.append(1 - left / began)
    low, high = seen.interval(level)
    near = low if seen.value > 0 else high
    tips = shares[0] > 0 and not low <= 0 <= high
    return AggregateDropout(
        study=study,
        seen=seen,
        treated_dropout=shares[0],
        control_dropout=shares[1],
        jump=jump_to_reference_approximation(seen, shares[0]),
        tipping_delta=-near / shares[0] if tips else None,
        level=level,
        method="jump to reference and delta adjustment on aggregates, dropout independent of "
        "what is not printed",
        inputs=digest_of(seen, list(treated), list(control), level),
    )


def jump_to_reference_approximation(difference: Estimate, treated_dropout: float) -> Estimate:
    """Δ(at random) × (1 − share of the treated who left): all that a printed table allows.

    Holds when control dropouts are missing at random.
    """
    if not 0 <= treated_dropout <= 1:
        raise InputError(f"A share lies between 0 and 1; {treated_dropout:g} does not.")
    kept = 1 - treated_dropout
    return Estimate(
        value=kept * difference.value,
        se=kept * difference.se,
        method="jump to reference, approx.",
        scale=difference.scale,
        df=difference.df,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaCell:
    """The final difference when each arm's unseen ended by so much above missing at random."""

    treated: float
    control: float
    difference: float
    low: float
    high: float

    def summary(self) -> str:
        """One line."""
        state = "holds 0" if self.low <= 0 <= self.high else "off 0"
        return (
            f"delta treated {self.treated:+g}, control {self.control:+g}: {self.difference:.2f} "
            f"({self.low:.2f} to {self.high:.2f}), {state}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)


def tipping_grid(
    trial: VisitMeans,
    strategy: str,
    deltas_treated: Sequence[float],
    deltas_control: Sequence[float],
    *,
    level: float = 0.95,
) -> list[DeltaCell]:
    """The final difference when δ is added to the imputed final values of each arm.

    The pairs run over the control arm's δ within each of the treated arm's.
    """
    if not all(map(math.isfinite, (*deltas_treated, *deltas_control))):
        raise InputError("A delta is a number of points on the outcome's scale.")
    base = reference_based(trial, strategy, control_dropouts="missing_at_random", level=level)
    out = []
    for a in deltas_treated:
        for b in deltas_control:
            shift = a * base.treated_dropout - b * base.control_dropout
            p, q = base.treated_dropout, base.control_dropout
            n1, n2 = sum(trial.treated_last_seen), sum(trial.control_last_seen)
            extra = a**2 * p * (1 - p) / n1 + b**2 * q * (1 - q) / n2
            at = Estimate(
                value=base.difference.value + shift,
                se=math.sqrt(base.difference.se**2 + extra),
                method=base.difference.method,
            )
            low, high = at.interval(level)
            out.append(DeltaCell(treated=a, control=b, difference=at.value, low=low, high=high))
    return out


def _inflation(trial: VisitMeans, covariance: np.ndarray, n1: int, n2: int) -> float:
    """The reported variance of the final difference over that of complete data."""
    complete = float(covariance[-1, -1]) * (1 / n1 + 1 / n2)
    if trial.se is None:
        return 1.0
    if not trial.se > 0:
        raise NumericalError("degenerate", f"A standard error is above 0; {trial.se:g} is not.")
    return trial.se**2 / complete
