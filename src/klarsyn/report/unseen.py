"""Which results of a base are seen and which are not, and how many unseen ones would matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.missingresults import AVAILABILITY, ResultMatrix, result_matrix, studies_to_flip
from klarsyn.evidence.trial import Base
from klarsyn.provenance import digest_of
from klarsyn.report.settings import Settings
from klarsyn.synthesis.extraction import Extraction, TrialEffect, Unanswered, derive_effects

# A program cannot know that a result was held back because of what it was: a person records that.
FROM_REASON = {
    "no_spread": "partial",
    "no_counts": "partial",
    "single_dose": "missing_otherwise",
    "no_such_arms": "missing_otherwise",
}
MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """One time and class: trials by availability of the result, and the null trials that flip it.

    `to_flip` is 0 where the page's interval holds no difference already; None where `MOST` do not
    suffice.
    """

    window: str
    comparator: str
    counts: dict[str, int]
    to_flip: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenResults:
    """The availability of every trial's result at every time (ROB-ME), and what it could change."""

    matrix: ResultMatrix
    rows: tuple[Unseen, ...]
    findings: tuple[str, ...]
    method: str
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "matrix": self.matrix.to_dict()["rows"],
            "syntheses": [
                {
                    "time": r.window,
                    "comparator": r.comparator,
                    **r.counts,
                    "null_trials_to_flip": r.to_flip,
                }
                for r in self.rows
            ],
            "method": self.method,
            "digest": self.digest,
        }

    def summary(self) -> str:
        """One sentence."""
        open_ones = sum(r.counts["partial"] + r.counts["unclear"] for r in self.rows)
        return (
            f"{len(self.matrix.studies)} trials, {len(self.rows)} syntheses; {open_ones} results "
            f"were not seen or only in part; whether any was held back is for a person to judge."
        )


def derive_unseen(base: Base, settings: Settings) -> UnseenResults | None:
    """The matrix of a base's controlled trials by its time windows; None without any."""
    asked = {w.id: derive_effects(base, w.question) for w in settings.windows}
    cells = {
        (a.trial, window): _availability(a)
        for window, extraction in asked.items()
        for a in _answers(extraction)
        if a.comparator in settings.comparators
    }
    if not cells:
        return None
    matrix = result_matrix(cells)
    of_class = {t.id: t.comparator for t in base.trials}
    rows = []
    for window, extraction in asked.items():
        for comparator in settings.comparators:
            trials = [s for s in matrix.studies if of_class[s] == comparator]
            effects = [e for e in extraction.effects if e.comparator == comparator]
            if effects:
                flip = _to_flip(settings, effects)
                rows.append(_unseen(matrix, window, comparator, trials, flip))
    used = [i for x in asked.values() for e in x.effects for i in e.findings]
    return UnseenResults(
        matrix=matrix,
        rows=tuple(rows),
        findings=tuple(dict.fromkeys(used)),
        method=f"ROB-ME matrix from the base; null trials of median variance, as far apart as "
        f"those seen, until the page's interval ({settings.method}, {settings.test}) holds zero, "
        f"at most {MOST}",
        digest=digest_of(matrix.digest, [(r.window, r.comparator, r.to_flip) for r in rows]),
    )


def _answers(extraction: Extraction) -> list[TrialEffect | Unanswered]:
    return [*extraction.effects, *extraction.unanswered]


def _availability(answer: TrialEffect | Unanswered) -> str:
    if isinstance(answer, TrialEffect):
        return "available"
    return FROM_REASON.get(answer.reason, "unclear")


def _unseen(
    matrix: ResultMatrix,
    window: str,
    comparator: str,
    trials: Sequence[str],
    to_flip: int | None,
) -> Unseen:
    found = [matrix.cells[t, window] for t in trials]
    return Unseen(
        window=window,
        comparator=comparator,
        counts={a: found.count(a) for a in AVAILABILITY},
        to_flip=to_flip,
    )


def _to_flip(settings: Settings, effects: Sequence[TrialEffect]) -> int | None:
    y, v = [e.y for e in effects], [e.v for e in effects]
    return studies_to_flip(y, v, method=settings.method, test=settings.test, most=MOST)
