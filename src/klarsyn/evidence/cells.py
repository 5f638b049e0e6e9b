"""The findings of a trial grouped into cells: the statistics that belong to one quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from klarsyn.evidence.remarks import Judged, judge
from klarsyn.evidence.trial import Finding, Trial

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One quantity of one arm or contrast: its statistics by name, chosen ones only."""

    trial: str
    arm: str
    outcome: str
    scale: str
    days: float | None
    days_after: float | None
    analysis_set: str
    estimator: str
    period: str
    values: Mapping[str, Finding]

    def __getitem__(self, statistic: str) -> float:
        value = self.values[statistic].value
        assert value is not None  # a cell holds chosen values only
        return value

    def has(self, *statistics: str) -> bool:
        """Whether the cell has them all."""
        return all(s in self.values for s in statistics)

    def name(self) -> str:
        """Arm, outcome, scale and day in words."""
        parts = [self.outcome.replace("_", " "), self.scale, f"of {self.arm.replace('|', ' v ')}"]
        if self.days is not None:
            parts.append(f"at day {self.days:g}")
        return " ".join(p for p in parts if p)

    def judge(
        self, test: str, fits: bool, severity: str, sentence: str, *statistics: str
    ) -> Judged:
        """The outcome of a check on some of the cell's statistics; the first gives the row."""
        used = [self.values[s] for s in statistics if s in self.values]
        return judge(
            test,
            fits,
            severity,
            f"{self.name()}: {sentence}",
            trial=self.trial,
            table="findings",
            row=used[0].row,
            findings=[f.id for f in used],
        )


def cells_of(trial: Trial) -> list[Cell]:
    """The trial's cells in the order of their first finding.

    The size n and p of a cell may be recorded without saying how its mean was estimated: they
    are lent to the cells that differ in the estimator only, where these have none of their own.
    """
    found = [f for f in trial.findings if f.chosen and f.value is not None]
    groups: dict[Key, dict[str, Finding]] = {}
    lent: dict[Key, dict[str, Finding]] = {}
    for f in found:
        groups.setdefault(_key(f, f.estimator), {}).setdefault(f.statistic, f)
        if f.statistic in {"n", "p_value", "p_below"}:
            lent.setdefault(_key(f, ""), {}).setdefault(f.statistic, f)
    return [_cell(next(iter(group.values())), group, lent) for group in groups.values()]


def pairs(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Cell, Cell]]:
    """Each contrast cell with the cells of its two arms, same quantity, where all three exist."""
    by_place = {_place(c, c.arm, c.estimator): c for c in cells}
    loose: dict[Key, list[Cell]] = {}
    for c in cells:
        loose.setdefault(_place(c, c.arm, ""), []).append(c)
    for contrast in cells:
        first, bar, second = contrast.arm.partition("|")
        if not bar:
            continue
        arms = [_arm_cell(contrast, a, by_place, loose) for a in (first, second)]
        if arms[0] is not None and arms[1] is not None:
            yield contrast, arms[0], arms[1]


def _arm_cell(
    contrast: Cell, arm: str, by_place: Mapping[Key, Cell], loose: Mapping[Key, Sequence[Cell]]
) -> Cell | None:
    same = by_place.get(_place(contrast, arm, contrast.estimator))
    if same is not None:
        return same
    others = loose.get(_place(contrast, arm, ""), ())
    return others[0] if len(others) == 1 else None


def _cell(
    first: Finding, group: Mapping[str, Finding], lent: Mapping[Key, Mapping[str, Finding]]
) -> Cell:
    more = lent.get(_key(first, ""), {})
    return Cell(
        trial=first.trial,
        arm=first.arm,
        outcome=first.outcome,
        scale=first.scale,
        days=first.days_from_first_dose,
        days_after=first.days_from_last_dose,
        analysis_set=first.analysis_set,
        estimator=first.estimator,
        period=first.period,
        values={**more, **group},
    )


def _key(f: Finding, estimator: str) -> Key:
    return (
        f.arm,
        f.outcome,
        f.scale,
        f.days_from_first_dose,
        f.days_from_last_dose,
        f.analysis_set,
        f.period,
        estimator,
    )


def _place(c: Cell, arm: str, estimator: str) -> Key:
    return (
        arm,
        c.outcome,
        c.scale,
        c.days,
        c.days_after,
        c.analysis_set,
        c.period,
        estimator,
    )
