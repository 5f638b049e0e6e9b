"""What GRADE's rules suggest for each outcome of a base, domain by domain, from its own numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from klarsyn.bias.belief import BeliefEvidence
from klarsyn.bias.certainty import (
    GUIDES,
    OPPOSED,
    Certainty,
    Confirmation,
    Suggestion,
    Thresholds,
    UnblindingTip,
    grade,
    imprecision,
    imprecision_of_ratio,
    inconsistency,
    indirectness,
    publication_bias,
    risk_of_bias,
)
from klarsyn.bias.missingresults import studies_to_flip
from klarsyn.bias.riskofbias_from_base import TrialJudgement, judgements_of
from klarsyn.errors import unknown_name
from klarsyn.report.context import Context
from klarsyn.report.control_shares import control_shares
from klarsyn.report.grids import MASKED, belief_evidence_of
from klarsyn.report.guessing import ArmGuess, arm_guesses, guessed_by_chance
from klarsyn.report.pooling import Group, limits, pool_effects
from klarsyn.report.sections.tipping import class_belief
from klarsyn.report.sections.works import typical_sd
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.information import information_size_means, information_size_shares
from klarsyn.synthesis.extraction import TrialEffect, derive_effects

Pool = Callable[[Sequence[TrialEffect]], Any]
DIFFER = 0.05  # p of Cochran's Q below which trials on opposite sides contradict each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every outcome is graded with: the SD of a point, guesses, belief, judgements of bias.

    `evidence` is the base's own belief effect, `plausible` that or the one that its settings take
    from elsewhere; None where neither is there.
    """

    sd: float | None
    guesses: tuple[ArmGuess, ...]
    evidence: BeliefEvidence | None
    plausible: BeliefEvidence | None
    judged: Mapping[str, TrialJudgement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The evidence on one outcome: an estimate with its limits, in the unit it is graded in.

    `weights` are the trials' shares of the estimate. `tip` is the belief effect (in points) that
    takes the conclusion away, infinite where none is needed, None where it was not asked for.
    `spread_open` says that the spread between trials could be none or large.
    """

    id: str
    outcome: str
    comparator: str
    effects: tuple[TrialEffect, ...]
    weights: Mapping[str, float]
    spread_open: bool
    estimate: Estimate
    interval: tuple[float, float]
    prediction: tuple[float, float]
    i2: float
    q_p: float
    participants: int
    unit: str
    baseline: float | None
    baseline_range: tuple[float, float] | None
    tip: float | None
    repool: Pool
    test: str

    @property
    def null_inside(self) -> bool:
        """Whether the interval leaves no difference possible."""
        return self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One outcome with its certainty and the facts that each domain's reason states."""

    body: Body
    certainty: Certainty
    facts: Mapping[str, Mapping[str, Any]]


def thresholds_of(context: Context) -> Thresholds | None:
    """Small, moderate and large differences between groups, where the settings declare them."""
    given = context.settings.findings.get("thresholds")
    if not given:
        return None
    return Thresholds(
        small=float(given["small"]),
        moderate=float(given["moderate"]),
        large=float(given["large"]),
        unit=f"{context.settings.points_scale} points",
        origin=given["origin"]["en"],
    )


def derive_ground(context: Context) -> Ground:
    """The standard deviation of the page's scale (None off standardised differences) and belief."""
    first = derive_effects(context.base, context.settings.windows[0].question)
    sd = typical_sd(context, first) if context.settings.measure == "SMD" else None
    evidence = belief_evidence_of(context)
    return Ground(
        sd=sd,
        guesses=arm_guesses(context),
        evidence=evidence,
        plausible=evidence or _belief_elsewhere(context, sd),
        judged=judgements_of(context.base),
    )


def _belief_elsewhere(context: Context, sd: float | None) -> BeliefEvidence | None:
    """The standardised belief effect that the settings take from elsewhere, in points.

    `[unblinding.elsewhere]` holds `smd` = [value, low, high], `source` and `label`.
    """
    given = context.settings.unblinding.get("elsewhere")
    if not given or not sd:
        return None
    if given["source"] not in context.base.sources:
        raise unknown_name(
            "source", given["source"], context.base.sources, "appraisal.toml: unblinding.elsewhere"
        )
    value, low, high = (float(x) * sd for x in given["smd"])
    return BeliefEvidence(
        label=given["label"][context.lang],
        value=value,
        low=low,
        high=high,
        source=context.base.sources[given["source"]].citation,
        caution="from elsewhere",
    )


def grade_body(context: Context, body: Body, ground: Ground) -> Graded:
    """The five domains' suggestions for one outcome, and the certainty they add up to."""
    thresholds = thresholds_of(context) if body.unit == "points" else None
    bias, bias_facts = _risk_of_bias(context, body, ground)
    spread, spread_facts = _inconsistency(body, thresholds)
    precision, precision_facts = _imprecision(body, thresholds, ground.sd)
    missing, missing_facts = _publication(body, context.settings.method)
    suggestions = (
        bias,
        spread,
        indirectness({}),
        precision,
        missing,
    )
    confirmed = [
        Confirmation(**{k: c[k] for k in ("domain", "change", "who", "when", "why")})
        for c in context.settings.findings.get("confirmed", ())
        if c.get("outcome") == body.id
    ]
    return Graded(
        body=body,
        certainty=grade(body.id, suggestions, confirmations=confirmed),
        facts={
            "risk of bias": bias_facts,
            "inconsistency": spread_facts,
            "indirectness": {"treatments": sorted({e.treatment for e in body.effects})},
            "imprecision": precision_facts,
            "publication bias": missing_facts,
        },
    )


def _risk_of_bias(
    context: Context, body: Body, ground: Ground
) -> tuple[Suggestion, dict[str, Any]]:
    """Weight in trials that count as high by the answers beside the base; without them, unmasked.

    Where belief is counted by itself, a trial whose measurement alone is at high risk is not
    counted again. Where a belief effect could overturn the result and nothing says how large it
    is, `unweighed` is true: masking was not counted, and the certainty may be a level too high.
    """
    evidence = ground.plausible
    unblinding = None
    if body.tip is not None and evidence is not None:
        unblinding = UnblindingTip(
            tip=body.tip, plausible=abs(evidence.value), unit="points", source=evidence.label
        )
    weight = body.weights
    judged = {t: ground.judged[t] for t in weight if t in ground.judged}
    spared = {t for t, j in judged.items() if unblinding and j.only_measurement}
    unmasked = {
        t for t in weight if t not in judged and context.base.trial(t).blinding not in MASKED
    }
    risky = ({t for t, j in judged.items() if j.counts_as_high} - spared) | unmasked
    share = sum(weight[t] for t in risky)
    unknown = [t for t, j in judged.items() if j.standing == "High" and not j.counts_as_high]
    survives = _survives_without(risky, body)
    made = risk_of_bias(share, survives, unblinding=unblinding)
    unweighed = _masking_unweighed(body, ground)
    if unweighed:
        made = replace(
            made,
            reason=f"{made.reason[:-1]}; masking could not be weighed: a belief effect of "
            f"{body.tip:.3g} points would overturn it and no plausible size is known.",
        )
    return made, {
        "high_share": share,
        "unknown_share": sum(weight[t] for t in unknown),
        "judged": len(judged),
        "drafts": sum(j.draft for j in judged.values()),
        "spared": len(spared),
        "trials": len(body.effects),
        "left": len([t for t in weight if t not in risky]),
        "survives": survives,
        "tip": body.tip,
        "plausible": abs(evidence.value) if evidence else None,
        "falls": unblinding.falls if unblinding else None,
        "unweighed": unweighed,
    }


def _survives_without(risky: set[str], body: Body) -> bool | None:
    """Whether the other trials alone say the same of no effect; None where that cannot be told.

    One trial left has an interval without the spread between trials: not to be held against theirs.
    """
    kept = [e for e in body.effects if e.trial not in risky]
    if not risky or len(kept) < min(2, len(body.effects)):
        return None
    low, high = body.repool(kept)
    return (low > 0 or high < 0) == (not body.null_inside)


def _masking_unweighed(body: Body, ground: Ground) -> bool:
    """Whether a belief effect could overturn the result and nothing says how large it is."""
    return (
        ground.plausible is None
        and body.tip is not None
        and math.isfinite(body.tip)
        and not all(guessed_by_chance(e.trial, ground.guesses) for e in body.effects)
    )


def _inconsistency(body: Body, thresholds: Thresholds | None) -> tuple[Suggestion, dict[str, Any]]:
    """From two trials on whether they contradict each other; from three on what a new one may see.

    Two trials leave a prediction interval no degree of freedom (Higgins 2009, k − 2).
    """
    k = len(body.effects)
    ends = [limits(e) for e in body.effects]
    sides = any(low > 0 for low, _ in ends) and any(high < 0 for _, high in ends)
    opposed = sides and body.q_p < DIFFER
    known = k > 2 and all(math.isfinite(x) for x in body.prediction)
    facts = {
        "k": k,
        "prediction": body.prediction if known else None,
        "i2": body.i2,
        "opposed": opposed,
        "spread_open": body.spread_open,
    }
    if not known:
        told = "One study cannot contradict itself." if k < 2 else "No prediction is possible."
        told = OPPOSED if opposed else told
        return Suggestion(domain="inconsistency", change=-int(opposed), reason=told), facts
    made = inconsistency(
        body.estimate, body.prediction, thresholds, i2=body.i2, studies=k, opposed=opposed
    )
    return made, facts


def _imprecision(
    body: Body, thresholds: Thresholds | None, sd: float | None
) -> tuple[Suggestion, dict[str, Any]]:
    low, high = body.interval
    if body.unit == "points" and sd:
        small = thresholds.small if thresholds else 0.2 * sd
        size = information_size_means(small, sd)
        made = imprecision(
            body.estimate, thresholds, participants=body.participants, information_size=size
        )
        borders = thresholds.borders() if thresholds else (0.0,)
        crossed = sum(low < b < high for b in borders)
    else:
        low, high = math.exp(low), math.exp(high)
        share = min(max(body.baseline or 0.5, 0.02), 0.79)
        size = information_size_shares(share, share * GUIDES[1])
        made = imprecision_of_ratio(
            low, high, participants=body.participants, information_size=size
        )
        crossed = sum(low < b < high for b in (GUIDES[0], 1.0, GUIDES[1]))
    return made, {"crossed": crossed, "share": body.participants / size, "needed": size}


def _publication(body: Body, method: str) -> tuple[Suggestion, dict[str, Any]]:
    count: float | None = None
    if not body.null_inside:
        y, v = [e.y for e in body.effects], [e.v for e in body.effects]
        found = studies_to_flip(y, v, method=method, test=body.test)
        count = math.inf if found is None else float(found) if found > 0 else None
    made = publication_bias(None, None, len(body.effects), nulls_to_flip=count)
    return made, {"k": len(body.effects), "nulls": count}


def symptom_bodies(context: Context, ground: Ground) -> list[Body]:
    """Each window and comparator class in points of the page's scale."""
    if ground.sd is None:
        return []
    out = []
    for window in context.settings.windows:
        extraction = derive_effects(context.base, window.question)
        for comparator in compared(context):
            effects = tuple(e for e in extraction.effects if e.comparator == comparator)
            if effects:
                out.append(_symptoms(context, window.id, comparator, effects, ground, ground.sd))
    return out


def compared(context: Context) -> list[str]:
    """The page's comparator classes that stand for no treatment, masked or not."""
    aside = {context.settings.reference.get("comparator", ""), "same_drug", "other_active", "none"}
    return [c for c in context.settings.comparators if c not in aside]


def _symptoms(
    context: Context,
    window: str,
    comparator: str,
    effects: tuple[TrialEffect, ...],
    ground: Ground,
    sd: float,
) -> Body:
    found = summary(context, effects)
    estimate = Estimate(
        value=found["estimate"] * sd, se=found["se"] * sd, method="pooled", df=found["df"]
    )
    interval = (found["low"] * sd, found["high"] * sd)
    prediction = tuple(x * sd for x in found["prediction"])
    return Body(
        id=f"{window}.{comparator}.symptoms",
        outcome=window,
        comparator=comparator,
        effects=effects,
        weights=found["weights"],
        spread_open=found["spread_open"],
        estimate=estimate,
        interval=interval,
        prediction=(prediction[0], prediction[1]),
        i2=found["i2"],
        q_p=found["q_p"],
        participants=participants(effects, comparator),
        unit="points",
        baseline=None,
        baseline_range=None,
        tip=tip_of(context, ground, comparator, interval),
        repool=lambda kept: interval_of(context, kept),
        test=context.settings.test,
    )


def tip_of(
    context: Context, ground: Ground, comparator: str, interval: tuple[float, float]
) -> float:
    """The belief effect in points that brings the nearer limit to zero; infinite for none."""
    low, high = interval
    _, seen = class_belief(context, ground.guesses, comparator)
    difference = abs(sum(seen) / 2) if seen else 1.0
    if low <= 0 <= high or difference < 1e-9:
        return math.inf
    return min(abs(low), abs(high)) / difference


def participants(effects: Sequence[TrialEffect], comparator: str) -> int:
    """All patients analysed; the periods of a crossover trial count once."""
    group = Group(comparator=comparator, effects=tuple(effects), pooled=None, result=None)
    return round(group.participants)


def interval_of(
    context: Context, effects: Sequence[TrialEffect], test: str = ""
) -> tuple[float, float]:
    """The limits of some effects together, or of the only one."""
    found = summary(context, effects, test)
    return found["low"], found["high"]


def summary(context: Context, effects: Sequence[TrialEffect], test: str = "") -> dict[str, Any]:
    """Pooled by the page's method and `test`, or one trial as it is."""
    if len(effects) == 1:
        e = effects[0]
        low, high = limits(e)
        return {
            "estimate": e.y,
            "se": math.sqrt(e.v),
            "df": math.inf,
            "low": low,
            "high": high,
            "prediction": (math.nan, math.nan),
            "i2": 0.0,
            "q_p": 1.0,
            "weights": {e.trial: 1.0},
            "spread_open": False,
        }
    p = pool_effects(context, effects, test)
    return {
        "estimate": p.estimate,
        "se": p.se,
        "df": p.df,
        "low": p.ci_lower,
        "high": p.ci_upper,
        "prediction": (p.pi_lower, p.pi_upper),
        "i2": p.i2 / 100 if math.isfinite(p.i2) else 0.0,
        "q_p": p.q_p,
        "weights": dict(zip((e.trial for e in effects), p.weights / p.weights.sum(), strict=True)),
        "spread_open": "prediction" in dict(p.warnings),
    }


def event_bodies(context: Context, ground: Ground) -> list[Body]:
    """Response at each window and class with two trials or more, as log risk ratios."""
    out = []
    sd = ground.sd
    for window in context.settings.windows:
        outcomes = window.question.binary_outcomes
        if not outcomes:
            continue
        asked = replace(
            window.question, measure="RR", outcomes=outcomes, binary_outcomes=(), scales=()
        )
        extraction = derive_effects(context.base, asked)
        scores = derive_effects(context.base, window.question).effects if sd else ()
        for comparator in compared(context):
            effects = tuple(e for e in extraction.effects if e.comparator == comparator)
            same = [e for e in scores if e.comparator == comparator]
            if len(effects) < 2:
                continue
            tip = None
            if same and sd:
                low, high = interval_of(context, same)
                tip = tip_of(context, ground, comparator, (low * sd, high * sd))
            made = event_body(context, f"{window.id}.{comparator}.{outcomes[0]}", effects, tip)
            if made is not None:
                out.append(made)
    return out


def event_body(
    context: Context,
    name: str,
    effects: tuple[TrialEffect, ...],
    tip: float | None,
    test: str = "",
) -> Body | None:
    """One event against one class; None where no control arm gives counts."""
    shares = control_shares(context, effects)
    if shares is None or not 0 < shares.together < 1:
        return None
    found = summary(context, effects, test)
    return Body(
        id=name,
        outcome=name.split(".")[0],
        comparator=effects[0].comparator,
        effects=effects,
        weights=found["weights"],
        spread_open=found["spread_open"],
        estimate=Estimate(
            value=found["estimate"], se=found["se"], method="pooled", scale="log", df=found["df"]
        ),
        interval=(found["low"], found["high"]),
        prediction=found["prediction"],
        i2=found["i2"],
        q_p=found["q_p"],
        participants=participants(effects, effects[0].comparator),
        unit="per 1000",
        baseline=shares.together,
        baseline_range=(shares.lowest, shares.highest),
        tip=math.inf if tip is not None and found["low"] <= 0 <= found["high"] else tip,
        repool=lambda kept: interval_of(context, kept, test),
        test=test or context.settings.test,
    )
