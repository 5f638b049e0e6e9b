"""Every defensible analysis at once, and which single choice moves the conclusion most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.many_fits import ESTIMATORS, INTERVALS, fit_many, limits
from klarsyn.stats.vibration import vibration

CONCLUSIONS = ("benefit", "harm", "inconclusive", "not_estimable")
_BLOCK = 20_000  # fits at a time: small enough for the cache, large enough for numpy
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """Effects of the same studies under each combination of choices about the data.

    `choices` names them (e.g. measure, time, missing data); `options` has one combination a row of
    `effects` and `variances` (variants × studies, NaN where a study has no such result).
    """

    studies: tuple[str, ...]
    choices: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    effects: NDArray[np.float64]
    variances: NDArray[np.float64]


def variants(
    studies: Sequence[str],
    effects: Mapping[tuple[str, ...], ArrayLike],
    variances: Mapping[tuple[str, ...], ArrayLike],
    choices: Sequence[str],
) -> Variants:
    """Check effects and variances keyed by one option for each of `choices`."""
    if not effects or set(effects) != set(variances):
        raise InputError("Effects and variances must be given for the same combinations.")
    for key in effects:
        if len(key) != len(choices):
            raise InputError(f"{key} names {len(key)} options for {len(choices)} choices.")
    y = np.array([np.asarray(effects[k], dtype=float) for k in effects])
    v = np.array([np.asarray(variances[k], dtype=float) for k in effects])
    if y.shape != (len(effects), len(studies)) or v.shape != y.shape:
        raise InputError(f"Each combination needs {len(studies)} effects and variances.")
    bad = np.argwhere(np.isfinite(y) & ~(v > 0))
    if bad.size:
        raise InputError(f"{studies[bad[0][1]]}: a variance must be above 0.")
    return Variants(
        studies=tuple(studies),
        choices=tuple(choices),
        options=tuple(effects),
        effects=y,
        variances=v,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One dimension of the grid."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How far one choice moves the result when all others stay.

    `redrawn`: the chance that another of its options, drawn at random, gives another conclusion;
    fair between choices with few and with many options. `flips`: share of settings of the other
    choices in which its options do not all agree. `mean_range` and `largest_range`: of the
    estimate, over those settings. `variance_share`: of the estimate's variance over the grid, by
    its average effect alone.
    """

    choice: str
    redrawn: float
    flips: float
    mean_range: float
    largest_range: float
    variance_share: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in type(self).__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """All cells as arrays with one axis a choice, in the order of `choices`.

    Estimates and limits on the effect's own scale; NaN and `not_estimable` where no study is left
    or an interval needs more of them. `conclusion` indexes `CONCLUSIONS`.
    """

    choices: tuple[Choice, ...]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    tau2: NDArray[np.float64]
    studies: NDArray[np.int64]
    conclusion: NDArray[np.int8]
    threshold: float
    benefit: str
    level: float
    method: str
    digest: str

    @property
    def cells(self) -> int:
        """How many analyses."""
        return int(self.estimate.size)

    def shares(self) -> dict[str, float]:
        """Share of the cells that reach each conclusion; a description, no test."""
        counts = np.bincount(self.conclusion.ravel(), minlength=len(CONCLUSIONS))
        return {name: float(c) / self.cells for name, c in zip(CONCLUSIONS, counts, strict=True)}

    def influence(self) -> tuple[Influence, ...]:
        """Choices with more than one option, the one that moves the conclusion most first."""
        found = [
            _influence(self, axis)
            for axis, choice in enumerate(self.choices)
            if len(choice.options) > 1
        ]
        return tuple(sorted(found, key=lambda i: (-i.redrawn, -i.mean_range, i.choice)))

    def cell(self, **options: str) -> dict[str, Any]:
        """One analysis by its options; choices with a single option may be left out."""
        index = []
        for choice in self.choices:
            default = choice.options[0] if len(choice.options) == 1 else None
            option = options.get(choice.name, default)
            if option not in choice.options:
                raise unknown_name(choice.name, option, choice.options)
            index.append(choice.options.index(option))
        return self._cell(tuple(index))

    def _cell(self, at: tuple[int, ...]) -> dict[str, Any]:
        return {c.name: c.options[i] for c, i in zip(self.choices, at, strict=True)} | {
            "estimate": float(self.estimate[at]),
            "low": float(self.low[at]),
            "high": float(self.high[at]),
            "tau2": float(self.tau2[at]),
            "studies": int(self.studies[at]),
            "conclusion": CONCLUSIONS[self.conclusion[at]],
        }

    def curve(self, most: int = 500) -> list[dict[str, Any]]:
        """Cells in order of their estimate, at most `most` of them at evenly spaced ranks."""
        flat = self.estimate.ravel()
        order = np.argsort(flat, kind="stable")[: int(np.isfinite(flat).sum())]
        ranks = np.unique(np.linspace(0, order.size - 1, min(most, order.size)).astype(int))
        places = np.unravel_index(order[ranks], self.estimate.shape)
        return [
            {"rank": int(rank) + 1} | self._cell(tuple(int(i) for i in at))
            for rank, at in zip(ranks, zip(*places, strict=True), strict=True)
        ]

    def summary(self) -> str:
        """Two sentences: the range, and the choice that matters most."""
        finite = self.estimate[np.isfinite(self.estimate)]
        shares = self.shares()
        text = (
            f"{self.cells} analyses, estimates {finite.min():.3g} to {finite.max():.3g} (middle "
            f"{np.median(finite):.3g}): {shares['benefit']:.0%} benefit, "
            f"{shares['harm']:.0%} harm, {shares['inconclusive']:.0%} inconclusive, "
            f"{shares['not_estimable']:.0%} not estimable."
        )
        ranked = self.influence()
        if ranked and ranked[0].redrawn > 0:
            top = ranked[0]
            return (
                f"{text} The choice that moves the conclusion most is {top.choice}: another option "
                f"of it alone changes the conclusion with a chance of {top.redrawn:.0%}."
            )
        return f"{text} No single choice changes the conclusion."

    def to_dict(self, most: int = 500) -> dict[str, Any]:
        """JSON-ready, with the curve of at most `most` cells."""
        return {
            "cells": self.cells,
            "choices": {c.name: list(c.options) for c in self.choices},
            "shares": self.shares(),
            "vibration": vibration(self.estimate, log=False, null=self.threshold).to_dict(),
            "influence": [i.to_dict() for i in self.influence()],
            "curve": self.curve(most),
            "threshold": self.threshold,
            "benefit": self.benefit,
            "level": self.level,
            "summary": self.summary(),
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self, most: int = 500, **labels: Any) -> Any:
        """Specification curve (Altair); `labels` as in `figures.choices.grid_chart`."""
        from klarsyn.figures.choices import grid_chart

        options = {c.name: c.options for c in self.choices}
        shown = {i.choice: options[i.choice] for i in self.influence()}
        return grid_chart(
            self.curve(most), shown, threshold=self.threshold, total=self.cells, **labels
        )


