"""Every pooled number, and how far each kind of choice moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import NumericalError
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Result, anchor_of
from klarsyn.report.grids import MEASURES, Cells, measured_cells
from klarsyn.report.pooling import Group, derive_groups
from klarsyn.report.sections.works import typical_sd
from klarsyn.report.settings import Window
from klarsyn.report.words import capital
from klarsyn.synthesis.extraction import TrialEffect, as_effects, derive_effects
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.subsets import subsets

ESTIMATORS = ("REML", "ML", "DL", "PM", "EB", "SJ", "HS", "HE", "EE")
KINDS = ("estimators", "measures", "sets")
FEWEST = 3  # trials that must stay when one is left out
EXHAUSTIVE, SAMPLE = 16, 4095  # trials up to which every set is fitted; sets drawn beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A pooled number with the estimates that each kind of choice gives for it.

    `undecided` names the choices under which its interval holds no difference.
    """

    name: str
    group: Group
    estimates: dict[str, list[float]]
    undecided: list[str]

    @property
    def every(self) -> list[float]:
        """All estimates of all kinds."""
        return [x for found in self.estimates.values() for x in found]


def range_blocks(context: Context) -> tuple[Figure, Any, list[Result]] | None:
    """The figure, its sentence and its results; None where no two trials are pooled."""
    if context.settings.measure != "SMD":
        return None
    views = [
        (w, derive_groups(context, derive_effects(context.base, w.question)))
        for w in context.settings.windows
    ]
    first = derive_effects(context.base, context.settings.windows[0].question)
    cells = measured_cells(context, typical_sd(context, first))
    found = [_ranged(context, w, g, cells) for w, gs in views for g in gs if g.pooled is not None]
    if not found:
        return None
    result, held = _result(found), _undecided_result(context, found)
    sentence = _sentence(context, found, result, held)
    return _figure(context, found, result), sentence, [result, held]


def _ranged(context: Context, window: Window, group: Group, cells: Cells) -> Ranged:
    settings = context.settings

    def pooled(effects: Sequence[TrialEffect], method: str) -> float:
        return pool(as_effects(effects), method=method, test="z").estimate

    like = [
        [e for e in cells.get((m, window.id), {}).values() if e.comparator == group.comparator]
        for m in MEASURES
    ]
    limit = {} if len(group.effects) <= EXHAUSTIVE else {"sample": SAMPLE, "seed": 1}
    every = subsets(as_effects(group.effects), method=settings.method, test="z", **limit)
    label = window.label[context.lang]
    return Ranged(
        name=f"{capital(label)}, {context.comparator(group.comparator).lower()}",
        group=group,
        estimates={
            "estimators": _estimates(ESTIMATORS, lambda m: pooled(group.effects, m)),
            "measures": _estimates(
                [effects for effects in like if len(effects) > 1],
                lambda effects: pooled(effects, settings.method),
            ),
            "sets": every.estimate[every.size >= 2].tolist(),
        },
        undecided=_undecided(context, group, dict(zip(MEASURES, like, strict=True))),
    )


def _undecided(context: Context, group: Group, like: dict[str, list[TrialEffect]]) -> list[str]:
    """Estimators, measures and trials left out that let the interval hold no difference.

    A trial is left out only where three stay: two have an interval that depends on little else.
    """
    s, kept = context.settings, group.effects
    asked = [(m, kept, m) for m in ESTIMATORS]
    asked += [(m, tuple(effects), s.method) for m, effects in like.items() if len(effects) > 1]
    if len(kept) > FEWEST:
        asked += [
            (f"without {e.trial}", tuple(x for x in kept if x is not e), s.method) for e in kept
        ]
    out = []
    for name, effects, method in asked:
        try:
            found = pool(as_effects(effects), method=method, test=s.test)
        except NumericalError:
            continue
        if found.ci_lower <= 0 <= found.ci_upper:
            out.append(name)
    return out


