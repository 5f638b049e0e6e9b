"""A self-contained page of one simulation: exposure, what follows, and what cannot be told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from klarsyn import __version__
from klarsyn.figures.bands import Band, bands
from klarsyn.figures.spreads import SpreadCurve, SpreadWords, spread_panels
from klarsyn.figures.theme import PALETTE, finish
from klarsyn.pharmacology.compare import Comparison
from klarsyn.pharmacology.crossed import BUILT_IN, Crossed
from klarsyn.pharmacology.crossing import ACUTE_HOURS
from klarsyn.pharmacology.ensemble import CANNOT
from klarsyn.pharmacology.session import Simulation
from klarsyn.pharmacology.simulate import METRICS, Exposure
from klarsyn.pharmacology.spread import Spread
from klarsyn.pharmacology.substance import BASE
from klarsyn.report.compared import comparison_section
from klarsyn.report.document import Figure, Prose, Section, TableBlock, paragraphs
from klarsyn.report.drawing import draw_svg
from klarsyn.report.html import localised, templates
from klarsyn.report.numbers import Numbers
from klarsyn.report.spoken import spoken_name, spoken_regimen, spoken_sentence
from klarsyn.report.words import Words, capital

FIRST_HOURS = 24.0
LEADING = 4
POINTS = 160
LABELS = 34
BESIDE = ("trial", "control", "when", "found", "here")
PARTINGS = ("when", "arm", "own", "rated", "seen")
PERCENT = ("occupancy", "pressure", "heart_rate", "cardiac_output")
ACUTE = ("occupancy", "dissociation", "pressure", "heart_rate", "eeg", "pain", "cardiac_output")


def render_simulation(
    simulation: Simulation, words: Words, against: tuple[Comparison, Simulation] | None = None
) -> str:
    """The page as HTML: one file, pictures inlined, no network, equal bytes for equal inputs.

    `against` is a second simulation of the same patients, with what it compares to.
    """
    exposure = simulation.exposure
    numbers = Numbers(words.lang)
    sections = [_exposure(exposure, words, numbers)]
    notes = list(exposure.notes)
    if simulation.crossed is not None:
        sections.append(_follows(simulation.crossed, words, numbers))
        notes += simulation.crossed.notes
    if against is not None:
        compared, second = against
        measure = "" if simulation.crossed is None else simulation.crossed.measure
        doses = _doses_are(second, words)
        sections.append(comparison_section(compared, second, doses, measure, words, numbers))
    figures = [b for s in sections for b in s.blocks if isinstance(b, Figure)]
    return (
        templates()
        .get_template("simulation.html.j2")
        .render(
            words=words,
            version=__version__,
            title=words.plain(
                "simulation.title",
                form=capital(spoken_name(exposure.form, words.lang)),
                regimen=spoken_regimen(exposure.regimen, words.lang),
            ),
            subtitle=words.plain(
                "simulation.subtitle",
                n=numbers.whole(len(exposure.subjects)),
                model=exposure.model,
                seed=exposure.seed,
            ),
            doses=_doses_are(simulation, words),
            sections=sections,
            pictures={f.id: _pictures(f, words.lang) for f in figures},
            notes=[spoken_sentence(note, words.lang) for note in notes],
            made=words(
                "simulation.made",
                version=__version__,
                inputs=exposure.inputs,
                seed=exposure.seed,
                method=spoken_sentence(exposure.method, words.lang),
            ),
        )
    )


def _doses_are(simulation: Simulation, words: Words) -> str:
    return words.plain(
        "simulation.read_as" if simulation.read_as else "simulation.doses_of",
        basis=", ".join(
            words.plain("simulation.base") if b == BASE else spoken_name(b, words.lang)
            for b in simulation.bases
        ),
    )


def _pictures(figure: Figure, lang: str) -> dict[str, str]:
    speaking = localised(figure, lang)
    both = {"wide": speaking.wide, "narrow": speaking.narrow}
    return {
        name: "data:image/svg+xml," + quote(draw_svg(spec), safe="/:;=@!()'")
        for name, spec in both.items()
    }


def _exposure(exposure: Exposure, w: Words, n: Numbers) -> Section:
    return Section(
        id="exposure",
        title=w.plain("simulation.exposure"),
        blocks=[
            _table(exposure, w, n),
            _concentrations(exposure, w, "first", FIRST_HOURS, exposure.analytes),
            _concentrations(exposure, w, "whole", np.inf, _leading(exposure)),
        ],
    )


def _table(exposure: Exposure, w: Words, n: Numbers) -> TableBlock:
    rows = [
        [spoken_name(a, w.lang), exposure.units[a], *(_cell(exposure, a, m, w, n) for m in METRICS)]
        for a in exposure.analytes
    ]
    header = ["analyte", "unit", *METRICS]
    end = "to_infinity" if exposure.to_infinity else "to_last"
    return TableBlock(
        id="exposure",
        title=w.plain("simulation.table"),
        header=[w.plain(f"simulation.{h}") for h in header],
        rows=rows,
        caption=w("simulation.table_caption", end=w.plain(f"simulation.{end}")),
        numeric=(2, 3, 4, 5),
    )


def _cell(exposure: Exposure, analyte: str, metric: str, w: Words, n: Numbers) -> str:
    low, middle, high = exposure.quantiles(analyte, metric)
    if not np.isfinite(middle):
        return w.plain("simulation.not_estimable")
    digits = max(0, 2 - int(np.floor(np.log10(abs(middle))))) if middle else 0
    text, below, above = (n.fixed(v, digits) for v in (middle, low, high))
    return text if below == above else f"{text} ({below}–{above})"


def _leading(exposure: Exposure) -> Sequence[str]:
    """What the whole course shows: the totals, or the first analytes where there is none."""
    plain = [a for a in exposure.analytes if "-" not in a]
    return plain or exposure.analytes[:LEADING]


def _concentrations(
    exposure: Exposure, w: Words, which: str, until: float, analytes: Sequence[str]
) -> Figure:
    per = 1.0 if which == "first" else 24.0
    chosen = _kept(exposure, analytes, until)
    name = w.plain("simulation.patients_90")
    curves = []
    for analyte in analytes:
        found = exposure.bands(analyte)
        unit = exposure.units[analyte]
        curves.append(
            Band(
                panel=f"{spoken_name(analyte, w.lang)} ({unit})",
                name=name,
                times=(exposure.times[chosen] / per).tolist(),
                lower=found["p5"][chosen].tolist(),
                middle=found["p50"][chosen].tolist(),
                upper=found["p95"][chosen].tolist(),
            )
        )
    x_title = w.plain("simulation.hours" if which == "first" else "simulation.days")

    def draw(narrow: bool) -> Any:
        spec = bands(curves, palette={name: PALETTE[0]}, x_title=x_title, y_title="", narrow=narrow)
        spec["resolve"] = {"scale": {"y": "independent"}, "axis": {"x": "independent"}}
        return _aligned(finish(spec))

    return Figure(
        id=which,
        title=w.plain("simulation.first", hours=f"{until:g}")
        if which == "first"
        else w.plain("simulation.whole"),
        alt=w.plain(
            "simulation.concentrations_alt",
            analytes=", ".join(spoken_name(a, w.lang) for a in analytes),
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w("simulation.concentrations_caption"),
    )


def _kept(exposure: Exposure, analytes: Sequence[str], until: float) -> np.ndarray:
    """Places on the time grid that a picture needs: evenly thinned, every peak and trough."""
    seen = np.flatnonzero(exposure.times <= until)
    peaks = []
    for analyte in analytes:
        middle = exposure.bands(analyte)["p50"][seen]
        slopes = np.sign(np.diff(middle))
        tops = np.flatnonzero(slopes[1:] != slopes[:-1]) + 1
        peaks += [tops - 1, tops, tops + 1]
    places = np.unique(np.concatenate([_thinned(len(seen), POINTS), *peaks]))
    return seen[places[places < len(seen)]]


def _aligned(spec: dict[str, Any]) -> dict[str, Any]:
    """The same panels with room for equal labels, so that columns stand straight."""
    axis = {"minExtent": LABELS, "maxExtent": LABELS}
    return {**spec, "config": {**spec["config"], "axisY": axis}}


def _thinned(count: int, most: int) -> np.ndarray:
    return np.unique(np.round(np.linspace(0, count - 1, min(most, count))).astype(int))


def _follows(crossed: Crossed, w: Words, n: Numbers) -> Section:
    c = crossed.courses
    blocks: list[Any] = [
        Prose(
            paragraphs=paragraphs(
                w(
                    "simulation.two",
                    patients=n.whole(len(crossed.subjects)),
                    sets=n.whole(crossed.scores.shape[1]),
                    model=crossed.model,
                ),
                w("simulation.own" if crossed.sizes else "simulation.differ"),
            ),
            tone="caution",
        ),
        _score(crossed, w),
        _told(crossed, w, n),
        *([_beside(crossed, w, n)] if crossed.beside else []),
        *([_partings(crossed, w, n)] if crossed.partings else []),
    ]
    if crossed.doses is not None:
        blocks.append(_single(w, "doses", crossed.doses, 24.0, "days", "count"))
    if "surviving" in c:
        blocks.append(_relapse(crossed, w, n))
    blocks.append(_acute(crossed, w))
    if crossed.peaks is not None and len(crossed.peaks.times) > 1:
        blocks.append(_single(w, "dissociation_doses", crossed.peaks, 1.0, "dose_number", "size"))
    return Section(id="follows", title=w.plain("simulation.follows"), blocks=blocks)


def _words(w: Words, open_name: str = "open", patients: str = "patients") -> SpreadWords:
    return SpreadWords(
        open=w.plain(f"simulation.{open_name}"),
        patients=w.plain(f"simulation.{patients}"),
        beside=w.plain("simulation.placebo"),
        low=w.plain("simulation.low"),
        middle=w.plain("simulation.middle"),
        high=w.plain("simulation.high"),
    )


def _curves(
    s: Spread, panel: str, per: float, scale: float = 1.0, kinds: Sequence[str] = ("open",)
) -> list[SpreadCurve]:
    keep = _thinned(len(s.times), POINTS)
    found = {"open": s.sets, "beside": s.sets, "patients": s.patients}
    return [
        SpreadCurve(
            panel=panel,
            kind=kind,
            times=(s.times[keep] / per).tolist(),
            lower=(scale * found[kind]["p5"][keep]).tolist(),
            middle=(scale * found[kind]["p50"][keep]).tolist(),
            upper=(scale * found[kind]["p95"][keep]).tolist(),
        )
        for kind in kinds
    ]


def _figure(
    w: Words,
    name: str,
    curves: Sequence[SpreadCurve],
    *,
    x: str,
    y: str,
    fields: Mapping[str, Any] | None = None,
    words: SpreadWords | None = None,
    caption: str = "",
) -> Figure:
    given = dict(fields or {})

    def draw(narrow: bool) -> Any:
        spec = spread_panels(
            curves,
            words=words or _words(w),
            x_title=w.plain(f"simulation.{x}"),
            y_title=y,
            narrow=narrow,
        )
        return _aligned(finish(spec))

    return Figure(
        id=name.replace("_", "-"),
        title=w.plain(f"simulation.{name}", **given),
        alt=w.plain(f"simulation.{name}_alt", **given),
        wide=draw(False),
        narrow=draw(True),
        caption=caption or w(f"simulation.{name}_caption"),
    )


def _single(
    w: Words, name: str, s: Spread, per: float, x: str, y: str, scale: float = 1.0
) -> Figure:
    curves = _curves(s, name, per, scale, ("open", "patients"))
    return _figure(w, name, curves, x=x, y=w.plain(f"simulation.{y}"))


def _relapse(crossed: Crossed, w: Words, n: Numbers) -> Figure:
    s = crossed.courses["surviving"]
    caption, words = w("simulation.relapse_caption"), _words(w)
    if crossed.response is not None:
        words = _words(w, "open_share", "patients_chance")
        low, _, high = crossed.sizes["frailty"]
        caption = w(
            "simulation.relapse_own_caption",
            response=n.fixed(crossed.response, 1),
            low=n.fixed(low, 1),
            high=n.fixed(high, 1),
        )
    return _figure(
        w,
        "relapse",
        _curves(s, "relapse", 24.0, 100.0, ("open", "patients")),
        x="days_last",
        y=w.plain("simulation.share"),
        words=words,
        caption=_beyond(crossed, w, n) + caption,
    )


def _beyond(crossed: Crossed, w: Words, n: Numbers) -> Markup:
    """What stands before the curve's caption where relapse is extrapolated; empty otherwise."""
    e = crossed.extrapolated
    if e is None:
        return Markup("")
    kind = "too_fast" if e.fewer else "extrapolated"
    first, second = e.calibrated
    said = w(f"simulation.relapse_{kind}", first=first, second=second, doses=e.doses) + " "
    if e.seen is not None and e.modelled is not None and e.day is not None:
        low, middle, high = e.modelled
        said += w(
            "simulation.relapse_seen",
            day=n.general(e.day),
            seen=n.percent(e.seen),
            middle=n.percent(middle),
            low=n.percent(low),
            high=n.percent(high),
        )
        said += " "
    return said


