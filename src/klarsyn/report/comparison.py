"""The one comparison with a reference treatment that the settings name: its counts and margin."""

from __future__ import annotations

from dataclasses import dataclass

from klarsyn.bias.noninferiority import Counts
from klarsyn.evidence.trial import Finding, Trial
from klarsyn.report.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Good events by arm of one trial, with the rows they were read from."""

    trial: Trial
    counts: Counts
    rows: tuple[Finding, ...]

    @property
    def new_rate(self) -> float:
        """The share with the event in the new arm."""
        return self.counts.new_events / self.counts.new_total

    @property
    def reference_rate(self) -> float:
        """The share with the event in the reference arm."""
        return self.counts.reference_events / self.counts.reference_total


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Who left before treatment in each arm of a comparison."""

    new: int
    reference: int
    rows: tuple[Finding, ...]


def read_comparison(
    context: Context, trial_id: str, outcome: str, scale: str = ""
) -> Comparison | None:
    """Events and patients of the test and the control arm; None where the base has no counts."""
    trial = context.base.trial(trial_id)
    test = next((a for a in trial.arms if a.role == "test"), None)
    control = next((a for a in trial.arms if a.role in {"control", "reference"}), None)
    if test is None or control is None:
        return None
    rows = [
        f
        for f in trial.findings
        if f.outcome == outcome
        and f.chosen
        and f.value is not None
        and f.statistic in {"events", "n"}
        and (not scale or f.scale == scale)
    ]
    found = {(f.arm, f.statistic): f for f in rows}
    keys = [(a.id, s) for a in (test, control) for s in ("events", "n")]
    if any(k not in found for k in keys):
        return None
    used = tuple(found[k] for k in keys)
    values = [float(f.value or 0.0) for f in used]
    counts = Counts(
        name=trial.label,
        new_events=values[0],
        new_total=values[1],
        reference_events=values[2],
        reference_total=values[3],
    )
    return Comparison(trial=trial, counts=counts, rows=used)


def read_left(context: Context, comparison: Comparison, outcome: str) -> Left | None:
    """How many left before treatment in both arms of the comparison's trial."""
    made = read_comparison(context, comparison.trial.id, outcome)
    if made is None:
        return None
    return Left(
        new=int(made.counts.new_events),
        reference=int(made.counts.reference_events),
        rows=made.rows,
    )
