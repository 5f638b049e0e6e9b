"""The base's own names of trials and arms in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from klarsyn.errors import InputError
from klarsyn.evidence.trial import Base


def in_language(base: Base, lang: str) -> Base:
    """The base with the labels of its trials and arms as its settings translate them.

    `[names.<language>]` of `appraisal.toml` maps a label to its translation; what it does not
    name stays. Raises InputError where it is not a table of texts.
    """
    names = translations(base, lang)
    if not names:
        return base
    trials = tuple(
        replace(
            trial,
            label=names.get(trial.label, trial.label),
            arms=tuple(replace(a, label=names.get(a.label, a.label)) for a in trial.arms),
        )
        for trial in base.trials
    )
    return replace(base, trials=trials)


def translations(base: Base, lang: str) -> Mapping[str, str]:
    """What the base's settings call its labels in that language; empty where they say nothing."""
    every = base.settings.get("names", {})
    found = every.get(lang, {}) if isinstance(every, Mapping) else every
    if not isinstance(found, Mapping) or not all(isinstance(v, str) for v in found.values()):
        raise InputError(
            f"{base.name}: [names.{lang}] in appraisal.toml must map labels to texts, as in "
            '"label" = "translation".'
        )
    return found
