"""How safely? Adverse events by arm, and what the numbers can and cannot exclude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.evidence.trial import Arm, Finding, Trial
from klarsyn.figures.rates import RatePoint, RateRow, rates
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
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
from klarsyn.stats.counts import exact_interval, patients_to_exclude, upper_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Events among patients of one arm, with the rows they were read from."""

    trial: Trial
    arm: Arm
    events: float
    n: float
    rows: tuple[Finding, ...]


def build_safety(context: Context) -> tuple[Section, Any]:
    """The section and its answer in one sentence."""
    harms = {h: _counts(context, h) for h in context.settings.harms}
    shown = {h: c for h, c in harms.items() if _compared(c)}
    rare = [_rare(context, h) for h in context.settings.rare]
    results = [r for _, _, r in rare if r is not None]
    answer = _answer(context, rare)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    blocks += [_figure(context, shown)] if shown else []
    blocks += [_rare_table(context, rare)] if rare else []
    blocks.append(_exclusion_table(context))
    blocks.append(Prose(paragraphs=paragraphs(context.words("safety.caution")), tone="caution"))
    counts = [c for cs in shown.values() for c in cs] + [c for _, cs, _ in rare for c in cs]
    section = Section(
        id="safety",
        title=context.words.plain("safety.title"),
        blocks=blocks,
        results=results,
        findings=[f.id for c in counts for f in c.rows],
    )
    return section, answer


def _counts(context: Context, outcome: str) -> list[Count]:
    """Every arm's events for one outcome, at the latest time it was counted."""
    out = []
    for trial in context.base.trials:
        for arm in trial.arms:
            cells: dict[tuple[float, str], dict[str, Finding]] = {}
            for f in trial.findings:
                if f.arm == arm.id and f.outcome == outcome and f.chosen and f.value is not None:
                    key = (f.days_from_first_dose or 0.0, f.analysis_set)
                    cells.setdefault(key, {})[f.statistic] = f
            for key in sorted(cells, reverse=True):
                count = _count(trial, arm, cells[key])
                if count is not None:
                    out.append(count)
                    break
    return out


def _count(trial: Trial, arm: Arm, stats: dict[str, Finding]) -> Count | None:
    n = stats["n"].value if "n" in stats else arm.started or arm.randomised
    events = stats["events"].value if "events" in stats else None
    if events is None and "percent" in stats and n:
        percent = stats["percent"].value
        assert percent is not None
        events = float(round(percent * n / 100))
    if events is None or not n or events > n:
        return None
    return Count(trial=trial, arm=arm, events=events, n=n, rows=tuple(stats.values()))


def _compared(counts: Sequence[Count]) -> bool:
    return bool(_pairs(counts))


def _pairs(counts: Sequence[Count]) -> list[tuple[Trial, list[Count]]]:
    """Trials in which a test arm and a control arm were both counted."""
    by_trial: dict[str, list[Count]] = {}
    for c in counts:
        by_trial.setdefault(c.trial.id, []).append(c)
    out = []
    for group in by_trial.values():
        tests = [c for c in group if c.arm.role == "test"]
        others = [c for c in group if c.arm.role != "test"]
        if tests and others:
            out.append((group[0].trial, [tests[-1], others[0]]))
    return out


def _figure(context: Context, harms: dict[str, list[Count]]) -> Figure:
    w = context.words
    names = {"test": w.plain("safety.test"), "control": w.plain("safety.control")}
    palette = {names["test"]: PALETTE[1], names["control"]: PALETTE[6]}
    rows: list[RateRow] = []
    for harm, counts in harms.items():
        rows.append(RateRow(kind="heading", label=context.heading("outcome", harm)))
        for trial, pair in _pairs(counts):
            points = [
                _point(context, c, names["test" if i == 0 else "control"])
                for i, c in enumerate(pair)
            ]
            text = " – ".join(f"{c.events:.0f}/{c.n:.0f}" for c in pair)
            rows.append(RateRow(kind="study", label=trial.label, numbers=text, points=points))
    title = w.plain("safety.x")
    return Figure(
        id="adverse-events",
        title=w.plain("safety.figure"),
        alt=w.plain(
            "safety.alt",
            harms=", ".join(context.term("outcome", h) for h in harms),
            k=len({t.id for c in harms.values() for t, _ in _pairs(c)}),
        ),
        wide=finish(rates(rows, palette=palette, x_title=title)),
        narrow=finish(rates(rows, palette=palette, x_title=title, narrow=True)),
        caption=w("safety.caption"),
    )


