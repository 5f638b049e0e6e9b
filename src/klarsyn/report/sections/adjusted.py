"""If the trials exaggerate: each pooled effect under three beliefs about bias, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.adjusted import (
    TESTS,
    Bias,
    BiasAdjusted,
    BiasPrior,
    Elicited,
    adjust_by_priors,
    pool_elicited,
    three_priors,
)
from klarsyn.bias.belief import BeliefEvidence
from klarsyn.bias.riskofbias_from_base import MEASUREMENT, TrialJudgement
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import INK, PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, anchor_of, paragraphs, spoken
from klarsyn.report.gradings import Ground, compared, derive_ground
from klarsyn.report.grids import benefit_of
from klarsyn.report.guessing import ArmGuess, guessed_by_chance
from klarsyn.report.sections.crossover_counts import crossover_range
from klarsyn.report.sections.tipping import class_belief
from klarsyn.report.settings import Window
from klarsyn.report.words import capital
from klarsyn.stats.estimate import Z_95, Estimate
from klarsyn.stats.many_fits import ESTIMATORS
from klarsyn.synthesis.extraction import TrialEffect, derive_effects

DOMAIN = "blinding"
# Domains of RoB 2 on what the published priors are about: deviations and measurement.
ABOUT_MASKING = ("D2a", "D2b", MEASUREMENT)
BIAS_SIZES = ("additive", "additive_sd", "proportional", "proportional_sd")
COLOURS = {
    "as_reported": INK,
    "published": PALETTE[0],
    "wide": PALETTE[5],
    "patients": PALETTE[2],
    "belief": PALETTE[1],
    "by_guesses": PALETTE[0],
    "elicited": PALETTE[3],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One time and class: as reported, under each prior, and less what people judged, if they did.

    Values are standardised differences; `risky` are the trials that carry the bias, `by_guesses`
    those that would by guesses alone, and `guessed` the adjustment then, where the two differ.
    """

    window: Window
    comparator: str
    effects: tuple[TrialEffect, ...]
    risky: tuple[str, ...]
    by_guesses: tuple[str, ...]
    found: BiasAdjusted
    guessed: BiasAdjusted | None
    elicited: Elicited | None
    result: Result

    @property
    def rows(self) -> list[tuple[str, Estimate, str]]:
        """(name, estimate, source) of each row, as reported first."""
        out = [("as_reported", self.found.unadjusted, "")]
        for p, e in zip(self.found.priors, self.found.pooled, strict=True):
            out.append((p.name, e, p.source))
        if self.guessed is not None:
            first = self.guessed.priors[0]
            out.append(("by_guesses", self.guessed.pooled[0], first.source))
        if self.elicited is not None:
            out.append(("elicited", self.elicited.pooled, "Turner 2009"))
        return out

    @property
    def published(self) -> list[Estimate]:
        """Under the three published priors only."""
        return [e for name, e, _ in self.rows if name in ("published", "wide", "patients")]


def build_adjusted(context: Context) -> tuple[Section, Any] | None:
    """The section and its sentence; None where no two trials of a class can be pooled."""
    if context.settings.measure != "SMD":
        return None
    made = derive_adjusted(context)
    if not made:
        return None
    sentence = _sentence(context, made)
    crossed = [
        c
        for m in made
        if (c := crossover_range(context, f"{m.window.id}.{m.comparator}", m.effects)) is not None
    ]
    blocks: list[Any] = [
        Prose(paragraphs=paragraphs(sentence), tone="finding"),
        _figure(context, made),
        Prose(
            paragraphs=paragraphs(*_cautions(context, made), *(text for text, _ in crossed)),
            tone="caution",
        ),
    ]
    section = Section(
        id="adjusted",
        title=context.words.plain("adjusted.title"),
        blocks=blocks,
        results=[*(m.result for m in made), *(result for _, result in crossed)],
        findings=list(dict.fromkeys(i for m in made for e in m.effects for i in e.findings)),
    )
    return section, sentence


def derive_adjusted(context: Context) -> list[Adjusted]:
    """Every window and class of two trials or more."""
    ground = derive_ground(context)
    out = []
    for window in context.settings.windows:
        extraction = derive_effects(context.base, window.question)
        for comparator in compared(context):
            effects = tuple(e for e in extraction.effects if e.comparator == comparator)
            if len(effects) > 1:
                out.append(_adjusted(context, window, comparator, effects, ground))
    return out


def carries_bias(
    trial: str, judged: Mapping[str, TrialJudgement], guesses: Sequence[ArmGuess]
) -> bool:
    """Whether a trial is at high or unclear risk for masking, which the published priors speak of.

    Where the trial has answers: deviations or measurement is not Low. Where nobody has judged it:
    it was not shown that its patients guessed by chance.
    """
    if trial in judged:
        found = judged[trial].domains
        return any(found[d] != "Low" for d in ABOUT_MASKING if d in found)
    return not guessed_by_chance(trial, guesses)


