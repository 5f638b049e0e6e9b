"""For how long? The effect of every trial along one axis, and relapse as reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from klarsyn.evidence.trial import Finding, Trial
from klarsyn.figures.courses import CoursePoint, courses
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.report.context import Context
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    TableBlock,
    anchor_of,
    paragraphs,
)
from klarsyn.report.pooling import effect_result, limits
from klarsyn.stats.counts import exact_interval
from klarsyn.synthesis.extraction import TrialEffect, derive_effects

TICKS = (0, 1, 3, 7, 14, 28, 90, 180, 365)


def build_duration(context: Context) -> tuple[Section, Any]:
    """The section and its answer in one sentence."""
    effects = _along_time(context)
    relapses = _relapses(context)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(_answer(context, effects)), tone="finding")]
    if effects:
        blocks.append(_course_figure(context, effects))
        blocks.append(Prose(paragraphs=paragraphs(_reach(context, effects))))
    if relapses:
        blocks.append(_relapse_figure(context, relapses))
    table = _median_table(context)
    blocks += [table] if table.rows else []
    blocks.append(Prose(paragraphs=paragraphs(context.words("duration.caution")), tone="caution"))
    section = Section(
        id="duration",
        title=context.words.plain("duration.title"),
        blocks=blocks,
        results=_unique([effect_result(_key(e), e) for e in effects]),
        findings=[
            *(i for e in effects for i in e.findings),
            *(f.id for _, _, fs, *_ in relapses for f in fs),
            *(f.id for f in _medians(context)),
        ],
    )
    return section, _answer(context, effects)


def _key(effect: TrialEffect) -> str:
    return f"course.{effect.days:g}"


def _unique(results: Sequence[Result]) -> list[Result]:
    return list({r.id: r for r in results}.values())


def _along_time(context: Context) -> list[TrialEffect]:
    """Every trial's effect at each of its own times after the last dose."""
    question = context.settings.windows[0].question
    base = context.base
    times = {
        round(f.days_from_last_dose, 3)
        for f in base.findings
        if f.outcome in question.outcomes
        and f.days_from_last_dose is not None
        and f.days_from_last_dose > 0
    }
    out: list[TrialEffect] = []
    for day in sorted(times):
        asked = replace(
            question,
            id=f"course.{day:g}",
            clock="last_dose",
            target=day,
            earliest=day - 0.001,
            latest=day + 0.001,
            only_repeated=False,
        )
        out += derive_effects(base, asked).effects
    return sorted(out, key=lambda e: (e.trial, e.days))


