"""Summary of findings: each outcome's size, and how certain the rules of GRADE would call it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from klarsyn.bias.certainty import DOMAINS, LEVELS
from klarsyn.bias.findings_table import absolute_per_1000
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Prose, Result, Section, TableBlock, paragraphs, written
from klarsyn.report.gradings import (
    Body,
    Graded,
    derive_ground,
    event_bodies,
    event_body,
    grade_body,
    symptom_bodies,
    thresholds_of,
)
from klarsyn.report.guessing import ArmGuess
from klarsyn.report.sections.reference import derive_reference

LARGE_RATIO = 2.0  # what GRADE calls a large effect, or its inverse


def build_findings_summary(context: Context) -> tuple[Section, Any] | None:
    """The section and its sentence; None where no outcome can be expressed in points or counts."""
    ground = derive_ground(context)
    bodies = [*symptom_bodies(context, ground), *event_bodies(context, ground)]
    bodies += [*_against_reference(context)]
    if not bodies:
        return None
    graded = [grade_body(context, b, ground) for b in bodies]
    results = {g.body.id: _result(context, g) for g in graded}
    answer = _answer(context, graded)
    blocks = [
        Prose(paragraphs=paragraphs(answer), tone="finding"),
        _table(context, graded, results),
        _reasons(context, graded, results),
        Prose(paragraphs=paragraphs(*_cautions(context, graded)), tone="caution"),
    ]
    section = Section(
        id="findings",
        title=context.words.plain("findings.title"),
        blocks=blocks,
        results=list(results.values()),
        findings=[i for b in bodies for e in b.effects for i in e.findings],
    )
    return section, answer


def _against_reference(context: Context) -> list[Body]:
    reference = derive_reference(context)
    if reference is None:
        return []
    out = []
    for panel in reference.panels:
        pair = tuple(e for e in panel.effects if e.trial in context.settings.reference["pair"])
        if len(pair) > 1:
            made = event_body(
                context,
                f"reference.all.{panel.outcome}",
                pair,
                None,
                test=context.settings.reference.get("test", "z"),
            )
            out += [made] if made is not None else []
    return out


def _level(graded: Graded) -> str:
    return (graded.certainty.confirmed or graded.certainty.suggested).lower().replace(" ", "_")


def unweighed(graded: Graded) -> bool:
    """Whether broken masking could have lowered the certainty, and nothing says how much."""
    return graded.certainty.confirmed is None and graded.facts["risk of bias"]["unweighed"]


def _one_lower(level: str) -> str:
    return LEVELS[max(LEVELS.index(level) - 1, 0)]


def _result(context: Context, graded: Graded) -> Result:
    body, certainty = graded.body, graded.certainty
    value, low, high = absolute(body)
    told: dict[str, Any] = {"absolute": value, "ci": [low, high], "unit": body.unit}
    if body.unit != "points":
        told |= {
            "risk_ratio": math.exp(body.estimate.value),
            "risk_ratio_ci": [math.exp(x) for x in body.interval],
            "baseline": body.baseline,
            "baseline_range": body.baseline_range,
        }
    told |= {
        "certainty": certainty.confirmed or f"{certainty.suggested} (suggested)",
        **({"if_masking_counts": _one_lower(certainty.suggested)} if unweighed(graded) else {}),
        "changes": {s.domain: s.change for s in certainty.suggestions},
    }
    return Result(
        id=f"findings.{body.id}",
        value=told,
        method=f"{certainty.method}; effect pooled by {context.settings.method}, {body.test}",
        inputs=tuple(dict.fromkeys(i for e in body.effects for i in e.findings)),
        digest=digest_of(certainty.digest, body.estimate, list(body.interval)),
    )


def absolute(body: Body) -> tuple[float, float, float]:
    """The effect in its unit: points, or events per 1000 at the control arms' share."""
    ends = (body.estimate.value, *body.interval)
    if body.unit == "points":
        return ends
    share = body.baseline or 0.5
    a, low, high = (absolute_per_1000("risk_ratio", math.exp(x), share) for x in ends)
    return a, low, high


