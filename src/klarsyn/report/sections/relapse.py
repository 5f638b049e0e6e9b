"""Relapse as each trial reported it: shares, times and hazard ratios on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.evidence.trial import Finding, Trial
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.figures.timeline import TimelineRow, timeline
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, anchor_of
from klarsyn.stats.rates import clopper_pearson

TICKS = (0, 7, 28, 90, 180, 365)
OUTCOMES = ("relapse", "no_relapse", "time_to_relapse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relapse:
    """What one row of the figure says: `kind` is `share`, `median` or `hazard_ratio`."""

    trial: Trial
    arm: str
    kind: str
    day: float | None
    value: float
    lower: float | None
    upper: float | None
    rows: tuple[Finding, ...]
    without: bool = False


def relapse_findings(context: Context) -> list[Relapse]:
    """Everything reported about relapse, trial by trial in the order of the base."""
    out: list[Relapse] = []
    for trial in context.base.trials:
        cells: dict[tuple[Any, ...], dict[str, Finding]] = {}
        repeated = 0
        for f in trial.findings:
            if f.outcome not in OUTCOMES or not f.chosen or f.value is None:
                continue
            key = (f.arm, f.outcome, f.days_from_last_dose, f.days_from_first_dose)
            if f.statistic in cells.get((*key, repeated), {}):
                repeated += 1
            cells.setdefault((*key, repeated), {})[f.statistic] = f
        for key, stats in cells.items():
            out += _of_cell(trial, key[0], key[1], stats)
    return out


def _of_cell(trial: Trial, arm: str, outcome: str, stats: dict[str, Finding]) -> list[Relapse]:
    value = {name: f.value for name, f in stats.items() if f.value is not None}
    rows = tuple(stats.values())
    first = rows[0]
    day = first.days_from_last_dose
    if day is None or day <= 0:
        day = first.days_from_first_dose or None
    limits = _limits(value)
    if "hazard_ratio" in value:
        return [_relapse(trial, arm, "hazard_ratio", None, value["hazard_ratio"], limits, rows)]
    if outcome == "time_to_relapse":
        if "median" not in value:
            return []
        days = value["median"] * (30.4375 if stats["median"].unit == "months" else 1)
        return [_relapse(trial, arm, "median", days, days, limits, rows)]
    share = _share(value)
    if share is None:
        return []
    without = outcome == "no_relapse"
    return [_relapse(trial, arm, "share", day, share[0], share[1:], rows, without)]


def _relapse(
    trial: Trial,
    arm: str,
    kind: str,
    day: float | None,
    value: float,
    limits: tuple[float | None, float | None],
    rows: tuple[Finding, ...],
    without: bool = False,
) -> Relapse:
    return Relapse(
        trial=trial,
        arm=arm,
        kind=kind,
        day=day,
        value=value,
        lower=limits[0],
        upper=limits[1],
        rows=rows,
        without=without,
    )


def _limits(value: dict[str, float]) -> tuple[float | None, float | None]:
    for level in ("ci95", "ci90"):
        if f"{level}_lower" in value and f"{level}_upper" in value:
            return value[f"{level}_lower"], value[f"{level}_upper"]
    return None, None


def _share(value: dict[str, float]) -> tuple[float, float | None, float | None] | None:
    n, events, percent = value.get("n"), value.get("events"), value.get("percent")
    if events is None and percent is not None and n:
        events = float(round(percent * n / 100))
    if events is not None and n and events <= n:
        return (events / n, *clopper_pearson(events, n))
    return None if percent is None else (percent / 100, None, None)


def relapse_figure(context: Context, relapses: Sequence[Relapse]) -> Figure:
    """The figure: one row for each report, grouped by trial."""
    w = context.words
    symbols = {w.plain("relapse.median"): "diamond", w.plain("relapse.share"): "circle"}
    rows: list[TimelineRow] = []
    for trial in dict.fromkeys(r.trial.id for r in relapses):
        label = context.base.trial(trial).label
        rows.append(TimelineRow(kind="heading", label=label))
        rows += [_row(context, r) for r in relapses if r.trial.id == trial]

    def draw(narrow: bool) -> Any:
        spec = timeline(
            rows,
            symbols=symbols,
            x_title=w.plain("relapse.x"),
            ticks=TICKS if not narrow else (0, 28, 180, 365),
            narrow=narrow,
        )
        return finish(spec)

    told = "; ".join(f"{r.trial.label}: {_words_of(context, r)}" for r in relapses[:8])
    return Figure(
        id="relapse",
        title=w.plain("relapse.title"),
        alt=w.plain("relapse.alt", k=len({r.trial.id for r in relapses}), told=told),
        wide=draw(False),
        narrow=draw(True),
        caption=w("relapse.caption"),
    )


def _row(context: Context, r: Relapse) -> TimelineRow:
    w, n = context.words, context.numbers
    arm = context.arm_label(r.trial.id, r.arm)
    label = arm
    if r.kind == "hazard_ratio":
        label = w.plain(
            "relapse.hazard_label", arm=context.arm_label(r.trial.id, r.arm.split("|")[0])
        )
    role = next((a.role for a in r.trial.arms if a.id == r.arm), "test")
    timed = r.kind == "median"
    return TimelineRow(
        kind="study",
        label=label if len(label) <= 68 else label[:66] + "…",
        numbers=_words_of(context, r),
        day=r.day,
        lower=r.lower if timed else None,
        upper=r.upper if timed else None,
        symbol=w.plain("relapse.median" if timed else "relapse.share"),
        colour=PALETTE[1] if role == "test" else PALETTE[6],
        link="#" + anchor_of("row", r.rows[0].id),
        details={
            w.plain("hover.trial"): r.trial.label,
            w.plain("hover.arm"): arm,
            w.plain("page.value"): _words_of(context, r),
            w.plain("hover.when"): "–"
            if r.day is None
            else w.plain("hover.day", scale="", day=n.general(round(r.day))),
            w.plain("relapse.note"): next((f.note for f in r.rows if f.note), ""),
            w.plain("hover.source"): context.source_of([f.id for f in r.rows]),
        },
    )


def _words_of(context: Context, r: Relapse) -> str:
    w, n = context.words, context.numbers
    if r.kind == "hazard_ratio":
        text = n.fixed(r.value, 2)
        if r.lower is not None and r.upper is not None:
            text = n.with_interval(r.value, r.lower, r.upper)
        return w.plain("relapse.hazard_ratio", value=text)
    if r.kind == "median":
        return w.plain("relapse.median_days", days=n.whole(r.value))
    key = "relapse.without" if r.without else "relapse.with"
    return w.plain(key, share=n.percent(r.value))
