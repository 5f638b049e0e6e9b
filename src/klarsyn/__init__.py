"""Klarsyn appraises the evidence for a psychoactive medicine and simulates how it could act.

The front doors, imported when first asked for: `open_base`, `read_questions`, `derive_effects`,
`as_effects`, `pool`, `fit_network`, `sensitivity_grid`, `build_report`, `render`; `read_substance`,
`read_model`, `parse_regimen`, `sample_individuals`, `simulate`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_DOORS = {
    "open_base": "evidence",
    "select_trials": "evidence",
    "check_base": "evidence",
    "read_questions": "report.settings",
    "derive_effects": "synthesis.extraction",
    "as_effects": "synthesis.extraction",
    "pool": "synthesis.pairwise",
    "fit_network": "synthesis.network",
    "sensitivity_grid": "bias.grid",
    "read_substance": "pharmacology.substance",
    "read_model": "pharmacology.model",
    "parse_regimen": "pharmacology.dosing",
    "sample_individuals": "pharmacology.population",
    "simulate": "pharmacology.simulate",
    "build_report": "report.appraisal",
    "render": "report.html",
}


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(f"klarsyn.{_DOORS[name]}"), name)
    raise AttributeError(f"klarsyn has no {name!r}; its front doors are {', '.join(_DOORS)}.")


def __dir__() -> list[str]:
    return [*_DOORS, "__version__"]
