"""The events and patients that a base records for a harm, arm by arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from klarsyn.bias.harms import ASCERTAINMENT, HarmRecord
from klarsyn.errors import unknown_name
from klarsyn.evidence.trial import Base, Finding, Trial

ROLE = {"test": "test", "control": "control", "reference": "control"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseHarms:
    """Records of one harm, the finding rows behind them, and why a trial gave none.

    `silent` names controlled trials that say nothing about the harm: no event reported is not an
    event that did not happen.
    """

    records: tuple[HarmRecord, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    silent: tuple[str, ...]


def derive_harm(
    base: Base,
    harm: str,
    outcomes: Sequence[str],
    *,
    ascertainment: Mapping[str, str] | str = "unknown",
) -> BaseHarms:
    """Collect a harm from the base's `outcomes`, the first that a trial reports in this order.

    Of several times the latest. `ascertainment` is one word for all trials or one for each trial
    id (`unknown` where missing). A trial whose test arms add up to more patients than took part is
    left out: its arms overlap, and adding them would count patients twice.
    """
    known = {f.outcome for t in base.trials for f in t.findings}
    for outcome in outcomes:
        if outcome not in known:
            raise unknown_name("outcome of the base", outcome, known, base.name)
    words = {ascertainment} if isinstance(ascertainment, str) else set(ascertainment.values())
    for word in words:
        if word not in ASCERTAINMENT:
            raise unknown_name("ascertainment", word, ASCERTAINMENT)
    records: list[HarmRecord] = []
    rows: list[str] = []
    left_out: list[str] = []
    silent: list[str] = []
    for trial in base.trials:
        asked = (
            ascertainment if isinstance(ascertainment, str) else ascertainment.get(trial.id)
        ) or "unknown"
        mine, used = _trial(trial, harm, outcomes, asked)
        if mine and _overlap(trial, mine):
            left_out.append(
                f"{trial.label}: its arms add up to {sum(r.patients for r in mine)} patients of "
                f"{trial.participants}; they overlap."
            )
        elif mine:
            records += mine
            rows += used
        else:
            silent.append(trial.label)
    return BaseHarms(
        records=tuple(records),
        findings=tuple(rows),
        left_out=tuple(left_out),
        silent=tuple(silent),
    )


def _trial(
    trial: Trial, harm: str, outcomes: Sequence[str], asked: str
) -> tuple[list[HarmRecord], list[str]]:
    controlled = any(ROLE.get(a.role) == "control" for a in trial.arms)
    for outcome in outcomes:
        records: list[HarmRecord] = []
        rows: list[str] = []
        for arm in trial.arms:
            pair = _latest(f for f in trial.findings if f.outcome == outcome and f.arm == arm.id)
            role = ROLE.get(arm.role)
            if pair is None or role is None:
                continue
            events, patients = pair
            records.append(
                HarmRecord(
                    study=trial.label,
                    harm=harm,
                    arm=role if controlled else "single",
                    events=int(events.value or 0),
                    patients=int(patients.value or 0),
                    ascertainment=asked,
                )
            )
            rows += [events.id, patients.id]
        if records:
            return records, rows
    return [], []


def _latest(findings: Iterable[Finding]) -> tuple[Finding, Finding] | None:
    """Events and n of the same report, at the latest time."""
    reports: dict[tuple[float, str, str], dict[str, Finding]] = {}
    for f in findings:
        if f.chosen and f.value is not None and f.statistic in ("events", "n"):
            day = -1.0 if f.days_from_first_dose is None else f.days_from_first_dose
            reports.setdefault((day, f.analysis_set, f.period), {})[f.statistic] = f
    whole = [(key[0], r["events"], r["n"]) for key, r in reports.items() if len(r) == 2]
    whole = [r for r in whole if r[2].value]
    if not whole:
        return None
    _, events, patients = max(whole, key=lambda r: r[0])
    return events, patients


def _overlap(trial: Trial, records: Sequence[HarmRecord]) -> bool:
    """More patients than took part, which crossover trials may have: each takes both."""
    if trial.participants is None or "crossover" in trial.design:
        return False
    return sum(r.patients for r in records) > trial.participants
