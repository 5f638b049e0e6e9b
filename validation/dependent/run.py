"""Do intervals of networks and of dependent effects cover what they promise?

    python validation/dependent/run.py [--repeats 400]

Stated before running, for 95 % intervals:

- Bias of every mean within 4 Monte Carlo standard errors of 0, everywhere.
- Networks by REML with normal intervals: coverage 92.5 to 98 % from 30 trials of five treatments on
  (no upper bound without heterogeneity: tau cannot be estimated below 0). With 6 and 12 trials
  the result must carry its warning and coverage is only shown.
- Three levels by REML with normal tests: 92 to 98 % from 20 clusters on. Below that the result must
  carry its warning.
- The same with CR2 and Satterthwaite t, the working model right or wrong (sampling errors really
  correlated 0.8, taken as independent): 92.5 to 98 % from 8 clusters on.
- Robust HIER with CR2: as CR2.

The bounds leave room for Monte Carlo error (1.1 points at 400 repeats). Exit code 1 when one fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from klarsyn.provenance import stream
from klarsyn.synthesis.multilevel import fit_multilevel
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_data import network_from_arms
from klarsyn.synthesis.random_terms import nested
from klarsyn.synthesis.robust import fit_robust, robust

SEED = 20240603
TRUTH = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    method: str
    where: str
    low: float
    high: float
    warned: bool = False


Result = tuple[float, float, float, bool]  # estimate, low, high, warned


def network(rng: np.random.Generator, trials: int, tau: float) -> Result:
    effects = np.array([0.0, TRUTH, 0.1, -0.2, 0.5])
    study, arm, mean, sd, n = [], [], [], [], []
    for s in range(trials):
        size = 3 if s % 4 == 0 else 2
        chosen = [s % 5, (s + 1 + s // 5 % 3) % 5, (s + 4) % 5][:size]
        chosen = list(dict.fromkeys(chosen))
        deviation = rng.normal(0, tau / np.sqrt(2), 5)
        for t in chosen:
            m = int(rng.integers(20, 80))
            study.append(s)
            arm.append("abcde"[t])
            mean.append(rng.normal(effects[t] + deviation[t], 1 / np.sqrt(m)))
            sd.append(np.sqrt(rng.chisquare(m - 1) / (m - 1)))
            n.append(m)
    fit = fit_network(network_from_arms(study, arm, measure="MD", mean=mean, sd=sd, n=n))
    e = fit.estimate("b", "a")
    return e.value, *e.interval(), bool(fit.warnings)


def dependent(
    rng: np.random.Generator, clusters: int, rho: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    study = np.repeat(np.arange(clusters), rng.integers(1, 7, clusters))
    n = len(study)
    v = rng.gamma(3, 0.03, n)
    shared = rng.normal(size=clusters)[study]
    noise = np.sqrt(v) * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.normal(size=n))
    y = TRUTH + 0.25 * rng.normal(size=clusters)[study] + 0.2 * rng.normal(size=n) + noise
    return y, v, study


def levels(rng: np.random.Generator, clusters: int, rho: float) -> Result:
    y, v, study = dependent(rng, clusters, rho)
    fit = fit_multilevel(y, v, random=nested(study=study, effect=np.arange(len(y))))
    return fit.estimate.value, *fit.estimate.interval(), bool(fit.warnings)


def cr2(rng: np.random.Generator, clusters: int, rho: float) -> Result:
    y, v, study = dependent(rng, clusters, rho)
    fit = fit_multilevel(y, v, random=nested(study=study, effect=np.arange(len(y))))
    e = robust(fit, study).estimate
    return e.value, *e.interval(), False


def hier(rng: np.random.Generator, clusters: int, rho: float) -> Result:
    y, v, study = dependent(rng, clusters, rho)
    e = fit_robust(y, v, study, weights="HIER").estimate
    return e.value, *e.interval(), False


def cells() -> list[tuple[Cell, Callable[[np.random.Generator], Result]]]:
    out: list[tuple[Cell, Callable[[np.random.Generator], Result]]] = []
    for trials in (6, 12, 30, 80):
        for tau in (0.0, 0.15, 0.5):
            few = trials < 20
            cell = Cell(
                method="network REML, normal",
                where=f"{trials} trials, tau {tau:g}",
                low=0.0 if few else 0.925,
                # Without heterogeneity the interval is wider than needed: tau ≥ 0.
                high=1.0 if few or tau == 0 else 0.98,
                warned=few,
            )
            out.append((cell, lambda rng, k=trials, t=tau: network(rng, k, t)))
    for clusters in (8, 20, 60):
        cell = Cell(
            method="three levels REML, normal",
            where=f"{clusters} clusters",
            low=0.0 if clusters < 20 else 0.92,
            high=0.98,
            warned=clusters < 20,
        )
        out.append((cell, lambda rng, k=clusters: levels(rng, k, 0.0)))
        for rho in (0.0, 0.8):
            for name, run in (("CR2 after three levels", cr2), ("HIER with CR2", hier)):
                cell = Cell(
                    method=name, where=f"{clusters} clusters, rho {rho:g}", low=0.925, high=0.98
                )
                out.append((cell, lambda rng, k=clusters, r=rho, f=run: f(rng, k, r)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    failed = 0
    print(f"{'method':28}{'where':24}{'bias/MCSE':>10}{'coverage':>10}{'warned':>8}  verdict")
    for number, (cell, run) in enumerate(cells()):
        found = [run(stream(SEED, "dependent", number, i)) for i in range(repeats)]
        value, low, high, warned = (np.array(c) for c in zip(*found, strict=True))
        bias = (value.mean() - TRUTH) / (value.std(ddof=1) / np.sqrt(repeats))
        coverage = ((low <= TRUTH) & (high >= TRUTH)).mean()
        good = abs(bias) < 4 and cell.low <= coverage <= cell.high
        good &= warned.mean() == 1 or not cell.warned
        failed += not good
        print(
            f"{cell.method:28}{cell.where:24}{bias:10.2f}{100 * coverage:10.1f}"
            f"{100 * warned.mean():8.0f}  {'ok' if good else 'FAILED'}"
        )
    print(f"{failed} cells failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
