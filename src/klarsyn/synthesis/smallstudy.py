"""Small-study effects and selection: every test and adjustment on the same effects."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.rare_stratified import ChiSquare
from klarsyn.synthesis.smallstudy_cautions import cautions_of_small_studies

if TYPE_CHECKING:
    from klarsyn.stats.asymmetry import AsymmetryTest, LimitMetaAnalysis, PetPeese, RankTest
    from klarsyn.stats.fail_safe import FailSafe
    from klarsyn.stats.selection import SelectionFit
    from klarsyn.stats.trim_and_fill import TrimAndFill
    from klarsyn.stats.worst_case import WorstCase
    from klarsyn.synthesis.cautions import Caution
    from klarsyn.synthesis.effects import Effects
    from klarsyn.synthesis.rare import Counts

T = TypeVar("T")

SELECTION_MODELS = ("stepfun", "beta", "halfnorm", "negexp", "logistic", "power")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallStudyEffects:
    """All answers on one scale (`scale`: log or natural); `failed` says why a method has none.

    `favoured` is the sign of the effect that publication is thought to favour; `warnings` are
    (name, sentence), the sentences alone are `notes`.
    """

    study: tuple[str, ...]
    y: np.ndarray
    v: np.ndarray
    measure: str
    scale: str
    favoured: str
    tau2_method: str
    pooled: Estimate
    tests: tuple[AsymmetryTest, ...]
    rank_tests: tuple[RankTest, ...]
    pet_peese: PetPeese | None
    trimmed: tuple[TrimAndFill, ...]
    limit: LimitMetaAnalysis | None
    selection: tuple[SelectionFit, ...]
    worst: WorstCase
    fail_safe: tuple[FailSafe, ...]
    failed: tuple[tuple[str, str], ...]
    warnings: tuple[Caution, ...]
    method: str = "small-study effects and selection, methods side by side"

    @property
    def digest(self) -> str:
        """Of the effects, variances and names."""
        return digest_of(self.y, self.v, list(self.study), self.measure)

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences of the warnings."""
        return tuple(sentence for _, sentence in self.warnings)

    def estimates(self) -> list[Estimate]:
        """The pooled effect and every adjusted one."""
        out = [self.pooled]
        if self.pet_peese is not None:
            out.append(self.pet_peese.estimate)
        out += [t.estimate for t in self.trimmed]
        if self.limit is not None:
            out.append(self.limit.estimate)
        out += [
            Estimate(value=s.mu, se=s.se, method=s.method, scale=self.scale) for s in self.selection
        ]
        if self.worst.worst is not None:
            out.append(dataclasses.replace(self.worst.worst, method="worst case, non-affirmative"))
        return out

    def summary(self) -> str:
        """One line a test and one an adjusted effect."""
        lines = [f"{len(self.study)} studies, {self.measure}, {self.scale} scale"]
        lines += [f"{t.name}: slope {t.slope.value:.4g}, p {t.p:.3g}" for t in self.tests]
        lines += [f"{t.name}: tau {t.tau:.3f}, p {t.p:.3g}" for t in self.rank_tests]
        for e in self.estimates():
            low, high = e.interval()
            lines.append(f"{e.method}: {e.value:.4g} ({low:.4g} to {high:.4g})")
        lines += [f"{name}: {why}" for name, why in self.failed]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "method": self.method, "digest": self.digest, "studies": len(self.study),
            "measure": self.measure, "scale": self.scale, "favoured": self.favoured,
            "tau2_method": self.tau2_method, "pooled": _plain(self.pooled),
            "tests": [_plain(t) for t in self.tests],
            "rank_tests": [_plain(t) for t in self.rank_tests],
            "pet_peese": None if self.pet_peese is None else {
                **_plain(self.pet_peese), "estimate": _plain(self.pet_peese.estimate)
            },
            "trim_and_fill": [_plain(t) for t in self.trimmed],
            "limit_meta_analysis": _plain(self.limit),
            "selection_models": [_plain(s) for s in self.selection],
            "worst_case": _plain(self.worst), "fail_safe": [_plain(f) for f in self.fail_safe],
            "failed": [{"method": n, "why": w} for n, w in self.failed], "notes": list(self.notes),
            "warnings": [{"name": n, "sentence": w} for n, w in self.warnings],
        }  # fmt: skip

    def plot(self) -> Any:
        """The contour-enhanced funnel with the studies that trim and fill put in."""
        from klarsyn.figures.funnel import funnel_chart

        points = [
            (name, float(y), math.sqrt(v))
            for name, y, v in zip(self.study, self.y, self.v, strict=True)
        ]
        filled = [
            (y, math.sqrt(v))
            for t in self.trimmed[:1]
            for y, v in zip(t.filled_y, t.filled_v, strict=True)
        ]
        axis = f"{self.measure} (log)" if self.scale == "log" else self.measure
        return funnel_chart(points, pooled=self.pooled.value, filled=filled, axis=axis)


