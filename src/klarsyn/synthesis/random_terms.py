"""What varies between studies: random intercepts, inner levels and slopes, by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError
from klarsyn.stats.covariance_structures import NEEDS_TIME, Structure, structure

Vector = NDArray[np.floating]
DEPENDENT = 1e-10  # of a column's size: what is left of it beside the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Intercepts:
    """One normal deviation per level of a grouping, e.g. per study; variance `sigma2[name]`."""

    name: str
    levels: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Correlated deviations of the inner levels (outcomes, time points) within each outer level.

    `structure` is one of ID, DIAG, CS, HCS, UN, AR, HAR, CAR; the last three read `inner` as times.
    Outer levels are independent.
    """

    name: str
    inner: Sequence[Any]
    outer: Sequence[Any]
    structure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """Random coefficients of the columns (observations × coefficients) within each outer level."""

    name: str
    columns: Any
    outer: Sequence[Any]
    structure: str


RandomTerm = Intercepts | Inner | Slopes


def nested(**groupings: Sequence[Any]) -> tuple[Intercepts, ...]:
    """Random intercepts of each grouping within the ones named before it.

    `nested(district=d, school=s)` is district, and school within district.
    """
    terms: list[Intercepts] = []
    above: list[Sequence[Any]] = []
    for levels in groupings.values():
        above.append(levels.tolist() if isinstance(levels, np.ndarray) else levels)
        joined = list(zip(*above, strict=True))
        label = "/".join(list(groupings)[: len(above)])
        terms.append(Intercepts(name=label, levels=joined if len(above) > 1 else list(above[0])))
    return tuple(terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedTerm:
    """A term with its levels as numbers; `columns` are the given ones times `basis` inverted."""

    name: str
    family: Structure
    outer: NDArray[np.intp]
    outer_labels: tuple[Any, ...]
    inner: NDArray[np.intp] | None
    inner_labels: tuple[Any, ...]
    columns: Vector | None
    basis: NDArray[np.floating]

    def patterns(self, index: NDArray[np.intp], real: NDArray[np.bool_]) -> NDArray[np.floating]:
        """Which pairs of observations of each block share each covariance element."""
        outer = self.outer[index]
        same = (outer[:, :, None] == outer[:, None, :]) & real[:, :, None] & real[:, None, :]
        masks = self.family.masks
        if self.columns is not None:
            z = self.columns[index]
            return np.einsum("ajl,bij,bkl->abik", masks, z, z) * same
        if self.inner is None:
            return same[None].astype(float)
        inner = self.inner[index]
        return masks[:, inner[:, :, None], inner[:, None, :]] * same

    def parameter_names(self) -> tuple[str, ...]:
        """Names of the covariance parameters as the result prints them."""
        if self.inner is None and self.columns is None:
            return (f"sigma2[{self.name}]",)
        return tuple(f"{self.name}: {p}" for p in self.family.parameters)


def coded(term: RandomTerm, observations: int) -> CodedTerm:
    """The term with its labels numbered. Raises InputError on unequal lengths or times as text."""
    outer_source = term.levels if isinstance(term, Intercepts) else term.outer
    outer, outer_labels = _numbered(outer_source, term.name, observations)
    if isinstance(term, Intercepts):
        return CodedTerm(
            name=term.name,
            family=structure("ID", 1),
            outer=outer,
            outer_labels=outer_labels,
            inner=None,
            inner_labels=(),
            columns=None,
            basis=np.eye(1),
        )
    if isinstance(term, Inner):
        times = None
        if term.structure in NEEDS_TIME:
            times = _times(term.inner, term.name, term.structure)
        inner, inner_labels = _numbered(term.inner, term.name, observations)
        return CodedTerm(
            name=term.name,
            family=structure(term.structure, len(inner_labels), times),
            outer=outer,
            outer_labels=outer_labels,
            inner=inner,
            inner_labels=inner_labels,
            columns=None,
            basis=np.eye(len(inner_labels)),
        )
    columns = np.asarray(term.columns, dtype=float).reshape(observations, -1)
    size = np.sqrt((columns**2).mean(axis=0))
    if not (size > 0).all():
        raise InputError(f"Random slopes {term.name!r}: a column is zero throughout; drop it.")
    basis = _basis(columns, size, term)
    return CodedTerm(
        name=term.name,
        family=structure(term.structure, columns.shape[1]),
        outer=outer,
        outer_labels=outer_labels,
        inner=None,
        inner_labels=(),
        columns=np.linalg.solve(basis.T, columns.T).T,
        basis=basis,
    )


def _basis(columns: Vector, size: Vector, term: Slopes) -> NDArray[np.floating]:
    """What the columns are expressed in: scaled, and where any matrix is allowed uncorrelated.

    A dose and its square go together; apart from that one maximum is not found from another.
    """
    scale = np.diag(2.0 ** np.round(np.log2(size)))
    if term.structure != "UN" or len(size) == 1:
        return scale
    scaled = columns / np.diag(scale)
    triangle = np.linalg.qr(scaled, mode="r") / np.sqrt(len(columns))
    if np.abs(np.diag(triangle)).min() <= DEPENDENT:
        raise InputError(
            f"Random slopes {term.name!r}: a column follows from the others; drop one of them."
        )
    return triangle @ scale


def _numbered(
    levels: Sequence[Any], name: str, observations: int
) -> tuple[NDArray[np.intp], tuple[Any, ...]]:
    values = levels.tolist() if isinstance(levels, np.ndarray) else list(levels)
    if len(values) != observations:
        raise InputError(
            f"Random term {name!r} has {len(values)} labels for {observations} observations."
        )
    try:
        labels = sorted(set(values))
    except TypeError:
        labels = list(dict.fromkeys(values))
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place[v] for v in values], dtype=np.intp), tuple(labels)


def _times(inner: Sequence[Any], name: str, family: str) -> Vector:
    try:
        times = np.unique(np.asarray(inner, dtype=float))
    except (TypeError, ValueError):
        raise InputError(
            f"Random term {name!r}: structure {family} needs times as numbers in `inner`."
        ) from None
    if family != "CAR" and not np.array_equal(times, np.round(times)):
        raise InputError(
            f"Random term {name!r}: structure {family} needs whole-number times; CAR takes any."
        )
    return times