def _adjusted(
    context: Context,
    window: Window,
    comparator: str,
    effects: tuple[TrialEffect, ...],
    ground: Ground,
) -> Adjusted:
    s = context.settings
    risky = [carries_bias(e.trial, ground.judged, ground.guesses) for e in effects]
    by_guesses = [not guessed_by_chance(e.trial, ground.guesses) for e in effects]
    priors = list(three_priors(DOMAIN, benefit=benefit_of(context), measure="smd"))
    if (own := _belief_prior(context, comparator, ground)) is not None:
        priors.append(own)
    how = {
        "estimator": s.method if s.method in ESTIMATORS else "REML",
        "test": s.test if s.test in TESTS else "adhoc",
    }
    trials = [e.trial for e in effects]
    y, v = [e.y for e in effects], [e.v for e in effects]
    found = adjust_by_priors(y, v, risky, priors, labels=trials, **how)
    guessed = None
    if risky != by_guesses:
        guessed = adjust_by_priors(y, v, by_guesses, priors, labels=trials, **how)
    biases = _elicited(context, effects)
    elicited = (
        pool_elicited(
            [Estimate(value=e.y, se=math.sqrt(e.v), method=e.formula) for e in effects],
            biases,
            **how,
        )
        if any(biases)
        else None
    )
    return Adjusted(
        window=window,
        comparator=comparator,
        effects=effects,
        risky=found.high_risk,
        by_guesses=tuple(t for t, carries in zip(trials, by_guesses, strict=True) if carries),
        found=found,
        guessed=guessed,
        elicited=elicited,
        result=_result(window.id, comparator, effects, found, guessed, elicited),
    )


def _belief_prior(context: Context, comparator: str, ground: Ground) -> BiasPrior | None:
    """What belief did in the base's own trial, times how much oftener the drug arm believes.

    In standard deviations; the doubt holds the trial's standard error and the range of the
    difference in belief. None where no trial gives the outcome by guess.
    """
    evidence = ground.evidence
    if evidence is None or not ground.sd:
        return None
    _, seen = class_belief(context, ground.guesses, comparator)
    low, high = seen or (1.0, 1.0)
    difference, width = (low + high) / 2, (high - low) / math.sqrt(12)
    return BiasPrior(
        name="belief",
        mean=evidence.value * difference / ground.sd,
        mean_sd=math.hypot(_se(evidence) * difference, evidence.value * width) / ground.sd,
        between_sd=0.0,
        source=evidence.source,
    )


def _se(evidence: BeliefEvidence) -> float:
    return (evidence.high - evidence.low) / (2 * Z_95)


def _elicited(context: Context, effects: Sequence[TrialEffect]) -> list[list[Bias]]:
    """Each trial's biases as people judged them, from the settings; empty where nobody did."""
    judged: dict[str, list[Bias]] = {}
    for entry in context.settings.elicited:
        sizes = {k: entry[k] for k in BIAS_SIZES}
        judged.setdefault(entry["trial"], []).append(Bias(**sizes))
    return [judged.get(e.trial, []) for e in effects]


def _result(
    window: str,
    comparator: str,
    effects: Sequence[TrialEffect],
    found: BiasAdjusted,
    guessed: BiasAdjusted | None,
    elicited: Elicited | None,
) -> Result:
    value = found.to_dict()
    rows = {"as_reported": value["unadjusted"]} | {p["name"]: p for p in value["priors"]}
    if guessed is not None:
        rows["by_guesses"] = guessed.to_dict()["priors"][0]
    if elicited is not None:
        rows["elicited"] = {
            "value": elicited.pooled.value,
            "interval": list(elicited.pooled.interval()),
        }
    return Result(
        id=f"adjusted.{window}.{comparator}",
        value={
            name: {"estimate": r["value"], "ci": r["interval"]}
            | (
                {"prior": [r["bias_mean"], r["bias_mean_sd"], r["bias_between_sd"]]}
                if "bias_mean" in r
                else {}
            )
            for name, r in rows.items()
        }
        | {"biased": list(found.high_risk), "of": found.studies},
        method=found.method,
        inputs=tuple(dict.fromkeys(i for e in effects for i in e.findings)),
        digest=digest_of(
            found.digest, guessed.digest if guessed else "", elicited.digest if elicited else ""
        ),
    )


def _shown(context: Context, e: Estimate) -> str:
    return context.numbers.with_interval(e.value, *e.interval())


def _excludes(e: Estimate) -> bool:
    low, high = e.interval()
    return low > 0 or high < 0


