"""How much does it depend on the choice? One pooled number under every choice that was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.figures.cloud import pickable_cloud
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.funnel import FunnelWords, funnel_chart
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, anchor_of, paragraphs
from klarsyn.report.sections.gaps import gaps_blocks
from klarsyn.report.sections.ranges import ESTIMATORS, range_blocks
from klarsyn.synthesis.extraction import Extraction, TrialEffect, as_effects, derive_effects
from klarsyn.synthesis.pairwise import Pooled, pool
from klarsyn.synthesis.subsets import Subsets, subsets

TESTS = ("z", "knha", "adhoc")
CORRELATIONS = (0.0, 0.8)
MOST_POINTS = 4095
FEW_FOR_ASYMMETRY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The pooled effect under one choice; `kind` groups choices of one decision."""

    kind: str
    name: str
    pooled: Pooled


def build_choices(context: Context) -> tuple[Section, Any] | None:
    """The section on the best-filled group of the first time window; None below three trials."""
    window = context.settings.windows[0]
    extraction = derive_effects(context.base, window.question)
    comparator = _largest(context, extraction)
    if comparator is None:
        return None
    group = extraction.against(comparator)
    base = _pooled(context, group.effects)
    choices = _choices(context, group)
    every = subsets(as_effects(group.effects), method=_method(context), test="z", **_limit(group))
    result = _result(context, base, choices, every, group.effects)
    sentence = _sentence(context, result, comparator)
    adjusted, behind = gaps_blocks(context, base, group.effects)
    ranges = range_blocks(context)
    section = Section(
        id="choices",
        title=context.words.plain("choices.title"),
        blocks=[
            Prose(paragraphs=paragraphs(sentence), tone="finding"),
            _choice_figure(context, base, choices, result),
            *([ranges[0], Prose(paragraphs=paragraphs(ranges[1]))] if ranges else []),
            _cloud_figure(context, base, every),
            _funnel_figure(context, base, group.effects),
            Prose(paragraphs=paragraphs(_asymmetry(context, len(group.effects))), tone="caution"),
            *adjusted,
        ],
        results=[result, *behind, *(ranges[2] if ranges else [])],
    )
    return section, sentence


def _largest(context: Context, extraction: Extraction) -> str | None:
    sizes = {c: len(extraction.against(c).effects) for c in context.settings.comparators}
    best = max(sizes, key=lambda c: sizes[c], default=None)
    return best if best is not None and sizes[best] >= 3 else None


def _method(context: Context) -> str:
    return context.settings.method


def _limit(group: Extraction) -> dict[str, int]:
    return {} if len(group.effects) <= 16 else {"sample": MOST_POINTS, "seed": 1}


def _pooled(
    context: Context,
    effects: Sequence[TrialEffect],
    method: str | None = None,
    test: str | None = None,
) -> Pooled:
    settings = context.settings
    return pool(as_effects(effects), method=method or settings.method, test=test or settings.test)


def _choices(context: Context, group: Extraction) -> list[Choice]:
    out: list[Choice] = []

    def consider(kind: str, name: str, make: Callable[[], Pooled]) -> None:
        try:
            out.append(Choice(kind=kind, name=name, pooled=make()))
        except NumericalError:
            return

    effects = group.effects
    for method in ESTIMATORS:
        consider(
            "estimator",
            context.option(method),
            lambda m=method: _pooled(context, effects, method=m),
        )
    for test in TESTS:
        consider("test", context.option(test), lambda t=test: _pooled(context, effects, test=t))
    for r in CORRELATIONS:
        asked = replace(group.question, correlation=r)
        comparator = effects[0].comparator
        again = derive_effects(context.base, asked).against(comparator).effects
        name = context.numbers.general(r)
        consider("correlation", name, lambda e=again: _pooled(context, e))
    direct = tuple(e for e in effects if "ln OR" not in e.formula)
    if 1 < len(direct) < len(effects):
        text = context.words.plain("choices.direct")
        consider("conversion", text, lambda: _pooled(context, direct))
    for left_out in effects:
        kept = tuple(e for e in effects if e is not left_out)
        name = context.words.plain("choices.without", trial=left_out.label)
        consider("trial", name, lambda e=kept: _pooled(context, e))
    return out


def _result(
    context: Context,
    base: Pooled,
    choices: Sequence[Choice],
    every: Subsets,
    effects: Sequence[TrialEffect],
) -> Result:
    estimates = [c.pooled.estimate for c in choices]
    crossing = sum(c.pooled.ci_lower <= 0 <= c.pooled.ci_upper for c in choices)
    widths = {
        kind: max(values) - min(values)
        for kind in dict.fromkeys(c.kind for c in choices)
        if (values := [base.estimate, *(c.pooled.estimate for c in choices if c.kind == kind)])
    }
    return Result(
        id="choices.range",
        value={
            "estimate": base.estimate,
            "lowest": min(estimates),
            "highest": max(estimates),
            "choices": len(choices),
            "crossing": crossing,
            "widest": max(widths, key=lambda k: widths[k]),
            "subsets": every.count,
            "subsets_lowest": float(every.estimate.min()),
            "subsets_highest": float(every.estimate.max()),
        },
        method=f"one choice changed at a time from {base.method}, {base.test}; all subsets",
        inputs=tuple(f"{context.settings.windows[0].id}.{e.trial}" for e in effects),
        digest=digest_of(base.digest, every.digest, estimates),
    )


