"""The network of an evidence base: every trial's arms at one time, as treatments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.trial import CLOCKS, Base, Finding, Trial
from klarsyn.stats.network_arms import MEANS
from klarsyn.synthesis.extraction import ANALYSIS_SETS
from klarsyn.synthesis.network_data import Ignored, NetworkData, network_from_arms
from klarsyn.synthesis.routes import Cell, Group, combine, events_of, group_of

MEASURES = ("OR", "RR", "RD", "SMD", "MD")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkQuestion:
    """What is asked of every arm: outcomes and scales in order of preference, and a time.

    Days count from the first or last dose (`clock`); of those within `earliest` and `latest` the
    one nearest to `target` is taken that most treatments of the trial report. `merge` gives them
    another name, e.g. {"saline": "inert", "placebo_nasal": "inert"}.
    """

    measure: str
    outcomes: tuple[str, ...]
    clock: str
    target: float
    earliest: float
    latest: float
    scales: tuple[str, ...] = ()
    merge: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise unknown_name("measure", self.measure, MEASURES)
        if self.clock not in CLOCKS:
            raise unknown_name("clock", self.clock, CLOCKS)


def network_from_base(
    base: Base, question: NetworkQuestion, trials: Iterable[str] | None = None
) -> NetworkData:
    """Arms of one treatment in a trial are combined; trials that cannot answer are `ignored`.

    Crossover trials enter with their first period only: their arms would otherwise be the same
    patients. `trials` restricts the base to these ids. Raises InputError when no trial answers.
    """
    merge = question.merge or {}
    known = {a.treatment for t in base.trials for a in t.arms}
    for name in merge:
        if name not in known:
            raise unknown_name("treatment", name, known)
    wanted = None if trials is None else set(trials)
    rows: dict[str, list[tuple[str, Group]]] = {}
    unanswered: list[Ignored] = []
    for trial in base.trials:
        if wanted is not None and trial.id not in wanted:
            continue
        found = _answer(trial, question)
        if isinstance(found, str):
            unanswered.append(
                Ignored(study=trial.label, patients=float(trial.participants or 0), reason=found)
            )
        else:
            rows[trial.label] = found
    if not rows:
        raise InputError(
            f"No trial reports {' or '.join(question.outcomes)} of two treatments on days "
            f"{question.earliest:g} to {question.latest:g}. Widen the days or choose another "
            f"outcome."
        )
    data = _network(rows, question.measure)
    return replace(data, ignored=(*data.ignored, *unanswered))


def largest_piece(data: NetworkData) -> NetworkData:
    """The connected piece with most treatments; the other studies become `ignored`."""
    pieces = data.pieces()
    if len(pieces) < 2:
        return data
    kept = [i for i, t in enumerate(data.treatments) if t in pieces[0]]
    place = {old: new for new, old in enumerate(kept)}
    inside = [i for i, c in enumerate(data.contrasts) if c.arms[0] in place]
    outside = [i for i in range(len(data.contrasts)) if i not in inside]

    def apart(i: int) -> Ignored:
        names = ", ".join(data.treatments[a] for a in data.contrasts[i].arms)
        return Ignored(
            study=data.studies[i],
            patients=data.patients[i],
            reason=f"not connected to the rest ({names})",
        )

    return replace(
        data,
        treatments=tuple(data.treatments[i] for i in kept),
        studies=tuple(data.studies[i] for i in inside),
        contrasts=tuple(
            data.contrasts[i]._replace(arms=tuple(place[a] for a in data.contrasts[i].arms))
            for i in inside
        ),
        patients=tuple(data.patients[i] for i in inside),
        counts=tuple({place[a]: v for a, v in data.counts[i].items()} for i in inside),
        ignored=(*data.ignored, *(apart(i) for i in outside)),
    )


def _answer(trial: Trial, question: NetworkQuestion) -> list[tuple[str, Group]] | str:
    """Each treatment's group (counts: events as mean, n) or why there are not two."""
    usable = [f for f in trial.findings if _fits(f, trial, question)]
    if not usable:
        return "no such finding on these days"
    options = [_groups(trial, cell, question) for cell in _cells(usable, question)]
    # Most treatments first, then counts as reported before counts from a percentage.
    best = min(options, key=lambda groups: (-len(groups), _derived(groups)))
    if len(best) < 2:
        return "fewer than two treatments with usable numbers"
    return best


