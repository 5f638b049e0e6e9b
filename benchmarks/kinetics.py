"""Ours and the peers on the same patients in one run: speed, agreement, ratios.

    python benchmarks/kinetics.py [--patients 10000] [--peer-python PATH]

10,000 patients, parent (two compartments) and metabolite, six 40-minute infusions over two weeks,
200 times, processor time of one core. Peers integrate fewer patients of the same population and are
scaled up; those that are not installed are named. `--peer-python` runs the peers of another
environment (numbalsoda, libroadrunner, diffrax) on the very same numbers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads is set)

STARTS = np.array([0.0, 48.0, 96.0, 168.0, 216.0, 264.0])
LENGTH = 40 / 60
TIMES = np.linspace(0.0, 336.0, 200)
SPREAD = 0.3
TYPICAL = {"CL": 80.0, "V1": 60.0, "Q": 120.0, "V2": 130.0, "fm": 0.8, "CLm": 60.0, "Vm": 150.0}
PEERS = ("scipy-lsoda", "numbalsoda", "libroadrunner", "diffrax")
COUNTS = {"scipy-lsoda": 20, "numbalsoda": 1000, "libroadrunner": 100, "diffrax": 100}
RTOL, ATOL = 1e-8, 1e-10
ROUNDS = 7


def population(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240501)
    found = {k: v * np.exp(SPREAD * rng.standard_normal(n)) for k, v in TYPICAL.items()}
    found["fm"] = np.full(n, TYPICAL["fm"])
    found["dose"] = 35.0 * np.exp(0.2 * rng.standard_normal(n))
    return found


def micro(p: dict[str, np.ndarray]) -> np.ndarray:
    """k10+k12, k12, k21, formation, km, 1/V1, 1/Vm, rate: columns (n, 8)."""
    return np.column_stack(
        [
            (p["CL"] + p["Q"]) / p["V1"],
            p["Q"] / p["V1"],
            p["Q"] / p["V2"],
            p["fm"] * p["CL"] / p["V1"],
            p["CLm"] / p["Vm"],
            1 / p["V1"],
            1 / p["Vm"],
            p["dose"] / LENGTH,
        ]
    )


def segments() -> list[tuple[float, float, bool]]:
    edges = sorted({*STARTS, *(STARTS + LENGTH), 0.0, TIMES[-1]})
    return [(a, b, bool(np.any(a == STARTS))) for a, b in pairwise(edges)]


# --- ours ---------------------------------------------------------------------------------------


def ours(p: dict[str, np.ndarray], times: np.ndarray) -> np.ndarray:
    from klarsyn.pharmacology.solvers.kernel import courses

    return courses(asked(p), **infused(p), times=times)


def summed_ours(p: dict[str, np.ndarray]):
    from klarsyn.pharmacology.solvers.summaries import summaries

    return summaries(asked(p), **infused(p), until=TIMES[-1])


def asked(p: dict[str, np.ndarray]) -> dict:
    return {
        "clearance": p["CL"],
        "volume": p["V1"],
        "exchanges": ((p["Q"], p["V2"]),),
        "formed": p["fm"],
        "metabolite_clearance": p["CLm"],
        "metabolite_volume": p["Vm"],
    }


def infused(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "starts": STARTS,
        "durations": np.full(len(STARTS), LENGTH),
        "amounts": np.outer(p["dose"], np.ones(len(STARTS))),
    }


def time_ours(n: int) -> dict[str, float]:
    p = population(n)
    begin = time.process_time()
    answer = ours(p, TIMES)
    first = time.process_time() - begin
    shared = best(lambda: ours(p, TIMES))
    rng = np.random.default_rng(7)
    own = np.sort(TIMES + rng.uniform(0, 1, (n, len(TIMES))), axis=1)
    begin = time.process_time()
    ours(p, own)
    first_own = time.process_time() - begin
    own_time = best(lambda: ours(p, own))
    summed = n / best(lambda: summed_ours(p))
    whole = solve_general(n // 10)
    return {
        "first call, shared grid (s)": first,
        "first call, own grids (s)": first_own,
        "shared grid (patients/s)": n / shared,
        "own grids (patients/s)": n / own_time,
        "exact peaks, times and areas, no course (patients/s)": summed,
        "any linear graph, solve_many (patients/s)": whole,
        "the default model, all metrics of 11 analytes (patients/s)": all_metrics(2 * n),
        "checksum": float(answer.sum()),
    }


def solve_general(n: int) -> float:
    from klarsyn.pharmacology.solvers.many import Entry, solve_many

    p = population(n)
    system = general_system(p)
    entries = [
        Entry(
            compartment=0,
            time=np.full(n, s),
            amount=p["dose"],
            duration=np.full(n, LENGTH),
        )
        for s in STARTS
    ]
    return n / best(lambda: solve_many([(0.0, system)], entries, TIMES, n), 3)


def all_metrics(n: int) -> float:
    """Cmax, Tmax, AUC and half-life of every analyte after six infusions, patients drawn too."""
    from klarsyn import parse_regimen, read_model, sample_individuals, simulate

    model = read_model("KSR-1")
    regimen = parse_regimen("0.5 mg/kg base iv over 40 min, twice a week for 3 weeks")
    simulate(sample_individuals(model, 10, seed=1), regimen, "racemate")
    return n / best(lambda: simulate(sample_individuals(model, n, seed=1), regimen, "racemate"), 3)


def general_system(p):
    from klarsyn.pharmacology.system import build_system

    return build_system(
        compartments=["A1", "A2", "AM"],
        equations={
            "A1": "-(CL+Q)/V1*A1+Q/V2*A2",
            "A2": "Q/V1*A1-Q/V2*A2",
            "AM": "fm*CL/V1*A1-CLm/Vm*AM",
        },
        parameters={k: v for k, v in p.items() if k != "dose"},
        outputs={"CP": "A1/V1", "CM": "AM/Vm"},
    )


def best(run, rounds: int = ROUNDS) -> float:
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return min(found)


# --- peers: each returns (seconds, concentrations (n, 2, T)) --------------------------------------


def scipy_lsoda(k: np.ndarray) -> tuple[float, np.ndarray]:
    from scipy.integrate import solve_ivp

    answer = np.zeros((len(k), 2, len(TIMES)))
    begin = time.process_time()
    for i, row in enumerate(k):
        state = np.zeros(3)
        for a, b, on in segments():
            chosen = (a <= TIMES) & (b > TIMES) | ((b == TIMES[-1]) & (b == TIMES))
            points = np.append(TIMES[chosen], b)
            rate = row[7] if on else 0.0

            def slope(_, x, row=row, rate=rate):
                return [
                    rate - row[0] * x[0] + row[2] * x[1],
                    row[1] * x[0] - row[2] * x[1],
                    row[3] * x[0] - row[4] * x[2],
                ]

            done = solve_ivp(slope, (a, b), state, "LSODA", np.unique(points), rtol=RTOL, atol=ATOL)
            at = np.searchsorted(done.t, TIMES[chosen])
            answer[i, 0, chosen] = done.y[0, at] * row[5]
            answer[i, 1, chosen] = done.y[2, at] * row[6]
            state = done.y[:, -1]
    return time.process_time() - begin, answer


def numbalsoda(k: np.ndarray) -> tuple[float, np.ndarray]:
    from numba import cfunc
    from numbalsoda import lsoda, lsoda_sig

    @cfunc(lsoda_sig)
    def slope(t, u, du, q):
        du[0] = q[7] - q[0] * u[0] + q[2] * u[1]
        du[1] = q[1] * u[0] - q[2] * u[1]
        du[2] = q[3] * u[0] - q[4] * u[2]

    pointer = slope.address
    plan = []
    for a, b, on in segments():
        chosen = np.flatnonzero((a <= TIMES) & (b > TIMES) | ((b == TIMES[-1]) & (b == TIMES)))
        grid = np.unique(np.concatenate([[a], TIMES[chosen], [b]]))
        plan.append((grid, np.searchsorted(grid, TIMES[chosen]), chosen, on))
    answer = np.zeros((len(k), 2, len(TIMES)))
    begin = time.process_time()
    for i, row in enumerate(k):
        state = np.zeros(3)
        for grid, at, chosen, on in plan:
            data = row.copy()
            data[7] = row[7] if on else 0.0
            found, _ = lsoda(pointer, state, grid, data, rtol=RTOL, atol=ATOL)
            answer[i, 0, chosen] = found[at, 0] * row[5]
            answer[i, 1, chosen] = found[at, 2] * row[6]
            state = found[-1].copy()
    return time.process_time() - begin, answer


def libroadrunner(k: np.ndarray) -> tuple[float, np.ndarray]:
    import roadrunner

    model = roadrunner.RoadRunner(sbml())
    model.integrator.relative_tolerance = RTOL
    model.integrator.absolute_tolerance = ATOL
    answer = np.zeros((len(k), 2, len(TIMES)))
    begin = time.process_time()
    for i, row in enumerate(k):
        model.resetToOrigin()
        for j in range(5):
            model[f"k{j}"] = row[j]
        for a, b, on in segments():
            model["R"] = row[7] if on else 0.0
            chosen = np.flatnonzero((a <= TIMES) & (b > TIMES) | ((b == TIMES[-1]) & (b == TIMES)))
            grid = np.unique(np.concatenate([[a], TIMES[chosen], [b]]))
            found = np.asarray(model.simulate(times=list(grid), selections=["time", "A1", "AM"]))
            at = np.searchsorted(grid, TIMES[chosen])
            answer[i, 0, chosen] = found[at, 1] * row[5]
            answer[i, 1, chosen] = found[at, 2] * row[6]
    return time.process_time() - begin, answer


def sbml() -> str:
    def rule(name, *terms):
        body = "".join(terms)
        return (
            f'<rateRule variable="{name}"><math xmlns="http://www.w3.org/1998/Math/MathML">'
            f"<apply><plus/>{body}</apply></math></rateRule>"
        )

    def product(sign, *names):
        return (
            "<apply><times/><cn>" + str(sign) + "</cn>"
            "" + "".join(f"<ci>{n}</ci>" for n in names) + "</apply>"
        )

    parameters = "".join(
        f'<parameter id="{n}" value="0" constant="{"false" if n[0] == "A" else "true"}"/>'
        for n in ("A1", "A2", "AM", "k0", "k1", "k2", "k3", "k4")
    )
    parameters += '<parameter id="R" value="0" constant="false"/>'
    rules = (
        rule("A1", "<ci>R</ci>", product(-1, "k0", "A1"), product(1, "k2", "A2"))
        + rule("A2", product(1, "k1", "A1"), product(-1, "k2", "A2"))
        + rule("AM", product(1, "k3", "A1"), product(-1, "k4", "AM"))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><sbml '
        'xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="m">'
        f"<listOfParameters>{parameters}</listOfParameters><listOfRules>{rules}</listOfRules>"
        "</model></sbml>"
    )


def diffrax(k: np.ndarray) -> tuple[float, np.ndarray]:
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jumps = jnp.array(sorted({*STARTS, *(STARTS + LENGTH)}))

    def slope(t, x, q):
        on = jnp.any((t >= STARTS) & (t < STARTS + LENGTH))
        rate = jnp.where(on, q[7], 0.0)
        return jnp.array(
            [
                rate - q[0] * x[0] + q[2] * x[1],
                q[1] * x[0] - q[2] * x[1],
                q[3] * x[0] - q[4] * x[2],
            ]
        )

    def one(q):
        found = dfx.diffeqsolve(
            dfx.ODETerm(slope),
            dfx.Tsit5(),
            0.0,
            TIMES[-1],
            1e-2,
            jnp.zeros(3),
            q,
            saveat=dfx.SaveAt(ts=jnp.array(TIMES)),
            stepsize_controller=dfx.ClipStepSizeController(
                dfx.PIDController(rtol=RTOL, atol=ATOL), jump_ts=jumps
            ),
            max_steps=200_000,
        )
        return jnp.stack([found.ys[:, 0] * q[5], found.ys[:, 2] * q[6]])

    many = jax.jit(jax.vmap(one))
    many(k).block_until_ready()
    begin = time.process_time()
    answer = np.asarray(many(k).block_until_ready())
    return time.process_time() - begin, answer


RUN = {
    "scipy-lsoda": ("scipy", scipy_lsoda),
    "numbalsoda": ("numbalsoda", numbalsoda),
    "libroadrunner": ("roadrunner", libroadrunner),
    "diffrax": ("diffrax", diffrax),
}


def run_peer(name: str, counts: dict[str, int]) -> dict | None:
    module, function = RUN[name]
    if importlib.util.find_spec(module) is None:
        return None
    n = counts[name]
    seconds, answer = function(micro(population(COMMON))[:n])
    return {"n": n, "seconds": seconds, "rate": n / seconds, "answer": answer[:5].tolist()}


COMMON = 10_000


def peers_elsewhere(python: str) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "peers.json"
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        subprocess.run([python, __file__, "--peers-to", str(target)], check=True, env=environment)
        return json.loads(target.read_text())


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--peer-python")
    parser.add_argument("--peers-to", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    here = {
        n: r
        for n in PEERS
        if options.peers_to or not options.peer_python
        if (r := run_peer(n, COUNTS))
    }
    if options.peers_to:
        Path(options.peers_to).write_text(json.dumps(here))
        return 0
    peers = {**here, **(peers_elsewhere(options.peer_python) if options.peer_python else {})}
    mine = time_ours(options.patients)
    for name, value in mine.items():
        print(f"{name:45} {value:12,.3f}" if value < 100 else f"{name:45} {value:12,.0f}")
    rate = mine["shared grid (patients/s)"]
    reference = ours({k: v[:5] for k, v in population(COMMON).items()}, TIMES)
    for name in PEERS:
        if name not in peers:
            print(f"{name:45} not installed here")
            continue
        found = peers[name]
        theirs = np.moveaxis(np.array(found["answer"]), 1, 0)
        gap = np.max(np.abs(theirs - reference)) / reference.max()
        print(
            f"{name:45} {found['rate']:12,.1f} patients/s; ours {rate / found['rate']:,.0f} times "
            f"as fast; largest difference {gap:.1e} of the peak"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
