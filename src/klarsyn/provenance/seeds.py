"""Random streams that depend on what is drawn, never on threads, chunks or order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """The generator of one purpose, e.g. `stream(1, "dropout", trial, patient)`.

    Philox keyed by a hash of (seed, purpose, key): streams of different keys are independent, and
    the same key gives the same numbers wherever and whenever it is asked for.
    """
    import numpy as np

    text = f"{seed}|{purpose}|{'|'.join(map(str, key))}".encode()
    return np.random.Generator(
        np.random.Philox(key=int.from_bytes(hashlib.sha256(text).digest()[:16], "little"))
    )
