"""What an arithmetic check says: passed, or one sentence with the row it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# impossible: no data can give these numbers. inconsistent: the printed numbers do not fit each
# other. look: unusual, or fits only under another reading; a person should look.
SEVERITIES = ("impossible", "inconsistent", "look")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing that a check found, with the table and row where it stands.

    `findings` are the ids of the findings concerned. It says that numbers do not fit, never why.
    """

    severity: str
    test: str
    trial: str
    table: str
    row: int
    sentence: str
    findings: tuple[str, ...] = ()

    def text(self) -> str:
        """Severity, place and sentence on one line."""
        return f"{self.severity}: {self.table} row {self.row} ({self.trial}): {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A check that was carried out; `remark` is None where it passed."""

    test: str
    remark: Remark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All remarks on a base, worst first, and how often each test was carried out."""

    base: str
    remarks: tuple[Remark, ...]
    performed: dict[str, int]
    inputs: str
    method: str = "arithmetic checks of printed numbers, allowing for rounding"

    def count(self, severity: str) -> int:
        """How many remarks have this severity."""
        return sum(r.severity == severity for r in self.remarks)

    def summary(self) -> str:
        """Counts in one sentence."""
        counts = ", ".join(f"{self.count(s)} {s}" for s in SEVERITIES)
        return (
            f"{sum(self.performed.values())} checks of {len(self.performed)} kinds on "
            f"{self.base}: {counts}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "base": self.base,
            "inputs": self.inputs,
            "method": self.method,
            "counts": {s: self.count(s) for s in SEVERITIES},
            "performed": dict(self.performed),
            "remarks": [
                {
                    "severity": r.severity,
                    "test": r.test,
                    "trial": r.trial,
                    "table": r.table,
                    "row": r.row,
                    "findings": list(r.findings),
                    "sentence": r.sentence,
                }
                for r in self.remarks
            ],
        }


def gathered(base: str, inputs: str, judged: Iterable[Judged]) -> Checked:
    """The remarks in order of severity, then table and row, and the tally of tests."""
    found = list(judged)
    remarks = [j.remark for j in found if j.remark is not None]
    order = {s: i for i, s in enumerate(SEVERITIES)}
    remarks.sort(key=lambda r: (order[r.severity], r.table, r.row, r.test, r.sentence))
    performed = Counter(j.test for j in found)
    return Checked(
        base=base,
        remarks=tuple(remarks),
        performed=dict(sorted(performed.items())),
        inputs=inputs,
    )


def judge(
    test: str,
    fits: bool,
    severity: str,
    sentence: str,
    *,
    trial: str,
    table: str,
    row: int,
    findings: Sequence[str] = (),
) -> Judged:
    """The outcome of one check: passed, or a remark."""
    if fits:
        return Judged(test=test)
    return Judged(
        test=test,
        remark=Remark(
            severity=severity,
            test=test,
            trial=trial,
            table=table,
            row=row,
            sentence=sentence,
            findings=tuple(findings),
        ),
    )
