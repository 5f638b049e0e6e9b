"""Relapse as each trial reported it: shares, times and hazard ratios on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """What one row of the figure says: `kind` is `share`, `median` or `hazard_ratio`.

    `level` is that of the limits in percent. With `lasting` a share is of all who were randomised:
    in remission, and then without relapse. `n` is how many a share or a median is of.
    """

    trial: Trial
    arm: str
    kind: str
    day: float | None
    value: float
    lower: float | None
    upper: float | None
    rows: tuple[Finding, ...]
    without: bool = False
    lasting: bool = False
    level: int | None = None
    n: float | None = None


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
    lower, upper, level = _limits(value)
    made = Relapse(
        trial=trial,
        arm=arm,
        kind="hazard_ratio",
        day=None,
        value=value.get("hazard_ratio", 0.0),
        lower=lower,
        upper=upper,
        rows=rows,
        level=level,
        n=value.get("n"),
    )
    if "hazard_ratio" in value:
        return [made]
    if outcome == "time_to_relapse":
        if "median" not in value:
            return []
        days = value["median"] * (30.4375 if stats["median"].unit == "months" else 1)
        return [replace(made, kind="median", day=days, value=days)]
    share = _share(value)
    if share is None:
        return []
    without = outcome == "no_relapse"
    return [
        replace(
            made,
            kind="share",
            day=day,
            value=share[0],
            lower=share[1],
            upper=share[2],
            level=95,
            without=without,
            lasting=without and first.analysis_set == "randomised",
        )
    ]


def _limits(value: dict[str, float]) -> tuple[float | None, float | None, int | None]:
    for level in (95, 90):
        if f"ci{level}_lower" in value and f"ci{level}_upper" in value:
            return value[f"ci{level}_lower"], value[f"ci{level}_upper"], level
    return None, None, None


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
    label = _label(context, r, arm)
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


def _label(context: Context, r: Relapse, arm: str) -> str:
    """Whom the row is about: the arm, and where it matters of whom the number is."""
    w, n = context.words, context.numbers
    if r.kind == "hazard_ratio":
        first = context.arm_label(r.trial.id, r.arm.split("|")[0])
        return w.plain("relapse.hazard_label", arm=first)
    if r.kind == "median" and r.trial.participants == 1 and r.n:
        return w.plain("relapse.one_patient", arm=arm, n=n.whole(r.n))
    if r.lasting and r.n:
        return w.plain("relapse.of_randomised", arm=arm, n=n.whole(r.n))
    return arm


def _words_of(context: Context, r: Relapse) -> str:
    w, n = context.words, context.numbers
    if r.kind == "hazard_ratio":
        text = n.fixed(r.value, 2)
        if r.lower is not None and r.upper is not None:
            text = n.with_interval(r.value, r.lower, r.upper)
        return w.plain("relapse.hazard_ratio", value=text)
    if r.kind == "median":
        days = n.whole(r.value)
        if r.lower is None or r.upper is None:
            return w.plain("relapse.median_days", days=days)
        low, high = n.whole(r.lower), n.whole(r.upper)
        return w.plain("relapse.median_limits", days=days, level=r.level, low=low, high=high)
    if r.lasting:
        return w.plain("relapse.lasting", share=n.percent(r.value))
    key = "relapse.without" if r.without else "relapse.with"
    return w.plain(key, share=n.percent(r.value))
