"""Nine states, two of them stiff and nonlinear: patients per second, ours and peers in one run.

    python benchmarks/dynamics.py [--patients 20000] [--peers 20] [--peer-python /path/to/python]

Ours solves kinetics in closed form and the rest by Rodas4P2 at rtol 1e-6. Peers integrate all nine
equations: scipy's LSODA, BDF and Radau in this process, numbalsoda in the interpreter named, which
must have numbalsoda, numba and numpy. Every peer's answer is compared with DOP853 at 1e-11 first:
a speed without an error means nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time

import numpy as np

RTOL, ATOL = 1e-6, 1e-9
TIMES = np.r_[np.linspace(0.25, 4, 16), np.linspace(5, 72, 20)]
DOSES = ((0.0, 2 / 3, 147.0), (24.0, 2 / 3, 147.0))
TYPICAL = {
    "k10_1": 0.72, "k12_1": 0.9, "k21_1": 0.5, "V1_1": 130.0, "kf_1": 0.55, "km_1": 0.6,
    "Vm_1": 75.0, "share_1": 0.5,
    "k10_2": 0.64, "k12_2": 0.9, "k21_2": 0.5, "V1_2": 115.0, "kf_2": 0.5, "km_2": 0.5,
    "Vm_2": 64.0, "share_2": 0.5,
    "K_1": 0.43, "Km_1": 2.4, "K_2": 2.0, "Km_2": 18.7,
    "on": 46.0, "off": 46.0, "kout": 0.7, "smax": 3.0, "half": 0.3, "hill": 1.6, "kt": 0.05,
}  # fmt: skip
ORDER = tuple(TYPICAL)


def patients(n: int) -> np.ndarray:
    """Log-normal, 25 % each way, the same for everybody who is timed."""
    z = np.random.default_rng(5).standard_normal((n, len(TYPICAL)))
    found = np.array(list(TYPICAL.values())) * np.exp(0.25 * z)
    found[:, [7, 15]] = 0.5
    return found


def slope(t, y, p, inflow, out):
    """The nine equations; also compiled by numba for the peer."""
    x = 0.0
    for e in range(2):
        i, j = 3 * e, 8 * e
        out[i] = p[j + 7] * inflow - (p[j] + p[j + 1]) * y[i] + p[j + 2] * y[i + 1]
        out[i + 1] = p[j + 1] * y[i] - p[j + 2] * y[i + 1]
        out[i + 2] = p[j + 4] * y[i] - p[j + 5] * y[i + 2]
        x += y[i] / (p[j + 3] * p[16 + 2 * e]) + y[i + 2] / (p[j + 6] * p[17 + 2 * e])
    b = y[6]
    h = 0.0
    if b > 0.0:
        h = 1.0 / (1.0 + (p[24] / b) ** p[25])
    out[6] = p[20] * x * (1.0 - b) - p[21] * b
    out[7] = p[22] * (1.0 + p[23] * h - y[7] * y[8])
    out[8] = p[26] * (y[7] - y[8])


def stretches() -> list[tuple[float, float, float, np.ndarray]]:
    """(from, to, inflow, times asked within) between the edges of infusions."""
    edges = sorted({0.0, *(s for s, _, _ in DOSES), *(s + d for s, d, _ in DOSES), TIMES[-1]})
    found = []
    for a, b in itertools.pairwise(edges):
        inflow = sum(m / d for s, d, m in DOSES if s <= a < s + d)
        found.append((a, b, inflow, TIMES[(a < TIMES) & (b >= TIMES)]))
    return found


def by_scipy(p: np.ndarray, method: str, rtol: float, atol: float) -> np.ndarray:
    from scipy.integrate import solve_ivp

    y, rows = np.array([0.0] * 6 + [0.0, 1.0, 1.0]), []

    def right(t, state, inflow):
        out = np.empty(9)
        slope(t, state, p, inflow, out)
        return out

    for a, b, inflow, wanted in stretches():
        run = solve_ivp(
            right, (a, b), y, method, np.union1d(wanted, b), args=(inflow,), rtol=rtol, atol=atol
        )
        rows.append(run.y[:, : len(wanted)].T)
        y = run.y[:, -1]
    return np.vstack(rows)


def numbalsoda_peer() -> None:
    """Runs inside the peer's interpreter: reads n, prints JSON with seconds and some answers."""
    import numba as nb
    from numbalsoda import lsoda, lsoda_sig

    n = int(sys.argv[2])
    compiled = nb.njit(slope)

    @nb.cfunc(lsoda_sig)
    def right(t, y_, dy_, p_):
        y, dy, p = nb.carray(y_, (9,)), nb.carray(dy_, (9,)), nb.carray(p_, (28,))
        compiled(t, y, p, p[27], dy)

    address = right.address
    plan = [(i, np.union1d(np.r_[a, w], b), len(w)) for a, b, i, w in stretches()]

    def one(p):
        y, rows = np.array([0.0] * 6 + [0.0, 1.0, 1.0]), []
        for inflow, at, count in plan:
            path, good = lsoda(address, y, at, data=np.r_[p, inflow], rtol=RTOL, atol=ATOL)
            if not good:
                raise SystemExit("numbalsoda failed")
            rows.append(path[1 : 1 + count])
            y = path[-1].copy()
        return np.vstack(rows)

    some = patients(n)
    one(some[0])
    began = time.process_time()
    answers = [one(p) for p in some]
    spent = time.process_time() - began
    print(json.dumps({"seconds": spent, "answers": [a.tolist() for a in answers[:3]]}))


