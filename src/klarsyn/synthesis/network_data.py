"""A network's studies, from arms or from contrasts, as labelled contrasts with full covariances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.network import StudyContrasts
from klarsyn.stats.network_arms import (
    CONTRAST_MEASURES,
    COUNTS,
    MEANS,
    MEASURES,
    arm_contrasts,
)

Vector = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A study, or an arm of it, that the analysis does not use, with its patients and why."""

    study: str
    patients: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkData:
    """Contrasts of every study on the measure's scale (OR, RR, IRR, HR as natural logarithms).

    `contrasts[i]` belongs to `studies[i]`; its arms number `treatments`. `counts` keeps events and
    patients of the arms (study → treatment number → (events, n)) where there are any.
    """

    measure: str
    treatments: tuple[str, ...]
    studies: tuple[str, ...]
    contrasts: tuple[StudyContrasts, ...] = field(repr=False)
    patients: tuple[float, ...] = field(repr=False)
    ignored: tuple[Ignored, ...]
    counts: tuple[dict[int, tuple[float, float]], ...] = field(repr=False)
    adjustment: str
    digest: str

    def pieces(self) -> tuple[tuple[str, ...], ...]:
        """The treatments that comparisons connect, largest group first."""
        return connected_pieces(self.treatments, [c.arms for c in self.contrasts])

    def require_connected(self) -> None:
        """Raise NumericalError `disconnected` naming the pieces."""
        pieces = self.pieces()
        if len(pieces) > 1:
            named = "; ".join(f"({i}) {', '.join(p)}" for i, p in enumerate(pieces, start=1))
            raise NumericalError(
                "disconnected",
                f"The network falls into {len(pieces)} pieces that no study compares: {named}. "
                f"Analyse one piece, add a study that links them, or use additive components.",
            )


def network_from_arms(
    study: Sequence[Any],
    treatment: Sequence[Any],
    *,
    measure: str,
    events: Sequence[float] | Vector | None = None,
    n: Sequence[float] | Vector | None = None,
    mean: Sequence[float] | Vector | None = None,
    sd: Sequence[float] | Vector | None = None,
    time: Sequence[float] | Vector | None = None,
    estimate: Sequence[float] | Vector | None = None,
    se: Sequence[float] | Vector | None = None,
    add: float = 0.5,
) -> NetworkData:
    """One row per arm.

    `measure` OR, RR, RD need `events` and `n`; IRR `events` and `time`; MD, SMD `mean`, `sd`, `n`;
    GEN takes each arm's own `estimate` and `se` on any additive scale. `add` is added to every cell
    of the studies that have an empty one (OR, RR, IRR; RD in the variance only); studies without
    an event, or with nothing but events, in all arms carry no information on OR and RR and are
    listed as `ignored`. SMD divides by the standard deviation pooled over all arms of a study
    (Gleser & Olkin 2009), with Hedges' exact small-sample correction.
    """
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    if not add >= 0:
        raise InputError(f"add must be at least 0, not {add:g}.")
    given = {
        "events": events, "n": n, "mean": mean, "sd": sd, "time": time,
        "estimate": estimate, "se": se,
    }  # fmt: skip
    rows = _arm_rows(study, treatment, given, measure)
    treatments = tuple(sorted({t for arms in rows.values() for t in arms}))
    number = {t: i for i, t in enumerate(treatments)}
    found = [_read_study(name, arms, number, measure, add) for name, arms in rows.items()]
    used = [one for one in found if isinstance(one, _Study)]
    return NetworkData(
        measure=measure,
        treatments=treatments,
        studies=tuple(one.name for one in used),
        contrasts=tuple(one.contrasts for one in used),
        patients=tuple(one.patients for one in used),
        ignored=tuple(one for one in found if isinstance(one, Ignored)),
        counts=tuple(one.counts for one in used),
        adjustment=f"{add:g} added to all cells of studies with an empty cell"
        if measure in ("OR", "RR", "IRR") and add
        else "none",
        digest=digest_of(measure, add, rows),
    )


class _Study(NamedTuple):
    name: str
    contrasts: StudyContrasts
    patients: float
    counts: dict[int, tuple[float, float]]


