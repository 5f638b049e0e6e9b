"""Pictures of exposure: concentration bands, predicted over observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 300, 170
MOST_POINTS = 1_200


def concentration_bands(
    *,
    times: Sequence[float],
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    units: Mapping[str, str],
    title: str,
) -> Any:
    """Median, 50 % and 90 % bands over time, one panel an analyte; an Altair chart.

    `bands[analyte]` holds p5, p25, p50, p75 and p95 at `times` (h).
    """
    import altair as alt

    panels = []
    for analyte, curves in bands.items():
        rows = _band_rows(times, curves)
        base = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X("hours:Q", title="hours from the first dose")
        )
        label = f"{analyte} ({units[analyte]})"
        wide = base.mark_area(opacity=0.18, color="#33658a").encode(
            y=alt.Y("p5:Q", title=label), y2="p95:Q"
        )
        narrow = base.mark_area(opacity=0.32, color="#33658a").encode(y="p25:Q", y2="p75:Q")
        middle = base.mark_line(color="#1b3a4b", strokeWidth=1.5).encode(
            y="p50:Q",
            tooltip=[alt.Tooltip(f"{n}:Q", format=".4g") for n in ("hours", "p5", "p50", "p95")],
        )
        panels.append((wide + narrow + middle).properties(width=WIDTH, height=HEIGHT))
    return alt.concat(*panels, columns=2).properties(title=title)


def _band_rows(
    times: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> list[dict[str, float]]:
    step = max(1, len(times) // MOST_POINTS)
    return [
        {
            "hours": round(times[i], 4),
            **{n: float(f"{curves[n][i]:.5g}") for n in ("p5", "p25", "p50", "p75", "p95")},
        }
        for i in range(0, len(times), step)
    ]


def predicted_over_observed(rows: Sequence[Mapping[str, Any]], *, title: str) -> Any:
    """Predicted over observed on a logarithmic axis, one line of points a group.

    Lines stand at 1 and at 1.25-fold. A row has ratio, group, kind (its colour), label and note.
    """
    import altair as alt

    top = max(max(r["ratio"], 1 / r["ratio"]) for r in rows) * 1.1
    scale = alt.Scale(type="log", domain=[1 / top, top])
    points = (
        alt.Chart(alt.Data(values=[dict(r) for r in rows]))
        .mark_point(filled=True, size=55, opacity=0.65)
        .encode(
            x=alt.X("ratio:Q", scale=scale, title="predicted over observed"),
            y=alt.Y("group:N", title=None, sort=None),
            color=alt.Color("kind:N", title="model's numbers"),
            tooltip=["label:N", alt.Tooltip("ratio:Q", format=".2f"), "note:N"],
        )
    )
    lines = (
        alt.Chart(alt.Data(values=[{"ratio": 0.8}, {"ratio": 1.0}, {"ratio": 1.25}]))
        .mark_rule(color="#888", strokeDash=[3, 3])
        .encode(x=alt.X("ratio:Q", scale=scale))
    )
    return alt.layer(lines, points).properties(title=title, width=460)
