"""Outcome by guess and arm: what the effect would be if guesses were right half the time.

The adjustment is right when belief causes the outcome and wrong when the outcome causes belief;
the data cannot tell which. So the raw difference, the adjusted one and everything between are one
value here (`Readings`) and cannot be printed apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of, stream
from klarsyn.stats import guess_strata as strata
from klarsyn.stats.estimate import Estimate

SE_METHODS = ("fixed", "sampled", "dirichlet")
GUESS_TIMES = ("before_outcome", "after_outcome", "unknown")
CAVEAT = (
    "The range between the raw and the adjusted difference holds the effect at a fixed belief only "
    "if no trait drives both the guess and the outcome."
)
_TIMING = {
    "before_outcome": "The guess was asked before the outcome was rated, so improvement by then "
    "cannot have caused it.",
    "after_outcome": "The guess was asked after the outcome was rated: improvement may have caused "
    "the guess, and these data cannot separate the two.",
    "unknown": "It is not known whether the guess was asked before the outcome was rated; assume "
    "that improvement may have caused it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessStratum:
    """The outcome of those who received one thing and guessed another.

    `received` is `active` or `control`; `guessed` is `active`, `control` or `unknown`.
    """

    received: str
    guessed: str
    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BenignShare:
    """The difference when the share `rho` of the guess–outcome link is benign."""

    rho: float
    value: float
    low: float
    high: float


class Readings:
    """The raw difference, the one at half right guesses, and all between: always together.

    Iterates over (raw, adjusted, curve); prints all three; has no attribute for one of them.
    """

    __slots__ = ("_all",)

    def __init__(
        self, raw: Estimate, adjusted: Estimate, curve: Sequence[BenignShare], level: float
    ) -> None:
        self._all = (raw, adjusted, tuple(curve), level)

    def __iter__(self) -> Any:
        return iter(self._all[:3])

    def __str__(self) -> str:
        raw, adjusted, curve, level = self._all
        half = min(curve, key=lambda b: abs(b.rho - 0.5))
        parts = []
        for name, estimate in (("raw", raw), ("at half right guesses", adjusted)):
            low, high = estimate.interval(level)
            parts.append(f"{name} {estimate.value:.2f} ({low:.2f} to {high:.2f})")
        parts.append(
            f"if {half.rho:.0%} of the guess–outcome link is benign {half.value:.2f} "
            f"({half.low:.2f} to {half.high:.2f})"
        )
        return "; ".join(parts)

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError("The readings are printed together and take no format.")
        return str(self)

    def to_dict(self) -> dict[str, Any]:
        """All three, ready for JSON."""
        raw, adjusted, curve, level = self._all
        return {
            "raw": asdict(raw) | {"interval": raw.interval(level)},
            "at_half_right_guesses": asdict(adjusted) | {"interval": adjusted.interval(level)},
            "by_benign_share": [asdict(b) for b in curve],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectancy:
    """The difference active − control of one outcome, read in every way the guesses allow.

    On the outcome's own scale. `curve` holds (rate of right guesses, difference, low, high).
    `within_guess`: active − control among those with the same guess (active, control, unknown).
    `guess_effect`: guessed active − guessed control within each arm. `interaction`: the within-
    guess contrast of those who guessed active less that of those who guessed control.
    """

    trial: str
    outcome: str
    readings: Readings
    curve: tuple[tuple[float, float, float, float], ...]
    correct_rate: float
    unknown_share: float
    within_guess: dict[str, Estimate]
    guess_effect: dict[str, Estimate]
    interaction: Estimate | None
    timing: str
    caveats: tuple[str, ...]
    smallest_stratum: int
    se_method: str
    level: float
    method: str
    inputs: str
    seed: int | None

    def summary(self) -> str:
        """The three readings, the rate of right guesses and the caveats."""
        name = " ".join(part for part in (self.trial, self.outcome) if part)
        return "\n".join(
            [
                f"{name or 'difference'}: {self.readings}",
                f"  {self.correct_rate:.1%} of those who guessed were right; "
                f"{self.unknown_share:.1%} did not know; the smallest stratum has "
                f"{self.smallest_stratum}",
                *(f"  {c}" for c in self.caveats),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain["readings"] = self.readings.to_dict()
        plain["within_guess"] = {k: asdict(v) for k, v in self.within_guess.items()}
        plain["guess_effect"] = {k: asdict(v) for k, v in self.guess_effect.items()}
        plain["interaction"] = None if self.interaction is None else asdict(self.interaction)
        return plain

    def plot(self, **labels: Any) -> Any:
        """The curve over right guesses beside the curve over the benign share."""
        from klarsyn.figures.expectancy import expectancy_chart

        raw, _, benign = self.readings
        return expectancy_chart(
            [dict(zip(("correct", "value", "low", "high"), p, strict=True)) for p in self.curve],
            [asdict(b) for b in benign],
            correct_rate=self.correct_rate,
            raw=raw.value,
            **labels,
        )


def read_guesses(
    groups: Sequence[GuessStratum],
    *,
    trial: str = "",
    outcome: str = "",
    timing: str,
    se_method: str,
    level: float = 0.95,
    rhos: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    grid: int = 41,
    draws: int = 4000,
    seed: int | None = None,
) -> Expectancy:
    """The readings of one outcome from its n, mean and SD by arm and guess.

    `timing` is `before_outcome`, `after_outcome` or `unknown`: when the guess was asked.
    `se_method`: `fixed` takes the weights as known, `sampled` adds the sampling of the guesses by
    the delta method, `dirichlet` by random draws (which need `seed`).

    Raises NumericalError (`not_estimable`) when a stratum that is needed is empty.
    """
    _check_choices(timing, se_method, seed, rhos)
    n, mean, sd = _arrays(groups)
    comp = strata.composition(n)
    raw_value = strata.difference(strata.raw_contrast(n), mean)
    raw = Estimate(value=raw_value, se=_raw_se(n, mean, sd), method="difference of arm means")
    ses = _ses(se_method, n, mean, sd, rhos, draws, seed)
    at_half = strata.difference(strata.contrast(comp, 0.5), mean)
    z = Estimate(value=0, se=1, method="").interval(level)[1]
    benign = [
        BenignShare(rho=rho, value=value, low=value - z * se, high=value + z * se)
        for rho, se in zip(rhos, ses[1:], strict=True)
        for value in [raw_value - (1 - rho) * (raw_value - at_half)]
    ]
    adjusted = Estimate(value=at_half, se=ses[0], method=f"CGRC closed form, weights {se_method}")
    return Expectancy(
        trial=trial,
        outcome=outcome,
        readings=Readings(raw, adjusted, benign, level),
        curve=_curve(comp, n, mean, sd, grid, z),
        correct_rate=float(comp.correct),
        unknown_share=float(comp.unknown),
        within_guess=_pairs(n, mean, sd, _WITHIN),
        guess_effect=_pairs(n, mean, sd, _EFFECT),
        interaction=_interaction(n, mean, sd),
        timing=timing,
        caveats=(CAVEAT, _TIMING[timing]),
        smallest_stratum=int(n[:4].min()),
        se_method=se_method,
        level=level,
        method="correct-guess-rate curve in closed form (Szigeti 2023); readings from no to all "
        "of the guess–outcome link benign",
        inputs=digest_of(list(groups), timing),
        seed=seed,
    )


def _check_choices(timing: str, se_method: str, seed: int | None, rhos: Sequence[float]) -> None:
    if timing not in GUESS_TIMES:
        raise unknown_name("time of the guess", timing, GUESS_TIMES)
    if se_method not in SE_METHODS:
        raise unknown_name("standard error", se_method, SE_METHODS)
    if (seed is None) == (se_method == "dirichlet"):
        raise InputError("A seed belongs to se_method 'dirichlet', and only to it.")
    if any(not 0 <= rho <= 1 for rho in rhos):
        raise InputError("A benign share lies between 0 and 1.")


_PLAIN = (
    "trial",
    "outcome",
    "curve",
    "correct_rate",
    "unknown_share",
    "timing",
    "caveats",
    "smallest_stratum",
    "se_method",
    "level",
    "method",
    "inputs",
    "seed",
)
_WITHIN = {"active": (0, 2), "control": (1, 3), "unknown": (4, 5)}
_EFFECT = {"active": (0, 1), "control": (2, 3)}
_CODES = {"active": "AC", "control": "PL", "unknown": "U"}


def _arrays(groups: Sequence[GuessStratum]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, mean, sd = np.zeros(6), np.full(6, math.nan), np.full(6, math.nan)
    seen: set[int] = set()
    for g in groups:
        if g.received not in ("active", "control"):
            raise unknown_name("arm", g.received, ("active", "control"))
        if g.guessed not in _CODES:
            raise unknown_name("guess", g.guessed, _CODES)
        k = strata.STRATA.index(_CODES[g.received] + _CODES[g.guessed])
        if k in seen:
            raise InputError(f"Received {g.received}, guessed {g.guessed} stands twice.")
        spread = g.n <= 1 or 0 <= g.sd < math.inf
        if not (g.n >= 0 and spread) or (g.n > 0 and not math.isfinite(g.mean)):
            raise InputError(
                f"Received {g.received}, guessed {g.guessed}: n {g.n}, mean {g.mean:g}, "
                f"SD {g.sd:g}; give n ≥ 0, a finite mean and an SD ≥ 0."
            )
        seen.add(k)
        n[k], mean[k], sd[k] = g.n, g.mean, g.sd
    if missing := [strata.STRATA[k] for k in range(4) if n[k] == 0]:
        raise NumericalError(
            "not_estimable",
            f"Nobody is in stratum {', '.join(missing)} (first letters received, last guessed): "
            f"the curve has no value. The within-guess contrasts that remain can be read off the "
            f"table.",
        )
    if single := [name for name, count in zip(strata.STRATA, n, strict=True) if count == 1]:
        raise NumericalError(
            "not_estimable",
            f"Stratum {', '.join(single)} has one patient: one value has no SD, so no error can be "
            f"given. Leave don't-knows out, or report the table.",
        )
    return n, mean, sd


def _raw_se(n: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> float:
    """Welch's standard error, each arm's variance rebuilt from its strata."""
    total = 0.0
    for arm in ([0, 1, 4], [2, 3, 5]):
        held = [k for k in arm if n[k] > 0]
        size = n[held].sum()
        centre = n[held] @ mean[held] / size
        squares = ((n[held] - 1) * np.nan_to_num(sd[held]) ** 2).sum()
        squares += (n[held] * (mean[held] - centre) ** 2).sum()
        total += squares / (size - 1) / size
    return math.sqrt(total)


def _ses(
    se_method: str,
    n: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    rhos: Sequence[float],
    draws: int,
    seed: int | None,
) -> list[float]:
    """The standard error at ρ = 0, then at each of `rhos`."""
    mixtures = [0.0, *rhos]
    if se_method == "dirichlet":
        assert seed is not None
        rng = stream(seed, "guess strata")
        raw, half = strata.dirichlet_draws(n, mean, sd, 0.5, draws, rng)
        return [float(np.std(m * raw + (1 - m) * half, ddof=1)) for m in mixtures]
    if se_method == "sampled":
        return [strata.sampled_weight_se(m, n, mean, sd, 0.5) for m in mixtures]
    comp = strata.composition(n)
    a, b = strata.raw_contrast(n), strata.contrast(comp, 0.5)
    return [strata.fixed_weight_se(m * a + (1 - m) * b, n, sd) for m in mixtures]


def _curve(
    comp: strata.Composition, n: np.ndarray, mean: np.ndarray, sd: np.ndarray, grid: int, z: float
) -> tuple[tuple[float, float, float, float], ...]:
    points = []
    for correct in np.linspace(0, 1, grid):
        try:
            a = strata.contrast(comp, float(correct))
        except NumericalError:
            continue
        value, se = strata.difference(a, mean), strata.fixed_weight_se(a, n, sd)
        points.append((float(correct), value, value - z * se, value + z * se))
    return tuple(points)


def _pairs(
    n: np.ndarray, mean: np.ndarray, sd: np.ndarray, pairs: dict[str, tuple[int, int]]
) -> dict[str, Estimate]:
    return {
        name: Estimate(
            value=float(mean[i] - mean[j]),
            se=math.sqrt(sd[i] ** 2 / n[i] + sd[j] ** 2 / n[j]),
            method="difference of stratum means",
        )
        for name, (i, j) in pairs.items()
        if n[i] > 1 and n[j] > 1
    }


def _interaction(n: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> Estimate | None:
    if (n[:4] < 2).any():
        return None
    return Estimate(
        value=float(mean[0] - mean[2] - mean[1] + mean[3]),
        se=math.sqrt(float((sd[:4] ** 2 / n[:4]).sum())),
        method="difference of within-guess contrasts",
    )
