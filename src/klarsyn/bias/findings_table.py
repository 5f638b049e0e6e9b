"""Rows of a Summary-of-Findings table: relative, absolute per 1000, certainty, plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.certainty import Certainty
from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.estimate import Estimate

RATIOS = ("risk_ratio", "odds_ratio", "hazard_ratio")
_HOW = {"High": "", "Moderate": "probably ", "Low": "possibly ", "Very low": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsRow:
    """One outcome. `absolute` is test minus control per 1000 with limits, `expected` with the test.

    `baseline` is the share with the event under control, `baseline_source` where it comes from.
    """

    outcome: str
    participants: int
    studies: int
    measure: str
    relative: tuple[float, float, float] | None
    baseline: float | None
    baseline_source: str
    expected: float | None
    absolute: tuple[float, float, float]
    unit: str
    certainty: str
    confirmed: bool
    reasons: tuple[str, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


def absolute_per_1000(measure: str, relative: float, baseline: float) -> float:
    """Difference in events per 1000 that a ratio makes at a baseline share.

    Risk ratio: p (RR − 1). Odds ratio through the odds. Hazard ratio: 1 − (1 − p)^HR over the same
    time.
    """
    if measure not in RATIOS:
        raise unknown_name("ratio", measure, RATIOS)
    if not 0 < baseline < 1 or relative <= 0:
        raise InputError(
            f"A baseline share in (0, 1) and a ratio above 0 are needed: {baseline:g}."
        )
    if measure == "risk_ratio":
        test = min(1.0, baseline * relative)
    elif measure == "odds_ratio":
        odds = relative * baseline / (1 - baseline)
        test = odds / (1 + odds)
    else:
        test = 1 - (1 - baseline) ** relative
    return 1000 * (test - baseline)


def row_from_ratio(
    certainty: Certainty,
    log_ratio: Estimate,
    *,
    measure: str,
    baseline: float,
    baseline_source: str,
    participants: int,
    studies: int,
    level: float = 0.95,
    limits: tuple[float, float] | None = None,
) -> FindingsRow:
    """A row for an event; `log_ratio` on the log scale, test against control.

    `limits` are the printed ones on the natural scale, where they are not those of `log_ratio`.
    """
    if log_ratio.scale != "log":
        raise InputError("The ratio must be given on the log scale.")
    low, high = limits or tuple(math.exp(x) for x in log_ratio.interval(level))
    relative = (math.exp(log_ratio.value), low, high)
    a, low, high = (absolute_per_1000(measure, r, baseline) for r in relative)
    return FindingsRow(
        outcome=certainty.outcome,
        participants=participants,
        studies=studies,
        measure=measure,
        relative=relative,
        baseline=baseline,
        baseline_source=baseline_source,
        expected=1000 * baseline + a,
        absolute=(a, low, high),
        unit="per 1000",
        sentence=_sentence(certainty, a, low, high, "per 1000"),
        **_from_certainty(certainty),
    )


def row_from_difference(
    certainty: Certainty,
    difference: Estimate,
    *,
    unit: str,
    participants: int,
    studies: int,
    level: float = 0.95,
) -> FindingsRow:
    """A row for a mean difference (test minus control) in `unit`."""
    low, high = difference.interval(level)
    return FindingsRow(
        outcome=certainty.outcome,
        participants=participants,
        studies=studies,
        measure="mean_difference",
        relative=None,
        baseline=None,
        baseline_source="",
        expected=None,
        absolute=(difference.value, low, high),
        unit=unit,
        sentence=_sentence(certainty, difference.value, low, high, unit),
        **_from_certainty(certainty),
    )


def _from_certainty(certainty: Certainty) -> dict[str, Any]:
    return {
        "certainty": certainty.confirmed or certainty.suggested,
        "confirmed": certainty.confirmed is not None,
        "reasons": tuple(f"{s.domain}: {s.reason}" for s in certainty.suggestions if s.change),
    }


def _sentence(certainty: Certainty, value: float, low: float, high: float, unit: str) -> str:
    level = certainty.confirmed or certainty.suggested
    size = f"{abs(value):.3g} {unit} {'fewer or lower' if value < 0 else 'more or higher'}"
    text = f"{certainty.outcome}: {_HOW[level]}{size} ({low:.3g} to {high:.3g})."
    if level == "Very low":
        text = f"{text[:-1]}, but the evidence is very uncertain."
    return text
