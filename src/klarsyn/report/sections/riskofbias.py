"""Could the trials themselves mislead? Risk of bias as far as anybody has judged it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from klarsyn.bias.riskofbias import (
    CROSSOVER,
    EFFECTS,
    OVERALL,
    Answer,
    DomainJudgement,
    RiskOfBias,
    TrialRisk,
)
from klarsyn.bias.riskofbias_from_base import judge_base
from klarsyn.evidence.trial import PublishedRisk
from klarsyn.figures.riskofbias import traffic_light, weighted_bars
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
    written,
)

EFFECT = "assignment"
NOT_ASKED = "NA"
# The domains of the Cochrane tool of 2011 and the domain of RoB 2 that each comes nearest to.
NEAREST = {
    "random sequence generation": "D1",
    "allocation concealment": "D1",
    "blinding of participants and personnel": "D2a",
    "blinding of outcome assessment": "D4",
    "incomplete outcome data": "D3",
    "selective reporting": "D5",
}
LIKE = {"Low risk": "Low", "Unclear risk": "Some concerns", "High risk": "High"}


def build_risk_of_bias(context: Context) -> tuple[Section, Any]:
    """The section and its answer; without answers in the base it says what would be needed."""
    risk = judge_base(context.base, effect=EFFECT)
    if risk is None:
        return _empty(context)
    results = {name: _result(context, r, risk) for name, r in risk.trials.items()}
    answer = _answer(context, risk)
    blocks: list[Any] = [
        Prose(paragraphs=paragraphs(answer), tone="finding"),
        Prose(paragraphs=paragraphs(_standing(context, risk)), tone="caution"),
        _lights(context, risk, results),
        _bars(context, risk),
        _reasons(context, risk, results),
        *_others(context, risk),
        Prose(paragraphs=paragraphs(*_cautions(context, risk)), tone="caution"),
    ]
    section = Section(
        id="riskofbias",
        title=context.words.plain("riskofbias.title"),
        blocks=blocks,
        results=list(results.values()),
        findings=[i for r in results.values() for i in r.inputs],
    )
    return section, answer


def _empty(context: Context) -> tuple[Section, Any]:
    w = context.words
    answer = w("riskofbias.answer_none", randomised=_randomised(context))
    section = Section(
        id="riskofbias",
        title=w.plain("riskofbias.title"),
        blocks=[
            Prose(paragraphs=paragraphs(answer), tone="finding"),
            *_others(context, None),
            Prose(
                paragraphs=paragraphs(w("riskofbias.needed", base=context.base.name)),
                tone="caution",
            ),
        ],
    )
    return section, answer


def _randomised(context: Context) -> int:
    return sum(t.randomised is True for t in context.base.trials)


def is_draft(risk: RiskOfBias) -> bool:
    """Whether any trial's answers still wait for a person to review them."""
    return any(r.draft for r in risk.trials.values())


def _answers_of(risk: TrialRisk) -> list[Answer]:
    judged = [a for d in risk.domains.values() for a in d.answers if a.answer != NOT_ASKED]
    return judged + [a for a in risk.unjudged if a.answer != NOT_ASKED]


def _result(context: Context, risk: TrialRisk, whole: RiskOfBias) -> Result:
    known = context.known
    answers = _answers_of(risk)
    return Result(
        id=f"riskofbias.{risk.trial}",
        value={
            "outcome": risk.outcome,
            "domains": {name: d.judgement for name, d in risk.domains.items()},
            "if_all_were_known": {name: list(d.attainable) for name, d in risk.domains.items()},
            "rule_leaves": list(risk.allowed_overall),
            "overall": risk.overall.answer if risk.overall else None,
            "draft": risk.draft,
        },
        method=f"{whole.method}; effect of {whole.effect}",
        inputs=tuple(dict.fromkeys(i for a in answers for i in a.findings if i in known)),
        digest=digest_of(answers, risk.overall),
    )


def _worst(risk: TrialRisk) -> str:
    found = {d.judgement for d in risk.domains.values()}
    return next(j for j in ("High", "Some concerns", "Low") if j in found)


def _answer(context: Context, risk: RiskOfBias) -> Any:
    n = context.numbers
    worst = [_worst(r) for r in risk.trials.values()]
    settled = sum(
        any(d.attainable[0] == "High" for d in r.domains.values()) for r in risk.trials.values()
    )
    return context.words(
        "riskofbias.answer",
        judged=n.whole(len(risk.trials)),
        randomised=n.whole(_randomised(context)),
        scope=context.words.plain(f"riskofbias.scope_{risk.effect}"),
        high=n.whole(worst.count("High")),
        some=n.whole(worst.count("Some concerns")),
        low=n.whole(worst.count("Low")),
        settled=n.whole(settled),
    )


