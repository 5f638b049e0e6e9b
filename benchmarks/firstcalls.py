"""What first calls cost, with and without the cache of compiled code on disk.

    python benchmarks/firstcalls.py

Every row is a fresh process, twice: with an empty cache, so that whatever has a compiled part
compiles, and with the cache that the first one left. For a function: processor seconds of the first
call, libraries loaded by it included, and of the second call. For a command: processor seconds of
the whole process and, in brackets, seconds by the clock on the wall (the same on a quiet machine).
"""

from __future__ import annotations

import json
import os
import resource
import shlex
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


def peaks_only() -> Callable[[], Any]:
    import kinetics

    people = kinetics.population(10)
    return lambda: kinetics.summed_ours(people)


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
    "exact peaks and areas, no course": peaks_only,
    "metrics of every analyte": metrics,
    "a whole session, from dose to score": session,
}


DOSED = """simulate --substance ketamine --form racemate --dose "0.5 mg/kg" --route iv
    --infusion "40 min" --n 1000 --seed 1"""
COMMANDS = {
    "klarsyn simulate, 1,000 patients": f'{DOSED} --schedule "2 per week, 3 weeks"',
    "klarsyn simulate, doses by the score": f"""{DOSED} --followed 50 --schedule
        "when MADRS at or above 20, checked every 7 days, at most 12 doses" """,
    "klarsyn respond, S and R": """respond --form S --form R
        --regimen "0.5 mg/kg base iv over 40 min" """,
}


def measure(row: str, cache: str) -> tuple[float, float]:
    """First and second call in a fresh process."""
    done = fresh([sys.executable, __file__, row], cache)
    first, second = json.loads(done.stdout)
    return first, second


def fresh(command: list[str], cache: str) -> subprocess.CompletedProcess[str]:
    """A process whose compiled code is kept in a folder of its own."""
    variables = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=variables)


def whole(words: str, cache: str) -> str:
    """Processor seconds of a whole command, and seconds by the clock."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    fresh([sys.executable, "-m", "klarsyn", *shlex.split(words)], cache)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{spent:.2f} ({ended - began:.2f})"


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
    print(f"{'processor seconds':<38}{'empty cache':>14}{'from disk':>14}{'second':>9}")
    for row in ROWS:
        with tempfile.TemporaryDirectory() as cache:
            cold, _ = measure(row, cache)
            warm, again = measure(row, cache)
        print(f"{row:<38}{cold:>14.2f}{warm:>14.2f}{again:>9.3f}", flush=True)
    for row, words in COMMANDS.items():
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = whole(words, cache), whole(words, cache)
        print(f"{row:<38}{cold:>14}{warm:>14}", flush=True)


if __name__ == "__main__":
    main()
