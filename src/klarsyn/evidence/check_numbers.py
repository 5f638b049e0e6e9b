"""Checks within a cell: counts, percentages, spread, intervals and p values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from klarsyn.evidence.cells import Cell
from klarsyn.evidence.remarks import Judged, judge
from klarsyn.evidence.trial import Finding
from klarsyn.stats import sanity
from klarsyn.stats.reported_tests import ReportedTest, recompute
from klarsyn.stats.rounding import overlap, printed, span

RATIOS = ("hazard_ratio", "odds_ratio", "risk_ratio", "rate_ratio")
DIFFERENCES = ("mean_difference", "standardised_mean_difference", "risk_difference")
EFFECTS = (*RATIOS, *DIFFERENCES, "mean", "median", "percent", "rate", "correlation")
# Effects whose usual interval is estimate ± quantile · SE; the others have score, exact or
# bootstrap intervals that need not be symmetric.
SYMMETRIC = (*RATIOS, "mean_difference", "standardised_mean_difference", "mean")
LEVELS = {"ci80": 0.80, "ci90": 0.90, "ci95": 0.95, "ci97_5": 0.975, "ci99": 0.99}
# The smallest degrees of freedom allowed for when a t interval is not told from a normal one.
FEWEST_DF = 8
# A p from another test of the same data (t, ranks, a model) may differ from that of the interval
# by this factor before a remark.
P_FACTOR = 3.0
ORDER = ("minimum", "q1", "median", "q3", "maximum")
NOT_NEGATIVE = ("sd", "se", "n", "events", "rate", "follow_up", "f", "chi2", "df", "df2")
WHOLE = ("n", "events")


def check_value(f: Finding) -> Iterator[Judged]:
    """What one number can be at all, whatever it belongs to."""
    if f.value is None:
        return
    limits = _limits(f.statistic)
    if limits is not None:
        low, high, words = limits
        fits = low <= f.value <= high and not (f.statistic in RATIOS and f.value == 0)
        yield _one(f, "range of a statistic", fits, f"{f.statistic} {f.value:g} is not {words}")
    if f.statistic in WHOLE:
        whole = f.value == int(f.value)
        yield _one(f, "whole count", whole, f"{f.statistic} {f.value:g} is not a whole number")


def check_cell(cell: Cell) -> Iterator[Judged]:
    """Every test that the statistics of the cell allow."""
    yield from _counts(cell)
    yield from _spread(cell)
    yield from _order(cell)
    yield from _test_statistic(cell)
    effects = [e for e in EFFECTS if cell.has(e)]
    if len(effects) != 1:
        return  # an interval or p beside several effects may belong to any of them
    for name, level in LEVELS.items():
        if cell.has(f"{name}_lower", f"{name}_upper"):
            yield from _interval(cell, effects[0], name, level)


def _one(f: Finding, test: str, fits: bool, sentence: str) -> Judged:
    return judge(
        test,
        fits,
        "impossible",
        f"{f.outcome.replace('_', ' ')} of {f.arm}: {sentence}",
        trial=f.trial,
        table="findings",
        row=f.row,
        findings=[f.id],
    )


def _limits(statistic: str) -> tuple[float, float, str] | None:
    if statistic in {"p_value", "p_below"}:
        return 0, 1, "between 0 and 1"
    if statistic == "percent":
        return 0, 100, "between 0 and 100"
    if statistic == "correlation":
        return -1, 1, "between -1 and 1"
    if statistic in RATIOS:
        return 0, float("inf"), "above 0"
    if statistic in NOT_NEGATIVE:
        return 0, float("inf"), "0 or more"
    return None


def _counts(cell: Cell) -> Iterator[Judged]:
    if cell.has("events", "n"):
        events, n = cell["events"], cell["n"]
        sentence = f"{events:g} events of {n:g} participants"
        yield cell.judge("events of n", events <= n, "impossible", sentence, "events", "n")
    if not cell.has("percent", "n") or cell["n"] < 1 or cell["n"] != int(cell["n"]):
        return
    percent, n = cell["percent"], int(cell["n"])
    if cell.has("events"):
        share = 100 * cell["events"] / n
        fits = overlap((share, share), span(printed(percent)))
        sentence = f"{cell['events']:g} of {n} are {share:.2f} %, but {percent:g} % is recorded"
        yield cell.judge(
            "percent and count", fits, "inconsistent", sentence, "percent", "events", "n"
        )
    else:
        found = sanity.counts_of_percent(percent, n)
        sentence = f"{percent:g} % of {n} is no whole number of participants"
        yield cell.judge(
            "percent and count",
            found.status != "inconsistent",
            "inconsistent",
            sentence,
            "percent",
            "n",
        )


def _spread(cell: Cell) -> Iterator[Judged]:
    if not cell.has("sd", "se"):
        return
    sd, se = cell["sd"], cell["se"]
    sentence = f"the SD {sd:g} is smaller than the SE {se:g}"
    yield cell.judge("SD and SE", sd >= se, "impossible", sentence, "sd", "se")
    if cell.has("n") and cell["n"] >= 1 and cell.estimator != "model":
        n = int(cell["n"])
        sentence = f"SD {sd:g} and SE {se:g} do not fit n = {n} (SD/√n is {sd / n**0.5:.3g})"
        severity = "inconsistent" if cell.estimator == "raw" else "look"
        fits = sanity.sd_fits_se(sd, se, n)
        yield cell.judge("SD, SE and n", fits, severity, sentence, "sd", "se", "n")


def _order(cell: Cell) -> Iterator[Judged]:
    known = [s for s in ORDER if cell.has(s)]
    for low, high in itertools.pairwise(known):
        sentence = f"{low} {cell[low]:g} lies above {high} {cell[high]:g}"
        fits = cell[low] <= cell[high]
        yield cell.judge("order of quantiles", fits, "impossible", sentence, low, high)
    if cell.has("mean", "minimum", "maximum"):
        fits = overlap(span(printed(cell["mean"])), (cell["minimum"], cell["maximum"]))
        sentence = f"the mean {cell['mean']:g} lies outside the smallest and largest value"
        yield cell.judge(
            "order of quantiles", fits, "impossible", sentence, "mean", "minimum", "maximum"
        )


def _interval(cell: Cell, effect: str, name: str, level: float) -> Iterator[Judged]:
    low, high, value = cell[f"{name}_lower"], cell[f"{name}_upper"], cell[effect]
    used = (effect, f"{name}_lower", f"{name}_upper")
    shown = f"{effect.replace('_', ' ')} {value:g} ({low:g} to {high:g})"
    inside = low <= high and overlap(span(printed(value)), (low, high))
    sentence = f"{shown}: the estimate lies outside its interval, or the limits are swapped"
    yield cell.judge("estimate in interval", inside, "impossible", sentence, *used)
    log = effect in RATIOS
    if not inside or effect not in SYMMETRIC or (log and min(low, value) <= 0):
        return
    yield _symmetry(cell, shown, used, log)
    if cell.has("se") and not log:
        df = max(cell["n"] - 1, 1) if effect == "mean" and cell.has("n") else FEWEST_DF
        fits = sanity.ci_fits_se(low, high, cell["se"], level=level, df=df)
        sentence = (
            f"{shown} does not fit the SE {cell['se']:g} (another level, or adjusted for several "
            f"comparisons?)"
        )
        severity = "inconsistent" if effect == "mean" else "look"
        yield cell.judge("interval and SE", fits, severity, sentence, *used, "se")
    if effect == "mean":
        yield from _spread_of_interval(cell, shown, used, level)
    else:
        yield from _p(cell, shown, used, level, log)


def _test_statistic(cell: Cell) -> Iterator[Judged]:
    """The p of a printed t, F, chi-square or z beside the p printed with it."""
    for test in ("t", "f", "chi2", "z"):
        sizes = {"f": ("df", "df2"), "z": ()}.get(test, ("df",))
        p_name = "p_value" if cell.has("p_value") else "p_below"
        if cell.has(test, p_name, *sizes) and all(cell[s] > 0 for s in sizes):
            if test in {"f", "chi2"} and cell[test] < 0:
                continue
            reported = ReportedTest(
                test=test,
                value=printed(cell[test]),
                df1=cell["df"] if sizes else None,
                df2=cell["df2"] if len(sizes) == 2 else None,
                p=printed(cell[p_name]),
                p_relation="=" if p_name == "p_value" else "<",
            )
            yield from _recomputed(cell, reported, (test, p_name, *sizes))


def _recomputed(cell: Cell, reported: ReportedTest, used: Sequence[str]) -> Iterator[Judged]:
    found = recompute(reported)
    sentence = (
        f"{reported.test} = {float(reported.value):g} means p = {found.p:.2g}, but p "
        f"{reported.p_relation} {cell[used[1]]:g} is recorded"
        + ("; half of it would fit a one-sided test" if found.one_sided else "")
    )
    severity = "inconsistent" if found.decision_error and not found.one_sided else "look"
    yield cell.judge("statistic and p", found.consistent, severity, sentence, *used)


def _symmetry(cell: Cell, shown: str, used: Sequence[str], log: bool) -> Judged:
    effect, low, high = used
    fits = sanity.ci_is_symmetric(cell[effect], cell[low], cell[high], log=log)
    scale = " on the log scale" if log else ""
    sentence = f"{shown}: the estimate is not the middle of its interval{scale}"
    severity = "inconsistent" if effect in {"mean", "mean_difference"} else "look"
    return cell.judge("symmetric interval", fits, severity, sentence, *used)


def _spread_of_interval(
    cell: Cell, shown: str, used: Sequence[str], level: float
) -> Iterator[Judged]:
    if not cell.has("sd", "n") or cell.estimator == "model" or cell["n"] < 2:
        return
    _, low, high = used
    n = cell["n"]
    ends = sanity.se_of_ci(cell[low], cell[high], level=level, df=n - 1)
    sd = sanity.not_negative(printed(cell["sd"]))
    fits = overlap((ends[0] * n**0.5, ends[1] * n**0.5), sd)
    sentence = (
        f"{shown} with n = {n:g} means an SD of {ends[0] * n**0.5:.3g} to "
        f"{ends[1] * n**0.5:.3g}, but {cell['sd']:g} is recorded"
    )
    severity = "inconsistent" if cell.estimator == "raw" else "look"
    yield cell.judge("interval and SD", fits, severity, sentence, *used, "sd", "n")


def _p(cell: Cell, shown: str, used: Sequence[str], level: float, log: bool) -> Iterator[Judged]:
    statistic = "p_value" if cell.has("p_value") else "p_below"
    if not cell.has(statistic):
        return
    effect, low, high = used
    least, most = sanity.ci_p_values(cell[effect], cell[low], cell[high], level=level, log=log)
    p = span(printed(cell[statistic])) if statistic == "p_value" else (0.0, cell[statistic])
    near = overlap((least / P_FACTOR, most * P_FACTOR), p)
    half = overlap((least / 2, most / 2), p)
    words = "p =" if statistic == "p_value" else "p <"
    about = f"about {least:.2g} to {most:.2g}"
    sentence = f"{shown} means p of {about}, but {words} {cell[statistic]:g} is recorded"
    sides = (least > 0.05 and p[1] < 0.05) or (most < 0.05 and p[0] > 0.05)
    severity = "inconsistent" if sides and not half else "look"
    hint = (
        "; half of it would fit a one-sided test" if half and not overlap((least, most), p) else ""
    )
    yield cell.judge(
        "interval and p", near and not sides, severity, sentence + hint, *used, statistic
    )
