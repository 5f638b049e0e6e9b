"""Arithmetic checks of every record of a base."""

from __future__ import annotations

from collections.abc import Iterator

from klarsyn.evidence.cells import cells_of
from klarsyn.evidence.check_design import check_design
from klarsyn.evidence.check_numbers import check_cell, check_value
from klarsyn.evidence.check_scores import (
    check_baseline,
    check_directions,
    check_pairs,
    check_scores,
)
from klarsyn.evidence.check_tables import check_correlations, check_published
from klarsyn.evidence.remarks import Checked, Judged, gathered
from klarsyn.evidence.trial import Base, Trial


def check_base(base: Base) -> Checked:
    """Test every record of the base against arithmetic, allowing for rounding.

    Remarks are `impossible` (no data can give these numbers), `inconsistent` (printed numbers do
    not fit each other) or `look`. They say that numbers do not fit, never why: an error in a
    record is as likely as one in its source.
    """
    return gathered(base.name, base.digest, _judged(base))


def check_trial(base: Base, trial: Trial) -> Checked:
    """As `check_base`, for one trial."""
    return gathered(f"{base.name}, {trial.id}", base.digest, _of_trial(base, trial))


def _judged(base: Base) -> Iterator[Judged]:
    for trial in base.trials:
        yield from _of_trial(base, trial)
    yield from check_correlations(base)
    yield from check_published(base)


def _of_trial(base: Base, trial: Trial) -> Iterator[Judged]:
    yield from check_design(base, trial)
    for finding in trial.findings:
        yield from check_value(finding)
    cells = cells_of(trial)
    for cell in cells:
        yield from check_cell(cell)
        yield from check_scores(base, cell)
    yield from check_pairs(cells)
    yield from check_directions(cells)
    yield from check_baseline(trial, cells)