def _course_figure(context: Context, effects: Sequence[TrialEffect]) -> Figure:
    w, n = context.words, context.numbers
    points = []
    for e in effects:
        low, high = limits(e)
        points.append(
            CoursePoint(
                series=e.trial,
                group=context.comparator(e.comparator),
                days=e.days,
                value=e.y,
                lower=low,
                upper=high,
                link="#" + anchor_of("result", f"{_key(e)}.{e.trial}"),
                details={
                    w.plain("hover.trial"): e.label,
                    w.plain("hover.when"): w.plain(
                        "hover.day", scale=f"{e.scale}, ", day=n.general(e.days)
                    ),
                    w.plain("hover.effect"): n.with_interval(e.y, low, high),
                    w.plain("hover.patients"): f"{n.general(e.n_test)} + {n.general(e.n_control)}",
                    w.plain("hover.derived"): e.formula,
                    w.plain("hover.source"): context.source_of(e.findings),
                },
            )
        )

    def draw(narrow: bool) -> Any:
        return finish(
            courses(
                points,
                palette=context.palette(),
                x_title=w.plain("duration.x"),
                y_title=w.plain("works.axis") if not narrow else w.plain("duration.y"),
                group_title=w.plain("page.comparator"),
                days=[t for t in TICKS if not narrow or t in {0, 1, 7, 28, 180}],
                null=0,
                y_limits=(-2.2, 1.2),
                narrow=narrow,
            )
        )

    trials = len({e.trial for e in effects})
    return Figure(
        id="course",
        title=w.plain("duration.figure", k=trials),
        alt=w.plain("duration.alt", k=trials, points=len(effects)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("duration.caption"),
    )


def _reach(context: Context, effects: Sequence[TrialEffect]) -> Any:
    """How many trials still compare the groups at each of the usual times."""
    controlled = [t for t in context.base.trials if t.comparator not in {"none", ""}]
    counts = [(day, len({e.trial for e in effects if e.days >= day})) for day in (1, 7, 14, 28, 90)]
    shown = ", ".join(
        context.words.plain("duration.reach_one", day=day, count=count) for day, count in counts
    )
    return context.words("duration.reach", total=len(controlled), counts=shown)


def _answer(context: Context, effects: Sequence[TrialEffect]) -> Any:
    w = context.words
    if not effects:
        return w("duration.nothing")
    late = [e for e in effects if e.days >= 28]
    apart = [e for e in late if limits(e)[1] < 0 or limits(e)[0] > 0]
    return w(
        "duration.answer",
        trials=len({e.trial for e in effects}),
        week=len({e.trial for e in effects if e.days >= 7}),
        late=len({e.trial for e in late}),
        apart=len({e.trial for e in apart}),
    )


Relapse = tuple[Trial, str, tuple[Finding, ...], float, float, float, float]


def _relapses(context: Context) -> list[Relapse]:
    """(trial, arm, rows, days, share, lower, upper) wherever events or a percentage stand."""
    out: list[Relapse] = []
    for trial in context.base.trials:
        cells: dict[tuple[str, float], dict[str, Finding]] = {}
        for f in trial.findings:
            if f.outcome == "relapse" and f.chosen and f.value is not None and "|" not in f.arm:
                day = f.days_from_last_dose
                if day is not None and day > 0:
                    cells.setdefault((f.arm, day), {})[f.statistic] = f
        for (arm, day), stats in sorted(cells.items()):
            share = _share(stats)
            if share is not None:
                out.append((trial, arm, tuple(stats.values()), day, *share))
    return out


def _share(stats: dict[str, Finding]) -> tuple[float, float, float] | None:
    value = {name: f.value for name, f in stats.items() if f.value is not None}
    n, events, percent = value.get("n"), value.get("events"), value.get("percent")
    if events is None and percent is not None and n:
        events = round(percent * n / 100)
    if events is not None and n and events <= n:
        low, high = exact_interval(events, n)
        return events / n, low, high
    if percent is not None:
        return percent / 100, percent / 100, percent / 100
    return None


def _relapse_figure(context: Context, relapses: Sequence[Relapse]) -> Figure:
    w, n = context.words, context.numbers
    roles = {"test": w.plain("safety.test"), "control": w.plain("safety.control")}
    palette = {roles["test"]: PALETTE[1], roles["control"]: PALETTE[6]}
    points = []
    for trial, arm, rows, day, share, low, high in relapses:
        role = next((a.role for a in trial.arms if a.id == arm), "test")
        points.append(
            CoursePoint(
                series=f"{trial.id} {arm}",
                group=roles["test"] if role == "test" else roles["control"],
                days=day,
                value=share,
                lower=low,
                upper=high,
                link="#" + anchor_of("row", rows[0].id),
                details={
                    w.plain("hover.trial"): trial.label,
                    w.plain("hover.arm"): context.arm_label(trial.id, arm),
                    w.plain("hover.when"): w.plain("hover.day", scale="", day=n.general(day)),
                    w.plain("hover.share"): f"{n.percent(share)} ({n.percent(low)}–"
                    f"{n.percent(high)})",
                    w.plain("hover.source"): context.source_of([r.id for r in rows]),
                },
            )
        )

    def draw(narrow: bool) -> Any:
        spec = courses(
            points,
            palette=palette,
            x_title=w.plain("duration.x"),
            y_title=w.plain("duration.relapse_y"),
            group_title="",
            days=[t for t in TICKS if not narrow or t in {0, 7, 28, 180}],
            y_limits=(0, 1),
            narrow=narrow,
        )
        return finish(spec)

    return Figure(
        id="relapse",
        title=w.plain("duration.relapse_title"),
        alt=w.plain(
            "duration.relapse_alt", points=len(points), k=len({r[0].id for r in relapses})
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w("duration.relapse_caption"),
    )


def _medians(context: Context) -> list[Finding]:
    wanted = {("time_to_relapse", "median"), ("time_to_relapse", "hazard_ratio")}
    wanted |= {("relapse", "hazard_ratio")}
    found = [f for f in context.base.findings if f.value is not None and f.chosen]
    chosen = [f for f in found if (f.outcome, f.statistic) in wanted]
    ratios = {(f.trial, f.arm, f.outcome) for f in chosen if f.statistic == "hazard_ratio"}
    limit = [
        f
        for f in found
        if (f.trial, f.arm, f.outcome) in ratios and f.statistic.startswith("ci95")
    ]
    return [*chosen, *limit]


def _median_table(context: Context) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    shown = [f for f in _medians(context) if not f.statistic.startswith("ci95")]
    for f in shown:
        trial = context.base.trial(f.trial)
        assert f.value is not None
        text = n.general(f.value) + (f" {f.unit}" if f.unit and f.statistic == "median" else "")
        low, high = (_limit(context, f, end) for end in ("lower", "upper"))
        if f.statistic == "hazard_ratio" and low is not None and high is not None:
            text = n.with_interval(f.value, low, high)
        rows.append(
            (
                trial.label,
                context.arm_label(f.trial, f.arm),
                w.plain(f"duration.{f.statistic}"),
                context.row_claim(f, text),
                f.note,
            )
        )
    return TableBlock(
        id="relapse-times",
        title=w.plain("duration.table"),
        header=[
            w.plain("page.trial"),
            w.plain("hover.arm"),
            w.plain("page.what"),
            w.plain("page.value"),
            w.plain("duration.note"),
        ],
        rows=rows,
        numeric=(3,),
    )


def _limit(context: Context, finding: Finding, end: str) -> float | None:
    for f in _medians(context):
        same = (f.trial, f.arm, f.outcome) == (finding.trial, finding.arm, finding.outcome)
        if same and f.statistic == f"ci95_{end}" and f.days_from_last_dose in {
            finding.days_from_last_dose,
            None,
        }:
            return f.value
    return None
