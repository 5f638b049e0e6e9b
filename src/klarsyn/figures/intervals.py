"""A few estimates with their intervals, one a row, the last of them pooled or final."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import housed


def intervals_chart(
    rows: Sequence[tuple[str, float, float, float]], *, title: str, null: float | None,
    log: bool = False,
) -> Any:  # fmt: skip
    """An Altair chart; a row is (label, estimate, low, high) in the axis' units.

    `null` is where no difference lies (None: nowhere); with `log` the values are ratios.
    """
    last = len(rows) - 1
    drawn = [
        ForestRow(
            kind="pooled" if i == last else "study", label=label, estimate=value, lower=low,
            upper=high, weight=0.25, numbers=f"{value:.3g} ({low:.3g} to {high:.3g})",
        )
        for i, (label, value, low, high) in enumerate(rows)
    ]  # fmt: skip
    return housed(forest(drawn, ForestAxis(title=title, null=null, log=log)))
