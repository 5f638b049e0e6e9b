"""Printed test results, such as t(28) = 2.1, p = .04: the p recomputed and compared.

Nuijten et al. 2016 (statcheck), with the rounding of the statistic always allowed for.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.rounding import Printed, overlap, printed, span

TESTS = ("t", "f", "chi2", "r", "z")
_MINUS = "-\u2212\u2013"
_VALUE = rf"[{_MINUS}]?\s*\d*\.?\d+"
_RESULT = re.compile(
    r"(?<![A-Za-z])(?P<test>[tFfrzZ]|χ\s*2|χ²|chi\s*2|chi-?square|X\s*2|X²)\s*"
    r"(?:\(\s*(?P<df1>\d+(?:\.\d+)?)\s*(?:,\s*(?:N\s*=\s*\d+|(?P<df2>\d+(?:\.\d+)?))\s*)?\))?\s*"
    rf"(?P<relation>[=<>])\s*(?P<value>{_VALUE})\s*[,;]\s*"
    rf"p\s*(?P<p_relation>[=<>])\s*(?P<p>\d*\.?\d+(?:e[{_MINUS}]?\d+)?)",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"\(\s*[1-9]\d{0,2},\d{3}(?:\.\d+)?\s*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTest:
    """A test statistic with its degrees of freedom and the p printed beside it."""

    test: str
    value: Printed
    df1: float | None = None
    df2: float | None = None
    relation: str = "="
    p: Printed | None = None
    p_relation: str = "="


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """The p that belongs to a printed statistic.

    `p_low` and `p_high` bound it over the statistic's rounding. `consistent` allows for the
    rounding of both; `one_sided` says that half the p would be consistent; `decision_error` that
    the printed and the recomputed p lie on different sides of `alpha`, whatever the rounding.
    """

    p: float
    p_low: float
    p_high: float
    consistent: bool
    one_sided: bool
    decision_error: bool
    alpha: float


def read_test_results(text: str) -> list[ReportedTest]:
    """Every complete test result in a text: t(df), F(df1, df2), χ²(df[, N = n]), r(df) and z.

    t(1,234) has 1234 degrees of freedom; a t or r with two numbers otherwise is left out.
    """
    found = [_result(m) for m in _RESULT.finditer(text)]
    return [r for r in found if r.df2 is None or r.test not in {"t", "r"}]


def p_of(test: str, value: float, df1: float | None = None, df2: float | None = None) -> float:
    """The p of a statistic: two-sided for t, r and z, upper tail for F and χ²."""
    from scipy import special

    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    if test == "z":
        return float(2 * special.ndtr(-abs(value)))
    if df1 is None or (test == "f" and df2 is None):
        raise InputError(f"A p of {test} needs its degrees of freedom.")
    if not df1 > 0 or (df2 is not None and not df2 > 0):
        raise InputError(f"Degrees of freedom of {test} are above 0; {df1:g} is not.")
    if test == "t":
        return float(2 * special.stdtr(df1, -abs(value)))
    if test == "r":
        return _p_of_r(value, df1)
    if value < 0:
        raise InputError(f"{test} cannot be negative; {value:g} is.")
    if test == "f":
        return float(special.fdtrc(df1, df2, value))
    return float(special.chdtrc(df1, value))


def recompute(result: ReportedTest, *, alpha: float = 0.05) -> Recomputed:
    """The p of a printed statistic beside the p printed with it."""
    at = p_of(result.test, _allowed(result.test, float(result.value)), result.df1, result.df2)
    low, high = p_interval(result)
    if result.p is None:
        raise InputError("There is no printed p to compare with.")
    shown = _shown(result.p, result.p_relation)
    return Recomputed(
        p=at,
        p_low=low,
        p_high=high,
        consistent=overlap((low, high), shown),
        one_sided=overlap((low / 2, high / 2), shown),
        decision_error=_decision_error((low, high), shown, result, alpha),
        alpha=alpha,
    )


def p_interval(result: ReportedTest) -> tuple[float, float]:
    """All p values of statistics that round to the printed one (or lie beyond it)."""
    low, high = span(result.value)
    if result.relation == "<":
        low = -math.inf if result.test in {"t", "r", "z"} and high < 0 else 0.0
    if result.relation == ">":
        high = math.inf
    near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    far = max(abs(low), abs(high))
    ends = [
        p_of(result.test, _allowed(result.test, v), result.df1, result.df2) for v in (far, near)
    ]
    return ends[0], ends[1]


def _p_of_r(value: float, df: float) -> float:
    from scipy import special

    if abs(value) > 1:
        raise InputError(f"A correlation lies between -1 and 1; {value:g} does not.")
    if abs(value) == 1:
        return 0.0
    return float(2 * special.stdtr(df, -abs(value) * math.sqrt(df / (1 - value * value))))


def _allowed(test: str, value: float) -> float:
    return max(-1.0, min(1.0, value)) if test == "r" and abs(value) <= 1.5 else value


def _shown(p: Printed, relation: str) -> tuple[float, float]:
    if relation == "<":
        return 0.0, math.nextafter(float(p), 0)
    if relation == ">":
        return math.nextafter(float(p), 1), 1.0
    low, high = span(p)
    return max(0.0, low), min(1.0, high)


def _decision_error(
    computed: tuple[float, float], shown: tuple[float, float], result: ReportedTest, alpha: float
) -> bool:
    if overlap(computed, shown):
        return False
    printed_p = float(result.p) if result.p is not None else math.nan
    said = printed_p <= alpha if result.p_relation != ">" else printed_p < alpha
    if result.p_relation == ">" and said:
        return False
    return (said and computed[0] > alpha) or (not said and computed[1] < alpha)


def _result(match: re.Match[str]) -> ReportedTest:
    letter = match["test"].casefold().replace(" ", "")
    test = letter if letter in {"t", "f", "r", "z"} else "chi2"
    df1, df2 = match["df1"], match["df2"]
    if test in {"t", "r"} and df2 and _THOUSANDS.search(match[0]):
        df1, df2 = df1 + df2, None
    return ReportedTest(
        test=test,
        value=printed(re.sub(rf"[{_MINUS}]\s*", "-", match["value"])),
        df1=float(df1) if df1 else None,
        df2=float(df2) if df2 else None,
        relation=match["relation"],
        p=printed(re.sub(rf"[{_MINUS}]", "-", match["p"])),
        p_relation=match["p_relation"],
    )
