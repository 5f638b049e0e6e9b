"""Every inclusion set at once: the pooled estimate of each subset of the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of, stream
from klarsyn.stats.batched import BATCHED, Means, fit_means, fit_subsets
from klarsyn.stats.heterogeneity import check_range
from klarsyn.stats.vibration import vibration
from klarsyn.synthesis.effects import Effects
from klarsyn.synthesis.pairwise import TESTS, i2_definition, quantile

Array = np.ndarray
EXHAUSTIVE = 20  # up to this many studies all 2^k − 1 subsets are fitted
FEW_SUBSETS = 2048
QUANTILES = (0.0, 0.025, 0.25, 0.5, 0.75, 0.975, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsets:
    """The fits of all subsets, or of a seeded sample of them, on the effects' scale.

    Arrays have one entry a subset: `size`, `estimate`, `se` (of the test), `ci_lower`, `ci_upper`,
    `tau2`, `i2` (percent, NaN for one study), `q`. `masks` (rows, words) hold the members, 64
    studies a word, lowest bit first; `member(name)` tells which subsets contain a study.
    """

    measure: str
    scale: str
    method: str
    test: str
    level: float
    study: tuple[str, ...]
    exhaustive: bool
    seed: int | None
    digest: str
    masks: Array = field(repr=False)
    size: Array = field(repr=False)
    estimate: Array = field(repr=False)
    se: Array = field(repr=False)
    ci_lower: Array = field(repr=False)
    ci_upper: Array = field(repr=False)
    tau2: Array = field(repr=False)
    i2: Array = field(repr=False)
    q: Array = field(repr=False)

    @property
    def count(self) -> int:
        """Number of subsets."""
        return len(self.estimate)

    def member(self, study: str) -> Array:
        """Which subsets contain the study."""
        if study not in self.study:
            raise unknown_name("study", study, self.study)
        j = self.study.index(study)
        return (self.masks[:, j >> 6] >> np.uint64(j & 63)) & np.uint64(1) == 1

    def names(self, row: int) -> tuple[str, ...]:
        """The studies of one subset."""
        return tuple(
            s for j, s in enumerate(self.study) if (int(self.masks[row, j >> 6]) >> (j & 63)) & 1
        )

    def to_dict(self) -> dict[str, Any]:
        """Quantiles, shares by conclusion, the extreme sets, and the pull of each study."""
        low, high = int(np.argmin(self.estimate)), int(np.argmax(self.estimate))
        return {
            "measure": self.measure,
            "scale": self.scale,
            "method": self.method,
            "test": self.test,
            "level": self.level,
            "k": len(self.study),
            "subsets": self.count,
            "exhaustive": self.exhaustive,
            "seed": self.seed,
            "digest": self.digest,
            "estimate": _quantiles(self.estimate),
            "tau2": _quantiles(self.tau2),
            "i2": _quantiles(self.i2[np.isfinite(self.i2)]),
            "definitions": {"i2": i2_definition(random=self.method not in {"EE", "FE"})},
            "shares": conclusions(self),
            "vibration": vibration(self.estimate, log=self.scale == "log").to_dict(),
            "lowest": {"estimate": float(self.estimate[low]), "studies": self.names(low)},
            "highest": {"estimate": float(self.estimate[high]), "studies": self.names(high)},
            "pull": pull(self),
        }

    def summary(self) -> str:
        """Three lines: the spread of estimates, what share concludes what, and their vibration."""
        show = np.exp if self.scale == "log" else np.asarray
        q = [f"{float(show(x)):.4g}" for x in np.quantile(self.estimate, (0, 0.25, 0.5, 0.75, 1))]
        shares = conclusions(self)
        sets = f"all {self.count} subsets"
        if not self.exhaustive:
            sets = f"{self.count} random subsets (seed {self.seed})"
        return (
            f"{self.measure} over {sets} of {len(self.study)} studies: "
            f"{q[0]} to {q[4]}, quartiles {q[1]}, {q[2]}, {q[3]} ({self.method}, {self.test})\n"
            f"Interval below no difference: {shares['below']:.1%}; above: {shares['above']:.1%}; "
            f"across: {shares['across']:.1%}\n"
            + vibration(self.estimate, log=self.scale == "log").summary()
        )

    def plot(self, study: str | None = None) -> Any:
        """Estimate against I² of the subsets; those with `study` in their own colour."""
        from klarsyn.figures.subsets import subset_cloud
        from klarsyn.figures.theme import housed

        marked = None if study is None else self.member(study)
        return housed(
            subset_cloud(
                self.estimate, self.i2, marked, label=study or "", title=self.measure,
                log=self.scale == "log",
            )
        )  # fmt: skip


def subsets(
    effects: Effects,
    *,
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
    sample: int | None = None,
    seed: int | None = None,
) -> Subsets:
    """Pool every subset of the studies with an effect: 2^k − 1 of them for k ≤ 20.

    With more studies, or when asked, `sample` random subsets (each study in with probability ½)
    are drawn from `seed`. Intervals of one-study subsets are normal.
    """
    if method not in BATCHED:
        raise unknown_name("estimator with a batched form", method, BATCHED)
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    used, _ = effects.usable()
    if used.k:
        check_range(used.v)
    if used.k == 0:
        raise NumericalError("too_few_studies", "There is no study with an effect.")
    masks = _masks(used.k, sample, seed)
    fits = _fits(used, masks, method)
    se, reach = _reach(fits.k, fits.se, fits.q_tau, test, level)
    return Subsets(
        measure=used.measure,
        scale=used.scale,
        method=method,
        test=test,
        level=level,
        study=used.study,
        exhaustive=sample is None,
        seed=seed if sample is not None else None,
        digest=digest_of(used.y, used.v, used.study, method, test, level, sample, seed),
        masks=masks,
        size=fits.k.astype(np.int32),
        estimate=fits.estimate,
        se=se,
        ci_lower=fits.estimate - reach,
        ci_upper=fits.estimate + reach,
        tau2=fits.tau2,
        i2=fits.i2,
        q=fits.q,
    )


def _fits(used: Effects, masks: Array, method: str) -> Means:
    """Few subsets are pooled without waiting for the compiler, many by the compiled kernel."""
    if len(masks) > FEW_SUBSETS:
        return fit_subsets(used.y, used.v, masks, method=method)
    at = np.arange(used.k, dtype=np.uint64)
    include = (masks[:, at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1)
    return fit_means(used.y, used.v, include, method=method)


def _masks(k: int, sample: int | None, seed: int | None) -> Array:
    if sample is None:
        if k > EXHAUSTIVE:
            raise InputError(
                f"{k} studies have 2^{k} − 1 subsets; all are fitted up to {EXHAUSTIVE} studies. "
                f"Give `sample` (e.g. 1,000,000) and a `seed`."
            )
        return np.arange(1, 1 << k, dtype=np.uint64)[:, None]
    if seed is None:
        raise InputError("A sample of subsets needs a `seed`, so that it can be drawn again.")
    if sample < 1:
        raise InputError(f"A sample of {sample} subsets is none; ask for at least 1.")
    words = (k + 63) // 64
    draw = stream(seed, "subsets").integers(0, 1 << 64, (sample, words), dtype=np.uint64)
    last = k - 64 * (words - 1)
    if last < 64:
        draw[:, -1] &= np.uint64((1 << last) - 1)
    empty = ~draw.any(1)
    draw[empty, 0] = np.uint64(1)
    return draw


def _reach(k: Array, se: Array, q_tau: Array, test: str, level: float) -> tuple[Array, Array]:
    if test == "z":
        return se, se * quantile(0.5 + level / 2, math.inf)
    df = np.maximum(k - 1, 1)
    factor = np.ones_like(se)
    if test in {"knha", "adhoc"}:
        factor = q_tau / df
        factor = np.where(k > 1, np.maximum(factor, 1) if test == "adhoc" else factor, 1.0)
    table = np.array([quantile(0.5 + level / 2, float(max(d, 1))) for d in range(int(k.max()))])
    crit = np.where(k > 1, table[(k - 1).astype(int)], quantile(0.5 + level / 2, math.inf))
    wide = se * np.sqrt(factor)
    return wide, crit * wide


def _quantiles(values: Array) -> dict[str, float]:
    if not len(values):
        return {}
    return {
        f"{q:g}": float(x) for q, x in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
    }


def conclusions(result: Subsets, threshold: float = 0.0) -> dict[str, float]:
    """Shares of subsets whose interval lies below, above or across a threshold on the scale."""
    below = float(np.mean(result.ci_upper < threshold))
    above = float(np.mean(result.ci_lower > threshold))
    return {"below": below, "above": above, "across": 1 - below - above}


def pull(result: Subsets) -> list[Mapping[str, Any]]:
    """For each study the median estimate and I² of the subsets with it and without it."""
    out = []
    for name in result.study:
        has = result.member(name)
        row: dict[str, Any] = {"study": name}
        for label, chosen in (("with", has), ("without", ~has)):
            row[f"estimate_{label}"] = _median(result.estimate[chosen])
            row[f"i2_{label}"] = _median(result.i2[chosen & np.isfinite(result.i2)])
        out.append(row)
    return out


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else math.nan