def analyse_small_studies(
    effects: Effects,
    *,
    favoured: str,
    tau2_method: str = "REML",
    counts: Counts | None = None,
    groups: tuple[Sequence[float], Sequence[float]] | None = None,
    events: Sequence[float] | None = None,
    steps: Sequence[float] = (0.025,),
    selection: Sequence[str] = SELECTION_MODELS,
    clusters: Sequence[object] | None = None,
) -> SmallStudyEffects:
    """Tests, trim and fill, PET-PEESE, limit estimate, selection models and worst case.

    `favoured` (`positive` or `negative`) is the effect that publication is thought to favour; it
    decides the one-sided p of selection models and the worst case. `counts` adds the tests made
    for binary outcomes (effects are then log odds ratios; Harbord's takes risk ratios too),
    `groups` (sizes of both groups) those for standardised mean differences, `events` (in both
    groups together) Debray's for hazard ratios. `clusters` are names of what is dependent.

    Raises InputError for fewer than three usable studies.
    """
    if favoured not in {"positive", "negative"}:
        raise unknown_name("favoured direction", favoured, ("positive", "negative"))
    usable, left = effects.usable()
    y, v = usable.y, usable.v
    if len(y) < 3:
        raise InputError(f"Small-study effects need 3 studies with an effect, not {len(y)}.")
    failed: list[tuple[str, str]] = []
    if groups is not None:
        groups = (_kept(effects, groups[0]), _kept(effects, groups[1]))
    events, clusters = (None if x is None else _kept(effects, x) for x in (events, clusters))
    tests, ranks = analyse_asymmetry(
        usable, tau2_method, counts=counts, groups=groups, events=events, failed=failed
    )
    models = _selection(y, v, favoured, steps, selection, failed)
    return SmallStudyEffects(
        study=usable.study, y=y, v=v, measure=effects.measure, scale=effects.scale,
        favoured=favoured, tau2_method=tau2_method, pooled=_pooled(y, v, tau2_method),
        tests=tests,
        rank_tests=ranks,
        pet_peese=_pet_peese(y, v, favoured, tau2_method, failed),
        trimmed=_trimmed(y, v, tau2_method, failed), limit=_limit(y, v, tau2_method, failed),
        selection=models,
        worst=_worst(y, v, favoured, clusters), fail_safe=_fail_safe(y, v, failed),
        failed=tuple(failed),
        warnings=cautions_of_small_studies(
            usable, len(left), tests, models, counted=counts is not None, adjusted=True
        ),
    )  # fmt: skip


def _kept(effects: Effects, values: Sequence[Any]) -> list[Any]:
    """The entries of the studies that have an effect."""
    if not any(effects.problem):
        return list(values)
    return [x for x, problem in zip(values, effects.problem, strict=True) if not problem]


def _attempt(name: str, make: Callable[[], T], failed: list[tuple[str, str]]) -> list[T]:
    try:
        return [make()]
    except (NumericalError, InputError) as bad:
        failed.append((name, str(bad)))
        return []


def _pooled(y: np.ndarray, v: np.ndarray, tau2_method: str) -> Estimate:
    from klarsyn.stats.heterogeneity import estimate_tau2
    from klarsyn.stats.weighted import fit

    found = fit(y, v, None, estimate_tau2(y, v, method=tau2_method).value)
    return Estimate(
        value=float(found.beta[0]), se=math.sqrt(found.covariance[0, 0]),
        method=f"random effects, {tau2_method}",
    )  # fmt: skip


def analyse_asymmetry(
    effects: Effects,
    tau2_method: str = "REML",
    *,
    counts: Counts | None = None,
    groups: tuple[Sequence[float], Sequence[float]] | None = None,
    events: Sequence[float] | None = None,
    failed: list[tuple[str, str]] | None = None,
) -> tuple[tuple[AsymmetryTest, ...], tuple[RankTest, ...]]:
    """Regression and rank tests that apply to these effects; arguments as below.

    `failed` receives (test, sentence) of those that have no answer.
    """
    failed = [] if failed is None else failed
    wanted = [*_general(effects, tau2_method)]
    ranks: list[tuple[str, Callable[[], RankTest]]] = []
    if counts is not None:
        own = _of_counts(counts, effects.measure)
        wanted, ranks = wanted + own[0], own[1]
    from klarsyn.stats import asymmetry as at

    y, v = effects.y, effects.v
    if groups is not None:
        n1, n2 = (np.asarray(g, dtype=float) for g in groups)
        wanted.append(("Pustejovsky–Rodgers", lambda: at.pustejovsky_rodgers(y, n1, n2)))
    if events is not None:
        total = np.asarray(events, dtype=float)
        wanted.append(("Debray", lambda: at.debray(y, total, 1 / v)))
    ranks = [("Begg–Mazumdar", lambda: at.rank_test(y, v)), *ranks]
    return (
        tuple(t for name, make in wanted for t in _attempt(name, make, failed)),
        tuple(t for name, make in ranks for t in _attempt(name, make, failed)),
    )