def _score(crossed: Crossed, w: Words) -> Figure:
    c, measure = crossed.courses, crossed.measure
    curves = _curves(c["score"], "score", 24.0, 1.0, ("open", "patients"))
    curves += _curves(c["placebo"], "score", 24.0, 1.0, ("beside",))
    return _figure(
        w,
        "score",
        curves,
        x="days",
        y=w.plain("simulation.points", measure=measure),
        fields={"measure": measure},
    )


def _acute(crossed: Crossed, w: Words) -> Figure:
    curves: list[SpreadCurve] = []
    for name in ACUTE:
        s = crossed.courses[name]
        panel = w.plain(f"simulation.effect.{name}")
        scale = 100.0 if name in PERCENT else 1.0
        kept = s.times <= ACUTE_HOURS
        shown = Spread(
            unit=s.unit,
            times=s.times[kept],
            sets={k: v[kept] for k, v in s.sets.items()},
            patients={k: v[kept] for k, v in s.patients.items()},
        )
        curves += _curves(shown, panel, 1.0, scale, ("open", "patients"))
    hours = f"{ACUTE_HOURS:g}"
    return _figure(w, "acute", curves, x="hours", y="", fields={"hours": hours})


def _told(crossed: Crossed, w: Words, n: Numbers) -> TableBlock:
    rows = []
    for found in crossed.told:
        p = found.percentiles
        key = {CANNOT: "cannot", BUILT_IN: "built_in"}.get(found.verdict, found.verdict)
        share = found.share_positive if key != "negative" else 1 - found.share_positive
        rows.append(
            [
                _when(found.name, w),
                n.with_interval(p["p50"], p["p5"], p["p95"], 1),
                w.plain(f"simulation.verdict_{key}", share=n.percent(share)),
            ]
        )
    return TableBlock(
        id="told",
        title=w.plain("simulation.told_table", measure=crossed.measure),
        header=[w.plain(f"simulation.{k}") for k in ("when", "value", "verdict")],
        rows=rows,
        caption=w("simulation.told_caption"),
        numeric=(1,),
    )


