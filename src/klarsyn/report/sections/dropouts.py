"""Who left during treatment: each difference if those who left the drug ended as control did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.reference_based import AggregateDropout, dropout_on_aggregates
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Arm, Trial
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, TableBlock, anchor_of, paragraphs, spoken
from klarsyn.report.gradings import compared
from klarsyn.report.grids import benefit_of
from klarsyn.report.sections.works import typical_sd
from klarsyn.report.settings import Window
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.extraction import TrialEffect, derive_effects
from klarsyn.synthesis.pairwise import Pooled, pool

FEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One trial: the effect among those seen, who began, and what leaving could have done."""

    effect: TrialEffect
    began: tuple[float, float]
    seen: tuple[float, float]
    found: AggregateDropout
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutBlocks:
    """What the section gains, with its results and rows."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def dropout_blocks(context: Context) -> DropoutBlocks:
    """Figure, table and sentence at the latest time that two trials allow; else what is missing."""
    w = context.words
    missing = w("dropouts.missing")
    chosen = _latest(context)
    if chosen is None:
        text = w("dropouts.none") + " " + missing
        prose = Prose(paragraphs=paragraphs(text), tone="caution")
        return DropoutBlocks(blocks=[prose], results=[], findings=[])
    window, left = chosen
    pooled = {kind: _pooled(context, window, left, kind) for kind in ("seen", "jump")}
    sentence = w(
        "dropouts.sentence",
        when=window.label[context.lang],
        trials=w.count("page.trials_count", len(left)),
        seen=_claimed(context, pooled["seen"]),
        jump=_claimed(context, pooled["jump"]),
    )
    return DropoutBlocks(
        blocks=[
            _figure(context, window, left, pooled),
            Prose(paragraphs=paragraphs(sentence + " " + w("dropouts.approximate"))),
            _table(context, left),
            Prose(paragraphs=paragraphs(missing), tone="caution"),
        ],
        results=[*(x.result for x in left), *(r for _, r in pooled.values())],
        findings=list(dict.fromkeys(i for x in left for i in x.effect.findings)),
    )


def _latest(context: Context) -> tuple[Window, list[Left]] | None:
    """The last window in which two trials print how many began and that fewer were seen."""
    if context.settings.measure != "SMD":
        return None
    for window in reversed(context.settings.windows):
        effects = derive_effects(context.base, window.question).effects
        left = [x for e in effects if (x := _left(context, window, e)) is not None]
        if len(left) >= FEW:
            return window, left
    return None


def _left(context: Context, window: Window, e: TrialEffect) -> Left | None:
    trial = context.base.trial(e.trial)
    if e.comparator not in compared(context) or "crossover" in trial.design:
        return None
    began = (_began(trial, e.treatment, e.n_test), _began(trial, e.control, e.n_control))
    if began[0] is None or began[1] is None:
        return None
    seen = Estimate(value=e.y, se=math.sqrt(e.v), method=e.formula)
    sizes = (began[0], began[1])
    if sizes == (e.n_test, e.n_control):
        return None
    try:
        found = dropout_on_aggregates(
            e.label, seen, treated=(sizes[0], e.n_test), control=(sizes[1], e.n_control)
        )
    except InputError:
        return None
    low, high = found.jump.interval()
    result = Result(
        id=f"left.dropouts.{window.id}.{e.trial}",
        value={
            "began": list(sizes),
            "seen": [e.n_test, e.n_control],
            "difference": e.y,
            "jump_to_reference": found.jump.value,
            "ci": [low, high],
            "tipping_delta": found.tipping_delta,
        },
        method=f"{found.method}; {e.formula}",
        inputs=e.findings,
        digest=digest_of(found.inputs, e.findings),
    )
    return Left(effect=e, began=sizes, seen=(e.n_test, e.n_control), found=found, result=result)


def _began(trial: Trial, treatment: str, seen: float) -> float | None:
    """How many began the arm (or the arms of that treatment that the effect joined)."""
    sizes = [n for a in trial.arms if a.treatment == treatment and (n := _size(a)) is not None]
    fitting = [n for n in (*sizes, float(sum(sizes))) if n >= seen > 0]
    return min(fitting, default=None)


def _size(arm: Arm) -> float | None:
    n = arm.randomised if arm.randomised is not None else arm.started
    return None if n is None else float(n)


def _pooled(
    context: Context, window: Window, left: Sequence[Left], kind: str
) -> tuple[Pooled, Result]:
    estimates = [getattr(x.found, kind) for x in left]
    effects = effects_from_arrays(
        [e.value for e in estimates],
        [e.se**2 for e in estimates],
        study=[x.effect.trial for x in left],
        measure="SMD",
    )
    made = pool(effects, method=context.settings.method, test=context.settings.test)
    result = Result(
        id=f"left.dropouts.{window.id}.pooled_{kind}",
        value={"estimate": made.estimate, "ci": [made.ci_lower, made.ci_upper], "k": made.k},
        method=f"random effects, {made.method}, {made.test}; "
        + ("among those seen" if kind == "seen" else "those who left the drug end as control"),
        inputs=tuple(x.result.id for x in left),
        digest=digest_of([x.result.digest for x in left], kind),
    )
    return made, result


def _claimed(context: Context, pooled: tuple[Pooled, Result]) -> Any:
    p, result = pooled
    text = context.numbers.with_interval(p.estimate, p.ci_lower, p.ci_upper)
    return context.result_claim(result, text)


def _figure(
    context: Context,
    window: Window,
    left: Sequence[Left],
    pooled: dict[str, tuple[Pooled, Result]],
) -> Figure:
    w = context.words
    rows: list[ForestRow] = []
    for x in left:
        rows.append(ForestRow(kind="heading", label=_heading(context, x)))
        rows.append(_row(context, x, "seen", context.colour(x.effect.comparator)))
        rows.append(_row(context, x, "jump", PALETTE[1]))
    rows.append(ForestRow(kind="heading", label=w.plain("dropouts.together")))
    for kind, colour in (("seen", PALETTE[0]), ("jump", PALETTE[1])):
        p, result = pooled[kind]
        rows.append(
            ForestRow(
                kind="pooled",
                label=w.plain(f"dropouts.row_{kind}"),
                estimate=p.estimate,
                lower=p.ci_lower,
                upper=p.ci_upper,
                numbers=context.numbers.with_interval(p.estimate, p.ci_lower, p.ci_upper),
                colour=colour,
                link="#" + anchor_of("result", result.id),
            )
        )
    axis = ForestAxis(title=w.plain("works.axis"))
    if benefit_of(context) == "lower":
        axis = ForestAxis(
            title=w.plain("works.axis"),
            left="← " + w.plain("works.left", drug=context.settings.drug[context.lang]),
            right=w.plain("works.right") + " →",
        )
    return Figure(
        id="left-dropouts",
        title=w.plain("dropouts.figure", when=window.label[context.lang]),
        alt=" ".join([w.plain("dropouts.alt"), *spoken(rows, headings=True)]),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("dropouts.caption"),
    )


def _heading(context: Context, x: Left) -> str:
    n = context.numbers
    return context.words.plain(
        "dropouts.heading",
        trial=x.effect.label,
        drug=n.percent(x.found.treated_dropout),
        control=n.percent(x.found.control_dropout),
    )


def _row(context: Context, x: Left, kind: str, colour: str) -> ForestRow:
    w = context.words
    e: Estimate = getattr(x.found, kind)
    low, high = e.interval()
    text = context.numbers.with_interval(e.value, low, high)
    return ForestRow(
        kind="study",
        label=w.plain(f"dropouts.row_{kind}"),
        estimate=e.value,
        lower=low,
        upper=high,
        weight=0.35,
        numbers=text,
        colour=colour,
        link="#" + anchor_of("result", x.result.id),
        details={
            w.plain("hover.trial"): x.effect.label,
            w.plain("dropouts.hover"): w.plain(f"dropouts.row_{kind}"),
            w.plain("hover.effect"): text,
            w.plain("hover.derived"): x.effect.formula,
            w.plain("hover.source"): context.source_of(x.effect.findings),
        },
    )


def _table(context: Context, left: Sequence[Left]) -> TableBlock:
    w, n = context.words, context.numbers
    first = derive_effects(context.base, context.settings.windows[0].question)
    sd = typical_sd(context, first)
    rows = []
    for x in left:
        went = [b - s for b, s in zip(x.began, x.seen, strict=True)]
        rows.append(
            (
                x.effect.label,
                f"{n.general(went[0])}/{n.general(x.began[0])}",
                f"{n.general(went[1])}/{n.general(x.began[1])}",
                context.result_claim(x.result, _tip(context, x.found, sd)),
            )
        )
    return TableBlock(
        id="dropouts",
        title=w.plain("dropouts.table"),
        header=[w.plain(f"dropouts.head_{h}") for h in ("trial", "drug", "control", "tip")],
        rows=rows,
        caption=w("dropouts.table_caption"),
        numeric=(1, 2),
    )


def _tip(context: Context, found: AggregateDropout, sd: float | None) -> str:
    w, n = context.words, context.numbers
    low, high = found.seen.interval()
    if low <= 0 <= high:
        return w.plain("dropouts.holds_zero")
    if found.tipping_delta is None:
        return w.plain("dropouts.nobody")
    size = abs(found.tipping_delta)
    if not sd:
        return w.plain("dropouts.tip_sd", size=n.fixed(size))
    scale = context.base.scales.get(context.settings.points_scale)
    beyond = scale is not None and size * sd > scale.maximum - scale.minimum
    return w.plain(
        "dropouts.tip_beyond" if beyond else "dropouts.tip_points",
        points=n.fixed(size * sd, 0 if beyond else 1),
        scale=context.settings.points_scale,
        size=n.fixed(size, 1),
    )
