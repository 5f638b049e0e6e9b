"""Pictures of what a drug does at the receptor, in the brain and to the patient.

Plain values in, Altair charts out; every word on a picture is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.figures.theme import INK, PALETTE, PAPER, SOFT, colours

WIDTH, HEIGHT = 340, 230
NARROW = 285
LEGEND = 330  # room for a name of the legend, in pixels
MOST_POINTS = 300
BANDS = ("p5", "p25", "p50", "p75", "p95")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictWords:
    """The words of the magnesium conflict."""

    theta: str = "theta: how far magnesium and the drug exclude each other"
    ic50: str = "half-blocking concentration at rest (µM)"
    selectivity: str = "K at rest / K depolarised"
    needed: str = "theta that half block at 1 to 1.4 µM needs"
    crossing: str = "depolarised cells are blocked more above this theta"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeWords:
    """The words of the dispute over a metabolite."""

    concentration: str = "concentration (µM)"
    block: str = "channels blocked, no magnesium (%)"
    assumption: str = "assumed constant"


def magnesium_conflict(
    *,
    theta: Sequence[float],
    resting_ic50: Sequence[float],
    selectivity: Sequence[float],
    crossing: float,
    needed: tuple[float, float],
    wanted: tuple[float, float],
    words: ConflictWords | None = None,
    narrow: bool = False,
) -> Any:
    """Two panels over theta: the resting IC50, and the selectivity for depolarised cells.

    The shaded strip is the theta that the wanted IC50 needs; the dashed line is the theta at which
    the selectivity is 1. That they do not meet is the conflict.
    """
    import altair as alt

    say = words or ConflictWords()
    rows = [
        {"theta": t, "ic50": i, "selectivity": s}
        for t, i, s in zip(theta, resting_ic50, selectivity, strict=True)
    ]
    strip = (
        alt.Chart(alt.Data(values=[{"from": needed[0], "to": needed[1], "what": say.needed}]))
        .mark_rect(opacity=0.25, color=PALETTE[4])
        .encode(x=alt.X("from:Q", title=say.theta), x2="to:Q", tooltip="what:N")
    )
    turn = (
        alt.Chart(alt.Data(values=[{"theta": crossing, "what": say.crossing}]))
        .mark_rule(strokeDash=[4, 3], color=SOFT)
        .encode(x="theta:Q", tooltip=["what:N", alt.Tooltip("theta:Q", format=".2f")])
    )
    size = {"width": NARROW if narrow else WIDTH, "height": HEIGHT}
    panels = [
        alt.layer(strip, turn, *_over_theta(rows, field, marks, say.theta, **of)).properties(**size)
        for field, marks, of in (
            ("ic50", wanted, {"title": say.ic50, "scale": alt.Scale(type="log")}),
            ("selectivity", (1.0,), {"title": say.selectivity, "scale": alt.Scale(zero=False)}),
        )
    ]
    return alt.vconcat(*panels) if narrow else alt.hconcat(*panels)


def _over_theta(
    rows: list[dict[str, float]], field: str, marks: Sequence[float], theta: str, **of: Any
) -> tuple[Any, Any]:
    """A rule at each of the marks and the course of a field over theta; `of`: its axis."""
    import altair as alt

    y = alt.Y(f"{field}:Q", **of)
    rule = (
        alt.Chart(alt.Data(values=[{field: m} for m in marks]))
        .mark_rule(color=SOFT, strokeDash=[2, 2])
        .encode(y=y)
    )
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(color=PALETTE[0], strokeWidth=2)
        .encode(
            x=alt.X("theta:Q", title=theta),
            y=y,
            tooltip=[alt.Tooltip("theta:Q", format=".2f"), alt.Tooltip(f"{field}:Q", format=".3g")],
        )
    )
    return rule, line


def metabolite_dispute(
    *,
    concentrations: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    marks: Mapping[str, float],
    words: DisputeWords | None = None,
    narrow: bool = False,
) -> Any:
    """Blocked share against concentration, one curve an assumption; `marks` are vertical lines."""
    import altair as alt

    say = words or DisputeWords()
    rows = [
        {"c": c, "block": 100 * b, "assumption": name}
        for name, curve in curves.items()
        for c, b in zip(concentrations, curve, strict=True)
    ]
    ends = [min(concentrations), max(concentrations)]
    x = alt.X(
        "c:Q",
        title=say.concentration,
        scale=alt.Scale(type="log", domain=ends, nice=False),
        axis=alt.Axis(values=[0.01, 0.1, 1, 10, 100, 1000], format="~g"),
    )
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("block:Q", title=say.block, scale=alt.Scale(domain=[0, 100])),
            color=_colour(
                alt, "assumption", list(curves), say.assumption, columns=1 if narrow else 0
            ),
            tooltip=[
                "assumption:N",
                alt.Tooltip("c:Q", format=".3g"),
                alt.Tooltip("block:Q", format=".0f"),
            ],
        )
    )
    places = [{"c": c, "what": what, "y": 97 - 9 * i} for i, (what, c) in enumerate(marks.items())]
    rules = (
        alt.Chart(alt.Data(values=places))
        .mark_rule(color=SOFT, strokeDash=[3, 3])
        .encode(x=x, tooltip=["what:N", "c:Q"])
    )
    named = alt.Chart(alt.Data(values=places)).encode(x=x, y="y:Q", text="what:N")
    look = {"align": "right", "dx": -4, "fontSize": 11}
    edge = named.mark_text(**look, color=PAPER, stroke=PAPER, strokeWidth=5, strokeJoin="round")
    texts = edge + named.mark_text(**look, color=INK)
    width = NARROW if narrow else 2 * WIDTH
    return alt.layer(rules, lines, texts).properties(width=width, height=HEIGHT + 60)


def response_bands(
    *,
    days: Sequence[float],
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    x_title: str = "days from the first dose",
    y_title: str = "score (lower is better)",
    group_title: str = "given",
) -> Any:
    """A score over days, median and 5 to 95 % of the parameter sets by group."""
    return _banded(days, bands, x_title, y_title, group_title, width=2 * WIDTH)


def effect_courses(
    *,
    hours: Sequence[float],
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    titles: Mapping[str, str],
    units: Mapping[str, str],
    until: float = 8.0,
    x_title: str = "hours from the first dose",
    columns: int = 2,
) -> Any:
    """Acute effects over time, one panel an effect: median, 50 % and 90 % of parameter sets.

    Panels end at `until` hours; `titles` stand above, `units` beside them.
    """
    import altair as alt

    kept = [i for i, h in enumerate(hours) if h <= until]
    at = [hours[i] for i in kept]
    panels = []
    for name, curves in bands.items():
        shown = {k: [curve[i] for i in kept] for k, curve in curves.items()}
        panel = _banded(at, {"": shown}, x_title, units[name], None, width=WIDTH, height=150)
        panels.append(panel.properties(title=titles[name]))
    return alt.concat(*panels, columns=columns)


def _colour(alt: Any, field: str, names: Sequence[str], title: str | None, columns: int = 0) -> Any:
    chosen = colours(names)
    scale = alt.Scale(domain=list(chosen), range=list(chosen.values()))
    shape = {"labelLimit": LEGEND} | ({"columns": columns} if columns else {})
    legend = (
        None if title is None else alt.Legend(title=title, orient="top", symbolOpacity=1, **shape)
    )
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def _banded(
    at: Sequence[float],
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    x_title: str,
    y_title: str,
    group_title: str | None,
    *,
    width: int,
    height: int = HEIGHT,
) -> Any:
    import altair as alt

    step = max(1, len(at) // MOST_POINTS)
    rows = [
        {
            "x": round(float(at[i]), 4),
            "group": name,
            **{k: float(f"{curves[k][i]:.5g}") for k in BANDS},
        }
        for name, curves in bands.items()
        for i in range(0, len(at), step)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=x_title), color=_colour(alt, "group", list(bands), group_title)
    )
    y = alt.Y("p5:Q", title=y_title, scale=alt.Scale(zero=False))
    wide = base.mark_area(opacity=0.14).encode(y=y, y2="p95:Q")
    narrow = base.mark_area(opacity=0.22).encode(y="p25:Q", y2="p75:Q")
    middle = base.mark_line(strokeWidth=2).encode(
        y="p50:Q",
        tooltip=[
            "group:N",
            *(alt.Tooltip(f"{k}:Q", format=".3g") for k in ("x", "p5", "p50", "p95")),
        ],
    )
    return alt.layer(wide, narrow, middle).properties(width=width, height=height)
