"""All subsets of the studies: ours and the peers' gosh() on the same studies in one run.

    python benchmarks/subsets.py [--peer-python PATH] [--rounds 5]

On the 2^10 − 1 subsets that a peer can do in reasonable time: time, ratio and the largest
difference of an estimate. Then time and memory against the number of subsets, up to 2^20, and the
whole process's peak.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beside import Cell, Peer, arguments, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

SEED = 20260102
PEER_K = 10
LADDER = (10, 12, 14, 16, 18, 20)
ALL = f"all {2**PEER_K - 1:,} subsets of {PEER_K} studies"

R = """
d <- read.csv(paste0(DATA, "studies.csv")); m <- rma(y, v, data = d)
say(ALL, function() { g <- gosh(m, progbar = FALSE)
  mask <- as.matrix(g$incl) %*% 2^(0:(nrow(d) - 1))
  write.table(cbind(mask, g$res[, "estimate"]), paste0(DATA, "metafor.txt"), row.names = FALSE,
    col.names = FALSE, na = "nan"); 0 })
"""
PYTHON = """
import numpy as np
y, v = np.loadtxt(f"{DATA}/studies.csv", delimiter=",", skiprows=1).T
if P := has("pimeta"):
    def every():
        g = P.gosh(y, v, method="REML")
        mask = np.array(g.incl) @ 2 ** np.arange(len(y))
        np.savetxt(f"{DATA}/pimeta.txt", np.column_stack([mask, np.array(g.estimate, float)]))
        return 0.0
    say("pimeta", ALL, every)
"""
REST = dict.fromkeys(("pimeta", "PyMARE", "PyMetaAnalysis", "statsmodels"), "no subsets")


def every_subset(k: int) -> Callable[[], Any]:
    from klarsyn.synthesis.effects import effects_from_arrays
    from klarsyn.synthesis.subsets import subsets

    rng = np.random.default_rng([SEED, k])
    v = rng.uniform(0.02, 0.4, k)
    effects = effects_from_arrays(rng.normal(0.3, np.sqrt(v + 0.1)), v)
    return lambda: subsets(effects, method="REML", test="z")


def process_mib() -> float:
    """Most memory that this process ever held, all of it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_inputs(folder: Path) -> None:
    rng = np.random.default_rng([SEED, PEER_K])
    v = rng.uniform(0.02, 0.4, PEER_K)
    table = np.column_stack([rng.normal(0.3, np.sqrt(v + 0.1)), v])
    np.savetxt(folder / "studies.csv", table, delimiter=",", header="y,v", comments="",
               fmt="%.17g")  # fmt: skip


def against(peer: Peer, written: Path, mine: dict[int, float]) -> Peer:
    """The peer with the largest difference of a subset's estimate as its value."""
    cell = peer.rows.get(ALL)
    if cell is None or cell.ms is None or not written.exists():
        return peer
    theirs = {int(mask): value for mask, value in np.loadtxt(written) if np.isfinite(value)}
    if len(theirs) < len(mine):
        print(f"{written.stem} gives no estimate for {len(mine) - len(theirs)} subsets")
    off = max(abs(value - mine[mask]) for mask, value in theirs.items())
    return Peer({ALL: Cell(cell.ms, off)}, peer.rest)


def main() -> None:
    chosen = arguments(__doc__ or "")
    call = every_subset(PEER_K)
    made = call()
    estimates = dict(zip(made.masks[:, 0].tolist(), made.estimate.tolist(), strict=True))

    def one() -> float:
        call()
        return 0.0

    mine = ours({ALL: one}, chosen.rounds)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder)
        name = f"ALL <- {ALL!r}\n"
        peers = in_r(name + R, chosen, name="metafor", packages=("metafor",), folder=folder)
        peers |= in_python(f"ALL = {ALL!r}\n" + PYTHON, chosen, rest=REST, folder=folder)
        for who in ("metafor", "pimeta"):
            peers[who] = against(peers[who], folder / f"{who}.txt", estimates)
    show("Subsets, REML", mine, peers, compared="largest difference")
    kept = {2**k: every_subset(k) for k in LADDER}
    growth("subsets", list(kept), kept.__getitem__, min(chosen.rounds, 3))
    print(f"peak of the whole process {process_mib():.0f} MiB")


if __name__ == "__main__":
    main()
