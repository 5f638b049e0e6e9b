"""How much control arms improved, in standard deviations of the change, one by one and together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.belief import ControlBenchmark, control_benchmark
from klarsyn.errors import InputError
from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import Pooled, pool

STANDARDISED_BY = "standard deviation of the change"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlArm:
    """A control arm's improvement (positive: better), with the active arm's where it is known.

    Both are standardised mean changes; `group` is what the arm is compared within.
    """

    trial: str
    group: str
    improvement: Estimate
    active: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """Control arms of other trials: their random-effects mean and variance between trials."""

    name: str
    mean: Estimate
    tau2: float
    source: str = ""


def standardised_change(change: float, sd: float, n: float, name: str) -> Estimate:
    """A mean change over its standard deviation, corrected for small samples (SMCC; Becker 1988).

    Raises InputError with `name` for a standard deviation or a number that allows none.
    """
    if not (math.isfinite(change) and sd > 0 and n >= 3):
        raise InputError(
            f"{name}: a standardised change needs a change, its standard deviation above 0 and 3 "
            f"patients or more; {change:g}, {sd:g} and {n:g} were given."
        )
    # With both standard deviations alike and correlation 0.5, that of the change is the same.
    cells = {"m1i": change, "m2i": 0.0, "sd1i": sd, "sd2i": sd, "ni": n, "ri": 0.5}
    found = contrasts("SMCC", {k: [v] for k, v in cells.items()})
    return Estimate(
        value=float(found.y[0]), se=math.sqrt(float(found.v[0])), method="SMCC, small-sample factor"
    )


def pool_changes(changes: Sequence[Estimate], *, method: str, test: str) -> Pooled:
    """Standardised changes of several arms in one random-effects mean."""
    y, v = [c.value for c in changes], [c.se**2 for c in changes]
    return pool(effects_from_arrays(y, v, measure="GEN"), method=method, test=test)


def usual_of(arms: Sequence[ControlArm], group: str, *, method: str) -> Usual:
    """The arms of one group as the usual ones; three are needed for a variance between them."""
    chosen = [a.improvement for a in arms if a.group == group]
    if len(chosen) < 3:
        known = ", ".join(dict.fromkeys(a.group for a in arms))
        raise InputError(
            f"{len(chosen)} control arms are of the group {group!r}; three or more are needed to "
            f"know how such arms vary. Groups: {known}."
        )
    pooled = pool_changes(chosen, method=method, test="z")
    return Usual(
        name=group,
        mean=Estimate(value=pooled.estimate, se=pooled.se, method=pooled.method),
        tau2=pooled.tau2,
    )


def benchmark_arms(arms: Sequence[ControlArm], usual: Usual) -> tuple[ControlBenchmark, ...]:
    """Each arm outside the usual group against what is usual."""
    return tuple(
        control_benchmark(
            a.improvement,
            reference_class=usual.name,
            reference_mean=usual.mean,
            reference_tau2=usual.tau2,
            standardised_by=STANDARDISED_BY,
            active=a.active,
            arm=a.trial,
        )
        for a in arms
        if a.group != usual.name
    )


def read_controls(file: str) -> list[ControlArm]:
    """Control arms from a table of changes (positive: improvement); errors name the row."""
    from klarsyn.tables import Column, read_table

    size: dict[str, Any] = {"kind": "count"}
    free: dict[str, Any] = {"required": False, "may_be_empty": True}
    table = read_table(
        file,
        [
            Column(name="trial"),
            Column(name="group"),
            Column(name="control_change", kind="number"),
            Column(name="control_sd", kind="number", above=0),
            Column(name="control_n", **size),
            Column(name="active_change", kind="number", **free),
            Column(name="active_sd", kind="number", above=0, **free),
            Column(name="active_n", **size, **free),
        ],
        others=False,
    )
    out = []
    for row, r in table.numbered():
        where = f"{file}: row {row}: {r['trial']}"
        active = [r.get(f"active_{part}") for part in ("change", "sd", "n")]
        known = [float(a) for a in active if a is not None]
        if len(known) not in (0, 3):
            raise InputError(f"{where}: give the active arm's change, sd and n, or none of them.")
        change, sd, n = r["control_change"], r["control_sd"], r["control_n"]
        out.append(
            ControlArm(
                trial=r["trial"],
                group=r["group"],
                improvement=standardised_change(change, sd, n, where),
                active=standardised_change(known[0], known[1], known[2], where) if known else None,
            )
        )
    return out