def _answer(context: Context, graded: Sequence[Graded]) -> Any:
    w = context.words
    names = [level.lower().replace(" ", "_") for level in reversed(LEVELS)]
    counts = {name: sum(_level(g) == name for g in graded) for name in names}
    told = ", ".join(
        f"{w.plain(f'findings.level.{name}').lower()} {w.plain('findings.for', count=count)}"
        for name, count in counts.items()
        if count
    )
    confirmed = sum(g.certainty.confirmed is not None for g in graded)
    parts = {"outcomes": len(graded), "told": told, "confirmed": confirmed}
    left = sum(unweighed(g) for g in graded)
    return (
        w("findings.answer_unweighed", left=left, **parts)
        if left
        else w("findings.answer", **parts)
    )


def _name(context: Context, body: Body) -> str:
    w, lang = context.words, context.lang
    window, comparator, outcome = body.id.split(".")
    if window == "reference":
        return w.plain(
            "findings.outcome_reference",
            outcome=context.heading("outcome", outcome),
            reference=context.settings.reference["label"][lang],
        )
    when = next(x.label[lang] for x in context.settings.windows if x.id == window)
    name = (
        w.plain("findings.symptoms")
        if outcome == "symptoms"
        else context.heading("outcome", outcome)
    )
    return w.plain(
        "findings.outcome",
        outcome=name,
        when=when,
        comparator=w.plain(f"against.{comparator}"),
    )


def _size(context: Context, body: Body) -> str:
    w, n = context.words, context.numbers
    if body.unit == "points":
        text = n.with_interval(*absolute(body), digits=1)
        return w.plain("findings.points", value=text, scale=context.settings.points_scale)
    value, low, high = (_more(context, x) for x in absolute(body))
    share, *ends = (n.whole(1000 * x) for x in (body.baseline or 0.0, *(body.baseline_range or ())))
    key = "per_1000" if len(set(ends)) < 2 else "per_1000_range"
    told = dict(zip(("lowest", "highest"), ends, strict=False))
    return w.plain(f"findings.{key}", value=value, low=low, high=high, baseline=share, **told)


def _more(context: Context, per_1000: float) -> str:
    key = "findings.more_of" if round(per_1000) >= 0 else "findings.fewer_of"
    return context.words.plain(key, n=context.numbers.whole(abs(per_1000)))


def _relative(context: Context, body: Body) -> str:
    if body.unit == "points":
        return "–"
    value = context.numbers.fixed(math.exp(body.estimate.value))
    limits = (math.exp(min(x, 700.0)) for x in body.interval)
    return f"{value} ({context.numbers.ratio_interval(*limits)})"


def _plain(context: Context, graded: Graded) -> str:
    w, body = context.words, graded.body
    if body.null_inside:
        key = "unclear"
    else:
        lower = body.estimate.value < 0
        key = "fewer" if lower else "more"
        if body.unit != "points":
            key = "events_fewer" if lower else "events_more"
    return w.plain(f"findings.plain_{key}.{_level(graded)}", large=_large(context, body))


def _large(context: Context, body: Body) -> str:
    """Which large differences an interval with no difference inside leaves possible."""
    low, high = body.interval
    if body.unit == "points":
        made = thresholds_of(context)
        border, kind = (made.large if made else math.inf), ""
    else:
        border, kind = math.log(LARGE_RATIO), "events_"
    down, up = low <= -border, high >= border
    name = "either" if down and up else f"{kind}fewer" if down else f"{kind}more" if up else "none"
    return context.words.plain(f"findings.large.{name}")