Wanted = list[tuple[str, "Callable[[], AsymmetryTest]"]]


def _general(effects: Effects, tau2_method: str) -> Wanted:
    from klarsyn.stats import asymmetry as at

    y, v = effects.y, effects.v
    return [
        ("Egger", lambda: at.regression_test(y, v)),
        ("Egger, mixed", lambda: at.regression_test(y, v, model="rma", tau2_method=tau2_method)),
        ("Thompson–Sharp", lambda: at.thompson_sharp(y, v)),
    ]


def _of_counts(
    counts: Counts, measure: str
) -> tuple[Wanted, list[tuple[str, Callable[[], RankTest]]]]:
    """Tests made for counts, all but one of them without the studies that inform no ratio."""
    from klarsyn.stats import asymmetry as at
    from klarsyn.stats.contrasts import contrasts

    inside = counts.only(counts.informative)
    cells, a = inside.arrays, inside.arrays[0]
    names = ("ai", "n1i", "ci", "n2i")
    log_or = contrasts("OR", dict(zip(names, cells, strict=True))).y if len(a) else a
    score = "RR" if measure == "RR" else "OR"
    regressions: Wanted = [
        ("Harbord", lambda: at.harbord(*cells, measure=score)),
        ("Peters", lambda: at.peters(log_or, *cells)),
        ("Macaskill", lambda: at.macaskill(log_or, *cells)),
        ("Deeks", lambda: at.deeks(log_or, *cells)),
        ("Rücker–Schwarzer arcsine", lambda: at.schwarzer_arcsine(*counts.arrays)),
    ]
    return regressions, [("Schwarzer rank", lambda: at.schwarzer_rank(*cells))]


def _pet_peese(
    y: np.ndarray, v: np.ndarray, favoured: str, tau2_method: str, failed: list[tuple[str, str]]
) -> PetPeese | None:
    from klarsyn.stats.asymmetry import pet_peese

    found = _attempt(
        "PET-PEESE", lambda: pet_peese(y, v, direction=favoured, tau2_method=tau2_method), failed
    )
    return found[0] if found else None


def _trimmed(
    y: np.ndarray, v: np.ndarray, tau2_method: str, failed: list[tuple[str, str]]
) -> tuple[TrimAndFill, ...]:
    from klarsyn.stats.trim_and_fill import ESTIMATORS, trim_and_fill

    return tuple(
        t
        for name in ESTIMATORS
        for t in _attempt(
            f"trim and fill {name}",
            lambda name=name: trim_and_fill(y, v, estimator=name, tau2_method=tau2_method),
            failed,
        )
    )


def _limit(
    y: np.ndarray, v: np.ndarray, tau2_method: str, failed: list[tuple[str, str]]
) -> LimitMetaAnalysis | None:
    from klarsyn.stats.asymmetry import limit_meta_analysis

    found = _attempt(
        "limit meta-analysis", lambda: limit_meta_analysis(y, v, tau2_method=tau2_method), failed
    )
    return found[0] if found else None


def _selection(
    y: np.ndarray, v: np.ndarray, favoured: str, steps: Sequence[float], kinds: Sequence[str],
    failed: list[tuple[str, str]],
) -> tuple[SelectionFit, ...]:  # fmt: skip
    from klarsyn.stats.selection import fit_selection

    alternative = "greater" if favoured == "positive" else "less"
    return tuple(
        s
        for kind in kinds
        for s in _attempt(
            f"selection model {kind}",
            lambda kind=kind: fit_selection(y, v, kind=kind, steps=steps, alternative=alternative),
            failed,
        )
    )


def _worst(
    y: np.ndarray, v: np.ndarray, favoured: str, clusters: Sequence[object] | None
) -> WorstCase:
    from klarsyn.stats.worst_case import worst_case

    return worst_case(y, v, favoured=favoured, clusters=clusters)


def _fail_safe(y: np.ndarray, v: np.ndarray, failed: list[tuple[str, str]]) -> tuple[FailSafe, ...]:
    from klarsyn.stats.fail_safe import KINDS, fail_safe

    return tuple(
        f
        for kind in KINDS
        for f in _attempt(f"fail-safe {kind}", lambda kind=kind: fail_safe(y, v, kind=kind), failed)
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Estimate):
            out["low"], out["high"] = value.interval()
            out["p"] = value.p_value()
        elif isinstance(value, ChiSquare):
            out["p"] = value.p
        return out
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