def error(found: np.ndarray, exact: np.ndarray) -> float:
    return float((np.abs(found - exact) / np.abs(exact).max(axis=0)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--peers", type=int, default=20)
    parser.add_argument("--peer-python", default="")
    options = parser.parse_args()
    from klarsyn.pharmacology.driven import simulate_driven

    matrix = patients(options.patients)
    values = {k: matrix[:, i] for i, k in enumerate(ORDER)}
    exact = [by_scipy(p, "DOP853", 1e-11, 1e-13) for p in matrix[:3]]
    simulate_driven({k: v[:2] for k, v in values.items()}, DOSES, TIMES, rtol=RTOL, atol=ATOL)
    began, wall = time.process_time(), time.perf_counter()
    found = simulate_driven(values, DOSES, TIMES, rtol=RTOL, atol=ATOL)
    spent, wall = time.process_time() - began, time.perf_counter() - wall
    ours = options.patients / spent
    worst = max(error(found.states[i], exact[i]) for i in range(3))
    print(f"{'who':<24}{'patients/s':>12}{'ours is':>10}{'error':>11}")
    print(f"{'klarsyn (closed+Rodas4P2)':<24}{ours:>11.0f}{'1x':>10}{worst:>11.1e}")
    print(
        f"  ({found.steps.mean():.0f} steps a patient; wall clock {options.patients / wall:.0f}/s)"
    )
    for method in ("LSODA", "BDF", "Radau"):
        began = time.process_time()
        answers = [by_scipy(p, method, RTOL, ATOL) for p in matrix[: options.peers]]
        speed = options.peers / (time.process_time() - began)
        off = max(error(a, e) for a, e in zip(answers, exact, strict=False))
        print(f"{'scipy ' + method:<24}{speed:>12.1f}{ours / speed:>9.0f}x{off:>11.1e}")
    if options.peer_python:
        command = [options.peer_python, __file__, "--numbalsoda", str(50 * options.peers)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        said = json.loads(text)
        speed = 50 * options.peers / said["seconds"]
        off = max(error(np.array(a), e) for a, e in zip(said["answers"], exact, strict=True))
        print(f"{'numbalsoda':<24}{speed:>12.1f}{ours / speed:>9.1f}x{off:>11.1e}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--numbalsoda"]:
        numbalsoda_peer()
    else:
        main()