def _table(context: Context, graded: Sequence[Graded], results: dict[str, Result]) -> TableBlock:
    w, n = context.words, context.numbers
    rows = []
    for g in graded:
        result = results[g.body.id]
        people = w.plain(
            "findings.people",
            trials=w.count("page.trials_count", len(g.body.effects)),
            patients=w.count("page.patients_count", n.whole(g.body.participants)),
        )
        relative = _relative(context, g.body)
        state = "confirmed" if g.certainty.confirmed else "suggested"
        level = w.plain(f"findings.level.{_level(g)}")
        stated = w.plain(f"findings.{state}")
        if unweighed(g):
            lower = _one_lower(g.certainty.suggested).lower().replace(" ", "_")
            stated = w.plain(
                "findings.suggested_unweighed", level=w.plain(f"findings.level.{lower}").lower()
            )
        rows.append(
            (
                _name(context, g.body),
                people,
                relative if relative == "–" else context.result_claim(result, relative),
                context.result_claim(result, _size(context, g.body)),
                f"{level} ({stated})",
                _plain(context, g),
            )
        )
    heads = ("outcome", "people", "relative", "absolute", "certainty", "words")
    return TableBlock(
        id="findings",
        title=w.plain("findings.table"),
        header=[w.plain(f"findings.head_{h}") for h in heads],
        rows=rows,
        caption=w("findings.table_caption"),
    )


def _reasons(context: Context, graded: Sequence[Graded], results: dict[str, Result]) -> TableBlock:
    w = context.words
    rows = []
    for g in graded:
        changes = {s.domain: s.change for s in g.certainty.suggestions}
        cells = [
            context.result_claim(results[g.body.id], _change(context, changes[d]))
            + ": "
            + _reason(context, d, g)
            for d in DOMAINS
        ]
        rows.append((_name(context, g.body), *cells))
    return TableBlock(
        id="reasons",
        folded=True,
        title=w.plain("findings.reasons"),
        header=[
            w.plain("findings.head_outcome"),
            *(w.plain(f"findings.domain.{d.replace(' ', '_')}") for d in DOMAINS),
        ],
        rows=rows,
        caption=w("findings.reasons_caption"),
    )


def _change(context: Context, change: int) -> str:
    return context.numbers.whole(change) if change else "0"


def _reason(context: Context, domain: str, graded: Graded) -> str:
    facts, w, n = graded.facts[domain], context.words, context.numbers
    if domain == "risk of bias":
        return _bias_reason(context, graded)
    if domain == "inconsistency":
        if facts["k"] < 2:
            return w.plain("findings.one_trial")
        opposed = w.plain("findings.opposed") + " " if facts["opposed"] else ""
        if facts["prediction"] is None:
            return opposed + w.plain("findings.no_prediction", k=facts["k"])
        ends = n.ratio_interval(*(math.exp(min(x, 700.0)) for x in facts["prediction"]))
        if graded.body.unit == "points":
            ends = n.interval(*facts["prediction"], digits=1)
        told = w.plain("findings.prediction", interval=ends, i2=n.percent(facts["i2"]))
        return opposed + told + (w.plain("works.few.prediction") if facts["spread_open"] else "")
    if domain == "indirectness":
        given = ", ".join(context.term("treatment", t) for t in facts["treatments"])
        return w.plain("findings.indirect", treatments=given.rstrip("."))
    if domain == "imprecision":
        return w.plain(
            "findings.imprecise",
            crossed=facts["crossed"],
            share=n.percent(facts["share"]),
            needed=n.whole(facts["needed"]),
        )
    trials = w.count("page.trials_count", facts["k"])
    if facts["nulls"] is None:
        return w.plain("findings.nulls_none", trials=trials)
    if math.isinf(facts["nulls"]):
        return w.plain("findings.nulls_never", trials=trials)
    few = w.count("findings.nulls_few", n.whole(facts["nulls"]))
    return w.plain("findings.nulls", trials=trials, count=few)


