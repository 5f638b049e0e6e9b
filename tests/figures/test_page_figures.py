"""Every figure of the page is a valid Vega-Lite specification that shows what it was given."""

from __future__ import annotations

from typing import Any

import altair as alt
import pytest
import vl_convert

from klarsyn.figures.completeness import KnownCell, completeness
from klarsyn.figures.courses import CoursePoint, courses
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.map import MapPoint, evidence_map
from klarsyn.figures.rates import RatePoint, RateRow, rates
from klarsyn.figures.theme import colours, finish
from klarsyn.figures.timeline import TimelineRow, timeline

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
    }


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", list(drawings(False)))
def test_a_figure_is_valid_vega_lite_and_draws(name: str, narrow: bool) -> None:
    spec = finish(drawings(narrow)[name])
    alt.Chart.from_dict(spec, validate=True)
    assert vl_convert.vegalite_to_svg(spec).startswith("<svg")


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
    assert low * high == pytest.approx(1.0, rel=1e-12)
    assert high > 4.0


def test_trials_at_one_place_of_the_map_are_fanned_out() -> None:
    twice = [*POINTS, MapPoint(label="B", group="inert", doses=1, followup=7, participants=10)]
    spec = evidence_map(twice, palette=PALETTE, x_title="x", y_title="y", size_title="n")
    dots = next(m for m in spec["layer"] if m["mark"]["type"] == "circle")
    assert len({d["doses"] for d in dots["data"]["values"]}) == 2


def test_names_keep_their_colour_by_their_place() -> None:
    assert colours(["a", "b"])["b"] == colours(["c", "b"])["b"]
