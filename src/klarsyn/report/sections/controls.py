"""Is the control arms' improvement that of the disappointed? Arms of the base beside usual ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.belief import ControlBenchmark, control_benchmark, control_share
from klarsyn.bias.controls import STANDARDISED_BY, pool_changes, standardised_change
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Arm, Finding, Trial
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, SOFT, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, anchor_of, paragraphs, spoken
from klarsyn.report.gradings import compared
from klarsyn.report.settings import Elsewhere
from klarsyn.report.words import capital
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.pairwise import Pooled

FEW = 3  # arms below which nothing is pooled: how such arms vary would not be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One arm's standardised improvement at one time, with the rows it was read from."""

    trial: Trial
    arm: Arm
    scale: str
    days: float
    n: float
    improvement: Estimate
    rows: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The pooled control against a usual one: `gap` is what it improved more, with its doubt."""

    usual: Elsewhere
    benchmark: ControlBenchmark
    gap: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved:
    """The control arms of one span of days, pooled, beside the drug arms of the same trials.

    `benchmarks` hold the pooled control against each usual one.
    """

    name: str
    controls: tuple[Changed, ...]
    actives: tuple[Changed, ...]
    pooled: Pooled
    active: Estimate | None
    benchmarks: tuple[Beside, ...]
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlBlocks:
    """What the section gains, with its results and rows."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def control_blocks(context: Context) -> ControlBlocks:
    """A figure and a sentence, or the sentence on what would have had to be reported."""
    made = derive_improved(context)
    missing = context.words("controls.missing")
    if not made:
        text = context.words("controls.none") + " " + missing
        prose = Prose(paragraphs=paragraphs(text), tone="caution")
        return ControlBlocks(blocks=[prose], results=[], findings=[])
    changed = [c for m in made for c in (*m.controls, *m.actives)]
    return ControlBlocks(
        blocks=[
            _figure(context, made),
            Prose(paragraphs=paragraphs(*(_sentence(context, m) for m in made))),
            Prose(paragraphs=paragraphs(context.words("controls.caution") + " " + missing)),
        ],
        results=[m.result for m in made],
        findings=list(dict.fromkeys(f.id for c in changed for f in c.rows)),
    )


def derive_improved(context: Context) -> list[Improved]:
    """The first time window, then the span of days that the settings hold usual arms against."""
    s = context.settings
    first = s.windows[0].question
    spans = []
    if first.clock == "first_dose":
        spans.append((s.windows[0].id, first.earliest, first.latest, ()))
    if s.controls is not None:
        spans.append(("later", s.controls.earliest, s.controls.latest, s.controls.elsewhere))
    found = [_improved(context, *span) for span in spans]
    return [f for f in found if f is not None]


def _improved(
    context: Context, name: str, earliest: float, latest: float, usual: Sequence[Elsewhere]
) -> Improved | None:
    pairs = [p for t in _trials(context) if (p := _pair(context, t, earliest, latest)) is not None]
    if len(pairs) < FEW:
        return None
    s = context.settings
    controls = tuple(c for control, _ in pairs for c in control)
    actives = tuple(a for _, active in pairs for a in active)
    pooled = pool_changes([c.improvement for c in controls], method=s.method, test=s.test)
    active = None
    if len(actives) >= FEW:
        both = pool_changes([a.improvement for a in actives], method=s.method, test=s.test)
        active = Estimate(value=both.estimate, se=both.se, method=both.method, df=both.df)
    mean = Estimate(value=pooled.estimate, se=pooled.se, method=pooled.method, df=pooled.df)
    benchmarks = tuple(against_usual(mean, pooled.k, active, u) for u in usual)
    return Improved(
        name=name,
        controls=controls,
        actives=actives,
        pooled=pooled,
        active=active,
        benchmarks=benchmarks,
        result=_result(name, pooled, active, benchmarks, (*controls, *actives)),
    )


