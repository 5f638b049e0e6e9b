"""The rows of pharmacology_more.csv as they are made."""

from __future__ import annotations

import json
from typing import Any

import mpmath as mp

mp.mp.dps = 50
ROWS: list[dict[str, str]] = []
CLOSED = 1e-11  # a closed form in double precision
SOLVED = 1e-9  # kinetics of a linear system, a fit, or a difference of two near numbers
INTEGRATED = 1e-7  # a nonlinear system
OWN = "own, 50 digits"


def number(value: Any) -> mp.mpf:
    """The double that stands in the table, exactly."""
    return mp.mpf(value)


def plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return float(value)


def add(
    method: str, example: str, inputs: dict[str, Any], quantity: str, value: Any,
    tolerance: float = CLOSED, source: str = OWN, note: str = "",
) -> None:  # fmt: skip
    """`value` is written as JSON: null is a quantity that does not exist for these inputs."""
    ROWS.append(
        {
            "method": method,
            "example_id": example,
            "inputs_json": json.dumps(inputs, separators=(",", ":")),
            "quantity": quantity,
            "value": json.dumps(plain(value)),
            "tolerance": str(tolerance),
            "source": source,
            "note": note,
        }
    )
