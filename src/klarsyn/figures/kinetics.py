"""Pictures of exposure: concentration bands, predicted against observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 300, 170
MOST_POINTS = 400


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


def predicted_against_observed(rows: Sequence[Mapping[str, Any]], *, title: str) -> Any:
    """Predicted over observed on two logarithmic axes with the lines of unity and 1.25-fold.

    A row has observed, predicted, group, label and note.
    """
    import altair as alt

    low = min(min(r["observed"], r["predicted"]) for r in rows) / 1.5
    high = max(max(r["observed"], r["predicted"]) for r in rows) * 1.5
    points = (
        alt.Chart(alt.Data(values=[dict(r) for r in rows]))
        .mark_point(filled=True, size=45, opacity=0.8)
        .encode(
            x=alt.X(
                "observed:Q", scale=alt.Scale(type="log", domain=[low, high]), title="observed"
            ),
            y=alt.Y(
                "predicted:Q", scale=alt.Scale(type="log", domain=[low, high]), title="predicted"
            ),
            color=alt.Color("group:N", title=None),
            tooltip=["label:N", "observed:Q", "predicted:Q", "note:N"],
        )
    )
    lines = [
        alt.Chart(alt.Data(values=[{"x": low, "y": low * fold}, {"x": high, "y": high * fold}]))
        .mark_line(color="#888", strokeDash=dash, clip=True)
        .encode(x="x:Q", y="y:Q")
        for fold, dash in ((1.0, [1, 0]), (1.25, [4, 3]), (0.8, [4, 3]))
    ]
    return alt.layer(*lines, points).properties(title=title, width=420, height=420)
