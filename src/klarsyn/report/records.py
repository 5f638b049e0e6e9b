"""Rows of a base's side tables (guesses, outcomes by guess, inclusion) as rows of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from klarsyn.evidence.trial import Guess, GuessOutcome, Inclusion
from klarsyn.report.context import Context
from klarsyn.report.document import anchor_of, claim

Record = Guess | GuessOutcome | Inclusion
TABLES = {Guess: "guesses", GuessOutcome: "guess_outcomes", Inclusion: "inclusion"}


def record_id(record: Record) -> str:
    """What a row of a side table is called on the page: its table and its line in the file."""
    return f"{TABLES[type(record)]}:{record.row}"


def record_claim(record: Record, text: str) -> Any:
    """A number that links to the row of the side table it was read from."""
    return claim(text, anchor_of("row", record_id(record)))


def cited(context: Context, record: Record) -> str:
    """The citation of the row's source."""
    source = context.base.sources.get(record.source)
    return source.citation if source else record.source


def record_rows(context: Context, ids: Iterable[str]) -> list[Mapping[str, Any]]:
    """The rows of the side tables among these ids, as the page lists rows."""
    base, wanted = context.base, set(ids)
    every: list[Record] = [*base.guesses, *base.guess_outcomes, *base.inclusion]
    return [_row(context, r) for r in every if record_id(r) in wanted]


def _row(context: Context, record: Record) -> Mapping[str, Any]:
    what, value, unit = _told(context, record)
    kind = getattr(record, "kind", "reported")
    return {
        "id": record_id(record),
        "what": what,
        "value": value,
        "unit": unit,
        "printed": "–" if value is None else context.numbers.general(value),
        "source": record.source,
        "locator": getattr(record, "locator", ""),
        "kind": context.term("kind", kind),
        "confidence": context.term("confidence", "primary" if kind == "reported" else "secondary"),
        "note": record.note,
    }


def _told(context: Context, record: Record) -> tuple[str, float | None, str]:
    w, n = context.words, context.numbers
    label = context.base.trial(record.trial).label
    if isinstance(record, Inclusion):
        state = "included" if record.included else "left_out"
        text = f"{record.assessment}, {label}: {w.plain(f'page.{state}')}"
        return (f"{text}. {record.reason}" if record.reason else text), None, ""
    arm = context.arm_label(record.trial, record.arm)
    if isinstance(record, GuessOutcome):
        guess = w.plain(f"told.guess_{record.guess}")
        parts = [label, arm, guess, context.term("outcome", record.outcome), record.scale]
        size = f"n = {record.n}, SD {n.fixed(record.sd, 2) if record.sd is not None else '–'}"
        return ", ".join(p for p in (*parts, size) if p), record.mean, "points"
    who = w.plain(f"told.by_{record.respondent}")
    counts = {
        "right": record.correct,
        "wrong": record.wrong,
        "unknown": record.dont_know,
        "asked": record.total,
    }
    told = [f"{w.plain(f'told.count_{k}')} {v}" for k, v in counts.items() if v is not None]
    text = ", ".join([label, arm, who, *told])
    return text, record.percent_correct, "percent"
