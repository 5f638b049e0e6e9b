"""What pharmacologists disagree on, drawn: what each assumption predicts and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from klarsyn.figures.pharmacodynamics import (
    ConflictWords,
    DisputeWords,
    magnesium_conflict,
    metabolite_dispute,
)
from klarsyn.figures.theme import finish
from klarsyn.pharmacology.ensemble import shipped_ensemble
from klarsyn.pharmacology.magnesium import MagnesiumConflict, MetaboliteDispute
from klarsyn.pharmacology.magnesium import magnesium_conflict as conflict_of
from klarsyn.pharmacology.magnesium import metabolite_dispute as dispute_of
from klarsyn.pharmacology.receptor import read_receptor
from klarsyn.pharmacology.runs import read_study
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, paragraphs


def dispute_blocks(context: Context) -> tuple[Sequence[Figure | Prose], Sequence[Result]]:
    """The two figures with a sentence each, and their numbers; nothing where the base asks none."""
    wanted = context.settings.action.get("disputes")
    if not wanted:
        return (), ()
    receptor = read_receptor(wanted["receptor"])
    conflict = conflict_of(receptor)
    named = {
        group: {name: label[context.lang] for name, label in wanted[group].items()}
        for group in ("constants", "marks", "other")
    }
    dispute = dispute_of(receptor, named)
    results = (_conflict_result(context, wanted, conflict), _dispute_result(dispute))
    blocks = (
        _conflict_figure(context, conflict),
        Prose(paragraphs=paragraphs(_conflict_sentence(context, conflict, results[0]))),
        _dispute_figure(context, wanted, dispute),
        Prose(paragraphs=paragraphs(_dispute_sentence(context, wanted, dispute, results[1]))),
    )
    return blocks, results


def _conflict_result(
    context: Context, wanted: Mapping[str, Any], found: MagnesiumConflict
) -> Result:
    kept = shipped_ensemble(read_study(wanted["study"])).values["selectivity"]
    low, high = np.percentile(kept, [5, 95])
    return Result(
        id="action.conflict",
        value={
            "wanted_ic50": list(found.wanted),
            "theta_needed": list(found.needed),
            "theta_crossing": found.crossing,
            "selectivity_carried": [float(low), float(high)],
        },
        method=f"{found.method}; selectivity carried: 5th to 95th percentile of the kept sets",
        inputs=(),
        digest=found.inputs,
    )


def _conflict_figure(context: Context, found: MagnesiumConflict) -> Figure:
    w, n = context.words, context.numbers
    says = ConflictWords(
        theta=w.plain("disputes.theta"),
        ic50=w.plain("disputes.ic50"),
        selectivity=w.plain("disputes.selectivity"),
        needed=w.plain("disputes.needed"),
        crossing=w.plain("disputes.crossing"),
    )

    def draw(narrow: bool) -> Any:
        return finish(
            magnesium_conflict(
                theta=found.theta.tolist(),
                resting_ic50=found.resting_ic50.tolist(),
                selectivity=found.selectivity.tolist(),
                crossing=found.crossing,
                needed=found.needed,
                wanted=found.wanted,
                words=says,
                narrow=narrow,
            )
        )

    numbers = {
        "low": n.fixed(found.needed[0]),
        "high": n.fixed(found.needed[1]),
        "crossing": n.fixed(found.crossing),
    }
    return Figure(
        id="conflict",
        title=w.plain("disputes.conflict"),
        alt=w.plain("disputes.conflict_alt", **numbers),
        wide=draw(False),
        narrow=draw(True),
        caption=w("disputes.conflict_caption"),
    )


def _conflict_sentence(context: Context, found: MagnesiumConflict, result: Result) -> Any:
    n = context.numbers
    carried = result.value["selectivity_carried"]
    return context.words(
        "disputes.conflict_sentence",
        ic50=n.interval(found.wanted[0], found.wanted[1], 1),
        needed=context.result_claim(result, n.interval(found.needed[0], found.needed[1])),
        crossing=context.result_claim(result, n.fixed(found.crossing)),
        carried=context.result_claim(result, n.interval(carried[0], carried[1], 1)),
    )


def _dispute_result(found: MetaboliteDispute) -> Result:
    return Result(
        id="action.dispute",
        value={
            "constants_um": [k for _, k in found.constants],
            "concentrations_um": [c for _, c in found.marks],
            "blocked": [list(found.at(c).values()) for _, c in found.marks],
            "blocked_with_magnesium": [_with_magnesium(found, c) for _, c in found.marks],
        },
        method=found.method,
        inputs=(),
        digest=found.inputs,
    )


def _with_magnesium(found: MetaboliteDispute, concentration: float) -> float:
    """The blocked share under the first assumption, at rest in physiological magnesium."""
    return float(np.interp(concentration, found.concentrations, found.block_magnesium[0]))


def _dispute_figure(
    context: Context, wanted: Mapping[str, Any], found: MetaboliteDispute
) -> Figure:
    w, lang = context.words, context.lang
    says = DisputeWords(
        concentration=w.plain("disputes.concentration"),
        block=w.plain("disputes.block"),
        assumption=w.plain("disputes.assumption"),
    )

    told = {f"{context.numbers.general(c)} µM": (name, c) for name, c in found.marks}

    def draw(narrow: bool) -> Any:
        marks = {at if narrow else f"{at}: {name}": c for at, (name, c) in told.items()}
        return finish(
            metabolite_dispute(
                concentrations=found.concentrations.tolist(),
                curves={
                    name: found.block[i].tolist() for i, (name, _) in enumerate(found.constants)
                },
                marks=marks,
                words=says,
                narrow=narrow,
            )
        )

    metabolite = wanted["metabolite"][lang]
    return Figure(
        id="dispute",
        title=w.plain("disputes.dispute", metabolite=metabolite),
        alt=w.plain(
            "disputes.dispute_alt",
            metabolite=metabolite,
            constants=", ".join(name for name, _ in found.constants),
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w(
            "disputes.dispute_caption",
            marks="; ".join(f"{at}, {name}" for at, (name, _) in told.items()),
        ),
    )


def _dispute_sentence(
    context: Context, wanted: Mapping[str, Any], found: MetaboliteDispute, result: Result
) -> Any:
    n, w = context.numbers, context.words
    low, high = found.marks[-2:]
    shares = []
    for _, concentration in (low, high):
        every = found.at(concentration).values()
        text = f"{n.fixed(100 * min(every), 0)}–{n.percent(max(every))}"
        shares.append(context.result_claim(result, text))
    magnesium = n.percent(_with_magnesium(found, low[1]), 1)
    return w(
        "disputes.dispute_sentence",
        metabolite=wanted["metabolite"][context.lang],
        low=n.general(low[1]),
        high=n.general(high[1]),
        at_low=shares[0],
        at_high=shares[1],
        magnesium=context.result_claim(result, magnesium),
    )
