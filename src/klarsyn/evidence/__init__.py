"""Trial records and the base they live in."""

from klarsyn.evidence.base import known_bases, open_base
from klarsyn.evidence.check import check_base
from klarsyn.evidence.remarks import Checked, Remark
from klarsyn.evidence.select import Selection, select_trials
from klarsyn.evidence.trial import Arm, Base, Finding, Trial

__all__ = [
    "Arm",
    "Base",
    "Checked",
    "Finding",
    "Remark",
    "Selection",
    "Trial",
    "check_base",
    "known_bases",
    "open_base",
    "select_trials",
]