def _sentence(context: Context, made: Sequence[Adjusted]) -> Any:
    w, n = context.words, context.numbers
    first = made[0]
    values = sorted((e.value for e in first.published), key=abs)
    standing = sum(_excludes(e) for e in first.published)
    key = "stands" if _excludes(first.found.unadjusted) else "unclear"

    def claim(text: str) -> Any:
        return context.result_claim(first.result, text)

    return w(
        f"adjusted.sentence_{key}",
        comparator=w.plain(f"against.{first.comparator}"),
        when=first.window.label[context.lang],
        raw=claim(_shown(context, first.found.unadjusted)),
        least=claim(n.fixed(values[0])),
        most=claim(n.fixed(values[-1])),
        standing=standing,
        holding=len(first.published) - standing,
        all=len(first.published),
    )


def _figure(context: Context, made: Sequence[Adjusted]) -> Figure:
    w, lang = context.words, context.lang
    rows: list[ForestRow] = []
    for m in made:
        rows.append(ForestRow(kind="heading", label=_heading(context, m)))
        rows += [_row(context, m, *row) for row in m.rows]
    reach = _reach(made)
    axis = ForestAxis(
        title=w.plain("works.axis"),
        limits=reach,
        left="← " + w.plain("works.left", drug=context.settings.drug[lang]),
        right=w.plain("works.right") + " →",
    )
    if benefit_of(context) == "higher":
        axis = ForestAxis(title=w.plain("works.axis"), limits=reach)
    return Figure(
        id="adjusted",
        title=w.plain("adjusted.figure"),
        alt=" ".join([w.plain("adjusted.alt"), *spoken(rows, headings=True)]),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("adjusted.caption", method=_how(context, made[0].found)),
    )


def _how(context: Context, found: BiasAdjusted) -> str:
    """Estimator and test in words; the method's last two words name them."""
    return "; ".join(context.option(name) for name in found.method.split(", ")[-2:])


def _reach(made: Sequence[Adjusted]) -> tuple[float, float] | None:
    """Where three trials or more reach; the wide intervals of two end in arrows there."""
    known = [m for m in made if len(m.effects) > 2]
    ends = [abs(x) for m in known for _, e, _ in m.rows for x in e.interval()]
    return (-1.1 * max(ends), 1.1 * max(ends)) if ends else None


def _heading(context: Context, m: Adjusted) -> str:
    w = context.words
    trials = w.count("page.trials_count", len(m.effects))
    when = m.window.label[context.lang]
    return f"{capital(when)}, {context.comparator(m.comparator)}, {trials}"


def _row(context: Context, m: Adjusted, name: str, e: Estimate, source: str) -> ForestRow:
    w = context.words
    low, high = e.interval()
    text = _shown(context, e)
    label = w.plain(f"adjusted.row_{name}")
    details: Mapping[str, str] = {
        w.plain("hover.compared"): _heading(context, m),
        w.plain("adjusted.hover_prior"): label,
        w.plain("hover.effect"): text,
        w.plain("hover.derived"): e.method,
        w.plain("hover.source"): source or context.source_of(m.result.inputs),
    }
    return ForestRow(
        kind="study",
        label=label,
        estimate=e.value,
        lower=low,
        upper=high,
        weight=0.35 if name == "as_reported" else 0.15,
        numbers=text,
        colour=COLOURS[name],
        link="#" + anchor_of("result", m.result.id),
        details=details,
    )


def _who(context: Context, made: Sequence[Adjusted]) -> list[Any]:
    """Which trials carry the bias, by which rule, and where guesses alone would say otherwise."""
    w, n = context.words, context.numbers
    judged = derive_ground(context).judged
    trials = {e.trial: e.label for m in made for e in m.effects}
    risky = {t for m in made for t in m.risky}
    answered = [judged[t] for t in trials if t in judged]
    key = "who_judged" if answered else "who"
    texts = [
        w(
            f"adjusted.{key}",
            risky=n.whole(len(risky)),
            all=n.whole(len(trials)),
            judged=n.whole(len(answered)),
            drafts=w.plain("adjusted.who_drafts") if any(j.draft for j in answered) else "",
        )
    ]
    if not answered:
        return texts
    changed = {t for m in made for t in set(m.risky) ^ set(m.by_guesses)}
    if changed:
        told = ", ".join(trials[t] for t in trials if t in changed)
        texts.append(w("adjusted.rules_differ", trials=told))
    else:
        texts.append(w("adjusted.rules_agree"))
    return texts


def _cautions(context: Context, made: Sequence[Adjusted]) -> list[Any]:
    w = context.words
    texts = _who(context, made)
    if any(name == "belief" for m in made for name, *_ in m.rows):
        texts.append(w("adjusted.belief"))
    texts.append(w("adjusted.ordinary"))
    if all(m.elicited is None for m in made):
        texts.append(w("adjusted.missing"))
    return texts
