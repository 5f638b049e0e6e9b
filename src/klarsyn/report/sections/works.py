"""Does it work? Forest plots by time, grouped by what the drug was compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from scipy import special

from klarsyn.figures.forest import ForestAxis, forest
from klarsyn.figures.theme import finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, paragraphs
from klarsyn.report.pooling import Group, derive_groups, effect_result, forest_rows, limits
from klarsyn.report.registrations import shared_registrations
from klarsyn.report.settings import Window
from klarsyn.report.words import capital
from klarsyn.synthesis.extraction import Extraction, derive_effects

# Comparisons besides the leading one that the first screen names.
ALSO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One time window with its effects and groups."""

    window: Window
    extraction: Extraction
    groups: tuple[Group, ...]


def build_works(context: Context) -> tuple[Section, Any]:
    """The section and its answer in one sentence."""
    views = [_view(context, w) for w in context.settings.windows]
    shown = [v for v in views if v.groups]
    contrasts = [r for v in shown for r in _between(v)]
    sd = typical_sd(context, views[0].extraction) if views else None
    answer = _answer(context, shown, sd)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    for view in shown:
        blocks += [_figure(context, view), Prose(paragraphs=_sentences(context, view, sd))]
    blocks.append(Prose(paragraphs=paragraphs(*_choices(context)), tone="caution"))
    section = Section(
        id="works",
        title=context.words.plain("works.title"),
        blocks=blocks,
        results=[*_results(shown), *contrasts],
        findings=[i for v in shown for e in v.extraction.effects for i in e.findings],
    )
    return section, answer


def _view(context: Context, window: Window) -> View:
    extraction = derive_effects(context.base, window.question)
    groups = derive_groups(context, extraction)
    return View(window=window, extraction=extraction, groups=groups)


def _results(views: Sequence[View]) -> list[Result]:
    out = []
    for view in views:
        out += [effect_result(view.window.id, e) for g in view.groups for e in g.effects]
        out += [g.result for g in view.groups if g.result is not None]
        out.append(_unanswered(view))
    return out


def _figure(context: Context, view: View) -> Figure:
    w, lang = context.words, context.lang
    rows = forest_rows(context, view.groups, view.window.id)
    axis = ForestAxis(
        title=w.plain("works.axis"),
        left="← " + w.plain("works.left", drug=context.settings.drug[lang]),
        right=w.plain("works.right") + " →",
    )
    trials = sum(len(g.effects) for g in view.groups)
    label = view.window.label[lang]
    return Figure(
        id=f"effect-{view.window.id}",
        title=w.plain("works.figure", when=label, trials=w.count("page.trials_count", trials)),
        alt=_alt(context, view),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=_caption(context, view),
    )


def _alt(context: Context, view: View) -> str:
    w = context.words
    parts = [w.plain("works.alt", when=view.window.label[context.lang])]
    for g in view.groups:
        value, low, high = _group_values(g)
        parts.append(
            w.plain(
                "works.alt_group",
                comparator=context.comparator(g.comparator),
                trials=w.count("page.trials_count", len(g.effects)),
                effect=context.numbers.with_interval(value, low, high),
            )
        )
    return " ".join(parts)


def _group_values(group: Group) -> tuple[float, float, float]:
    if group.pooled is not None:
        return group.pooled.estimate, group.pooled.ci_lower, group.pooled.ci_upper
    return (group.effects[0].y, *limits(group.effects[0]))


def _caption(context: Context, view: View) -> Any:
    w, s = context.words, context.settings
    missing = view.extraction.unanswered
    reasons = {r: sum(u.reason == r for u in missing) for r in sorted({u.reason for u in missing})}
    told = "; ".join(w.plain(f"works.reason_{r}", count=c) for r, c in reasons.items())
    asked = context.result_claim(_unanswered(view), str(len(missing)))
    converted = [e for g in view.groups for e in g.effects if "ln OR" in e.formula]
    marks = w("works.caption", method=context.option(s.method), test=context.option(s.test))
    if converted:
        trials = ", ".join(e.label for e in converted)
        marks += " " + w("works.converted", trials=trials)
    return marks + " " + w("works.asked", asked=asked, reasons=told) if missing else marks


