"""Who left, and when? Dropout by arm, and every way the early refusals could have gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.refusals import Cell, RefusalGrid, Refusals, refusal_grid
from klarsyn.figures.refusals import GridCell, refusals
from klarsyn.figures.theme import finish
from klarsyn.provenance import digest_of
from klarsyn.report.comparison import Comparison, Left, read_comparison, read_left
from klarsyn.report.context import Context
from klarsyn.report.counts import Count, arm_counts, compared_pairs, paired_pictures, paired_rates
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    TableBlock,
    anchor_of,
    paragraphs,
    spoken,
)
from klarsyn.report.sections.dropouts import dropout_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The refusals of one comparison, with its grid and the grid as a numbered result."""

    comparison: Comparison
    left: Left
    elsewhere: Comparison | None
    grid: RefusalGrid
    result: Result

    @property
    def rows(self) -> list[str]:
        """The findings that all of it stands on."""
        other = self.elsewhere.rows if self.elsewhere else ()
        return [f.id for f in (*self.comparison.rows, *self.left.rows, *other)]


def build_left(context: Context) -> tuple[Section, Any] | None:
    """The section and its answer; None where no trial of the base counts who left by arm."""
    counts = {o: arm_counts(context, o) for o in context.settings.leaving}
    shown = {o: c for o, c in counts.items() if compared_pairs(c)}
    refused = derive_refused(context)
    dropouts = dropout_blocks(context)
    if not shown and refused is None and not dropouts.results:
        return None
    answer = _answer(context, shown, refused)
    blocks: list[Any] = [Prose(paragraphs=paragraphs(answer), tone="finding")]
    blocks += [_rates_figure(context, shown)] if shown else []
    if refused is not None:
        blocks += [_grid_figure(context, refused), _grid_prose(context, refused)]
        blocks.append(_grid_table(context, refused))
    blocks += dropouts.blocks
    blocks.append(Prose(paragraphs=paragraphs(context.words("left.missing")), tone="caution"))
    used = [c for cs in shown.values() for _, pair in compared_pairs(cs) for c in pair]
    section = Section(
        id="left",
        title=context.words.plain("left.title"),
        blocks=blocks,
        results=[
            *([refused.result, *_scenario_results(refused)] if refused else []),
            *dropouts.results,
        ],
        findings=[
            *(f.id for c in used for f in c.rows),
            *(refused.rows if refused else []),
            *dropouts.findings,
        ],
    )
    return section, answer


def derive_refused(context: Context) -> Refused | None:
    """The grid of the comparison that the settings name; None where its counts are not known."""
    wanted = context.settings.noninferiority
    if "refusals" not in wanted:
        return None
    comparison = read_comparison(
        context, wanted["trial"], wanted["outcome"], wanted.get("scale", "")
    )
    left = read_left(context, comparison, wanted["refusals"]) if comparison else None
    if comparison is None or left is None:
        return None
    elsewhere = read_elsewhere(context)
    rates_there = (
        {"as_elsewhere": (elsewhere.new_rate, elsewhere.reference_rate)} if elsewhere else {}
    )
    grid = refusal_grid(
        Refusals(
            analysed=comparison.counts, new_refused=left.new, reference_refused=left.reference
        ),
        float(wanted["margin"]),
        external_rates=rates_there,
        interval_method="newcombe",
    )
    value = {
        "refused": [left.new, left.reference],
        "cells": len(grid.cells),
        "regions": grid.region_counts(),
        "superiority_lost_from": grid.superiority_lost_from,
        "noninferiority_lost_from": grid.noninferiority_lost_from,
        "margin": grid.margin,
    }
    rows = (*comparison.rows, *left.rows)
    result = Result(
        id=f"left.refusals.{comparison.trial.id}",
        value=value,
        method=f"{grid.method}; Newcombe intervals",
        inputs=tuple(f.id for f in rows),
        digest=grid.inputs,
    )
    return Refused(comparison=comparison, left=left, elsewhere=elsewhere, grid=grid, result=result)


def read_elsewhere(context: Context) -> Comparison | None:
    """The other trial whose rates the settings name, on its own outcome."""
    other = context.settings.noninferiority.get("elsewhere")
    return read_comparison(context, other["trial"], other["outcome"]) if other else None


def scenario_result(refused: Refused, cell: Cell) -> Result:
    """One named scenario of the grid as a numbered result."""
    return Result(
        id=f"{refused.result.id}.{cell.name}",
        value={
            "responders": [cell.new_responders, cell.reference_responders],
            "difference": cell.difference,
            "ci": [cell.low, cell.high],
            "region": cell.region,
        },
        method="risk difference of all randomised, Newcombe interval",
        inputs=(refused.result.id,),
        digest=digest_of(refused.result.digest, cell.name),
    )


def _scenario_results(refused: Refused) -> list[Result]:
    return [scenario_result(refused, c) for c in refused.grid.scenarios]


def points(context: Context, cell: Cell) -> str:
    """A risk difference in percentage points with its limits."""
    values = (100 * cell.difference, 100 * cell.low, 100 * cell.high)
    return context.numbers.with_interval(*values, digits=1)


