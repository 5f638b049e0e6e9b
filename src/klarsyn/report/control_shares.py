"""The share of control patients with an event: over all arms together, and from trial to trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from klarsyn.report.context import Context
from klarsyn.synthesis.extraction import TrialEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlShares:
    """The share over all control arms whose counts were used, and the lowest and highest of one."""

    together: float
    lowest: float
    highest: float


def control_shares(context: Context, effects: Sequence[TrialEffect]) -> ControlShares | None:
    """The control arms whose counts the effects used; None where no arm gives any."""
    counts = [(c, e.n_control) for e in effects if (c := _events(context, e)) is not None]
    patients = sum(n for _, n in counts)
    if not patients:
        return None
    each = [c / n for c, n in counts if n]
    return ControlShares(
        together=sum(c for c, _ in counts) / patients, lowest=min(each), highest=max(each)
    )


def _events(context: Context, effect: TrialEffect) -> float | None:
    trial = context.base.trial(effect.trial)
    control = next((a.id for a in trial.arms if a.treatment == effect.control), "")
    found = (context.known[i] for i in effect.findings if i in context.known)
    stats = {f.statistic: f.value for f in found if f.arm == control}
    share = stats.get("percent")
    if stats.get("events") is None and share is not None:
        return share * effect.n_control / 100
    return stats.get("events")
