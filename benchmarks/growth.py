"""How a cost grows: median time, peak memory and the exponents against a size, as one table."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from beside import median_seconds


def peak_mib(call: Callable[[], Any]) -> float:
    """Most memory that the call itself held at once (Python's and numpy's allocations)."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def growth(
    what: str, sizes: Sequence[int], make: Callable[[int], Callable[[], Any]], rounds: int
) -> None:
    """Print time and memory at every size, and both exponents over the upper half of the sizes."""
    print(f"\n{what:>46}{'median ms':>12}{'peak MiB':>12}")
    times, peaks = [], []
    for size in sizes:
        call = make(size)
        times.append(median_seconds(call, rounds))
        peaks.append(peak_mib(call))
        print(f"{size:46d}{1e3 * times[-1]:12.3f}{peaks[-1]:12.3f}")
    half = len(sizes) // 2
    steep = [np.polyfit(np.log(sizes[half:]), np.log(c[half:]), 1)[0] for c in (times, peaks)]
    print(f"from {sizes[half]} on time grows as size^{steep[0]:.2f}, memory as size^{steep[1]:.2f}")