def _beside(crossed: Crossed, w: Words, n: Numbers) -> TableBlock:
    rows = []
    for t in crossed.beside:
        low, middle, high = t.here
        own = n.with_interval(t.found, *t.limits, 1) if t.limits else n.fixed(t.found, 1)
        here = n.with_interval(middle, low, high, 1)
        rows.append([t.label[w.lang], t.control[w.lang], _when(t.when, w), own, here])
    return TableBlock(
        id="beside",
        title=w.plain("simulation.beside_table", measure=crossed.measure),
        header=[w.plain(f"simulation.beside_{k}") for k in BESIDE],
        rows=rows,
        caption=w("simulation.beside_caption"),
        numeric=(3, 4),
    )


def _partings(crossed: Crossed, w: Words, n: Numbers) -> TableBlock:
    rows = [
        [
            w.plain("simulation.partings_day", day=f"{p.day:g}"),
            w.plain(f"simulation.partings_{p.arm}"),
            *(n.with_interval(middle, low, high, 1) for low, middle, high in (p.own, p.rated)),
            w.plain(
                "simulation.partings_range",
                low=n.fixed(p.seen[0], 1),
                high=n.fixed(p.seen[1], 1),
                arms=p.arms,
            ),
        ]
        for p in crossed.partings
    ]
    low, _, high = crossed.sizes["noise"]
    return TableBlock(
        id="partings",
        title=w.plain("simulation.partings_table"),
        header=[w.plain(f"simulation.partings_{k}") for k in PARTINGS],
        rows=rows,
        caption=w(
            "simulation.partings_caption",
            measure=crossed.measure,
            low=n.fixed(low, 1),
            high=n.fixed(high, 1),
        ),
        numeric=(2, 3, 4),
    )


def _when(name: str, w: Words) -> str:
    """The time that a verdict's name ends with, in the page's language."""
    found = re.search(r"(\d+) days? after the (first|last) dose$", name)
    return name if found is None else w.count(f"simulation.after_{found[2]}", found[1])
