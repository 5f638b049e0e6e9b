"""How safely? Adverse events by arm, and what the numbers can and cannot exclude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.counts import Count, arm_counts, compared_pairs, paired_pictures, paired_rates
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    TableBlock,
    paragraphs,
    unique,
)
from klarsyn.report.sections.harms import Seen, commoner, harm_blocks
from klarsyn.stats.rates import overdispersion, patients_without_event, upper_limit

COMMON = 3  # harms that the drug clearly adds, named in the first screen


def build_safety(context: Context) -> tuple[Section, Any]:
    """The section and its answer in one sentence."""
    harms = {h: arm_counts(context, h) for h in context.settings.harms}
    shown = {h: c for h, c in harms.items() if _compared(c)}
    rare = [_rare(context, h) for h in context.settings.rare]
    results = [r for _, _, r in rare if r is not None]
    exclusions = _exclusions(context)
    common = commoner(context, context.settings.harms, COMMON)
    answer = _answer(context, common, rare)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    blocks += [_figure(context, shown)] if shown else []
    pages = harm_blocks(context)
    blocks += pages.blocks or ([_rare_table(context, rare)] if rare else [])
    blocks.append(_exclusion_table(context, exclusions))
    blocks.append(Prose(paragraphs=paragraphs(context.words("safety.caution")), tone="caution"))
    counts = [c for cs in shown.values() for c in cs] + [c for _, cs, _ in rare for c in cs]
    section = Section(
        id="safety",
        title=context.words.plain("safety.title"),
        blocks=blocks,
        results=unique([*results, *pages.results, *exclusions, *(s.result for s, _ in common)]),
        findings=[*(f.id for c in counts for f in c.rows), *pages.findings],
    )
    return section, answer


def _compared(counts: Sequence[Count]) -> bool:
    return bool(compared_pairs(counts))


def _figure(context: Context, harms: dict[str, list[Count]]) -> Figure:
    w = context.words
    return Figure(
        id="adverse-events",
        title=w.plain("safety.figure"),
        alt=w.plain(
            "safety.alt",
            harms=", ".join(context.term("outcome", h) for h in harms),
            k=len({t.id for c in harms.values() for t, _ in compared_pairs(c)}),
        ),
        **paired_pictures(context, paired_rates(context, harms), w.plain("safety.x")),
        caption=w("safety.caption"),
    )


Rare = tuple[str, list[Count], Result | None]


def _rare(context: Context, outcome: str) -> Rare:
    counts = [c for c in arm_counts(context, outcome) if c.arm.role == "test"]
    if not counts:
        return outcome, [], None
    events, n = sum(c.events for c in counts), sum(c.n for c in counts)
    trials = dict.fromkeys(c.trial.id for c in counts)
    of = [[c for c in counts if c.trial.id == t] for t in trials]
    apart = overdispersion(
        [sum(c.events for c in x) for x in of], [sum(c.n for c in x) for x in of]
    )
    result = Result(
        id=f"rare.{outcome}",
        value={
            "events": events,
            "patients": n,
            "trials": len(trials),
            "upper": upper_limit(events / apart, n / apart),
        },
        method="one-sided exact 95 % upper limit of all test arms together, wider where trials "
        "lie further apart than by chance",
        inputs=tuple(f.id for c in counts for f in c.rows),
        digest=digest_of([(c.trial.id, c.arm.id, c.events, c.n) for c in counts]),
    )
    return outcome, counts, result


def _rare_table(context: Context, rare: Sequence[Rare]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for outcome, _, result in rare:
        label = context.heading("outcome", outcome)
        if result is None:
            rows.append((label, w.plain("safety.nobody"), "–", "–", "–"))
            continue
        v = result.value
        rows.append(
            (
                label,
                n.whole(v["trials"]),
                context.result_claim(result, n.general(v["events"])),
                n.whole(v["patients"]),
                context.result_claim(result, n.percent(v["upper"], 2)),
            )
        )
    header = ["harm", "trials", "events", "patients", "upper"]
    return TableBlock(
        id="rare",
        title=w.plain("safety.rare_title"),
        header=[w.plain(f"safety.rare_{h}") for h in header],
        rows=rows,
        caption=w("safety.rare_caption"),
        numeric=(1, 2, 3, 4),
    )


def _exclusions(context: Context) -> list[Result]:
    """For each rate: the patients who would have had to be observed, and those who were treated."""
    treated = sum(
        a.started or a.randomised or 0
        for t in context.base.trials
        for a in t.arms
        if a.role == "test"
    )
    return [
        Result(
            id=f"exclude.{rate:g}",
            value={
                "rate": rate,
                "needed": patients_without_event(rate),
                "treated": float(treated),
            },
            method="ln 0.05 / ln(1 − rate), rounded up; treated are all test arms of the base",
            inputs=(),
            digest=digest_of(rate, treated, context.base.digest),
        )
        for rate in context.settings.rates_to_exclude
    ]


def _exclusion_table(context: Context, exclusions: Sequence[Result]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = [
        (
            w.plain("safety.one_in", count=n.whole(1 / r.value["rate"])),
            context.result_claim(r, n.whole(r.value["needed"])),
            context.result_claim(r, n.whole(r.value["treated"])),
            w.plain("safety.enough" if r.value["treated"] >= r.value["needed"] else "safety.short"),
        )
        for r in exclusions
    ]
    header = ["rate", "needed", "treated", "verdict"]
    return TableBlock(
        id="exclude",
        title=w.plain("safety.exclude_title"),
        header=[w.plain(f"safety.exclude_{h}") for h in header],
        rows=rows,
        caption=w("safety.exclude_caption"),
        numeric=(1, 2),
    )


def _answer(context: Context, common: Sequence[tuple[Seen, float]], rare: Sequence[Rare]) -> Any:
    """What the drug clearly adds, then what was too rare to be settled."""
    texts = [_added(context, common)] if common else []
    known = [(outcome, r) for outcome, _, r in rare if r is not None][:2]
    w, n = context.words, context.numbers
    if not known:
        texts.append(w("safety.nothing" if common else "safety.nothing_at_all"))
    else:
        clauses = [
            w(
                "safety.clause",
                harm=context.term("outcome", outcome).lower(),
                upper=context.result_claim(r, n.percent(r.value["upper"], 1)),
                patients=context.result_claim(r, n.whole(r.value["patients"])),
            )
            for outcome, r in known
        ]
        texts.append(w("safety.answer", clauses=Markup("; ").join(clauses)))
    return Markup(" ").join(texts)


def _added(context: Context, common: Sequence[tuple[Seen, float]]) -> Any:
    w, n = context.words, context.numbers
    clauses = []
    for seen, difference in common:
        found = seen.result.value
        apart = found.get("risk_difference_trials")
        low, high = apart[1:] if apart else found["risk_difference_ci"]
        told = w(
            "safety.added_trials" if apart else "safety.added_trial",
            interval=n.interval(100 * low, 100 * high, 0),
            trials=apart[0] if apart else 1,
        )
        points = context.result_claim(seen.result, n.whole(100 * difference))
        harm = context.term("outcome", seen.outcome).lower()
        clauses.append(w("safety.added_clause", harm=harm, points=points, told=told))
    return w("safety.added", clauses=Markup(", ").join(clauses))
