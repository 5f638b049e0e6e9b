"""Networks of rare events without added constants: Mantel–Haenszel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.stats.network import StudyContrasts, decouple
from klarsyn.stats.network_mantel_haenszel import design_contrasts
from klarsyn.synthesis.network import NetworkFit, fitted_network
from klarsyn.synthesis.network_data import Ignored, NetworkData


def fit_network_mantel_haenszel(
    data: NetworkData, *, reference: str | None = None, better: str | None = None
) -> NetworkFit:
    """Common odds ratios of a network from its counts, nothing added to empty cells.

    Studies of the same arms are one design with Mantel–Haenszel estimates; designs are combined by
    generalised least squares (Efthimiou et al. 2019). An arm without any event, or with nothing
    but events, in its whole design gives no odds ratio and is left out and listed in `ignored`; a
    treatment that no design is left for is not in the fit.
    `Q` of the fit tests inconsistency between designs; there is no tau².

    Raises InputError without counts or for a measure other than OR, NumericalError `disconnected`
    or `not_estimable`.
    """
    if data.measure != "OR" or not all(data.counts):
        raise InputError("Mantel–Haenszel needs events and n of every arm and measure OR.")
    if reference is not None and reference not in data.treatments:
        raise unknown_name("treatment", reference, data.treatments)
    designs: dict[tuple[int, ...], list[int]] = {}
    for k, contrast in enumerate(data.contrasts):
        designs.setdefault(tuple(sorted(contrast.arms)), []).append(k)
    contrasts, labels, ignored = [], [], list(data.ignored)
    for arms, members in sorted(designs.items()):
        made, left_out = _design(data, arms, members)
        ignored += left_out
        if made is not None:
            contrasts.append(made)
            labels.append(" | ".join(data.studies[m] for m in members))
    pooled = replace(
        data, contrasts=tuple(contrasts), studies=tuple(labels), ignored=tuple(ignored)
    )
    if not contrasts:
        raise NumericalError("not_estimable", "No design of the network has events to compare.")
    pooled = _estimable(pooled, reference)
    pooled.require_connected()
    fit = fitted_network(
        pooled,
        decouple(pooled.contrasts, len(pooled.treatments)),
        reference=reference or pooled.treatments[0],
        model="common",
        better=better,
        method="Mantel-Haenszel (common odds ratios)",
    )
    return replace(fit, studies=len(data.studies), adjustment="none", I2=math.nan)


def _estimable(data: NetworkData, reference: str | None) -> NetworkData:
    """The treatments that some design still compares, renumbered."""
    used = sorted({a for c in data.contrasts for a in c.arms})
    names = tuple(data.treatments[a] for a in used)
    if reference is not None and reference not in names:
        raise NumericalError(
            "not_estimable",
            f"{reference} has no event, or only events, in every design that has it: no odds ratio "
            f"against it can be estimated. Choose another reference.",
        )
    place = {a: i for i, a in enumerate(used)}
    renumbered = tuple(c._replace(arms=tuple(place[a] for a in c.arms)) for c in data.contrasts)
    return replace(data, treatments=names, contrasts=renumbered)


def _design(
    data: NetworkData, arms: tuple[int, ...], members: list[int]
) -> tuple[StudyContrasts | None, list[Ignored]]:
    events = np.array([[data.counts[m][a][0] for a in arms] for m in members])
    n = np.array([[data.counts[m][a][1] for a in arms] for m in members])
    useful = (events.sum(axis=0) > 0) & ((n - events).sum(axis=0) > 0)
    name = ", ".join(data.studies[m] for m in members)
    left_out = [
        Ignored(
            study=name,
            patients=float(n[:, i].sum()),
            reason=f"{data.treatments[a]}: all arms of this design without events, or only events",
        )
        for i, a in enumerate(arms)
        if not useful[i]
    ]
    if useful.sum() < 2:
        return None, left_out
    kept = tuple(a for a, ok in zip(arms, useful, strict=True) if ok)
    events, n = events[:, useful], n[:, useful]
    cross = np.einsum("ix,iy,i->xy", events, n - events, 1 / n.sum(axis=1))
    for i in range(len(kept)):
        for j in range(len(kept)):
            if i != j and cross[i, j] <= 0:
                raise NumericalError(
                    "not_estimable",
                    f"{data.treatments[kept[i]]} against {data.treatments[kept[j]]} in {name}: no "
                    f"study has an event in one and a non-event in the other. Leave out an arm.",
                )
    return StudyContrasts(kept, *design_contrasts(events, n)), left_out
