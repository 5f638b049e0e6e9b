"""How results with several coefficients print and draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klarsyn.stats.estimate import Estimate


def coefficient_records(coefficients: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    """Value, standard error, df, 95 % interval and p of each, ready for JSON."""
    return {
        name: {
            "value": e.value,
            "se": e.se,
            "df": e.df,
            "interval": list(e.interval()),
            "p": e.p_value(),
        }
        for name, e in coefficients.items()
    }


def coefficient_plot(coefficients: Mapping[str, Estimate], method: str) -> Any:
    """The coefficients with their 95 % intervals, as an Altair chart."""
    from klarsyn.figures.estimates import estimate_lines

    lines = [(n, e.value, *e.interval()) for n, e in coefficients.items()]
    return estimate_lines([], pooled=lines, title=f"Coefficient ({method})")
