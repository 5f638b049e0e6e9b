"""The ways from a trial's reported numbers to an effect, each with the name of its formula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from klarsyn.evidence.trial import Finding
from klarsyn.stats.contrasts import contrasts, hedges_correction
from klarsyn.stats.conversions import SMD_PER_LOG_ODDS_RATIO

# The ways, best first. A baseline SD comes last: entry criteria on severity make it too small,
# and the standardised difference too large.
MEANS, DIFFERENCE, REPORTED, ODDS, BASELINE = range(5)
BASELINE_SD = "baseline SD"
# Two means printed to one decimal differ by this much from their printed difference at most.
ROUNDING = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The statistics of one arm, or of one contrast, at one time; `size` is the arm's planned n."""

    statistics: Mapping[str, Finding]
    size: float | None

    def get(self, name: str) -> float | None:
        """The value of one statistic, None where it is not reported."""
        finding = self.statistics.get(name)
        return None if finding is None else finding.value

    def ids(self) -> tuple[str, ...]:
        """The rows of the base that the cell holds."""
        return tuple(f.id for f in self.statistics.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """An effect with its variance, the formula's name, the rows used, and how good the way is."""

    y: float
    v: float
    n_test: float
    n_control: float
    formula: str
    findings: tuple[str, ...]
    rank: int = MEANS


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Mean, SD and size of one group, and the formula that gave its SD."""

    mean: float
    sd: float
    n: float
    formula: str
    findings: tuple[str, ...]


def derive_continuous(
    measure: str,
    tests: Sequence[Cell],
    control: Cell,
    reported: Sequence[Cell],
    baselines: Sequence[Cell],
    correlation: float | None,
) -> Derived | None:
    """MD or SMD from group means, else from a reported difference; None where neither will do.

    With `correlation` the groups are the two periods of a crossover trial; where the trial reports
    their difference with its spread, its own correlation is used instead.
    """
    groups = [group_of(c) for c in tests]
    other = group_of(control)
    if other is not None and all(g is not None for g in groups):
        combined = combine([g for g in groups if g is not None])
        if correlation is not None:
            own = correlation_of(combined, other, reported)
            return _paired(measure, combined, other, *(own or (correlation, "", ())))
        return _independent(measure, combined, other)
    from_difference = _from_difference(measure, tests, control, reported, baselines)
    if measure == "SMD" and correlation is None:
        as_reported = _from_reported_smd(tests, control, reported)
        options = [d for d in (from_difference, as_reported) if d is not None]
        return min(options, key=lambda d: d.rank, default=None)
    return from_difference


def smd_from_odds(ratio: Derived) -> Derived:
    """An SMD, below zero for fewer symptoms, from an odds ratio of response (Chinn 2000)."""
    factor = SMD_PER_LOG_ODDS_RATIO
    return Derived(
        y=-factor * ratio.y,
        v=factor**2 * ratio.v,
        n_test=ratio.n_test,
        n_control=ratio.n_control,
        formula=f"SMD = −√3/π·ln OR of response; {ratio.formula}",
        findings=ratio.findings,
        rank=ODDS,
    )


def derive_binary(
    measure: str, tests: Sequence[Cell], control: Cell, reported: Sequence[Cell]
) -> Derived | None:
    """RR, OR or RD from counts (test arms summed), else a reported ratio; HR as reported only."""
    if measure == "HR":
        return _from_ratio(measure, tests, control, reported)
    counts = [events_of(c) for c in tests]
    other = events_of(control)
    if other is not None and all(c is not None for c in counts):
        known = [c for c in counts if c is not None]
        events, n = sum(c[0] for c in known), sum(c[1] for c in known)
        cells = {"ai": [events], "n1i": [n], "ci": [other[0]], "n2i": [other[1]]}
        made = contrasts(measure, cells)
        if made.problem[0]:
            return None
        ways = sorted({c[2] for c in [*known, other]})
        return Derived(
            y=float(made.y[0]),
            v=float(made.v[0]),
            n_test=n,
            n_control=other[1],
            formula=f"{measure} from counts ({'; '.join(ways)})",
            findings=_used([*tests, control]),
        )
    return _from_ratio(measure, tests, control, reported)


def group_of(cell: Cell) -> Group | None:
    """The group's mean and SD, the SD from SE or a confidence interval where it must be."""
    mean, n = cell.get("mean"), cell.get("n")
    how = ""
    if n is None and cell.size is not None:
        n, how = float(cell.size), "n of the arm"
    if mean is None or n is None or n < 2:
        return None
    found = spread_of(cell, n)
    if found is None:
        return None
    sd, formula = found
    text = "; ".join(t for t in (formula, how) if t)
    return Group(mean=mean, sd=sd, n=n, formula=text, findings=cell.ids())


def spread_of(cell: Cell, n: float) -> tuple[float, str] | None:
    """The SD and its formula: reported, SE·√n, or the interval's width over 2·t(n−1)·√n⁻¹."""
    sd, se = cell.get("sd"), cell.get("se")
    if sd is not None and sd > 0:
        return sd, "SD reported"
    if se is not None and se > 0:
        return se * math.sqrt(n), "SD = SE·√n"
    for level in (95, 90):
        low, high = cell.get(f"ci{level}_lower"), cell.get(f"ci{level}_upper")
        if low is not None and high is not None and high > low:
            t = float(special.stdtrit(n - 1, 0.5 + level / 200))
            return math.sqrt(n) * (high - low) / (2 * t), f"SD = √n·(width of CI{level})/(2t)"
    return None


def combine(groups: Sequence[Group]) -> Group:
    """Several groups as one (Cochrane Handbook 6.5, table 6.5.a), taken two at a time."""
    first, *rest = groups
    for g in rest:
        n = first.n + g.n
        mean = (first.n * first.mean + g.n * g.mean) / n
        between = first.n * g.n / n * (first.mean - g.mean) ** 2
        ss = (first.n - 1) * first.sd**2 + (g.n - 1) * g.sd**2 + between
        first = Group(
            mean=mean,
            sd=math.sqrt(ss / (n - 1)),
            n=n,
            formula="test arms combined",
            findings=first.findings + g.findings,
        )
    return first


def events_of(cell: Cell) -> tuple[float, float, str] | None:
    """Events, n and how they were found: counts reported, or a percentage of n rounded."""
    n = cell.get("n") if cell.get("n") is not None else cell.size
    events, percent = cell.get("events"), cell.get("percent")
    if n is None or n <= 0:
        return None
    if events is not None:
        return (events, float(n), "events reported") if events <= n else None
    if percent is None:
        return None
    return float(round(percent * n / 100)), float(n), "events = percent·n rounded"


def _independent(measure: str, test: Group, control: Group) -> Derived | None:
    made = contrasts(
        measure,
        {
            "m1i": [test.mean],
            "sd1i": [test.sd],
            "n1i": [test.n],
            "m2i": [control.mean],
            "sd2i": [control.sd],
            "n2i": [control.n],
        },
    )
    if made.problem[0]:
        return None
    return Derived(
        y=float(made.y[0]),
        v=float(made.v[0]),
        n_test=test.n,
        n_control=control.n,
        formula=f"{measure} from group means ({_both(test, control)})",
        findings=test.findings + control.findings,
    )


def correlation_of(
    test: Group, control: Group, reported: Sequence[Cell]
) -> tuple[float, str, tuple[str, ...]] | None:
    """The within-person correlation that a crossover's own mean difference implies, with its rows.

    From the SD of the difference, SE·√n (t, n−1 df where an interval is given):
    r = (SD₁² + SD₂² − SD_d²) / (2·SD₁·SD₂), Elbourne 2002. None unless one difference is reported,
    equals that of the two means (so that it is not a model's), states its precision exactly, and
    gives −1 < r < 1.
    """
    if len(reported) != 1:
        return None
    exact = {k: f for k, f in reported[0].statistics.items() if k != "p_below"}
    n = min(test.n, control.n)
    found = difference_of(Cell(statistics=exact, size=None), n + 1)
    if found is None or abs(found[0] - (test.mean - control.mean)) > ROUNDING:
        return None
    sd = found[1] * math.sqrt(n)
    r = (test.sd**2 + control.sd**2 - sd**2) / (2 * test.sd * control.sd)
    return (
        (r, f" from the trial's own difference, {found[2]}", reported[0].ids())
        if abs(r) < 1
        else None
    )


def _paired(
    measure: str, test: Group, control: Group, r: float, origin: str, rows: tuple[str, ...]
) -> Derived:
    """Crossover: Elbourne 2002 for MD; Borenstein 2009 eq. 4.26–4.28 for SMD."""
    n = min(test.n, control.n)
    difference = test.mean - control.mean
    v = (test.sd**2 + control.sd**2 - 2 * r * test.sd * control.sd) / n
    y = difference
    if measure == "SMD":
        within = math.sqrt((test.sd**2 + control.sd**2) / 2)
        factor = float(hedges_correction(n - 1))
        d = difference / within
        y, v = factor * d, factor**2 * (1 / n + d**2 / (2 * n)) * 2 * (1 - r)
    return Derived(
        y=y,
        v=v,
        n_test=n,
        n_control=n,
        formula=f"{measure} of crossover periods, r = {r:.3g}{origin} ({_both(test, control)})",
        findings=test.findings + control.findings + rows,
    )


def _from_difference(
    measure: str,
    tests: Sequence[Cell],
    control: Cell,
    reported: Sequence[Cell],
    baselines: Sequence[Cell],
) -> Derived | None:
    sizes = [_size(c) for c in [*tests, control]]
    if any(s is None for s in sizes):
        return None
    numbers = [s for s in sizes if s is not None]
    n_control, n_test = numbers[-1], sum(numbers[:-1])
    pairs = [difference_of(c, n + n_control) for c, n in zip(reported, numbers, strict=False)]
    known = [p for p in pairs if p is not None]
    if not known or len(known) < len(pairs):
        return None
    md, se, formula = _average(known)
    findings = _used([*reported])
    if measure == "MD":
        return Derived(
            y=md,
            v=se**2,
            n_test=n_test,
            n_control=n_control,
            formula=f"MD as reported ({formula})",
            findings=findings,
            rank=DIFFERENCE,
        )
    sd = _common_sd([*tests, control], baselines)
    if sd is None:
        return None
    factor = float(hedges_correction(n_test + n_control - 2))
    y = factor * md / sd[0]
    v = (factor * se / sd[0]) ** 2 + y**2 / (2 * (n_test + n_control))
    return Derived(
        y=y,
        v=v,
        n_test=n_test,
        n_control=n_control,
        formula=f"SMD = MD/SD, {sd[1]} ({formula})",
        findings=findings + sd[2],
        rank=BASELINE if sd[1] == BASELINE_SD else DIFFERENCE,
    )


def difference_of(cell: Cell, n: float) -> tuple[float, float, str] | None:
    """A reported mean difference with its SE, the SE from CI or p where it must be (t, n−2 df)."""
    md = cell.get("mean_difference")
    if md is None:
        return None
    se = cell.get("se")
    if se is not None and se > 0:
        return md, se, "SE reported"
    for level in (95, 90):
        low, high = cell.get(f"ci{level}_lower"), cell.get(f"ci{level}_upper")
        if low is not None and high is not None and high > low:
            z = float(special.stdtrit(n - 2, 0.5 + level / 200))
            return md, (high - low) / (2 * z), f"SE from CI{level}"
    p = cell.get("p_value")
    if p is not None and 0 < p < 1 and md != 0:
        return md, abs(md / float(special.stdtrit(n - 2, 1 - p / 2))), "SE from p"
    bound = cell.get("p_below")
    if bound is not None and 0 < bound < 1 and md != 0:
        largest = abs(md / float(special.stdtrit(n - 2, 1 - bound / 2)))
        return md, largest, "largest SE that p < bound allows"
    return None


def _from_reported_smd(
    tests: Sequence[Cell], control: Cell, reported: Sequence[Cell]
) -> Derived | None:
    sizes = [_size(c) for c in [*tests, control]]
    if len(reported) != 1 or any(s is None for s in sizes):
        return None
    numbers = [s for s in sizes if s is not None]
    d = reported[0].get("standardised_mean_difference")
    if d is None or d == 0:
        return None
    md = reported[0].get("mean_difference")
    own = {k: f for k, f in reported[0].statistics.items() if k != "standardised_mean_difference"}
    if md is None:
        own["mean_difference"] = reported[0].statistics["standardised_mean_difference"]
    known = difference_of(Cell(statistics=own, size=None), sum(numbers))
    if known is None:
        return None
    se = known[1] if md is None else abs(known[1] * d / md) if md else math.nan
    if not math.isfinite(se):
        return None
    return Derived(
        y=d,
        v=se**2,
        n_test=numbers[0],
        n_control=numbers[-1],
        formula=f"SMD as reported ({known[2]})",
        findings=_used(reported),
        rank=REPORTED,
    )


def _average(known: Sequence[tuple[float, float, str]]) -> tuple[float, float, str]:
    """Contrasts that share a control arm, averaged with correlation ½ (equal arms)."""
    k = len(known)
    md = sum(m for m, _, _ in known) / k
    total = sum(a * b * (1.0 if i == j else 0.5) for i, (_, a, _) in enumerate(known)
                for j, (_, b, _) in enumerate(known))  # fmt: skip
    formula = known[0][2] if k == 1 else f"{known[0][2]}; {k} arms averaged, correlation ½"
    return md, math.sqrt(total) / k, formula


def _common_sd(
    cells: Sequence[Cell], baselines: Sequence[Cell]
) -> tuple[float, str, tuple[str, ...]] | None:
    for group, name in ((cells, "SD pooled over arms"), (baselines, BASELINE_SD)):
        found = [(spread_of(c, n), n, c) for c in group if (n := _size(c)) is not None]
        usable = [(s[0], n, c) for s, n, c in found if s is not None]
        if usable:
            df = sum(n - 1 for _, n, _ in usable)
            sd = math.sqrt(sum((n - 1) * s**2 for s, n, _ in usable) / df)
            return sd, name, _used([c for _, _, c in usable])
    return None


def _from_ratio(
    measure: str, tests: Sequence[Cell], control: Cell, reported: Sequence[Cell]
) -> Derived | None:
    name = {"RR": "risk_ratio", "OR": "odds_ratio", "HR": "hazard_ratio"}.get(measure)
    if name is None or len(reported) != 1:
        return None
    ratio = reported[0].get(name)
    low, high = reported[0].get("ci95_lower"), reported[0].get("ci95_upper")
    if ratio is None or low is None or high is None or min(ratio, low) <= 0 or high <= low:
        return None
    se = (math.log(high) - math.log(low)) / (2 * float(special.ndtri(0.975)))
    return Derived(
        y=math.log(ratio),
        v=se**2,
        n_test=_size(tests[0]) or 0.0,
        n_control=_size(control) or 0.0,
        formula=f"{measure} as reported (SE from CI95)",
        findings=reported[0].ids(),
    )


def _size(cell: Cell) -> float | None:
    n = cell.get("n")
    return n if n is not None else (float(cell.size) if cell.size is not None else None)


def _used(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(i for c in cells for i in c.ids()))


def _both(test: Group, control: Group) -> str:
    return "; ".join(dict.fromkeys((test.formula, control.formula)))
