"""For how long? The effect of every trial along one axis, and relapse as reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from klarsyn.figures.courses import CoursePoint, courses
from klarsyn.figures.theme import finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    anchor_of,
    paragraphs,
    unique,
)
from klarsyn.report.pooling import effect_result, limits
from klarsyn.report.sections.relapse import relapse_figure, relapse_findings
from klarsyn.synthesis.extraction import TrialEffect, derive_effects

TICKS = (0, 1, 3, 7, 14, 28, 90, 180, 365)
REACH = (1, 7, 14, 28, 90)
ENOUGH = 3  # trials that still compare the groups, for a time to count as known


def build_duration(context: Context) -> tuple[Section, Any]:
    """The section and its answer in one sentence."""
    effects = _along_time(context)
    counts = _counts(context, effects)
    answer = _answer(context, effects, counts)
    relapses = relapse_findings(context)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    if effects:
        blocks.append(_course_figure(context, effects))
        blocks.append(Prose(paragraphs=paragraphs(_reach(context, counts))))
    if relapses:
        blocks.append(relapse_figure(context, relapses))
    blocks.append(Prose(paragraphs=paragraphs(context.words("duration.caution")), tone="caution"))
    section = Section(
        id="duration",
        title=context.words.plain("duration.title"),
        blocks=blocks,
        results=unique([counts, *(effect_result(_key(e), e) for e in effects)]),
        findings=[
            *(i for e in effects for i in e.findings),
            *(f.id for r in relapses for f in r.rows),
        ],
    )
    return section, answer


def _key(effect: TrialEffect) -> str:
    return f"course.{effect.days:g}"


def _along_time(context: Context) -> list[TrialEffect]:
    """Every trial's effect at each of its own times after the last dose."""
    question = context.settings.windows[0].question
    base = context.base
    clock = context.settings.clock
    days = (
        f.days_from_last_dose if clock == "last_dose" else f.days_from_first_dose
        for f in base.findings
        if f.outcome in question.outcomes
    )
    times = {round(d, 3) for d in days if d is not None and d > 0}
    out: list[TrialEffect] = []
    for day in sorted(times):
        asked = replace(
            question,
            id=f"course.{day:g}",
            clock=clock,
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
                x_title=w.plain(f"duration.x_{context.settings.clock}"),
                y_title=w.plain("duration.y"),
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
        title=w.plain("duration.figure", k=trials, after=_after(context)),
        alt=w.plain("duration.alt", k=trials, points=len(effects), after=_after(context)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("duration.caption"),
    )


def _counts(context: Context, effects: Sequence[TrialEffect]) -> Result:
    """How many trials still compare the groups at each of the usual times after the last dose."""
    late = [e for e in effects if e.days >= 28]
    apart = {e.trial for e in late if limits(e)[1] < 0 or limits(e)[0] > 0}
    value: dict[str, float] = {
        f"day{day}": len({e.trial for e in effects if e.days >= day}) for day in REACH
    }
    controlled = [t for t in context.base.trials if t.comparator not in {"none", ""}]
    value |= {"controlled": len(controlled), "apart_at_day28": len(apart)}
    lasts = sorted({e.trial: e.days for e in effects}.values(), reverse=True)
    value["known_until"] = lasts[ENOUGH - 1] if len(lasts) >= ENOUGH else 0
    return Result(
        id="duration.counts",
        value=value,
        method="trials with a usable difference at or after each day after the last dose",
        inputs=tuple(dict.fromkeys(f"{_key(e)}.{e.trial}" for e in effects)),
        digest=digest_of([(e.trial, e.days, e.y, e.v) for e in effects]),
    )


def _reach(context: Context, counts: Result) -> Any:
    parts = [
        context.words.plain("duration.reach_one", day=day, count=counts.value[f"day{day}"])
        for day in REACH
    ]
    shown = context.result_claim(counts, ", ".join(parts))
    total = context.result_claim(counts, str(counts.value["controlled"]))
    return context.words("duration.reach", total=total, counts=shown)


def _answer(context: Context, effects: Sequence[TrialEffect], counts: Result) -> Any:
    w = context.words
    if not effects:
        return w("duration.nothing", after=_after(context))
    late = counts.value["day28"]
    known = context.result_claim(counts, context.numbers.general(counts.value["known_until"]))
    return w(
        "duration.answer" if counts.value["known_until"] else "duration.answer_few",
        after=_after(context),
        known=known,
        enough=ENOUGH,
        counts=context.result_claim(counts, w.count("duration.trials", counts.value["day1"])),
        week=context.result_claim(counts, str(counts.value["day7"])),
        late=context.result_claim(counts, str(late)),
        ending=_ending(context, effects, counts),
    )


def _ending(context: Context, effects: Sequence[TrialEffect], counts: Result) -> Any:
    """What is known at four weeks or later; one trial that leaves it open says what it found."""
    w, n = context.words, context.numbers
    late, apart = counts.value["day28"], counts.value["apart_at_day28"]
    if late == 0:
        return w("duration.ending_none")
    if apart == 0 and late == 1 and context.settings.measure == "SMD":
        last = max((e for e in effects if e.days >= 28), key=lambda e: e.days)
        result = effect_result(_key(last), last)
        return w(
            "duration.ending_one_unclear",
            n=n.general(last.n_test + last.n_control),
            effect=context.result_claim(result, n.with_interval(last.y, *limits(last))),
        )
    kind = "all_unclear" if apart == 0 else "some"
    return w(f"duration.ending_{kind}", apart=context.result_claim(counts, str(apart)))


def _after(context: Context) -> str:
    return context.words.plain(f"duration.after.{context.settings.clock}")