def sensitivity_grid(
    data: Variants,
    *,
    estimators: Sequence[str],
    intervals: Sequence[str],
    benefit: str,
    threshold: float = 0.0,
    inclusion_sets: Mapping[str, Sequence[str]] | NDArray[np.bool_] | None = None,
    exclusions: Mapping[str, Sequence[str]] | None = None,
    unblinding_shares: Sequence[float] = (0.0,),
    unblinding_bias: ArrayLike | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Grid:
    """Cross all choices and fit every combination.

    `inclusion_sets` maps a name to its studies (or is a masks × studies array); `exclusions` maps a
    name to studies left out, e.g. those at high risk of bias. `unblinding_bias` is, for each study,
    how far belief alone would move its effect, on the effect's scale; a share s takes s of it away.
    `benefit` says whether `lower` or `higher` is good; a cell concludes benefit or harm when its
    interval lies wholly on one side of `threshold`. `progress(done, total)` is called after each
    block of fits.
    """
    _check_choices(estimators, intervals, benefit, level, threshold, unblinding_shares)
    sets, set_masks = _masks(data.studies, inclusion_sets, keep=True)
    outs, out_masks = _masks(data.studies, exclusions, keep=False)
    rows_y, shape_data, data_choices, rows_v = _rows(data, unblinding_shares, unblinding_bias)
    masks = (set_masks[:, None, :] & out_masks[None, :, :]).reshape(-1, len(data.studies))
    fits = _fit_all(rows_y, rows_v, masks, estimators, intervals, level, progress)
    choices = (
        *data_choices,
        Choice(name="unblinding share", options=tuple(f"{s:g}" for s in unblinding_shares)),
        Choice(name="inclusion set", options=sets),
        Choice(name="exclusion", options=outs),
        Choice(name="estimator", options=tuple(estimators)),
        Choice(name="interval", options=tuple(intervals)),
    )
    shape = (*shape_data, len(unblinding_shares), len(sets), len(outs))
    shape = (*shape, len(estimators), len(intervals))
    estimate, low, high, tau2, studies = (a.reshape(shape) for a in fits)
    if not np.isfinite(estimate).any():
        raise NumericalError(
            "not_estimable", "No cell of the grid has a study: widen the inclusion sets."
        )
    return Grid(
        choices=choices,
        estimate=estimate,
        low=low,
        high=high,
        tau2=tau2,
        studies=studies,
        conclusion=_conclude(low, high, threshold, benefit),
        threshold=threshold,
        benefit=benefit,
        level=level,
        method=f"{math.prod(shape)} analyses, {level:.0%} intervals",
        digest=digest_of(rows_y, rows_v, masks, [c.options for c in choices], threshold, level),
    )


def _check_choices(
    estimators: Sequence[str],
    intervals: Sequence[str],
    benefit: str,
    level: float,
    threshold: float,
    shares: Sequence[float],
) -> None:
    _check_names(estimators, ESTIMATORS, "estimator of tau²")
    _check_names(intervals, INTERVALS, "interval")
    if benefit not in ("lower", "higher"):
        raise unknown_name("direction of benefit", benefit, ("lower", "higher"))
    if not 0 < level < 1:
        raise InputError(f"A confidence level lies between 0 and 1; {level:g} does not.")
    if not math.isfinite(threshold):
        raise InputError(
            f"The threshold must be a number on the effect's scale; got {threshold:g}."
        )
    if not np.all(np.isfinite(shares)) or not len(shares):
        raise InputError("Shares of unblinding are numbers, such as 0, 0.5 and 1.")


def _check_names(names: Sequence[str], known: Sequence[str], kind: str) -> None:
    if not names:
        raise InputError(f"At least one {kind} is needed.")
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)


