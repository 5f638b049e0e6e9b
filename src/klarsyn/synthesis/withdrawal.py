"""Randomised withdrawal: whom the result speaks for, and what stopping itself may have done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.survival import SurvivalCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichedWithdrawal:
    """Three answers of an enriched design: within the enriched, their share, and per starter.

    Relapse shares and differences are natural (0 to 1); `difference` is control minus drug, so
    above 0 favours staying on the drug; `risk_ratio` is None where no control relapsed.
    `sustained_*` are shares of all who started.
    """

    relapse_drug: float
    relapse_control: float
    difference: float
    risk_ratio: float | None
    number_needed: int | None
    share_of_starters: float
    sustained_drug: float
    sustained_control: float
    sustained_difference: float
    started: int
    randomised: int
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence with all three, so that the first is never read alone."""
        return (
            f"Among the randomised, relapse {100 * self.relapse_drug:.1f} % on drug against "
            f"{100 * self.relapse_control:.1f} %; they are {100 * self.share_of_starters:.0f} % of "
            f"the {self.started} who started; per 100 starters {100 * self.sustained_drug:.0f} "
            f"stay well if it goes on and {100 * self.sustained_control:.0f} if it stops."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}

    def plot(self) -> Any:
        """Who stays well with the drug and without, of the randomised and of all who started."""
        from klarsyn.figures.dots import dots_chart

        rows = [
            (f"of {self.randomised} randomised", "drug goes on", 1 - self.relapse_drug),
            (f"of {self.randomised} randomised", "drug stops", 1 - self.relapse_control),
            (f"of {self.started} who started", "drug goes on", self.sustained_drug),
            (f"of {self.started} who started", "drug stops", self.sustained_control),
        ]
        return dots_chart(rows, axis="Share who stay well", limits=(0.0, 1.0))


def number_needed(drug_risk: float, control_risk: float) -> int | None:
    """Patients to keep on the drug to prevent one relapse, rounded up; None without benefit."""
    difference = control_risk - drug_risk
    return math.ceil(1 / difference - 1e-12) if difference > 0 else None


def enriched_withdrawal(
    *,
    started: int,
    randomised: int,
    relapsed_drug: int,
    drug: int,
    relapsed_control: int,
    control: int,
) -> EnrichedWithdrawal:
    """Derive the three quantities from the flow and the relapses of one randomised stratum.

    `started` counts everyone who entered the open phase, `randomised` those who did well enough to
    be randomised. The per-starter quantity assumes that those never randomised did not stay well.
    """
    _check_counts(started, randomised, (relapsed_drug, drug), (relapsed_control, control))
    p1, p0 = relapsed_drug / drug, relapsed_control / control
    share = randomised / started
    return EnrichedWithdrawal(
        relapse_drug=p1,
        relapse_control=p0,
        difference=p0 - p1,
        risk_ratio=p1 / p0 if p0 else None,
        number_needed=number_needed(p1, p0),
        share_of_starters=share,
        sustained_drug=share * (1 - p1),
        sustained_control=share * (1 - p0),
        sustained_difference=share * (p0 - p1),
        started=started,
        randomised=randomised,
        method="share of starters × share without relapse",
        digest=digest_of(started, randomised, relapsed_drug, drug, relapsed_control, control),
    )


def _check_counts(started: int, randomised: int, *arms: tuple[int, int]) -> None:
    if any(n != int(n) for n in (started, randomised, *(x for arm in arms for x in arm))):
        raise InputError("Participants and relapses are whole numbers.")
    if not 0 < randomised <= started:
        raise InputError(f"{randomised} randomised of {started} who started is not possible.")
    for relapsed, n in arms:
        if not (0 <= relapsed <= n and n > 0):
            raise InputError(f"{relapsed} relapses among {n} participants is not possible.")
    if sum(n for _, n in arms) > randomised:
        raise InputError(f"The two arms hold more than the {randomised} randomised.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalConfound:
    """How much of the final relapse difference is there before the illness could return.

    `early` and `final` are relapse differences control minus drug; `share` is early / final, None
    where the final difference does not favour the drug. `flagged` from `threshold` upwards.
    """

    early_day: float
    final_day: float
    early: float
    final: float
    share: float | None
    threshold: float
    flagged: bool

    def summary(self) -> str:
        """One sentence."""
        if self.share is None:
            return "The relapse difference does not favour the drug, so the check says nothing."
        verdict = "stopping itself may explain it" if self.flagged else "it mostly builds up later"
        return (
            f"{100 * self.share:.0f} % of the relapse difference at day {self.final_day:g} is "
            f"there by day {self.early_day:g}: {verdict}."
        )

    @property
    def method(self) -> str:
        """Where the check comes from."""
        return "early over final relapse difference (Récalt & Cohen 2019)"

    @property
    def digest(self) -> str:
        """Of the two differences and their days."""
        return digest_of(self.early_day, self.final_day, self.early, self.final, self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        own = {name: getattr(self, name) for name in type(self).__slots__}
        return own | {"method": self.method, "digest": self.digest}

    def plot(self) -> Any:
        """The relapse difference at the early and at the final day."""
        from klarsyn.figures.dots import dots_chart

        rows = [
            (f"day {self.early_day:g}", "observed", self.early),
            (f"day {self.final_day:g}", "observed", self.final),
        ]
        return dots_chart(rows, axis="Relapse difference, control minus drug", limits=None)


def withdrawal_confound(
    drug: SurvivalCurve,
    control: SurvivalCurve,
    *,
    early_day: float,
    final_day: float,
    threshold: float = 0.5,
) -> WithdrawalConfound:
    """Récalt and Cohen 2019 (Psychother Psychosom 88:105): difference at the discontinuation time.

    `early_day` is when discontinuation effects end (short or long version), from the switch.
    """
    if not 0 < early_day < final_day:
        raise InputError(f"Day {early_day:g} must lie between 0 and day {final_day:g}.")
    end = min(drug.last_time, control.last_time)
    if final_day > end:
        raise InputError(f"The curves end on day {end:g}; day {final_day:g} is not observed.")
    early, final = (float(drug.at(d) - control.at(d)) for d in (early_day, final_day))
    share = early / final if final > 0 else None
    return WithdrawalConfound(
        early_day=early_day,
        final_day=final_day,
        early=early,
        final=final,
        share=share,
        threshold=threshold,
        flagged=share is not None and share >= threshold,
    )


def flagged_share(flags: Sequence[bool]) -> tuple[int, int, float]:
    """Flagged analyses, all interpretable ones, and the share flagged."""
    if not flags:
        raise InputError("There is no interpretable analysis to count.")
    return sum(flags), len(flags), sum(flags) / len(flags)
