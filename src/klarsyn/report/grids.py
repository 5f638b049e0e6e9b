"""All defensible analyses of a base as one grid: which effects, which trials, which statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from klarsyn.bias.belief import BeliefEvidence
from klarsyn.bias.grid import CONCLUSIONS, Grid, sensitivity_grid, variants
from klarsyn.bias.riskofbias_from_base import judgements_of
from klarsyn.evidence.trial import Trial
from klarsyn.report.context import Context
from klarsyn.report.document import Result
from klarsyn.report.guessing import ArmGuess, arm_guesses
from klarsyn.report.sections.belief import belief_of, derive_readings, main_reading
from klarsyn.report.sections.tipping import class_belief
from klarsyn.report.sections.works import typical_sd
from klarsyn.stats.many_fits import ESTIMATORS, INTERVALS
from klarsyn.synthesis.extraction import Question, TrialEffect, derive_effects

MEASURES = ("scores_or_response", "scores", "points", "response")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SMALL = 40  # randomised patients below which a trial is left out in one option
ASIDE = frozenset({"same_drug", "other_active", "none", ""})
MASKED = frozenset({"double_blind", "masked_by_anaesthesia"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AllAnalyses:
    """The grid on standardised differences, with what it was made from.

    `sd` turns points into standard deviations; `belief` is the effect of belief in standard
    deviations, None where the base says nothing of it. `unasked` are classes that nobody asked.
    """

    grid: Grid
    result: Result
    effects: tuple[TrialEffect, ...]
    sd: float | None
    belief: float | None
    unasked: tuple[str, ...]


def derive_grid(context: Context) -> AllAnalyses | None:
    """Every analysis of the base; None where no two trials of a class answer together."""
    if context.settings.measure != "SMD":
        return None
    first = derive_effects(context.base, context.settings.windows[0].question)
    sd = typical_sd(context, first)
    cells = measured_cells(context, sd)
    trials = _trials(context, cells)
    sets = _sets(context, trials, cells)
    if not sets:
        return None
    names = [t.id for t in trials]
    y, v = _arrays(cells, names)
    data = variants(names, y, v, ("measure", "time"))
    bias, belief, unasked = _bias(context, trials, sd)
    grid = sensitivity_grid(
        data,
        estimators=ESTIMATORS,
        intervals=INTERVALS,
        benefit=benefit_of(context),
        inclusion_sets=sets,
        exclusions=_exclusions(context, trials),
        unblinding_shares=SHARES if bias is not None else (0.0,),
        unblinding_bias=bias,
    )
    used = tuple(e for found in cells.values() for e in found.values() if e.trial in names)
    return AllAnalyses(
        grid=grid,
        result=_result(grid, used, belief),
        effects=used,
        sd=sd,
        belief=belief,
        unasked=unasked,
    )


Cells = dict[tuple[str, str], dict[str, TrialEffect]]


def measured_cells(context: Context, sd: float | None) -> Cells:
    """The effect of each trial for each measure and time, in standard deviations."""
    out: Cells = {}
    for window in context.settings.windows:
        for measure in MEASURES:
            question = _question(context, window.question, measure)
            if question is None or (measure == "points" and not sd):
                continue
            found = {e.trial: e for e in derive_effects(context.base, question).effects}
            if measure == "points" and sd:
                found = {k: replace(e, y=e.y / sd, v=e.v / sd**2) for k, e in found.items()}
            if found:
                out[measure, window.id] = found
    return out


def _question(context: Context, asked: Question, measure: str) -> Question | None:
    if measure == "scores_or_response":
        return asked
    if measure == "scores":
        return replace(asked, binary_outcomes=())
    if measure == "response":
        return replace(asked, outcomes=(), scales=()) if asked.binary_outcomes else None
    scale = context.settings.points_scale
    return replace(asked, measure="MD", scales=(scale,), binary_outcomes=()) if scale else None


def _trials(context: Context, cells: Cells) -> list[Trial]:
    reference = context.settings.reference.get("comparator", "")
    found = {name for effects in cells.values() for name in effects}
    return [
        t
        for t in context.base.trials
        if t.id in found and t.comparator not in ASIDE and t.comparator != reference
    ]


def _sets(context: Context, trials: Sequence[Trial], cells: Cells) -> dict[str, list[str]]:
    """Each comparator class with two trials in some cell, and all of them together."""
    out = {}
    for comparator in context.settings.comparators:
        members = [t.id for t in trials if t.comparator == comparator]
        most = max((sum(m in c for m in members) for c in cells.values()), default=0)
        if most >= 2:
            out[comparator] = members
    if out and len({t.comparator for t in trials}) > 1:
        out["all"] = [t.id for t in trials]
    return out


def _exclusions(context: Context, trials: Sequence[Trial]) -> dict[str, list[str]]:
    """Nothing left out, and each kind of trial that a reader may want to leave out.

    Trials at high risk of bias by the answers beside the base, and those of them that would be so
    whatever the unreported turned out to be; where nobody has answered, masking stands alone.
    """
    judged = judgements_of(context.base)
    risky = {t: j for t, j in judged.items() if j.standing == "High"}
    drafts = "_draft" if any(j.waits for j in judged.values()) else ""
    settled = [t for t, j in risky.items() if j.surely_high]
    kinds = {
        f"high_risk{drafts}": [t.id for t in trials if t.id in risky],
        f"surely_high_risk{drafts}": [t.id for t in trials if t.id in settled],
        "not_masked": [t.id for t in trials if t.blinding not in MASKED],
        "crossover": [t.id for t in trials if t.design == "crossover"],
        "single_dose": [t.id for t in trials if t.doses == 1],
        "small": [t.id for t in trials if (t.participants or 0) < SMALL],
    }
    kept: dict[str, list[str]] = {"nothing": []}
    for kind, members in kinds.items():
        if 0 < len(members) < len(trials) and members not in kept.values():
            kept[kind] = members
    return kept


def _arrays(cells: Cells, names: Sequence[str]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    y, v = {}, {}
    for key, found in cells.items():
        y[key] = np.array([found[n].y if n in found else math.nan for n in names])
        v[key] = np.array([found[n].v if n in found else math.nan for n in names])
    return y, v


def _bias(
    context: Context, trials: Sequence[Trial], sd: float | None
) -> tuple[list[float] | None, float | None, tuple[str, ...]]:
    """How far belief alone would move each trial: belief effect × difference in belief.

    In classes that nobody asked, everyone is taken to know.
    """
    evidence = belief_evidence_of(context)
    if evidence is None or not sd:
        return None, None, ()
    guesses = arm_guesses(context)
    per_class, unasked = _differences(context, trials, guesses)
    effect = evidence.value / sd
    return [effect * per_class[t.comparator] for t in trials], effect, unasked


def belief_evidence_of(context: Context) -> BeliefEvidence | None:
    """The belief effect of the base's own outcome by guess; None where there is none."""
    main = main_reading(context, derive_readings(context))
    return belief_of(context, main) if main is not None else None


