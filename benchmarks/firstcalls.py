"""What the first call of each compiled kernel costs, with and without its cache on disk.

    python benchmarks/firstcalls.py

Every row is a fresh process, twice: with an empty cache, so that it compiles, and with the cache
that the first one left. Processor seconds of the first call, libraries loaded by it included, and
of the second call.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

WORDS = "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"


def nine_states() -> Callable[[], Any]:
    import dynamics

    from klarsyn.pharmacology.driven import simulate_driven

    matrix = dynamics.patients(2)
    values = {k: matrix[:, i] for i, k in enumerate(dynamics.ORDER)}
    return lambda: simulate_driven(
        values, dynamics.DOSES, dynamics.TIMES, rtol=dynamics.RTOL, atol=dynamics.ATOL
    )


def shared_grid() -> Callable[[], Any]:
    import kinetics

    people = kinetics.population(10)
    return lambda: kinetics.ours(people, kinetics.TIMES)


def own_grids() -> Callable[[], Any]:
    import kinetics
    import numpy as np

    people = kinetics.population(10)
    return lambda: kinetics.ours(people, np.tile(kinetics.TIMES, (10, 1)))


def metrics() -> Callable[[], Any]:
    def run() -> Any:
        from klarsyn import parse_regimen, read_model, sample_individuals, simulate

        people = sample_individuals(read_model("KSR-1"), 10, seed=1)
        return simulate(people, parse_regimen(WORDS), "racemate")

    return run


def session() -> Callable[[], Any]:
    def run() -> Any:
        from klarsyn import parse_regimen, read_model, read_substance
        from klarsyn.pharmacology.session import Patients, simulate_session

        return simulate_session(
            read_substance("ketamine"),
            form="racemate",
            regimen=parse_regimen(WORDS),
            model=read_model("KSR-1"),
            patients=Patients(n=10, seed=1, followed=10),
        )

    return run


ROWS = {
    "nine states, two of them stiff": nine_states,
    "parent and metabolite, one grid": shared_grid,
    "parent and metabolite, own grids": own_grids,
    "metrics of every analyte": metrics,
    "a whole session, from dose to score": session,
}


def measure(row: str, cache: str) -> tuple[float, float]:
    """First and second call in a fresh process."""
    variables = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, row]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    first, second = json.loads(done.stdout)
    return first, second


def main() -> None:
    if sys.argv[1:]:
        run = ROWS[sys.argv[1]]()
        spent = []
        for _ in range(2):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        print(json.dumps(spent))
        return
    print(f"{'processor seconds':<38}{'compiling':>10}{'from disk':>11}{'second':>9}")
    for row in ROWS:
        with tempfile.TemporaryDirectory() as cache:
            cold, _ = measure(row, cache)
            warm, again = measure(row, cache)
        print(f"{row:<38}{cold:>10.2f}{warm:>11.2f}{again:>9.3f}")


if __name__ == "__main__":
    main()
