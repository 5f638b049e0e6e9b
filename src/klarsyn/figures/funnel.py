"""A funnel plot with contours of significance: effect against standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.theme import INK, PALETTE, housed

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


def funnel_chart(
    points: Sequence[tuple[str, float, float]],
    *,
    pooled: float,
    filled: Sequence[tuple[float, float]] = (),
    null: float = 0.0,
    axis: str = "Effect",
) -> Any:
    """An Altair chart of (study, effect, standard error); `filled` are imputed (effect, se).

    Shades are regions of two-sided p around `null`; the dashed line is the pooled effect.
    """
    import altair as alt

    deepest = 1.05 * max(se for _, _, se in points)
    rows = [{"study": name, "effect": y, "se": se, "kind": "study"} for name, y, se in points] + [
        {"study": "filled in", "effect": y, "se": se, "kind": "filled in"} for y, se in filled
    ]
    depth = alt.Y(
        "se:Q", scale=alt.Scale(domain=[0, deepest], reverse=True), title="Standard error"
    )
    names = [text for _, text in CONTOURS]
    shade = alt.Color(
        "p:N",
        scale=alt.Scale(domain=[*names, "p < 0.01"], range=[*SHADES, BEYOND]),
        legend=alt.Legend(title="Two-sided p", symbolType="square"),
    )
    layers = []
    for line in reversed(contour_lines(deepest, null=null)):
        name = next(text for level, text in CONTOURS if level == line["p"])
        shape = [
            {"se": 0.0, "low": null, "high": null, "p": name},
            {"se": deepest, "low": line["low"], "high": line["high"], "p": name},
        ]
        layers.append(
            alt.Chart(alt.Data(values=shape)).mark_area(orient="horizontal")
            .encode(y=depth, x=alt.X("low:Q", title=axis), x2="high:Q", color=shade)
        )  # fmt: skip
    middle = [{"effect": pooled, "se": 0.0}, {"effect": pooled, "se": deepest}]
    layers.append(
        alt.Chart(alt.Data(values=middle)).mark_line(strokeDash=[5, 4], color=INK)
        .encode(x="effect:Q", y=depth, order="se:Q")
    )  # fmt: skip
    layers.append(
        alt.Chart(alt.Data(values=rows)).mark_point(size=55, stroke=PALETTE[0]).encode(
            x="effect:Q", y=depth,
            fill=alt.Fill("kind:N", scale=alt.Scale(
                domain=["study", "filled in"], range=[PALETTE[0], "#ffffff"]), title=None),
            tooltip=["study:N", "effect:Q", "se:Q"],
        )
    )  # fmt: skip
    chart = alt.layer(*layers).properties(width=420, height=320, view=alt.ViewConfig(fill=BEYOND))
    return housed(chart)