def _standing(context: Context, risk: RiskOfBias) -> Any:
    w, n = context.words, context.numbers
    waiting = n.whole(sum(r.overall is None for r in risk.trials.values()))
    drafts = sum(r.draft for r in risk.trials.values())
    if drafts:
        return w("riskofbias.draft", drafts=n.whole(drafts), waiting=waiting)
    return w("riskofbias.waiting", waiting=waiting)


def _cautions(context: Context, risk: RiskOfBias) -> list[Any]:
    w = context.words
    texts = [w("riskofbias.one_result")]
    texts += _crossed(context, risk)
    texts += _adhering(context)
    left = sum(t.randomised is True and t.id not in risk.trials for t in context.base.trials)
    if left:
        texts.append(w("riskofbias.not_judged", count=left))
    if is_draft(risk):
        texts.append(w("riskofbias.replace", base=context.base.name))
    return texts


def _crossed(context: Context, risk: RiskOfBias) -> list[Any]:
    """What is known of periods and carry-over in the crossover trials among those judged."""
    w = context.words
    found = [t for t in context.base.trials if t.design == "crossover" and t.id in risk.trials]
    plain = [t for t in found if CROSSOVER in risk.trials[t.id].domains]
    waiting = [t for t in found if t not in plain]
    texts = []
    if plain:
        told = "; ".join(_carried(context, risk.trials[t.id], t.label) for t in plain)
        texts.append(w("riskofbias.crossover_plain", told=told))
    if waiting:
        told = "; ".join(_carried(context, risk.trials[t.id], t.label) for t in waiting)
        texts.append(w("riskofbias.crossover", trials=told))
    return texts


def _carried(context: Context, trial: TrialRisk, label: str) -> str:
    """A crossover trial with its answers about periods and carry-over, and the judgement if any."""
    domain = trial.domains.get(CROSSOVER)
    answers = domain.answers if domain else trial.unjudged
    told = ", ".join(f"{a.question} {a.answer}" for a in answers if a.answer != NOT_ASKED)
    judged = f": {_judgement(context, domain.judgement).lower()}" if domain else ""
    return f"{label} ({told}){judged}" if told else f"{label}{judged}"


def _adhering(context: Context) -> list[Any]:
    """What the answers say of the other effect of interest, where there are any."""
    other = judge_base(context.base, effect="adhering")
    if other is None:
        return []
    told = [
        f"{context.base.trial(name).label}: {_judgement(context, j.judgement).lower()}"
        for name, r in other.trials.items()
        for domain, j in r.domains.items()
        if domain == EFFECTS["adhering"]
    ]
    return [context.words("riskofbias.adhering", told="; ".join(told))]


def _judgement(context: Context, name: str) -> str:
    return context.words.plain(f"riskofbias.judgement.{name.lower().replace(' ', '_')}")


def _domain(context: Context, name: str) -> str:
    return context.words.plain(f"riskofbias.domain.{name[:2] if name != OVERALL else name}")


def _marks(context: Context, risk: RiskOfBias) -> list[dict[str, Any]]:
    """The marks of the figures in the reader's language, with the rule that gave each."""
    by_mark = {
        (r.trial, name[:2]): _why(context, d) for r in risk.trials.values()
        for name, d in r.domains.items()
    }  # fmt: skip
    marks = []
    for mark in risk.lights():
        trial = risk.trials[mark["trial"]]
        note = by_mark.get((mark["trial"], mark["domain"]), "")
        if mark["domain"] == OVERALL:
            note = trial.overall.why if trial.overall else _left_open(context, trial)
        label = context.base.trial(trial.trial).label
        link = "#" + anchor_of("result", f"riskofbias.{trial.trial}")
        marks.append({**mark, "trial": label, "note": note, "link": link})
    return marks


def _why(context: Context, domain: DomainJudgement) -> str:
    w = context.words
    if domain.suggestion is None or domain.note:
        return domain.note
    told = []
    for rule in domain.suggestion.rules:
        path, judgement = rule.split(" → ")
        told.append(f"{path} → {_judgement(context, judgement)}".removeprefix(" → "))
    text = w.plain("riskofbias.by_rule", rule="; ".join(told))
    best, worst = (_judgement(context, x) for x in domain.attainable)
    if best != worst:
        text += "; " + w.plain("riskofbias.between", best=best.lower(), worst=worst.lower())
    return text