def _differences(
    context: Context, trials: Sequence[Trial], guesses: Sequence[ArmGuess]
) -> tuple[dict[str, float], tuple[str, ...]]:
    out, unasked = {}, []
    for comparator in dict.fromkeys(t.comparator for t in trials):
        _, seen = class_belief(context, guesses, comparator)
        out[comparator] = sum(seen) / 2 if seen else 1.0
        if not seen:
            unasked.append(comparator)
    return out, tuple(unasked)


def benefit_of(context: Context) -> str:
    """Whether a `lower` or a `higher` value of the page's scale is good."""
    scale = context.base.scales.get(context.settings.points_scale)
    return "higher" if scale is not None and scale.higher_is == "better" else "lower"


def _result(grid: Grid, effects: Sequence[TrialEffect], belief: float | None) -> Result:
    finite = grid.estimate[grid.conclusion != CONCLUSIONS.index("not_estimable")]
    shares = grid.shares()
    known = 1 - shares["not_estimable"]
    return Result(
        id="change.grid",
        value={
            "analyses": grid.cells,
            "estimable": round(known * grid.cells),
            "lowest": float(finite.min()),
            "middle": float(np.median(finite)),
            "highest": float(finite.max()),
            "benefit": shares["benefit"] / known,
            "harm": shares["harm"] / known,
            "inconclusive": shares["inconclusive"] / known,
            "influence": [i.to_dict() for i in grid.influence()],
            "belief": belief,
            "choices": {c.name: list(c.options) for c in grid.choices},
        },
        method=f"standardised mean differences; {grid.method}; every combination of the choices",
        inputs=tuple(dict.fromkeys(i for e in effects for i in e.findings)),
        digest=grid.digest,
    )