def _answer(context: Context, shown: dict[str, list[Count]], refused: Refused | None) -> Any:
    w, n = context.words, context.numbers
    trials = {t.id for c in shown.values() for t, _ in compared_pairs(c)}
    text = w("left.answer", trials=n.whole(len(trials)), total=n.whole(_controlled(context)))
    if refused is None:
        return text
    new, reference = (f for f in refused.left.rows if f.statistic == "events")
    names = _arm_names(context, refused)
    return (
        text
        + " "
        + w(
            "left.answer_refused",
            trial=refused.comparison.trial.label,
            new=context.row_claim(new, n.whole(refused.left.new)),
            reference=context.row_claim(reference, n.whole(refused.left.reference)),
            **names,
        )
    )


def _controlled(context: Context) -> int:
    return sum(t.comparator not in {"none", ""} for t in context.base.trials)


def _arm_names(context: Context, refused: Refused) -> dict[str, str]:
    trial = refused.comparison.trial
    new = next(a for a in trial.arms if a.id == refused.comparison.rows[0].arm)
    reference = next(a for a in trial.arms if a.id == refused.comparison.rows[2].arm)
    return {
        "new_arm": context.term("treatment", new.treatment),
        "reference_arm": context.term("treatment", reference.treatment),
    }


def _rates_figure(context: Context, shown: dict[str, list[Count]]) -> Figure:
    w = context.words
    rows = paired_rates(context, shown)
    return Figure(
        id="left-rates",
        title=w.plain("left.figure"),
        alt=" ".join([w.plain("left.alt"), *spoken(rows)[:12]]),
        **paired_pictures(context, rows, w.plain("left.x")),
        caption=w("left.caption"),
    )


def _grid_figure(context: Context, refused: Refused) -> Figure:
    w = context.words
    names = _arm_names(context, refused)
    link = "#" + anchor_of("result", refused.result.id)
    source = context.source_of(refused.rows)

    def cell(c: Cell, name: str = "") -> GridCell:
        details = {
            w.plain("left.hover_new", **names): context.numbers.general(c.new_responders),
            w.plain("left.hover_reference", **names): context.numbers.general(
                c.reference_responders
            ),
            w.plain("left.hover_difference"): points(context, c),
            w.plain("left.hover_region"): w.plain(f"verdict.{c.region}"),
            w.plain("hover.source"): source,
        }
        if c.name:
            details = {w.plain("left.head_scenario"): _scenario(context, c.name, names)} | details
        return GridCell(
            x=c.reference_responders,
            y=c.new_responders,
            region=c.region,
            name=name,
            details=details,
            link=link,
        )

    cells = [cell(c) for c in refused.grid.cells]
    named = [cell(c, str(i)) for i, c in enumerate(refused.grid.scenarios, start=1)]
    regions = {c.region: w.plain(f"verdict.{c.region}") for c in refused.grid.cells}

    def draw(narrow: bool) -> Any:
        x_title = w.plain("left.grid_x", **names, total=refused.left.reference)
        y_title = w.plain("left.grid_y", **names, total=refused.left.new)
        return finish(
            refusals(cells, named, regions=regions, x_title=x_title, y_title=y_title, narrow=narrow)
        )

    told = [
        f"{_scenario(context, c.name, names)}: {points(context, c)}."
        for c in refused.grid.scenarios
    ]
    return Figure(
        id="left-refusals",
        title=w.plain("left.grid", trial=refused.comparison.trial.label),
        alt=" ".join([w.plain("left.grid_alt"), *told]),
        wide=draw(False),
        narrow=draw(True),
        caption=w("left.grid_caption", margin=context.numbers.general(100 * refused.grid.margin)),
    )


def _scenario(context: Context, name: str, names: dict[str, str]) -> str:
    return context.words.plain(f"left.scenario.{name}", **names)


def _grid_prose(context: Context, refused: Refused) -> Prose:
    w, grid = context.words, refused.grid
    names = _arm_names(context, refused)
    worst = grid.scenario("all_against_new")
    total = refused.left.reference

    def lost(value: int | None, what: str) -> Any:
        key = "lost" if value is not None else "never_lost"
        number = context.result_claim(refused.result, str(value if value is not None else total))
        return w(f"left.{key}", what=w.plain(f"left.{what}"), number=number, total=total, **names)

    return Prose(
        paragraphs=paragraphs(
            w(
                "left.worst",
                difference=context.result_claim(
                    scenario_result(refused, worst), points(context, worst)
                ),
                verdict=w.plain(f"verdict.{worst.region}"),
                **names,
            )
            + " "
            + lost(grid.superiority_lost_from, "superiority")
            + " "
            + lost(grid.noninferiority_lost_from, "noninferiority"),
        )
    )


def _grid_table(context: Context, refused: Refused) -> TableBlock:
    w, n = context.words, context.numbers
    names = _arm_names(context, refused)
    rows: list[Sequence[Any]] = []
    for i, c in enumerate(refused.grid.scenarios, start=1):
        result = scenario_result(refused, c)
        rows.append(
            (
                f"{i}. {_scenario(context, c.name, names)}",
                f"{n.general(round(c.new_responders, 1))} / {refused.left.new}",
                f"{n.general(round(c.reference_responders, 1))} / {refused.left.reference}",
                context.result_claim(result, points(context, c)),
                w.plain(f"verdict.{c.region}"),
            )
        )
    return TableBlock(
        id="refusals",
        title=w.plain("left.table"),
        header=[
            w.plain("left.head_scenario"),
            w.plain("left.head_new", **names),
            w.plain("left.head_reference", **names),
            w.plain("left.hover_difference"),
            w.plain("left.hover_region"),
        ],
        rows=rows,
        caption=w("left.table_caption", trial=refused.elsewhere.trial.label)
        if refused.elsewhere
        else "",
        numeric=(1, 2, 3),
    )