def _left_open(context: Context, trial: TrialRisk) -> str:
    w = context.words
    allowed = f" {w.plain('riskofbias.or')} ".join(
        _judgement(context, x).lower() for x in trial.allowed_overall
    )
    return w.plain("riskofbias.leaves", allowed=allowed)


def _names(context: Context, marks: Sequence[dict[str, Any]]) -> dict[str, str]:
    domains = {m["domain"]: _domain(context, m["domain"]) for m in marks}
    judged = {j: _judgement(context, j) for j in ("Low", "Some concerns", "High", "none")}
    return domains | judged


def _high_told(context: Context, marks: Sequence[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for mark in marks:
        if mark["judgement"] == "High":
            counts[mark["domain"]] = counts.get(mark["domain"], 0) + 1
    told = [
        context.words.plain("riskofbias.in_domain", domain=_domain(context, d), count=c)
        for d, c in sorted(counts.items())
    ]
    return ", ".join(told) or "0"


def _key(risk: RiskOfBias, key: str) -> str:
    return f"riskofbias.{key}_draft" if is_draft(risk) else f"riskofbias.{key}"


def _lights(context: Context, risk: RiskOfBias, results: dict[str, Result]) -> Figure:
    w, n = context.words, context.numbers
    marks = _marks(context, risk)

    def draw(narrow: bool) -> Any:
        return finish(
            traffic_light(
                marks,
                trial_label=w.plain("hover.trial"),
                domain_label=w.plain("riskofbias.head_domain"),
                judgement_label=w.plain("riskofbias.head_answer"),
                note_label=w.plain("riskofbias.note"),
                names=_names(context, marks),
                narrow=narrow,
            )
        )

    return Figure(
        id="riskofbias-lights",
        title=w.plain(_key(risk, "figure"), judged=n.whole(len(results))),
        alt=w.plain(
            "riskofbias.alt",
            judged=n.whole(len(results)),
            told=_high_told(context, marks),
            recorded=n.whole(sum(r.overall is not None for r in risk.trials.values())),
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w("riskofbias.caption"),
    )


def _bars(context: Context, risk: RiskOfBias) -> Figure:
    w, n = context.words, context.numbers
    marks = _marks(context, risk)
    names = _names(context, marks)
    once = dict.fromkeys((m["trial"] for m in marks), 1.0)

    def draw(narrow: bool) -> Any:
        return finish(
            weighted_bars(
                marks,
                once,
                domain_label=w.plain("riskofbias.head_domain"),
                share_label=w.plain("riskofbias.share"),
                judgement_label=w.plain("riskofbias.head_answer"),
                open_label=w.plain("riskofbias.open"),
                names=names,
                narrow=narrow,
            )
        )

    return Figure(
        id="riskofbias-bars",
        title=w.plain(_key(risk, "bars"), judged=n.whole(len(risk.trials))),
        alt=w.plain("riskofbias.bars_alt", told=_high_told(context, marks)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("riskofbias.bars_caption"),
    )


def _reasons(context: Context, risk: RiskOfBias, results: dict[str, Result]) -> TableBlock:
    w = context.words
    rows: list[Sequence[Any]] = []
    for name, trial in risk.trials.items():
        label = context.base.trial(name).label
        about = ", ".join(
            p for p in (context.term("outcome", trial.outcome), trial.scale) if trial.outcome and p
        )
        first = context.result_claim(results[name], f"{label}, {about}" if about else label)
        for domain_name, domain in trial.domains.items():
            answers = _reasons_of(context, domain_name, domain.answers)
            told = f"{_domain(context, domain_name)}: {_judgement(context, domain.judgement)}"
            rows.append((first, told, answers, _why(context, domain)))
        if trial.unjudged:
            answers = _reasons_of(context, CROSSOVER, trial.unjudged)
            told = f"{_domain(context, CROSSOVER)}: {_judgement(context, 'none')}"
            rows.append((first, told, answers, w.plain("riskofbias.no_table")))
    every = [a for r in risk.trials.values() for a in _answers_of(r)]
    return TableBlock(
        id="riskofbias",
        title=w.plain(_key(risk, "reasons"), answers=context.numbers.whole(len(every))),
        header=[w.plain(f"riskofbias.head_{h}") for h in ("trial", "domain", "answers", "rule")],
        rows=rows,
        caption=w(
            "riskofbias.reasons_caption",
            who=written("; ".join(dict.fromkeys(a.who for a in every)), context.lang),
            when=", ".join(sorted({a.when for a in every})),
        ),
        folded=True,
    )


def _reasons_of(context: Context, domain: str, answers: Sequence[Answer]) -> Any:
    asked = [a for a in answers if a.answer != NOT_ASKED]
    return Markup("<br>").join(_reason(context, domain, a) for a in asked)


def _reason(context: Context, domain: str, answer: Answer) -> Any:
    """A question in short, its answer, the reason, and the rows or the place it rests on."""
    key = f"{domain}_{answer.question}".replace(".", "_")
    asked = context.words.plain(f"riskofbias.question.{key}")
    known = context.known
    links = [context.row_claim(known[i], i) for i in answer.findings if i in known]
    place = _place(context, answer)
    rests = Markup(", ").join(links) if links else written(place, context.lang)
    told = Markup("{} {}: <strong>{}</strong>. {}").format(
        answer.question, asked, answer.answer, written(answer.why, context.lang)
    )
    return told + Markup(" [{}]").format(rests) if rests else told


def _place(context: Context, answer: Answer) -> str:
    """Where a reason was read, with its source; nothing where nothing was found."""
    if not answer.source:
        return answer.locator if answer.locator.startswith("scales.csv") else ""
    source = context.base.sources.get(answer.source)
    if source is None or answer.locator.startswith("trials.csv"):
        return answer.locator
    return f"{source.citation.split('. ')[0]}, {answer.locator}"


def _others(context: Context, risk: RiskOfBias | None) -> list[Any]:
    """Judgements that others published, each beside ours where there is one."""
    published = context.base.published_risks
    if not published:
        return []
    w, n = context.words, context.numbers
    paired = [(p, _ours(p, risk)) for p in published]
    both = [(LIKE.get(p.judgement, p.judgement), ours) for p, ours in paired if ours]
    rows = [_beside(context, p, ours) for p, ours in paired]
    counted = {
        "published": n.whole(len(published)),
        "trials": n.whole(len({p.trial for p in published})),
    }
    if risk is None:
        told = w("riskofbias.others_only", **counted)
    else:
        differ = sum(theirs != ours for theirs, ours in both)
        told = w(
            "riskofbias.others_told", both=n.whole(len(both)), differ=n.whole(differ), **counted
        )
    heads = ["head_study", "head_theirs", "head_their_judgement", "head_their_why"]
    ours_head = "head_ours" if risk is None or not is_draft(risk) else "head_ours_draft"
    heads += [] if risk is None else [ours_head, "head_differ"]
    named = dict.fromkeys(
        context.base.sources[p.source].citation
        for p in published
        if p.source in context.base.sources
    )
    cited = "; ".join(c.rstrip(".") for c in named)
    caption = w("riskofbias.others_source", sources=written(cited, context.lang))
    if risk is not None:
        caption += " " + w("riskofbias.others_caption")
    return [
        Prose(paragraphs=paragraphs(told)),
        TableBlock(
            id="riskofbias-others",
            title=w.plain("riskofbias.others_alone" if risk is None else "riskofbias.others"),
            header=[w.plain(f"riskofbias.{h}") for h in heads],
            rows=[row if risk is not None else row[:4] for row in rows],
            caption=caption,
            folded=risk is not None,
        ),
    ]


def _ours(published: PublishedRisk, risk: RiskOfBias | None) -> str:
    """Our judgement of the domain nearest to theirs; empty where there is none."""
    trial = risk.trials.get(published.trial) if risk else None
    domain = trial.domains.get(NEAREST.get(published.domain, "")) if trial else None
    return domain.judgement if domain else ""


def _beside(context: Context, published: PublishedRisk, ours: str) -> tuple[Any, ...]:
    w = context.words
    state = w.plain("riskofbias.nothing_beside")
    if ours:
        same = LIKE.get(published.judgement, published.judgement) == ours
        state = w.plain("riskofbias.alike" if same else "riskofbias.unlike")
    return (
        context.base.trial(published.trial).label,
        written(published.domain, context.lang),
        written(published.judgement, context.lang),
        written(published.why, context.lang) or w.plain("riskofbias.nothing_beside"),
        _judgement(context, ours) if ours else w.plain("riskofbias.nothing_beside"),
        state,
    )
