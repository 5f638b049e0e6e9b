"""The rows of method_more_a.csv as they are made."""

from __future__ import annotations

import json
from typing import Any

ROWS: list[dict[str, str]] = []
CLOSED = 1e-11  # a closed form in double precision, numbers up to 100
SOLVED = 1e-9  # a root, or a logarithm of one
OWN = "own, 60 digits"


def add(
    method: str, example: str, inputs: dict[str, Any], quantity: str, value: Any,
    tolerance: float | str = CLOSED, source: str = OWN, note: str = "",
) -> None:  # fmt: skip
    text = str(value) if isinstance(value, str | bool) else repr(float(value))
    ROWS.append(
        {
            "method": method,
            "example_id": example,
            "inputs_json": json.dumps(inputs, separators=(",", ":")),
            "quantity": quantity,
            "value": text,
            "tolerance": str(tolerance),
            "source": source,
            "note": note,
        }
    )


def limits(method: str, example: str, inputs: dict[str, Any], found: Any, **more: Any) -> None:
    for quantity, value in zip(("lower", "upper"), found, strict=True):
        add(method, example, inputs, quantity, value, **more)
