"""An assessment is a set of included trials: what each set concludes, and what would flip it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.batched import BATCHED
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import Pooled, pool
from klarsyn.synthesis.subsets import EXHAUSTIVE, subsets

FAVOURS_TREATED, FAVOURS_CONTROL, UNDECIDED = "favours treated", "favours control", "undecided"
_ONE_BY_ONE = 9  # beyond this many trials, compiling pays


@dataclass(frozen=True, slots=True, kw_only=True)
class IncludableTrial:
    """A trial that could be in an assessment.

    `y` and `v` are the effect, treated against control, and its variance (logarithm for a ratio).
    `published` is a date YYYY, YYYY-MM or YYYY-MM-DD. `eligible` says whether the question of the
    assessment covers it; `reason` why not, or why it is hard to say.
    """

    id: str
    y: float
    v: float
    published: str
    eligible: bool = True
    reason: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.y) and math.isfinite(self.v) and self.v > 0):
            raise InputError(
                f"{self.id}: effect {self.y:g}, variance {self.v:g}; give a finite effect and a "
                f"variance above 0."
            )
        _date(self.published, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A review or health-technology assessment as the set of trials that it included.

    `search_date` is YYYY, YYYY-MM or YYYY-MM-DD, or empty when nobody could find it.
    """

    id: str
    included: tuple[str, ...]
    criteria: str
    search_date: str

    def __post_init__(self) -> None:
        if self.search_date:
            _date(self.search_date, self.id)
        if len(set(self.included)) != len(self.included):
            raise InputError(f"{self.id}: a trial is named twice. Name each once.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """A trial that an assessment could have included and did not.

    `why` is `published after the search`, `not eligible`, or `unknown` (eligible, and published in
    time or the search not dated).
    """

    trial: str
    why: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """The fewest trials to add or leave out for another conclusion, and what that is."""

    changes: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    conclusion: str
    estimate: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConclusion:
    """One set of trials, pooled.

    Values on the measure's own scale. `flips` are all smallest changes; empty when no set that the
    eligible trials allow concludes otherwise.
    """

    id: str
    trials: tuple[str, ...]
    estimate: float
    interval: tuple[float, float]
    i2: float | None
    tau2: float | None
    conclusion: str
    flips: tuple[Flip, ...] = ()
    omitted: tuple[Omission, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The conclusion of each assessment, and of the set of all eligible trials."""

    sets: tuple[SetConclusion, ...]
    measure: str
    scale: str
    tau2_method: str
    test: str
    level: float
    method: str
    inputs: str

    def set(self, name: str) -> SetConclusion:
        """The conclusion of one assessment."""
        for s in self.sets:
            if s.id == name:
                return s
        raise unknown_name("set of trials", name, [s.id for s in self.sets])

    def summary(self) -> str:
        """One line a set, its smallest flip and what it left out."""
        show = math.exp if self.scale == "log" else float
        lines = []
        for s in self.sets:
            low, high = s.interval
            lines.append(
                f"{s.id} ({', '.join(s.trials)}): {self.measure} {show(s.estimate):.2f} "
                f"({show(low):.2f} to {show(high):.2f})"
                + (f", I2 {s.i2:.0f} %" if s.i2 is not None else "")
                + f": {s.conclusion}"
            )
            for f in s.flips:
                lines.append(
                    f"  flips to {f.conclusion} with {f.changes} change(s): "
                    + "; ".join(
                        [*(f"add {t}" for t in f.added), *(f"leave out {t}" for t in f.removed)]
                    )
                )
            if not s.flips:
                lines.append("  no set of the eligible trials concludes otherwise")
            lines += [f"  omits {o.trial}: {o.why}" for o in s.omitted]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self, **labels: Any) -> Any:
        """The estimate of each set with its interval."""
        from klarsyn.figures.inclusion import inclusion_chart

        show = math.exp if self.scale == "log" else float
        return inclusion_chart(
            [
                {
                    "set": s.id,
                    "trials": ", ".join(s.trials),
                    "estimate": show(s.estimate),
                    "low": show(s.interval[0]),
                    "high": show(s.interval[1]),
                    "conclusion": s.conclusion,
                }
                for s in self.sets
            ],
            log=self.scale == "log",
            **labels,
        )


