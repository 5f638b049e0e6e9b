"""A funnel plot with contours of significance: effect against standard error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.figures.theme import INK, PALETTE, SOFT, housed

CONTOURS = ((0.10, "p > 0.10"), (0.05, "0.05 < p < 0.10"), (0.01, "0.01 < p < 0.05"))
SHADES = ("#ffffff", "#d9d9d9", "#bdbdbd")
BEYOND = "#f2f2f2"


def contour_lines(
    largest_se: float, *, null: float = 0.0, levels: Sequence[float] = (0.10, 0.05, 0.01)
) -> list[dict[str, float]]:
    """For each two-sided level, where the region of larger p ends at standard error `largest_se`.

    Edges are straight lines from (null, 0), so the far end says everything.
    """
    from scipy import special

    return [
        {
            "p": level, "se": largest_se,
            "low": null - float(special.ndtri(1 - level / 2)) * largest_se,
            "high": null + float(special.ndtri(1 - level / 2)) * largest_se,
        }
        for level in levels
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelWords:
    """The words of a funnel plot."""

    se: str = "Standard error"
    legend: str = "Two-sided p"
    study: str = "study"
    filled: str = "filled in"
    decimal: str = "."


def funnel_chart(
    points: Sequence[tuple[str, float, float]],
    *,
    pooled: float,
    filled: Sequence[tuple[float, float]] = (),
    null: float = 0.0,
    axis: str = "Effect",
    words: FunnelWords | None = None,
    narrow: bool = False,
) -> Any:
    """An Altair chart of (study, effect, standard error); `filled` are imputed (effect, se).

    Shades are regions of two-sided p around `null`; the dashed line is the pooled effect.
    """
    import altair as alt

    say = words or FunnelWords()
    deepest = 1.05 * max(se for _, _, se in points)
    depth = alt.Y("se:Q", scale=alt.Scale(domain=[0, deepest], reverse=True), title=say.se)
    place: dict[str, Any] = {"orient": "top", "columns": 2} if narrow else {}
    middle = [{"effect": pooled, "se": 0.0}, {"effect": pooled, "se": deepest}]
    line = alt.Chart(alt.Data(values=middle)).mark_line(strokeDash=[5, 4], color=INK)
    layers = [
        *_regions(alt, deepest, null, depth, axis, say, place),
        line.encode(x="effect:Q", y=depth, order="se:Q"),
        _studies(alt, points, filled, depth, axis, say, place),
    ]
    chart = alt.layer(*layers).properties(width=420, height=320, view=alt.ViewConfig(fill=BEYOND))
    return housed(chart)


def _regions(
    alt: Any,
    deepest: float,
    null: float,
    depth: Any,
    axis: str,
    say: FunnelWords,
    place: dict[str, Any],
) -> list[Any]:
    """The triangles of two-sided p, the widest first so that each covers part of the last."""
    names = {level: text.replace(".", say.decimal) for level, text in CONTOURS}
    beyond = "p < 0.01".replace(".", say.decimal)
    shade = alt.Color(
        "p:N",
        scale=alt.Scale(domain=[*names.values(), beyond], range=[*SHADES, BEYOND]),
        legend=alt.Legend(
            title=say.legend, symbolType="square", symbolStrokeColor=SOFT, symbolStrokeWidth=0.5,
            **place,
        ),
    )  # fmt: skip
    out = []
    for line in reversed(contour_lines(deepest, null=null)):
        shape = [
            {"se": 0.0, "low": null, "high": null, "p": names[line["p"]]},
            {"se": deepest, "low": line["low"], "high": line["high"], "p": names[line["p"]]},
        ]
        area = alt.Chart(alt.Data(values=shape)).mark_area(orient="horizontal")
        low = alt.X("low:Q", title=axis)
        out.append(area.encode(y=depth, x=low, x2="high:Q", color=shade))
    return out


def _studies(
    alt: Any,
    points: Sequence[tuple[str, float, float]],
    filled: Sequence[tuple[float, float]],
    depth: Any,
    axis: str,
    say: FunnelWords,
    place: dict[str, Any],
) -> Any:
    rows = [{"study": name, "effect": y, "se": se, "kind": say.study} for name, y, se in points]
    rows += [{"study": say.filled, "effect": y, "se": se, "kind": say.filled} for y, se in filled]
    kinds = [say.study, say.filled] if filled else [say.study]
    fill = alt.Fill(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[PALETTE[0], "#ffffff"][: len(kinds)]),
        legend=alt.Legend(title=None, **place) if filled else None,
    )
    return alt.Chart(alt.Data(values=rows)).mark_point(size=55, stroke=PALETTE[0]).encode(
        x="effect:Q", y=depth, fill=fill,
        tooltip=[
            alt.Tooltip("study:N", title=say.study),
            alt.Tooltip("effect:Q", format=".2f", title=axis),
            alt.Tooltip("se:Q", format=".2f", title=say.se),
        ],
    )  # fmt: skip
