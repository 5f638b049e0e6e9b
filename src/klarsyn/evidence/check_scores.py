"""Checks that need the rating scale, or both arms of a contrast, or the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from klarsyn.evidence.cells import Cell, pairs
from klarsyn.evidence.remarks import Judged, judge
from klarsyn.evidence.trial import Base, Scale, Trial
from klarsyn.stats import granularity, sanity
from klarsyn.stats.rounding import overlap, printed, span

CHANGE = "_change"
POINTS = frozenset({"", "point", "points", "score"})
SCORES = ("mean", "sd", "se", "median", "q1", "q3", "minimum", "maximum")
# A raw SD of this share of the scale's range or less, whose SD·√n is not small, may be an SE.
SMALL_SPREAD = 0.04
# Standard errors of a difference, from the arms and from its interval, may differ by this factor
# (baseline adjustment narrows, dropout widens) before a remark.
SE_FACTOR = 2.5
# Baseline groups are remarked on when chance gives so similar or so different ones this rarely.
BASELINE_P = 0.001
FEWEST_VARIABLES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The lowest and highest value of a score, or of a change of score.

    `width` is the range of the scale itself.
    """

    low: float
    high: float
    integer: bool
    width: float


def limits_of(cell: Cell, scales: dict[str, Scale]) -> Limits | None:
    """The limits of a cell's scores; outcomes whose name ends in `_change` are changes.

    None where no scale applies or the unit is not the scale's own (a percentage, a time).
    """
    scale = scales.get(cell.scale)
    units = {f.unit.casefold() for s, f in cell.values.items() if s in SCORES}
    if scale is None or not units <= POINTS:
        return None
    width = scale.maximum - scale.minimum
    if cell.outcome.endswith(CHANGE):
        return Limits(low=-width, high=width, integer=scale.integer, width=width)
    return Limits(low=scale.minimum, high=scale.maximum, integer=scale.integer, width=width)


def check_scores(base: Base, cell: Cell) -> Iterator[Judged]:
    """Range of the scale, spread within it, and whole-number scores where they are raw."""
    if "|" in cell.arm:
        return
    limits = limits_of(cell, dict(base.scales))
    if limits is None:
        return
    for statistic in SCORES:
        if cell.has(statistic) and statistic not in {"sd", "se"}:
            fits = overlap(span(printed(cell[statistic])), (limits.low, limits.high))
            sentence = (
                f"{statistic} {cell[statistic]:g} lies outside {limits.low:g} to {limits.high:g}"
            )
            yield cell.judge("range of the scale", fits, "impossible", sentence, statistic)
    if cell.has("mean", "sd", "n"):
        yield from _spread(cell, limits)
    yield from _whole_scores(cell, limits)


def check_pairs(cells: Sequence[Cell]) -> Iterator[Judged]:
    """Each contrast against the two arms it compares."""
    for contrast, first, second in pairs(cells):
        if contrast.has("mean_difference") and first.has("mean") and second.has("mean"):
            yield from _difference(contrast, first, second)
            yield from _difference_se(contrast, first, second)
        if all(c.has("events", "n") and c["n"] > 0 for c in (first, second)):
            yield from _ratios(contrast, first, second)


def check_directions(cells: Sequence[Cell]) -> Iterator[Judged]:
    """A change from baseline has the sign of the score minus the score at day 0."""
    means = {(c.arm, c.outcome, c.scale, c.days): c for c in cells if c.has("mean")}
    for c in cells:
        if not c.outcome.endswith(CHANGE) or not c.has("mean") or "|" in c.arm:
            continue
        score = c.outcome.removesuffix(CHANGE) + "_score"
        after = means.get((c.arm, score, c.scale, c.days))
        before = means.get((c.arm, score, c.scale, 0.0))
        if after is None or before is None:
            continue
        step = after["mean"] - before["mean"]
        sentence = (
            f"the change is {c['mean']:g}, but the score goes from {before['mean']:g} to "
            f"{after['mean']:g}: change is later minus earlier"
        )
        yield c.judge("sign of the change", step * c["mean"] >= 0, "look", sentence, "mean")


def check_baseline(trial: Trial, cells: Sequence[Cell]) -> Iterator[Judged]:
    """Whether randomised groups are more, or less, alike at baseline than chance makes them.

    A screen: it takes baseline variables as independent and normal, and numbers as unrounded.
    """
    if not trial.randomised or trial.design != "parallel":
        return
    ps = []
    for group in _baseline(trial, cells):
        sizes = [int(c["n"]) for c in group]
        p = sanity.similarity(sizes, [c["mean"] for c in group], [c["sd"] for c in group])
        ps.append(min(max(p, 1e-9), 1 - 1e-9))
    if len(ps) < FEWEST_VARIABLES:
        return
    p = sanity.stouffer(ps)
    sentence = (
        f"over {len(ps)} baseline variables the groups are "
        f"{'more' if p < 0.5 else 'less'} alike than chance makes them in all but "
        f"{min(p, 1 - p):.2g} of trials (independence and normality assumed; rounding ignored)"
    )
    yield judge(
        "baseline similarity",
        BASELINE_P <= p <= 1 - BASELINE_P,
        "look",
        sentence,
        trial=trial.id,
        table="trials",
        row=trial.row,
    )


