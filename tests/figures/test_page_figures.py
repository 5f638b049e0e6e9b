"""Every figure of the page is a valid Vega-Lite specification that shows what it was given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import altair as alt
import pytest
import vl_convert

import klarsyn.report
from klarsyn.figures.bands import Band, bands
from klarsyn.figures.choices import Analysis, specification_curve
from klarsyn.figures.cloud import pickable_cloud
from klarsyn.figures.completeness import KnownCell, completeness
from klarsyn.figures.courses import CoursePoint, courses
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.funnel import funnel_chart
from klarsyn.figures.indices import IndexRow, indices
from klarsyn.figures.map import MapPoint, evidence_map
from klarsyn.figures.network import network_graph
from klarsyn.figures.panels import CurvePoint, Panel, Span, panels
from klarsyn.figures.rates import RatePoint, RateRow, rates
from klarsyn.figures.refusals import GridCell, refusals
from klarsyn.figures.riskofbias import traffic_light, weighted_bars
from klarsyn.figures.spreads import SpreadCurve, SpreadWords, spread_panels
from klarsyn.figures.theme import colours, finish
from klarsyn.figures.timeline import TimelineRow, timeline
from klarsyn.figures.upper import EDGE, LimitRow, limits

ROUNDING = 1e-12  # relative; a logarithm and back

PALETTE = {"inert": "#0072B2", "active": "#D55E00"}
ROWS = [
    ForestRow(kind="heading", label="Inert"),
    ForestRow(
        kind="study",
        label="One 2001",
        estimate=-0.5,
        lower=-9.0,
        upper=0.4,
        weight=1.0,
        numbers="-0.5",
        details={"Trial": "One"},
        link="#row-1",
    ),
    ForestRow(
        kind="pooled",
        label="Pooled",
        estimate=-0.5,
        lower=-0.9,
        upper=-0.1,
        prediction=(-1.5, 0.5),
        details={"Trial": "Pooled"},
    ),
]
AXIS = ForestAxis(title="g", left="less", right="more", limits=(-2, 2))
COURSE = [
    CoursePoint(series="a", group="inert", days=d, value=-0.5, lower=-1, upper=0) for d in (1, 7)
]
RATES = [
    RateRow(kind="heading", label="Nausea"),
    RateRow(
        kind="study",
        label="One",
        points=[RatePoint(group="inert", share=0.2, lower=0.1, upper=0.4)],
    ),
]
POINTS = [MapPoint(label="One", group="inert", doses=1, followup=7, participants=20, named=True)]
LINES = [TimelineRow(kind="study", label="One", day=18, lower=5, upper=40, symbol="median")]
CURVE = {"times": [0.0, 1.0], "lower": [1.0, 2.0], "middle": [2.0, 3.0], "upper": [3.0, 4.0]}
BANDS = [Band(panel="p", name="inert", **CURVE)]
WORDS = SpreadWords(open="o", patients="p", beside="b", low="l", middle="m", high="h")
TIP = Panel(
    title="inert",
    x_title="belief",
    points=[
        CurvePoint(x=x, value=-x, low=-x - 1, high=1 - x, details={"x": f"{x}"}) for x in (0, 2)
    ],
    marks=[(0.5, "here")],
    spans=[Span(label="seen", low=0.2, value=0.4, high=0.6)],
)
CELLS = [GridCell(x=0, y=0, region="superior"), GridCell(x=1, y=0, region="inferior")]
INDICES = [
    IndexRow(kind="heading", label="One"),
    IndexRow(kind="study", label="a", group="inert", value=0.3, interval=(0.1, 0.5)),
    IndexRow(kind="study", label="b", group="active", allowed=(-0.2, 0.6)),
]
UPPER = [
    LimitRow(kind="heading", label="Death"),
    LimitRow(kind="study", label="test", share=0.0, upper=0.01, details={"n": "300"}),
]
MARKS = [
    {"trial": "One", "domain": "D1", "judgement": "Low", "link": "#one"},
    {"trial": "Two", "domain": "D1", "judgement": "High", "open": True},
    {"trial": "Three", "domain": "D1", "judgement": "High"},
    {"trial": "Unweighed", "domain": "D1", "judgement": "none"},
]
WEIGHTS = {"One": 3.0, "Two": 1.0, "Three": 4.0}
ANALYSES = [
    Analysis(
        rank=1, estimate=-0.5, low=-1.0, high=-0.1, conclusion="benefit", options=[("time", "w")]
    ),
    Analysis(rank=2, estimate=0.1, low=None, high=None, conclusion="not_estimable", options=[]),
]
SAID = {"benefit": "benefit", "not_estimable": "no interval"}
# Drawn with Altair from substances' files; tests/pharmacology draws it.
ELSEWHERE = {"pharmacodynamics"}
LOOK = {"theme"}


def drawings(narrow: bool) -> dict[str, Any]:
    axes = {"x_title": "x", "narrow": narrow}
    return {
        "forest": forest(ROWS, AXIS, narrow=narrow),
        "courses": courses(
            COURSE, palette=PALETTE, y_title="y", group_title="g", days=[0, 7], null=0, **axes
        ),
        "rates": rates(RATES, palette=PALETTE, **axes),
        "map": evidence_map(
            POINTS, palette=PALETTE, y_title="y", size_title="n", corner=(28, 3), **axes
        ),
        "timeline": timeline(LINES, symbols={"median": "diamond"}, ticks=[0, 28], **axes),
        "completeness": completeness(
            [KnownCell(trial="One", item="score", state="inert")],
            palette=PALETTE,
            titles=("t", "i", "s"),
            narrow=narrow,
        ),
        "bands": bands(BANDS, palette=PALETTE, y_title="y", **axes),
        "choices": specification_curve(
            ANALYSES, lines=[("time", ["w"])], conclusions=SAID, y_title="y", **axes
        ),
        "cloud": pickable_cloud(
            [-0.5, -0.3], [0, 40], [[0], [0, 1]], ["One", "Two"], y_title="y", hint="h",
            labels=("estimate", "k"), pooled=-0.4, null=0.0, **axes,
        ),
        "funnel": funnel_chart(
            [("One", -0.5, 0.2), ("Two", -0.1, 0.4)], pooled=-0.4, filled=[(0.1, 0.4)],
            narrow=narrow,
        ),
        "indices": indices(INDICES, palette=PALETTE, cut=0.2, sides=("wrong", "right"), **axes),
        "network": network_graph(["A", "B"], [("A", "B", 3)], size=200 if narrow else 380),
        "panels": panels([TIP], y_title="y", narrow=narrow),
        "refusals": refusals(
            CELLS, CELLS[:1], regions={"superior": "s", "inferior": "i"}, y_title="y", **axes
        ),
        "riskofbias": traffic_light(MARKS, title="t", narrow=narrow),
        "spreads": spread_panels(
            [SpreadCurve(panel="p", kind=kind, **CURVE) for kind in ("open", "patients", "beside")],
            words=WORDS, y_title="y", **axes,
        ),
        "upper": limits(UPPER, rates=[(0.01, "1 in 100")], **axes),
    }  # fmt: skip


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", list(drawings(False)))
def test_a_figure_is_valid_vega_lite_and_draws(name: str, narrow: bool) -> None:
    spec = finish(drawings(narrow)[name])
    alt.Chart.from_dict(spec, validate=True)
    assert vl_convert.vegalite_to_svg(spec).startswith("<svg")


def test_every_figure_that_a_page_imports_is_drawn_here() -> None:
    texts = [p.read_text("utf-8") for p in Path(klarsyn.report.__path__[0]).rglob("*.py")]
    used = {m for text in texts for m in re.findall(r"klarsyn\.figures\.(\w+) import", text)}
    files = {"evidence_map": "map"}
    assert used - LOOK - ELSEWHERE == {files.get(name, name) for name in drawings(False)}


def test_a_domain_s_bar_shares_out_the_whole_weight() -> None:
    """Weights 3, 1 and 4 of 8: low, high that could change, high; no weight, no piece."""
    bars = weighted_bars(MARKS, WEIGHTS, open_label="could change")
    pieces = [(d["told"], d["share"]) for d in bars["data"]["values"]]
    assert pieces == [("Low", 0.375), ("High", 0.5), ("High, could change", 0.125)]
    places = [d["place"] for d in bars["data"]["values"]]
    assert places == sorted(places)
    alt.Chart.from_dict(finish(bars), validate=True)


def test_a_judgement_is_told_by_its_sign_and_one_that_could_change_is_hollow() -> None:
    rows = traffic_light(MARKS)["data"]["values"]
    assert [r["sign"] for r in rows] == ["+", "×", "×", "?"]
    assert [r["open"] for r in rows] == [False, True, False, False]
    assert [r["dark"] for r in rows] == [True, False, True, False]


def test_an_analysis_without_an_interval_has_a_point_and_no_line() -> None:
    curve = specification_curve(
        ANALYSES, lines=[("time", ["w"])], conclusions=SAID, x_title="x", y_title="y", threshold=0.3
    )
    lines, points, null = curve["vconcat"][0]["layer"]
    assert [d["rank"] for d in lines["data"]["values"]] == [1]
    assert [d["rank"] for d in points["data"]["values"]] == [1, 2]
    assert null["data"]["values"] == [{"estimate": 0.3}]


def test_a_rate_of_zero_is_drawn_from_the_edge_of_the_logarithmic_axis() -> None:
    drawn = limits(UPPER, rates=[], x_title="x", narrow=True)
    rows = [d for m in drawn["layer"] for d in m["data"]["values"] if "share" in d]
    assert {d["share"] for d in rows} == {EDGE}


def test_an_index_that_is_only_bounded_is_a_bar_without_a_point() -> None:
    layers = indices(INDICES, palette=PALETTE, x_title="x", cut=0.2, narrow=True)["layer"]
    bars = [m for m in layers if m["mark"].get("strokeWidth") == 7]
    dots = [m for m in layers if m["mark"]["type"] == "circle"]
    assert [(d["from"], d["to"]) for m in bars for d in m["data"]["values"]] == [(-0.2, 0.6)]
    assert [d["x"] for m in dots for d in m["data"]["values"]] == [0.3]


def test_an_interval_beyond_the_axis_ends_in_an_arrow_at_the_edge() -> None:
    marks = forest(ROWS, AXIS)["hconcat"][1]["layer"]
    arrows = [m for m in marks if m["mark"].get("shape") == "triangle-left"]
    assert [d["from"] for a in arrows for d in a["data"]["values"]] == [-2]


def test_a_forest_plot_says_on_hover_what_the_row_details_say() -> None:
    marks = forest(ROWS, AXIS)["hconcat"][1]["layer"]
    squares = next(m for m in marks if m["mark"]["type"] == "square")
    assert squares["data"]["values"][0]["d0"] == "One"
    assert squares["encoding"]["tooltip"][0]["title"] == "Trial"
    assert squares["encoding"]["href"] == {"field": "link"}


def test_a_ratio_axis_without_limits_is_symmetric_about_one() -> None:
    row = ForestRow(kind="study", label="a", estimate=2.0, lower=1.0, upper=4.0)
    spec = forest([row], ForestAxis(title="RR", null=1.0, log=True))
    low, high = spec["hconcat"][1]["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low * high == pytest.approx(1.0, rel=ROUNDING)
    assert high > 4.0


def test_trials_at_one_place_of_the_map_are_fanned_out() -> None:
    twice = [*POINTS, MapPoint(label="B", group="inert", doses=1, followup=7, participants=10)]
    spec = evidence_map(twice, palette=PALETTE, x_title="x", y_title="y", size_title="n")
    dots = next(m for m in spec["layer"] if m["mark"]["type"] == "circle")
    assert len({d["doses"] for d in dots["data"]["values"]}) == 2


def test_names_keep_their_colour_by_their_place() -> None:
    assert colours(["a", "b"])["b"] == colours(["c", "b"])["b"]