def _derived(groups: Sequence[tuple[str, Group]]) -> int:
    return sum("percent" in group.formula for _, group in groups)


def _fits(finding: Finding, trial: Trial, question: NetworkQuestion) -> bool:
    days = finding.days(question.clock)
    return (
        finding.chosen
        and finding.value is not None
        and finding.outcome in question.outcomes
        and finding.days_from_first_dose != 0
        and (trial.design != "crossover" or finding.period == "first")
        and (not question.scales or finding.scale in question.scales or not finding.scale)
        and days is not None
        and question.earliest <= days <= question.latest
    )


def _cells(findings: Sequence[Finding], question: NetworkQuestion) -> list[list[Finding]]:
    """Findings of one outcome, scale, time, set and estimator; the preferred first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    sizes: dict[tuple[object, ...], list[Finding]] = {}
    for f in findings:
        key = (f.outcome, f.scale, f.days(question.clock), f.analysis_set, f.period)
        (sizes.setdefault(key, []) if f.statistic == "n" else groups.setdefault(
            (*key, f.estimator), []
        )).append(f)  # fmt: skip

    def preference(item: tuple[tuple[object, ...], list[Finding]]) -> tuple[float, ...]:
        first = item[1][0]
        days = first.days(question.clock)
        assert days is not None
        scale = question.scales.index(first.scale) if first.scale in question.scales else 99
        known = first.analysis_set in ANALYSIS_SETS
        return (
            question.outcomes.index(first.outcome),
            scale,
            abs(days - question.target),
            ANALYSIS_SETS.index(first.analysis_set) if known else 99,
        )

    return [
        [*group, *sizes.get(key[:-1], ())] for key, group in sorted(groups.items(), key=preference)
    ]


def _groups(
    trial: Trial, findings: Sequence[Finding], question: NetworkQuestion
) -> list[tuple[str, Group]]:
    found: dict[str, list[Group]] = {}
    for arm in trial.arms:
        stats = {f.statistic: f for f in findings if f.arm == arm.id}
        cell = Cell(statistics=stats, size=arm.size)
        group = group_of(cell) if question.measure in MEANS else _counted(cell)
        if group is not None:
            name = (question.merge or {}).get(arm.treatment, arm.treatment)
            found.setdefault(name, []).append(group)
    if question.measure in MEANS:
        return [(name, combine(groups)) for name, groups in found.items()]
    return [(name, _summed(groups)) for name, groups in found.items()]


def _counted(cell: Cell) -> Group | None:
    counts = events_of(cell)
    if counts is None:
        return None
    return Group(mean=counts[0], sd=0.0, n=counts[1], formula=counts[2], findings=cell.ids())


def _summed(groups: Sequence[Group]) -> Group:
    return replace(groups[0], mean=sum(g.mean for g in groups), n=sum(g.n for g in groups))


def _network(rows: Mapping[str, Sequence[tuple[str, Group]]], measure: str) -> NetworkData:
    flat = [(study, name, group) for study, groups in rows.items() for name, group in groups]
    study, treatment = [r[0] for r in flat], [r[1] for r in flat]
    first, n = [r[2].mean for r in flat], [r[2].n for r in flat]
    if measure in MEANS:
        return network_from_arms(
            study, treatment, measure=measure, mean=first, sd=[r[2].sd for r in flat], n=n
        )
    return network_from_arms(study, treatment, measure=measure, events=first, n=n)