def _unanswered(view: View) -> Result:
    """Which controlled trials gave no number at this time, and why."""
    missing = view.extraction.unanswered
    reasons = {r: [u.trial for u in missing if u.reason == r] for r in {u.reason for u in missing}}
    return Result(
        id=f"{view.window.id}.unanswered",
        value={r: reasons[r] for r in sorted(reasons)},
        method="controlled trials without a usable difference here, by the first reason found",
        inputs=(),
        digest=digest_of([(u.trial, u.reason) for u in missing]),
    )


def _sentences(context: Context, view: View, sd: float | None) -> tuple[Any, ...]:
    texts = [_group_sentence(context, view, g, sd) for g in view.groups]
    texts += [_between_sentence(context, r) for r in _between(view)]
    for group in view.groups:
        texts += shared_registrations(context, group.effects)
    heading = Markup("<strong>{}</strong>: ").format(capital(view.window.label[context.lang]))
    return (heading + Markup(" ").join(texts),)


def _group_sentence(context: Context, view: View, group: Group, sd: float | None) -> Any:
    value, low, high = _group_values(group)
    n, w = context.numbers, context.words
    text = w.plain(
        "works.numbers",
        effect=n.with_interval(value, low, high),
        points=_points(context, sd, value),
        trials=w.count("page.trials_count", len(group.effects)),
        patients=w.count("page.patients_count", n.whole(group.participants)),
    )
    result = group.result or effect_result(view.window.id, group.effects[0])
    return w(
        f"works.{_verdict(group)}",
        comparator=w.plain(f"against.{group.comparator}"),
        effect=context.result_claim(result, text),
        few=_few(context, group),
    )


def _few(context: Context, group: Group) -> str:
    """What the pooling itself warns of, in the page's words."""
    w = context.words
    trials = w.count("page.trials_count", len(group.effects))
    if group.pooled is None:
        return w.plain("works.few.one_study")
    names = [name for name, _ in group.pooled.warnings if w.knows(f"works.few.{name}")]
    return "".join(w.plain(f"works.few.{name}", trials=trials) for name in names)


def _verdict(group: Group) -> str:
    """`less`, `more` or `unclear` by the interval; `each` where every trial alone says less."""
    _, low, high = _group_values(group)
    if high < 0 or low > 0:
        return "less" if high < 0 else "more"
    alone = len(group.effects) > 1 and all(limits(e)[1] < 0 for e in group.effects)
    return "each" if alone else "unclear"


def _points(context: Context, sd: float | None, value: float) -> str:
    """The standardised difference in points of the page's scale, by one SD for the whole page."""
    scale = context.settings.points_scale
    if context.settings.measure != "SMD" or sd is None:
        return ""
    points = context.numbers.fixed(value * sd, 1)
    return context.words.plain("works.points", points=points, scale=scale)


