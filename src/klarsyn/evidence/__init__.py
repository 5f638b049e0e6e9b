"""Trial records and the base they live in."""

from klarsyn.evidence.base import known_bases, open_base
from klarsyn.evidence.select import select_trials
from klarsyn.evidence.trial import Arm, Base, Finding, Trial

__all__ = [
    "Arm",
    "Base",
    "Finding",
    "Trial",
    "known_bases",
    "open_base",
    "select_trials",
]