def inclusion(
    trials: Sequence[IncludableTrial],
    assessments: Sequence[Assessment],
    *,
    measure: str,
    positive_favours: str,
    tau2_method: str,
    test: str,
    level: float = 0.95,
) -> Inclusion:
    """The conclusion of every assessment, its smallest flips and what it omitted.

    `positive_favours` is `treated` or `control`: which arm a positive effect speaks for. A set
    concludes when its interval leaves no effect out of doubt. Flips are exact: every set that the
    eligible trials allow is looked at, smallest changes first (at most 20 trials).
    """
    if positive_favours not in ("treated", "control"):
        raise unknown_name("favoured arm", positive_favours, ("treated", "control"))
    by_id = {t.id: t for t in trials}
    if len(by_id) != len(trials):
        raise InputError("A trial stands twice. Give each trial one row.")
    eligible = [t.id for t in trials if t.eligible]
    pooled = _Pooler(by_id, measure, positive_favours, tau2_method, test, level)
    found = []
    for a in [*assessments, *_everything(eligible, assessments)]:
        for name in a.included:
            if name not in by_id:
                raise unknown_name("trial", name, by_id, a.id)
        base = pooled(a.included)
        found.append(
            SetConclusion(
                id=a.id,
                trials=a.included,
                estimate=base.estimate,
                interval=(base.ci_lower, base.ci_upper),
                i2=base.i2 if base.k > 1 else None,
                tau2=base.tau2 if base.k > 1 else None,
                conclusion=pooled.conclusion(base),
                flips=_flips(a.included, [*dict.fromkeys([*eligible, *a.included])], pooled),
                omitted=_omitted(a, trials),
            )
        )
    if not found:
        raise InputError("There is no assessment and no eligible trial: nothing to conclude from.")
    return Inclusion(
        sets=tuple(found),
        measure=measure,
        scale=pooled(found[0].trials).scale,
        tau2_method=tau2_method,
        test=test,
        level=level,
        method=f"{tau2_method}, {test}; one trial alone: its own interval",
        inputs=digest_of(list(trials), list(assessments)),
    )


class _Pooler:
    """Pools a set of trials by name, each set once."""

    def __init__(
        self,
        trials: dict[str, IncludableTrial],
        measure: str,
        positive_favours: str,
        tau2_method: str,
        test: str,
        level: float,
    ) -> None:
        self.trials, self.measure, self.level = trials, measure, level
        self.tau2_method, self.test = tau2_method, test
        self.positive = FAVOURS_TREATED if positive_favours == "treated" else FAVOURS_CONTROL
        self.negative = FAVOURS_CONTROL if positive_favours == "treated" else FAVOURS_TREATED
        self.seen: dict[frozenset[str], Pooled] = {}
        self.place: dict[str, int] = {}
        self.limits: tuple[Any, Any] | None = None

    def __call__(self, names: Iterable[str]) -> Pooled:
        key = frozenset(names)
        if key not in self.seen:
            self.seen[key] = self._pool([t for n, t in self.trials.items() if n in key])
        return self.seen[key]

    def _pool(self, chosen: list[IncludableTrial]) -> Pooled:
        if not chosen:
            raise NumericalError("too_few_studies", "A set needs at least one trial.")
        alone = len(chosen) == 1
        return pool(
            [t.y for t in chosen],
            [t.v for t in chosen],
            study=[t.id for t in chosen],
            measure=self.measure,
            method="EE" if alone else self.tau2_method,
            test="z" if alone else self.test,
            level=self.level,
        )

    def conclusion(self, pooled: Pooled) -> str:
        return self._reads(pooled.ci_lower, pooled.ci_upper)

    def prepare(self, candidates: Sequence[str]) -> None:
        """Pool every set of many candidates at once, in the compiled loops of `subsets`."""
        self.limits = None
        if len(candidates) <= _ONE_BY_ONE or self.tau2_method not in BATCHED:
            return
        chosen = [self.trials[n] for n in candidates]
        every = subsets(
            effects_from_arrays(
                [t.y for t in chosen],
                [t.v for t in chosen],
                study=list(candidates),
                measure=self.measure,
            ),
            method=self.tau2_method,
            test=self.test,
            level=self.level,
        )
        self.place = {n: 1 << k for k, n in enumerate(candidates)}
        self.limits = (every.ci_lower, every.ci_upper)

    def differs(self, names: Sequence[str], conclusion: str) -> bool:
        """Whether a set concludes otherwise."""
        if self.limits is None:
            return self.conclusion(self(names)) != conclusion
        row = sum(self.place[n] for n in names) - 1
        low, high = self.limits
        return self._reads(float(low[row]), float(high[row])) != conclusion

    def _reads(self, low: float, high: float) -> str:
        if low > 0:
            return self.positive
        return self.negative if high < 0 else UNDECIDED