def _masks(
    studies: tuple[str, ...],
    named: Mapping[str, Sequence[str]] | NDArray[np.bool_] | None,
    *,
    keep: bool,
) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    if named is None:
        return ("all" if keep else "none",), np.ones((1, len(studies)), bool)
    if isinstance(named, np.ndarray):
        if named.ndim != 2 or named.shape[1] != len(studies):
            raise InputError(f"Masks need one column for each of the {len(studies)} studies.")
        return tuple(str(i + 1) for i in range(len(named))), named.astype(bool)
    for name, members in named.items():
        for member in members:
            if member not in studies:
                raise unknown_name("study", member, studies, name)
    rows = [[(s in members) == keep for s in studies] for members in map(set, named.values())]
    return tuple(named), np.array(rows, bool).reshape(len(named), len(studies))


def _rows(
    data: Variants, shares: Sequence[float], bias: ArrayLike | None
) -> tuple[NDArray[np.float64], tuple[int, ...], tuple[Choice, ...], NDArray[np.float64]]:
    """Rows of the full cross of data choices and shares; absent combinations stay NaN."""
    names = [
        tuple(dict.fromkeys(option[i] for option in data.options)) for i in range(len(data.choices))
    ]
    shape = tuple(len(n) for n in names)
    k = len(data.studies)
    y, v = np.full((*shape, k), np.nan), np.full((*shape, k), np.nan)
    for row, option in enumerate(data.options):
        at = tuple(n.index(o) for n, o in zip(names, option, strict=True))
        y[at], v[at] = data.effects[row], data.variances[row]
    if bias is None and any(shares):
        raise InputError("Shares of unblinding need the bias of each study (unblinding_bias).")
    pull = np.zeros(k) if bias is None else np.asarray(bias, dtype=float)
    if pull.shape != (k,) or not np.all(np.isfinite(pull)):
        raise InputError(f"unblinding_bias needs one number for each of the {k} studies.")
    moved = y[..., None, :] - np.multiply.outer(np.asarray(shares, dtype=float), pull)
    same = np.broadcast_to(v[..., None, :], moved.shape)
    choices = tuple(Choice(name=c, options=n) for c, n in zip(data.choices, names, strict=True))
    return moved.reshape(-1, k), shape, choices, np.ascontiguousarray(same).reshape(-1, k)


