"""Could they tell? Guesses by arm, outcome by guess, and how strong belief would have to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.bias.blinding import scenario
from klarsyn.bias.blinding_synthesis import pool_indices
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Guess, Trial
from klarsyn.figures.indices import IndexRow, indices
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    TableBlock,
    anchor_of,
    paragraphs,
    spoken,
)
from klarsyn.report.guessing import CUT, ArmGuess, arm_guesses
from klarsyn.report.records import cited, record_claim, record_id
from klarsyn.report.sections.belief import (
    belief_of,
    curve_figure,
    curve_prose,
    derive_readings,
    evidence_result,
    main_reading,
    readings_table,
)
from klarsyn.report.sections.controls import control_blocks
from klarsyn.report.sections.tipping import derive_tipped, tip_figure, tip_prose

OPEN = frozenset({"open_label", "rater_masked", "unknown", ""})


def build_told(context: Context) -> tuple[Section, Any] | None:
    """The section and its answer; None where no trial of the base was masked."""
    trials = [t for t in context.base.trials if _masked(t)]
    if not trials:
        return None
    guesses = arm_guesses(context)
    answer = _answer(context, trials, guesses)
    pooled = _pooled(guesses)
    blocks_of_belief, belief_results, belief_rows = _belief(context, guesses)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    if guesses:
        blocks.append(_figure(context, guesses, pooled))
    if context.base.guesses:
        blocks.append(_table(context, guesses))
    controls = control_blocks(context)
    blocks += [*blocks_of_belief, *controls.blocks]
    blocks.append(_silent(context, trials))
    blocks.append(Prose(paragraphs=paragraphs(context.words("told.missing")), tone="caution"))
    records = [record_id(g) for g in context.base.guesses]
    section = Section(
        id="told",
        title=context.words.plain("told.title"),
        blocks=blocks,
        results=[
            *(g.result for g in guesses),
            *(r for _, r in pooled),
            *belief_results,
            *controls.results,
        ],
        findings=[*records, *belief_rows, *controls.findings],
    )
    return section, answer


def _belief(
    context: Context, guesses: Sequence[ArmGuess]
) -> tuple[list[Any], list[Result], list[str]]:
    """The curves of outcome by guess, then the tipping curves of the first time window."""
    readings = derive_readings(context)
    main = main_reading(context, readings)
    evidence = belief_of(context, main) if main is not None else None
    tipped = derive_tipped(context, guesses, evidence)
    blocks: list[Any] = []
    results = [*(r.result for r in readings), *(t.result for t in tipped)]
    if main is not None:
        blocks += [curve_figure(context, main), curve_prose(context, main)]
        blocks.append(readings_table(context, readings))
        results.append(evidence_result(main, evidence))
    if tipped:
        blocks += [tip_figure(context, tipped, main), tip_prose(context, tipped, main)]
    return blocks, results, [record_id(row) for r in readings for row in r.rows]


def _masked(trial: Trial) -> bool:
    return trial.comparator not in {"none", ""} and trial.blinding not in OPEN


def _answer(context: Context, trials: Sequence[Trial], guesses: Sequence[ArmGuess]) -> Any:
    masked = {t.id for t in trials}
    asked = {g.trial for g in context.base.guesses} & masked
    counted = {g.trial.id for g in guesses if g.index is not None} & masked
    n = context.numbers
    return context.words(
        "told.answer",
        masked=n.whole(len(masked)),
        asked=n.whole(len(asked)),
        counts=n.whole(len(counted)),
    )


def _pooled(guesses: Sequence[ArmGuess]) -> list[tuple[str, Result]]:
    """Bang's index of patients pooled for each role with counts from two trials or more."""
    out = []
    for role in ("active", "control"):
        chosen = first_asked(
            [
                g
                for g in guesses
                if g.index is not None and g.role == role and g.guess.respondent == "patient"
            ]
        )
        if len({g.trial.id for g in chosen}) < 2:
            continue
        try:
            arms = [g.index for g in chosen if g.index is not None]
            pooled = pool_indices(arms, tau2_method="REML", test="adhoc")
        except InputError:
            continue
        value = {
            "estimate": pooled.estimate,
            "ci": [pooled.ci_lower, pooled.ci_upper],
            "k": pooled.k,
        }
        result = Result(
            id=f"told.pooled.{role}",
            value=value,
            method=f"Bang's index, random effects, {pooled.method}, {pooled.test}",
            inputs=tuple(g.result.id for g in chosen),
            digest=digest_of([g.result.digest for g in chosen]),
        )
        out.append((role, result))
    return out


def first_asked(guesses: Sequence[ArmGuess]) -> list[ArmGuess]:
    """The earliest guess of each arm: the same patients count once, before benefit shows."""

    def when(g: ArmGuess) -> float:
        days = g.guess.days_from_first_dose
        return float("inf") if days is None else days

    first: dict[tuple[str, str], ArmGuess] = {}
    for g in sorted(guesses, key=when):
        first.setdefault((g.trial.id, g.guess.arm), g)
    return [g for g in guesses if first[g.trial.id, g.guess.arm] is g]


