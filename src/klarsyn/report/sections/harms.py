"""One block for each harm that matters: what this evidence can and cannot exclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from klarsyn.bias.harms import Exposure, HarmAppraisal, HarmRecord, appraise_harm
from klarsyn.errors import NumericalError
from klarsyn.figures.theme import finish
from klarsyn.figures.upper import LimitRow, limits
from klarsyn.report.context import Context
from klarsyn.report.counts import Count, arm_counts, without_overlap
from klarsyn.report.document import Figure, Result, TableBlock, anchor_of, spoken

# Nobody recorded how the trials of a base asked; counts are taken as they stand.
AS_TOLD: Mapping[str, float] = {"systematic": 1.0, "spontaneous": 1.0, "unknown": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One outcome of a harm: the counts, what they exclude, and the numbered result."""

    outcome: str
    counts: tuple[Count, ...]
    appraisal: HarmAppraisal
    result: Result

    @property
    def exposure(self) -> Exposure:
        """All patients given the drug."""
        return self.appraisal.exposures[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmBlocks:
    """What the section gains, with its results and rows."""

    blocks: list[Any]
    results: list[Result]
    findings: list[str]


def harm_blocks(context: Context) -> HarmBlocks:
    """A picture of all harms that the settings name, then a block for each."""
    wanted = context.settings.harm_blocks
    found = {h["id"]: [s for o in h["outcomes"] if (s := _seen(context, o))] for h in wanted}
    every = [s for seen in found.values() for s in seen]
    if not wanted:
        return HarmBlocks(blocks=[], results=[], findings=[])
    blocks: list[Any] = [_figure(context, found)] if every else []
    blocks += [_table(context, h, found[h["id"]]) for h in wanted]
    return HarmBlocks(
        blocks=blocks,
        results=[s.result for s in every],
        findings=[f.id for s in every for c in s.counts for f in c.rows],
    )


def commoner(context: Context, outcomes: Sequence[str], most: int) -> list[tuple[Seen, float]]:
    """The harms that the drug clearly adds, with the risk difference, largest first."""
    found = []
    for seen in filter(None, (_seen(context, o) for o in outcomes)):
        difference = seen.appraisal.difference
        if difference is not None and difference.adds:
            found.append((seen, difference.value))
    return sorted(found, key=lambda pair: -pair[1])[:most]


def _seen(context: Context, outcome: str) -> Seen | None:
    arms = [c for c in arm_counts(context, outcome) if c.arm.role in {"test", "control"}]
    counts = tuple(without_overlap(arms))
    if not any(c.arm.role == "test" for c in counts):
        return None
    both = {c.trial.id for c in counts if c.arm.role == "control"}
    records = [
        HarmRecord(
            study=c.trial.id,
            harm=outcome,
            arm=c.arm.role if c.trial.id in both else "single",
            events=int(c.events),
            patients=int(c.n),
            ascertainment="unknown",
        )
        for c in counts
    ]
    try:
        made = appraise_harm(
            records,
            outcome,
            rates=context.settings.rates_to_exclude,
            multipliers=AS_TOLD,
        )
    except NumericalError:
        return None
    return Seen(
        outcome=outcome, counts=counts, appraisal=made, result=_result(outcome, made, counts)
    )


def _result(outcome: str, made: HarmAppraisal, counts: Sequence[Count]) -> Result:
    whole = made.exposures[0]
    value: dict[str, Any] = {
        "events": whole.events,
        "patients": whole.patients,
        "trials": whole.studies,
        "upper": whole.upper,
        "shares": list(whole.shares),
        "excluded": [e.rate for e in whole.exclusions if e.excluded],
        "not_excluded": [e.rate for e in whole.exclusions if not e.excluded],
        "still_needed": [e.needed for e in whole.exclusions],
    }
    if (d := made.difference) is not None:
        value |= {"risk_difference": d.value, "risk_difference_ci": [d.low, d.high]}
        if (k := len(d.trials)) > 1:
            own = [v for v, _, _ in d.trials]
            value["risk_difference_trials"] = [k, min(own), max(own)]
    return Result(
        id=f"harm.{outcome}",
        value=value,
        method=f"{made.method}; risk difference of one trial by Newcombe, of several by "
        "Mantel–Haenszel, trials without events kept and the interval wider where trials lie "
        "further apart than by chance; counts as told, ascertainment unknown",
        inputs=tuple(f.id for c in counts for f in c.rows),
        digest=made.digest,
    )


def _figure(context: Context, found: Mapping[str, Sequence[Seen]]) -> Figure:
    w, n, lang = context.words, context.numbers, context.lang
    rows: list[LimitRow] = []
    for harm in context.settings.harm_blocks:
        rows.append(LimitRow(kind="heading", label=harm["label"][lang]))
        rows += [_row(context, s) for s in found[harm["id"]]]
        if not found[harm["id"]]:
            rows.append(LimitRow(kind="study", label=w.plain("harms.nobody")))
    rates = [
        (r, w.plain("safety.one_in", count=n.whole(1 / r)))
        for r in context.settings.rates_to_exclude
    ]
    ends = rates[:: max(1, len(rates) - 1)]
    x_title = w.plain("harms.x")

    def draw(narrow: bool) -> Any:
        return finish(limits(rows, rates=ends, x_title=x_title, narrow=narrow))

    return Figure(
        id="harm-limits",
        title=w.plain("harms.figure"),
        alt=" ".join([w.plain("harms.alt"), *spoken(rows)]),
        wide=draw(False),
        narrow=draw(True),
        caption=w("harms.caption"),
    )


def _row(context: Context, s: Seen) -> LimitRow:
    w, n, e = context.words, context.numbers, s.exposure
    text = f"{e.events}/{e.patients}, < {n.percent(e.upper, 1)}"
    return LimitRow(
        kind="study",
        label=context.heading("outcome", s.outcome),
        numbers=text,
        share=e.events / e.patients,
        upper=e.upper,
        link="#" + anchor_of("result", s.result.id),
        details={
            w.plain("safety.rare_harm"): context.term("outcome", s.outcome),
            w.plain("safety.rare_trials"): n.whole(e.studies),
            w.plain("hover.events"): f"{e.events} / {e.patients}",
            w.plain("safety.rare_upper"): n.percent(e.upper, 2),
            w.plain("hover.source"): context.source_of(s.result.inputs),
        },
    )


def _table(context: Context, harm: Mapping[str, Any], seen: Sequence[Seen]) -> TableBlock:
    """The block of one harm: a sentence, then its counts and what they exclude."""
    w, lang = context.words, context.lang
    heads = ("outcome", "seen", "excluded", "against", "apart")
    texts = [_answer(context, seen) if seen else w("harms.none")]
    texts += [s for x in seen if (s := _open(context, x))]
    if note := harm.get("note"):
        texts.append(Markup("{}").format(note[lang]))
    return TableBlock(
        id=f"harm-{harm['id']}",
        title=harm["label"][lang],
        header=[w.plain(f"harms.head.{h}") for h in heads],
        rows=[_cells(context, s) for s in seen],
        lead=Markup(" ").join(texts),
        numeric=(1, 2, 3, 4),
    )


def _answer(context: Context, seen: Sequence[Seen]) -> Any:
    """What the drug clearly adds, and of the other outcomes what is not excluded."""
    w, n = context.words, context.numbers
    added = [s for s in seen if (d := s.appraisal.difference) is not None and d.adds]
    parts = []
    if added:
        names = [context.term("outcome", s.outcome) for s in added]
        parts.append(w("harms.adds", harms=", ".join(names)))
    if rest := [s for s in seen if s not in added]:
        limits = [
            w(
                "harms.up_to",
                harm=context.term("outcome", s.outcome),
                upper=context.result_claim(s.result, n.percent(s.exposure.upper, 1)),
            )
            for s in rest
        ]
        parts.append(w("harms.cannot", harms=Markup(", ").join(limits)))
    return Markup(" ").join(parts)


def _open(context: Context, s: Seen) -> Any | None:
    """The commonest of the asked rates that is not excluded, and how many patients that takes."""
    w, n = context.words, context.numbers
    missed = [x for x in s.exposure.exclusions if not x.excluded]
    least = max(missed, key=lambda x: x.rate) if missed else None
    if least is None or not least.needed:
        return None
    return w(
        "harms.open",
        harm=context.term("outcome", s.outcome),
        rate=w.plain("safety.one_in", count=n.whole(1 / least.rate)),
        needed=context.result_claim(s.result, n.whole(least.needed)),
    )


def _cells(context: Context, s: Seen) -> tuple[Any, ...]:
    w, n, e = context.words, context.numbers, s.exposure

    def claim(text: str) -> Any:
        return context.result_claim(s.result, text)

    d = s.appraisal.difference
    apart = s.result.value.get("risk_difference_trials")
    counted = w(
        "harms.seen",
        events=claim(n.whole(e.events)),
        patients=claim(n.whole(e.patients)),
        trials=w.count("page.trials_count", e.studies),
    )
    return (
        context.heading("outcome", s.outcome),
        counted,
        _excluded(context, s),
        claim(n.with_interval(100 * d.value, 100 * d.low, 100 * d.high, digits=1)) if d else "–",
        claim(n.interval(100 * apart[1], 100 * apart[2], 0)) if apart else "–",
    )


def _excluded(context: Context, s: Seen) -> Any:
    """What the counts exclude; where trials lie apart, for an average one, with their range."""
    w, n, e = context.words, context.numbers, s.exposure
    upper = context.result_claim(s.result, n.percent(e.upper, 1))
    if e.apart <= 1:
        return w("harms.more", upper=upper)
    lowest, highest = e.shares
    shares = n.interval(100 * lowest, 100 * highest, 0)
    return w("harms.more_apart", upper=upper, shares=context.result_claim(s.result, shares))