def against_usual(mean: Estimate, arms: int, active: Estimate | None, usual: Elsewhere) -> Beside:
    """Two means are compared, so the spread between trials enters through their errors only.

    A usual mean that comes without an error is lent the one these arms would have as so many:
    se √(k / trials).
    """
    reference = Estimate(
        value=usual.value, se=mean.se * math.sqrt(arms / usual.trials), method="published"
    )
    benchmark = control_benchmark(
        mean,
        reference_class=usual.label["en"],
        reference_mean=reference,
        reference_tau2=0.0,
        standardised_by=STANDARDISED_BY,
        active=active,
    )
    gap = Estimate(
        value=mean.value - usual.value,
        se=math.hypot(mean.se, reference.se),
        df=mean.df,
        method="difference of two means",
    )
    return Beside(usual=usual, benchmark=benchmark, gap=gap)


def _result(
    name: str,
    pooled: Pooled,
    active: Estimate | None,
    benchmarks: Sequence[Beside],
    changed: Sequence[Changed],
) -> Result:
    value: dict[str, Any] = {
        "control": pooled.estimate,
        "ci": [pooled.ci_lower, pooled.ci_upper],
        "prediction": [x if math.isfinite(x) else None for x in (pooled.pi_lower, pooled.pi_upper)],
        "tau2": pooled.tau2,
        "arms": pooled.k,
        "usual": {
            b.usual.label["en"]: {
                "mean": b.usual.value,
                "trials": b.usual.trials,
                "difference": b.gap.value,
                "difference_ci": list(b.gap.interval()),
                "contrast_with_it": _contrast(b),
            }
            for b in benchmarks
        },
    }
    if active is not None:
        value |= {
            "active": active.value,
            "active_ci": list(active.interval()),
            "control_share": control_share(pooled.estimate, active.value),
        }
    return Result(
        id=f"told.controls.{name}",
        value=value,
        method=f"mean change over the {STANDARDISED_BY} (SMCC), random effects, {pooled.method}, "
        f"{pooled.test}; usual means with the error these arms would have as so many",
        inputs=tuple(dict.fromkeys(f.id for c in changed for f in c.rows)),
        digest=digest_of([(c.trial.id, c.arm.id, c.improvement) for c in changed], value["usual"]),
    )


def _trials(context: Context) -> list[Trial]:
    classes = set(compared(context))
    return [t for t in context.base.trials if t.comparator in classes]


def _pair(
    context: Context, trial: Trial, earliest: float, latest: float
) -> tuple[list[Changed], list[Changed]] | None:
    """The trial's control arms at its latest time in the span, and its drug arms at the same."""
    found: dict[str, list[Changed]] = {"control": [], "test": []}
    for scale in context.settings.scales:
        days = _latest(context, trial, scale, earliest, latest)
        if days is None:
            continue
        for arm in trial.arms:
            changed = _changed(context, trial, arm, scale, days)
            if changed is not None and arm.role in found:
                found[arm.role].append(changed)
        break
    return (found["control"], found["test"]) if found["control"] else None


def _latest(
    context: Context, trial: Trial, scale: str, earliest: float, latest: float
) -> float | None:
    controls = {a.id for a in trial.arms if a.role == "control"}
    days = [
        f.days_from_first_dose
        for f in trial.findings
        if f.arm in controls
        and f.scale == scale
        and f.outcome in _changes(context)
        and f.statistic == "mean"
        and f.value is not None
        and f.days_from_first_dose is not None
        and earliest <= f.days_from_first_dose <= latest
        and f.period != "second"
    ]
    usable = [d for d in days if any(_changed(context, trial, a, scale, d) for a in trial.arms)]
    return max(usable, default=None)


def _changes(context: Context) -> set[str]:
    outcomes = context.settings.windows[0].question.outcomes
    return {o for o in outcomes if o.endswith("_change")}


