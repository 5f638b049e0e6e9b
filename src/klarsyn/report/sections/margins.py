"""Where a margin could come from, and how the reference did in other trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.history import (
    History,
    ReferenceArm,
    history_from_smd,
    margin_from_history,
    reference_rates,
    share_given_up,
    wald_difference,
)
from klarsyn.bias.noninferiority import (
    Counts,
    Margin,
    assay_sensitivity,
    fixed_margin,
    noninferiority,
    synthesis_test,
)
from klarsyn.errors import NumericalError
from klarsyn.evidence.trial import Trial
from klarsyn.provenance import digest_of
from klarsyn.report.comparison import Comparison, read_comparison
from klarsyn.report.context import Context
from klarsyn.report.document import Prose, Result, TableBlock, paragraphs

FEWEST = 3  # arms elsewhere from which the spread of the reference's own rate is known


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBlocks:
    """What the section gains, with its results and rows."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def margin_blocks(context: Context, published: Comparison, worst: Counts | None) -> MarginBlocks:
    """Margins from history against the trial as published and with `worst` (refusals against it).

    Then the reference's own rate against its arms in the base's other trials, where three or more
    give counts; else which trials would have had to.
    """
    blocks: list[Any] = []
    results: list[Result] = []
    if "history" in context.settings.noninferiority:
        table, prose, made = _from_history(context, published, worst)
        blocks += [table, prose]
        results += made
    text, assay, rows = _rate_elsewhere(context, published)
    blocks.append(Prose(paragraphs=paragraphs(text), tone="plain" if assay else "caution"))
    results += assay
    return MarginBlocks(blocks=blocks, results=results, findings=rows)


def _from_history(
    context: Context, published: Comparison, worst: Counts | None
) -> tuple[TableBlock, Prose, list[Result]]:
    wanted = context.settings.noninferiority
    told = wanted["history"]
    history = history_from_smd(*told["smd"], rate=published.reference_rate)
    margins: list[tuple[Margin, float | None]] = [
        (fixed_margin(wanted["margin"], wanted["margin_basis"]["en"]), None)
    ]
    try:
        for fraction in told["preserve"]:
            margins.append((margin_from_history(history, fraction, basis=told["source"]), fraction))
    except NumericalError:
        pass
    sets = [published.counts] + ([worst] if worst is not None else [])
    made = [_result(published, history, m, f, sets) for m, f in margins]
    return _table(context, made), _prose(context, published, history, made), made


def _result(
    published: Comparison,
    history: History,
    margin: Margin,
    fraction: float | None,
    sets: Sequence[Counts],
) -> Result:
    found = noninferiority(sets, margin)
    value: dict[str, Any] = {
        "margin": margin.value,
        "preserved": fraction,
        "given_up": share_given_up(margin, history),
        "proven": history.lower,
        "added": history.difference.value,
        "placebo_rate": history.placebo_rate,
        "reference_rate": history.reference_rate,
        "verdicts": [s.verdict for s in found.sets],
    }
    if fraction is not None:
        z, p = synthesis_test(wald_difference(sets[0]), history.difference, fraction)
        value |= {"synthesis_z": z, "synthesis_p": p}
    name = "declared" if fraction is None else f"preserved_{100 * fraction:g}"
    return Result(
        id=f"against.margin.{published.trial.id}.{name}",
        value=value,
        method=f"{history.method}; margin = (1 − kept) × its lower limit; {found.method}; "
        "synthesis test with constancy assumed",
        inputs=tuple(f.id for f in published.rows),
        digest=digest_of(found.inputs, history.lower, history.difference),
    )