def _sentence(context: Context, result: Result, comparator: str) -> Any:
    v, n, w = result.value, context.numbers, context.words
    return w(
        "choices.sentence",
        when=context.settings.windows[0].label[context.lang],
        comparator=w.plain(f"against.{comparator}"),
        lowest=context.result_claim(result, n.fixed(v["lowest"])),
        highest=context.result_claim(result, n.fixed(v["highest"])),
        choices=context.result_claim(result, str(v["choices"])),
        crossing=context.result_claim(result, w.count("choices.crossing", v["crossing"])),
        widest=w.plain(f"choices.kind.{v['widest']}").lower(),
        subsets=context.result_claim(result, n.whole(v["subsets"])),
        low=context.result_claim(result, n.fixed(v["subsets_lowest"])),
        high=context.result_claim(result, n.fixed(v["subsets_highest"])),
    )


def _choice_figure(
    context: Context, base: Pooled, choices: Sequence[Choice], result: Result
) -> Figure:
    w = context.words
    rows = [_row(context, w.plain("choices.as_shown"), base, "pooled", result)]
    for kind in dict.fromkeys(c.kind for c in choices):
        rows.append(ForestRow(kind="heading", label=w.plain(f"choices.kind.{kind}")))
        rows += [
            _row(context, c.name, c.pooled, "study", result) for c in choices if c.kind == kind
        ]
    axis = ForestAxis(
        title=w.plain("works.axis"),
        left="← " + w.plain("works.left", drug=context.settings.drug[context.lang]),
        right=w.plain("works.right") + " →",
    )
    return Figure(
        id="choices",
        title=w.plain("choices.figure"),
        alt=w.plain("choices.alt", choices=len(choices)),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("choices.caption"),
    )


def _row(context: Context, label: str, p: Pooled, kind: str, result: Result) -> ForestRow:
    text = context.numbers.with_interval(p.estimate, p.ci_lower, p.ci_upper)
    return ForestRow(
        kind=kind,
        label=label,
        estimate=p.estimate,
        lower=p.ci_lower,
        upper=p.ci_upper,
        weight=0.25,
        numbers=text,
        colour=PALETTE[0],
        link="#" + anchor_of("result", result.id),
        details={
            context.words.plain("choices.choice"): label,
            context.words.plain("hover.effect"): text,
            context.words.plain("page.method"): f"{p.method}, {p.test}, k = {p.k}",
            "τ²": context.numbers.fixed(p.tau2, 3),
        },
    )


def _cloud_figure(context: Context, base: Pooled, every: Subsets) -> Figure:
    w = context.words
    many = np.flatnonzero(every.size >= 2)
    inside = [every.member(s) for s in every.study]
    members = [[j for j, flags in enumerate(inside) if flags[i]] for i in many]

    def draw(narrow: bool) -> Any:
        spec = pickable_cloud(
            [round(float(every.estimate[i]), 4) for i in many],
            [round(float(every.i2[i]), 1) for i in many],
            members,
            every.study,
            x_title=w.plain("works.axis"),
            y_title=w.plain("choices.i2"),
            hint=w.plain("choices.hint"),
            labels=(w.plain("hover.effect_short"), w.plain("choices.size")),
            pooled=base.estimate,
            null=0.0,
            narrow=narrow,
        )
        return finish(spec)

    return Figure(
        id="subsets",
        title=w.plain("choices.cloud", subsets=context.numbers.whole(len(many))),
        alt=w.plain("choices.cloud_alt", subsets=len(many)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("choices.cloud_caption"),
    )


def _funnel_figure(context: Context, base: Pooled, effects: Sequence[TrialEffect]) -> Figure:
    w = context.words
    points = [(e.label, e.y, float(np.sqrt(e.v))) for e in effects]
    says = FunnelWords(
        se=w.plain("choices.funnel_se"),
        legend=w.plain("choices.funnel_p"),
        study=w.plain("hover.trial"),
        filled="",
        decimal="," if context.lang == "nb" else ".",
    )

    def draw(narrow: bool) -> Any:
        chart = funnel_chart(
            points, pooled=base.estimate, axis=w.plain("works.axis"), words=says, narrow=narrow
        )
        size = {"width": 300, "height": 260} if narrow else {"width": 560, "height": 320}
        return finish(chart.properties(**size))

    return Figure(
        id="funnel",
        title=w.plain("choices.funnel"),
        alt=w.plain("choices.funnel_alt", k=len(points)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("choices.funnel_caption"),
    )


def _asymmetry(context: Context, k: int) -> Any:
    key = "few" if k < FEW_FOR_ASYMMETRY else "enough"
    return context.words(f"choices.asymmetry_{key}", k=k, least=FEW_FOR_ASYMMETRY)