def _figure(
    context: Context, guesses: Sequence[ArmGuess], pooled: Sequence[tuple[str, Result]]
) -> Figure:
    w, n = context.words, context.numbers
    palette = {
        w.plain("told.group_active"): PALETTE[1],
        w.plain("told.group_control"): PALETTE[0],
    }
    rows: list[IndexRow] = []
    seen = ""
    for g in guesses:
        if g.trial.label != seen:
            rows.append(IndexRow(kind="heading", label=g.trial.label))
            seen = g.trial.label
        rows.append(_row(context, g))
    title = w.plain("told.x")
    sides = (w.plain("told.side_left"), w.plain("told.side_right"))
    told = [
        w.plain(
            "told.pooled_role",
            k=r.value["k"],
            group=w.plain(f"told.group_{role}"),
            index=n.with_interval(r.value["estimate"], *r.value["ci"]),
        )
        for role, r in pooled
    ]

    def draw(narrow: bool) -> Any:
        return finish(
            indices(rows, palette=palette, x_title=title, cut=CUT, sides=sides, narrow=narrow)
        )

    return Figure(
        id="told-indices",
        title=w.plain("told.figure"),
        alt=" ".join([w.plain("told.alt"), *spoken(rows)]),
        wide=draw(False),
        narrow=draw(True),
        caption=w(
            "told.caption",
            cut=n.fixed(CUT, 1),
            pooled=" ".join(told) or w.plain("told.pooled_none"),
        ),
    )


def _row(context: Context, g: ArmGuess) -> IndexRow:
    w, n = context.words, context.numbers
    who = w.plain(f"told.by_{g.guess.respondent}")
    exact = g.index is not None
    text = (
        n.with_interval(g.allowed[0], *(g.interval or g.allowed))
        if exact
        else n.interval(*g.allowed)
    )
    return IndexRow(
        kind="study",
        label=f"{_name(context, g)}, {who}",
        numbers=text,
        group=w.plain(f"told.group_{g.role}"),
        value=g.allowed[0] if exact else None,
        interval=g.interval if exact else None,
        allowed=None if exact else g.allowed,
        link="#" + anchor_of("result", g.result.id),
        details={
            w.plain("hover.trial"): g.trial.label,
            w.plain("hover.arm"): f"{g.arm.label}, {who}",
            w.plain("told.head_index"): text,
            w.plain("told.head_share"): _share(context, g.guess),
            w.plain("told.head_reads"): _class(context, g),
            w.plain("hover.source"): cited(context, g.guess),
        },
    )


def _name(context: Context, g: ArmGuess) -> str:
    return context.heading("treatment", g.arm.treatment) if g.arm.treatment else g.arm.label


def _share(context: Context, guess: Guess) -> str:
    n, w = context.numbers, context.words
    parts = []
    if guess.percent_correct is not None:
        parts.append(n.percent(guess.percent_correct / 100, 0))
    if guess.correct is not None and guess.total:
        parts.append(f"{guess.correct}/{guess.total}")
    if guess.dont_know is not None:
        parts.append(f"{w.plain('told.count_unknown')} {guess.dont_know}")
    return ", ".join(parts) or "–"


def _class(context: Context, g: ArmGuess) -> str:
    reading = g.reading().split(" ")[0]
    w = context.words
    if not reading:
        return w.plain("told.cannot_tell")
    key = "sure" if g.settled else "unsure_random" if reading == "random" else "unsure"
    return w.plain(f"told.reading_{key}", reading=w.plain(f"told.class.{reading}"))


def _table(context: Context, guesses: Sequence[ArmGuess]) -> TableBlock:
    w = context.words
    by_row = {g.guess.row: g for g in guesses}
    rows = []
    for guess in context.base.guesses:
        g = by_row.get(guess.row)
        who = w.plain(f"told.by_{guess.respondent}")
        arm = _name(context, g) if g else w.plain("told.whole")
        index: Any = "–"
        reads = w.plain("told.no_arms")
        if g is not None:
            index = context.result_claim(g.result, _row(context, g).numbers)
            reads = _class(context, g)
        rows.append(
            (
                context.base.trial(guess.trial).label,
                f"{arm}, {who}",
                record_claim(guess, _share(context, guess)),
                index,
                reads,
            )
        )
    return TableBlock(
        id="guesses",
        folded=True,
        title=w.plain("told.table"),
        header=[w.plain(f"told.head_{h}") for h in ("trial", "who", "share", "index", "reads")],
        rows=rows,
        caption=_scenarios(context, guesses),
    )


def _scenarios(context: Context, guesses: Sequence[ArmGuess]) -> Any:
    """What both arms of a trial together look like, where both can be classed."""
    w = context.words
    out = []
    for trial, who in dict.fromkeys((g.trial.id, g.guess.respondent) for g in guesses):
        mine = [g for g in guesses if (g.trial.id, g.guess.respondent) == (trial, who)]
        ends = {r: [g for g in mine if g.role == r and g.reading()] for r in ("active", "control")}
        if len(ends["active"]) == 1 and len(ends["control"]) == 1:
            a, c = ends["active"][0], ends["control"][0]
            name, _ = scenario(a.allowed[0], c.allowed[0], CUT)
            name = name if a.settled and c.settled else "unsettled"
            text = f"{a.trial.label} ({w.plain(f'told.by_{who}')}): " + w.plain(
                f"told.scenario.{name}"
            )
            out.append(text)
    return "; ".join(out) + "." if out else ""


def _silent(context: Context, trials: Sequence[Trial]) -> TableBlock:
    w, n = context.words, context.numbers
    asked = {g.trial for g in context.base.guesses}
    silent = [t for t in trials if t.id not in asked]
    looked = {
        f.trial for f in context.base.findings if f.outcome.startswith("guess") and f.value is None
    }
    text = w(
        "told.silent",
        trials=", ".join(t.label for t in silent) or "–",
        looked=n.whole(sum(t.id in looked for t in silent)),
    )
    return TableBlock(
        id="silent",
        title=w.plain("told.silent_title", count=n.whole(len(silent))),
        header=(),
        rows=(),
        lead=text,
        folded=True,
    )