def _table(context: Context, made: Sequence[Result]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for r in made:
        v = r.value
        kept = v["preserved"]
        name = (
            w.plain("margins.declared")
            if kept is None
            else w.plain("margins.preserved", share=n.percent(kept))
        )
        test = "–"
        if kept is not None:
            test = context.result_claim(r, f"z {n.fixed(v['synthesis_z'], 1)}")
        verdicts = [w.plain(f"verdict.{x}") for x in v["verdicts"]]
        rows.append(
            (
                name,
                context.result_claim(r, n.fixed(100 * v["margin"], 1)),
                n.percent(v["given_up"]) if math.isfinite(v["given_up"]) else "–",
                *verdicts,
                *("–" for _ in range(2 - len(verdicts))),
                test,
            )
        )
    heads = ("margin", "points", "given_up", "published", "worst", "synthesis")
    return TableBlock(
        id="margins",
        title=w.plain("margins.table"),
        header=[w.plain(f"margins.head_{h}") for h in heads],
        rows=rows,
        caption=w("margins.caption"),
        numeric=(1, 2),
    )


def _prose(
    context: Context, published: Comparison, history: History, made: Sequence[Result]
) -> Prose:
    w, n = context.words, context.numbers
    told = context.settings.noninferiority["history"]
    reference = context.settings.reference["label"][context.lang]
    source = context.base.sources.get(told["source"])
    value, low, high = told["smd"]
    shared = {
        "reference": reference,
        "placebo": told["placebo"][context.lang],
        "effect": n.with_interval(value, low, high),
        "trials": w.count("page.trials_count", told["trials"]),
        "patients": n.whole(told["patients"]),
        "source": source.citation.rstrip(".") if source else told["source"],
        "trial": published.trial.label,
    }
    key = "history" if history.lower > 0 else "history_unproven"
    declared = made[0]
    text = w(
        f"margins.{key}",
        rate=n.percent(history.reference_rate),
        proven=context.result_claim(declared, n.fixed(100 * history.lower, 1)),
        given_up=context.result_claim(
            declared,
            n.percent(declared.value["given_up"])
            if math.isfinite(declared.value["given_up"])
            else "–",
        ),
        **shared,
    )
    return Prose(paragraphs=paragraphs(text + " " + w("margins.constancy", **shared)))


def _rate_elsewhere(context: Context, published: Comparison) -> tuple[Any, list[Result], list[str]]:
    """The reference's own rate against other trials with the same reference, or who is silent."""
    wanted = context.settings.noninferiority
    outcome = wanted.get("anchor", wanted["outcome"])
    own = read_comparison(context, published.trial.id, outcome)
    others = [
        t
        for t in context.base.trials
        if t.comparator == published.trial.comparator and t.id != published.trial.id
    ]
    found = {t.id: c for t in others if (c := read_comparison(context, t.id, outcome)) is not None}
    silent = [t for t in others if t.id not in found]
    spread = reference_rates(
        [
            ReferenceArm(
                trial=c.trial.label,
                events=c.counts.reference_events,
                total=c.counts.reference_total,
            )
            for c in found.values()
        ]
    )
    if own is None or spread is None or len(found) < FEWEST:
        return _silent(context, outcome, list(found.values()), silent), [], []
    return _judged(context, published, own, list(found.values()), spread)


def _silent(
    context: Context, outcome: str, known: Sequence[Comparison], silent: Sequence[Trial]
) -> Any:
    w, n = context.words, context.numbers
    return w(
        "margins.silent",
        reference=context.settings.reference["label"][context.lang],
        known=n.whole(len(known)),
        all=n.whole(len(known) + len(silent)),
        outcome=context.term("outcome", outcome),
        trials=", ".join(t.label for t in silent) or "–",
    )


def _judged(
    context: Context,
    published: Comparison,
    own: Comparison,
    others: Sequence[Comparison],
    spread: Any,
) -> tuple[Any, list[Result], list[str]]:
    w, n = context.words, context.numbers
    wanted = context.settings.noninferiority
    mean, _ = spread
    rate = 1 / (1 + math.exp(-mean.value))
    made = assay_sensitivity(
        own.counts,
        fixed_margin(wanted["margin"], wanted["margin_basis"]["en"]),
        history_rate=rate,
        history=spread,
    )
    low, high = made.reanchored.interval
    rows = [f.id for c in (own, *others) for f in c.rows]
    result = Result(
        id=f"against.reference_rate.{published.trial.id}",
        value={
            "observed": made.observed_rate,
            "elsewhere": rate,
            "trials": len(others),
            "z": made.z,
            "difference": made.reanchored.difference,
            "ci": [low, high],
            "verdict": made.reanchored.verdict,
        },
        method="random-effects mean log odds of the reference in the other trials, REML; the "
        "arm's distance from its predictive distribution",
        inputs=tuple(rows),
        digest=made.inputs,
    )
    text = w(
        "margins.judged",
        reference=context.settings.reference["label"][context.lang],
        observed=context.result_claim(result, n.percent(made.observed_rate)),
        there=context.result_claim(result, n.percent(rate)),
        trials=w.count("page.trials_count", len(others)),
        z=context.result_claim(result, n.fixed(made.z or 0.0, 1)),
        difference=context.result_claim(
            result,
            n.with_interval(100 * made.reanchored.difference, 100 * low, 100 * high, digits=1),
        ),
        verdict=w.plain(f"verdict.{made.reanchored.verdict}"),
    )
    return text, [result], rows
