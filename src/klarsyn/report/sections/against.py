"""Against the reference treatment: the trials, the margin, and each inclusion set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.bias.noninferiority import (
    AssaySensitivity,
    Counts,
    NonInferiority,
    SetResult,
    assay_sensitivity,
    fixed_margin,
    noninferiority,
)
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.provenance import digest_of
from klarsyn.report.comparison import Comparison, read_comparison
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, anchor_of, paragraphs, spoken
from klarsyn.report.sections.assessments import assessment_blocks
from klarsyn.report.sections.left import (
    Refused,
    derive_refused,
    points,
    read_elsewhere,
    scenario_result,
)
from klarsyn.report.sections.margins import margin_blocks
from klarsyn.report.sections.reference import derive_reference
from klarsyn.stats.proportions import difference_interval

SCENARIOS = ("none_respond", "all_against_new")


def build_against(context: Context) -> tuple[Section, Any] | None:
    """The section and its sentence; None where the base names no reference treatment."""
    reference = derive_reference(context)
    if reference is None:
        return None
    margin = _Margin.read(context)
    sets = assessment_blocks(context, reference.panels[0])
    blocks: list[Any] = [
        Prose(paragraphs=paragraphs(reference.sentence), tone="finding"),
        *reference.blocks,
    ]
    results, findings = list(reference.results), list(reference.findings)
    if margin is not None:
        origin = margin_blocks(context, margin.published, margin.worst)
        blocks += [margin.figure(), margin.prose(), *origin.blocks]
        results += [*margin.results, *origin.results]
        findings += [*margin.findings, *origin.findings]
    blocks += sets.blocks
    results += sets.results
    findings += sets.findings
    label = context.settings.reference["label"][context.lang]
    section = Section(
        id="against",
        title=context.words.plain("reference.title", reference=label),
        blocks=blocks,
        results=results,
        findings=findings,
    )
    return section, reference.sentence


class _Margin:
    """One trial against its margin: as published, with the refusals, and re-anchored."""

    def __init__(self, context: Context, published: Comparison) -> None:
        wanted = context.settings.noninferiority
        self.context, self.published = context, published
        basis = wanted["margin_basis"]["en"]
        self.margin = fixed_margin(float(wanted["margin"]), basis)
        self.analysis: NonInferiority = noninferiority([published.counts], self.margin)
        self.refused: Refused | None = derive_refused(context)
        self.elsewhere = read_elsewhere(context)
        self.anchor = (
            read_comparison(context, wanted["trial"], wanted["anchor"])
            if "anchor" in wanted
            else None
        )
        self.assay: AssaySensitivity | None = None
        if self.anchor is not None and self.elsewhere is not None:
            self.assay = assay_sensitivity(
                self.anchor.counts,
                self.margin,
                history_rate=self.elsewhere.reference_rate,
                history_total=self.elsewhere.counts.reference_total,
            )

    @classmethod
    def read(cls, context: Context) -> _Margin | None:
        wanted = context.settings.noninferiority
        if not wanted:
            return None
        published = read_comparison(
            context, wanted["trial"], wanted["outcome"], wanted.get("scale", "")
        )
        return cls(context, published) if published is not None else None

    @property
    def set_result(self) -> Result:
        """The published set against the margin."""
        made = self.analysis.sets[0]
        return Result(
            id=f"against.published.{self.published.trial.id}",
            value=_set_value(made) | {"margin": self.margin.value},
            method="risk difference, Miettinen–Nurminen interval; Farrington–Manning test at "
            "minus the margin",
            inputs=tuple(f.id for f in self.published.rows),
            digest=self.analysis.inputs,
        )

    @property
    def results(self) -> list[Result]:
        """Everything this part prints, but the scenarios, which the grid's section holds."""
        out = [self.set_result]
        if self.assay is not None and self.anchor is not None and self.elsewhere is not None:
            out += [self._plain(self.anchor), self._plain(self.elsewhere), self.assay_result]
        return out

    @property
    def findings(self) -> list[str]:
        """The rows this part stands on."""
        parts = [self.published, self.anchor, self.elsewhere]
        return [f.id for p in parts if p is not None for f in p.rows]

    @property
    def assay_result(self) -> Result:
        """The re-anchored difference with the two rates of the reference."""
        assert self.assay is not None
        assert self.anchor is not None
        assert self.elsewhere is not None
        return Result(
            id=f"against.reanchored.{self.anchor.trial.id}",
            value=_set_value(self.assay.reanchored)
            | {
                "observed_rate": self.assay.observed_rate,
                "elsewhere_rate": self.assay.history_rate,
                "lost_at": self.assay.lost_at,
            },
            method=f"{self.assay.method}; Miettinen–Nurminen interval",
            inputs=tuple(f.id for f in (*self.anchor.rows, *self.elsewhere.rows)),
            digest=self.assay.inputs,
        )

    @property
    def worst(self) -> Counts | None:
        """All randomised, every refusal against the new treatment; None without refusals."""
        if self.refused is None:
            return None
        c, left = self.published.counts, self.refused.left
        return Counts(
            name="all refusals against the new treatment",
            new_events=c.new_events,
            new_total=c.new_total + left.new,
            reference_events=c.reference_events + left.reference,
            reference_total=c.reference_total + left.reference,
        )

    def _plain(self, comparison: Comparison) -> Result:
        """One comparison's own risk difference."""
        c = comparison.counts
        cells = (c.new_events, c.new_total, c.reference_events, c.reference_total)
        limits = difference_interval(*cells, method="miettinen_nurminen")
        return Result(
            id=f"against.difference.{comparison.trial.id}",
            value={
                "difference": comparison.new_rate - comparison.reference_rate,
                "ci": [float(limits.low), float(limits.high)],
                "reference_rate": comparison.reference_rate,
            },
            method="risk difference, Miettinen–Nurminen interval",
            inputs=tuple(f.id for f in comparison.rows),
            digest=digest_of(c),
        )

    def figure(self) -> Figure:
        """All differences on one axis with the margin."""
        context, w = self.context, self.context.words
        label = context.settings.reference["label"][context.lang]
        rows = self._rows(label)
        ten = 100 * self.margin.value
        axis = ForestAxis(
            title=w.plain("against.axis"),
            null=0.0,
            left="← " + w.plain("reference.left", reference=label),
            right=w.plain("reference.right", drug=context.settings.drug[context.lang]) + " →",
            marks=((-ten, w.plain("against.margin", margin=context.numbers.general(ten))),),
        )
        return Figure(
            id="against-margin",
            title=w.plain("against.figure", trial=self.published.trial.label),
            alt=" ".join([w.plain("against.alt"), *spoken(rows)]),
            wide=finish(forest(rows, axis)),
            narrow=finish(forest(rows, axis, narrow=True)),
            caption=w(
                "against.caption",
                basis=context.settings.noninferiority["margin_basis"][context.lang],
            ),
        )

    def _rows(self, label: str) -> list[ForestRow]:
        context, w, n = self.context, self.context.words, self.context.numbers
        outcome = context.settings.noninferiority["outcome"]
        rows = [
            ForestRow(
                kind="heading",
                label=f"{context.heading('outcome', outcome)}, {self.published.trial.label}",
            ),
            self._row(w.plain("against.row_published"), self.set_result, PALETTE[0]),
        ]
        if self.refused is not None:
            for name in SCENARIOS:
                result = scenario_result(self.refused, self.refused.grid.scenario(name))
                rows.append(self._row(w.plain(f"against.row_{name}"), result, PALETTE[0]))
        if self.assay is None or self.anchor is None or self.elsewhere is None:
            return rows
        anchor = context.settings.noninferiority["anchor"]
        first, second = self.anchor.trial.label, self.elsewhere.trial.label
        rows.append(ForestRow(kind="heading", label=context.heading("outcome", anchor)))
        observed = {"reference": label, "rate": n.percent(self.assay.observed_rate)}
        there = {"reference": label, "rate": n.percent(self.assay.history_rate)}
        rows += [
            self._row(
                w.plain("against.row_seen", trial=first, **observed),
                self._plain(self.anchor),
                PALETTE[0],
            ),
            self._row(
                w.plain("against.row_seen", trial=second, **there),
                self._plain(self.elsewhere),
                PALETTE[6],
            ),
            self._row(
                w.plain("against.row_anchored", trial=first, **there),
                self.assay_result,
                PALETTE[1],
            ),
        ]
        return rows

    def _row(self, name: str, result: Result, colour: str) -> ForestRow:
        w = self.context.words
        low, high = result.value["ci"]
        text = self._points(result)
        return ForestRow(
            kind="study",
            label=name,
            estimate=100 * result.value["difference"],
            lower=100 * low,
            upper=100 * high,
            weight=0.35,
            numbers=text,
            colour=colour,
            link="#" + anchor_of("result", result.id),
            details={
                w.plain("hover.compared"): name,
                w.plain("hover.effect"): text,
                w.plain("hover.derived"): result.method,
                w.plain("hover.source"): self.context.source_of(
                    self.refused.rows if self.refused and not _rows_of(result) else result.inputs
                ),
            },
        )

    def _points(self, result: Result) -> str:
        low, high = result.value["ci"]
        values = (100 * result.value["difference"], 100 * low, 100 * high)
        return self.context.numbers.with_interval(*values, digits=1)

    def prose(self) -> Prose:
        """The margin, the refusals and the reference's own rate, one sentence each."""
        context, w, n = self.context, self.context.words, self.context.numbers
        label = context.settings.reference["label"][context.lang]
        claim = context.result_claim
        texts = [
            w(
                "against.published",
                trial=self.published.trial.label,
                difference=claim(self.set_result, self._points(self.set_result)),
            )
        ]
        if self.refused is not None:
            grid = self.refused.grid
            worst = grid.scenario("all_against_new")
            texts.append(
                w(
                    "against.worst",
                    difference=claim(scenario_result(self.refused, worst), points(context, worst)),
                    reference=label,
                    verdict=w.plain(f"verdict.{worst.region}"),
                )
            )
            if grid.superiority_lost_from is not None:
                texts.append(
                    w(
                        "against.lost",
                        number=claim(self.refused.result, str(grid.superiority_lost_from)),
                        total=self.refused.left.reference,
                    )
                )
        paragraphs_ = [_join(texts)]
        if self.assay is not None and self.elsewhere is not None and self.anchor is not None:
            result = self.assay_result
            paragraphs_.append(
                w(
                    "against.assay",
                    reference=label,
                    first=self.anchor.trial.label,
                    second=self.elsewhere.trial.label,
                    observed=claim(result, n.percent(self.assay.observed_rate)),
                    there=claim(result, n.percent(self.assay.history_rate)),
                    difference=claim(result, self._points(result)),
                    verdict=w.plain(f"verdict.{self.assay.reanchored.verdict}"),
                    lost=claim(
                        result,
                        n.percent(self.assay.lost_at) if self.assay.lost_at is not None else "–",
                    ),
                )
            )
        return Prose(paragraphs=tuple(paragraphs_))


def _rows_of(result: Result) -> bool:
    """Whether a result stands on rows of the base and not on other results only."""
    return not any(i.startswith("left.") for i in result.inputs)


def _join(texts: Sequence[Any]) -> Any:
    out = texts[0]
    for text in texts[1:]:
        out = out + " " + text
    return out


def _set_value(made: SetResult) -> dict[str, Any]:
    return {
        "difference": made.difference,
        "ci": list(made.interval),
        "z": made.z,
        "p": made.p_value,
        "verdict": made.verdict,
    }
