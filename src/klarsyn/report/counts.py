"""Events by arm, read from the base: the counts that pictures of rates are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.evidence.trial import Arm, Finding, Trial
from klarsyn.figures.rates import RatePoint, RateRow, rates
from klarsyn.figures.theme import PALETTE, Spec, finish
from klarsyn.report.context import Context
from klarsyn.report.document import anchor_of
from klarsyn.stats.rates import clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Events among patients of one arm, with the rows they were read from."""

    trial: Trial
    arm: Arm
    events: float
    n: float
    rows: tuple[Finding, ...]


def arm_counts(context: Context, outcome: str) -> list[Count]:
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


def without_overlap(counts: Sequence[Count]) -> list[Count]:
    """The counts of trials whose arms can be added up.

    Arms that add up to more patients than took part overlap (one may be the sum of others), and
    adding them would count patients twice; in a crossover trial each patient takes both.
    """
    sums: dict[str, float] = {}
    for c in counts:
        sums[c.trial.id] = sums.get(c.trial.id, 0.0) + c.n
    return [
        c
        for c in counts
        if c.trial.participants is None
        or "crossover" in c.trial.design
        or sums[c.trial.id] <= c.trial.participants
    ]


def compared_pairs(counts: Sequence[Count]) -> list[tuple[Trial, list[Count]]]:
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


def rate_point(context: Context, count: Count, group: str) -> RatePoint:
    """The share of one arm with its exact limits, as a point of a picture of rates."""
    w, n = context.words, context.numbers
    low, high = clopper_pearson(count.events, count.n)
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


def paired_rates(context: Context, shown: Mapping[str, Sequence[Count]]) -> list[RateRow]:
    """Rows of drug against control: a heading for each outcome, a line for each trial."""
    names = _group_names(context)
    rows: list[RateRow] = []
    for outcome, counts in shown.items():
        rows.append(RateRow(kind="heading", label=context.heading("outcome", outcome)))
        for trial, pair in compared_pairs(counts):
            points = [rate_point(context, c, name) for c, name in zip(pair, names, strict=True)]
            text = " – ".join(f"{c.events:.0f}/{c.n:.0f}" for c in pair)
            rows.append(RateRow(kind="study", label=trial.label, numbers=text, points=points))
    return rows


def paired_pictures(context: Context, rows: Sequence[RateRow], x_title: str) -> dict[str, Spec]:
    """Those rows drawn, `wide` and `narrow`, each group in its colour."""
    palette = dict(zip(_group_names(context), (PALETTE[1], PALETTE[6]), strict=True))
    return {
        size: finish(rates(rows, palette=palette, x_title=x_title, narrow=size == "narrow"))
        for size in ("wide", "narrow")
    }


def _group_names(context: Context) -> tuple[str, str]:
    """Drug and control in the page's language."""
    return context.words.plain("safety.test"), context.words.plain("safety.control")
