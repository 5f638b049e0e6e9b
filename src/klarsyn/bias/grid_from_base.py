"""A base's trials asked several variants of one question become the input of the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klarsyn.bias.grid import Variants, variants
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Base
from klarsyn.synthesis.extraction import Question, derive_effects


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBase:
    """Variants with the sets of trials that a grid may include.

    `by_comparator` maps `all` and each comparator class to its trials; `answered` counts the trials
    that answer each variant.
    """

    data: Variants
    by_comparator: Mapping[str, tuple[str, ...]]
    answered: Mapping[tuple[str, ...], int]


def ask_base(
    base: Base, questions: Mapping[tuple[str, ...], Question], choices: Sequence[str]
) -> AskedBase:
    """Derive the effect of every trial for each variant of a question.

    `questions` are keyed by one option for each of `choices`, e.g. ("1 week",) for the choice
    ("time",). All must be on one scale of the effect, or the cells cannot be compared: ratios with
    ratios, standardised with standardised.
    """
    kinds = {_kind(q.measure) for q in questions.values()}
    if len(kinds) > 1:
        raise InputError(
            f"The questions ask for effects on different scales ({', '.join(sorted(kinds))}); a "
            f"grid compares cells of one scale only."
        )
    found = {key: derive_effects(base, q).effects for key, q in questions.items()}
    comparators = {e.trial: e.comparator for effects in found.values() for e in effects}
    trials = tuple(t.id for t in base.trials if t.id in comparators)
    if not trials:
        raise InputError(f"{base.name}: no trial answers any of these questions.")
    effects, variances = {}, {}
    for key, answers in found.items():
        by_trial = {e.trial: e for e in answers}
        effects[key] = [by_trial[t].y if t in by_trial else math.nan for t in trials]
        variances[key] = [by_trial[t].v if t in by_trial else math.nan for t in trials]
    sets = {"all": trials}
    for name in sorted(set(comparators.values())):
        sets[name] = tuple(t for t in trials if comparators[t] == name)
    return AskedBase(
        data=variants(trials, effects, variances, choices),
        by_comparator=sets,
        answered={key: len(answers) for key, answers in found.items()},
    )


def _kind(measure: str) -> str:
    return "log ratio" if measure in ("RR", "OR") else measure
