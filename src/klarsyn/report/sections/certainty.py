"""How sure can we be? The map of the evidence, and what no trial reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from markupsafe import Markup

from klarsyn.evidence.completeness import Question
from klarsyn.evidence.completeness import completeness as completeness_of
from klarsyn.evidence.select import select_trials
from klarsyn.evidence.trial import Trial
from klarsyn.figures.completeness import KnownCell, completeness
from klarsyn.figures.map import MapPoint, evidence_map
from klarsyn.figures.theme import finish
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
)

STATES = {"reported": "#0072B2", "absent": "#E69F00", "not_looked_for": "#e6e9ec"}


def build_certainty(context: Context, graded: Any = None) -> tuple[Section, Any]:
    """The section and its answer, which begins with `graded`, the Summary of Findings' sentence."""
    facts = _facts(context)
    selection = _selection(context)
    known = known_cells(context)
    share = _share_result(known)
    counts = _counts(context)
    answer = _answer(context, graded, counts, selection, share)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    if any(t.doses and followup_of(t) is not None for t in controlled(context)):
        blocks.append(_map(context))
    if selection is not None:
        blocks.append(Prose(paragraphs=paragraphs(_selection_sentence(context, selection))))
    blocks += [_fact_table(context, facts)] if facts else []
    blocks.append(_known_figure(context, known))
    section = Section(
        id="certainty",
        title=context.words.plain("certainty.title"),
        blocks=blocks,
        results=[*(f.result for f in facts), *([selection] if selection else []), share, counts],
    )
    return section, answer


def controlled(context: Context) -> list[Trial]:
    """The trials that compared the drug with something."""
    return [t for t in context.base.trials if t.comparator not in {"none", ""}]


