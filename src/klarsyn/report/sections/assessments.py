"""An assessment is a set of included trials: what each concludes, and its smallest flip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.inclusion import (
    Assessment,
    Flip,
    IncludableTrial,
    Inclusion,
    SetConclusion,
    inclusion,
)
from klarsyn.report.context import Context
from klarsyn.report.document import Prose, Result, TableBlock, paragraphs, written
from klarsyn.report.labels import translations
from klarsyn.report.records import record_id
from klarsyn.report.sections.reference import Panel

NO_DATE = "9999"


MOST_TRIALS = 20  # beyond, `inclusion` does not look at every set


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentBlocks:
    """The table of inclusion sets with its results and rows."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def assessment_blocks(context: Context, panel: Panel) -> AssessmentBlocks:
    """Each published assessment restricted to the trials of one panel; empty where none fits."""
    effects = {e.trial: e for e in panel.effects}
    records = [r for r in context.base.inclusion if r.trial in effects]
    named = list(dict.fromkeys(r.assessment for r in records if r.included))
    if not named or not 2 <= len(effects) <= MOST_TRIALS:
        return AssessmentBlocks(blocks=[], results=[], findings=[])
    trials = [
        IncludableTrial(
            id=e.trial,
            y=e.y,
            v=e.v,
            published=str(context.base.trial(e.trial).year or NO_DATE),
        )
        for e in panel.effects
    ]
    assessments = [
        Assessment(
            id=name,
            included=tuple(r.trial for r in records if r.assessment == name and r.included),
            criteria="; ".join(
                dict.fromkeys(r.reason for r in records if r.assessment == name and r.reason)
            ),
            search_date=next(
                (r.search_date for r in records if r.assessment == name and r.search_date), NO_DATE
            ),
        )
        for name in named
    ]
    found = inclusion(
        trials,
        assessments,
        measure="RR",
        positive_favours="treated",
        tau2_method=context.settings.method,
        test=context.settings.reference.get("test", "z"),
    )
    results = {s.id: _result(s, found, panel) for s in found.sets}
    return AssessmentBlocks(
        blocks=[_table(context, found, results, panel), *_elsewhere(context)],
        results=list(results.values()),
        findings=[record_id(r) for r in records],
    )


def _elsewhere(context: Context) -> list[Prose]:
    """What others pooled of the same comparison, from the rows that the settings name."""
    w, n = context.words, context.numbers
    named = context.settings.reference.get("published", ())
    rows: dict[Any, Mapping[str, Any]] = {row["id"]: row for row in context.base.published}
    told = [
        w(
            "against.elsewhere_pooled",
            outcome=context.term("outcome", row["outcome"]),
            k=row["k"],
            n=row["n"],
            effect=n.with_interval(row["estimate"], row["ci95_lower"], row["ci95_upper"]),
            i2=n.general(row["i2"]),
            source=written(str(row["citation"]).rstrip("."), context.lang),
        )
        for row in (rows[name] for name in named)
    ]
    return [Prose(paragraphs=paragraphs(*told))] if told else []


def _result(s: SetConclusion, found: Inclusion, panel: Panel) -> Result:
    rows = [i for e in panel.effects if e.trial in s.trials for i in e.findings]
    return Result(
        id=f"against.set.{s.id.replace(' ', '_')}",
        value={
            "trials": list(s.trials),
            "risk_ratio": math.exp(s.estimate),
            "ci": [math.exp(x) for x in s.interval],
            "conclusion": s.conclusion,
            "smallest_flip": s.flips[0].changes if s.flips else None,
        },
        method=f"risk ratio of {panel.outcome}, {found.method}",
        inputs=tuple(dict.fromkeys(rows)),
        digest=found.inputs,
    )


def _table(
    context: Context, found: Inclusion, results: dict[str, Result], panel: Panel
) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for s in found.sets:
        values = [math.exp(x) for x in (s.estimate, *s.interval)]
        text = n.with_interval(values[0], values[1], values[2])
        rows.append(
            (
                _name(context, s.id),
                ", ".join(context.base.trial(t).label for t in s.trials),
                context.result_claim(results[s.id], text),
                _conclusion(context, s.conclusion),
                _flip(context, s),
                _omitted(context, s),
            )
        )
    heads = ("set", "trials", "effect", "conclusion", "flip", "omitted")
    return TableBlock(
        id="assessments",
        title=w.plain("against.sets", outcome=context.term("outcome", panel.outcome)),
        header=[w.plain(f"against.head_{h}") for h in heads],
        rows=rows,
        caption=w("against.sets_caption"),
    )


def _name(context: Context, name: str) -> str:
    if name == "all eligible":
        return context.words.plain("against.all_eligible")
    record = next((r for r in context.base.inclusion if r.assessment == name), None)
    source = context.base.sources.get(record.source) if record else None
    label = source.citation.split(". ")[0] if source else name.replace("_", " ")
    return translations(context.base, context.lang).get(label, label)


def _conclusion(context: Context, conclusion: str) -> str:
    label = context.settings.reference["label"][context.lang]
    return context.words.plain(
        f"against.conclusion_{conclusion.replace(' ', '_')}",
        drug=context.settings.drug[context.lang],
        reference=label,
    )


def _flip(context: Context, s: SetConclusion) -> str:
    if not s.flips:
        return context.words.plain("against.no_flip")
    return "; ".join(_change(context, f) for f in s.flips)


def _change(context: Context, flip: Flip) -> str:
    w = context.words
    steps = [
        *(w.plain("against.add", trial=context.base.trial(t).label) for t in flip.added),
        *(w.plain("against.remove", trial=context.base.trial(t).label) for t in flip.removed),
    ]
    joined = f" {w.plain('page.and')} ".join(steps)
    return f"{joined} → {_conclusion(context, flip.conclusion)}"


def _omitted(context: Context, s: SetConclusion) -> str:
    w = context.words
    return (
        "; ".join(
            f"{context.base.trial(o.trial).label}: "
            + w.plain(f"against.omitted_{o.why.replace(' ', '_')}")
            for o in s.omitted
        )
        or "–"
    )
