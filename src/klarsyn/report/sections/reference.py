"""Against the reference treatment: each trial alone and both, because one assessment chose one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, paragraphs
from klarsyn.report.pooling import effect_result, limits, pooled_result
from klarsyn.synthesis.extraction import Question, TrialEffect, as_effects, derive_effects
from klarsyn.synthesis.pairwise import Pooled, pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One outcome against the reference treatment: the trials, and pooled sets of them."""

    outcome: str
    effects: tuple[TrialEffect, ...]
    sets: tuple[tuple[str, Pooled, Result], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The trials against the reference treatment, each alone and together, ready for a page."""

    panels: tuple[Panel, ...]
    sentence: Any
    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def derive_reference(context: Context) -> Reference | None:
    """The trials pooled and drawn; None where the base names no reference treatment."""
    wanted = context.settings.reference
    if not wanted:
        return None
    panels = [p for o in wanted["outcomes"] if (p := _panel(context, o)) is not None]
    if not panels:
        return None
    results = [
        *(effect_result(f"reference.{p.outcome}", e) for p in panels for e in p.effects),
        *(r for p in panels for _, _, r in p.sets),
    ]
    return Reference(
        panels=tuple(panels),
        sentence=_sentence(context, panels[0]),
        blocks=[
            _figure(context, panels),
            Prose(paragraphs=paragraphs(*_small_sample(context, panels)), tone="caution"),
        ],
        results=results,
        findings=[i for p in panels for e in p.effects for i in e.findings],
    )


def _panel(context: Context, outcome: str) -> Panel | None:
    wanted = context.settings.reference
    times = wanted.get("days_from_first_dose", (7, 60))
    question = Question(
        id=f"reference.{outcome}",
        measure="RR",
        outcomes=(outcome,),
        clock="first_dose",
        target=float(times[0]),
        earliest=float(times[0]),
        latest=float(times[1]),
        correlation=context.settings.correlation,
    )
    question = replace(question, target=sum(times) / 2)
    effects = tuple(
        e
        for e in derive_effects(context.base, question).effects
        if e.comparator == wanted["comparator"]
    )
    if not effects:
        return None
    pair = tuple(e for e in effects if e.trial in wanted["pair"])
    sets = []
    if len(pair) == 2:
        sets.append(("pair", *_pooled(context, f"reference.{outcome}.pair", pair)))
    if len(effects) > len(pair):
        sets.append(("all", *_pooled(context, f"reference.{outcome}.all", effects)))
    return Panel(outcome=outcome, effects=effects, sets=tuple(sets))


def _pooled(
    context: Context, name: str, effects: Sequence[TrialEffect], test: str | None = None
) -> tuple[Pooled, Result]:
    wanted = context.settings.reference
    chosen = test or wanted.get("test", "z")
    pooled = pool(as_effects(effects), method=context.settings.method, test=chosen)
    return pooled, pooled_result(name, pooled, effects)


def _figure(context: Context, panels: Sequence[Panel]) -> Figure:
    w, lang = context.words, context.lang
    colour = context.colour(context.settings.reference["comparator"])
    rows: list[ForestRow] = []
    for panel in panels:
        title = context.heading("outcome", panel.outcome)
        rows.append(ForestRow(kind="heading", label=title, colour=colour))
        rows += [_trial_row(context, e, panel, colour) for e in panel.effects]
        rows += [_set_row(context, s, colour) for s in panel.sets]
    axis = ForestAxis(
        title=w.plain("reference.axis"),
        null=1.0,
        log=True,
        left="← " + w.plain("reference.left", reference=context.settings.reference["label"][lang]),
        right=w.plain("reference.right", drug=context.settings.drug[lang]) + " →",
    )
    return Figure(
        id="reference",
        title=w.plain("reference.figure", reference=context.settings.reference["label"][lang]),
        alt=" ".join([w.plain("reference.alt"), *(_plain_row(r) for r in rows)]),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w(
            "reference.caption",
            method=context.option(context.settings.method),
            test=context.option(context.settings.reference.get("test", "z")),
        ),
    )


def _plain_row(row: ForestRow) -> str:
    return f"{row.label}: {row.numbers}." if row.numbers else f"{row.label}."


def _trial_row(context: Context, e: TrialEffect, panel: Panel, colour: str) -> ForestRow:
    low, high = (math.exp(x) for x in limits(e))
    n, w = context.numbers, context.words
    text = n.with_interval(math.exp(e.y), low, high)
    heaviest = min(x.v for x in panel.effects)
    return ForestRow(
        kind="study",
        label=e.label,
        estimate=math.exp(e.y),
        lower=low,
        upper=high,
        weight=heaviest / e.v,
        numbers=text,
        colour=PALETTE[0] if e.trial in context.settings.reference["pair"] else colour,
        link=f"#result-reference-{panel.outcome}-{e.trial}",
        details={
            w.plain("hover.trial"): e.label,
            w.plain("hover.effect"): text,
            w.plain("hover.patients"): f"{n.general(e.n_test)} + {n.general(e.n_control)}",
            w.plain("hover.when"): w.plain("hover.day", scale="", day=n.general(e.days)),
            w.plain("hover.derived"): e.formula,
            w.plain("hover.source"): context.source_of(e.findings),
        },
    )


def _set_row(context: Context, entry: tuple[str, Pooled, Result], colour: str) -> ForestRow:
    name, p, result = entry
    values = [math.exp(x) for x in (p.estimate, p.ci_lower, p.ci_upper)]
    n, w = context.numbers, context.words
    text = n.with_interval(values[0], values[1], values[2])
    label = w.plain(f"reference.set_{name}", k=p.k)
    return ForestRow(
        kind="pooled",
        label=label,
        estimate=values[0],
        lower=values[1],
        upper=values[2],
        numbers=text,
        colour=colour,
        link="#result-" + result.id.replace(".", "-"),
        details={w.plain("hover.trial"): label, w.plain("hover.effect"): text},
    )


def _sentence(context: Context, panel: Panel) -> Any:
    n, w, lang = context.numbers, context.words, context.lang
    pair = [e for e in panel.effects if e.trial in context.settings.reference["pair"]]
    both = next(((p, r) for name, p, r in panel.sets if name == "pair"), None)
    if len(pair) != 2 or both is None:
        return w("reference.incomplete")
    parts = {}
    for name, e in zip(("first", "second"), pair, strict=True):
        low, high = (math.exp(x) for x in limits(e))
        result = effect_result(f"reference.{panel.outcome}", e)
        text = n.with_interval(math.exp(e.y), low, high)
        parts[name] = context.result_claim(result, text)
        parts[f"{name}_label"] = e.label
    p, r = both
    values = [math.exp(x) for x in (p.estimate, p.ci_lower, p.ci_upper)]
    parts["both"] = context.result_claim(r, n.with_interval(values[0], values[1], values[2]))
    return w(
        "reference.sentence",
        outcome=context.term("outcome", panel.outcome).lower(),
        reference=context.settings.reference["label"][lang],
        **parts,
    )


def _small_sample(context: Context, panels: Sequence[Panel]) -> list[Any]:
    """What the interval of two trials becomes once it admits how little two trials say."""
    w, n = context.words, context.numbers
    pair = [e for e in panels[0].effects if e.trial in context.settings.reference["pair"]]
    notes = [w("reference.note")]
    if len(pair) == 2:
        p, _ = _pooled(context, "unused", pair, test="knha")
        low, high = math.exp(p.ci_lower), math.exp(p.ci_upper)
        notes.append(w("reference.knha", interval=n.ratio_interval(low, high)))
    return notes
