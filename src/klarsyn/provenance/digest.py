"""A short name for a value's content, the same on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(*parts: Any) -> str:
    """Sixteen hex digits that change when any part changes.

    Takes what JSON takes, dataclasses, bytes and anything with `.tolist()` (arrays); floats enter
    with all their digits, mappings in sorted order.
    """
    h = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, bytes) else _canonical(part).encode()
        h.update(len(text).to_bytes(8, "little") + text)
    return h.hexdigest()[:16]


def _canonical(value: Any) -> str:
    return json.dumps(value, default=_plain, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, bytes):
        return value.hex()
    if to_list := getattr(value, "tolist", None):
        return to_list()
    raise TypeError(f"{type(value).__name__} has no canonical form for a digest.")
