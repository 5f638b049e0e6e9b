"""Effects grouped by what the drug was compared with, each group pooled and written down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from klarsyn.figures.forest import ForestRow
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Result, anchor_of
from klarsyn.stats.estimate import Z_95
from klarsyn.synthesis.extraction import Extraction, TrialEffect, as_effects
from klarsyn.synthesis.pairwise import Pooled, pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The effects against one comparator class; `pooled` and its result exist from two trials."""

    comparator: str
    effects: tuple[TrialEffect, ...]
    pooled: Pooled | None
    result: Result | None

    @property
    def participants(self) -> float:
        """All participants analysed; the periods of a crossover trial count once."""
        return sum(
            e.n_test + (0 if "crossover" in e.formula else e.n_control) for e in self.effects
        )


def derive_groups(context: Context, extraction: Extraction) -> tuple[Group, ...]:
    """One group for each comparator class that has an effect, in the page's order."""
    order = context.settings.comparators
    out = []
    for comparator in order:
        effects = tuple(e for e in extraction.effects if e.comparator == comparator)
        if effects:
            out.append(_group(context, extraction, comparator, effects))
    return tuple(out)


def _group(
    context: Context, extraction: Extraction, comparator: str, effects: tuple[TrialEffect, ...]
) -> Group:
    if len(effects) < 2:
        return Group(comparator=comparator, effects=effects, pooled=None, result=None)
    pooled = pool_effects(context, effects)
    result = pooled_result(f"{extraction.question.id}.{comparator}", pooled, effects)
    return Group(comparator=comparator, effects=effects, pooled=pooled, result=result)


def pool_effects(context: Context, effects: Sequence[TrialEffect], test: str = "") -> Pooled:
    """The effects pooled by the page's method and its test, or another one."""
    settings = context.settings
    return pool(as_effects(effects), method=settings.method, test=test or settings.test)


def pooled_result(name: str, pooled: Pooled, effects: Sequence[TrialEffect]) -> Result:
    """The pooled effect as a numbered result that names its rows."""
    value = {
        "estimate": pooled.estimate,
        "ci": [pooled.ci_lower, pooled.ci_upper],
        "prediction": [_finite(pooled.pi_lower), _finite(pooled.pi_upper)],
        "tau2": pooled.tau2,
        "i2": _finite(pooled.i2),
        "k": pooled.k,
        "scale": "log" if effects[0].measure in {"RR", "OR", "HR"} else "natural",
        "warnings": [sentence for _, sentence in pooled.warnings],
    }
    ids = tuple(dict.fromkeys(i for e in effects for i in e.findings))
    parts = [(e.trial, e.y, e.v) for e in effects]
    return Result(
        id=name,
        value=value,
        method=f"{effects[0].measure}, random effects, {pooled.method}, {pooled.test}",
        inputs=ids,
        digest=digest_of(parts, pooled.method, pooled.test),
    )


def effect_result(question: str, effect: TrialEffect) -> Result:
    """One trial's derived effect as a numbered result."""
    low, high = limits(effect)
    return Result(
        id=f"{question}.{effect.trial}",
        value={"estimate": effect.y, "ci": [low, high], "se": math.sqrt(effect.v)},
        method=effect.formula,
        inputs=effect.findings,
        digest=digest_of(effect),
    )


def limits(effect: TrialEffect) -> tuple[float, float]:
    """The 95 % limits of one trial's effect, on the effect's own scale."""
    half = Z_95 * math.sqrt(effect.v)
    return effect.y - half, effect.y + half


def forest_rows(
    context: Context, groups: Sequence[Group], question: str, *, back: bool = False
) -> list[ForestRow]:
    """The rows of a forest plot: a heading, the trials and a diamond for each group.

    With `back` values are turned from logarithms into ratios.
    """
    rows: list[ForestRow] = []
    for group in groups:
        colour = context.colour(group.comparator)
        heading = context.comparator(group.comparator)
        rows.append(ForestRow(kind="heading", label=heading, colour=colour))
        shares = _shares(group.effects)
        for effect, share in zip(group.effects, shares, strict=True):
            rows.append(_study_row(context, effect, share, colour, question, back))
        if group.pooled is not None and group.result is not None:
            rows.append(_pooled_row(context, group, colour, back))
    return rows


def _study_row(
    context: Context, e: TrialEffect, share: float, colour: str, question: str, back: bool
) -> ForestRow:
    turn = math.exp if back else float
    low, high = limits(e)
    n, w = context.numbers, context.words
    name = f"{e.scale}, " if e.scale else ""
    return ForestRow(
        kind="study",
        label=e.label,
        estimate=turn(e.y),
        lower=turn(low),
        upper=turn(high),
        weight=share,
        numbers=n.with_interval(turn(e.y), turn(low), turn(high)),
        colour=colour,
        link="#" + anchor_of("result", f"{question}.{e.trial}"),
        details={
            w.plain("hover.trial"): e.label,
            w.plain("hover.compared"): (
                f"{context.term('treatment', e.treatment)} – {context.term('treatment', e.control)}"
            ),
            w.plain("hover.effect"): n.with_interval(turn(e.y), turn(low), turn(high)),
            w.plain("hover.patients"): f"{n.general(e.n_test)} + {n.general(e.n_control)}",
            w.plain("hover.when"): w.plain("hover.day", scale=name, day=n.general(e.days)),
            w.plain("hover.derived"): e.formula,
            w.plain("hover.source"): context.source_of(e.findings),
        },
    )


def _pooled_row(context: Context, group: Group, colour: str, back: bool) -> ForestRow:
    p, turn = group.pooled, math.exp if back else float
    assert p is not None
    assert group.result is not None
    n, w = context.numbers, context.words
    values = [turn(x) for x in (p.estimate, p.ci_lower, p.ci_upper)]
    text = n.with_interval(values[0], values[1], values[2])
    predicted = None
    details = {
        w.plain("hover.trial"): w.plain("hover.pooled", trials=w.count("page.trials_count", p.k)),
        w.plain("hover.effect"): text,
        w.plain("hover.patients"): n.general(round(group.participants)),
    }
    if math.isfinite(p.pi_lower) and math.isfinite(p.pi_upper) and p.k >= 3:
        predicted = (turn(p.pi_lower), turn(p.pi_upper))
        details[w.plain("hover.prediction")] = n.interval(*predicted)
    details[w.plain("hover.heterogeneity")] = (
        f"τ² {n.fixed(p.tau2, 3)}, I² {n.percent(p.i2 / 100)}" if math.isfinite(p.i2) else "–"
    )
    return ForestRow(
        kind="pooled",
        label=w.plain("hover.pooled", trials=w.count("page.trials_count", p.k)),
        estimate=values[0],
        lower=values[1],
        upper=values[2],
        prediction=predicted,
        numbers=text,
        colour=colour,
        link="#" + anchor_of("result", group.result.id),
        details=details,
    )


def _shares(effects: Sequence[TrialEffect]) -> list[float]:
    weights = np.array([1 / e.v for e in effects])
    return [float(s) for s in weights / weights.max()]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