def _read_study(
    name: str,
    arms: Mapping[str, Mapping[str, float]],
    number: Mapping[str, int],
    measure: str,
    add: float,
) -> _Study | Ignored:
    """A study's contrasts, or why it has none; `number` is each treatment's place."""
    labels = tuple(arms)
    values = {k: np.array([arms[t][k] for t in labels]) for k in arms[labels[0]]}
    size = float(values["n"].sum()) if "n" in values else float("nan")
    if measure in COUNTS and (reason := _uninformative(measure, values)):
        return Ignored(study=name, patients=size, reason=reason)
    _check_cells(name, measure, values, add)
    places = tuple(number[t] for t in labels)
    counts: dict[int, tuple[float, float]] = {}
    if measure in COUNTS and "n" in values:
        rows = zip(places, values["events"], values["n"], strict=True)
        counts = {place: (float(events), float(n)) for place, events, n in rows}
    contrasts = StudyContrasts(places, *arm_contrasts(measure, values, add))
    return _Study(name, contrasts, size, counts)


def network_from_contrasts(
    study: Sequence[Any],
    treat1: Sequence[Any],
    treat2: Sequence[Any],
    effect: Sequence[float] | Vector,
    se: Sequence[float] | Vector,
    *,
    measure: str,
) -> NetworkData:
    """One row per comparison, effect of `treat1` against `treat2` (log scale for ratios).

    A study of a > 2 arms gives all a(a − 1)/2 of its comparisons: their standard errors determine
    the covariances, cov(1j, 1l) = (v_1j + v_1l − v_jl) / 2. Effects that do not add up by
    rounding are adjusted by weighted least squares; by more than half a standard error they are an
    error. Raises InputError naming the study.
    """
    if measure not in CONTRAST_MEASURES:
        raise unknown_name("measure", measure, CONTRAST_MEASURES)
    columns = [list(study), list(treat1), list(treat2), list(effect), list(se)]
    if len({len(c) for c in columns}) != 1:
        raise InputError("The columns of the comparisons differ in length.")
    rows: dict[str, dict[tuple[str, str], tuple[float, float]]] = {}
    for at, (s, a, b, y, e) in enumerate(zip(*columns, strict=True), start=1):
        _require_names(f"Comparison {at}", s, a, b)
        name, one, two, value, error = str(s), str(a), str(b), float(y), float(e)
        if one == two:
            raise InputError(f"Comparison {at}: study {name} compares {one} with itself.")
        if not (np.isfinite(value) and np.isfinite(error) and error > 0):
            raise InputError(
                f"Comparison {at}: study {name} needs a finite effect and a standard error above "
                f"0, not {value:g} and {error:g}."
            )
        pairs = rows.setdefault(name, {})
        if (one, two) in pairs or (two, one) in pairs:
            raise InputError(f"Study {name} gives {one} against {two} twice. Keep one.")
        pairs[one, two] = (value, error**2)
    treatments = tuple(sorted({t for pairs in rows.values() for pair in pairs for t in pair}))
    number = {t: i for i, t in enumerate(treatments)}
    return NetworkData(
        measure=measure,
        treatments=treatments,
        studies=tuple(rows),
        contrasts=tuple(_from_pairs(name, pairs, number) for name, pairs in rows.items()),
        patients=(float("nan"),) * len(rows),
        ignored=(),
        counts=({},) * len(rows),
        adjustment="none",
        digest=digest_of(measure, {n: [(*k, *v) for k, v in p.items()] for n, p in rows.items()}),
    )


def connected_pieces(
    treatments: Sequence[str], arms: Sequence[Sequence[int]]
) -> tuple[tuple[str, ...], ...]:
    """Groups of treatments joined by studies, largest first, each in the order given."""
    home = list(range(len(treatments)))

    def root(i: int) -> int:
        while home[i] != i:
            home[i] = home[home[i]]
            i = home[i]
        return i

    for group in arms:
        for other in group[1:]:
            home[root(other)] = root(group[0])
    pieces: dict[int, list[str]] = {}
    for i, name in enumerate(treatments):
        pieces.setdefault(root(i), []).append(name)
    return tuple(tuple(p) for p in sorted(pieces.values(), key=lambda p: -len(p)))


def _arm_rows(
    study: Sequence[Any], treatment: Sequence[Any], given: dict[str, Any], measure: str
) -> dict[str, dict[str, dict[str, float]]]:
    needed = MEASURES[measure]
    for column in needed:
        if given[column] is None:
            raise InputError(
                f"{measure} from arms needs the columns {', '.join(needed)}; {column} is missing."
            )
    columns = {c: np.asarray(given[c], dtype=float) for c in needed}
    length = len(list(study))
    for name, values in [*columns.items(), ("treatment", list(treatment))]:
        if len(values) != length:
            raise InputError(f"The column {name} has {len(values)} rows; study has {length}.")
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for at, (s, t) in enumerate(zip(study, treatment, strict=True)):
        _require_names(f"Arm {at + 1}", s, t)
        arm = {c: float(v[at]) for c, v in columns.items()}
        _check_arm(at + 1, str(s), arm, measure)
        arms = rows.setdefault(str(s), {})
        if str(t) in arms:
            raise InputError(f"Study {s} has two arms {t}. Combine them into one first.")
        arms[str(t)] = arm
    for name, arms in rows.items():
        if len(arms) < 2:
            raise InputError(
                f"Study {name} has one arm only ({next(iter(arms))}): it compares nothing. Leave "
                f"it out or add its other arm."
            )
    return rows