def _map(context: Context) -> Figure:
    w, n = context.words, context.numbers
    trials = [t for t in controlled(context) if t.doses and followup_of(t) is not None]
    named = set(context.settings.review.get("named", ()))
    points = [
        MapPoint(
            label=t.label,
            group=context.comparator(t.comparator),
            doses=t.doses or 1,
            followup=followup_of(t) or 0,
            participants=t.participants or 5,
            named=t.id in named,
            link="#" + anchor_of("trial", t.id),
            details={
                w.plain("hover.trial"): t.label,
                w.plain("page.comparator"): context.comparator(t.comparator),
                w.plain("hover.doses"): n.general(t.doses or 0),
                w.plain("hover.followup"): _followup_words(context, t),
                w.plain("hover.patients"): n.whole(t.participants) if t.participants else "–",
                w.plain("hover.source"): context.base.sources[t.source].citation
                if t.source in context.base.sources
                else "",
            },
        )
        for t in trials
    ]

    def draw(narrow: bool) -> Any:
        return finish(
            evidence_map(
                points,
                palette=context.palette(),
                x_title=w.plain("certainty.map_x"),
                y_title=w.plain("certainty.map_y"),
                size_title=w.plain("page.participants"),
                corner=(28, 3),
                corner_text=w.plain("certainty.corner"),
                narrow=narrow,
            )
        )

    total = len(controlled(context))
    return Figure(
        id="evidence-map",
        title=w.plain("certainty.map", k=len(points)),
        alt=w.plain(
            "certainty.map_alt",
            k=len(points),
            single=sum(t.doses == 1 for t in trials),
            long=sum((followup_of(t) or 0) >= 28 for t in trials),
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w("certainty.map_caption", missing=total - len(points), total=total),
    )


def followup_of(trial: Trial) -> float | None:
    """Days after the last dose: as reported, else the last day that a number was reported for."""
    if trial.followup_days is not None:
        return trial.followup_days
    days = [
        f.days_from_last_dose
        for f in trial.findings
        if f.status == "reported"
        and f.days_from_last_dose is not None
        and f.days_from_last_dose >= 0
    ]
    return max(days, default=None)


def _followup_words(context: Context, trial: Trial) -> str:
    days = followup_of(trial)
    assert days is not None
    key = "certainty.days" if trial.followup_days is not None else "certainty.days_at_least"
    return context.words.plain(key, days=context.numbers.general(days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact that a text printed, recomputed from the base."""

    label: str
    printed: str
    ours: float
    text: str
    result: Result


def _facts(context: Context) -> list[Fact]:
    criteria = context.settings.review.get("criteria", ())
    if not criteria:
        return []
    trials = select_trials(context.base, tuple(criteria)).selected
    return [_fact(context, entry, trials) for entry in context.settings.review.get("facts", ())]


def _fact(context: Context, entry: Mapping[str, Any], trials: Sequence[Trial]) -> Fact:
    ours, used = _measured(entry["measure"], trials)
    digits = int(entry.get("digits", 0))
    text = (
        context.numbers.percent(ours, digits)
        if entry.get("as") == "percent"
        else context.numbers.fixed(ours, digits)
    )
    result = Result(
        id=f"review.{entry['measure']}",
        value={"ours": ours, "printed": entry["printed"], "trials": used, "of": len(trials)},
        method=f"{entry['measure']} over trials selected by "
        + ", ".join(context.settings.review["criteria"]),
        inputs=(),
        digest=digest_of([t.id for t in trials], entry["measure"], ours),
    )
    return Fact(
        label=entry["label"][context.lang],
        printed=entry["printed"][context.lang]
        if isinstance(entry["printed"], Mapping)
        else str(entry["printed"]),
        ours=ours,
        text=f"{text} ({used}/{len(trials)})",
        result=result,
    )


def _measured(name: str, trials: Sequence[Trial]) -> tuple[float, int]:
    """The measure's value and how many trials reported what it needs."""
    if name == "count":
        return float(len(trials)), len(trials)
    if name == "single_dose_share":
        known = [t for t in trials if t.doses is not None]
        return sum(t.doses == 1 for t in known) / max(1, len(known)), len(known)
    if name == "mean_on_drug":
        sizes = [s for t in trials if (s := _on_drug(t)) is not None]
        return (fmean(sizes) if sizes else 0.0), len(sizes)
    if name == "mean_followup":
        lengths = [t.followup_days for t in trials if t.followup_days is not None]
        return (fmean(lengths) if lengths else 0.0), len(lengths)
    if name == "median_followup":
        lengths = sorted(t.followup_days for t in trials if t.followup_days is not None)
        return (lengths[len(lengths) // 2] if lengths else 0.0), len(lengths)
    raise KeyError(f"{name} is not a measure of the review's facts")


def _on_drug(trial: Trial) -> float | None:
    tests = [a for a in trial.arms if a.role == "test"]
    sizes = [s for a in tests if (s := a.randomised or a.started or a.completed) is not None]
    if sizes and len(sizes) == len(tests):
        return float(sum(sizes))
    return float(trial.participants) if trial.design == "crossover" and trial.participants else None


def _fact_table(context: Context, facts: Sequence[Fact]) -> TableBlock:
    w = context.words
    return TableBlock(
        id="review-facts",
        title=w.plain("certainty.facts"),
        header=[w.plain(f"certainty.facts_{c}") for c in ("fact", "printed", "ours")],
        rows=[(f.label, f.printed, context.result_claim(f.result, f.text)) for f in facts],
        caption=w("certainty.facts_caption"),
        numeric=(1, 2),
    )


def _selection(context: Context) -> Result | None:
    name = context.settings.selection
    if not name:
        return None
    chosen = select_trials(context.base, name)
    return Result(
        id=f"selection.{name}",
        value={
            "selected": [t.id for t in chosen.selected],
            "of": len(controlled(context)),
        },
        method="; ".join(c.text for c in chosen.criteria),
        inputs=(),
        digest=digest_of([t.id for t in chosen.selected]),
    )


def _selection_sentence(context: Context, selection: Result) -> Any:
    labels = [context.base.trial(i).label for i in selection.value["selected"]]
    return context.words(
        "certainty.selection",
        count=context.result_claim(selection, str(len(labels))),
        of=context.result_claim(selection, str(selection.value["of"])),
        trials=", ".join(labels),
    )


Known = tuple[Trial, str, str]


def known_cells(context: Context) -> list[Known]:
    """For every controlled trial and item: reported, recorded as absent, or nobody looked."""
    asked = [_question(item, context.lang) for item in context.settings.items]
    found = completeness_of(context.base, asked)
    return [(t, q.name, found.states[t.id][q.name]) for t in controlled(context) for q in asked]


def _question(item: Mapping[str, Any], lang: str) -> Question:
    outcomes = tuple(item["outcomes"])
    return Question(
        name=item["label"][lang],
        outcomes=outcomes,
        guesses=bool(item.get("guesses", False)),
        clock=item.get("clock", "first_dose"),
        days=(float(item["earliest"]), float(item["latest"])) if "clock" in item else None,
    )


def _share_result(known: Sequence[Known]) -> Result:
    reported = sum(state == "reported" for _, _, state in known)
    return Result(
        id="known.share",
        value={"reported": reported, "of": len(known), "share": reported / max(1, len(known))},
        method="cells of the map that hold at least one reported number",
        inputs=(),
        digest=digest_of([(t.id, i, s) for t, i, s in known]),
    )


def _known_figure(context: Context, known: Sequence[Known]) -> Figure:
    w = context.words
    names = {state: w.plain(f"certainty.state_{state}") for state in STATES}
    cells = [
        KnownCell(
            trial=t.label,
            item=item,
            state=names[state],
            link="#" + anchor_of("trial", t.id),
        )
        for t, item, state in known
    ]
    palette = {names[s]: colour for s, colour in STATES.items()}
    titles = (w.plain("hover.trial"), w.plain("hover.item"), w.plain("hover.state"))
    reported = sum(s == "reported" for _, _, s in known)
    return Figure(
        id="known",
        title=w.plain("certainty.known"),
        alt=w.plain("certainty.known_alt", reported=reported, of=len(known)),
        wide=finish(completeness(cells, palette=palette, titles=titles)),
        narrow=finish(completeness(cells, palette=palette, titles=titles, narrow=True)),
        caption=w("certainty.known_caption"),
    )


def _counts(context: Context) -> Result:
    """How many trials are controlled, and how many of them gave a single dose."""
    trials = controlled(context)
    return Result(
        id="certainty.counts",
        value={
            "controlled": len(trials),
            "single_dose": sum(t.doses == 1 for t in trials),
            "doses_known": sum(t.doses is not None for t in trials),
        },
        method="rows of the table of trials whose comparator is not none",
        inputs=(),
        digest=digest_of([(t.id, t.doses) for t in trials]),
    )


def _answer(
    context: Context, graded: Any, counts: Result, selection: Result | None, share: Result
) -> Any:
    w, n = context.words, context.numbers
    linked = {name: context.result_claim(counts, str(v)) for name, v in counts.value.items()}
    doses = "doses_known" if counts.value["doses_known"] else "doses_unknown"
    texts = [graded] if graded else []
    texts.append(w(f"certainty.{doses}", total=linked["controlled"], single=linked["single_dose"]))
    if selection is not None:
        chosen = context.result_claim(selection, str(len(selection.value["selected"])))
        texts.append(w("certainty.answer_selection", count=chosen))
    known = context.result_claim(share, n.percent(share.value["share"]))
    texts.append(w("certainty.answer", share=known))
    return Markup(" ").join(texts)
