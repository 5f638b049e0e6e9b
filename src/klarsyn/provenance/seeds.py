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


def uniforms(
    seed: int, purpose: str, subjects: np.ndarray, count: int = 1, occasion: int = 0
) -> np.ndarray:
    """Uniform draws in (0, 1) for many subjects at once, (subjects, count).

    Philox4x32-10 (Salmon et al. 2011, SC '11) keyed by a hash of (seed, purpose), its counter
    holding subject, occasion and position: a subject's numbers depend on nothing else, so any
    chunk, order or thread gives the same, and a longer `count` begins with the shorter one's.
    """
    import numpy as np

    key = int.from_bytes(hashlib.sha256(f"{seed}|{purpose}".encode()).digest()[:8], "little")
    who = np.asarray(subjects, dtype=np.uint64)[:, None]
    blocks = np.arange((count + 1) // 2, dtype=np.uint64)[None, :]
    who, blocks = np.broadcast_arrays(who, blocks)
    low, high = who & np.uint64(_WORD), who >> np.uint64(32)
    when = np.full_like(who, occasion)
    words = _philox([low, high, when, blocks.copy()], key & 0xFFFFFFFF, key >> 32)
    first = ((words[0] << np.uint64(32)) | words[1]) >> np.uint64(11)
    second = ((words[2] << np.uint64(32)) | words[3]) >> np.uint64(11)
    both = np.stack([first, second], axis=-1).reshape(len(who), -1)[:, :count]
    return (both.astype(float) + 0.5) * 2.0**-53


def normals(
    seed: int, purpose: str, subjects: np.ndarray, count: int = 1, occasion: int = 0
) -> np.ndarray:
    """Standard normal draws for many subjects at once, by inversion of `uniforms`."""
    from scipy.special import ndtri

    return ndtri(uniforms(seed, purpose, subjects, count, occasion))


_WORD = 0xFFFFFFFF


def _philox(counter: list[np.ndarray], key0: int, key1: int) -> list[np.ndarray]:
    """Ten rounds of Philox4x32 on arrays of 32-bit words kept in 64 bits."""
    import numpy as np

    c0, c1, c2, c3 = counter
    mask, half = np.uint64(_WORD), np.uint64(32)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> half) ^ c1 ^ np.uint64(key0),
            p1 & mask,
            (p0 >> half) ^ c3 ^ np.uint64(key1),
            p0 & mask,
        )
        key0, key1 = (key0 + 0x9E3779B9) & _WORD, (key1 + 0xBB67AE85) & _WORD
    return [c0, c1, c2, c3]