def _changed(context: Context, trial: Trial, arm: Arm, scale: str, days: float) -> Changed | None:
    """The arm's change with its spread and size, as one report gives them."""
    reports: dict[tuple[str, str, str], dict[str, Finding]] = {}
    for f in trial.findings:
        same = (f.arm, f.scale, f.days_from_first_dose) == (arm.id, scale, days)
        usable = f.chosen and f.value is not None and f.period != "second"
        if same and usable and f.outcome in _changes(context):
            reports.setdefault((f.analysis_set, f.estimator, f.period), {})[f.statistic] = f
    for report in reports.values():
        n = report["n"].value if "n" in report else arm.completed or arm.started or arm.randomised
        spread = report.get("sd") or report.get("se")
        if "mean" not in report or spread is None or not n or not spread.value:
            continue
        sd = spread.value * (math.sqrt(n) if spread.statistic == "se" else 1.0)
        known = context.base.scales.get(scale)
        mean = report["mean"].value or 0.0
        worse = known is None or known.higher_is != "better"
        try:
            made = standardised_change(-mean if worse else mean, sd, n, trial.label)
        except InputError:
            continue
        rows = tuple(report[s] for s in ("mean", spread.statistic, "n") if s in report)
        return Changed(
            trial=trial, arm=arm, scale=scale, days=days, n=n, improvement=made, rows=rows
        )
    return None


def _figure(context: Context, made: Sequence[Improved]) -> Figure:
    w = context.words
    rows: list[ForestRow] = []
    for m in made:
        rows.append(ForestRow(kind="heading", label=_when(context, m)))
        rows += [_arm_row(context, m, c) for c in m.controls]
        rows.append(_pooled_row(context, m))
        if m.active is not None:
            rows.append(_active_row(context, m, m.active))
        rows += [_usual_row(context, m, b) for b in m.benchmarks]
    ends = [x for r in rows for x in (r.lower, r.upper) if x is not None]
    limits = (min(0.0, *ends) - 0.1, max(ends) + 0.1)
    axis = ForestAxis(title=w.plain("controls.x"), limits=limits)
    return Figure(
        id="told-controls",
        title=w.plain("controls.figure"),
        alt=" ".join([w.plain("controls.alt"), *spoken(rows, headings=True)]),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w(
            "controls.caption",
            sources=_cited(context, made),
            method="; ".join(map(context.option, (made[0].pooled.method, made[0].pooled.test))),
        ),
    )


def _cited(context: Context, made: Sequence[Improved]) -> str:
    """The citations of the usual arms, in brackets."""
    ids = dict.fromkeys(b.usual.source for m in made for b in m.benchmarks)
    cited = [context.base.sources[i].citation for i in ids if i in context.base.sources]
    return f" ({'; '.join(c.rstrip('.') for c in cited)})" if cited else ""


def _when(context: Context, m: Improved) -> str:
    w, s = context.words, context.settings
    if m.name != "later" or s.controls is None:
        text = s.windows[0].label[context.lang]
        return capital(text)
    n = context.numbers
    return w.plain(
        "controls.span", low=n.general(s.controls.earliest), high=n.general(s.controls.latest)
    )


def _arm_row(context: Context, m: Improved, c: Changed) -> ForestRow:
    w, n = context.words, context.numbers
    low, high = c.improvement.interval()
    text = n.with_interval(c.improvement.value, low, high)
    heaviest = min(x.improvement.se for x in m.controls)
    return ForestRow(
        kind="study",
        label=c.trial.label,
        estimate=c.improvement.value,
        lower=low,
        upper=high,
        weight=(heaviest / c.improvement.se) ** 2,
        numbers=text,
        colour=PALETTE[0],
        link="#" + anchor_of("result", m.result.id),
        details={
            w.plain("hover.trial"): c.trial.label,
            w.plain("hover.arm"): context.heading("treatment", c.arm.treatment),
            w.plain("hover.effect"): text,
            w.plain("hover.patients"): n.general(c.n),
            w.plain("hover.when"): w.plain(
                "hover.day", scale=f"{c.scale}, ", day=n.general(c.days)
            ),
            w.plain("hover.source"): context.source_of([f.id for f in c.rows]),
        },
    )


def _pooled_row(context: Context, m: Improved) -> ForestRow:
    w, n, p = context.words, context.numbers, m.pooled
    text = n.with_interval(p.estimate, p.ci_lower, p.ci_upper)
    known = math.isfinite(p.pi_lower) and math.isfinite(p.pi_upper) and p.k >= FEW
    return ForestRow(
        kind="pooled",
        label=w.plain("controls.row_pooled", k=p.k),
        estimate=p.estimate,
        lower=p.ci_lower,
        upper=p.ci_upper,
        prediction=(p.pi_lower, p.pi_upper) if known else None,
        numbers=text,
        link="#" + anchor_of("result", m.result.id),
        details={
            w.plain("hover.trial"): w.plain("controls.row_pooled", k=p.k),
            w.plain("hover.effect"): text,
        },
    )