def _require_names(where: str, *names: Any) -> None:
    if any(name is None or not str(name).strip() for name in names):
        raise InputError(f"{where} has no name of its study or treatment. Name both.")


def _check_arm(row: int, study: str, arm: dict[str, float], measure: str) -> None:
    where = f"Arm {row} (study {study})"
    for column, value in arm.items():
        if not np.isfinite(value):
            raise InputError(f"{where}: {column} is not a finite number.")
    if "n" in arm and arm["n"] <= 0:
        raise InputError(f"{where}: n must be above 0, not {arm['n']:g}.")
    if measure in COUNTS and (arm["events"] < 0 or arm["events"] > arm.get("n", np.inf)):
        total = f", which is {arm['n']:g}" if "n" in arm else ""
        raise InputError(
            f"{where}: {arm['events']:g} events lie outside 0 to n{total}. Correct one of them."
        )
    if measure in MEANS and arm["n"] < 2:
        raise InputError(f"{where}: a mean with its SD needs n of at least 2, not {arm['n']:g}.")
    if measure in MEANS and arm["sd"] <= 0:
        raise InputError(f"{where}: sd must be above 0, not {arm['sd']:g}.")
    for column in ("se", "time"):
        if column in arm and arm[column] <= 0:
            raise InputError(f"{where}: {column} must be above 0, not {arm[column]:g}.")


def _check_cells(name: str, measure: str, values: dict[str, Vector], add: float) -> None:
    if add > 0 or measure not in COUNTS:
        return
    full = np.equal(values["events"], values.get("n", np.inf))
    if (values["events"] == 0).any() or full.any():
        raise InputError(
            f"Study {name} has an empty cell: without something added to its cells {measure} has "
            f"no variance. Set add above 0, or use Mantel-Haenszel."
        )


def _uninformative(measure: str, values: dict[str, Vector]) -> str:
    if measure in ("OR", "RR", "IRR") and not values["events"].any():
        return "no event in any arm"
    if measure in ("OR", "RR") and (values["events"] == values["n"]).all():
        return "nothing but events in every arm"
    return ""


def _from_pairs(
    name: str, pairs: dict[tuple[str, str], tuple[float, float]], number: dict[str, int]
) -> StudyContrasts:
    arms = sorted({number[t] for pair in pairs for t in pair})
    size = len(arms)
    if len(pairs) != size * (size - 1) // 2:
        raise InputError(
            f"Study {name} has {size} arms and {len(pairs)} of the {size * (size - 1) // 2} "
            f"comparisons between them. Give all of them, or the arms themselves."
        )
    place = {a: i for i, a in enumerate(arms)}
    y, v = np.zeros((size, size)), np.zeros((size, size))
    for (one, two), (value, variance) in pairs.items():
        i, j = place[number[one]], place[number[two]]
        y[i, j], y[j, i] = value, -value
        v[i, j] = v[j, i] = variance
    covariance = (v[1:, :1] + v[:1, 1:] - v[1:, 1:]) / 2
    if np.linalg.eigvalsh(covariance)[0] <= 1e-12 * covariance.max():
        raise InputError(
            f"Study {name}: no covariance of its arms gives these standard errors. Check them for "
            f"typing or rounding errors."
        )
    effects = _reconciled(name, y, covariance, float(np.sqrt(v[v > 0].min())))
    return StudyContrasts(tuple(arms), effects, covariance)


def _reconciled(name: str, y: Vector, covariance: Vector, smallest: float) -> Vector:
    """Effects against the first arm that fit all pairs of a study best, by its own weights."""
    size = len(y)
    if size == 2:
        return y[1:, 0]
    basic = np.concatenate([-np.ones((size - 1, 1)), np.eye(size - 1)], axis=1)
    L = basic.T @ np.linalg.inv(covariance) @ basic
    pull = (-(L - np.diag(np.diag(L))) * y).sum(axis=1)
    theta = np.append(0.0, np.linalg.solve(L[1:, 1:], pull[1:]))
    misfit = np.abs(y - np.subtract.outer(theta, theta)).max()
    if misfit > 0.5 * smallest:
        raise InputError(
            f"Study {name}: its effects do not add up (off by {misfit:.3g}). Check the direction "
            f"of each comparison."
        )
    return theta[1:]
