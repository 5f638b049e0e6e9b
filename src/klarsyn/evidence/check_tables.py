"""Checks of the tables beside the findings: correlations and published pooled results."""

from __future__ import annotations

from collections.abc import Iterator

from klarsyn.evidence.remarks import Judged, judge
from klarsyn.evidence.trial import Base, Correlation
from klarsyn.stats.reported_tests import ReportedTest, recompute
from klarsyn.stats.rounding import overlap, printed, span


def check_correlations(base: Base) -> Iterator[Judged]:
    """Coefficients lie between -1 and 1 and have the p that belongs to them."""
    for c in base.correlations:
        yield judge(
            "range of a statistic",
            abs(c.value) <= 1,
            "impossible",
            f"a correlation of {c.value:g} is not between -1 and 1",
            trial=c.trial,
            table="correlations",
            row=c.row,
        )
        if abs(c.value) <= 1 and c.p is not None and c.n is not None and c.n > 2:
            yield _p_of(c, c.p, c.n)


def check_published(base: Base) -> Iterator[Judged]:
    """Pooled estimates lie within their intervals."""
    for i, row in enumerate(base.published, start=2):
        estimate, low, high = (row[k] for k in ("estimate", "ci95_lower", "ci95_upper"))
        if not (isinstance(estimate, float) and isinstance(low, float) and isinstance(high, float)):
            continue
        number = row.get("row", i)
        yield judge(
            "estimate in interval",
            low <= high and overlap(span(printed(estimate)), (low, high)),
            "impossible",
            f"{estimate:g} ({low:g} to {high:g}): the estimate lies outside its interval",
            trial=str(row["id"]),
            table="published",
            row=number if isinstance(number, int) else i,
        )


def _p_of(c: Correlation, p: float, n: int) -> Judged:
    found = recompute(
        ReportedTest(test="r", value=printed(c.value), df1=float(n - 2), p=printed(p))
    )
    return judge(
        "statistic and p",
        found.consistent,
        "inconsistent" if found.decision_error else "look",
        f"r = {c.value:g} of {n} means p = {found.p:.2g}, but p = {p:g} is recorded",
        trial=c.trial,
        table="correlations",
        row=c.row,
    )