def _fit_all(
    y: NDArray[np.float64],
    v: NDArray[np.float64],
    masks: NDArray[np.bool_],
    estimators: Sequence[str],
    intervals: Sequence[str],
    level: float,
    progress: Progress | None,
) -> tuple[NDArray[Any], ...]:
    shape = (len(y), len(masks), len(estimators), len(intervals))
    estimate, low, high, tau2 = (np.full(shape, np.nan) for _ in range(4))
    studies = np.zeros(shape, np.int64)
    wide = min(len(masks), _BLOCK)
    tall = max(1, _BLOCK // wide)
    total, done = math.prod(shape), 0
    for row in range(0, len(y), tall):
        rows = slice(row, row + tall)
        for column in range(0, len(masks), wide):
            columns = slice(column, column + wide)
            for e, estimator in enumerate(estimators):
                fits = fit_many(y[rows], v[rows], masks[columns], estimator)
                at = (rows, columns, e)
                estimate[at] = fits.mean[..., None]
                tau2[at] = fits.tau2[..., None]
                studies[at] = fits.studies[..., None]
                for i, interval in enumerate(intervals):
                    low[(*at, i)], high[(*at, i)] = limits(fits, interval, level)
                done += fits.mean.size * len(intervals)
                if progress:
                    progress(done, total)
    return estimate, low, high, tau2, studies


def _conclude(
    low: NDArray[np.float64], high: NDArray[np.float64], threshold: float, benefit: str
) -> NDArray[np.int8]:
    below, above = high < threshold, low > threshold
    good, bad = (below, above) if benefit == "lower" else (above, below)
    undefined = ~(np.isfinite(low) & np.isfinite(high))
    return np.select([undefined, good, bad], [3, 0, 1], default=2).astype(np.int8)


def _influence(grid: Grid, axis: int) -> Influence:
    estimate, conclusion = grid.estimate, grid.conclusion
    known = np.isfinite(estimate)
    top = np.where(known, estimate, -np.inf).max(axis=axis)
    bottom = np.where(known, estimate, np.inf).min(axis=axis)
    usable = known.sum(axis=axis) > 1
    ranges = (top - bottom)[usable]
    redrawn, flips = _changes(conclusion, axis)
    others = tuple(i for i in range(estimate.ndim) if i != axis)
    counts = known.sum(axis=others)
    means = np.where(known, estimate, 0.0).sum(axis=others) / np.maximum(counts, 1)
    values = estimate[known]
    variance = float(values.var()) if values.size else 0.0
    centre = values.mean() if values.size else 0.0
    between = float((counts * (means - centre) ** 2).sum() / max(counts.sum(), 1))
    return Influence(
        choice=grid.choices[axis].name,
        redrawn=redrawn,
        flips=flips,
        mean_range=float(ranges.mean()) if ranges.size else 0.0,
        largest_range=float(ranges.max()) if ranges.size else 0.0,
        variance_share=between / variance if variance > 0 else 0.0,
    )


def _changes(conclusion: NDArray[np.int8], axis: int) -> tuple[float, float]:
    """Mean chance that two different options disagree, and share of lines that are not of one mind.

    Cells that are not estimable do not take part.
    """
    counts = np.stack([(conclusion == c).sum(axis=axis) for c in range(3)])
    n = counts.sum(axis=0)
    compared = n > 1
    if not compared.any():
        return 0.0, 0.0
    counts, n = counts[:, compared].astype(float), n[compared].astype(float)
    disagree = 1 - (counts * (counts - 1)).sum(axis=0) / (n * (n - 1))
    return float(disagree.mean()), float((counts.max(axis=0) < n).mean())