def _spread(cell: Cell, limits: Limits) -> Iterator[Judged]:
    n, sd = int(cell["n"]), cell["sd"]
    if n < 2 or not limits.low <= cell["mean"] <= limits.high:
        return
    _, most = granularity.sd_limits(
        cell["mean"], n, math.floor(limits.low), math.ceil(limits.high), whole_numbers=False
    )
    sentence = f"an SD of {sd:g} is above {most:.3g}, the most that the scale allows at this mean"
    fits = span(printed(sd))[0] <= most
    yield cell.judge("spread within the scale", fits, "impossible", sentence, "sd", "mean", "n")
    width = limits.width
    maybe_se = sd <= SMALL_SPREAD * width < sd * n**0.5 <= width / 3 and cell.days != 0
    sentence = f"an SD of {sd:g} is small for this scale; SD·√n would be {sd * n**0.5:.3g}: an SE?"
    yield cell.judge("SD or SE", not maybe_se, "look", sentence, "sd", "n")


def _whole_scores(cell: Cell, limits: Limits) -> Iterator[Judged]:
    """GRIM and GRIMMER for raw, reported means of whole-number scores, and nothing else."""
    if not (cell.has("mean", "n") and limits.integer and cell.estimator == "raw"):
        return
    if cell.values["mean"].kind != "reported" or cell.period == "both":
        return
    n = cell["n"]
    if n < 1 or n != int(n):
        return
    bounds = {"minimum": math.floor(limits.low), "maximum": math.ceil(limits.high)}
    mean = granularity.grim(cell["mean"], int(n), **bounds)
    sentence = f"the mean {cell['mean']:g} of {n:g} is {mean.reason}"
    yield cell.judge(
        "whole-number mean (GRIM)", bool(mean.possible), "inconsistent", sentence, "mean", "n"
    )
    if not (mean.possible and cell.has("sd") and cell.values["sd"].kind == "reported"):
        return
    if cell["sd"] < 0:
        return
    both = granularity.grimmer(cell["mean"], cell["sd"], int(n), **bounds)
    if both.possible is None:
        return
    sentence = f"mean {cell['mean']:g} and SD {cell['sd']:g} of {n:g} are {both.reason}"
    yield cell.judge(
        "whole-number SD (GRIMMER)", both.possible, "inconsistent", sentence, "sd", "mean", "n"
    )


def _difference(contrast: Cell, first: Cell, second: Cell) -> Iterator[Judged]:
    value = contrast["mean_difference"]
    step = first["mean"] - second["mean"]
    raw = all(c.estimator == "raw" for c in (contrast, first, second))
    sentence = (
        f"the means {first['mean']:g} and {second['mean']:g} differ by {step:.4g}, but "
        f"{value:g} is recorded"
    )
    if raw:
        fits = sanity.difference_fits(first["mean"], second["mean"], value)
        yield contrast.judge(
            "difference of means", fits, "inconsistent", sentence, "mean_difference"
        )
    else:
        fits = value * step >= 0 or sanity.difference_fits(first["mean"], second["mean"], -value)
        swapped = value * step < 0 and abs(value + step) < abs(value - step) / 2
        yield contrast.judge(
            "direction of the difference",
            fits and not swapped,
            "look",
            f"{sentence}: a contrast is first minus second",
            "mean_difference",
        )


def _difference_se(contrast: Cell, first: Cell, second: Cell) -> Iterator[Judged]:
    if not all(c.has("sd", "n") and c["n"] > 1 for c in (first, second)):
        return
    if not contrast.has("ci95_lower", "ci95_upper"):
        return
    low, high = sanity.welch_se(first["sd"], int(first["n"]), second["sd"], int(second["n"]))
    seen = sanity.se_of_ci(contrast["ci95_lower"], contrast["ci95_upper"])
    fits = overlap((low / SE_FACTOR, high * SE_FACTOR), seen)
    yield contrast.judge(
        "interval and SDs",
        fits,
        "look",
        f"the SDs of the arms mean an SE of {low:.3g} to {high:.3g}, its interval one of "
        f"{seen[0]:.3g} to {seen[1]:.3g}",
        "mean_difference",
        "ci95_lower",
        "ci95_upper",
    )


def _ratios(contrast: Cell, first: Cell, second: Cell) -> Iterator[Judged]:
    a, n1, c, n2 = first["events"], first["n"], second["events"], second["n"]
    b, d = n1 - a, n2 - c
    if min(b, d) < 0:
        return
    percent = {f.unit for s, f in contrast.values.items() if s == "risk_difference"} != {""}
    values = {
        "risk_ratio": (a / n1) / (c / n2) if c else None,
        "odds_ratio": a * d / (b * c) if b * c else None,
        "risk_difference": (a / n1 - c / n2) * (100 if percent else 1),
    }
    for measure, value in values.items():
        if value is None or not contrast.has(measure):
            continue
        fits = overlap((value, value), span(printed(contrast[measure])))
        sentence = (
            f"{a:g} of {n1:g} and {c:g} of {n2:g} give {measure.replace('_', ' ')} {value:.4g}, "
            f"but {contrast[measure]:g} is recorded (adjusted?)"
        )
        yield contrast.judge("effect of the counts", fits, "look", sentence, measure)


def _baseline(trial: Trial, cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for c in cells:
        usable = c.has("mean", "sd", "n") and c["n"] >= 2 and c["sd"] > 0
        if usable and c.days == 0 and c.arm in {a.id for a in trial.arms}:
            key = (c.outcome, c.scale, c.analysis_set, c.estimator)
            groups.setdefault(key, []).append(c)
    yield from (g for g in groups.values() if len(g) >= 2)
