"""Two regimens on the same simulated patients: the paired differences as two tables."""

from __future__ import annotations

import re
from typing import Any

from klarsyn.pharmacology.compare import Comparison, PairedPoints, PairedRatio
from klarsyn.pharmacology.ensemble import CANNOT
from klarsyn.pharmacology.session import Simulation
from klarsyn.report.document import Prose, Section, TableBlock, paragraphs
from klarsyn.report.numbers import Numbers
from klarsyn.report.spoken import spoken_name, spoken_regimen
from klarsyn.report.words import Words

LEAST = 0.1  # smaller ratios get a third decimal
RATIOS = ("quantity", "ratio", "higher")
POINTS = ("day", "lower", "patients", "verdict")


def comparison_section(
    compared: Comparison, second: Simulation, doses: str, measure: str, w: Words, n: Numbers
) -> Section:
    """What `compared` says of the page's regimen against `second`, whose `doses` are told."""
    other = f"{spoken_name(second.exposure.form, w.lang)}, "
    other += spoken_regimen(second.exposure.regimen, w.lang)
    lead = w("compared.lead", other=other, doses=doses, n=n.whole(compared.n))
    blocks: list[Any] = [Prose(paragraphs=paragraphs(lead), tone="caution")]
    if compared.ratios:
        blocks.append(_ratios(compared, w, n))
    if compared.points:
        blocks.append(_points(compared, measure, w, n))
    return Section(id="compared", title=w.plain("compared.title"), blocks=blocks)


def _ratios(compared: Comparison, w: Words, n: Numbers) -> TableBlock:
    rows = []
    for r in compared.ratios:
        low, middle, high = r.percentiles
        digits = 2 if middle >= LEAST else 3
        alone, below, above = (n.fixed(v, digits) for v in (middle, low, high))
        ratio = alone if below == above else n.with_interval(middle, low, high, digits)
        rows.append([_quantity(r, w), ratio, n.percent(r.share_higher)])
    return TableBlock(
        id="compared-ratios",
        title=w.plain("compared.ratios"),
        header=[w.plain(f"compared.{k}") for k in RATIOS],
        rows=rows,
        caption=w("compared.ratios_caption"),
        numeric=(1, 2),
    )


def _quantity(ratio: PairedRatio, w: Words) -> str:
    """The quantity of a ratio in the page's language."""
    metric = re.fullmatch(r"(Cmax|AUC) of (.+), ratio", ratio.name)
    if metric:
        return f"{metric[1]}, {spoken_name(metric[2], w.lang)}"
    return w.plain(f"compared.peak_{ratio.name.split()[0].lower()}")


def _points(compared: Comparison, measure: str, w: Words, n: Numbers) -> TableBlock:
    rows = []
    for p in compared.points:
        sets = p.sets.percentiles
        low, _, high = p.patients
        rows.append(
            [
                n.general(p.day),
                n.with_interval(sets["p50"], sets["p5"], sets["p95"], 1),
                w.plain("compared.range", low=n.fixed(low, 1), high=n.fixed(high, 1)),
                _verdict(p, w, n),
            ]
        )
    return TableBlock(
        id="compared-points",
        title=w.plain("compared.points", measure=measure),
        header=[w.plain(f"compared.{k}") for k in POINTS],
        rows=rows,
        caption=w("compared.points_caption"),
        numeric=(0, 1, 2),
    )


def _verdict(p: PairedPoints, w: Words, n: Numbers) -> str:
    if p.sets.percentiles["p5"] == p.sets.percentiles["p95"] == 0:
        return w.plain("compared.same")
    share = p.sets.share_positive
    if p.sets.verdict == CANNOT:
        return w.plain("compared.cannot", share=n.percent(share))
    lower = p.sets.verdict == "positive"
    key = "lower_in" if lower else "higher_in"
    return w.plain(f"compared.{key}", share=n.percent(share if lower else 1 - share))