def typical_sd(context: Context, extraction: Extraction) -> float | None:
    """The median SD of the page's scale among the rows behind these effects."""
    found = context.known
    used = [found[i] for e in extraction.effects for i in e.findings if i in found]
    sds = sorted(
        f.value
        for f in used
        if f.statistic == "sd" and f.scale == context.settings.points_scale and f.value
    )
    return sds[len(sds) // 2] if sds else None


def _between(view: View) -> list[Result]:
    """Each pooled class against the first one: the difference of two independent estimates."""
    pooled = [g for g in view.groups if g.pooled is not None]
    out = []
    for group in pooled[1:]:
        first, other = pooled[0].pooled, group.pooled
        assert first is not None
        assert other is not None
        difference = other.estimate - first.estimate
        se = math.hypot(first.se, other.se)
        df = _satterthwaite(first, other)
        half = float(special.stdtrit(df, 0.975)) * se
        out.append(
            Result(
                id=f"{view.window.id}.{group.comparator}-{pooled[0].comparator}",
                value={
                    "estimate": difference,
                    "ci": [difference - half, difference + half],
                    "df": df,
                    "classes": [group.comparator, pooled[0].comparator],
                },
                method="difference of two pooled estimates, t with Satterthwaite df",
                inputs=tuple(g.result.id for g in (group, pooled[0]) if g.result is not None),
                digest=digest_of(first.estimate, first.se, other.estimate, other.se),
            )
        )
    return out


def _satterthwaite(a: Any, b: Any) -> float:
    parts = [(p.se**2, p.df if math.isfinite(p.df) else 1e9) for p in (a, b)]
    return sum(v for v, _ in parts) ** 2 / sum(v**2 / df for v, df in parts)


def _between_sentence(context: Context, result: Result) -> Any:
    low, high = result.value["ci"]
    other, first = result.value["classes"]
    key = "smaller" if low > 0 else "larger" if high < 0 else "same"
    w = context.words
    text = context.numbers.with_interval(result.value["estimate"], low, high)
    return w(
        f"works.between_{key}",
        other=w.plain(f"against.{other}"),
        first=w.plain(f"against.{first}"),
        effect=context.result_claim(result, text),
    )


def _answer(context: Context, views: Sequence[View], sd: float | None) -> Any:
    """The leading comparison at its first, best-filled and last time; the next two at their first.

    The card of the first screen: a size with its interval where the interval leaves no doubt.
    """
    w = context.words
    if not views:
        return w("works.nothing")
    lead = views[0].groups[0].comparator
    led = [(v, g) for v in views for g in v.groups if g.comparator == lead]
    best = max(led[1:-1], key=lambda pair: pair[1].participants, default=led[0])
    told = list({v.window.id: (v, g) for v, g in (led[0], best, led[-1])}.values())
    sized = [g for _, g in told if _verdict(g) in {"less", "more"}][:1]
    clauses = [_clause(context, v, g, sd, first=g in sized) for v, g in told]
    texts = [w("works.short", comparator=_against(w, lead), clauses=Markup(", ").join(clauses))]
    for comparator in [c for c in context.settings.comparators if c != lead][:ALSO]:
        found = [(v, g) for v in views for g in v.groups if g.comparator == comparator]
        if found:
            v, g = found[0]
            text = _clause(context, v, g, sd, first=not sized, dated=v is not views[0])
            texts.append(w("works.short", comparator=_against(w, comparator), clauses=text))
    return Markup(" ").join(texts)


def _against(words: Any, comparator: str) -> str:
    return words.plain(f"against.{comparator}")


def _clause(
    context: Context, view: View, group: Group, sd: float | None, *, first: bool, dated: bool = True
) -> Any:
    """One comparison at one time: its size where it is told, otherwise that it is not."""
    n, w = context.numbers, context.words
    verdict = _verdict(group)
    when = " " + view.window.label[context.lang] if dated else ""
    trials = w.count("page.trials_count", len(group.effects))
    if verdict in {"each", "unclear"}:
        return w(f"works.short_{verdict}", when=when, trials=trials)
    scale = context.settings.points_scale
    by = sd if context.settings.measure == "SMD" and sd is not None else None
    value, low, high = (x * (by or 1.0) for x in _group_values(group))
    ends = sorted((abs(low), abs(high)))
    digits = 2 if by is None else 1
    unit = "" if by is None else w.plain("works.short_unit", scale=scale)
    result = group.result or effect_result(view.window.id, group.effects[0])
    return w(
        f"works.short_{verdict}{'' if first else '_again'}",
        size=context.result_claim(result, n.fixed(abs(value), digits)),
        unit=unit,
        interval=n.interval(ends[0], ends[1], digits),
        when=when,
        trials=trials,
    )


def _choices(context: Context) -> list[Any]:
    s, w = context.settings, context.words
    return [
        w("works.not_randomised"),
        w(
            "works.choices",
            correlation=context.numbers.general(s.correlation),
            reason=s.correlation_reason[context.lang],
            scale=s.points_scale or "–",
            when=s.windows[0].label[context.lang],
        ),
    ]
