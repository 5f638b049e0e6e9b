"""Trials under one registration: some of their patients may be counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.report.context import Context
from klarsyn.synthesis.extraction import TrialEffect


def shared_registrations(context: Context, effects: Sequence[TrialEffect]) -> list[Any]:
    """A sentence for each registration of two, unless the base knows their patients apart."""
    by_registry: dict[str, list[str]] = {}
    for effect in effects:
        trial = context.base.trial(effect.trial)
        if trial.registry and trial.id not in context.settings.disjoint:
            by_registry.setdefault(trial.registry, []).append(trial.label)
    joint = f" {context.words.plain('page.and')} "
    return [
        context.words(
            "works.shared",
            trials=", ".join(labels[:-1]) + joint + labels[-1],
            registry=registry,
        )
        for registry, labels in by_registry.items()
        if len(labels) > 1
    ]