def _point(context: Context, count: Count, group: str) -> RatePoint:
    w, n = context.words, context.numbers
    low, high = exact_interval(count.events, count.n)
    share = count.events / count.n
    return RatePoint(
        group=group,
        share=share,
        lower=low,
        upper=high,
        link="#" + anchor_of("row", count.rows[0].id),
        details={
            w.plain("hover.trial"): count.trial.label,
            w.plain("hover.arm"): count.arm.label,
            w.plain("hover.events"): f"{n.general(count.events)} / {n.general(count.n)}",
            w.plain("hover.share"): f"{n.percent(share)} ({n.percent(low)}–{n.percent(high)})",
            w.plain("hover.source"): context.source_of([f.id for f in count.rows]),
        },
    )


Rare = tuple[str, list[Count], Result | None]


def _rare(context: Context, outcome: str) -> Rare:
    counts = [c for c in _counts(context, outcome) if c.arm.role == "test"]
    if not counts:
        return outcome, [], None
    events, n = sum(c.events for c in counts), sum(c.n for c in counts)
    result = Result(
        id=f"rare.{outcome}",
        value={
            "events": events,
            "patients": n,
            "trials": len({c.trial.id for c in counts}),
            "upper": upper_limit(events, n),
        },
        method="one-sided exact 95 % upper limit of all test arms together",
        inputs=tuple(f.id for c in counts for f in c.rows),
        digest=digest_of([(c.trial.id, c.arm.id, c.events, c.n) for c in counts]),
    )
    return outcome, counts, result


def _rare_table(context: Context, rare: Sequence[Rare]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for outcome, _, result in rare:
        label = context.heading("outcome", outcome)
        if result is None:
            rows.append((label, w.plain("safety.nobody"), "–", "–", "–"))
            continue
        v = result.value
        rows.append(
            (
                label,
                n.whole(v["trials"]),
                context.result_claim(result, n.general(v["events"])),
                n.whole(v["patients"]),
                context.result_claim(result, n.percent(v["upper"], 2)),
            )
        )
    header = ["harm", "trials", "events", "patients", "upper"]
    return TableBlock(
        id="rare",
        title=w.plain("safety.rare_title"),
        header=[w.plain(f"safety.rare_{h}") for h in header],
        rows=rows,
        caption=w("safety.rare_caption"),
        numeric=(1, 2, 3, 4),
    )


def _exclusion_table(context: Context) -> TableBlock:
    w, n = context.words, context.numbers
    treated = sum(
        a.started or a.randomised or 0
        for t in context.base.trials
        for a in t.arms
        if a.role == "test"
    )
    rows = []
    for rate in context.settings.rates_to_exclude:
        needed = patients_to_exclude(rate)
        verdict = "enough" if treated >= needed else "short"
        rows.append(
            (
                w.plain("safety.one_in", count=n.whole(1 / rate)),
                n.whole(needed),
                n.whole(treated),
                w.plain(f"safety.{verdict}"),
            )
        )
    header = ["rate", "needed", "treated", "verdict"]
    return TableBlock(
        id="exclude",
        title=w.plain("safety.exclude_title"),
        header=[w.plain(f"safety.exclude_{h}") for h in header],
        rows=rows,
        caption=w("safety.exclude_caption"),
        numeric=(1, 2),
    )


def _answer(context: Context, rare: Sequence[Rare]) -> Any:
    w, n = context.words, context.numbers
    known = [r for r in rare if r[2] is not None]
    if not known:
        return w("safety.nothing")
    clauses = [
        w(
            "safety.clause",
            harm=context.term("outcome", outcome).lower(),
            upper=context.result_claim(result, n.percent(result.value["upper"], 1)),
            patients=n.whole(result.value["patients"]),
        )
        for outcome, _, result in known[:2]
        if result is not None
    ]
    return w("safety.answer", clauses=type(clauses[0])("; ").join(clauses))
