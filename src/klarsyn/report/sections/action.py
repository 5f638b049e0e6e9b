"""How could it act? What the trials' own regimens put into the blood, form against form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.figures.bands import Band, bands
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import colours, finish
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.modelfile import read_model
from klarsyn.pharmacology.population import Demographics, sample_individuals
from klarsyn.pharmacology.simulate import Exposure, simulate
from klarsyn.pharmacology.substance import read_substance
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, anchor_of, paragraphs
from klarsyn.report.sections.disputes import dispute_blocks
from klarsyn.report.sections.response import follow_regimens

CURVE_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One of the page's regimens with its simulated exposure."""

    id: str
    label: str
    exposure: Exposure


def build_action(context: Context) -> tuple[Section, Any] | None:
    """The section; None where the base names no substance to simulate."""
    wanted = context.settings.action
    if not wanted:
        return None
    given = [_simulated(context, wanted, entry) for entry in wanted["regimens"]]
    results = [_result(g, a) for g in given for a in wanted["analytes"] if a in g.exposure.metrics]
    sentence = _sentence(context, given, results, wanted)
    followed = follow_regimens(context)
    disputed, disputes = dispute_blocks(context)
    section = Section(
        id="action",
        title=context.words.plain("action.title"),
        blocks=[
            Prose(paragraphs=paragraphs(sentence), tone="finding"),
            _peaks(context, given, wanted["analytes"]),
            _courses(context, given, wanted["course"]),
            *followed.blocks,
            *disputed,
            Prose(paragraphs=paragraphs(*_notes(context, given)), tone="caution"),
        ],
        results=[*results, *followed.results, *disputes],
    )
    return section, sentence


def _simulated(context: Context, wanted: Mapping[str, Any], entry: Mapping[str, Any]) -> Given:
    substance = read_substance(wanted["substance"])
    model = read_model(entry.get("model", substance.default_model))
    mean, sd = wanted["weight"]
    patients = sample_individuals(
        model,
        int(wanted["n"]),
        seed=int(wanted["seed"]),
        demographics=Demographics(weight_mean=mean, weight_sd=sd),
    )
    exposure = simulate(patients, parse_regimen(entry["regimen"]), entry["form"])
    return Given(id=entry["id"], label=entry["label"][context.lang], exposure=exposure)


def _result(given: Given, analyte: str) -> Result:
    e = given.exposure
    value = {
        metric: dict(zip(("p5", "p50", "p95"), e.quantiles(analyte, metric), strict=True))
        for metric in ("cmax", "auc")
    }
    return Result(
        id=f"action.{given.id}.{analyte}",
        value={**value, "unit": e.units[analyte], "n": len(e.subjects), "regimen": e.regimen},
        method=f"{e.model}: {e.method}",
        inputs=(),
        digest=e.inputs,
        seed=e.seed,
    )


def _sentence(
    context: Context,
    given: Sequence[Given],
    results: Sequence[Result],
    wanted: Mapping[str, Any],
) -> Any:
    """Peaks of the first analyte under the first regimens, and what the simulation cannot say."""
    n, w = context.numbers, context.words
    analyte = wanted["analytes"][0]
    by_id = {r.id: r for r in results}
    parts = []
    for g in given:
        result = by_id.get(f"action.{g.id}.{analyte}")
        if result is not None:
            cmax = result.value["cmax"]
            text = n.with_interval(cmax["p50"], cmax["p5"], cmax["p95"], 0)
            peak = context.result_claim(result, text)
            parts.append(w("action.peak", regimen=g.label, peak=peak))
    joined = type(parts[0])("; ").join(parts)
    name, unit = _name(context, analyte), results[0].value["unit"]
    return w("action.sentence", analyte=name, peaks=joined, unit=unit)


def _name(context: Context, analyte: str) -> str:
    """What the base calls an analyte in the page's language; the engine's own name otherwise."""
    return context.settings.action.get("names", {}).get(analyte, {}).get(context.lang, analyte)


def _peaks(context: Context, given: Sequence[Given], analytes: Sequence[str]) -> Figure:
    w, n = context.words, context.numbers
    tint = colours([g.label for g in given])
    rows: list[ForestRow] = []
    for analyte in analytes:
        rows.append(ForestRow(kind="heading", label=_name(context, analyte)))
        for g in given:
            if analyte not in g.exposure.metrics:
                continue
            low, middle, high = g.exposure.quantiles(analyte, "cmax")
            text = n.with_interval(middle, low, high, 1)
            area = g.exposure.quantiles(analyte, "auc")
            rows.append(
                ForestRow(
                    kind="study",
                    label=g.label,
                    estimate=middle,
                    lower=low,
                    upper=high,
                    weight=0.3,
                    numbers=text,
                    colour=tint[g.label],
                    link="#" + anchor_of("result", f"action.{g.id}.{analyte}"),
                    details={
                        w.plain("action.regimen"): g.exposure.regimen,
                        w.plain("action.cmax"): f"{text} {g.exposure.units[analyte]}",
                        w.plain("action.auc"): f"{n.whole(area[1])} {g.exposure.units[analyte]}·h",
                        w.plain("hover.source"): g.exposure.model,
                    },
                )
            )
    axis = ForestAxis(title=w.plain("action.cmax_axis"), null=None, log=True)
    return Figure(
        id="peaks",
        title=w.plain("action.peaks"),
        alt=w.plain(
            "action.peaks_alt",
            regimens=len(given),
            analytes=", ".join(_name(context, a) for a in analytes),
        ),
        wide=finish(forest(rows, axis)),
        narrow=finish(forest(rows, axis, narrow=True)),
        caption=w("action.peaks_caption", n=len(given[0].exposure.subjects)),
    )


def _courses(context: Context, given: Sequence[Given], analytes: Sequence[str]) -> Figure:
    w = context.words
    hours = float(context.settings.action["hours"])
    curves = [
        _band(g, a, _name(context, a), hours)
        for a in analytes
        for g in given
        if a in g.exposure.curves
    ]
    palette = colours([g.label for g in given])

    def draw(narrow: bool) -> Any:
        spec = bands(
            curves,
            palette=palette,
            x_title=w.plain("action.hours"),
            y_title=w.plain("action.concentration"),
            narrow=narrow,
        )
        return finish(spec)

    return Figure(
        id="courses",
        title=w.plain("action.courses", hours=context.numbers.general(hours)),
        alt=w.plain("action.courses_alt", analytes=", ".join(_name(context, a) for a in analytes)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("action.courses_caption"),
    )


def _band(given: Given, analyte: str, panel: str, hours: float) -> Band:
    e = given.exposure
    seen = np.flatnonzero(e.times <= hours)
    chosen = np.unique(
        seen[np.round(np.linspace(0, 1, CURVE_POINTS) ** 1.8 * (len(seen) - 1)).astype(int)]
    )
    found = e.bands(analyte)
    return Band(
        panel=panel,
        name=given.label,
        times=e.times[chosen].tolist(),
        lower=found["p5"][chosen].tolist(),
        middle=found["p50"][chosen].tolist(),
        upper=found["p95"][chosen].tolist(),
    )


def _notes(context: Context, given: Sequence[Given]) -> list[Any]:
    w = context.words
    model = given[0].exposure.model
    return [w("action.unknown"), w("action.level"), w("action.model", model=model)]