def _estimates(options: Iterable[Any], make: Callable[[Any], float]) -> list[float]:
    """What each option gives; one that gives no estimate is left out."""
    out = []
    for option in options:
        try:
            out.append(make(option))
        except NumericalError:
            continue
    return out


def _result(found: Sequence[Ranged]) -> Result:
    value = {
        r.group.result.id: {
            kind: [len(xs), min(xs), max(xs)] for kind, xs in r.estimates.items() if xs
        }
        for r in found
        if r.group.result is not None
    }
    return Result(
        id="choices.ranges",
        value=value,
        method="number of options, lowest and highest pooled estimate; each kind changed alone",
        inputs=tuple(value),
        digest=digest_of([(r.name, r.estimates) for r in found]),
    )


def _undecided_result(context: Context, found: Sequence[Ranged]) -> Result:
    value = {r.group.result.id: r.undecided for r in found if r.group.result is not None}
    return Result(
        id="choices.undecided",
        value=value,
        method="choices under which the interval holds no difference: estimators, measures, one "
        f"trial left out where {FEWEST} stay; {context.settings.test}",
        inputs=tuple(value),
        digest=digest_of([(r.name, r.undecided) for r in found]),
    )


def _sentence(context: Context, found: Sequence[Ranged], result: Result, held: Result) -> Any:
    w, n = context.words, context.numbers
    turned = sum(min(r.every) <= 0 <= max(r.every) for r in found)
    widest = max(found, key=lambda r: max(r.every) - min(r.every))
    return w(
        "ranges.sentence",
        numbers=len(found),
        turned=context.result_claim(result, str(turned)),
        undecided=context.result_claim(held, str(sum(bool(r.undecided) for r in found))),
        before=sum(_holds_none(r) for r in found),
        widest=widest.name[:1].lower() + widest.name[1:],
        range=context.result_claim(result, n.interval(min(widest.every), max(widest.every))),
    )


def _holds_none(ranged: Ranged) -> bool:
    pooled = ranged.group.pooled
    return pooled is not None and pooled.ci_lower <= 0 <= pooled.ci_upper


def _figure(context: Context, found: Sequence[Ranged], result: Result) -> Figure:
    w = context.words
    rows = [row for r in found for row in _rows(context, r, result)]
    axis = ForestAxis(
        title=w.plain("works.axis"),
        left="← " + w.plain("works.left", drug=context.settings.drug[context.lang]),
        right=w.plain("works.right") + " →",
    )
    told = " ".join(f"{row.label}: {row.numbers}." if row.numbers else row.label for row in rows)
    return Figure(
        id="ranges",
        title=w.plain("ranges.figure", numbers=len(found)),
        alt=w.plain("ranges.alt", told=told),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("ranges.caption"),
    )


def _rows(context: Context, r: Ranged, result: Result) -> list[ForestRow]:
    w, n, p = context.words, context.numbers, r.group.pooled
    assert p is not None
    link = "#" + anchor_of("result", result.id)
    text = n.with_interval(p.estimate, p.ci_lower, p.ci_upper)
    colour = context.colour(r.group.comparator)
    own = ForestRow(
        kind="pooled",
        label=w.plain("choices.as_shown"),
        estimate=p.estimate,
        lower=p.ci_lower,
        upper=p.ci_upper,
        numbers=text,
        colour=colour,
        details={w.plain("choices.choice"): r.name, w.plain("hover.effect"): text},
        link=link,
    )
    ranges = [
        ForestRow(
            kind="study",
            label=w.plain(f"ranges.{kind}", count=n.whole(len(xs))),
            estimate=p.estimate,
            lower=min(xs),
            upper=max(xs),
            weight=0.05,
            numbers=n.interval(min(xs), max(xs)),
            colour=PALETTE[6],
            details={
                w.plain("choices.choice"): w.plain(f"ranges.{kind}", count=n.whole(len(xs))),
                w.plain("ranges.range"): n.interval(min(xs), max(xs)),
            },
            link=link,
        )
        for kind in KINDS
        if len(xs := r.estimates[kind]) > 1
    ]
    return [ForestRow(kind="heading", label=r.name), own, *ranges]