def _flips(included: Sequence[str], candidates: Sequence[str], pooled: _Pooler) -> tuple[Flip, ...]:
    if len(candidates) > EXHAUSTIVE:
        raise InputError(
            f"{len(candidates)} trials make too many sets; at most {EXHAUSTIVE} are searched. "
            f"Mark trials that the question does not cover as not eligible."
        )
    start = pooled.conclusion(pooled(included))
    pooled.prepare(candidates)
    for count in range(1, len(candidates) + 1):
        flips = []
        for change in itertools.combinations(candidates, count):
            after = [n for n in candidates if (n in included) != (n in change)]
            if after and pooled.differs(after, start):
                flips.append(_flip(included, change, pooled(after), pooled))
        if flips:
            return tuple(flips)
    return ()


def _flip(included: Sequence[str], change: Sequence[str], result: Pooled, pooled: _Pooler) -> Flip:
    return Flip(
        changes=len(change),
        added=tuple(n for n in change if n not in included),
        removed=tuple(n for n in change if n in included),
        conclusion=pooled.conclusion(result),
        estimate=result.estimate,
        interval=(result.ci_lower, result.ci_upper),
    )


def _omitted(a: Assessment, trials: Sequence[IncludableTrial]) -> tuple[Omission, ...]:
    out = []
    for t in trials:
        if t.id in a.included:
            continue
        if not t.eligible:
            why = "not eligible"
        elif a.search_date and _after(t.published, a.search_date):
            why = "published after the search"
        else:
            why = "unknown"
        out.append(Omission(trial=t.id, why=why, reason=t.reason))
    return tuple(out)


def _everything(eligible: Sequence[str], given: Sequence[Assessment]) -> list[Assessment]:
    if not eligible or any(set(a.included) == set(eligible) for a in given):
        return []
    return [
        Assessment(
            id="all eligible",
            included=tuple(eligible),
            criteria="every eligible trial",
            search_date="9999",
        )
    ]


def _after(published: str, searched: str) -> bool:
    """Whether a trial certainly appeared after the search; a vaguer date gets the doubt."""
    shared = min(len(published), len(searched))
    return published[:shared] > searched[:shared]


def _date(text: str, where: str) -> None:
    parts = text.split("-")
    widths = [len(p) for p in parts]
    if widths not in ([4], [4, 2], [4, 2, 2]) or not all(p.isdigit() for p in parts):
        raise InputError(f"{where}: {text!r} is not a date YYYY, YYYY-MM or YYYY-MM-DD.")
    try:
        date(*[int(p) for p in (*parts, "1", "1")[:3]])
    except ValueError:
        raise InputError(f"{where}: {text!r} is no day of the calendar.") from None