def _active_row(context: Context, m: Improved, active: Estimate) -> ForestRow:
    w, n = context.words, context.numbers
    low, high = active.interval()
    text = n.with_interval(active.value, low, high)
    return ForestRow(
        kind="pooled",
        label=w.plain("controls.row_active", k=len(m.actives)),
        estimate=active.value,
        lower=low,
        upper=high,
        numbers=text,
        colour=PALETTE[1],
        link="#" + anchor_of("result", m.result.id),
        details={
            w.plain("hover.trial"): w.plain("controls.row_active", k=len(m.actives)),
            w.plain("hover.effect"): text,
        },
    )


def _usual_row(context: Context, m: Improved, beside: Beside) -> ForestRow:
    w, n, usual = context.words, context.numbers, beside.usual
    source = context.base.sources.get(usual.source)
    label = w.plain(
        "controls.row_usual",
        name=capital(usual.label[context.lang]),
        trials=w.count("page.trials_count", usual.trials),
    )
    return ForestRow(
        kind="study",
        label=label,
        estimate=usual.value,
        lower=usual.value,
        upper=usual.value,
        weight=0.2,
        numbers=w.plain(
            "controls.usual_numbers",
            value=n.fixed(usual.value),
            difference=n.with_interval(beside.gap.value, *beside.gap.interval()),
        ),
        colour=SOFT,
        link="#" + anchor_of("result", m.result.id),
        details={
            w.plain("hover.trial"): label,
            w.plain("hover.effect"): n.fixed(usual.value),
            w.plain("hover.source"): source.citation if source else usual.source,
        },
    )


def _sentence(context: Context, m: Improved) -> Any:
    w, n, p = context.words, context.numbers, m.pooled

    def claim(text: str) -> Any:
        return context.result_claim(m.result, text)

    texts = [
        w(
            "controls.sentence",
            when=_when(context, m),
            k=p.k,
            control=claim(n.with_interval(p.estimate, p.ci_lower, p.ci_upper)),
        )
    ]
    if m.active is not None:
        share = control_share(p.estimate, m.active.value)
        texts.append(
            w(
                "controls.share",
                active=claim(n.fixed(m.active.value)),
                share=claim(n.percent(share)),
            )
        )
    if m.benchmarks:
        texts.append(_against_usual(context, m, m.benchmarks[0]))
    for beside in m.benchmarks[1:]:
        texts.append(
            w(
                "controls.also",
                name=beside.usual.label[context.lang],
                value=n.fixed(beside.usual.value),
                difference=claim(n.with_interval(beside.gap.value, *beside.gap.interval())),
            )
        )
    out = texts[0]
    for text in texts[1:]:
        out = out + " " + text
    return out


def _against_usual(context: Context, m: Improved, beside: Beside) -> Any:
    w, n = context.words, context.numbers

    def claim(text: str) -> Any:
        return context.result_claim(m.result, text)

    low, high = beside.gap.interval()
    far = "less" if high < 0 else "more" if low > 0 else "as_usual"
    text = w(
        f"controls.{far}",
        name=beside.usual.label[context.lang],
        value=n.fixed(beside.usual.value),
        difference=claim(n.with_interval(beside.gap.value, low, high)),
        shortfall=claim(n.fixed(max(0.0, -low))),
    )
    observed, contrast = beside.benchmark.contrast_as_observed, _contrast(beside)
    if contrast is None or observed is None:
        return text
    return (
        text
        + " "
        + w(
            "controls.held",
            observed=claim(n.fixed(observed)),
            contrast=claim(n.with_interval(*contrast)),
        )
    )


def _contrast(beside: Beside) -> tuple[float, float, float] | None:
    """The drug's advantage over the usual control with its limits; None without drug arms."""
    found = beside.benchmark.contrast_if_reference
    return None if found is None else (found.value, *found.interval())