def _bias_reason(context: Context, graded: Graded) -> str:
    facts, w, n = graded.facts["risk of bias"], context.words, context.numbers
    told = [_risk_share(context, facts)]
    if facts["high_share"] > 0:
        alone = "one_left" if facts["left"] == 1 else "none_left"
        state = {None: alone, True: "stands", False: "falls"}[facts["survives"]]
        told.append(w.plain(f"findings.without_{state}"))
    if facts["unknown_share"] > 0:
        unknown = n.percent(facts["unknown_share"])
        told.append(w.plain("findings.high_unknown", share=unknown))
    if facts["spared"]:
        told.append(w.plain("findings.spared", count=facts["spared"]))
    if graded.body.unit != "points" and math.isfinite(facts["tip"] or math.inf):
        told.append(w.plain("findings.belief_score"))
    if facts["unweighed"]:
        told.append(w.plain("findings.belief_unweighed", tip=n.fixed(facts["tip"], 1)))
        return " ".join(told)
    if facts["tip"] is None and facts["high_share"] == 1:
        return " ".join(told)
    if facts["tip"] is None:
        told.append(w.plain("findings.belief_unknown"))
    elif math.isinf(facts["tip"]):
        told.append(w.plain("findings.belief_none"))
    else:
        key = "belief_falls" if facts["falls"] else "belief_stands"
        told.append(
            w.plain(
                f"findings.{key}",
                tip=n.fixed(facts["tip"], 1),
                plausible=n.fixed(facts["plausible"], 1),
            )
        )
    return " ".join(told)


def _risk_share(context: Context, facts: Mapping[str, Any]) -> str:
    """The weight at high risk, and whether anybody has judged that or masking stands in."""
    w = context.words
    share = context.numbers.percent(facts["high_share"])
    if not facts["judged"]:
        return w.plain("findings.open_share", share=share)
    key = "findings.high_share_draft" if facts["drafts"] else "findings.high_share"
    scope = "all" if facts["judged"] == facts["trials"] else "some"
    told = w.plain(f"findings.judged_{scope}", judged=facts["judged"], trials=facts["trials"])
    return w.plain(key, share=share, judged=told)


def _masking(context: Context, graded: Sequence[Graded]) -> list[Any]:
    """That masking could not be weighed where no size of belief is known, and what would do it."""
    w, n = context.words, context.numbers
    left = sum(unweighed(g) for g in graded)
    ground = derive_ground(context)
    if ground.plausible is not None or all(g.body.tip is None for g in graded):
        return []
    arms = [
        f"{g.trial.label}, {context.arm_label(g.trial.id, g.arm.id)}: {_right(context, g)}"
        for g in ground.guesses
        if g.guess.respondent == "patient"
    ]
    known = w.plain("findings.masking_guesses", told="; ".join(arms)) if arms else ""
    return [w("findings.masking_unweighed", left=n.whole(left), all=len(graded), known=known)]


def _right(context: Context, guess: ArmGuess) -> str:
    low, high = (context.numbers.percent(x) for x in guess.right)
    return low if low == high else f"{low}–{high}"


def _cautions(context: Context, graded: Sequence[Graded]) -> list[Any]:
    w, n = context.words, context.numbers
    texts = [w("findings.unconfirmed")]
    if any(g.facts["risk of bias"]["drafts"] for g in graded):
        texts.append(w("findings.drafts"))
    texts += _masking(context, graded)
    made = thresholds_of(context)
    if made is not None:
        origin = context.settings.findings["thresholds"]["origin"][context.lang]
        texts.append(
            w(
                "findings.thresholds",
                small=n.general(made.small),
                moderate=n.general(made.moderate),
                large=n.general(made.large),
                scale=context.settings.points_scale,
                origin=origin,
            )
        )
    else:
        texts.append(w("findings.no_thresholds"))
    changes = [
        w(
            "findings.within_person",
            points=n.general(change["points"]),
            anchor=change["anchor"][context.lang],
            source=written(
                context.base.sources[change["source"]].citation.rstrip("."), context.lang
            ),
        )
        for change in context.settings.findings["within_person"]
    ]
    if changes:
        texts.append(w("findings.within_persons", told=Markup("; ").join(changes)))
    return texts
